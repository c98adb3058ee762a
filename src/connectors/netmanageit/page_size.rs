//! How many rows to ask for at once: fewer while the source fails at more.
//!
//! Pure. **Invariant.** At least one row, and never more than the settings allow.

/// The most good pages between two tries of a size that has failed again and again.
const LONGEST_HOLD: u32 = 64;

/// The size of the next page.
#[derive(Debug, Clone)]
pub(super) struct PageSize {
    most: usize,
    now: usize,
    /// Times in a row that the source failed for the size.
    failures: u32,
    /// Good pages since the size changed.
    good: u32,
    /// So many good pages before it grows: a source that is always too slow for a size is not asked
    /// for it with every other page.
    hold: u32,
}

impl PageSize {
    pub(super) fn of(most: usize) -> Self {
        Self {
            most,
            now: most,
            failures: 0,
            good: 0,
            hold: 0,
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.now
    }

    /// Whether it is as large as the settings allow.
    pub(super) fn is_whole(&self) -> bool {
        self.now == self.most
    }

    /// After a page that could be read.
    pub(super) fn grow(&mut self) {
        self.failures = 0;
        self.good += 1;
        if self.now < self.most && self.good >= self.hold {
            self.good = 0;
            self.now = self.most.min(self.now * 2);
        }
        if self.good >= LONGEST_HOLD {
            self.hold = 0;
        }
    }

    /// After a page that took too long or was too much: half of it, and if that is no better, ever
    /// smaller parts, because each try can take a minute.
    pub(super) fn shrink(&mut self) {
        if self.failures == 0 {
            self.hold = LONGEST_HOLD.min(self.hold * 2).max(1);
        }
        self.failures = (self.failures + 1).min(usize::BITS - 1);
        self.good = 0;
        self.now = (self.now >> self.failures).max(1);
    }

    /// After a page at which the source failed: the rows before the one to blame, or half of them.
    pub(super) fn step_before(&mut self, suspect: Option<usize>) {
        self.good = 0;
        self.now = match suspect {
            Some(row) if row < self.now => row.max(1),
            _ => (self.now / 2).max(1),
        };
    }

    /// Behind a bad row all may be well again; or not, and the next one may be bad as well.
    pub(super) fn step_behind(&mut self, is_well: bool) {
        self.now = if is_well { self.most } else { 1 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_halves_then_falls_and_grows_back() {
        let mut size = PageSize::of(1000);
        let mut seen = Vec::new();
        for _ in 0..5 {
            size.shrink();
            seen.push(size.rows());
        }
        assert_eq!(seen, [500, 125, 15, 1, 1]);
        while size.rows() < 1000 {
            size.grow();
        }
        size.grow();
        assert_eq!(size.rows(), 1000);
    }

    #[test]
    fn a_size_that_fails_again_and_again_is_tried_less_and_less() {
        let mut size = PageSize::of(1000);
        let mut pages = Vec::new();
        for _ in 0..8 {
            size.shrink();
            let mut good = 0;
            while size.rows() < 1000 {
                size.grow();
                good += 1;
            }
            pages.push(good);
        }
        assert_eq!(pages, [1, 2, 4, 8, 16, 32, 64, 64]);
    }

    #[test]
    fn it_goes_up_to_the_row_to_blame() {
        let mut size = PageSize::of(1000);
        size.step_before(Some(300));
        assert_eq!(size.rows(), 300);
        size.step_before(Some(0));
        assert_eq!(size.rows(), 1);
        size.step_before(None);
        assert_eq!(size.rows(), 1);
        size.step_behind(true);
        size.step_before(Some(4000));
        assert_eq!(size.rows(), 500);
    }
}
