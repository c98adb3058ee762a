//! What is said about a value beside the value itself.

use crate::connectors::misp_feed::tags::{Entity, LabelText, Marks};
use crate::stix::Timestamp;
use crate::stix::typed::{ExternalReference, Percent};

/// The most labels, and the most entities, of one value.
const MOST: usize = 1_000;

/// What is said about a value beside the value itself.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Facts {
    /// When it was last changed.
    pub(in super::super) timestamp: Option<Timestamp>,
    /// How bad it is.
    pub(in super::super) score: Percent,
    /// Whether it is for detection.
    pub(in super::super) to_ids: bool,
    /// What is said about it, in words.
    pub(in super::super) comment: Option<String>,
    pub(in super::super) marks: Marks,
    pub(in super::super) labels: Vec<LabelText>,
    pub(in super::super) confidence: Option<Percent>,
    /// Until when it holds.
    pub(in super::super) valid_until: Option<Timestamp>,
    /// Threats, sectors and places of its own.
    pub(in super::super) entities: Vec<Entity>,
    pub(in super::super) references: Vec<ExternalReference>,
}

impl Facts {
    /// Takes in what is said about the same value elsewhere: the newest time, the highest score, the strictest markings,
    /// and all of the rest.
    pub(in super::super) fn merge(&mut self, other: Self) {
        self.timestamp = self.timestamp.max(other.timestamp);
        self.score = self.score.max(other.score);
        self.to_ids |= other.to_ids;
        self.comment = self.comment.take().or(other.comment);
        self.marks = self.marks.stricter(&other.marks);
        self.confidence = self.confidence.max(other.confidence);
        self.valid_until = self.valid_until.max(other.valid_until);
        for label in other.labels {
            let is_known = |known: &LabelText| known.value == label.value;
            if self.labels.len() < MOST && !self.labels.iter().any(is_known) {
                self.labels.push(label);
            }
        }
        for entity in other.entities {
            if self.entities.len() < MOST && !self.entities.contains(&entity) {
                self.entities.push(entity);
            }
        }
        for reference in other.references {
            if self.references.len() < MOST && !self.references.contains(&reference) {
                self.references.push(reference);
            }
        }
    }
}
