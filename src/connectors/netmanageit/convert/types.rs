//! The types of observables: which of the source's fields becomes which STIX property.
//!
//! The facts are in docs/protocol.md#types. A value travels byte for byte once it is known to be of its kind, so a
//! row is a pair of names and that kind; the few fields that need more are named in [`super::observable`].

use crate::stix::JsonKind::{self, Boolean, Integer, Text, Texts, Time};

/// One type of observable.
#[derive(Debug)]
pub(super) struct ObservableType {
    /// The platform's name of the type.
    pub(super) entity_type: &'static str,
    /// The STIX type.
    pub(super) stix_type: &'static str,
    /// The source's fields, their STIX properties, and what they are. Hashes, which are written in another
    /// shape, are not among them.
    pub(super) fields: &'static [(&'static str, &'static str, JsonKind)],
    /// At least one of these fields makes the object what it is; none: any combination will do.
    pub(super) identified_by: &'static [&'static str],
}

impl ObservableType {
    /// Whether objects of this type have hashes.
    pub(super) fn has_hashes(&self) -> bool {
        self.identified_by.contains(&"hashes")
    }
}

/// A relation between observables that the source keeps apart and STIX writes into the object.
#[derive(Debug)]
pub(super) struct NestedReference {
    /// The relation's name at the source.
    pub(super) relation: &'static str,
    /// The STIX property; its name makes the relation at import (docs/protocol.md#references).
    pub(super) property: &'static str,
    /// Whether the property is a list.
    pub(super) is_many: bool,
}

/// The type with this name of the platform's, if it is one that this program knows.
pub(super) fn observable_type(entity_type: &str) -> Option<&'static ObservableType> {
    OBSERVABLE_TYPES
        .iter()
        .find(|known| known.entity_type == entity_type)
}

