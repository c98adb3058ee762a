//! Filter groups as the platform evaluates them.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::data::Record;
use crate::graphql::PlatformError;
use crate::time;

/// A filter group as it is sent.
#[derive(Debug, Deserialize)]
pub(crate) struct FilterGroup {
    mode: Mode,
    filters: Vec<SentFilter>,
    #[serde(rename = "filterGroups")]
    groups: Vec<FilterGroup>,
}

#[derive(Debug, Deserialize)]
struct SentFilter {
    /// One or several; the platform stores one as a text or as a list.
    #[serde(deserialize_with = "one_or_several")]
    key: Vec<String>,
    values: Vec<Value>,
    operator: Option<Operator>,
    mode: Option<Mode>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    And,
    Or,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Operator {
    Eq,
    NotEq,
    Gt,
    Gte,
    Lt,
    Lte,
    Contains,
    NotContains,
    StartsWith,
    NotStartsWith,
    EndsWith,
    NotEndsWith,
    Nil,
    NotNil,
}

fn one_or_several<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Sent {
        One(String),
        Several(Vec<String>),
    }
    Ok(match Sent::deserialize(deserializer)? {
        Sent::One(key) => vec![key],
        Sent::Several(keys) => keys,
    })
}

/// The index behind the key `pattern` does not have longer patterns than this.
const LONGEST_INDEXED: usize = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    UpdatedAt,
    CreatedAt,
    EntityType,
    StandardId,
    Id,
    Ids,
    FromId,
    ToId,
    RelationshipType,
    Label,
    Pattern,
    /// A field in which case does not count.
    Name(&'static str),
    /// A field of the record by its own name.
    Field(&'static str),
}

/// Fields that are compared as they are.
const FIELDS: [&str; 9] = [
    "pattern_type",
    "revoked",
    "x_opencti_score",
    "x_opencti_detection",
    "x_opencti_main_observable_type",
    "confidence",
    "createdBy",
    "objectMarking",
    "indicator_types",
];
/// Fields that hold names: upper and lower case are the same there.
const NAMES: [&str; 4] = ["name", "aliases", "x_opencti_aliases", "x_mitre_id"];
/// Fields that hold times.
const TIMES: [&str; 3] = ["valid_from", "valid_until", "created"];

/// A filter ready for use.
#[derive(Debug)]
pub(crate) struct Filter {
    mode: Mode,
    conditions: Vec<Condition>,
    groups: Vec<Filter>,
}

#[derive(Debug)]
struct Condition {
    keys: Vec<Key>,
    texts: HashSet<String>,
    /// What can be compared by order: moments, numbers.
    bounds: Vec<i64>,
    operator: Operator,
    mode: Mode,
}

impl FilterGroup {
    /// Reads keys and values.
    pub(super) fn compile(&self) -> Result<Filter, PlatformError> {
        Ok(Filter {
            mode: self.mode,
            conditions: self
                .filters
                .iter()
                .map(SentFilter::compile)
                .collect::<Result<_, _>>()?,
            groups: self
                .groups
                .iter()
                .map(Self::compile)
                .collect::<Result<_, _>>()?,
        })
    }
}

impl SentFilter {
    fn compile(&self) -> Result<Condition, PlatformError> {
        let text = |value: &Value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        };
        let keys = self.key.iter().map(|key| Key::read(key));
        let keys: Vec<Key> = keys.collect::<Result<_, _>>()?;
        let mut texts: HashSet<String> = self.values.iter().map(text).collect();
        if keys.iter().any(|key| matches!(key, Key::Name(_))) {
            texts = texts.iter().map(|text| text.to_lowercase()).collect();
        }
        Ok(Condition {
            keys,
            bounds: texts
                .iter()
                .filter_map(|text| time::milliseconds(text).or_else(|| text.parse().ok()))
                .collect(),
            texts,
            operator: self.operator.unwrap_or(Operator::Eq),
            mode: self.mode.unwrap_or(Mode::Or),
        })
    }
}

