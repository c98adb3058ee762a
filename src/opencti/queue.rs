//! The push queue over AMQP: one long-lived connection that comes back, and only confirms count.
//!
//! The only user of lapin. Its automatic recovery is not used: a publish that is cancelled while the
//! broker is gone can leave a recovering channel stuck for ever. A *session* is used instead: connect,
//! publish, await confirms; whatever goes wrong ends the session, and the next one begins with the
//! messages that were not confirmed. A message may so be sent twice, and is never lost.
//!
//! **Invariant.** A message leaves this module's memory only with a plain Ack. A Nack, a message that
//! comes back unroutable, and "confirms are off" are not successes: it is sent again after a pause.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::BrokerAddress;
use super::delivery::{Outgoing, Pusher};
use crate::telemetry::logs::Chain;

/// Messages that may be unconfirmed at once: enough to keep the broker busy.
const WINDOW_MESSAGES: usize = 64;
/// Bytes that may be unconfirmed at once.
const WINDOW_BYTES: usize = 32 * 1024 * 1024;
/// Messages that may wait for a place in the window.
const WAITING_MESSAGES: usize = 16;
const CONNECT_LIMIT: Duration = Duration::from_secs(30);
const PUBLISH_LIMIT: Duration = Duration::from_mins(1);
/// Brokers that are short of memory or disk hold confirms back.
const CONFIRM_LIMIT: Duration = Duration::from_mins(2);
const CLOSE_LIMIT: Duration = Duration::from_secs(2);
/// After a Nack or a message that came back.
const PAUSE: Duration = Duration::from_secs(10);
const HEARTBEAT_SECONDS: u16 = 30;
const PERSISTENT: u8 = 2;

/// How to speak TLS to the broker.
#[derive(Debug, Default, Clone)]
pub struct BrokerTls {
    /// Extra certificate authorities, PEM.
    pub extra_ca: Option<String>,
    /// Our own certificate and key, PEM.
    pub identity: Option<Identity>,
}

/// The certificate with which the connector shows who it is.
#[derive(Clone)]
pub struct Identity {
    /// The certificate, PEM.
    pub certificate: Vec<u8>,
    /// Its key, PEM.
    pub key: SecretString,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity")
    }
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
enum SessionError {
    #[error("cannot connect to the broker at {address}{}", hint(source))]
    Connect {
        address: String,
        source: lapin::Error,
    },
    #[error("no connection to the broker at {address} within {} seconds; if the address is that of a container network, set MQ_HOST and MQ_PORT (mq.host, mq.port)", CONNECT_LIMIT.as_secs())]
    ConnectLimit { address: String },
    #[error("the broker refused a message or closed the connection")]
    Publish(#[source] lapin::Error),
    #[error("the broker neither took nor refused a message within {} seconds", .0.as_secs())]
    Limit(Duration),
    #[error("the broker answered a message with a Nack")]
    Nack,
    #[error(
        "the broker returned a message: no queue is bound to {routing_key}; was the connector deleted on the platform?"
    )]
    Returned { routing_key: String },
    #[error("the broker does not confirm messages")]
    NotConfirming,
    #[error("a task of the sender ended unexpectedly")]
    Task(#[source] tokio::task::JoinError),
}

fn hint(error: &lapin::Error) -> &'static str {
    match error.kind() {
        lapin::ErrorKind::IOError(_) => {
            "; if the address is that of a container network, set MQ_HOST and MQ_PORT (mq.host, mq.port)"
        }
        lapin::ErrorKind::ProtocolError(_) => {
            "; check MQ_USER, MQ_PASS and MQ_VHOST (mq.user, mq.pass, mq.vhost) if they are set"
        }
        _ => "",
    }
}

/// Starts the sending task; it ends when every [`Pusher`] is dropped and its messages are confirmed.
pub fn start(address: BrokerAddress, tls: BrokerTls, name: &str) -> Pusher {
    let (pusher, incoming) = Pusher::channel(WAITING_MESSAGES);
    let sender = Sender {
        address,
        tls,
        name: name.to_owned(),
        incoming,
        back: VecDeque::new(),
        closed: false,
    };
    tokio::spawn(sender.run());
    pusher
}

