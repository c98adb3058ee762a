//! What the Maltrail connector makes of trails, beside the platform's client, the OASIS parser and its validator.

use std::sync::Arc;

use opencti_connectors::connectors::maltrail::mapping::{
    FormerScores, ListPages, Mapper, Occasion,
};
use opencti_connectors::connectors::maltrail::settings::{MaltrailSettings, Repository};
use opencti_connectors::connectors::maltrail::trails::family::{
    Families, FileId, FileUse, ThreatId, ThreatTable,
};
use opencti_connectors::connectors::maltrail::trails::merged::View;
use opencti_connectors::connectors::maltrail::trails::reader::Place;
use opencti_connectors::connectors::maltrail::trails::reference::Reference;
use opencti_connectors::connectors::maltrail::trails::survey::ThreatView;
use opencti_connectors::connectors::maltrail::trails::value::TrailValue;
use opencti_connectors::settings::{Settings, read};
use opencti_connectors::stix::{StixObject, Timestamp};
use serde_json::{Value, json};

use crate::client::{assert_made_by_client, read_by_client};
use crate::validator::unexpected_errors;
use crate::{TEXTS, oracle};

const ID: &str = "7f9c2d34-5b1e-4a6f-8c0d-2e3f4a5b6c7d";

/// Lists of threats of each type.
const LISTS: [&str; 3] = [
    "malicious/havoc.txt",
    "malware/apt_kimsuky.txt",
    "malware/asyncrat.txt",
];

struct Lists {
    families: Families,
    settings: MaltrailSettings,
}

impl Lists {
    fn new() -> Self {
        let required = [
            ("OPENCTI_URL", "http://opencti:8080"),
            ("OPENCTI_TOKEN", ID),
            ("CONNECTOR_ID", ID),
        ];
        let settings: Settings<MaltrailSettings> =
            read("/nonexistent/config.yml".as_ref(), required).expect("settings");
        let table = ThreatTable::built_in().expect("a table");
        let lists = LISTS.map(|path| (path.to_owned(), FileUse::Full));
        Self {
            families: Families::new(lists, &table),
            settings: settings.section,
        }
    }

    fn file(&self, path: &str) -> FileId {
        self.families.file(path).expect("a list")
    }

    fn mapper(&self) -> Mapper {
        let repository = Repository::read("stamparm/maltrail").expect("a repository");
        let api = &self.settings.host.api_base_url;
        let pages = ListPages::new(api, &repository, "HEAD", "trails/static");
        let of_threat = |id| {
            let files = self.families.files();
            let files = files.filter(move |file| self.families.threat_of(*file) == Some(id));
            files.collect()
        };
        let threats = self.families.threats().map(|(id, threat)| ThreatView {
            id,
            threat,
            files: of_threat(id),
            trails: 1,
            aliases: vec!["Another name", "<b>'\"\\"],
            references: Vec::new(),
            references_left_out: 0,
        });
        Mapper::new(&self.settings.mapping, &pages, &self.families, threats).expect("a mapper")
    }

    fn view<'a>(&self, value: &'a TrailValue<'a>, reference: &'a Reference) -> View<'a> {
        let files = LISTS.map(|list| self.file(list));
        let threats = files.iter();
        let threats: Vec<ThreatId> = threats
            .filter_map(|file| self.families.threat_of(*file))
            .collect();
        View {
            value,
            first: Place {
                file: self.file(LISTS[0]),
                line: 1,
            },
            families: files
                .iter()
                .filter_map(|file| self.families.family_of(*file))
                .collect(),
            threats,
            ports: vec![443, 8080],
            notes: TEXTS.to_vec(),
            notes_left_out: 1,
            references: vec![reference],
            large_references: Vec::new(),
            references_left_out: 0,
            is_indicator: true,
        }
    }
}

