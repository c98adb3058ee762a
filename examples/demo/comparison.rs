//! Source and destination side by side, once everything is imported.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use sandbox::{DataSet, Imported, LossKind, Record};
use serde_json::Value;

use crate::notes::Notes;
use crate::stage::Stage;

/// What came of the source's content.
pub(crate) struct Comparison {
    /// Observables by type, the most first; then indicators and relationships.
    pub(crate) rows: Vec<Row>,
    /// The ids of what is not at the destination although nothing speaks against it.
    pub(crate) missing: Vec<String>,
    /// Observables, indicators and relationships at the destination that the source does not have.
    pub(crate) foreign: usize,
    pub(crate) labels: Labels,
    pub(crate) markings: Markings,
    /// What objects landed without, by kind.
    pub(crate) losses: BTreeMap<&'static str, usize>,
}

/// One type.
#[derive(Default)]
pub(crate) struct Row {
    pub(crate) kind: String,
    pub(crate) in_source: u64,
    pub(crate) arrived: u64,
    /// Objects that the connector names as not sent, by reason.
    pub(crate) not_sent: BTreeMap<String, u64>,
    /// Objects that should have arrived.
    pub(crate) missing: u64,
}

/// The labels that the source's objects carry.
#[derive(Default)]
pub(crate) struct Labels {
    pub(crate) in_source: usize,
    pub(crate) arrived: usize,
    /// Of these, with the source's colour.
    pub(crate) in_colour: usize,
}

/// The markings that the source's objects carry.
#[derive(Default)]
pub(crate) struct Markings {
    pub(crate) in_source: usize,
    pub(crate) arrived: usize,
    /// Objects that arrived and are marked in the source.
    pub(crate) objects: usize,
    /// Of these, objects that are marked at the destination.
    pub(crate) objects_marked: usize,
}

impl Comparison {
    pub(crate) fn of(stage: &Stage, notes: &Notes) -> Self {
        let (data, imported) = (&stage.data, stage.destination.imported());
        let mut missing = Vec::new();
        let mut rows = Vec::new();
        for list in [&data.observables, &data.indicators, &data.relationships] {
            rows.extend(rows_of(list, &imported, notes, &mut missing));
        }
        let shared = data.shared.iter().map(|record| (record.id(), record));
        let shared = shared.collect();
        Self {
            rows,
            missing,
            foreign: foreign(data, &imported),
            labels: Labels::of(data, &shared, &imported),
            markings: Markings::of(data, &shared, &imported),
            losses: losses(&imported),
        }
    }

    /// All rows as one.
    pub(crate) fn total(&self) -> Row {
        let mut total = Row {
            kind: "all".to_owned(),
            ..Row::default()
        };
        for row in &self.rows {
            total.in_source += row.in_source;
            total.arrived += row.arrived;
            total.missing += row.missing;
        }
        total
    }

    /// Everything arrived that can, with its markings, and nothing else.
    pub(crate) fn is_whole(&self) -> bool {
        let Labels {
            in_source, arrived, ..
        } = self.labels;
        self.missing.is_empty()
            && self.foreign == 0
            && self.losses.is_empty()
            && arrived == in_source
            && self.markings.arrived == self.markings.in_source
            && self.markings.objects_marked == self.markings.objects
    }
}

/// One row for each type in the list, the most first.
fn rows_of(
    list: &[Record],
    imported: &Imported,
    notes: &Notes,
    missing: &mut Vec<String>,
) -> Vec<Row> {
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    for record in list {
        let (kind, id) = (record.text("entity_type"), record.standard_id());
        let row = rows.entry(kind).or_default();
        row.in_source += 1;
        if imported.get(id).is_some() {
            row.arrived += 1;
        } else if let Some(reason) = notes.reason(kind, id) {
            *row.not_sent.entry(reason).or_default() += 1;
        } else {
            row.missing += 1;
            missing.push(id.to_owned());
        }
    }
    let named = rows.into_iter().map(|(kind, row)| Row {
        kind: kind.to_owned(),
        ..row
    });
    let mut rows: Vec<Row> = named.collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.in_source));
    rows
}

/// Objects of the compared kinds that the source does not know; what surrounds them is left out.
fn foreign(data: &DataSet, imported: &Imported) -> usize {
    let known: HashSet<&str> = objects(data).map(Record::standard_id).collect();
    let surrounds = |id: &str| {
        ["identity--", "marking-definition--"]
            .iter()
            .any(|prefix| id.starts_with(prefix))
    };
    imported
        .objects()
        .filter(|(id, _)| !known.contains(id) && !surrounds(id))
        .count()
}

fn losses(imported: &Imported) -> BTreeMap<&'static str, usize> {
    let mut losses = BTreeMap::new();
    for loss in imported.losses() {
        let kind = match loss.kind {
            LossKind::Author => "author",
            LossKind::Marking => "marking",
            LossKind::Label => "label",
            LossKind::Reference => "reference",
            LossKind::Member => "member of a container",
            LossKind::ExternalReference => "external reference",
        };
        *losses.entry(kind).or_default() += 1;
    }
    losses
}

type Shared<'a> = HashMap<&'a str, &'a Record>;

impl Labels {
    fn of(data: &DataSet, shared: &Shared<'_>, imported: &Imported) -> Self {
        let mut labels = Self::default();
        for label in carried(data, shared, "objectLabel") {
            labels.in_source += 1;
            let Some(arrived) = imported.label(label.text("value")) else {
                continue;
            };
            labels.arrived += 1;
            let colour = arrived.color.as_deref().unwrap_or_default();
            labels.in_colour += usize::from(colour.eq_ignore_ascii_case(label.text("color")));
        }
        labels
    }
}

impl Markings {
    fn of(data: &DataSet, shared: &Shared<'_>, imported: &Imported) -> Self {
        let mut markings = Self::default();
        for marking in carried(data, shared, "objectMarking") {
            markings.in_source += 1;
            markings.arrived += usize::from(imported.get(marking.standard_id()).is_some());
        }
        for object in objects(data).filter(|object| ids(object, "objectMarking").next().is_some()) {
            if let Some(arrived) = imported.get(object.standard_id()) {
                markings.objects += 1;
                markings.objects_marked += usize::from(!arrived.markings.is_empty());
            }
        }
        markings
    }
}

/// What the objects of the source refer to in this field, each once.
fn carried<'a>(
    data: &'a DataSet,
    shared: &'a Shared<'a>,
    field: &'a str,
) -> impl Iterator<Item = &'a Record> {
    let ids: BTreeSet<&str> = objects(data)
        .flat_map(|object| ids(object, field))
        .collect();
    ids.into_iter().filter_map(|id| shared.get(id).copied())
}

fn objects(data: &DataSet) -> impl Iterator<Item = &Record> {
    [&data.observables, &data.indicators, &data.relationships]
        .into_iter()
        .flatten()
}

fn ids<'a>(object: &'a Record, field: &str) -> impl Iterator<Item = &'a str> {
    let list = object.get(field).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str)
}
