//! What is neither an observable nor a relationship: what the platform calls it, by what it knows it
//! again, and what it asks of it.

use serde_json::{Map, Value, json};

use super::{extension, pattern};
use crate::data::Record;
use crate::ids::{observable_id, standard_id};
use crate::time::{iso, milliseconds};
use crate::types::ObservableType;

/// One type of STIX domain object.
#[derive(Debug)]
pub(super) struct Kind {
    stix_type: &'static str,
    entity_type: &'static str,
    /// Sets of properties; the first set with data makes the id.
    id_ways: &'static [&'static [&'static str]],
    /// Whether another object of this type is the same one when it has this one's name, or one of its
    /// aliases.
    pub(super) is_known_by_name: bool,
    /// What the client cannot do without.
    needs: &'static [&'static str],
    /// Whether it holds other objects, in `object_refs`.
    pub(super) is_container: bool,
}

const NAME: &[&[&str]] = &[&["name"]];
const DATED: &[&[&str]] = &[&["name", "created"]];

const fn threat(stix_type: &'static str, entity_type: &'static str) -> Kind {
    Kind {
        stix_type,
        entity_type,
        id_ways: NAME,
        is_known_by_name: true,
        needs: &["name"],
        is_container: false,
    }
}

const fn container(
    stix_type: &'static str,
    entity_type: &'static str,
    id_ways: &'static [&'static [&'static str]],
    needs: &'static [&'static str],
) -> Kind {
    Kind {
        stix_type,
        entity_type,
        id_ways,
        is_known_by_name: false,
        needs,
        is_container: true,
    }
}

const INCIDENT: Kind = Kind {
    stix_type: "incident",
    entity_type: "Incident",
    id_ways: DATED,
    is_known_by_name: false,
    needs: &["name"],
    is_container: false,
};

const INDICATOR: Kind = Kind {
    stix_type: "indicator",
    entity_type: "Indicator",
    id_ways: &[&["pattern"]],
    is_known_by_name: false,
    needs: &["pattern"],
    is_container: false,
};

/// All types but observables, relationships, sightings, and what only surrounds an object.
const KINDS: [Kind; 26] = [
    threat("identity", "Organization"),
    threat("location", "Position"),
    threat("malware", "Malware"),
    threat("intrusion-set", "Intrusion-Set"),
    threat("tool", "Tool"),
    threat("campaign", "Campaign"),
    threat("threat-actor", "Threat-Actor-Group"),
    threat("infrastructure", "Infrastructure"),
    threat("vulnerability", "Vulnerability"),
    threat("attack-pattern", "Attack-Pattern"),
    threat("course-of-action", "Course-Of-Action"),
    threat("channel", "Channel"),
    threat("event", "Event"),
    threat("narrative", "Narrative"),
    INDICATOR,
    INCIDENT,
    container(
        "report",
        "Report",
        &[&["name", "published"]],
        &["name", "published"],
    ),
    container(
        "note",
        "Note",
        &[&["attribute_abstract", "content", "created"]],
        &["content"],
    ),
    container(
        "grouping",
        "Grouping",
        &[&["name", "context", "created"]],
        &["name", "context"],
    ),
    container("opinion", "Opinion", &[], &["opinion"]),
    container(
        "observed-data",
        "Observed-Data",
        &[],
        &["first_observed", "last_observed", "number_observed"],
    ),
    container("case-incident", "Case-Incident", DATED, &["name"]),
    container("case-rfi", "Case-Rfi", DATED, &["name"]),
    container("case-rft", "Case-Rft", DATED, &["name"]),
    container("feedback", "Feedback", DATED, &["name"]),
    container("task", "Task", DATED, &["name"]),
];

/// Properties that hold a time.
const TIMES: [&str; 13] = [
    "created",
    "modified",
    "published",
    "first_seen",
    "last_seen",
    "first_observed",
    "last_observed",
    "valid_from",
    "valid_until",
    "start_time",
    "stop_time",
    "due_date",
    "detection_time",
];
/// The platform asks for so many characters of a name, an abstract, a content.
const SHORTEST_NAME: usize = 2;
/// Types whose id depends on what nobody outside the platform has.
const NO_STABLE_ID: [&str; 2] = ["network-traffic", "email-message"];

/// The kind of a STIX type; `x-opencti-` in front of it does not count.
pub(super) fn kind_of(stix_type: &str) -> Option<&'static Kind> {
    let plain = stix_type.strip_prefix("x-opencti-").unwrap_or(stix_type);
    KINDS.iter().find(|kind| kind.stix_type == plain)
}

/// True for the STIX types that the client imports beside observables and relationships.
pub(crate) fn is_domain_type(stix_type: &str) -> bool {
    kind_of(stix_type).is_some()
}