/// A value of each kind, and those with texts that would like to be more than a value.
fn values() -> Vec<TrailValue<'static>> {
    let mut values = vec![
        TrailValue::Domain("evil.example".into()),
        TrailValue::Ipv4([185, 10, 68, 5].into()),
        TrailValue::Ipv6([0x2a00, 0x1450, 0, 0, 0, 0, 0, 7].into()),
        TrailValue::Traffic([185, 10, 68, 5].into(), 4443),
        TrailValue::Url("http://evil.example/it's?a=\\b".into()),
        TrailValue::Range([162, 255, 119, 0].into(), 24),
        TrailValue::Path("/gate.php".into()),
        TrailValue::Path("/panel/".into()),
        TrailValue::Expression(r"vh[0-9]{6}\.eurodir\.ru".into()),
        TrailValue::Suffix(".xyz".into()),
    ];
    for text in TEXTS {
        let text = text.trim();
        values.push(TrailValue::Url(
            format!("http://evil.example/{text}").into(),
        ));
        values.push(TrailValue::Path(format!("/{text}").into()));
        values.push(TrailValue::Path(format!("/{text}?").into()));
        values.push(TrailValue::Expression(format!("^{text}").into()));
        values.push(TrailValue::Suffix(format!(".{text}").into()));
    }
    values
}

fn moment() -> Timestamp {
    Timestamp::read("2026-08-22T21:01:36Z").expect("a time")
}

/// All objects of these values, each once, behind what they refer to.
fn objects() -> Vec<StixObject> {
    let lists = Lists::new();
    let mapper = lists.mapper();
    let reference = Reference::new("https://blog.example/2019/12/03/name", "(Korean)");
    let reference = reference.expect("a reference");
    let mut all: Vec<StixObject> = Vec::new();
    let mut put = |object: &StixObject| {
        if !all.iter().any(|known| known.id == object.id) {
            all.push(object.clone());
        }
    };
    let values = values();
    // The address of network traffic comes as a value of its own.
    for value in &values {
        let view = lists.view(value, &reference);
        let written = mapper.write(&view, Occasion::Returned(FormerScores::default()), moment());
        assert_eq!(written.skipped, []);
        for object in written
            .threats
            .iter()
            .map(Arc::as_ref)
            .chain(&written.objects)
        {
            for embedded in &object.embedded {
                put(embedded);
            }
            put(object);
        }
    }
    all
}

fn json(object: &StixObject) -> Value {
    serde_json::from_str(&object.json).expect("an object")
}

#[test]
fn every_pattern_is_one_and_says_no_more_than_its_value() {
    let patterns: Vec<Value> = objects()
        .iter()
        .map(json)
        .filter(|object| object["type"] == "indicator")
        .map(|object| object["pattern"].clone())
        .collect();
    let answer = oracle::ask("read_patterns.py", &patterns, &[]);
    let read = answer["patterns"].as_array().expect("patterns");
    assert_eq!(read.len(), patterns.len());
    let types = [
        "domain-name",
        "url",
        "ipv4-addr",
        "ipv6-addr",
        "network-traffic",
    ];
    for (pattern, read) in patterns.iter().zip(read) {
        let comparisons = read.as_array().unwrap_or_else(|| panic!("{pattern}"));
        // Of a path two, of network traffic three.
        assert!((1..=3).contains(&comparisons.len()), "{pattern} {read}");
        for comparison in comparisons {
            let object_type = comparison[0].as_str().expect("a type");
            assert!(types.contains(&object_type), "{pattern} {read}");
        }
    }
}

#[test]
fn the_client_and_the_validator_read_every_object() {
    let objects: Vec<Arc<StixObject>> = objects().into_iter().map(Arc::new).collect();
    let errors = read_by_client(&objects);
    assert_eq!(unexpected_errors(&errors), Vec::<&str>::new());
}

#[test]
fn ids_are_those_that_the_client_makes() {
    let ids = objects().into_iter().filter_map(|object| {
        let json = json(&object);
        let arguments = match object.id.stix_type() {
            "indicator" => json!({ "pattern": json["pattern"] }),
            "relationship" => json!({
                "relationship_type": json["relationship_type"],
                "source_ref": json["source_ref"],
                "target_ref": json["target_ref"],
            }),
            "identity" => json!({ "name": "maltrail", "identity_class": "organization" }),
            "malware" | "tool" | "intrusion-set" => json!({ "name": json["name"] }),
            "marking-definition" => return None,
            _ => json!({ "value": json["value"] }),
        };
        Some((object.id, arguments))
    });
    assert_made_by_client(ids);
}
