//! Admission: what of a unit may go to this destination. It comes before the packing: behind it, every
//! object can be imported whole, or is known not to be sent.
//!
//! **Invariant.** What is rejected is named with its reason, and so is each link that leads there;
//! nothing else of the unit suffers.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::connector::{AtSource, Converted, Deferred, Obstacle, Skipped, is_marking};
use crate::opencti::refusal;
use crate::platform::PlatformError;
use crate::runtime::import::activity::Activity;
use crate::runtime::import::destination::Destination;
use crate::runtime::import::embedded::{EmbeddedCache, LearntEmbedded};
use crate::runtime::import::markings::{MarkingCache, markings_of};
use crate::runtime::import::packer::Packer;
use crate::runtime::import::references::{self, Links};
use crate::stix::{KeySet, StixObject, TextMap, TextSet};

/// What was learnt of the destination in a run.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    /// Whether the destination lacks the type, for each type of this run.
    unknown_types: TextMap<Box<str>, bool>,
    markings: MarkingCache,
    links: Links,
    embedded: EmbeddedCache,
    named: NamedRejections,
}

/// Which rejected objects were named, so that none is counted twice that comes as a unit's own, and along with others.
#[derive(Debug, Default)]
struct NamedRejections {
    own: KeySet,
    along: KeySet,
}

/// What does not go, by its ids.
#[derive(Debug, Default)]
pub(crate) struct Rejected {
    /// All of it, referenced and shared objects too; not what is still there because its deletion does not go.
    pub(crate) ids: TextSet<Box<str>>,
    /// Of that, what will not go as long as it stays as it is.
    pub(crate) refused: TextSet<Box<str>>,
    /// Deletions that do not go.
    deletions: TextSet<Box<str>>,
    /// What is left as it is at the destination: nothing is lost with it.
    pub(crate) left: Vec<Skipped>,
}

impl Rejected {
    /// Lets the packer defer what depends on what does not go of a unit, rejected or skipped. Objects that
    /// come a second time have been sent, whatever becomes of them now.
    pub(crate) fn note_in(&self, packer: &mut Packer, unit: &Converted) {
        if unit.parts.counts_as.is_some() {
            return;
        }
        let skipped = unit.skipped.iter().map(|skipped| skipped.id.as_str());
        packer.note_not_sent(skipped.filter(|id| !self.deletions.contains(*id)));
        packer.note_not_sent(self.ids.iter().map(|id| &**id));
        packer.note_refused(self.refused.iter().map(|id| &**id));
    }

    fn has(&self, object: &StixObject) -> bool {
        let rejected = if object.is_deletion() {
            &self.deletions
        } else {
            &self.ids
        };
        rejected.contains(&*object.id)
    }

    fn add(&mut self, object: &StixObject, rejection: &Rejection) {
        // What stays is there to be referred to.
        if object.is_deletion() {
            self.deletions.insert(object.id.clone().into());
            return;
        }
        self.ids.insert(object.id.clone().into());
        if !rejection.can_be_resolved {
            self.refused.insert(object.id.clone().into());
        }
    }
}

/// Why an object is rejected.
struct Rejection {
    reason: String,
    /// Whether the reason can pass without a change of the object.
    can_be_resolved: bool,
    /// What it waits for.
    needs: Option<String>,
    /// Where only reading it again shows whether the reason is gone.
    at_source: Option<AtSource>,
}

impl Rejection {
    fn skipped(&self, object: &StixObject) -> Skipped {
        Skipped {
            id: object.id.to_string(),
            kind: object.kind.to_string(),
            reason: self.reason.clone(),
        }
    }
}

impl Admission {
    /// The markings of a unit that have to be made at the destination before its objects.
    pub(crate) async fn markings_to_make(
        &mut self,
        destination: &Destination,
        unit: &Converted,
    ) -> Result<Vec<Arc<StixObject>>, PlatformError> {
        let markings = markings_of(unit.all());
        self.markings.learn(destination, markings).await
    }

    /// Looks what has become of markings that were sent.
    pub(crate) async fn learn_made(
        &mut self,
        destination: &Destination,
        made: &[Arc<StixObject>],
    ) -> Result<(), PlatformError> {
        self.markings.learn_made(destination, made).await
    }

    /// Notes which markings cannot be made, and why.
    pub(crate) fn reject_markings(&mut self, too_large: &[(Arc<StixObject>, String)]) {
        self.markings.reject_too_large(too_large);
    }

    /// Takes for made what nobody makes now: for files.
    pub(crate) fn assume_made(&mut self, made: &[Arc<StixObject>]) {
        self.markings.assume_made(made);
    }

