//! The sending half of a run: a converted page becomes messages, messages become receipts, receipts
//! become the state.
//!
//! **Invariant.** The state moves over a page only with the receipt of all its messages, and the first
//! message of a work is sent only when the platform has stored the state that names the work.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::connector::{Converted, Deferred, Position, Skipped, Tally};
use crate::opencti::{Delivery, Expectations, Message, MessageLimit, MessageWriter, Pending, Work};
use crate::runtime::import::activity::Activity;
use crate::runtime::import::admission::Admission;
use crate::runtime::import::back_pressure::BackPressure;
use crate::runtime::import::destination::Destination;
use crate::runtime::import::packer::{Ahead, Batch, Packer, Packing, Wave};
use crate::runtime::import::progress::Progress;
use crate::runtime::import::run::{Outcome, RunError};
use crate::runtime::import::summary::summary;
use crate::runtime::session::state::{AtOnce, ClosePlan, OpenWork, State};
use crate::runtime::session::state_store::{StateStore, Superseded};
use crate::runtime::session::stop::{SENDING_GRACE, Stopping};
use crate::settings::QueueProtocol;
use crate::stix::{StixObject, bundle};
use crate::telemetry::Instruments;
use crate::telemetry::logs::Chain;
use crate::telemetry::metrics::Fate;

/// Pages whose messages may be unconfirmed at once.
const UNCONFIRMED_PAGES: usize = 3;
/// After a failure, the most that is waited for the receipts of what was announced.
const LAST_RECEIPTS: Duration = Duration::from_mins(1);
/// Objects that are not sent are named one by one in the log, up to so many a run; all are counted.
const NAMED_SKIPS: u64 = 100;
/// So many objects that others wait for are looked out for: far more than the state remembers.
const NEEDED: usize = 10_000;
/// Between two looks whether somebody has cleared the work.
const LOOK_AT_WORK_EVERY: Duration = Duration::from_secs(5);
/// How long the state may stay at home before nothing more is sent.
const STORED_LIMIT: Duration = Duration::from_mins(10);

/// What the last message of a page completes.
#[derive(Default)]
struct UnitEnd {
    position: Option<Position>,
    acknowledged: Acknowledged,
}

