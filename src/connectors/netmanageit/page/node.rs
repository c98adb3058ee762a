//! One node of a list: its fields, each as text.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// What is in the place of a node.
#[derive(Debug)]
pub(super) enum Seen<'a> {
    Node(Node<'a>),
    /// Something else, which costs its row and nothing more.
    Other,
}

/// One node: its fields, each as text.
#[derive(Debug)]
pub(in super::super) struct Node<'a> {
    fields: Vec<(&'a str, &'a RawValue)>,
    /// Those whose names came with escapes, which a platform does not write and a proxy may.
    rewritten: Vec<(Box<str>, &'a RawValue)>,
    /// Behind the field that was looked for last: whoever looks for several mostly does so in their order.
    next: AtomicUsize,
}

impl<'a> Node<'a> {
    /// The field's text; none where it is absent or null.
    pub(in super::super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        let value = self.find(name)?;
        (value.get() != "null").then_some(value)
    }

    /// Whether the field is null. A list that is null is no empty one: platforms answer `[]`
    /// for that, and null where an error in one of its entries took the whole list away.
    pub(in super::super) fn is_null(&self, name: &str) -> bool {
        self.find(name).is_some_and(|value| value.get() == "null")
    }

    /// A field that has to be there, once, and not null. One that comes twice has two values.
    pub(in super::super) fn once(&self, name: &str) -> Option<&'a RawValue> {
        let mut fields = self.fields().filter(|(field, _)| *field == name);
        let (_, value) = fields.next()?;
        (fields.next().is_none() && value.get() != "null").then_some(value)
    }

    fn find(&self, name: &str) -> Option<&'a RawValue> {
        let is_it = |(field, _): &(&str, &RawValue)| *field == name;
        let (before, behind) = self
            .fields
            .split_at_checked(self.next.load(Ordering::Relaxed))?;
        let found = behind
            .iter()
            .position(is_it)
            .map(|place| before.len() + place);
        let found = found.or_else(|| before.iter().position(is_it));
        let Some(place) = found else {
            let mut rewritten = self.rewritten.iter();
            return rewritten
                .find(|(field, _)| **field == *name)
                .map(|(_, value)| *value);
        };
        self.next.store(place + 1, Ordering::Relaxed);
        self.fields.get(place).map(|(_, value)| *value)
    }

    /// The fields in their order.
    pub(in super::super) fn fields(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        let rewritten = self.rewritten.iter().map(|(name, value)| (&**name, *value));
        self.fields.iter().copied().chain(rewritten)
    }

    /// The field as text, borrowed where it has no escapes; none where it is absent or null.
    ///
    /// # Errors
    /// When it is no text.
    pub(in super::super) fn text(
        &self,
        name: &str,
    ) -> Result<Option<Cow<'a, str>>, serde_json::Error> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        // Valid JSON already: without a backslash, a text is what stands between its quotes.
        let text = value.get().strip_prefix('"');
        match text.and_then(|text| text.strip_suffix('"')) {
            Some(text) if !text.contains('\\') => Ok(Some(text.into())),
            _ => Ok(Some(serde_json::from_str::<String>(value.get())?.into())),
        }
    }

    /// The field, decoded; none where it is absent or null.
    ///
    /// # Errors
    /// When it is of another type.
    pub(in super::super) fn decode<T: serde::Deserialize<'a>>(
        &self,
        name: &str,
    ) -> Result<Option<T>, serde_json::Error> {
        self.get(name)
            .map(|value| serde_json::from_str(value.get()))
            .transpose()
    }
}

/// Reads whatever value is there in the one pass over the answer.
impl<'de: 'a, 'a> Deserialize<'de> for Seen<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Node<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_map(NodeVisitor)? {
            Seen::Node(node) => Ok(node),
            Seen::Other => Err(D::Error::custom("no object")),
        }
    }
}

struct NodeVisitor;

/// What most nodes have at most.
const USUAL_FIELDS: usize = 28;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Seen<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut fields, mut rewritten) = (Vec::with_capacity(USUAL_FIELDS), Vec::new());
        while let Some((name, value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
            match name.0 {
                Cow::Borrowed(name) => fields.push((name, value)),
                Cow::Owned(name) => rewritten.push((name.into_boxed_str(), value)),
            }
        }
        Ok(Seen::Node(Node {
            fields,
            rewritten,
            next: AtomicUsize::new(0),
        }))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Seen::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Seen::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Seen::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Seen::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Seen::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Seen::Other)
    }
}

/// A text within something larger, borrowed where it can be.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub(in super::super) struct Text<'a>(#[serde(borrow)] pub(in super::super) Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_keeps_its_texts_as_they_are() {
        let node: Node<'_> =
            serde_json::from_str(r#"{"value":"a\"b\u00e9","score":null,"\u006eumber":1}"#).unwrap();
        assert_eq!(node.get("value").unwrap().get(), r#""a\"b\u00e9""#);
        assert_eq!(node.text("value").unwrap().unwrap(), "a\"b\u{e9}");
        assert!(node.text("number").is_err() && node.text("score").unwrap().is_none());
        assert!(node.get("score").is_none() && node.get("other").is_none());
        assert_eq!(node.decode::<u8>("number").unwrap(), Some(1));
        assert!(node.decode::<u8>("value").is_err());
    }
}
