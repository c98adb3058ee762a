//! Observables of networks: autonomous systems, traffic, e-mail messages.

use std::borrow::Cow;

use super::super::super::make_id::TrafficEnds;
use super::super::super::text::{DESCRIPTION_CHARS, NAME_CHARS};
use super::super::super::{StixId, Timestamp, make_id};
use super::super::draft::{Draft, NotWritten};
use super::{VALUE_CHARS, optional};

/// The longest body of an e-mail, in characters.
const BODY_CHARS: usize = 1024 * 1024;
/// The largest number of an autonomous system that the platform's API can represent.
const LARGEST_AS: u32 = i32::MAX.unsigned_abs();

/// A part of the internet under one administration.
#[derive(Debug, Clone, Copy, Default)]
pub struct AutonomousSystem<'a> {
    /// Its number, at most 2147483647.
    pub number: u32,
    /// Its name.
    pub name: Option<&'a str>,
}

impl AutonomousSystem<'_> {
    pub(super) fn begin(&self) -> Result<Draft, NotWritten> {
        if self.number > LARGEST_AS {
            return Err(NotWritten::Missing(
                "number that the platform's API can represent",
            ));
        }
        let mut draft = Draft::new(make_id::autonomous_system(self.number));
        draft.value("number", Some(self.number));
        draft.text("name", self.name, NAME_CHARS);
        Ok(draft)
    }
}

/// An e-mail. One of subject and body is needed.
#[derive(Debug, Clone, Copy, Default)]
#[expect(missing_docs, reason = "they are named as in STIX 2.1 §6.6")]
pub struct EmailMessage<'a> {
    pub subject: Option<&'a str>,
    pub body: Option<&'a str>,
    pub message_id: Option<&'a str>,
    pub date: Option<Timestamp>,
    pub from_ref: Option<&'a StixId>,
    pub to_refs: &'a [StixId],
    pub cc_refs: &'a [StixId],
}

impl EmailMessage<'_> {
    pub(super) fn begin(&self) -> Result<Draft, NotWritten> {
        let subject = optional("subject", self.subject, VALUE_CHARS)?;
        let body = optional("body", self.body, BODY_CHARS)?;
        if subject.is_none() && body.is_none() {
            return Err(NotWritten::Missing("subject and no body"));
        }
        let id = make_id::email_message(subject.as_deref(), body.as_deref());
        let mut draft = Draft::new(id);
        draft.value("is_multipart", Some(false));
        draft.value("subject", subject);
        draft.value("body", body);
        draft.text("message_id", self.message_id, DESCRIPTION_CHARS);
        draft.value("date", self.date);
        // Setting a single reference once more is an error of recent releases, which stops those behind it.
        draft.references("to_refs", self.to_refs);
        draft.references("cc_refs", self.cc_refs);
        draft.reference("from_ref", self.from_ref);
        Ok(draft)
    }
}

pub(super) fn begin_traffic(ends: TrafficEnds<'_>) -> Result<Draft, NotWritten> {
    let has_end = ends.src_ref.is_some() || ends.dst_ref.is_some();
    let has_port = ends.src_port.is_some() || ends.dst_port.is_some();
    if !has_end && !has_port {
        return Err(NotWritten::Missing("end and no port"));
    }
    let protocols = ends.protocols.iter();
    let protocols = protocols.map(|text| optional("protocol", Some(text), VALUE_CHARS));
    let protocols: Vec<Option<Cow<'_, str>>> = protocols.collect::<Result<_, _>>()?;
    let protocols: Vec<Cow<'_, str>> = protocols.into_iter().flatten().collect();
    if protocols.is_empty() {
        return Err(NotWritten::Missing("protocol"));
    }
    let names: Vec<&str> = protocols.iter().map(AsRef::as_ref).collect();
    let id = make_id::network_traffic(TrafficEnds {
        protocols: &names,
        ..ends
    });
    let mut draft = Draft::new(id);
    draft.reference("src_ref", ends.src_ref);
    draft.reference("dst_ref", ends.dst_ref);
    draft.value("src_port", ends.src_port);
    draft.value("dst_port", ends.dst_port);
    draft.list("protocols", &protocols);
    draft.value("start", ends.start);
    draft.value("end", ends.end);
    Ok(draft)
}
