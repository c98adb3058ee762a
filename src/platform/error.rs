//! Why a platform cannot be asked.

use std::sync::Arc;

use super::release::{NotARelease, Release};
use crate::graphql::{NarrowError, RequestError, SchemaError};
use crate::http::ErrorKind;

/// Why a platform cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    /// The request failed.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The platform's schema does not have the operation at all.
    #[error("{platform} (release {release}) does not know what it has to be asked")]
    Unknown {
        /// The platform's name in messages.
        platform: String,
        /// Its release.
        release: Release,
        /// The operation's name.
        operation: &'static str,
        /// What is missing.
        source: Box<NarrowError>,
    },
    /// The platform's release cannot be read.
    #[error("{platform} does not say its release")]
    NoRelease {
        /// The platform's name in messages.
        platform: String,
        /// What it answered.
        source: NotARelease,
    },
    /// The platform is older than this program can work with.
    #[error("{platform} is release {release}; the oldest that works is 6.0.0")]
    TooOld {
        /// The platform's name in messages.
        platform: String,
        /// Its release.
        release: Release,
    },
    /// Our own schema file is broken.
    #[error("this program's own schema cannot be read")]
    OwnSchema(#[from] Arc<SchemaError>),
}

impl PlatformError {
    /// The class of the error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Request(error) => error.kind(),
            Self::Unknown { .. } => ErrorKind::Unknown,
            Self::NoRelease { .. } | Self::TooOld { .. } | Self::OwnSchema(_) => {
                ErrorKind::Unusable
            }
        }
    }

    /// Whether the platform's release does not have what was asked, by its schema or by its own error. No transient
    /// failure, and nothing in front of it, can mean that.
    pub fn is_unknown_to_release(&self) -> bool {
        match self {
            Self::Unknown { .. } => true,
            Self::Request(error) => error.is_about_schema(),
            Self::NoRelease { .. } | Self::TooOld { .. } | Self::OwnSchema(_) => false,
        }
    }
}
