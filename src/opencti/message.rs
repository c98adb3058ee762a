//! Messages: the envelope that workers read from the queue, or the bare bundle for the API.

use std::sync::Arc;

use base64_simd::STANDARD;
use bytes::Bytes;
use serde::Serialize;

use super::Rules;
use crate::settings::QueueProtocol;

/// One message.
#[derive(Debug, Clone)]
pub struct Message {
    /// The body, as the queue or the API takes it.
    pub body: Bytes,
    /// The work that it belongs to.
    pub work_id: Arc<str>,
    /// How many objects it holds.
    pub objects: u64,
    /// For how many of them the sender adds expectations; those of the others are added where they arrive.
    pub counted: u64,
}

/// What a message holds beside its content, and a bundle beside its objects, in bytes: at most so much.
const FRAME: usize = 1024;

/// How large the body of a message may be on its way, where larger ones were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageLimit {
    /// The way.
    pub protocol: QueueProtocol,
    /// With several objects, in bytes.
    pub several: usize,
    /// With one object, in bytes: where nobody names the limit, one object is tried up to what was refused.
    pub one: usize,
}

impl MessageLimit {
    /// How many bytes of objects fit, of several and of one.
    pub fn fitting_bytes(&self) -> (usize, usize) {
        let fitting = |body| fitting_bytes(body, self.protocol);
        (fitting(self.several), fitting(self.one))
    }

    /// The size of the message that holds so many bytes of objects: the other way round.
    pub fn body_bytes(&self, objects: usize) -> usize {
        let bundle = objects + FRAME / 8;
        match self.protocol {
            QueueProtocol::Amqp => bundle.div_ceil(3) * 4 + FRAME,
            QueueProtocol::Api => bundle,
        }
    }

    /// What a message is that does not fit.
    pub fn what_is_larger(&self) -> &'static str {
        match self.protocol {
            QueueProtocol::Amqp => "larger than the broker takes",
            QueueProtocol::Api => "larger than the destination takes in one request",
        }
    }

    /// What a person can do for so many bytes of objects.
    pub fn advice(&self, objects: usize) -> String {
        let (bytes, limit) = (self.body_bytes(objects), self.one);
        match self.protocol {
            QueueProtocol::Amqp => {
                format!(
                    "{bytes} bytes, its limit is {limit}: raise its max_message_size, then reset the connector"
                )
            }
            QueueProtocol::Api => format!(
                "{bytes} bytes, and over {limit} it answers HTTP 413: raise the limit for bodies of requests, such as client_max_body_size of nginx, of whatever stands in front of it, then reset the connector"
            ),
        }
    }
}

/// How many bytes of objects fit into a message whose body is no larger than this: in base64 and in its
/// envelope, or as a bundle.
fn fitting_bytes(largest_body: usize, protocol: QueueProtocol) -> usize {
    let bundle = match protocol {
        QueueProtocol::Amqp => largest_body.saturating_sub(FRAME) / 4 * 3,
        QueueProtocol::Api => largest_body,
    };
    bundle.saturating_sub(FRAME / 8)
}

/// Writes the messages of one run.
#[derive(Debug, Clone)]
pub struct MessageWriter {
    /// What the destination's release asks for.
    pub rules: Rules,
    /// The way that the messages go.
    pub protocol: QueueProtocol,
    /// The user on whose behalf the workers import.
    pub applicant_id: String,
    /// The work that the messages belong to.
    pub work_id: Arc<str>,
}

/// The keys that a worker reads (docs/protocol.md#messages), but for the content, which comes last; none is
/// sent that the destination's release does not have.
#[derive(Serialize)]
struct MessageEnvelope<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    applicant_id: &'a str,
    work_id: &'a str,
    /// Empty: every type of entity.
    entities_types: [&'a str; 0],
    /// True would only mean: merge where one object matches several existing ones.
    update: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    no_split: Option<bool>,
}

impl MessageWriter {
    /// Writes the message for a bundle of so many objects.
    ///
    /// # Errors
    /// When JSON cannot be written, which texts and flags never cause.
    pub fn write(&self, bundle: String, objects: u64) -> Result<Message, serde_json::Error> {
        let body = match self.protocol {
            QueueProtocol::Amqp => self.envelope(&bundle)?,
            QueueProtocol::Api => bundle.into_bytes(),
        };
        Ok(Message {
            body: body.into(),
            work_id: Arc::clone(&self.work_id),
            objects,
            counted: objects,
        })
    }

    /// In one buffer: base64 needs no escapes, and is most of the message, which is why it is made by the
    /// vectorised library here.
    fn envelope(&self, bundle: &str) -> Result<Vec<u8>, serde_json::Error> {
        const CONTENT: &[u8] = b",\"content\":\"";
        const END: &[u8] = b"\"}";
        let head = serde_json::to_string(&MessageEnvelope {
            kind: "bundle",
            applicant_id: &self.applicant_id,
            work_id: &self.work_id,
            entities_types: [],
            update: false,
            no_split: self.rules.marks_no_split.then_some(true),
        })?;
        let encoded = bundle.len().div_ceil(3) * 4;
        let mut message = Vec::with_capacity(head.len() + CONTENT.len() + encoded + END.len());
        message.extend_from_slice(head.strip_suffix('}').unwrap_or(&head).as_bytes());
        message.extend_from_slice(CONTENT);
        STANDARD.encode_append(bundle, &mut message);
        message.extend_from_slice(END);
        Ok(message)
    }
}
