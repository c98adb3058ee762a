//! Templates of objects that describe one observable.

use super::attributes::Member;
use super::content::{
    AccountContent, CertificateContent, Content, EmailContent, FileContent, RegistryContent,
    RegistryValueContent, TrafficContent,
};
use super::reading::{read_as, read_port};
use crate::connectors::misp_feed::attribute_types::Form;
use crate::connectors::misp_feed::event::moment_of;
use crate::stix::make_id::ValueType;
use crate::stix::{Hash, HashAlgorithm};

/// What an object describes, by the name of its template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Template {
    File,
    DomainAddress,
    Certificate,
    RegistryKey,
    Connection,
    Email,
    Account,
    GithubUser,
    AutonomousSystem,
    /// Its attributes stand for themselves.
    Other,
}

/// The observable of an object, and which of its attributes are a part of it, by their places.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) content: Content,
    pub(super) absorbed: Vec<usize>,
}

impl Template {
    /// The template of this name, in any case.
    pub(super) fn of(name: &str) -> Self {
        match name.trim().to_ascii_lowercase().as_str() {
            "file" | "pe" | "elf" | "macho" => Self::File,
            "domain-ip" => Self::DomainAddress,
            "x509" => Self::Certificate,
            "registry-key" => Self::RegistryKey,
            "network-connection" | "ip-port" => Self::Connection,
            "email" => Self::Email,
            "user-account" | "credential" => Self::Account,
            "github-user" => Self::GithubUser,
            "asn" => Self::AutonomousSystem,
            _ => Self::Other,
        }
    }

