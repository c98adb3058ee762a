//! Platforms and a broker that have an IPv6 address.

use std::net::{Ipv4Addr, Ipv6Addr};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::line::{Line, generated};

/// Brings what comes to a port of `::1` to one of 127.0.0.1.
struct Pipe {
    port: u16,
    listening: JoinHandle<()>,
}

impl Pipe {
    async fn to(behind: u16) -> Self {
        let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let listening = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, behind)).await;
                    // Whoever hangs up first ends the pipe.
                    copy_bidirectional(&mut client, &mut server.unwrap())
                        .await
                        .ok();
                });
            }
        });
        Self { port, listening }
    }

    /// To a platform of this address.
    async fn to_platform(url: &str) -> Self {
        let port = url.rsplit(':').next().unwrap().parse().unwrap();
        Self::to(port).await
    }

    fn url(&self) -> String {
        format!("http://[::1]:{}", self.port)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_may_have_an_address_in_brackets() {
    if std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        eprintln!("this machine has no IPv6");
        return;
    }
    let line = Line::with(generated(60, 20)).await;
    let source = Pipe::to_platform(line.source.url()).await;
    let destination = Pipe::to_platform(line.destination.url()).await;
    let broker = Pipe::to(line.broker.address().port).await;
    let ended = line
        .run_once()
        .set("OPENCTI_NETMANAGEIT_URL", source.url())
        .set("OPENCTI_URL", destination.url())
        .set("MQ_HOST", "[::1]")
        .set("MQ_PORT", broker.port.to_string())
        .run()
        .await;
    ended.assert_code(0);
    assert_eq!(ended.logged("run complete").len(), 1, "{ended:#?}");
    assert!(line.source.count("Observables") > 0);
}