    /// Learns which labels and authors of a unit the destination has as they would be sent, and makes labels that it
    /// lacks, until it is to stop.
    pub(crate) async fn learn_embedded(
        &mut self,
        destination: &Destination,
        unit: &Converted,
        activity: &Activity,
        stop: &CancellationToken,
    ) -> Result<LearntEmbedded, PlatformError> {
        let makes_labels = self.markings.rights(destination).await?.makes_labels();
        let mut learnt = self.embedded.learn(destination, unit).await;
        if makes_labels {
            let labels = &learnt.missing_labels;
            let made = self.embedded.make(destination, labels, activity, stop);
            learnt.there.extend(made.await);
        }
        Ok(learnt)
    }

    /// The markings that the destination has, by its own word.
    pub(crate) fn listed_markings(&self) -> impl Iterator<Item = &str> {
        self.markings.listed()
    }

    /// The user on whose behalf the workers import, if it can create nothing.
    pub(crate) async fn powerless_user(
        &mut self,
        destination: &Destination,
    ) -> Result<Option<String>, PlatformError> {
        let rights = self.markings.rights(destination).await?;
        Ok((!rights.has_confidence()).then(|| rights.user.clone()))
    }

    /// Whether the reason for which an object was deferred is gone. What waits for another object is not
    /// decided here.
    pub(crate) async fn has_passed(
        &mut self,
        destination: &Destination,
        deferred: &Deferred,
    ) -> Result<bool, PlatformError> {
        match deferred.obstacle() {
            Obstacle::Cause(cause) => self.has_cause_passed(destination, cause).await,
            Obstacle::Object => Ok(false),
            Obstacle::Source | Obstacle::None => Ok(true),
        }
    }

    /// Whether the destination has the type, or lets the marking be set, for which something was deferred.
    pub(crate) async fn has_cause_passed(
        &mut self,
        destination: &Destination,
        cause: &str,
    ) -> Result<bool, PlatformError> {
        if is_marking(cause) {
            return self.markings.may_become_usable(destination, cause).await;
        }
        Ok(!destination
            .session
            .platform
            .lacks_entity_type(cause)
            .await?)
    }

    /// Whether it takes a look at what the destination has to judge this unit: then the workers have to
    /// be through with the run before.
    pub(crate) fn looks_at_destination(&self, destination: &Destination, unit: &Converted) -> bool {
        self.links.look_at_destination(destination, unit)
    }

    /// Takes out of a unit what must not go. `is_settled`: no message of an earlier run is at the workers.
    pub(crate) async fn admit(
        &mut self,
        destination: &Destination,
        unit: &mut Converted,
        is_settled: bool,
    ) -> Result<Rejected, PlatformError> {
        self.learn_types(destination, unit).await?;
        self.name_unknown_types(unit);
        let mut rejected = self.reject(destination, unit);
        references::remove_deleted(unit);
        let left = self.links.ask_presence(destination, unit).await?;
        self.links
            .find_imported(destination, unit, &left, is_settled)
            .await?;
        rejected.left = left.named;
        if destination.rules.refuses_set_references {
            references::remove_set_references(destination, unit).await?;
        }
        self.remove_forbidden_embedded(destination, unit).await?;
        self.links.note_sent(unit);
        Ok(rejected)
    }

    /// Takes out of a unit what the destination does not take, and the links that lead to it.
    fn reject(&mut self, destination: &Destination, unit: &mut Converted) -> Rejected {
        let mut rejected = Rejected::default();
        let is_part = unit.parts.counts_as.is_some();
        let mut noted = Noted {
            stream: unit.stream,
            is_part,
            skipped: Vec::new(),
            deferred: Vec::new(),
        };
        for object in &unit.objects {
            if let Some(rejection) = self.rejection(destination, object) {
                rejected.add(object, &rejection);
                if self.named.is_counted_as_own(object) {
                    noted.name(object, &rejection);
                }
                noted.defer(object, rejection);
            }
        }
        for (along, defers) in [(&unit.referenced, false), (&unit.shared, true)] {
            for object in along {
                let Some(rejection) = self.rejection(destination, object) else {
                    continue;
                };
                rejected.add(object, &rejection);
                if self.named.is_news_along(object) {
                    noted.name(object, &rejection);
                    // What another unit brings is deferred with that one.
                    if defers {
                        noted.defer(object, rejection);
                    }
                }
            }
        }
        let Noted {
            skipped, deferred, ..
        } = noted;
        unit.skipped.extend(skipped);
        unit.deferred.extend(deferred);
        for objects in unit.lists() {
            objects.retain(|object| !rejected.has(object));
        }
        if !rejected.ids.is_empty() {
            references::cut(unit, &rejected.ids, &rejected.refused);
        }
        rejected
    }

