//! The source's answers, taken apart: page, nodes, references. Each node is its own piece of text, so
//! that a bad one costs only itself.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use url::Url;

use super::cursor::Row;
use super::files::File;

/// The data of a list's answer: one field, whatever its name.
#[derive(Debug, serde::Deserialize)]
pub(super) struct ListData<'a> {
    #[serde(
        borrow,
        alias = "stixCyberObservables",
        alias = "indicators",
        alias = "stixCoreRelationships",
        alias = "stixRefRelationships"
    )]
    pub(super) list: Option<List<'a>>,
}

/// A list: one page of it.
#[derive(Debug, serde::Deserialize)]
pub(super) struct List<'a> {
    #[serde(rename = "pageInfo", default)]
    pub(super) page_info: PageInfo,
    #[serde(borrow, default)]
    edges: Option<Vec<Option<Edge<'a>>>>,
}

/// What a page says of its list.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PageInfo {
    /// The cursor of the last row; the empty text on an empty page.
    pub(super) end_cursor: Option<String>,
    /// Whether as many rows came as were asked for; false on a page that the platform cut at its cap.
    pub(super) has_next_page: bool,
    /// All rows of the list.
    pub(super) global_count: Option<u64>,
}

#[derive(Debug, serde::Deserialize)]
struct Edge<'a> {
    #[serde(borrow, default)]
    cursor: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    node: Option<&'a RawValue>,
}

impl<'a> List<'a> {
    /// How many rows came.
    pub(super) fn rows(&self) -> usize {
        self.edges.as_ref().map_or(0, Vec::len)
    }

    /// The rows that can be seen, in order.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &'a RawValue> + '_ {
        self.edges
            .iter()
            .flatten()
            .filter_map(|edge| edge.as_ref()?.node)
    }

    /// How many rows came empty.
    pub(super) fn empty_rows(&self) -> usize {
        self.rows() - self.nodes().count()
    }

    /// The cursor of the first row, where it was asked for.
    pub(super) fn first_cursor(&self) -> Option<String> {
        let edge = self.edges.as_ref()?.first()?.as_ref()?;
        edge.cursor
            .as_deref()
            .filter(|cursor| !cursor.is_empty())
            .map(str::to_owned)
    }
}

/// Who a row is.
#[derive(Debug, serde::Deserialize)]
pub(super) struct RowName {
    /// The source's internal id: what its filters take.
    pub(super) id: String,
    #[serde(default)]
    pub(super) standard_id: Option<String>,
    #[serde(default)]
    pub(super) entity_type: Option<String>,
    #[serde(default)]
    updated_at: Option<String>,
}

impl RowName {
    /// What the reading has to know of it.
    pub(super) fn row(&self) -> Row {
        row(&self.id, self.updated_at.as_deref())
    }

    /// Its internal id.
    pub(super) fn into_id(self) -> String {
        self.id
    }
}

fn row(id: &str, updated_at: Option<&str>) -> Row {
    Row {
        id: id.into(),
        updated_at: updated_at.and_then(|text| text.parse().ok()),
    }
}

/// The files attached to an object.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Files {
    #[serde(default, rename = "importFiles")]
    files: Option<FileList>,
}

#[derive(Debug, serde::Deserialize)]
struct FileList {
    #[serde(default)]
    edges: Option<Vec<Option<FileEdge>>>,
}

#[derive(Debug, serde::Deserialize)]
struct FileEdge {
    node: Option<File>,
}

impl Files {
    /// Those that the source shows, in its order.
    pub(super) fn into_files(self) -> Vec<File> {
        let edges = self.files.and_then(|list| list.edges).unwrap_or_default();
        edges
            .into_iter()
            .flatten()
            .filter_map(|edge| edge.node)
            .collect()
    }
}

/// The ends of a relationship.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Ends {
    id: String,
    from: Option<End>,
    to: Option<End>,
}

#[derive(Debug, serde::Deserialize)]
struct End {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    standard_id: Option<Box<str>>,
    #[serde(default)]
    updated_at: Option<String>,
}

/// One end of a relationship.
#[derive(Debug)]
pub(super) struct EndRow {
    pub(super) row: Row,
    /// Its STIX id.
    pub(super) standard_id: Box<str>,
}

impl Ends {
    /// The relationship's own internal id.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Its indicator, where that can be seen.
    pub(super) fn indicator(&self) -> Option<EndRow> {
        self.from.as_ref().and_then(End::row)
    }

    /// Its observable, where that can be seen.
    pub(super) fn observable(&self) -> Option<EndRow> {
        self.to.as_ref().and_then(End::row)
    }
}

impl End {
    fn row(&self) -> Option<EndRow> {
        Some(EndRow {
            row: row(self.id.as_deref()?, self.updated_at.as_deref()),
            standard_id: self.standard_id.clone()?,
        })
    }
}

