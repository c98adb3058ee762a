//! Properties of observables that patterns of ours compare.

use std::fmt;

use super::super::HashAlgorithm;

/// A property of an observable, as it stands in front of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "their names say what they are")]
pub enum ObjectPath {
    Ipv4Value,
    Ipv6Value,
    MacValue,
    DomainValue,
    HostnameValue,
    UrlValue,
    EmailValue,
    TextValue,
    UserAgentValue,
    CryptocurrencyWalletValue,
    PhoneNumberValue,
    FileName,
    /// The folder of a file.
    FileParentPath,
    DirectoryPath,
    MutexName,
    AutonomousSystemNumber,
    RegistryKey,
    RegistryValueData,
    BankAccountIban,
    PaymentCardNumber,
    AccountLogin,
    AccountType,
    AccountUserId,
    EmailSubject,
    EmailBody,
    EmailMessageId,
    /// The header field `X-Mailer` of an e-mail.
    EmailMailer,
    ProcessCommandLine,
    TrafficSourceType,
    TrafficSource,
    TrafficSourcePort,
    TrafficDestinationType,
    TrafficDestination,
    TrafficDestinationPort,
    Hash(HashedObject, HashAlgorithm),
}

/// An observable that has hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "their names say what they are")]
pub enum HashedObject {
    File,
    Artifact,
    X509Certificate,
}

impl fmt::Display for ObjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4Value => "ipv4-addr:value",
            Self::Ipv6Value => "ipv6-addr:value",
            Self::MacValue => "mac-addr:value",
            Self::DomainValue => "domain-name:value",
            Self::HostnameValue => "hostname:value",
            Self::UrlValue => "url:value",
            Self::EmailValue => "email-addr:value",
            Self::TextValue => "text:value",
            Self::UserAgentValue => "user-agent:value",
            Self::CryptocurrencyWalletValue => "cryptocurrency-wallet:value",
            Self::PhoneNumberValue => "phone-number:value",
            Self::FileName => "file:name",
            Self::FileParentPath => "file:parent_directory_ref.path",
            Self::DirectoryPath => "directory:path",
            Self::MutexName => "mutex:name",
            Self::AutonomousSystemNumber => "autonomous-system:number",
            Self::RegistryKey => "windows-registry-key:key",
            Self::RegistryValueData => "windows-registry-key:values.data",
            Self::BankAccountIban => "bank-account:iban",
            Self::PaymentCardNumber => "payment-card:card_number",
            Self::AccountLogin => "user-account:account_login",
            Self::AccountType => "user-account:account_type",
            Self::AccountUserId => "user-account:user_id",
            Self::EmailSubject => "email-message:subject",
            Self::EmailBody => "email-message:body",
            Self::EmailMessageId => "email-message:message_id",
            Self::EmailMailer => "email-message:additional_header_fields.'X-Mailer'",
            Self::ProcessCommandLine => "process:command_line",
            Self::TrafficSourceType => "network-traffic:src_ref.type",
            Self::TrafficSource => "network-traffic:src_ref.value",
            Self::TrafficSourcePort => "network-traffic:src_port",
            Self::TrafficDestinationType => "network-traffic:dst_ref.type",
            Self::TrafficDestination => "network-traffic:dst_ref.value",
            Self::TrafficDestinationPort => "network-traffic:dst_port",
            Self::Hash(object, algorithm) => return write_hash(f, *object, *algorithm),
        })
    }
}

/// The platform writes a name in quotes where it has to be, and else without: `MD5`, `'SHA-256'`.
fn write_hash(
    f: &mut fmt::Formatter<'_>,
    object: HashedObject,
    algorithm: HashAlgorithm,
) -> fmt::Result {
    let object = match object {
        HashedObject::File => "file",
        HashedObject::Artifact => "artifact",
        HashedObject::X509Certificate => "x509-certificate",
    };
    let name = algorithm.name();
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        write!(f, "{object}:hashes.{name}")
    } else {
        write!(f, "{object}:hashes.'{name}'")
    }
}
