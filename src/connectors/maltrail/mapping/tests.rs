//! Values of every kind under every setting.

mod objects;
mod threats;

use std::net::IpAddr;
use std::sync::LazyLock;

use serde_json::Value;
use url::Url;

use super::super::settings::{MaltrailSettings, Repository};
use super::super::trails::family::{FileUse, ThreatTable};
use super::super::trails::reader::Place;
use super::super::trails::reference::Reference;
use super::*;
use crate::hostile;
use crate::settings::{Settings, read};

const ID: &str = "11111111-aaaa-4bbb-8ccc-222222222222";

/// The lists of these tests, and what is taken of each.
const LISTS: &[(&str, FileUse)] = &[
    ("malicious/havoc.txt", FileUse::Full),
    ("malicious/wp_inject.txt", FileUse::Full),
    ("malware/apt_37.txt", FileUse::Full),
    ("malware/apt_kimsuky-1.txt", FileUse::Full),
    ("malware/apt_kimsuky.txt", FileUse::Full),
    ("malware/asyncrat.txt", FileUse::Full),
    ("malware/left_out.txt", FileUse::LeftOut),
    ("mass_scanner.txt", FileUse::Full),
    ("suspicious/dynamic_domain.txt", FileUse::ObservablesOnly),
    ("suspicious/pua.txt", FileUse::Full),
];

pub(super) fn settings() -> MaltrailSettings {
    let required = [
        ("OPENCTI_URL", "http://opencti:8080"),
        ("OPENCTI_TOKEN", ID),
        ("CONNECTOR_ID", ID),
    ];
    let read: Settings<MaltrailSettings> =
        read("/nonexistent/config.yml".as_ref(), required).unwrap();
    read.section
}

/// What holds where nothing is set.
pub(super) fn mapping() -> MappingSettings {
    settings().mapping
}

/// Reading the table of threats takes longer than everything else here.
pub(super) fn families() -> &'static Families {
    static FAMILIES: LazyLock<Families> = LazyLock::new(|| families_of(LISTS));
    &FAMILIES
}

pub(super) fn families_of(lists: &[(&str, FileUse)]) -> Families {
    let lists = lists
        .iter()
        .map(|(path, usage)| ((*path).to_owned(), *usage));
    Families::new(lists, &ThreatTable::built_in().unwrap())
}

pub(super) fn pages() -> ListPages {
    let repository = Repository::read("stamparm/maltrail").unwrap();
    let api = Url::parse("https://api.github.com").unwrap();
    ListPages::new(&api, &repository, "HEAD", "trails/static")
}

pub(super) fn mapper(settings: &MappingSettings) -> Mapper {
    let families = families();
    Mapper::new(settings, &pages(), families, threat_views(families)).unwrap()
}

/// The threats of full lists, of which nothing else is said.
pub(super) fn threat_views(families: &Families) -> Vec<ThreatView<'_>> {
    let full = |id| {
        let files = families.files().filter(move |file| {
            families.usage(*file) == FileUse::Full && families.threat_of(*file) == Some(id)
        });
        files.collect::<Vec<_>>()
    };
    let threats = families.threats().map(|(id, threat)| ThreatView {
        id,
        threat,
        files: full(id),
        trails: 1,
        aliases: Vec::new(),
        references: Vec::new(),
        references_left_out: 0,
    });
    threats.filter(|view| !view.files.is_empty()).collect()
}

pub(super) fn family(path: &str) -> FamilyId {
    let families = families();
    families.family_of(families.file(path).unwrap()).unwrap()
}

pub(super) fn threat(path: &str) -> ThreatId {
    let families = families();
    families.threat_of(families.file(path).unwrap()).unwrap()
}

pub(super) fn moment() -> Timestamp {
    Timestamp::read("2026-08-22T21:01:36Z").unwrap()
}

pub(super) fn reference(address: &str, remark: &str) -> Reference {
    Reference::new(address, remark).unwrap()
}

/// A value of each kind.
pub(super) fn values() -> Vec<TrailValue<'static>> {
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    vec![
        TrailValue::Domain("evil.example".into()),
        TrailValue::Ipv4("185.10.68.5".parse().unwrap()),
        TrailValue::Ipv6("2a00:1450::7".parse().unwrap()),
        TrailValue::Traffic(address("185.10.68.5"), 4443),
        TrailValue::Traffic(address("2a00:1450::7"), 53),
        TrailValue::Url("http://evil.example/it's?a=\\b".into()),
        TrailValue::Range("162.255.119.0".parse().unwrap(), 24),
        TrailValue::Range("162.255.119.7".parse().unwrap(), 32),
        TrailValue::Range("0.0.0.0".parse().unwrap(), 0),
        TrailValue::Path("/gate.php".into()),
        TrailValue::Path("/panel/".into()),
        TrailValue::Path("/x/?id=".into()),
        TrailValue::Expression(r"vh[0-9]{6}\.eurodir\.ru".into()),
        TrailValue::Suffix(".xyz".into()),
    ]
}

/// A value that asyncrat's list has, with nothing else said about it.
pub(super) fn view<'a>(value: &'a TrailValue<'a>, is_indicator: bool) -> View<'a> {
    let families = families();
    let file = families.file("malware/asyncrat.txt").unwrap();
    View {
        value,
        first: Place { file, line: 7 },
        families: vec![family("malware/asyncrat.txt")],
        threats: vec![threat("malware/asyncrat.txt")],
        ports: Vec::new(),
        notes: Vec::new(),
        references: Vec::new(),
        notes_left_out: 0,
        references_left_out: 0,
        large_references: Vec::new(),
        is_indicator,
    }
}

pub(super) fn write(mapper: &Mapper, view: &View<'_>) -> Written {
    let written = mapper.write(view, Occasion::Listed, moment());
    assert_eq!(written.skipped, Vec::new());
    written
}

pub(super) fn json(object: &StixObject) -> Value {
    let json = hostile::read_strictly(&object.json).unwrap();
    assert_eq!(json["id"], object.id.as_str());
    json
}

pub(super) fn all_json(written: &Written) -> Vec<Value> {
    written.objects.iter().map(json).collect()
}

/// The only object of this type.
pub(super) fn only<'w>(written: &'w [Value], stix_type: &str) -> &'w Value {
    let mut found = written.iter().filter(|object| object["type"] == stix_type);
    let first = found.next().unwrap();
    assert!(found.next().is_none());
    first
}
