//! What is counted and measured, in the form that Prometheus reads (docs/metrics.md lists all of it).
//!
//! There is no global registry: every module that counts was given the [`Metrics`].
//!
//! **Invariant.** No label holds an id, a value, an address or anything secret, and the number of series is
//! bounded.

mod bounded;
mod objects;
mod own;
mod platforms;
mod queue;
mod reading;
mod standard;

use std::fmt::Debug;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

pub use objects::{Fate, Objects};
pub use own::{OwnCounter, OwnGauge};
pub use platforms::Platforms;
pub use queue::Queue;
pub use reading::ReadingMetrics;
pub use standard::{Doing, Standard};

/// How our own names begin. Those that connectors on the platform's own client have too stand without it
/// (docs/protocol.md#conventions).
const OURS: &str = "opencti_connector";
/// In seconds: from an answer out of a cache to one for which somebody should look.
const STEPS: [f64; 11] = [
    0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 180.0, 600.0,
];

/// A time or a size.
type Number = Gauge<f64, AtomicU64>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfVersion {
    version: &'static str,
}

/// All that is counted and measured. A copy counts into the same.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// What connectors on the platform's own client count as well.
    pub standard: Standard,
    /// What became of objects.
    pub objects: Objects,
    /// How the source is read.
    pub reading: ReadingMetrics,
    /// Requests to both platforms.
    pub platforms: Platforms,
    /// What waits for the workers.
    pub queue: Queue,
    resident: Gauge,
    registered: Arc<Mutex<Registered>>,
}

#[derive(Debug)]
struct Registered {
    registry: Registry,
    own: own::OwnMetrics,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new("", "")
    }
}

impl Metrics {
    /// Begins to count. Namespace and subsystem, where they are not empty, stand before the names that
    /// connectors on the platform's own client have too.
    pub fn new(namespace: &str, subsystem: &str) -> Self {
        let mut registry = Registry::default();
        let standard = Standard::register(prefixed(&mut registry, [namespace, subsystem]));
        let ours = registry.sub_registry_with_prefix(OURS);
        let build: Family<OfVersion, Gauge> =
            register(ours, "build_info", "1 for the version that runs");
        let version = env!("CARGO_PKG_VERSION");
        build.get_or_create(&OfVersion { version }).set(1);
        let (objects, reading) = (Objects::register(ours), ReadingMetrics::register(ours));
        let (platforms, queue) = (Platforms::register(ours), Queue::register(ours));
        let began: Number = register(
            &mut registry,
            "process_start_time_seconds",
            "When the process began, in seconds since 1970",
        );
        began.set(unix_seconds(SystemTime::now()));
        let resident = register(
            &mut registry,
            "process_resident_memory_bytes",
            "Memory that the process holds",
        );
        Self {
            standard,
            objects,
            reading,
            platforms,
            queue,
            resident,
            registered: Arc::new(Mutex::new(Registered {
                registry,
                own: own::OwnMetrics::default(),
            })),
        }
    }

    /// A count of a connector's own: `opencti_connector_SLUG_NAME_total`, with one label. [`Context`] knows the slug.
    ///
    /// [`Context`]: crate::connector::Context
    pub fn own_counter(
        &self,
        slug: &str,
        name: &str,
        help: &str,
        label: &'static str,
    ) -> OwnCounter {
        let name = own::OwnName {
            slug,
            name,
            help,
            label,
        };
        let Registered { registry, own } = &mut *self.registered();
        own.counter(registry, &name)
    }

    /// How much there is of something of a connector's own: `opencti_connector_SLUG_NAME`, with one label.
    pub fn own_gauge(&self, slug: &str, name: &str, help: &str, label: &'static str) -> OwnGauge {
        let name = own::OwnName {
            slug,
            name,
            help,
            label,
        };
        let Registered { registry, own } = &mut *self.registered();
        own.gauge(registry, &name)
    }

    fn registered(&self) -> MutexGuard<'_, Registered> {
        self.registered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// All of it, as text (`OpenMetrics` 1.0).
    ///
    /// # Errors
    /// When it cannot be written, which a text in memory never causes.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let now = SystemTime::now();
        self.reading.measure_lag(now);
        if let Some(memory) = memory_stats::memory_stats() {
            self.resident
                .set(i64::try_from(memory.physical_mem).unwrap_or(i64::MAX));
        }
        let mut text = String::new();
        encode(&mut text, &self.registered().registry)?;
        Ok(text)
    }
}

/// Where names begin with these, but for the empty ones.
fn prefixed<'a>(registry: &'a mut Registry, parts: [&str; 2]) -> &'a mut Registry {
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    if parts.is_empty() {
        registry
    } else {
        registry.sub_registry_with_prefix(parts.join("_"))
    }
}

/// Makes something known under a name.
fn register<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    register_this(registry, name, help, M::default())
}

fn register_this<M: Metric + Clone>(
    registry: &mut Registry,
    name: &str,
    help: &str,
    metric: M,
) -> M {
    registry.register(name, help, metric.clone());
    metric
}

/// How often something took how long.
fn durations() -> Histogram {
    Histogram::new(STEPS)
}

/// The same for each of several.
type Durations<L> = Family<L, Histogram>;

fn durations_of<L>(registry: &mut Registry, name: &str, help: &str) -> Durations<L>
where
    L: EncodeLabelSet + Clone + std::hash::Hash + Eq + Debug + Send + Sync + 'static,
{
    let family = Family::new_with_constructor(durations as fn() -> Histogram);
    register_this(registry, name, help, family)
}

fn unix_seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.unwrap_or(Duration::ZERO).as_secs_f64()
}

#[cfg(test)]
mod tests;