    /// The one observable that these attributes describe; none where they do not say what it can be told by.
    pub(super) fn build(self, members: &[Member<'_>]) -> Option<Built> {
        let mut absorbed = Vec::new();
        let content = match self {
            Self::File => file(members, &mut absorbed),
            Self::Certificate => certificate(members, &mut absorbed),
            Self::RegistryKey => registry_key(members, &mut absorbed),
            Self::Email => email(members, &mut absorbed),
            Self::Account => account(members, None, &mut absorbed),
            Self::GithubUser => account(members, Some("github"), &mut absorbed),
            Self::AutonomousSystem => autonomous_system(members, &mut absorbed),
            Self::DomainAddress | Self::Connection | Self::Other => None,
        }?;
        Some(Built { content, absorbed })
    }
}

fn file(members: &[Member<'_>], absorbed: &mut Vec<usize>) -> Option<Content> {
    let mut file = FileContent::default();
    let mut others = Vec::new();
    for (place, member) in members.iter().enumerate() {
        let Some(text) = member.text() else {
            continue;
        };
        let is_part = match member.attribute_type.form {
            Form::Hash(algorithm) if algorithm.is_of_observables() => {
                let hash = Hash::read(algorithm, &text);
                hash.is_some_and(|hash| file.hashes.add(hash))
            }
            // It finds the file, but is no part of it.
            Form::Hash(_) => true,
            Form::NamedHash(algorithm) => take_named_hash(&mut file, algorithm, &text),
            Form::Sample => take_named_hash(&mut file, HashAlgorithm::Md5, &text),
            Form::FileName if member.attribute_type.name == "filename" => {
                if member.relation() == "filename" {
                    file.add_name(text);
                } else {
                    others.push(text);
                }
                true
            }
            Form::Describes => {
                match member.attribute_type.name {
                    "size-in-bytes" => file.size = file.size.or(text.parse().ok()),
                    "mime-type" => file.mime_type = file.mime_type.take().or(Some(text)),
                    _ => {}
                }
                false
            }
            _ => false,
        };
        if is_part {
            absorbed.push(place);
        }
    }
    for name in others {
        file.add_name(name);
    }
    let is_file = !file.hashes.is_empty() || !file.names.is_empty();
    is_file.then_some(Content::File(file))
}

fn take_named_hash(file: &mut FileContent, algorithm: HashAlgorithm, text: &str) -> bool {
    let Some((name, hash)) = text.rsplit_once('|') else {
        return false;
    };
    let Some(hash) = Hash::read(algorithm, hash) else {
        return false;
    };
    if algorithm.is_of_observables() && !file.hashes.add(hash) {
        return false;
    }
    let name = name.trim();
    if !name.is_empty() {
        file.add_name(name.to_owned());
    }
    true
}

fn certificate(members: &[Member<'_>], absorbed: &mut Vec<usize>) -> Option<Content> {
    let mut certificate = CertificateContent::default();
    for (place, member) in members.iter().enumerate() {
        let Some(text) = member.text() else {
            continue;
        };
        if let Form::Certificate(algorithm) = member.attribute_type.form {
            let hash = Hash::read(algorithm, &text.replace(':', ""));
            if hash.is_some_and(|hash| certificate.hashes.add(hash)) {
                absorbed.push(place);
            }
            continue;
        }
        let moment = || moment_of(&text);
        match member.relation() {
            "serial-number" => set(&mut certificate.serial_number, text),
            "subject" => set(&mut certificate.subject, text),
            "issuer" => set(&mut certificate.issuer, text),
            "validity-not-before" => {
                certificate.not_before = certificate.not_before.or_else(moment);
            }
            "validity-not-after" => certificate.not_after = certificate.not_after.or_else(moment),
            _ => {}
        }
    }
    let is_one = !certificate.hashes.is_empty()
        || certificate.serial_number.is_some()
        || certificate.subject.is_some();
    is_one.then_some(Content::Certificate(certificate))
}

fn registry_key(members: &[Member<'_>], absorbed: &mut Vec<usize>) -> Option<Content> {
    let mut key = None;
    let mut value = RegistryValueContent::default();
    for (place, member) in members.iter().enumerate() {
        let Some(text) = member.text() else {
            continue;
        };
        match (member.attribute_type.form, member.relation()) {
            (Form::RegistryKey, _) if key.is_none() => {
                key = Some(text);
                absorbed.push(place);
            }
            (_, "name") => set(&mut value.name, text),
            (_, "data") => set(&mut value.data, text),
            (_, "data-type") => set(&mut value.data_type, text),
            _ => {}
        }
    }
    let has_value = value.name.is_some() || value.data.is_some();
    Some(Content::RegistryKey(RegistryContent {
        key: key?,
        values: has_value.then_some(value).into_iter().collect(),
    }))
}

fn email(members: &[Member<'_>], absorbed: &mut Vec<usize>) -> Option<Content> {
    let mut email = EmailContent::default();
    for (place, member) in members.iter().enumerate() {
        let Some(text) = member.text() else {
            continue;
        };
        let is_part = match member.attribute_type.form {
            Form::EmailSubject if email.subject.is_none() => {
                email.subject = Some(text);
                true
            }
            Form::EmailBody if email.body.is_none() => {
                email.body = Some(text);
                true
            }
            Form::EmailMessageId => {
                set(&mut email.message_id, text);
                true
            }
            Form::EmailMailer => true,
            Form::Describes if member.relation() == "send-date" => {
                email.date = email.date.or_else(|| moment_of(&text));
                false
            }
            _ => false,
        };
        if is_part {
            absorbed.push(place);
        }
    }
    let is_one = email.subject.is_some() || email.body.is_some();
    is_one.then_some(Content::Email(email))
}

fn account(
    members: &[Member<'_>],
    account_type: Option<&str>,
    absorbed: &mut Vec<usize>,
) -> Option<Content> {
    let mut account = AccountContent {
        account_type: account_type.map(str::to_owned),
        ..AccountContent::default()
    };
    for (place, member) in members.iter().enumerate() {
        let Some(text) = member.text() else {
            continue;
        };
        let property = match member.relation() {
            "username" => &mut account.login,
            "user-id" | "id" => &mut account.user_id,
            "account-type" => &mut account.account_type,
            "display-name" | "user-fullname" => &mut account.display_name,
            _ => continue,
        };
        if property.is_none() {
            *property = Some(text);
            absorbed.push(place);
        }
    }
    let is_one = account.login.is_some() || account.user_id.is_some();
    is_one.then_some(Content::Account(account))
}

fn autonomous_system(members: &[Member<'_>], absorbed: &mut Vec<usize>) -> Option<Content> {
    let (mut number, mut name) = (None, None);
    for (place, member) in members.iter().enumerate() {
        let Some(text) = member.text() else {
            continue;
        };
        match (member.attribute_type.form, member.relation()) {
            (Form::AutonomousSystem, _) if number.is_none() => {
                number = read_as(&text);
                if number.is_some() {
                    absorbed.push(place);
                }
            }
            (_, "description") => set(&mut name, text),
            _ => {}
        }
    }
    Some(Content::AutonomousSystem {
        number: number?,
        name,
    })
}

/// The traffic between the first addresses and ports of a connection, each address by the observable that `observable`
/// makes of it.
pub(super) fn traffic(
    members: &[Member<'_>],
    observable: impl Fn(&Member<'_>) -> Option<Content>,
) -> Option<TrafficContent> {
    let mut traffic = TrafficContent::default();
    let mut family = None;
    for member in members {
        let Some(text) = member.text() else {
            continue;
        };
        let end = || {
            let content = observable(member)?;
            let Content::Value(value_type, _) = content else {
                return None;
            };
            let is_end = matches!(
                value_type,
                ValueType::Ipv4Addr | ValueType::Ipv6Addr | ValueType::DomainName
            );
            is_end.then(|| (content.id(), value_type))
        };
        match member.relation() {
            "ip-src" | "domain-src" if traffic.source.is_none() => {
                traffic.source = end().map(|(id, value_type)| {
                    family = family.or(Some(value_type));
                    id
                });
            }
            "ip-dst" | "ip" | "domain-dst" if traffic.destination.is_none() => {
                traffic.destination = end().map(|(id, value_type)| {
                    family = family.or(Some(value_type));
                    id
                });
            }
            "src-port" => traffic.source_port = traffic.source_port.or(read_port(&text)),
            "dst-port" => {
                traffic.destination_port = traffic.destination_port.or(read_port(&text));
            }
            "layer3-protocol" | "layer4-protocol" | "layer7-protocol" => {
                let protocol = text.to_lowercase();
                if !traffic.protocols.contains(&protocol) {
                    traffic.protocols.push(protocol);
                }
            }
            _ => {}
        }
    }
    if traffic.protocols.is_empty() {
        let protocol = match family {
            Some(ValueType::Ipv4Addr) => "ipv4",
            Some(ValueType::Ipv6Addr) => "ipv6",
            _ => "tcp",
        };
        traffic.protocols.push(protocol.to_owned());
    }
    let has_end = traffic.source.is_some() || traffic.destination.is_some();
    let has_port = traffic.source_port.is_some() || traffic.destination_port.is_some();
    let has_both = traffic.source.is_some() && traffic.destination.is_some();
    (has_both || (has_end && has_port)).then_some(traffic)
}

fn set(property: &mut Option<String>, text: String) {
    if property.is_none() {
        *property = Some(text);
    }
}
