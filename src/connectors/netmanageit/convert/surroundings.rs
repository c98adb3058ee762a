//! What surrounds an object: its markings, its author, its labels. They travel as objects of their
//! own, ahead of the objects that use them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{ConvertError, tlp};
use crate::connector::Skipped;
use crate::connectors::netmanageit::files::Content;
use crate::connectors::netmanageit::page::{ExternalReference, Node};
use crate::stix::{ObjectWriter, StixObject, TextMap};

/// OpenCTI's extension of STIX objects (spec/protocol.md §3).
const OPENCTI_EXTENSION: &str = "extension-definition--ea279b3e-5c71-4632-ac08-831c66a786ba";
/// Written objects that are remembered; more different ones than this do not stand on a page.
const REMEMBERED: usize = 10_000;

/// Writes markings, authors and labels, and remembers them by their text.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    written: Remembered<Arc<StixObject>>,
    markings: Remembered<Arc<WrittenMarkings>>,
    labels: Remembered<WrittenLabel>,
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

/// The markings of an object; most objects share theirs with others.
#[derive(Debug, Default)]
struct WrittenMarkings {
    objects: Vec<Arc<StixObject>>,
    /// Their ids, as a list in JSON.
    ids: String,
}

/// A label, and its object where it can be one.
#[derive(Debug, Clone)]
struct WrittenLabel {
    value: Arc<str>,
    object: Option<Arc<StixObject>>,
}

/// What surrounds one object.
#[derive(Debug, Default)]
pub(super) struct Surrounding {
    /// Its markings; none where it has none.
    markings: Option<Arc<WrittenMarkings>>,
    /// Its author's id.
    pub(super) author: Option<Box<str>>,
    /// The texts of its labels.
    pub(super) labels: Vec<Arc<str>>,
    /// Its external references.
    pub(super) external_references: Vec<ExternalReference>,
    /// Its files, as JSON.
    files: Option<String>,
    /// Markings, author and labels as objects.
    pub(super) objects: Vec<Arc<StixObject>>,
}

/// A file as the import takes it (spec/protocol.md §3).
#[derive(Serialize)]
struct File<'a> {
    name: &'a str,
    data: &'a str,
    mime_type: &'a str,
    /// The oldest releases need one.
    version: &'a str,
    /// Never less than those of its object.
    object_marking_refs: &'a [Box<str>],
    /// Its object came with it: nothing is to be drawn from it once more.
    no_trigger_import: bool,
}

impl Surrounding {
    /// Puts all of it into the object.
    pub(super) fn put(&self, object: &mut ObjectWriter) {
        object.put_some("created_by_ref", self.author.as_deref());
        if let Some(markings) = &self.markings {
            object.put_json("object_marking_refs", &markings.ids);
        }
        object.put_list("labels", &self.labels);
        object.put_list("external_references", &self.external_references);
        if let Some(files) = &self.files {
            object.put_json("x_opencti_files", files);
        }
    }
}

fn is_time(text: &&str) -> bool {
    chrono::DateTime::parse_from_rfc3339(text).is_ok()
}

#[derive(Deserialize)]
struct Marking {
    standard_id: String,
    #[serde(default)]
    x_opencti_stix_ids: Option<Vec<String>>,
    created: Option<String>,
    definition_type: Option<String>,
    definition: Option<String>,
    x_opencti_order: Option<i64>,
    x_opencti_color: Option<String>,
}

#[derive(Deserialize)]
struct Label {
    standard_id: String,
    value: Option<String>,
    color: Option<String>,
}

/// The name under which the source hides an author that its reader may not see.
const RESTRICTED: &str = "Restricted";

/// The properties of an author that travel as they are.
const AUTHOR_PROPERTIES: &[&str] = &[
    "created",
    "modified",
    "name",
    "identity_class",
    "description",
    "contact_information",
    "roles",
    "confidence",
    "lang",
    "x_opencti_aliases",
    "x_opencti_reliability",
    "x_opencti_organization_type",
    "x_opencti_firstname",
    "x_opencti_lastname",
    "x_opencti_stix_ids",
];

