//! The sending half of a run: a converted unit becomes messages, messages become receipts, receipts
//! become the state.
//!
//! **Invariant.** The state moves over a unit only with the receipt of all its messages, and the first
//! message of a work is sent only when the platform has stored the state that names the work.

mod end;
mod held;
mod receipts;
mod works;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::connector::{Converted, Deferred, Skipped, Tally, UnitPosition};
use crate::opencti::{MessageLimit, Pending, Work};
use crate::runtime::import::activity::Activity;
use crate::runtime::import::admission::Admission;
use crate::runtime::import::back_pressure::BackPressure;
use crate::runtime::import::destination::Destination;
use crate::runtime::import::embedded::LearntEmbedded;
use crate::runtime::import::packer::{Batch, Packed, PackedAhead, Packer, Packing, Wave};
use crate::runtime::import::progress::Progress;
use crate::runtime::import::run::RunError;
use crate::runtime::session::state::State;
use crate::runtime::session::state_store::{StateStore, Superseded};
use crate::settings::QueueProtocol;
use crate::stix::{StixObject, bundle};
use held::WorkerWatch;

/// Units whose messages may be unconfirmed at once.
const UNCONFIRMED_UNITS: usize = 3;
/// After a failure, the most that is waited for the receipts of messages that were expected.
const LAST_RECEIPTS: Duration = Duration::from_mins(1);
/// Objects that are not sent are named one by one in the log, up to so many a run; all are counted.
const NAMED_SKIPS: u64 = 100;
/// So many objects that others wait for are looked out for: far more than the state remembers.
const NEEDED: usize = 10_000;
/// Between two looks whether somebody has cleared the work.
const LOOK_AT_WORK_EVERY: Duration = Duration::from_secs(5);
/// How long the state may go unstored before nothing more is sent.
const STORED_LIMIT: Duration = Duration::from_mins(10);

/// What the last message of a unit completes.
#[derive(Default)]
struct UnitEnd {
    position: Option<UnitPosition>,
    acknowledged: Acknowledged,
}

/// What a receipt stands for, beside a position.
#[derive(Default)]
struct Acknowledged {
    /// The types of the objects that are sent with it.
    kinds: Vec<Cow<'static, str>>,
    /// Objects that were deferred by earlier runs and are sent now.
    resolved: Vec<Box<str>>,
    /// Objects that others wait for.
    arrived: Vec<Box<str>>,
    /// What is deferred, whatever it waits for.
    deferred: Vec<Deferred>,
    /// What is not sent.
    skipped: Vec<Skipped>,
    /// What is left as it is at the destination.
    left: Vec<Skipped>,
}

/// A delivery on its way.
struct Unconfirmed {
    pending: Pending,
    acknowledged: Acknowledged,
    messages: usize,
    handed_over: Instant,
}

/// The sending half of a run.
pub(crate) struct Sink<'a> {
    destination: &'a Destination,
    state_store: &'a Arc<StateStore>,
    /// Of the state store, for this run.
    epoch: u64,
    back_pressure: &'a mut BackPressure,
    activity: &'a Activity,
    title: String,
    admission: Admission,
    /// What is deferred in this run.
    deferred_now: HashSet<Box<str>>,
    /// What earlier runs deferred, and remembered.
    deferred_before: HashSet<Box<str>>,
    /// What of that is tried again in this run.
    tried_again: HashSet<Box<str>>,
    /// Of these, what was sent and only lacks parts: those parts.
    parts_tried_again: HashMap<Box<str>, Vec<Deferred>>,
    /// What deferred objects wait for.
    needed: HashSet<Box<str>>,
    packer: Packer,
    /// How large messages may be, where larger ones were refused.
    limit: Option<MessageLimit>,
    work: Option<Work>,
    looked_at_work: Instant,
    /// The work was left open by a process before, which may have added expectations of messages that it never sent.
    is_taken_over: bool,
    unconfirmed: VecDeque<Unconfirmed>,
    /// The ends of units of which something waits for the workers, and of those behind them.
    held_ends: VecDeque<(u64, UnitEnd)>,
    watch: WorkerWatch,
    /// How many objects of units were packed, be they sent or waiting.
    handed_over: u64,
    tally: Tally,
    /// How many objects that are not sent were named one by one.
    named: u64,
    alarms: Vec<String>,
    progress: Progress,
    /// Cancelled when what is not delivered yet is not to be delivered any more.
    given_up: CancellationToken,
    /// For releases newer than known: whether the platform adds the expectations of messages of one object.
    platform_adds: Option<bool>,
}

