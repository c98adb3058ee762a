//! Values of attributes, read by the form of their type: split, checked, and in the one form in which they are sent.

use super::content::{
    AccountContent, Content, EmailContent, FileContent, RegistryContent, RegistryValueContent,
    TrafficContent,
};
use super::cpe::software;
use crate::connectors::misp_feed::attribute_types::{Account, Form, Side};
use crate::connectors::misp_feed::mapping_settings::PortPatterns;
use crate::stix::make_id::ValueType;
use crate::stix::pattern::{AllOf, Comparison, HashedObject, ObjectPath, Pattern};
use crate::stix::text::whole;
use crate::stix::typed::RuleLanguage;
use crate::stix::value::{Address, DomainName, Email, Hash, HostName, Mac, Network, Url};
use crate::stix::{HashAlgorithm, Hashes, StixId};

/// The longest value, in characters.
const LONGEST_VALUE: usize = 64 * 1024;
/// The longest rule and the longest body of an e-mail, in characters.
const LONGEST_RULE: usize = 1024 * 1024;

/// What an indicator looks for.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) enum SignPattern {
    Stix(Pattern),
    Rule(RuleLanguage, String),
}

/// An indicator's pattern, and what of the reading it is of.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sign {
    pub(super) pattern: SignPattern,
    /// The value that it looks for, or the name of its rule.
    pub(super) name: Option<String>,
    pub(super) main_type: Option<&'static str>,
    /// Places of the observables that it is based on.
    pub(super) based_on: Vec<usize>,
}

/// What a value is.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Reading {
    /// Each behind those that it refers to.
    pub(super) observables: Vec<Content>,
    pub(super) signs: Vec<Sign>,
    /// Relationships between observables: word, source, target.
    pub(super) ties: Vec<(&'static str, usize, usize)>,
    /// Why there is less than its type could become, where the value is one of its type: half of it, or nothing but a text.
    pub(super) shortfall: Option<&'static str>,
}

impl Reading {
    /// Nothing of its own.
    fn none(shortfall: &'static str) -> Self {
        Self {
            shortfall: Some(shortfall),
            ..Self::default()
        }
    }

    /// An observable, and the pattern that finds it.
    fn of(content: Content, name: &str, pattern: impl Into<Pattern>) -> Self {
        let mut reading = Self::default();
        reading.add(content, name, pattern);
        reading
    }

    fn add(&mut self, content: Content, name: &str, pattern: impl Into<Pattern>) {
        let sign = Sign {
            pattern: SignPattern::Stix(pattern.into()),
            name: Some(name.to_owned()),
            main_type: Some(content.kind()),
            based_on: vec![self.observables.len()],
        };
        self.observables.push(content);
        self.signs.push(sign);
    }

    /// A pattern alone.
    fn sign(name: &str, main_type: &'static str, pattern: impl Into<Pattern>) -> Self {
        Self {
            signs: vec![Sign {
                pattern: SignPattern::Stix(pattern.into()),
                name: Some(name.to_owned()),
                main_type: Some(main_type),
                based_on: Vec::new(),
            }],
            ..Self::default()
        }
    }
}

