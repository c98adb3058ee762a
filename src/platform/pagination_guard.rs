//! Makes sure that reading a list of a platform ends, whatever the platform answers.
//!
//! Pure.
//!
//! **Invariant.** A list whose cursors come back, whose pages hold nothing that is new or nothing that has an
//! id, or that answers far more rows than it counts or can have, is an error after a bounded number of rows.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hash};

use foldhash::fast::RandomState;

/// Rows that are remembered one by one; of what follows, the ends of pages.
const REMEMBERED_ROWS: usize = 250_000;
/// Rows in a row that may have been seen before: a damaged index holds some twice.
const STALE_ROWS: usize = 20;
/// The same, in pages.
const STALE_PAGES: usize = 3;
/// So many times may all rows come again, changed: they move to the end of a live list.
const TIMES_CHANGED: u64 = 10;
/// Rows that may come again, changed, however few there are.
const ROWS_CHANGED: u64 = 10_000;
/// Rows beyond twice those that there can be, at least, and in pages of the largest size that came.
const SURPLUS_ROWS: u64 = 100;
const SURPLUS_PAGES: u64 = 5;
/// Pages of a list of which it is known what it can have at most: far more than any has.
const PAGES_OF_A_SHORT_LIST: usize = 10_000;

/// A set of hashes.
type RowHashes = HashSet<u64, RandomState>;

/// A row of a list. Its hash is that of this version of it.
pub trait ListedRow: Hash {
    /// What stays the same when it changes.
    fn object(&self) -> impl Hash;
}

impl ListedRow for &str {
    fn object(&self) -> impl Hash {
        *self
    }
}

/// A list that does not end.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndlessList {
    /// A cursor came again.
    #[error(
        "its list does not end: a cursor came back; look for a cache or proxy in front of that platform, and at its log"
    )]
    SameCursor,
    /// Page after page brought only rows that had come before.
    #[error(
        "its list does not end: its pages hold the same rows again, or rows without an id; look for a cache or proxy in front of that platform, and at its log"
    )]
    NothingNew,
    /// Far more rows came than are counted.
    #[error(
        "its list does not end: it answered {answered} rows and counts {counted}; look at the health of that platform's search engine"
    )]
    TooMany {
        /// How many rows the list counts.
        counted: u64,
        /// How many came.
        answered: u64,
    },
    /// More rows came than any list may have.
    #[error(
        "its list does not end: it answered {answered} rows in {pages} pages, and can hardly have more than {most}; look for a cache or proxy in front of that platform, and at its log"
    )]
    BeyondBound {
        /// The most that it may have.
        most: u64,
        /// How many came.
        answered: u64,
        /// In how many pages.
        pages: usize,
    },
}

/// What was seen of one list.
#[derive(Debug, Default)]
pub struct PaginationGuard {
    hasher: RandomState,
    places: RowHashes,
    rows: RowHashes,
    /// Whatever came, in any version.
    objects: RowHashes,
    /// Rows that came, of what may be new, and of what came before.
    new: u64,
    again: u64,
    stale_rows: usize,
    stale_pages: usize,
    answered: u64,
    most_counted: u64,
    largest_page: u64,
    /// Rows that the list can have, where that is known.
    most: Option<u64>,
}

impl PaginationGuard {
    /// For a list that can hardly have more rows than so many, whatever it counts.
    pub fn of_at_most(rows: usize) -> Self {
        Self {
            most: Some(rows as u64),
            ..Self::default()
        }
    }

    fn take_place(&mut self, place: &str) -> Result<(), EndlessList> {
        let is_new = self.places.insert(self.hasher.hash_one(place));
        is_new.then_some(()).ok_or(EndlessList::SameCursor)
    }

