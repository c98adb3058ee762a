//! The platform's push queues: on its broker, or in this process where it has none.

use std::sync::Arc;

use anyhow::Result;
use serde_json::{Value, json};

use crate::BrokerAddress;

mod in_process;
mod on_broker;
mod tally;

use in_process::InProcess;
use on_broker::OnBroker;
pub(crate) use tally::Extent;
use tally::{Held, Tallies, Tally};

/// Of so many messages the mean size is taken where nobody consumes them.
const SAMPLE: usize = 50;

/// Where a platform without a broker says that it is.
const NOWHERE: &str = "broker.invalid";

/// The queues of all connectors.
pub(crate) struct Queues {
    names: Names,
    place: Place,
    tallies: Tallies,
}

enum Place {
    OnBroker(Box<OnBroker>),
    InProcess(InProcess),
}

/// Names of exchanges and queues.
#[derive(Debug, Clone)]
struct Names {
    prefix: String,
}

/// Takes messages from one connector's push queue, one at a time.
pub(crate) struct Consumer {
    place: ConsumerPlace,
    tally: Arc<Tally>,
}

enum ConsumerPlace {
    OnBroker(Box<on_broker::Consumer>),
    InProcess(in_process::Consumer),
}

/// A message that was taken. Until it is acknowledged it is still the queue's: dropping it, or with
/// a broker losing the connection, gives it back.
pub(crate) struct Delivery {
    place: DeliveryPlace,
    _held: Held,
}

enum DeliveryPlace {
    OnBroker(Box<lapin::message::Delivery>),
    InProcess(in_process::Delivery),
}

impl Queues {
    /// With `is_recording` everything that is ever published is kept beside the queues.
    pub(crate) fn new(address: Option<BrokerAddress>, prefix: &str, is_recording: bool) -> Self {
        let names = Names {
            prefix: prefix.to_owned(),
        };
        let place = match address {
            Some(address) => Place::OnBroker(Box::new(OnBroker::new(
                address,
                names.clone(),
                is_recording,
            ))),
            None => Place::InProcess(InProcess::new(is_recording)),
        };
        Self {
            names,
            place,
            tallies: Tallies::default(),
        }
    }

    /// What a registration answers: the names, and the broker as the connector reaches it.
    pub(crate) fn config(&self, connector: &str) -> Value {
        let nowhere = BrokerAddress {
            host: NOWHERE.to_owned(),
            port: 5672,
            vhost: "/".to_owned(),
            user: "guest".to_owned(),
            pass: "guest".to_owned(),
        };
        let address = match &self.place {
            Place::OnBroker(queues) => queues.address(),
            Place::InProcess(_) => &nowhere,
        };
        let [listen_exchange, listen, listen_routing] = self.names.listen(connector);
        json!({
            "s3": {
                "endpoint": NOWHERE,
                "port": 9000,
                "use_ssl": false,
                "bucket_name": "opencti-bucket",
                "bucket_region": "us-east-1",
                "access_key": "-",
                "secret_key": "-",
            },
            "listen": listen,
            "listen_routing": listen_routing,
            "listen_exchange": listen_exchange,
            "connection": {
                "host": address.host,
                "vhost": address.vhost,
                "use_ssl": false,
                "port": address.port,
                "user": address.user,
                "pass": address.pass,
            },
            "push": self.names.push(connector),
            "push_routing": self.names.push_routing(connector),
            "push_exchange": self.names.push_exchange(),
        })
    }

    /// Declares the connector's queues, where they do not exist yet.
    pub(crate) async fn declare(&self, connector: &str) -> Result<()> {
        match &self.place {
            Place::OnBroker(queues) => queues.declare(connector).await,
            Place::InProcess(queues) => {
                queues.declare(connector);
                Ok(())
            }
        }
    }

    /// How many messages wait in the connector's push queue; those that a worker holds do not.
    pub(crate) async fn waiting(&self, connector: &str) -> Result<u32> {
        match &self.place {
            Place::OnBroker(queues) => Ok(queues.counts(connector).await?.messages),
            Place::InProcess(queues) => queues.waiting(connector),
        }
    }

    /// What is in the connector's push queue, also what a worker holds. In this process it is exact;
    /// a broker does not answer sizes, so its bytes are those of as many messages of the mean size.
    pub(crate) async fn extent(&self, connector: &str) -> Result<Extent> {
        let tally = self.tallies.of(connector);
        let held = tally.held();
        let queues = match &self.place {
            Place::OnBroker(queues) => queues,
            Place::InProcess(queues) => return Ok(queues.extent(connector)?.plus(held)),
        };
        let counts = queues.counts(connector).await?;
        if counts.consumers == 0 && counts.messages > 0 {
            for message in queues.peek(connector, SAMPLE).await? {
                tally.see(message.len());
            }
        }
        let messages = u64::from(counts.messages);
        let waiting = Extent {
            messages,
            bytes: tally.bytes_of(messages),
        };
        Ok(waiting.plus(held))
    }

