//! Objects as the platform's client and the OASIS validator read them.

use std::collections::BTreeSet;
use std::sync::Arc;

use opencti_connectors::stix::make_id::{
    self, AccountNames, IdentityClass, LocationType, SoftwareNames, TrafficEnds, ValueType,
};
use opencti_connectors::stix::pattern::{Comparison, ObjectPath, Pattern};
use opencti_connectors::stix::typed::{
    Artifact, AttackPattern, AutonomousSystem, CaseIncident, Common, Content, CourseOfAction,
    EmailMessage, ExternalReference, File, Identity, Incident, Indicator, IndicatorPattern,
    KillChainPhase, Label, Location, MarkingDefinition, Note, Observable, Percent, Priority,
    Process, RegistryKey, RegistryValue, Relationship, Report, RuleLanguage, Severity, Sighting,
    Software, Threat, ThreatKind, TypedObject, UserAccount, Vulnerability, X509Certificate,
};
use opencti_connectors::stix::{Hash, Hashes, StixId, StixObject, Timestamp, tlp};
use serde_json::json;

use crate::client::read_by_client;

/// What is written, in an order in which everything comes after what it refers to.
struct Sample {
    all: Vec<StixObject>,
    common: Common,
}

impl Sample {
    fn new() -> Self {
        let author = Identity {
            class: IdentityClass::Organization,
            name: "ACME",
            description: Some("Makes everything"),
        };
        let time = Timestamp::read("2026-05-04T08:15:31.852Z");
        let dated = Common {
            created: time,
            modified: time,
            ..Common::default()
        };
        let marking = MarkingDefinition::Tlp(tlp::GREEN).write(&dated);
        let marking = marking.expect("a marking");
        let marked = Common {
            markings: vec![Arc::new(marking.clone())],
            ..dated.clone()
        };
        let author = author.write(&marked).expect("an author");
        let common = Common {
            author: Some(Arc::new(author.clone())),
            markings: vec![Arc::new(marking.clone())],
            labels: vec!["apt".to_owned()],
            external_references: ExternalReference::page("ACME", "https://acme.example/1")
                .into_iter()
                .collect(),
            confidence: Percent::new(75),
            ..dated
        };
        Self {
            all: vec![marking, author],
            common,
        }
    }

    /// The id of what is added.
    fn add(&mut self, object: &impl TypedObject) -> StixId {
        let written = object.write(&self.common).expect("an object");
        let id = written.id.clone();
        self.all.push(written);
        id
    }
}

fn time() -> Timestamp {
    Timestamp::read("2026-05-04T08:15:31.852Z").expect("a time")
}

fn observables(sample: &mut Sample) -> Vec<StixId> {
    let values = [
        (ValueType::Ipv4Addr, "198.51.100.7"),
        (ValueType::Ipv6Addr, "2001:db8::7"),
        (ValueType::MacAddr, "02:00:5e:10:00:ff"),
        (ValueType::DomainName, "evil.example"),
        (ValueType::Hostname, "WS-ALICE"),
        (ValueType::Url, "https://evil.example/a"),
        (ValueType::EmailAddr, "phish@evil.example"),
        (ValueType::Mutex, "Global\\x"),
        (ValueType::Directory, "C:\\Users\\alice\\"),
        (ValueType::Text, "text"),
        (ValueType::UserAgent, "Mozilla/5.0"),
        (ValueType::PhoneNumber, "+33123456789"),
        (
            ValueType::CryptocurrencyWallet,
            "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
        ),
        (ValueType::BankAccount, "FR7630006000011234567890189"),
    ];
    let mut ids: Vec<_> = values
        .map(|(value_type, value)| sample.add(&Observable::new(Content::Value(value_type, value))))
        .to_vec();
    ids.extend(other_observables(sample, &ids[0].clone(), &ids[6].clone()));
    ids
}