/// All types.
pub(super) const OBSERVABLE_TYPES: &[ObservableType] = &[
    ObservableType {
        entity_type: "Autonomous-System",
        stix_type: "autonomous-system",
        fields: &[
            ("name", "name", Text),
            ("number", "number", Integer),
            ("rir", "rir", Text),
        ],
        identified_by: &["number"],
    },
    ObservableType {
        entity_type: "Directory",
        stix_type: "directory",
        fields: &[
            ("atime", "atime", Time),
            ("ctime", "ctime", Time),
            ("mtime", "mtime", Time),
            ("path", "path", Text),
            ("path_enc", "path_enc", Text),
        ],
        identified_by: &["path"],
    },
    ObservableType {
        entity_type: "Domain-Name",
        stix_type: "domain-name",
        fields: &[("value", "value", Text)],
        identified_by: &["value"],
    },
    ObservableType {
        entity_type: "Email-Addr",
        stix_type: "email-addr",
        fields: &[
            ("display_name", "display_name", Text),
            ("value", "value", Text),
        ],
        identified_by: &["value"],
    },
    ObservableType {
        entity_type: "Email-Message",
        stix_type: "email-message",
        fields: &[
            ("attribute_date", "date", Time),
            ("body", "body", Text),
            ("is_multipart", "is_multipart", Boolean),
            ("message_id", "message_id", Text),
            ("received_lines", "received_lines", Texts),
            ("subject", "subject", Text),
        ],
        identified_by: &["subject", "body"],
    },
    ObservableType {
        entity_type: "Email-Mime-Part-Type",
        stix_type: "email-mime-part-type",
        fields: &[
            ("body", "body", Text),
            ("content_disposition", "content_disposition", Text),
            ("content_type", "content_type", Text),
        ],
        identified_by: &["body", "content_type", "content_disposition"],
    },
    ObservableType {
        entity_type: "Artifact",
        stix_type: "artifact",
        fields: &[
            ("decryption_key", "decryption_key", Text),
            ("encryption_algorithm", "encryption_algorithm", Text),
            ("mime_type", "mime_type", Text),
            ("url", "url", Text),
            (
                "x_opencti_additional_names",
                "x_opencti_additional_names",
                Texts,
            ),
        ],
        identified_by: &["hashes", "url"],
    },
    ObservableType {
        entity_type: "StixFile",
        stix_type: "file",
        fields: &[
            ("atime", "atime", Time),
            ("ctime", "ctime", Time),
            ("magic_number_hex", "magic_number_hex", Text),
            ("mime_type", "mime_type", Text),
            ("mtime", "mtime", Time),
            ("name", "name", Text),
            ("name_enc", "name_enc", Text),
            ("size", "size", Integer),
            (
                "x_opencti_additional_names",
                "x_opencti_additional_names",
                Texts,
            ),
        ],
        identified_by: &["hashes", "name"],
    },
    ObservableType {
        entity_type: "X509-Certificate",
        stix_type: "x509-certificate",
        fields: &[
            ("authority_key_identifier", "authority_key_identifier", Text),
            ("basic_constraints", "basic_constraints", Text),
            ("certificate_policies", "certificate_policies", Text),
            ("crl_distribution_points", "crl_distribution_points", Text),
            ("extended_key_usage", "extended_key_usage", Text),
            ("inhibit_any_policy", "inhibit_any_policy", Text),
            ("is_self_signed", "is_self_signed", Boolean),
            ("issuer", "issuer", Text),
            ("issuer_alternative_name", "issuer_alternative_name", Text),
            ("key_usage", "key_usage", Text),
            ("name_constraints", "name_constraints", Text),
            ("policy_constraints", "policy_constraints", Text),
            ("policy_mappings", "policy_mappings", Text),
            (
                "private_key_usage_period_not_after",
                "private_key_usage_period_not_after",
                Time,
            ),
            (
                "private_key_usage_period_not_before",
                "private_key_usage_period_not_before",
                Time,
            ),
            ("serial_number", "serial_number", Text),
            ("signature_algorithm", "signature_algorithm", Text),
            ("subject", "subject", Text),
            ("subject_alternative_name", "subject_alternative_name", Text),
            (
                "subject_directory_attributes",
                "subject_directory_attributes",
                Text,
            ),
            ("subject_key_identifier", "subject_key_identifier", Text),
            (
                "subject_public_key_algorithm",
                "subject_public_key_algorithm",
                Text,
            ),
            (
                "subject_public_key_exponent",
                "subject_public_key_exponent",
                Integer,
            ),
            (
                "subject_public_key_modulus",
                "subject_public_key_modulus",
                Text,
            ),
            ("validity_not_after", "validity_not_after", Time),
            ("validity_not_before", "validity_not_before", Time),
            ("version", "version", Text),
        ],
        identified_by: &["hashes", "serial_number", "subject"],
    },
    ObservableType {
        entity_type: "IPv4-Addr",
        stix_type: "ipv4-addr",
        fields: &[("value", "value", Text)],
        identified_by: &["value"],
    },
    ObservableType {
        entity_type: "IPv6-Addr",
        stix_type: "ipv6-addr",
        fields: &[("value", "value", Text)],
        identified_by: &["value"],
    },
    ObservableType {
        entity_type: "Mac-Addr",
        stix_type: "mac-addr",
        fields: &[("value", "value", Text)],
        identified_by: &["value"],
    },
    ObservableType {
        entity_type: "Mutex",
        stix_type: "mutex",
        fields: &[("name", "name", Text)],
        identified_by: &["name"],
    },
    ObservableType {
        entity_type: "Network-Traffic",
        stix_type: "network-traffic",
        fields: &[
            ("dst_byte_count", "dst_byte_count", Integer),
            ("dst_packets", "dst_packets", Integer),
            ("dst_port", "dst_port", Integer),
            ("end", "end", Time),
            ("is_active", "is_active", Boolean),
            ("protocols", "protocols", Texts),
            ("src_byte_count", "src_byte_count", Integer),
            ("src_packets", "src_packets", Integer),
            ("src_port", "src_port", Integer),
            ("start", "start", Time),
        ],
        identified_by: &[],
    },
    ObservableType {
        entity_type: "Process",
        stix_type: "process",
        fields: &[
            ("command_line", "command_line", Text),
            ("created_time", "created_time", Time),
            ("cwd", "cwd", Text),
            ("environment_variables", "environment_variables", Texts),
            ("is_hidden", "is_hidden", Boolean),
            ("pid", "pid", Integer),
        ],
        identified_by: &["command_line"],
    },
    ObservableType {
        entity_type: "Software",
        stix_type: "software",
        fields: &[
            ("cpe", "cpe", Text),
            ("languages", "languages", Texts),
            ("name", "name", Text),
            ("swid", "swid", Text),
            ("vendor", "vendor", Text),
            ("version", "version", Text),
            ("x_opencti_product", "x_opencti_product", Text),
        ],
        identified_by: &["name", "cpe", "swid", "vendor", "version"],
    },
    ObservableType {
        entity_type: "Url",
        stix_type: "url",
        fields: &[("value", "value", Text)],
        identified_by: &["value"],
    },
    ObservableType {
        entity_type: "User-Account",
        stix_type: "user-account",
        fields: &[
            ("account_created", "account_created", Time),
            ("account_expires", "account_expires", Time),
            ("account_first_login", "account_first_login", Time),
            ("account_last_login", "account_last_login", Time),
            ("account_login", "account_login", Text),
            ("account_type", "account_type", Text),
            ("can_escalate_privs", "can_escalate_privs", Boolean),
            ("credential", "credential", Text),
            ("credential_last_changed", "credential_last_changed", Time),
            ("display_name", "display_name", Text),
            ("is_disabled", "is_disabled", Boolean),
            ("is_privileged", "is_privileged", Boolean),
            ("is_service_account", "is_service_account", Boolean),
            ("user_id", "user_id", Text),
        ],
        identified_by: &["account_type", "user_id", "account_login"],
    },
    ObservableType {
        entity_type: "Windows-Registry-Key",
        stix_type: "windows-registry-key",
        fields: &[
            ("attribute_key", "key", Text),
            ("modified_time", "modified_time", Time),
            ("number_of_subkeys", "number_of_subkeys", Integer),
        ],
        identified_by: &["attribute_key"],
    },
    ObservableType {
        entity_type: "Windows-Registry-Value-Type",
        stix_type: "windows-registry-value-type",
        fields: &[
            ("data", "data", Text),
            ("data_type", "data_type", Text),
            ("name", "name", Text),
        ],
        identified_by: &["name", "data", "data_type"],
    },
    ObservableType {
        entity_type: "Cryptographic-Key",
        stix_type: "cryptographic-key",
        fields: &[("value", "value", Text)],
        identified_by: &["value"],
    },
    ObservableType {
        entity_type: "Cryptocurrency-Wallet",
        stix_type: "cryptocurrency-wallet",
        fields: &[("value", "value", Text)],
        identified_by: &["value"],
    },
    ObservableType {
        entity_type: "Hostname",
        stix_type: "hostname",
        fields: &[("value", "value", Text)],
        identified_by: &["value"],
    },
    ObservableType {
        entity_type: "User-Agent",
        stix_type: "user-agent",
        fields: &[("value", "value", Text)],
        identified_by: &["value"],
    },
    ObservableType {
        entity_type: "Text",
        stix_type: "text",
        fields: &[("value", "value", Text)],
        identified_by: &["value"],
    },
    ObservableType {
        entity_type: "Bank-Account",
        stix_type: "bank-account",
        fields: &[
            ("account_number", "account_number", Text),
            ("bic", "bic", Text),
            ("iban", "iban", Text),
        ],
        identified_by: &["iban"],
    },
    ObservableType {
        entity_type: "Credential",
        stix_type: "credential",
        fields: &[("value", "value", Text)],
        identified_by: &["value"],
    },
    ObservableType {
        entity_type: "Phone-Number",
        stix_type: "phone-number",
        fields: &[("value", "value", Text)],
        identified_by: &["value"],
    },
    ObservableType {
        entity_type: "Tracking-Number",
        stix_type: "tracking-number",
        fields: &[("value", "value", Text)],
        identified_by: &["value"],
    },
    ObservableType {
        entity_type: "Payment-Card",
        stix_type: "payment-card",
        fields: &[
            ("card_number", "card_number", Text),
            ("cvv", "cvv", Integer),
            ("expiration_date", "expiration_date", Time),
            ("holder_name", "holder_name", Text),
        ],
        identified_by: &["card_number"],
    },
    ObservableType {
        entity_type: "Media-Content",
        stix_type: "media-content",
        fields: &[
            ("content", "content", Text),
            ("media_category", "media_category", Text),
            ("publication_date", "publication_date", Time),
            ("title", "title", Text),
            ("url", "url", Text),
        ],
        identified_by: &["url"],
    },
    ObservableType {
        entity_type: "Persona",
        stix_type: "persona",
        fields: &[
            ("persona_name", "persona_name", Text),
            ("persona_type", "persona_type", Text),
        ],
        identified_by: &["persona_name", "persona_type"],
    },
    ObservableType {
        entity_type: "SSH-Key",
        stix_type: "ssh-key",
        fields: &[
            ("comment", "comment", Text),
            ("created", "created", Time),
            ("expiration_date", "expiration_date", Time),
            ("fingerprint_md5", "fingerprint_md5", Text),
            ("fingerprint_sha256", "fingerprint_sha256", Text),
            ("key_length", "key_length", Text),
            ("key_type", "key_type", Text),
            ("public_key", "public_key", Text),
        ],
        identified_by: &["fingerprint_sha256"],
    },
    ObservableType {
        entity_type: "AI-Prompt",
        stix_type: "ai-prompt",
        fields: &[("value", "value", Text)],
        identified_by: &["value"],
    },
    ObservableType {
        entity_type: "IMEI",
        stix_type: "imei",
        fields: &[("value", "value", Text)],
        identified_by: &["value"],
    },
    ObservableType {
        entity_type: "ICCID",
        stix_type: "iccid",
        fields: &[("value", "value", Text)],
        identified_by: &["value"],
    },
    ObservableType {
        entity_type: "IMSI",
        stix_type: "imsi",
        fields: &[("value", "value", Text)],
        identified_by: &["value"],
    },
];

