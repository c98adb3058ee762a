//! What surrounds an object: its markings, its author, its labels. They travel as objects of their
//! own, ahead of the objects that use them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::error::{ConvertError, NOT_STATED};
use super::fields::{put_field, put_former_ids};
use super::marking::{self, BadMarking, WrittenMarking};
use super::nodes::part;
use crate::connector::Skipped;
use crate::connectors::netmanageit::files::{FILE, FileContent, ReferenceContents};
use crate::connectors::netmanageit::page::{ExternalReferenceFields, Node};
use crate::stix::JsonKind::{self, Integer, Text, Texts, Time};
use crate::stix::{Json, ObjectWriter, StixId, StixObject, TextMap, read_time};

/// Written objects that are remembered; more different ones than this do not stand on a page.
const REMEMBERED: usize = 10_000;

/// Writes markings, authors and labels, and remembers them by their text.
#[derive(Debug, Default)]
pub(super) struct MetadataWriter {
    authors: Remembered<Arc<AuthorObject>>,
    single_markings: Remembered<Arc<MarkingObject>>,
    markings: Remembered<Arc<WrittenMarkings>>,
    labels: Remembered<WrittenLabel>,
    /// What the ids of markings stand for.
    meanings: TextMap<StixId, String>,
}

/// Something for each text that the source wrote, up to so many. The texts are long, and the source can
/// gain nothing by choosing them badly.
#[derive(Debug)]
struct Remembered<T>(TextMap<Box<str>, T>);

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self(TextMap::default())
    }
}

impl<T: Clone> Remembered<T> {
    fn get(&self, text: &RawValue) -> Option<T> {
        self.0.get(text.get()).cloned()
    }

    fn put(&mut self, text: &RawValue, written: T) -> T {
        if self.0.len() >= REMEMBERED {
            self.0.clear();
        }
        self.0.insert(text.get().into(), written.clone());
        written
    }
}

/// A marking's object: what makes one has checked that it is one.
#[derive(Debug)]
struct MarkingObject(Arc<StixObject>);

/// An author's object, which is never taken for a marking's.
#[derive(Debug)]
struct AuthorObject(Arc<StixObject>);

/// The markings of an object; most objects share theirs with others.
#[derive(Debug)]
struct WrittenMarkings {
    objects: Vec<Arc<StixObject>>,
    /// Their ids.
    ids: Json,
}

/// A label, and its object where it can be one.
#[derive(Debug, Clone)]
struct WrittenLabel {
    value: Arc<str>,
    object: Option<Arc<StixObject>>,
}

/// What surrounds one object.
#[derive(Debug, Default)]
pub(super) struct ObjectMetadata {
    /// Its markings; none where it has none.
    markings: Option<Arc<WrittenMarkings>>,
    /// Its author's id.
    pub(super) author: Option<StixId>,
    /// The texts of its labels.
    pub(super) labels: Vec<Arc<str>>,
    /// Its external references.
    pub(super) external_references: Vec<ExternalReferenceFields>,
    /// The same and those that bring files, where there are some.
    references_with_files: Option<Json>,
    /// Its files.
    files: Option<Json>,
    /// Markings, author and labels as objects.
    pub(super) objects: Vec<Arc<StixObject>>,
}

/// A file as the import takes it (docs/protocol.md#files).
#[derive(Serialize)]
struct ImportFile<'a> {
    name: &'a str,
    data: &'a str,
    mime_type: &'a str,
    /// The oldest releases need one.
    version: &'a str,
    /// Never less than those of its object.
    object_marking_refs: Vec<StixId>,
    /// Its object came with it: nothing is to be drawn from it once more.
    no_trigger_import: bool,
}

/// An external reference as the import takes it with its files.
#[derive(Serialize)]
struct WrittenReference<'a> {
    #[serde(flatten)]
    reference: &'a ExternalReferenceFields,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    x_opencti_files: Vec<ImportFile<'a>>,
}

