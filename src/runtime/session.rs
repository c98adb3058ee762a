//! What a connector of any kind needs of the platform that it belongs to: it registers there, pings, keeps its state
//! there, notices a reset, and stops in time.
//!
//! **Invariant.** The copy of the state in memory is the true one; what the platform answers only tells whether
//! somebody has reset the connector.

pub(crate) mod heartbeat;
pub(crate) mod preflight;
pub mod state;
pub(crate) mod state_store;
pub(crate) mod stop;
pub(crate) mod trouble;

use std::sync::Arc;

use uuid::Uuid;

use crate::http::RetryPolicy;
use crate::opencti::{
    BrokerAddress, ConnectorProfile, Echo, Registration, RegistrationError, register,
};
use crate::platform::{Platform, PlatformAccess, PlatformError};
use crate::settings::{Schedule, Settings};
use crate::telemetry::Instruments;
use state::{Found, NewerVersion, State};

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

/// The platform at which the connector is registered, and as whom.
#[derive(Debug, Clone)]
pub(crate) struct Home {
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

/// What registering brings.
pub(crate) struct Registered {
    /// The platform, and who the connector is there.
    pub(crate) home: Home,
    /// To register once more, should the connector be deleted there.
    pub(crate) profile: ConnectorProfile,
    /// What the platform keeps for the connector.
    pub(crate) echo: Echo,
    /// Where its messages go; none where the platform names no broker.
    pub(crate) broker: BrokerAddress,
}

/// Who the connector is.
pub(crate) fn profile<S>(settings: &Settings<S>) -> ConnectorProfile {
    ConnectorProfile {
        id: settings.connector.id,
        name: settings.connector.name.clone(),
        scope: settings.connector.scope.clone(),
    }
}

/// Meets the platform, as long as a start waits for it.
///
/// # Errors
/// When it does not answer in time, or is none.
pub(crate) async fn meet<S>(
    settings: &Settings<S>,
    access: &PlatformAccess,
    instruments: &Instruments,
) -> Result<Arc<Platform>, PlatformError> {
    instruments.health.note_meeting();
    access.meet(retry_policy_at_start(settings)).await
}

/// Registers at the platform.
///
/// # Errors
/// When the platform refuses, or does not answer as long as a start waits for it.
pub(crate) async fn register_at<S>(
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
    } = register(&platform, &profile, policy).await?;
    tracing::info!(connector.id = %profile.id, queue = %broker.queue, "registered");
    instruments.health.note_registered();
    preflight::say_what_is_lacking(&platform).await;
    let home = Home {
        platform,
        connector_id: profile.id,
        connector_name: profile.name.clone(),
        applicant_id,
        instruments: instruments.clone(),
    };
    Ok(Registered {
        home,
        profile,
        echo,
        broker,
    })
}

/// What stood at the platform, or a new state where that cannot be used.
pub(crate) fn read_state(echo: &Echo, source: String) -> Result<State, NewerVersion> {
    let new = || State::new(source.clone(), echo.reset_at.clone());
    let mut state = match State::read(echo.state.as_deref())? {
        Found::State(state) => *state,
        Found::Nothing => {
            tracing::info!(
                "the destination keeps no state for this connector: everything is read from the beginning"
            );
            return Ok(new());
        }
        Found::Unusable(reason) => {
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
pub(crate) fn retry_policy_at_start<S>(settings: &Settings<S>) -> RetryPolicy {
    if is_once(settings) {
        RetryPolicy::DURING_RUN
    } else {
        RetryPolicy::AT_START
    }
}