/// Reads a value; the reason where it is none of its form. Of forms that become no observable and no indicator, nothing
/// is read.
pub(super) fn read(form: Form, value: &str, ports: PortPatterns) -> Result<Reading, &'static str> {
    let limit = match form {
        Form::Rule(_) | Form::EmailBody => LONGEST_RULE,
        _ => LONGEST_VALUE,
    };
    let value = whole(value, limit).ok_or("its value is too long")?;
    let value: &str = &value;
    if value.is_empty() {
        return Err("it has no value");
    }
    match form {
        Form::Plain(value_type, path) => Ok(plain(value_type, path, value)),
        Form::Hash(algorithm) => file_hash(algorithm, value),
        Form::FileName => Ok(file_name(value)),
        Form::NamedHash(algorithm) => named_hash(algorithm, value),
        Form::Sample => named_hash(HashAlgorithm::Md5, value),
        Form::Certificate(algorithm) => certificate(algorithm, value),
        Form::Address => {
            let (content, text, comparison) = address(value).ok_or("it is no IP address")?;
            Ok(Reading::of(content, &text, comparison))
        }
        Form::AddressPort(side) => address_port(side, value, ports),
        Form::Host => host(value),
        Form::HostPort => host_port(value, ports),
        Form::Domain => domain(value),
        Form::Onion => onion(value),
        Form::DomainAddress => domain_address(value),
        Form::Email => email(value),
        Form::EmailSubject | Form::EmailBody => Ok(message(form, value)),
        Form::EmailMailer => Ok(Reading::sign(
            value,
            "Email-Message",
            Comparison::equals(ObjectPath::EmailMailer, value),
        )),
        Form::EmailMessageId => Ok(Reading::sign(
            value,
            "Email-Message",
            Comparison::equals(ObjectPath::EmailMessageId, value),
        )),
        Form::Url => Ok(url(value)),
        Form::Uri => {
            let has_scheme = Url::read(value).is_some();
            Ok(if has_scheme {
                url(value)
            } else {
                Reading::none("it is a part of a URL without a scheme")
            })
        }
        Form::Mac => mac(value),
        Form::RegistryKey => Ok(registry_key(value, None)),
        Form::RegistryKeyValue => {
            let (key, data) = value.split_once('|').ok_or("it has no | within it")?;
            let (key, data) = (key.trim(), data.trim());
            if key.is_empty() {
                return Err("it has nothing in front of the |");
            }
            Ok(registry_key(
                key,
                Some(data).filter(|data| !data.is_empty()),
            ))
        }
        Form::AutonomousSystem => autonomous_system(value),
        Form::Account(known_by) => Ok(account(known_by, value)),
        Form::Software => {
            let software = software(value).ok_or("it is no CPE")?;
            Ok(only(Content::Software(software)))
        }
        Form::SshFingerprint => Ok(match value.strip_prefix("SHA256:") {
            Some(_) => only(Content::Value(ValueType::SshKey, value.to_owned())),
            None => Reading::none("it is no fingerprint in SHA-256"),
        }),
        Form::Rule(language) => Ok(rule(language, value)),
        Form::Attachment
        | Form::Link
        | Form::Vulnerability
        | Form::IntrusionSet
        | Form::Campaign
        | Form::MalwareType
        | Form::Organization
        | Form::Person
        | Form::Remark
        | Form::Describes
        | Form::Private
        | Form::Unsupported => Ok(Reading::default()),
    }
}

fn only(content: Content) -> Reading {
    Reading {
        observables: vec![content],
        ..Reading::default()
    }
}

fn plain(value_type: ValueType, path: Option<ObjectPath>, value: &str) -> Reading {
    let content = Content::Value(value_type, value.to_owned());
    match path {
        Some(path) => Reading::of(content, value, Comparison::equals(path, value)),
        None => only(content),
    }
}

fn file_hash(algorithm: HashAlgorithm, value: &str) -> Result<Reading, &'static str> {
    let hash = Hash::read(algorithm, value).ok_or("it is no hash of its type")?;
    let comparison = Comparison::hash(HashedObject::File, &hash);
    let text = hash.as_str().to_owned();
    if !algorithm.is_of_observables() {
        return Ok(Reading::sign(&text, "StixFile", comparison));
    }
    let content = FileContent {
        hashes: hash.into(),
        ..FileContent::default()
    };
    Ok(Reading::of(Content::File(content), &text, comparison))
}

fn file_name(value: &str) -> Reading {
    let content = FileContent {
        names: vec![value.to_owned()],
        ..FileContent::default()
    };
    let comparison = Comparison::equals(ObjectPath::FileName, value);
    Reading::of(Content::File(content), value, comparison)
}

