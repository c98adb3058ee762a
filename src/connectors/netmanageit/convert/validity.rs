//! When an indicator is valid, and with which score.
//!
//! A destination that lets indicators decay takes the score as that of `valid_from`, replaces
//! `valid_until` by the end of the decay, and goes on from there (docs/protocol.md#indicators). So a decaying
//! indicator travels with the score from which it decays and the date since when: both platforms then
//! show the same score at any time.

use std::borrow::Cow;

use chrono::{DateTime, Duration, SecondsFormat, Utc};

use super::Choices;
use super::error::ConvertError;
use super::fields::put_value;
use super::nodes::part;
use crate::connector::Skipped;
use crate::connectors::netmanageit::page::Node;
use crate::connectors::netmanageit::settings::Score;
use crate::stix::{JsonKind, ObjectWriter, read_time};

/// One time of a node: as it is written there, and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Time<'a> {
    text: Cow<'a, str>,
    /// None where the text is no time: then it does not travel.
    timestamp: Option<DateTime<Utc>>,
}

impl<'a> Time<'a> {
    fn of(node: &Node<'a>, field: &str) -> Result<Option<Self>, ConvertError> {
        let text = node.text(field)?;
        Ok(text.map(|text| Self {
            timestamp: read_time(&text),
            text,
        }))
    }

    /// One second after a moment; none at the end of the range of times.
    fn after(timestamp: DateTime<Utc>) -> Option<Self> {
        let timestamp = timestamp.checked_add_signed(Duration::seconds(1))?;
        let text = timestamp.to_rfc3339_opts(SecondsFormat::Millis, true);
        Some(Self {
            timestamp: Some(read_time(&text)?),
            text: text.into(),
        })
    }
}

/// Writes `valid_from`, `valid_until` and the score.
pub(super) fn put(
    object: &mut ObjectWriter,
    node: &Node<'_>,
    choices: &Choices,
    skipped: &mut Vec<Skipped>,
) -> Result<(), ConvertError> {
    let is_revoked = node.decode::<bool>("revoked")? == Some(true);
    let mut from = Time::of(node, "valid_from")?;
    let mut until = Time::of(node, "valid_until")?;
    let mut score = node.get("x_opencti_score");
    let timestamp = |time: &Option<Time<'_>>| time.as_ref().and_then(|time| time.timestamp);
    if choices.score == Score::Base
        && !is_revoked
        && let Some(base_score) = node.get("decay_base_score")
    {
        let since = Time::of(node, "decay_base_score_date")?.or_else(|| from.clone());
        let is_over = timestamp(&until).is_some_and(|until| timestamp(&since) >= Some(until));
        if !is_over {
            score = Some(base_score);
            from = since;
        }
    }
    if let (Some(begin), Some(end)) = (timestamp(&from), timestamp(&until))
        && end <= begin
    {
        until = Time::after(begin);
        let what_then = match until {
            Some(_) => "not after valid_from: sent as one second after it",
            None => "not after valid_from, and there is no time after that",
        };
        skipped.push(part(node, "valid_until", what_then));
    }
    for (property, time) in [("valid_from", from), ("valid_until", until)] {
        match time {
            Some(time) if time.timestamp.is_some() => object.put(property, &time.text),
            Some(_) => skipped.push(part(node, property, "it is no time")),
            None => {}
        }
    }
    if let Some(score) = score {
        put_value(
            object,
            node,
            ("x_opencti_score", JsonKind::Integer),
            score,
            skipped,
        );
    }
    Ok(())
}
