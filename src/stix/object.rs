//! One STIX object: its text, and which other objects it needs.

use std::borrow::Cow;
use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;
use serde::de::IgnoredAny;
use serde::ser::Error as _;
use serde_json::Value;

use super::json::{Checked, Json, PropertyName};
use super::{StixId, key};

/// The files that come with an object.
const FILES: &str = "x_opencti_files";

/// The properties that an object is judged by once it is written, and the one that a copy may go without: where they
/// stand is remembered, so that nobody has to read the whole object again.
const LOCATED: [&str; 10] = [
    "value",
    "name",
    "pattern",
    "pattern_type",
    "swid",
    "cpe",
    "number",
    "hashes",
    "x_opencti_score",
    FILES,
];

/// Where in an object's JSON the values of [`LOCATED`] begin; 0 for those that it does not have.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct PropertyOffsets([u32; LOCATED.len()]);

impl PropertyOffsets {
    fn note(&mut self, property: &str, begin: usize) {
        let number = LOCATED.iter().position(|known| *known == property);
        if let Some(place) = number.and_then(|number| self.0.get_mut(number)) {
            *place = u32::try_from(begin).unwrap_or_default();
        }
    }

    fn get(&self, property: &str) -> Option<usize> {
        let number = LOCATED.iter().position(|known| *known == property)?;
        let begin = self.0.get(number).filter(|begin| **begin > 0)?;
        usize::try_from(*begin).ok()
    }

    fn forget(&mut self, property: &str) {
        self.note(property, 0);
    }

    /// What stood in this range has so many bytes now.
    fn shift(&mut self, range: &Range<usize>, bytes: usize) {
        for place in &mut self.0 {
            let begin = usize::try_from(*place).unwrap_or_default();
            if begin >= range.end {
                *place = u32::try_from(begin - range.len() + bytes).unwrap_or_default();
            }
        }
    }
}

/// What every platform takes for the name of an entity type.
const UNKNOWN_TYPE: &str = "Unknown";

/// One STIX object, written and ready to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StixObject {
    /// Its STIX id.
    pub id: StixId,
    /// The same as a number.
    pub key: u128,
    /// Its type in the platform's words, for counts: "IPv4-Addr", "Indicator", "based-on".
    pub kind: Cow<'static, str>,
    /// The object as JSON.
    pub json: Box<str>,
    /// What it needs embedded, as objects that travel along: markings, author, labels.
    pub embedded: Vec<Arc<StixObject>>,
    /// What has to be imported before it, and without which it is nothing: source and target of a relationship or a
    /// sighting.
    pub imported: Vec<StixId>,
    /// What it refers to and can go without: nested references, the members of a container.
    pub references: Vec<ObjectReference>,
    /// What is to be done with it, and where it belongs.
    pub handling: Handling,
    /// An entity type that it names, and where in the JSON: a platform that does not have the type
    /// refuses the object.
    pub names_type: Option<(Box<str>, Range<usize>)>,
    /// The same object without its references: how it rides along in a message that it is not the
    /// subject of. None where it has no references.
    pub without_references: Option<Arc<StixObject>>,
    offsets: PropertyOffsets,
}

/// When another object has to be there, for one that refers to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Ahead in the same message, or earlier: imported after the object it is an error.
    Embedded,
    /// Imported before: sent earlier, or found at the destination.
    Imported,
}

/// What is to be done with an object, and where it belongs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Handling {
    /// What the import does with it.
    pub operation: Operation,
    /// Whether it depends on what the destination has.
    pub presence: Presence,
    /// Objects of a unit that have the same number here stand next to each other and travel in one message.
    pub group: Option<u32>,
}

/// What the import does with an object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Operation {
    /// Makes it, or changes the one that is there.
    #[default]
    Upsert,
    /// Deletes it.
    Delete,
}

/// Whether an object is sent, by what the destination has under its id, or this run has sent there. It holds for what
/// comes along with a unit as for its own objects. What is not sent for it is left as it is at the destination:
/// nothing is lost, so it is counted apart from what is skipped, with its reason, and logged at level debug.
/// Relationships and containers refer only to what is there of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Presence {
    /// Whatever is there.
    #[default]
    Any,
    /// Only where it is there already; where it is not, nothing of its group is sent.
    OnlyIfThere,
    /// Only where it is not there: what is there is left as it is.
    OnlyIfAbsent,
}

