//! A realistic content of any size.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::content::{self, EPOCH, domain, some_time};
use super::random::Random;
use super::{DataSet, NO_START, NO_STOP, Record};
use crate::ids;
use crate::time::iso;
use crate::types::{OBSERVABLE_TYPES, ObservableType};

/// How much content, and which.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Another seed gives another content.
    pub seed: u64,
    /// How many observables; from 37 on all types occur.
    pub observables: usize,
    /// How many indicators, each with about two based-on relationships.
    pub indicators: usize,
    /// How many relationships the first indicator has, as far as there are observables.
    pub relationships_of_the_first: usize,
    /// How many labels; 40 have names as in life, those beyond are numbered.
    pub labels: usize,
    /// How many observables and indicators of a hundred have external references, one or two.
    pub percent_with_references: u64,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            seed: 1,
            observables: 500,
            indicators: 120,
            relationships_of_the_first: 150,
            labels: LABELS.len(),
            percent_with_references: 25,
        }
    }
}

/// The time over which updates are spread: one in some seconds, at most 200 days in all.
const UPDATE_DISTANCE: u64 = 37_000;
const LONGEST_SPAN: u64 = 200 * 24 * 3_600_000;

const LABELS: [&str; 40] = [
    "phishing",
    "c2",
    "malware",
    "ransomware",
    "botnet",
    "apt28",
    "apt 29",
    "loader",
    "stealer",
    "rat",
    "spam",
    "scanner",
    "tor",
    "vpn",
    "dropper",
    "backdoor",
    "cve-2024-3400",
    "exploit",
    "watering-hole",
    "skimmer",
    "miner",
    "wiper",
    "été",
    "\"quoted\"",
    "a,b",
    "keylogger",
    "rootkit",
    "worm",
    "trojan",
    "adware",
    "ddos",
    "bruteforce",
    "sinkhole",
    "fraud",
    "typosquatting",
    "cobalt strike",
    "emotet",
    "qakbot",
    "lockbit",
    "内部",
];
const PHASES: [(&str, &str); 8] = [
    ("mitre-attack", "initial-access"),
    ("mitre-attack", "execution"),
    ("mitre-attack", "persistence"),
    ("mitre-attack", "command-and-control"),
    ("mitre-attack", "exfiltration"),
    ("lockheed-martin-cyber-kill-chain", "delivery"),
    ("lockheed-martin-cyber-kill-chain", "installation"),
    ("Own \"chain\"", "étape 1"),
];
const MARKINGS: [(&str, &str, u32, &str); 7] = [
    ("TLP", "TLP:CLEAR", 0, "#ffffff"),
    ("TLP", "TLP:GREEN", 2, "#2e7d32"),
    ("TLP", "TLP:AMBER", 3, "#d84315"),
    ("TLP", "TLP:AMBER+STRICT", 4, "#d84315"),
    ("TLP", "TLP:RED", 5, "#c62828"),
    ("PAP", "PAP:GREEN", 2, "#2e7d32"),
    ("statement", "Copyright ACME", 0, "#d08e79"),
];
/// The references that an observable type has: relation and targets.
const REFERENCES: [(&str, &str, &[&str]); 23] = [
    (
        "DomainName",
        "obs_resolves-to",
        &["IPv4Addr", "IPv6Addr", "DomainName"],
    ),
    ("IPv4Addr", "obs_belongs-to", &["AutonomousSystem"]),
    ("IPv4Addr", "obs_resolves-to", &["MacAddr"]),
    ("IPv6Addr", "obs_belongs-to", &["AutonomousSystem"]),
    ("EmailAddr", "obs_belongs-to", &["UserAccount"]),
    ("EmailMessage", "from", &["EmailAddr"]),
    ("EmailMessage", "to", &["EmailAddr"]),
    ("EmailMessage", "cc", &["EmailAddr"]),
    ("EmailMessage", "body-multipart", &["EmailMimePartType"]),
    ("EmailMessage", "contains", &["StixFile", "Url"]),
    ("EmailMimePartType", "body-raw", &["Artifact", "StixFile"]),
    ("StixFile", "obs_content", &["Artifact"]),
    ("StixFile", "parent-directory", &["Directory"]),
    ("Directory", "contains", &["StixFile"]),
    ("NetworkTraffic", "src", &["IPv4Addr"]),
    ("NetworkTraffic", "dst", &["IPv4Addr", "DomainName"]),
    ("Process", "image", &["StixFile"]),
    ("Process", "parent", &["Process"]),
    ("Process", "creator-user", &["UserAccount"]),
    ("Process", "opened-connection", &["NetworkTraffic"]),
    (
        "WindowsRegistryKey",
        "values",
        &["WindowsRegistryValueType"],
    ),
    ("WindowsRegistryKey", "creator-user", &["UserAccount"]),
    ("Process", "service-dll", &["StixFile"]),
];

