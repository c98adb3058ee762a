//! The list queries over a content: order, cursors, filters, counts (docs/protocol.md#lists).

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, OnceLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::data::{DataSet, Record};
use crate::graphql::PlatformError;
use crate::lock;
use crate::time;
use crate::types::ObservableType;
use crate::worker::imported::kinds::is_domain_entity;

mod filter;

pub(crate) use filter::Filter;
use filter::FilterGroup;

/// The default of `elasticsearch:default_pagination_result`.
const DEFAULT_PAGE: usize = 500;

/// The lists that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum List {
    Observables,
    Indicators,
    Relationships,
    Sightings,
    References,
    /// Indicators and all other domain objects.
    DomainObjects,
    /// Observables and domain objects.
    CoreObjects,
}

impl List {
    /// The list behind a field of `Query`.
    pub(crate) fn of_field(field: &str) -> Option<Self> {
        match field {
            "stixCyberObservables" => Some(Self::Observables),
            "indicators" => Some(Self::Indicators),
            "stixCoreRelationships" => Some(Self::Relationships),
            "stixSightingRelationships" => Some(Self::Sightings),
            "stixRefRelationships" => Some(Self::References),
            "stixDomainObjects" => Some(Self::DomainObjects),
            "stixCoreObjects" => Some(Self::CoreObjects),
            _ => None,
        }
    }
}

/// The arguments of a list query.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Arguments {
    first: Option<i64>,
    after: Option<String>,
    #[serde(rename = "orderBy")]
    order_by: Option<String>,
    #[serde(rename = "orderMode")]
    order_mode: Option<String>,
    filters: Option<FilterGroup>,
    #[serde(rename = "fromTypes")]
    from_types: Option<Vec<Option<String>>>,
    relationship_type: Option<Vec<Option<String>>>,
    search: Option<String>,
    types: Option<Vec<Option<String>>>,
}

/// Reads a filter group as the platform stores it.
pub(crate) fn compile(stored: &Value) -> Result<Filter, PlatformError> {
    let group = FilterGroup::deserialize(stored);
    let group = group.map_err(|error| PlatformError::functional(format!("no filter: {error}")))?;
    group.compile()
}

/// One page of a list.
pub(crate) struct Page<'a> {
    pub(crate) rows: Vec<Row<'a>>,
    pub(crate) has_next: bool,
    pub(crate) total: usize,
}

/// A record and the cursor after it.
pub(crate) struct Row<'a> {
    pub(crate) record: &'a Record,
    pub(crate) cursor: String,
}

/// A content with its indexes.
pub(crate) struct Catalogue {
    data: DataSet,
    places: HashMap<String, (Place, usize)>,
    indexes: HashMap<List, Index>,
    /// Standard ids of rows that are counted and not answered.
    hidden: HashSet<String>,
    /// Totals under filters that were asked before: each page asks for the same one.
    totals: Mutex<HashMap<String, usize>>,
    /// The same content as lists of objects of several types, made when they are asked for.
    domain: OnceLock<Box<Catalogue>>,
    core: OnceLock<Box<Catalogue>>,
}

/// Which list of the content a record stands in.
#[derive(Debug, Clone, Copy)]
enum Place {
    Listed(List),
    Shared,
}

/// Positions in one list of the content.
#[derive(Default)]
struct Index {
    by_update: Vec<Position>,
    by_standard_id: Vec<Position>,
    sources: HashMap<String, Vec<usize>>,
}

#[derive(Debug, Clone, Copy)]
struct Position {
    updated: i64,
    index: usize,
}

/// How a list is ordered: by `updated_at` and the standard id, or by the standard id alone.
#[derive(Debug, Clone, Copy)]
struct Order {
    by_update: bool,
    descending: bool,
}

impl Catalogue {
    pub(crate) fn new(data: DataSet) -> Self {
        let mut catalogue = Self {
            data,
            places: HashMap::new(),
            indexes: HashMap::new(),
            hidden: HashSet::new(),
            totals: Mutex::new(HashMap::new()),
            domain: OnceLock::new(),
            core: OnceLock::new(),
        };
        catalogue.build();
        catalogue
    }

    pub(crate) fn data(&self) -> &DataSet {
        &self.data
    }

    /// Changes the content and builds the indexes anew.
    pub(crate) fn edit<T>(&mut self, change: impl FnOnce(&mut DataSet) -> T) -> T {
        let answer = change(&mut self.data);
        self.build();
        answer
    }

