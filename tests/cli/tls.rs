//! Platforms behind https: whose certificates are believed.
//!
//! The certificates beside this file are for 127.0.0.1, valid for a hundred years, and signed by an
//! authority whose key was thrown away.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;

use rstest::rstest;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::line::{Line, generated};
use crate::process::{LIMIT, Start};

const AUTHORITY: &str = include_str!("tls/authority.pem");
const CERTIFICATE: &str = include_str!("tls/server.pem");
const KEY: &str = include_str!("tls/server.key");

/// Speaks TLS in front of a platform that does not.
struct Front {
    url: String,
    listening: JoinHandle<()>,
}

impl Front {
    async fn of(platform: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let behind = platform.trim_start_matches("http://").to_owned();
        let config = Arc::new(server_config());
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (client, config) = (client.into_std().unwrap(), Arc::clone(&config));
                let behind = behind.clone();
                // A client that does not believe the certificate hangs up: no error of ours.
                tokio::task::spawn_blocking(move || exchange(client, config, &behind).ok());
            }
        });
        Self { url, listening }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

fn server_config() -> ServerConfig {
    let certificates = vec![CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .unwrap()
}

/// One request and its answer; then the platform, asked to, closes the connection.
fn exchange(client: TcpStream, config: Arc<ServerConfig>, behind: &str) -> std::io::Result<()> {
    client.set_nonblocking(false)?;
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut client = StreamOwned::new(connection, client);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let head = String::from_utf8(head).map_err(std::io::Error::other)?;
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![
        0;
        length
            .and_then(|length| length.parse().ok())
            .unwrap_or_default()
    ];
    client.read_exact(&mut body)?;
    let closing = head.replacen("\r\n", "\r\nconnection: close\r\n", 1);
    let mut platform = TcpStream::connect(behind)?;
    platform.write_all(closing.as_bytes())?;
    platform.write_all(&body)?;
    let mut answer = Vec::new();
    platform.read_to_end(&mut answer)?;
    client.write_all(&answer)?;
    client.conn.send_close_notify();
    client.flush()
}

/// Both platforms behind https, and a start that knows their addresses.
async fn behind_tls() -> (Line, [Front; 2], Start) {
    let line = Line::with(generated(60, 20)).await;
    let fronts = [
        Front::of(line.source.url()).await,
        Front::of(line.destination.url()).await,
    ];
    let start = line
        .run_once()
        .set("OPENCTI_NETMANAGEIT_URL", &fronts[0].url)
        .set("OPENCTI_URL", &fronts[1].url);
    (line, fronts, start)
}

#[rstest]
#[case::authority_for_all(&[("HTTPS_CA_CERTIFICATES", AUTHORITY)])]
#[case::authority_for_each(&[("OPENCTI_SSL_VERIFY", AUTHORITY), ("OPENCTI_NETMANAGEIT_SSL_VERIFY", AUTHORITY)])]
#[case::authority_for_one_anyone_for_the_other(&[("OPENCTI_SSL_VERIFY", "false"), ("OPENCTI_NETMANAGEIT_SSL_VERIFY", AUTHORITY)])]
#[case::anyone(&[("OPENCTI_SSL_VERIFY", "false"), ("OPENCTI_NETMANAGEIT_SSL_VERIFY", "false")])]
#[tokio::test(flavor = "multi_thread")]
async fn a_believed_certificate_lets_the_run_through(#[case] variables: &[(&str, &str)]) {
    let (line, _fronts, start) = behind_tls().await;
    let start = variables
        .iter()
        .fold(start, |start, (name, value)| start.set(name, *value));
    let ended = start.run().await;
    ended.assert_code(0);
    assert_eq!(ended.logged("run complete").len(), 1, "{ended:#?}");
    assert!(line.source.count("Observables") > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_may_be_given_as_a_path() {
    let (_line, _fronts, start) = behind_tls().await;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/tls/authority.pem");
    let ended = start.set("HTTPS_CA_CERTIFICATES", path).run().await;
    ended.assert_code(0);
    assert_eq!(ended.logged("run complete").len(), 1, "{ended:#?}");
}

/// Nothing is asked of a platform that cannot show who it is.
#[rstest]
#[case::the_destination(&[], "the destination")]
#[case::the_source(&[("OPENCTI_SSL_VERIFY", AUTHORITY)], "the source")]
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_certificate_is_not_believed(
    #[case] variables: &[(&str, &str)],
    #[case] platform: &str,
) {
    let (line, _fronts, start) = behind_tls().await;
    let start = variables
        .iter()
        .fold(start, |start, (name, value)| start.set(name, *value));
    let mut process = start.start();
    process
        .until_output(&format!("no answer from {platform}"))
        .await;
    process.signal("TERM").await;
    let ended = process.ended().await;
    ended.assert_code(0);
    assert!(ended.stderr.contains("https.ca_certificates"), "{ended:#?}");
    assert_eq!(line.source.requests().len(), 0);
    assert!(line.destination.works().is_empty());
}

/// What a run says of a destination of which it gets no answer, once.
async fn logged_of_destination(url: &str, variables: &[(&str, &str)]) -> String {
    let line = Line::with(generated(60, 20)).await;
    let start = variables
        .iter()
        .fold(line.run_once(), |start, (name, value)| {
            start.set(name, *value)
        });
    let mut process = start.set("OPENCTI_URL", url).start();
    process.until_output("no answer from the destination").await;
    process.signal("TERM").await;
    process.ended().await.stderr
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_tls_to_a_platform_is_reported() {
    let believed = [("HTTPS_CA_CERTIFICATES", AUTHORITY)];
    let server = TlsServer::with(server_config()).await;
    let named = format!("https://127.0.0.2:{}", server.port);
    let message = logged_of_destination(&named, &believed).await;
    assert!(message.contains("is for another host"), "{message}");
    let demanding = TlsServer::with(demanding_config(&rustls::version::TLS13)).await;
    let named = format!("https://127.0.0.1:{}", demanding.port);
    let message = logged_of_destination(&named, &believed).await;
    assert!(message.contains("demands a certificate"), "{message}");
    let line = Line::with(generated(60, 20)).await;
    let plain = line.destination.url().replace("http://", "https://");
    let message = logged_of_destination(&plain, &believed).await;
    assert!(message.contains("speaks no TLS"), "{message}");
}

/// Speaks TLS and nothing more: whoever believes it, is answered nothing.
struct TlsServer {
    port: u16,
    listening: JoinHandle<()>,
}

impl TlsServer {
    async fn with(config: ServerConfig) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let config = Arc::new(config);
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (client, config) = (client.into_std().unwrap(), Arc::clone(&config));
                // A client that does not believe the certificate hangs up: no error of ours.
                tokio::task::spawn_blocking(move || listen(client, config).ok());
            }
        });
        Self { port, listening }
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Reads until the client has enough.
fn listen(client: TcpStream, config: Arc<ServerConfig>) -> std::io::Result<()> {
    client.set_nonblocking(false)?;
    client.set_read_timeout(Some(LIMIT))?;
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut client = StreamOwned::new(connection, client);
    let mut bytes = [0; 64];
    while client.read(&mut bytes)? > 0 {}
    Ok(())
}

fn demanding_config(version: &'static rustls::SupportedProtocolVersion) -> ServerConfig {
    let mut roots = rustls::RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(AUTHORITY.as_bytes()).unwrap();
    roots.add(authority).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
        Arc::new(roots),
        Arc::clone(&provider),
    );
    let certificates = vec![CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(certificates, key)
        .unwrap()
}

/// What a run says of a broker at which it ends, once.
async fn logged_of_broker(port: u16, variables: &[(&str, &str)]) -> String {
    let line = Line::with(generated(60, 20)).await;
    let start = line
        .run_once()
        .set("MQ_HOST", "127.0.0.1")
        .set("MQ_PORT", port.to_string());
    let start = variables
        .iter()
        .fold(start, |start, (name, value)| start.set(name, *value));
    let mut process = start.start();
    process.until_output("cannot connect to the broker").await;
    process.signal("TERM").await;
    process.ended().await.stderr
}

const TLS: (&str, &str) = ("MQ_USE_SSL", "true");
const BELIEVED: (&str, &str) = ("MQ_USE_SSL_CA", AUTHORITY);

#[rstest]
#[case::an_unknown_authority(&[TLS], "MQ_USE_SSL_CA", "authority")]
#[case::another_name(&[TLS, BELIEVED, ("MQ_HOST", "127.0.0.2")], "MQ_HOST (mq.host) to a name", "another host")]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_certificate_of_the_broker_is_reported(
    #[case] variables: &[(&str, &str)],
    #[case] setting: &str,
    #[case] reason: &str,
) {
    let broker = TlsServer::with(server_config()).await;
    let message = logged_of_broker(broker.port, variables).await;
    assert!(
        message.contains(setting) && message.contains(reason),
        "{message}"
    );
    assert!(!message.contains("container network"), "{message}");
}

#[rstest]
#[case::tls_1_3(&rustls::version::TLS13)]
#[case::tls_1_2(&rustls::version::TLS12)]
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_demands_a_certificate_is_reported(
    #[case] version: &'static rustls::SupportedProtocolVersion,
) {
    let broker = TlsServer::with(demanding_config(version)).await;
    let message = logged_of_broker(broker.port, &[TLS, BELIEVED]).await;
    assert!(asks_for_a_certificate(&message), "{message}");
}

/// Its alert is lost where the broker hangs up before the connector is through with what it says.
fn asks_for_a_certificate(message: &str) -> bool {
    let demands = [
        "the broker demands a certificate of the connector",
        "does it demand a certificate",
    ];
    demands.iter().any(|demand| message.contains(demand)) && message.contains("MQ_USE_SSL_CERT")
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_to_a_port_without_and_no_tls_to_a_port_with_it_are_reported() {
    let plain = crate::line::broker().await;
    let message = logged_of_broker(plain.address().port, &[TLS, BELIEVED]).await;
    assert!(message.contains("speaks no TLS"), "{message}");
    let broker = TlsServer::with(server_config()).await;
    let message = logged_of_broker(broker.port, &[("MQ_USE_SSL", "false")]).await;
    assert!(
        message.contains("set MQ_USE_SSL (mq.use_ssl) to true"),
        "{message}"
    );
}

/// RabbitMQ itself, which words its refusals by itself.
#[rstest]
#[case::tls_1_3("tlsv1.3")]
#[case::tls_1_2("tlsv1.2")]
#[tokio::test(flavor = "multi_thread")]
async fn rabbitmq_that_demands_a_certificate_is_reported(#[case] version: &str) {
    let port = sandbox::free_port().unwrap();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/tls");
    let _broker = sandbox::Broker::start_with(&format!(
        "listeners.ssl.1 = 127.0.0.1:{port}\n\
         ssl_options.cacertfile = {folder}/authority.pem\n\
         ssl_options.certfile = {folder}/server.pem\n\
         ssl_options.keyfile = {folder}/server.key\n\
         ssl_options.versions.1 = {version}\n\
         ssl_options.verify = verify_peer\n\
         ssl_options.fail_if_no_peer_cert = true\n"
    ))
    .await
    .unwrap();
    let message = logged_of_broker(port, &[TLS]).await;
    assert!(message.contains("authority that signed"), "{message}");
    let message = logged_of_broker(port, &[TLS, BELIEVED]).await;
    assert!(asks_for_a_certificate(&message), "{message}");
    let message = logged_of_broker(port, &[("MQ_USE_SSL", "false")]).await;
    assert!(
        message.contains("set MQ_USE_SSL (mq.use_ssl) to true"),
        "{message}"
    );
}
