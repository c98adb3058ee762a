//! Event files as they lie in memory: what they hold is read where it is asked for, and no tree of the whole is built.
//!
//! **Invariant.** An [`EventFile`] is one JSON text in UTF-8 of at most [`DEEPEST`] levels. What stands in it may still be
//! anything: a member of another shape than it should have counts as absent, and its name is noted.

mod attribute;
mod head;
mod object;
mod raw_json;

use bytes::Bytes;
use self_cell::self_cell;
use serde_json::value::RawValue;
use thiserror::Error;

pub use attribute::{Attribute, AttributeValue, Sighting};
pub use head::{Cluster, EventHead, EventReport, OddMembers, Tag};
pub use object::{Object, Reference};
pub use raw_json::Elements;
pub(super) use raw_json::moment_of;

/// How many levels of lists and objects a file may have.
pub const DEEPEST: usize = 100;
/// The most events of one file. A feed has one a file; exports of a server may have some thousand.
const MOST_EVENTS: usize = 100_000;
/// How many wrappers may lie around an event: `{"response": [{"Event": …}]}` has three, with the list.
const MOST_WRAPPERS: usize = 5;

/// Why a file holds no events that can be read.
#[derive(Debug, Error)]
pub enum EventFileError {
    /// There is nothing in it.
    #[error("the file is empty")]
    Empty,
    /// It is not text.
    #[error("the file is no text in UTF-8")]
    NotUtf8(#[source] std::str::Utf8Error),
    /// It is a page of a web server, such as a login.
    #[error(
        "the file is no JSON but a page in HTML; open its address in a browser to see what it says"
    )]
    Html,
    /// It is cut off, or nothing of the kind.
    #[error("the file is no JSON")]
    NotJson(#[source] serde_json::Error),
    /// It is nested further than any event.
    #[error("the file is nested more than {DEEPEST} levels deep")]
    TooDeep,
    /// It is JSON of another kind.
    #[error("the file is no event of MISP")]
    NoEvent,
    /// It holds more events than are read.
    #[error("the file holds more than {MOST_EVENTS} events; divide it")]
    TooManyEvents,
}

/// What stands in a file.
#[derive(Debug, Default)]
struct Found<'a> {
    events: Vec<&'a str>,
    odd: usize,
}

self_cell!(
    struct Parsed {
        owner: Bytes,

        #[covariant]
        dependent: Found,
    }
);

/// The content of an event file, with its events found.
///
/// All shapes are taken that servers and feeds write: `{"Event": …}`, a list of these, both within `{"response": …}`, and
/// an event without a wrapper.
pub struct EventFile(Parsed);

impl std::fmt::Debug for EventFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let found = self.0.borrow_dependent();
        f.debug_struct("EventFile")
            .field("bytes", &self.0.borrow_owner().len())
            .field("events", &found.events.len())
            .field("odd", &found.odd)
            .finish()
    }
}

impl EventFile {
    /// Looks over a file. Beside its bytes it takes 16 bytes for each event.
    ///
    /// # Errors
    /// [`EventFileError`] where it holds no events, or none that can be read.
    pub fn read(bytes: Bytes) -> Result<Self, EventFileError> {
        Parsed::try_new(bytes, |bytes| find_events(bytes)).map(Self)
    }

    /// The events, in their order. Of those that have the uuid of another one, which is told apart by
    /// [`EventHead::uuid`], all are given.
    pub fn events(&self) -> impl ExactSizeIterator<Item = Event<'_>> {
        let events = self.0.borrow_dependent().events.iter();
        events.map(|text| Event::read(text))
    }

    /// How many things stood where an event was expected and were none.
    pub fn odd(&self) -> usize {
        self.0.borrow_dependent().odd
    }
}

