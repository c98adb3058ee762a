//! GraphQL over HTTP: one request and its answer, and the narrowing of an operation to what a server
//! knows.
//!
//! **Invariant.** An answer counts as a success only when it holds `data` and no `errors`: the
//! platforms answer HTTP 200 to everything (docs/protocol.md#requests), so the status means nothing.

mod client;
mod error;
mod narrow;
mod schema;

pub(crate) use client::limits;
pub use client::{Answer, AnswerLimit, BoundedOperation, Download, GraphqlClient};
pub use error::{GraphqlError, HttpFailure, RequestError};
pub use narrow::{NarrowError, Narrowed, Vocabulary, mentioned_types, narrow, prune_variables};
pub use schema::{Mark, OwnSchema, SchemaError};
