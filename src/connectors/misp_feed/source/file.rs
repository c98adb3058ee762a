//! One file: which of its events are taken, and their parts as units.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::sync::mpsc;

use super::EventUnit;
use crate::connector::{Skipped, SourceError, UnitKey};
use crate::connectors::misp_feed::MappingSettings;
use crate::connectors::misp_feed::done::LeftOutByDate;
use crate::connectors::misp_feed::event::{Event, EventFile, EventFileError};
use crate::connectors::misp_feed::feed::{Feed, ItemName};
use crate::connectors::misp_feed::parts::{EventPart, EventParts, Reading};
use crate::connectors::misp_feed::summary::FileCounts;
use crate::connectors::misp_feed::tags::{Guesses, names_to_guess};
use crate::telemetry::safe_text::{NAME, safe};

/// The most events of one file that are named because they are not taken.
const MOST_NAMED: usize = 100;

/// Why nothing of a file is taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    /// It holds no events that can be read.
    #[error(transparent)]
    Unreadable(#[from] EventFileError),
    /// It is the file of another event.
    #[error("it holds the event {0}, and not the one that it is named after")]
    OtherEvent(String),
    /// Reading it ended by itself: a defect of this program.
    #[error("reading it ended unexpectedly")]
    Interrupted,
}

/// How files are read.
#[derive(Debug)]
pub(super) struct FileReading {
    pub(super) feed: Feed,
    pub(super) mapping: MappingSettings,
    pub(super) batch_size: usize,
    /// Before it nothing is imported; of items whose listing does not say their time, it is looked for in the event.
    pub(super) import_from: Option<DateTime<Utc>>,
}

/// Why an event of a file is not taken.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    OtherEvent(String),
    TooOld,
}

/// A file that was looked over.
#[derive(Debug)]
pub(super) struct LookedOver {
    file: EventFile,
    name: ItemName,
    is_dated: bool,
    /// Names that may be those of threats of the platform.
    pub(super) names: BTreeSet<String>,
    /// How many of its events are taken.
    pub(super) taken: usize,
    /// Whether nothing of it is left out.
    pub(super) is_whole: bool,
    /// How much of it lies before the date from which on events are imported.
    pub(super) left_out: Option<LeftOutByDate>,
    skipped: Vec<Skipped>,
}

impl FileReading {
    /// Looks over the file of an item. `is_dated` says whether its date is judged already: the listing tells how
    /// old it is, or it was imported before.
    ///
    /// # Errors
    /// [`FileError`] where nothing of it can be taken.
    pub(super) fn look_over(
        &self,
        name: &ItemName,
        is_dated: bool,
        content: Bytes,
    ) -> Result<LookedOver, FileError> {
        let file = EventFile::read(content)?;
        let mut looked = LookedOver {
            name: name.clone(),
            is_dated,
            names: BTreeSet::new(),
            taken: 0,
            is_whole: true,
            left_out: None,
            skipped: Vec::new(),
            file,
        };
        let (mut names, mut taken, mut refused) = (BTreeSet::new(), 0, Vec::new());
        for event in looked.file.events() {
            match self.admit(&looked, event) {
                Ok(event) => {
                    taken += 1;
                    if self.mapping.guess_threats_from_tags {
                        names.append(&mut names_to_guess(&event, &self.mapping));
                    }
                }
                Err(refusal) => refused.push(refusal),
            }
        }
        if taken == 0
            && let Some(Refusal::OtherEvent(uuid)) = refused.first()
        {
            return Err(FileError::OtherEvent(uuid.clone()));
        }
        let odd = looked.file.odd();
        if odd > 0 {
            looked.skip("event", &format!("it is no event ({odd} of the file)"));
        }
        looked.is_whole = odd == 0 && refused.is_empty();
        let left_out = match taken {
            0 => LeftOutByDate::All,
            _ => LeftOutByDate::Some,
        };
        looked.left_out = refused.contains(&Refusal::TooOld).then_some(left_out);
        for refusal in refused.into_iter().take(MOST_NAMED) {
            looked.skip_event(refusal);
        }
        looked.names = names;
        looked.taken = taken;
        Ok(looked)
    }

    /// The event, if it is taken.
    fn admit<'e>(&self, file: &LookedOver, mut event: Event<'e>) -> Result<Event<'e>, Refusal> {
        if let ItemName::Event(expected) = &file.name {
            let expected = expected.to_string();
            match &event.head.uuid {
                Some(uuid) if *uuid != expected => {
                    return Err(Refusal::OtherEvent(uuid.clone()));
                }
                Some(_) => {}
                None => event.head.uuid = Some(expected),
            }
        }
        let time = event.head.timestamp.or(event.head.date);
        let is_too_old = |from: DateTime<Utc>| time.is_some_and(|time| time.moment() < from);
        match self.import_from {
            Some(from) if !file.is_dated && is_too_old(from) => Err(Refusal::TooOld),
            _ => Ok(event),
        }
    }

    /// Hands out the events of a file, part by part. With the last part goes where the reading stands then; with the first
    /// one what is to be named beside.
    ///
    /// # Errors
    /// [`Ended`] where nobody takes them any more.
    pub(super) fn hand_out(
        &self,
        file: &LookedOver,
        guesses: &Guesses,
        units: &mut Units,
        end: UnitEnd,
    ) -> Result<FileCounts, Ended> {
        let mut counts = FileCounts::default();
        let mut unit = units.begin(&file.name, &end);
        unit.skipped.extend(file.skipped.iter().cloned());
        let mut is_filled = false;
        for event in file.file.events() {
            let Ok(event) = self.admit(file, event) else {
                continue;
            };
            let address = self.address(&event, file);
            let reading = Reading {
                settings: &self.mapping,
                guesses,
                batch_size: self.batch_size,
                address: address.as_deref(),
            };
            let parts = match EventParts::new(&event, reading) {
                Ok(parts) => parts,
                Err(error) => {
                    unit.skipped.push(named(&event, file, error.to_string()));
                    continue;
                }
            };
            counts.events += 1;
            for part in parts {
                if is_filled {
                    let next = units.begin(&file.name, &end);
                    units.send(std::mem::replace(&mut unit, next))?;
                }
                count(&mut counts, &part);
                unit.fill(part, &event, &file.name);
                is_filled = true;
            }
        }
        units.send(unit.ended(end))?;
        Ok(counts)
    }

    fn address(&self, event: &Event<'_>, file: &LookedOver) -> Option<String> {
        let ItemName::Event(name) = &file.name else {
            return None;
        };
        let url = self.feed.event_url(*name);
        url.filter(|_| event.head.uuid.is_some()).map(Into::into)
    }
}

