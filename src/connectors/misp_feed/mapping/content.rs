//! Observables with their own texts.

use crate::stix::make_id::{self, AccountNames, SoftwareNames, TrafficEnds, ValueType};
use crate::stix::typed::{
    Artifact, AutonomousSystem, Common, Content as Borrowed, EmailMessage, File, NotWritten,
    Observable, RegistryKey, RegistryValue, Software, TypedObject, UserAccount, X509Certificate,
};
use crate::stix::{Hash, Hashes, StixId, StixObject, Timestamp};

use super::facts::Facts;

/// The most names of one file.
const MOST_NAMES: usize = 100;
/// The most values of one key of the registry, and the most recipients of one e-mail.
const MOST_PARTS: usize = 1_000;
/// The type of a value of the registry whose type is not known: a text.
const REGISTRY_TEXT: &str = "REG_SZ";

/// The type and the own properties of an observable. All texts are clean.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) enum Content {
    Value(ValueType, String),
    File(FileContent),
    /// A packed sample, in base64.
    Sample {
        hashes: Hashes,
        payload: String,
    },
    Certificate(CertificateContent),
    AutonomousSystem {
        number: u32,
        name: Option<String>,
    },
    Account(AccountContent),
    RegistryKey(RegistryContent),
    /// A value of the registry, which its key refers to.
    RegistryValue(RegistryValueContent),
    Software(SoftwareContent),
    Email(EmailContent),
    Traffic(TrafficContent),
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(in super::super) struct FileContent {
    pub(super) hashes: Hashes,
    pub(super) names: Vec<String>,
    pub(super) size: Option<u64>,
    pub(super) mime_type: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(in super::super) struct CertificateContent {
    pub(super) hashes: Hashes,
    pub(super) serial_number: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) issuer: Option<String>,
    pub(super) not_before: Option<Timestamp>,
    pub(super) not_after: Option<Timestamp>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(in super::super) struct AccountContent {
    pub(super) account_type: Option<String>,
    pub(super) login: Option<String>,
    pub(super) user_id: Option<String>,
    pub(super) display_name: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(in super::super) struct RegistryContent {
    pub(super) key: String,
    pub(super) values: Vec<RegistryValueContent>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(in super::super) struct RegistryValueContent {
    pub(super) name: Option<String>,
    pub(super) data: Option<String>,
    pub(super) data_type: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(in super::super) struct SoftwareContent {
    pub(super) name: String,
    pub(super) cpe: String,
    pub(super) vendor: Option<String>,
    pub(super) version: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(in super::super) struct EmailContent {
    pub(super) subject: Option<String>,
    pub(super) body: Option<String>,
    pub(super) message_id: Option<String>,
    pub(super) date: Option<Timestamp>,
    pub(super) from: Option<StixId>,
    pub(super) to: Vec<StixId>,
    pub(super) cc: Vec<StixId>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(in super::super) struct TrafficContent {
    pub(super) source: Option<StixId>,
    pub(super) destination: Option<StixId>,
    pub(super) source_port: Option<u16>,
    pub(super) destination_port: Option<u16>,
    pub(super) protocols: Vec<String>,
}

impl FileContent {
    /// Adds a name, unless it is there.
    pub(super) fn add_name(&mut self, name: String) {
        if !self.names.contains(&name) && self.names.len() < MOST_NAMES {
            self.names.push(name);
        }
    }

    fn first_name(&self) -> Option<&str> {
        self.names.first().map(String::as_str)
    }
}

impl FileContent {
    fn merge(&mut self, other: Self) {
        let id =
            |hashes: &Hashes| make_id::file(hashes, self.names.first().map_or("", String::as_str));
        self.hashes = with_hashes(&self.hashes, &other.hashes, id);
        for name in other.names {
            self.add_name(name);
        }
        self.size = self.size.or(other.size);
        self.mime_type = self.mime_type.take().or(other.mime_type);
    }
}

impl CertificateContent {
    fn id_with(&self, hashes: &Hashes) -> StixId {
        make_id::x509_certificate(
            hashes,
            self.serial_number.as_deref(),
            self.subject.as_deref().unwrap_or_default(),
        )
    }

    /// A certificate without a hash is told apart by its serial number, or its subject: neither of them is taken then.
    fn merge(&mut self, other: Self) {
        let id = self.id_with(&self.hashes);
        let mut both = Self {
            hashes: with_hashes(&self.hashes, &other.hashes, |hashes| self.id_with(hashes)),
            serial_number: self.serial_number.clone().or(other.serial_number),
            subject: self.subject.clone().or(other.subject),
            issuer: self.issuer.take().or(other.issuer),
            not_before: self.not_before.or(other.not_before),
            not_after: self.not_after.or(other.not_after),
        };
        if both.id_with(&both.hashes) != id {
            both.serial_number = self.serial_number.take();
            both.subject = self.subject.take();
        }
        *self = both;
    }
}

impl EmailContent {
    fn merge(&mut self, other: Self) {
        self.message_id = self.message_id.take().or(other.message_id);
        self.date = self.date.or(other.date);
        self.from = self.from.take().or(other.from);
        add_all(&mut self.to, other.to);
        add_all(&mut self.cc, other.cc);
    }
}

/// Adds what is not there.
fn add_all<T: PartialEq>(known: &mut Vec<T>, others: Vec<T>) {
    for other in others {
        if known.len() < MOST_PARTS && !known.contains(&other) {
            known.push(other);
        }
    }
}

/// The hashes with others, if their `id` stays the same: what is told apart by another hash is something else.
fn with_hashes(known: &Hashes, others: &Hashes, id: impl Fn(&Hashes) -> StixId) -> Hashes {
    let mut hashes = known.clone();
    for (algorithm, text) in others.iter() {
        if let Some(hash) = Hash::read(algorithm, text) {
            hashes.add(hash);
        }
    }
    if id(&hashes) == id(known) {
        hashes
    } else {
        known.clone()
    }
}

impl RegistryValueContent {
    pub(super) fn text(data: &str) -> Self {
        Self {
            name: None,
            data: Some(data.to_owned()),
            data_type: Some(REGISTRY_TEXT.to_owned()),
        }
    }

    fn borrowed(&self) -> RegistryValue<'_> {
        RegistryValue {
            name: self.name.as_deref(),
            data: self.data.as_deref(),
            data_type: self.data_type.as_deref(),
        }
    }

    pub(super) fn id(&self) -> StixId {
        make_id::windows_registry_value(
            self.name.as_deref(),
            self.data.as_deref(),
            self.data_type.as_deref(),
        )
    }
}

impl AccountContent {
    /// All the rest is in its id.
    fn merge(&mut self, other: Self) {
        self.display_name = self.display_name.take().or(other.display_name);
    }

    fn names(&self) -> AccountNames<'_> {
        AccountNames {
            account_type: self.account_type.as_deref(),
            account_login: self.login.as_deref(),
            user_id: self.user_id.as_deref(),
        }
    }
}

impl SoftwareContent {
    fn names(&self) -> SoftwareNames<'_> {
        SoftwareNames {
            cpe: Some(&self.cpe),
            swid: None,
            vendor: self.vendor.as_deref(),
            version: self.version.as_deref(),
        }
    }
}

impl TrafficContent {
    fn with_ends<T>(&self, with: impl FnOnce(TrafficEnds<'_>) -> T) -> T {
        let protocols: Vec<&str> = self.protocols.iter().map(String::as_str).collect();
        with(TrafficEnds {
            src_ref: self.source.as_ref(),
            dst_ref: self.destination.as_ref(),
            src_port: self.source_port,
            dst_port: self.destination_port,
            protocols: &protocols,
            start: None,
            end: None,
        })
    }
}

impl Content {
    /// The id of the observable.
    pub(in super::super) fn id(&self) -> StixId {
        match self {
            Self::Value(value_type, value) => make_id::value(*value_type, value),
            Self::File(file) => make_id::file(&file.hashes, file.first_name().unwrap_or_default()),
            Self::Sample { hashes, .. } => make_id::artifact(hashes, ""),
            Self::Certificate(certificate) => certificate.id_with(&certificate.hashes),
            Self::AutonomousSystem { number, .. } => make_id::autonomous_system(*number),
            Self::Account(account) => make_id::user_account(account.names()),
            Self::RegistryKey(key) => make_id::windows_registry_key(&key.key),
            Self::RegistryValue(value) => value.id(),
            Self::Software(software) => make_id::software(&software.name, software.names()),
            Self::Email(email) => {
                make_id::email_message(email.subject.as_deref(), email.body.as_deref())
            }
            Self::Traffic(traffic) => traffic.with_ends(make_id::network_traffic),
        }
    }

    /// The platform's word for its type.
    pub(in super::super) fn kind(&self) -> &'static str {
        match self {
            Self::Value(value_type, _) => value_type.kind(),
            Self::File(_) => "StixFile",
            Self::Sample { .. } => "Artifact",
            Self::Certificate(_) => "X509-Certificate",
            Self::AutonomousSystem { .. } => "Autonomous-System",
            Self::Account(_) => "User-Account",
            Self::RegistryKey(_) => "Windows-Registry-Key",
            Self::RegistryValue(_) => "Windows-Registry-Value-Type",
            Self::Software(_) => "Software",
            Self::Email(_) => "Email-Message",
            Self::Traffic(_) => "Network-Traffic",
        }
    }

    /// The ids of the observables that it refers to.
    pub(in super::super) fn refers_to(&self) -> Vec<StixId> {
        match self {
            Self::RegistryKey(key) => key.values.iter().map(RegistryValueContent::id).collect(),
            Self::Email(email) => {
                let all = email.from.iter().chain(&email.to).chain(&email.cc);
                all.cloned().collect()
            }
            Self::Traffic(traffic) => {
                let ends = traffic.source.iter().chain(&traffic.destination);
                ends.cloned().collect()
            }
            Self::Value(..)
            | Self::File(_)
            | Self::Sample { .. }
            | Self::Certificate(_)
            | Self::AutonomousSystem { .. }
            | Self::Account(_)
            | Self::RegistryValue(_)
            | Self::Software(_) => Vec::new(),
        }
    }

    /// Takes in what the same observable has elsewhere.
    pub(in super::super) fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::File(file), Self::File(other)) => file.merge(other),
            (Self::Certificate(certificate), Self::Certificate(other)) => certificate.merge(other),
            (Self::Email(email), Self::Email(other)) => email.merge(other),
            (Self::Account(account), Self::Account(other)) => account.merge(other),
            (Self::RegistryKey(key), Self::RegistryKey(other)) => {
                add_all(&mut key.values, other.values);
            }
            (Self::AutonomousSystem { name, .. }, Self::AutonomousSystem { name: other, .. }) => {
                *name = name.take().or(other);
            }
            // The ids of the first are made of all that they have; one id is of one type.
            (
                Self::Value(..)
                | Self::Sample { .. }
                | Self::RegistryValue(_)
                | Self::Software(_)
                | Self::Traffic(_)
                | Self::File(_)
                | Self::Certificate(_)
                | Self::Email(_)
                | Self::Account(_)
                | Self::RegistryKey(_)
                | Self::AutonomousSystem { .. },
                _,
            ) => {}
        }
    }

    /// Writes the observable.
    pub(in super::super) fn write(
        &self,
        facts: &Facts,
        common: &Common,
    ) -> Result<StixObject, NotWritten> {
        let write = |content: Borrowed<'_>| {
            let observable = Observable {
                score: Some(facts.score),
                description: facts.comment.as_deref(),
                ..Observable::new(content)
            };
            observable.write(common)
        };
        match self {
            Self::Value(value_type, value) => write(Borrowed::Value(*value_type, value)),
            Self::File(file) => {
                let names: Vec<&str> = file.names.iter().skip(1).map(String::as_str).collect();
                write(Borrowed::File(File {
                    hashes: &file.hashes,
                    name: file.first_name(),
                    additional_names: &names,
                    size: file.size,
                    mime_type: file.mime_type.as_deref(),
                }))
            }
            Self::Sample { hashes, payload } => write(Borrowed::Artifact(Artifact {
                hashes,
                url: None,
                mime_type: Some("application/zip"),
                payload_bin: Some(payload),
                encryption_algorithm: None,
                decryption_key: Some("infected"),
            })),
            Self::Certificate(certificate) => write(Borrowed::X509Certificate(X509Certificate {
                hashes: &certificate.hashes,
                serial_number: certificate.serial_number.as_deref(),
                subject: certificate.subject.as_deref(),
                issuer: certificate.issuer.as_deref(),
                validity_not_before: certificate.not_before,
                validity_not_after: certificate.not_after,
            })),
            Self::AutonomousSystem { number, name } => {
                write(Borrowed::AutonomousSystem(AutonomousSystem {
                    number: *number,
                    name: name.as_deref(),
                }))
            }
            Self::Account(account) => write(Borrowed::UserAccount(UserAccount {
                names: account.names(),
                display_name: account.display_name.as_deref(),
            })),
            Self::RegistryKey(key) => {
                let values: Vec<_> = key.values.iter().map(|value| value.borrowed()).collect();
                let ids: Vec<StixId> = key.values.iter().map(RegistryValueContent::id).collect();
                write(Borrowed::RegistryKey(RegistryKey {
                    key: &key.key,
                    values: &values,
                    values_refs: &ids,
                }))
            }
            Self::RegistryValue(value) => write(Borrowed::RegistryValue(value.borrowed())),
            Self::Software(software) => write(Borrowed::Software(Software {
                name: &software.name,
                names: software.names(),
            })),
            Self::Email(email) => write(Borrowed::EmailMessage(EmailMessage {
                subject: email.subject.as_deref(),
                body: email.body.as_deref(),
                message_id: email.message_id.as_deref(),
                date: email.date,
                from_ref: email.from.as_ref(),
                to_refs: &email.to,
                cc_refs: &email.cc,
            })),
            Self::Traffic(traffic) => {
                traffic.with_ends(|ends| write(Borrowed::NetworkTraffic(ends)))
            }
        }
    }
}
