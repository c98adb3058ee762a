//! Queues in this process. They behave as those of the broker, but live no longer than the platform.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::yield_now;

use super::Extent;
use crate::lock;

/// The queues that are declared, by connector.
pub(super) struct InProcess {
    queues: Mutex<HashMap<String, Arc<Queue>>>,
    is_recording: bool,
}

#[derive(Default)]
struct Queue {
    messages: Mutex<Messages>,
    arrival: Notify,
}

/// The messages that wait, by their place in the queue.
#[derive(Default)]
struct Messages {
    waiting: BTreeMap<u64, Vec<u8>>,
    tail: u64,
    /// Whether the queue was deleted: nothing comes out of it any more.
    is_gone: bool,
    /// All that was ever published, where that is wanted.
    record: Option<Vec<Vec<u8>>>,
}

/// Takes messages from one queue.
pub(crate) struct Consumer {
    queue: Arc<Queue>,
}

/// A message that was taken; without an acknowledgement it goes back to where it was.
pub(crate) struct Delivery {
    queue: Arc<Queue>,
    place: u64,
    data: Vec<u8>,
    is_done: bool,
}

impl InProcess {
    pub(super) fn new(is_recording: bool) -> Self {
        Self {
            queues: Mutex::default(),
            is_recording,
        }
    }

    pub(super) fn declare(&self, connector: &str) {
        let new = || {
            let queue = Queue::default();
            lock(&queue.messages).record = self.is_recording.then(Vec::new);
            Arc::new(queue)
        };
        lock(&self.queues)
            .entry(connector.to_owned())
            .or_insert_with(new);
    }

    pub(super) fn extent(&self, connector: &str) -> Result<Extent> {
        let queue = self.queue(connector)?;
        let messages = lock(&queue.messages);
        Ok(Extent::of(messages.waiting.values().map(Vec::len)))
    }

    pub(super) fn peek(&self, connector: &str) -> Result<Vec<Vec<u8>>> {
        let queue = self.queue(connector)?;
        let messages = lock(&queue.messages);
        Ok(messages.waiting.values().cloned().collect())
    }

    pub(super) fn recorded(&self, connector: &str) -> Result<Vec<Vec<u8>>> {
        let queue = self.queue(connector)?;
        let record = lock(&queue.messages).record.clone();
        record.context("this platform does not record what is published")
    }

    pub(super) fn waiting(&self, connector: &str) -> Result<u32> {
        let waiting = lock(&self.queue(connector)?.messages).waiting.len();
        Ok(u32::try_from(waiting)?)
    }

    /// What no connector has declared is empty already.
    pub(super) fn purge(&self, connector: &str) {
        if let Ok(queue) = self.queue(connector) {
            lock(&queue.messages).waiting.clear();
        }
    }

    pub(super) fn delete(&self, connector: &str) {
        let deleted = lock(&self.queues).remove(connector);
        if let Some(queue) = deleted {
            lock(&queue.messages).is_gone = true;
            queue.arrival.notify_waiters();
        }
    }

    pub(super) fn publish(&self, connector: &str, message: &Value) -> Result<()> {
        self.queue(connector)?.publish(message);
        Ok(())
    }

    pub(super) fn consume(&self, connector: &str) -> Result<Consumer> {
        let queue = self.queue(connector)?;
        Ok(Consumer { queue })
    }

    fn queue(&self, connector: &str) -> Result<Arc<Queue>> {
        let known = lock(&self.queues).get(connector).map(Arc::clone);
        known.with_context(|| format!("no queue for the connector {connector}"))
    }
}

impl Queue {
    fn publish(&self, message: &Value) {
        let mut messages = lock(&self.messages);
        let place = messages.tail;
        messages.tail += 1;
        let data: Vec<u8> = message.to_string().into();
        if let Some(record) = &mut messages.record {
            record.push(data.clone());
        }
        messages.waiting.insert(place, data);
        drop(messages);
        self.arrival.notify_one();
    }

    /// The first message, and whether the queue is gone.
    fn take(&self) -> (Option<(u64, Vec<u8>)>, bool) {
        let mut messages = lock(&self.messages);
        (messages.waiting.pop_first(), messages.is_gone)
    }
}

impl Consumer {
    /// Waits for the next message; none once the queue is gone.
    pub(super) async fn next(&mut self) -> Option<Delivery> {
        // A long queue shall not keep a consumer from being stopped.
        yield_now().await;
        loop {
            // Listens before it looks, so that nothing arrives unnoticed in between. Who then takes
            // a message without having waited hands its notice on.
            let mut arrival = Box::pin(self.queue.arrival.notified());
            arrival.as_mut().enable();
            let (head, is_gone) = self.queue.take();
            if is_gone {
                return None;
            }
            if let Some((place, data)) = head {
                return Some(Delivery {
                    queue: Arc::clone(&self.queue),
                    place,
                    data,
                    is_done: false,
                });
            }
            arrival.await;
        }
    }

    pub(super) fn publish(&self, message: &Value) {
        self.queue.publish(message);
    }
}

impl Delivery {
    pub(super) fn data(&self) -> &[u8] {
        &self.data
    }

    pub(super) fn ack(mut self) {
        self.is_done = true;
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !self.is_done {
            let data = std::mem::take(&mut self.data);
            lock(&self.queue.messages).waiting.insert(self.place, data);
            self.queue.arrival.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use tokio::time::timeout;

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn messages_come_in_order_once_and_again_where_they_were_not_acknowledged() {
        let queues = InProcess::new(false);
        assert!(queues.publish("c1", &json!(0)).is_err());
        queues.declare("c1");
        let [mut one, mut other] = [(); 2].map(|()| queues.consume("c1").unwrap());
        for number in 0..3 {
            queues.publish("c1", &json!(number)).unwrap();
        }
        let (first, second) = (one.next().await.unwrap(), other.next().await.unwrap());
        assert_eq!((first.data(), second.data()), (&b"0"[..], &b"1"[..]));
        assert_eq!(queues.waiting("c1").unwrap(), 1);

        // Given back, the first is ahead of the third again.
        drop(first);
        second.ack();
        queues.declare("c1");
        let again = one.next().await.unwrap();
        assert_eq!(again.data(), b"0");
        one.publish(&json!("split"));
        queues.purge("c1");
        again.ack();
        assert!(timeout(SHORT, other.next()).await.is_err());
    }

    #[tokio::test]
    async fn each_message_wakes_one_of_the_consumers_that_wait() {
        let queues = Arc::new(InProcess::new(false));
        queues.declare("c1");
        let waiting = [(); 2].map(|()| {
            let mut consumer = queues.consume("c1").unwrap();
            tokio::spawn(async move { consumer.next().await.unwrap().ack() })
        });
        tokio::time::sleep(SHORT).await;
        queues.publish("c1", &json!(0)).unwrap();
        queues.publish("c1", &json!(1)).unwrap();
        for consumer in waiting {
            timeout(100 * SHORT, consumer).await.unwrap().unwrap();
        }
        assert_eq!(queues.waiting("c1").unwrap(), 0);
    }
}
