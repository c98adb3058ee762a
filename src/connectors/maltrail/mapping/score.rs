//! How bad a value is.

use super::super::settings::Scores;
use super::super::trails::family::Severity;
use crate::stix::typed::Percent;

/// The most that is taken off, or else added, to tell a platform that a value is back.
const MOST_STEPS: u8 = 5;

/// Scores that an indicator has had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FormerScores(u128);

impl FormerScores {
    /// Adds one; what is none is left out.
    pub fn add(&mut self, score: i64) {
        if let Ok(score @ 0..=100) = u8::try_from(score) {
            self.0 |= 1 << score;
        }
    }

    fn has(self, score: u8) -> bool {
        self.0 & (1 << score.min(100)) != 0
    }
}

impl FromIterator<i64> for FormerScores {
    fn from_iter<I: IntoIterator<Item = i64>>(scores: I) -> Self {
        let mut all = Self::default();
        scores.into_iter().for_each(|score| all.add(score));
        all
    }
}

/// The score of values of this severity.
pub(super) fn normal(severity: Severity, scores: Scores) -> Percent {
    match severity {
        Severity::Malware => scores.malware,
        Severity::Malicious => scores.malicious,
        Severity::Suspicious => scores.suspicious,
    }
}

/// The score of a value that has come back: the next below the normal one that it has not had, and not that of a
/// revocation, which is 0. A platform that lets indicators decay ignores what comes with a score that it was sent before
/// (docs/protocol.md#indicators). Where it has had all of them, a few above, then any other.
pub(super) fn returned(normal: Percent, former: FormerScores) -> Percent {
    let usual = normal.get();
    let below = (1..=MOST_STEPS).filter_map(|step| usual.checked_sub(step));
    let above = (1..=MOST_STEPS).filter_map(|step| usual.checked_add(step));
    let others = (1..=100).rev().filter(|score| *score != usual);
    let mut all = below.chain(above).chain(others);
    let unused = all.find(|score| (1..=100).contains(score) && !former.has(*score));
    unused.and_then(Percent::new).unwrap_or(normal)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(75, &[], 74)]
    #[case(75, &[75, 0], 74)]
    #[case(75, &[75, 0, 74], 73)]
    #[case(75, &[74, 73, 72, 71], 70)]
    #[case(75, &[74, 73, 72, 71, 70], 76)]
    #[case(2, &[1], 3)]
    #[case(1, &[], 2)]
    #[case(0, &[], 1)]
    #[case(100, &[99, 98, 97, 96, 95], 94)]
    #[case(75, &[-1, 101, i64::MAX], 74)]
    fn a_value_that_is_back_has_a_score_that_it_has_not_had(
        #[case] score: u8,
        #[case] former: &[i64],
        #[case] expected: u8,
    ) {
        let score = Percent::new(score).unwrap();
        let former = former.iter().copied().collect();
        assert_eq!(returned(score, former).get(), expected);
    }

    /// However often it comes back, as long as there is a score that it has not had.
    #[test]
    fn no_score_comes_twice() {
        for score in 0..=100 {
            let normal = Percent::new(score).unwrap();
            let mut former: FormerScores = [i64::from(score), 0].into_iter().collect();
            let mut scores = BTreeSet::from([0, score]);
            while scores.len() < 101 {
                let next = returned(normal, former).get();
                assert!(scores.insert(next), "{score}: {next} again");
                former.add(i64::from(next));
            }
            assert_eq!(returned(normal, former), normal);
        }
    }
}
