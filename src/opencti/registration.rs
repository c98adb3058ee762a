//! The connector at the platform: registration, ping, the size of its queue.

use secrecy::SecretString;
use uuid::Uuid;

use super::operations::{
    ConnectorConfig, ConnectorReset, DeleteConnector, PingConnector, QueueDetails,
    RegisterConnector, RegisterStreamConnector, RegisteredConnector, WorkerConsumers,
    connector_reset, delete_connector, ping_connector, queue_details, register_connector,
    register_stream_connector, worker_consumers,
};
use crate::http::RetryPolicy;
use crate::platform::{Platform, PlatformError};
use crate::settings::{BrokerOverrides, ConnectorType, NameError, ShortName};
use crate::telemetry::safe_text::{NAME, clean, safe};
use crate::telemetry::secrets;

/// Who the connector is, as the platform shows it.
#[derive(Debug, Clone)]
pub struct ConnectorProfile {
    /// The connector's id; also names its queue.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its scope; descriptive only for an importer.
    pub scope: Vec<String>,
    /// Its type.
    pub connector_type: ConnectorType,
}

/// What registration answers.
#[derive(Debug)]
pub struct Registration {
    /// The user on whose behalf the workers import.
    pub applicant_id: String,
    /// The state that the platform keeps for the connector.
    pub echo: Echo,
    /// The broker, as the platform sees it, or what the answer lacks of it: a connector that sends no messages is not
    /// told of one.
    pub broker: Result<RegisteredBroker, RegistrationError>,
}

/// What the platform says of the state that it keeps. It may be older than what was just sent: the
/// answer is a reading of its own (docs/protocol.md#state-and-reset).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Echo {
    /// The state; none where there is none, or an empty one.
    pub state: Option<String>,
    /// When the state was last reset, or the connector created; nothing else moves it. Releases before
    /// 6.7.5 do not say it.
    pub reset_at: Option<String>,
}

/// The broker as the platform names it.
#[derive(Debug)]
pub struct RegisteredBroker {
    /// Or why it is none: a setting may name another one.
    host: Result<ShortName, String>,
    port: u16,
    vhost: ShortName,
    user: ShortName,
    password: SecretString,
    tls: bool,
    exchange: ShortName,
    routing_key: ShortName,
    /// The push queue.
    pub queue: ShortName,
}

impl RegisteredBroker {
    /// Where messages go: the settings know better where set.
    ///
    /// # Errors
    /// [`RegistrationError::Host`] where neither the platform nor the settings name a host.
    pub fn overridden(self, by: &BrokerOverrides) -> Result<BrokerAddress, RegistrationError> {
        let by = by.clone();
        let host = by.host.map_or(self.host, Ok);
        Ok(BrokerAddress {
            host: host.map_err(RegistrationError::Host)?,
            port: by.port.unwrap_or(self.port),
            vhost: by.vhost.unwrap_or(self.vhost),
            user: by.user.unwrap_or(self.user),
            password: by.pass.unwrap_or(self.password),
            tls: by.use_ssl.unwrap_or(self.tls),
            exchange: self.exchange,
            routing_key: self.routing_key,
            queue: self.queue,
        })
    }
}

/// Where messages go.
#[derive(Debug, Clone)]
pub struct BrokerAddress {
    /// Host name or address.
    pub host: ShortName,
    /// Port.
    pub port: u16,
    /// Virtual host.
    pub vhost: ShortName,
    /// User.
    pub user: ShortName,
    /// Password.
    pub password: SecretString,
    /// Whether to speak TLS.
    pub tls: bool,
    /// The exchange to publish to.
    pub exchange: ShortName,
    /// The routing key of the push queue.
    pub routing_key: ShortName,
    /// The push queue itself.
    pub queue: ShortName,
}

impl BrokerAddress {
    /// Without the brackets in which an IPv6 address may stand: no resolver takes them.
    pub(super) fn bare_host(&self) -> &str {
        let host = self.host.as_str();
        let bare = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        bare.unwrap_or(host)
    }
}

