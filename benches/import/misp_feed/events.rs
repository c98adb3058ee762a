//! Events like those of a vendor, of any size, each written when it is asked for: the types of attributes in about the
//! proportions of published ones, objects of files, domains and detections with references, tags of groups, malware and
//! techniques.
//!
//! All follows from the number of the event, so the same event is always the same. No value comes twice.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;
use uuid::{Builder, Uuid};

/// When the first event was changed; the others follow an hour after one another.
const FIRST_CHANGE: u64 = 1_700_000_000;
const HOUR: u64 = 3600;
/// How many groups, and families of malware, the events tell of.
const GROUPS: u64 = 60;
const FAMILIES: u64 = 150;

/// The attributes of a block that belong to no object.
const PLAIN: [&str; 45] = [
    "sha1",
    "domain",
    "text",
    "filename",
    "sha256",
    "url",
    "md5",
    "sha1",
    "filename|sha1",
    "domain",
    "ip-dst",
    "text",
    "sha1",
    "domain|ip",
    "sha256",
    "domain",
    "filename",
    "sha1",
    "md5",
    "text",
    "regkey|value",
    "domain",
    "sha1",
    "url",
    "sha256",
    "domain",
    "sha1",
    "md5",
    "text",
    "filename",
    "domain",
    "sha1",
    "ip-dst",
    "filename|sha1",
    "sha256",
    "domain",
    "text",
    "sha1",
    "url",
    "md5",
    "domain|ip",
    "filename",
    "domain",
    "text",
    "sha1",
];

/// Attributes of a block, 15 of them in objects.
const BLOCK: usize = 60;

/// A template of an object: its name and category, and types of attributes with what they are in it.
type Shape = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

/// The objects of a block.
const OBJECTS: [Shape; 6] = [
    (
        "file",
        "file",
        &[
            ("filename", "filename"),
            ("md5", "md5"),
            ("sha1", "sha1"),
            ("sha256", "sha256"),
            ("size-in-bytes", "size-in-bytes"),
        ],
    ),
    (
        "file",
        "file",
        &[
            ("filename", "filename"),
            ("sha1", "sha1"),
            ("size-in-bytes", "size-in-bytes"),
        ],
    ),
    (
        "domain-ip",
        "network",
        &[("domain", "domain"), ("ip-dst", "ip")],
    ),
    (
        "domain-ip",
        "network",
        &[("domain", "domain"), ("ip-dst", "ip")],
    ),
    (
        "av-signature",
        "misc",
        &[("text", "software"), ("text", "signature")],
    ),
    ("url", "network", &[("url", "url")]),
];

/// Events of one feed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Events {
    /// How many there are.
    pub(crate) count: u64,
    /// How many attributes each has.
    pub(crate) attributes: usize,
}

/// One of them.
#[derive(Debug, Clone, Copy)]
struct Event {
    number: u64,
    attributes: usize,
}

#[derive(Serialize)]
struct Tag {
    name: String,
    colour: &'static str,
}

/// An attribute as a MISP server exports it.
#[derive(Serialize)]
struct Attribute {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    category: &'static str,
    to_ids: bool,
    uuid: String,
    event_id: String,
    distribution: &'static str,
    timestamp: String,
    comment: &'static str,
    sharing_group_id: &'static str,
    deleted: bool,
    disable_correlation: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    object_relation: Option<&'static str>,
    first_seen: Option<&'static str>,
    last_seen: Option<&'static str>,
    value: String,
    #[serde(rename = "Tag", skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Tag>,
}

#[derive(Serialize)]
struct Object {
    name: &'static str,
    #[serde(rename = "meta-category")]
    meta_category: &'static str,
    description: &'static str,
    uuid: String,
    timestamp: String,
    distribution: &'static str,
    comment: &'static str,
    deleted: bool,
    #[serde(rename = "ObjectReference")]
    references: Vec<Reference>,
    #[serde(rename = "Attribute")]
    attributes: Vec<Attribute>,
}

#[derive(Serialize)]
struct Reference {
    uuid: String,
    object_uuid: String,
    referenced_uuid: String,
    relationship_type: &'static str,
    comment: &'static str,
}

/// Each kind of thing in an event has ids of its own.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Event,
    Attribute,
    Object,
    Reference,
}

impl Events {
    /// The UUIDs of all.
    pub(crate) fn uuids(self) -> impl Iterator<Item = String> {
        (0..self.count).map(move |number| self.event(number).uuid())
    }

    fn event(self, number: u64) -> Event {
        Event {
            number,
            attributes: self.attributes,
        }
    }

