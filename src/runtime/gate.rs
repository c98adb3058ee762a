//! What of a page may go to this destination. The gate stands before the packing: behind it, every
//! object can be imported whole, or is known not to be sent.
//!
//! May know: objects, the destination. Must not know: messages, works, the state.
//!
//! **Invariant.** What is kept out is named with its reason, and so is each link that leads there;
//! nothing else of the page suffers.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::destination::Destination;
use super::markings::{Markings, markings_of};
use crate::connector::{Converted, HeldBack, Skipped};
use crate::opencti::{Known, refusal, relation_of, set_targets};
use crate::platform::PlatformError;
use crate::stix::{Pointer, StixObject};

/// What was learnt of the destination in a run.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// Whether the destination lacks the type, for each that was met.
    unknown_types: HashMap<Box<str>, bool>,
    markings: Markings,
}

/// Why an object is kept out.
struct Bar {
    reason: String,
    /// Whether the reason can pass without a change of the object.
    can_be_mended: bool,
    /// What it waits for.
    needs: Option<String>,
}

impl Gate {
    /// The markings of a page that have to be made at the destination before its objects.
    pub(super) async fn markings_to_make(
        &mut self,
        destination: &Destination,
        page: &Converted,
    ) -> Result<Vec<Arc<StixObject>>, PlatformError> {
        let markings = markings_of(page.objects.iter().chain(&page.companions));
        self.markings.learn(destination, markings).await
    }

    /// Looks what has become of markings that were sent.
    pub(super) async fn learn_made(
        &mut self,
        destination: &Destination,
        made: &[Arc<StixObject>],
    ) -> Result<(), PlatformError> {
        self.markings.learn_made(destination, made).await
    }

    /// Whether the reason for which an object was held back is gone. What waits for an object is not
    /// the gate's.
    pub(super) async fn has_passed(
        &mut self,
        destination: &Destination,
        held_back: &HeldBack,
    ) -> Result<bool, PlatformError> {
        match &held_back.needs {
            Some(marking) if marking.starts_with("marking-definition--") => {
                self.markings.may_become_usable(destination, marking).await
            }
            Some(_) => Ok(false),
            None => Ok(!destination
                .platform
                .lacks_entity_type(&held_back.kind)
                .await?),
        }
    }

    /// Takes out of a page what must not go; answers the ids of all that, companions too.
    pub(super) async fn admit(
        &mut self,
        destination: &Destination,
        page: &mut Converted,
    ) -> Result<HashSet<Box<str>>, PlatformError> {
        self.learn_types(destination, page).await?;
        self.name_unknown_types(page);
        let mut kept_out = HashSet::new();
        for object in &page.objects {
            if let Some(bar) = self.bar(destination, object) {
                kept_out.insert(object.id.clone());
                note(
                    object,
                    bar,
                    page.stream,
                    &mut page.skipped,
                    &mut page.held_back,
                );
            }
        }
        let is_barred = |object: &&Arc<StixObject>| self.bar(destination, object).is_some();
        let companions = page.companions.iter().filter(is_barred);
        kept_out.extend(companions.map(|object| object.id.clone()));
        self.find_ends(destination, page).await?;
        if !kept_out.is_empty() {
            for objects in [&mut page.objects, &mut page.late, &mut page.companions] {
                objects.retain(|object| !kept_out.contains(&object.id));
            }
            cut_links(page, &kept_out);
        }
        if destination.rules.refuses_set_references {
            leave_set_references(destination, page).await?;
        }
        Ok(kept_out)
    }

    /// Relationships whose end this connector does not import go only where the destination has it.
    async fn find_ends(
        &self,
        destination: &Destination,
        page: &mut Converted,
    ) -> Result<(), PlatformError> {
        if page.ends_elsewhere.is_empty() {
            return Ok(());
        }
        let ends: Vec<&str> = page.ends_elsewhere.iter().map(|end| &**end).collect();
        let known = Known::ask(&destination.platform, &ends).await?;
        let is_missing = |end: &str| page.ends_elsewhere.contains(end) && !known.has(end);
        let (skipped, objects) = (&mut page.skipped, &mut page.objects);
        objects.retain(|object| {
            let Some(end) = object.ends.iter().find(|end| is_missing(end)) else {
                return true;
            };
            let kind_of_end = if end.starts_with("indicator--") {
                "indicator"
            } else {
                "observable"
            };
            skipped.push(Skipped {
                id: object.id.to_string(),
                kind: object.kind.to_string(),
                reason: format!(
                    "its {kind_of_end} is not imported by the settings, and the destination does not have it"
                ),
            });
            false
        });
        Ok(())
    }

    async fn learn_types(
        &mut self,
        destination: &Destination,
        page: &Converted,
    ) -> Result<(), PlatformError> {
        for object in page.objects.iter().chain(&page.companions) {
            let named = object.names_type.as_ref().map(|(named, _)| &**named);
            for entity_type in [Some(&*object.kind), named].into_iter().flatten() {
                if !self.unknown_types.contains_key(entity_type) {
                    let is_lacking = destination.platform.lacks_entity_type(entity_type).await?;
                    self.unknown_types.insert(entity_type.into(), is_lacking);
                }
            }
        }
        Ok(())
    }

    /// An indicator for a type that is not there is imported, if it does not say so.
    fn name_unknown_types(&self, page: &mut Converted) {
        for object in page.objects.iter_mut().chain(&mut page.companions) {
            let named = object.names_type.as_ref();
            if named.is_some_and(|(named, _)| self.is_lacking(named)) {
                *object = Arc::new(object.naming_unknown_type());
            }
        }
    }

