//! Proxies, as most programs read them: from the environment.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::line::{Line, generated};

/// A forward proxy that brings everything to this machine, whatever host it is meant for.
struct Proxy {
    url: String,
    /// The first line of every connection.
    asked: Arc<Mutex<Vec<String>>>,
    listening: JoinHandle<()>,
}

impl Proxy {
    async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let note = Arc::clone(&asked);
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, Arc::clone(&note)));
            }
        });
        Self {
            url,
            asked,
            listening,
        }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Reads where a connection wants to go, and goes on as a pipe: servers also take whole addresses.
async fn forward(mut client: TcpStream, asked: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.contains(&b'\n') {
        head.push(client.read_u8().await.unwrap());
    }
    let line = String::from_utf8(head.clone())
        .unwrap()
        .trim_end()
        .to_owned();
    let address = line
        .split(' ')
        .nth(1)
        .unwrap()
        .trim_start_matches("http://");
    let port = address.split(['/', ':']).nth(1).unwrap().parse().unwrap();
    asked.lock().unwrap().push(line);
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .await
        .unwrap();
    server.write_all(&head).await.unwrap();
    // Whoever hangs up first ends the pipe.
    copy_bidirectional(&mut client, &mut server).await.ok();
}

/// The address under another host, which nobody but the proxy can find.
fn elsewhere(url: &str) -> String {
    url.replace("127.0.0.1", "platform.invalid")
}

#[rstest]
#[case::upper_case("HTTP_PROXY")]
#[case::lower_case("http_proxy")]
#[tokio::test(flavor = "multi_thread")]
async fn both_platforms_are_asked_through_the_proxy(#[case] variable: &str) {
    let (line, proxy) = (Line::with(generated(60, 20)).await, Proxy::start().await);
    let addresses = [line.source.url(), line.destination.url()].map(elsewhere);
    let ended = line
        .run_once()
        .set("OPENCTI_NETMANAGEIT_URL", &addresses[0])
        .set("OPENCTI_URL", &addresses[1])
        .set(variable, &proxy.url)
        .run()
        .await;
    ended.assert_code(0);
    assert_eq!(ended.logged("run complete").len(), 1, "{ended:#?}");
    for address in addresses {
        let line = format!("POST {address}/graphql HTTP/1.1");
        assert!(
            proxy.asked().contains(&line),
            "no {line:?} in {:#?}",
            proxy.asked()
        );
    }
}

#[rstest]
#[case::upper_case("NO_PROXY")]
#[case::lower_case("no_proxy")]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_excepted_is_asked_directly(#[case] variable: &str) {
    let (line, proxy) = (Line::with(generated(60, 20)).await, Proxy::start().await);
    let source = elsewhere(line.source.url());
    let ended = line
        .run_once()
        .set("OPENCTI_NETMANAGEIT_URL", &source)
        .set("HTTP_PROXY", &proxy.url)
        .set(variable, "elsewhere.invalid,127.0.0.1")
        .run()
        .await;
    ended.assert_code(0);
    assert!(!proxy.asked().is_empty());
    let wanted = format!("POST {source}/graphql HTTP/1.1");
    assert!(
        proxy.asked().iter().all(|line| *line == wanted),
        "{:#?}",
        proxy.asked()
    );
}

/// As other programs read it, and the HTTP library does not by itself.
#[rstest]
#[case::everything(|_: &Line| "*".to_owned())]
#[case::hosts_with_ports(|line: &Line| {
    [line.source.url(), line.destination.url()].map(|url| url.replace("http://", "")).join(",")
})]
#[tokio::test(flavor = "multi_thread")]
async fn addresses_are_excepted_as_hosts_are(#[case] except: fn(&Line) -> String) {
    let (line, proxy) = (Line::with(generated(60, 20)).await, Proxy::start().await);
    let start = line.run_once().set("HTTP_PROXY", &proxy.url);
    let ended = start.set("NO_PROXY", except(&line)).run().await;
    ended.assert_code(0);
    assert_eq!(proxy.asked(), [""; 0]);
}

/// A port of this machine on which nobody listens.
async fn closed_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    listener.local_addr().unwrap().port()
}

#[rstest]
#[case::http("HTTP_PROXY", "http", "127.0.0.1")]
#[case::https("https_proxy", "https", "127.0.0.1")]
#[case::all("ALL_PROXY", "https", "127.0.0.1")]
#[case::nowhere("HTTP_PROXY", "http", "proxy.invalid")]
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_proxy_is_named_without_its_password(
    #[case] variable: &str,
    #[case] scheme: &str,
    #[case] host: &str,
) {
    let (line, port) = (Line::with(generated(60, 20)).await, closed_port().await);
    let url = format!("{scheme}://platform.invalid");
    let mut process = line
        .run_once()
        .set("OPENCTI_URL", &url)
        .set(
            variable,
            format!("http://someone:7c31e0-pass@{host}:{port}"),
        )
        .start();
    process.until_output("no answer from the destination").await;
    process.signal("TERM").await;
    let ended = process.ended().await;
    let named = format!("through the proxy at {host}:{port} ({variable})");
    assert!(ended.stderr.contains(&named), "no {named:?} in {ended:#?}");
    for secret in ["someone", "7c31e0-pass"] {
        assert!(!ended.stderr.contains(secret), "{ended:#?}");
    }
}

#[rstest]
#[case::http("HTTP_PROXY", "http")]
#[case::https("HTTPS_PROXY", "https")]
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_wants_a_password_is_named(#[case] variable: &str, #[case] scheme: &str) {
    let line = Line::with(generated(60, 20)).await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let proxy = listener.local_addr().unwrap();
    let refusing = tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let read = client.read(&mut head).await;
            assert!(read.is_ok_and(|length| length > 0));
            let answer = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
            client.write_all(answer).await.ok();
        }
    });
    let mut process = line
        .run_once()
        .set("OPENCTI_URL", format!("{scheme}://platform.invalid"))
        .set(variable, format!("http://{proxy}"))
        .start();
    let named = format!("through the proxy at {proxy} ({variable})");
    process.until_output(&named).await;
    process.signal("TERM").await;
    process.ended().await;
    refusing.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_exception_everything_goes_through_the_proxy() {
    let (line, proxy) = (Line::with(generated(60, 20)).await, Proxy::start().await);
    let ended = line.run_once().set("HTTP_PROXY", &proxy.url).run().await;
    ended.assert_code(0);
    for url in [line.source.url(), line.destination.url()] {
        let line = format!("POST {url}/graphql HTTP/1.1");
        assert!(
            proxy.asked().contains(&line),
            "no {line:?} in {:#?}",
            proxy.asked()
        );
    }
}
