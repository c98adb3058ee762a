//! What the connector remembers from run to run: a small JSON that the platform keeps and shows.
//!
//! Pure. It is read once, at the start; from then on the copy in memory is authoritative, and the
//! platform's answers, which may be echoes of older states, are compared with it and never taken over.
//!
//! **Invariant.** A state that was written by a newer version is not read, and so never overwritten: nor is whatever
//! else names a version that is not ours. Anything else that is stored there is either ours or reported as unusable. What
//! is read and what is written is within `bounds`.

mod bounds;
mod version;

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use chrono::{DateTime, NaiveDate, Utc};
use serde::ser::Error as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::connector::{AtSource, DaysInVain, Deferred, Obstacle};
use crate::opencti::Echo;
use crate::telemetry::safe_text::{NAME, SENTENCE, make_safe, safe};
use bounds::{KINDS, RESOLVED};

/// The version that this program writes.
const VERSION: u64 = 1;
/// Runs that are remembered.
const RUNS: usize = 5;
/// Deferred objects that are remembered, until something changes at the destination; more are counted.
const DEFERRED: usize = 200;
/// The same of those that only the source can resolve: so many that it failed at, so many that contradict themselves.
/// Nothing shows when they are resolved, so none may be displaced by others.
const AT_SOURCE: usize = 100;
/// On so many different days the source fails at an object until it is given up.
const DAYS_IN_VAIN: u32 = 7;
/// Causes that are remembered of what is not: more than a platform has types, and mostly markings. One that is not
/// among them would be noticed only when another one is gone.
const CAUSES: usize = 500;
/// What is sent beyond the types that are counted one by one.
const OTHER_KINDS: &str = "other types";
/// Works of earlier runs that are still to be finished.
const LEFT_BEHIND: usize = 10;

/// The state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a person reads them in the state"
)]
pub struct State {
    version: u64,
    /// What is read: cursors of another source mean nothing.
    pub source: String,
    /// Whether everything has been read once from beginning to end.
    #[serde(default)]
    pub first_pass_complete: bool,
    /// Whether the last run went well.
    #[serde(default = "yes")]
    pub healthy: bool,
    /// How far each stream of the source is confirmed; only the source can read it.
    #[serde(default)]
    pub streams: BTreeMap<String, Value>,
    /// The work whose messages may still wait for the workers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work: Option<OpenWork>,
    /// Works whose messages are gone and that are still to be closed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_behind: Vec<OpenWork>,
    /// What was not sent and may be later: once its cause is gone at the destination or at the source, or another object
    /// has been sent.
    #[serde(default, rename = "held_back", skip_serializing_if = "Vec::is_empty")]
    pub deferred: Vec<Deferred>,
    /// How many more wait for the destination or for other objects, by stream.
    #[serde(
        default,
        rename = "held_back_more",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub deferred_more: BTreeMap<String, u64>,
    /// How many more only the source can resolve, by stream.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub at_source_more: BTreeMap<String, u64>,
    /// Why these others were deferred: types that the destination lacked, ids of markings.
    #[serde(
        default,
        rename = "held_back_causes",
        skip_serializing_if = "BTreeSet::is_empty"
    )]
    pub deferred_causes: BTreeSet<String>,
    /// Of what is not remembered, something waits for another object.
    #[serde(
        default,
        rename = "held_back_dependents",
        skip_serializing_if = "is_false"
    )]
    pub dependents_more: bool,
    /// Something that only the source could resolve is not asked for any more, and there is more of it, or of what
    /// waits for it, than is remembered.
    #[serde(default, rename = "source_mended", skip_serializing_if = "is_false")]
    pub source_resolved: bool,
    /// The days on which streams were read anew for that, since all of it was remembered.
    #[serde(default, skip_serializing_if = "DaysInVain::is_none")]
    pub read_anew: DaysInVain,
    /// Messages of the last work went missing at the broker, and it is sent once more.
    #[serde(default, skip_serializing_if = "is_false")]
    pub sent_again: bool,
    /// The last runs, the newest last.
    #[serde(default)]
    pub runs: Vec<Run>,
    /// When the platform last reset the connector, in its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_at: Option<String>,
    /// What another program of this version may have added.
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// A work that is not complete yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenWork {
    /// Its id.
    pub id: String,
    /// How far each stream was confirmed when it was opened: where to begin again if its messages are
    /// lost.
    #[serde(default)]
    pub began_at: BTreeMap<String, Value>,
    /// Whether the first pass was complete by then.
    #[serde(default)]
    pub after_first_pass: bool,
    /// What was deferred before and is sent with this work.
    #[serde(default, rename = "mended", skip_serializing_if = "Vec::is_empty")]
    pub resolved: Vec<Deferred>,
    /// What was sent with it and confirmed, by type, whichever process sent it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sent: BTreeMap<String, u64>,
    /// How it is to be closed; none while its run goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closing: Option<ClosePlan>,
}