/// What a receipt stands for, beside a position.
#[derive(Default)]
struct Acknowledged {
    /// The types of the objects that are sent with it.
    kinds: Vec<Cow<'static, str>>,
    /// Objects that were held back by earlier runs and are sent now.
    resolved: Vec<Box<str>>,
    /// Objects that others wait for.
    arrived: Vec<Box<str>>,
    /// What is held back, whatever it waits for.
    deferred: Vec<Deferred>,
    /// What is not sent.
    skipped: Vec<Skipped>,
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
    /// Of the keeper, for this run.
    epoch: u64,
    back_pressure: &'a mut BackPressure,
    activity: &'a Activity,
    title: String,
    admission: Admission,
    /// What is held back in this run for a reason that can be mended.
    deferred_now: HashSet<Box<str>>,
    /// What earlier runs held back, and remembered.
    deferred_before: HashSet<Box<str>>,
    /// What of that is tried again in this run.
    tried_again: HashSet<Box<str>>,
    /// Of these, what was sent and only lacks parts: those parts.
    parts_tried_again: HashMap<Box<str>, Vec<Deferred>>,
    /// What others wait for that are held back.
    needed: HashSet<Box<str>>,
    packer: Packer,
    /// How large messages may be, where larger ones were refused.
    limit: Option<MessageLimit>,
    work: Option<Work>,
    looked_at_work: Instant,
    /// The work was left open by a process before: who knows what that one announced and never sent.
    is_taken_over: bool,
    unconfirmed: VecDeque<Unconfirmed>,
    tally: Tally,
    /// How many objects that are not sent were named one by one.
    named: u64,
    alarms: Vec<String>,
    progress: Progress,
    /// Cancelled when what is not delivered yet is not to be delivered any more.
    given_up: CancellationToken,
    /// For releases newer than known: whether the platform announces messages of one object.
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
            packer: Packer::new(packing(destination, batch_size)).up_to(limit),
            limit,
            work: None,
            looked_at_work: Instant::now(),
            is_taken_over: false,
            unconfirmed: VecDeque::new(),
            tally: Tally::default(),
            named: 0,
            alarms: Vec::new(),
            progress: Progress::default(),
            given_up: CancellationToken::new(),
            platform_adds: None,
        }
    }

    /// Whether the reason for which an object was held back is gone.
    pub(crate) async fn has_passed(&mut self, deferred: &Deferred) -> Result<bool, RunError> {
        Ok(self
            .admission
            .has_passed(self.destination, deferred)
            .await?)
    }

    /// Whether something that was held back for this cause can be sent now.
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

    pub(crate) fn pages(&self) -> u64 {
        self.progress.pages()
    }

    pub(crate) fn into_tally(self) -> Tally {
        self.tally
    }

    /// Changes the state, unless something has overtaken the run.
    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) -> Result<(), Superseded> {
        self.state_store.change(self.epoch, change)
    }

    /// Begins anew behind the last receipt, with messages as large as are taken; false where that
    /// would make none smaller. As after a death: the work is in the state, and whoever goes on with it
    /// makes up for what was announced and is not sent any more.
    pub(crate) fn pack_smaller(&mut self) -> bool {
        let limit = message_limit(self.destination);
        // It only ever falls.
        if limit == self.limit {
            return false;
        }
        self.given_up.cancel();
        self.given_up = CancellationToken::new();
        self.unconfirmed.clear();
        self.limit = limit;
        self.packer.begin_again(self.limit);
        self.admission = Admission::default();
        self.deferred_now.clear();
        self.work = None;
        self.is_taken_over = false;
        true
    }

    /// Goes on with a work that a process before left open.
    pub(crate) fn take_over(&mut self, work: Work) {
        self.work = Some(work);
        self.is_taken_over = true;
    }

    /// Notes what earlier runs held back, and which of it is tried again.
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

    /// Sends one page, and takes the receipts of earlier ones.
    pub(crate) async fn page(
        &mut self,
        mut page: Converted,
        stop: &CancellationToken,
    ) -> Result<(), RunError> {
        self.activity.now(format!("sending {}", page.stream));
        let waiting = self.back_pressure.wait(self.destination, self.activity);
        if stop.run_until_cancelled(waiting).await.is_none() {
            return Ok(());
        }
        self.look_at_work().await?;
        if !self.make_markings(&page, stop).await? {
            return Ok(());
        }
        if self.admission.looks_at_destination(self.destination, &page)
            && !self.wait_for_previous(stop).await?
        {
            return Ok(());
        }
        let is_settled = !self.is_taken_over;
        let admitted = self
            .admission
            .admit(self.destination, &mut page, is_settled);
        let rejected = admitted.await?;
        rejected.note_in(&mut self.packer, &page);
        self.leave_what_lacks_the_same(&mut page);
        self.packer.set_listed(self.admission.listed_markings());
        let packed = self.packer.pack(&page);
        page.deferred.extend(packed.dependents);
        page.remember_unit();
        self.note_deferred(&page.deferred);
        let deferred: HashSet<&str> = packed
            .deferred
            .iter()
            .map(|skipped| skipped.id.as_str())
            .collect();
        page.objects
            .retain(|object| !deferred.contains(&*object.id));
        page.skipped
            .extend(packed.deferred.iter().chain(&packed.links_lost).cloned());
        self.tell(&page);
        let sent_of = |set: &HashSet<Box<str>>| -> Vec<Box<str>> {
            let ids = page.objects.iter().map(|object| &object.id);
            ids.filter(|id| set.contains(&***id))
                .cloned()
                .map(Into::into)
                .collect()
        };
        let counted_as = |object: &Arc<StixObject>| match page.counts_as {
            Some(kind) => kind.into(),
            None => object.kind.clone(),
        };
        let mut resolved = match &page.completes {
            // Of its first page, something is still missing.
            Some(id) if self.deferred_now.contains(id) => Vec::new(),
            Some(id) => vec![id.clone()],
            // Without its links, an object that only brings its files mends nothing.
            None if page.counts_as.is_some() => Vec::new(),
            None => sent_of(&self.deferred_before),
        };
        // Of these a part is still missing.
        resolved.retain(|id| {
            let mut deferred = page.deferred.iter();
            !page.files_follow.contains(id) && !deferred.any(|object| *object.id == **id)
        });
        let acknowledged = Acknowledged {
            kinds: page.objects.iter().map(counted_as).collect(),
            resolved,
            arrived: sent_of(&self.needed),
            deferred: page.deferred,
            skipped: page.skipped,
        };
        let mut end = Some(UnitEnd {
            position: page.position,
            acknowledged,
        });
        let last = packed.waves.len().saturating_sub(1);
        for (number, wave) in packed.waves.into_iter().enumerate() {
            let end = if number == last { end.take() } else { None };
            if !self.wave(wave, end, stop).await? {
                return Ok(());
            }
        }
        // A page without anything to send is done when those before it are.
        if end.is_some() {
            self.deliver(Vec::new(), end).await?;
        }
        self.receipts(UNCONFIRMED_PAGES).await
    }

    /// Makes the markings that the destination does not have, ahead of the objects that need them;
    /// false when the wish to stop came while it had to wait.
    async fn make_markings(
        &mut self,
        page: &Converted,
        stop: &CancellationToken,
    ) -> Result<bool, RunError> {
        let to_make = self
            .admission
            .markings_to_make(self.destination, page)
            .await?;
        if to_make.is_empty() {
            return Ok(true);
        }
        if !self.destination.sends_to_queue {
            // Whoever imports the files has them ahead of their objects.
            self.admission.assume_made(&to_make);
            return Ok(true);
        }
        let Ahead { wave, too_large } = self.packer.pack_ahead(to_make);
        self.admission.reject_markings(&too_large);
        if wave.batches.is_empty() {
            return Ok(true);
        }
        let to_make: Vec<_> = wave.batches.iter().flatten().cloned().collect();
        let sent = self.wave(wave, None, stop).await? && self.until_imported(stop).await?;
        if sent {
            self.admission
                .learn_made(self.destination, &to_make)
                .await?;
        }
        Ok(sent)
    }

    /// Looks now and then whether somebody has cleared the work: then its messages are dropped, and
    /// sending more of them is for nothing.
    async fn look_at_work(&mut self) -> Result<(), RunError> {
        if self.looked_at_work.elapsed() < LOOK_AT_WORK_EVERY {
            return Ok(());
        }
        self.looked_at_work = Instant::now();
        self.check_work().await
    }

    /// Fails if somebody has cleared the work.
    pub(crate) async fn check_work(&self) -> Result<(), RunError> {
        match &self.work {
            Some(work) => Ok(work.check().await?),
            None => Ok(()),
        }
    }

    /// Names what is not sent, and says that the page is there. It counts with the page's receipt.
    fn tell(&mut self, page: &Converted) {
        self.name_skipped(&page.skipped);
        for alarm in &page.alarms {
            tracing::error!(stream = page.stream, "{alarm}");
            if !self.alarms.contains(alarm) {
                self.alarms.push(alarm.clone());
            }
        }
        // Nothing for each object at info.
        if page.counts_as.is_some() {
            tracing::debug!(stream = page.stream, "object with files read");
            return;
        }
        tracing::info!(
            stream = page.stream,
            page.number = page.number,
            page.objects = page.objects.len(),
            page.skipped = page.skipped.len(),
            stream.total = page.stream_total,
            "page read"
        );
    }

    /// What was tried again for its parts, and lacks them still, was sent as it is: sending it once more in each run
    /// would be for nothing.
    fn leave_what_lacks_the_same(&self, page: &mut Converted) {
        if !page.is_again || page.counts_as.is_some() || page.deferred.is_empty() {
            return;
        }
        let lacks = |part: &Deferred| {
            let mut deferred = page.deferred.iter();
            deferred.any(|deferred| {
                let is_at_source = deferred.at_source.is_some() == part.at_source.is_some();
                is_at_source && deferred.id == part.id && deferred.needs == part.needs
            })
        };
        let is_as_it_was = |object: &Arc<StixObject>| {
            let parts = self.parts_tried_again.get(&*object.id);
            let lacks_all = parts.is_some_and(|parts| parts.iter().all(lacks));
            lacks_all && !page.files_follow.contains(&*object.id)
        };
        let sent = page.objects.iter().filter(|object| is_as_it_was(object));
        let sent: HashSet<Box<str>> = sent.map(|object| object.id.clone().into()).collect();
        for objects in [&mut page.objects, &mut page.second_pass] {
            objects.retain(|object| !sent.contains(&*object.id));
        }
    }

    /// What of what is tried again stays held back. What is only skipped does not: it was read, and goes when it
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

    /// Sends one wave; false when the wish to stop came while it had to wait.
    async fn wave(
        &mut self,
        wave: Wave,
        end: Option<UnitEnd>,
        stop: &CancellationToken,
    ) -> Result<bool, RunError> {
        if !self.open_work(stop).await? {
            return Ok(false);
        }
        if wave.waits && !self.until_imported(stop).await? {
            return Ok(false);
        }
        self.write_files(&wave.batches).await?;
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

    /// Waits until all that was sent is imported; false when the wish to stop came meanwhile.
    async fn until_imported(&mut self, stop: &CancellationToken) -> Result<bool, RunError> {
        self.receipts(0).await?;
        let importing = self.wait_until_imported();
        match stop.run_until_cancelled(importing).await {
            Some(imported) => imported.map(|()| true),
            None => Ok(false),
        }
    }

    async fn wait_until_imported(&mut self) -> Result<(), RunError> {
        let work = open(&mut self.work)?;
        let back_pressure = &*self.back_pressure;
        Ok(back_pressure
            .wait_until_imported(self.destination, work, self.activity)
            .await?)
    }

    /// Waits until the workers are through with the work of the run before, unless this run has gone on
    /// with it; false when the wish to stop came meanwhile.
    async fn wait_for_previous(&mut self, stop: &CancellationToken) -> Result<bool, RunError> {
        if self.work.is_some() {
            return Ok(true);
        }
        let previous =
            self.back_pressure
                .wait_for_previous(self.destination, self.state_store, self.activity);
        tokio::select! {
            waited = stop.run_until_cancelled(previous) => Ok(waited.transpose()?.is_some()),
            () = self.state_store.superseded(self.epoch) => Err(RunError::Superseded),
        }
    }

    /// Opens the work if that has not been done, once the work of the run before is complete; false
    /// when the wish to stop came meanwhile. The opening itself is not broken off: its work would
    /// stay behind, open and nobody's.
    async fn open_work(&mut self, stop: &CancellationToken) -> Result<bool, RunError> {
        if self.work.is_some() {
            return Ok(true);
        }
        if let Some(user) = self.admission.powerless_user(self.destination).await? {
            return Err(RunError::Powerless { user });
        }
        if !self.wait_for_previous(stop).await? {
            return Ok(false);
        }
        let platform = Arc::clone(&self.destination.home.platform);
        let work = Work::open(platform, self.destination.home.connector_id, &self.title).await?;
        // Whoever may not look at works could never tell that one is complete.
        if let Err(error) = work.count().await {
            let message = Chain(&error).to_string();
            work.say(&message, true).await?;
            return Err(error.into());
        }
        self.looked_at_work = Instant::now();
        let work = self.work.insert(work);
        let id = work.id().to_owned();
        let noted = self.state_store.change(self.epoch, |state| {
            state.work = Some(OpenWork {
                id,
                began_at: state.streams.clone(),
                after_first_pass: state.first_pass_complete,
                resolved: Vec::new(),
                sent: BTreeMap::new(),
                closing: None,
            });
        });
        work.add_sentinel().await?;
        if noted.is_err() {
            self.close_unused().await?;
            return Err(RunError::Superseded);
        }
        // From here on messages name the work: whoever comes after a death has to find it.
        self.activity
            .now("waiting until the destination has stored the state");
        tokio::select! {
            biased;
            stored = self.state_store.stored(self.epoch) => stored?,
            reason = self.state_store.state_refused() => return Err(RunError::StateRefused(reason)),
            () = tokio::time::sleep(STORED_LIMIT) => return Err(RunError::NotStored(STORED_LIMIT)),
        }
        Ok(true)
    }

    /// A work that was opened just when a reset came: nobody else knows of it.
    async fn close_unused(&mut self) -> Result<(), RunError> {
        if let Some(work) = self.work.take() {
            work.say("The connector was reset.", true).await?;
            work.release().await?;
        }
        Ok(())
    }

    fn messages(&mut self, batches: &[Batch]) -> Result<Vec<Message>, RunError> {
        let work_id = open(&mut self.work)?.id().into();
        let writer = MessageWriter {
            rules: self.destination.rules,
            protocol: self.destination.protocol,
            applicant_id: self.destination.home.applicant_id.clone(),
            work_id,
        };
        let write = |batch: &Batch| Ok(writer.write(bundle(batch), batch.len() as u64)?);
        batches.iter().map(write).collect()
    }

    /// Announces first: a report that nobody expects would complete the work too early.
    async fn expect_and_deliver(
        &mut self,
        mut messages: Vec<Message>,
        end: Option<UnitEnd>,
    ) -> Result<(), RunError> {
        let platform_adds = match self.destination.rules.expectations {
            Expectations::Sender => {
                let work = open(&mut self.work)?;
                work.add_expectations(objects_of(&messages)).await?;
                return self.deliver(messages, end).await;
            }
            Expectations::WorkerUnlessSingle => false,
            Expectations::Unknown => self.who_adds(&mut messages).await?,
        };
        let work = open(&mut self.work)?;
        for message in &mut messages {
            message.counted = u64::from(message.objects == 1 && !platform_adds);
        }
        let ours = messages.iter().map(|message| message.counted).sum();
        work.note_added_by_others(objects_of(&messages) - ours);
        work.add_expectations(ours).await?;
        self.deliver(messages, end).await
    }

    /// On a release newer than known: whether the platform itself announces a message of one object.
    /// The work's own count tells, once, with the first such message.
    async fn who_adds(&mut self, messages: &mut Vec<Message>) -> Result<bool, RunError> {
        if let Some(known) = self.platform_adds {
            return Ok(known);
        }
        let Some(first_single) = messages.iter().position(|message| message.objects == 1) else {
            return Ok(false);
        };
        self.receipts(0).await?;
        self.wait_until_imported().await?;
        let work = open(&mut self.work)?;
        let before = work.count().await?.expected;
        let mut single = messages.remove(first_single);
        // Whoever announces it, the count has to tell: nothing of ours may be in it.
        single.counted = 0;
        self.deliver(vec![single], None).await?;
        self.receipts(0).await?;
        let work = open(&mut self.work)?;
        let platform_adds = work.count().await?.expected > before;
        if platform_adds {
            work.note_added_by_others(1);
        } else {
            work.add_expectations(1).await?;
        }
        self.platform_adds = Some(platform_adds);
        Ok(platform_adds)
    }

    async fn deliver(
        &mut self,
        messages: Vec<Message>,
        end: Option<UnitEnd>,
    ) -> Result<(), RunError> {
        let UnitEnd {
            position,
            acknowledged,
        } = end.unwrap_or_default();
        let delivery = Delivery {
            messages,
            position,
            expectations: self.work.as_ref().map(Work::expectations),
            given_up: self.given_up.clone(),
        };
        self.destination.sent.note(&delivery.messages);
        let (messages, handed_over) = (delivery.messages.len(), Instant::now());
        let pusher = &self.destination.pusher;
        let pending = pusher.while_confirming(pusher.deliver(delivery)).await?;
        self.unconfirmed.push_back(Unconfirmed {
            pending,
            acknowledged,
            messages,
            handed_over,
        });
        Ok(())
    }

    /// Takes receipts, in order, until no more than so many are outstanding.
    pub(crate) async fn receipts(&mut self, outstanding: usize) -> Result<(), RunError> {
        while self.unconfirmed.len() > outstanding {
            self.next_receipt().await?;
        }
        Ok(())
    }

    /// Takes the next receipt when it comes; where none is outstanding, none ever comes. What has its
    /// receipt counts as sent, and the state moves over it. May be broken off.
    pub(crate) async fn next_receipt(&mut self) -> Result<(), RunError> {
        let Some(first) = self.unconfirmed.front_mut() else {
            return std::future::pending().await;
        };
        let pusher = &self.destination.pusher;
        // It stays the first until it is there: nothing moves past a page that was not delivered.
        let receipt = pusher.while_confirming(first.pending.receipt()).await?;
        let acknowledged = std::mem::take(&mut first.acknowledged);
        let (messages, took) = (first.messages, first.handed_over.elapsed());
        self.unconfirmed.pop_front();
        self.activity.now("sending");
        let confirmed = self.progress.advance(receipt);
        self.count_confirmed(messages, took, &acknowledged);
        if let Some((stream, until)) = confirmed {
            let reading = &self.destination.home.instruments.metrics.reading;
            reading.note_seen(stream, until);
        }
        self.note_done(acknowledged)?;
        Ok(())
    }

    fn count_confirmed(&self, messages: usize, took: Duration, acknowledged: &Acknowledged) {
        let Instruments {
            metrics, health, ..
        } = &self.destination.home.instruments;
        health.note_progress();
        if messages > 0 {
            metrics.queue.count_confirm(took);
        }
        metrics.standard.bundles.inc_by(messages as u64);
        metrics
            .standard
            .records
            .inc_by(acknowledged.kinds.len() as u64);
        let mut by_kind: BTreeMap<&str, u64> = BTreeMap::new();
        for kind in &acknowledged.kinds {
            *by_kind.entry(kind).or_default() += 1;
        }
        for (kind, objects) in by_kind {
            metrics.objects.count(kind, Fate::Sent, objects);
        }
        for object in &acknowledged.deferred {
            metrics.objects.count(&object.kind, Fate::Deferred, 1);
        }
        for skipped in &acknowledged.skipped {
            let (kind, reason) = (&skipped.kind, &skipped.reason);
            metrics.objects.count_not_sent(kind, reason);
        }
    }

    fn note_done(&mut self, acknowledged: Acknowledged) -> Result<(), Superseded> {
        self.tally
            .count_sent(acknowledged.kinds.iter().map(|kind| &**kind));
        self.tally.count_skipped(&acknowledged.skipped);
        let (progress, today) = (&self.progress, Utc::now().date_naive());
        let mut given_up = Vec::new();
        self.state_store.change(self.epoch, |state| {
            progress.write(&mut state.streams);
            if let Some(work) = &mut state.work {
                work.count_sent(&acknowledged.kinds);
            }
            state.resolve(&acknowledged.resolved);
            state.note_arrived(&acknowledged.arrived);
            given_up = state.defer_on(today, acknowledged.deferred);
        })?;
        for object in given_up {
            tracing::warn!(
                id = object.id,
                kind = object.kind,
                reason = object.reason,
                "the source has failed at it on seven different days: it is not asked for again until it changes, or what it needs is sent"
            );
        }
        Ok(())
    }

    /// After a failure: what was announced is still delivered, if the broker takes it soon.
    async fn last_receipts(&mut self, grace: Duration, stopping: &Stopping) {
        let all = async {
            if let Err(error) = self.receipts(0).await {
                tracing::warn!(error = %Chain(&error), "not every message of the failed run was delivered");
            }
        };
        tokio::select! {
            () = all => {}
            () = tokio::time::sleep(grace) => {}
            () = stopping.after(SENDING_GRACE) => {}
        }
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

    /// Ends the run: what is not delivered is given up, and the state says how the work is to be
    /// closed. Closing it is the work closer's.
    pub(crate) async fn end(&mut self, outcome: Outcome, stopping: &Stopping) -> Outcome {
        if let Outcome::Failed(error) = &outcome {
            self.last_receipts(grace_after(error), stopping).await;
        }
        self.given_up.cancel();
        let ending = match &outcome {
            // Whoever overtook the run has seen to its work.
            Outcome::Superseded => return outcome,
            Outcome::Cleared => {
                tracing::warn!(
                    "somebody cleared the work of this run at the destination, and with it its messages: the next run sends them once more"
                );
                let going_back = self.change(|state| {
                    state.go_back_leaving_work(
                        "Somebody cleared this work: what it held is sent once more.",
                    );
                });
                return superseded_or(going_back, outcome);
            }
            Outcome::Complete => self.note_complete(),
            Outcome::Stopped | Outcome::Failed(_) => Ok(()),
        };
        self.raise_alarm_if_nothing_fits();
        let Some(work) = &self.work else {
            return superseded_or(ending, outcome);
        };
        let at_once = match outcome {
            _ if self.is_exact(work) => AtOnce::Everything,
            Outcome::Complete => AtOnce::Nothing,
            _ => AtOnce::Sentence,
        };
        let closing = self.closing(&outcome, at_once);
        let noted = self.change(|state| {
            if let Some(work) = &mut state.work {
                work.closing = Some(closing);
            }
        });
        superseded_or(ending.and(noted), outcome)
    }

    /// A run whose objects were all too large does not look well: somebody has to change a limit.
    fn raise_alarm_if_nothing_fits(&mut self) {
        let Some(limit) = message_limit(self.destination) else {
            return;
        };
        let what = limit.what_is_larger();
        let too_large = self.tally.skipped_for(what);
        if too_large == 0 || self.tally.sent_total() > 0 {
            return;
        }
        let alarm = format!("Nothing could be sent: {too_large} objects are {what}.");
        tracing::error!("{alarm}");
        self.alarms.push(alarm);
    }

    /// Whether the work expects just what the broker has confirmed. Else what was announced and may not
    /// come has to be waited for, and made up for.
    fn is_exact(&self, work: &Work) -> bool {
        self.unconfirmed.is_empty() && !self.is_taken_over && work.expects_what_was_sent()
    }

    /// Everything was read once; what was tried again and is not held back any more has come, is gone at the source,
    /// or is skipped for good.
    fn note_complete(&self) -> Result<(), Superseded> {
        let is_past = |object: &Deferred| {
            let id = object.id.as_str();
            self.tried_again.contains(id) && !self.deferred_now.contains(id)
        };
        self.change(|state| state.complete_pass(is_past))
    }

    /// All that the work holds, also what a process before has sent with it.
    fn sent_and_not(&self) -> String {
        if !self.is_taken_over {
            return summary(&self.tally);
        }
        let sent = |state: &State| state.work.as_ref().map(|work| work.sent.clone());
        let all = Tally {
            sent: self.state_store.look(sent).unwrap_or_default(),
            skipped: self.tally.skipped.clone(),
        };
        format!(
            "{} {} of them since the restart, from which on it is counted what is not sent.",
            summary(&all),
            self.tally.sent_total()
        )
    }

    fn closing(&self, outcome: &Outcome, at_once: AtOnce) -> ClosePlan {
        let mut message = match outcome {
            Outcome::Stopped => "Stopped before the end. ".to_owned(),
            Outcome::Failed(error) => format!("Failed: {}. ", Chain(error)),
            _ => String::new(),
        };
        message.push_str(&self.sent_and_not());
        for alarm in &self.alarms {
            message.push(' ');
            message.push_str(alarm);
        }
        let in_error = matches!(outcome, Outcome::Failed(_)) || !self.alarms.is_empty();
        ClosePlan::new(message, in_error, at_once)
    }
}

/// How long to wait for the receipts of what was announced before the run failed: where nothing has happened for a
/// while, not for longer than that while.
fn grace_after(error: &RunError) -> Duration {
    match error {
        RunError::Stalled { limit, .. } => LAST_RECEIPTS.min(*limit),
        _ => LAST_RECEIPTS,
    }
}

/// The work that messages need; without one, sending would lose them.
fn open(work: &mut Option<Work>) -> Result<&mut Work, RunError> {
    work.as_mut().ok_or(RunError::NoWork)
}

fn objects_of(messages: &[Message]) -> u64 {
    messages.iter().map(|message| message.objects).sum()
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

fn superseded_or(changed: Result<(), Superseded>, outcome: Outcome) -> Outcome {
    match changed {
        Ok(()) => outcome,
        Err(Superseded) => Outcome::Superseded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_got_nowhere_for_moments_does_not_wait_a_minute_more() {
        let stalled = |limit| RunError::Stalled {
            limit,
            doing: "sending".to_owned(),
        };
        let moments = Duration::from_secs(8);
        assert_eq!(grace_after(&stalled(moments)), moments);
        let long = Duration::from_mins(30);
        assert_eq!(grace_after(&stalled(long)), LAST_RECEIPTS);
        assert_eq!(grace_after(&RunError::NoWork), LAST_RECEIPTS);
    }
}