    /// Takes a page: the place behind it, those of its rows that have an id, how many it has, and all that
    /// the platform counts.
    ///
    /// # Errors
    /// Where the list does not end.
    pub fn take<R: ListedRow>(
        &mut self,
        place: &str,
        rows: &[R],
        page_rows: usize,
        counted: Option<u64>,
    ) -> Result<(), EndlessList> {
        self.take_place(place)?;
        self.take_rows(rows, page_rows)?;
        self.take_objects(rows)?;
        self.answered = self.answered.saturating_add(page_rows as u64);
        self.largest_page = self.largest_page.max(page_rows as u64);
        self.most_counted = self.most_counted.max(counted.unwrap_or_default());
        if counted.is_some() && self.is_beyond(self.most_counted) {
            return Err(EndlessList::TooMany {
                counted: self.most_counted,
                answered: self.answered,
            });
        }
        match self.most {
            Some(most) if self.is_beyond(most) || self.places.len() > PAGES_OF_A_SHORT_LIST => {
                Err(EndlessList::BeyondBound {
                    most,
                    answered: self.answered,
                    pages: self.places.len(),
                })
            }
            _ => Ok(()),
        }
    }

    /// Whether far more rows came than so many.
    fn is_beyond(&self, rows: u64) -> bool {
        let surplus = SURPLUS_ROWS.max(SURPLUS_PAGES * self.largest_page);
        self.answered > rows.saturating_mul(2).saturating_add(surplus)
    }

    /// The same objects in ever newer versions are no end either.
    fn take_objects<R: ListedRow>(&mut self, rows: &[R]) -> Result<(), EndlessList> {
        for row in rows {
            let object = self.hasher.hash_one(row.object());
            let is_again = self.objects.contains(&object);
            self.again += u64::from(is_again);
            self.new += u64::from(!is_again);
            if self.objects.len() < REMEMBERED_ROWS {
                self.objects.insert(object);
            }
        }
        let most = self.new.saturating_mul(TIMES_CHANGED);
        let is_endless = self.again > most.saturating_add(ROWS_CHANGED);
        (!is_endless).then_some(()).ok_or(EndlessList::NothingNew)
    }

