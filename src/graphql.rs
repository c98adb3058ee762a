//! GraphQL over HTTP: one request and its answer, and the narrowing of an operation to what a server
//! knows.
//!
//! May know: [`crate::http`], JSON, the GraphQL language. Must not know: OpenCTI, STIX, settings, schedules.
//! Known by: [`crate::platform`] and everything above it.
//!
//! **Invariant.** An answer counts as a success only when it holds `data` and no `errors`: the
//! platforms answer HTTP 200 to everything (docs/protocol.md#requests), so the status says nothing.

mod client;
mod error;
mod narrow;
mod schema;

pub(crate) use client::limits;
pub use client::{Answer, AnswerLimit, Client, Download, Operation};
pub use error::{Error, GraphqlError, HttpFailure};
pub use narrow::{NarrowError, Narrowed, Vocabulary, mentioned_types, narrow, prune_variables};
pub use schema::{Mark, OwnSchema, SchemaError};
