//! What the destination has of labels, authors and markings: what it has as it would be sent is not sent.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use lru::LruCache;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::connector::Converted;
use crate::opencti::{EmbeddedThere, There, make_label};
use crate::runtime::import::activity::Activity;
use crate::runtime::import::destination::Destination;
use crate::stix::{Digests, KeySet, StixObject};
use crate::telemetry::logs::Chain;

/// So many are remembered; of others the destination is asked again.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(100_000).unwrap();
/// How long the destination's answer counts: somebody may change or delete what it has.
const COUNTS_FOR: Duration = Duration::from_mins(10);

/// So many labels of a unit are made ahead of it; more travel as objects.
const MADE_AHEAD: usize = 250;
/// So many are made at once.
const MADE_AT_ONCE: usize = 8;

/// What is known of embedded objects in one run.
#[derive(Debug)]
pub(crate) struct EmbeddedCache {
    /// When the destination was asked for an object, and a digest of how it was.
    asked: LruCache<u128, (u128, Instant)>,
    digests: Digests,
    /// The destination has not said what it has: it is not asked again in this run.
    is_silent: bool,
    /// The destination has not made a label: none is made ahead any more in this run.
    makes_none: bool,
}

impl Default for EmbeddedCache {
    fn default() -> Self {
        Self {
            asked: LruCache::new(REMEMBERED),
            digests: Digests::default(),
            is_silent: false,
            makes_none: false,
        }
    }
}

/// What was learnt for a unit.
#[derive(Debug, Default)]
pub(crate) struct LearntEmbedded {
    /// The destination has these as they are.
    pub(crate) there: Vec<Arc<StixObject>>,
    /// Labels that it lacks, or has otherwise.
    pub(crate) missing_labels: Vec<Arc<StixObject>>,
    /// What was known of these counts no more.
    pub(crate) forgotten: Vec<u128>,
}

impl EmbeddedCache {
    /// Asks for what a unit embeds and was not asked for, in one request for some hundred objects. An answer that does not
    /// come is none: then they are sent.
    pub(crate) async fn learn(
        &mut self,
        destination: &Destination,
        unit: &Converted,
    ) -> LearntEmbedded {
        let mut learnt = LearntEmbedded::default();
        let unknown = self.unknown(unit);
        if unknown.is_empty() || self.is_silent {
            return learnt;
        }
        let ids: HashSet<&str> = unknown.iter().map(|object| object.id.as_str()).collect();
        let ids: Vec<&str> = ids.into_iter().collect();
        let there = match EmbeddedThere::ask(&destination.session.platform, &ids).await {
            Ok(there) => there,
            Err(error) => {
                tracing::debug!(error = %Chain(&error), "the destination does not say which labels and authors it has: they are sent");
                self.is_silent = true;
                return learnt;
            }
        };
        let now = Instant::now();
        for object in unknown {
            let digest = self.digests.of(&object.json);
            let is_news = self.asked.put(object.key, (digest, now)).is_none();
            if there.compare(&object, destination.rules.keeps_labels) == There::Same {
                learnt.there.push(object);
                continue;
            }
            if !is_news {
                learnt.forgotten.push(object.key);
            }
            if object.id.stix_type() == "label" {
                learnt.missing_labels.push(object);
            }
        }
        learnt
    }

    /// Makes labels, until it is to stop; those that are made. The others travel as objects.
    pub(crate) async fn make(
        &mut self,
        destination: &Destination,
        labels: &[Arc<StixObject>],
        activity: &Activity,
        stop: &CancellationToken,
    ) -> Vec<Arc<StixObject>> {
        if self.makes_none || labels.len() > MADE_AHEAD {
            return Vec::new();
        }
        let mut there = Vec::new();
        for labels in labels.chunks(MADE_AT_ONCE) {
            if stop.is_cancelled() {
                break;
            }
            activity.now("making labels");
            let mut making = JoinSet::new();
            for label in labels {
                let (platform, label) =
                    (Arc::clone(&destination.session.platform), Arc::clone(label));
                making.spawn(async move {
                    let made = make_label(&platform, &label).await;
                    (label, made)
                });
            }
            while let Some(ended) = making.join_next().await {
                // One that ends by itself has made no label.
                let Ok((label, made)) = ended else {
                    continue;
                };
                match made {
                    Ok(true) => there.push(label),
                    Ok(false) => {}
                    Err(error) => {
                        tracing::debug!(error = %Chain(&error), "the destination does not make a label ahead: it is sent");
                        self.makes_none = true;
                    }
                }
            }
            if self.makes_none {
                break;
            }
        }
        there
    }

    /// The labels and identities that a unit embeds, each once, of which nothing is known, or was long ago.
    fn unknown(&mut self, unit: &Converted) -> Vec<Arc<StixObject>> {
        let (mut seen, mut unknown) = (KeySet::default(), Vec::new());
        for object in unit.all().filter(|object| !object.is_deletion()) {
            for embedded in &object.embedded {
                self.collect_unknown(embedded, &mut seen, &mut unknown);
            }
        }
        unknown
    }

    fn collect_unknown(
        &mut self,
        object: &Arc<StixObject>,
        seen: &mut KeySet,
        unknown: &mut Vec<Arc<StixObject>>,
    ) {
        if !seen.insert(object.key) {
            return;
        }
        for embedded in &object.embedded {
            self.collect_unknown(embedded, seen, unknown);
        }
        if !matches!(object.id.stix_type(), "label" | "identity") {
            return;
        }
        let digest = self.digests.of(&object.json);
        let is_known = self
            .asked
            .get(&object.key)
            .is_some_and(|(known, asked)| *known == digest && asked.elapsed() < COUNTS_FOR);
        if !is_known {
            unknown.push(Arc::clone(object));
        }
    }
}
