//! References of a unit's objects: to what is not sent, to what the destination may not have, and to what it has
//! already.

mod presence;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use crate::connector::{Converted, Deferred, Skipped};
use crate::opencti::{KnownObjects, SetTargets, relation_of, set_targets};
use crate::platform::PlatformError;
use crate::runtime::import::destination::Destination;
use crate::stix::{
    KeySet, ManyIds, Need, ObjectReference, Presence, StixId, StixObject, TextSet, key, kind_of_end,
};
pub(crate) use presence::LeftAsIs;

/// The single references that the destination sets with the object itself, or sets again by itself:
/// an object that goes without them could be taken for another one.
const SET_WITH_OBJECT: &[&str] = &["src_ref", "dst_ref"];

/// What this run has sent.
#[derive(Debug, Default)]
pub(crate) struct Links {
    /// One that is taken for another costs no more than a question that is not asked.
    sent: ManyIds,
    /// What was deleted, and has not been sent again since.
    deleted: KeySet,
    /// What came along with units, was left as it is at the destination, and is named.
    left_along: KeySet,
}

impl Links {
    /// Notes that a unit's objects go.
    pub(crate) fn note_sent(&mut self, unit: &Converted) {
        for object in unit.all() {
            if object.is_deletion() {
                self.deleted.insert(object.key);
                continue;
            }
            self.deleted.remove(&object.key);
            if may_be_referred_to(object) {
                self.sent.insert(object.key);
            }
        }
    }

    /// Whether a unit cannot be judged without a look at what the destination has.
    pub(crate) fn look_at_destination(&self, destination: &Destination, unit: &Converted) -> bool {
        let refuses_set = destination.rules.refuses_set_references;
        let has_single = |object: &Arc<StixObject>| singles(object).next().is_some();
        let asks = |object: &Arc<StixObject>| object.handling.presence != Presence::Any;
        !self.references_in_doubt(unit).is_empty()
            || unit.all().any(asks)
            || (refuses_set && unit.objects.iter().any(has_single))
    }

    fn has_sent(&self, key: u128) -> bool {
        self.sent.contains(key) && !self.deleted.contains(&key)
    }