/// A name, `|`, and a hash; the last `|` counts.
fn named_hash(algorithm: HashAlgorithm, value: &str) -> Result<Reading, &'static str> {
    let (name, hash) = value.rsplit_once('|').ok_or("it has no | within it")?;
    let name = name.trim();
    let Some(hash) = Hash::read(algorithm, hash) else {
        return Err("it is no hash of its type");
    };
    if name.is_empty() {
        return file_hash(algorithm, hash.as_str());
    }
    let pattern = Comparison::equals(ObjectPath::FileName, name)
        .and(Comparison::hash(HashedObject::File, &hash));
    let whole = format!("{name}|{}", hash.as_str());
    let mut hashes = Hashes::new();
    hashes.add(hash);
    let content = FileContent {
        hashes,
        names: vec![name.to_owned()],
        ..FileContent::default()
    };
    Ok(Reading::of(Content::File(content), &whole, pattern))
}

fn certificate(algorithm: HashAlgorithm, value: &str) -> Result<Reading, &'static str> {
    // Fingerprints are often written with colons.
    let value = value.replace(':', "");
    let hash = Hash::read(algorithm, &value).ok_or("it is no hash of its type")?;
    let comparison = Comparison::hash(HashedObject::X509Certificate, &hash);
    let text = hash.as_str().to_owned();
    let content = super::content::CertificateContent {
        hashes: hash.into(),
        ..super::content::CertificateContent::default()
    };
    Ok(Reading::of(
        Content::Certificate(content),
        &text,
        comparison,
    ))
}

/// The observable of an address or a range, its text, and what compares with it.
pub(super) fn address(value: &str) -> Option<(Content, String, Comparison)> {
    let (stix_type, text) = if let Some(address) = Address::read(value) {
        (address.stix_type(), address.to_string())
    } else {
        let network = Network::read(value)?;
        (network.stix_type(), network.to_string())
    };
    let (value_type, path) = match stix_type {
        "ipv4-addr" => (ValueType::Ipv4Addr, ObjectPath::Ipv4Value),
        _ => (ValueType::Ipv6Addr, ObjectPath::Ipv6Value),
    };
    let content = Content::Value(value_type, text.clone());
    let comparison = Comparison::equals(path, &text);
    Some((content, text, comparison))
}

/// What stands in front of the last `|`, and the port behind it.
fn split_port(value: &str) -> Result<(&str, u16), &'static str> {
    let (before, port) = value.rsplit_once('|').ok_or("it has no | within it")?;
    let port = read_port(port).ok_or("its port is no number from 1 to 65535")?;
    Ok((before.trim(), port))
}

/// A port from 1 to 65535.
pub(super) fn read_port(text: &str) -> Option<u16> {
    text.trim().parse().ok().filter(|port| *port > 0)
}

fn address_port(side: Side, value: &str, ports: PortPatterns) -> Result<Reading, &'static str> {
    let (before, port) = split_port(value)?;
    let (content, text, comparison) = address(before).ok_or("it is no IP address")?;
    let id: StixId = content.id();
    let protocol = match &content {
        Content::Value(ValueType::Ipv4Addr, _) => "ipv4",
        _ => "ipv6",
    };
    let (traffic, end, port_path) = match side {
        Side::Source => (
            TrafficContent {
                source: Some(id),
                source_port: Some(port),
                ..TrafficContent::default()
            },
            ObjectPath::TrafficSource,
            ObjectPath::TrafficSourcePort,
        ),
        Side::Destination => (
            TrafficContent {
                destination: Some(id),
                destination_port: Some(port),
                ..TrafficContent::default()
            },
            ObjectPath::TrafficDestination,
            ObjectPath::TrafficDestinationPort,
        ),
    };
    let traffic = Content::Traffic(TrafficContent {
        protocols: vec![protocol.to_owned()],
        ..traffic
    });
    let (pattern, main_type): (Pattern, _) = match ports {
        PortPatterns::Address => (comparison.into(), content.kind()),
        PortPatterns::Exact => {
            let exact: AllOf = Comparison::equals(end, &text)
                .and(Comparison::equals_number(port_path, port.into()));
            (exact.into(), traffic.kind())
        }
    };
    let name = match ports {
        PortPatterns::Address => text,
        PortPatterns::Exact => format!("{text}|{port}"),
    };
    Ok(Reading {
        observables: vec![content, traffic],
        signs: vec![Sign {
            pattern: SignPattern::Stix(pattern),
            name: Some(name),
            main_type: Some(main_type),
            based_on: vec![0, 1],
        }],
        ..Reading::default()
    })
}

