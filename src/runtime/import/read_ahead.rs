//! Reads units ahead of the one that is converted and sent.
//!
//! One task asks the source for unit after unit; for each, another reads what else belongs to it. So a source that
//! takes long to answer is asked for several things at once. As soon as a unit is complete, reading waits until
//! somebody takes it, so that little has to be held.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::task::AbortOnDropHandle;
use tokio_util::task::task_tracker::{TaskTracker, TaskTrackerToken};

use crate::connector::{Source, SourceError};

/// So many units may be read, or have been read and wait to be taken.
pub(super) const UNITS_AHEAD: usize = 2;

/// The units of one run, in the source's order, read ahead.
#[derive(Debug)]
pub(super) struct ReadAhead<U> {
    begun: mpsc::UnboundedReceiver<Begun<U>>,
    /// The unit that somebody waits for.
    next: Option<Completing<U>>,
    _reading: AbortOnDropHandle<()>,
}

/// What the source handed out.
#[derive(Debug)]
enum Begun<U> {
    /// A unit to which nothing was missing.
    Complete(Complete<U>),
    /// A unit, of which the rest is being read.
    Completing(Completing<U>),
    /// There are no more units.
    End,
    /// The source cannot be read any further.
    Failed(SourceError),
}

type Completing<U> = AbortOnDropHandle<Result<Complete<U>, SourceError>>;

/// A unit that can be converted. Until it is taken, the places are not free.
#[derive(Debug)]
struct Complete<U> {
    unit: U,
    _place_ahead: OwnedSemaphorePermit,
    _completing: TaskTrackerToken,
}

/// Why there is no next unit.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadAheadError {
    /// The source cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A task ended by itself.
    #[error("reading the source ended unexpectedly")]
    Interrupted,
}

impl<U: Send + 'static> ReadAhead<U> {
    /// Begins to read a source.
    pub(super) fn of(source: impl Source<Unit = U>) -> Self {
        let (units, begun) = mpsc::unbounded_channel();
        Self {
            begun,
            next: None,
            _reading: AbortOnDropHandle::new(tokio::spawn(read(source, units))),
        }
    }

    /// The next unit, or none at the end. May be broken off, and loses nothing then.
    ///
    /// # Errors
    /// [`ReadAheadError`] when the source cannot be read, behind the units that were read before.
    pub(super) async fn next(&mut self) -> Result<Option<U>, ReadAheadError> {
        let completing = match &mut self.next {
            Some(completing) => completing,
            None => match self.begun.recv().await {
                Some(Begun::Complete(complete)) => return Ok(Some(complete.unit)),
                Some(Begun::Completing(completing)) => self.next.insert(completing),
                Some(Begun::End) => return Ok(None),
                Some(Begun::Failed(error)) => return Err(error.into()),
                None => return Err(ReadAheadError::Interrupted),
            },
        };
        let complete = completing.await;
        self.next = None;
        let complete = complete.map_err(|_| ReadAheadError::Interrupted)??;
        Ok(Some(complete.unit))
    }
}

/// Reads until the end of the source, an error, or until units are not wanted any more.
async fn read<S: Source>(mut source: S, units: mpsc::UnboundedSender<Begun<S::Unit>>) {
    let ahead = Arc::new(Semaphore::new(UNITS_AHEAD));
    let complete = TaskTracker::new();
    // Closed, it can be waited for; units are counted all the same.
    complete.close();
    loop {
        complete.wait().await;
        // The place for a unit first. The semaphore is never closed.
        let Ok(place) = Arc::clone(&ahead).acquire_owned().await else {
            return;
        };
        let begun = match source.next_unit().await {
            Ok(Some(unit)) => begin(source.complete(unit), place, complete.clone()).await,
            Ok(None) => Begun::End,
            Err(error) => Begun::Failed(error),
        };
        let is_last = matches!(begun, Begun::End | Begun::Failed(_));
        if units.send(begun).is_err() || is_last {
            return;
        }
    }
}