/// Host and port.
impl std::fmt::Display for BrokerAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (host, port) = (self.bare_host(), self.port);
        if host.contains(':') {
            return write!(f, "[{}]:{port}", safe(host, NAME));
        }
        write!(f, "{}:{port}", safe(host, NAME))
    }
}

/// Why the platform's answer to the registration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// The request failed.
    #[error("cannot register the connector at the destination")]
    Request(#[source] PlatformError),
    /// What made the answer too large is not known: it was not read to its end. In that of a platform, nothing but the
    /// kept state has any size.
    #[error(
        "cannot register the connector at the destination: {}",
        ANSWER_TOO_LARGE
    )]
    TooLarge(#[source] PlatformError),
    /// The answer lacks something that the connector cannot do without.
    #[error(
        "the destination registered the connector but did not answer its {0}; is the token's user allowed to run connectors?"
    )]
    Incomplete(&'static str),
    /// The answer holds a name that no broker takes.
    #[error(
        "the destination gave a {field} that {error}; correct what its settings say of RabbitMQ"
    )]
    Name {
        /// Which name.
        field: &'static str,
        /// What is wrong with it.
        error: NameError,
    },
    /// The answer holds what is no host of a broker. It is not shown, for it may hold a password.
    #[error(
        "the destination gave a broker's host that {0}; correct what its settings say of RabbitMQ, or set MQ_HOST (mq.host)"
    )]
    Host(String),
    /// The answer holds a number that is no port.
    #[error(
        "the destination gave a broker's port that is {0}; correct what its settings say of RabbitMQ"
    )]
    Port(i64),
}

impl From<PlatformError> for RegistrationError {
    fn from(error: PlatformError) -> Self {
        if is_too_large(&error) {
            return Self::TooLarge(error);
        }
        Self::Request(error)
    }
}

/// Of an answer to a request for the connector itself that is too large: what may be wrong, and what a person can do.
pub const ANSWER_TOO_LARGE: &str = "its answer is too large; either something else answers in its place, so look at what \
    stands in front of it first, or the state that it keeps for the connector is too large: then reset the connector \
    on the platform, which empties it, and everything is read from the beginning";

/// Whether the answer to a request for the connector itself is too large. If it is the platform that answered, it is
/// the state.
pub fn is_too_large(error: &PlatformError) -> bool {
    matches!(error, PlatformError::Request(error) if error.is_too_large())
}

/// Registers a connector of one type by one of the two operations: each has types of its own.
macro_rules! registered {
    ($operation:ident, $types:ident, $connector_type:ident, $platform:ident, $profile:ident, $policy:ident) => {{
        let input = $types::RegisterConnectorInput {
            id: $profile.id.to_string(),
            name: $profile.name.clone(),
            type_: $types::ConnectorType::$connector_type,
            scope: Some($profile.scope.clone()),
            auto: Some(false),
            only_contextual: Some(false),
            playbook_compatible: Some(false),
        };
        let variables = $types::Variables { input: Some(input) };
        let answering = $platform.call::<$operation>(variables, $policy);
        answering.await?.register_connector
    }};
}

/// Registers the connector; the platform declares its queues. May be repeated.
///
/// # Errors
/// [`RegistrationError`] when the platform refuses, or answers no user or no queue.
pub async fn register(
    platform: &Platform,
    profile: &ConnectorProfile,
    policy: RetryPolicy,
) -> Result<Registration, RegistrationError> {
    let connector = match profile.connector_type {
        ConnectorType::ExternalImport => registered!(
            RegisterConnector,
            register_connector,
            EXTERNAL_IMPORT,
            platform,
            profile,
            policy
        ),
        // Without a question for the broker, whose settings a platform may not have.
        ConnectorType::Stream => registered!(
            RegisterStreamConnector,
            register_stream_connector,
            STREAM,
            platform,
            profile,
            policy
        ),
    };
    let registration = read_registration(connector)?;
    if let Ok(broker) = &registration.broker {
        secrets::hide(&broker.password);
    }
    Ok(registration)
}