impl Surroundings {
    /// What surrounds the node.
    ///
    /// # Errors
    /// When a marking, the author or a label has an unknown shape: an object never goes without its
    /// marking.
    pub(super) fn of(
        &mut self,
        node: &Node<'_>,
        skipped: &mut Vec<Skipped>,
    ) -> Result<Surrounding, ConvertError> {
        let mut surrounding = Surrounding::default();
        if let Some(markings) = self.markings(node)? {
            surrounding.objects.extend_from_slice(&markings.objects);
            surrounding.markings = Some(markings);
        }
        if let Some(author) = node.get("createdBy") {
            match self.author(author)? {
                Ok(author) => {
                    surrounding.author = Some(author.id.clone());
                    surrounding.objects.push(author);
                }
                Err(reason) => skipped.push(part(node, "author", reason)),
            }
        }
        for label in list(node, "objectLabel")? {
            if !self.label(label, &mut surrounding)? {
                skipped.push(part(
                    node,
                    "label",
                    "it has no text, and platforms refuse it",
                ));
            }
        }
        Ok(surrounding)
    }

    /// The node's markings, each once; none where it has none.
    fn markings(&mut self, node: &Node<'_>) -> Result<Option<Arc<WrittenMarkings>>, ConvertError> {
        let Some(text) = node.get("objectMarking") else {
            return Ok(None);
        };
        if let Some(known) = self.markings.get(text) {
            return Ok(Some(known));
        }
        let mut objects: Vec<Arc<StixObject>> = Vec::new();
        for marking in list(node, "objectMarking")? {
            let marking = self.remembered(marking, write_marking)?;
            if !objects.iter().any(|known| known.key == marking.key) {
                objects.push(marking);
            }
        }
        if objects.is_empty() {
            return Ok(None);
        }
        let ids: Vec<&str> = objects.iter().map(|marking| &*marking.id).collect();
        let ids = serde_json::to_string(&ids)?;
        let markings = Arc::new(WrittenMarkings { objects, ids });
        Ok(Some(self.markings.put(text, markings)))
    }

    /// The author, or why the object goes without.
    fn author(
        &mut self,
        text: &RawValue,
    ) -> Result<Result<Arc<StixObject>, &'static str>, ConvertError> {
        if let Some(known) = self.written.get(text) {
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
        let name = author.decode::<String>("name")?.unwrap_or_default();
        let is_person = matches!(class.as_deref(), Some("individual" | "system"));
        if name.is_empty() || (is_person && name.chars().count() < 2) {
            return Ok(Err(
                "its name has fewer than two characters, and platforms refuse it",
            ));
        }
        let mut markings = Vec::new();
        for marking in list(&author, "objectMarking")? {
            markings.push(self.remembered(marking, write_marking)?);
        }
        let mut object = ObjectWriter::new("identity", &standard_id);
        for property in AUTHOR_PROPERTIES {
            if let Some(value) = author.get(property) {
                object.put_raw(property, value);
            }
        }
        let ids: Vec<&str> = markings.iter().map(|marking| &*marking.id).collect();
        object.put_list("object_marking_refs", &ids);
        let mut object = object.finish("author")?;
        object.dependencies = markings;
        Ok(Ok(self.written.put(text, Arc::new(object))))
    }

    /// False for a label without a text.
    fn label(
        &mut self,
        text: &RawValue,
        surrounding: &mut Surrounding,
    ) -> Result<bool, ConvertError> {
        let label = match self.labels.get(text) {
            Some(known) => known,
            None => match write_label(text)? {
                Some(label) => self.labels.put(text, label),
                None => return Ok(false),
            },
        };
        surrounding.objects.extend(label.object);
        surrounding.labels.push(label.value);
        Ok(true)
    }

