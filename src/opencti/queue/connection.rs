//! Opens connections to the broker.
//!
//! **Invariant.** Its errors name the broker's host and port, and never the user that the
//! connector has there.

use std::sync::Arc;
use std::time::Duration;

use lapin::types::LongString;
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{Channel, Connection, ConnectionProperties};
use secrecy::ExposeSecret;

use super::BrokerTls;
use super::advice::{Tried, advice};
use super::names::fixed;
use crate::opencti::BrokerAddress;
use crate::settings::ShortName;
use crate::telemetry::safe_text::{NAME, safe};
use crate::telemetry::waiting::WaitNotice;

const CONNECT_LIMIT: Duration = Duration::from_secs(30);
const CLOSE_LIMIT: Duration = Duration::from_secs(2);
/// A connection over which nothing came for twice so long is given up.
const HEARTBEAT_SECONDS: u16 = 30;
/// In bytes. The client has buffers for 64 frames: with the broker's default of 128 KiB, 8 MiB.
const FRAME_MAX: u32 = 32 * 1024;

/// Why there is no connection to the broker.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The broker refuses, or is not there.
    #[error("cannot connect to the broker at {address}{advice}")]
    Refused {
        /// Host and port.
        address: String,
        /// What a person can do.
        advice: &'static str,
        /// The client's own reason.
        source: lapin::Error,
    },
    /// Nothing was answered in time.
    #[error("no connection to the broker at {address} within {} seconds; if the address is that of a container network, set MQ_HOST and MQ_PORT (mq.host, mq.port)", CONNECT_LIMIT.as_secs())]
    Limit {
        /// Host and port.
        address: String,
    },
}

/// The broker's address, the user, and the purpose of the connection.
#[derive(Debug, Clone)]
pub(super) struct Broker {
    address: Arc<BrokerAddress>,
    tls: BrokerTls,
    name: String,
}

impl Broker {
    /// The name is for the broker's pages; one that is long would not fit into the first frame.
    pub(super) fn new(address: BrokerAddress, tls: BrokerTls, name: &str) -> Self {
        Self {
            address: Arc::new(address),
            tls,
            name: safe(name, NAME).into_owned(),
        }
    }

    pub(super) fn exchange(&self) -> &ShortName {
        &self.address.exchange
    }

    pub(super) fn routing_key(&self) -> &ShortName {
        &self.address.routing_key
    }

    pub(super) fn queue(&self) -> &ShortName {
        &self.address.queue
    }

    /// Opens a connection and a channel on it.
    pub(super) async fn connect(&self) -> Result<(Connection, Channel), ConnectError> {
        let address = self.to_string();
        let opening = async {
            let connection = self.open().await?;
            let channel = connection.create_channel().await?;
            Ok((connection, channel))
        };
        let broker = || format!("the answer of the broker at {address}");
        let waiting = WaitNotice::default();
        let opening = waiting.with_notice(broker, opening);
        match tokio::time::timeout(CONNECT_LIMIT, opening).await {
            Ok(Ok(open)) => Ok(open),
            Ok(Err(source)) => Err(ConnectError::Refused {
                address,
                advice: advice(&source, self.tried()),
                source,
            }),
            Err(_) => Err(ConnectError::Limit { address }),
        }
    }

    fn tried(&self) -> Tried {
        Tried {
            tls: self.address.tls,
            identity: self.tls.identity.is_some(),
        }
    }

    async fn open(&self) -> Result<Connection, lapin::Error> {
        let name = LongString::from(self.name.as_str());
        let properties = ConnectionProperties::default().with_connection_name(name);
        Connection::connect_uri_with_config(
            self.uri(),
            properties,
            self.tls_config(),
            lapin::runtime::default_runtime()?,
        )
        .await
    }

    fn uri(&self) -> AMQPUri {
        AMQPUri {
            scheme: if self.address.tls {
                AMQPScheme::AMQPS
            } else {
                AMQPScheme::AMQP
            },
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo {
                    username: self.address.user.as_str().to_owned(),
                    password: self.address.password.expose_secret().to_owned(),
                },
                host: self.address.bare_host().to_owned(),
                port: self.address.port,
            },
            vhost: self.address.vhost.as_str().to_owned(),
            query: AMQPQueryString {
                heartbeat: Some(HEARTBEAT_SECONDS),
                frame_max: Some(FRAME_MAX),
                ..AMQPQueryString::default()
            },
        }
    }

    fn tls_config(&self) -> lapin::tcp::OwnedTLSConfig {
        let identity = self.tls.identity.as_ref();
        lapin::tcp::OwnedTLSConfig {
            identity: identity.map(|identity| lapin::tcp::OwnedIdentity::PKCS8 {
                pem: identity.certificate.clone(),
                key: identity.key.expose_secret().as_bytes().to_vec(),
            }),
            cert_chain: self.tls.extra_ca.clone(),
        }
    }
}

/// Host and port.
impl std::fmt::Display for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.address.fmt(f)
    }
}

/// Says goodbye; a broker that is gone does not answer.
pub(super) async fn close(connection: &Connection) {
    let closing = connection.close(200, fixed("done"));
    if !matches!(tokio::time::timeout(CLOSE_LIMIT, closing).await, Ok(Ok(()))) {
        tracing::debug!("the connection to the broker was gone already");
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;
    use crate::telemetry::logs::logged;

    /// Takes the connection, and says nothing.
    #[test]
    fn a_silent_broker_is_named_before_it_is_given_up() {
        let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = silent.local_addr().unwrap().port();
        let name = |text| ShortName::new(text).unwrap();
        let address = BrokerAddress {
            host: name("127.0.0.1"),
            port,
            vhost: name("/"),
            user: name("someone"),
            password: "a-word".to_owned().into(),
            tls: false,
            exchange: name(""),
            routing_key: name(""),
            queue: name(""),
        };
        let broker = Broker::new(address, BrokerTls::default(), "a name");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let text = logged(false, Level::INFO, || {
            let connected = runtime.block_on(broker.connect());
            assert!(matches!(connected, Err(ConnectError::Limit { .. })));
        });
        let line = format!("still waiting for the answer of the broker at 127.0.0.1:{port}\n");
        assert!(text.ends_with(&line), "{text}");
        assert!(
            !text.contains("someone") && !text.contains("a-word"),
            "{text}"
        );
    }
}
