//! What a connector of any kind needs of the platform that it belongs to: it registers there, pings, keeps its state
//! there, notices a reset, and stops in time.
//!
//! **Invariant.** The copy of the state in memory is authoritative; what the platform answers only shows whether
//! somebody has reset the connector.

pub(crate) mod heartbeat;
pub(crate) mod preflight;
pub mod state;
pub(crate) mod state_store;
pub(crate) mod stop;
pub(crate) mod trouble;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use tokio::task::{JoinError, JoinHandle};
use uuid::Uuid;

use crate::connector::Connector;
use crate::http::{ErrorKind, RetryPolicy};
use crate::opencti::{
    ConnectorProfile, Echo, RegisteredBroker, Registration, RegistrationError, register,
};
use crate::platform::{Platform, PlatformAccess, PlatformError};
use crate::settings::{Schedule, Section, Settings};
use crate::telemetry::Instruments;
use crate::telemetry::logs::Chain;
use heartbeat::{Heartbeat, PingError};
use state::{NewerVersion, ResetWatch, State, StoredState};
use state_store::StateStore;

/// A connector that runs once waits so long for workers that report nothing before it leaves the rest
/// to the next start.
pub(crate) const WAIT_LIMIT: Duration = Duration::from_mins(10);

/// How a connector ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was asked to stop.
    Stopped,
    /// Its one run is complete.
    RanOnce,
    /// Its one run is not complete: it failed, or somebody cleared its work.
    Failed,
}

/// The platform at which the connector is registered, and its identity there.
#[derive(Debug, Clone)]
pub(crate) struct SessionContext {
    /// The platform.
    pub(crate) platform: Arc<Platform>,
    /// The connector's id there.
    pub(crate) connector_id: Uuid,
    /// The connector's name there.
    pub(crate) connector_name: String,
    /// The user on whose behalf the connector acts.
    pub(crate) applicant_id: String,
    /// Where it is written down how the connector fares.
    pub(crate) instruments: Instruments,
}

/// The result of a registration.
pub(crate) struct Registered {
    /// The platform, and the connector's identity there.
    pub(crate) session: SessionContext,
    /// To register once more, should the connector be deleted there.
    pub(crate) profile: ConnectorProfile,
    /// What the platform keeps for the connector.
    pub(crate) echo: Echo,
    /// Where its messages go; why it cannot be used, where the platform names no broker that it can be.
    pub(crate) broker: Result<RegisteredBroker, RegistrationError>,
}

/// Who the connector is.
pub(crate) fn profile<S: Section>(settings: &Settings<S>) -> ConnectorProfile {
    let connector_type = S::TYPE;
    ConnectorProfile {
        id: settings.connector.id,
        name: settings.connector.name.clone(),
        scope: settings.connector.scope.clone(),
        connector_type,
    }
}

/// Connects to the platform, for as long as a start waits for it.
///
/// # Errors
/// When it does not answer in time, or is none.
pub(crate) async fn connect<S>(
    settings: &Settings<S>,
    access: &PlatformAccess,
    instruments: &Instruments,
) -> Result<Arc<Platform>, PlatformError> {
    instruments.health.note_meeting();
    let connected = access.connect(retry_policy_at_start(settings)).await;
    connected.inspect_err(|error| log_end_of_wait(settings, error))
}

/// Where a connector that runs once waits no longer for what may pass by itself: that this is why it ends.
fn log_end_of_wait<S>(settings: &Settings<S>, error: &PlatformError) {
    if is_once(settings) && matches!(error.kind(), ErrorKind::Transient(_)) {
        tracing::error!(
            error = %Chain(error),
            "a connector that runs once (connector.run_and_terminate, CONNECTOR_RUN_AND_TERMINATE) waits ten minutes for its platform and not for a longer time that it asks for: it ends; start it again once the platform answers"
        );
    }
}

/// Registers at the platform.
///
/// # Errors
/// When the platform refuses, or does not answer as long as a start waits for it.
pub(crate) async fn register_at<S: Section>(
    platform: Arc<Platform>,
    settings: &Settings<S>,
    instruments: &Instruments,
) -> Result<Registered, RegistrationError> {
    let policy = retry_policy_at_start(settings);
    let profile = profile(settings);
    let Registration {
        applicant_id,
        echo,
        broker,
    } = register(&platform, &profile, policy)
        .await
        .inspect_err(|error| {
            if let RegistrationError::Request(error) = error {
                log_end_of_wait(settings, error);
            }
        })?;
    if let Ok(broker) = &broker {
        tracing::info!(connector.id = %profile.id, queue = %broker.queue, "registered");
    } else {
        tracing::info!(connector.id = %profile.id, "registered");
    }
    instruments.health.note_registered();
    preflight::log_missing_rights(&platform).await;
    let session = SessionContext {
        platform,
        connector_id: profile.id,
        connector_name: profile.name.clone(),
        applicant_id,
        instruments: instruments.clone(),
    };
    Ok(Registered {
        session,
        profile,
        echo,
        broker,
    })
}