impl LookedOver {
    /// The first that is left out, for people.
    pub(super) fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    fn skip(&mut self, kind: &str, reason: &str) {
        self.skipped.push(Skipped {
            id: self.name.to_string(),
            kind: kind.to_owned(),
            reason: reason.to_owned(),
        });
    }

    fn skip_event(&mut self, refusal: Refusal) {
        match refusal {
            Refusal::OtherEvent(uuid) => {
                self.skip(
                    "event",
                    &format!("it is not the event of this file ({uuid})"),
                );
            }
            Refusal::TooOld => self.skip("event", "it lies before import_from_date"),
        }
    }
}

fn named(event: &Event<'_>, file: &LookedOver, reason: String) -> Skipped {
    let uuid = event.head.uuid.clone();
    Skipped {
        id: uuid.unwrap_or_else(|| file.name.to_string()),
        kind: "event".to_owned(),
        reason,
    }
}

/// Where the units of an item end.
#[derive(Debug, Default)]
pub(super) struct UnitEnd {
    /// How the state stands then; none where they are sent once more.
    pub(super) cursor: Option<Value>,
    /// Up to when changes of the feed lie before it.
    pub(super) as_of: Option<DateTime<Utc>>,
}

fn count(counts: &mut FileCounts, part: &EventPart) {
    counts.attributes += part.attributes as u64;
    counts.objects += part.objects.len() as u64;
}

/// Nobody takes units any more: the run has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended;

/// Takes units.
#[derive(Debug)]
pub(super) struct Units {
    pub(super) taker: mpsc::Sender<Result<EventUnit, SourceError>>,
    /// How many were begun.
    pub(super) number: u64,
    /// How many items the run has to do.
    pub(super) total: u64,
    /// What goes with the next unit.
    pub(super) skipped: Vec<Skipped>,
}

impl Units {
    fn begin(&mut self, name: &ItemName, end: &UnitEnd) -> EventUnit {
        EventUnit {
            key: unit_key(name),
            is_again: end.cursor.is_none(),
            total: self.total,
            ..EventUnit::default()
        }
    }

    fn send(&mut self, mut unit: EventUnit) -> Result<(), Ended> {
        self.number += 1;
        unit.number = self.number;
        unit.skipped.append(&mut self.skipped);
        self.taker.blocking_send(Ok(unit)).map_err(|_| Ended)
    }

    /// Hands out a unit that brings nothing but how the state stands, and what is to be named.
    pub(super) async fn note(&mut self, cursor: Value) -> Result<(), Ended> {
        self.number += 1;
        let unit = EventUnit {
            number: self.number,
            total: self.total,
            skipped: std::mem::take(&mut self.skipped),
            cursor: Some(cursor),
            ..EventUnit::default()
        };
        self.taker.send(Ok(unit)).await.map_err(|_| Ended)
    }
}

/// The name of an item as the feed has it, whatever stands in it.
pub(super) fn bare_name(name: &ItemName) -> String {
    match name {
        ItemName::Event(uuid) => uuid.to_string(),
        ItemName::Object(key) => key.as_str().to_owned(),
    }
}

/// By what the units of an item are asked for again: its name, or where that is too long a digest of it.
pub(super) fn unit_key(name: &ItemName) -> Option<UnitKey> {
    let text = bare_name(name);
    let key = UnitKey::new(text.as_str()).or_else(|_| {
        let digest = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, text.as_bytes());
        UnitKey::new(digest.to_string())
    });
    key.ok()
}

impl EventUnit {
    fn fill(&mut self, part: EventPart, event: &Event<'_>, name: &ItemName) {
        let uuid = event.head.uuid.clone().unwrap_or_else(|| name.to_string());
        let odd = part.odd.iter().map(|(member, times)| Skipped {
            id: uuid.clone(),
            kind: "member".to_owned(),
            reason: format!(
                "it has another shape than in MISP ({} ×{times})",
                safe(member, NAME)
            ),
        });
        self.skipped.extend(odd);
        self.skipped.extend(part.skipped);
        self.objects = part.objects;
        self.shared = part.shared;
    }

    fn ended(self, end: UnitEnd) -> Self {
        Self {
            items: usize::from(end.cursor.is_some()),
            cursor: end.cursor,
            as_of: end.as_of,
            ..self
        }
    }
}

/// Shared by the threads that read files.
pub(super) type SharedReading = Arc<FileReading>;
