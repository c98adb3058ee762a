//! Ids of observables.
//!
//! Texts count without white space around them, as the platform takes them from 7.260416.0 on. It lowers the case of
//! domain names and e-mail addresses before it works out their ids: [`value`](super::super::value) has types that do so.

use serde_json::json;

use super::super::{Hashes, StixId, Timestamp};
use super::{Properties, Property, id_over, id_over_all, normal, trimmed};

/// The types of observables that are one value and nothing else that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "their names say what they are")]
pub enum ValueType {
    Ipv4Addr,
    Ipv6Addr,
    MacAddr,
    DomainName,
    Hostname,
    Url,
    EmailAddr,
    Text,
    UserAgent,
    CryptocurrencyWallet,
    CryptographicKey,
    PhoneNumber,
    Credential,
    TrackingNumber,
    AiPrompt,
    Imei,
    Iccid,
    Imsi,
    /// Its value is the property `name`.
    Mutex,
    /// Its value is the property `path`.
    Directory,
    /// Its value is the property `iban`.
    BankAccount,
    /// Its value is the property `card_number`.
    PaymentCard,
    /// Its value is the property `url`.
    MediaContent,
    /// Its value is the property `fingerprint_sha256`.
    SshKey,
}

impl ValueType {
    /// All of them.
    pub const ALL: [Self; 24] = [
        Self::Ipv4Addr,
        Self::Ipv6Addr,
        Self::MacAddr,
        Self::DomainName,
        Self::Hostname,
        Self::Url,
        Self::EmailAddr,
        Self::Text,
        Self::UserAgent,
        Self::CryptocurrencyWallet,
        Self::CryptographicKey,
        Self::PhoneNumber,
        Self::Credential,
        Self::TrackingNumber,
        Self::AiPrompt,
        Self::Imei,
        Self::Iccid,
        Self::Imsi,
        Self::Mutex,
        Self::Directory,
        Self::BankAccount,
        Self::PaymentCard,
        Self::MediaContent,
        Self::SshKey,
    ];

    /// Its type in STIX.
    pub fn stix_type(self) -> &'static str {
        match self {
            Self::Ipv4Addr => "ipv4-addr",
            Self::Ipv6Addr => "ipv6-addr",
            Self::MacAddr => "mac-addr",
            Self::DomainName => "domain-name",
            Self::Hostname => "hostname",
            Self::Url => "url",
            Self::EmailAddr => "email-addr",
            Self::Text => "text",
            Self::UserAgent => "user-agent",
            Self::CryptocurrencyWallet => "cryptocurrency-wallet",
            Self::CryptographicKey => "cryptographic-key",
            Self::PhoneNumber => "phone-number",
            Self::Credential => "credential",
            Self::TrackingNumber => "tracking-number",
            Self::AiPrompt => "ai-prompt",
            Self::Imei => "imei",
            Self::Iccid => "iccid",
            Self::Imsi => "imsi",
            Self::Mutex => "mutex",
            Self::Directory => "directory",
            Self::BankAccount => "bank-account",
            Self::PaymentCard => "payment-card",
            Self::MediaContent => "media-content",
            Self::SshKey => "ssh-key",
        }
    }

    /// The platform's word for the type.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Ipv4Addr => "IPv4-Addr",
            Self::Ipv6Addr => "IPv6-Addr",
            Self::MacAddr => "Mac-Addr",
            Self::DomainName => "Domain-Name",
            Self::Hostname => "Hostname",
            Self::Url => "Url",
            Self::EmailAddr => "Email-Addr",
            Self::Text => "Text",
            Self::UserAgent => "User-Agent",
            Self::CryptocurrencyWallet => "Cryptocurrency-Wallet",
            Self::CryptographicKey => "Cryptographic-Key",
            Self::PhoneNumber => "Phone-Number",
            Self::Credential => "Credential",
            Self::TrackingNumber => "Tracking-Number",
            Self::AiPrompt => "AI-Prompt",
            Self::Imei => "IMEI",
            Self::Iccid => "ICCID",
            Self::Imsi => "IMSI",
            Self::Mutex => "Mutex",
            Self::Directory => "Directory",
            Self::BankAccount => "Bank-Account",
            Self::PaymentCard => "Payment-Card",
            Self::MediaContent => "Media-Content",
            Self::SshKey => "SSH-Key",
        }
    }

    /// The property that holds the value.
    pub fn property(self) -> &'static str {
        match self {
            Self::Mutex => "name",
            Self::Directory => "path",
            Self::BankAccount => "iban",
            Self::PaymentCard => "card_number",
            Self::MediaContent => "url",
            Self::SshKey => "fingerprint_sha256",
            _ => "value",
        }
    }
}

/// The id of an observable that is one value.
pub fn value(value_type: ValueType, value: &str) -> StixId {
    let properties = [(value_type.property(), trimmed(value))];
    id_over(value_type.stix_type(), properties)
}

/// The id of a file: by the first of its hashes; without any, by its name.
pub fn file(hashes: &Hashes, name: &str) -> StixId {
    let properties = first_hash(hashes).unwrap_or_else(|| ("name", trimmed(name)));
    id_over("file", [properties])
}

/// The id of an artifact: by the first of its hashes; without any, by its address.
pub fn artifact(hashes: &Hashes, url: &str) -> StixId {
    let properties = first_hash(hashes).unwrap_or_else(|| ("url", trimmed(url)));
    id_over("artifact", [properties])
}