    /// What the relationships and containers of a unit refer to, where this run has not sent it and the unit does not
    /// bring it.
    fn references_in_doubt<'a>(&self, unit: &'a Converted) -> BTreeSet<&'a str> {
        let imported = unit.objects.iter().flat_map(|object| {
            let ends = object.imported.iter().map(StixId::as_str);
            ends.chain(object.members().map(|(_, member)| member))
        });
        let mut imported = imported.peekable();
        // Most units of observables and indicators refer to nothing.
        if imported.peek().is_none() {
            return BTreeSet::new();
        }
        let brought = brought(unit);
        let is_in_doubt = |id: &&str| {
            let key = key(id);
            !brought.contains(&key) && !self.has_sent(key)
        };
        imported.filter(is_in_doubt).collect()
    }

    /// Relationships go only where both ends are, and containers with those members that are: sent in this run, or
    /// found at the destination. Other references lead to nothing that was left and is not there either. While
    /// messages of an earlier process may be at the workers, only what the settings keep away, or what was left, is
    /// looked for: the rest may still be imported.
    pub(crate) async fn find_imported(
        &self,
        destination: &Destination,
        unit: &mut Converted,
        left: &LeftAsIs,
        is_settled: bool,
    ) -> Result<(), PlatformError> {
        let deleted = self.deleted_targets(unit);
        let mut in_doubt = self.references_in_doubt(unit);
        in_doubt.retain(|end| !deleted.contains(*end));
        in_doubt.retain(|end| {
            is_settled || unit.ends_elsewhere.contains(*end) || left.is_in_doubt(end)
        });
        let embedded = unit.objects.iter().chain(&unit.second_pass);
        let embedded = embedded.flat_map(referring);
        let embedded = embedded.filter(|(reference, _)| reference.need == Need::Embedded);
        in_doubt.extend(
            embedded
                .map(|(_, target)| target)
                .filter(|target| left.is_in_doubt(target) && !self.has_sent(key(target))),
        );
        in_doubt.retain(|end| !left.is_lacking(end));
        let mut missing: TextSet<Box<str>> = left.lacking().map(Into::into).collect();
        missing.extend(deleted.iter().cloned());
        if !in_doubt.is_empty() {
            let in_doubt: Vec<&str> = in_doubt.into_iter().collect();
            let known = KnownObjects::ask(&destination.session.platform, &in_doubt).await?;
            let unknown = in_doubt.into_iter().filter(|id| !known.has(id));
            missing.extend(unknown.map(Into::into));
        }
        remove_missing(unit, &missing);
        Ok(())
    }

    /// What a unit refers to and this run deletes, now or before: the destination may have it still.
    fn deleted_targets(&self, unit: &Converted) -> TextSet<Box<str>> {
        let deletions = unit.objects.iter().filter(|object| object.is_deletion());
        let deletions: KeySet = deletions.map(|object| object.key).collect();
        if deletions.is_empty() && self.deleted.is_empty() {
            return TextSet::default();
        }
        let brought = unit.all().filter(|object| !object.is_deletion());
        let brought: KeySet = brought.map(|object| object.key).collect();
        let is_deleted = |id: &&str| {
            let key = key(id);
            let is_deleted = deletions.contains(&key) || self.deleted.contains(&key);
            is_deleted && !brought.contains(&key)
        };
        let referred = unit.objects.iter().flat_map(|object| object.needs());
        let referred = referred.map(|(id, _)| id).filter(is_deleted);
        referred.map(Into::into).collect()
    }

    /// Takes out of a unit what depends on what the destination has, and is not to go for it (see [`Presence`]).
    pub(crate) async fn ask_presence(
        &mut self,
        destination: &Destination,
        unit: &mut Converted,
    ) -> Result<LeftAsIs, PlatformError> {
        let asking = unit.all();
        let asking = asking.filter(|object| object.handling.presence != Presence::Any);
        let in_doubt = asking.filter(|object| self.knows_presence(object.key).is_none());
        let in_doubt: BTreeSet<&str> = in_doubt.map(|object| object.id.as_str()).collect();
        let in_doubt: Vec<&str> = in_doubt.into_iter().collect();
        let known = KnownObjects::ask(&destination.session.platform, &in_doubt).await?;
        Ok(self.leave(unit, |id| known.has(id)))
    }

    /// Whether the destination has, or will have, an object, where what this run has sent decides it.
    fn knows_presence(&self, key: u128) -> Option<bool> {
        if self.deleted.contains(&key) {
            return Some(false);
        }
        self.sent.contains(key).then_some(true)
    }

    /// Takes out of a unit what its presence keeps away; `has` answers for the destination.
    fn leave(&mut self, unit: &mut Converted, has: impl Fn(&str) -> bool) -> LeftAsIs {
        let is_there = |object: &StixObject| {
            let known = self.knows_presence(object.key);
            known.unwrap_or_else(|| has(&object.id))
        };
        let mut left = LeftAsIs::of(unit, is_there);
        // What this run has sent itself, and what was named with an earlier unit.
        let is_news = |key: &u128| !self.sent.contains(*key) && !self.left_along.contains(key);
        let news: Vec<u128> = left.along().filter(is_news).collect();
        left.name_along(|key| news.contains(&key));
        self.left_along.extend(news);
        // Others may refer to it: it is there.
        for key in left.there() {
            self.sent.insert(key);
        }
        left.take_out_of(unit);
        left
    }
}

/// What a unit brings. An object comes with what it embeds: a report may have its author as a member.
fn brought(unit: &Converted) -> KeySet {
    fn add(object: &StixObject, brought: &mut KeySet) {
        brought.insert(object.key);
        for embedded in &object.embedded {
            add(embedded, brought);
        }
    }
    let mut brought = KeySet::default();
    brought.reserve(unit.objects.len());
    for object in unit.all().filter(|object| !object.is_deletion()) {
        add(object, &mut brought);
    }
    brought
}