    /// What `manifest.json` says.
    pub(crate) fn manifest(self) -> String {
        let events = (0..self.count).map(move |number| self.event(number));
        let entries = events.map(|event| {
            let entry = json!({
                "info": event.info(),
                "date": "2024-05-06",
                "timestamp": event.timestamp(),
                "analysis": "2",
                "threat_level_id": "2",
                "Orgc": author(),
                "Tag": event.tags(),
            });
            (event.uuid(), entry)
        });
        json!(entries.collect::<BTreeMap<_, _>>()).to_string()
    }

    /// The file of an event.
    pub(crate) fn file(self, number: u64) -> Result<Vec<u8>, serde_json::Error> {
        let event = self.event(number);
        let (attributes, objects) = event.content();
        serde_json::to_vec(&json_of(&event, &attributes, &objects))
    }
}

/// Borrows the content: a large event is in memory once as this, and once as text.
fn json_of<'a>(
    event: &'a Event,
    attributes: &'a [Attribute],
    objects: &'a [Object],
) -> impl Serialize + 'a {
    #[derive(Serialize)]
    struct File<'a> {
        #[serde(rename = "Event")]
        event: Content<'a>,
    }
    #[derive(Serialize)]
    struct Content<'a> {
        uuid: String,
        info: String,
        date: &'static str,
        timestamp: String,
        publish_timestamp: String,
        published: bool,
        threat_level_id: &'static str,
        analysis: &'static str,
        extends_uuid: &'static str,
        #[serde(rename = "Orgc")]
        author: serde_json::Value,
        #[serde(rename = "Attribute")]
        attributes: &'a [Attribute],
        #[serde(rename = "Object")]
        objects: &'a [Object],
        // Behind a hundred thousand attributes, where a reader meets them last.
        #[serde(rename = "Tag")]
        tags: Vec<Tag>,
    }
    File {
        event: Content {
            uuid: event.uuid(),
            info: event.info(),
            date: "2024-05-06",
            timestamp: event.timestamp(),
            publish_timestamp: event.timestamp(),
            published: true,
            threat_level_id: "2",
            analysis: "2",
            extends_uuid: "",
            author: author(),
            attributes,
            objects,
            tags: event.tags(),
        },
    }
}

fn author() -> serde_json::Value {
    json!({ "name": "Zorb CERT", "uuid": "55f6ea5e-2c60-40e5-964f-47a8950d210f" })
}

impl Event {
    fn uuid(&self) -> String {
        self.uuid_of(Kind::Event, 0)
    }

    fn uuid_of(&self, kind: Kind, place: usize) -> String {
        let [high, low] = self.mixed(kind as usize + 1, place);
        let random = Uuid::from_u64_pair(high, low).into_bytes();
        Builder::from_random_bytes(random).into_uuid().to_string()
    }

    /// 128 bits that look random, for a place in the event.
    fn mixed(&self, salt: usize, place: usize) -> [u64; 2] {
        let place = (place as u64) << 8 | salt as u64;
        // An event of another size is another event.
        let event = mix(self.number << 32 | self.attributes as u64);
        let high = mix(event ^ place);
        [high, mix(high ^ place.rotate_left(32))]
    }

    fn info(&self) -> String {
        format!("Zorb campaign {} of {}", self.number + 1, self.group())
    }

    fn group(&self) -> String {
        format!("Zorb Spider {}", self.number % GROUPS)
    }

    fn timestamp(&self) -> String {
        (FIRST_CHANGE + self.number * HOUR).to_string()
    }