    /// The messages that wait in the connector's push queue, in order; they stay there.
    pub(crate) async fn peek(&self, connector: &str) -> Result<Vec<Vec<u8>>> {
        match &self.place {
            Place::OnBroker(queues) => queues.peek(connector, usize::MAX).await,
            Place::InProcess(queues) => queues.peek(connector),
        }
    }

    /// All messages that were ever put into the connector's push queue, in order.
    pub(crate) async fn recorded(&self, connector: &str) -> Result<Vec<Vec<u8>>> {
        match &self.place {
            Place::OnBroker(queues) => queues.recorded(connector).await,
            Place::InProcess(queues) => queues.recorded(connector),
        }
    }

    /// Empties the connector's push queue.
    pub(crate) async fn purge(&self, connector: &str) -> Result<()> {
        match &self.place {
            Place::OnBroker(queues) => queues.purge(connector).await,
            Place::InProcess(queues) => {
                queues.purge(connector);
                Ok(())
            }
        }
    }

    /// Deletes the connector's queues with what waits in them.
    pub(crate) async fn delete(&self, connector: &str) -> Result<()> {
        match &self.place {
            Place::OnBroker(queues) => queues.delete(connector).await,
            Place::InProcess(queues) => {
                queues.delete(connector);
                Ok(())
            }
        }
    }

    /// Puts a message at the tail of the connector's push queue.
    pub(crate) async fn publish(&self, connector: &str, message: &Value) -> Result<()> {
        match &self.place {
            Place::OnBroker(queues) => queues.publish(connector, message).await,
            Place::InProcess(queues) => queues.publish(connector, message),
        }
    }

    /// One more consumer of the connector's push queue.
    pub(crate) async fn consume(&self, connector: &str) -> Result<Consumer> {
        let place = match &self.place {
            Place::OnBroker(queues) => {
                ConsumerPlace::OnBroker(Box::new(queues.consume(connector).await?))
            }
            Place::InProcess(queues) => ConsumerPlace::InProcess(queues.consume(connector)?),
        };
        let tally = self.tallies.of(connector);
        Ok(Consumer { place, tally })
    }
}

impl Consumer {
    /// Waits for the next message; none once the queue is gone.
    pub(crate) async fn next(&mut self) -> Result<Option<Delivery>> {
        let taken = match &mut self.place {
            ConsumerPlace::OnBroker(consumer) => {
                let taken = consumer.next().await?;
                taken.map(Box::new).map(DeliveryPlace::OnBroker)
            }
            ConsumerPlace::InProcess(consumer) => {
                consumer.next().await.map(DeliveryPlace::InProcess)
            }
        };
        Ok(taken.map(|place| self.hold(place)))
    }

    fn hold(&self, place: DeliveryPlace) -> Delivery {
        let length = place.data().len();
        self.tally.see(length);
        Delivery {
            place,
            _held: Arc::clone(&self.tally).hold(length),
        }
    }

    /// Gives back what was not taken yet, and ends when the queue has it.
    pub(crate) async fn close(self) -> Result<()> {
        match self.place {
            ConsumerPlace::OnBroker(consumer) => consumer.close().await,
            ConsumerPlace::InProcess(_) => Ok(()),
        }
    }

    /// Puts a message at the tail of the same queue.
    pub(crate) async fn publish(&self, message: &Value) -> Result<()> {
        match &self.place {
            ConsumerPlace::OnBroker(consumer) => consumer.publish(message).await,
            ConsumerPlace::InProcess(consumer) => {
                consumer.publish(message);
                Ok(())
            }
        }
    }
}

impl Delivery {
    pub(crate) fn data(&self) -> &[u8] {
        self.place.data()
    }

    /// The message is done with: the queue forgets it.
    pub(crate) async fn ack(self) -> Result<()> {
        match self.place {
            DeliveryPlace::OnBroker(delivery) => on_broker::ack(&delivery).await,
            DeliveryPlace::InProcess(delivery) => {
                delivery.ack();
                Ok(())
            }
        }
    }
}

impl DeliveryPlace {
    fn data(&self) -> &[u8] {
        match self {
            Self::OnBroker(delivery) => &delivery.data,
            Self::InProcess(delivery) => delivery.data(),
        }
    }
}

impl Names {
    /// The queue that a connector fills.
    fn push(&self, connector: &str) -> String {
        format!("{}push_{connector}", self.prefix)
    }

    /// The queue that takes a copy of everything that a connector sends, where that is wanted.
    fn record(&self, connector: &str) -> String {
        format!("{}record_{connector}", self.prefix)
    }

    fn push_routing(&self, connector: &str) -> String {
        format!("{}push_routing_{connector}", self.prefix)
    }

    fn push_exchange(&self) -> String {
        format!("{}amqp.worker.exchange", self.prefix)
    }

    /// The exchange, the queue and the routing key of what the platform sends to a connector.
    fn listen(&self, connector: &str) -> [String; 3] {
        [
            format!("{}amqp.connector.exchange", self.prefix),
            format!("{}listen_{connector}", self.prefix),
            format!("{}listen_routing_{connector}", self.prefix),
        ]
    }
}
