//! What the objects of a page refer to: asked for beside the reading of the next page.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::ask::{Detail, Extras, PageAnswer, Stream};
use super::by_id::{
    ReadObjects, ReadReferences, Unread, Wanted, WantedReferences, read_objects, read_references,
};
use super::convert::is_known_type;
use super::page::{
    EXTERNAL_REFERENCE, EndRow, FilesOfReferences, List, Node, Reference, ReferencesByHolder,
    RowName, row_of,
};
use super::source::RawPage;
use crate::connector::{Deferred, Skipped, SourceError};
use crate::platform::Platform;
use crate::stix::TextSet;

/// What is to be asked for.
#[derive(Debug, Clone, Default)]
pub(super) enum ReferencedObjects {
    #[default]
    Nothing,
    /// What these objects of the page refer to, by their internal ids.
    References(Vec<String>),
    /// The same, where the references were read with the page: what they lead to.
    Targets(Vec<String>),
    /// The ends of its relationships.
    Ends(MissingEnds),
}

/// Ends of relationships that have to come along.
#[derive(Debug, Clone, Default)]
pub(super) struct MissingEnds {
    /// Their STIX ids, by their internal ones.
    ids: HashMap<Stream, BTreeMap<String, Box<str>>>,
    /// Those that the settings do not let come, by their STIX ids.
    elsewhere: HashSet<Box<str>>,
}

impl MissingEnds {
    /// Notes an end that has to come along.
    pub(super) fn add(&mut self, stream: Stream, end: EndRow) {
        let ids = self.ids.entry(stream).or_default();
        ids.insert(end.row.id.into(), end.standard_id);
    }

    /// Notes an end that the settings do not let come.
    pub(super) fn add_elsewhere(&mut self, end: EndRow) {
        self.elsewhere.insert(end.standard_id);
    }
}

/// Asks for what objects refer to.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    pub(super) platform: Arc<Platform>,
    pub(super) extras: Extras,
}

impl Asker {
    /// Puts into a page what its objects refer to.
    pub(super) async fn complete(&self, page: &mut RawPage) -> Result<(), SourceError> {
        match std::mem::take(&mut page.referenced_objects) {
            ReferencedObjects::Nothing => Ok(()),
            ReferencedObjects::References(ids) => {
                self.references(page, &ids).await?;
                self.targets(page, &ids).await
            }
            ReferencedObjects::Targets(ids) => self.targets(page, &ids).await,
            ReferencedObjects::Ends(missing) => self.ends(page, missing).await,
        }
    }

    /// Puts into a page the references of its objects; answers those with files.
    pub(super) async fn references(
        &self,
        page: &mut RawPage,
        ids: &[String],
    ) -> Result<FilesOfReferences, SourceError> {
        let relations: Vec<String> = match page.stream {
            Stream::Observables => super::convert::relations().map(str::to_owned).collect(),
            Stream::Indicators | Stream::Relationships => vec![EXTERNAL_REFERENCE.to_owned()],
        };
        let wanted = WantedReferences {
            stream: page.stream,
            relations,
            with_files: self.extras.files,
        };
        let read = read_references(&self.platform, wanted, ids, &mut page.skipped);
        let ReadReferences {
            references,
            files,
            unread,
        } = read.await?;
        page.references = references;
        defer_without_references(page, &unread);
        Ok(files)
    }

    /// Puts into a page what the references of its objects lead to, with the external references of that: where it has
    /// no others, it then is as with its own page, and need not go again.
    async fn targets(&self, page: &mut RawPage, ids: &[String]) -> Result<(), SourceError> {
        let elsewhere = targets_elsewhere(&page.references, ids);
        let ids: Vec<String> = elsewhere.keys().cloned().collect();
        let wanted = self.along(Stream::Observables);
        let read = read_objects(&self.platform, wanted, &ids, &mut page.skipped);
        // What is wrong with them is reported on their own pages.
        let mut skipped_elsewhere = Vec::new();
        let external = WantedReferences {
            stream: Stream::Observables,
            relations: vec![EXTERNAL_REFERENCE.to_owned()],
            with_files: false,
        };
        let references = read_references(&self.platform, external, &ids, &mut skipped_elsewhere);
        let (read, references) = tokio::try_join!(read, references)?;
        let ReadObjects { answers, unread } = read;
        page.references.extend(references.references);
        page.note_unread("nested reference", unread, &elsewhere);
        let all = std::iter::once(&page.answer).chain(&answers);
        page.written = self.written(page.stream, all, &mut page.skipped).await?;
        page.referenced = with_stream(Stream::Observables, answers);
        Ok(())
    }

