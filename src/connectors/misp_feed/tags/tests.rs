//! Tags of every kind.

use rstest::rstest;

use super::*;
use crate::connectors::misp_feed::mapping_settings::LabelStyle;

fn tag(name: &str) -> Tag {
    Tag {
        name: name.to_owned(),
        colour: None,
    }
}

fn settings() -> MappingSettings {
    MappingSettings {
        author_from_tags: true,
        markings_from_tags: true,
        ..MappingSettings::default()
    }
}

fn read_with(settings: &MappingSettings, names: &[&str]) -> TagFacts {
    let tags: Vec<Tag> = names.iter().map(|name| tag(name)).collect();
    TagFacts::read(Holder::Event, &tags, &[], settings, &Guesses::default())
}

fn read_clusters(tags: &[Tag], clusters: &[Cluster], guesses: &Guesses) -> TagFacts {
    let settings = MappingSettings {
        guess_threats_from_tags: true,
        ..settings()
    };
    TagFacts::read(Holder::Event, tags, clusters, &settings, guesses)
}

fn labels(facts: &TagFacts) -> Vec<&str> {
    facts
        .labels
        .iter()
        .map(|label| label.value.as_str())
        .collect()
}

fn entities(facts: &TagFacts) -> Vec<(EntityKind, &str, Option<&str>)> {
    let entities = facts.entities.iter();
    let entities = entities.map(|entity| {
        (
            entity.kind,
            entity.name.as_str(),
            entity.mitre_id.as_deref(),
        )
    });
    entities.collect()
}

#[rstest]
#[case(&["tlp:white"], tlp::CLEAR)]
#[case(&["TLP:CLEAR"], tlp::CLEAR)]
#[case(&["tlp:green", "tlp:amber", "tlp:clear"], tlp::AMBER)]
#[case(&["tlp:amber+strict", "TLP:AMBER"], tlp::AMBER_STRICT)]
#[case(&["Tlp:Red", "marking:TLP=TLP:GREEN"], tlp::RED)]
fn the_strictest_of_several_counts(#[case] names: &[&str], #[case] expected: tlp::Tlp) {
    let facts = read_with(&settings(), names);
    assert_eq!(facts.marks.tlp, Some(expected));
    assert_eq!(labels(&facts), [""; 0]);
}

#[test]
fn other_markings_are_read() {
    let names = [
        "PAP:WHITE",
        "pap:amber",
        "marking:PAP=PAP:GREEN",
        "marking:statement=\"For us: alone\"",
        "marking:half",
        "TLP:EX:CHR",
    ];
    let facts = read_with(&settings(), &names);
    assert_eq!(facts.marks.tlp, None);
    assert_eq!(facts.marks.pap, Some(Pap::Amber));
    let others = [("statement".to_owned(), "For us: alone".to_owned())];
    assert_eq!(facts.marks.others, others.into());
    assert_eq!(labels(&facts), ["half", "EX:CHR"]);
    let facts = read_with(&MappingSettings::default(), &["marking:PAP=PAP:RED"]);
    assert_eq!((facts.marks.pap, labels(&facts)), (None, vec!["PAP:RED"]));
}

