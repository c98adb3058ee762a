//! What becomes of each type of attribute.
//!
//! The types are those of MISP's own list of August 2026. One that is not among them counts as unsupported.

use crate::stix::HashAlgorithm;
use crate::stix::make_id::ValueType;
use crate::stix::pattern::ObjectPath;
use crate::stix::typed::RuleLanguage;

/// How the value of an attribute is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A text that is an observable as it is; what patterns compare it with.
    Plain(ValueType, Option<ObjectPath>),
    /// A hash of a file.
    Hash(HashAlgorithm),
    /// The name of a file.
    FileName,
    /// A name of a file, `|`, and its hash.
    NamedHash(HashAlgorithm),
    /// A hash of a certificate.
    Certificate(HashAlgorithm),
    /// An address of the internet protocol, or a range.
    Address,
    /// An address, `|`, and a port.
    AddressPort(Side),
    /// The name of a host.
    Host,
    /// The name of a host, `|`, and a port.
    HostPort,
    /// A domain name.
    Domain,
    /// A domain name that ends in `.onion`.
    Onion,
    /// A domain name, `|`, and an address.
    DomainAddress,
    /// An e-mail address.
    Email,
    /// The subject of an e-mail.
    EmailSubject,
    /// The body of an e-mail.
    EmailBody,
    /// The program that an e-mail was written with.
    EmailMailer,
    /// The id of an e-mail.
    EmailMessageId,
    /// A URL, as it is.
    Url,
    /// A URL where it has a scheme.
    Uri,
    /// The address of a network card.
    Mac,
    /// A key of the registry of Windows.
    RegistryKey,
    /// A key of the registry of Windows, `|`, and its value.
    RegistryKeyValue,
    /// The number of an autonomous system.
    AutonomousSystem,
    /// An account.
    Account(Account),
    /// The CPE of a program.
    Software,
    /// The fingerprint of a key of SSH, where it is SHA-256.
    SshFingerprint,
    /// A rule, as it is.
    Rule(RuleLanguage),
    /// A name of a file, `|`, and its MD5; the file itself may come along, packed.
    Sample,
    /// A file that somebody attached.
    Attachment,
    /// Where somebody wrote about it.
    Link,
    /// The number of a vulnerability.
    Vulnerability,
    /// The name of a group of attackers.
    IntrusionSet,
    /// The name of a campaign.
    Campaign,
    /// A kind of malware.
    MalwareType,
    /// The name of an organisation.
    Organization,
    /// The name of a person.
    Person,
    /// A remark.
    Remark,
    /// Something that describes its object.
    Describes,
    /// Personal data, or a secret.
    Private,
    /// Nothing that the platform has.
    Unsupported,
}

/// An end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Where it comes from.
    Source,
    /// Where it goes.
    Destination,
}

/// What an account is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    /// Its id.
    UserId,
    /// Its login, wherever.
    Login,
    /// Its login at GitHub, which the pattern does not say.
    GithubUser,
    /// Its login at a service.
    Typed(&'static str),
}

/// What attributes of a type may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Makes {
    /// Observables, where these are wanted.
    pub observable: bool,
    /// Indicators, where these are wanted.
    pub indicator: bool,
}

/// A type of attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttributeType {
    /// Its name.
    pub name: &'static str,
    /// How values are read.
    pub form: Form,
    /// What they may become.
    pub makes: Makes,
    /// Whether those values that become no other observable become one of type Text, where that is wanted.
    pub as_text: bool,
}

impl AttributeType {
    /// The type of this name, in any case; one that is unsupported where nobody knows it.
    pub fn of(name: &str) -> Self {
        let name = name.trim();
        let same = |known: &&Self| known.name == name;
        let like = |known: &&Self| known.name.eq_ignore_ascii_case(name);
        let known = ALL.iter().find(same).or_else(|| ALL.iter().find(like));
        known.copied().unwrap_or(UNKNOWN)
    }

    /// All types.
    pub fn all() -> &'static [Self] {
        ALL
    }
}

const BOTH: Makes = Makes {
    observable: true,
    indicator: true,
};
/// Victims, and what is affected: never an indicator, whatever the attribute says.
const OBSERVABLE: Makes = Makes {
    indicator: false,
    ..BOTH
};
/// What the platform cannot tell an observable by.
const INDICATOR: Makes = Makes {
    observable: false,
    ..BOTH
};
const NEITHER: Makes = Makes {
    observable: false,
    indicator: false,
};
const AS_TEXT: bool = true;
const NO_TEXT: bool = false;

const UNKNOWN: AttributeType = row("unknown", Form::Unsupported, NEITHER, AS_TEXT);