fn find_events(bytes: &[u8]) -> Result<Found<'_>, EventFileError> {
    let text = std::str::from_utf8(bytes).map_err(EventFileError::NotUtf8)?;
    // Some programs of Windows begin a text so.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim();
    if text.is_empty() {
        return Err(EventFileError::Empty);
    }
    if text.starts_with('<') {
        return Err(EventFileError::Html);
    }
    if !is_shallow(text) {
        return Err(EventFileError::TooDeep);
    }
    let whole: &RawValue = serde_json::from_str(text).map_err(EventFileError::NotJson)?;
    let mut found = Found::default();
    found.search(whole.get(), MOST_WRAPPERS)?;
    if found.events.is_empty() {
        return Err(EventFileError::NoEvent);
    }
    Ok(found)
}

impl<'a> Found<'a> {
    fn search(&mut self, text: &'a str, wrappers: usize) -> Result<(), EventFileError> {
        let Some(inside) = wrappers.checked_sub(1) else {
            self.odd += 1;
            return Ok(());
        };
        if text.starts_with('[') {
            return raw_json::elements(text).try_for_each(|element| self.search(element, inside));
        }
        let (mut wrapped, mut is_event) = (None, false);
        for (name, value) in raw_json::members(text) {
            match &*name {
                "Event" => wrapped = Some(value),
                "response" if wrapped.is_none() => wrapped = Some(value),
                "info" | "Attribute" | "Object" => is_event = true,
                _ => {}
            }
        }
        match wrapped {
            _ if is_event => self.add(text),
            // Within "Event" stands an event, however little is in it.
            Some(event) if event.starts_with('{') && is_plain(event) => self.add(event),
            Some(wrapped) => self.search(wrapped, inside),
            None => {
                self.odd += 1;
                Ok(())
            }
        }
    }

    fn add(&mut self, event: &'a str) -> Result<(), EventFileError> {
        if self.events.len() >= MOST_EVENTS {
            return Err(EventFileError::TooManyEvents);
        }
        self.events.push(event);
        Ok(())
    }
}

/// Whether an object is no further wrapper.
fn is_plain(text: &str) -> bool {
    let is_wrapper = |name: &str| matches!(name, "Event" | "response");
    let mut members = raw_json::members(text);
    members.any(|(name, _)| name == "uuid") || {
        let mut members = raw_json::members(text);
        !members.any(|(name, _)| is_wrapper(&name))
    }
}

/// Whether a text has no more than [`DEEPEST`] levels, as far as it is JSON. The reader of raw values has no bound.
fn is_shallow(text: &str) -> bool {
    let (mut depth, mut in_text, mut is_escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        if in_text {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return false;
        }
    }
    true
}

/// One event of a file: its head, and where the rest of it stands.
#[derive(Debug, Clone)]
pub struct Event<'a> {
    /// What is said about the event as a whole.
    pub head: EventHead,
    attributes: &'a str,
    objects: &'a str,
    reports: &'a str,
}

impl<'a> Event<'a> {
    /// Reads the head, wherever in the event its members stand.
    fn read(text: &'a str) -> Self {
        let mut event = Self {
            head: EventHead::default(),
            attributes: "[]",
            objects: "[]",
            reports: "[]",
        };
        for (name, value) in raw_json::members(text) {
            let list = match &*name {
                "Attribute" => &mut event.attributes,
                "Object" => &mut event.objects,
                "EventReport" => &mut event.reports,
                _ => {
                    event.head.take(&name, value);
                    continue;
                }
            };
            if raw_json::is_list(value) {
                *list = value;
            } else if value != "null" {
                event.head.odd.note(&name);
            }
        }
        event
    }

    /// The attributes that belong to no object, each as JSON, to be read by [`Attribute::read`].
    pub fn attributes(&self) -> Elements<'a> {
        raw_json::elements(self.attributes)
    }

    /// The objects, each as JSON, to be read by [`Object::read`].
    pub fn objects(&self) -> Elements<'a> {
        raw_json::elements(self.objects)
    }

    /// The reports that belong to the event, each as JSON, to be read by [`EventReport::read`].
    pub fn reports(&self) -> Elements<'a> {
        raw_json::elements(self.reports)
    }
}

#[cfg(test)]
mod tests;
