//! The 37 observable types: names and the properties that their ids are made of.

/// One type of observable.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ObservableType {
    pub(crate) entity_type: &'static str,
    /// The name of the GraphQL type.
    pub(crate) typename: &'static str,
    /// Sets of properties; the first set with data makes the id.
    pub(crate) id_ways: &'static [&'static [&'static str]],
}

impl ObservableType {
    /// The type in STIX: lower case, but `file`.
    pub(crate) fn stix_type(&self) -> String {
        if self.entity_type == "StixFile" {
            "file".to_owned()
        } else {
            self.entity_type.to_lowercase()
        }
    }

    pub(crate) fn by_typename(typename: &str) -> Option<&'static Self> {
        all().find(|known| known.typename == typename)
    }

    pub(crate) fn by_entity_type(entity_type: &str) -> Option<&'static Self> {
        all().find(|known| known.entity_type == entity_type)
    }

    pub(crate) fn by_stix_type(stix_type: &str) -> Option<&'static Self> {
        all().find(|known| known.stix_type() == stix_type)
    }
}

fn all() -> impl Iterator<Item = &'static ObservableType> {
    OBSERVABLE_TYPES.iter().chain([&FUTURE_TYPE])
}

/// A type that nobody knows yet: platforms from [`crate::schema::FUTURE`] on have it.
pub(crate) const FUTURE_TYPE: ObservableType = of("Quantum-Key", "QuantumKey", &[&["value"]]);

const fn of(
    entity_type: &'static str,
    typename: &'static str,
    id_ways: &'static [&'static [&'static str]],
) -> ObservableType {
    ObservableType {
        entity_type,
        typename,
        id_ways,
    }
}

/// All types, the common ones first.
pub(crate) const OBSERVABLE_TYPES: [ObservableType; 37] = [
    of("IPv4-Addr", "IPv4Addr", &[&["value"]]),
    of("Domain-Name", "DomainName", &[&["value"]]),
    of("Url", "Url", &[&["value"]]),
    of("StixFile", "StixFile", &[&["hashes"], &["name"]]),
    of("IPv6-Addr", "IPv6Addr", &[&["value"]]),
    of("Hostname", "Hostname", &[&["value"]]),
    of("Email-Addr", "EmailAddr", &[&["value"]]),
    of("Email-Message", "EmailMessage", &[&["subject", "body"]]),
    of(
        "Email-Mime-Part-Type",
        "EmailMimePartType",
        &[&["body", "content_type", "content_disposition"]],
    ),
    of("Artifact", "Artifact", &[&["hashes"], &["url"]]),
    of(
        "X509-Certificate",
        "X509Certificate",
        &[&["hashes"], &["serial_number"], &["subject"]],
    ),
    of("Autonomous-System", "AutonomousSystem", &[&["number"]]),
    of("Directory", "Directory", &[&["path"]]),
    of("Mac-Addr", "MacAddr", &[&["value"]]),
    of("Mutex", "Mutex", &[&["name"]]),
    of(
        "Network-Traffic",
        "NetworkTraffic",
        &[&["start", "end", "src_port", "dst_port", "protocols"]],
    ),
    of("Process", "Process", &[&["pid", "command_line"]]),
    of(
        "Software",
        "Software",
        &[&["name", "cpe", "swid", "vendor", "version"]],
    ),
    of(
        "User-Account",
        "UserAccount",
        &[&["account_type", "user_id", "account_login"]],
    ),
    of(
        "Windows-Registry-Key",
        "WindowsRegistryKey",
        &[&["attribute_key"]],
    ),
    of(
        "Windows-Registry-Value-Type",
        "WindowsRegistryValueType",
        &[&["name", "data", "data_type"]],
    ),
    of("Cryptographic-Key", "CryptographicKey", &[&["value"]]),
    of(
        "Cryptocurrency-Wallet",
        "CryptocurrencyWallet",
        &[&["value"]],
    ),
    of("User-Agent", "UserAgent", &[&["value"]]),
    of("Text", "Text", &[&["value"]]),
    of("Bank-Account", "BankAccount", &[&["iban"]]),
    of("Credential", "Credential", &[&["value"]]),
    of("Phone-Number", "PhoneNumber", &[&["value"]]),
    of("Tracking-Number", "TrackingNumber", &[&["value"]]),
    of("Payment-Card", "PaymentCard", &[&["card_number"]]),
    of("Media-Content", "MediaContent", &[&["url"]]),
    of("Persona", "Persona", &[&["persona_name", "persona_type"]]),
    of("SSH-Key", "SSHKey", &[&["fingerprint_sha256"]]),
    of("AI-Prompt", "AIPrompt", &[&["value"]]),
    of("IMEI", "IMEI", &[&["value"]]),
    of("ICCID", "ICCID", &[&["value"]]),
    of("IMSI", "IMSI", &[&["value"]]),
];