/// All nested references, lists first: setting a single one again is an error at import, and whatever
/// stands behind it is then not linked (docs/protocol.md#references). The ends of network traffic come last:
/// some releases set them twice by themselves.
pub(super) const NESTED_REFERENCES: &[NestedReference] = &[
    NestedReference {
        relation: "contains",
        property: "contains_refs",
        is_many: true,
    },
    NestedReference {
        relation: "obs_resolves-to",
        property: "resolves_to_refs",
        is_many: true,
    },
    NestedReference {
        relation: "obs_belongs-to",
        property: "belongs_to_refs",
        is_many: true,
    },
    NestedReference {
        relation: "to",
        property: "to_refs",
        is_many: true,
    },
    NestedReference {
        relation: "cc",
        property: "cc_refs",
        is_many: true,
    },
    NestedReference {
        relation: "bcc",
        property: "bcc_refs",
        is_many: true,
    },
    NestedReference {
        relation: "body-multipart",
        property: "body_multipart_refs",
        is_many: true,
    },
    NestedReference {
        relation: "encapsulates",
        property: "encapsulates_refs",
        is_many: true,
    },
    NestedReference {
        relation: "opened-connection",
        property: "opened_connection_refs",
        is_many: true,
    },
    NestedReference {
        relation: "child",
        property: "child_refs",
        is_many: true,
    },
    NestedReference {
        relation: "service-dll",
        property: "service_dll_refs",
        is_many: true,
    },
    NestedReference {
        relation: "values",
        property: "values_refs",
        is_many: true,
    },
    NestedReference {
        relation: "from",
        property: "from_ref",
        is_many: false,
    },
    NestedReference {
        relation: "sender",
        property: "sender_ref",
        is_many: false,
    },
    NestedReference {
        relation: "raw-email",
        property: "raw_email_ref",
        is_many: false,
    },
    NestedReference {
        relation: "body-raw",
        property: "body_raw_ref",
        is_many: false,
    },
    NestedReference {
        relation: "parent-directory",
        property: "parent_directory_ref",
        is_many: false,
    },
    NestedReference {
        relation: "obs_content",
        property: "content_ref",
        is_many: false,
    },
    NestedReference {
        relation: "src-payload",
        property: "src_payload_ref",
        is_many: false,
    },
    NestedReference {
        relation: "dst-payload",
        property: "dst_payload_ref",
        is_many: false,
    },
    NestedReference {
        relation: "encapsulated-by",
        property: "encapsulated_by_ref",
        is_many: false,
    },
    NestedReference {
        relation: "creator-user",
        property: "creator_user_ref",
        is_many: false,
    },
    NestedReference {
        relation: "image",
        property: "image_ref",
        is_many: false,
    },
    NestedReference {
        relation: "parent",
        property: "parent_ref",
        is_many: false,
    },
    NestedReference {
        relation: "src",
        property: "src_ref",
        is_many: false,
    },
    NestedReference {
        relation: "dst",
        property: "dst_ref",
        is_many: false,
    },
];
