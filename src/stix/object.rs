//! One STIX object: its text, and which other objects it needs.

mod forms;
mod offsets;
mod reference;
mod writer;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use serde::de::IgnoredAny;

use super::StixId;
use offsets::PropertyOffsets;
pub use reference::ObjectReference;
pub use writer::ObjectWriter;

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
    /// sighting, together called its ends.
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
    /// The row of the source of which it came: those that stand next to each other and have the same number here count as
    /// one for the size of a message. None: it counts alone.
    pub row: Option<u64>,
    /// Whether what its versions say adds up at the destination, whatever their order: a threat that each report marks as
    /// it is marked itself. Of others, a version is not sent before the one ahead of it is imported.
    pub adds_up: bool,
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

    /// The ids of what it refers to and can go without.
    pub fn targets(&self) -> impl Iterator<Item = &str> {
        let targets = self
            .references
            .iter()
            .flat_map(|reference| &reference.targets);
        targets.map(StixId::as_str)
    }

    /// The ids of the objects that it refers to: those it can go without, then source and target of a relationship.
    pub fn refers_to(&self) -> impl Iterator<Item = &StixId> {
        let references = self.references.iter();
        let targets = references.flat_map(|reference| &reference.targets);
        targets.chain(&self.imported)
    }

    /// The object with other handling, in each of its forms.
    #[must_use]
    pub fn handled(self, handling: Handling) -> Self {
        self.in_each_form(&|form| form.handling = handling)
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

    /// The JSON from where the value of a property begins, to its own end; none where the object does not
    /// have the property, or its place is not remembered.
    pub fn from_value(&self, property: &str) -> Option<&str> {
        self.json.get(self.offsets.get(property)?..)
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
}
