//! A page of the source, written as STIX objects.
//!
//! Pure.
//!
//! **Invariant.** Only the keys named in this module and its children leave; ids are the source's
//! standard ids; an object that cannot be written is skipped by name, and nothing else of its page
//! suffers.

mod creators;
mod indicator;
mod marking;
mod metadata_writer;
mod observable;
mod relationship;
mod types;
mod unknown_type;
mod validity;

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use serde_json::value::RawValue;
use url::Url;

use super::ask::{PageAnswer, Stream};
use super::files::{FILE, Files};
use super::page::{
    EMPTY_ROW, ExternalReferenceFields, List, NestedTarget, Node, Reference, Text, UNKNOWN_SHAPE,
};
use super::settings::{Creators, NetManageItSettings, Score};
use super::source::RawPage;
use crate::connector::{AtSource, Converted, Converter, DaysInVain, Deferred, Parts, Skipped};
use crate::stix::{
    JsonKind, Need, NotAnId, NotOfKind, ObjectReference, ObjectWriter, StixId, StixObject, TextMap,
    TextSet, kind_of_end,
};
use marking::BadMarking;
use metadata_writer::MetadataWriter;
use types::{NESTED_REFERENCES, NestedReference, observable_type};
use unknown_type::Written;

/// Why one object, or one part of it, is not sent.
#[derive(Debug, thiserror::Error)]
enum ConvertError {
    #[error("it has no {0}")]
    Missing(&'static str),
    #[error("this program does not know its type")]
    UnknownType,
    #[error("an end of it cannot be seen at the source")]
    InvisibleEnd,
    #[error("{UNKNOWN_SHAPE}")]
    Shape(#[from] serde_json::Error),
    #[error(transparent)]
    Id(#[from] NotAnId),
    #[error("an end of it is no object that can be there: {0}")]
    End(NotAnId),
    #[error("its {field} is not what it should be: {reason}")]
    Field {
        field: &'static str,
        reason: NotOfKind,
    },
    #[error("it is another relationship than the one that was asked for")]
    OtherRelationship,
    #[error(transparent)]
    Marking(#[from] BadMarking),
    /// The source failed at what is needed to write it.
    #[error("{0}")]
    Unread(String),
}

/// Why a list that is null is reported: the source answers an empty one where there is nothing.
const NOT_STATED: &str = "the source answers null where a list of these should be";

impl ConvertError {
    /// What the source may resolve, where the object can go then.
    fn at_source(&self) -> Option<AtSource> {
        match self {
            Self::Marking(_) => Some(AtSource::Contradiction),
            Self::Unread(_) => Some(AtSource::Unread(DaysInVain::default())),
            _ => None,
        }
    }
}

/// The relations to ask the source for.
pub(super) fn relations() -> impl Iterator<Item = &'static str> {
    ["external-reference"]
        .into_iter()
        .chain(NESTED_REFERENCES.iter().map(|nested| nested.relation))
}

/// Whether this program knows a type of observables, by the platform's name.
pub(super) fn is_known_type(entity_type: &str) -> bool {
    observable_type(entity_type).is_some()
}

/// What the settings choose.
#[derive(Debug, Clone)]
pub(super) struct Choices {
    score: Score,
    creators: Creators,
    /// The address of the source's GraphQL; its pages are beside it.
    source: Url,
}

impl Choices {
    pub(super) fn of(settings: &NetManageItSettings) -> Self {
        Self {
            score: settings.score,
            creators: settings.creators,
            source: settings.platform.url.clone(),
        }
    }
}

/// Converts the pages of one run.
#[derive(Debug)]
pub struct NetManageItConverter {
    choices: Choices,
    /// Markings, authors and labels are the same on most rows: each is written once.
    metadata_writer: MetadataWriter,
}

impl Converter for NetManageItConverter {
    type Unit = RawPage;

    fn convert(&mut self, page: RawPage) -> Converted {
        let mut skipped = page.skipped;
        let skipped_before = skipped.len();
        let written = Written::read(&page.written);
        let mut lost = Lost::of(page.unread);
        let referenced = self.referenced(&page.referenced, &written, &mut lost, &mut skipped);
        let (mut objects, mut deferred) = (Vec::new(), page.deferred);
        let no_files = Files::default();
        for node in nodes_of(&page.answer, &mut skipped) {
            if is_known(node, &page.known) {
                continue;
            }
            let of_node = standard_id(node).and_then(|id| page.references.get(&*id));
            let context = ConvertContext {
                references: of_node.map_or(&[][..], Vec::as_slice),
                written: &written,
                files: page.files.as_ref().unwrap_or(&no_files),
            };
            match self.object(page.stream, node, &context, &mut skipped) {
                Ok(object) => objects.push(object),
                Err(error) => {
                    let skip = skip(node, page.stream, &error);
                    if let Some(at_source) = error.at_source() {
                        let waiting = Deferred::at_source(page.stream.name(), &skip, at_source);
                        deferred.push(waiting.as_part_if(page.files.is_some()));
                    }
                    lost.note(node, error);
                    skipped.push(skip);
                }
            }
        }
        let dangling = remove_dangling(&mut objects, &page.ends_to_come, &referenced);
        for Dangling { skipped: skip, end } in dangling {
            deferred.push(lost.defer(page.stream, &skip, &end));
            skipped.push(skip);
        }
        let edges = nested_edges(&objects, &referenced, &mut skipped);
        if page.files.is_none() {
            deferred.extend(waiting_for(&objects, &lost, page.stream));
        }
        // What else is wrong with an object that only brings its files now was reported when it came first.
        if page.files.is_some() {
            let mut new = skipped.split_off(skipped_before);
            new.retain(|skipped| skipped.kind == FILE);
            skipped.append(&mut new);
        }
        let second_pass = objects
            .iter()
            .filter_map(|written| point_second_pass(written, &edges))
            .collect();
        let rows = page.answer.list().map_or(0, List::rows);
        Converted {
            is_again: page.position.is_none(),
            position: page.position,
            stream_total: page.total,
            objects: objects
                .into_iter()
                .map(|written| point(written, &edges))
                .collect(),
            second_pass,
            referenced,
            skipped,
            deferred,
            alarms: page.alarms,
            ends_elsewhere: page.ends_elsewhere,
            parts: Parts {
                follow: page.files_follow,
                completes: page.completes,
                counts_as: page.files.map(|_| "object with files"),
                sent_notifier: page.sent_notifier,
            },
            ..Converted::new(page.stream.name(), page.number, rows)
        }
    }
}

/// An object that is complete but for what it refers to.
struct WithoutReferences {
    object: StixObject,
    nested: Vec<NestedTarget>,
}

/// What goes into an object besides its own fields.
struct ConvertContext<'a> {
    references: &'a [Reference],
    written: &'a Written<'a>,
    files: &'a Files,
}

impl NetManageItConverter {
    pub(super) fn new(choices: Choices) -> Self {
        Self {
            choices,
            metadata_writer: MetadataWriter::default(),
        }
    }

    fn object(
        &mut self,
        stream: Stream,
        node: &Node<'_>,
        context: &ConvertContext<'_>,
        skipped: &mut Vec<Skipped>,
    ) -> Result<WithoutReferences, ConvertError> {
        let mut metadata = self.metadata_writer.of(node, skipped)?;
        metadata.external_references = external_references(node, context.references, skipped);
        creators::put(&self.choices, node, &mut metadata)?;
        let artifact = match stream {
            Stream::Observables => observable::content(node, &context.files.own, skipped)?,
            Stream::Indicators | Stream::Relationships => None,
        };
        let files = artifact.iter().chain(&context.files.own);
        self.metadata_writer
            .put_files(node, files, &mut metadata, skipped)?;
        let of_references = &context.files.of_references;
        self.metadata_writer.put_files_of_references(
            node,
            of_references,
            &mut metadata,
            skipped,
        )?;
        let mut object = match stream {
            Stream::Observables => observable::write(node, &metadata, context.written, skipped)?,
            Stream::Indicators => indicator::write(node, &metadata, &self.choices, skipped)?,
            Stream::Relationships => relationship::write(node, &metadata, skipped)?,
        };
        object.embedded = metadata.objects;
        Ok(WithoutReferences {
            object,
            nested: nested_targets(context.references),
        })
    }

    /// The objects of other pages; what they refer to themselves travels with their own page.
    fn referenced(
        &mut self,
        answers: &[(Stream, PageAnswer)],
        written: &Written<'_>,
        lost: &mut Lost,
        skipped: &mut Vec<Skipped>,
    ) -> Vec<Arc<StixObject>> {
        let context = ConvertContext {
            references: &[],
            written,
            files: &Files::default(),
        };
        let mut referenced = Vec::new();
        for (stream, answer) in answers {
            for node in nodes_of(answer, skipped) {
                // What is wrong with it is reported on its own page.
                let mut skipped_elsewhere = Vec::new();
                match self.object(*stream, node, &context, &mut skipped_elsewhere) {
                    Ok(without_references) => referenced.push(Arc::new(without_references.object)),
                    Err(error) => {
                        tracing::debug!(id = %name_of(node), %error, "an object that should come along cannot be written");
                        lost.note(node, error);
                    }
                }
            }
        }
        referenced
    }
}

fn is_known(node: &Node<'_>, known: &HashSet<Box<str>>) -> bool {
    if known.is_empty() {
        return false;
    }
    let id = node.text("id").ok().flatten();
    id.is_some_and(|id| known.contains(&*id))
}

/// A relationship without one of its ends.
struct Dangling {
    skipped: Skipped,
    /// The end, by its STIX id.
    end: Box<str>,
}

/// What the objects of a page need and cannot have for now, by its STIX ids.
#[derive(Debug)]
struct Lost(TextMap<Box<str>, LostFor>);

/// Why something is lost for now.
#[derive(Debug)]
enum LostFor {
    /// The source failed at it.
    Unread(String),
    /// It is deferred, and comes by itself.
    Deferred,
}

impl Lost {
    fn of(unread: TextMap<Box<str>, String>) -> Self {
        let unread = unread.into_iter();
        Self(unread.map(|(id, why)| (id, LostFor::Unread(why))).collect())
    }

    /// Notes what could not be written, where that may pass.
    fn note(&mut self, node: &Node<'_>, error: ConvertError) {
        let why = match (error.at_source(), error) {
            (Some(_), ConvertError::Unread(reason)) => LostFor::Unread(reason),
            (Some(_), _) => LostFor::Deferred,
            (None, _) => return,
        };
        if let Some(id) = standard_id(node) {
            self.0.insert(id.into(), why);
        }
    }

    fn has(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    /// Defers what is not whole without what has this id. What the source failed at may have been sent by an
    /// earlier run, and never come by itself: so it is this object that is asked for again, and waits for the other
    /// where that is given up.
    fn defer(&self, stream: Stream, skipped: &Skipped, needed: &str) -> Deferred {
        let stream = stream.name();
        match self.0.get(needed) {
            Some(LostFor::Unread(reason)) => {
                let reason = format!("{} ({reason})", skipped.reason);
                let skipped = Skipped {
                    reason,
                    ..skipped.clone()
                };
                Deferred {
                    needs: Some(needed.to_owned()),
                    ..Deferred::unread(stream, &skipped)
                }
            }
            Some(LostFor::Deferred) | None => Deferred::waiting_for(stream, skipped, needed),
        }
    }
}

/// Removes relationships without an end that had to come along: it was not read before, nor can it be
/// now.
fn remove_dangling(
    objects: &mut Vec<WithoutReferences>,
    ends_to_come: &HashSet<Box<str>>,
    referenced: &[Arc<StixObject>],
) -> Vec<Dangling> {
    if ends_to_come.is_empty() {
        return Vec::new();
    }
    let here: TextSet<&str> = referenced
        .iter()
        .map(|referenced_object| &*referenced_object.id)
        .collect();
    let is_missing = |end: &str| ends_to_come.contains(end) && !here.contains(end);
    let mut dangling = Vec::new();
    objects.retain(|written| {
        let Some(end) = written.object.imported.iter().find(|end| is_missing(end)) else {
            return true;
        };
        let kind_of_end = kind_of_end(end);
        dangling.push(Dangling {
            skipped: Skipped {
                id: written.object.id.to_string(),
                kind: written.object.kind.to_string(),
                reason: format!("its {kind_of_end} cannot be read at the source"),
            },
            end: end.clone().into(),
        });
        false
    });
    dangling
}

/// The nodes of an answer. What is none is skipped.
fn nodes_of<'a>(
    answer: &'a PageAnswer,
    skipped: &mut Vec<Skipped>,
) -> impl Iterator<Item = &'a Node<'a>> + use<'a> {
    if let Some(list) = answer.list() {
        let row = |reason: &str| Skipped {
            id: "?".to_owned(),
            kind: "row".to_owned(),
            reason: reason.to_owned(),
        };
        skipped.extend((0..list.empty_rows()).map(|_| row(EMPTY_ROW)));
        let unreadable = row(UNKNOWN_SHAPE);
        skipped.extend((0..list.unreadable_rows()).map(|_| unreadable.clone()));
    }
    answer.list().into_iter().flat_map(List::nodes)
}

fn standard_id<'a>(node: &Node<'a>) -> Option<Cow<'a, str>> {
    node.text("standard_id").ok().flatten()
}

