//! How long an indicator lives: what the platform makes of its score, its dates and its revocation.
//!
//! The rules are the platform's own, with the decay rules that it is delivered with.

use serde_json::Value;

use crate::data::Record;
use crate::time::{milliseconds, now};

const DEFAULT_SCORE: i64 = 50;
const SECOND_MS: i64 = 1000;
const DAY_MS: f64 = 86_400_000.0;
/// The exponent of the decay curve.
const DECAY_FACTOR: f64 = 3.0;
/// At this score a decaying indicator ends.
const REVOKE_SCORE: f64 = 20.0;

/// A decay rule: how many days, and how steep at first.
#[derive(Debug, Clone, Copy)]
struct Rule {
    days: f64,
    pound: f64,
}

/// What stands of an indicator's score and life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// The score that stands.
    pub score: i64,
    /// From when on it is valid, as milliseconds since 1970.
    pub valid_from: i64,
    /// Until when it is valid, as milliseconds since 1970.
    pub valid_until: i64,
    /// Whether it is revoked: because the object states it, or because it was expired on arrival.
    pub is_revoked: bool,
    /// Whether it decays; what was revoked at once does not.
    pub decays: bool,
    /// The score that the decay began with.
    base_score: i64,
    /// Scores with which the importing user began a decay.
    sent_scores: Vec<i64>,
}

impl Life {
    /// The life of an indicator as it is created. An error where its end is before its beginning.
    pub(super) fn begin(object: &Record, is_decaying: bool) -> Result<Self, String> {
        let score = sent_score(object).unwrap_or(DEFAULT_SCORE);
        let time = |name: &str| milliseconds(object.text(name));
        let valid_from = time("valid_from")
            .or_else(|| time("created"))
            .unwrap_or_else(now);
        let rule = Rule::of(object);
        let is_said_revoked = object.get("revoked").and_then(Value::as_bool) == Some(true);
        let sent_end = time("valid_until");
        let valid_until = match sent_end {
            Some(end) if end < valid_from => {
                return Err(
                    "The valid until date must be greater than the valid from date".to_owned(),
                );
            }
            Some(end) => end.max(valid_from + SECOND_MS),
            None if is_said_revoked => valid_from + SECOND_MS,
            None => valid_from + rule.lifetime_ms(1.0),
        };
        let is_revoked = valid_until <= now();
        let decays = is_decaying && !is_revoked;
        Ok(Self {
            score,
            valid_from,
            valid_until: if decays {
                valid_from + rule.until_revoked_ms(score)
            } else {
                valid_until
            },
            is_revoked,
            decays,
            base_score: score,
            sent_scores: if decays { vec![score] } else { Vec::new() },
        })
    }

    /// The life after the indicator came again, with the life that it would begin.
    ///
    /// A decaying indicator keeps its score, its dates and its revocation where the score is the one
    /// that stands, or one that this user sent before: a revocation with such a score changes nothing.
    pub(super) fn go_on(&self, sent: &Self) -> Self {
        let is_same = sent.decays && sent.score == self.base_score && sent.score == self.score;
        let was_sent = self.sent_scores.contains(&sent.score);
        if self.has_decayed() && (is_same || was_sent) {
            return self.clone();
        }
        let mut sent_scores = self.sent_scores.clone();
        sent_scores.extend(&sent.sent_scores);
        Self {
            sent_scores,
            // The rule that was once applied stays.
            decays: sent.decays || self.decays,
            base_score: if sent.decays {
                sent.base_score
            } else {
                self.base_score
            },
            ..sent.clone()
        }
    }

    /// Scores with which the importing user began a decay, in order.
    pub(super) fn sent_scores(&self) -> &[i64] {
        &self.sent_scores
    }

    fn has_decayed(&self) -> bool {
        !self.sent_scores.is_empty()
    }
}

