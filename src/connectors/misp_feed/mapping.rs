//! What one attribute or one object becomes, before it is written: pure.
//!
//! **Invariant.** The id of a [`Draft`] is that of the object which is written of it, so that what refers to it can be
//! made before it, and elsewhere.

mod attributes;
mod content;
mod cpe;
mod facts;
mod objects;
mod reading;
mod templates;
mod unsent;

pub(super) use attributes::{Attached, EventFacts, Planner};
pub(super) use content::Content;
pub(super) use facts::Facts;
pub(super) use reading::SignPattern;
pub(super) use unsent::{UnsentName, unsent};

use super::event::{OddMembers, Sighting};
use super::tags::{Entity, LabelText, Marks};
use crate::connector::Skipped;
use crate::stix::StixId;
use crate::stix::key;
use crate::stix::typed::ExternalReference;

/// What a draft is of.
#[derive(Debug, Clone)]
pub(super) enum What {
    /// An observable.
    Observable(Content),
    /// An indicator.
    Indicator {
        /// What it looks for.
        pattern: SignPattern,
        /// Its name.
        name: String,
        /// The platform's word for what it finds.
        main_type: Option<&'static str>,
    },
}

/// An observable or an indicator that is to be written.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) id: StixId,
    pub(super) key: u128,
    pub(super) what: What,
    pub(super) facts: Facts,
}

impl Draft {
    /// An observable.
    pub(super) fn observable(content: Content, facts: Facts) -> Self {
        let id = content.id();
        Self {
            key: key(&id),
            id,
            what: What::Observable(content),
            facts,
        }
    }

    /// Whether it is an indicator.
    pub(super) fn is_indicator(&self) -> bool {
        matches!(self.what, What::Indicator { .. })
    }

    /// The platform's word for its type.
    pub(super) fn kind(&self) -> &'static str {
        match &self.what {
            What::Observable(content) => content.kind(),
            What::Indicator { .. } => "Indicator",
        }
    }
}

/// A relationship between two drafts of one item, by their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tie {
    pub(super) word: &'static str,
    pub(super) from: usize,
    pub(super) to: usize,
}

/// Something with the markings of the attribute that says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marked<T> {
    pub(super) it: T,
    pub(super) marks: Marks,
}

/// A packed sample, which is read when its turn comes.
#[derive(Debug)]
pub(super) struct PackedSample {
    /// The place of its attribute among those of its object, as they are written.
    pub(super) place: usize,
    pub(super) facts: Facts,
    /// The place of the draft of its file, where there is one.
    pub(super) file: Option<usize>,
}

/// What one attribute, or one object with all of its attributes, becomes.
#[derive(Debug, Default)]
pub(super) struct Item {
    /// How many attributes it has.
    pub(super) attributes: usize,
    /// Observables, each behind those that it refers to, and indicators.
    pub(super) drafts: Vec<Draft>,
    pub(super) ties: Vec<Tie>,
    /// By which draft an attribute or an object is represented: its uuid and the draft's place.
    pub(super) represented: Vec<(u128, usize)>,
    /// The values of attributes by their uuids, for what mentions them.
    pub(super) values: Vec<(u128, Marked<String>)>,
    /// Entities that attributes name themselves, such as vulnerabilities.
    pub(super) entities: Vec<Marked<Entity>>,
    /// Vulnerabilities of an object, to which its indicators and its malware are related.
    pub(super) vulnerabilities: Vec<Marked<Entity>>,
    /// Malware that the tags of an object with vulnerabilities name.
    pub(super) malware: Vec<Marked<Entity>>,
    /// Entities that the tags of an object name, with all that is said about them.
    pub(super) said: Vec<Marked<Entity>>,
    /// Sightings, each of the draft at this place.
    pub(super) sightings: Vec<(usize, Sighting)>,
    /// Pages, for the report.
    pub(super) links: Vec<ExternalReference>,
    /// Labels of the report.
    pub(super) report_labels: Vec<LabelText>,
    /// Files of the report: the places of their attributes among those of the object, as they are written.
    pub(super) files: Vec<usize>,
    /// Packed samples.
    pub(super) samples: Vec<PackedSample>,
    pub(super) skipped: Vec<Skipped>,
    pub(super) odd: OddMembers,
}

/// A uuid as a number.
pub(super) fn uuid_key(uuid: &str) -> Option<u128> {
    uuid::Uuid::try_parse(uuid).ok().map(|uuid| uuid.as_u128())
}
