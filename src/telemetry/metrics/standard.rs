//! What connectors on the platform's own client count as well, under the same names, so that dashboards go on
//! to work (docs/protocol.md#conventions). There, some of it is never filled.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::register;

/// What the connector is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// It waits for its next run.
    Idle,
    /// A run is under way.
    Running,
    /// It ends.
    Stopped,
}

impl Doing {
    /// The words of the platform's own client.
    fn word(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Running => "running",
            Self::Stopped => "stopped",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfState {
    state: &'static str,
}

/// What every connector counts.
#[derive(Debug, Clone)]
pub struct Standard {
    /// Messages that the broker, or the platform, confirmed.
    pub bundles: Counter,
    /// The source's objects in them.
    pub records: Counter,
    /// Runs begun.
    pub runs: Counter,
    /// Pings that the platform took.
    pub pings: Counter,
    /// Pings that it did not take.
    pub ping_errors: Counter,
    /// Runs that failed.
    pub errors: Counter,
    /// Requests to a platform that brought no usable answer.
    pub client_errors: Counter,
    state: Family<OfState, Gauge>,
}

impl Standard {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let standard = Self {
            bundles: register(registry, "bundles_sent", "Messages that were confirmed"),
            records: register(registry, "records_sent", "Objects of the source in them"),
            runs: register(registry, "runs", "Runs begun"),
            pings: register(registry, "ping_api", "Pings that the platform took"),
            ping_errors: register(
                registry,
                "ping_api_errors",
                "Pings that the platform did not take",
            ),
            errors: register(registry, "errors", "Runs that failed"),
            client_errors: register(
                registry,
                "client_errors",
                "Requests to a platform that brought no usable answer",
            ),
            state: register(registry, "state", "1 for what the connector is doing"),
        };
        standard.set_state(Doing::Idle);
        standard
    }

    /// Sets what the connector is doing.
    pub fn set_state(&self, doing: Doing) {
        for other in [Doing::Idle, Doing::Running, Doing::Stopped] {
            let state = other.word();
            let is_it = i64::from(other == doing);
            self.state.get_or_create(&OfState { state }).set(is_it);
        }
    }
}
