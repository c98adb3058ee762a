//! Observables that have just the fields that a test wants, with values made up from the fields'
//! GraphQL types.

use sandbox::{NO_START, Record};
use serde_json::{Value, json};
use uuid::Uuid;

/// The values that a field of this GraphQL type is tried with: also those that a careless reader takes
/// for nothing. None for types that are no values.
pub(crate) fn values(of: &str, graphql_type: &str) -> Vec<Value> {
    match graphql_type.trim_end_matches('!') {
        "String" if form_of(of).is_some() => form_of(of).into_iter().collect(),
        "String" if of.ends_with("payload_bin") => vec![json!("iVBORw0KGgo=")],
        "String" => vec![json!(format!("{of} – «\"é\\中😀\"»\nsecond line"))],
        "Int" => vec![json!(i32::MAX), json!(0)],
        "Boolean" => vec![json!(true), json!(false)],
        "DateTime" => vec![json!("2026-05-06T07:08:09.123Z")],
        "[String]" => vec![json!([format!("{of} é"), "", "second"])],
        "[Hash]" => vec![hashes()],
        "[Dictionary]" => vec![json!([{ "key": of, "value": "é" }])],
        _ => Vec::new(),
    }
}

/// A value of the form that the platform asks for, where it asks for one; different each time.
fn form_of(of: &str) -> Option<Value> {
    let unique = Uuid::new_v4();
    let byte = |at: usize| unique.as_bytes()[at];
    let (_, field) = of.split_once(' ')?;
    let digits = |count: usize| -> String {
        let digits = unique.as_u128().to_string();
        digits.chars().cycle().take(count).collect()
    };
    Some(json!(match field {
        "Domain-Name.value" => format!("exämple-{unique}.example"),
        "Hostname.value" => format!("host-{unique}"),
        "Email-Addr.value" => format!("o'neil+{unique}@mail.example"),
        "IPv4-Addr.value" => format!("{}.{}.{}.{}", byte(0), byte(1), byte(2), byte(3)),
        "IPv6-Addr.value" => format!("2001:db8::{:x}:{:x}", byte(0), byte(1)),
        "Mac-Addr.value" => format!("02:00:5E:10:{:02x}:{:02X}", byte(0), byte(1)),
        "IMEI.value" | "IMSI.value" => digits(15),
        "ICCID.value" => digits(20),
        _ => return None,
    }))
}

/// A hash of two of the algorithms, different each time.
fn hashes() -> Value {
    let digits = || Uuid::new_v4().simple().to_string();
    json!([
        { "algorithm": "SHA-256", "hash": digits() + &digits() },
        { "algorithm": "MD5", "hash": digits() },
    ])
}

/// An observable without any field of its own.
pub(crate) fn observable(graphql_type: &str, entity_type: &str, stix_type: &str) -> Record {
    let mut record = Record::new(graphql_type.to_owned());
    record
        .set("id", Uuid::new_v4().to_string())
        .set("standard_id", format!("{stix_type}--{}", Uuid::new_v4()))
        .set("entity_type", entity_type)
        .set("created_at", "2026-01-02T03:04:05.678Z")
        .set("updated_at", "2026-02-03T04:05:06.789Z");
    record
}

/// A list of files, each a node.
pub(crate) fn files(nodes: &[Value], has_more: bool) -> Value {
    let edges: Vec<Value> = nodes.iter().map(|node| json!({ "node": node })).collect();
    json!({
        "pageInfo": { "hasNextPage": has_more, "endCursor": "", "globalCount": nodes.len() },
        "edges": edges,
    })
}

/// What leads from one object to another.
pub(crate) fn reference(relation: &str, from: &Record, to: &Record) -> Record {
    let mut record = Record::new("StixRefRelationship");
    record
        .set("id", Uuid::new_v4().to_string())
        .set(
            "standard_id",
            format!("relationship-meta--{}", Uuid::new_v4()),
        )
        .set("entity_type", relation)
        .set("relationship_type", relation)
        .set("created_at", NO_START)
        .set("updated_at", NO_START)
        .set("from", from.id())
        .set("to", to.id());
    record
}
