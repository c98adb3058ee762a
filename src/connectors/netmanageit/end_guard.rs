//! Sees to it that a list ends, whatever the source answers.
//!
//! Pure. **Invariant.** A list whose cursors come back, whose pages hold nothing new, or that answers
//! far more rows than it counts, is an error after a bounded number of rows.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use super::cursor::Row;

/// Rows that are remembered one by one; of what follows, the ends of pages.
const REMEMBERED_ROWS: usize = 250_000;
/// Rows in a row that may have been seen before: a damaged index holds some twice.
const STALE_ROWS: usize = 20;
/// The same, in pages.
const STALE_PAGES: usize = 3;
/// Rows beyond twice those counted, at least, and in pages of the largest size that came.
const SURPLUS_ROWS: u64 = 100;
const SURPLUS_PAGES: u64 = 5;

/// A list that does not end.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Endless {
    #[error(
        "its list does not end: a cursor came back; look for a cache or proxy in front of that platform, and at its log"
    )]
    SameCursor,
    #[error(
        "its list does not end: its pages hold the same rows again; look for a cache or proxy in front of that platform, and at its log"
    )]
    NothingNew,
    #[error(
        "its list does not end: it answered {answered} rows and counts {counted}; look at the health of that platform's search engine"
    )]
    TooMany { counted: u64, answered: u64 },
}

/// What was seen of one list.
#[derive(Debug, Default)]
pub(super) struct EndGuard {
    hasher: RandomState,
    places: HashSet<u64>,
    rows: HashSet<u64>,
    stale_rows: usize,
    stale_pages: usize,
    answered: u64,
    most_counted: u64,
    largest_page: u64,
}

impl EndGuard {
    fn take_place(&mut self, place: &str) -> Result<(), Endless> {
        let is_new = self.places.insert(self.hasher.hash_one(place));
        is_new.then_some(()).ok_or(Endless::SameCursor)
    }

    /// Takes a page: the place behind it, those of its rows that say who they are, how many it has, and all that
    /// the source counts.
    ///
    /// # Errors
    /// Where the list does not end.
    pub(super) fn take(
        &mut self,
        place: &str,
        rows: &[Row],
        page_rows: usize,
        counted: Option<u64>,
    ) -> Result<(), Endless> {
        self.take_place(place)?;
        self.take_rows(rows)?;
        self.answered = self.answered.saturating_add(page_rows as u64);
        self.largest_page = self.largest_page.max(page_rows as u64);
        self.most_counted = self.most_counted.max(counted.unwrap_or_default());
        let surplus = SURPLUS_ROWS.max(SURPLUS_PAGES * self.largest_page);
        let most = self.most_counted.saturating_mul(2).saturating_add(surplus);
        if counted.is_some() && self.answered > most {
            return Err(Endless::TooMany {
                counted: self.most_counted,
                answered: self.answered,
            });
        }
        Ok(())
    }

    fn take_rows(&mut self, rows: &[Row]) -> Result<(), Endless> {
        let version = |row: &Row| self.hasher.hash_one((&row.id, row.updated_at));
        let all: Vec<u64> = rows.iter().map(version).collect();
        let is_known = |version: Option<&u64>| version.is_some_and(|one| self.rows.contains(one));
        let is_stale = is_known(all.first())
            && is_known(all.last())
            && (self.rows.len() >= REMEMBERED_ROWS || all.iter().all(|one| is_known(Some(one))));
        self.rows.extend(all.first().into_iter().chain(all.last()));
        let room = REMEMBERED_ROWS.saturating_sub(self.rows.len());
        self.rows.extend(all.iter().take(room));
        if !is_stale {
            (self.stale_rows, self.stale_pages) = (0, 0);
            return Ok(());
        }
        self.stale_rows += all.len();
        self.stale_pages += 1;
        if self.stale_rows > STALE_ROWS || self.stale_pages >= STALE_PAGES {
            return Err(Endless::NothingNew);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(ids: std::ops::Range<u64>) -> Vec<Row> {
        ids.map(|id| Row {
            id: id.to_string().into(),
            updated_at: None,
        })
        .collect()
    }

    #[test]
    fn a_cursor_that_comes_back_is_no_end() {
        let mut guard = EndGuard::default();
        assert_eq!(guard.take("A", &rows(0..40), 40, Some(40)), Ok(()));
        assert_eq!(guard.take("B", &rows(40..80), 40, Some(80)), Ok(()));
        let again = guard.take("A", &rows(80..90), 10, Some(90));
        assert_eq!(again, Err(Endless::SameCursor));
    }

    #[test]
    fn the_same_rows_behind_new_cursors_are_no_end() {
        let mut guard = EndGuard::default();
        assert_eq!(guard.take("1", &rows(0..40), 40, None), Ok(()));
        let again = guard.take("2", &rows(0..40), 40, None);
        assert_eq!(again, Err(Endless::NothingNew));
    }

    #[test]
    fn some_rows_twice_are_no_endless_list() {
        let mut guard = EndGuard::default();
        for page in 0..50_u64 {
            let (begin, twice) = (page * 5, page % 2);
            let rows = rows(begin - (begin.min(1) * twice)..begin + 5);
            let taken = guard.take(&page.to_string(), &rows, 5, Some(250));
            assert_eq!(taken, Ok(()));
        }
        assert_eq!(guard.take("x", &rows(0..5), 5, Some(250)), Ok(()));
    }

    #[test]
    fn far_more_rows_than_counted_are_no_end() {
        let mut guard = EndGuard::default();
        let mut answered = 0;
        let error = loop {
            let page = rows(answered..answered + 40);
            answered += 40;
            let taken = guard.take(&answered.to_string(), &page, 40, Some(40));
            if let Err(error) = taken {
                break error;
            }
        };
        assert!(matches!(error, Endless::TooMany { counted: 40, .. }));
        assert!(answered <= 320);
    }
}
