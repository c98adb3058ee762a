//! The forms of an object: whole, with fewer references, without its files, with another name of its type.

use std::sync::Arc;

use super::StixObject;
use super::offsets::FILES;
use super::reference::ObjectReference;

/// What every platform takes for the name of an entity type.
const UNKNOWN_TYPE: &str = "Unknown";

impl StixObject {
    /// The object without its references.
    pub fn form_without_references(self: &Arc<Self>) -> &Arc<Self> {
        self.without_references.as_ref().unwrap_or(self)
    }

    /// Makes a change to the object and to its form without references: other forms are made from that one.
    pub(super) fn in_each_form(mut self, change: &impl Fn(&mut Self)) -> Self {
        change(&mut self);
        self.without_references = self.without_references.map(|form| {
            let form = Arc::unwrap_or_clone(form);
            Arc::new(form.in_each_form(change))
        });
        self
    }

    /// The object without the files that come with it, in each of its forms; none where it has no files.
    pub fn without_files(&self) -> Option<Self> {
        self.range_of(FILES)?;
        Some(self.clone().in_each_form(&Self::cut_files))
    }

    /// The names of the files that come with it.
    pub fn file_names(&self) -> Vec<String> {
        #[derive(serde::Deserialize)]
        struct Named {
            #[serde(default)]
            name: String,
        }
        #[derive(serde::Deserialize)]
        struct WithFiles {
            x_opencti_files: Vec<Named>,
        }
        let read = serde_json::from_str(&self.json);
        read.map_or_else(
            |_| Vec::new(),
            |WithFiles { x_opencti_files }| {
                let names = x_opencti_files.into_iter().map(|file| file.name);
                names.collect()
            },
        )
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stix::{Handling, Need, ObjectWriter, Operation, Presence, StixId};

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
            row: Some(3),
            adds_up: true,
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
        assert_eq!(whole.file_names(), ["a]\"}"]);
        let without = whole.without_files().unwrap();
        assert_eq!(without.file_names(), [""; 0]);
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
}
