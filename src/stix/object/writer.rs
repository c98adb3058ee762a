//! Writes one object, key by key.

use std::borrow::Cow;
use std::cell::Cell;
use std::ops::Range;

use serde::Serialize;
use serde::ser::Error as _;
use serde_json::Value;

use super::offsets::PropertyOffsets;
use super::{Handling, StixObject};
use crate::stix::json::{Checked, Json, PropertyName};
use crate::stix::{StixId, key};

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

    use super::*;
    use crate::stix::json::JsonKind;

    #[test]
    fn empty_lists_stay_out_and_values_stay_as_they_are() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let (value, names) = (raw(r#""https://e.test/\"é中😀\n""#), raw("[]"));
        let id = StixId::of("url", "url--613f2e26-407d-48c7-9eca-b8e91df99dc9");
        let mut writer = ObjectWriter::new(id.unwrap());
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
