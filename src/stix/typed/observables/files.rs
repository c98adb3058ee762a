//! Observables that are identified by hashes: files, artifacts, certificates.

use super::super::super::text::{DESCRIPTION_CHARS, NAME_CHARS};
use super::super::super::{Hashes, Timestamp, make_id};
use super::super::draft::{Draft, NotWritten};
use super::{VALUE_CHARS, optional};

/// A file. One of hashes and name is needed.
#[derive(Debug, Clone, Copy, Default)]
#[expect(missing_docs, reason = "they are named as in STIX 2.1 §6.7")]
pub struct File<'a> {
    pub hashes: &'a Hashes,
    pub name: Option<&'a str>,
    /// Its other names.
    pub additional_names: &'a [&'a str],
    /// In bytes.
    pub size: Option<u64>,
    pub mime_type: Option<&'a str>,
}

impl File<'_> {
    pub(super) fn begin(&self) -> Result<Draft, NotWritten> {
        let name = optional("name", self.name, VALUE_CHARS)?;
        if self.hashes.is_empty() && name.is_none() {
            return Err(NotWritten::Missing("hash and no name"));
        }
        let id = make_id::file(self.hashes, name.as_deref().unwrap_or_default());
        let mut draft = Draft::new(id);
        draft.hashes(self.hashes);
        draft.value("name", name);
        draft.names("x_opencti_additional_names", self.additional_names);
        draft.value("size", self.size);
        draft.text("mime_type", self.mime_type, NAME_CHARS);
        Ok(draft)
    }
}

/// The content of a file. One of hashes and URL is needed.
#[derive(Debug, Clone, Copy, Default)]
#[expect(missing_docs, reason = "they are named as in STIX 2.1 §6.1")]
pub struct Artifact<'a> {
    pub hashes: &'a Hashes,
    pub url: Option<&'a str>,
    pub mime_type: Option<&'a str>,
    /// In base64, which is taken as it is. The platform refuses it beside a URL, so that it is left out there.
    pub payload_bin: Option<&'a str>,
    pub encryption_algorithm: Option<&'a str>,
    pub decryption_key: Option<&'a str>,
}

impl Artifact<'_> {
    pub(super) fn begin(&self) -> Result<Draft, NotWritten> {
        let url = optional("URL", self.url, VALUE_CHARS)?;
        if self.hashes.is_empty() && url.is_none() {
            return Err(NotWritten::Missing("hash and no URL"));
        }
        let id = make_id::artifact(self.hashes, url.as_deref().unwrap_or_default());
        let mut draft = Draft::new(id);
        draft.hashes(self.hashes);
        let is_content = |content: &&str| url.is_none() && !content.is_empty();
        draft.value("payload_bin", self.payload_bin.filter(is_content));
        draft.value("url", url);
        draft.text("mime_type", self.mime_type, NAME_CHARS);
        draft.text(
            "encryption_algorithm",
            self.encryption_algorithm,
            NAME_CHARS,
        );
        draft.text("decryption_key", self.decryption_key, NAME_CHARS);
        Ok(draft)
    }
}

/// A certificate. One of hashes, serial number and subject is needed.
#[derive(Debug, Clone, Copy, Default)]
#[expect(missing_docs, reason = "they are named as in STIX 2.1 §6.18")]
pub struct X509Certificate<'a> {
    pub hashes: &'a Hashes,
    pub serial_number: Option<&'a str>,
    pub subject: Option<&'a str>,
    pub issuer: Option<&'a str>,
    pub validity_not_before: Option<Timestamp>,
    pub validity_not_after: Option<Timestamp>,
}

impl X509Certificate<'_> {
    pub(super) fn begin(&self) -> Result<Draft, NotWritten> {
        let serial_number = optional("serial number", self.serial_number, VALUE_CHARS)?;
        let subject = optional("subject", self.subject, VALUE_CHARS)?;
        if self.hashes.is_empty() && serial_number.is_none() && subject.is_none() {
            return Err(NotWritten::Missing("hash, serial number or subject"));
        }
        let id = make_id::x509_certificate(
            self.hashes,
            serial_number.as_deref(),
            subject.as_deref().unwrap_or_default(),
        );
        let mut draft = Draft::new(id);
        draft.hashes(self.hashes);
        draft.value("serial_number", serial_number);
        draft.value("subject", subject);
        draft.text("issuer", self.issuer, DESCRIPTION_CHARS);
        draft.value("validity_not_before", self.validity_not_before);
        draft.value("validity_not_after", self.validity_not_after);
        Ok(draft)
    }
}
