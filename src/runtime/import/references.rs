//! Links of a page's objects: to what does not go, to what the destination may not have, and to what
//! it has already.
//!
//! May know: objects, the destination. Must not know: why something is kept out.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use crate::connector::{Converted, Deferred, Skipped, kind_of_end};
use crate::opencti::{KnownObjects, SetTargets, relation_of, set_targets};
use crate::platform::PlatformError;
use crate::runtime::import::admission::Rejected;
use crate::runtime::import::destination::Destination;
use crate::stix::{ManyIds, Pointer, StixObject, key};

/// The single references that the destination sets with the object itself, or sets again by itself:
/// an object that goes without them could be taken for another one.
const SET_WITH_OBJECT: &[&str] = &["src_ref", "dst_ref"];

/// What this run has sent.
#[derive(Debug, Default)]
pub(crate) struct Links {
    /// One that is taken for another costs no more than a question that is not asked.
    sent: ManyIds,
}

impl Links {
    /// Notes that a page's objects go.
    pub(crate) fn note_sent(&mut self, page: &Converted) {
        // Nothing is tied to what ties others together.
        let objects = page.objects.iter().filter(|object| object.ends.is_empty());
        for object in objects {
            self.sent.insert(object.key);
        }
    }

    /// Whether a page cannot be judged without a look at what the destination has.
    pub(crate) fn look_at_destination(&self, destination: &Destination, page: &Converted) -> bool {
        let refuses_set = destination.rules.refuses_set_references;
        let has_single = || {
            page.objects
                .iter()
                .any(|object| singles(object).next().is_some())
        };
        !self.ends_in_doubt(page).is_empty() || (refuses_set && has_single())
    }