#[rstest]
#[case(
    "misp-galaxy:threat-actor=\"APT 28\"",
    EntityKind::IntrusionSet,
    "APT28",
    None
)]
#[case(
    "misp-galaxy:mitre-intrusion-set=\"Turla - G0010\"",
    EntityKind::IntrusionSet,
    "Turla",
    None
)]
#[case(
    "MISP-Galaxy:Malpedia=\"X-Agent\"",
    EntityKind::Malware,
    "X-Agent",
    None
)]
#[case(
    "misp-galaxy:mitre-malware=\"Zebrocy - S0251\"",
    EntityKind::Malware,
    "Zebrocy",
    None
)]
#[case(
    "misp-galaxy:tool=\"Cobalt Strike\"",
    EntityKind::Malware,
    "Cobalt Strike",
    None
)]
#[case(
    "misp-galaxy:mitre-tool=\"Mimikatz - S0002\"",
    EntityKind::Tool,
    "Mimikatz",
    None
)]
#[case(
    "misp-galaxy:mitre-attack-pattern=\"Spearphishing Link - T1566.002\"",
    EntityKind::AttackPattern,
    "Spearphishing Link",
    Some("T1566.002")
)]
#[case(
    "misp-galaxy:mitre-attack-pattern=\"Component Object Model Hijacking\"",
    EntityKind::AttackPattern,
    "Component Object Model Hijacking",
    None
)]
#[case(
    "mitre-attack:attack-pattern=\"Masquerading - T1036\"",
    EntityKind::AttackPattern,
    "Masquerading",
    Some("T1036")
)]
#[case("mitre:T1566", EntityKind::AttackPattern, "T1566", Some("T1566"))]
#[case(
    "misp-galaxy:mitre-course-of-action=\"Audit - M1047\"",
    EntityKind::CourseOfAction,
    "Audit",
    Some("M1047")
)]
#[case(
    "misp-galaxy:mitre-campaign=\"Operation Ghost - C0023\"",
    EntityKind::Campaign,
    "Operation Ghost",
    None
)]
#[case("misp-galaxy:sector=\"Finance\"", EntityKind::Sector, "Finance", None)]
#[case(
    "misp-galaxy:country=\"south korea\"",
    EntityKind::Country,
    "South Korea",
    None
)]
#[case(
    "misp-galaxy:region=\"150 - Europe\"",
    EntityKind::Region,
    "Europe",
    None
)]
#[case(
    "misp-galaxy:branded-vulnerability=\"Heartbleed\"",
    EntityKind::Vulnerability,
    "Heartbleed",
    None
)]
fn galaxies_name_entities(
    #[case] name: &str,
    #[case] kind: EntityKind,
    #[case] entity: &str,
    #[case] number: Option<&str>,
) {
    let facts = read_with(&settings(), &[name]);
    assert_eq!(entities(&facts), [(kind, entity, number)]);
    assert_eq!(labels(&facts), [""; 0]);
}

/// The whole and the value alone.
#[rstest]
#[case(
    "malware_classification:malware-category=\"Ransomware\"",
    Some("Ransomware")
)]
#[case("malware:Zebrocy", Some("Zebrocy"))]
#[case(
    "misp-galaxy:surveillance-vendor=\"Hacking Team\"",
    Some("Hacking Team")
)]
#[case(
    "misp-galaxy:threat-actor=\"5be1e65d-8198-497b-bdf5-5ec20a016219\"",
    Some("5be1e65d-8198-497b-bdf5-5ec20a016219")
)]
#[case("misp-galaxy:threat-actor", Some("threat-actor"))]
#[case("Type:OSINT", Some("OSINT"))]
#[case("osint:lifetime=\"perpetual\"", Some("perpetual"))]
#[case("ecsirt:threat_level=\"4\"", Some("threat_level-4"))]
#[case("kill-chain:Delivery", Some("Delivery"))]
#[case("SSHDoor", Some("SSHDoor"))]
#[case("https://evil.example/a=b", Some("https://evil.example/a=b"))]
#[case(
    "admiralty-scale:information-credibility=\"2\"",
    Some("information-credibility-2")
)]
#[case("workflow:state=\"draft\"", None)]
#[case("misp:tool=\"x\"", None)]
#[case("  ", None)]
fn everything_else_is_a_label(#[case] name: &str, #[case] value: Option<&str>) {
    let facts = read_with(&settings(), &[name]);
    assert_eq!(entities(&facts), []);
    assert_eq!(labels(&facts), value.into_iter().collect::<Vec<_>>());
    let full = MappingSettings {
        label_style: LabelStyle::Full,
        ..settings()
    };
    let expected: Vec<&str> = value.map(|_| name.trim()).into_iter().collect();
    assert_eq!(labels(&read_with(&full, &[name])), expected);
}