    /// Counts a row from now on without answering it.
    pub(crate) fn hide(&mut self, standard_id: &str) {
        self.hidden.insert(standard_id.to_owned());
    }

    /// The record with this internal or standard id.
    pub(crate) fn find(&self, id: &str) -> Option<&Record> {
        let (place, index) = self.places.get(id)?;
        self.records(*place).get(*index)
    }

    /// One page of a list.
    pub(crate) fn page(
        &self,
        list: List,
        arguments: &Arguments,
        cap: usize,
    ) -> Result<Page<'_>, PlatformError> {
        let requested = match arguments.first {
            Some(first) => usize::try_from(first)
                .map_err(|_| PlatformError::functional("first cannot be negative"))?,
            None => DEFAULT_PAGE,
        };
        let order = arguments.order();
        let filter = arguments.filter()?;
        let after = arguments.after.as_deref().filter(|after| !after.is_empty());
        let after = after
            .map(|after| Cursor::decode(after, order))
            .transpose()?;
        let candidates = self.candidates(list, &filter, order);
        let rest = self.after(list, &candidates, after.as_ref(), order);
        let matching =
            rest.filter(|(position, record)| self.matches(arguments, &filter, *position, record));
        let rows: Vec<Row<'_>> = matching
            .filter(|(_, record)| !self.hidden.contains(record.standard_id()))
            .take(requested.min(cap))
            .map(|(position, record)| Row {
                record,
                cursor: Cursor::encode(position, record, order),
            })
            .collect();
        // The trap of the real platform: an answer cut by the cap looks like the last page.
        let has_next = rows.len() == requested;
        Ok(Page {
            total: self.total(list, arguments, &filter, &candidates),
            has_next,
            rows,
        })
    }

    /// The catalogue that has a list, and the list's name there.
    pub(crate) fn of_list(&self, list: List) -> (&Self, List) {
        let catalogue = match list {
            List::DomainObjects => self.domain.get_or_init(|| self.of_objects(&[])),
            List::CoreObjects => self
                .core
                .get_or_init(|| self.of_objects(&self.data.observables)),
            _ => return (self, list),
        };
        (catalogue, List::DomainObjects)
    }

    fn of_objects(&self, observables: &[Record]) -> Box<Self> {
        let objects = self.data.domain_objects.iter();
        let objects = objects.chain(&self.data.indicators).chain(observables);
        Box::new(Self::new(DataSet {
            domain_objects: objects.cloned().collect(),
            shared: self.data.shared.clone(),
            ..DataSet::default()
        }))
    }

    fn build(&mut self) {
        self.domain = OnceLock::new();
        self.core = OnceLock::new();
        lock(&self.totals).clear();
        self.places.clear();
        self.indexes.clear();
        for list in [
            List::Observables,
            List::Indicators,
            List::Relationships,
            List::Sightings,
            List::References,
            List::DomainObjects,
        ] {
            let records = self.records(Place::Listed(list));
            let index = Index::new(records);
            let places = places(records, Place::Listed(list), list != List::References);
            self.places.extend(places);
            self.indexes.insert(list, index);
        }
        let shared = places(&self.data.shared, Place::Shared, true);
        self.places.extend(shared);
    }

    fn records(&self, place: Place) -> &[Record] {
        match place {
            Place::Listed(List::Observables) => &self.data.observables,
            Place::Listed(List::Indicators) => &self.data.indicators,
            Place::Listed(List::Relationships) => &self.data.relationships,
            Place::Listed(List::Sightings) => &self.data.sightings,
            Place::Listed(List::References) => &self.data.references,
            Place::Listed(List::DomainObjects | List::CoreObjects) => &self.data.domain_objects,
            Place::Shared => &self.data.shared,
        }
    }

    fn matches(
        &self,
        arguments: &Arguments,
        filter: &Filter,
        position: Position,
        record: &Record,
    ) -> bool {
        let types = arguments.from_types.as_deref().unwrap_or_default();
        let is_from_types = || {
            let from = self.find(record.text("from"));
            from.is_some_and(|from| types.iter().flatten().any(|kind| is_of_type(from, kind)))
        };
        let is_found = || {
            arguments
                .search
                .as_deref()
                .is_none_or(|search| is_found(record, search))
        };
        filter.matches(record, position.updated)
            && (types.is_empty() || is_from_types())
            && arguments.has_type(record)
            && is_found()
    }

    /// The positions that can match, in ascending order: of given `fromId`s only theirs.
    fn candidates(&self, list: List, filter: &Filter, order: Order) -> Candidates<'_> {
        let Some(index) = self.indexes.get(&list) else {
            return Candidates::Some(Vec::new());
        };
        let Some(ids) = filter.sources() else {
            return Candidates::All(if order.by_update {
                &index.by_update
            } else {
                &index.by_standard_id
            });
        };
        let records = self.records(Place::Listed(list));
        let of_ids = ids.iter().filter_map(|id| index.sources.get(id)).flatten();
        let mut positions: Vec<Position> = of_ids
            .filter_map(|index| Position::of(records, *index))
            .collect();
        sort(&mut positions, records, order.by_update);
        Candidates::Some(positions)
    }

    /// The candidates after the cursor, in the order asked for.
    fn after<'s: 'c, 'c>(
        &'s self,
        list: List,
        candidates: &'c Candidates<'s>,
        after: Option<&Cursor>,
        order: Order,
    ) -> Box<dyn Iterator<Item = (Position, &'s Record)> + 'c> {
        let records = self.records(Place::Listed(list));
        let positions = candidates.positions();
        let is_before = |position: &Position, or_at: bool| {
            after.is_none_or(|cursor| {
                let ordering = cursor.compare(*position, records, order.by_update);
                if or_at {
                    ordering.is_ge()
                } else {
                    ordering.is_gt()
                }
            })
        };
        let row = move |position: &Position| Some((*position, records.get(position.index)?));
        if order.descending {
            let end = if after.is_some() {
                positions.partition_point(|p| is_before(p, false))
            } else {
                positions.len()
            };
            Box::new(positions.iter().take(end).rev().filter_map(row))
        } else {
            let start = if after.is_some() {
                positions.partition_point(|p| is_before(p, true))
            } else {
                0
            };
            Box::new(positions.iter().skip(start).filter_map(row))
        }
    }

    fn total(
        &self,
        list: List,
        arguments: &Arguments,
        filter: &Filter,
        candidates: &Candidates<'_>,
    ) -> usize {
        let records = self.records(Place::Listed(list));
        let count = || {
            let row = |p: &&Position| {
                records
                    .get(p.index)
                    .is_some_and(|r| self.matches(arguments, filter, **p, r))
            };
            candidates.positions().iter().filter(row).count()
        };
        match candidates {
            Candidates::Some(_) => count(),
            Candidates::All(_) => {
                let key = format!("{list:?} {} {:?}", arguments.scope(), arguments.filters);
                let known = lock(&self.totals).get(&key).copied();
                known.unwrap_or_else(|| *lock(&self.totals).entry(key).or_insert_with(count))
            }
        }
    }
}

