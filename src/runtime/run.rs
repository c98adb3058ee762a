//! One run, top to bottom: page → convert → pack → announce → push → receipt → close.
//!
//! The next page is fetched by a task of its own while this one is converted and sent. A run's work is
//! opened with the first thing to send, and closed on every way out.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::batch::{Batch, Packer, Packing, Wave};
use super::progress::Progress;
use super::room::Room;
use super::stop::{CLOSING_GRACE, SENDING_GRACE, Stopping};
use super::summary::summary;
use crate::connector::{
    Connector, Converted, Converter, Position, Resume, Skipped, Source, SourceError, Tally,
};
use crate::graphql::RetryPolicy;
use crate::opencti::{
    Delivery, Expectations, Message, MessageWriter, Pending, PushError, Pusher, Rules, Work,
    WorkError,
};
use crate::platform::{Platform, PlatformError};
use crate::settings::QueueProtocol;
use crate::stix::{StixObject, bundle};
use crate::telemetry::logs::Chain;

/// Pages whose messages may be unconfirmed at once.
const UNCONFIRMED_PAGES: usize = 3;
/// After a failure, the most that is waited for the receipts of what was announced.
const LAST_RECEIPTS: Duration = Duration::from_mins(1);
/// Objects that are not sent are named one by one in the log, up to so many a run; all are counted.
const NAMED_SKIPS: u64 = 100;