    /// Adds the files that an object brings: each with the object's markings and its own, so that it never
    /// lands with less.
    pub(super) fn put_files<'a>(
        &mut self,
        node: &Node<'_>,
        files: impl Iterator<Item = &'a Content>,
        surrounding: &mut Surrounding,
    ) -> Result<(), ConvertError> {
        let mut written = Vec::new();
        for file in files {
            let updated = node.text("updated_at")?.unwrap_or_default();
            let of_object = surrounding.markings.iter();
            let of_object = of_object.flat_map(|markings| &markings.objects);
            let mut markings: Vec<Box<str>> = of_object.map(|marking| marking.id.clone()).collect();
            for marking in &file.markings {
                let marking = self.remembered(marking, write_marking)?;
                if !markings.contains(&marking.id) {
                    markings.push(marking.id.clone());
                    surrounding.objects.push(marking);
                }
            }
            let mime_type = file.mime_type.as_deref();
            written.push(serde_json::to_string(&File {
                name: &file.name,
                data: &file.data,
                mime_type: mime_type.unwrap_or("application/octet-stream"),
                version: file.version.as_deref().filter(is_time).unwrap_or(&updated),
                object_marking_refs: &markings,
                no_trigger_import: true,
            })?);
        }
        if !written.is_empty() {
            surrounding.files = Some(format!("[{}]", written.join(",")));
        }
        Ok(())
    }

    fn remembered(
        &mut self,
        text: &RawValue,
        write: impl FnOnce(&RawValue) -> Result<StixObject, ConvertError>,
    ) -> Result<Arc<StixObject>, ConvertError> {
        if let Some(known) = self.written.get(text) {
            return Ok(known);
        }
        let object = write(text)?;
        Ok(self.written.put(text, Arc::new(object)))
    }
}

fn part(node: &Node<'_>, kind: &str, reason: &str) -> Skipped {
    Skipped {
        id: super::name_of(node),
        kind: kind.to_owned(),
        reason: reason.to_owned(),
    }
}

fn list<'a>(node: &Node<'a>, field: &str) -> Result<Vec<&'a RawValue>, ConvertError> {
    let Some(text) = node.get(field) else {
        return Ok(Vec::new());
    };
    Ok(serde_json::from_str(text.get())?)
}

/// None for a label without a text.
fn write_label(text: &RawValue) -> Result<Option<WrittenLabel>, ConvertError> {
    let label: Label = serde_json::from_str(text.get())?;
    let Some(value) = label.value.filter(|value| !value.trim().is_empty()) else {
        return Ok(None);
    };
    // Without a colour it cannot be an object (spec/protocol.md §3): the platform makes one up.
    let object = label.color.map(|color| {
        let mut object = ObjectWriter::new("label", &label.standard_id);
        object.put("value", &value);
        object.put("color", &color);
        object.finish("label").map(Arc::new)
    });
    Ok(Some(WrittenLabel {
        value: value.into(),
        object: object.transpose()?,
    }))
}

/// A marking in the form that both the platform's client and the STIX validator take: the type in the
/// platform's spelling, the definition as the name, order and colour in the platform's extension.
fn write_marking(text: &RawValue) -> Result<StixObject, ConvertError> {
    let mut marking: Marking = serde_json::from_str(text.get())?;
    let definition = marking.definition.as_deref().unwrap_or_default();
    if let Some(tlp) = tlp::meant(marking.definition_type.as_deref(), definition) {
        tlp.id.clone_into(&mut marking.standard_id);
        marking.definition_type = Some("TLP".to_owned());
        marking.definition = Some(tlp.definition.to_owned());
    }
    let mut object = ObjectWriter::new("marking-definition", &marking.standard_id);
    object.put_some("created", marking.created.as_deref());
    object.put_some("definition_type", marking.definition_type.as_deref());
    object.put_some("name", marking.definition.as_deref());
    // STIX has statements of its own, with a definition of their own (STIX 2.1 §7.2.1.3).
    if let (Some("statement"), Some(statement)) =
        (marking.definition_type.as_deref(), &marking.definition)
    {
        object.put("definition", &serde_json::json!({ "statement": statement }));
    }
    let mut extension = serde_json::Map::new();
    extension.insert("extension_type".to_owned(), "property-extension".into());
    if let Some(order) = marking.x_opencti_order {
        extension.insert("order".to_owned(), order.into());
    }
    if let Some(color) = marking.x_opencti_color {
        extension.insert("color".to_owned(), color.into());
    }
    if let Some(ids) = marking.x_opencti_stix_ids.filter(|ids| !ids.is_empty()) {
        extension.insert("stix_ids".to_owned(), ids.into());
    }
    object.put(
        "extensions",
        &serde_json::json!({ OPENCTI_EXTENSION: extension }),
    );
    Ok(object.finish("marking")?)
}
