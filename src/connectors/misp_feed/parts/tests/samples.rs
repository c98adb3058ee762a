//! Real events.

use super::*;

/// Of an event that fits into one part.
fn report(name: &str) -> Value {
    let file = &hostile::corpus("misp-feed")[name];
    let parts = parts_of(file, &everything(), 1_000);
    assert_eq!(parts.len(), 1);
    let object = parts[0].objects.last().unwrap();
    serde_json::from_str(&object.json).unwrap()
}

#[test]
fn reports_of_real_events() {
    for name in hostile::corpus("misp-feed").keys() {
        insta::assert_json_snapshot!(format!("report_{name}"), report(name));
    }
}

#[test]
fn all_objects_of_a_real_event() {
    let file = &hostile::corpus("misp-feed")["kessel"];
    let parts = parts_of(file, &everything(), 1_000);
    let objects: Vec<Value> = objects_of(&parts).into_values().collect();
    insta::assert_json_snapshot!(objects);
    assert_eq!(parts[0].skipped, []);
}

/// An event of objects, of which three refer to such as say nothing.
#[test]
fn what_ties_the_objects_of_a_real_event() {
    let file = &hostile::corpus("misp-feed")["cloudmensis"];
    let parts = parts_of(file, &everything(), 1_000);
    let objects: Vec<Value> = objects_of(&parts).into_values().collect();
    let ties = relationships(&objects);
    let is_of_threat =
        |tie: &&String| tie.contains(" indicates ") || tie.contains("attack-pattern");
    let ties: Vec<&String> = ties.iter().filter(|tie| !is_of_threat(tie)).collect();
    insta::assert_json_snapshot!(ties);
    assert_eq!(parts[0].skipped.len(), 3);
}

#[test]
fn parts_say_together_what_one_part_says() {
    for file in hostile::corpus("misp-feed").values() {
        let whole = parts_of(file, &everything(), 1_000);
        let parts = parts_of(file, &everything(), 3);
        assert!(parts.len() > 1);
        let is_report = |object: &&Arc<StixObject>| object.kind == "Report";
        let reports: HashSet<_> = parts
            .iter()
            .map(|part| {
                part.objects
                    .iter()
                    .filter(is_report)
                    .map(|report| report.id.clone())
                    .collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(reports.len(), 1);
        let members = |parts: &[EventPart]| {
            let reports = parts
                .iter()
                .filter_map(|part| part.objects.iter().find(is_report));
            let members = reports.flat_map(|report| report.members().map(|(_, id)| id.to_owned()));
            // A part of which nothing became anything names the author.
            let members = members.filter(|id| !id.starts_with("identity--"));
            members.collect::<HashSet<String>>()
        };
        assert_eq!(members(&parts), members(&whole));
        let without_report = |parts| {
            let mut objects = objects_of(parts);
            objects.retain(|id, _| !id.starts_with("report--"));
            objects
        };
        assert_eq!(without_report(&parts), without_report(&whole));
    }
}