    fn take_rows<R: ListedRow>(&mut self, rows: &[R], page_rows: usize) -> Result<(), EndlessList> {
        let all: Vec<u64> = rows.iter().map(|row| self.hasher.hash_one(row)).collect();
        let is_nameless = all.is_empty();
        let is_known = |row: Option<&u64>| row.is_some_and(|one| self.rows.contains(one));
        let is_known_page = is_known(all.first())
            && is_known(all.last())
            && (self.rows.len() >= REMEMBERED_ROWS || all.iter().all(|one| is_known(Some(one))));
        self.rows.extend(all.first().into_iter().chain(all.last()));
        let left = REMEMBERED_ROWS.saturating_sub(self.rows.len());
        self.rows.extend(all.iter().take(left));
        if !is_nameless && !is_known_page {
            (self.stale_rows, self.stale_pages) = (0, 0);
            return Ok(());
        }
        self.stale_rows += if is_nameless {
            page_rows.max(1)
        } else {
            all.len()
        };
        self.stale_pages += 1;
        let (many_rows, many_pages) = (
            self.stale_rows > STALE_ROWS,
            self.stale_pages >= STALE_PAGES,
        );
        // Of rows without a name it is not known that they came before: a single page may be bad, and so may some
        // rows that are asked for one by one.
        let is_endless = if is_nameless {
            many_rows && many_pages
        } else {
            many_rows || many_pages
        };
        if is_endless {
            return Err(EndlessList::NothingNew);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl ListedRow for u64 {
        fn object(&self) -> impl Hash {
            *self
        }
    }

    /// An object and when it changed.
    impl ListedRow for (u64, u64) {
        fn object(&self) -> impl Hash {
            self.0
        }
    }

    fn rows(ids: std::ops::Range<u64>) -> Vec<u64> {
        ids.collect()
    }

    /// Takes so many pages of 40 objects, each in a version of its own.
    fn take_changed(objects: u64, pages: u64) -> Result<(), EndlessList> {
        let mut guard = PaginationGuard::default();
        (0..pages).try_for_each(|page| {
            let rows = page * 40..(page + 1) * 40;
            let rows: Vec<(u64, u64)> = rows.map(|row| (row % objects, row)).collect();
            guard.take(&page.to_string(), &rows, 40, None)
        })
    }

    #[test]
    fn the_same_rows_in_ever_newer_versions_are_no_end() {
        assert_eq!(take_changed(40, 300), Err(EndlessList::NothingNew));
        assert_eq!(take_changed(40, 250), Ok(()));
        // A live list, all of which changes several times while it is read.
        assert_eq!(take_changed(4000, 1000), Ok(()));
        assert_eq!(take_changed(4000, 1500), Err(EndlessList::NothingNew));
    }

    /// How many pages are taken before it is an error, and which.
    fn end_of(
        mut guard: PaginationGuard,
        pages: impl Fn(u64) -> (Vec<u64>, usize),
    ) -> (u64, EndlessList) {
        for page in 0..100_000 {
            let (rows, page_rows) = pages(page);
            if let Err(endless) = guard.take(&page.to_string(), &rows, page_rows, None) {
                return (page, endless);
            }
        }
        panic!("it is read without an end");
    }

    #[test]
    fn rows_that_do_not_say_who_they_are_are_no_end() {
        let pages_of = |page_rows| end_of(PaginationGuard::default(), |_| (Vec::new(), page_rows));
        for (page_rows, pages) in [(1000, 2), (7, 2), (1, 20), (0, 20)] {
            assert_eq!(pages_of(page_rows), (pages, EndlessList::NothingNew));
        }
    }

    #[test]
    fn some_rows_that_do_not_say_who_they_are_are_no_endless_list() {
        let mut guard = PaginationGuard::default();
        for page in 0..100_u64 {
            let all = rows(page..page + 1);
            let named = if page % 3 == 0 { &all[..] } else { &[] };
            assert_eq!(guard.take(&page.to_string(), named, 500, None), Ok(()));
        }
    }

    #[test]
    fn a_list_has_no_more_rows_than_it_can_have() {
        let pages_of = |page_rows: u64| {
            let page = |page| rows(page * page_rows..(page + 1) * page_rows);
            let guard = PaginationGuard::of_at_most(1000);
            end_of(guard, |number| (page(number), page(number).len()))
        };
        let (_, endless) = pages_of(100);
        assert!(
            matches!(endless, EndlessList::BeyondBound { most: 1000, answered, .. } if answered <= 2600),
            "{endless}"
        );
        let (pages, endless) = end_of(PaginationGuard::of_at_most(1_000_000), |page| {
            (rows(page..page + 1), 1)
        });
        assert!(matches!(endless, EndlessList::BeyondBound { .. }) && pages == 10_000);
    }

    #[test]
    fn a_cursor_that_comes_back_is_no_end() {
        let mut guard = PaginationGuard::default();
        assert_eq!(guard.take("A", &rows(0..40), 40, Some(40)), Ok(()));
        assert_eq!(guard.take("B", &rows(40..80), 40, Some(80)), Ok(()));
        let again = guard.take("A", &rows(80..90), 10, Some(90));
        assert_eq!(again, Err(EndlessList::SameCursor));
    }

    #[test]
    fn the_same_rows_behind_new_cursors_are_no_end() {
        let mut guard = PaginationGuard::default();
        assert_eq!(guard.take("1", &rows(0..40), 40, None), Ok(()));
        let again = guard.take("2", &rows(0..40), 40, None);
        assert_eq!(again, Err(EndlessList::NothingNew));
    }

    #[test]
    fn some_rows_twice_are_no_endless_list() {
        let mut guard = PaginationGuard::default();
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
        let mut guard = PaginationGuard::default();
        let mut answered = 0;
        let error = loop {
            let page = rows(answered..answered + 40);
            answered += 40;
            let taken = guard.take(&answered.to_string(), &page, 40, Some(40));
            if let Err(error) = taken {
                break error;
            }
        };
        assert!(matches!(error, EndlessList::TooMany { counted: 40, .. }));
        assert!(answered <= 320);
    }
}