fn read_registration(
    connector: Option<RegisteredConnector>,
) -> Result<Registration, RegistrationError> {
    let connector = given(connector, "connector")?;
    Ok(Registration {
        applicant_id: given(connector.connector_user_id, "user")?,
        echo: echo(
            connector.connector_state,
            connector.connector_state_timestamp,
        ),
        broker: read_broker(connector.config),
    })
}

fn read_broker(config: Option<ConnectorConfig>) -> Result<RegisteredBroker, RegistrationError> {
    let config = given(config, "queue")?;
    let connection = given(config.connection, "broker")?;
    let vhost = connection.vhost.unwrap_or_else(|| "/".to_owned());
    Ok(RegisteredBroker {
        host: ShortName::host(&given(connection.host, "broker's host")?),
        port: port(given(connection.port, "broker's port")?)?,
        vhost: name(Some(vhost), "broker's vhost")?,
        user: name(connection.user, "broker's user")?,
        password: given(connection.pass, "broker's password")?,
        tls: connection.use_ssl.unwrap_or(false),
        exchange: name(config.push_exchange, "push exchange")?,
        routing_key: name(config.push_routing, "push routing key")?,
        queue: name(config.push, "push queue")?,
    })
}

fn given<T>(value: Option<T>, field: &'static str) -> Result<T, RegistrationError> {
    value.ok_or(RegistrationError::Incomplete(field))
}

fn port(number: i64) -> Result<u16, RegistrationError> {
    let port = u16::try_from(number).ok().filter(|port| *port > 0);
    port.ok_or(RegistrationError::Port(number))
}

fn name(text: Option<String>, field: &'static str) -> Result<ShortName, RegistrationError> {
    ShortName::new(given(text, field)?).map_err(|error| RegistrationError::Name { field, error })
}

fn echo(state: Option<String>, reset_at: Option<String>) -> Echo {
    Echo {
        state: state.filter(|state| !state.is_empty()),
        reset_at: reset_at.map(|time| clean(&time, NAME).into_owned()),
    }
}

/// What the platform shows of a connector's doings (releases from 6.2.12).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConnectorInfo {
    /// Whether the connector ends after one run.
    pub run_and_terminate: bool,
    /// Whether it waits for its queue to shrink.
    pub buffering: bool,
    /// The size of the queue at which it waits, in megabytes.
    pub queue_threshold_mb: f64,
    /// The size of the queue, in megabytes.
    pub queue_mb: f64,
    /// When the last run began.
    pub last_run: Option<chrono::DateTime<chrono::Utc>>,
    /// When the next run begins.
    pub next_run: Option<chrono::DateTime<chrono::Utc>>,
}

/// Tells the platform that the connector is alive, with the state that it is to keep. The first ping
/// after a reset is an exception: its state is ignored (docs/protocol.md#state-and-reset).
///
/// # Errors
/// [`PlatformError`] when the ping was not taken; not tried again, the next ping is the next try.
pub async fn ping(
    platform: &Platform,
    id: Uuid,
    state: Option<String>,
    info: &ConnectorInfo,
) -> Result<Echo, PlatformError> {
    let date = |time: chrono::DateTime<chrono::Utc>| time.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let connector_info = ping_connector::ConnectorInfoInput {
        run_and_terminate: info.run_and_terminate,
        buffering: info.buffering,
        queue_threshold: info.queue_threshold_mb,
        queue_messages_size: info.queue_mb,
        next_run_datetime: info.next_run.map(date),
        last_run_datetime: info.last_run.map(date),
    };
    let variables = ping_connector::Variables {
        id: id.to_string(),
        state,
        connector_info: Some(connector_info),
    };
    let answer = platform
        .call::<PingConnector>(variables, RetryPolicy::NEVER)
        .await?;
    Ok(answer.ping_connector.map_or_else(Echo::default, |pinged| {
        echo(pinged.connector_state, pinged.connector_state_timestamp)
    }))
}

