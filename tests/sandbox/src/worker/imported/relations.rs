//! Relationships and sightings: what is allowed, and which are the same one.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::{Value, json};

use super::kinds::{entity_type, platform_id};
use super::{END_RETRIES, Imported, Refusal, refusal, texts};
use crate::data::Record;
use crate::time::{iso, milliseconds};
use crate::types::ObservableType;

/// Between core objects of these types (from, to) these relationships are taken, as by 7.260817.0.
static ALLOWED: LazyLock<HashMap<String, Targets>> = LazyLock::new(|| {
    // A table that cannot be read allows nothing, which every test of it sees.
    serde_json::from_str(include_str!("relations.json")).unwrap_or_default()
});
/// Relationship types by the type that they lead to.
type Targets = HashMap<String, Vec<String>>;

/// Taken between any two.
const BETWEEN_ANY: [&str; 2] = ["related-to", "revoked-by"];
/// The table's name of any observable.
const ANY_OBSERVABLE: &str = "Stix-Cyber-Observable";
/// Relationships and sightings with dates that are less apart than this are the same one.
const SAME_WITHIN_MS: i64 = 30 * 86_400_000;

/// Whether the platform takes a relationship between objects of these types.
fn is_allowed(relationship_type: &str, source: &str, target: &str) -> bool {
    let is_observable = ObservableType::by_entity_type(target).is_some();
    let any = is_observable.then_some(ANY_OBSERVABLE);
    let mut targets = [Some(target), any].into_iter().flatten();
    let of_source = ALLOWED.get(source);
    let names = |target| of_source.and_then(|targets: &Targets| targets.get(target));
    BETWEEN_ANY.contains(&relationship_type)
        || targets.any(|target| {
            names(target).is_some_and(|names| names.iter().any(|name| name == relationship_type))
        })
}

impl Imported {
    /// Both ends must be there and may be tied like this; a second relationship of the same type
    /// between the same ends is the same one, unless it has dates of its own.
    pub(super) fn import_relationship(
        &mut self,
        object: &Record,
        attempt: usize,
    ) -> Result<(), Refusal> {
        let [source, target] = self.ends(object, ["source_ref", "target_ref"], attempt)?;
        let named = object.text("relationship_type");
        let types = [&source, &target].map(|key| self.entity_type_of(key));
        if !is_allowed(named, &types[0], &types[1]) {
            let message = format!(
                "FUNCTIONAL_ERROR: The relationship {named} is not allowed between {} and {}",
                types[0], types[1]
            );
            return Err(refusal(object, message));
        }
        if is_backwards(object, ["start_time", "stop_time"]) {
            let message =
                "DATABASE_ERROR: You cant create a relation with stop_time less than start_time";
            return Err(refusal(object, message));
        }
        let pair = (named.to_owned(), source, target);
        let same = self.same_tie(object, &pair, ["start_time", "stop_time"]);
        let mut sent = object.clone();
        if let Some(known) = same.as_deref().and_then(|key| self.objects.get(key)) {
            widen(&mut sent, &known.object, ["start_time", "stop_time"]);
            keep(&mut sent, &known.object, ["source_ref", "target_ref"]);
        }
        self.store_tie(pair, same, &sent, attempt)
    }

    /// One sighting for each place where something was seen. A second one between the same two
    /// within 30 days is the same one: its count is added where it widens the time, and else takes
    /// the old one's place.
    pub(super) fn import_sighting(
        &mut self,
        object: &Record,
        attempt: usize,
    ) -> Result<(), Refusal> {
        let places = texts(object.get("where_sighted_refs"));
        if object.text("sighting_of_ref").is_empty() || places.is_empty() {
            // The client does nothing then, and says nothing.
            return Ok(());
        }
        for place in places {
            let mut sent = object.clone();
            sent.set("where_sighted_ref", place);
            self.import_sighting_at(&sent, attempt)?;
        }
        Ok(())
    }

    fn import_sighting_at(&mut self, object: &Record, attempt: usize) -> Result<(), Refusal> {
        let [of, place] = self.ends(object, ["sighting_of_ref", "where_sighted_ref"], attempt)?;
        let times = ["first_seen", "last_seen"];
        if is_backwards(object, times) {
            let message =
                "DATABASE_ERROR: You cant create a sighting with last_seen less than first_seen";
            return Err(refusal(object, message));
        }
        let mut sent = object.clone();
        if sent.get("count").is_none_or(Value::is_null) {
            sent.set("count", 1);
        }
        if sent.get("x_opencti_negative").is_none() {
            sent.set("x_opencti_negative", false);
        }
        let count = |value: Option<&Value>| value.and_then(Value::as_i64).unwrap_or_default();
        let pair = ("stix-sighting-relationship".to_owned(), of, place);
        let same = self.same_tie(object, &pair, times);
        if let Some(known) = same.as_deref().and_then(|key| self.objects.get(key)) {
            if widen(&mut sent, &known.object, times) {
                let sum = count(known.object.get("count")) + count(sent.get("count"));
                sent.set("count", sum);
            }
            keep(
                &mut sent,
                &known.object,
                ["sighting_of_ref", "where_sighted_ref"],
            );
        }
        self.store_tie(pair, same, &sent, attempt)
    }