/// The values of so many labels.
fn labels(count: usize) -> impl Iterator<Item = String> {
    let named = LABELS.iter().map(|&value| value.to_owned());
    let numbered = (LABELS.len()..).map(|number| format!("label {number}"));
    named.chain(numbered).take(count)
}

/// Makes the content.
pub(super) fn generate(shape: &Shape) -> DataSet {
    let mut generator = Generator::new(shape);
    generator.add_shared();
    for number in 0..shape.observables {
        generator.add_observable(number);
    }
    generator.add_nested_references();
    for number in 0..shape.indicators {
        generator.add_indicator(number);
    }
    generator.data
}

struct Generator<'a> {
    shape: &'a Shape,
    random: Random,
    data: DataSet,
    span: u64,
    markings: Vec<String>,
    labels: Vec<String>,
    authors: Vec<String>,
    phases: Vec<String>,
    external: Vec<String>,
    /// Positions of the observables of a type.
    pools: HashMap<&'static str, Vec<usize>>,
}

impl<'a> Generator<'a> {
    fn new(shape: &'a Shape) -> Self {
        let objects = (shape.observables + shape.indicators).max(1) as u64;
        Self {
            shape,
            random: Random::new(shape.seed),
            data: DataSet::default(),
            span: (objects * UPDATE_DISTANCE).min(LONGEST_SPAN),
            markings: Vec::new(),
            labels: Vec::new(),
            authors: Vec::new(),
            phases: Vec::new(),
            external: Vec::new(),
            pools: HashMap::new(),
        }
    }

    /// A record with ids and times.
    fn record(&mut self, typename: &str, entity_type: &str) -> Record {
        let mut record = Record::new(typename);
        let updated = EPOCH + i64::try_from(self.random.below(self.span)).unwrap_or_default();
        let created = updated - i64::try_from(self.random.below(5_000_000_000)).unwrap_or_default();
        record
            .set("id", self.random.uuid())
            .set("standard_id", "")
            .set("entity_type", entity_type);
        record
            .set("updated_at", iso(updated))
            .set("created_at", iso(created));
        record
    }

    fn add_shared(&mut self) {
        for (kind, definition, order, color) in MARKINGS {
            let mut marking = self.record("MarkingDefinition", "Marking-Definition");
            marking
                .set("standard_id", ids::marking_id(kind, definition))
                .set("definition_type", kind);
            marking
                .set("definition", definition)
                .set("x_opencti_order", order)
                .set("x_opencti_color", color);
            self.set_creation(&mut marking);
            let id = self.share(marking);
            self.markings.push(id);
        }
        for value in labels(self.shape.labels) {
            let mut label = self.record("Label", "Label");
            let color = format!("#{}", self.random.hex(6));
            label
                .set("standard_id", ids::label_id(&value))
                .set("value", value)
                .set("color", color);
            let id = self.share(label);
            self.labels.push(id);
        }
        for (chain, phase) in PHASES {
            let mut record = self.record("KillChainPhase", "Kill-Chain-Phase");
            record
                .set("standard_id", ids::kill_chain_phase_id(chain, phase))
                .set("kill_chain_name", chain);
            record
                .set("phase_name", phase)
                .set("x_opencti_order", 1 + self.random.below(9));
            let id = self.share(record);
            self.phases.push(id);
        }
        self.add_authors();
    }

