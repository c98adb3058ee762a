//! A host by its name and address, as messages name it.

use std::fmt;
use std::sync::Arc;

use url::Url;

use crate::telemetry::safe_text::{WORDS, safe};

/// A host, and where it is asked: for errors that the address may be to blame for.
#[derive(Debug, Clone, Default)]
pub struct Peer(Arc<Place>);

#[derive(Debug, Default)]
struct Place {
    name: String,
    /// Scheme, host and port, made safe for people.
    address: String,
}

impl Peer {
    /// The host at this address, of which neither a user nor a path is shown.
    pub fn new(name: &str, url: &Url) -> Self {
        let address = url.origin().ascii_serialization();
        Self(Arc::new(Place {
            name: name.to_owned(),
            address: safe(&address, WORDS).into_owned(),
        }))
    }

    /// The host's name in messages: "the source", "the destination".
    pub fn name(&self) -> &str {
        &self.0.name
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.0.name, self.0.address)
    }
}