impl Key {
    fn read(key: &str) -> Result<Self, PlatformError> {
        Ok(match key {
            "updated_at" => Self::UpdatedAt,
            "created_at" => Self::CreatedAt,
            "entity_type" => Self::EntityType,
            "standard_id" => Self::StandardId,
            "id" => Self::Id,
            "ids" => Self::Ids,
            "fromId" => Self::FromId,
            "toId" => Self::ToId,
            "relationship_type" => Self::RelationshipType,
            "objectLabel" => Self::Label,
            "pattern" => Self::Pattern,
            key => {
                if let Some(known) = NAMES.iter().find(|known| **known == key) {
                    return Ok(Self::Name(known));
                }
                let mut fields = FIELDS.iter().chain(&TIMES);
                if let Some(known) = fields.find(|known| **known == key) {
                    return Ok(Self::Field(known));
                }
                let message = "incorrect filter keys not existing in any schema definition";
                return Err(PlatformError::functional(message));
            }
        })
    }

    /// The values that the record has under this key; under `ids` all its ids, of labels their ids
    /// and their texts.
    fn values(self, record: &Record) -> Vec<Cow<'_, str>> {
        let field = match self {
            Self::UpdatedAt => "updated_at",
            Self::CreatedAt => "created_at",
            Self::EntityType => "entity_type",
            Self::StandardId => "standard_id",
            Self::Id => "id",
            Self::FromId => "from",
            Self::ToId => "to",
            Self::RelationshipType => "relationship_type",
            Self::Field(name) => name,
            Self::Pattern => {
                let pattern = record.text("pattern");
                let is_indexed = pattern.chars().count() <= LONGEST_INDEXED;
                return is_indexed.then_some(pattern.into()).into_iter().collect();
            }
            Self::Label => return label_values(record),
            Self::Name(name) => {
                let values = texts(record.get(name)).into_iter();
                return values.map(|value| value.to_lowercase().into()).collect();
            }
            Self::Ids => {
                let own = [record.id().into(), record.standard_id().into()];
                let further = texts(record.get("x_opencti_stix_ids"));
                return own.into_iter().chain(further).collect();
            }
        };
        texts(record.get(field))
    }

    /// The moment that the record has under this key.
    fn time(self, record: &Record, updated: i64) -> Option<i64> {
        match self {
            Self::UpdatedAt => Some(updated),
            Self::CreatedAt => time::milliseconds(record.text("created_at")),
            Self::Field(name) if TIMES.contains(&name) => time::milliseconds(record.text(name)),
            _ => None,
        }
    }
}

fn texts(value: Option<&Value>) -> Vec<Cow<'_, str>> {
    match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(text)) => vec![text.as_str().into()],
        Some(Value::Array(list)) => list.iter().flat_map(|value| texts(Some(value))).collect(),
        Some(other) => vec![other.to_string().into()],
    }
}

fn label_values(record: &Record) -> Vec<Cow<'_, str>> {
    let ids = texts(record.get("objectLabel"));
    let internal = ids
        .iter()
        .filter_map(|id| Some(id.split_once("--")?.1.to_owned().into()));
    let internal: Vec<Cow<'_, str>> = internal.collect();
    ids.into_iter()
        .chain(internal)
        .chain(texts(record.get("label_values")))
        .collect()
}

impl Filter {
    pub(crate) fn everything() -> Self {
        Self {
            mode: Mode::And,
            conditions: Vec::new(),
            groups: Vec::new(),
        }
    }