/// What a unit deletes does not come along with it.
pub(crate) fn remove_deleted(unit: &mut Converted) {
    let deletions = unit.objects.iter().filter(|object| object.is_deletion());
    let deletions: KeySet = deletions.map(|object| object.key).collect();
    if deletions.is_empty() {
        return;
    }
    for along in [&mut unit.referenced, &mut unit.shared] {
        along.retain(|object| !deletions.contains(&object.key));
    }
}

/// Takes out of a unit the links to what is not there.
fn remove_missing(unit: &mut Converted, missing: &TextSet<Box<str>>) {
    if missing.is_empty() {
        return;
    }
    remove_dangling(unit, missing);
    remove_missing_members(unit, missing);
    cut(unit, missing, &TextSet::default());
}

/// Whether others may refer to an object. Hardly anything refers to a relationship, and there are many of them; what
/// belongs to a group may be a member of a container.
fn may_be_referred_to(object: &StixObject) -> bool {
    object.id.stix_type() != "relationship" || object.handling.group.is_some()
}

fn remove_dangling(unit: &mut Converted, missing: &TextSet<Box<str>>) {
    let Converted {
        objects,
        skipped,
        deferred,
        ends_elsewhere,
        stream,
        ..
    } = unit;
    objects.retain(|object| {
        let Some(end) = object.imported.iter().find(|end| missing.contains(&***end)) else {
            return true;
        };
        let is_elsewhere = ends_elsewhere.contains(&**end);
        let dangling = dangling(object, end, is_elsewhere);
        // What the settings keep away is read again once they let it come; else the next run reads it once
        // more, and brings its ends along.
        if !is_elsewhere {
            deferred.push(Deferred::at_destination(stream, &dangling));
        }
        skipped.push(dangling);
        false
    });
}

fn remove_missing_members(unit: &mut Converted, missing: &TextSet<Box<str>>) {
    let Converted {
        objects,
        skipped,
        deferred,
        stream,
        ..
    } = unit;
    for container in objects.iter_mut().filter(|object| object.is_container()) {
        let members = container.members().filter(|(_, id)| missing.contains(*id));
        let mut is_whole = true;
        for (property, id) in members {
            is_whole = false;
            let reason = "it is not sent, and the destination does not have it";
            let lost = Skipped {
                id: format!("{} to {id}", container.id),
                kind: property.to_owned(),
                reason: reason.to_owned(),
            };
            let holder = Skipped {
                id: container.id.to_string(),
                kind: container.kind.to_string(),
                reason: reason.to_owned(),
            };
            deferred.push(Deferred::waiting_for(stream, &holder, id).as_part());
            skipped.push(lost);
        }
        if !is_whole {
            let goes = container.referring_only(|_, id| !missing.contains(id));
            *container = Arc::new(goes);
        }
    }
}

fn dangling(object: &StixObject, end: &str, is_elsewhere: bool) -> Skipped {
    let kind_of_end = kind_of_end(end);
    let why = if is_elsewhere {
        "not imported by the settings"
    } else {
        "not sent"
    };
    Skipped {
        id: object.id.to_string(),
        kind: object.kind.to_string(),
        reason: format!("its {kind_of_end} is {why}, and the destination does not have it"),
    }
}

/// Objects that refer to what does not go, and is not there, go without that link: it would be an error
/// at import, and cost the links behind it too (docs/protocol.md#references). `refused` will never go as it is.
pub(crate) fn cut(unit: &mut Converted, missing: &TextSet<Box<str>>, refused: &TextSet<Box<str>>) {
    let Converted {
        objects,
        second_pass,
        skipped,
        deferred,
        stream,
        ..
    } = unit;
    for object in objects.iter_mut().chain(second_pass.iter_mut()) {
        let lost: Vec<(&ObjectReference, &str)> = referring(object)
            .filter(|(_, target)| missing.contains(*target))
            .collect();
        if lost.is_empty() {
            continue;
        }
        let reason = "what it leads to is not sent";
        for (reference, target) in lost {
            skipped.push(lost_link(object, reference, target, reason));
            if !refused.contains(target) {
                let holder = Skipped {
                    id: object.id.to_string(),
                    kind: object.kind.to_string(),
                    reason: reason.to_owned(),
                };
                deferred.push(Deferred::waiting_for(stream, &holder, target).as_part());
            }
        }
        let cut = object.referring_only(|_, target| !missing.contains(target));
        *object = Arc::new(cut);
    }
    second_pass.retain(|object| !object.references.is_empty());
}