    async fn ends(&self, page: &mut RawPage, missing: MissingEnds) -> Result<(), SourceError> {
        page.ends_elsewhere = missing.elsewhere;
        for (stream, names) in missing.ids {
            let ids: Vec<String> = names.keys().cloned().collect();
            let read = read_objects(&self.platform, self.along(stream), &ids, &mut page.skipped);
            let ReadObjects { answers, unread } = read.await?;
            page.note_unread("end of a relationship", unread, &names);
            page.ends_to_come.extend(names.into_values());
            let written = self.written(stream, answers.iter(), &mut page.skipped);
            page.written.extend(written.await?);
            page.referenced.extend(with_stream(stream, answers));
        }
        Ok(())
    }

    /// Objects that come along with others: their files come with themselves.
    pub(super) fn along(&self, stream: Stream) -> Wanted {
        Wanted {
            stream,
            detail: Detail::Whole(Extras {
                files: false,
                ..self.extras
            }),
        }
    }

    /// What the source writes of those observables whose type is not known here.
    async fn written<'a>(
        &self,
        stream: Stream,
        answers: impl Iterator<Item = &'a PageAnswer>,
        skipped: &mut Vec<Skipped>,
    ) -> Result<ReadObjects, SourceError> {
        let mut unknown = Vec::new();
        for answer in answers.filter(|_| stream == Stream::Observables) {
            // What cannot be read is reported by the converter.
            let nodes = answer.list().into_iter().flat_map(List::nodes);
            let rows = nodes
                .filter(|node| is_of_unknown_type(node))
                .filter_map(row_of);
            unknown.extend(rows.map(|row| row.id.into()));
        }
        let wanted = Wanted {
            stream,
            detail: Detail::Stix,
        };
        read_objects(&self.platform, wanted, &unknown, skipped).await
    }
}

/// Defers the objects of a page whose references could not be read: they are asked for again, whole.
fn defer_without_references(page: &mut RawPage, unread: &[Unread]) {
    if unread.is_empty() {
        return;
    }
    let names = page.answer.list().into_iter().flat_map(List::nodes);
    let names = names.filter_map(RowName::of);
    let names = names.filter_map(|name| Some((name.id, name.standard_id?)));
    let names: HashMap<String, String> = names.collect();
    for unread in unread {
        let skipped = unread.named("references");
        if let Some(name) = names.get(&unread.id) {
            let of_object = Skipped {
                id: name.clone(),
                ..skipped.clone()
            };
            let unread = Deferred::unread(page.stream.name(), &of_object);
            page.deferred.push(unread.as_part());
        }
        page.skipped.push(skipped);
    }
}

fn is_of_unknown_type(node: &Node<'_>) -> bool {
    let entity_type = node.text("entity_type").ok().flatten();
    entity_type.is_some_and(|entity_type| !is_known_type(&entity_type))
}

/// The observables that nested references lead to and that are not among these: their STIX ids by their
/// internal ones, in order.
fn targets_elsewhere(
    references: &ReferencesByHolder,
    ids: &[String],
) -> BTreeMap<String, Box<str>> {
    let here: TextSet<&str> = ids.iter().map(String::as_str).collect();
    let mut elsewhere = BTreeMap::new();
    for reference in references.values().flatten() {
        if let Reference::Nested(target) = reference
            && !here.contains(&*target.id)
            && !elsewhere.contains_key(&*target.id)
        {
            elsewhere.insert(target.id.to_string(), target.standard_id.clone());
        }
    }
    elsewhere
}

fn with_stream(stream: Stream, answers: Vec<PageAnswer>) -> Vec<(Stream, PageAnswer)> {
    answers.into_iter().map(|answer| (stream, answer)).collect()
}