/// What the platform keeps for the connector, as it stands between two pings: how releases without
/// [`Echo::reset_at`] say that somebody has reset it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeptConnector {
    /// Somebody has reset the connector since its last ping: the next one is ignored.
    pub is_reset: bool,
    /// The state that is kept.
    pub echo: Echo,
}

/// Asks what the platform keeps for the connector.
///
/// # Errors
/// [`PlatformError`] when the platform does not answer, or the user may not see connectors.
pub async fn kept(platform: &Platform, id: Uuid) -> Result<Option<KeptConnector>, PlatformError> {
    let variables = connector_reset::Variables { id: id.to_string() };
    let answer = platform
        .call::<ConnectorReset>(variables, RetryPolicy::NEVER)
        .await?;
    Ok(answer.connector.map(|connector| KeptConnector {
        is_reset: connector.connector_state_reset == Some(true),
        echo: echo(connector.connector_state, None),
    }))
}

/// Takes the connector off the platform, with its queue. A platform that is busy is asked again: what is not
/// deleted stays for good.
///
/// # Errors
/// [`PlatformError`] when the platform does not, as where the user may not manage connectors.
pub async fn delete(platform: &Platform, id: Uuid) -> Result<(), PlatformError> {
    let variables = delete_connector::Variables { id: id.to_string() };
    let deleting = platform.call::<DeleteConnector>(variables, RetryPolicy::FOR_A_PART);
    deleting.await.map(|_| ())
}

/// How much waits in the push queue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QueueSize {
    /// Messages.
    pub messages: f64,
    /// Bytes.
    pub bytes: f64,
}

impl QueueSize {
    /// Megabytes, as people and the platform's pages count them: millions of bytes.
    pub fn megabytes(&self) -> f64 {
        const MEGABYTE: f64 = 1_000_000.0;
        self.bytes / MEGABYTE
    }
}

/// Asks how much waits in the push queue; none where the release does not say (before 6.1.13).
///
/// # Errors
/// [`PlatformError`] when the platform does not answer.
pub async fn queue_size(platform: &Platform, id: Uuid) -> Result<Option<QueueSize>, PlatformError> {
    // In 6.1.12 the field is there, and asking for it is an error.
    if !platform.release().is_at_least(6, 1, 13) {
        return Ok(None);
    }
    let variables = queue_details::Variables { id: id.to_string() };
    let answer = platform
        .call::<QueueDetails>(variables, RetryPolicy::NEVER)
        .await?;
    let details = answer
        .connector
        .and_then(|connector| connector.connector_queue_details);
    Ok(details.map(|details| QueueSize {
        messages: details.messages_number.unwrap_or_default(),
        bytes: details.messages_size.unwrap_or_default(),
    }))
}