/// The node's standard id, or what comes closest to it.
fn name_of(node: &Node<'_>) -> String {
    let text = |name| node.decode::<String>(name).ok().flatten();
    text("standard_id")
        .or_else(|| text("id"))
        .unwrap_or_else(|| "?".to_owned())
}

fn skip(node: &Node<'_>, stream: Stream, error: &ConvertError) -> Skipped {
    let kind = node.decode::<String>("entity_type").ok().flatten();
    Skipped {
        id: name_of(node),
        kind: kind.unwrap_or_else(|| stream.name().to_owned()),
        reason: error.to_string(),
    }
}

/// A part of an object that does not travel, or not as it is.
fn part(node: &Node<'_>, kind: &str, reason: &str) -> Skipped {
    Skipped {
        id: name_of(node),
        kind: kind.to_owned(),
        reason: reason.to_owned(),
    }
}

/// Puts a field that has a value under a property; one that is not of its kind is left out by name.
fn put_field(
    object: &mut ObjectWriter,
    node: &Node<'_>,
    (field, property, kind): (&'static str, &'static str, JsonKind),
    skipped: &mut Vec<Skipped>,
) {
    if let Some(value) = node.get(field) {
        put_value(object, node, (property, kind), value, skipped);
    }
}

fn put_value(
    object: &mut ObjectWriter,
    node: &Node<'_>,
    (property, kind): (&'static str, JsonKind),
    value: &RawValue,
    skipped: &mut Vec<Skipped>,
) {
    match kind.check(value) {
        Ok(value) => object.put_checked(property, value),
        Err(reason) => skipped.push(part(node, property, &reason.to_string())),
    }
}

/// A field that makes an object what it is, and is not of its kind.
fn of_field(field: &'static str) -> impl Fn(NotOfKind) -> ConvertError {
    move |reason| ConvertError::Field { field, reason }
}

/// The ids that an object had before, so that a changed object changes the one at the destination and does not
/// make another one (docs/protocol.md#ids). One of another type would change something else there.
fn put_former_ids(
    object: &mut ObjectWriter,
    node: &Node<'_>,
    stix_type: &str,
    skipped: &mut Vec<Skipped>,
) {
    const PROPERTY: &str = "x_opencti_stix_ids";
    let Ok(ids) = node.decode::<Vec<Text<'_>>>(PROPERTY) else {
        skipped.push(part(node, PROPERTY, UNKNOWN_SHAPE));
        return;
    };
    let mut former = ids.unwrap_or_default();
    former.retain(|id| match StixId::check(stix_type, &id.0) {
        Ok(()) => true,
        Err(reason) => {
            skipped.push(part(node, PROPERTY, &reason.to_string()));
            false
        }
    });
    object.put_list(PROPERTY, &former);
}

