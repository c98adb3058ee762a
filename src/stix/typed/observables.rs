//! What can be seen: addresses, names, files, accounts, processes.

use serde::Serialize;

use super::super::make_id::{self, AccountNames, SoftwareNames, TrafficEnds, ValueType};
use super::super::text::{COMMAND_LINE_CHARS, CONTENT_CHARS, DESCRIPTION_CHARS, NAME_CHARS};
use super::super::{Hashes, StixId, Timestamp};
use super::TypedObject;
use super::common::{Common, Percent, filled};
use super::draft::{Draft, Nature, NotWritten, Written, need};

/// The longest value, path or address, in characters.
const VALUE_CHARS: usize = 64 * 1024;
/// The largest number of an autonomous system that the platform's API can say.
const LARGEST_AS: u32 = i32::MAX.unsigned_abs();

/// Something that can be seen.
#[derive(Debug, Clone, Copy)]
pub struct Observable<'a> {
    /// What it is.
    pub content: Content<'a>,
    /// How bad it is.
    pub score: Option<Percent>,
    /// What it is, in words.
    pub description: Option<&'a str>,
}

/// What an observable is. What is not said stays as it is at the platform.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "properties are named as in STIX 2.1 §6")]
pub enum Content<'a> {
    /// One value.
    Value(ValueType, &'a str),
    /// A file. One of hashes and name is needed.
    File {
        hashes: &'a Hashes,
        name: Option<&'a str>,
        /// Its other names.
        additional_names: &'a [&'a str],
        size: Option<u64>,
        mime_type: Option<&'a str>,
    },
    /// The content of a file. One of hashes and URL is needed.
    Artifact {
        hashes: &'a Hashes,
        url: Option<&'a str>,
        mime_type: Option<&'a str>,
        /// In base64; the platform refuses it beside a URL.
        payload_bin: Option<&'a str>,
        encryption_algorithm: Option<&'a str>,
        decryption_key: Option<&'a str>,
    },
    /// A part of the internet. Its number is at most 2147483647.
    AutonomousSystem { number: u32, name: Option<&'a str> },
    /// An account. One of its names is needed.
    UserAccount {
        names: AccountNames<'a>,
        display_name: Option<&'a str>,
    },
    /// A running program. The platform cannot tell it without its command line.
    Process {
        command_line: &'a str,
        pid: Option<u32>,
        cwd: Option<&'a str>,
        created_time: Option<Timestamp>,
    },
    /// A key in the registry of Windows.
    RegistryKey {
        key: &'a str,
        /// Values of it. Platforms before 7.260803.0 leave them out.
        values: &'a [RegistryValue<'a>],
        /// Values of it that are objects of their own: those platforms take them.
        values_refs: &'a [StixId],
    },
    /// A value in the registry of Windows. One of the three is needed.
    RegistryValue(RegistryValue<'a>),
    /// A certificate. One of hashes, serial number and subject is needed.
    X509Certificate {
        hashes: &'a Hashes,
        serial_number: Option<&'a str>,
        subject: Option<&'a str>,
        issuer: Option<&'a str>,
        validity_not_before: Option<Timestamp>,
        validity_not_after: Option<Timestamp>,
    },
    /// An e-mail. One of subject and body is needed.
    EmailMessage {
        subject: Option<&'a str>,
        body: Option<&'a str>,
        message_id: Option<&'a str>,
        date: Option<Timestamp>,
        from_ref: Option<&'a StixId>,
        to_refs: &'a [StixId],
        cc_refs: &'a [StixId],
    },
    /// A connection.
    NetworkTraffic(TrafficEnds<'a>),
    /// A program. Its name is needed.
    Software {
        name: &'a str,
        names: SoftwareNames<'a>,
    },
    /// A persona. Both are needed.
    Persona {
        persona_name: &'a str,
        persona_type: &'a str,
    },
}

/// A value in the registry of Windows (STIX 2.1 §6.17.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are named as in STIX")]
pub struct RegistryValue<'a> {
    pub name: Option<&'a str>,
    pub data: Option<&'a str>,
    pub data_type: Option<&'a str>,
}