/// The platform's names of the types that identities, locations and actors have.
const FURTHER_ENTITY_TYPES: [&str; 9] = [
    "Individual",
    "Sector",
    "System",
    "SecurityPlatform",
    "Country",
    "Region",
    "City",
    "Administrative-Area",
    "Threat-Actor-Individual",
];

/// True for the platform's names of domain objects.
pub(crate) fn is_domain_entity(entity_type: &str) -> bool {
    let mut kinds = KINDS.iter();
    FURTHER_ENTITY_TYPES.contains(&entity_type) || kinds.any(|kind| kind.entity_type == entity_type)
}

/// What the platform calls the type of an object; of a relationship, its relationship type.
pub(super) fn entity_type(object: &Record) -> String {
    let stix_type = object.text("type");
    let named = match stix_type {
        "relationship" => object.text("relationship_type"),
        "sighting" => "stix-sighting-relationship",
        "marking-definition" => "Marking-Definition",
        "identity" => return identity_type(object).to_owned(),
        "location" => return location_type(object),
        "threat-actor" => return actor_type(object).to_owned(),
        _ => match (kind_of(stix_type), ObservableType::by_stix_type(stix_type)) {
            (Some(kind), _) => kind.entity_type,
            (None, Some(observable)) => observable.entity_type,
            (None, None) => stix_type,
        },
    };
    named.to_owned()
}

/// Whatever is no other class is an organization.
fn identity_type(object: &Record) -> &'static str {
    match object.text("identity_class") {
        "individual" => "Individual",
        "class" => "Sector",
        "system" => "System",
        "securityplatform" => "SecurityPlatform",
        _ => "Organization",
    }
}

fn location_type(object: &Record) -> String {
    let given = Some(object.text("x_opencti_location_type")).filter(|given| !given.is_empty());
    let given = given.or_else(|| extension(object, "type")?.as_str());
    let ways = [
        ("city", "City"),
        ("country", "Country"),
        ("region", "Region"),
    ];
    let by_property = || {
        ways.iter()
            .find(|(property, _)| object.get(property).is_some())
    };
    match given {
        Some(given) => given.to_owned(),
        None => by_property()
            .map_or("Position", |(_, named)| *named)
            .to_owned(),
    }
}

fn actor_type(object: &Record) -> &'static str {
    if object.text("x_opencti_type") == "Threat-Actor-Individual"
        || object.text("resource_level") == "individual"
    {
        return "Threat-Actor-Individual";
    }
    "Threat-Actor-Group"
}

/// A location may have no name of its own.
pub(super) fn name_of(object: &Record) -> &str {
    let names = match object.text("type") {
        "location" => &["name", "city", "country", "region"][..],
        _ => &["name"],
    };
    let given = names.iter().map(|name| object.text(name));
    given
        .into_iter()
        .find(|name| !name.is_empty())
        .unwrap_or_default()
}

/// The other names, in any of the properties that the client looks for them, the first that is there.
pub(super) fn aliases_of(object: &Record) -> Vec<String> {
    let properties = [
        "x_opencti_aliases",
        "x_mitre_aliases",
        "x_amitt_aliases",
        "aliases",
    ];
    let given = properties.iter().find_map(|name| object.get(name));
    super::texts(given)
}

/// The id that the platform gives it; none where it is not known from outside.
pub(super) fn platform_id(object: &Record) -> Option<String> {
    let stix_type = object.text("type");
    if let Some(known) = ObservableType::by_stix_type(stix_type) {
        return observable_platform_id(known, object);
    }
    let properties = match stix_type {
        "identity" => identity_properties(object),
        "location" => location_properties(object),
        "relationship" => of_properties(
            object,
            &[
                "relationship_type",
                "source_ref",
                "target_ref",
                "start_time",
                "stop_time",
            ],
        ),
        _ => {
            let mut ways = kind_of(stix_type)?.id_ways.iter();
            ways.find_map(|way| of_way(object, way))?
        }
    };
    let plain = stix_type.strip_prefix("x-opencti-").unwrap_or(stix_type);
    Some(standard_id(plain, &Value::Object(properties)))
}

/// A technique's id takes its name's place.
fn of_way(object: &Record, way: &[&str]) -> Option<Map<String, Value>> {
    let technique = object.text("x_mitre_id").trim().to_lowercase();
    if ["attack-pattern", "course-of-action"].contains(&object.text("type"))
        && !technique.is_empty()
    {
        return Some(Map::from_iter([(
            "x_mitre_id".to_owned(),
            technique.into(),
        )]));
    }
    let properties = of_properties(object, way);
    (!properties.is_empty()).then_some(properties)
}