/// Reads the rest of a unit: on a task of its own, where that takes any time.
async fn begin<U: Send + 'static>(
    rest: impl Future<Output = Result<U, SourceError>> + Send + 'static,
    place: OwnedSemaphorePermit,
    complete: TaskTracker,
) -> Begun<U> {
    let mut completing = Box::pin(async move {
        Ok(Complete {
            unit: rest.await?,
            _place_ahead: place,
            _completing: complete.token(),
        })
    });
    tokio::select! {
        biased;
        complete = &mut completing => complete.map_or_else(Begun::Failed, Begun::Complete),
        () = std::future::ready(()) => {
            Begun::Completing(AbortOnDropHandle::new(tokio::spawn(completing)))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::watch;

    use super::*;
    use crate::connector::{Converted, Converter};

    /// Counts up; a unit is complete once it is let through.
    struct Counting {
        read: Arc<AtomicUsize>,
        open: watch::Receiver<usize>,
        ends: Result<usize, usize>,
    }

    struct NoConverter;

    impl Converter for NoConverter {
        type Unit = usize;

        fn convert(&mut self, number: usize) -> Converted {
            Converted::new("numbers", 1, number)
        }
    }

    impl Source for Counting {
        type Unit = usize;
        type Converter = NoConverter;

        fn converter(&self) -> NoConverter {
            NoConverter
        }

        async fn next_unit(&mut self) -> Result<Option<usize>, SourceError> {
            let number = self.read.load(Ordering::SeqCst);
            match self.ends {
                Ok(end) if number == end => Ok(None),
                Err(end) if number == end => Err(SourceError::new("it fails here")),
                _ => Ok(Some(self.read.fetch_add(1, Ordering::SeqCst))),
            }
        }

        fn complete(
            &self,
            number: usize,
        ) -> impl Future<Output = Result<usize, SourceError>> + Send + use<> {
            let mut open = self.open.clone();
            async move {
                let opened = open.wait_for(|open| *open > number).await;
                opened.map_err(|error| SourceError::because("nobody opens", error))?;
                Ok(number)
            }
        }
    }

    struct Bench {
        read: Arc<AtomicUsize>,
        open: watch::Sender<usize>,
        ahead: ReadAhead<usize>,
    }

    /// Units up to this number are complete at once, the others once they are opened.
    fn bench(ends: Result<usize, usize>, open: usize) -> Bench {
        let read = Arc::new(AtomicUsize::new(0));
        let (open, is_open) = watch::channel(open);
        let ahead = ReadAhead::of(Counting {
            read: Arc::clone(&read),
            open: is_open,
            ends,
        });
        Bench { read, open, ahead }
    }

    impl Bench {
        /// How many units have been read once nothing moves any more.
        async fn read(&self) -> usize {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            self.read.load(Ordering::SeqCst)
        }
    }

    #[tokio::test]
    async fn units_are_read_while_the_first_one_is_completed_but_not_many() {
        let mut bench = bench(Ok(5), 0);
        assert_eq!(bench.read().await, UNITS_AHEAD);
        bench.open.send_replace(5);
        for number in 0..5 {
            assert_eq!(bench.ahead.next().await.unwrap(), Some(number));
        }
        assert_eq!(bench.ahead.next().await.unwrap(), None);
    }

    #[tokio::test]
    async fn nothing_is_read_while_a_complete_unit_waits() {
        let mut bench = bench(Ok(5), 1);
        assert_eq!(bench.read().await, 1);
        assert_eq!(bench.ahead.next().await.unwrap(), Some(0));
        assert_eq!(bench.read().await, 1 + UNITS_AHEAD);
    }

    #[tokio::test]
    async fn who_stops_waiting_loses_nothing() {
        let mut bench = bench(Ok(2), 0);
        assert_eq!(bench.read().await, 2);
        let broken_off = tokio::select! {
            biased;
            _ = bench.ahead.next() => false,
            () = std::future::ready(()) => true,
        };
        assert!(broken_off);
        bench.open.send_replace(2);
        assert_eq!(bench.ahead.next().await.unwrap(), Some(0));
        assert_eq!(bench.ahead.next().await.unwrap(), Some(1));
    }

    #[tokio::test]
    async fn a_failure_comes_behind_the_units_before_it() {
        let mut bench = bench(Err(2), 2);
        assert_eq!(bench.ahead.next().await.unwrap(), Some(0));
        assert_eq!(bench.ahead.next().await.unwrap(), Some(1));
        let error = bench.ahead.next().await.unwrap_err();
        assert_eq!(error.to_string(), "it fails here");
    }

    #[tokio::test]
    async fn a_unit_that_cannot_be_completed_fails_in_its_turn() {
        let mut bench = bench(Ok(5), 1);
        assert_eq!(bench.ahead.next().await.unwrap(), Some(0));
        assert_eq!(bench.read().await, 1 + UNITS_AHEAD);
        drop(bench.open);
        let error = bench.ahead.next().await.unwrap_err();
        assert_eq!(error.to_string(), "nobody opens");
    }

    #[tokio::test]
    async fn whoever_drops_it_ends_the_reading() {
        let bench = bench(Ok(5), 0);
        assert_eq!(bench.read().await, UNITS_AHEAD);
        drop(bench.ahead);
        bench.open.closed().await;
    }
}
