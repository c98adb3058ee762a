//! What values become: whole objects, and what holds for all of them.

use std::sync::Arc;

use std::fmt::Write as _;

use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

use super::super::super::settings::{Scores, ValidFrom};
use super::*;
use crate::stix::make_id;
use crate::stix::tlp;

fn domain() -> TrailValue<'static> {
    TrailValue::Domain("evil.example".into())
}

fn indicator(settings: &MappingSettings, view: &View<'_>) -> Value {
    let written = all_json(&write(&mapper(settings), view));
    only(&written, "indicator").clone()
}

/// Every row of what a value becomes, as whole objects.
#[test]
fn each_kind_of_value_has_its_objects() {
    let mapper = mapper(&mapping());
    let mut shown = String::new();
    for value in values() {
        let written = write(&mapper, &view(&value, true));
        writeln!(shown, "# {}", value.text()).unwrap();
        for object in &written.objects {
            writeln!(shown, "{} {}", object.kind, object.json).unwrap();
        }
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn all_that_lists_say_about_a_value_is_in_its_objects() {
    let references = [
        reference("https://twitter.com/a/status/1529022365217906688", ""),
        reference("https://www.blog.example/2019/12/03/name", "(Korean)"),
    ];
    let large = reference("https://large.example/posts/1", "");
    let value = TrailValue::Ipv4("185.10.68.5".parse().unwrap());
    let view = View {
        families: vec![
            family("malicious/havoc.txt"),
            family("malware/apt_kimsuky-1.txt"),
            family("malware/asyncrat.txt"),
            family("suspicious/dynamic_domain.txt"),
        ],
        threats: vec![
            threat("malicious/havoc.txt"),
            threat("malware/apt_kimsuky.txt"),
            threat("malware/asyncrat.txt"),
        ],
        ports: vec![443, 8080],
        notes: vec!["sinkholed", "<script>alert(1)</script>"],
        references: references.iter().collect(),
        references_left_out: 3,
        large_references: vec![&large],
        ..view(&value, true)
    };
    let written = write(&mapper(&mapping()), &view);
    assert_eq!(written.references_left_out, 3);
    let threats: Vec<&str> = written.threats.iter().map(|threat| &*threat.kind).collect();
    assert_eq!(threats, ["Tool", "Intrusion-Set", "Malware"]);
    insta::assert_json_snapshot!(all_json(&written));
}

/// Without an indicator, what it would say stands on the observable; beside one, it stands there alone.
#[rstest]
#[case::no_indicators(false, true, true)]
#[case::of_services(true, false, true)]
#[case::beside_an_indicator(true, true, false)]
fn ports_and_notes_are_not_lost_where_there_is_no_indicator(
    #[case] create_indicators: bool,
    #[case] is_indicator: bool,
    #[case] is_described: bool,
) {
    let mut settings = mapping();
    settings.create_indicators = create_indicators;
    let value = TrailValue::Ipv4("185.10.68.5".parse().unwrap());
    let view = View {
        ports: vec![443, 8080],
        notes: vec!["sinkholed"],
        ..view(&value, is_indicator)
    };
    let written = all_json(&write(&mapper(&settings), &view));
    let said = "Listed by Maltrail in malware/asyncrat. Ports: 443, 8080. Notes: sinkholed.";
    let description = &only(&written, "ipv4-addr")["x_opencti_description"];
    assert_eq!(description.as_str(), is_described.then_some(said));
}

#[test]
fn author_and_marking_travel_with_every_object() {
    let value = domain();
    let written = write(&mapper(&mapping()), &view(&value, true));
    for object in written
        .objects
        .iter()
        .chain(written.threats.iter().map(|threat| &**threat))
    {
        let kinds: Vec<&str> = object
            .embedded
            .iter()
            .map(|embedded| &*embedded.kind)
            .collect();
        assert_eq!(kinds, ["marking", "Organization"]);
    }
    let author = Arc::clone(&written.objects[0].embedded[1]);
    let author_id = make_id::identity(IdentityClass::Organization, "maltrail");
    assert_eq!(author.id, author_id);
    insta::assert_json_snapshot!(json(&author));
}

#[rstest]
#[case("tlp:clear", tlp::CLEAR)]
#[case("tlp:amber+strict", tlp::AMBER_STRICT)]
#[case("tlp:red", tlp::RED)]
fn every_object_has_the_marking_that_is_set(#[case] name: &str, #[case] marking: tlp::Tlp) {
    let mut settings = mapping();
    settings.tlp = marking;
    let value = domain();
    let written = write(&mapper(&settings), &view(&value, true));
    let author = Arc::clone(&written.objects[0].embedded[1]);
    let threats = written.threats.iter().map(|threat| &**threat);
    for object in written.objects.iter().chain(threats).chain([&*author]) {
        let markings = &json(object)["object_marking_refs"];
        assert_eq!(
            *markings,
            json!([marking.id().as_str()]),
            "{name} {}",
            object.kind
        );
    }
}

#[test]
fn an_object_refers_to_what_is_before_it_or_to_its_threats() {
    let mapper = mapper(&mapping());
    for value in values() {
        let written = write(&mapper, &view(&value, true));
        let threats = written
            .threats
            .iter()
            .map(|threat| threat.id.as_str().to_owned());
        let mut known: Vec<String> = threats.collect();
        if let TrailValue::Traffic(address, _) = value {
            let value_type = match address {
                IpAddr::V4(_) => make_id::ValueType::Ipv4Addr,
                IpAddr::V6(_) => make_id::ValueType::Ipv6Addr,
            };
            let address = make_id::value(value_type, &address.to_string());
            known.push(address.as_str().to_owned());
        }
        for object in &written.objects {
            for end in &object.imported {
                assert!(known.iter().any(|id| id == end.as_str()), "{value:?} {end}");
            }
            known.push(object.id.as_str().to_owned());
        }
    }
}

#[test]
fn relationships_have_no_dates_and_no_references() {
    let reference = reference("https://blog.example/2019/12/03/name", "");
    let value = domain();
    let view = View {
        references: vec![&reference],
        ..view(&value, true)
    };
    let written = all_json(&write(&mapper(&mapping()), &view));
    let ties: Vec<&Value> = written
        .iter()
        .filter(|object| object["type"] == "relationship")
        .collect();
    assert_eq!(ties.len(), 2);
    for tie in ties {
        let mut names: Vec<&str> = tie
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        names.sort_unstable();
        let expected = [
            "created_by_ref",
            "id",
            "object_marking_refs",
            "relationship_type",
            "source_ref",
            "spec_version",
            "target_ref",
            "type",
        ];
        assert_eq!(names, expected);
    }
}

#[rstest]
#[case::malware(&["malware/asyncrat.txt"], 75, "malicious-activity", true)]
#[case::malicious(&["malicious/havoc.txt"], 60, "malicious-activity", true)]
#[case::suspicious(&["suspicious/pua.txt"], 40, "anomalous-activity", false)]
#[case::at_the_top(&["mass_scanner.txt"], 40, "malicious-activity", false)]
#[case::elsewhere(&["suspicious/pua.txt", "mass_scanner.txt"], 40, "malicious-activity", false)]
#[case::highest(&["malicious/wp_inject.txt", "malware/asyncrat.txt", "suspicious/pua.txt"], 75, "malicious-activity", true)]
#[case::second(&["malicious/wp_inject.txt", "suspicious/pua.txt"], 60, "malicious-activity", true)]
fn the_worst_list_counts(
    #[case] lists: &[&str],
    #[case] score: u8,
    #[case] indicator_type: &str,
    #[case] is_for_detection: bool,
) {
    let mut settings = mapping();
    settings.detection = true;
    let value = domain();
    let view = View {
        families: lists.iter().map(|list| family(list)).collect(),
        ..view(&value, true)
    };
    let written = all_json(&write(&mapper(&settings), &view));
    let indicator = only(&written, "indicator");
    assert_eq!(indicator["x_opencti_score"], score);
    assert_eq!(only(&written, "domain-name")["x_opencti_score"], score);
    assert_eq!(indicator["indicator_types"], json!([indicator_type]));
    let detection = indicator.get("x_opencti_detection");
    assert_eq!(detection, is_for_detection.then_some(&Value::Bool(true)));
}

#[test]
fn scores_are_those_that_are_set() {
    let mut settings = mapping();
    let percent = |number| Percent::new(number).unwrap();
    settings.scores = Scores {
        malware: percent(90),
        malicious: percent(80),
        suspicious: percent(0),
    };
    let value = domain();
    for (list, score) in [
        ("malware/asyncrat.txt", 90),
        ("malicious/havoc.txt", 80),
        ("suspicious/pua.txt", 0),
    ] {
        let view = View {
            families: vec![family(list)],
            ..view(&value, true)
        };
        assert_eq!(indicator(&settings, &view)["x_opencti_score"], score);
    }
}

#[test]
fn the_highest_score_counts_whichever_list_has_it() {
    let percent = |number| Percent::new(number).unwrap();
    let mut settings = mapping();
    settings.scores = Scores {
        malware: percent(10),
        malicious: percent(20),
        suspicious: percent(90),
    };
    let value = domain();
    let view = View {
        families: ["malware/asyncrat.txt", "suspicious/pua.txt"]
            .map(family)
            .to_vec(),
        ..view(&value, true)
    };
    assert_eq!(indicator(&settings, &view)["x_opencti_score"], 90);
}

#[test]
fn a_service_is_an_observable_with_labels_and_nothing_else() {
    let references = [reference("https://e.example/a", "")];
    let value = domain();
    let view = View {
        families: vec![family("suspicious/dynamic_domain.txt")],
        threats: Vec::new(),
        references: references.iter().collect(),
        ..view(&value, false)
    };
    let written = all_json(&write(&mapper(&mapping()), &view));
    assert_eq!(written.len(), 1);
    let observable = &written[0];
    assert_eq!(
        observable["labels"],
        json!(["suspicious", "dynamic_domain"])
    );
    let references = json!([{ "source_name": "e.example", "url": "https://e.example/a" }]);
    assert_eq!(observable["external_references"], references);
}

#[rstest]
#[case::both(true, true, &["Domain-Name", "Indicator", "based-on", "indicates"])]
#[case::observables(true, false, &["Domain-Name"])]
#[case::indicators(false, true, &["Indicator", "indicates"])]
fn what_is_not_wanted_is_not_made(
    #[case] observables: bool,
    #[case] indicators: bool,
    #[case] expected: &[&str],
) {
    let mut settings = mapping();
    settings.create_observables = observables;
    settings.create_indicators = indicators;
    let value = domain();
    let written = write(&mapper(&settings), &view(&value, true));
    let kinds: Vec<&str> = written.objects.iter().map(|object| &*object.kind).collect();
    assert_eq!(kinds, expected);
}

#[test]
fn traffic_without_observables_is_based_on_nothing() {
    let mut settings = mapping();
    settings.create_observables = false;
    settings.threats = false;
    let value = TrailValue::Traffic("185.10.68.5".parse().unwrap(), 4443);
    let written = write(&mapper(&settings), &view(&value, true));
    let kinds: Vec<&str> = written.objects.iter().map(|object| &*object.kind).collect();
    assert_eq!(kinds, ["Indicator"]);
}

#[test]
fn labels_and_references_can_be_left_out() {
    let mut settings = mapping();
    settings.labels = false;
    settings.references = false;
    let (small, large) = (
        reference("https://e.example/a", ""),
        reference("https://e.example/b", ""),
    );
    let value = domain();
    let view = View {
        references: vec![&small],
        references_left_out: 5,
        large_references: vec![&large],
        ..view(&value, true)
    };
    let written = write(&mapper(&settings), &view);
    assert_eq!(written.references_left_out, 0);
    for object in &written.objects {
        let json = json(object);
        assert!(json.get("labels").is_none() && json.get("external_references").is_none());
        assert!(!object.json.contains("e.example"));
    }
}

#[test]
fn references_are_bounded_and_counted() {
    let references: Vec<Reference> = (0..150)
        .map(|at| reference(&format!("https://e.example/{at}"), ""))
        .collect();
    let value = domain();
    let view = View {
        references: references.iter().collect(),
        references_left_out: 7,
        ..view(&value, true)
    };
    let written = write(&mapper(&mapping()), &view);
    assert_eq!(written.references_left_out, 57);
    let written = all_json(&written);
    let attached = only(&written, "indicator")["external_references"]
        .as_array()
        .unwrap();
    assert_eq!(attached.len(), 100);
    assert_eq!(attached[99]["url"], "https://e.example/99");
    assert!(
        only(&written, "domain-name")
            .get("external_references")
            .is_none()
    );
}

#[rstest]
#[case::commit(ValidFrom::Commit, Occasion::Listed, "2026-08-22T21:01:36.000Z")]
#[case::reference(ValidFrom::Reference, Occasion::Listed, "2022-05-24T08:51:54.386Z")]
// What is back counts from now on.
#[case::returned(
    ValidFrom::Reference,
    Occasion::Returned(FormerScores::default()),
    "2026-08-22T21:01:36.000Z"
)]
fn an_indicator_holds_from_the_commit_or_the_post_on(
    #[case] valid_from: ValidFrom,
    #[case] occasion: Occasion,
    #[case] expected: &str,
) {
    let references = [
        reference("https://blog.example/2019/12/03/name", ""),
        reference("https://blog.example/2026/08/23/tomorrow", ""),
    ];
    let large = reference("https://x.com/a/status/1529022365217906688", "");
    let value = domain();
    let view = View {
        references: references.iter().collect(),
        large_references: vec![&large],
        ..view(&value, true)
    };
    let mut settings = mapping();
    settings.valid_from = valid_from;
    let written = mapper(&settings).write(&view, occasion, moment());
    let written = all_json(&written);
    let indicator = only(&written, "indicator");
    assert_eq!(indicator["valid_from"], expected);
    assert_eq!(indicator["created"], expected);
    assert!(indicator.get("valid_until").is_none() && indicator.get("confidence").is_none());
}

