//! How many messages wait in the push queue, asked of the broker itself.
//!
//! **Invariant.** Nothing is declared or changed; a question that fails leaves nothing broken behind
//! for the next one.

use std::sync::Arc;
use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ExchangeKind, Queue};
use tokio::sync::Mutex;

use super::BrokerTls;
use super::connection::{Broker, ConnectError};
use super::names::short;
use crate::opencti::BrokerAddress;

const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// Why the broker does not answer how much waits.
#[derive(Debug, thiserror::Error)]
pub enum DepthError {
    /// There is no connection.
    #[error("the broker cannot be asked how much waits in the queue")]
    Connect(#[from] ConnectError),
    /// The broker refuses: the queue is not there, or the user may not ask.
    #[error(
        "the broker does not say how much waits in the queue {queue}; is the connector still registered?"
    )]
    Refused {
        /// The queue's name.
        queue: String,
        /// The client's own reason.
        source: lapin::Error,
    },
    /// There is no exchange of this name, or the user may not see it.
    #[error(
        "the broker has no exchange {exchange} that this user could publish to; is it the broker, and the virtual host, of the platform (mq.vhost, MQ_VHOST)?"
    )]
    NoExchange {
        /// The exchange's name.
        exchange: String,
        /// The client's own reason.
        source: lapin::Error,
    },
    /// What is published without an exchange comes into the queue that the routing key names, which is another one.
    #[error(
        "the destination names no exchange, and a routing key that is not the queue {queue}: nothing that is published would arrive; correct what its settings say of RabbitMQ"
    )]
    NoRoute {
        /// The queue's name.
        queue: String,
    },
    /// Nothing was answered in time.
    #[error("the broker did not say within {} seconds how much waits in the queue", ANSWER_LIMIT.as_secs())]
    Limit,
}

/// Asks the broker how much waits in the push queue. Cheap to clone; the connection is opened with the
/// first question and kept.
#[derive(Debug, Clone)]
pub struct Depth {
    broker: Broker,
    kept: Arc<Mutex<Option<Open>>>,
}

#[derive(Debug)]
struct Open {
    /// Closes with the last of its handles.
    connection: Connection,
    channel: Channel,
}

impl Depth {
    /// Prepares; connects only when asked.
    pub fn new(address: BrokerAddress, tls: BrokerTls, name: &str) -> Self {
        Self {
            broker: Broker::new(address, tls, name),
            kept: Arc::default(),
        }
    }

    /// How many messages wait in the push queue.
    ///
    /// # Errors
    /// [`DepthError`] when the broker does not answer; the next question begins with a new connection.
    pub async fn messages(&self) -> Result<u64, DepthError> {
        let answer = self.answer().await?;
        Ok(u64::from(answer.message_count()))
    }

    /// How many workers take messages from the push queue.
    ///
    /// # Errors
    /// As [`Depth::messages`].
    pub async fn consumers(&self) -> Result<u64, DepthError> {
        let answer = self.answer().await?;
        Ok(u64::from(answer.consumer_count()))
    }

    async fn answer(&self) -> Result<Queue, DepthError> {
        let mut kept = self.kept.lock().await;
        // Taken out: what fails, or is broken off in the middle, is not used again.
        let open = match kept.take() {
            Some(open) if open.is_usable() => open,
            _ => Box::pin(self.open()).await?,
        };
        let answer = self.ask(&open).await?;
        *kept = Some(open);
        Ok(answer)
    }

    /// Whether there is an exchange to publish to. To which queues it leads, no broker says without a message.
    ///
    /// # Errors
    /// [`DepthError`] when there is none, or the broker does not answer.
    pub async fn find_exchange(&self) -> Result<(), DepthError> {
        let (exchange, queue) = (self.broker.exchange(), self.broker.queue());
        if exchange.as_str().is_empty() {
            return if self.broker.routing_key() == queue {
                Ok(())
            } else {
                Err(DepthError::NoRoute {
                    queue: queue.as_str().to_owned(),
                })
            };
        }
        // Nothing of it is kept: a question that fails closes its channel.
        let open = Box::pin(self.open()).await?;
        let passive = ExchangeDeclareOptions {
            passive: true,
            ..ExchangeDeclareOptions::default()
        };
        // Where it is not declared, its kind does not matter.
        let (kind, table) = (ExchangeKind::Direct, FieldTable::default());
        let asking = open
            .channel
            .exchange_declare(short(exchange), kind, passive, table);
        match tokio::time::timeout(ANSWER_LIMIT, asking).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(source)) => Err(DepthError::NoExchange {
                exchange: exchange.as_str().to_owned(),
                source,
            }),
            Err(_) => Err(DepthError::Limit),
        }
    }

    async fn open(&self) -> Result<Open, DepthError> {
        let (connection, channel) = self.broker.connect().await?;
        Ok(Open {
            connection,
            channel,
        })
    }

    async fn ask(&self, open: &Open) -> Result<Queue, DepthError> {
        let queue = self.broker.queue();
        let passive = QueueDeclareOptions::durable().passive();
        let asking = open
            .channel
            .queue_declare(short(queue), passive, FieldTable::default());
        match tokio::time::timeout(ANSWER_LIMIT, asking).await {
            Ok(Ok(known)) => Ok(known),
            Ok(Err(source)) => Err(DepthError::Refused {
                queue: queue.as_str().to_owned(),
                source,
            }),
            Err(_) => Err(DepthError::Limit),
        }
    }
}

impl Open {
    fn is_usable(&self) -> bool {
        self.connection.status().connected() && self.channel.status().connected()
    }
}