    fn is_lacking(&self, entity_type: &str) -> bool {
        self.unknown_types.get(entity_type) == Some(&true)
    }

    fn bar(&self, destination: &Destination, object: &StixObject) -> Option<Bar> {
        // Objects of a type that the destination does not have would be dropped there, and on several
        // releases their work would wait for them for ever (spec/protocol.md §7).
        if self.is_lacking(&object.kind) {
            let release = destination.platform.release();
            return Some(Bar {
                reason: format!("the destination's release {release} does not have its type"),
                can_be_mended: true,
                needs: None,
            });
        }
        let release = destination.platform.release();
        if let Some(reason) = refusal(&object.kind, &object.json, release) {
            return Some(Bar {
                reason: format!("the destination would refuse it: {reason}"),
                can_be_mended: false,
                needs: None,
            });
        }
        let (marking, reason) = self.markings.bar(object)?;
        Some(Bar {
            reason: reason.to_owned(),
            can_be_mended: true,
            needs: Some(marking.to_owned()),
        })
    }
}

fn note(
    object: &StixObject,
    bar: Bar,
    stream: &str,
    skipped: &mut Vec<Skipped>,
    held_back: &mut Vec<HeldBack>,
) {
    if bar.can_be_mended {
        held_back.push(HeldBack {
            stream: stream.to_owned(),
            id: object.id.to_string(),
            kind: object.kind.to_string(),
            reason: bar.reason.clone(),
            needs: bar.needs,
            is_part: false,
        });
    }
    skipped.push(Skipped {
        id: object.id.to_string(),
        kind: object.kind.to_string(),
        reason: bar.reason,
    });
}

/// Objects that point at what is kept out go without that link: a link to what is not there is an error
/// at import, and costs the links behind it too (spec/protocol.md §7).
fn cut_links(page: &mut Converted, kept_out: &HashSet<Box<str>>) {
    let (stream, skipped, held_back) = (page.stream, &mut page.skipped, &mut page.held_back);
    for object in page.objects.iter_mut().chain(&mut page.late) {
        let lost = object.pointers.iter().flat_map(|pointer| {
            let targets = pointer.targets.iter().filter(|id| kept_out.contains(*id));
            targets.map(move |target| (pointer, target))
        });
        let before = skipped.len();
        for (pointer, target) in lost {
            note_link(object, pointer, target, stream, skipped, held_back);
        }
        if skipped.len() > before {
            *object = Arc::new(object.pointing_only(|_, target| !kept_out.contains(target)));
        }
    }
}

/// The single references that the destination sets with the object itself, or sets again by itself:
/// an object that goes without them could be taken for another one.
const SET_WITH_OBJECT: &[&str] = &["src_ref", "dst_ref"];

/// Takes out single references that are set at the destination: setting one again is an error there.
async fn leave_set_references(
    destination: &Destination,
    page: &mut Converted,
) -> Result<(), PlatformError> {
    let is_single =
        |pointer: &&Pointer| !pointer.is_many && !SET_WITH_OBJECT.contains(&pointer.property);
    let (mut holders, mut relations) = (Vec::new(), BTreeSet::new());
    for object in page.objects.iter().chain(&page.late) {
        for pointer in object.pointers.iter().filter(is_single) {
            holders.push(&*object.id);
            relations.insert(relation_of(pointer.property));
        }
    }
    if holders.is_empty() {
        return Ok(());
    }
    let known = Known::ask(&destination.platform, &holders).await?;
    let internal: Vec<&str> = holders
        .iter()
        .filter_map(|holder| known.internal_id(holder))
        .collect();
    let relations: Vec<String> = relations.into_iter().collect();
    let set = set_targets(&destination.platform, &internal, &relations).await?;
    let set_of = |object: &StixObject, pointer: &Pointer| {
        let holder = known.internal_id(&object.id)?.to_owned();
        set.get(&(holder, relation_of(pointer.property)))
    };
    let skipped = &mut page.skipped;
    for object in page.objects.iter_mut().chain(&mut page.late) {
        let mut is_set = false;
        for pointer in object.pointers.iter().filter(is_single) {
            let Some(targets) = set_of(object, pointer) else {
                continue;
            };
            is_set = true;
            for other in pointer
                .targets
                .iter()
                .filter(|target| !targets.contains(&***target))
            {
                skipped.push(Skipped {
                    id: format!("{} to {other}", object.id),
                    kind: pointer.property.to_owned(),
                    reason: "the destination has another one there, and no import can change it"
                        .to_owned(),
                });
            }
        }
        if is_set {
            let goes =
                |pointer: &Pointer| !is_single(&pointer) || set_of(object, pointer).is_none();
            *object = Arc::new(object.pointing_only(|pointer, _| goes(pointer)));
        }
    }
    Ok(())
}

fn note_link(
    object: &StixObject,
    pointer: &Pointer,
    target: &str,
    stream: &str,
    skipped: &mut Vec<Skipped>,
    held_back: &mut Vec<HeldBack>,
) {
    let reason = "what it leads to is not sent";
    skipped.push(Skipped {
        id: format!("{} to {target}", object.id),
        kind: pointer.property.to_owned(),
        reason: reason.to_owned(),
    });
    held_back.push(HeldBack {
        stream: stream.to_owned(),
        id: object.id.to_string(),
        kind: object.kind.to_string(),
        reason: reason.to_owned(),
        needs: Some(target.to_owned()),
        is_part: true,
    });
}
