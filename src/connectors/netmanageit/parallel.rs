//! Several pages of a list asked for at once: an option, off by default.
//!
//! A prefetcher goes through the list first, with rows that have no more than their cursors; each page is asked
//! for at a place that it found, so that the pages are disjoint ranges of the list. The lists are live: a row
//! that changes leaves its place, and then a page reaches further than to the place of the next one. A page
//! counts only where the one before it has ended; else what was asked for is dropped, and reading goes on
//! page after page.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::ask::{Detail, ListRequest, PageOutcome, SourceRequest, ask};
use super::cursor::Span;
use super::pager::{Pager, SCANNED_ROWS, Step};
use crate::connector::Skipped;
use crate::http::RetryBudget;
use crate::platform::{Platform, PlatformError};

/// The outcome of a request for a page, and what of the page could not be read.
type Read = (Result<PageOutcome, PlatformError>, Vec<Skipped>);

/// Readers ahead of the page at hand.
#[derive(Debug)]
pub(super) struct Readers {
    platform: Arc<Platform>,
    /// How many read at once.
    most: usize,
    /// A request for a page, but for its place.
    page: ListRequest,
    places: mpsc::Receiver<String>,
    reading: VecDeque<Page>,
    _prefetcher: AbortOnDropHandle<()>,
}

/// A page that was asked for.
#[derive(Debug)]
struct Page {
    after: Option<String>,
    read: AbortOnDropHandle<Read>,
}

impl Readers {
    /// Starts the readers behind a page, and a prefetcher that finds their places.
    pub(super) fn begin(
        platform: &Arc<Platform>,
        most: usize,
        page: ListRequest,
        span: Span,
    ) -> Self {
        let (found, places) = mpsc::channel(most);
        let prefetching = Pager::new(
            Arc::clone(platform),
            page.stream,
            Detail::Places,
            span,
            SCANNED_ROWS,
        );
        let prefetching = prefetching.going_on(page.after.clone(), 0);
        let prefetcher = tokio::spawn(prefetcher(prefetching, page.first, found));
        let mut readers = Self {
            platform: Arc::clone(platform),
            most,
            page,
            places,
            reading: VecDeque::new(),
            _prefetcher: AbortOnDropHandle::new(prefetcher),
        };
        readers.send(readers.page.after.clone());
        readers
    }

    /// What came of the page at this place and of this size; none where it was not asked for: then the
    /// readers are of no more use.
    pub(super) async fn page(&mut self, after: Option<&String>, rows: usize) -> Option<Read> {
        let is_at_hand = |page: &Page| page.after.as_ref() == after;
        if rows != self.page.first || !self.reading.front().is_some_and(is_at_hand) {
            return None;
        }
        loop {
            let has_capacity = self.reading.len() < self.most;
            let front = self.reading.front_mut()?;
            tokio::select! {
                biased;
                Some(place) = self.places.recv(), if has_capacity => self.send(Some(place)),
                read = &mut front.read => {
                    self.reading.pop_front();
                    self.fill();
                    return read.ok();
                }
            }
        }
    }

    /// Puts the readers to work at the places that are known by now.
    fn fill(&mut self) {
        while self.reading.len() < self.most
            && let Ok(place) = self.places.try_recv()
        {
            self.send(Some(place));
        }
    }

    fn send(&mut self, after: Option<String>) {
        let platform = Arc::clone(&self.platform);
        let request = SourceRequest::List(ListRequest {
            after: after.clone(),
            ..self.page.clone()
        });
        let reading = async move {
            let (mut retry_budget, mut skipped) = (RetryBudget::default(), Vec::new());
            let asked = ask(&platform, &request, &mut retry_budget, &mut skipped).await;
            (asked, skipped)
        };
        self.reading.push_back(Page {
            after,
            read: AbortOnDropHandle::new(tokio::spawn(reading)),
        });
    }
}

/// Finds the places where pages begin. Where it does not get further, the readers do without it.
async fn prefetcher(mut pager: Pager, rows_a_page: usize, found: mpsc::Sender<String>) {
    let mut rows = 0;
    while let Ok(Step::Page(page)) = pager.next().await {
        let list = page.answer.list();
        let places: Vec<String> = list
            .into_iter()
            .flat_map(super::page::List::cursors)
            .filter_map(|place| {
                rows += 1;
                (rows % rows_a_page == 0).then(|| place.to_owned())
            })
            .collect();
        for place in places {
            if found.send(place).await.is_err() {
                return;
            }
        }
        if page.end.is_last {
            return;
        }
    }
}