fn of_properties(object: &Record, names: &[&str]) -> Map<String, Value> {
    let values = names.iter().filter_map(|name| {
        let value = match *name {
            "pattern" => pattern_of(object),
            "attribute_abstract" => object.text("abstract").trim().to_owned(),
            "name" => name_of(object).trim().to_lowercase(),
            time if TIMES.contains(&time) => {
                milliseconds(object.text(time)).map(iso).unwrap_or_default()
            }
            other => object.text(other).trim().to_owned(),
        };
        (!value.is_empty()).then(|| ((*name).to_owned(), value.into()))
    });
    values.collect()
}

/// A STIX pattern in the form in which the platform keeps it.
fn pattern_of(object: &Record) -> String {
    let pattern = object.text("pattern").trim();
    let is_stix = object.text("pattern_type").eq_ignore_ascii_case("stix");
    let normal = is_stix.then(|| pattern::normal(pattern)).flatten();
    normal.unwrap_or_else(|| pattern.to_owned())
}

fn identity_properties(object: &Record) -> Map<String, Value> {
    let mut properties = of_properties(object, &["name"]);
    let class = match identity_type(object) {
        "Individual" => "individual",
        "Sector" => "class",
        "System" => "system",
        "SecurityPlatform" => "securityplatform",
        _ => "organization",
    };
    properties.insert("identity_class".to_owned(), class.into());
    properties
}

fn location_properties(object: &Record) -> Map<String, Value> {
    let mut properties = of_properties(object, &["name"]);
    let kind = location_type(object);
    if kind == "Position" {
        let place = ["latitude", "longitude"].map(|name| (name, object.get(name).cloned()));
        let place: Map<String, Value> = place
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect();
        return if place.is_empty() { properties } else { place };
    }
    properties.insert("x_opencti_location_type".to_owned(), kind.into());
    properties
}

/// An observable under the names of the schema, by which its id is made.
fn observable_platform_id(known: &ObservableType, object: &Record) -> Option<String> {
    if NO_STABLE_ID.contains(&object.text("type")) {
        return None;
    }
    let is_lower = ["domain-name", "email-addr"].contains(&object.text("type"));
    let mut record = Record::new(known.typename);
    let fields = object
        .fields()
        .filter(|(name, _)| !["id", "type"].contains(name));
    for (name, value) in fields {
        let (name, value) = match (name, value) {
            ("key", _) => ("attribute_key", value.clone()),
            ("hashes", Value::Object(hashes)) => ("hashes", hash_list(hashes)),
            ("value", Value::String(text)) if is_lower => ("value", text.to_lowercase().into()),
            _ => (name, value.clone()),
        };
        record.set(name.to_owned(), value);
    }
    // Without data the id would be made of the internal id, which is not known here.
    let id = observable_id(known, &record);
    let nothing = standard_id(&known.stix_type(), &json!({ "id": "" }));
    (id != nothing).then_some(id)
}

fn hash_list(hashes: &Map<String, Value>) -> Value {
    let pair =
        |(algorithm, hash): (&String, &Value)| json!({ "algorithm": algorithm, "hash": hash });
    hashes.iter().map(pair).collect()
}

/// Why the client or the platform refuses the object for what it is in itself.
pub(super) fn refused(object: &Record) -> Option<String> {
    let kind = kind_of(object.text("type"));
    if kind.is_none() && !["relationship", "sighting"].contains(&object.text("type")) {
        return None;
    }
    let needed = kind.map_or(&[][..], |kind| kind.needs);
    let missing = needed.iter().find(|name| match **name {
        "name" => name_of(object).is_empty(),
        name => object.get(name).is_none_or(Value::is_null),
    });
    if let Some(missing) = missing {
        return Some(format!("VALIDATION_ERROR: '{missing}' is missing"));
    }
    for (name, text) in [
        ("name", name_of(object)),
        ("content", object.text("content")),
    ] {
        let is_given = object.get(name).is_some() && kind.is_some();
        if is_given && text.trim().chars().count() < SHORTEST_NAME {
            return Some(format!("VALIDATION_ERROR: {name} needs two characters"));
        }
    }
    let unreadable = TIMES.iter().find(|name| {
        let given = object.get(name).filter(|value| !value.is_null());
        given.is_some_and(|value| value.as_str().and_then(milliseconds).is_none())
    });
    if let Some(name) = unreadable {
        return Some(format!(
            "BAD_USER_INPUT: DateTime cannot represent an invalid date-time-string in {name}"
        ));
    }
    let confidence = object.get("confidence").filter(|value| !value.is_null());
    if confidence.is_some_and(|value| {
        value
            .as_i64()
            .is_none_or(|value| !(0..=100).contains(&value))
    }) {
        return Some("VALIDATION_ERROR: the confidence is not within 0 and 100".to_owned());
    }
    None
}
