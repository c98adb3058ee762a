//! What was not sent for a reason that can pass, and what has to happen before it can be.

use std::collections::HashSet;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::{Skipped, UnitKey};
use crate::telemetry::safe_text::{NAME, WORDS, make_clean, make_safe};

/// An object, or a part of one, that was not sent for a reason that can pass: one that can be resolved at the
/// destination or at the source, or another object that has to be sent first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deferred {
    /// The stream that it belongs to.
    pub stream: String,
    /// Its STIX id.
    pub id: String,
    /// Its type.
    pub kind: String,
    /// Why it was not sent.
    pub reason: String,
    /// The STIX id of the object that has to be sent before this one can be; none where it is the
    /// destination that lacks something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<String>,
    /// Whether only a part of it is deferred, such as a link or its files, and the object itself was sent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_part: bool,
    /// What has to be resolved at the source; none where it is the destination, or another object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_source: Option<AtSource>,
    /// The key of the unit that brought it, where that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<UnitKey>,
}

/// Units of which something is deferred, whether or not it is asked for in this run. A source that gives away what is
/// confirmed keeps these.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeferredUnits {
    keys: HashSet<UnitKey>,
    is_more: bool,
}

impl DeferredUnits {
    /// Of what is deferred. `is_more` says whether more is than these.
    pub fn of(deferred: &[Deferred], is_more: bool) -> Self {
        let keys = deferred.iter().filter_map(|object| object.unit.clone());
        Self {
            keys: keys.collect(),
            is_more,
        }
    }

    /// Whether more is deferred than these: of any unit, something may be.
    pub fn is_more(&self) -> bool {
        self.is_more
    }

    /// Whether something of this unit may be deferred.
    pub fn may_include(&self, unit: &UnitKey) -> bool {
        self.is_more || self.keys.contains(unit)
    }
}

/// What has to be resolved at the source before an object can be sent. Nothing there shows when it is: each run
/// asks for the object once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AtSource {
    /// The source failed at it.
    Unread(DaysInVain),
    /// Its data of the object contradict themselves, or those of the destination.
    Contradiction,
}

/// The days on which an object was asked for in vain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaysInVain {
    /// How many.
    pub days: u32,
    /// The last of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<NaiveDate>,
}

impl DaysInVain {
    /// Whether there was none.
    pub fn is_none(&self) -> bool {
        self.days == 0
    }

    /// Counts a day, once.
    pub fn note(&mut self, today: NaiveDate) {
        if self.last != Some(today) {
            self.last = Some(today);
            self.days = self.days.saturating_add(1);
        }
    }
}

/// What has to happen before a deferred object can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle<'a> {
    /// Something has to change at the destination: it lacks a type, or a marking, by its id, cannot be
    /// set there.
    Cause(&'a str),
    /// Another object has to be sent.
    Object,
    /// The source has to resolve something, and does not report when it has.
    Source,
    /// Nothing: the next run brings along what was missing.
    None,
}

impl Deferred {
    /// What goes once the destination has its type; a relationship, once it is read with its ends.
    pub fn at_destination(stream: &str, skipped: &Skipped) -> Self {
        Self {
            stream: stream.to_owned(),
            id: skipped.id.clone(),
            kind: skipped.kind.clone(),
            reason: skipped.reason.clone(),
            needs: None,
            is_part: false,
            at_source: None,
            unit: None,
        }
    }

    /// What goes once this object is sent, or this marking can be set; both by their STIX ids.
    pub fn waiting_for(stream: &str, skipped: &Skipped, needed: impl Into<String>) -> Self {
        Self {
            needs: Some(needed.into()),
            ..Self::at_destination(stream, skipped)
        }
    }

    /// What only the source can resolve.
    pub fn at_source(stream: &str, skipped: &Skipped, at_source: AtSource) -> Self {
        Self {
            at_source: Some(at_source),
            ..Self::at_destination(stream, skipped)
        }
    }

    /// What the source failed at.
    pub fn unread(stream: &str, skipped: &Skipped) -> Self {
        let at_source = AtSource::Unread(DaysInVain::default());
        Self::at_source(stream, skipped, at_source)
    }

    /// Of an object that was sent, a part.
    #[must_use]
    pub fn as_part(self) -> Self {
        self.as_part_if(true)
    }

    /// Of an object that was sent, a part, if this is so; else the object itself.
    #[must_use]
    pub fn as_part_if(self, is_part: bool) -> Self {
        Self { is_part, ..self }
    }

    /// Of a unit with this key, if it has one.
    #[must_use]
    pub fn of_unit(self, key: Option<&UnitKey>) -> Self {
        Self {
            unit: key.cloned(),
            ..self
        }
    }

    /// Cuts what is the source's own, and makes it safe for the people who read the state.
    pub fn make_safe(&mut self) {
        make_clean(&mut self.stream, NAME);
        make_clean(&mut self.id, NAME);
        make_clean(&mut self.kind, NAME);
        make_safe(&mut self.reason, WORDS);
        if let Some(needs) = &mut self.needs {
            make_clean(needs, NAME);
        }
    }

    /// What it waits for.
    pub fn obstacle(&self) -> Obstacle<'_> {
        match &self.needs {
            _ if self.at_source.is_some() => Obstacle::Source,
            Some(id) if is_marking(id) => Obstacle::Cause(id),
            Some(_) => Obstacle::Object,
            None if self.id.starts_with("relationship--") => Obstacle::None,
            None => Obstacle::Cause(&self.kind),
        }
    }
}

/// Whether a STIX id is that of a marking.
pub fn is_marking(id: &str) -> bool {
    id.starts_with("marking-definition--")
}
