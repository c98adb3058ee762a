//! Objects as types: each knows its properties and its id, and is written by [`TypedObject::write`].
//!
//! What is foreign may be given as it came: texts are cleaned and cut ([`text`](super::text)), what is empty is left
//! out, lists hold each member once. Ids follow from what is sent ([`make_id`](super::make_id)).

use super::StixObject;

mod common;
mod containers;
mod draft;
mod entities;
mod indicator;
mod observables;
mod relations;

pub use common::{AttachedFile, Common, ExternalReference, Percent};
pub use containers::{CaseIncident, Incident, Note, Priority, Report, Severity};
pub use draft::NotWritten;
pub use entities::{
    AttackPattern, CourseOfAction, Identity, Label, Location, MarkingDefinition, Threat,
    ThreatKind, Vulnerability,
};
pub use indicator::{Indicator, IndicatorPattern, KillChainPhase, RuleLanguage};
pub use observables::{
    Artifact, AutonomousSystem, Content, EmailMessage, File, Observable, Process, RegistryKey,
    RegistryValue, Software, TrafficEnds, UserAccount, X509Certificate,
};
pub use relations::{Relationship, Sighting};

/// An object that can be written.
pub trait TypedObject {
    /// Writes the object, with what it has in common with others.
    ///
    /// # Errors
    /// [`NotWritten`] when it lacks what it cannot be without.
    fn write(&self, common: &Common) -> Result<StixObject, NotWritten>;
}

#[cfg(test)]
mod tests;
