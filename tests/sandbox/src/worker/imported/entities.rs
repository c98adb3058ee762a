//! Domain objects: how they take what comes again, what containers hold, what is deleted.

use serde_json::Value;

use super::kinds::kind_of;
use super::known::Place;
use super::{Imported, ImportedObject, Life, Refusal, extension, refusal, texts};
use crate::data::Record;
use crate::release_rules::RULES;
use crate::time::milliseconds;

/// Where none is given, the platform takes the user's own maximum.
const FULL_CONFIDENCE: i64 = 100;
/// What is no plain property of an object.
const NOT_PLAIN: [&str; 4] = [
    "labels",
    "external_references",
    "kill_chain_phases",
    "extensions",
];

impl Imported {
    /// Imports a domain object: a new one, or one that the platform has by another id or name.
    pub(super) fn import_entity(&mut self, object: &Record, attempt: usize) -> Result<(), Refusal> {
        self.check_phases(object)?;
        self.check_surroundings(object, attempt)?;
        let begun = self.life_of(object)?;
        let key = match self.place(object) {
            Place::At(key) => key,
            Place::Kept(key) => {
                if let Some(stands) = self.objects.get_mut(&key) {
                    stands.imports += 1;
                }
                return Ok(());
            }
        };
        let is_trusted = self
            .objects
            .get(&key)
            .is_none_or(|known| known.trusts(object));
        self.store_at(&key, object, attempt)?;
        if let Some(stored) = self.objects.get_mut(&key) {
            stored.life = match (stored.life.take(), begun) {
                (Some(stands), Some(begun)) if is_trusted => Some(stands.go_on(&begun)),
                (Some(stands), _) => Some(stands),
                (None, begun) => begun,
            };
        }
        Ok(())
    }

    fn life_of(&self, object: &Record) -> Result<Option<Life>, Refusal> {
        if object.text("type") != "indicator" {
            return Ok(None);
        }
        let begun = Life::begin(object, self.is_decaying);
        begun.map(Some).map_err(|message| refusal(object, message))
    }

    /// A phase is made through the platform: who may not make one loses the whole object.
    fn check_phases(&self, object: &Record) -> Result<(), Refusal> {
        let right = if RULES.phases_have_a_right.includes(self.release) {
            "SETTINGS_SETKILLCHAINPHASES"
        } else {
            "SETTINGS_SETLABELS"
        };
        if phases_of(object).is_empty() || self.user_may(right) {
            return Ok(());
        }
        let message = "FORBIDDEN_ACCESS: You are not allowed to do this.";
        Err(refusal(object, message))
    }
}

impl ImportedObject {
    /// Whether an import may change what stands: with no less confidence.
    fn trusts(&self, object: &Record) -> bool {
        confidence_of(object) >= self.confidence
    }

    /// Another author takes the place of one that stands only with more confidence; observables have
    /// no confidence.
    pub(super) fn may_have_author(&self, object: &Record) -> bool {
        self.author.is_none()
            || kind_of(object.text("type")).is_none()
            || confidence_of(object) > self.confidence
    }

    /// Takes over what an import brings for an object that stands.
    pub(super) fn upsert(&mut self, object: &Record) {
        let is_trusted = self.trusts(object);
        let mut merged = Record::from(self.object.as_object().cloned().unwrap_or_default());
        for (name, value) in object.fields() {
            if ["id", "type"].contains(&name) || is_empty(value) {
                continue;
            }
            let stands = merged.get(name).filter(|stands| !is_empty(stands));
            let taken = match stands {
                None => Some(value.clone()),
                Some(_) if !is_trusted => None,
                Some(stands) if name == "created" => older(stands, value),
                Some(stands) => Some(added(name, stands, value)),
            };
            if let Some(taken) = taken {
                merged.set(name.to_owned(), taken);
            }
        }
        self.object = merged.to_value();
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn older(stands: &Value, sent: &Value) -> Option<Value> {
    let time = |value: &Value| value.as_str().and_then(milliseconds);
    (time(sent) < time(stands)).then(|| sent.clone())
}

/// Lists of texts add up.
fn added(name: &str, stands: &Value, sent: &Value) -> Value {
    match (stands, sent) {
        (Value::Array(known), Value::Array(new))
            if !NOT_PLAIN.contains(&name) && !name.ends_with("_refs") =>
        {
            let mut all = known.clone();
            all.extend(new.iter().filter(|value| !known.contains(value)).cloned());
            all.into()
        }
        _ => sent.clone(),
    }
}

/// The confidence of an import.
pub(super) fn confidence_of(object: &Record) -> i64 {
    let given = object.get("confidence").and_then(Value::as_i64);
    given.unwrap_or(FULL_CONFIDENCE)
}

/// The ids of what a container holds.
pub(super) fn members_of(object: &Record) -> Vec<String> {
    let kind = kind_of(object.text("type"));
    if !kind.is_some_and(|kind| kind.is_container) {
        return Vec::new();
    }
    texts(object.get("object_refs"))
}

/// Kill chain and phase, each pair once.
pub(super) fn phases_of(object: &Record) -> Vec<(String, String)> {
    let given = object.get("kill_chain_phases");
    let given = given.or_else(|| extension(object, "kill_chain_phases"));
    let text = |phase: &Value, name: &str| phase.get(name)?.as_str().map(str::to_owned);
    let pairs = given.and_then(Value::as_array).into_iter().flatten();
    pairs
        .filter_map(|phase| Some((text(phase, "kill_chain_name")?, text(phase, "phase_name")?)))
        .collect()
}

/// Whether an object is sent to be deleted.
pub(super) fn is_deletion(object: &Record) -> bool {
    let sent = extension(object, "opencti_operation").or_else(|| object.get("opencti_operation"));
    sent.and_then(Value::as_str) == Some("delete")
}