    /// Without the right to make them, markings and labels that come along are errors at import, whether
    /// they are there or not. Objects name them all the same.
    async fn remove_forbidden_embedded(
        &mut self,
        destination: &Destination,
        unit: &mut Converted,
    ) -> Result<(), PlatformError> {
        if unit.all().all(|object| object.embedded.is_empty()) {
            return Ok(());
        }
        let rights = self.markings.rights(destination).await?;
        let (markings, labels) = (rights.makes_markings(), rights.makes_labels());
        if markings && labels {
            return Ok(());
        }
        let is_left = |embedded_object: &StixObject| {
            (!markings && embedded_object.kind == "marking")
                || (!labels && embedded_object.kind == "label")
        };
        for objects in unit.lists() {
            for object in objects {
                *object =
                    Arc::new(object.embedding_only(&|embedded_object| !is_left(embedded_object)));
            }
        }
        Ok(())
    }

    async fn learn_types(
        &mut self,
        destination: &Destination,
        unit: &Converted,
    ) -> Result<(), PlatformError> {
        for object in unit.all() {
            let named = object.names_type.as_ref().map(|(named, _)| &**named);
            for entity_type in [Some(&*object.kind), named].into_iter().flatten() {
                if !self.unknown_types.contains_key(entity_type) {
                    let is_lacking = destination
                        .session
                        .platform
                        .lacks_entity_type(entity_type)
                        .await?;
                    self.unknown_types.insert(entity_type.into(), is_lacking);
                }
            }
        }
        Ok(())
    }

    /// An object that names a type that is not there is imported, if it does not say so.
    fn name_unknown_types(&self, unit: &mut Converted) {
        for object in unit.lists().into_iter().flatten() {
            let named = object.names_type.as_ref();
            if named.is_some_and(|(named, _)| self.is_lacking(named)) {
                *object = Arc::new(object.naming_unknown_type());
            }
        }
    }

    fn is_lacking(&self, entity_type: &str) -> bool {
        self.unknown_types.get(entity_type) == Some(&true)
    }

    fn rejection(&self, destination: &Destination, object: &StixObject) -> Option<Rejection> {
        if object.is_deletion() {
            return refused_deletion(destination);
        }
        // Objects of a type that the destination does not have would be dropped there, and on several
        // releases their work would wait for them for ever (docs/protocol.md#import).
        if self.is_lacking(&object.kind) {
            let release = destination.session.platform.release();
            return Some(Rejection {
                reason: format!("the destination's release {release} does not have its type"),
                can_be_resolved: true,
                needs: None,
                at_source: None,
            });
        }
        let release = destination.session.platform.release();
        let value_of = |property: &str| object.from_value(property);
        if let Some(reason) = refusal(&object.kind, value_of, release) {
            return Some(Rejection {
                reason: format!("the destination would refuse it: {reason}"),
                can_be_resolved: false,
                needs: None,
                at_source: None,
            });
        }
        let rejection = self.markings.rejection(object)?;
        Some(Rejection {
            reason: rejection.reason.to_owned(),
            can_be_resolved: true,
            needs: (!rejection.is_unfit).then(|| rejection.marking.to_owned()),
            at_source: rejection.is_unfit.then_some(AtSource::Contradiction),
        })
    }
}

/// A release that does not know deletions would import the object instead.
fn refused_deletion(destination: &Destination) -> Option<Rejection> {
    if destination.rules.takes_deletions {
        return None;
    }
    let release = destination.session.platform.release();
    Some(Rejection {
        reason: format!("the destination's release {release} deletes nothing that is sent to it"),
        can_be_resolved: false,
        needs: None,
        at_source: None,
    })
}

/// What is named of a unit's rejected objects.
struct Noted {
    stream: &'static str,
    /// Whether the objects come once more, only for a part of theirs.
    is_part: bool,
    skipped: Vec<Skipped>,
    deferred: Vec<Deferred>,
}

impl Noted {
    fn name(&mut self, object: &StixObject, rejection: &Rejection) {
        self.skipped.push(rejection.skipped(object));
    }

    /// Defers an object where its rejection can be resolved.
    fn defer(&mut self, object: &StixObject, rejection: Rejection) {
        if !rejection.can_be_resolved {
            return;
        }
        let skip = rejection.skipped(object);
        let waiting = match (rejection.at_source, rejection.needs) {
            (Some(at_source), _) => Deferred::at_source(self.stream, &skip, at_source),
            (None, Some(needed)) => Deferred::waiting_for(self.stream, &skip, needed),
            (None, None) => Deferred::at_destination(self.stream, &skip),
        };
        self.deferred.push(waiting.as_part_if(self.is_part));
    }
}

impl NamedRejections {
    /// Whether a unit's own object still has to be counted: not where it was when it came along.
    fn is_counted_as_own(&mut self, object: &StixObject) -> bool {
        self.own.insert(object.key);
        !self.along.contains(&object.key)
    }

    /// Whether what comes along is named for the first time in this run.
    fn is_news_along(&mut self, object: &StixObject) -> bool {
        !self.own.contains(&object.key) && self.along.insert(object.key)
    }
}