impl<'a> Sink<'a> {
    pub(crate) fn new(
        destination: &'a Destination,
        state_store: &'a Arc<StateStore>,
        epoch: u64,
        back_pressure: &'a mut BackPressure,
        activity: &'a Activity,
        title: String,
        batch_size: usize,
    ) -> Self {
        let limit = message_limit(destination);
        let patience = back_pressure.worker_patience();
        let packer = Packer::new(packing(destination, batch_size));
        Self {
            destination,
            state_store,
            epoch,
            back_pressure,
            activity,
            title,
            admission: Admission::default(),
            deferred_now: HashSet::new(),
            deferred_before: HashSet::new(),
            tried_again: HashSet::new(),
            parts_tried_again: HashMap::new(),
            needed: HashSet::new(),
            packer: packer.up_to(limit),
            limit,
            work: None,
            looked_at_work: Instant::now(),
            is_taken_over: false,
            unconfirmed: VecDeque::new(),
            held_ends: VecDeque::new(),
            watch: WorkerWatch::new(patience),
            handed_over: 0,
            tally: Tally::default(),
            named: 0,
            alarms: Vec::new(),
            progress: Progress::default(),
            given_up: CancellationToken::new(),
            platform_adds: None,
        }
    }

    /// Whether the reason for which an object was deferred is gone.
    pub(crate) async fn has_passed(&mut self, deferred: &Deferred) -> Result<bool, RunError> {
        Ok(self
            .admission
            .has_passed(self.destination, deferred)
            .await?)
    }

    /// Whether something that was deferred for this cause can be sent now.
    pub(crate) async fn has_cause_passed(&mut self, cause: &str) -> Result<bool, RunError> {
        let passed = self.admission.has_cause_passed(self.destination, cause);
        Ok(passed.await?)
    }