/// The same, cleaned and cut.
#[derive(Debug, Serialize)]
struct CleanedRegistryValue {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_type: Option<String>,
}

impl RegistryValue<'_> {
    fn cleaned(&self) -> CleanedRegistryValue {
        let text = |text: Option<&str>, limit| text.and_then(|text| filled(text, limit));
        CleanedRegistryValue {
            name: text(self.name, NAME_CHARS),
            data: text(self.data, DESCRIPTION_CHARS),
            data_type: text(self.data_type, NAME_CHARS),
        }
    }
}

impl CleanedRegistryValue {
    fn is_empty(&self) -> bool {
        self.name.is_none() && self.data.is_none() && self.data_type.is_none()
    }
}

impl<'a> Observable<'a> {
    /// An observable of which nothing else is known.
    pub fn new(content: Content<'a>) -> Self {
        Self {
            content,
            score: None,
            description: None,
        }
    }
}

impl TypedObject for Observable<'_> {
    fn write(&self, common: &Common) -> Result<Written, NotWritten> {
        let (mut draft, kind) = self.content.begin()?;
        draft.value("x_opencti_score", self.score);
        draft.text("x_opencti_description", self.description, DESCRIPTION_CHARS);
        draft.common(common, Nature::Timeless);
        draft.finish(kind)
    }
}

