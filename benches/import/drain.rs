//! Empties queues and counts what was in them.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use lapin::options::{BasicConsumeOptions, BasicGetOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties, Consumer};
use sandbox::Broker;
use serde::Deserialize;

/// What was in a queue.
#[derive(Debug, Default)]
pub(crate) struct Drained {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    /// Objects of the bundles that are no object of the source's lists: markings, authors, labels.
    pub(crate) dependencies: u64,
    /// Objects of the source's lists that came once more, because others refer to them.
    pub(crate) along: u64,
    /// The ids of the objects of the source's lists.
    pub(crate) ids: HashSet<String>,
    /// The messages themselves.
    pub(crate) bodies: Vec<Vec<u8>>,
}

#[derive(Deserialize)]
struct Envelope {
    content: String,
}

#[derive(Deserialize)]
struct Bundle<'a> {
    #[serde(borrow)]
    objects: Vec<Object<'a>>,
}

#[derive(Deserialize)]
struct Object<'a> {
    id: &'a str,
}

/// What objects depend on, by their types.
const DEPENDENCIES: [&str; 3] = ["marking-definition--", "identity--", "label--"];

/// Between two looks into an empty queue.
const EMPTY_FOR: Duration = Duration::from_millis(5);

/// The queue that a connector fills.
pub(crate) fn push_queue(connector: &str) -> String {
    format!("push_{connector}")
}

/// Takes everything out of a queue.
pub(crate) async fn drain(broker: &Broker, queue: &str) -> Result<Drained> {
    let (connection, channel) = connect(broker).await?;
    let passive = QueueDeclareOptions::durable().passive();
    let declared = channel
        .queue_declare(queue.into(), passive, FieldTable::default())
        .await?;
    let mut deliveries = consume(&channel, queue).await?;
    let mut drained = Drained::default();
    for _ in 0..declared.message_count() {
        let delivery = deliveries.next().await.context("the queue is gone")??;
        drained.take(delivery.data)?;
    }
    connection.close(200, "done".into()).await?;
    Ok(drained)
}

async fn connect(broker: &Broker) -> Result<(Connection, Channel)> {
    let url = broker.address().url();
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    Ok((connection, channel))
}

/// Takes whatever comes, without a receipt.
async fn consume(channel: &Channel, queue: &str) -> Result<Consumer> {
    let options = BasicConsumeOptions {
        no_ack: true,
        ..BasicConsumeOptions::default()
    };
    Ok(channel
        .basic_consume(queue.into(), "drain".into(), options, FieldTable::default())
        .await?)
}

impl Drained {
    /// How much it was.
    pub(crate) fn taken(&self) -> Taken {
        let largest = self.bodies.iter().map(Vec::len).max();
        Taken {
            messages: self.messages,
            bytes: self.bytes,
            largest_bytes: largest.unwrap_or_default() as u64,
        }
    }

    fn take(&mut self, body: Vec<u8>) -> Result<()> {
        let envelope: Envelope = serde_json::from_slice(&body)?;
        let bundle = STANDARD.decode(envelope.content)?;
        let bundle: Bundle<'_> = serde_json::from_slice(&bundle)?;
        self.messages += 1;
        self.bytes += u64::try_from(body.len())?;
        for object in bundle.objects {
            if DEPENDENCIES.iter().any(|kind| object.id.starts_with(kind)) {
                self.dependencies += 1;
            } else if !self.ids.insert(object.id.to_owned()) {
                self.along += 1;
            }
        }
        self.bodies.push(body);
        Ok(())
    }
}

/// Empties a queue as it fills, and counts.
pub(crate) struct Sink {
    connection: Connection,
    counts: Counts,
}

/// What has come so far; clones share it.
#[derive(Debug, Clone, Default)]
struct Counts {
    messages: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
    largest_bytes: Arc<AtomicU64>,
}

impl Counts {
    fn take(&self, length: usize) {
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(length as u64, Ordering::Relaxed);
        self.largest_bytes
            .fetch_max(length as u64, Ordering::Relaxed);
    }
}

/// What a sink has taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    /// The largest message.
    pub(crate) largest_bytes: u64,
}

impl Sink {
    /// Begins with a queue as the platform declares it.
    pub(crate) async fn open(broker: &Broker, queue: &str) -> Result<Self> {
        let (connection, channel) = connect(broker).await?;
        let options = QueueDeclareOptions::durable();
        channel
            .queue_declare(queue.into(), options, FieldTable::default())
            .await?;
        let mut deliveries = consume(&channel, queue).await?;
        let sink = Self::of(connection);
        let counting = sink.counts.clone();
        tokio::spawn(async move {
            while let Some(Ok(delivery)) = deliveries.next().await {
                counting.take(delivery.data.len());
            }
        });
        Ok(sink)
    }

    /// Takes one message after the other, so that the queue has no consumer: a connector that waits for its workers would
    /// wait for one.
    pub(crate) async fn unseen(broker: &Broker, queue: &str) -> Result<Self> {
        let (connection, channel) = connect(broker).await?;
        let options = QueueDeclareOptions::durable();
        channel
            .queue_declare(queue.into(), options, FieldTable::default())
            .await?;
        let sink = Self::of(connection);
        let (counting, queue) = (sink.counts.clone(), queue.to_owned());
        tokio::spawn(async move {
            let options = BasicGetOptions { no_ack: true };
            while let Ok(message) = channel.basic_get(queue.as_str().into(), options).await {
                match message {
                    Some(message) => counting.take(message.delivery.data.len()),
                    None => tokio::time::sleep(EMPTY_FOR).await,
                }
            }
        });
        Ok(sink)
    }

    fn of(connection: Connection) -> Self {
        Self {
            connection,
            counts: Counts::default(),
        }
    }

    /// What it has taken.
    pub(crate) async fn close(self) -> Result<Taken> {
        self.connection.close(200, "done".into()).await?;
        let counted = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Ok(Taken {
            messages: counted(&self.counts.messages),
            bytes: counted(&self.counts.bytes),
            largest_bytes: counted(&self.counts.largest_bytes),
        })
    }
}