impl StixObject {
    /// What it needs, by STIX ids, and when that has to be there.
    pub fn needs(&self) -> impl Iterator<Item = (&str, Need)> {
        let embedded = self.embedded.iter();
        let embedded = embedded.map(|object| (object.id.as_str(), Need::Embedded));
        let imported = self.imported.iter();
        let imported = imported.map(|id| (id.as_str(), Need::Imported));
        let references = self.references.iter();
        let references = references.flat_map(|reference| {
            let targets = reference.targets.iter();
            targets.map(|target| (target.as_str(), reference.need))
        });
        embedded.chain(imported).chain(references)
    }

    /// Whether it is a container: a report, a case, a note, whose members have to be imported before it.
    pub fn is_container(&self) -> bool {
        let mut references = self.references.iter();
        references.any(|reference| reference.need == Need::Imported)
    }

    /// The members of a container: the property and the id of each.
    pub fn members(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let references = self.references.iter();
        let references = references.filter(|reference| reference.need == Need::Imported);
        references.flat_map(|reference| {
            let targets = reference.targets.iter();
            targets.map(|target| (reference.property, target.as_str()))
        })
    }

    /// The object without its references.
    pub fn form_without_references(self: &Arc<Self>) -> &Arc<Self> {
        self.without_references.as_ref().unwrap_or(self)
    }

    /// The object with other handling, in each of its forms.
    #[must_use]
    pub fn handled(self, handling: Handling) -> Self {
        self.in_each_form(&|form| form.handling = handling)
    }

    /// Makes a change to the object and to its form without references: other forms are made from that one.
    fn in_each_form(mut self, change: &impl Fn(&mut Self)) -> Self {
        change(&mut self);
        self.without_references = self.without_references.map(|form| {
            let form = Arc::unwrap_or_clone(form);
            Arc::new(form.in_each_form(change))
        });
        self
    }