impl OpenWork {
    /// Counts objects of these types as sent with it.
    pub fn count_sent(&mut self, kinds: &[impl AsRef<str>]) {
        for kind in kinds {
            // Each object is counted here, and nearly all are of types that stand there already.
            if let Some(count) = self.sent.get_mut(kind.as_ref()) {
                *count = count.saturating_add(1);
                continue;
            }
            let kind = safe(kind.as_ref(), NAME);
            if self.sent.contains_key(&*kind) || self.sent.len() < KINDS {
                count_one(&mut self.sent, kind.into_owned());
            } else {
                count_one(&mut self.sent, OTHER_KINDS.to_owned());
            }
        }
    }
}

/// How a work is to be closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a person reads them in the state"
)]
pub struct ClosePlan {
    /// The message that people read.
    pub message: String,
    /// Whether its run failed.
    pub in_error: bool,
    /// Whether the message has been sent to the platform.
    #[serde(rename = "said")]
    pub message_sent: bool,
    /// Whether the sentinel has been reported.
    #[serde(rename = "released")]
    pub sentinel_reported: bool,
    /// Each object was expected once, and confirmed: what is not reported in the end was lost.
    #[serde(default)]
    pub exact: bool,
    /// What need not wait for the workers.
    #[serde(skip)]
    pub at_once: AtOnce,
}

/// What may be done for a work as soon as its run is over. Only the process that sent its messages
/// knows it: for any other, each of them may have been lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AtOnce {
    /// Its message is sent when it is sure what has arrived.
    #[default]
    Nothing,
    /// Its message is sent: that it was cut short.
    Message,
    /// All that it expects was confirmed exactly once: it is closed, and the workers complete it.
    Everything,
}

impl ClosePlan {
    /// How a run closes its work.
    pub fn new(mut message: String, in_error: bool, at_once: AtOnce) -> Self {
        make_safe(&mut message, SENTENCE);
        Self {
            message,
            in_error,
            message_sent: false,
            sentinel_reported: false,
            exact: at_once == AtOnce::Everything,
            at_once,
        }
    }

    /// Whether something is to be done that waits for nobody.
    pub fn is_due(&self) -> bool {
        match self.at_once {
            AtOnce::Nothing => false,
            AtOnce::Message => !self.message_sent,
            AtOnce::Everything => !self.message_sent || !self.sentinel_reported,
        }
    }
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// When it began.
    pub began: DateTime<Utc>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<DateTime<Utc>>,
    /// How it ended.
    pub outcome: Ended,
    /// Objects sent.
    #[serde(default)]
    pub sent: u64,
    /// Objects not sent, each with a reason in the log.
    #[serde(default)]
    pub not_sent: u64,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// It goes on, or the process died in it.
    Running,
    /// Everything was read and confirmed.
    Complete,
    /// It was stopped before its end.
    Stopped,
    /// It failed.
    Failed,
    /// Its work was cleared by somebody.
    Cleared,
    /// What it had sent was lost meanwhile: the next one began at once.
    #[serde(rename = "overtaken")]
    Superseded,
    /// Written by another program.
    #[serde(other)]
    Other,
}

/// What the platform had stored as the state.
#[derive(Debug)]
pub enum StoredState {
    /// Nothing: the connector is new, or was reset.
    Nothing,
    /// A state of this connector.
    State(Box<State>),
    /// Something else, and why it cannot be used.
    Unusable(String),
}