impl Arguments {
    fn order(&self) -> Order {
        let by_update = self.order_by.as_deref() == Some("updated_at");
        Order {
            by_update,
            descending: self.order_mode.as_deref() == Some("desc"),
        }
    }

    fn filter(&self) -> Result<Filter, PlatformError> {
        let mut filter = match &self.filters {
            Some(group) => group.compile()?,
            None => Filter::everything(),
        };
        if let Some(types) = &self.relationship_type {
            filter.add_relationship_types(types.iter().flatten());
        }
        Ok(filter)
    }

    /// Names of types that the platform does not know count for nothing, and if none is left, any
    /// type is taken.
    fn has_type(&self, record: &Record) -> bool {
        let asked = self.types.iter().flatten().flatten();
        let known: Vec<&String> = asked.filter(|name| is_type_known(name)).collect();
        known.is_empty() || known.iter().any(|kind| is_of_type(record, kind))
    }

    fn scope(&self) -> String {
        format!(
            "{:?} {:?} {:?} {:?}",
            self.from_types, self.relationship_type, self.search, self.types
        )
    }
}

impl Index {
    fn new(records: &[Record]) -> Self {
        let mut index = Self::default();
        index
            .by_update
            .extend((0..records.len()).filter_map(|position| Position::of(records, position)));
        index.by_standard_id.clone_from(&index.by_update);
        sort(&mut index.by_update, records, true);
        sort(&mut index.by_standard_id, records, false);
        for (position, record) in records.iter().enumerate() {
            if record.get("from").is_some() {
                index
                    .sources
                    .entry(record.text("from").to_owned())
                    .or_default()
                    .push(position);
            }
        }
        index
    }
}

