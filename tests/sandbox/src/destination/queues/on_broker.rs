//! Queues on a real broker.

use anyhow::{Context, Result, ensure};
use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicNackOptions,
    BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
    QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ExchangeKind};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::Names;
use crate::broker::{ANSWER_LIMIT, BrokerAddress};

const PERSISTENT: u8 = 2;

/// The platform's connection to the broker.
pub(super) struct OnBroker {
    address: BrokerAddress,
    names: Names,
    is_recording: bool,
    connection: Mutex<Option<Connection>>,
    /// Held while somebody looks: what another one takes out for a moment would be missed.
    looking: Mutex<()>,
}

/// How much is ready in a queue, and how many consume it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    pub(super) messages: u32,
    pub(super) consumers: u32,
}

/// Takes messages from one queue, over a connection of its own.
pub(crate) struct Consumer {
    deliveries: lapin::Consumer,
    /// Confirms publishes.
    channel: Channel,
    names: Names,
    connector: String,
    /// Open as long as somebody consumes.
    connection: Connection,
}

impl OnBroker {
    pub(super) fn new(address: BrokerAddress, names: Names, is_recording: bool) -> Self {
        Self {
            address,
            names,
            is_recording,
            connection: Mutex::new(None),
            looking: Mutex::new(()),
        }
    }

    pub(super) fn address(&self) -> &BrokerAddress {
        &self.address
    }

    /// Declares the exchanges and the connector's queues.
    pub(super) async fn declare(&self, connector: &str) -> Result<()> {
        let channel = self.channel().await?;
        let [exchange, queue, routing] = self.names.listen(connector);
        bind(&channel, &exchange, &queue, &routing).await?;
        let queue = self.names.push(connector);
        let (exchange, routing) = (
            self.names.push_exchange(),
            self.names.push_routing(connector),
        );
        bind(&channel, &exchange, &queue, &routing).await?;
        if self.is_recording {
            let record = self.names.record(connector);
            bind(&channel, &exchange, &record, &routing).await?;
        }
        close(&channel).await
    }

    pub(super) async fn counts(&self, connector: &str) -> Result<Counts> {
        let _alone = self.looking.lock().await;
        let channel = self.channel().await?;
        let counts = counts_of(&channel, &self.names.push(connector)).await?;
        close(&channel).await?;
        Ok(counts)
    }

    /// The first messages of the queue, at most so many; they stay where they are.
    pub(super) async fn peek(&self, connector: &str, limit: usize) -> Result<Vec<Vec<u8>>> {
        self.peek_into(&self.names.push(connector), limit).await
    }

    pub(super) async fn recorded(&self, connector: &str) -> Result<Vec<Vec<u8>>> {
        ensure!(
            self.is_recording,
            "this platform does not record what is published"
        );
        let record = self.names.record(connector);
        self.peek_into(&record, usize::MAX).await
    }

    /// Takes messages and gives them back as one, so that each is again where it was.
    async fn peek_into(&self, queue: &str, limit: usize) -> Result<Vec<Vec<u8>>> {
        let _alone = self.looking.lock().await;
        let channel = self.channel().await?;
        let mut seen = Vec::new();
        while seen.len() < limit {
            let options = BasicGetOptions::default();
            let Some(message) = channel.basic_get(queue.into(), options).await? else {
                break;
            };
            seen.push(message.delivery.data);
        }
        if !seen.is_empty() {
            give_back(&channel, queue).await?;
        }
        close(&channel).await?;
        Ok(seen)
    }

    pub(super) async fn purge(&self, connector: &str) -> Result<()> {
        // What somebody has taken out to look at it would come back.
        let _alone = self.looking.lock().await;
        let channel = self.channel().await?;
        let name = self.names.push(connector).into();
        channel
            .queue_purge(name, QueuePurgeOptions::default())
            .await?;
        close(&channel).await
    }

    pub(super) async fn delete(&self, connector: &str) -> Result<()> {
        let channel = self.channel().await?;
        let [_, listen, _] = self.names.listen(connector);
        for name in [self.names.push(connector), listen] {
            channel
                .queue_delete(name.into(), QueueDeleteOptions::default())
                .await?;
        }
        close(&channel).await
    }

