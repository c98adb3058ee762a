//! Ids of relationships and sightings.

use serde_json::json;

use super::super::{StixId, Timestamp};
use super::{Properties, id_over_all};

/// The id of a relationship. Times belong to it where it is sent with them.
pub fn relationship(
    relationship_type: &str,
    source: &StixId,
    target: &StixId,
    start: Option<Timestamp>,
    stop: Option<Timestamp>,
) -> StixId {
    let mut properties: Properties<'_> = vec![
        ("relationship_type", relationship_type.into()),
        ("source_ref", source.as_str().into()),
        ("target_ref", target.as_str().into()),
    ];
    put_time(&mut properties, "start_time", start);
    put_time(&mut properties, "stop_time", stop);
    id_over_all("relationship", properties)
}

/// The id of a sighting of an object at a place. Times belong to it where it is sent with them.
pub fn sighting(
    sighting_of: &StixId,
    where_sighted: &StixId,
    first_seen: Option<Timestamp>,
    last_seen: Option<Timestamp>,
) -> StixId {
    let mut properties: Properties<'_> = vec![
        ("type", "sighting".into()),
        ("sighting_of_ref", sighting_of.as_str().into()),
        ("where_sighted_refs", json!([where_sighted.as_str()]).into()),
    ];
    put_time(&mut properties, "first_seen", first_seen);
    put_time(&mut properties, "last_seen", last_seen);
    id_over_all("sighting", properties)
}

fn put_time(properties: &mut Properties<'_>, name: &'static str, time: Option<Timestamp>) {
    if let Some(time) = time {
        properties.push((name, time.to_string().into()));
    }
}