fn other_observables(sample: &mut Sample, address: &StixId, mail: &StixId) -> Vec<StixId> {
    let hash = Hash::by_length(&"ab".repeat(32)).expect("a hash");
    let hashes = Hashes::from(hash);
    let registry_value = RegistryValue {
        name: Some("n"),
        data: Some("d"),
        data_type: Some("REG_SZ"),
    };
    let value = sample.add(&Observable::new(Content::RegistryValue(registry_value)));
    let contents = [
        Content::File(File {
            hashes: &hashes,
            name: Some("invoice.exe"),
            additional_names: &["a.exe"],
            size: Some(4096),
            mime_type: Some("application/x-dosexec"),
        }),
        Content::Artifact(Artifact {
            hashes: &hashes,
            url: None,
            mime_type: Some("application/zip"),
            payload_bin: Some("eA=="),
            encryption_algorithm: None,
            decryption_key: None,
        }),
        Content::AutonomousSystem(AutonomousSystem {
            number: 64_500,
            name: Some("ACME"),
        }),
        Content::UserAccount(UserAccount {
            names: AccountNames {
                account_login: Some("ACME\\alice"),
                user_id: Some("S-1-5-21-1"),
                account_type: Some("windows-domain"),
            },
            display_name: Some("Alice"),
        }),
        Content::Process(Process {
            command_line: "powershell -enc x",
            pid: Some(4312),
            cwd: Some("C:\\"),
            created_time: Some(time()),
        }),
        Content::RegistryKey(RegistryKey {
            key: "HKEY_LOCAL_MACHINE\\Software\\Run",
            values: &[registry_value],
            values_refs: &[value],
        }),
        Content::X509Certificate(X509Certificate {
            hashes: &hashes,
            serial_number: Some("36:f7"),
            subject: Some("CN=x"),
            issuer: Some("CN=y"),
            validity_not_before: Some(time()),
            validity_not_after: Some(time()),
        }),
        Content::EmailMessage(EmailMessage {
            subject: Some("Hi"),
            body: Some("text"),
            message_id: Some("<1@evil.example>"),
            date: Some(time()),
            from_ref: Some(mail),
            to_refs: std::slice::from_ref(mail),
            cc_refs: &[],
        }),
        Content::NetworkTraffic(TrafficEnds {
            dst_ref: Some(address),
            dst_port: Some(443),
            protocols: &["ipv4", "tcp"],
            ..TrafficEnds::default()
        }),
        Content::Software(Software {
            name: "word",
            names: SoftwareNames {
                vendor: Some("x"),
                ..SoftwareNames::default()
            },
        }),
    ];
    let observables = contents.map(|content| Observable {
        score: Percent::new(80),
        description: Some("seen"),
        ..Observable::new(content)
    });
    observables.map(|observable| sample.add(&observable)).into()
}

fn entities(sample: &mut Sample) -> Vec<StixId> {
    let mut ids = Vec::new();
    for kind in [
        ThreatKind::Malware { is_family: true },
        ThreatKind::IntrusionSet,
        ThreatKind::Tool,
        ThreatKind::Campaign,
    ] {
        ids.push(sample.add(&Threat {
            kind,
            name: "Zorb",
            aliases: &["Z"],
            description: Some("x"),
        }));
    }
    ids.push(sample.add(&Vulnerability {
        name: "CVE-2026-1234",
        description: None,
        cvss_base_score: Some(7.8),
    }));
    ids.push(sample.add(&AttackPattern {
        name: "PowerShell",
        mitre_id: Some("T1059.001"),
        aliases: &[],
        description: None,
    }));
    ids.push(sample.add(&CourseOfAction {
        name: "Disable it",
        mitre_id: Some("M1042"),
        description: None,
    }));
    for location_type in [
        LocationType::Region,
        LocationType::Country,
        LocationType::City,
        LocationType::AdministrativeArea,
    ] {
        ids.push(sample.add(&Location {
            location_type,
            name: "Paris",
            country: Some("FR"),
            description: None,
        }));
    }
    for class in [
        IdentityClass::Individual,
        IdentityClass::Sector,
        IdentityClass::System,
    ] {
        ids.push(sample.add(&Identity {
            class,
            name: "WS-ALICE",
            description: None,
        }));
    }
    ids
}