/// Those that the destination imports; the others are counted.
fn external_references(
    node: &Node<'_>,
    references: &[Reference],
    skipped: &mut Vec<Skipped>,
) -> Vec<ExternalReferenceFields> {
    let external = references.iter().filter_map(|reference| match reference {
        Reference::External(external) => Some(external),
        Reference::Nested(_) => None,
    });
    let (importable, lost): (Vec<_>, Vec<_>) =
        external.partition(|external| external.is_importable());
    skipped.extend(lost.iter().map(|_| Skipped {
        id: name_of(node),
        kind: "external reference".to_owned(),
        reason: "neither a URL nor a name with an id".to_owned(),
    }));
    importable.into_iter().cloned().collect()
}

fn nested_targets(references: &[Reference]) -> Vec<NestedTarget> {
    let nested = references.iter().filter_map(|reference| match reference {
        Reference::Nested(target) => Some(target.clone()),
        Reference::External(_) => None,
    });
    nested.collect()
}

/// The objects that refer to what is lost for now: they come once more when it can be had.
fn waiting_for(objects: &[WithoutReferences], lost: &Lost, stream: Stream) -> Vec<Deferred> {
    let mut waiting = Vec::new();
    for written in objects {
        let targets = written.nested.iter();
        for target in targets.filter(|target| lost.has(&target.standard_id)) {
            let holder = Skipped {
                id: written.object.id.to_string(),
                kind: written.object.kind.to_string(),
                reason: "what it points at cannot be read at the source".to_owned(),
            };
            let deferred = lost.defer(stream, &holder, &target.standard_id);
            waiting.push(deferred.as_part());
        }
    }
    waiting
}