#[test]
fn without_a_date_in_its_references_the_commit_counts() {
    let mut settings = mapping();
    settings.valid_from = ValidFrom::Reference;
    let value = domain();
    let indicator = indicator(&settings, &view(&value, true));
    assert_eq!(indicator["valid_from"], "2026-08-22T21:01:36.000Z");
}

#[test]
fn what_is_back_is_active_with_another_score() {
    let value = domain();
    let mapper = mapper(&mapping());
    let listed = all_json(&mapper.write(&view(&value, true), Occasion::Listed, moment()));
    assert!(only(&listed, "indicator").get("revoked").is_none());
    for times in 1..=5 {
        let view = view(&value, true);
        let former = (0..times).map(|earlier| 75 - earlier).collect();
        let returned = all_json(&mapper.write(&view, Occasion::Returned(former), moment()));
        let indicator = only(&returned, "indicator");
        assert_eq!(indicator["revoked"], false);
        assert_eq!(indicator["x_opencti_score"], 75 - times);
        assert_eq!(indicator["id"], only(&listed, "indicator")["id"]);
        assert_eq!(only(&returned, "domain-name")["x_opencti_score"], 75);
    }
}

#[test]
fn what_is_gone_is_revoked_with_the_score_zero_and_no_end() {
    let mapper = mapper(&mapping());
    for value in values() {
        let listed = all_json(&write(&mapper, &view(&value, true)));
        let listed = only(&listed, "indicator");
        let revoked = json(&mapper.revoke(&value, moment()).unwrap().unwrap());
        for name in [
            "id",
            "pattern",
            "name",
            "x_opencti_main_observable_type",
            "created_by_ref",
            "object_marking_refs",
        ] {
            assert_eq!(revoked[name], listed[name]);
        }
    }
    let value = domain();
    insta::assert_json_snapshot!(json(&mapper.revoke(&value, moment()).unwrap().unwrap()));
    let mut settings = mapping();
    settings.create_indicators = false;
    let without = self::mapper(&settings).revoke(&value, moment()).unwrap();
    assert_eq!(without, None);
}

