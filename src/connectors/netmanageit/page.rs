//! The source's answers, taken apart in one pass: page, nodes, references. Each field of a node is its own
//! piece of text, so that a bad one costs only its node.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use url::Url;

use super::cursor::Row;
use super::files::SourceFile;
use crate::stix::{StixId, TextMap};

/// Why something of an answer is not sent.
pub(super) const UNKNOWN_SHAPE: &str = "the source answered it in an unknown shape";
pub(super) const EMPTY_ROW: &str = "the source answered it empty";

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
    pub(super) list: List<'a>,
}

/// A list: one page of it.
#[derive(Debug, serde::Deserialize)]
pub(super) struct List<'a> {
    #[serde(rename = "pageInfo")]
    pub(super) page_info: PageInfo,
    #[serde(borrow, deserialize_with = "edges")]
    edges: Vec<Option<RowEdge<'a>>>,
}

/// The most rows that are taken of one answer: twice what a platform gives at most. Empty ones need many times
/// the memory that they have as text.
const MOST_ROWS: usize = 10_000;

fn edges<'de: 'a, 'a, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Option<RowEdge<'a>>>, D::Error> {
    deserializer.deserialize_seq(EdgesVisitor)
}

struct EdgesVisitor;

impl<'de> Visitor<'de> for EdgesVisitor {
    type Value = Vec<Option<RowEdge<'de>>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut edges = Vec::new();
        while let Some(edge) = seq.next_element()? {
            if edges.len() >= MOST_ROWS {
                let reason = format!("a page of more than {MOST_ROWS} rows");
                return Err(A::Error::custom(reason));
            }
            edges.push(edge);
        }
        Ok(edges)
    }
}

/// What a page reports of its list.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PageInfo {
    /// The cursor of the last row; the empty text on an empty page.
    #[serde(default, deserialize_with = "cursor")]
    pub(super) end_cursor: Option<String>,
    /// Whether as many rows came as were asked for; false on a page that the platform cut at its cap.
    pub(super) has_next_page: bool,
    /// All rows of the list.
    #[serde(default)]
    pub(super) global_count: Option<u64>,
}

/// The longest cursor that is taken: it goes into the state. The platform's own have some hundred bytes.
pub(super) const LONGEST_CURSOR: usize = 4096;

fn cursor<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let cursor = Option::<String>::deserialize(deserializer)?;
    match &cursor {
        Some(text) if text.len() > LONGEST_CURSOR => Err(D::Error::custom(format!(
            "a cursor of {} bytes; {LONGEST_CURSOR} are taken",
            text.len()
        ))),
        _ => Ok(cursor),
    }
}

#[derive(Debug, serde::Deserialize)]
struct RowEdge<'a> {
    #[serde(borrow, default)]
    cursor: Option<Text<'a>>,
    #[serde(borrow, default)]
    node: Option<Seen<'a>>,
}

/// What is in the place of a node.
#[derive(Debug)]
enum Seen<'a> {
    Node(Node<'a>),
    /// Something else, which costs its row and nothing more.
    Other,
}

impl<'a> List<'a> {
    /// How many rows came.
    pub(super) fn rows(&self) -> usize {
        self.edges.len()
    }

    /// Whether it has a next page, and no cursor for it: no list does that by itself.
    pub(super) fn is_broken_off(&self) -> bool {
        self.rows() == 0 && self.page_info.has_next_page
    }

    /// The rows that can be read, in order.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node<'a>> {
        self.seen().filter_map(|seen| match seen {
            Seen::Node(node) => Some(node),
            Seen::Other => None,
        })
    }

    /// The row at this place, where it can be read.
    pub(super) fn node(&self, row: usize) -> Option<&Node<'a>> {
        match self.edges.get(row)?.as_ref()?.node.as_ref()? {
            Seen::Node(node) => Some(node),
            Seen::Other => None,
        }
    }

    /// How many rows came empty.
    pub(super) fn empty_rows(&self) -> usize {
        self.rows() - self.seen().count()
    }

    /// How many rows came as something that is no object.
    pub(super) fn unreadable_rows(&self) -> usize {
        self.seen().count() - self.nodes().count()
    }

    /// The first row that came empty or as something that is no object, and which of both it is.
    pub(super) fn first_without_node(&self) -> Option<(usize, &'static str)> {
        let nodes = self.edges.iter().map(|edge| match edge {
            Some(RowEdge { node, .. }) => node.as_ref(),
            None => None,
        });
        nodes.enumerate().find_map(|(row, seen)| match seen {
            Some(Seen::Node(_)) => None,
            Some(Seen::Other) => Some((row, UNKNOWN_SHAPE)),
            None => Some((row, EMPTY_ROW)),
        })
    }

    fn seen(&self) -> impl Iterator<Item = &Seen<'a>> {
        let edges = self.edges.iter().flatten();
        edges.filter_map(|edge| edge.node.as_ref())
    }

    /// The cursors of the rows, where they were asked for.
    pub(super) fn cursors(&self) -> impl Iterator<Item = &str> {
        let edges = self.edges.iter().flatten();
        let cursors = edges.filter_map(|edge| edge.cursor.as_ref());
        cursors.map(|cursor| &*cursor.0)
    }

    /// The cursor of the first row, where it was asked for.
    pub(super) fn first_cursor(&self) -> Option<String> {
        let edge = self.edges.first()?.as_ref()?;
        let cursor = edge.cursor.as_ref().map(|cursor| &*cursor.0);
        cursor
            .filter(|cursor| !cursor.is_empty())
            .map(str::to_owned)
    }
}