const fn row(name: &'static str, form: Form, makes: Makes, as_text: bool) -> AttributeType {
    AttributeType {
        name,
        form,
        makes,
        as_text,
    }
}

#[rustfmt::skip]
const ALL: &[AttributeType] = &[
    row("md5", Form::Hash(HashAlgorithm::Md5), BOTH, NO_TEXT),
    row("sha1", Form::Hash(HashAlgorithm::Sha1), BOTH, NO_TEXT),
    row("sha256", Form::Hash(HashAlgorithm::Sha256), BOTH, NO_TEXT),
    row("filename", Form::FileName, BOTH, NO_TEXT),
    row("pdb", Form::FileName, BOTH, NO_TEXT),
    row("filename|md5", Form::NamedHash(HashAlgorithm::Md5), BOTH, NO_TEXT),
    row("filename|sha1", Form::NamedHash(HashAlgorithm::Sha1), BOTH, NO_TEXT),
    row("filename|sha256", Form::NamedHash(HashAlgorithm::Sha256), BOTH, NO_TEXT),
    row("ip-src", Form::Address, BOTH, NO_TEXT),
    row("ip-dst", Form::Address, BOTH, NO_TEXT),
    row("hostname", Form::Host, BOTH, NO_TEXT),
    row("domain", Form::Domain, BOTH, NO_TEXT),
    row("domain|ip", Form::DomainAddress, BOTH, NO_TEXT),
    row("email", Form::Email, BOTH, NO_TEXT),
    row("email-src", Form::Email, BOTH, NO_TEXT),
    row("eppn", Form::Account(Account::UserId), BOTH, NO_TEXT),
    row("email-dst", Form::Email, BOTH, NO_TEXT),
    row("email-subject", Form::EmailSubject, BOTH, NO_TEXT),
    row("email-attachment", Form::FileName, BOTH, NO_TEXT),
    row("email-body", Form::EmailBody, BOTH, NO_TEXT),
    row("float", Form::Describes, NEITHER, NO_TEXT),
    row("git-commit-id", Form::Unsupported, NEITHER, AS_TEXT),
    row("url", Form::Url, BOTH, NO_TEXT),
    row("http-method", Form::Unsupported, NEITHER, AS_TEXT),
    row("user-agent", Form::Plain(ValueType::UserAgent, Some(ObjectPath::UserAgentValue)), BOTH, NO_TEXT),
    row("ja3-fingerprint-md5", Form::Unsupported, NEITHER, AS_TEXT),
    row("jarm-fingerprint", Form::Unsupported, NEITHER, AS_TEXT),
    row("favicon-mmh3", Form::Unsupported, NEITHER, AS_TEXT),
    row("hassh-md5", Form::Unsupported, NEITHER, AS_TEXT),
    row("hasshserver-md5", Form::Unsupported, NEITHER, AS_TEXT),
    row("regkey", Form::RegistryKey, BOTH, NO_TEXT),
    row("regkey|value", Form::RegistryKeyValue, BOTH, NO_TEXT),
    row("AS", Form::AutonomousSystem, BOTH, NO_TEXT),
    row("snort", Form::Rule(RuleLanguage::Snort), INDICATOR, NO_TEXT),
    row("suricata", Form::Rule(RuleLanguage::Suricata), INDICATOR, NO_TEXT),
    row("bro", Form::Unsupported, NEITHER, AS_TEXT),
    row("zeek", Form::Unsupported, NEITHER, AS_TEXT),
    row("community-id", Form::Unsupported, NEITHER, AS_TEXT),
    row("dom-hash", Form::Unsupported, NEITHER, AS_TEXT),
    row("pattern-in-file", Form::Unsupported, NEITHER, AS_TEXT),
    row("pattern-in-traffic", Form::Unsupported, NEITHER, AS_TEXT),
    row("pattern-in-memory", Form::Unsupported, NEITHER, AS_TEXT),
    row("filename-pattern", Form::Unsupported, NEITHER, AS_TEXT),
    row("pgp-public-key", Form::Plain(ValueType::CryptographicKey, None), OBSERVABLE, NO_TEXT),
    row("pgp-private-key", Form::Private, NEITHER, NO_TEXT),
    row("ssh-fingerprint", Form::SshFingerprint, OBSERVABLE, AS_TEXT),
    row("yara", Form::Rule(RuleLanguage::Yara), INDICATOR, NO_TEXT),
    row("stix2-pattern", Form::Rule(RuleLanguage::Stix), INDICATOR, NO_TEXT),
    row("sigma", Form::Rule(RuleLanguage::Sigma), INDICATOR, NO_TEXT),
    row("gene", Form::Unsupported, NEITHER, AS_TEXT),
    row("kusto-query", Form::Unsupported, NEITHER, AS_TEXT),
    row("mime-type", Form::Describes, NEITHER, NO_TEXT),
    row("identity-card-number", Form::Private, NEITHER, NO_TEXT),
    row("cookie", Form::Unsupported, NEITHER, AS_TEXT),
    row("vulnerability", Form::Vulnerability, NEITHER, NO_TEXT),
    row("cpe", Form::Software, OBSERVABLE, NO_TEXT),
    row("weakness", Form::Unsupported, NEITHER, AS_TEXT),
    row("attachment", Form::Attachment, NEITHER, NO_TEXT),
    row("malware-sample", Form::Sample, BOTH, NO_TEXT),
    row("link", Form::Link, NEITHER, NO_TEXT),
    row("comment", Form::Remark, NEITHER, NO_TEXT),
    row("text", Form::Plain(ValueType::Text, Some(ObjectPath::TextValue)), BOTH, NO_TEXT),
    row("hex", Form::Unsupported, NEITHER, AS_TEXT),
    row("other", Form::Unsupported, NEITHER, AS_TEXT),
    row("named pipe", Form::Unsupported, NEITHER, AS_TEXT),
    row("mutex", Form::Plain(ValueType::Mutex, Some(ObjectPath::MutexName)), BOTH, NO_TEXT),
    row("process-state", Form::Unsupported, NEITHER, AS_TEXT),
    row("target-user", Form::Account(Account::Login), OBSERVABLE, NO_TEXT),
    row("target-email", Form::Email, OBSERVABLE, NO_TEXT),
    row("target-machine", Form::Host, OBSERVABLE, NO_TEXT),
    row("target-org", Form::Organization, NEITHER, NO_TEXT),
    row("target-location", Form::Unsupported, NEITHER, AS_TEXT),
    row("target-external", Form::Organization, NEITHER, NO_TEXT),
    row("btc", Form::Plain(ValueType::CryptocurrencyWallet, Some(ObjectPath::CryptocurrencyWalletValue)), BOTH, NO_TEXT),
    row("dash", Form::Plain(ValueType::CryptocurrencyWallet, Some(ObjectPath::CryptocurrencyWalletValue)), BOTH, NO_TEXT),
    row("xmr", Form::Plain(ValueType::CryptocurrencyWallet, Some(ObjectPath::CryptocurrencyWalletValue)), BOTH, NO_TEXT),
    row("iban", Form::Plain(ValueType::BankAccount, Some(ObjectPath::BankAccountIban)), BOTH, NO_TEXT),
    row("bic", Form::Unsupported, NEITHER, AS_TEXT),
    row("bank-account-nr", Form::Unsupported, NEITHER, AS_TEXT),
    row("aba-rtn", Form::Unsupported, NEITHER, AS_TEXT),
    row("bin", Form::Unsupported, NEITHER, AS_TEXT),
    row("cc-number", Form::Plain(ValueType::PaymentCard, Some(ObjectPath::PaymentCardNumber)), BOTH, NO_TEXT),
    row("prtn", Form::Unsupported, NEITHER, AS_TEXT),
    row("phone-number", Form::Plain(ValueType::PhoneNumber, Some(ObjectPath::PhoneNumberValue)), BOTH, NO_TEXT),
    row("threat-actor", Form::IntrusionSet, NEITHER, NO_TEXT),
    row("campaign-name", Form::Campaign, NEITHER, NO_TEXT),
    row("campaign-id", Form::Unsupported, NEITHER, AS_TEXT),
    row("malware-type", Form::MalwareType, NEITHER, NO_TEXT),
    row("uri", Form::Uri, BOTH, AS_TEXT),
    row("authentihash", Form::Hash(HashAlgorithm::Authentihash), INDICATOR, AS_TEXT),
    row("vhash", Form::Hash(HashAlgorithm::Vhash), INDICATOR, AS_TEXT),
    row("ssdeep", Form::Hash(HashAlgorithm::Ssdeep), BOTH, NO_TEXT),
    row("imphash", Form::Hash(HashAlgorithm::Imphash), INDICATOR, AS_TEXT),
    row("telfhash", Form::Hash(HashAlgorithm::Telfhash), INDICATOR, AS_TEXT),
    row("pehash", Form::Hash(HashAlgorithm::Pehash), INDICATOR, AS_TEXT),
    row("impfuzzy", Form::Hash(HashAlgorithm::Impfuzzy), INDICATOR, AS_TEXT),
    row("sha224", Form::Hash(HashAlgorithm::Sha224), INDICATOR, AS_TEXT),
    row("sha384", Form::Hash(HashAlgorithm::Sha384), INDICATOR, AS_TEXT),
    row("sha512", Form::Hash(HashAlgorithm::Sha512), BOTH, NO_TEXT),
    row("sha512/224", Form::Hash(HashAlgorithm::Sha512_224), INDICATOR, AS_TEXT),
    row("sha512/256", Form::Hash(HashAlgorithm::Sha512_256), INDICATOR, AS_TEXT),
    row("sha3-224", Form::Hash(HashAlgorithm::Sha3_224), INDICATOR, AS_TEXT),
    row("sha3-256", Form::Hash(HashAlgorithm::Sha3_256), BOTH, NO_TEXT),
    row("sha3-384", Form::Hash(HashAlgorithm::Sha3_384), INDICATOR, AS_TEXT),
    row("sha3-512", Form::Hash(HashAlgorithm::Sha3_512), BOTH, NO_TEXT),
    row("tlsh", Form::Hash(HashAlgorithm::Tlsh), BOTH, NO_TEXT),
    row("cdhash", Form::Hash(HashAlgorithm::Cdhash), INDICATOR, AS_TEXT),
    row("filename|authentihash", Form::NamedHash(HashAlgorithm::Authentihash), BOTH, NO_TEXT),
    row("filename|vhash", Form::NamedHash(HashAlgorithm::Vhash), BOTH, NO_TEXT),
    row("filename|ssdeep", Form::NamedHash(HashAlgorithm::Ssdeep), BOTH, NO_TEXT),
    row("filename|imphash", Form::NamedHash(HashAlgorithm::Imphash), BOTH, NO_TEXT),
    row("filename|impfuzzy", Form::NamedHash(HashAlgorithm::Impfuzzy), BOTH, NO_TEXT),
    row("filename|pehash", Form::NamedHash(HashAlgorithm::Pehash), BOTH, NO_TEXT),
    row("filename|sha224", Form::NamedHash(HashAlgorithm::Sha224), BOTH, NO_TEXT),
    row("filename|sha384", Form::NamedHash(HashAlgorithm::Sha384), BOTH, NO_TEXT),
    row("filename|sha512", Form::NamedHash(HashAlgorithm::Sha512), BOTH, NO_TEXT),
    row("filename|sha512/224", Form::NamedHash(HashAlgorithm::Sha512_224), BOTH, NO_TEXT),
    row("filename|sha512/256", Form::NamedHash(HashAlgorithm::Sha512_256), BOTH, NO_TEXT),
    row("filename|sha3-224", Form::NamedHash(HashAlgorithm::Sha3_224), BOTH, NO_TEXT),
    row("filename|sha3-256", Form::NamedHash(HashAlgorithm::Sha3_256), BOTH, NO_TEXT),
    row("filename|sha3-384", Form::NamedHash(HashAlgorithm::Sha3_384), BOTH, NO_TEXT),
    row("filename|sha3-512", Form::NamedHash(HashAlgorithm::Sha3_512), BOTH, NO_TEXT),
    row("filename|tlsh", Form::NamedHash(HashAlgorithm::Tlsh), BOTH, NO_TEXT),
    row("windows-scheduled-task", Form::Unsupported, NEITHER, AS_TEXT),
    row("windows-service-name", Form::Unsupported, NEITHER, AS_TEXT),
    row("windows-service-displayname", Form::Unsupported, NEITHER, AS_TEXT),
    row("whois-registrant-email", Form::Email, BOTH, NO_TEXT),
    row("whois-registrant-phone", Form::Plain(ValueType::PhoneNumber, Some(ObjectPath::PhoneNumberValue)), BOTH, NO_TEXT),
    row("whois-registrant-name", Form::Unsupported, NEITHER, AS_TEXT),
    row("whois-registrant-org", Form::Unsupported, NEITHER, AS_TEXT),
    row("whois-registrar", Form::Unsupported, NEITHER, AS_TEXT),
    row("whois-creation-date", Form::Unsupported, NEITHER, AS_TEXT),
    row("x509-fingerprint-sha1", Form::Certificate(HashAlgorithm::Sha1), BOTH, NO_TEXT),
    row("x509-fingerprint-md5", Form::Certificate(HashAlgorithm::Md5), BOTH, NO_TEXT),
    row("x509-fingerprint-sha256", Form::Certificate(HashAlgorithm::Sha256), BOTH, NO_TEXT),
    row("dns-soa-email", Form::Email, BOTH, NO_TEXT),
    row("size-in-bytes", Form::Describes, NEITHER, NO_TEXT),
    row("counter", Form::Describes, NEITHER, NO_TEXT),
    row("integer", Form::Describes, NEITHER, NO_TEXT),
    row("datetime", Form::Describes, NEITHER, NO_TEXT),
    row("port", Form::Describes, NEITHER, NO_TEXT),
    row("ip-dst|port", Form::AddressPort(Side::Destination), BOTH, NO_TEXT),
    row("ip-src|port", Form::AddressPort(Side::Source), BOTH, NO_TEXT),
    row("hostname|port", Form::HostPort, BOTH, NO_TEXT),
    row("mac-address", Form::Mac, BOTH, NO_TEXT),
    row("mac-eui-64", Form::Unsupported, NEITHER, AS_TEXT),
    row("email-dst-display-name", Form::Unsupported, NEITHER, AS_TEXT),
    row("email-src-display-name", Form::Unsupported, NEITHER, AS_TEXT),
    row("email-header", Form::Unsupported, NEITHER, AS_TEXT),
    row("email-reply-to", Form::Email, BOTH, NO_TEXT),
    row("email-x-mailer", Form::EmailMailer, INDICATOR, AS_TEXT),
    row("email-mime-boundary", Form::Unsupported, NEITHER, AS_TEXT),
    row("email-thread-index", Form::Unsupported, NEITHER, AS_TEXT),
    row("email-message-id", Form::EmailMessageId, INDICATOR, AS_TEXT),
    row("github-username", Form::Account(Account::GithubUser), BOTH, NO_TEXT),
    row("github-repository", Form::Unsupported, NEITHER, AS_TEXT),
    row("github-organisation", Form::Account(Account::Typed("github")), BOTH, NO_TEXT),
    row("jabber-id", Form::Account(Account::Typed("jabber")), BOTH, NO_TEXT),
    row("twitter-id", Form::Account(Account::Typed("twitter")), BOTH, NO_TEXT),
    row("dkim", Form::Unsupported, NEITHER, AS_TEXT),
    row("dkim-signature", Form::Unsupported, NEITHER, AS_TEXT),
    row("first-name", Form::Private, NEITHER, NO_TEXT),
    row("middle-name", Form::Private, NEITHER, NO_TEXT),
    row("last-name", Form::Private, NEITHER, NO_TEXT),
    row("full-name", Form::Person, NEITHER, NO_TEXT),
    row("date-of-birth", Form::Private, NEITHER, NO_TEXT),
    row("place-of-birth", Form::Private, NEITHER, NO_TEXT),
    row("gender", Form::Private, NEITHER, NO_TEXT),
    row("passport-number", Form::Private, NEITHER, NO_TEXT),
    row("passport-country", Form::Private, NEITHER, NO_TEXT),
    row("passport-expiration", Form::Private, NEITHER, NO_TEXT),
    row("redress-number", Form::Private, NEITHER, NO_TEXT),
    row("nationality", Form::Private, NEITHER, NO_TEXT),
    row("visa-number", Form::Private, NEITHER, NO_TEXT),
    row("issue-date-of-the-visa", Form::Private, NEITHER, NO_TEXT),
    row("primary-residence", Form::Private, NEITHER, NO_TEXT),
    row("country-of-residence", Form::Private, NEITHER, NO_TEXT),
    row("special-service-request", Form::Private, NEITHER, NO_TEXT),
    row("frequent-flyer-number", Form::Private, NEITHER, NO_TEXT),
    row("travel-details", Form::Private, NEITHER, NO_TEXT),
    row("payment-details", Form::Private, NEITHER, NO_TEXT),
    row("place-port-of-original-embarkation", Form::Private, NEITHER, NO_TEXT),
    row("place-port-of-clearance", Form::Private, NEITHER, NO_TEXT),
    row("place-port-of-onward-foreign-destination", Form::Private, NEITHER, NO_TEXT),
    row("passenger-name-record-locator-number", Form::Private, NEITHER, NO_TEXT),
    row("mobile-application-id", Form::Unsupported, NEITHER, AS_TEXT),
    row("azure-application-id", Form::Unsupported, NEITHER, AS_TEXT),
    row("chrome-extension-id", Form::Unsupported, NEITHER, AS_TEXT),
    row("edge-extension-id", Form::Unsupported, NEITHER, AS_TEXT),
    row("cortex", Form::Unsupported, NEITHER, AS_TEXT),
    row("boolean", Form::Describes, NEITHER, NO_TEXT),
    row("uuid", Form::Unsupported, NEITHER, AS_TEXT),
    row("anonymised", Form::Unsupported, NEITHER, AS_TEXT),
    row("onion-address", Form::Onion, BOTH, AS_TEXT),
];