    pub(super) async fn publish(&self, connector: &str, message: &Value) -> Result<()> {
        let channel = self.channel().await?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        publish_on(&channel, &self.names, connector, message).await?;
        close(&channel).await
    }

    pub(super) async fn consume(&self, connector: &str) -> Result<Consumer> {
        timeout(ANSWER_LIMIT, self.begin_to_consume(connector))
            .await
            .context("no answer of the broker")?
    }

    async fn begin_to_consume(&self, connector: &str) -> Result<Consumer> {
        let connection = self.address.connect().await?;
        let channel = connection.create_channel().await?;
        channel.basic_qos(1, BasicQosOptions::default()).await?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        let queue = self.names.push(connector).into();
        let options = BasicConsumeOptions::default();
        let deliveries = channel
            .basic_consume(queue, "".into(), options, FieldTable::default())
            .await?;
        Ok(Consumer {
            deliveries,
            channel,
            names: self.names.clone(),
            connector: connector.to_owned(),
            connection,
        })
    }

    async fn channel(&self) -> Result<Channel> {
        let mut connection = self.connection.lock().await;
        if let Some(known) = connection
            .as_ref()
            .filter(|known| known.status().connected())
        {
            // One that does not answer is given up for a new one.
            if let Ok(channel) = timeout(ANSWER_LIMIT, known.create_channel()).await {
                return channel.context("no channel");
            }
        }
        let new = self.address.connect().await?;
        let channel = new.create_channel().await.context("no channel");
        *connection = Some(new);
        channel
    }
}

impl Consumer {
    pub(super) async fn next(&mut self) -> Result<Option<Delivery>> {
        Ok(self.deliveries.next().await.transpose()?)
    }

    pub(super) async fn close(self) -> Result<()> {
        let options = BasicCancelOptions::default();
        let tag = self.deliveries.tag();
        self.channel.basic_cancel(tag, options).await?;
        give_back(&self.channel, &self.names.push(&self.connector)).await?;
        self.connection.close(200, "done".into()).await?;
        Ok(())
    }

    pub(super) async fn publish(&self, message: &Value) -> Result<()> {
        publish_on(&self.channel, &self.names, &self.connector, message).await
    }
}

pub(super) async fn ack(delivery: &Delivery) -> Result<()> {
    delivery.ack(BasicAckOptions::default()).await?;
    Ok(())
}

/// Gives everything back that the channel has taken out of a queue and not acknowledged.
async fn give_back(channel: &Channel, queue: &str) -> Result<()> {
    let all_back = BasicNackOptions {
        multiple: true,
        requeue: true,
    };
    channel.basic_nack(0, all_back).await?;
    // The queue answers this after it has taken them back.
    counts_of(channel, queue).await?;
    Ok(())
}

async fn counts_of(channel: &Channel, queue: &str) -> Result<Counts> {
    let passive = QueueDeclareOptions::durable().passive();
    let queue = channel
        .queue_declare(queue.into(), passive, FieldTable::default())
        .await?;
    Ok(Counts {
        messages: queue.message_count(),
        consumers: queue.consumer_count(),
    })
}

async fn bind(channel: &Channel, exchange: &str, queue: &str, routing: &str) -> Result<()> {
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

/// Publishes and waits for the confirm, on a channel that confirms.
async fn publish_on(
    channel: &Channel,
    names: &Names,
    connector: &str,
    message: &Value,
) -> Result<()> {
    let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
    let payload = message.to_string();
    let (exchange, routing) = (
        names.push_exchange().into(),
        names.push_routing(connector).into(),
    );
    let options = BasicPublishOptions::default();
    channel
        .basic_publish(exchange, routing, options, payload.as_bytes(), properties)
        .await?
        .await?;
    Ok(())
}

async fn close(channel: &Channel) -> Result<()> {
    channel
        .close(200, "done".into())
        .await
        .context("the channel does not close")
}