/// What each object refers to, by its id: the property and the target's id.
#[derive(Debug, Default)]
struct NestedReferences {
    /// What travels with the object.
    taken: TextMap<StixId, Vec<NestedReferenceTarget>>,
    /// What would close a circle. Two objects that refer to each other cannot both be imported first
    /// (docs/protocol.md#references), so one of them goes once more, afterwards.
    second_pass: TextMap<StixId, Vec<NestedReferenceTarget>>,
}

type NestedReferenceTarget = (&'static NestedReference, StixId);

/// The nested references that can travel: known relations to targets at hand.
fn nested_edges(
    objects: &[WithoutReferences],
    referenced: &[Arc<StixObject>],
    skipped: &mut Vec<Skipped>,
) -> NestedReferences {
    let mut edges = NestedReferences::default();
    if objects.iter().all(|written| written.nested.is_empty()) {
        return edges;
    }
    let of_page = objects.iter().map(|written| &written.object.id);
    let along = referenced
        .iter()
        .map(|referenced_object| &referenced_object.id);
    let at_hand: TextMap<&str, &StixId> =
        of_page.chain(along).map(|id| (id.as_str(), id)).collect();
    for written in objects {
        let holder = &written.object.id;
        for target in &written.nested {
            let relation = nested_reference(&target.relation);
            let reason = match relation.zip(at_hand.get(&*target.standard_id).copied()) {
                None if relation.is_none() => "this program does not know the relation",
                None => "its target cannot be read at the source",
                Some((_, target)) if target == holder => "it points at itself",
                Some((relation, _)) if !relation.is_many && edges.has(holder, relation) => {
                    "there can be one such reference, and there is another"
                }
                Some((relation, target)) => {
                    let closes_circle = edges.lead(target, holder);
                    let side = if closes_circle {
                        &mut edges.second_pass
                    } else {
                        &mut edges.taken
                    };
                    side.entry(holder.clone())
                        .or_default()
                        .push((relation, target.clone()));
                    continue;
                }
            };
            skipped.push(Skipped {
                id: format!("{holder} to {}", target.standard_id),
                kind: target.relation.to_string(),
                reason: reason.to_owned(),
            });
        }
    }
    edges
}

fn nested_reference(relation: &str) -> Option<&'static NestedReference> {
    NESTED_REFERENCES
        .iter()
        .find(|nested| nested.relation == relation)
}