/// Who a row is.
#[derive(Debug)]
pub(super) struct RowName {
    /// The source's internal id: what its filters take.
    pub(super) id: String,
    pub(super) standard_id: Option<String>,
    pub(super) entity_type: Option<String>,
    updated_at: Option<String>,
}

/// What the reading has to know of a node; none where it has no id, or its time is no text.
pub(super) fn row_of(node: &Node<'_>) -> Option<Row> {
    let id = node.text("id").ok()??;
    let updated_at = node.text("updated_at").ok()?;
    Some(row(&id, updated_at.as_deref()))
}

impl RowName {
    /// The name of a node; none where it has no id, or one of the others is no text.
    pub(super) fn of(node: &Node<'_>) -> Option<Self> {
        Some(Self {
            id: node.decode("id").ok()??,
            standard_id: node.decode("standard_id").ok()?,
            entity_type: node.decode("entity_type").ok()?,
            updated_at: node.decode("updated_at").ok()?,
        })
    }

    /// What it is remembered and asked for by: its STIX id where it has one, else the source's own.
    pub(super) fn into_id(self) -> String {
        let standard_id = self.standard_id.filter(|id| StixId::is_one(id));
        standard_id.unwrap_or(self.id)
    }

    /// What the reading has to know of it.
    pub(super) fn row(&self) -> Row {
        row(&self.id, self.updated_at.as_deref())
    }
}

fn row(id: &str, updated_at: Option<&str>) -> Row {
    Row {
        id: id.into(),
        updated_at: updated_at.and_then(|text| text.parse().ok()),
    }
}

/// The files attached to an object.
#[derive(Debug, Default, serde::Deserialize)]
pub(super) struct AttachedFiles {
    #[serde(default, rename = "pageInfo")]
    page_info: Option<FilesInfo>,
    #[serde(default)]
    edges: Option<Vec<Option<FileEdge>>>,
}

#[derive(Debug, serde::Deserialize)]
struct FilesInfo {
    #[serde(rename = "hasNextPage")]
    has_more: bool,
}

#[derive(Debug, serde::Deserialize)]
struct FileEdge {
    node: Option<SourceFile>,
}

impl AttachedFiles {
    /// Those of a node.
    ///
    /// # Errors
    /// When they have an unknown shape.
    pub(super) fn of(node: &Node<'_>) -> Result<Self, serde_json::Error> {
        Ok(node.decode("importFiles")?.unwrap_or_default())
    }

    fn read(text: &RawValue) -> Result<Self, serde_json::Error> {
        let files: Option<Self> = serde_json::from_str(text.get())?;
        Ok(files.unwrap_or_default())
    }

    /// Whether entries of the list are null, where files should be.
    pub(super) fn has_unseen(&self) -> bool {
        let mut edges = self.edges.iter().flatten();
        edges.any(|edge| edge.as_ref().is_none_or(|edge| edge.node.is_none()))
    }

    /// Whether the object has more than were asked for.
    pub(super) fn has_more(&self) -> bool {
        self.page_info.as_ref().is_some_and(|info| info.has_more)
    }

    /// Those that the source shows, in its order.
    pub(super) fn into_files(self) -> Vec<SourceFile> {
        let edges = self.edges.unwrap_or_default();
        edges
            .into_iter()
            .flatten()
            .filter_map(|edge| edge.node)
            .collect()
    }
}

/// The ends of a relationship.
#[derive(Debug)]
pub(super) struct Ends<'a> {
    id: Cow<'a, str>,
    from: Option<RawEnd<'a>>,
    to: Option<RawEnd<'a>>,
}

#[derive(Debug, serde::Deserialize)]
struct RawEnd<'a> {
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    standard_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    updated_at: Option<Text<'a>>,
}

/// One end of a relationship.
#[derive(Debug)]
pub(super) struct EndRow {
    pub(super) row: Row,
    /// Its STIX id.
    pub(super) standard_id: Box<str>,
}