/// One node: its fields, each as text.
#[derive(Debug)]
pub(super) struct Node<'a> {
    fields: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Node<'a> {
    /// The field's text; none where it is absent or null.
    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        let (_, value) = self.fields.iter().find(|(field, _)| field == name)?;
        (value.get() != "null").then_some(*value)
    }

    /// The fields in their order.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.fields.iter().map(|(name, value)| (&**name, *value))
    }

    /// The field, decoded; none where it is absent or null.
    ///
    /// # Errors
    /// When it is of another type.
    pub(super) fn decode<T: serde::Deserialize<'a>>(
        &self,
        name: &str,
    ) -> Result<Option<T>, serde_json::Error> {
        self.get(name)
            .map(|value| serde_json::from_str(value.get()))
            .transpose()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Node<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::with_capacity(32);
                while let Some(field) = map.next_entry::<FieldName<'de>, &'de RawValue>()? {
                    fields.push((field.0.0, field.1));
                }
                Ok(fields)
            }
        }
        Ok(Self {
            fields: deserializer.deserialize_map(Fields)?,
        })
    }
}

/// A field's name, borrowed where it can be.
#[derive(serde::Deserialize)]
struct FieldName<'a>(#[serde(borrow)] Cow<'a, str>);

/// What the objects of a page point at, by the standard id of the object.
pub(super) type References = HashMap<Box<str>, Vec<Reference>>;

/// One thing that an object points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reference {
    /// An external reference.
    External(ExternalReference),
    /// Another observable.
    Nested(NestedTarget),
}

/// Another observable that an object points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NestedTarget {
    /// The relation's name at the source, such as "obs_resolves-to".
    pub(super) relation: Box<str>,
    /// The target's internal id.
    pub(super) id: Box<str>,
    /// The target's STIX id.
    pub(super) standard_id: Box<str>,
}

/// An external reference, in the shape in which it travels (STIX 2.1 §2.5).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct ExternalReference {
    #[serde(skip_serializing_if = "Option::is_none")]
    source_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
}

impl ExternalReference {
    /// A reference to a page.
    pub(super) fn of_page(source_name: String, description: String, page: Url) -> Self {
        Self {
            source_name: Some(source_name),
            description: Some(description),
            url: Some(page.into()),
            external_id: None,
        }
    }

    /// Whether it survives the import: it needs a URL, or a source's name and an id
    /// (spec/protocol.md §3).
    pub(super) fn is_importable(&self) -> bool {
        let is_set = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        is_set(&self.url) || (is_set(&self.source_name) && is_set(&self.external_id))
    }
}

/// One row of the references' list.
#[derive(Debug, serde::Deserialize)]
pub(super) struct ReferenceRow {
    id: String,
    relationship_type: String,
    from: Option<ReferenceEnd>,
    to: Option<ReferenceEnd>,
}

#[derive(Debug, serde::Deserialize)]
struct ReferenceEnd {
    id: Option<Box<str>>,
    standard_id: Option<Box<str>>,
    #[serde(flatten)]
    external: ExternalReference,
}

impl ReferenceRow {
    /// The holder's standard id and what it points at.
    ///
    /// # Errors
    /// The row's own id where an end cannot be seen.
    pub(super) fn into_reference(self) -> Result<(Box<str>, Reference), String> {
        let id = self.id.clone();
        self.ends().ok_or(id)
    }

    fn ends(self) -> Option<(Box<str>, Reference)> {
        let holder = self.from?.standard_id?;
        let to = self.to?;
        if self.relationship_type == "external-reference" {
            return Some((holder, Reference::External(to.external)));
        }
        let target = NestedTarget {
            relation: self.relationship_type.into_boxed_str(),
            id: to.id?,
            standard_id: to.standard_id?,
        };
        Some((holder, Reference::Nested(target)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_keeps_its_texts_as_they_are() {
        let node: Node<'_> =
            serde_json::from_str(r#"{"value":"a\"b\u00e9","score":null,"\u006eumber":1}"#).unwrap();
        assert_eq!(node.get("value").unwrap().get(), r#""a\"b\u00e9""#);
        assert!(node.get("score").is_none() && node.get("other").is_none());
        assert_eq!(node.decode::<u8>("number").unwrap(), Some(1));
        assert!(node.decode::<u8>("value").is_err());
    }

    #[test]
    fn rows_that_cannot_be_seen_count_as_rows() {
        let text = r#"{"indicators":{"pageInfo":{"endCursor":"","hasNextPage":false,"globalCount":2},"edges":[null,{"node":{"id":"x"}}]}}"#;
        let data: ListData<'_> = serde_json::from_str(text).unwrap();
        let list = data.list.unwrap();
        assert_eq!(
            (list.rows(), list.nodes().count(), list.empty_rows()),
            (2, 1, 1)
        );
    }

    #[test]
    fn an_external_reference_needs_somewhere_to_lead() {
        let check = |text: &str| {
            serde_json::from_str::<ExternalReference>(text)
                .unwrap()
                .is_importable()
        };
        assert!(check(r#"{"source_name":"a","url":"https://e.test"}"#));
        assert!(check(r#"{"source_name":"a","external_id":"1"}"#));
        assert!(!check(r#"{"source_name":"a","description":"d","url":""}"#));
    }
}