fn referring(object: &Arc<StixObject>) -> impl Iterator<Item = (&ObjectReference, &str)> {
    object.references.iter().flat_map(|reference| {
        let targets = reference.targets.iter();
        targets.map(move |target| (reference, &**target))
    })
}

fn lost_link(
    object: &StixObject,
    reference: &ObjectReference,
    target: &str,
    reason: &str,
) -> Skipped {
    Skipped {
        id: format!("{} to {target}", object.id),
        kind: reference.property.to_owned(),
        reason: reason.to_owned(),
    }
}

/// The single references of an object that are set after it, one by one.
fn singles(object: &StixObject) -> impl Iterator<Item = &ObjectReference> {
    object
        .references
        .iter()
        .filter(|reference| is_single(reference))
}

fn is_single(reference: &ObjectReference) -> bool {
    !reference.is_many && !SET_WITH_OBJECT.contains(&reference.property)
}

/// Takes out single references that are set at the destination: setting one again is an error there.
pub(crate) async fn remove_set_references(
    destination: &Destination,
    unit: &mut Converted,
) -> Result<(), PlatformError> {
    let set = Set::ask(destination, unit).await?;
    let Converted {
        objects,
        second_pass,
        skipped,
        ..
    } = unit;
    for object in objects.iter_mut().chain(second_pass.iter_mut()) {
        if singles(object).all(|reference| set.targets(object, reference).is_none()) {
            continue;
        }
        for (reference, target) in referring(object).filter(|(reference, _)| is_single(reference)) {
            let set = set.targets(object, reference);
            if set.is_some_and(|set| !set.contains(target)) {
                let reason = "the destination has another one there, and no import can change it";
                skipped.push(lost_link(object, reference, target, reason));
            }
        }
        let goes = |reference: &ObjectReference| {
            !is_single(reference) || set.targets(object, reference).is_none()
        };
        *object = Arc::new(object.referring_only(|reference, _| goes(reference)));
    }
    second_pass.retain(|object| !object.references.is_empty());
    Ok(())
}

/// What the objects of a unit refer to, at the destination.
#[derive(Default)]
struct Set {
    known: KnownObjects,
    targets: SetTargets,
}

impl Set {
    async fn ask(destination: &Destination, unit: &Converted) -> Result<Self, PlatformError> {
        let (mut holders, mut relations) = (BTreeSet::new(), BTreeSet::new());
        for object in unit.objects.iter().chain(&unit.second_pass) {
            for reference in singles(object) {
                holders.insert(&*object.id);
                relations.insert(relation_of(reference.property));
            }
        }
        if holders.is_empty() {
            return Ok(Self::default());
        }
        let holders: Vec<&str> = holders.into_iter().collect();
        let known = KnownObjects::ask(&destination.session.platform, &holders).await?;
        let internal = holders
            .iter()
            .filter_map(|holder| known.internal_id(holder));
        let internal: Vec<&str> = internal.collect();
        let relations: Vec<String> = relations.into_iter().collect();
        let targets = set_targets(&destination.session.platform, &internal, &relations).await?;
        Ok(Self { known, targets })
    }

    fn targets(
        &self,
        object: &StixObject,
        reference: &ObjectReference,
    ) -> Option<&HashSet<String>> {
        let holder = self.known.internal_id(&object.id)?.to_owned();
        self.targets.get(&(holder, relation_of(reference.property)))
    }
}

#[cfg(test)]
mod tests;