    fn add_authors(&mut self) {
        let authors = [
            ("Organization", "organization", "ACME Corp"),
            ("Organization", "organization", "CERT \"Élan\" — 東京"),
            ("Individual", "individual", "Jane Doe"),
            ("System", "system", "SIEM"),
            ("Sector", "class", "Finance"),
        ];
        for (kind, class, name) in authors {
            let mut author = self.record(kind, kind);
            author
                .set("standard_id", ids::identity_id(name, class))
                .set("identity_class", class)
                .set("name", name);
            author
                .set("description", format!("{name}\nas the source knows it"))
                .set("confidence", 80);
            author
                .set("x_opencti_aliases", json!([format!("{name} alias")]))
                .set("roles", json!(["reporter"]));
            author
                .set("contact_information", "soc@acme.example")
                .set("x_opencti_reliability", "B - Usually reliable");
            author.set("objectMarking", json!(self.markings.first()));
            let own = match kind {
                "Organization" => ("x_opencti_organization_type", "vendor"),
                "Individual" => ("x_opencti_firstname", "Jane"),
                _ => ("lang", "en"),
            };
            author
                .set(own.0, own.1)
                .set("objectMarking", json!([self.markings.first()]));
            self.set_creation(&mut author);
            let id = self.share(author);
            self.authors.push(id);
        }
        // What a reader gets of an author that they may not see.
        let mut restricted = self.record("Organization", "Organization");
        for field in ["standard_id", "identity_class", "name"] {
            restricted.set(field, "Restricted");
        }
        let id = self.share(restricted);
        self.authors.push(id);
    }

    fn set_creation(&mut self, record: &mut Record) {
        let created = some_time(&mut self.random);
        record
            .set("created", created.clone())
            .set("modified", created);
    }

    fn share(&mut self, record: Record) -> String {
        let id = record.id().to_owned();
        self.data.shared.push(record.shrink());
        id
    }