/// The state was written by a newer version of this program, as far as its version says.
#[derive(Debug, thiserror::Error)]
#[error(
    "the state that the destination keeps for this connector has version {found}, and this program reads version {VERSION}: \
     it was written by a newer version of the connector, or by another program; run that one, or reset the connector on the \
     platform to begin anew"
)]
pub struct NewerVersion {
    /// The version as it stands there, made safe.
    found: String,
}

/// The text without a byte order mark and blanks around it, which other programs write.
fn without_mark(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

fn yes() -> bool {
    true
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(fact: &bool) -> bool {
    !*fact
}

/// Counts one more; what was counted before may have been written by anybody.
fn count_one(counts: &mut BTreeMap<String, u64>, name: String) {
    let count = counts.entry(name).or_default();
    *count = count.saturating_add(1);
}

impl State {
    /// The state of a connector that has never run.
    pub fn new(source: String, reset_at: Option<String>) -> Self {
        Self {
            version: VERSION,
            source,
            first_pass_complete: false,
            healthy: true,
            streams: BTreeMap::new(),
            work: None,
            left_behind: Vec::new(),
            deferred: Vec::new(),
            deferred_more: BTreeMap::new(),
            at_source_more: BTreeMap::new(),
            deferred_causes: BTreeSet::new(),
            dependents_more: false,
            source_resolved: false,
            read_anew: DaysInVain::default(),
            sent_again: false,
            runs: Vec::new(),
            reset_at,
            other: Map::new(),
        }
    }

    /// What stands at the platform where another program wrote it: an object without a version.
    pub fn of_another_program(text: Option<&str>) -> Option<Value> {
        let value: Value = serde_json::from_str(without_mark(text?)).ok()?;
        let fields = value.as_object()?;
        let is_foreign = !fields.is_empty() && !fields.contains_key("version");
        is_foreign.then_some(value)
    }

    /// Reads what stands at the platform.
    ///
    /// # Errors
    /// [`NewerVersion`] when it must not be touched.
    pub fn read(text: Option<&str>) -> Result<StoredState, NewerVersion> {
        let text = text.map(without_mark);
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            return Ok(StoredState::Nothing);
        };
        let versions = version::versions(text);
        let is_ours = |version: &Value| version.as_u64() == Some(VERSION);
        if let Some(other) = versions.iter().find(|version| !is_ours(version)) {
            let found = safe(&other.to_string(), NAME).into_owned();
            return Err(NewerVersion { found });
        }
        let value: Value = match serde_json::from_str(text) {
            Ok(Value::Null) => return Ok(StoredState::Nothing),
            Ok(Value::Object(fields)) if fields.is_empty() => return Ok(StoredState::Nothing),
            Ok(value) => value,
            Err(error) => return Ok(StoredState::Unusable(format!("it is not JSON: {error}"))),
        };
        if !value.get("version").is_some_and(is_ours) {
            let reason = "it has no version: another program wrote it";
            return Ok(StoredState::Unusable(reason.to_owned()));
        }
        let read = serde_json::from_value(value).map_err(|error| error.to_string());
        let read = read.and_then(|state| match bounds::check(&state) {
            Ok(()) => Ok(state),
            Err(error) => Err(error.to_string()),
        });
        Ok(match read {
            Ok(state) => StoredState::State(Box::new(state)),
            Err(error) => StoredState::Unusable(format!("a part of it is damaged: {error}")),
        })
    }

    /// The text that the platform keeps, never longer than what it can answer again. Where it would be, what was held
    /// back is counted only, and what is not ours is left out.
    ///
    /// # Errors
    /// When it cannot be written as JSON, or is too long all the same.
    pub fn write(&self) -> Result<String, serde_json::Error> {
        let text = serde_json::to_string(self)?;
        if text.len() <= bounds::LONGEST {
            return Ok(text);
        }
        let text = serde_json::to_string(&self.counted_only())?;
        if text.len() <= bounds::LONGEST {
            return Ok(text);
        }
        let (found, most) = (text.len(), bounds::LONGEST);
        Err(serde_json::Error::custom(format!(
            "it would have {found} bytes, and {most} are kept at most"
        )))
    }

    /// The same state with nothing by name that can be found again by reading its stream.
    fn counted_only(&self) -> Self {
        let mut state = self.clone();
        state.other.clear();
        let of_work = state
            .work
            .as_mut()
            .map(|work| mem::take(&mut work.resolved));
        let mut objects = mem::take(&mut state.deferred);
        objects.extend(of_work.into_iter().flatten());
        for object in objects {
            state.count_only(object);
        }
        state
    }

    /// Whether the platform has reset the connector since this was written: a process that died right
    /// then may have written it all the same.
    pub fn is_older_than_reset(&self, echo: &Echo) -> bool {
        match (&echo.reset_at, &self.reset_at) {
            (Some(reset_at), Some(known)) => is_later(reset_at, known),
            _ => false,
        }
    }

    /// Forgets how far the source was read, because another one is read from now on. What is unfinished
    /// at the destination stays.
    pub fn begin_source(&mut self, source: String) {
        self.source = source;
        self.streams.clear();
        self.first_pass_complete = false;
        self.deferred.clear();
        self.deferred_more.clear();
        self.at_source_more.clear();
        self.dependents_more = false;
        self.source_resolved = false;
        self.read_anew = DaysInVain::default();
        if let Some(work) = &mut self.work {
            work.began_at.clear();
            work.after_first_pass = false;
            work.resolved.clear();
        }
    }

    /// The state after a reset: nothing is known, but the works whose messages were purged are still
    /// to be closed.
    #[must_use]
    pub fn after_reset(&self, reset_at: Option<String>) -> Self {
        let mut state = Self::new(self.source.clone(), reset_at);
        state.left_behind.clone_from(&self.left_behind);
        if let Some(work) = self.work.clone() {
            state.leave_behind(
                work,
                "The connector was reset: its queue was emptied, and everything is sent anew.",
            );
        }
        state
    }

    /// The messages of the work are gone: what it was opened for has to be sent once more.
    pub fn go_back(&mut self) {
        if let Some(work) = self.work.take() {
            self.first_pass_complete = work.after_first_pass;
            self.streams = work.began_at;
            self.defer(work.resolved);
        }
    }

    /// The same, where the work may still be there although its messages are gone.
    pub fn go_back_leaving_work(&mut self, message: &str) {
        if let Some(work) = self.work.clone() {
            self.leave_behind(work, message);
        }
        self.go_back();
    }

    /// The work with this id is to be closed in error, whoever comes to it.
    fn leave_behind(&mut self, mut work: OpenWork, message: &str) {
        let is_reported = work
            .closing
            .is_some_and(|closing| closing.sentinel_reported);
        work.closing = Some(ClosePlan {
            sentinel_reported: is_reported,
            ..ClosePlan::new(message.to_owned(), true, AtOnce::Message)
        });
        work.began_at.clear();
        work.resolved.clear();
        self.left_behind.push(work);
        if self.left_behind.len() > LEFT_BEHIND {
            self.left_behind.remove(0);
        }
    }

    /// Remembers a run that begins now.
    pub fn begin_run(&mut self, began: DateTime<Utc>) {
        self.runs.push(Run {
            began,
            ended: None,
            outcome: Ended::Running,
            sent: 0,
            not_sent: 0,
            error: None,
        });
        let surplus = self.runs.len().saturating_sub(RUNS);
        self.runs.drain(..surplus);
    }

    /// The same on a day on which the source was asked. What it has failed at on too many days is given up, and
    /// answered: of that, only what needs another object is remembered, until that is sent.
    pub fn defer_on(
        &mut self,
        today: NaiveDate,
        deferred: impl IntoIterator<Item = Deferred>,
    ) -> Vec<Deferred> {
        let deferred = deferred.into_iter().map(|mut object| {
            let is_given_up = self.has_failed_too_often(&mut object, today);
            (object, is_given_up)
        });
        // All parts of an object have failed on the same days.
        let (given_up, deferred): (Vec<_>, Vec<_>) =
            deferred.partition(|(_, is_given_up)| *is_given_up);
        let given_up: Vec<Deferred> = given_up.into_iter().map(|(object, _)| object).collect();
        self.forget(|known| {
            let is_unread = matches!(known.at_source, Some(AtSource::Unread(_)));
            is_unread && given_up.iter().any(|object| object.id == known.id)
        });
        let waiting = given_up.iter().filter(|object| object.needs.is_some());
        let waiting = waiting.cloned().map(|object| Deferred {
            at_source: None,
            ..object
        });
        let deferred = deferred.into_iter().map(|(object, _)| object);
        self.defer(deferred.chain(waiting));
        given_up
    }

    /// Counts the day, where it is the source that failed.
    fn has_failed_too_often(&self, object: &mut Deferred, today: NaiveDate) -> bool {
        let Some(AtSource::Unread(in_vain)) = &mut object.at_source else {
            return false;
        };
        let of_object = self.deferred.iter().filter(|known| known.id == object.id);
        for known in of_object {
            if let Some(AtSource::Unread(before)) = known.at_source {
                *in_vain = before;
                object.kind.clone_from(&known.kind);
            }
        }
        in_vain.note(today);
        in_vain.days >= DAYS_IN_VAIN
    }

    /// Remembers what was deferred, each object once.
    pub fn defer(&mut self, deferred: impl IntoIterator<Item = Deferred>) {
        for mut object in deferred {
            object.make_safe();
            let known = self.deferred.iter_mut().find(|known| {
                known.id == object.id && (known.needs == object.needs || !object.is_part)
            });
            if let Some(known) = known {
                *known = object;
            } else if self.has_room_for(&object) {
                self.deferred.push(object);
            } else {
                self.count_only(object);
            }
        }
    }

    /// Counts an object that is beyond the limit of those remembered by name.
    fn count_only(&mut self, object: Deferred) {
        if object.at_source.is_some() {
            count_one(&mut self.at_source_more, object.stream);
            return;
        }
        match object.obstacle() {
            Obstacle::Cause(cause) if self.deferred_causes.len() < CAUSES => {
                self.deferred_causes.insert(cause.to_owned());
            }
            Obstacle::Object => self.dependents_more = true,
            _ => {}
        }
        count_one(&mut self.deferred_more, object.stream);
    }

    /// What may be resolved in the same place shares one limit.
    fn has_room_for(&self, object: &Deferred) -> bool {
        let place = |object: &Deferred| object.at_source.as_ref().map(mem::discriminant);
        let known = self.deferred.iter();
        let beside = known.filter(|known| place(known) == place(object)).count();
        let back_pressure = match object.at_source {
            Some(_) => AT_SOURCE,
            None => DEFERRED,
        };
        beside < back_pressure
    }

    /// Everything was read once; what is gone at the source, or is skipped for good, is not asked for any more.
    pub fn complete_pass(&mut self, is_past: impl Fn(&Deferred) -> bool) {
        self.first_pass_complete = true;
        self.forget(is_past);
        if self.at_source_more.is_empty() {
            self.read_anew = DaysInVain::default();
        }
    }

    fn forget(&mut self, is_past: impl Fn(&Deferred) -> bool) {
        let left = self.deferred.extract_if(.., |held| is_past(held));
        let left: Vec<Deferred> = left.collect();
        self.note_left(&left);
    }

    /// A free place among what only the source can resolve lets the rest of that be looked for, and what waits for it.
    fn note_left(&mut self, left: &[Deferred]) {
        let at_source = left.iter().filter_map(|object| object.at_source);
        for at_source in at_source {
            self.source_resolved |= !self.at_source_more.is_empty() || self.dependents_more;
            // Somebody has corrected something there: no day was in vain.
            if at_source == AtSource::Contradiction {
                self.read_anew = DaysInVain::default();
            }
        }
    }

    /// Whether the rest of what only the source can resolve is to be read now: once a day, and on so many days as what is
    /// remembered.
    pub fn is_rest_due(&self, today: NaiveDate) -> bool {
        let DaysInVain { days, last } = self.read_anew;
        self.source_resolved && last != Some(today) && days < DAYS_IN_VAIN
    }

    /// Whether more was deferred than is remembered.
    pub fn has_overflown(&self) -> bool {
        !self.deferred_more.is_empty() || !self.at_source_more.is_empty()
    }

    /// These objects were deferred before and are sent now, with the open work.
    pub fn resolve(&mut self, ids: &[Box<str>]) {
        let is_sent = |object: &mut Deferred| ids.iter().any(|id| **id == *object.id);
        let resolved: Vec<Deferred> = self.deferred.extract_if(.., is_sent).collect();
        self.note_left(&resolved);
        let Some(work) = &mut self.work else { return };
        work.resolved.extend(resolved);
        // Should the work be lost, these are found again by reading their streams.
        let beyond = work.resolved.split_off(work.resolved.len().min(RESOLVED));
        for object in beyond {
            self.count_only(object);
        }
    }

    /// These objects are sent: what waited for one of them need not wait any longer.
    pub fn note_arrived(&mut self, ids: &[Box<str>]) {
        for object in &mut self.deferred {
            object
                .needs
                .take_if(|needed| ids.iter().any(|id| **id == **needed));
        }
    }

    /// Reads anew, from the beginning, the streams of which more was deferred than is remembered; their
    /// names.
    pub fn begin_overflown_streams(&mut self, today: NaiveDate) -> Vec<String> {
        if !self.at_source_more.is_empty() {
            self.read_anew.note(today);
        }
        let of_destination = mem::take(&mut self.deferred_more);
        let of_source = mem::take(&mut self.at_source_more);
        let both = of_destination.into_keys().chain(of_source.into_keys());
        let overflown: BTreeSet<String> = both.collect();
        let overflown: Vec<String> = overflown.into_iter().collect();
        self.deferred_causes.clear();
        self.dependents_more = false;
        self.source_resolved = false;
        // A stream may keep its cursor under a longer name.
        let is_overflown = |name: &str| overflown.iter().any(|stream| name.starts_with(stream));
        self.streams.retain(|name, _| !is_overflown(name));
        // Should the messages of the open work be lost, its run may not begin behind what is no longer counted.
        if let Some(work) = &mut self.work {
            work.began_at.retain(|name, _| !is_overflown(name));
        }
        overflown
    }
}

/// Whether an answer of the platform shows a reset, and not an echo of older days.
#[derive(Debug, Clone, Default)]
pub struct ResetWatch {
    known: Option<String>,
    /// The platform has shown a state that was not empty.
    was_kept: bool,
}

impl ResetWatch {
    /// Begins with the answer of the registration.
    pub fn new(echo: &Echo) -> Self {
        Self {
            known: echo.reset_at.clone(),
            was_kept: echo.state.is_some(),
        }
    }

    /// Judges one answer. The time of the last reset decides; where the release does not say it, a
    /// state that is empty after it was not.
    pub fn shows_reset(&mut self, echo: &Echo) -> bool {
        let was_kept = std::mem::replace(&mut self.was_kept, echo.state.is_some());
        let Some(reset_at) = &echo.reset_at else {
            return was_kept && echo.state.is_none();
        };
        let is_reset = match &self.known {
            Some(known) => is_later(reset_at, known),
            // Nobody had reset it since the release began to say when.
            None => was_kept && echo.state.is_none(),
        };
        if self.known.is_none() || is_reset {
            self.known = Some(reset_at.clone());
        }
        is_reset
    }

    /// A reset was seen, whichever way: the state that the platform shows next is empty.
    pub fn note_reset(&mut self) -> Option<String> {
        self.was_kept = false;
        self.known.clone()
    }

    /// The time of the last reset that was seen.
    pub fn reset_at(&self) -> Option<&str> {
        self.known.as_deref()
    }
}

/// Whether one time of the platform is later than another; texts that are no times are later when they
/// differ.
fn is_later(time: &str, than: &str) -> bool {
    let read = |text| DateTime::parse_from_rfc3339(text).ok();
    match (read(time), read(than)) {
        (Some(time), Some(than)) => time > than,
        _ => time != than,
    }
}

#[cfg(test)]
mod tests;
