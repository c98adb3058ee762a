//! HTTP, for everything that asks another host: one client with TLS, proxies, retries, redirects, conditional
//! requests and bounds.
//!
//! Nothing else names reqwest.
//!
//! **Invariants.** A credential goes to the host that it belongs to and to no other, whatever a redirect says. No
//! body can be read without a limit, which counts what it holds once it is unpacked. Whatever a host says is made safe
//! before people read it.

mod client;
mod conditional;
mod error;
mod event_stream;
mod headers;
mod limit_waits;
mod local;
mod peer;
mod proxies;
mod public_only;
mod redirect;
mod request;
mod response;
mod retry;
mod silence;
mod site;

pub use client::{Client, Fetched};
pub use conditional::Validators;
pub(crate) use error::tls_error;
pub use error::{Error, ErrorKind, NoAnswer};
pub use event_stream::{Events, Frame, Framed};
pub use headers::Clocks;
pub use limit_waits::LimitWaits;
pub use local::ask_local_health;
pub use peer::Peer;
pub use redirect::{RedirectRefusal, Redirects};
pub use request::Request;
pub use reqwest::header::{HeaderName, HeaderValue};
pub use reqwest::{Method, StatusCode};
pub(crate) use response::error_message;
pub use response::{Pieces, Response};
pub use retry::{RetryBudget, RetryPolicy};
pub(crate) use retry::{Waits, wait_out};
pub use site::{Credential, LONGEST_SILENCE, Site, Trust};
