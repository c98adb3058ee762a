//! The types of observables: which of the source's fields becomes which STIX property.
//!
//! From spec/sco-types.md. A value travels byte for byte, so a row is a pair of names; the few fields
//! that need more are named in [`super::observable`].

/// One type of observable.
#[derive(Debug)]
pub(super) struct ObservableType {
    /// The platform's name of the type.
    pub(super) entity_type: &'static str,
    /// The STIX type.
    pub(super) stix_type: &'static str,
    /// The source's fields and their STIX properties.
    pub(super) fields: &'static [(&'static str, &'static str)],
    /// At least one of these fields makes the object what it is; none: any combination will do.
    pub(super) identified_by: &'static [&'static str],
}

/// A relation between observables that the source keeps apart and STIX writes into the object.
#[derive(Debug)]
pub(super) struct NestedReference {
    /// The relation's name at the source.
    pub(super) relation: &'static str,
    /// The STIX property; its name makes the relation at import (spec/protocol.md §2).
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

/// All types, in the order of spec/sco-types.md.
pub(super) const OBSERVABLE_TYPES: &[ObservableType] = &[
    ObservableType {
        entity_type: "Autonomous-System",
        stix_type: "autonomous-system",
        fields: &[("name", "name"), ("number", "number"), ("rir", "rir")],
        identified_by: &["number"],
    },
    ObservableType {
        entity_type: "Directory",
        stix_type: "directory",
        fields: &[
            ("atime", "atime"),
            ("ctime", "ctime"),
            ("mtime", "mtime"),
            ("path", "path"),
            ("path_enc", "path_enc"),
        ],
        identified_by: &["path"],
    },
    ObservableType {
        entity_type: "Domain-Name",
        stix_type: "domain-name",
        fields: &[("value", "value")],
        identified_by: &["value"],
    },
    ObservableType {
        entity_type: "Email-Addr",
        stix_type: "email-addr",
        fields: &[("display_name", "display_name"), ("value", "value")],
        identified_by: &["value"],
    },
    ObservableType {
        entity_type: "Email-Message",
        stix_type: "email-message",
        fields: &[
            ("attribute_date", "date"),
            ("body", "body"),
            ("is_multipart", "is_multipart"),
            ("message_id", "message_id"),
            ("received_lines", "received_lines"),
            ("subject", "subject"),
        ],
        identified_by: &["subject", "body"],
    },
    ObservableType {
        entity_type: "Email-Mime-Part-Type",
        stix_type: "email-mime-part-type",
        fields: &[
            ("body", "body"),
            ("content_disposition", "content_disposition"),
            ("content_type", "content_type"),
        ],
        identified_by: &["body", "content_type", "content_disposition"],
    },
    ObservableType {
        entity_type: "Artifact",
        stix_type: "artifact",
        fields: &[
            ("decryption_key", "decryption_key"),
            ("encryption_algorithm", "encryption_algorithm"),
            ("hashes", "hashes"),
            ("mime_type", "mime_type"),
            ("url", "url"),
            ("x_opencti_additional_names", "x_opencti_additional_names"),
        ],
        identified_by: &["hashes", "url"],
    },
    ObservableType {
        entity_type: "StixFile",
        stix_type: "file",
        fields: &[
            ("atime", "atime"),
            ("ctime", "ctime"),
            ("hashes", "hashes"),
            ("magic_number_hex", "magic_number_hex"),
            ("mime_type", "mime_type"),
            ("mtime", "mtime"),
            ("name", "name"),
            ("name_enc", "name_enc"),
            ("size", "size"),
            ("x_opencti_additional_names", "x_opencti_additional_names"),
        ],
        identified_by: &["hashes", "name"],
    },
    ObservableType {
        entity_type: "X509-Certificate",
        stix_type: "x509-certificate",
        fields: &[
            ("authority_key_identifier", "authority_key_identifier"),
            ("basic_constraints", "basic_constraints"),
            ("certificate_policies", "certificate_policies"),
            ("crl_distribution_points", "crl_distribution_points"),
            ("extended_key_usage", "extended_key_usage"),
            ("hashes", "hashes"),
            ("inhibit_any_policy", "inhibit_any_policy"),
            ("is_self_signed", "is_self_signed"),
            ("issuer", "issuer"),
            ("issuer_alternative_name", "issuer_alternative_name"),
            ("key_usage", "key_usage"),
            ("name_constraints", "name_constraints"),
            ("policy_constraints", "policy_constraints"),
            ("policy_mappings", "policy_mappings"),
            (
                "private_key_usage_period_not_after",
                "private_key_usage_period_not_after",
            ),
            (
                "private_key_usage_period_not_before",
                "private_key_usage_period_not_before",
            ),
            ("serial_number", "serial_number"),
            ("signature_algorithm", "signature_algorithm"),
            ("subject", "subject"),
            ("subject_alternative_name", "subject_alternative_name"),
            (
                "subject_directory_attributes",
                "subject_directory_attributes",
            ),
            ("subject_key_identifier", "subject_key_identifier"),
            (
                "subject_public_key_algorithm",
                "subject_public_key_algorithm",
            ),
            ("subject_public_key_exponent", "subject_public_key_exponent"),
            ("subject_public_key_modulus", "subject_public_key_modulus"),
            ("validity_not_after", "validity_not_after"),
            ("validity_not_before", "validity_not_before"),
            ("version", "version"),
        ],
        identified_by: &["hashes", "serial_number", "subject"],
    },
    ObservableType {
        entity_type: "IPv4-Addr",
        stix_type: "ipv4-addr",
        fields: &[("value", "value")],
        identified_by: &["value"],
    },
    ObservableType {
        entity_type: "IPv6-Addr",
        stix_type: "ipv6-addr",
        fields: &[("value", "value")],
        identified_by: &["value"],
    },
    ObservableType {
        entity_type: "Mac-Addr",
        stix_type: "mac-addr",
        fields: &[("value", "value")],
        identified_by: &["value"],
    },
    ObservableType {
        entity_type: "Mutex",
        stix_type: "mutex",
        fields: &[("name", "name")],
        identified_by: &["name"],
    },
    ObservableType {
        entity_type: "Network-Traffic",
        stix_type: "network-traffic",
        fields: &[
            ("dst_byte_count", "dst_byte_count"),
            ("dst_packets", "dst_packets"),
            ("dst_port", "dst_port"),
            ("end", "end"),
            ("is_active", "is_active"),
            ("protocols", "protocols"),
            ("src_byte_count", "src_byte_count"),
            ("src_packets", "src_packets"),
            ("src_port", "src_port"),
            ("start", "start"),
        ],
        identified_by: &[],
    },
    ObservableType {
        entity_type: "Process",
        stix_type: "process",
        fields: &[
            ("command_line", "command_line"),
            ("created_time", "created_time"),
            ("cwd", "cwd"),
            ("environment_variables", "environment_variables"),
            ("is_hidden", "is_hidden"),
            ("pid", "pid"),
        ],
        identified_by: &["command_line"],
    },
    ObservableType {
        entity_type: "Software",
        stix_type: "software",
        fields: &[
            ("cpe", "cpe"),
            ("languages", "languages"),
            ("name", "name"),
            ("swid", "swid"),
            ("vendor", "vendor"),
            ("version", "version"),
            ("x_opencti_product", "x_opencti_product"),
        ],
        identified_by: &["name", "cpe", "swid", "vendor", "version"],
    },
    ObservableType {
        entity_type: "Url",
        stix_type: "url",
        fields: &[("value", "value")],
        identified_by: &["value"],
    },
    ObservableType {
        entity_type: "User-Account",
        stix_type: "user-account",
        fields: &[
            ("account_created", "account_created"),
            ("account_expires", "account_expires"),
            ("account_first_login", "account_first_login"),
            ("account_last_login", "account_last_login"),
            ("account_login", "account_login"),
            ("account_type", "account_type"),
            ("can_escalate_privs", "can_escalate_privs"),
            ("credential", "credential"),
            ("credential_last_changed", "credential_last_changed"),
            ("display_name", "display_name"),
            ("is_disabled", "is_disabled"),
            ("is_privileged", "is_privileged"),
            ("is_service_account", "is_service_account"),
            ("user_id", "user_id"),
        ],
        identified_by: &["account_type", "user_id", "account_login"],
    },
    ObservableType {
        entity_type: "Windows-Registry-Key",
        stix_type: "windows-registry-key",
        fields: &[
            ("attribute_key", "key"),
            ("modified_time", "modified_time"),
            ("number_of_subkeys", "number_of_subkeys"),
        ],
        identified_by: &["attribute_key"],
    },
    ObservableType {
        entity_type: "Windows-Registry-Value-Type",
        stix_type: "windows-registry-value-type",
        fields: &[
            ("data", "data"),
            ("data_type", "data_type"),
            ("name", "name"),
        ],
        identified_by: &["name", "data", "data_type"],
    },
    ObservableType {
        entity_type: "Cryptographic-Key",
        stix_type: "cryptographic-key",
        fields: &[("value", "value")],
        identified_by: &["value"],
    },
    ObservableType {
        entity_type: "Cryptocurrency-Wallet",
        stix_type: "cryptocurrency-wallet",
        fields: &[("value", "value")],
        identified_by: &["value"],
    },
    ObservableType {
        entity_type: "Hostname",
        stix_type: "hostname",
        fields: &[("value", "value")],
        identified_by: &["value"],
    },
    ObservableType {
        entity_type: "User-Agent",
        stix_type: "user-agent",
        fields: &[("value", "value")],
        identified_by: &["value"],
    },
    ObservableType {
        entity_type: "Text",
        stix_type: "text",
        fields: &[("value", "value")],
        identified_by: &["value"],
    },
    ObservableType {
        entity_type: "Bank-Account",
        stix_type: "bank-account",
        fields: &[
            ("account_number", "account_number"),
            ("bic", "bic"),
            ("iban", "iban"),
        ],
        identified_by: &["iban"],
    },
    ObservableType {
        entity_type: "Credential",
        stix_type: "credential",
        fields: &[("value", "value")],
        identified_by: &["value"],
    },
    ObservableType {
        entity_type: "Phone-Number",
        stix_type: "phone-number",
        fields: &[("value", "value")],
        identified_by: &["value"],
    },
    ObservableType {
        entity_type: "Tracking-Number",
        stix_type: "tracking-number",
        fields: &[("value", "value")],
        identified_by: &["value"],
    },
    ObservableType {
        entity_type: "Payment-Card",
        stix_type: "payment-card",
        fields: &[
            ("card_number", "card_number"),
            ("cvv", "cvv"),
            ("expiration_date", "expiration_date"),
            ("holder_name", "holder_name"),
        ],
        identified_by: &["card_number"],
    },
    ObservableType {
        entity_type: "Media-Content",
        stix_type: "media-content",
        fields: &[
            ("content", "content"),
            ("media_category", "media_category"),
            ("publication_date", "publication_date"),
            ("title", "title"),
            ("url", "url"),
        ],
        identified_by: &["url"],
    },
    ObservableType {
        entity_type: "Persona",
        stix_type: "persona",
        fields: &[
            ("persona_name", "persona_name"),
            ("persona_type", "persona_type"),
        ],
        identified_by: &["persona_name", "persona_type"],
    },
    ObservableType {
        entity_type: "SSH-Key",
        stix_type: "ssh-key",
        fields: &[
            ("comment", "comment"),
            ("created", "created"),
            ("expiration_date", "expiration_date"),
            ("fingerprint_md5", "fingerprint_md5"),
            ("fingerprint_sha256", "fingerprint_sha256"),
            ("key_length", "key_length"),
            ("key_type", "key_type"),
            ("public_key", "public_key"),
        ],
        identified_by: &["fingerprint_sha256"],
    },
    ObservableType {
        entity_type: "AI-Prompt",
        stix_type: "ai-prompt",
        fields: &[("value", "value")],
        identified_by: &["value"],
    },
    ObservableType {
        entity_type: "IMEI",
        stix_type: "imei",
        fields: &[("value", "value")],
        identified_by: &["value"],
    },
    ObservableType {
        entity_type: "ICCID",
        stix_type: "iccid",
        fields: &[("value", "value")],
        identified_by: &["value"],
    },
    ObservableType {
        entity_type: "IMSI",
        stix_type: "imsi",
        fields: &[("value", "value")],
        identified_by: &["value"],
    },
];

/// All nested references, lists first: setting a single one again is an error at import, and whatever
/// stands behind it is then not linked (spec/protocol.md §7). The ends of network traffic come last:
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