impl ObjectMetadata {
    /// Puts all of it into the object.
    pub(super) fn put(&self, object: &mut ObjectWriter) {
        object.put_some("created_by_ref", self.author.as_ref());
        if let Some(markings) = &self.markings {
            object.put_json("object_marking_refs", &markings.ids);
        }
        object.put_list("labels", &self.labels);
        match &self.references_with_files {
            Some(references) => object.put_json("external_references", references),
            None => object.put_list("external_references", &self.external_references),
        }
        if let Some(files) = &self.files {
            object.put_json("x_opencti_files", files);
        }
    }
}

#[derive(Deserialize)]
struct SourceLabel {
    standard_id: String,
    value: Option<String>,
    color: Option<String>,
}

/// The name under which the source hides an author that its reader may not see.
const RESTRICTED: &str = "Restricted";

/// The properties of an author that travel as they are.
const AUTHOR_PROPERTIES: &[(&str, JsonKind)] = &[
    ("created", Time),
    ("modified", Time),
    ("name", Text),
    ("identity_class", Text),
    ("description", Text),
    ("contact_information", Text),
    ("roles", Texts),
    ("confidence", Integer),
    ("lang", Text),
    ("x_opencti_aliases", Texts),
    ("x_opencti_reliability", Text),
    ("x_opencti_organization_type", Text),
    ("x_opencti_firstname", Text),
    ("x_opencti_lastname", Text),
];

impl MetadataWriter {
    /// What surrounds the node.
    ///
    /// # Errors
    /// When a marking, the author or a label has an unknown shape: an object never goes without its
    /// marking.
    pub(super) fn of(
        &mut self,
        node: &Node<'_>,
        skipped: &mut Vec<Skipped>,
    ) -> Result<ObjectMetadata, ConvertError> {
        let mut metadata = ObjectMetadata::default();
        if let Some(markings) = self.markings(node, skipped)? {
            metadata.objects.extend_from_slice(&markings.objects);
            metadata.markings = Some(markings);
        }
        if let Some(author) = node.get("createdBy") {
            match self.author(author, skipped)? {
                Ok(author) => {
                    let AuthorObject(author) = &*author;
                    metadata.author = Some(author.id.clone());
                    metadata.objects.push(Arc::clone(author));
                }
                Err(reason) => skipped.push(part(node, "author", reason)),
            }
        }
        for label in list(node, "objectLabel", skipped)? {
            if !self.label(label, &mut metadata)? {
                skipped.push(part(
                    node,
                    "label",
                    "it has no text, and platforms refuse it",
                ));
            }
        }
        Ok(metadata)
    }

    /// The node's markings, each once; none where it has none.
    fn markings(
        &mut self,
        node: &Node<'_>,
        skipped: &mut Vec<Skipped>,
    ) -> Result<Option<Arc<WrittenMarkings>>, ConvertError> {
        let text = stated_markings(node)?;
        if let Some(known) = self.markings.get(text) {
            return Ok(Some(known));
        }
        let mut objects: Vec<Arc<StixObject>> = Vec::new();
        for marking in entries(text)? {
            let marking = self.marking(marking, skipped)?;
            if !objects.iter().any(|known| known.key == marking.0.key) {
                objects.push(Arc::clone(&marking.0));
            }
        }
        if objects.is_empty() {
            return Ok(None);
        }
        let ids: Vec<&StixId> = objects.iter().map(|marking| &marking.id).collect();
        let ids = Json::of(&ids)?;
        let markings = Arc::new(WrittenMarkings { objects, ids });
        Ok(Some(self.markings.put(text, markings)))
    }

