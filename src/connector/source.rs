//! What reads a source, and what turns it into STIX objects.

use std::error::Error as StdError;
use std::future::Future;

use super::Converted;

/// One run's reader: hands out units until there are no more.
pub trait Source: Send + 'static {
    /// A unit as it was read.
    type Unit: Send + 'static;
    /// Turns units into objects; one for the whole run.
    type Converter: Converter<Unit = Self::Unit>;

    /// The converter for this run.
    fn converter(&self) -> Self::Converter;

    /// The next unit, or none at the end of the run.
    fn next_unit(&mut self)
    -> impl Future<Output = Result<Option<Self::Unit>, SourceError>> + Send;

    /// Reads what else belongs to a unit, such as its content or what its objects refer to. This goes on while the next
    /// units are read and completed; they are handed out in order all the same.
    fn complete(
        &self,
        unit: Self::Unit,
    ) -> impl Future<Output = Result<Self::Unit, SourceError>> + Send + use<Self> {
        std::future::ready(Ok(unit))
    }
}

/// Turns units into STIX objects. Pure, and never fails a unit: what cannot be converted is skipped by name.
pub trait Converter: Send + 'static {
    /// A unit as the source read it.
    type Unit;

    /// Converts one unit.
    fn convert(&mut self, unit: Self::Unit) -> Converted;
}

/// Why a source cannot be read any further.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct SourceError {
    /// What was tried, on what, and what a person can do.
    pub what: String,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

impl SourceError {
    /// An error with its cause.
    pub fn because(what: impl Into<String>, source: impl StdError + Send + Sync + 'static) -> Self {
        Self {
            what: what.into(),
            source: Some(Box::new(source)),
        }
    }

    /// An error that is its own cause.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            source: None,
        }
    }
}