fn host(value: &str) -> Result<Reading, &'static str> {
    let name = HostName::read_lower_case(value).ok_or("it is no name of a host")?;
    let name = name.as_str();
    let content = Content::Value(ValueType::Hostname, name.to_owned());
    let comparison = Comparison::equals(ObjectPath::HostnameValue, name);
    Ok(Reading::of(content, name, comparison))
}

fn host_port(value: &str, ports: PortPatterns) -> Result<Reading, &'static str> {
    let (before, port) = split_port(value)?;
    if ports == PortPatterns::Address {
        return host(before);
    }
    let name = HostName::read_lower_case(before).ok_or("it is no name of a host")?;
    let name = name.as_str();
    let content = Content::Value(ValueType::Hostname, name.to_owned());
    let pattern = Comparison::equals(ObjectPath::HostnameValue, name).and(
        Comparison::equals_number(ObjectPath::TrafficDestinationPort, port.into()),
    );
    Ok(Reading::of(content, &format!("{name}|{port}"), pattern))
}

fn domain(value: &str) -> Result<Reading, &'static str> {
    let name = DomainName::strict(value).ok_or("it is no domain name")?;
    Ok(domain_reading(name.as_str()))
}

fn domain_reading(name: &str) -> Reading {
    let content = Content::Value(ValueType::DomainName, name.to_owned());
    let comparison = Comparison::equals(ObjectPath::DomainValue, name);
    Reading::of(content, name, comparison)
}

fn onion(value: &str) -> Result<Reading, &'static str> {
    let lower = value.trim_end_matches('.').to_ascii_lowercase();
    match lower.rsplit_once('.') {
        Some((_, "onion")) => domain(&lower),
        _ => Ok(Reading::none("it is no name that ends in .onion")),
    }
}

fn domain_address(value: &str) -> Result<Reading, &'static str> {
    let (name, number) = value.split_once('|').ok_or("it has no | within it")?;
    let name = domain(name);
    let number = address(number.trim());
    let mut reading = match (name, number) {
        (Ok(mut reading), Some((content, text, comparison))) => {
            reading.add(content, &text, comparison);
            reading.ties.push(("resolves-to", 0, 1));
            return Ok(reading);
        }
        (Ok(reading), None) => reading,
        (Err(_), Some((content, text, comparison))) => Reading::of(content, &text, comparison),
        (Err(_), None) => return Err("it is no domain name with an address"),
    };
    reading.shortfall = Some("half of it is no domain name, or no address");
    Ok(reading)
}

fn email(value: &str) -> Result<Reading, &'static str> {
    let address = Email::read(value).ok_or("it is no e-mail address")?;
    let text = address.as_str();
    let content = Content::Value(ValueType::EmailAddr, text.to_owned());
    let comparison = Comparison::equals(ObjectPath::EmailValue, text);
    Ok(Reading::of(content, text, comparison))
}

fn message(form: Form, value: &str) -> Reading {
    let text = Some(value.to_owned());
    let (content, path) = if form == Form::EmailBody {
        let body = EmailContent {
            body: text,
            ..EmailContent::default()
        };
        (body, ObjectPath::EmailBody)
    } else {
        let subject = EmailContent {
            subject: text,
            ..EmailContent::default()
        };
        (subject, ObjectPath::EmailSubject)
    };
    let comparison = Comparison::equals(path, value);
    Reading::of(Content::Email(content), value, comparison)
}

fn url(value: &str) -> Reading {
    let content = Content::Value(ValueType::Url, value.to_owned());
    let comparison = Comparison::equals(ObjectPath::UrlValue, value);
    Reading::of(content, value, comparison)
}

fn mac(value: &str) -> Result<Reading, &'static str> {
    let address = Mac::read(value).ok_or("it is no MAC address")?.to_string();
    let content = Content::Value(ValueType::MacAddr, address.clone());
    let comparison = Comparison::equals(ObjectPath::MacValue, &address);
    Ok(Reading::of(content, &address, comparison))
}

