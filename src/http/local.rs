//! The connector that runs on this machine, asked for its health.

use std::time::Duration;

use super::client::provide_tls;

/// A process that does not answer within this time counts as not alive.
const LOCAL_LIMIT: Duration = Duration::from_secs(3);

/// Asks the connector that runs on this machine, on this port, whether it is alive; its answer's status. The
/// way never leads through a proxy.
///
/// # Errors
/// When there is no answer in time.
pub async fn ask_local_health(port: u16) -> Result<u16, reqwest::Error> {
    provide_tls();
    let client = reqwest::Client::builder()
        .no_proxy()
        // Another program on this port may lead anywhere, and what answers there is not the connector.
        .redirect(reqwest::redirect::Policy::none())
        .timeout(LOCAL_LIMIT)
        .build()?;
    let asking = client.get(format!("http://localhost:{port}/healthz"));
    Ok(asking.send().await?.status().as_u16())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_leads_elsewhere_is_not_followed() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = server.local_addr().unwrap().port();
        let serving = async {
            let (mut connection, _) = server.accept().await.unwrap();
            let mut request = [0; 1024];
            assert!(connection.read(&mut request).await.unwrap() > 0);
            let answer = format!(
                "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{port}/\r\ncontent-length: 0\r\n\r\n"
            );
            connection.write_all(answer.as_bytes()).await.unwrap();
        };
        let (status, ()) = tokio::join!(ask_local_health(port), serving);
        assert_eq!(status.unwrap(), 302);
    }
}