impl Rule {
    /// The rule of the main observable type.
    fn of(object: &Record) -> Self {
        let (days, pound) = match object.text("x_opencti_main_observable_type") {
            "IPv4-Addr" | "IPv6-Addr" | "Url" => (47.0, 0.55),
            "Domain-Name" => (300.0, 0.7),
            "StixFile" | "File" | "Artifact" => (460.0, 0.3),
            _ => (470.0, 0.35),
        };
        Self { days, pound }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "days of a life, as milliseconds"
    )]
    fn lifetime_ms(self, part: f64) -> i64 {
        (self.days * part * DAY_MS) as i64
    }

    /// Until the score has fallen to that of the end; at once for a score that is not above it.
    #[expect(clippy::cast_precision_loss, reason = "a score is at most 100")]
    fn until_revoked_ms(self, score: i64) -> i64 {
        let left = 1.0 - REVOKE_SCORE / score as f64;
        if score == 0 || left <= 0.0 {
            return 0;
        }
        self.lifetime_ms(left.powf(DECAY_FACTOR * self.pound))
    }
}

fn sent_score(object: &Record) -> Option<i64> {
    let given = object
        .get("x_opencti_score")
        .or_else(|| object.get("score"));
    given?.as_i64()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::time::iso;

    const DAY: i64 = 86_400_000;

    fn indicator(days_old: i64, score: i64, more: &Value) -> Record {
        let mut object = json!({ "type": "indicator", "x_opencti_score": score,
            "valid_from": iso(now() - days_old * DAY), "x_opencti_main_observable_type": "IPv4-Addr" });
        for (name, value) in more.as_object().unwrap() {
            object[name] = value.clone();
        }
        serde_json::from_value(object).unwrap()
    }

    fn begin(days_old: i64, score: i64, more: &Value) -> Life {
        Life::begin(&indicator(days_old, score, more), true).unwrap()
    }

    #[test]
    fn what_is_older_than_its_lifetime_is_dead_on_arrival() {
        assert!(!begin(46, 100, &json!({})).is_revoked);
        assert!(begin(48, 100, &json!({})).is_revoked);
        // A domain lives longer.
        let domain = json!({ "x_opencti_main_observable_type": "Domain-Name" });
        assert!(!begin(48, 100, &domain).is_revoked);
    }

    #[test]
    fn the_end_of_a_decaying_indicator_is_computed_and_not_the_sent_one() {
        let sent = json!({ "valid_until": iso(now() + 3000 * DAY) });
        let decaying = begin(0, 100, &sent);
        // 47 days, times 0.8 to the power of 1.65.
        let days = (decaying.valid_until - decaying.valid_from) / DAY;
        assert_eq!(days, 32);
        let still = Life::begin(&indicator(0, 100, &sent), false).unwrap();
        assert!(still.valid_until > now() + 2999 * DAY);
    }

    #[test]
    fn a_revocation_needs_a_score_that_was_not_sent_before() {
        let first = begin(1, 80, &json!({}));
        let revoked = json!({ "revoked": true });
        let ignored = first.go_on(&begin(1, 80, &revoked));
        assert!(!ignored.is_revoked, "{ignored:?}");
        let taken = first.go_on(&begin(1, 0, &revoked));
        assert!(taken.is_revoked);
        assert_eq!(taken.valid_until, taken.valid_from + SECOND_MS);
        // With its old score it does not come back, with another one it does.
        assert!(taken.go_on(&begin(0, 80, &json!({}))).is_revoked);
        let back = taken.go_on(&begin(0, 79, &json!({})));
        assert!(!back.is_revoked && back.score == 79);
    }

    #[test]
    fn a_revocation_with_an_end_to_come_is_none_and_an_end_before_the_beginning_refused() {
        let later = json!({ "revoked": true, "valid_until": iso(now() + DAY) });
        assert!(!begin(1, 50, &later).is_revoked);
        let earlier = json!({ "valid_until": iso(now() - 9 * DAY) });
        assert!(Life::begin(&indicator(1, 50, &earlier), true).is_err());
    }
}