fn registry_key(key: &str, data: Option<&str>) -> Reading {
    let comparison = Comparison::equals(ObjectPath::RegistryKey, key);
    let Some(data) = data else {
        let content = RegistryContent {
            key: key.to_owned(),
            values: Vec::new(),
        };
        return Reading::of(Content::RegistryKey(content), key, comparison);
    };
    let value = RegistryValueContent::text(data);
    let content = RegistryContent {
        key: key.to_owned(),
        values: vec![value.clone()],
    };
    let pattern = comparison.and(Comparison::equals(ObjectPath::RegistryValueData, data));
    let mut reading = only(Content::RegistryValue(value));
    reading.add(
        Content::RegistryKey(content),
        &format!("{key}|{data}"),
        pattern,
    );
    reading
}

fn autonomous_system(value: &str) -> Result<Reading, &'static str> {
    let number = read_as(value).ok_or("it is no number of an AS up to 2147483647")?;
    let content = Content::AutonomousSystem { number, name: None };
    let comparison = Comparison::equals_number(ObjectPath::AutonomousSystemNumber, number);
    Ok(Reading::of(content, &format!("AS{number}"), comparison))
}

/// The number of an autonomous system, with or without `AS` in front, as far as the platform takes it.
pub(super) fn read_as(value: &str) -> Option<u32> {
    let digits = match value.split_at_checked(2) {
        Some((begin, rest)) if begin.eq_ignore_ascii_case("AS") => rest.trim(),
        _ => value,
    };
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: u32 = digits.parse().ok().filter(|_| is_plain)?;
    i32::try_from(number).ok().map(|_| number)
}

fn account(known_by: Account, value: &str) -> Reading {
    let text = Some(value.to_owned());
    let typed = |account_type: &str| AccountContent {
        account_type: Some(account_type.to_owned()),
        login: Some(value.to_owned()),
        ..AccountContent::default()
    };
    let login = Comparison::equals(ObjectPath::AccountLogin, value);
    match known_by {
        Account::UserId => {
            let content = AccountContent {
                user_id: text,
                ..AccountContent::default()
            };
            let comparison = Comparison::equals(ObjectPath::AccountUserId, value);
            Reading::of(Content::Account(content), value, comparison)
        }
        Account::Login => {
            let content = AccountContent {
                login: text,
                ..AccountContent::default()
            };
            Reading::of(Content::Account(content), value, login)
        }
        Account::GithubUser => Reading::of(Content::Account(typed("github")), value, login),
        Account::Typed(account_type) => {
            let pattern = login.and(Comparison::equals(ObjectPath::AccountType, account_type));
            Reading::of(Content::Account(typed(account_type)), value, pattern)
        }
    }
}

fn rule(language: RuleLanguage, value: &str) -> Reading {
    Reading {
        signs: vec![Sign {
            pattern: SignPattern::Rule(language, value.to_owned()),
            name: rule_name(language, value),
            main_type: (language == RuleLanguage::Yara).then_some("StixFile"),
            based_on: Vec::new(),
        }],
        ..Reading::default()
    }
}

/// The name that a rule gives itself.
fn rule_name(language: RuleLanguage, rule: &str) -> Option<String> {
    let name = match language {
        RuleLanguage::Yara => {
            let mut words = rule.split_whitespace();
            words.find(|word| *word == "rule")?;
            let name = words.next()?;
            name.split([':', '{']).next()
        }
        RuleLanguage::Sigma => {
            let mut lines = rule.lines();
            lines.find_map(|line| line.strip_prefix("title:"))
        }
        RuleLanguage::Snort | RuleLanguage::Suricata => {
            let (_, behind) = rule.split_once("msg:")?;
            behind.trim_start().strip_prefix('"')?.split('"').next()
        }
        RuleLanguage::Stix => None,
    };
    let name = name?.trim().trim_matches(['"', '\'']);
    (!name.is_empty()).then(|| name.to_owned())
}