    /// Narrows to these relationship types; the abstract types take all.
    pub(super) fn add_relationship_types<'a>(&mut self, types: impl Iterator<Item = &'a String>) {
        let texts: HashSet<String> = types.cloned().collect();
        let all = ["stix-core-relationship", "stix-ref-relationship"];
        if !texts.is_empty() && !all.iter().any(|all| texts.contains(*all)) {
            self.require(Key::RelationshipType, texts);
        }
    }

    fn require(&mut self, key: Key, texts: HashSet<String>) {
        let condition = Condition {
            keys: vec![key],
            texts,
            bounds: Vec::new(),
            operator: Operator::Eq,
            mode: Mode::Or,
        };
        let rest = std::mem::replace(self, Self::everything());
        self.conditions.push(condition);
        self.groups.push(rest);
    }

    /// The internal ids that a matching relationship must come from, where the filter says so.
    pub(super) fn sources(&self) -> Option<&HashSet<String>> {
        if self.mode == Mode::Or && self.conditions.len() + self.groups.len() > 1 {
            return None;
        }
        let own = self
            .conditions
            .iter()
            .find(|condition| condition.names_sources());
        own.map(|condition| &condition.texts)
            .or_else(|| self.groups.iter().find_map(Self::sources))
    }

    pub(crate) fn matches(&self, record: &Record, updated: i64) -> bool {
        let conditions = self
            .conditions
            .iter()
            .map(|condition| condition.matches(record, updated));
        let mut results = conditions.chain(
            self.groups
                .iter()
                .map(|group| group.matches(record, updated)),
        );
        match self.mode {
            Mode::And => results.all(|result| result),
            Mode::Or => {
                self.conditions.is_empty() && self.groups.is_empty() || results.any(|result| result)
            }
        }
    }
}

impl Condition {
    fn names_sources(&self) -> bool {
        self.keys == [Key::FromId] && self.operator == Operator::Eq && self.mode == Mode::Or
    }

    fn matches(&self, record: &Record, updated: i64) -> bool {
        self.keys.iter().any(|key| match self.operator {
            Operator::Eq => self.equals(*key, record),
            Operator::NotEq => !self.equals(*key, record),
            Operator::Contains => self.holds(*key, record, |value, text| value.contains(text)),
            Operator::NotContains => !self.holds(*key, record, |value, text| value.contains(text)),
            Operator::StartsWith => self.holds(*key, record, |value, text| value.starts_with(text)),
            Operator::NotStartsWith => {
                !self.holds(*key, record, |value, text| value.starts_with(text))
            }
            Operator::EndsWith => self.holds(*key, record, |value, text| value.ends_with(text)),
            Operator::NotEndsWith => !self.holds(*key, record, |value, text| value.ends_with(text)),
            Operator::Nil => key.values(record).is_empty(),
            Operator::NotNil => !key.values(record).is_empty(),
            Operator::Gt | Operator::Gte | Operator::Lt | Operator::Lte => {
                self.compares(*key, record, updated)
            }
        })
    }

    fn equals(&self, key: Key, record: &Record) -> bool {
        self.holds(key, record, |value, text| value == text)
    }

    /// Whether it holds between the record's values and the asked ones: for one of these, or all.
    fn holds(&self, key: Key, record: &Record, is_so: impl Fn(&str, &str) -> bool) -> bool {
        let values = key.values(record);
        if self.operator == Operator::Eq && self.mode == Mode::Or {
            // Long lists of ids are asked for.
            return values
                .iter()
                .any(|value| self.texts.contains(value.as_ref()));
        }
        let holds = |text: &String| values.iter().any(|value| is_so(value, text));
        match self.mode {
            Mode::Or => self.texts.iter().any(holds),
            Mode::And => self.texts.iter().all(holds),
        }
    }

    /// Times and numbers have an order.
    fn compares(&self, key: Key, record: &Record, updated: i64) -> bool {
        let own = key.time(record, updated);
        let number = || {
            key.values(record)
                .first()
                .and_then(|value| value.parse().ok())
        };
        let Some(own) = own.or_else(number) else {
            return false;
        };
        let holds = |bound: &i64| match self.operator {
            Operator::Gt => own > *bound,
            Operator::Gte => own >= *bound,
            Operator::Lt => own < *bound,
            _ => own <= *bound,
        };
        match self.mode {
            Mode::Or => self.bounds.iter().any(holds),
            Mode::And => self.bounds.iter().all(holds),
        }
    }
}