    /// The deletion of what has this id; its type in the platform's words, for counts.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn deletion(
        id: StixId,
        kind: impl Into<Cow<'static, str>>,
    ) -> Result<Self, serde_json::Error> {
        let mut object = ObjectWriter::new(id);
        // The platform's client deletes what it finds under the id (docs/protocol.md#objects-that-come-again).
        object.put("opencti_operation", "delete");
        let handling = Handling {
            operation: Operation::Delete,
            ..Handling::default()
        };
        Ok(object.finish(kind)?.handled(handling))
    }

    /// Whether it is sent to be deleted.
    pub fn is_deletion(&self) -> bool {
        self.handling.operation == Operation::Delete
    }

    /// The object without the files that come with it, in each of its forms; none where it has no files.
    pub fn without_files(&self) -> Option<Self> {
        self.range_of(FILES)?;
        Some(self.clone().in_each_form(&Self::cut_files))
    }

    fn cut_files(&mut self) {
        let Some(range) = self.range_of(FILES) else {
            return;
        };
        let mut json = String::from(std::mem::take(&mut self.json));
        json.drain(range.clone());
        self.json = json.into_boxed_str();
        self.offsets.forget(FILES);
        self.offsets.shift(&range, 0);
        if let Some((_, place)) = &mut self.names_type
            && place.start >= range.end
        {
            *place = place.start - range.len()..place.end - range.len();
        }
    }

    /// Where a located property stands, with the comma ahead of it: the type and the id come before any.
    fn range_of(&self, property: &str) -> Option<Range<usize>> {
        let begin = self.offsets.get(property)?;
        let json = serde_json::Deserializer::from_str(self.json.get(begin..)?);
        let mut values = json.into_iter::<IgnoredAny>();
        values.next()?.ok()?;
        let name = property.len() + ",\"\":".len();
        Some(begin.checked_sub(name)?..begin + values.byte_offset())
    }

    /// The JSON from where the value of a property begins, to its own end; none where the object does not
    /// have the property, or its place is not remembered.
    pub fn from_value(&self, property: &str) -> Option<&str> {
        self.json.get(self.offsets.get(property)?..)
    }

    /// The object with the type that it names replaced by "Unknown", which every platform takes, in each of its
    /// forms.
    #[must_use]
    pub fn naming_unknown_type(&self) -> Self {
        self.clone().in_each_form(&Self::name_unknown_type)
    }

    fn name_unknown_type(&mut self) {
        if let Some((_, place)) = self.names_type.take() {
            let mut json = String::from(std::mem::take(&mut self.json));
            if json.is_char_boundary(place.start) && json.is_char_boundary(place.end) {
                json.replace_range(place.clone(), UNKNOWN_TYPE);
                self.offsets.shift(&place, UNKNOWN_TYPE.len());
            }
            self.json = json.into_boxed_str();
        }
    }

    /// The ids of what it refers to and can go without.
    pub fn targets(&self) -> impl Iterator<Item = &str> {
        let targets = self
            .references
            .iter()
            .flat_map(|reference| &reference.targets);
        targets.map(StixId::as_str)
    }

    /// The object with what it refers to. What was there before becomes its form without references.
    #[must_use]
    pub fn referring_to(self, references: Vec<ObjectReference>) -> Self {
        Self::of_form(&Arc::new(self), references)
    }

    /// An object with what it refers to, made of its form without references, which several may share.
    #[must_use]
    pub fn of_form(form: &Arc<Self>, references: Vec<ObjectReference>) -> Self {
        let mut json = form.json.strip_suffix('}').unwrap_or(&form.json).to_owned();
        for reference in &references {
            json.extend([",\"", reference.property, "\":", &reference.value()]);
        }
        json.push('}');
        Self {
            id: form.id.clone(),
            key: form.key,
            kind: form.kind.clone(),
            json: json.into_boxed_str(),
            embedded: form.embedded.clone(),
            references,
            imported: form.imported.clone(),
            handling: form.handling,
            names_type: form.names_type.clone(),
            offsets: form.offsets,
            without_references: Some(Arc::clone(form)),
        }
    }

    /// The object with only some of what goes ahead of it.
    #[must_use]
    pub fn embedding_only(&self, keeps: &impl Fn(&Self) -> bool) -> Self {
        let kept = self
            .embedded
            .iter()
            .filter(|embedded_object| keeps(embedded_object));
        let kept = kept.map(|embedded_object| Arc::new(embedded_object.embedding_only(keeps)));
        let without_references = self.without_references.as_ref();
        Self {
            embedded: kept.collect(),
            without_references: without_references
                .map(|without_references| Arc::new(without_references.embedding_only(keeps))),
            ..self.clone()
        }
    }

    /// The object pointing only at some of what it refers to.
    #[must_use]
    pub fn referring_only(&self, keeps: impl Fn(&ObjectReference, &str) -> bool) -> Self {
        let Some(without_references) = &self.without_references else {
            return self.clone();
        };
        let kept = |reference: &ObjectReference| {
            let targets = reference.targets.iter();
            let targets = targets.filter(|target| keeps(reference, target)).cloned();
            ObjectReference {
                targets: targets.collect(),
                ..*reference
            }
        };
        let mut references: Vec<ObjectReference> = self.references.iter().map(kept).collect();
        references.retain(|reference| !reference.targets.is_empty());
        if references.is_empty() {
            StixObject::clone(without_references)
        } else {
            Self::of_form(without_references, references)
        }
    }
}

/// One property of an object that refers to others (STIX 2.1 §2.9), and that can be left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectReference {
    /// The property, such as `resolves_to_refs`.
    pub property: &'static str,
    /// Whether it is a list.
    pub is_many: bool,
    /// When the others have to be there.
    pub need: Need,
    /// The ids of what it refers to; one where it is no list, never none.
    pub targets: Vec<StixId>,
}

impl ObjectReference {
    /// Ids never need an escape: see [`StixId`].
    fn value(&self) -> String {
        let quoted: Vec<String> = self
            .targets
            .iter()
            .map(|target| format!("\"{target}\""))
            .collect();
        if self.is_many {
            format!("[{}]", quoted.join(","))
        } else {
            quoted.into_iter().next().unwrap_or_default()
        }
    }
}

