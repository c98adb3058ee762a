//! One connection to the broker, from its opening to its end.
//!
//! **Invariant.** Each published message has an answer in the window, or the session ends with an
//! error; no wait here is without a limit, except while the broker itself reports that it is blocked.

use std::time::Duration;

use bytes::Bytes;
use lapin::message::BasicReturnMessage;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, Connection};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::LOOK_EVERY;
use super::connection::{Broker, ConnectError, close};
use super::names::{fixed, number, short};
use super::too_large::TooLarge;
use super::window::{BrokerAnswer, SendWindow};
use crate::opencti::WorkError;
use crate::opencti::delivery::ConnectionStatusSender;
use crate::settings::ShortName;

/// For the broker to confirm something, or to read on.
const ANSWER_LIMIT: Duration = Duration::from_mins(2);
/// For a broker that has just been reached: one that is going down, or coming up, may never answer.
const BEGIN_LIMIT: Duration = Duration::from_secs(30);
/// After the end of a connection, for what came before it to be read.
const LAST_ANSWERS_LIMIT: Duration = Duration::from_secs(2);
const PERSISTENT: u8 = 2;

/// What a broker in an alarm is doing.
pub(super) const BLOCKED: &str = "the broker takes no messages at the moment: it is short of memory or \
     disk; sending goes on when it has enough again";

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(
        "messages that may have arrived are sent again only once the platform expects them again"
    )]
    AddExpectation(#[source] WorkError),
    #[error("the connection to the broker was lost")]
    Gone,
    #[error("the broker closed the connection, or it was lost")]
    Closed(#[source] lapin::Error),
    #[error("the broker takes no message over {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the broker has answered nothing for {} seconds", .0.as_secs())]
    Limit(Duration),
    #[error("the broker does not confirm messages")]
    NotConfirming,
    #[error("the broker returned a message without its number")]
    Unnumbered,
    #[error("a task of the sender ended unexpectedly")]
    Task(#[source] JoinError),
}

impl SessionError {
    /// A sentence without the broker's own words where these may name the user.
    pub(super) fn for_people(&self) -> String {
        let (Self::Connect(ConnectError::Refused { source: cause, .. }) | Self::Closed(cause)) =
            self
        else {
            return self.to_string();
        };
        match cause.kind() {
            lapin::ErrorKind::IOError(error) => format!("{self}: {error}"),
            lapin::ErrorKind::MissingHeartbeatError => {
                format!("{self}: it gave no sign of life")
            }
            _ => self.to_string(),
        }
    }
}

/// The future of a confirm, with the number of its message.
type Confirmed = (u64, Result<Confirmation, lapin::Error>);

/// An open connection with a channel that confirms.
#[derive(Debug)]
pub(super) struct Session {
    connection: Connection,
    channel: Channel,
    exchange: ShortName,
    routing_key: ShortName,
    confirms: JoinSet<Confirmed>,
    /// When the broker last answered, or was first asked.
    last_sign: Instant,
    /// That it refused a message for its size.
    too_large: Option<TooLarge>,
}

impl Session {
    pub(super) async fn begin(broker: &Broker) -> Result<Self, SessionError> {
        let (connection, channel) = broker.connect().await?;
        let confirming = channel.confirm_select(ConfirmSelectOptions::default());
        match tokio::time::timeout(BEGIN_LIMIT, confirming).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(SessionError::Closed(error)),
            Err(_) => return Err(SessionError::Limit(BEGIN_LIMIT)),
        }
        Ok(Self {
            connection,
            channel,
            exchange: broker.exchange().clone(),
            routing_key: broker.routing_key().clone(),
            confirms: JoinSet::new(),
            last_sign: Instant::now(),
            too_large: None,
        })
    }

    /// Whether something can be sent, as far as is known.
    pub(super) fn is_open(&self) -> bool {
        self.connection.status().connected() && self.channel.status().connected()
    }

    /// Sends a message that is in the window under this number.
    pub(super) async fn publish(
        &mut self,
        number: u64,
        body: &Bytes,
        connection: &ConnectionStatusSender,
    ) -> Result<(), SessionError> {
        if self.confirms.is_empty() {
            self.last_sign = Instant::now();
        }
        let channel = self.channel.clone();
        let publishing = channel.basic_publish(
            short(&self.exchange),
            short(&self.routing_key),
            BasicPublishOptions {
                mandatory: true,
                immediate: false,
            },
            body,
            properties(number),
        );
        let mut publishing = Box::pin(publishing);
        let published = loop {
            tokio::select! {
                published = &mut publishing => break published,
                () = tokio::time::sleep(LOOK_EVERY) => {
                    if self.look()? {
                        connection.paused(BLOCKED);
                    }
                }
            }
        };
        let confirm = published.map_err(|error| self.closed(error))?;
        self.confirms.spawn(async move { (number, confirm.await) });
        Ok(())
    }

    /// Waits for an answer and notes it in the window; may be broken off at any time.
    pub(super) async fn next_answer(
        &mut self,
        window: &mut SendWindow,
    ) -> Result<(), SessionError> {
        match self.confirms.join_next().await {
            Some(joined) => self.note(joined, window),
            // Something is in the window that was not published: the session is over.
            None => Err(SessionError::Gone),
        }
    }

    /// Looks whether the broker still answers; true while it says that it is blocked.
    pub(super) fn look(&mut self) -> Result<bool, SessionError> {
        let is_blocked = self.connection.status().blocked();
        if is_blocked {
            self.last_sign = Instant::now();
        }
        if self.last_sign.elapsed() > ANSWER_LIMIT {
            return Err(SessionError::Limit(ANSWER_LIMIT));
        }
        Ok(is_blocked)
    }

    /// Closes the connection and notes the answers that came before. Answers whether the broker refused a
    /// message for its size.
    pub(super) async fn end(mut self, window: &mut SendWindow) -> Option<TooLarge> {
        close(&self.connection).await;
        let last_answers = async {
            while let Some(joined) = self.confirms.join_next().await {
                if let Err(error) = self.note(joined, window) {
                    tracing::trace!(%error, "no answer to a message");
                }
            }
        };
        if tokio::time::timeout(LAST_ANSWERS_LIMIT, last_answers)
            .await
            .is_err()
        {
            tracing::debug!("the answers of the broker that were outstanding did not come");
        }
        self.too_large
    }

    /// The end of the session for this error.
    fn closed(&mut self, error: lapin::Error) -> SessionError {
        self.too_large = self.too_large.take().or_else(|| TooLarge::of(&error));
        SessionError::Closed(error)
    }

    fn note(
        &mut self,
        joined: Result<Confirmed, JoinError>,
        window: &mut SendWindow,
    ) -> Result<(), SessionError> {
        self.last_sign = Instant::now();
        let (number, confirmation) = joined.map_err(SessionError::Task)?;
        let (answer, returned) = match confirmation {
            Ok(Confirmation::Ack(returned)) => (BrokerAnswer::Taken, returned),
            Ok(Confirmation::Nack(returned)) => (BrokerAnswer::Refused, returned),
            Ok(Confirmation::NotRequested) => return Err(SessionError::NotConfirming),
            Err(error) => {
                window.answer(number, BrokerAnswer::Lost);
                return Err(self.closed(error));
            }
        };
        if let Some(returned) = returned {
            // Without its number, this one stays unanswered, and nothing counts as confirmed.
            window.note_returned(number_of(&returned).ok_or(SessionError::Unnumbered)?);
        }
        window.answer(number, answer);
        Ok(())
    }
}

fn properties(message: u64) -> BasicProperties {
    BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type(fixed("application/json"))
        .with_content_encoding(fixed("utf-8"))
        .with_message_id(number(message))
}

fn number_of(returned: &BasicReturnMessage) -> Option<u64> {
    let id = returned.properties.message_id().as_ref()?;
    id.as_str().parse().ok()
}