impl<'a> Ends<'a> {
    /// Those of a node; none where it is no relationship.
    pub(super) fn of(node: &Node<'a>) -> Option<Self> {
        Some(Self {
            id: node.text("id").ok()??,
            from: node.decode("from").ok()?,
            to: node.decode("to").ok()?,
        })
    }

    /// The relationship's own internal id.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Its indicator, where that can be seen.
    pub(super) fn indicator(&self) -> Option<EndRow> {
        self.from.as_ref().and_then(RawEnd::row)
    }

    /// Its observable, where that can be seen.
    pub(super) fn observable(&self) -> Option<EndRow> {
        self.to.as_ref().and_then(RawEnd::row)
    }
}

impl RawEnd<'_> {
    fn row(&self) -> Option<EndRow> {
        let updated_at = self.updated_at.as_ref().map(|text| &*text.0);
        Some(EndRow {
            row: row(&self.id.as_ref()?.0, updated_at),
            standard_id: self.standard_id.as_ref()?.0.as_ref().into(),
        })
    }
}

/// One node: its fields, each as text.
#[derive(Debug)]
pub(super) struct Node<'a> {
    fields: Vec<(&'a str, &'a RawValue)>,
    /// Those whose names came with escapes, which a platform does not write and a proxy may.
    rewritten: Vec<(Box<str>, &'a RawValue)>,
    /// Behind the field that was looked for last: whoever looks for several mostly does so in their order.
    next: AtomicUsize,
}

impl<'a> Node<'a> {
    /// The field's text; none where it is absent or null.
    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        let value = self.find(name)?;
        (value.get() != "null").then_some(value)
    }

    /// Whether the field is null. A list that is null is no empty one: platforms answer `[]`
    /// for that, and null where an error in one of its entries took the whole list away.
    pub(super) fn is_null(&self, name: &str) -> bool {
        self.find(name).is_some_and(|value| value.get() == "null")
    }

    /// A field that has to be there, once, and not null. One that comes twice has two values.
    pub(super) fn once(&self, name: &str) -> Option<&'a RawValue> {
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
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        let rewritten = self.rewritten.iter().map(|(name, value)| (&**name, *value));
        self.fields.iter().copied().chain(rewritten)
    }

    /// The field as text, borrowed where it has no escapes; none where it is absent or null.
    ///
    /// # Errors
    /// When it is no text.
    pub(super) fn text(&self, name: &str) -> Result<Option<Cow<'a, str>>, serde_json::Error> {
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
    pub(super) fn decode<T: serde::Deserialize<'a>>(
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
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// What the objects of a page refer to, by the standard id of the object.
pub(super) type References = TextMap<Box<str>, Vec<Reference>>;

/// One thing that an object refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reference {
    /// An external reference.
    External(ExternalReferenceFields),
    /// Another observable.
    Nested(NestedTarget),
}

/// Another observable that an object refers to.
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
pub(super) struct ExternalReferenceFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    source_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
}

impl ExternalReferenceFields {
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
    /// (docs/protocol.md#import).
    pub(super) fn is_importable(&self) -> bool {
        let is_set = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        is_set(&self.url) || (is_set(&self.source_name) && is_set(&self.external_id))
    }
}

/// An external reference and the files that are attached to it.
#[derive(Debug, Clone)]
pub(super) struct ReferenceFiles {
    pub(super) reference: ExternalReferenceFields,
    pub(super) files: Vec<SourceFile>,
}

/// The external references with files of the objects of a page, by the standard id of the object.
pub(super) type FilesOfReferences = TextMap<Box<str>, Vec<ReferenceFiles>>;

/// A row of references: an object and what it refers to.
#[derive(Debug)]
pub(super) struct Pointed {
    /// The object's standard id.
    pub(super) holder: Box<str>,
    pub(super) reference: Reference,
    /// The files attached to what it refers to.
    pub(super) files: Result<AttachedFiles, serde_json::Error>,
}

/// One row of the references' list.
#[derive(Debug)]
pub(super) struct ReferenceRow {
    id: String,
    relationship_type: String,
    from: Option<ReferenceHolder>,
    to: Option<ReferenceTarget>,
}

#[derive(Debug, serde::Deserialize)]
struct ReferenceHolder {
    standard_id: Option<Box<str>>,
}

/// The internal id of the object that a reference belongs to, where that can be seen.
pub(super) fn holder_of<'a>(node: &Node<'a>) -> Option<Cow<'a, str>> {
    let holder: RawEnd<'a> = node.decode("from").ok()??;
    holder.id.map(|id| id.0)
}

