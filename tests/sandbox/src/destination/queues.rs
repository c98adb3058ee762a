//! The platform's queues on the broker.

use anyhow::{Context, Result};
use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions, QueuePurgeOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ExchangeKind};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::BrokerAddress;

const PERSISTENT: u8 = 2;
/// Where a platform without a broker says that it is.
const NOWHERE: &str = "broker.invalid";

/// Names of exchanges and queues, and the connection to the broker.
pub(crate) struct Queues {
    address: Option<BrokerAddress>,
    prefix: String,
    connection: Mutex<Option<Connection>>,
}

impl Queues {
    pub(crate) fn new(address: Option<BrokerAddress>, prefix: &str) -> Self {
        Self {
            address,
            prefix: prefix.to_owned(),
            connection: Mutex::new(None),
        }
    }

    pub(crate) fn address(&self) -> Option<&BrokerAddress> {
        self.address.as_ref()
    }

    /// The queue that a connector fills.
    pub(crate) fn push(&self, connector: &str) -> String {
        format!("{}push_{connector}", self.prefix)
    }

    fn push_routing(&self, connector: &str) -> String {
        format!("{}push_routing_{connector}", self.prefix)
    }

    fn push_exchange(&self) -> String {
        format!("{}amqp.worker.exchange", self.prefix)
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
        let address = self.address.as_ref().unwrap_or(&nowhere);
        json!({
            "connection": {
                "host": address.host,
                "vhost": address.vhost,
                "use_ssl": false,
                "port": address.port,
                "user": address.user,
                "pass": address.pass,
            },
            "push": self.push(connector),
            "push_routing": self.push_routing(connector),
            "push_exchange": self.push_exchange(),
        })
    }

    /// Declares the exchanges and the connector's queues; does nothing without a broker.
    pub(crate) async fn declare(&self, connector: &str) -> Result<()> {
        if self.address.is_none() {
            return Ok(());
        }
        let listen = ["amqp.connector.exchange", "listen_", "listen_routing_"];
        let [exchange, queue, routing] = listen.map(|name| format!("{}{name}", self.prefix));
        let channel = self.channel().await?;
        self.bind(
            &channel,
            &exchange,
            &format!("{queue}{connector}"),
            &format!("{routing}{connector}"),
        )
        .await?;
        let (queue, routing) = (self.push(connector), self.push_routing(connector));
        self.bind(&channel, &self.push_exchange(), &queue, &routing)
            .await?;
        close(&channel).await
    }

    async fn bind(
        &self,
        channel: &Channel,
        exchange: &str,
        queue: &str,
        routing: &str,
    ) -> Result<()> {
        let durable = ExchangeDeclareOptions {
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        let table = FieldTable::default;
        channel
            .exchange_declare(exchange.into(), ExchangeKind::Direct, durable, table())
            .await?;
        channel
            .queue_declare(queue.into(), QueueDeclareOptions::durable(), table())
            .await?;
        let options = QueueBindOptions::default();
        channel
            .queue_bind(
                queue.into(),
                exchange.into(),
                routing.into(),
                options,
                table(),
            )
            .await?;
        Ok(())
    }

    /// How many messages wait in the connector's push queue.
    pub(crate) async fn waiting(&self, connector: &str) -> Result<u32> {
        let channel = self.channel().await?;
        let passive = QueueDeclareOptions::durable().passive();
        let queue = channel
            .queue_declare(self.push(connector).into(), passive, FieldTable::default())
            .await?;
        close(&channel).await?;
        Ok(queue.message_count())
    }

    /// Empties the connector's push queue.
    pub(crate) async fn purge(&self, connector: &str) -> Result<()> {
        if self.address.is_none() {
            return Ok(());
        }
        let channel = self.channel().await?;
        channel
            .queue_purge(self.push(connector).into(), QueuePurgeOptions::default())
            .await?;
        close(&channel).await
    }

    /// Puts a message at the tail of the connector's push queue.
    pub(crate) async fn publish(&self, connector: &str, message: &Value) -> Result<()> {
        let channel = self.channel().await?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        self.publish_on(&channel, connector, message).await?;
        close(&channel).await
    }

    /// The same on a channel of the caller, which confirms publishes.
    pub(crate) async fn publish_on(
        &self,
        channel: &Channel,
        connector: &str,
        message: &Value,
    ) -> Result<()> {
        let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
        let payload = message.to_string();
        let (exchange, routing) = (
            self.push_exchange().into(),
            self.push_routing(connector).into(),
        );
        let options = BasicPublishOptions::default();
        channel
            .basic_publish(exchange, routing, options, payload.as_bytes(), properties)
            .await?
            .await?;
        Ok(())
    }

    async fn channel(&self) -> Result<Channel> {
        let address = self
            .address
            .as_ref()
            .context("this destination has no broker")?;
        let mut connection = self.connection.lock().await;
        if let Some(known) = connection
            .as_ref()
            .filter(|known| known.status().connected())
        {
            return known.create_channel().await.context("no channel");
        }
        let new = address.connect().await?;
        let channel = new.create_channel().await.context("no channel");
        *connection = Some(new);
        channel
    }
}

async fn close(channel: &Channel) -> Result<()> {
    channel
        .close(200, "done".into())
        .await
        .context("the channel does not close")
}