    /// The author, or why the object goes without.
    fn author(
        &mut self,
        text: &RawValue,
        skipped: &mut Vec<Skipped>,
    ) -> Result<Result<Arc<AuthorObject>, &'static str>, ConvertError> {
        if let Some(known) = self.authors.get(text) {
            return Ok(Ok(known));
        }
        let author: Node<'_> = serde_json::from_str(text.get())?;
        let standard_id = author
            .decode::<String>("standard_id")?
            .ok_or(ConvertError::Missing("author's id"))?;
        let class = author.decode::<String>("identity_class")?;
        if standard_id == RESTRICTED || class.as_deref() == Some(RESTRICTED) {
            return Ok(Err("the source does not show it to this user"));
        }
        let Ok(id) = StixId::of("identity", &standard_id) else {
            return Ok(Err("its id is none of an identity"));
        };
        let name = author.decode::<String>("name")?.unwrap_or_default();
        let is_person = matches!(class.as_deref(), Some("individual" | "system"));
        if name.is_empty() || (is_person && name.chars().count() < 2) {
            return Ok(Err(
                "its name has fewer than two characters, and platforms refuse it",
            ));
        }
        let mut markings = Vec::new();
        for marking in entries(stated_markings(&author)?)? {
            markings.push(Arc::clone(&self.marking(marking, skipped)?.0));
        }
        let mut object = ObjectWriter::new(id);
        for (property, kind) in AUTHOR_PROPERTIES {
            put_field(&mut object, &author, (property, property, *kind), skipped);
        }
        put_former_ids(&mut object, &author, "identity", skipped);
        let ids: Vec<&StixId> = markings.iter().map(|marking| &marking.id).collect();
        object.put_list("object_marking_refs", &ids);
        let mut object = object.finish("author")?;
        object.embedded = markings;
        Ok(Ok(self
            .authors
            .put(text, Arc::new(AuthorObject(Arc::new(object))))))
    }

    /// False for a label without a text.
    fn label(
        &mut self,
        text: &RawValue,
        metadata: &mut ObjectMetadata,
    ) -> Result<bool, ConvertError> {
        let label = match self.labels.get(text) {
            Some(known) => known,
            None => match write_label(text)? {
                Some(label) => self.labels.put(text, label),
                None => return Ok(false),
            },
        };
        metadata.objects.extend(label.object);
        metadata.labels.push(label.value);
        Ok(true)
    }

    /// Adds the files that an object brings: each with the object's markings and its own, so that it never
    /// lands with less.
    pub(super) fn put_files<'a>(
        &mut self,
        node: &Node<'_>,
        files: impl Iterator<Item = &'a FileContent>,
        metadata: &mut ObjectMetadata,
        skipped: &mut Vec<Skipped>,
    ) -> Result<(), ConvertError> {
        let updated = node.text("updated_at")?.unwrap_or_default();
        let written = self.files(&updated, files, metadata, skipped)?;
        if !written.is_empty() {
            metadata.files = Some(Json::of(&written)?);
        }
        Ok(())
    }

    /// Adds the external references that bring files: these have the same markings as the object's own would.
    pub(super) fn put_files_of_references(
        &mut self,
        node: &Node<'_>,
        references: &[ReferenceContents],
        metadata: &mut ObjectMetadata,
        skipped: &mut Vec<Skipped>,
    ) -> Result<(), ConvertError> {
        if references.is_empty() {
            return Ok(());
        }
        let updated = node.text("updated_at")?.unwrap_or_default();
        let mut written = Vec::new();
        for ReferenceContents { reference, files } in references {
            let files = self.files(&updated, files.iter(), metadata, skipped)?;
            written.push(WrittenReference {
                reference,
                x_opencti_files: files,
            });
        }
        let others = metadata.external_references.iter();
        let others = others.map(|reference| WrittenReference {
            reference,
            x_opencti_files: Vec::new(),
        });
        written.extend(others);
        metadata.references_with_files = Some(Json::of(&written)?);
        Ok(())
    }

    /// Files as they are written; what they need beside is put to what surrounds their object.
    fn files<'b, 'a: 'b>(
        &mut self,
        updated: &'b str,
        files: impl Iterator<Item = &'a FileContent>,
        metadata: &mut ObjectMetadata,
        skipped: &mut Vec<Skipped>,
    ) -> Result<Vec<ImportFile<'b>>, ConvertError> {
        let mut written = Vec::new();
        for file in files {
            let given = [file.version.as_deref(), Some(updated)];
            let mut times = given.into_iter().flatten();
            let Some(version) = times.find(|time| read_time(time).is_some()) else {
                skipped.push(Skipped {
                    id: file.name.clone(),
                    kind: FILE.to_owned(),
                    reason: "neither it nor its object says when it was changed".to_owned(),
                });
                continue;
            };
            let of_object = metadata.markings.iter();
            let of_object = of_object.flat_map(|markings| &markings.objects);
            let mut markings: Vec<StixId> = of_object.map(|marking| marking.id.clone()).collect();
            for marking in &file.markings {
                let MarkingObject(marking) = &*self.marking(marking, skipped)?;
                if !markings.contains(&marking.id) {
                    markings.push(marking.id.clone());
                    metadata.objects.push(Arc::clone(marking));
                }
            }
            let mime_type = file.mime_type.as_deref();
            written.push(ImportFile {
                name: &file.name,
                data: &file.data,
                mime_type: mime_type.unwrap_or("application/octet-stream"),
                version,
                object_marking_refs: markings,
                no_trigger_import: true,
            });
        }
        Ok(written)
    }

    /// A marking's object. A marking that is written wrongly costs its object, which never goes without it.
    fn marking(
        &mut self,
        text: &RawValue,
        skipped: &mut Vec<Skipped>,
    ) -> Result<Arc<MarkingObject>, ConvertError> {
        if let Some(known) = self.single_markings.get(text) {
            return Ok(known);
        }
        let written = marking::write(text, skipped)?;
        self.check_meaning(&written)?;
        let marking = MarkingObject(Arc::new(written.object));
        Ok(self.single_markings.put(text, Arc::new(marking)))
    }

    /// One id stands for one marking: the destination keeps the definition that came first.
    fn check_meaning(&mut self, written: &WrittenMarking) -> Result<(), BadMarking> {
        if self.meanings.len() >= REMEMBERED {
            self.meanings.clear();
        }
        for id in &written.ids {
            let first = self
                .meanings
                .entry(id.clone())
                .or_insert_with(|| written.meaning.clone());
            if *first != written.meaning {
                return Err(BadMarking::TwoDefinitions {
                    first: first.clone(),
                    second: written.meaning.clone(),
                });
            }
        }
        Ok(())
    }
}