impl Content<'_> {
    /// The object with its own properties, and the platform's word for its type.
    fn begin(&self) -> Result<(Draft, &'static str), NotWritten> {
        match *self {
            Self::Value(value_type, value) => {
                let value = need("value", value, VALUE_CHARS)?;
                let mut draft = Draft::new(make_id::value(value_type, &value));
                draft.required(value_type.property(), &value);
                Ok((draft, value_type.kind()))
            }
            Self::File { .. } | Self::Artifact { .. } | Self::X509Certificate { .. } => {
                self.begin_hashed()
            }
            Self::AutonomousSystem { number, name } => {
                if number > LARGEST_AS {
                    return Err(NotWritten::Missing(
                        "number that the platform's API can say",
                    ));
                }
                let mut draft = Draft::new(make_id::autonomous_system(number));
                draft.value("number", Some(number));
                draft.text("name", name, NAME_CHARS);
                Ok((draft, "Autonomous-System"))
            }
            Self::UserAccount {
                names,
                display_name,
            } => begin_account(names, display_name),
            Self::Process {
                command_line,
                pid,
                cwd,
                created_time,
            } => {
                let command_line = need("command line", command_line, COMMAND_LINE_CHARS)?;
                let mut draft = Draft::new(make_id::process(&command_line, pid));
                draft.required("command_line", &command_line);
                draft.value("pid", pid);
                draft.text("cwd", cwd, VALUE_CHARS);
                draft.value("created_time", created_time);
                Ok((draft, "Process"))
            }
            Self::RegistryKey {
                key,
                values,
                values_refs,
            } => {
                let key = need("key", key, VALUE_CHARS)?;
                let mut draft = Draft::new(make_id::windows_registry_key(&key));
                draft.required("key", &key);
                let values = values.iter().map(|value| value.cleaned());
                let values = values.filter(|value| !value.is_empty());
                draft.list("values", &values.collect::<Vec<_>>());
                draft.all_embedded("values_refs", values_refs);
                Ok((draft, "Windows-Registry-Key"))
            }
            Self::RegistryValue(value) => begin_registry_value(value),
            Self::EmailMessage { .. } => self.begin_email(),
            Self::NetworkTraffic(ends) => begin_traffic(ends),
            Self::Software { name, names } => begin_software(name, names),
            Self::Persona {
                persona_name,
                persona_type,
            } => {
                let name = need("name", persona_name, NAME_CHARS)?;
                let persona_type = need("type", persona_type, NAME_CHARS)?;
                let mut draft = Draft::new(make_id::persona(&name, &persona_type));
                draft.required("persona_name", &name);
                draft.required("persona_type", &persona_type);
                Ok((draft, "Persona"))
            }
        }
    }

    fn begin_hashed(&self) -> Result<(Draft, &'static str), NotWritten> {
        let text = |text: Option<&str>, limit| text.and_then(|text| filled(text, limit));
        match *self {
            Self::File {
                hashes,
                name,
                additional_names,
                size,
                mime_type,
            } => {
                let name = text(name, VALUE_CHARS);
                if hashes.is_empty() && name.is_none() {
                    return Err(NotWritten::Missing("hash and no name"));
                }
                let id = make_id::file(hashes, name.as_deref().unwrap_or_default());
                let mut draft = Draft::new(id);
                draft.hashes(hashes);
                draft.value("name", name);
                draft.names("x_opencti_additional_names", additional_names);
                draft.value("size", size);
                draft.text("mime_type", mime_type, NAME_CHARS);
                Ok((draft, "StixFile"))
            }
            Self::Artifact {
                hashes,
                url,
                mime_type,
                payload_bin,
                encryption_algorithm,
                decryption_key,
            } => {
                let url = text(url, VALUE_CHARS);
                if hashes.is_empty() && url.is_none() {
                    return Err(NotWritten::Missing("hash and no URL"));
                }
                let id = make_id::artifact(hashes, url.as_deref().unwrap_or_default());
                let mut draft = Draft::new(id);
                draft.hashes(hashes);
                draft.value("payload_bin", payload_bin.filter(|_| url.is_none()));
                draft.value("url", url);
                draft.text("mime_type", mime_type, NAME_CHARS);
                draft.text("encryption_algorithm", encryption_algorithm, NAME_CHARS);
                draft.text("decryption_key", decryption_key, NAME_CHARS);
                Ok((draft, "Artifact"))
            }
            Self::X509Certificate {
                hashes,
                serial_number,
                subject,
                issuer,
                validity_not_before,
                validity_not_after,
            } => {
                let serial_number = text(serial_number, NAME_CHARS);
                let subject = text(subject, DESCRIPTION_CHARS);
                if hashes.is_empty() && serial_number.is_none() && subject.is_none() {
                    return Err(NotWritten::Missing("hash, serial number or subject"));
                }
                let id = make_id::x509_certificate(
                    hashes,
                    serial_number.as_deref(),
                    subject.as_deref().unwrap_or_default(),
                );
                let mut draft = Draft::new(id);
                draft.hashes(hashes);
                draft.value("serial_number", serial_number);
                draft.value("subject", subject);
                draft.text("issuer", issuer, DESCRIPTION_CHARS);
                draft.value("validity_not_before", validity_not_before);
                draft.value("validity_not_after", validity_not_after);
                Ok((draft, "X509-Certificate"))
            }
            _ => Err(NotWritten::Missing("hash")),
        }
    }

    fn begin_email(&self) -> Result<(Draft, &'static str), NotWritten> {
        let Self::EmailMessage {
            subject,
            body,
            message_id,
            date,
            from_ref,
            to_refs,
            cc_refs,
        } = *self
        else {
            return Err(NotWritten::Missing("subject"));
        };
        let subject = subject.and_then(|text| filled(text, DESCRIPTION_CHARS));
        let body = body.and_then(|text| filled(text, CONTENT_CHARS));
        if subject.is_none() && body.is_none() {
            return Err(NotWritten::Missing("subject and no body"));
        }
        let id = make_id::email_message(subject.as_deref(), body.as_deref());
        let mut draft = Draft::new(id);
        draft.value("is_multipart", Some(false));
        draft.value("subject", subject);
        draft.value("body", body);
        draft.text("message_id", message_id, DESCRIPTION_CHARS);
        draft.value("date", date);
        // Setting a single reference once more is an error of recent releases, which stops those behind it.
        draft.all_embedded("to_refs", to_refs);
        draft.all_embedded("cc_refs", cc_refs);
        draft.embedded("from_ref", from_ref);
        Ok((draft, "Email-Message"))
    }
}