#[test]
fn a_tag_of_too_many_characters_is_nothing() {
    let long = "x".repeat(20_000);
    assert_eq!(read_with(&settings(), &[&long]), TagFacts::default());
}

#[test]
fn some_tags_stay_whole() {
    let settings = MappingSettings {
        keep_original_tags: vec!["osint:".to_owned()],
        ..settings()
    };
    let names = ["osint:lifetime=\"perpetual\"", "type:osint"];
    let facts = read_with(&settings, &names);
    assert_eq!(labels(&facts), [names[0], "osint"]);
}

#[test]
fn degrees_of_trust_are_read() {
    let names = [
        "misp:confidence-level=\"usually-confident\"",
        "estimative-language:confidence-in-analytic-judgment=\"low\"",
        "admiralty-scale:source-reliability=\"b\"",
    ];
    let facts = read_with(&settings(), &names);
    assert_eq!(facts.confidence.map(Percent::get), Some(75));
    assert_eq!(facts.reliability, Some("B - Usually reliable"));
    assert_eq!(labels(&facts), [""; 0]);
}

#[test]
fn the_last_creator_is_the_author() {
    let names = ["creator=\"First\"", "creator:name=\"Zorb CERT\""];
    let facts = read_with(&settings(), &names);
    assert_eq!(facts.author.as_deref(), Some("Zorb CERT"));
    let facts = read_with(&MappingSettings::default(), &names);
    assert_eq!(
        (facts.author.as_deref(), labels(&facts)),
        (None, vec!["First", "Zorb CERT"])
    );
}

#[test]
fn a_cluster_and_its_tag_are_one() {
    let name = "misp-galaxy:mitre-attack-pattern=\"Masquerading\"";
    let cluster = Cluster {
        galaxy: "mitre-attack-pattern".to_owned(),
        value: "Masquerading".to_owned(),
        tag_name: name.to_owned(),
        description: "They hide.".to_owned(),
        synonyms: vec!["masquerading".to_owned(), "Hiding".to_owned()],
        external_ids: vec!["CAPEC-177".to_owned(), "T1036".to_owned()],
        iso: None,
    };
    let facts = read_clusters(&[tag(name)], &[cluster], &Guesses::default());
    let expected = (EntityKind::AttackPattern, "Masquerading", Some("T1036"));
    assert_eq!(entities(&facts), [expected]);
    let object = facts.entities[0]
        .write(&crate::stix::typed::Common::default())
        .unwrap();
    let json: serde_json::Value = serde_json::from_str(&object.json).unwrap();
    assert_eq!(json["aliases"], serde_json::json!(["Hiding"]));
    assert_eq!(json["description"], "They hide.");
    assert_eq!(json["external_references"][0]["external_id"], "T1036");
    assert_eq!(object.id, facts.entities[0].id());
}

#[test]
fn what_the_platform_knows_is_that() {
    let id = crate::stix::make_id::malware("Zebrocy at home");
    let mut guesses = Guesses::default();
    guesses.add(
        "Zebrocy",
        Guessed {
            kind: EntityKind::Malware,
            id: id.clone(),
            name: "Zebrocy".to_owned(),
        },
    );
    let settings = MappingSettings {
        guess_threats_from_tags: true,
        ..settings()
    };
    let tags = [tag("type:zebrocy"), tag("other")];
    let facts = TagFacts::read(Holder::Event, &tags, &[], &settings, &guesses);
    assert_eq!(
        (facts.entities[0].id(), labels(&facts)),
        (id, vec!["other"])
    );
}

#[test]
fn own_markings_replace_those_of_the_same_type() {
    let event = read_with(
        &settings(),
        &["tlp:red", "pap:green", "marking:a=1", "marking:b=2"],
    );
    let own = read_with(&settings(), &["tlp:green", "marking:A=3"]);
    let marks = event.marks.replaced_by(&own.marks);
    assert_eq!((marks.tlp, marks.pap), (Some(tlp::GREEN), Some(Pap::Green)));
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(marks.others, [pair("A", "3"), pair("b", "2")].into());
    let both = event.marks.stricter(&own.marks);
    assert_eq!((both.tlp, both.others.len()), (Some(tlp::RED), 3));
}

