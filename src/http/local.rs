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
        .timeout(LOCAL_LIMIT)
        .build()?;
    let asking = client.get(format!("http://localhost:{port}/healthz"));
    Ok(asking.send().await?.status().as_u16())
}