/// How many workers consume from the platform's push queues; none where it does not say that.
///
/// # Errors
/// [`PlatformError`] when the platform does not answer, or not this user.
pub async fn worker_consumers(platform: &Platform) -> Result<Option<u64>, PlatformError> {
    let answer = platform
        .call::<WorkerConsumers>(worker_consumers::Variables {}, RetryPolicy::NEVER)
        .await?;
    let consumers = answer
        .rabbit_mq_metrics
        .and_then(|metrics| metrics.consumers);
    Ok(consumers.and_then(|consumers| consumers.trim().parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphql::{HttpFailure, RequestError};
    use crate::http;

    #[test]
    fn an_answer_that_is_too_large_may_hold_the_state_or_be_of_something_else() {
        let url = "https://cti.example/graphql".parse().unwrap();
        let too_large = RequestError::Http(HttpFailure {
            operation: "RegisterConnector",
            error: http::Error::TooLarge {
                peer: http::Peer::new("the destination", &url),
                limit: 4_194_304,
            },
        });
        let error = RegistrationError::from(PlatformError::Request(too_large));
        let message = error.to_string();
        for part in [
            "its answer is too large; either something else answers in its place",
            "or the state that it keeps for the connector is too large: then reset the connector on the platform",
        ] {
            assert!(message.contains(part), "no {part:?} in {message}");
        }
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(cause, "the answer of the destination exceeds 4194304 bytes");
    }

    #[rstest::rstest]
    #[case("::1", "[::1]:5672")]
    #[case("[::1]", "[::1]:5672")]
    #[case("broker.example", "broker.example:5672")]
    #[case("127.0.0.1", "127.0.0.1:5672")]
    fn an_address_is_written_so_that_its_port_is_seen(#[case] host: &str, #[case] written: &str) {
        let short = |text: &str| ShortName::new(text).unwrap();
        let address = BrokerAddress {
            host: short(host),
            port: 5672,
            vhost: short("/"),
            user: short("u"),
            password: "p".to_owned().into(),
            tls: false,
            exchange: short(""),
            routing_key: short(""),
            queue: short(""),
        };
        assert_eq!(address.to_string(), written);
    }

    fn answered(
        pointer: &str,
        value: impl Into<serde_json::Value>,
    ) -> Result<BrokerAddress, RegistrationError> {
        registered(pointer, value)?.overridden(&BrokerOverrides::default())
    }

    fn registered(
        pointer: &str,
        value: impl Into<serde_json::Value>,
    ) -> Result<RegisteredBroker, RegistrationError> {
        let mut answer = serde_json::json!({
            "connector_user_id": "u",
            "config": {
                "connection": {
                    "host": "h", "port": 5672, "vhost": "/", "user": "u", "pass": "p", "use_ssl": false
                },
                "push": "q", "push_routing": "r", "push_exchange": "e",
            },
        });
        *answer.pointer_mut(pointer).unwrap() = value.into();
        read_registration(Some(serde_json::from_value(answer).unwrap()))?.broker
    }

    #[rstest::rstest]
    #[case("/config/push", "push queue")]
    #[case("/config/push_routing", "push routing key")]
    #[case("/config/push_exchange", "push exchange")]
    #[case("/config/connection/vhost", "broker's vhost")]
    #[case("/config/connection/user", "broker's user")]
    fn a_name_that_no_broker_takes_is_recognised_by_its_field(
        #[case] pointer: &str,
        #[case] field: &str,
    ) {
        assert!(answered(pointer, "a".repeat(255)).is_ok());
        for (text, why) in [
            ("a".repeat(256), "has 256 bytes; a broker takes at most 255"),
            ("a\0b".to_owned(), "holds control characters"),
        ] {
            let reported = answered(pointer, text).unwrap_err().to_string();
            let start = format!("the destination gave a {field} that {why}");
            assert!(reported.starts_with(&start), "{reported}");
        }
    }

    #[rstest::rstest]
    #[case("amqp://user:hunter2@broker.example")]
    #[case("broker.example:5672")]
    #[case("user:hunter2@broker.example")]
    #[case("")]
    #[case("hunter2\0")]
    fn a_host_that_is_none_is_refused_and_not_shown(#[case] host: &str) {
        let pointer = "/config/connection/host";
        let reported = answered(pointer, host).unwrap_err().to_string();
        let start = "the destination gave a broker's host that is neither the name nor the address";
        assert!(reported.starts_with(start), "{reported}");
        assert!(
            reported.contains("MQ_HOST") && !reported.contains("hunter2"),
            "{reported}"
        );
        // Where a setting names another one, it is not needed.
        let by = BrokerOverrides {
            host: Some(ShortName::host("b.example").unwrap()),
            ..BrokerOverrides::default()
        };
        let address = registered(pointer, host).unwrap().overridden(&by).unwrap();
        assert_eq!(address.to_string(), "b.example:5672");
    }

    #[rstest::rstest]
    fn a_number_that_is_no_port_is_named(#[values(-1, 0, 65_536, 70_000)] number: i64) {
        let reported = answered("/config/connection/port", number).unwrap_err();
        let start = format!("the destination gave a broker's port that is {number};");
        assert!(reported.to_string().starts_with(&start), "{reported}");
        assert_eq!(
            answered("/config/connection/port", 65_535).unwrap().port,
            65_535
        );
    }
}