thread_local! {
    /// Objects are written here one after another, and then copied to where each has just the place that it needs.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// More is not kept for the next object.
const SCRATCH_LIMIT: usize = 64 * 1024;

/// Writes one object, key by key.
#[derive(Debug)]
pub struct ObjectWriter {
    id: StixId,
    json: Vec<u8>,
    failure: Option<serde_json::Error>,
    names_type: Option<(Box<str>, Range<usize>)>,
    offsets: PropertyOffsets,
}

impl ObjectWriter {
    /// Begins an object with what every object has; its type is that of its id.
    pub fn new(id: StixId) -> Self {
        let mut json = SCRATCH.take();
        // Neither a type nor an id needs an escape.
        for part in [
            r#"{"type":""#,
            id.stix_type(),
            r#"","spec_version":"2.1","id":""#,
            id.as_str(),
            "\"",
        ] {
            json.extend_from_slice(part.as_bytes());
        }
        Self {
            id,
            json,
            failure: None,
            names_type: None,
            offsets: PropertyOffsets::default(),
        }
    }

    /// Puts a key with its value.
    pub fn put<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) {
        self.key(key);
        self.write(value);
    }

    /// Puts a key where there is a value.
    pub fn put_some<T: Serialize>(&mut self, key: &'static str, value: Option<T>) {
        if let Some(value) = value {
            self.put(key, &value);
        }
    }

    /// Puts a list that has members.
    pub fn put_list<T: Serialize>(&mut self, key: &'static str, values: &[T]) {
        if !values.is_empty() {
            self.put(key, values);
        }
    }

    /// Puts a value just as the source wrote it, byte for byte; empty lists are left out.
    pub fn put_checked(&mut self, key: &'static str, value: Checked<'_>) {
        if value.json() != "[]" {
            self.key(key);
            self.json.extend_from_slice(value.json().as_bytes());
        }
    }

    /// Puts a value that was written before.
    pub fn put_json(&mut self, key: &'static str, value: &Json) {
        self.key(key);
        self.json.extend_from_slice(value.as_str().as_bytes());
    }

    /// Puts a property that this program does not know. Each name may come once, and none that is put
    /// otherwise.
    pub fn put_foreign(&mut self, name: &PropertyName, value: &Value) {
        self.key(name.as_str());
        self.write(value);
    }

    /// Puts the name of an entity type, which the destination may not have.
    pub fn put_type(&mut self, key: &'static str, entity_type: &str) {
        self.put(key, entity_type);
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if entity_type.bytes().all(is_plain) {
            // The quotes stay outside.
            let end = self.json.len().saturating_sub(1);
            let place = end.saturating_sub(entity_type.len())..end;
            self.names_type = Some((entity_type.into(), place));
        }
    }

    /// Ends the object.
    ///
    /// # Errors
    /// When a value could not be written as JSON.
    pub fn finish(
        mut self,
        kind: impl Into<Cow<'static, str>>,
    ) -> Result<StixObject, serde_json::Error> {
        self.json.push(b'}');
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let json = std::str::from_utf8(&self.json).map_err(serde_json::Error::custom)?;
        let json: Box<str> = json.into();
        if self.json.capacity() <= SCRATCH_LIMIT {
            self.json.clear();
            SCRATCH.set(self.json);
        }
        Ok(StixObject {
            key: key(&self.id),
            id: self.id,
            kind: kind.into(),
            json,
            embedded: Vec::new(),
            references: Vec::new(),
            imported: Vec::new(),
            handling: Handling::default(),
            names_type: self.names_type,
            offsets: self.offsets,
            without_references: None,
        })
    }

    fn write<T: Serialize + ?Sized>(&mut self, value: &T) {
        if let Err(failure) = serde_json::to_writer(&mut self.json, value) {
            self.failure.get_or_insert(failure);
        }
    }

    /// Keys are our own words, or of few characters: they never need an escape.
    fn key(&mut self, key: &str) {
        if self.json.len() > 1 {
            self.json.push(b',');
        }
        self.json.push(b'"');
        self.json.extend_from_slice(key.as_bytes());
        self.json.extend_from_slice(b"\":");
        self.offsets.note(key, self.json.len());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::super::json::JsonKind;
    use super::*;

    fn id(stix_type: &str) -> StixId {
        let text = format!("{stix_type}--613f2e26-407d-48c7-9eca-b8e91df99dc9");
        StixId::of(stix_type, &text).unwrap()
    }

    #[test]
    fn a_type_that_is_not_known_becomes_unknown() {
        let mut writer = ObjectWriter::new(id("indicator"));
        writer.put("name", "é\"x");
        writer.put_type("x_opencti_main_observable_type", "SSH-Key");
        writer.put("lang", "en");
        writer.put("pattern", "[x]");
        let object = writer.finish("Indicator").unwrap();
        assert!(
            object
                .json
                .contains(r#""x_opencti_main_observable_type":"SSH-Key","lang""#)
        );
        assert_eq!(
            object.from_value("name").unwrap().get(..7),
            Some(r#""é\"x""#)
        );
        assert_eq!(object.from_value("hashes"), None);
        let other = object.naming_unknown_type();
        assert_eq!(other.from_value("pattern").unwrap(), r#""[x]"}"#);
        assert_eq!(*other.json, *object.json.replace("SSH-Key", "Unknown"));
    }

    /// Two members, so that one can be lost.
    fn members() -> Vec<ObjectReference> {
        vec![ObjectReference {
            property: "object_refs",
            is_many: true,
            need: Need::Imported,
            targets: vec![id("url"), id("file")],
        }]
    }

    fn forms(object: StixObject) -> [StixObject; 4] {
        let object = Arc::new(object);
        [
            object.referring_only(|_, target| target.starts_with("url")),
            object.referring_only(|_, _| false),
            StixObject::clone(object.form_without_references()),
            object.embedding_only(&|_| false),
        ]
    }

    #[test]
    fn each_form_of_an_object_keeps_its_handling() {
        let handling = Handling {
            presence: Presence::OnlyIfAbsent,
            operation: Operation::Delete,
            group: Some(7),
        };
        let report = ObjectWriter::new(id("report")).finish("Report").unwrap();
        let report = report.referring_to(members()).handled(handling);
        for form in forms(report) {
            assert_eq!(form.handling, handling, "{}", form.json);
        }
    }

    #[test]
    fn no_form_of_an_object_names_the_type_that_was_replaced() {
        let mut writer = ObjectWriter::new(id("indicator"));
        writer.put_type("x_opencti_main_observable_type", "SSH-Key");
        let indicator = writer.finish("Indicator").unwrap().referring_to(members());
        for form in forms(indicator.naming_unknown_type()) {
            assert!(form.json.contains("Unknown"), "{}", form.json);
            assert!(!form.json.contains("SSH-Key") && form.names_type.is_none());
        }
    }

    #[test]
    fn files_go_from_each_form_of_an_object() {
        let mut writer = ObjectWriter::new(id("report"));
        writer.put("name", "x");
        writer.put("x_opencti_files", &[serde_json::json!({"name": "a]\"}"})]);
        writer.put_type("x_type", "SSH-Key");
        writer.put("pattern", "[x]");
        let whole = writer.finish("Report").unwrap().referring_to(members());
        let without = whole.without_files().unwrap();
        let mut json: serde_json::Value = serde_json::from_str(&whole.json).unwrap();
        json.as_object_mut().unwrap().remove("x_opencti_files");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&without.json).unwrap(),
            json
        );
        assert!(
            without
                .from_value("pattern")
                .unwrap()
                .starts_with("\"[x]\"")
        );
        for form in forms(without.naming_unknown_type()) {
            assert!(!form.json.contains("x_opencti_files"), "{}", form.json);
            assert!(form.json.contains(r#""x_type":"Unknown","pattern""#));
            assert!(form.without_files().is_none());
        }
    }

    #[test]
    fn empty_lists_stay_out_and_values_stay_as_they_are() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let (value, names) = (raw(r#""https://e.test/\"é中😀\n""#), raw("[]"));
        let mut writer = ObjectWriter::new(id("url"));
        writer.put_checked("value", JsonKind::Text.check(&value).unwrap());
        writer.put_checked("names", JsonKind::Texts.check(&names).unwrap());
        writer.put_list::<&str>("labels", &[]);
        writer.put_some("score", Some(50));
        writer.put_some::<u8>("other", None);
        writer.put("empty", "");
        let name = PropertyName::new("later_1").unwrap();
        writer.put_foreign(&name, &serde_json::json!({"\"": 1}));
        let object = writer.finish("Url").unwrap();
        assert_eq!(
            &*object.json,
            r#"{"type":"url","spec_version":"2.1","id":"url--613f2e26-407d-48c7-9eca-b8e91df99dc9","value":"https://e.test/\"é中😀\n","score":50,"empty":"","later_1":{"\"":1}}"#
        );
    }
}