/// Where a run's objects go.
#[derive(Debug)]
pub struct Destination {
    /// The platform.
    pub platform: Arc<Platform>,
    /// The connector's id there.
    pub connector_id: Uuid,
    /// The connector's name there.
    pub connector_name: String,
    /// The user on whose behalf the workers import.
    pub applicant_id: String,
    /// The way to the queue.
    pub protocol: QueueProtocol,
    /// What the platform's release asks for.
    pub rules: Rules,
    /// The queue.
    pub pusher: Pusher,
}

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The source cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The work cannot be kept.
    #[error(transparent)]
    Work(#[from] WorkError),
    /// The destination does not answer.
    #[error("cannot ask the destination what it knows")]
    Destination(#[from] PlatformError),
    /// A message cannot be delivered.
    #[error(transparent)]
    Push(#[from] PushError),
    /// There is something to send and no work: a defect of this program.
    #[error("there is no open work to send for")]
    NoWork,
    /// A message cannot be written.
    #[error("a message cannot be written")]
    Message(#[from] serde_json::Error),
    /// A task ended by itself.
    #[error("reading the source ended unexpectedly")]
    Interrupted,
}

/// How a run ended.
#[derive(Debug)]
pub enum Outcome {
    /// Everything was read and confirmed.
    Complete,
    /// It was asked to stop.
    Stopped,
    /// It failed.
    Failed(RunError),
}

/// What a run did.
#[derive(Debug)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// What was sent, and what was not.
    pub tally: Tally,
    /// How far everything is confirmed.
    pub progress: Progress,
    /// Its work, if anything was sent.
    pub work: Option<Work>,
}

/// Runs once. `previous` is the work of the run before: it has to be complete before another one is
/// opened, because some releases drop the messages of an older work (spec/protocol.md §5).
pub(super) async fn run<C: Connector>(
    connector: &C,
    destination: &Destination,
    previous: Option<Work>,
    room: &mut Room,
    stopping: &Stopping,
) -> Report {
    let mut sending = Sending::new(connector, destination, previous, room);
    let outcome = match drive(connector, &mut sending, stopping).await {
        Ok(()) if stopping.token().is_cancelled() => Outcome::Stopped,
        Ok(()) => Outcome::Complete,
        Err(error) => {
            sending.last_receipts(stopping).await;
            Outcome::Failed(error)
        }
    };
    let outcome = sending.close(outcome, stopping).await;
    Report {
        outcome,
        tally: sending.tally,
        progress: sending.progress,
        // The next run still has to wait for the work of an earlier one if this one opened none.
        work: sending.work.or(sending.previous),
    }
}

async fn drive<C: Connector>(
    connector: &C,
    sending: &mut Sending<'_>,
    stopping: &Stopping,
) -> Result<(), RunError> {
    let stop = stopping.token();
    let Some(source) = stop
        .run_until_cancelled(connector.open(Resume::default()))
        .await
    else {
        return Ok(());
    };
    let source = source?;
    let mut converter = source.converter();
    let mut pages = fetch(source, stop.clone());
    let sent = async {
        while !stop.is_cancelled() {
            match pages.recv().await {
                Some(page) => match page? {
                    Some(page) => sending.page(converter.convert(page), stop).await?,
                    None => break,
                },
                None if stop.is_cancelled() => break,
                None => return Err(RunError::Interrupted),
            }
        }
        sending.receipts(0).await
    };
    // Asked to stop, what is being sent has a moment to be sent whole.
    tokio::select! {
        outcome = sent => outcome,
        () = stopping.after(SENDING_GRACE) => Ok(()),
    }
}

/// A page, or the end of the source.
type Fetched<S> = Result<Option<<S as Source>::Page>, SourceError>;

/// Reads ahead by one page, on a task of its own, until the end, an error, or the wish to stop.
fn fetch<S: Source>(mut source: S, stop: CancellationToken) -> mpsc::Receiver<Fetched<S>> {
    let (pages, fetched) = mpsc::channel(1);
    tokio::spawn(async move {
        while let Some(page) = stop.run_until_cancelled(source.next_page()).await {
            let is_last = !matches!(page, Ok(Some(_)));
            if pages.send(page).await.is_err() || is_last {
                return;
            }
        }
    });
    fetched
}

/// What the last message of a page completes.
struct PageEnd {
    position: Option<Position>,
    /// The types of the page's objects.
    kinds: Vec<&'static str>,
}

/// A delivery on its way.
struct Unconfirmed {
    pending: Pending,
    /// The types of the objects that it completes.
    kinds: Vec<&'static str>,
}

/// The sending half of a run.
struct Sending<'a> {
    destination: &'a Destination,
    title: String,
    room: &'a mut Room,
    /// Whether the destination lacks the type, for each that was met.
    unknown_types: HashMap<Box<str>, bool>,
    packer: Packer,
    previous: Option<Work>,
    work: Option<Work>,
    unconfirmed: VecDeque<Unconfirmed>,
    tally: Tally,
    progress: Progress,
    /// Cancelled when what is not delivered yet is not to be delivered any more.
    given_up: CancellationToken,
    /// For releases newer than known: whether the platform announces messages of one object.
    platform_announces: Option<bool>,
}

impl<'a> Sending<'a> {
    fn new<C: Connector>(
        connector: &C,
        destination: &'a Destination,
        previous: Option<Work>,
        room: &'a mut Room,
    ) -> Self {
        let title = format!(
            "{}: {}, {}",
            destination.connector_name,
            connector.subject(),
            Utc::now().format("%Y-%m-%d %H:%M UTC")
        );
        Self {
            destination,
            title,
            room,
            unknown_types: HashMap::new(),
            packer: Packer::new(packing(destination, connector.batch_size())),
            previous,
            work: None,
            unconfirmed: VecDeque::new(),
            tally: Tally::default(),
            progress: Progress::default(),
            given_up: CancellationToken::new(),
            platform_announces: None,
        }
    }

    /// Sends one page, and takes the receipts of earlier ones.
    async fn page(
        &mut self,
        mut page: Converted,
        stop: &CancellationToken,
    ) -> Result<(), RunError> {
        let waiting = self.room.wait(self.destination);
        if stop.run_until_cancelled(waiting).await.is_none() {
            return Ok(());
        }
        self.hold_back_unknown_types(&mut page).await?;
        let skipped = page.skipped.iter().map(|skipped| skipped.id.as_str());
        self.packer.note_not_sent(skipped);
        let packed = self.packer.pack(&page);
        let held_back: HashSet<&str> = packed
            .held_back
            .iter()
            .map(|skipped| skipped.id.as_str())
            .collect();
        page.objects
            .retain(|object| !held_back.contains(&*object.id));
        page.skipped
            .extend(packed.held_back.iter().chain(&packed.links_lost).cloned());
        self.tell(&page);
        let mut end = Some(PageEnd {
            position: page.position,
            kinds: page.objects.iter().map(|object| object.kind).collect(),
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

    /// Counts and names what is not sent, and says that the page is there.
    fn tell(&mut self, page: &Converted) {
        self.name_skipped(&page.skipped);
        self.tally.count_skipped(&page.skipped);
        tracing::info!(
            stream = page.stream,
            page.number = page.page_number,
            page.objects = page.objects.len(),
            page.skipped = page.skipped.len(),
            stream.total = page.stream_total,
            "page read"
        );
    }

    async fn learn_type(&mut self, entity_type: &str) -> Result<(), RunError> {
        if !self.unknown_types.contains_key(entity_type) {
            let is_lacking = self
                .destination
                .platform
                .lacks_entity_type(entity_type)
                .await?;
            self.unknown_types.insert(entity_type.into(), is_lacking);
        }
        Ok(())
    }

    /// Objects of a type that the destination does not have would be dropped there, and on several
    /// releases their work would wait for them for ever (spec/protocol.md §7).
    async fn hold_back_unknown_types(&mut self, page: &mut Converted) -> Result<(), RunError> {
        for object in page.objects.iter().chain(&page.companions) {
            self.learn_type(object.kind).await?;
            if let Some((named, _)) = &object.names_type {
                self.learn_type(named).await?;
            }
        }
        let unknown = &self.unknown_types;
        let is_unknown = |object: &Arc<StixObject>| unknown.get(object.kind) == Some(&true);
        for object in &mut page.objects {
            // An indicator for a type that is not there is imported, if it does not say so.
            if object
                .names_type
                .as_ref()
                .is_some_and(|(named, _)| unknown.get(&**named) == Some(&true))
            {
                *object = Arc::new(object.naming_unknown_type());
            }
        }
        let release = self.destination.platform.release();
        let held_back = page
            .objects
            .iter()
            .filter(|object| is_unknown(object))
            .map(|object| Skipped {
                id: object.id.to_string(),
                kind: object.kind.to_owned(),
                reason: format!("the destination's release {release} does not have its type"),
            });
        page.skipped.extend(held_back);
        for objects in [&mut page.objects, &mut page.late, &mut page.companions] {
            objects.retain(|object| !is_unknown(object));
        }
        Ok(())
    }

    /// Sends one wave; false when the wish to stop came while it had to wait.
    async fn wave(
        &mut self,
        wave: Wave,
        end: Option<PageEnd>,
        stop: &CancellationToken,
    ) -> Result<bool, RunError> {
        if !self.open_work(stop).await? {
            return Ok(false);
        }
        if wave.waits {
            self.receipts(0).await?;
            let work = open(&mut self.work)?;
            let Some(imported) = stop.run_until_cancelled(work.wait_until_imported()).await else {
                return Ok(false);
            };
            imported?;
        }
        let messages = self.messages(&wave.batches)?;
        self.announce_and_deliver(messages, end).await?;
        Ok(true)
    }

    /// Opens the work if that has not been done, once the work of the run before is complete; false
    /// when the wish to stop came meanwhile. The opening itself is not broken off: its work would
    /// stay behind, open and nobody's.
    async fn open_work(&mut self, stop: &CancellationToken) -> Result<bool, RunError> {
        if self.work.is_some() {
            return Ok(true);
        }
        if let Some(previous) = &self.previous {
            let Some(complete) = stop
                .run_until_cancelled(previous.wait_until_complete())
                .await
            else {
                return Ok(false);
            };
            complete?;
        }
        let platform = Arc::clone(&self.destination.platform);
        let work = Work::open(platform, self.destination.connector_id, &self.title).await?;
        self.previous = None;
        self.work.insert(work).guard().await?;
        Ok(true)
    }

    fn messages(&mut self, batches: &[Batch]) -> Result<Vec<Message>, RunError> {
        let work_id = open(&mut self.work)?.id().into();
        let writer = MessageWriter {
            rules: self.destination.rules,
            protocol: self.destination.protocol,
            applicant_id: self.destination.applicant_id.clone(),
            work_id,
        };
        let write = |batch: &Batch| Ok(writer.write(bundle(batch), batch.len() as u64)?);
        batches.iter().map(write).collect()
    }

    /// Announces first: a report that nobody expects would complete the work too early.
    async fn announce_and_deliver(
        &mut self,
        mut messages: Vec<Message>,
        end: Option<PageEnd>,
    ) -> Result<(), RunError> {
        let platform_announces = match self.destination.rules.expectations {
            Expectations::Sender => {
                let work = open(&mut self.work)?;
                work.announce(objects_of(&messages)).await?;
                return self.deliver(messages, end).await;
            }
            Expectations::WorkerUnlessSingle => false,
            Expectations::Unknown => self.who_announces(&mut messages).await?,
        };
        let work = open(&mut self.work)?;
        for message in &mut messages {
            message.counted = u64::from(message.objects == 1 && !platform_announces);
        }
        let ours = messages.iter().map(|message| message.counted).sum();
        work.note_announced_by_others(objects_of(&messages) - ours);
        work.announce(ours).await?;
        self.deliver(messages, end).await
    }

    /// On a release newer than known: whether the platform itself announces a message of one object.
    /// The work's own count tells, once, with the first such message.
    async fn who_announces(&mut self, messages: &mut Vec<Message>) -> Result<bool, RunError> {
        if let Some(known) = self.platform_announces {
            return Ok(known);
        }
        let Some(first_single) = messages.iter().position(|message| message.objects == 1) else {
            return Ok(false);
        };
        self.receipts(0).await?;
        let work = open(&mut self.work)?;
        work.wait_until_imported().await?;
        let before = work.count().await?.expected;
        let mut single = messages.remove(first_single);
        // Whoever announces it, the count has to tell: nothing of ours may be in it.
        single.counted = 0;
        self.deliver(vec![single], None).await?;
        self.receipts(0).await?;
        let work = open(&mut self.work)?;
        let platform_announces = work.count().await?.expected > before;
        if platform_announces {
            work.note_announced_by_others(1);
        } else {
            work.announce(1).await?;
        }
        self.platform_announces = Some(platform_announces);
        Ok(platform_announces)
    }

    async fn deliver(
        &mut self,
        messages: Vec<Message>,
        end: Option<PageEnd>,
    ) -> Result<(), RunError> {
        let (position, kinds) = end.map(|end| (end.position, end.kinds)).unzip();
        let delivery = Delivery {
            messages,
            position: position.flatten(),
            announcer: self.work.as_ref().map(Work::announcer),
            given_up: self.given_up.clone(),
        };
        let pusher = &self.destination.pusher;
        let pending = pusher.while_confirming(pusher.deliver(delivery)).await?;
        let kinds = kinds.unwrap_or_default();
        self.unconfirmed.push_back(Unconfirmed { pending, kinds });
        Ok(())
    }

    /// Takes receipts, in order, until no more than so many are outstanding. What has its receipt
    /// counts as sent.
    async fn receipts(&mut self, outstanding: usize) -> Result<(), RunError> {
        while self.unconfirmed.len() > outstanding
            && let Some(unconfirmed) = self.unconfirmed.pop_front()
        {
            let pusher = &self.destination.pusher;
            let receipt = pusher
                .while_confirming(unconfirmed.pending.receipt())
                .await?;
            self.progress.advance(receipt);
            self.tally.count_sent(unconfirmed.kinds);
        }
        Ok(())
    }

    /// After a failure: what was announced is still delivered, if the broker takes it soon.
    async fn last_receipts(&mut self, stopping: &Stopping) {
        let all = async {
            while !self.unconfirmed.is_empty() {
                if let Err(error) = self.receipts(0).await {
                    tracing::warn!(error = %Chain(&error), "a message of the failed run was not delivered");
                }
            }
        };
        tokio::select! {
            () = all => {}
            () = tokio::time::sleep(LAST_RECEIPTS) => {}
            () = stopping.after(SENDING_GRACE) => {}
        }
    }

    fn name_skipped(&self, skipped: &[Skipped]) {
        let named = self.tally.skipped_total();
        for (skipped, number) in skipped.iter().zip(named..) {
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

    /// Closes the work, in error when the run failed.
    async fn close(&mut self, outcome: Outcome, stopping: &Stopping) -> Outcome {
        let Some(work) = &self.work else {
            return outcome;
        };
        let (message, in_error, policy) = match &outcome {
            Outcome::Complete => (summary(&self.tally), false, RetryPolicy::DURING_RUN),
            Outcome::Stopped => (
                format!("Stopped before the end. {}", summary(&self.tally)),
                false,
                RetryPolicy::CLOSING,
            ),
            Outcome::Failed(error) => (
                format!("Failed: {}. {}", Chain(error), summary(&self.tally)),
                true,
                RetryPolicy::DURING_RUN,
            ),
        };
        let closing = async {
            if matches!(outcome, Outcome::Complete) {
                work.wait_until_announced(self.destination.rules.expectations)
                    .await?;
            }
            work.close(&message, in_error, policy).await
        };
        let closed = tokio::select! {
            closed = closing => closed,
            () = stopping.after(CLOSING_GRACE) => {
                tracing::warn!(work.id = work.id(), "the work could not be closed in time");
                return outcome;
            }
        };
        match (closed, outcome) {
            (Ok(()), outcome) => outcome,
            (Err(error), Outcome::Failed(first)) => {
                tracing::error!(error = %Chain(&error), "the work of the failed run could not be closed");
                Outcome::Failed(first)
            }
            (Err(error), _) => Outcome::Failed(error.into()),
        }
    }
}

/// The work that messages need; without one, sending would lose them.
fn open(work: &mut Option<Work>) -> Result<&mut Work, RunError> {
    work.as_mut().ok_or(RunError::NoWork)
}

fn objects_of(messages: &[Message]) -> u64 {
    messages.iter().map(|message| message.objects).sum()
}

fn packing(destination: &Destination, batch_size: usize) -> Packing {
    match destination.protocol {
        QueueProtocol::Amqp if destination.rules.imports_messages_whole => {
            Packing::Closed { batch_size }
        }
        QueueProtocol::Amqp => Packing::Waves { batch_size: 1 },
        QueueProtocol::Api => Packing::Waves { batch_size },
    }
}
