//! The platform's push queues: on its broker, or in this process where it has none.

use anyhow::Result;
use serde_json::{Value, json};

use crate::BrokerAddress;

mod in_process;
mod on_broker;

use in_process::InProcess;
use on_broker::OnBroker;

/// Where a platform without a broker says that it is.
const NOWHERE: &str = "broker.invalid";

/// The queues of all connectors.
pub(crate) struct Queues {
    names: Names,
    place: Place,
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
pub(crate) enum Consumer {
    OnBroker(Box<on_broker::Consumer>),
    InProcess(in_process::Consumer),
}

/// A message that was taken. Until it is acknowledged it is still the queue's: dropping it, or with
/// a broker losing the connection, gives it back.
pub(crate) enum Delivery {
    OnBroker(Box<lapin::message::Delivery>),
    InProcess(in_process::Delivery),
}

impl Queues {
    pub(crate) fn new(address: Option<BrokerAddress>, prefix: &str) -> Self {
        let names = Names {
            prefix: prefix.to_owned(),
        };
        let place = match address {
            Some(address) => Place::OnBroker(Box::new(OnBroker::new(address, names.clone()))),
            None => Place::InProcess(InProcess::default()),
        };
        Self { names, place }
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
        json!({
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

    /// How many messages wait in the connector's push queue.
    pub(crate) async fn waiting(&self, connector: &str) -> Result<u32> {
        match &self.place {
            Place::OnBroker(queues) => queues.waiting(connector).await,
            Place::InProcess(queues) => queues.waiting(connector),
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
        Ok(match &self.place {
            Place::OnBroker(queues) => {
                Consumer::OnBroker(Box::new(queues.consume(connector).await?))
            }
            Place::InProcess(queues) => Consumer::InProcess(queues.consume(connector)?),
        })
    }
}

impl Consumer {
    /// Waits for the next message; none once the queue is gone.
    pub(crate) async fn next(&mut self) -> Result<Option<Delivery>> {
        Ok(match self {
            Self::OnBroker(consumer) => {
                consumer.next().await?.map(Box::new).map(Delivery::OnBroker)
            }
            Self::InProcess(consumer) => consumer.next().await.map(Delivery::InProcess),
        })
    }

    /// Puts a message at the tail of the same queue.
    pub(crate) async fn publish(&self, message: &Value) -> Result<()> {
        match self {
            Self::OnBroker(consumer) => consumer.publish(message).await,
            Self::InProcess(consumer) => {
                consumer.publish(message);
                Ok(())
            }
        }
    }
}

impl Delivery {
    pub(crate) fn data(&self) -> &[u8] {
        match self {
            Self::OnBroker(delivery) => &delivery.data,
            Self::InProcess(delivery) => delivery.data(),
        }
    }

    /// The message is done with: the queue forgets it.
    pub(crate) async fn ack(self) -> Result<()> {
        match self {
            Self::OnBroker(delivery) => on_broker::ack(&delivery).await,
            Self::InProcess(delivery) => {
                delivery.ack();
                Ok(())
            }
        }
    }
}

impl Names {
    /// The queue that a connector fills.
    fn push(&self, connector: &str) -> String {
        format!("{}push_{connector}", self.prefix)
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
