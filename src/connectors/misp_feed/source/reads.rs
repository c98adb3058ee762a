//! Files are read ahead, as far as memory allows.

use std::collections::VecDeque;

use bytes::Bytes;
use tokio_util::task::AbortOnDropHandle;

use crate::connectors::misp_feed::feed::{FeedError, FeedItem, FeedSession, Reason, Turn};

/// So many files are read at once.
const FILES_AHEAD: usize = 4;
/// So much of a file is read ahead: the rest of a larger one once those before it are through.
const MOST_AHEAD_BYTES: usize = 8 * 1024 * 1024;

/// Reads items in their order.
pub(super) struct Reads<'a> {
    session: &'a FeedSession,
    items: &'a [FeedItem],
    places: std::vec::IntoIter<usize>,
    ahead: VecDeque<(usize, AheadRead)>,
}

/// A file that was asked for ahead, or is known to be too large for that.
enum AheadRead {
    Asked(Turn, AbortOnDropHandle<Result<Bytes, FeedError>>),
    Later,
}

impl<'a> Reads<'a> {
    /// Of these items, by their places.
    pub(super) fn new(session: &'a FeedSession, items: &'a [FeedItem], places: Vec<usize>) -> Self {
        Self {
            session,
            items,
            places: places.into_iter(),
            ahead: VecDeque::new(),
        }
    }

    /// The next one, with its place; none at the end.
    pub(super) async fn next(&mut self) -> Option<(usize, Result<Bytes, FeedError>)> {
        self.ask_ahead();
        let (place, read) = self.ahead.pop_front()?;
        let item = self.items.get(place)?;
        let content = match read {
            AheadRead::Asked(turn, read) => {
                turn.come();
                match read.await {
                    // It was kept waiting for longer than the feed does.
                    Ok(Err(error)) if turn.was_waited_for() && may_be_of_waiting(&error) => {
                        self.session.read(item).await
                    }
                    Ok(content) => content,
                    // The task has ended by itself: asked for here, it says why.
                    Err(_) => self.session.read(item).await,
                }
            }
            AheadRead::Later => self.session.read(item).await,
        };
        Some((place, content))
    }

    fn ask_ahead(&mut self) {
        while self.ahead.len() < FILES_AHEAD
            && let Some(place) = self.places.next()
        {
            let Some(item) = self.items.get(place) else {
                continue;
            };
            let is_large = |size| usize::try_from(size).is_ok_and(|size| size > MOST_AHEAD_BYTES);
            let read = if item.size.is_some_and(is_large) {
                AheadRead::Later
            } else {
                let turn = Turn::default();
                let session = self.session.ahead(MOST_AHEAD_BYTES, turn.clone());
                let item = item.clone();
                let read = async move { session.read(&item).await };
                AheadRead::Asked(turn, AbortOnDropHandle::new(tokio::spawn(read)))
            };
            self.ahead.push_back((place, read));
        }
    }
}

/// Whether a file may have failed because it waited for its turn. How large it is, and how slowly it comes once it goes on,
/// is its own matter.
fn may_be_of_waiting(error: &FeedError) -> bool {
    !error.fails_run() && !matches!(error.reason, Reason::TooLarge { .. } | Reason::Slow(_))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rstest::rstest;

    use super::*;
    use crate::connectors::misp_feed::feed::tests::server::{Server, Step, answer};
    use crate::connectors::misp_feed::feed::tests::{ONE, TWO, event, feed_at, run, usual};
    use crate::connectors::misp_feed::settings::ReadLimits;

    /// Its size is only known once all of it has come.
    fn large() -> Step {
        let head = b"HTTP/1.1 200 X\r\nconnection: close\r\n\r\n".to_vec();
        Step::Send([head, vec![b' '; MOST_AHEAD_BYTES + (2 << 20)]].concat())
    }

    /// It is too large for being read ahead.
    fn slow() -> Step {
        let size = MOST_AHEAD_BYTES + 1;
        let head = format!("HTTP/1.1 200 X\r\ncontent-length: {size}\r\n\r\n");
        Step::Drip(head.into(), b"x", Duration::from_millis(20))
    }

    #[rstest]
    #[case::too_large(large(), Duration::from_mins(1))]
    #[case::slow(slow(), Duration::from_millis(400))]
    #[tokio::test]
    async fn what_waited_and_fails_by_itself_is_asked_for_once(
        #[case] step: Step,
        #[case] request_timeout: Duration,
    ) {
        let server = Server::start(move |asked| {
            if asked.line.contains(TWO) {
                step.clone()
            } else {
                answer(200, &[], "{}")
            }
        })
        .await;
        let limits = ReadLimits {
            request_timeout,
            max_file_size: (MOST_AHEAD_BYTES + (1 << 20)) as u64,
        };
        let session = run(&feed_at(&server.at("/osint"), None, limits));
        let items = [event(ONE), event(TWO)];
        let mut reads = Reads::new(&session, &items, vec![0, 1]);
        reads.next().await.unwrap().1.unwrap();
        let Some((1, AheadRead::Asked(turn, _))) = reads.ahead.front() else {
            panic!("it is asked for ahead");
        };
        while !turn.was_waited_for() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let error = reads.next().await.unwrap().1.unwrap_err();
        assert!(!may_be_of_waiting(&error), "{error:?}");
        let lines = server.lines();
        let asked = lines.iter().filter(|line| line.contains(TWO));
        assert_eq!(asked.count(), 1, "{lines:?}");
    }

    /// What the feed says of one file may be another thing without the wait.
    #[tokio::test]
    async fn what_fails_otherwise_may_be_of_waiting() {
        let server = Server::always(answer(404, &[], "")).await;
        let session = run(&feed_at(&server.at("/osint"), None, usual()));
        let error = session.read(&event(ONE)).await.unwrap_err();
        assert!(may_be_of_waiting(&error));
    }
}