struct Sender {
    address: BrokerAddress,
    tls: BrokerTls,
    name: String,
    incoming: mpsc::Receiver<Outgoing>,
    /// Messages of an earlier session that were not confirmed; they go first, in their order.
    back: VecDeque<Outgoing>,
    /// Nothing more will come in.
    closed: bool,
}

impl Sender {
    async fn run(mut self) {
        let mut waits = waits();
        loop {
            // Nothing to send: no need for a connection yet.
            if self.back.is_empty() {
                match self.incoming.recv().await {
                    Some(outgoing) => self.back.push_back(outgoing),
                    None => return,
                }
            }
            match self.session(&mut waits).await {
                Ok(()) => return,
                Err(error) => {
                    let wait = Self::pause_after(&error, &mut waits);
                    tracing::warn!(
                        error = %Chain(&error),
                        unconfirmed = self.back.len(),
                        wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                        "sending is interrupted; what is not confirmed will be sent again"
                    );
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    fn pause_after(error: &SessionError, waits: &mut ExponentialBackoff) -> Duration {
        match error {
            SessionError::Nack | SessionError::Returned { .. } => PAUSE,
            _ => waits.next().unwrap_or(PAUSE),
        }
    }

    /// Sends until there is nothing more to come, or something goes wrong.
    async fn session(
        &mut self,
        waits_between: &mut ExponentialBackoff,
    ) -> Result<(), SessionError> {
        let (connection, channel) = self.connect().await?;
        let mut window = Window::default();
        let ended = self.send_all(&channel, &mut window).await;
        if window.has_confirmed {
            *waits_between = waits();
        }
        window.give_back(&mut self.back);
        close(&connection).await;
        ended
    }

    async fn connect(&self) -> Result<(Connection, Channel), SessionError> {
        let address = format!("{}:{}", self.address.host, self.address.port);
        let opening = async {
            let connection = self.open_connection().await?;
            let channel = connection.create_channel().await?;
            channel
                .confirm_select(ConfirmSelectOptions::default())
                .await?;
            Ok((connection, channel))
        };
        match tokio::time::timeout(CONNECT_LIMIT, opening).await {
            Ok(Ok(open)) => {
                tracing::info!(broker = %address, "connected to the broker");
                Ok(open)
            }
            Ok(Err(source)) => Err(SessionError::Connect { address, source }),
            Err(_) => Err(SessionError::ConnectLimit { address }),
        }
    }

    async fn open_connection(&self) -> Result<Connection, lapin::Error> {
        let uri = AMQPUri {
            scheme: if self.address.tls {
                AMQPScheme::AMQPS
            } else {
                AMQPScheme::AMQP
            },
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo {
                    username: self.address.user.clone(),
                    password: self.address.password.expose_secret().to_owned(),
                },
                host: self.address.host.clone(),
                port: self.address.port,
            },
            vhost: self.address.vhost.clone(),
            query: AMQPQueryString {
                heartbeat: Some(HEARTBEAT_SECONDS),
                ..AMQPQueryString::default()
            },
        };
        let properties =
            ConnectionProperties::default().with_connection_name(self.name.as_str().into());
        let tls =
            lapin::tcp::OwnedTLSConfig {
                identity: self.tls.identity.as_ref().map(|identity| {
                    lapin::tcp::OwnedIdentity::PKCS8 {
                        pem: identity.certificate.clone(),
                        key: identity.key.expose_secret().as_bytes().to_vec(),
                    }
                }),
                cert_chain: self.tls.extra_ca.clone(),
            };
        Connection::connect_uri_with_config(
            uri,
            properties,
            tls,
            lapin::runtime::default_runtime()?,
        )
        .await
    }

    async fn send_all(
        &mut self,
        channel: &Channel,
        window: &mut Window,
    ) -> Result<(), SessionError> {
        loop {
            while window.has_room()
                && let Some(outgoing) = self.back.pop_front()
            {
                window.publish(channel, &self.address, outgoing).await?;
            }
            tokio::select! {
                confirmed = window.next_confirm(&self.address), if !window.is_empty() => confirmed?,
                incoming = self.incoming.recv(), if !self.closed && window.has_room() => match incoming {
                    Some(outgoing) => self.back.push_back(outgoing),
                    None => self.closed = true,
                },
                else => return Ok(()),
            }
        }
    }
}

/// Says goodbye; a broker that is gone does not answer.
async fn close(connection: &Connection) {
    let closing = connection.close(200, "done".into());
    if !matches!(tokio::time::timeout(CLOSE_LIMIT, closing).await, Ok(Ok(()))) {
        tracing::debug!("the connection to the broker was gone already");
    }
}

fn waits() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(Duration::from_secs(30))
        .with_jitter()
        .without_max_times()
        .build()
}

/// The messages that were published and are not confirmed yet, in the order of their publishing.
#[derive(Default)]
struct Window {
    unconfirmed: BTreeMap<u64, Outgoing>,
    bytes: usize,
    published: u64,
    has_confirmed: bool,
    confirms: JoinSet<(u64, Result<Confirmation, SessionError>)>,
}

impl Window {
    fn is_empty(&self) -> bool {
        self.unconfirmed.is_empty()
    }

    fn has_room(&self) -> bool {
        self.is_empty() || (self.unconfirmed.len() < WINDOW_MESSAGES && self.bytes < WINDOW_BYTES)
    }

    async fn publish(
        &mut self,
        channel: &Channel,
        address: &BrokerAddress,
        outgoing: Outgoing,
    ) -> Result<(), SessionError> {
        let number = self.published;
        let body = outgoing.message.body.clone();
        self.published += 1;
        self.bytes += body.len();
        // Ours before it is the broker's: whatever happens now, it is given back.
        self.unconfirmed.insert(number, outgoing);
        let publishing = channel.basic_publish(
            address.exchange.as_str().into(),
            address.routing_key.as_str().into(),
            BasicPublishOptions {
                mandatory: true,
                immediate: false,
            },
            &body,
            BasicProperties::default()
                .with_delivery_mode(PERSISTENT)
                .with_content_type("application/json".into())
                .with_content_encoding("utf-8".into()),
        );
        let confirm = within(PUBLISH_LIMIT, publishing).await?;
        self.confirms
            .spawn(async move { (number, within(CONFIRM_LIMIT, confirm).await) });
        Ok(())
    }

    async fn next_confirm(&mut self, address: &BrokerAddress) -> Result<(), SessionError> {
        let Some(joined) = self.confirms.join_next().await else {
            return Ok(());
        };
        let (number, confirmation) = joined.map_err(SessionError::Task)?;
        match confirmation? {
            Confirmation::Ack(None) => {
                if let Some(outgoing) = self.unconfirmed.remove(&number) {
                    self.bytes = self.bytes.saturating_sub(outgoing.message.body.len());
                    outgoing.ticket.confirm_one();
                    self.has_confirmed = true;
                }
                Ok(())
            }
            Confirmation::Ack(Some(_)) => Err(SessionError::Returned {
                routing_key: address.routing_key.clone(),
            }),
            Confirmation::Nack(_) => Err(SessionError::Nack),
            Confirmation::NotRequested => Err(SessionError::NotConfirming),
        }
    }

    /// What was not confirmed goes back, in its order, ahead of what waits there.
    fn give_back(self, back: &mut VecDeque<Outgoing>) {
        for outgoing in self.unconfirmed.into_values().rev() {
            back.push_front(outgoing);
        }
    }
}

async fn within<T>(
    limit: Duration,
    step: impl Future<Output = Result<T, lapin::Error>>,
) -> Result<T, SessionError> {
    match tokio::time::timeout(limit, step).await {
        Ok(outcome) => outcome.map_err(SessionError::Publish),
        Err(_) => Err(SessionError::Limit(limit)),
    }
}
