//! How bad a value is.

use super::super::settings::Scores;
use super::super::trails::family::Severity;
use crate::stix::typed::Percent;

/// So many scores besides the normal one tell a platform that a value is back.
const RETURN_SCORES: u32 = 5;

/// The score of values of this severity.
pub(super) fn normal(severity: Severity, scores: Scores) -> Percent {
    match severity {
        Severity::Malware => scores.malware,
        Severity::Malicious => scores.malicious,
        Severity::Suspicious => scores.suspicious,
    }
}

/// The score of a value that has come back so many times (from 1): another one than the normal one, and than that of a
/// revocation, which is 0. A platform that lets indicators decay ignores what comes with a score that it was sent before
/// (docs/protocol.md#indicators). After five times the scores begin anew.
pub(super) fn returned(normal: Percent, times: u32) -> Percent {
    let step = times.saturating_sub(1) % RETURN_SCORES + 1;
    let step = u8::try_from(step).unwrap_or(1);
    let score = match normal.get().checked_sub(step) {
        None | Some(0) => normal.get().saturating_add(step),
        Some(lower) => lower,
    };
    Percent::new(score).unwrap_or(normal)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(75, 1, 74)]
    #[case(75, 5, 70)]
    #[case(75, 6, 74)]
    #[case(75, u32::MAX, 70)]
    #[case(75, 0, 74)]
    #[case(6, 5, 1)]
    #[case(5, 5, 10)]
    #[case(2, 1, 1)]
    #[case(1, 1, 2)]
    #[case(0, 3, 3)]
    fn a_value_that_is_back_has_another_score(
        #[case] score: u8,
        #[case] times: u32,
        #[case] expected: u8,
    ) {
        let score = Percent::new(score).unwrap();
        assert_eq!(returned(score, times).get(), expected);
    }

    #[test]
    fn none_of_five_scores_was_sent_before() {
        for score in 0..=100 {
            let normal = Percent::new(score).unwrap();
            let scores: BTreeSet<u8> = (1..=5).map(|times| returned(normal, times).get()).collect();
            assert_eq!(scores.len(), 5, "{score}");
            assert!(!scores.contains(&0) && !scores.contains(&score), "{score}");
        }
    }
}
