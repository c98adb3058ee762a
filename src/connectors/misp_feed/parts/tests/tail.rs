//! Sightings and notes.

use rstest::rstest;

use super::*;
use crate::stix::make_id::{self, IdentityClass, ValueType};

fn organization(name: &str) -> String {
    make_id::identity(IdentityClass::Organization, name).to_string()
}

/// Without an organisation, the author has seen it; without an indicator, the observable was seen.
#[rstest]
#[case(true, json!({ "name": "Zorb Bank" }), "Zorb Bank")]
#[case(true, json!(null), "Zorb CERT")]
#[case(false, json!({ "name": "Zorb Bank" }), "Zorb Bank")]
#[case(false, json!({ "name": "Z" }), "Zorb CERT")]
fn a_sighting_is_of_the_value_and_by_somebody(
    #[case] create_indicators: bool,
    #[case] organisation: Value,
    #[case] by: &str,
) {
    let sighting =
        json!([{ "type": "0", "date_sighting": "1715000010", "Organisation": organisation }]);
    let domain =
        json!({ "type": "domain", "value": "evil.example", "to_ids": true, "Sighting": sighting });
    let settings = MappingSettings {
        create_indicators,
        ..everything()
    };
    let objects = convert(&event(json!([domain]), json!([])), &settings);
    let [sighting] = of_type(&objects, "sighting")[..] else {
        panic!("{objects:?}");
    };
    assert_eq!(sighting["where_sighted_refs"], json!([organization(by)]));
    let seen = if create_indicators {
        make_id::indicator("[domain-name:value = 'evil.example']")
    } else {
        make_id::value(ValueType::DomainName, "evil.example")
    };
    // Only indicators are among what STIX lets be sighted; others come by their own member.
    let named = ["sighting_of_ref", "x_opencti_sighting_of_ref"];
    assert!(
        named.iter().any(|name| sighting[*name] == seen.as_str()),
        "{sighting}"
    );
    let report = of_type(&objects, "report")[0];
    assert!(
        report["object_refs"]
            .as_array()
            .unwrap()
            .contains(&sighting["id"])
    );
}

/// Its own time, else that of the report.
#[rstest]
#[case(json!("1715000100"), "2024-05-06T12:55:00.000Z")]
#[case(json!(null), "2024-05-06T12:53:20.000Z")]
fn a_note_has_the_time_of_its_report(#[case] timestamp: Value, #[case] moment: &str) {
    let mut file = event(json!([]), json!([]));
    file["Event"]["EventReport"] =
        json!([{ "name": "Summary", "content": "Text.", "timestamp": timestamp }]);
    let objects = convert(&file, &everything());
    let note = of_type(&objects, "note")[0];
    assert_eq!(
        (&note["created"], &note["modified"]),
        (&json!(moment), &json!(moment))
    );
}