/// It names nobody but the author of the event.
#[test]
fn a_creator_of_an_attribute_is_a_label() {
    let tags = [tag("creator=\"Zorb CERT\"")];
    let facts = TagFacts::read(Holder::Part, &tags, &[], &settings(), &Guesses::default());
    assert_eq!(
        (facts.author.as_deref(), labels(&facts)),
        (None, vec!["Zorb CERT"])
    );
}

/// A cluster of a galaxy that names no threats is what its tag would be.
#[test]
fn a_cluster_of_another_galaxy_is_as_its_tag() {
    let name = "misp-galaxy:surveillance-vendor=\"Zorb Systems\"";
    let cluster = || Cluster {
        galaxy: "surveillance-vendor".to_owned(),
        value: "Zorb Systems".to_owned(),
        tag_name: name.to_owned(),
        ..Cluster::default()
    };
    let coloured = Tag {
        colour: Some("#339900".to_owned()),
        ..tag(name)
    };
    let facts = read_clusters(&[coloured], &[cluster()], &Guesses::default());
    let [label] = &facts.labels[..] else {
        panic!("{facts:?}");
    };
    assert_eq!(label.value, "Zorb Systems");
    assert_eq!(label.colour.as_deref(), Some("#339900"));

    let id = crate::stix::make_id::tool("Zorb Systems");
    let mut guesses = Guesses::default();
    let known = Guessed {
        kind: EntityKind::Tool,
        id: id.clone(),
        name: "Zorb Systems".to_owned(),
    };
    guesses.add("zorb systems", known);
    for tags in [vec![tag(name)], vec![]] {
        let facts = read_clusters(&tags, &[cluster()], &guesses);
        assert_eq!(facts.entities[0].id(), id);
        assert_eq!(labels(&facts), [""; 0]);
    }
}

/// Of the event, its attributes and its objects; clusters too, and nothing that is something else.
#[test]
fn names_are_looked_up_that_are_nothing_else() {
    let event = r#"{"Event":{"info":"x","Tag":[{"name":"type:of-event"},{"name":"tlp:red"},{"name":"ab"},{"name":"x:y=\"77\""}],
        "Galaxy":[{"type":"surveillance-vendor","GalaxyCluster":[{"value":"Of Cluster"}]},{"type":"rat","GalaxyCluster":[{"value":"Zorb"}]}],
        "Attribute":[{"type":"md5","Tag":[{"name":"Of-Attribute"},{"name":"creator=\"Creator\""}]}],
        "Object":[{"name":"file","Tag":[{"name":"of-object"}],"Attribute":[{"type":"md5","Tag":[{"name":"of-part"}]}]}]}}"#;
    let file = crate::connectors::misp_feed::event::EventFile::read(event.into()).unwrap();
    let names = names_to_guess(&file.events().next().unwrap(), &settings());
    let expected = [
        "creator",
        "of cluster",
        "of-attribute",
        "of-event",
        "of-object",
        "of-part",
        "y-77",
    ];
    assert_eq!(names.into_iter().collect::<Vec<_>>(), expected);
}

/// What is marked so may be said there.
#[rstest]
#[case(&["tlp:red"], &["tlp:green"], true)]
#[case(&["tlp:green"], &["tlp:red"], false)]
#[case(&[], &["tlp:clear", "PAP:CLEAR"], true)]
#[case(&[], &["tlp:green"], false)]
#[case(&["tlp:red"], &["PAP:GREEN"], false)]
#[case(&["tlp:red", "marking:a=1"], &["marking:a=1"], true)]
#[case(&["tlp:red"], &["marking:a=1"], false)]
fn markings_cover_laxer_ones(#[case] own: &[&str], #[case] other: &[&str], #[case] covers: bool) {
    let marks = |names: &[&str]| read_with(&settings(), names).marks;
    assert_eq!(marks(own).cover(&marks(other)), covers);
}
