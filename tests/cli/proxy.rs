//! Proxies, as every program on the machine is told of them: by the environment.

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
    assert_eq!(ended.said("run complete").len(), 1, "{ended:#?}");
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