fn samples() -> Sample {
    let mut sample = Sample::new();
    sample.add(&Label {
        value: "apt",
        color: "#339900",
    });
    sample.add(&MarkingDefinition::of("statement", "For us", Some(1)));
    let observables = observables(&mut sample);
    let mut all = entities(&mut sample);
    let (malware, place) = (all[0].clone(), all[13].clone());
    let pattern = Pattern::from(Comparison::equals(ObjectPath::DomainValue, "evil.example"));
    let phases = [KillChainPhase {
        kill_chain_name: "mitre-attack".to_owned(),
        phase_name: "execution".to_owned(),
    }];
    let indicator = sample.add(&Indicator {
        main_observable_type: Some("Domain-Name"),
        indicator_types: &["malicious-activity"],
        score: Percent::new(80),
        detection: Some(true),
        valid_from: Some(time()),
        kill_chain_phases: &phases,
        ..Indicator::new("evil.example", IndicatorPattern::Stix(&pattern))
    });
    let rule = IndicatorPattern::Rule(RuleLanguage::Yara, "rule x { condition: true }");
    sample.add(&Indicator {
        valid_from: Some(time()),
        ..Indicator::new("x.yar", rule)
    });
    sample.add(&Relationship::new("based-on", &indicator, &observables[3]));
    sample.add(&Relationship {
        description: Some("x"),
        ..Relationship::new("indicates", &indicator, &malware)
    });
    sample.add(&Sighting {
        sighting_of: &indicator,
        where_sighted: &place,
        first_seen: time(),
        last_seen: time(),
        count: 1,
        is_negative: false,
        description: None,
    });
    all.extend(observables);
    all.push(indicator);
    containers(&mut sample, &all);
    sample
}

fn containers(sample: &mut Sample, refs: &[StixId]) {
    let incident = sample.add(&Incident {
        name: "Rule on WS-ALICE",
        created: time(),
        first_seen: Some(time()),
        last_seen: Some(time()),
        description: Some("- Status: `new`"),
        severity: Some(Severity::High),
        incident_type: Some("alert"),
        source: Some("ACME"),
        workflow_id: None,
    });
    let case = sample.add(&CaseIncident {
        name: "quiet-otter",
        created: time(),
        description: Some("x"),
        severity: Some(Severity::Critical),
        priority: Some(Priority::P1),
        workflow_id: None,
        object_refs: &[incident],
    });
    sample.add(&Note {
        r#abstract: Some("Title"),
        content: "Text",
        created: time(),
        object_refs: &[case],
    });
    sample.add(&Report {
        name: "Zorb campaign",
        published: time(),
        description: Some("x"),
        report_types: &["misp-event"],
        reliability: Some("B - Usually reliable"),
        object_refs: refs,
        files: &[],
    });
}

#[test]
fn the_client_and_the_validator_take_every_object() {
    let sample = samples();
    let objects: Vec<Arc<StixObject>> = sample
        .all
        .iter()
        .map(|written| Arc::new(written.clone()))
        .collect();
    assert_eq!(read_by_client(&objects), json!([]));
}

#[test]
fn what_an_object_refers_to_is_reported() {
    let sample = samples();
    let mut known = BTreeSet::new();
    for written in &sample.all {
        let reported: BTreeSet<&str> = written.needs().map(|(id, _)| id).collect();
        let object: serde_json::Value = serde_json::from_str(&written.json).expect("an object");
        let fields = object.as_object().expect("an object").iter();
        let refs = fields.filter(|(name, _)| name.ends_with("_ref") || name.ends_with("_refs"));
        let refs = refs.flat_map(|(_, value)| match value {
            serde_json::Value::Array(ids) => ids.iter().filter_map(|id| id.as_str()).collect(),
            value => value.as_str().into_iter().collect::<Vec<_>>(),
        });
        let written_refs: BTreeSet<&str> = refs.collect();
        assert_eq!(reported, written_refs, "{}", written.json);
        assert!(
            reported.iter().all(|id| known.contains(*id)),
            "{}",
            written.id
        );
        known.insert(written.id.to_string());
    }
    assert!(known.contains(make_id::label("apt").as_str()));
}