    /// A group each, every other one a family of malware, every fourth one a technique.
    fn tags(&self) -> Vec<Tag> {
        let tlp = match self.number % 3 {
            0 => "tlp:white",
            1 => "tlp:green",
            _ => "tlp:amber",
        };
        let mut tags = vec![
            Tag::of(tlp),
            Tag::of("type:OSINT"),
            Tag::of(format!(r#"misp-galaxy:threat-actor="{}""#, self.group())),
        ];
        if self.number.is_multiple_of(2) {
            let family = self.number / 2 % FAMILIES;
            tags.push(Tag::of(format!(
                r#"misp-galaxy:malpedia="Zorbloader {family}""#
            )));
        }
        if self.number.is_multiple_of(4) {
            let pattern =
                r#"misp-galaxy:mitre-attack-pattern="Command and Scripting Interpreter - T1059""#;
            tags.push(Tag::of(pattern));
        }
        tags
    }

    fn content(&self) -> (Vec<Attribute>, Vec<Object>) {
        let (mut attributes, mut objects) = (Vec::new(), Vec::new());
        let blocks = self.attributes / BLOCK;
        for block in 0..blocks {
            let place = block * BLOCK;
            let plain = (place..).zip(PLAIN);
            attributes.extend(plain.map(|(place, kind)| self.attribute(place, kind, None)));
            self.add_objects(place + PLAIN.len(), &mut objects);
        }
        let rest = (blocks * BLOCK..self.attributes).zip(PLAIN.into_iter().cycle());
        attributes.extend(rest.map(|(place, kind)| self.attribute(place, kind, None)));
        (attributes, objects)
    }

    /// Two files, two domains with an address, a detection and a URL, with what is between them.
    fn add_objects(&self, begin: usize, objects: &mut Vec<Object>) {
        let mut place = begin;
        for (number, (name, meta_category, members)) in OBJECTS.into_iter().enumerate() {
            let attributes = members.iter().map(|(kind, relation)| {
                let attribute = self.attribute(place, kind, Some(relation));
                place += 1;
                attribute
            });
            objects.push(Object {
                name,
                meta_category,
                description: "An object of the benchmark",
                attributes: attributes.collect(),
                uuid: self.uuid_of(Kind::Object, begin + number),
                timestamp: self.timestamp(),
                distribution: "5",
                comment: "",
                deleted: false,
                references: self.references(begin, number),
            });
        }
    }

    /// From the first file to all others, and from the second domain to the first.
    fn references(&self, begin: usize, number: usize) -> Vec<Reference> {
        let to: &[(&str, usize)] = match number {
            0 => &[
                ("drops", 1),
                ("communicates-with", 2),
                ("detected-as", 4),
                ("downloaded-from", 5),
            ],
            3 => &[("related-to", 2)],
            _ => &[],
        };
        let references = to.iter().map(|(word, target)| Reference {
            uuid: self.uuid_of(Kind::Reference, begin + target),
            object_uuid: self.uuid_of(Kind::Object, begin + number),
            referenced_uuid: self.uuid_of(Kind::Object, begin + target),
            relationship_type: word,
            comment: "",
        });
        references.collect()
    }

    fn attribute(
        &self,
        place: usize,
        kind: &'static str,
        object_relation: Option<&'static str>,
    ) -> Attribute {
        let tags = if place.is_multiple_of(15) {
            vec![Tag::of(r#"stage:role="dropper""#)]
        } else {
            Vec::new()
        };
        Attribute {
            id: (self.number * 1_000_000 + place as u64).to_string(),
            kind,
            category: category(kind),
            // About two of three are not for detection.
            to_ids: place.is_multiple_of(3),
            uuid: self.uuid_of(Kind::Attribute, place),
            event_id: (self.number + 1).to_string(),
            distribution: "5",
            timestamp: self.timestamp(),
            comment: if place.is_multiple_of(4) {
                "Seen in the first stage"
            } else {
                ""
            },
            sharing_group_id: "0",
            deleted: false,
            disable_correlation: false,
            object_relation,
            first_seen: None,
            last_seen: None,
            value: self.value(place, kind),
            tags,
        }
    }

    fn value(&self, place: usize, kind: &str) -> String {
        let [one, two] = self.mixed(10, place);
        let [three, _] = self.mixed(11, place);
        let name = format!("{:08x}{place}", self.number);
        let domain = || format!("z{:06x}.{name}.example", one & 0x00ff_ffff);
        // Every address is another one, as far as there are some.
        let address = || {
            let address = (self.number * 4099 + place as u64) & 0x00ff_ffff;
            let [_, .., b, c, d] = address.to_be_bytes();
            format!("{}.{b}.{c}.{d}", 20 + self.number % 80)
        };
        match kind {
            "md5" => format!("{one:016x}{two:016x}"),
            "sha1" => format!("{one:016x}{two:016x}{:08x}", three >> 32),
            "sha256" => format!("{one:016x}{two:016x}{three:016x}{:016x}", mix(three)),
            "filename" => format!("zorb-{name}.exe"),
            "filename|sha1" => format!("setup-{name}.exe|{one:016x}{two:016x}{:08x}", three >> 32),
            "domain" => domain(),
            "ip-dst" => address(),
            "domain|ip" => format!("{}|{}", domain(), address()),
            "url" => format!("https://{}/stage/{two:x}", domain()),
            "regkey|value" => format!(
                r"HKLM\Software\Microsoft\Windows\CurrentVersion\Run\{name}|C:\Users\Public\{name}.exe"
            ),
            "size-in-bytes" => (4096 + one % 4_000_000).to_string(),
            _ => format!("Win32/Zorb.{name}"),
        }
    }
}

impl Tag {
    fn of(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            colour: "#0088cc",
        }
    }
}

fn category(kind: &str) -> &'static str {
    match kind {
        "domain" | "domain|ip" | "ip-dst" | "url" => "Network activity",
        "regkey|value" => "Persistence mechanism",
        "text" => "Antivirus detection",
        "size-in-bytes" => "Other",
        _ => "Payload delivery",
    }
}

fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