fn begin_account(
    names: AccountNames<'_>,
    display_name: Option<&str>,
) -> Result<(Draft, &'static str), NotWritten> {
    let text = |text: Option<&str>| text.and_then(|text| filled(text, NAME_CHARS));
    let account_type = text(names.account_type);
    let account_login = text(names.account_login);
    let user_id = text(names.user_id);
    if account_login.is_none() && user_id.is_none() {
        return Err(NotWritten::Missing("login and no id"));
    }
    let id = make_id::user_account(AccountNames {
        account_type: account_type.as_deref(),
        account_login: account_login.as_deref(),
        user_id: user_id.as_deref(),
    });
    let mut draft = Draft::new(id);
    draft.value("account_type", account_type);
    draft.value("account_login", account_login);
    draft.value("user_id", user_id);
    draft.text("display_name", display_name, NAME_CHARS);
    Ok((draft, "User-Account"))
}

fn begin_registry_value(value: RegistryValue<'_>) -> Result<(Draft, &'static str), NotWritten> {
    let value = value.cleaned();
    if value.is_empty() {
        return Err(NotWritten::Missing("name and no data"));
    }
    let id = make_id::windows_registry_value(
        value.name.as_deref(),
        value.data.as_deref(),
        value.data_type.as_deref(),
    );
    let mut draft = Draft::new(id);
    draft.value("name", value.name);
    draft.value("data", value.data);
    draft.value("data_type", value.data_type);
    Ok((draft, "Windows-Registry-Value-Type"))
}

fn begin_traffic(ends: TrafficEnds<'_>) -> Result<(Draft, &'static str), NotWritten> {
    let has_end = ends.src_ref.is_some() || ends.dst_ref.is_some();
    let has_port = ends.src_port.is_some() || ends.dst_port.is_some();
    if !has_end && !has_port {
        return Err(NotWritten::Missing("end and no port"));
    }
    let protocols = ends.protocols.iter();
    let protocols = protocols.filter_map(|text| filled(text, NAME_CHARS));
    let protocols: Vec<String> = protocols.collect();
    if protocols.is_empty() {
        return Err(NotWritten::Missing("protocol"));
    }
    let names: Vec<&str> = protocols.iter().map(String::as_str).collect();
    let id = make_id::network_traffic(TrafficEnds {
        protocols: &names,
        ..ends
    });
    let mut draft = Draft::new(id);
    draft.embedded("src_ref", ends.src_ref);
    draft.embedded("dst_ref", ends.dst_ref);
    draft.value("src_port", ends.src_port);
    draft.value("dst_port", ends.dst_port);
    draft.list("protocols", &protocols);
    draft.value("start", ends.start);
    draft.value("end", ends.end);
    Ok((draft, "Network-Traffic"))
}

fn begin_software(
    name: &str,
    names: SoftwareNames<'_>,
) -> Result<(Draft, &'static str), NotWritten> {
    let name = need("name", name, NAME_CHARS)?;
    let text = |text: Option<&str>| text.and_then(|text| filled(text, NAME_CHARS));
    let (cpe, swid) = (text(names.cpe), text(names.swid));
    let (vendor, version) = (text(names.vendor), text(names.version));
    let id = make_id::software(
        &name,
        SoftwareNames {
            cpe: cpe.as_deref(),
            swid: swid.as_deref(),
            vendor: vendor.as_deref(),
            version: version.as_deref(),
        },
    );
    let mut draft = Draft::new(id);
    draft.required("name", &name);
    draft.value("cpe", cpe);
    draft.value("swid", swid);
    draft.value("vendor", vendor);
    draft.value("version", version);
    Ok((draft, "Software"))
}
