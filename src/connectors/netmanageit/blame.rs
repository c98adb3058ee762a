//! Whether a row, or an object, that is asked for alone is to blame for the source's failures at it.
//!
//! Pure. **Invariant.** It is to blame only where the source names it, or answers for others while it fails at this one.

use super::ask::RequestFailure;

/// What is known of one that is asked for alone.
#[derive(Debug, Clone, Default)]
pub(super) struct Blame {
    /// Times that it was asked for.
    tries: usize,
    /// The source has answered others since it began to fail.
    is_well_elsewhere: bool,
}

/// What comes next after a failure.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BlameOutcome {
    /// It is asked for again.
    AskAgain,
    /// Others are asked for, to see whether it is the source; then this one once more: it may have been of the moment.
    AskOthers,
    /// It is to blame.
    ToBlame,
}

impl Blame {
    /// Takes a failure of it alone.
    pub(super) fn note(&mut self, failure: &RequestFailure) -> BlameOutcome {
        self.tries += 1;
        if self.tries < failure.tries_alone() {
            return BlameOutcome::AskAgain;
        }
        self.tries = 0;
        if failure.names_row() || self.is_well_elsewhere {
            self.is_well_elsewhere = false;
            return BlameOutcome::ToBlame;
        }
        BlameOutcome::AskOthers
    }

    /// Takes whether the source answers for others.
    pub(super) fn note_others(&mut self, are_answered: bool) {
        self.is_well_elsewhere = are_answered;
    }

    /// Counts its tries anew, as after an answer for a part of it.
    pub(super) fn count_anew(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(blame: &mut Blame, failure: &RequestFailure) -> Vec<BlameOutcome> {
        let tries = failure.tries_alone();
        (0..tries).map(|_| blame.note(failure)).collect()
    }

    #[test]
    fn who_is_not_named_is_to_blame_once_others_are_answered() {
        let failure = RequestFailure::no_list();
        let mut blame = Blame::default();
        let before = [BlameOutcome::AskAgain, BlameOutcome::AskOthers];
        assert_eq!(outcomes(&mut blame, &failure), before);
        blame.note_others(false);
        assert_eq!(outcomes(&mut blame, &failure), before);
        blame.note_others(true);
        let behind = [BlameOutcome::AskAgain, BlameOutcome::ToBlame];
        assert_eq!(outcomes(&mut blame, &failure), behind);
        assert_eq!(outcomes(&mut blame, &failure), before, "it is another one");
    }

    #[test]
    fn who_is_named_is_to_blame_at_once() {
        let named = RequestFailure {
            suspect: Some(0),
            ..RequestFailure::no_list()
        };
        assert_eq!(Blame::default().note(&named), BlameOutcome::ToBlame);
    }
}
