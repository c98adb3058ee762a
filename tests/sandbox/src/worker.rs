//! The platform's workers: they take messages from the push queues and import them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use tokio::select;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::data::Record;
use crate::destination::{Consumer, State, WorkError};
use crate::release_rules::RULES;
use crate::{Destination, lock, time};

pub(crate) mod bundle;
pub(crate) mod imported;

use bundle::Bundle;
use imported::Refusal;

/// How often a worker looks for new queues; the platform's takes up to 60 s.
const LOOK: Duration = Duration::from_millis(50);
/// How long a worker waits for a broker that is gone.
const RECONNECT: Duration = Duration::from_millis(200);
/// How long a worker waits for what an object refers to; the platform's takes 1 to 3 s.
const RETRY: Duration = Duration::from_millis(25);

/// Running workers of one destination; dropping them stops them, as a crash does.
pub struct Worker {
    state: Arc<State>,
    replicas: usize,
    task: JoinHandle<()>,
    tally: Arc<Tally>,
    control: Arc<Control>,
}

/// How the workers are configured while they run.
#[derive(Debug, Default)]
struct Control {
    is_paused: watch::Sender<bool>,
    /// How many replicas may hold a message.
    consuming: watch::Sender<usize>,
    /// How much longer each object takes.
    pace: Mutex<Duration>,
}

/// Counts a replica as one that may hold a message.
struct Consuming<'a>(&'a Control);

/// What happened to messages.
#[derive(Debug, Default)]
struct Tally {
    processed: AtomicUsize,
    dropped: AtomicUsize,
    rejected: AtomicUsize,
    /// The messages as they were taken, where the destination records.
    taken: Mutex<Vec<Value>>,
}

impl Worker {
    /// Starts so many workers; each takes one message at a time from every connector's queue.
    pub fn start(destination: &Destination, replicas: usize) -> Result<Self> {
        ensure!(replicas > 0, "at least one worker is needed");
        let state = Arc::clone(destination.shared());
        let tally = Arc::new(Tally::default());
        let control = Arc::new(Control::default());
        let crew = Crew {
            state: Arc::clone(&state),
            tally: Arc::clone(&tally),
            control: Arc::clone(&control),
            replicas,
        };
        state.workers.fetch_add(replicas, Ordering::Relaxed);
        let task = state.handle.spawn(crew.look_for_queues());
        Ok(Self {
            state,
            replicas,
            task,
            tally,
            control,
        })
    }

    /// Lets each worker finish its message and take no further one; ends when none holds a message.
    pub async fn pause(&self) {
        self.control.is_paused.send_replace(true);
        let mut consuming = self.control.consuming.subscribe();
        // The sender lives as long as this does.
        consuming.wait_for(|replicas| *replicas == 0).await.ok();
    }

    /// Lets the workers go on after a pause.
    pub fn resume(&self) {
        self.control.is_paused.send_replace(false);
    }

    /// Makes each object take so much longer from now on.
    pub fn slow(&self, per_object: Duration) {
        *lock(&self.control.pace) = per_object;
    }

    /// Messages taken so far, also dropped and rejected ones.
    pub fn processed(&self) -> usize {
        self.tally.processed.load(Ordering::Relaxed)
    }

    /// The messages in the order in which they were taken, each as it was published. Only of a
    /// destination that records.
    pub fn taken(&self) -> Vec<Value> {
        lock(&self.tally.taken).clone()
    }

    /// Messages dropped because their work was not alive.
    pub fn dropped(&self) -> usize {
        self.tally.dropped.load(Ordering::Relaxed)
    }

    /// Messages that could not be read.
    pub fn rejected(&self) -> usize {
        self.tally.rejected.load(Ordering::Relaxed)
    }

    /// Stops the workers; a message in work goes back into its queue.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.task.abort();
        self.state
            .workers
            .fetch_sub(self.replicas, Ordering::Relaxed);
    }
}

impl Control {
    fn consuming(&self) -> Consuming<'_> {
        self.consuming.send_modify(|replicas| *replicas += 1);
        Consuming(self)
    }
}