/// The state that the platform had stored, kept from now on; a new one where that cannot be used.
///
/// # Errors
/// [`NewerVersion`] where a newer version of the connector wrote it.
pub(crate) fn open_state<C: Connector>(
    echo: &Echo,
    source: String,
    connector: &C,
) -> Result<Arc<StateStore>, NewerVersion> {
    let migrate = |foreign: &Value| connector.migrate_state(foreign);
    let state = read_state(echo, source, migrate)?;
    Ok(Arc::new(StateStore::new(state, ResetWatch::new(echo))))
}

/// The first ping of a connector with these settings: nothing else begins before it is taken.
///
/// # Errors
/// [`PingError`] when a connector that runs once gives up.
pub(crate) async fn begin<S>(
    mut heartbeat: Heartbeat,
    settings: &Settings<S>,
) -> Result<Heartbeat, PingError> {
    heartbeat.run_and_terminate = is_once(settings);
    heartbeat.begin(retry_policy_at_start(settings)).await?;
    Ok(heartbeat)
}

fn read_state(
    echo: &Echo,
    source: String,
    migrate: impl Fn(&Value) -> Option<BTreeMap<String, Value>>,
) -> Result<State, NewerVersion> {
    let new = || State::new(source.clone(), echo.reset_at.clone());
    let mut state = match State::read(echo.state.as_deref())? {
        StoredState::State(state) => *state,
        StoredState::Nothing => {
            tracing::info!(
                "the destination keeps no state for this connector: everything is read from the beginning"
            );
            return Ok(new());
        }
        StoredState::Unusable(reason) => {
            let foreign = State::of_another_program(echo.state.as_deref());
            if let Some(streams) = foreign.and_then(|foreign| migrate(&foreign)) {
                tracing::info!(
                    "the state of the program that ran here before is taken over: reading continues from there"
                );
                let mut state = new();
                state.streams = streams;
                return Ok(state);
            }
            tracing::warn!(
                reason,
                "the state that the destination keeps cannot be used: everything is read from the beginning"
            );
            return Ok(new());
        }
    };
    if state.is_older_than_reset(echo) {
        tracing::warn!(
            "the connector was reset at the destination: everything is read from the beginning"
        );
        state = state.after_reset(echo.reset_at.clone());
    }
    if state.source != source {
        tracing::warn!(
            source.before = state.source,
            source.now = source,
            "another source is read now: everything is read from the beginning"
        );
        state.begin_source(source);
    }
    Ok(state)
}

pub(crate) fn is_once<S>(settings: &Settings<S>) -> bool {
    settings.connector.schedule == Schedule::Once
}

/// A connector that goes on for ever waits as long for its platform. One that runs once has an end, whatever
/// happens: whoever starts it starts it again.
fn retry_policy_at_start<S>(settings: &Settings<S>) -> RetryPolicy {
    if is_once(settings) {
        RetryPolicy::DURING_RUN
    } else {
        RetryPolicy::AT_START
    }
}

/// Waits until the destination has stored the state, as long as that may take; where it is not stored, that is logged.
pub(crate) async fn is_stored(state_store: &StateStore) -> bool {
    let reason = tokio::select! {
        // It may be stored already.
        biased;
        _ = state_store.stored(state_store.epoch()) => return true,
        reason = state_store.state_refused() => reason,
        () = tokio::time::sleep(WAIT_LIMIT) => "it has not taken a ping in time".to_owned(),
    };
    tracing::error!(
        error = reason,
        "the destination has not stored the connector's state; what it lacks is sent once more"
    );
    false
}

pub(crate) fn ended_early(task: &'static str, ended: Result<(), JoinError>) -> anyhow::Error {
    match ended {
        Ok(()) => anyhow::anyhow!("{task} ended unexpectedly"),
        Err(error) => anyhow::Error::new(error).context(format!("{task} ended unexpectedly")),
    }
}

/// A task that ends with whoever waits for it.
pub(crate) struct AbortOnDrop<T>(pub(crate) JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
