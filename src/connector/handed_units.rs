//! Units that a source need not wait for, or that a task of its own reads.

use tokio::sync::mpsc;

use super::SourceError;

/// The units of one run.
#[derive(Debug)]
pub enum HandedUnits<U> {
    /// One that is known from the beginning, or none.
    Known(Option<U>),
    /// Those that a task hands over, up to its end or its first error.
    Through(mpsc::Receiver<Result<U, SourceError>>),
}

impl<U> HandedUnits<U> {
    /// The next unit; none at the end.
    ///
    /// # Errors
    /// The one that the task has handed over.
    pub async fn next(&mut self) -> Result<Option<U>, SourceError> {
        match self {
            Self::Known(unit) => Ok(unit.take()),
            Self::Through(units) => units.recv().await.transpose(),
        }
    }
}