impl Drop for Consuming<'_> {
    fn drop(&mut self) {
        self.0.consuming.send_modify(|replicas| *replicas -= 1);
    }
}

/// All workers of one destination.
struct Crew {
    state: Arc<State>,
    tally: Arc<Tally>,
    control: Arc<Control>,
    replicas: usize,
}

impl Crew {
    /// Starts the replicas of each queue that appears; they end with this task.
    async fn look_for_queues(self) {
        let mut running = JoinSet::new();
        let mut known: Vec<String> = Vec::new();
        loop {
            for connector in self.state.connector_ids() {
                if known.contains(&connector) {
                    continue;
                }
                for _ in 0..self.replicas {
                    running.spawn(self.replica(&connector).run());
                }
                known.push(connector);
            }
            sleep(LOOK).await;
        }
    }

    fn replica(&self, connector: &str) -> Replica {
        Replica {
            state: Arc::clone(&self.state),
            tally: Arc::clone(&self.tally),
            control: Arc::clone(&self.control),
            connector: connector.to_owned(),
        }
    }
}

/// One worker on one queue.
struct Replica {
    state: Arc<State>,
    tally: Arc<Tally>,
    control: Arc<Control>,
    connector: String,
}

/// A message that could be read.
struct Message {
    fields: Map<String, Value>,
    work: Option<String>,
    bundle: Bundle,
}

impl Replica {
    /// Consumes for ever but in pauses; a lost broker is waited for.
    async fn run(self) {
        let mut pause = self.control.is_paused.subscribe();
        // Neither fails: the sender lives as long as this does.
        while pause.wait_for(|is_paused| !is_paused).await.is_ok() {
            // The reason does not matter: the next try shows whether the broker is back.
            self.consume(&mut pause).await.ok();
            sleep(RECONNECT).await;
        }
    }

    async fn consume(&self, pause: &mut watch::Receiver<bool>) -> Result<()> {
        // Counted before it looks, so that a pause that it does not see waits for it.
        let _consuming = self.control.consuming();
        if *pause.borrow() {
            return Ok(());
        }
        let mut consumer = self.state.queues.consume(&self.connector).await?;
        loop {
            let taken = select! {
                biased;
                _ = pause.wait_for(|is_paused| *is_paused) => break,
                taken = consumer.next() => taken?,
            };
            let Some(delivery) = taken else { break };
            self.process(&consumer, delivery.data()).await?;
            delivery.ack().await?;
            self.tally.processed.fetch_add(1, Ordering::Relaxed);
        }
        consumer.close().await
    }