/// Texts that would like to be more than a value.
fn hostile_values() -> impl Strategy<Value = TrailValue<'static>> {
    let text = r"(.|['\\\[\]%_ ]|'\] OR \[|[\u{202e}\u{0}\n`<]){1,40}";
    prop_oneof![
        text.prop_map(|text| TrailValue::Domain(text.into())),
        text.prop_map(|text| TrailValue::Url(format!("http://{text}").into())),
        text.prop_map(|text| TrailValue::Path(format!("/{text}").into())),
        text.prop_map(|text| TrailValue::Expression(text.into())),
        text.prop_map(|text| TrailValue::Suffix(format!(".{text}").into())),
        any::<(std::net::Ipv4Addr, u16)>()
            .prop_map(|(address, port)| TrailValue::Traffic(address.into(), port)),
        any::<std::net::Ipv6Addr>().prop_map(TrailValue::Ipv6),
        (any::<std::net::Ipv4Addr>(), 0..=32_u8)
            .prop_map(|(first, bits)| TrailValue::Range(first, bits)),
    ]
}

/// What stands outside of quotes, where each quoted text becomes `'…'`.
fn outside_of_quotes(pattern: &str) -> String {
    let mut outside = String::new();
    let (mut is_inside, mut is_escaped) = (false, false);
    for c in pattern.chars() {
        match (is_inside, c) {
            (true, _) if is_escaped => is_escaped = false,
            (true, '\\') => is_escaped = true,
            (true, '\'') => is_inside = false,
            (true, _) => {}
            (false, '\'') => {
                is_inside = true;
                outside.push_str("'…'");
            }
            (false, c) => outside.push(c),
        }
    }
    assert!(!is_inside, "{pattern}");
    outside
}