/// The id of a certificate: by the first of its hashes; without any, by its serial number, and without that by its
/// subject.
pub fn x509_certificate(hashes: &Hashes, serial_number: Option<&str>, subject: &str) -> StixId {
    let serial_number = serial_number.filter(|number| !number.trim().is_empty());
    let properties = first_hash(hashes)
        .or_else(|| serial_number.map(|number| ("serial_number", trimmed(number))))
        .unwrap_or_else(|| ("subject", trimmed(subject)));
    id_over("x509-certificate", [properties])
}

/// The platform makes the id of one hash alone, whatever others there are.
fn first_hash(hashes: &Hashes) -> Option<(&'static str, Property<'static>)> {
    let (algorithm, text) = hashes.iter().next()?;
    Some(("hashes", json!({ algorithm.name(): text }).into()))
}

/// The id of an autonomous system.
pub fn autonomous_system(number: u32) -> StixId {
    id_over("autonomous-system", [("number", json!(number).into())])
}

/// What an account's id is made of. One of the three is needed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are named as in STIX 2.1 §6.16")]
pub struct AccountNames<'a> {
    pub account_type: Option<&'a str>,
    pub account_login: Option<&'a str>,
    pub user_id: Option<&'a str>,
}

/// The id of an account.
pub fn user_account(names: AccountNames<'_>) -> StixId {
    id_over_texts(
        "user-account",
        [
            ("account_type", names.account_type),
            ("account_login", names.account_login),
            ("user_id", names.user_id),
        ],
    )
}

/// The id of a process. The platform identifies it by its command line; its number counts as well.
pub fn process(command_line: &str, pid: Option<u32>) -> StixId {
    let mut properties: Properties<'_> = vec![("command_line", trimmed(command_line))];
    if let Some(pid) = pid {
        properties.push(("pid", json!(pid).into()));
    }
    id_over_all("process", properties)
}

/// The id of a key in the registry of Windows. Its values are objects of their own.
pub fn windows_registry_key(key: &str) -> StixId {
    id_over("windows-registry-key", [("attribute_key", trimmed(key))])
}

/// The id of a value in the registry of Windows.
pub fn windows_registry_value(
    name: Option<&str>,
    data: Option<&str>,
    data_type: Option<&str>,
) -> StixId {
    id_over_texts(
        "windows-registry-value-type",
        [("name", name), ("data", data), ("data_type", data_type)],
    )
}

/// The id of an e-mail message. Its sender is set only afterwards, and does not count.
pub fn email_message(subject: Option<&str>, body: Option<&str>) -> StixId {
    id_over_texts("email-message", [("subject", subject), ("body", body)])
}

/// What a software's id is made of, beside its name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are named as in STIX 2.1 §6.14")]
pub struct SoftwareNames<'a> {
    pub cpe: Option<&'a str>,
    pub swid: Option<&'a str>,
    pub vendor: Option<&'a str>,
    pub version: Option<&'a str>,
}

/// The id of a software.
pub fn software(name: &str, names: SoftwareNames<'_>) -> StixId {
    let mut properties = texts([
        ("cpe", names.cpe),
        ("swid", names.swid),
        ("vendor", names.vendor),
        ("version", names.version),
    ]);
    properties.push(("name", normal(name)));
    id_over_all("software", properties)
}

/// The id of a persona.
pub fn persona(name: &str, persona_type: &str) -> StixId {
    let properties = [
        ("persona_name", trimmed(name)),
        ("persona_type", trimmed(persona_type)),
    ];
    id_over("persona", properties)
}

/// What the id of a connection is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are named as in STIX 2.1 §6.12")]
pub struct TrafficEnds<'a> {
    pub src_ref: Option<&'a StixId>,
    pub dst_ref: Option<&'a StixId>,
    pub src_port: Option<u16>,
    pub dst_port: Option<u16>,
    pub protocols: &'a [&'a str],
    pub start: Option<Timestamp>,
    pub end: Option<Timestamp>,
}

/// The id of a connection. The platform works out another one where the connection has ends, since it hashes the whole
/// objects there; it keeps ours beside its own and finds the connection by it.
pub fn network_traffic(ends: TrafficEnds<'_>) -> StixId {
    let mut properties: Properties<'_> = Vec::new();
    let refs = [("src_ref", ends.src_ref), ("dst_ref", ends.dst_ref)];
    for (name, id) in refs {
        if let Some(id) = id {
            properties.push((name, id.as_str().into()));
        }
    }
    let ports = [("src_port", ends.src_port), ("dst_port", ends.dst_port)];
    for (name, port) in ports {
        if let Some(port) = port {
            properties.push((name, json!(port).into()));
        }
    }
    if !ends.protocols.is_empty() {
        properties.push(("protocols", json!(ends.protocols).into()));
    }
    for (name, time) in [("start", ends.start), ("end", ends.end)] {
        if let Some(time) = time {
            properties.push((name, time.to_string().into()));
        }
    }
    id_over_all("network-traffic", properties)
}

fn id_over_texts<const N: usize>(
    stix_type: &'static str,
    all: [(&'static str, Option<&str>); N],
) -> StixId {
    id_over_all(stix_type, texts(all))
}

/// The texts that there are. What is empty does not count.
fn texts<'a, const N: usize>(texts: [(&'static str, Option<&'a str>); N]) -> Properties<'a> {
    let texts = texts.into_iter();
    let there = texts.filter_map(|(name, text)| Some((name, text?.trim())));
    let filled = there.filter(|(_, text)| !text.is_empty());
    filled.map(|(name, text)| (name, text.into())).collect()
}