    /// Ends of relationships that were neither sent in this run nor come along.
    fn ends_in_doubt<'a>(&self, page: &'a Converted) -> BTreeSet<&'a str> {
        let ends = page.objects.iter().flat_map(|object| &object.ends);
        let not_sent = ends.filter(|end| !self.sent.contains(key(end)));
        let mut in_doubt: BTreeSet<&str> = not_sent.map(|end| &**end).collect();
        if !in_doubt.is_empty() {
            for object in page.objects.iter().chain(&page.referenced) {
                in_doubt.remove(&*object.id);
            }
        }
        in_doubt
    }

    /// Relationships go only where both ends are: sent in this run, or found at the destination. While
    /// messages of an earlier process may be at the workers, only what the settings keep away is looked
    /// for: the rest may still be imported.
    pub(crate) async fn find_ends(
        &self,
        destination: &Destination,
        page: &mut Converted,
        is_settled: bool,
    ) -> Result<(), PlatformError> {
        let mut in_doubt = self.ends_in_doubt(page);
        in_doubt.retain(|end| is_settled || page.ends_elsewhere.contains(*end));
        if in_doubt.is_empty() {
            return Ok(());
        }
        let ends: Vec<&str> = in_doubt.into_iter().collect();
        let known = KnownObjects::ask(&destination.home.platform, &ends).await?;
        let missing = ends.into_iter().filter(|end| !known.has(end));
        let missing: HashSet<Box<str>> = missing.map(Into::into).collect();
        let Converted {
            objects,
            skipped,
            deferred,
            ends_elsewhere,
            stream,
            ..
        } = page;
        objects.retain(|object| {
            let Some(end) = object.ends.iter().find(|end| missing.contains(&***end)) else {
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
        Ok(())
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

/// Objects that point at what is kept out go without that link: a link to what is not there is an error
/// at import, and costs the links behind it too (spec/protocol.md §7).
pub(crate) fn cut(page: &mut Converted, rejected: &Rejected) {
    let Converted {
        objects,
        second_pass,
        skipped,
        deferred,
        stream,
        ..
    } = page;
    for object in objects.iter_mut().chain(second_pass.iter_mut()) {
        let lost: Vec<(&Pointer, &str)> = pointing(object)
            .filter(|(_, target)| rejected.ids.contains(*target))
            .collect();
        if lost.is_empty() {
            continue;
        }
        let reason = "what it leads to is not sent";
        for (pointer, target) in lost {
            skipped.push(lost_link(object, pointer, target, reason));
            if !rejected.refused.contains(target) {
                let holder = Skipped {
                    id: object.id.to_string(),
                    kind: object.kind.to_string(),
                    reason: reason.to_owned(),
                };
                deferred.push(Deferred::waiting_for(stream, &holder, target).as_part());
            }
        }
        let cut = object.pointing_only(|_, target| !rejected.ids.contains(target));
        *object = Arc::new(cut);
    }
    second_pass.retain(|object| !object.pointers.is_empty());
}

fn pointing(object: &StixObject) -> impl Iterator<Item = (&Pointer, &str)> {
    object.pointers.iter().flat_map(|pointer| {
        let targets = pointer.targets.iter();
        targets.map(move |target| (pointer, &**target))
    })
}

fn lost_link(object: &StixObject, pointer: &Pointer, target: &str, reason: &str) -> Skipped {
    Skipped {
        id: format!("{} to {target}", object.id),
        kind: pointer.property.to_owned(),
        reason: reason.to_owned(),
    }
}

/// The single references of an object that are set after it, one by one.
fn singles(object: &StixObject) -> impl Iterator<Item = &Pointer> {
    object.pointers.iter().filter(|pointer| is_single(pointer))
}

fn is_single(pointer: &Pointer) -> bool {
    !pointer.is_many && !SET_WITH_OBJECT.contains(&pointer.property)
}

/// Takes out single references that are set at the destination: setting one again is an error there.
pub(crate) async fn leave_what_is_set(
    destination: &Destination,
    page: &mut Converted,
) -> Result<(), PlatformError> {
    let set = Set::ask(destination, page).await?;
    let Converted {
        objects,
        second_pass,
        skipped,
        ..
    } = page;
    for object in objects.iter_mut().chain(second_pass.iter_mut()) {
        if singles(object).all(|pointer| set.targets(object, pointer).is_none()) {
            continue;
        }
        for (pointer, target) in pointing(object).filter(|(pointer, _)| is_single(pointer)) {
            let set = set.targets(object, pointer);
            if set.is_some_and(|set| !set.contains(target)) {
                let reason = "the destination has another one there, and no import can change it";
                skipped.push(lost_link(object, pointer, target, reason));
            }
        }
        let goes =
            |pointer: &Pointer| !is_single(pointer) || set.targets(object, pointer).is_none();
        *object = Arc::new(object.pointing_only(|pointer, _| goes(pointer)));
    }
    second_pass.retain(|object| !object.pointers.is_empty());
    Ok(())
}

/// What the objects of a page point at, at the destination.
#[derive(Default)]
struct Set {
    known: KnownObjects,
    targets: SetTargets,
}

impl Set {
    async fn ask(destination: &Destination, page: &Converted) -> Result<Self, PlatformError> {
        let (mut holders, mut relations) = (BTreeSet::new(), BTreeSet::new());
        for object in page.objects.iter().chain(&page.second_pass) {
            for pointer in singles(object) {
                holders.insert(&*object.id);
                relations.insert(relation_of(pointer.property));
            }
        }
        if holders.is_empty() {
            return Ok(Self::default());
        }
        let holders: Vec<&str> = holders.into_iter().collect();
        let known = KnownObjects::ask(&destination.home.platform, &holders).await?;
        let internal = holders
            .iter()
            .filter_map(|holder| known.internal_id(holder));
        let internal: Vec<&str> = internal.collect();
        let relations: Vec<String> = relations.into_iter().collect();
        let targets = set_targets(&destination.home.platform, &internal, &relations).await?;
        Ok(Self { known, targets })
    }

    fn targets(&self, object: &StixObject, pointer: &Pointer) -> Option<&HashSet<String>> {
        let holder = self.known.internal_id(&object.id)?.to_owned();
        self.targets.get(&(holder, relation_of(pointer.property)))
    }
}