/// A list of the node. One that is null is named: see [`Node::is_null`].
fn list<'a>(
    node: &Node<'a>,
    field: &str,
    skipped: &mut Vec<Skipped>,
) -> Result<Vec<&'a RawValue>, ConvertError> {
    if node.is_null(field) {
        skipped.push(part(node, field, NOT_STATED));
    }
    node.get(field).map_or(Ok(Vec::new()), entries)
}

/// What a list holds.
fn entries(text: &RawValue) -> Result<Vec<&RawValue>, ConvertError> {
    Ok(serde_json::from_str(text.get())?)
}

/// The markings of a node. A source that does not answer them, a release that names them something
/// else, or null in their place, does not mean that there are none.
fn stated_markings<'a>(node: &Node<'a>) -> Result<&'a RawValue, BadMarking> {
    node.once("objectMarking").ok_or(BadMarking::NotSaid)
}

/// None for a label without a text.
fn write_label(text: &RawValue) -> Result<Option<WrittenLabel>, ConvertError> {
    let label: SourceLabel = serde_json::from_str(text.get())?;
    let Some(value) = label.value.filter(|value| !value.trim().is_empty()) else {
        return Ok(None);
    };
    // Without a colour it cannot be an object (docs/protocol.md#labels): the platform makes one up.
    // Nor can it with an id of something else.
    let id = StixId::of("label", &label.standard_id).ok();
    let object = id.zip(label.color).map(|(id, color)| {
        let mut object = ObjectWriter::new(id);
        object.put("value", &value);
        object.put("color", &color);
        object.finish("label").map(Arc::new)
    });
    Ok(Some(WrittenLabel {
        value: value.into(),
        object: object.transpose()?,
    }))
}