const FORMS: &[&str] = &[
    "[domain-name:value = '…']",
    "[domain-name:value LIKE '…']",
    "[domain-name:value MATCHES '…']",
    "[url:value = '…']",
    "[url:value LIKE '…']",
    "[url:value LIKE '…' OR url:value LIKE '…']",
    "[ipv4-addr:value = '…']",
    "[ipv4-addr:value ISSUBSET '…']",
    "[ipv6-addr:value = '…']",
];

static MAPPER: LazyLock<Mapper> = LazyLock::new(|| mapper(&mapping()));

proptest! {
    #[test]
    fn nothing_of_a_value_stands_outside_of_quotes(value in hostile_values()) {
        let shape = Shape::of(&value);
        let outside = outside_of_quotes(shape.pattern.as_str());
        let traffic = outside
            .strip_prefix("[network-traffic:dst_ref.type = '…' AND network-traffic:dst_ref.value = '…' AND network-traffic:dst_port = ")
            .and_then(|port| port.strip_suffix(']'));
        let is_traffic = traffic.is_some_and(|port| port.parse::<u16>().is_ok());
        prop_assert!(is_traffic || FORMS.contains(&outside.as_str()), "{outside}");
    }

    #[test]
    fn any_value_and_text_gives_whole_objects(
        value in hostile_values(),
        note in hostile::texts(),
        occasion in prop_oneof![Just(Occasion::Listed), prop::collection::vec(any::<i64>(), 0..5)
            .prop_map(|former| Occasion::Returned(former.into_iter().collect()))],
        ports in prop::collection::vec(any::<u16>(), 0..5),
    ) {
        let view = View { notes: vec![&note], ports, ..view(&value, true) };
        let mapper = &*MAPPER;
        let written = mapper.write(&view, occasion, moment());
        let again = mapper.write(&view, occasion, moment());
        prop_assert_eq!(&written.objects, &again.objects);
        for object in &written.objects {
            let json = json(object);
            if let Some(score) = json.get("x_opencti_score") {
                prop_assert!((1..=100).contains(&score.as_u64().unwrap()));
            }
        }
        if let Some(revoked) = mapper.revoke(&value, moment()).unwrap() {
            prop_assert_eq!(json(&revoked)["x_opencti_score"].clone(), json!(0));
        }
    }
}
