//! What the objects of a page refer to: asked for beside the reading of the next page.
//!
//! May know: pages, requests by id. Must not know: where in its stream a page stands, what was read
//! before.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::ask::{Detail, Extras, PageAnswer, Stream};
use super::by_id::{REFERENCES, Wanted, WantedReferences, read_objects, read_references};
use super::convert::is_known_type;
use super::page::{EndRow, FilesOfReferences, List, Node, Reference, References, RowName, row_of};
use super::source::RawPage;
use crate::connector::{HeldBack, Skipped, SourceError};
use crate::platform::Platform;
use crate::stix::TextSet;

/// As what the target of a nested reference is named that cannot be read.
pub(super) const NESTED_REFERENCE: &str = "nested reference";

/// What is to be asked for.
#[derive(Debug)]
pub(super) enum Around {
    Nothing,
    /// What these objects of the page refer to, by their internal ids.
    References(Vec<String>),
    /// The same, where the references were read with the page: what they lead to.
    Targets(Vec<String>),
    /// The ends of its relationships.
    Ends(MissingEnds),
}

/// Ends of relationships that have to come along.
#[derive(Debug, Default)]
pub(super) struct MissingEnds {
    /// Their internal ids.
    ids: HashMap<Stream, HashSet<String>>,
    standard_ids: HashSet<Box<str>>,
    /// Those that the settings do not let come, by their STIX ids.
    elsewhere: HashSet<Box<str>>,
}

impl MissingEnds {
    /// Notes an end that has to come along.
    pub(super) fn add(&mut self, stream: Stream, end: EndRow) {
        let ids = self.ids.entry(stream).or_default();
        ids.insert(end.row.id.into());
        self.standard_ids.insert(end.standard_id);
    }

    /// Notes an end that the settings do not let come.
    pub(super) fn add_elsewhere(&mut self, end: EndRow) {
        self.elsewhere.insert(end.standard_id);
    }
}

/// Asks for what surrounds pages.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    pub(super) platform: Arc<Platform>,
    pub(super) extras: Extras,
}

impl Asker {
    /// Puts into a page what its objects refer to.
    pub(super) async fn complete(
        &self,
        page: &mut RawPage,
        around: Around,
    ) -> Result<(), SourceError> {
        match around {
            Around::Nothing => Ok(()),
            Around::References(ids) => {
                self.references(page, &ids).await?;
                self.targets(page, &ids).await
            }
            Around::Targets(ids) => self.targets(page, &ids).await,
            Around::Ends(missing) => self.ends(page, missing).await,
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
            Stream::Indicators | Stream::Relationships => vec!["external-reference".to_owned()],
        };
        let wanted = WantedReferences {
            stream: page.stream,
            relations,
            with_files: self.extras.files,
        };
        let told = page.skipped.len();
        let read = read_references(&self.platform, wanted, ids, &mut page.skipped);
        let (references, files) = read.await?;
        page.references = references;
        let held_back = without_references(page, told);
        page.held_back.extend(held_back);
        Ok(files)
    }

    /// Puts into a page what the references of its objects lead to.
    async fn targets(&self, page: &mut RawPage, ids: &[String]) -> Result<(), SourceError> {
        let (platform, skipped) = (&self.platform, &mut page.skipped);
        let elsewhere = targets_elsewhere(&page.references, ids);
        let wanted = self.along(Stream::Observables, NESTED_REFERENCE);
        let companions = read_objects(platform, wanted, &elsewhere, skipped).await?;
        let answers = std::iter::once(&page.answer).chain(&companions);
        page.written = self.written(page.stream, answers, skipped).await?;
        page.companions = with_stream(Stream::Observables, companions);
        Ok(())
    }

    async fn ends(&self, page: &mut RawPage, missing: MissingEnds) -> Result<(), SourceError> {
        page.ends_to_come = missing.standard_ids;
        page.ends_elsewhere = missing.elsewhere;
        for (stream, ids) in missing.ids {
            let mut ids: Vec<String> = ids.into_iter().collect();
            ids.sort_unstable();
            let (wanted, skipped) = (
                self.along(stream, "end of a relationship"),
                &mut page.skipped,
            );
            let answers = read_objects(&self.platform, wanted, &ids, skipped).await?;
            let written = self.written(stream, answers.iter(), skipped).await?;
            page.written.extend(written);
            page.companions.extend(with_stream(stream, answers));
        }
        Ok(())
    }

    /// Objects that come along with others: their files come with themselves.
    pub(super) fn along(&self, stream: Stream, kind: &'static str) -> Wanted {
        Wanted {
            stream,
            detail: Detail::Whole(Extras {
                files: false,
                ..self.extras
            }),
            kind,
        }
    }

    /// What the source writes of those observables whose type is not known here.
    async fn written<'a>(
        &self,
        stream: Stream,
        answers: impl Iterator<Item = &'a PageAnswer>,
        skipped: &mut Vec<Skipped>,
    ) -> Result<Vec<PageAnswer>, SourceError> {
        let mut unknown = Vec::new();
        for answer in answers.filter(|_| stream == Stream::Observables) {
            // What cannot be read is told by the converter.
            let nodes = answer.list().into_iter().flat_map(List::nodes);
            let rows = nodes
                .filter(|node| is_of_unknown_type(node))
                .filter_map(row_of);
            unknown.extend(rows.map(|row| row.id.into()));
        }
        let wanted = Wanted {
            stream,
            detail: Detail::Stix,
            kind: "observable of an unknown type",
        };
        read_objects(&self.platform, wanted, &unknown, skipped).await
    }
}

/// The objects of a page whose references could not be read: to be asked for again, whole.
fn without_references(page: &RawPage, told: usize) -> Vec<HeldBack> {
    let skipped = page.skipped.get(told..).unwrap_or_default();
    let unread: Vec<&Skipped> = skipped
        .iter()
        .filter(|skipped| skipped.kind == REFERENCES)
        .collect();
    if unread.is_empty() {
        return Vec::new();
    }
    let names = page.answer.list().into_iter().flat_map(List::nodes);
    let names = names.filter_map(RowName::of);
    let names = names.filter_map(|name| Some((name.id, name.standard_id?)));
    let names: HashMap<String, String> = names.collect();
    let held_back = unread.into_iter().filter_map(|skipped| {
        let of_object = Skipped {
            id: names.get(&skipped.id)?.clone(),
            ..skipped.clone()
        };
        Some(HeldBack {
            is_part: true,
            ..HeldBack::unread(page.stream.name(), &of_object)
        })
    });
    held_back.collect()
}

fn is_of_unknown_type(node: &Node<'_>) -> bool {
    let entity_type = node.text("entity_type").ok().flatten();
    entity_type.is_some_and(|entity_type| !is_known_type(&entity_type))
}

/// The observables that nested references lead to and that are not among these, in order.
fn targets_elsewhere(references: &References, ids: &[String]) -> Vec<String> {
    let here: TextSet<&str> = ids.iter().map(String::as_str).collect();
    let elsewhere: TextSet<&str> = references
        .values()
        .flatten()
        .filter_map(|reference| match reference {
            Reference::Nested(target) => Some(&*target.id),
            Reference::External(_) => None,
        })
        .filter(|id| !here.contains(id))
        .collect();
    let mut elsewhere: Vec<String> = elsewhere.into_iter().map(str::to_owned).collect();
    elsewhere.sort_unstable();
    elsewhere
}

fn with_stream(stream: Stream, answers: Vec<PageAnswer>) -> Vec<(Stream, PageAnswer)> {
    answers.into_iter().map(|answer| (stream, answer)).collect()
}
