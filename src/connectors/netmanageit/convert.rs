//! A page of the source, written as STIX objects.
//!
//! Pure.
//!
//! **Invariant.** Only the keys named in this module and its children leave; ids are the source's
//! standard ids; an object that cannot be written is skipped by name, and nothing else of its page
//! suffers.

mod creators;
mod error;
mod fields;
mod indicator;
mod lost;
mod marking;
mod metadata_writer;
mod nested_references;
mod nodes;
mod observable;
mod relationship;
mod types;
mod unknown_type;
mod unwritten;
mod validity;

use std::collections::HashSet;
use std::sync::Arc;

use url::Url;

use super::ask::Stream;
use super::files::Files;
use super::page::{
    EXTERNAL_REFERENCE, ExternalReferenceFields, List, NestedTarget, Node, Reference,
};
use super::settings::{Creators, NetManageItSettings, Score};
use super::source::RawPage;
use crate::connector::{Converted, Converter, Parts, Skipped};
use crate::stix::StixObject;
use error::ConvertError;
use metadata_writer::MetadataWriter;
use nested_references::{nested_edges, nested_targets, point, point_second_pass};
use nodes::{name_of, nodes_of, standard_id};
use types::{NESTED_REFERENCES, observable_type};
use unknown_type::Written;
use unwritten::Unwritten;

/// The relations to ask the source for.
pub(super) fn relations() -> impl Iterator<Item = &'static str> {
    [EXTERNAL_REFERENCE]
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

    fn convert(&mut self, mut page: RawPage) -> Converted {
        let mut unwritten = Unwritten::of(&mut page);
        let skipped_before = unwritten.skipped.len();
        let written = Written::read(&page.written);
        let referenced = self.referenced(&page, &written, &mut unwritten);
        let mut objects = self.objects(&page, &written, &mut unwritten);
        unwritten.remove_dangling(page.stream, &mut objects, &page.ends_to_come, &referenced);
        let edges = nested_edges(&objects, &referenced, &mut unwritten.skipped);
        if page.files.is_some() {
            unwritten.keep_only_files(skipped_before);
        } else {
            unwritten.defer_waiting(page.stream, &objects);
        }
        let second_pass = objects
            .iter()
            .filter_map(|written| point_second_pass(written, &edges))
            .collect();
        let objects = objects
            .into_iter()
            .map(|written| point(written, &edges))
            .collect();
        let rows = page.answer.list().map_or(0, List::rows);
        Converted {
            is_again: page.position.is_none(),
            position: page.position,
            stream_total: page.total,
            objects,
            second_pass,
            referenced,
            skipped: unwritten.skipped,
            deferred: unwritten.deferred,
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

    /// The new objects of a page.
    fn objects(
        &mut self,
        page: &RawPage,
        written: &Written<'_>,
        unwritten: &mut Unwritten,
    ) -> Vec<WithoutReferences> {
        let mut objects = Vec::new();
        let no_files = Files::default();
        for node in nodes_of(&page.answer, &mut unwritten.skipped) {
            if is_known(node, &page.known) {
                continue;
            }
            let context = ConvertContext {
                references: page.references_of(node),
                written,
                files: page.files.as_ref().unwrap_or(&no_files),
            };
            match self.object(page.stream, node, &context, &mut unwritten.skipped) {
                Ok(object) => objects.push(object),
                Err(error) => unwritten.note(page, node, error),
            }
        }
        objects
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
        page: &RawPage,
        written: &Written<'_>,
        unwritten: &mut Unwritten,
    ) -> Vec<Arc<StixObject>> {
        let no_files = Files::default();
        let mut referenced = Vec::new();
        for (stream, answer) in &page.referenced {
            for node in nodes_of(answer, &mut unwritten.skipped) {
                // What is wrong with it is reported on its own page.
                let mut skipped_elsewhere = Vec::new();
                let context = ConvertContext {
                    references: page.references_of(node),
                    written,
                    files: &no_files,
                };
                match self.object(*stream, node, &context, &mut skipped_elsewhere) {
                    Ok(without_references) => referenced.push(Arc::new(without_references.object)),
                    Err(error) => {
                        tracing::debug!(id = %name_of(node), %error, "an object that should come along cannot be written");
                        unwritten.lost.note(node, error);
                    }
                }
            }
        }
        referenced
    }
}

impl RawPage {
    /// What one of its objects refers to.
    fn references_of(&self, node: &Node<'_>) -> &[Reference] {
        let of_node = standard_id(node).and_then(|id| self.references.get(&*id));
        of_node.map_or(&[], Vec::as_slice)
    }
}

fn is_known(node: &Node<'_>, known: &HashSet<Box<str>>) -> bool {
    if known.is_empty() {
        return false;
    }
    let id = node.text("id").ok().flatten();
    id.is_some_and(|id| known.contains(&*id))
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

#[cfg(test)]
mod tests;