impl Position {
    fn of(records: &[Record], index: usize) -> Option<Self> {
        let updated =
            time::milliseconds(records.get(index)?.text("updated_at")).unwrap_or_default();
        Some(Self { updated, index })
    }

    fn standard_id(self, records: &[Record]) -> &str {
        records
            .get(self.index)
            .map(Record::standard_id)
            .unwrap_or_default()
    }
}

/// Positions to look through.
enum Candidates<'a> {
    All(&'a [Position]),
    Some(Vec<Position>),
}

impl Candidates<'_> {
    fn positions(&self) -> &[Position] {
        match self {
            Self::All(positions) => positions,
            Self::Some(positions) => positions,
        }
    }
}

fn sort(positions: &mut [Position], records: &[Record], by_update: bool) {
    positions.sort_unstable_by(|one, other| {
        let times = if by_update {
            one.updated.cmp(&other.updated)
        } else {
            std::cmp::Ordering::Equal
        };
        times.then_with(|| one.standard_id(records).cmp(other.standard_id(records)))
    });
}

/// Both ids of each record; reference relationships are never looked up.
fn places(records: &[Record], place: Place, wanted: bool) -> Vec<(String, (Place, usize))> {
    let records = records.iter().enumerate().filter(|_| wanted);
    let ids = |record: &Record| [record.id().to_owned(), record.standard_id().to_owned()];
    records
        .flat_map(|(index, record)| ids(record).map(|id| (id, (place, index))))
        .collect()
}

/// The full text search: each word somewhere in the texts, whatever stands around it.
fn is_found(record: &Record, search: &str) -> bool {
    let texts =
        ["name", "pattern", "description", "value"].map(|name| record.text(name).to_lowercase());
    let words = search.to_lowercase().replace('"', " ");
    words
        .split_whitespace()
        .all(|word| texts.iter().any(|text| text.contains(word)))
}

fn is_of_type(record: &Record, kind: &str) -> bool {
    let is_observable = ObservableType::by_typename(record.typename()).is_some();
    record.text("entity_type") == kind
        || match kind {
            "Stix-Cyber-Observable" => is_observable,
            "Stix-Domain-Object" => !is_observable,
            _ => kind == "Stix-Core-Object",
        }
}

fn is_type_known(kind: &str) -> bool {
    const ABSTRACT: [&str; 3] = [
        "Stix-Cyber-Observable",
        "Stix-Domain-Object",
        "Stix-Core-Object",
    ];
    ABSTRACT.contains(&kind)
        || ObservableType::by_entity_type(kind).is_some()
        || is_domain_entity(kind)
}

/// The sort values of the last row seen.
struct Cursor {
    updated: i64,
    standard_id: String,
}

impl Cursor {
    fn encode(position: Position, record: &Record, order: Order) -> String {
        let values = if order.by_update {
            json!([position.updated, record.standard_id()])
        } else {
            json!([record.standard_id()])
        };
        STANDARD.encode(values.to_string())
    }

    fn decode(text: &str, order: Order) -> Result<Self, PlatformError> {
        let values: Option<Vec<Value>> = STANDARD
            .decode(text)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let cursor = match values.as_deref() {
            Some([updated, standard_id]) if order.by_update => updated
                .as_i64()
                .zip(standard_id.as_str())
                .map(|(updated, id)| (updated, id.to_owned())),
            Some([standard_id]) if !order.by_update => {
                standard_id.as_str().map(|id| (0, id.to_owned()))
            }
            _ => None,
        };
        let refused = || PlatformError::new("DATABASE_ERROR", "Find direct ids fail");
        cursor
            .map(|(updated, standard_id)| Self {
                updated,
                standard_id,
            })
            .ok_or_else(refused)
    }

    /// How the cursor stands to a row.
    fn compare(
        &self,
        position: Position,
        records: &[Record],
        by_update: bool,
    ) -> std::cmp::Ordering {
        let times = if by_update {
            self.updated.cmp(&position.updated)
        } else {
            std::cmp::Ordering::Equal
        };
        times.then_with(|| self.standard_id.as_str().cmp(position.standard_id(records)))
    }
}
