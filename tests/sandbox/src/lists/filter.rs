//! Filter groups as the platform evaluates them.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::Value;

use crate::data::Record;
use crate::graphql::PlatformError;
use crate::time;

/// A filter group as it is sent.
#[derive(Debug, Deserialize)]
pub(super) struct FilterGroup {
    mode: Mode,
    filters: Vec<SentFilter>,
    #[serde(rename = "filterGroups")]
    groups: Vec<FilterGroup>,
}

#[derive(Debug, Deserialize)]
struct SentFilter {
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
}

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
}

/// A filter ready for use.
#[derive(Debug)]
pub(super) struct Filter {
    mode: Mode,
    conditions: Vec<Condition>,
    groups: Vec<Filter>,
}

#[derive(Debug)]
struct Condition {
    keys: Vec<Key>,
    texts: HashSet<String>,
    times: Vec<i64>,
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
        let texts: HashSet<String> = self.values.iter().map(text).collect();
        Ok(Condition {
            keys: self
                .key
                .iter()
                .map(|key| Key::read(key))
                .collect::<Result<_, _>>()?,
            times: texts
                .iter()
                .filter_map(|text| time::milliseconds(text))
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
            _ => {
                let message = "incorrect filter keys not existing in any schema definition";
                return Err(PlatformError::functional(message));
            }
        })
    }

    /// The values that the record has under this key; under `ids` all its ids.
    fn values(self, record: &Record) -> Vec<&str> {
        let field = match self {
            Self::UpdatedAt => "updated_at",
            Self::CreatedAt => "created_at",
            Self::EntityType => "entity_type",
            Self::StandardId => "standard_id",
            Self::Id => "id",
            Self::FromId => "from",
            Self::ToId => "to",
            Self::RelationshipType => "relationship_type",
            Self::Ids => {
                let further = record.get("x_opencti_stix_ids").and_then(Value::as_array);
                let further = further.into_iter().flatten().filter_map(Value::as_str);
                let own = [record.id(), record.standard_id()];
                return own.into_iter().chain(further).collect();
            }
        };
        vec![record.text(field)]
    }
}

impl Filter {
    pub(super) fn everything() -> Self {
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
            times: Vec::new(),
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

    pub(super) fn matches(&self, record: &Record, updated: i64) -> bool {
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
            _ => self.compares(*key, record, updated),
        })
    }

    fn equals(&self, key: Key, record: &Record) -> bool {
        let values = key.values(record);
        match self.mode {
            Mode::Or => values.iter().any(|value| self.texts.contains(*value)),
            Mode::And => self
                .texts
                .iter()
                .all(|text| values.contains(&text.as_str())),
        }
    }

    /// Only times have an order here.
    fn compares(&self, key: Key, record: &Record, updated: i64) -> bool {
        let time = match key {
            Key::UpdatedAt => Some(updated),
            Key::CreatedAt => time::milliseconds(record.text("created_at")),
            _ => None,
        };
        let Some(time) = time else { return false };
        let holds = |bound: &i64| match self.operator {
            Operator::Gt => time > *bound,
            Operator::Gte => time >= *bound,
            Operator::Lt => time < *bound,
            _ => time <= *bound,
        };
        match self.mode {
            Mode::Or => self.times.iter().any(holds),
            Mode::And => self.times.iter().all(holds),
        }
    }
}
