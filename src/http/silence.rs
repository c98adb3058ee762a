//! How long a host may send nothing.

use std::time::Duration;

use tokio::time::Instant;

/// Watches over the pieces of one body. Only the time in which somebody waits for a piece counts: what the reader does
/// between two pieces may take as long as it wants, and what has come meanwhile is read.
#[derive(Debug)]
pub(super) struct Silence {
    limit: Duration,
    /// Since the last piece, over all that waited for the next one and were broken off.
    waited: Duration,
}

/// Nothing came for this long.
#[derive(Debug)]
pub(super) struct TooLong(pub(super) Duration);

impl Silence {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            waited: Duration::ZERO,
        }
    }

    /// Waits for the next piece. May be broken off, and goes on counting when it is called again.
    pub(super) async fn wait<T>(&mut self, piece: impl Future<Output = T>) -> Result<T, TooLong> {
        let piece = self.wait_on(piece).await?;
        self.end();
        Ok(piece)
    }

    /// Waits for a piece that may be none that counts: what was waited before goes on counting behind it, until
    /// [`Silence::end`].
    pub(super) async fn wait_on<T>(
        &mut self,
        piece: impl Future<Output = T>,
    ) -> Result<T, TooLong> {
        let limit = self.limit;
        let left = limit.saturating_sub(self.waited);
        let waiting = Waiting {
            silence: self,
            since: Instant::now(),
        };
        let piece = tokio::time::timeout(left, piece).await;
        drop(waiting);
        piece.map_err(|_| TooLong(limit))
    }

    /// Something has come that counts.
    pub(super) fn end(&mut self) {
        self.waited = Duration::ZERO;
    }

    /// A watch with the same limit, from now on.
    pub(super) fn anew(&self) -> Self {
        Self::new(self.limit)
    }
}

/// Adds what was waited, however the waiting ends.
struct Waiting<'a> {
    silence: &'a mut Silence,
    since: Instant,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.silence.waited += self.since.elapsed();
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::time::{sleep, timeout};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(45);

    #[tokio::test(start_paused = true)]
    async fn what_the_reader_does_meanwhile_does_not_count() {
        let mut silence = Silence::new(LIMIT);
        for _ in 0..3 {
            assert!(silence.wait(ready(())).await.is_ok());
            sleep(LIMIT * 2).await;
        }
        assert!(silence.wait(sleep(LIMIT / 2)).await.is_ok());
        assert!(silence.wait(sleep(LIMIT / 2)).await.is_ok());
        assert!(silence.wait(sleep(LIMIT * 2)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_that_is_broken_off_again_and_again_ends_too() {
        let mut silence = Silence::new(LIMIT);
        let began = Instant::now();
        while timeout(Duration::from_secs(1), silence.wait(pending::<()>()))
            .await
            .is_err()
        {
            assert!(began.elapsed() <= LIMIT * 2);
        }
        assert_eq!(began.elapsed(), LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_count_does_not_end_a_silence() {
        let mut silence = Silence::new(LIMIT);
        for _ in 0..4 {
            assert!(silence.wait_on(sleep(LIMIT / 5)).await.is_ok());
        }
        let mut other = silence.anew();
        silence.end();
        assert!(silence.wait_on(sleep(LIMIT / 2)).await.is_ok());
        assert!(silence.wait_on(sleep(LIMIT)).await.is_err());
        assert!(other.wait_on(sleep(LIMIT / 2)).await.is_ok());
    }
}