    /// Each type once, then mostly the common ones, which stand first.
    fn kind(&mut self, number: usize) -> &'static ObservableType {
        let position = match number {
            0..37 => number,
            _ if self.random.percent(88) => self.random.position(4),
            _ => self.random.position(OBSERVABLE_TYPES.len()),
        };
        OBSERVABLE_TYPES
            .get(position)
            .unwrap_or(&OBSERVABLE_TYPES[0])
    }

    fn add_observable(&mut self, number: usize) {
        let kind = self.kind(number);
        let mut record = self.record(kind.typename, kind.entity_type);
        content::fill(
            &mut record,
            u32::try_from(number).unwrap_or(u32::MAX),
            &mut self.random,
        );
        let standard_id = ids::observable_id(kind, &record);
        record.set("standard_id", standard_id);
        if self.random.percent(70) {
            record.set("x_opencti_score", self.random.below(101));
        }
        if let Some(text) = self.description(kind.entity_type, number) {
            record.set("x_opencti_description", text);
        }
        self.set_surroundings(&mut record);
        self.add_external_references(&record);
        self.pools
            .entry(kind.typename)
            .or_default()
            .push(self.data.observables.len());
        self.data.observables.push(record.shrink());
    }

    fn description(&mut self, what: &str, number: usize) -> Option<String> {
        match self.random.below(20) {
            0..10 => None,
            10 => Some(format!(
                "Zeile eins: {what} – „größer“\nsecond \"line\" \\ with\ttab 😀 {number}"
            )),
            11 => Some(format!("# {what}\n\n* `code`\n* <b>html</b> & 'quotes'\n")),
            _ => Some(format!("{what} {number} seen in a campaign.")),
        }
    }

    /// Author, markings and labels.
    fn set_surroundings(&mut self, record: &mut Record) {
        let random = &mut self.random;
        let some =
            |list: &[String], random: &mut Random| list.get(random.position(list.len())).cloned();
        if random.percent(80) {
            // The restricted author, the last one, is rare.
            let known = if random.percent(3) {
                &self.authors[..]
            } else {
                self.authors.get(..5).unwrap_or_default()
            };
            record.set("createdBy", json!(some(known, random)));
        }
        let mut markings: Vec<String> = Vec::new();
        if random.percent(85) {
            markings.extend(some(self.markings.get(..5).unwrap_or_default(), random));
        }
        if random.percent(10) {
            markings.extend(some(self.markings.get(5..).unwrap_or_default(), random));
        }
        let mut labels: Vec<String> = Vec::new();
        for _ in 0..random.below(5) {
            labels.extend(some(&self.labels, random).filter(|label| !labels.contains(label)));
        }
        record
            .set("objectMarking", json!(markings))
            .set("objectLabel", json!(labels));
    }

    fn add_external_references(&mut self, record: &Record) {
        if !self.random.percent(self.shape.percent_with_references) {
            return;
        }
        let mut targets = HashSet::new();
        for _ in 0..=self.random.below(2) {
            targets.insert(self.external_reference());
        }
        let mut targets: Vec<_> = targets.into_iter().collect();
        targets.sort();
        for target in targets {
            self.refer(record.id().to_owned(), "external-reference", target);
        }
    }

    /// A new external reference or one that others have already.
    fn external_reference(&mut self) -> String {
        let known = self.external.len();
        if known > 20 && self.random.percent(70) {
            let position = self.random.position(known);
            return self.external.get(position).cloned().unwrap_or_default();
        }
        let mut record = self.record("ExternalReference", "External-Reference");
        let url = format!(
            "https://{}/report/{known}",
            domain(u32::try_from(known).unwrap_or(0), &mut self.random)
        );
        record
            .set("standard_id", ids::external_reference_id(&url))
            .set("source_name", "ACME \"blog\"")
            .set("url", url);
        if self.random.percent(40) {
            record
                .set("external_id", format!("R-{known}"))
                .set("description", "Bericht über\nzwei Zeilen");
        }
        let id = self.share(record);
        self.external.push(id.clone());
        id
    }

    fn refer(&mut self, from: String, relation: &'static str, to: String) {
        let mut record = self.record("StixRefRelationship", relation);
        record.set(
            "standard_id",
            format!("relationship-meta--{}", self.random.uuid()),
        );
        record
            .set("relationship_type", relation)
            .set("from", from)
            .set("to", to);
        self.data.references.push(record.shrink());
    }

    /// Four in ten objects that can refer to others do.
    fn add_nested_references(&mut self) {
        for position in 0..self.data.observables.len() {
            let Some(typename) = self
                .data
                .observables
                .get(position)
                .map(|record| record.typename().to_owned())
            else {
                continue;
            };
            for (_, relation, targets) in REFERENCES.iter().filter(|(from, ..)| *from == typename) {
                if self.random.percent(40) || position < OBSERVABLE_TYPES.len() {
                    self.refer_to_one(position, relation, targets);
                }
            }
        }
    }

    fn refer_to_one(&mut self, from: usize, relation: &'static str, targets: &[&'static str]) {
        let pool = self
            .pools
            .get(self.random.word(targets))
            .map(Vec::as_slice)
            .unwrap_or_default();
        let Some(to) = pool
            .get(self.random.position(pool.len()))
            .copied()
            .filter(|to| *to != from)
        else {
            return;
        };
        let id = |position: usize| {
            self.data
                .observables
                .get(position)
                .map(|record| record.id().to_owned())
        };
        if let (Some(from), Some(to)) = (id(from), id(to)) {
            self.refer(from, relation, to);
        }
    }

    fn add_indicator(&mut self, number: usize) {
        let mut record = self.record("Indicator", "Indicator");
        self.set_pattern(&mut record, number);
        let standard_id = ids::indicator_id(record.text("pattern"));
        record.set("standard_id", standard_id);
        if self.random.percent(20) {
            record.set(
                "x_opencti_stix_ids",
                json!([format!("indicator--{}", self.random.uuid())]),
            );
        }
        self.set_creation(&mut record);
        self.set_assessment(&mut record, number);
        self.set_surroundings(&mut record);
        self.add_external_references(&record);
        let count = if number == 0 {
            self.shape.relationships_of_the_first
        } else {
            1 + self.random.position(3)
        };
        self.add_relationships(&record, count);
        self.data.indicators.push(record.shrink());
    }

    fn set_pattern(&mut self, record: &mut Record, number: usize) {
        let (kind, main_type, pattern) = match number % 10 {
            6 => (
                "yara",
                "StixFile",
                format!("rule r{number} {{ strings: $a = \"é\\\\{number}\" condition: $a }}"),
            ),
            7 => (
                "sigma",
                "Unknown",
                format!("title: Rule {number}\nlogsource:\n  product: windows\n"),
            ),
            8 => (
                "snort",
                "Network-Traffic",
                format!("alert tcp any any -> any 80 (msg:\"m\"; sid:{number};)"),
            ),
            9 => (
                "suricata",
                "Network-Traffic",
                format!("alert dns any any -> any any (sid:{number};)"),
            ),
            odd if odd % 2 == 1 => (
                "stix",
                "IPv4-Addr",
                format!("[ipv4-addr:value = '192.0.2.{number}']"),
            ),
            _ => {
                let name = domain(u32::try_from(number).unwrap_or(0), &mut self.random);
                (
                    "stix",
                    "Domain-Name",
                    format!("[domain-name:value = '{name}']"),
                )
            }
        };
        record
            .set("name", format!("Indicator {number}"))
            .set("pattern", pattern)
            .set("pattern_type", kind);
        record
            .set("x_opencti_main_observable_type", main_type)
            .set("pattern_version", "2.1");
    }

    fn set_assessment(&mut self, record: &mut Record, number: usize) {
        let random = &mut self.random;
        let valid_from = i64::try_from(random.below(20_000_000_000)).unwrap_or_default();
        record
            .set("valid_from", iso(EPOCH - valid_from))
            .set("valid_until", iso(EPOCH - valid_from + 31_536_000_000));
        record
            .set("revoked", random.percent(10))
            .set("confidence", random.below(101))
            .set("lang", "en");
        record
            .set("x_opencti_score", random.below(101))
            .set("x_opencti_detection", random.percent(40));
        record.set(
            "indicator_types",
            json!([random.word(&["malicious-activity", "anomalous-activity", "benign"])]),
        );
        if random.percent(50) {
            record.set("x_mitre_platforms", json!(["Windows", "Linux"]));
        }
        let count = usize::try_from(random.below(3)).unwrap_or_default();
        let start = random.position(self.phases.len());
        let phases: Vec<&String> = self.phases.iter().cycle().skip(start).take(count).collect();
        record.set("killChainPhases", json!(phases));
        if let Some(text) = self.description("Indicator", number) {
            record.set("description", text);
        }
    }

    fn add_relationships(&mut self, indicator: &Record, count: usize) {
        let length = self.data.observables.len();
        let mut taken = HashSet::new();
        for _ in 0..count.min(length) {
            let mut position = self.random.position(length);
            while !taken.insert(position) {
                position = (position + 1) % length;
            }
            let target = self.data.observables.get(position);
            let target =
                target.map(|record| (record.id().to_owned(), record.standard_id().to_owned()));
            if let Some((to, target)) = target {
                self.add_relationship(indicator, to, &target);
            }
        }
    }

    fn add_relationship(&mut self, indicator: &Record, to: String, target: &str) {
        let mut record = self.record("StixCoreRelationship", "based-on");
        record.set(
            "standard_id",
            ids::relationship_id("based-on", indicator.standard_id(), target),
        );
        record
            .set("relationship_type", "based-on")
            .set("from", indicator.id())
            .set("to", to);
        record.set("start_time", NO_START).set("stop_time", NO_STOP);
        record
            .set("revoked", false)
            .set("confidence", self.random.below(101));
        if self.random.percent(10) {
            record
                .set("description", "Derived from the pattern.\n\"quoted\"")
                .set("lang", "en");
            record
                .set("start_time", some_time(&mut self.random))
                .set("stop_time", iso(EPOCH + 86_400_000));
        }
        self.set_creation(&mut record);
        self.set_surroundings(&mut record);
        record.set("objectLabel", Value::Array(Vec::new()));
        self.data.relationships.push(record.shrink());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_shape_gives_the_same_content() {
        let shape = Shape {
            seed: 7,
            observables: 200,
            indicators: 30,
            ..Shape::default()
        };
        let (data, again) = (generate(&shape), generate(&shape));
        assert_eq!(data.observables, again.observables);
        assert_eq!(data.relationships, again.relationships);
        let typenames: HashSet<&str> = data.observables.iter().map(Record::typename).collect();
        assert_eq!(typenames.len(), OBSERVABLE_TYPES.len());
        let ids: HashSet<&str> = data.all().map(Record::standard_id).collect();
        assert_eq!(ids.len(), data.all().count());
        let first = data.indicators[0].id();
        assert_eq!(
            data.relationships
                .iter()
                .filter(|record| record.text("from") == first)
                .count(),
            150
        );
    }

    #[test]
    fn a_shape_says_how_much_hangs_on_objects() {
        let data = generate(&Shape {
            observables: 100,
            indicators: 100,
            relationships_of_the_first: 3,
            labels: 50,
            percent_with_references: 100,
            ..Shape::default()
        });
        let first = data.indicators[0].id();
        let leads = |record: &&Record| record.text("from") == first;
        assert_eq!(data.relationships.iter().filter(leads).count(), 3);
        let is_label = |record: &&Record| record.typename() == "Label";
        assert_eq!(data.shared.iter().filter(is_label).count(), 50);
        let external = data
            .references
            .iter()
            .filter(|reference| reference.text("relationship_type") == "external-reference");
        let with: HashSet<&str> = external.map(|reference| reference.text("from")).collect();
        assert_eq!(with.len(), 200);
    }
}
