//! Files are read ahead, as far as memory allows.

use std::collections::VecDeque;

use bytes::Bytes;
use tokio_util::task::AbortOnDropHandle;

use crate::connectors::misp_feed::feed::{FeedError, FeedItem, FeedSession, Turn};

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
                    Ok(Err(error)) if turn.was_waited_for() && !error.fails_run() => {
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