impl NestedReferences {
    fn has(&self, holder: &str, relation: &NestedReference) -> bool {
        let of_holder = [&self.taken, &self.second_pass].map(|edges| edges.get(holder));
        let mut of_holder = of_holder.into_iter().flatten().flatten();
        of_holder.any(|(known, _)| known.relation == relation.relation)
    }

    /// Whether one object leads to another by the edges taken so far.
    fn lead(&self, from: &str, to: &str) -> bool {
        let mut waiting = vec![from];
        let mut seen = TextSet::default();
        while let Some(at) = waiting.pop() {
            if at == to {
                return true;
            }
            if seen.insert(at) {
                let next = self.taken.get(at).into_iter().flatten();
                waiting.extend(next.map(|(_, target)| target.as_str()));
            }
        }
        false
    }
}

/// Completes an object with what it refers to.
fn point(written: WithoutReferences, edges: &NestedReferences) -> Arc<StixObject> {
    let without_references = written.object;
    match edges.taken.get(&without_references.id) {
        Some(targets) => Arc::new(without_references.referring_to(nested_references(targets))),
        None => Arc::new(without_references),
    }
}

/// The object once more, with what it could not refer to the first time.
fn point_second_pass(
    written: &WithoutReferences,
    edges: &NestedReferences,
) -> Option<Arc<StixObject>> {
    let targets = edges.second_pass.get(&written.object.id)?;
    Some(Arc::new(
        written
            .object
            .clone()
            .referring_to(nested_references(targets)),
    ))
}

/// The properties for these targets, in the order of the table of relations.
fn nested_references(targets: &[NestedReferenceTarget]) -> Vec<ObjectReference> {
    let of = |nested: &'static NestedReference| {
        let same = targets
            .iter()
            .filter(|(relation, _)| relation.relation == nested.relation);
        let targets = same.map(|(_, target)| target.clone());
        ObjectReference {
            property: nested.property,
            is_many: nested.is_many,
            need: Need::Embedded,
            targets: targets.collect(),
        }
    };
    let nested_references = NESTED_REFERENCES.iter().map(of);
    nested_references
        .filter(|pointer| !pointer.targets.is_empty())
        .collect()
}

#[cfg(test)]
mod tests;