#[derive(Debug, serde::Deserialize)]
struct ReferenceTarget {
    id: Option<Box<str>>,
    standard_id: Option<Box<str>>,
    source_name: Option<String>,
    description: Option<String>,
    url: Option<String>,
    external_id: Option<String>,
    /// As the source wrote it: an unknown shape costs the files and not the reference.
    #[serde(rename = "importFiles")]
    files: Option<Box<RawValue>>,
}

impl ReferenceRow {
    /// The reference of a node; none where it is no reference.
    pub(super) fn of(node: &Node<'_>) -> Option<Self> {
        Some(Self {
            id: node.decode("id").ok()??,
            relationship_type: node.decode("relationship_type").ok()??,
            from: node.decode("from").ok()?,
            to: node.decode("to").ok()?,
        })
    }

    /// The holder and what it refers to.
    ///
    /// # Errors
    /// The row's own id where an end cannot be seen.
    pub(super) fn into_pointed(self) -> Result<Pointed, String> {
        let id = self.id.clone();
        self.ends().ok_or(id)
    }

    fn ends(self) -> Option<Pointed> {
        let holder = self.from?.standard_id?;
        let to = self.to?;
        if self.relationship_type == "external-reference" {
            let external = ExternalReferenceFields {
                source_name: to.source_name,
                description: to.description,
                url: to.url,
                external_id: to.external_id,
            };
            return Some(Pointed {
                holder,
                reference: Reference::External(external),
                files: to.files.map_or(Ok(AttachedFiles::default()), |text| {
                    AttachedFiles::read(&text)
                }),
            });
        }
        let target = NestedTarget {
            relation: self.relationship_type.into_boxed_str(),
            id: to.id?,
            standard_id: to.standard_id?,
        };
        Some(Pointed {
            holder,
            reference: Reference::Nested(target),
            files: Ok(AttachedFiles::default()),
        })
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
        assert_eq!(node.text("value").unwrap().unwrap(), "a\"b\u{e9}");
        assert!(node.text("number").is_err() && node.text("score").unwrap().is_none());
        assert!(node.get("score").is_none() && node.get("other").is_none());
        assert_eq!(node.decode::<u8>("number").unwrap(), Some(1));
        assert!(node.decode::<u8>("value").is_err());
    }

    #[test]
    fn rows_that_cannot_be_seen_or_read_count_as_rows() {
        let text = r#"{"indicators":{"pageInfo":{"endCursor":"","hasNextPage":false,"globalCount":2},"edges":[null,
            {"node":{"id":"x"}},{"node":null},{"node":[{"id":"y"},1]},{"node":"z\n"},{"node":-1},{"node":1.5},{"node":true}]}}"#;
        let data: ListData<'_> = serde_json::from_str(text).unwrap();
        let list = data.list;
        let counts = (list.rows(), list.nodes().count(), list.empty_rows());
        assert_eq!(counts, (8, 1, 2));
        assert_eq!(list.unreadable_rows(), 5);
        assert_eq!(list.first_without_node(), Some((0, EMPTY_ROW)));
    }

    #[test]
    fn an_answer_of_an_unknown_shape_is_no_empty_list() {
        for text in [
            "null",
            "{}",
            r#"{"indicators":null}"#,
            r#"{"indicators":{}}"#,
            r#"{"indicators":{"edges":[]}}"#,
            r#"{"indicators":{"edges":[],"pageInfo":{}}}"#,
            r#"{"indicators":{"pageInfo":{"hasNextPage":false}}}"#,
            r#"{"indicators":{"edges":null,"pageInfo":{"hasNextPage":false}}}"#,
        ] {
            assert!(
                serde_json::from_str::<ListData<'_>>(text).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn a_page_has_no_more_rows_than_a_platform_gives() {
        let page = |rows: usize| {
            let rows = vec!["null"; rows].join(",");
            let text = format!(
                r#"{{"indicators":{{"edges":[{rows}],"pageInfo":{{"hasNextPage":false}}}}}}"#
            );
            serde_json::from_str::<ListData<'_>>(&text).map(|data| data.list.rows())
        };
        assert_eq!(page(MOST_ROWS).unwrap(), MOST_ROWS);
        let error = page(MOST_ROWS + 1).unwrap_err();
        assert!(
            error.to_string().contains("more than 10000 rows"),
            "{error}"
        );
    }

    #[test]
    fn an_external_reference_needs_somewhere_to_lead() {
        let check = |text: &str| {
            serde_json::from_str::<ExternalReferenceFields>(text)
                .unwrap()
                .is_importable()
        };
        assert!(check(r#"{"source_name":"a","url":"https://e.test"}"#));
        assert!(check(r#"{"source_name":"a","external_id":"1"}"#));
        assert!(!check(r#"{"source_name":"a","description":"d","url":""}"#));
    }
}