    /// The keys of both ends; an end that is not there is waited for a few times.
    fn ends(
        &self,
        object: &Record,
        names: [&str; 2],
        attempt: usize,
    ) -> Result<[String; 2], Refusal> {
        let ends = names.map(|name| object.text(name));
        if let Some(missing) = ends.iter().find(|end| self.key(end).is_none()) {
            if attempt < END_RETRIES {
                return Err(Refusal::Again);
            }
            let message = format!("MISSING_REFERENCE_ERROR: Element(s) not found: {missing}");
            return Err(refusal(object, message));
        }
        let keys = ends.map(|end| self.key(end).unwrap_or_default().to_owned());
        if keys[0] == keys[1] {
            let message =
                "UNSUPPORTED_ERROR: Relation cant be created with the same source and target";
            return Err(refusal(object, message));
        }
        Ok(keys)
    }

    fn entity_type_of(&self, key: &str) -> String {
        let known = self.objects.get(key);
        known
            .map(|known| known.entity_type.clone())
            .unwrap_or_default()
    }

    /// The relationship that this one is: by one of its ids, or between the same ends with dates
    /// that are near; a date that is not sent does not count.
    fn same_tie(
        &self,
        object: &Record,
        pair: &(String, String, String),
        times: [&str; 2],
    ) -> Option<String> {
        let kind = entity_type(object);
        let mut ids = texts(object.get("x_opencti_stix_ids"));
        ids.extend(platform_id(object));
        ids.push(object.id().to_owned());
        let by_id = ids.iter().rev().find_map(|id| self.key(id));
        let by_id = by_id.filter(|key| self.entity_type_of(key) == kind);
        let is_near = |known: &Value| {
            times.iter().all(|name| {
                let Some(sent) = milliseconds(object.text(name)) else {
                    return true;
                };
                let stands = known
                    .get(*name)
                    .and_then(Value::as_str)
                    .and_then(milliseconds);
                stands.is_some_and(|stands| (stands - sent).abs() < SAME_WITHIN_MS)
            })
        };
        let between = self.relationships.get(pair).into_iter().flatten();
        let mut near = between.filter(|key| {
            self.objects
                .get(*key)
                .is_some_and(|known| is_near(&known.object))
        });
        by_id.map(str::to_owned).or_else(|| near.next().cloned())
    }

    fn store_tie(
        &mut self,
        pair: (String, String, String),
        same: Option<String>,
        sent: &Record,
        attempt: usize,
    ) -> Result<(), Refusal> {
        let is_new = same.is_none();
        let key = same.unwrap_or_else(|| sent.id().to_owned());
        self.store_at(&key, sent, attempt)?;
        if is_new {
            self.relationships.entry(pair).or_default().push(key);
        }
        Ok(())
    }
}

/// Whether the end is sent and lies before the beginning.
fn is_backwards(object: &Record, times: [&str; 2]) -> bool {
    let [first, last] = times.map(|name| milliseconds(object.text(name)));
    first.zip(last).is_some_and(|(first, last)| last < first)
}

/// The ends of what stands do not change.
fn keep(sent: &mut Record, known: &Value, ends: [&'static str; 2]) {
    for name in ends {
        if let Some(end) = known.get(name) {
            sent.set(name, end.clone());
        }
    }
}

/// Lets what is sent keep the earlier beginning and the later end; true where it moves one of them.
fn widen(sent: &mut Record, known: &Value, [first, last]: [&'static str; 2]) -> bool {
    let mut is_wider = false;
    for (name, is_first) in [(first, true), (last, false)] {
        let stands = known
            .get(name)
            .and_then(Value::as_str)
            .and_then(milliseconds);
        let Some(new) = milliseconds(sent.text(name)) else {
            continue;
        };
        match stands {
            Some(stands) if (is_first && new >= stands) || (!is_first && new <= stands) => {
                sent.set(name, json!(iso(stands)));
            }
            _ => is_wider = true,
        }
    }
    is_wider
}

/// Whether a STIX type is that of an observable.
pub(super) fn is_observable(stix_type: &str) -> bool {
    ObservableType::by_stix_type(stix_type).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triples_are_those_of_the_platform() {
        for (source, named, target, allowed) in [
            ("Indicator", "based-on", "IPv4-Addr", true),
            ("IPv4-Addr", "based-on", "Indicator", false),
            ("IPv4-Addr", "indicates", "Malware", false),
            ("Indicator", "indicates", "Malware", true),
            ("Indicator", "indicates", "Intrusion-Set", true),
            ("Indicator", "indicates", "Tool", true),
            ("Incident", "targets", "System", true),
            ("Incident", "uses", "Attack-Pattern", true),
            ("Hostname", "related-to", "Incident", true),
            ("Domain-Name", "resolves-to", "IPv6-Addr", true),
            ("IPv4-Addr", "resolves-to", "Domain-Name", false),
            ("Malware", "uses", "Attack-Pattern", true),
        ] {
            assert_eq!(
                is_allowed(named, source, target),
                allowed,
                "{source} {named} {target}"
            );
        }
    }
}
