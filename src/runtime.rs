//! What runs a connector: start, tasks, stop.
//!
//! Three tasks that talk by channels: the *schedule* says when to run, the *run* does it, the
//! *heartbeat* pings the destination meanwhile.
//!
//! May know: [`crate::connector`], [`crate::opencti`], [`crate::platform`], [`crate::settings`],
//! [`crate::telemetry`]. Must not know: any one connector, lapin, reqwest. Known by: the binaries.
//!
//! **Invariant.** The process ends within ten seconds of a signal, with its work closed.

pub mod batch;
mod heartbeat;
mod progress;
mod room;
mod run;
mod schedule;
mod stop;
mod summary;

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::connector::Connector;
use crate::graphql::{Client, Endpoint, LONGEST_SILENCE, RetryPolicy};
use crate::opencti::queue::{BrokerTls, Identity};
use crate::opencti::{BrokerAddress, ConnectorProfile, Registration, Rules, api, queue, register};
use crate::platform::Platform;
use crate::settings::{BrokerOverrides, QueueProtocol, Schedule, Settings};
use heartbeat::{Heartbeat, Status};
pub use progress::Progress;
use room::Room;
use run::run;
pub use run::{Destination, Outcome, Report, RunError};
pub use schedule::{End, next_run};
use stop::Stopping;
pub use stop::on_signals;
pub use summary::summary;

/// Runs a connector until it is stopped or, if it is to run once, until it has run.
///
/// # Errors
/// When the connector cannot be started: bad certificates, a token that the destination refuses, a
/// destination that cannot do what the settings ask for.
pub async fn run_connector<C: Connector>(
    settings: Settings<C::Section>,
    stop: CancellationToken,
) -> anyhow::Result<End> {
    let connector = C::new(&settings)?;
    let starting = connect(&settings);
    let Some(started) = stop.run_until_cancelled(starting).await else {
        return Ok(End::Stopped);
    };
    let (destination, state) = started?;
    let stopping = Stopping::new(stop.clone());
    let (status, status_seen) = watch::channel(Status::default());
    let heartbeat = Heartbeat {
        platform: Arc::clone(&destination.platform),
        connector_id: destination.connector_id,
        state,
        run_and_terminate: settings.connector.schedule == Schedule::Once,
        queue_threshold_mb: settings.connector.queue_threshold_mb,
    };
    let pings = tokio::spawn(heartbeat.beat(status_seen, stop.clone()));
    let (start_run, starts) = mpsc::channel(1);
    let (report, reports) = mpsc::channel(1);
    let room = Room::new(settings.connector.queue_threshold_mb, status.clone());
    let runs = tokio::spawn(run_when_asked(
        connector,
        destination,
        room,
        starts,
        report,
        stopping.clone(),
    ));
    let keeping = schedule::keep(
        settings.connector.schedule,
        start_run,
        reports,
        status,
        stop.clone(),
    );
    let end = tokio::select! {
        end = keeping => end,
        () = stopping.after(stop::STOP_LIMIT) => {
            tracing::error!("the run did not end in time; it is cut off");
            End::Failed
        }
    };
    pings.abort();
    // The run task ends with its asker; a panic in it is an error of the process.
    if end != End::Failed || runs.is_finished() {
        runs.await?;
    }
    Ok(end)
}

/// The run task: one run for each request, one at a time.
async fn run_when_asked<C: Connector>(
    connector: C,
    destination: Destination,
    mut room: Room,
    mut starts: mpsc::Receiver<()>,
    reports: mpsc::Sender<Report>,
    stopping: Stopping,
) {
    let mut previous = None;
    while starts.recv().await.is_some() {
        let mut report = run(
            &connector,
            &destination,
            previous.take(),
            &mut room,
            &stopping,
        )
        .await;
        previous = report.work.take();
        if reports.send(report).await.is_err() {
            return;
        }
    }
}

/// Meets the destination and registers there.
async fn connect<S>(settings: &Settings<S>) -> anyhow::Result<(Destination, Option<String>)> {
    let client = Client::new(&endpoint(settings))?;
    let platform = Arc::new(Platform::meet(client, RetryPolicy::AT_START).await?);
    let protocol = settings.connector.queue_protocol;
    let rules = Rules::of(platform.release(), protocol)?;
    let profile = ConnectorProfile {
        id: settings.connector.id,
        name: settings.connector.name.clone(),
        scope: settings.connector.scope.clone(),
    };
    let registration = register(&platform, &profile, RetryPolicy::AT_START).await?;
    tracing::info!(connector.id = %profile.id, queue = registration.broker.queue, "registered");
    let Registration {
        applicant_id,
        state,
        broker,
    } = registration;
    let pusher = match protocol {
        QueueProtocol::Amqp => queue::start(
            overridden(broker, &settings.broker),
            broker_tls(&settings.broker),
            &profile.name,
        ),
        QueueProtocol::Api => api::start(Arc::clone(&platform), profile.id),
    };
    let destination = Destination {
        platform,
        connector_id: profile.id,
        connector_name: profile.name,
        applicant_id,
        protocol,
        rules,
        pusher,
    };
    Ok((destination, state))
}

fn endpoint<S>(settings: &Settings<S>) -> Endpoint {
    let platform = &settings.opencti;
    Endpoint {
        platform: "the destination".to_owned(),
        url: platform.url.clone(),
        token: platform.token.clone(),
        verify_tls: platform.verifies(),
        extra_ca: platform.authorities(&settings.http),
        longest_silence: LONGEST_SILENCE,
    }
}

/// Registration answers the broker as the platform sees it; the settings know better where set.
fn overridden(mut broker: BrokerAddress, by: &BrokerOverrides) -> BrokerAddress {
    let by = by.clone();
    broker.host = by.host.unwrap_or(broker.host);
    broker.port = by.port.unwrap_or(broker.port);
    broker.vhost = by.vhost.unwrap_or(broker.vhost);
    broker.user = by.user.unwrap_or(broker.user);
    broker.password = by.pass.unwrap_or(broker.password);
    broker.tls = by.use_ssl.unwrap_or(broker.tls);
    broker
}

fn broker_tls(by: &BrokerOverrides) -> BrokerTls {
    let text = |pem: &crate::settings::Pem| String::from_utf8_lossy(pem.as_bytes()).into_owned();
    BrokerTls {
        extra_ca: by.ca.as_ref().map(text),
        identity: by.client.as_ref().map(|client| Identity {
            certificate: client.certificate.as_bytes().to_vec(),
            key: text(&client.key).into(),
        }),
    }
}
