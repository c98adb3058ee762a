//! Incidents, and the containers: cases, reports, notes. The platform adds up the members of a container that comes
//! again, so that a large one can be sent in parts.

use serde::Serialize;

use super::super::text::{CONTENT_CHARS, DESCRIPTION_CHARS, NAME_CHARS};
use super::super::{StixId, StixObject, Timestamp, make_id};
use super::TypedObject;
use super::common::{AttachedFile, Common, filled};
use super::draft::{Draft, Nature, NotWritten, title};

/// How bad an incident is, in the platform's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "their names say what they are")]
pub enum Severity {
    Low,
    Medium,
    High,
    Critical,
}

/// What has to be done first, in the platform's words: `P1` before `P4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[expect(missing_docs, reason = "their names say what they are")]
pub enum Priority {
    P1,
    P2,
    P3,
    P4,
}

/// An incident.
#[derive(Debug, Clone, Copy)]
pub struct Incident<'a> {
    /// Its name.
    pub name: &'a str,
    /// When it happened; it is part of its id.
    pub created: Timestamp,
    /// When it was first seen.
    pub first_seen: Option<Timestamp>,
    /// When it was last seen.
    pub last_seen: Option<Timestamp>,
    /// What it is, in words.
    pub description: Option<&'a str>,
    /// How bad it is.
    pub severity: Option<Severity>,
    /// What kind of incident it is, such as `alert`.
    pub incident_type: Option<&'a str>,
    /// Who saw it.
    pub source: Option<&'a str>,
    /// The platform's id of its status.
    pub workflow_id: Option<&'a str>,
}

impl TypedObject for Incident<'_> {
    fn write(&self, common: &Common) -> Result<StixObject, NotWritten> {
        let name = title("name", self.name, NAME_CHARS)?;
        let mut draft = Draft::new(make_id::incident(&name, self.created));
        draft.required("name", &name);
        draft.text("description", self.description, DESCRIPTION_CHARS);
        draft.value("first_seen", self.first_seen);
        draft.value("last_seen", self.last_seen);
        draft.value("severity", self.severity);
        draft.text("incident_type", self.incident_type, NAME_CHARS);
        draft.text("source", self.source, NAME_CHARS);
        draft.text("x_opencti_workflow_id", self.workflow_id, NAME_CHARS);
        draft.common(common, Nature::Dated(self.created));
        draft.finish("Incident")
    }
}

/// A case of incident response.
#[derive(Debug, Clone, Copy)]
pub struct CaseIncident<'a> {
    /// Its name.
    pub name: &'a str,
    /// When it was opened; it is part of its id.
    pub created: Timestamp,
    /// What it is, in words.
    pub description: Option<&'a str>,
    /// How bad it is.
    pub severity: Option<Severity>,
    /// How urgent it is.
    pub priority: Option<Priority>,
    /// The platform's id of its status.
    pub workflow_id: Option<&'a str>,
    /// What it is about.
    pub object_refs: &'a [StixId],
}

impl TypedObject for CaseIncident<'_> {
    fn write(&self, common: &Common) -> Result<StixObject, NotWritten> {
        let name = title("name", self.name, NAME_CHARS)?;
        let mut draft = Draft::new(make_id::case_incident(&name, self.created));
        draft.required("name", &name);
        draft.text("description", self.description, DESCRIPTION_CHARS);
        draft.value("severity", self.severity);
        draft.value("priority", self.priority);
        draft.text("x_opencti_workflow_id", self.workflow_id, NAME_CHARS);
        draft.common(common, Nature::Dated(self.created));
        draft.members("object_refs", self.object_refs);
        draft.finish("Case-Incident")
    }
}

/// A report.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// Its title.
    pub name: &'a str,
    /// When it was published; it is part of its id.
    pub published: Timestamp,
    /// What it is, in words.
    pub description: Option<&'a str>,
    /// What kinds of report it is, such as `threat-report`.
    pub report_types: &'a [&'a str],
    /// How reliable its source is, in the platform's words, such as `B - Usually reliable`.
    pub reliability: Option<&'a str>,
    /// What it is about.
    pub object_refs: &'a [StixId],
    /// Files that come with it. They get its markings.
    pub files: &'a [AttachedFile],
}

impl TypedObject for Report<'_> {
    fn write(&self, common: &Common) -> Result<StixObject, NotWritten> {
        let name = title("name", self.name, NAME_CHARS)?;
        let mut draft = Draft::new(make_id::report(&name, self.published));
        draft.required("name", &name);
        draft.value("published", Some(self.published));
        draft.text("description", self.description, DESCRIPTION_CHARS);
        draft.names("report_types", self.report_types);
        draft.text("x_opencti_reliability", self.reliability, NAME_CHARS);
        let files = self.files.iter();
        let files: Vec<AttachedFile> = files.map(|file| file.marked(common)).collect();
        draft.list("x_opencti_files", &files);
        draft.common(common, Nature::Domain);
        draft.members("object_refs", self.object_refs);
        draft.finish("Report")
    }
}

/// A note about other objects.
#[derive(Debug, Clone, Copy)]
pub struct Note<'a> {
    /// Its title.
    pub r#abstract: Option<&'a str>,
    /// Its text.
    pub content: &'a str,
    /// When it was written; it is part of its id.
    pub created: Timestamp,
    /// What it is about.
    pub object_refs: &'a [StixId],
}

impl TypedObject for Note<'_> {
    fn write(&self, common: &Common) -> Result<StixObject, NotWritten> {
        let content = title("content", self.content, CONTENT_CHARS)?;
        let r#abstract = self.r#abstract.and_then(|text| filled(text, NAME_CHARS));
        let id = make_id::note(&content, r#abstract.as_deref(), self.created);
        let mut draft = Draft::new(id);
        draft.value("abstract", r#abstract);
        draft.required("content", &content);
        draft.common(common, Nature::Dated(self.created));
        draft.members("object_refs", self.object_refs);
        draft.finish("Note")
    }
}
