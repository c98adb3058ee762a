//! The report that an event becomes.

use crate::connectors::misp_feed::event::EventHead;
use crate::connectors::misp_feed::tags::{LabelText, Marks, TagFacts};
use crate::stix::text::{NAME_CHARS, clean};
use crate::stix::typed::{
    AttachedFile, Common, ExternalReference, NotWritten, Percent, Report, TypedObject,
};
use crate::stix::{StixId, StixObject, Timestamp, make_id};

use super::survey::Survey;
use super::writer::Writer;

/// The source of events, as external references name it.
const SOURCE: &str = "MISP";
const MILLIS_OF_DAY: i64 = 86_400_000;

/// Everything of a report but what it refers to.
#[derive(Debug)]
pub(super) struct ReportPlan {
    name: String,
    description: Option<String>,
    published: Timestamp,
    modified: Option<Timestamp>,
    report_type: String,
    reliability: Option<&'static str>,
    confidence: Option<Percent>,
    marks: Marks,
    pub(super) labels: Vec<LabelText>,
    pub(super) references: Vec<ExternalReference>,
    other_id: Option<StixId>,
}

impl ReportPlan {
    /// For an event; `address` is where its file lies.
    pub(super) fn new(
        head: &EventHead,
        said: &TagFacts,
        marks: Marks,
        (report_type, address): (&str, Option<&str>),
    ) -> Option<Self> {
        let uuid = head.uuid.as_deref();
        let info = clean(&head.info, NAME_CHARS);
        let name = match uuid {
            _ if info.chars().nth(1).is_some() => info.into_owned(),
            Some(uuid) => format!("MISP event {uuid}"),
            None => "MISP event".to_owned(),
        };
        let published = head.date.or_else(|| day_of(head.timestamp?));
        // An id must not follow from the time of the import.
        let published = published.or_else(|| Timestamp::from_seconds(0))?;
        let other_id = uuid.and_then(|uuid| StixId::of("report", &format!("report--{uuid}")).ok());
        let description = clean(&head.info, usize::MAX);
        Some(Self {
            name,
            description: (!description.is_empty()).then(|| description.into_owned()),
            published,
            modified: head.timestamp,
            report_type: report_type.to_owned(),
            reliability: said.reliability,
            confidence: said.confidence,
            marks,
            labels: said.labels.clone(),
            references: references(head, address),
            other_id,
        })
    }

    /// Takes the pages and labels that attributes give the report.
    pub(super) fn take_over(&mut self, survey: &mut Survey) {
        self.references.append(&mut survey.links);
        for label in survey.labels.drain(..) {
            if !self.labels.iter().any(|known| known.value == label.value) {
                self.labels.push(label);
            }
        }
    }

    /// Its id.
    pub(super) fn id(&self) -> StixId {
        make_id::report(&self.name, self.published)
    }

    /// When it was last changed, or published.
    pub(super) fn moment(&self) -> Timestamp {
        self.modified.unwrap_or(self.published)
    }

    /// Writes a copy that refers to this; where that is nothing, to the author.
    pub(super) fn write(
        &self,
        writer: &mut Writer,
        members: &[StixId],
        files: &[AttachedFile],
    ) -> Result<StixObject, NotWritten> {
        let author = [writer.author.id.clone()];
        let members = if members.is_empty() {
            &author[..]
        } else {
            members
        };
        let common = writer.common(&self.marks, &self.labels, self.modified)?;
        let common = Common {
            created: Some(self.published),
            confidence: self.confidence,
            external_references: self.references.clone(),
            other_ids: self.other_id.iter().cloned().collect(),
            ..common
        };
        let report = Report {
            name: &self.name,
            published: self.published,
            description: self.description.as_deref(),
            report_types: &[&self.report_type],
            reliability: self.reliability,
            object_refs: members,
            files,
        };
        report.write(&common)
    }
}

/// The event itself, and the one that it extends.
fn references(head: &EventHead, address: Option<&str>) -> Vec<ExternalReference> {
    let own = head.uuid.as_deref().and_then(|uuid| {
        let page = address.and_then(|address| ExternalReference::page(SOURCE, address));
        match page {
            Some(page) => Some(page.with_id(uuid)),
            None => ExternalReference::entry(SOURCE, uuid),
        }
    });
    let extends = head.extends.as_deref();
    let extends = extends.and_then(|uuid| ExternalReference::entry(SOURCE, uuid));
    let extends = extends.map(|reference| reference.described("extends"));
    own.into_iter().chain(extends).collect()
}

fn day_of(moment: Timestamp) -> Option<Timestamp> {
    let millis = moment.moment().timestamp_millis();
    Timestamp::from_millis(millis - millis.rem_euclid(MILLIS_OF_DAY))
}