    async fn process(&self, consumer: &Consumer, data: &[u8]) -> Result<()> {
        if self.state.is_recording {
            let message = serde_json::from_slice(data).unwrap_or_default();
            lock(&self.tally.taken).push(message);
        }
        let Ok(message) = self.read(data) else {
            self.tally.rejected.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        };
        if message.fields.get("type").and_then(Value::as_str) == Some("event") {
            return Ok(());
        }
        if !self.is_alive(&message) {
            self.tally.dropped.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let release = self.state.release;
        let no_split = RULES.honours_no_split.includes(release)
            && message.fields.get("no_split") == Some(&Value::Bool(true));
        let is_single = message.bundle.objects.len() + message.bundle.incompatible.len() == 1;
        if RULES.splits_messages.includes(release) && !no_split && !is_single {
            return self.split(consumer, &message).await;
        }
        if RULES.reports_each_object.includes(release) {
            self.import_each(&message).await;
        } else {
            self.import_as_one(&message).await;
        }
        Ok(())
    }

    fn read(&self, data: &[u8]) -> Result<Message> {
        let fields: Map<String, Value> = serde_json::from_slice(data)?;
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        ensure!(
            RULES.needs_no_applicant.includes(self.state.release) || text("applicant_id").is_some(),
            "a message without applicant_id"
        );
        let work = text("work_id").map(str::to_owned);
        let content = STANDARD.decode(text("content").unwrap_or_default())?;
        let is_event = text("type") == Some("event");
        let bundle = if is_event {
            Bundle::default()
        } else {
            Bundle::read(&content, Some(self.state.release))?
        };
        Ok(Message {
            fields,
            work,
            bundle,
        })
    }

    fn is_alive(&self, message: &Message) -> bool {
        message
            .work
            .as_deref()
            .is_none_or(|work| lock(&self.state.works).is_alive(work))
    }

    /// Puts each object back at the tail of the queue as a message of its own.
    async fn split(&self, consumer: &Consumer, message: &Message) -> Result<()> {
        if let Some(work) = message
            .work
            .as_deref()
            .filter(|_| RULES.announces_what_it_splits.includes(self.state.release))
        {
            let count = i64::try_from(message.bundle.objects.len()).unwrap_or(i64::MAX);
            lock(&self.state.works).add_expectations(work, count);
        }
        for object in &message.bundle.objects {
            let mut fields = message.fields.clone();
            let content = STANDARD.encode(bundle::text_of(std::slice::from_ref(object))?);
            fields.insert("content".to_owned(), content.into());
            consumer.publish(&Value::Object(fields)).await?;
        }
        Ok(())
    }

    /// Up to 6.1.4: the first failure ends the message, which is one report.
    async fn import_as_one(&self, message: &Message) {
        let mut failure = None;
        for object in &message.bundle.objects {
            failure = self.import(object).await.err();
            if failure.is_some() {
                break;
            }
        }
        self.report(message, failure);
    }

    async fn import_each(&self, message: &Message) {
        for object in &message.bundle.objects {
            if RULES
                .checks_works_with_each_object
                .includes(self.state.release)
                && !self.is_alive(message)
            {
                self.tally.dropped.fetch_add(1, Ordering::Relaxed);
                return;
            }
            let failure = match self.refuse_large(object) {
                Some(refused) => Some(refused),
                None => self.import(object).await.err(),
            };
            self.report(message, failure);
        }
        self.report_incompatible(message);
    }

    /// An object with too many references goes to the dead letters.
    fn refuse_large(&self, object: &Record) -> Option<WorkError> {
        let limit = self.state.objects_max_refs;
        let is_limited = limit > 0 && RULES.refuses_large_objects.includes(self.state.release);
        if !is_limited || references_of(object) < limit {
            return None;
        }
        let message = "Too large element in bundle";
        lock(&self.state.imported).note_refused(object, message);
        Some(WorkError {
            message: message.to_owned(),
            source: format!(
                "Element {} is too large and couldn't be processed",
                object.id()
            ),
        })
    }

    fn report_incompatible(&self, message: &Message) {
        for object in &message.bundle.incompatible {
            if RULES.reports_unknown_types.includes(self.state.release) {
                let text = format!(
                    "Incompatible element in bundle: {} is not supported",
                    object.text("type")
                );
                self.report(
                    message,
                    Some(WorkError {
                        message: text,
                        source: object.to_value().to_string(),
                    }),
                );
            } else if !RULES.drops_unknown_types.includes(self.state.release) {
                self.report(message, None);
            }
        }
    }

    /// Imports one object, waiting a little for what it refers to.
    async fn import(&self, object: &Record) -> Result<(), WorkError> {
        let pace = *lock(&self.control.pace);
        if !pace.is_zero() {
            sleep(pace).await;
        }
        for attempt in 0.. {
            let result = lock(&self.state.imported).import(object, attempt);
            match result {
                Ok(()) => break,
                Err(Refusal::Final(error)) => return Err(error),
                Err(Refusal::Again) => sleep(RETRY).await,
            }
        }
        Ok(())
    }

    fn report(&self, message: &Message, error: Option<WorkError>) {
        if let Some(work) = &message.work {
            lock(&self.state.works).report(work, error, time::now());
        }
    }
}

/// How many references the client counts in an object.
fn references_of(object: &Record) -> usize {
    let count = |(name, value): (&str, &Value)| {
        let is_list =
            name.ends_with("_refs") || ["external_references", "kill_chain_phases"].contains(&name);
        match value {
            Value::Array(list) if is_list => list.len(),
            _ => usize::from(name.ends_with("_ref")),
        }
    };
    object.fields().map(count).sum()
}