    pub(crate) fn destination(&self) -> &'a Destination {
        self.destination
    }

    pub(crate) fn state_store(&self) -> &'a Arc<StateStore> {
        self.state_store
    }

    pub(crate) fn activity(&self) -> &'a Activity {
        self.activity
    }

    pub(crate) fn units(&self) -> u64 {
        self.progress.units()
    }

    pub(crate) fn into_tally(self) -> Tally {
        self.tally
    }

    /// Changes the state, unless something has superseded the run.
    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) -> Result<(), Superseded> {
        self.state_store.change(self.epoch, change)
    }

    /// Begins anew behind the last receipt, with messages as large as are taken; false where that
    /// would make none smaller. As after a crash: the work is in the state, and the process that goes on with it
    /// makes up for what is expected and not sent any more.
    pub(crate) fn pack_smaller(&mut self) -> bool {
        let limit = message_limit(self.destination);
        // It only ever falls.
        if limit == self.limit {
            return false;
        }
        self.given_up.cancel();
        self.given_up = CancellationToken::new();
        self.unconfirmed.clear();
        self.held_ends.clear();
        self.limit = limit;
        self.packer.begin_again(self.limit);
        self.admission = Admission::default();
        self.deferred_now.clear();
        self.work = None;
        self.is_taken_over = false;
        true
    }

    /// Notes what earlier runs deferred, and which of it is tried again.
    pub(crate) fn try_again(&mut self, again: &[Deferred]) {
        let known = self.state_store.look(|state| state.deferred.clone());
        let not_sent = known.iter().filter(|object| !object.is_part);
        self.packer
            .note_not_sent(not_sent.map(|object| object.id.as_str()));
        for object in known {
            self.needed.extend(object.needs.map(Into::into));
            self.deferred_before.insert(object.id.into());
        }
        self.tried_again.clear();
        self.parts_tried_again.clear();
        for object in again {
            let id: Box<str> = object.id.as_str().into();
            let parts = self.parts_tried_again.entry(id.clone()).or_default();
            parts.push(object.clone());
            self.tried_again.insert(id);
        }
        let is_part = |parts: &[Deferred]| parts.iter().all(|part| part.is_part);
        self.parts_tried_again.retain(|_, parts| is_part(parts));
    }

    /// Sends one unit, and takes the receipts of earlier ones: waits for back-pressure, admits, packs, delivers.
    pub(crate) async fn send(
        &mut self,
        mut unit: Converted,
        stop: &CancellationToken,
    ) -> Result<(), RunError> {
        self.activity.now(format!("sending {}", unit.stream));
        if !self.wait_until_sendable(&unit, stop).await? {
            return Ok(());
        }
        let left = self.admit(&mut unit, stop).await?;
        self.decide_what_waits().await;
        let waves = self.pack(&mut unit);
        self.handed_over += unit.objects.len() as u64;
        self.log_unit(&unit);
        let end = self.end_of(unit, left);
        self.deliver_waves(waves, end, stop).await?;
        self.until_room(stop).await?;
        self.receipts(UNCONFIRMED_UNITS).await
    }

    /// Waits until the unit can be judged and sent: for the queue to shrink, for its markings, for what earlier runs
    /// have sent. False when the request to stop came meanwhile.
    async fn wait_until_sendable(
        &mut self,
        unit: &Converted,
        stop: &CancellationToken,
    ) -> Result<bool, RunError> {
        let waiting = self.back_pressure.wait(self.destination, self.activity);
        if stop.run_until_cancelled(waiting).await.is_none() {
            return Ok(false);
        }
        self.look_at_work().await?;
        if !self.make_markings(unit, stop).await? {
            return Ok(false);
        }
        if self.admission.looks_at_destination(self.destination, unit) {
            return self.wait_for_previous(stop).await;
        }
        Ok(true)
    }

    /// Removes from the unit what must not be sent; what of that is left as it is at the destination.
    async fn admit(
        &mut self,
        unit: &mut Converted,
        stop: &CancellationToken,
    ) -> Result<Vec<Skipped>, RunError> {
        let is_settled = !self.is_taken_over;
        let admitted = self.admission.admit(self.destination, unit, is_settled);
        let rejected = admitted.await?;
        rejected.note_in(&mut self.packer, unit);
        self.remove_still_incomplete(unit);
        self.packer.set_listed(self.admission.listed_markings());
        if self.destination.sends_to_queue {
            let learning =
                self.admission
                    .learn_embedded(self.destination, unit, self.activity, stop);
            let LearntEmbedded {
                there, forgotten, ..
            } = learning.await?;
            self.packer.forget_there(forgotten);
            self.packer.note_there(&there);
        }
        log_left(&rejected.left);
        Ok(rejected.left)
    }

    /// Makes messages of the unit. What no message can hold is noted as skipped, and its objects are those that are sent.
    fn pack(&mut self, unit: &mut Converted) -> Vec<Wave> {
        let files_lost = self.packer.drop_large_files(unit);
        let Packed {
            waves,
            deferred,
            dependents,
            links_lost,
        } = self.packer.pack(unit);
        unit.deferred.extend(dependents);
        unit.remember_unit();
        self.note_deferred(&unit.deferred);
        let left: HashSet<&str> = deferred.iter().map(|left| left.id.as_str()).collect();
        unit.objects.retain(|object| !left.contains(&*object.id));
        unit.skipped.extend(deferred.iter().cloned());
        unit.skipped
            .extend(files_lost.into_iter().chain(links_lost));
        waves
    }

    /// What the receipt of the unit's last message stands for.
    fn end_of(&self, mut unit: Converted, left: Vec<Skipped>) -> UnitEnd {
        let position = unit.take_position();
        let own = || unit.objects.iter().filter(|object| !object.is_deletion());
        // What comes along goes with what refers to it.
        let goes_along = |object: &&Arc<StixObject>| {
            let mut needed = own().flat_map(|own| own.needs());
            needed.any(|(id, _)| *id == *object.id)
        };
        let of = |set: &HashSet<Box<str>>, object: &Arc<StixObject>| set.contains(&*object.id);
        let counted_as = |object: &Arc<StixObject>| match unit.parts.counts_as {
            Some(kind) => kind.into(),
            None => object.kind.clone(),
        };
        let mut resolved = match &unit.parts.completes {
            // Of its first unit, something is still missing.
            Some(id) if self.deferred_now.contains(id) => Vec::new(),
            Some(id) => vec![id.clone()],
            // Without its links, an object that only brings its files resolves nothing.
            None if unit.parts.counts_as.is_some() => Vec::new(),
            None => {
                let before = &self.deferred_before;
                // A deletion resolves it as well.
                let own = unit.objects.iter().filter(|object| of(before, object));
                let shared = unit.shared.iter().filter(|object| of(before, object));
                ids_of(own.chain(shared.filter(goes_along)))
            }
        };
        // Of these a part is still missing.
        resolved.retain(|id| {
            let mut deferred = unit.deferred.iter();
            !unit.parts.follow.contains(id) && !deferred.any(|object| *object.id == **id)
        });
        let along = unit.referenced.iter().chain(&unit.shared);
        let along = along.filter(|object| of(&self.needed, object));
        let arrived = own().filter(|object| of(&self.needed, object));
        let arrived = ids_of(arrived.chain(along.filter(goes_along)));
        let acknowledged = Acknowledged {
            kinds: unit.objects.iter().map(counted_as).collect(),
            resolved,
            arrived,
            deferred: unit.deferred,
            skipped: unit.skipped,
            left,
        };
        UnitEnd {
            position,
            acknowledged,
        }
    }

    /// Delivers the messages, the end of the unit with the last of them. A unit without anything to send is done when
    /// those before it are.
    async fn deliver_waves(
        &mut self,
        waves: Vec<Wave>,
        end: UnitEnd,
        stop: &CancellationToken,
    ) -> Result<(), RunError> {
        if self.packer.held() > 0 || !self.held_ends.is_empty() {
            for wave in waves {
                if !self.wave(wave, None, stop).await? {
                    return Ok(());
                }
            }
            return self.end_unit(end).await;
        }
        let mut end = Some(end);
        let last = waves.len().saturating_sub(1);
        for (number, wave) in waves.into_iter().enumerate() {
            let end = if number == last { end.take() } else { None };
            if !self.wave(wave, end, stop).await? {
                return Ok(());
            }
        }
        if end.is_some() {
            self.deliver(Vec::new(), end).await?;
        }
        Ok(())
    }

    /// Makes the markings that the destination does not have, ahead of the objects that need them;
    /// false when the request to stop came while it had to wait.
    async fn make_markings(
        &mut self,
        unit: &Converted,
        stop: &CancellationToken,
    ) -> Result<bool, RunError> {
        let to_make = self
            .admission
            .markings_to_make(self.destination, unit)
            .await?;
        if to_make.is_empty() {
            return Ok(true);
        }
        if !self.destination.sends_to_queue {
            // An import of the files has them before their objects.
            self.admission.assume_made(&to_make);
            return Ok(true);
        }
        let PackedAhead { wave, too_large } = self.packer.pack_ahead(to_make);
        self.admission.reject_markings(&too_large);
        if wave.batches.is_empty() {
            return Ok(true);
        }
        let to_make: Vec<_> = wave.batches.iter().flatten().cloned().collect();
        let sent = self.wave(wave, None, stop).await? && self.until_imported(stop).await?;
        if sent {
            self.packer.note_imported();
            self.ask_for_identities().await;
            self.admission
                .learn_made(self.destination, &to_make)
                .await?;
        }
        Ok(sent)
    }

    /// Logs what is not sent, and that the unit was read. It counts with the unit's receipt.
    fn log_unit(&mut self, unit: &Converted) {
        self.name_skipped(&unit.skipped);
        for alarm in &unit.alarms {
            tracing::error!(stream = unit.stream, "{alarm}");
            if !self.alarms.contains(alarm) {
                self.alarms.push(alarm.clone());
            }
        }
        // Nothing for each object at info.
        if unit.parts.counts_as.is_some() {
            tracing::debug!(stream = unit.stream, "parts of an object read");
            return;
        }
        tracing::info!(
            stream = unit.stream,
            page.number = unit.number,
            page.objects = unit.objects.len(),
            page.skipped = unit.skipped.len(),
            stream.total = unit.stream_total,
            "page read"
        );
    }

    /// What was tried again for its parts, and lacks them still, was sent as it is: sending it once more in each run
    /// would be for nothing.
    fn remove_still_incomplete(&self, unit: &mut Converted) {
        if !unit.is_again || unit.parts.counts_as.is_some() || unit.deferred.is_empty() {
            return;
        }
        let lacks = |part: &Deferred| {
            let mut deferred = unit.deferred.iter();
            deferred.any(|deferred| {
                let is_at_source = deferred.at_source.is_some() == part.at_source.is_some();
                is_at_source && deferred.id == part.id && deferred.needs == part.needs
            })
        };
        let is_as_it_was = |object: &Arc<StixObject>| {
            let parts = self.parts_tried_again.get(&*object.id);
            let lacks_all = parts.is_some_and(|parts| parts.iter().all(lacks));
            lacks_all && !unit.parts.follow.contains(&*object.id)
        };
        let sent = unit.objects.iter().filter(|object| is_as_it_was(object));
        let sent: HashSet<Box<str>> = sent.map(|object| object.id.clone().into()).collect();
        for objects in [&mut unit.objects, &mut unit.second_pass] {
            objects.retain(|object| !sent.contains(&*object.id));
        }
    }

    /// What of what is tried again stays deferred. What is only skipped does not: it was read, and is sent when it
    /// changes.
    fn note_deferred(&mut self, deferred: &[Deferred]) {
        for object in deferred {
            if self.tried_again.contains(object.id.as_str()) {
                self.deferred_now.insert(object.id.as_str().into());
            }
            if self.needed.len() < NEEDED {
                self.needed.extend(object.needs.as_deref().map(Into::into));
            }
        }
    }

    /// Sends one wave; false when the request to stop came while it had to wait.
    async fn wave(
        &mut self,
        wave: Wave,
        end: Option<UnitEnd>,
        stop: &CancellationToken,
    ) -> Result<bool, RunError> {
        if wave.batches.is_empty() && self.work.is_none() {
            self.deliver(Vec::new(), end).await?;
            return Ok(true);
        }
        if !self.open_work(stop).await? {
            return Ok(false);
        }
        if wave.waits {
            if !self.until_imported(stop).await? {
                return Ok(false);
            }
            self.packer.note_imported_until(wave.after);
            self.ask_for_identities().await;
        }
        self.write_files(&wave.batches).await?;
        self.watch.note_sent();
        if self.destination.sends_to_queue {
            let messages = self.messages(&wave.batches)?;
            self.expect_and_deliver(messages, end).await?;
        } else {
            self.deliver(Vec::new(), end).await?;
        }
        Ok(true)
    }

    /// Writes a file for each bundle, where the settings want them.
    async fn write_files(&self, batches: &[Batch]) -> Result<(), RunError> {
        let Some(directory) = &self.destination.directory else {
            return Ok(());
        };
        for batch in batches {
            self.activity.now("writing files");
            directory.write(bundle(batch), Utc::now()).await?;
        }
        Ok(())
    }

    fn name_skipped(&mut self, skipped: &[Skipped]) {
        let first = self.named;
        self.named += skipped.len() as u64;
        for (skipped, number) in skipped.iter().zip(first..) {
            if number == NAMED_SKIPS {
                tracing::warn!(
                    "more is not sent: the summary of the run counts it, log level debug names it"
                );
            }
            let (id, kind, reason) = (&skipped.id, &skipped.kind, &skipped.reason);
            if number < NAMED_SKIPS {
                tracing::warn!(id, kind, reason, "not sent");
            } else {
                tracing::debug!(id, kind, reason, "not sent");
            }
        }
    }
}

fn ids_of<'o>(objects: impl Iterator<Item = &'o Arc<StixObject>>) -> Vec<Box<str>> {
    objects.map(|object| object.id.clone().into()).collect()
}

/// Nothing is wrong with what is left as it is: it is named for who looks for it.
fn log_left(left: &[Skipped]) {
    for Skipped { id, kind, reason } in left {
        tracing::debug!(id, kind, reason, "left as it is at the destination");
    }
}

/// How large messages may be, as far as some were refused.
fn message_limit(destination: &Destination) -> Option<MessageLimit> {
    let (several, one) = destination.pusher.largest_bodies()?;
    Some(MessageLimit {
        protocol: destination.protocol,
        several,
        one,
    })
}

fn packing(destination: &Destination, batch_size: usize) -> Packing {
    if !destination.sends_to_queue {
        return Packing::Closed { batch_size };
    }
    match destination.protocol {
        QueueProtocol::Amqp if destination.rules.imports_messages_whole => {
            Packing::Closed { batch_size }
        }
        QueueProtocol::Amqp => Packing::Waves { batch_size: 1 },
        QueueProtocol::Api => Packing::Waves { batch_size },
    }
}
