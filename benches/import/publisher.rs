//! The bare publisher: messages as they are, straight into a queue of the broker, each confirmed.
//! What it reaches is the most that this broker takes from one connection.

use std::collections::VecDeque;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Confirmation, Connection, ConnectionProperties, PublisherConfirm};

const PERSISTENT: u8 = 2;
/// Messages without their confirm.
const WINDOW: usize = 256;

/// Publishes the messages of a file that [`write`] has written.
pub(crate) async fn publish(address: &str, queue: &str, messages: &Path) -> Result<()> {
    let messages = read(&std::fs::read(messages)?)?;
    let connection = Connection::connect(address, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    channel
        .queue_declare(
            queue.into(),
            QueueDeclareOptions::durable(),
            FieldTable::default(),
        )
        .await?;
    let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
    let mut confirms = VecDeque::new();
    for message in &messages {
        let options = BasicPublishOptions::default();
        let published = channel.basic_publish(
            "".into(),
            queue.into(),
            options,
            message,
            properties.clone(),
        );
        confirms.push_back(published.await?);
        while confirms.len() > WINDOW {
            confirmed(&mut confirms).await?;
        }
    }
    while !confirms.is_empty() {
        confirmed(&mut confirms).await?;
    }
    connection.close(200, "done".into()).await?;
    Ok(())
}

async fn confirmed(confirms: &mut VecDeque<PublisherConfirm>) -> Result<()> {
    if let Some(confirm) = confirms.pop_front() {
        let confirmation = confirm.await?;
        ensure!(
            matches!(confirmation, Confirmation::Ack(None)),
            "the broker did not take a message: {confirmation:?}"
        );
    }
    Ok(())
}

/// Writes messages one after the other, each behind its length.
pub(crate) fn write(messages: &[Vec<u8>], file: &Path) -> Result<()> {
    let mut content = Vec::new();
    for message in messages {
        content.extend_from_slice(&u64::try_from(message.len())?.to_le_bytes());
        content.extend_from_slice(message);
    }
    Ok(std::fs::write(file, content)?)
}

fn read(mut content: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut messages = Vec::new();
    while let Some((length, rest)) = content.split_first_chunk::<8>() {
        let length = u64::from_le_bytes(*length).try_into()?;
        let (message, rest) = rest.split_at_checked(length).context("a broken file")?;
        messages.push(message.to_vec());
        content = rest;
    }
    Ok(messages)
}
