//! What a connector counts and measures of its own, beside what all count.

use std::collections::BTreeMap;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::bounded::Bounded;
use super::{OURS, register};

/// So many values of a label are told apart; the rest is counted as others.
const MOST_VALUES: usize = 50;
const OTHERS: &str = "others";

type Label = [(&'static str, String); 1];

/// Counts something of a connector's own, by one label. A copy counts into the same.
#[derive(Debug, Clone)]
pub struct OwnCounter(Labelled<Counter>);

/// Shows how much there is of something of a connector's own, by one label. A copy shows the same.
#[derive(Debug, Clone)]
pub struct OwnGauge(Labelled<Gauge>);

#[derive(Debug, Clone)]
struct Labelled<M> {
    label: &'static str,
    values: Bounded,
    family: Family<Label, M>,
}

impl<M: Default + Clone> Labelled<M> {
    fn of(&self, value: &str) -> M {
        let label = [(self.label, self.values.word(value))];
        self.family.get_or_create(&label).clone()
    }
}

impl OwnCounter {
    /// Counts so many more with this value of the label. Values are kinds or names that the connector knows, never ids
    /// or addresses; of more than 50 different ones, the later are counted as others.
    pub fn count(&self, value: &str, more: u64) {
        self.0.of(value).inc_by(more);
    }
}

impl OwnGauge {
    /// Sets how much there is now, such as files or seconds, with this value of the label, which is bounded as that of a counter.
    pub fn set(&self, value: &str, now: u64) {
        self.0.of(value).set(i64::try_from(now).unwrap_or(i64::MAX));
    }
}

/// What was registered, by name: who asks for the same twice gets the same.
#[derive(Debug, Default)]
pub(super) struct OwnMetrics {
    counters: BTreeMap<String, OwnCounter>,
    gauges: BTreeMap<String, OwnGauge>,
}

/// How something of a connector's own is called.
pub(super) struct OwnName<'a> {
    pub(super) slug: &'a str,
    pub(super) name: &'a str,
    pub(super) help: &'a str,
    pub(super) label: &'static str,
}

impl OwnMetrics {
    pub(super) fn counter(&mut self, registry: &mut Registry, name: &OwnName<'_>) -> OwnCounter {
        let known = self.counters.entry(name.whole());
        let new = || OwnCounter(name.register(registry));
        known.or_insert_with(new).clone()
    }

    pub(super) fn gauge(&mut self, registry: &mut Registry, name: &OwnName<'_>) -> OwnGauge {
        let known = self.gauges.entry(name.whole());
        let new = || OwnGauge(name.register(registry));
        known.or_insert_with(new).clone()
    }
}

impl OwnName<'_> {
    fn whole(&self) -> String {
        format!("{}_{}", self.slug.replace('-', "_"), self.name)
    }

    fn register<M>(&self, registry: &mut Registry) -> Labelled<M>
    where
        Family<Label, M>: prometheus_client::registry::Metric + Clone + Default,
    {
        let ours = registry.sub_registry_with_prefix(OURS);
        Labelled {
            label: self.label,
            values: Bounded::new(MOST_VALUES, OTHERS),
            family: register(ours, &self.whole(), self.help),
        }
    }
}
