//! What becomes of a value: pure, from a [`View`] to typed objects.
//!
//! **Invariant:** each object has the author, the marking, and an id that follows from its content; it refers to nothing
//! but objects of its own value, threats of its lists, and the observable of an address that it has a port of.

mod dates;
mod forecast;
mod pages;
mod plain_text;
mod references;
mod score;
mod sentences;
mod shape;
mod threats;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::settings::{MappingSettings, ValidFrom};
use super::trails::family::{Families, FamilyId, Severity, ThreatId};
use super::trails::merged::View;
use super::trails::survey::ThreatView;
use super::trails::value::TrailValue;
use crate::connector::Skipped;
use crate::stix::make_id::IdentityClass;
use crate::stix::typed::{
    Common, Content, ExternalReference, Identity, Indicator, IndicatorPattern, MarkingDefinition,
    NotWritten, Observable, Percent, Relationship, TypedObject,
};
use crate::stix::{StixId, StixObject, Timestamp};
use crate::telemetry::safe_text::{NAME, safe};

pub use dates::commit_date;
pub use forecast::{Forecast, ValueCounts};
pub use pages::ListPages;
pub use score::FormerScores;

use plain_text::{one_line, plain};
use references::{Attached, attach};
use sentences::Sentences;
use shape::Shape;
use threats::{ThreatObjects, ThreatWriter};

/// The author of all objects.
const AUTHOR: &str = "Maltrail";
const AUTHOR_DESCRIPTION: &str = "Open-source project that detects malicious traffic. Its lists name domains, addresses, URLs and paths, sorted by malware family and actor.";
const AUTHOR_PAGE: &str = "https://github.com/stamparm/maltrail";

/// The longest label, and the longest name of a list in a description, in characters.
const LABEL_CHARS: usize = 200;
const LIST_CHARS: usize = 200;

/// How long before its end a revoked indicator begins to hold: the platform adds so much.
const REVOKED_AFTER_MS: i64 = 1_000;

/// Why a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// It is listed: for the first time, or with something else than before.
    Listed,
    /// It is listed again after it was revoked; the platform knows these scores of it.
    Returned(FormerScores),
}

/// What a value became.
#[derive(Debug, Default)]
pub struct Written {
    /// Its objects, each behind those of them that it refers to: observable, indicator, what ties them, what ties the
    /// indicator to threats.
    pub objects: Vec<StixObject>,
    /// The threats that these refer to.
    pub threats: Vec<Arc<StixObject>>,
    /// How many references it has besides those that are attached.
    pub references_left_out: usize,
    /// What could not be written.
    pub skipped: Vec<Skipped>,
}

/// Why nothing can be written.
#[derive(Debug, thiserror::Error)]
#[error("the {what} of all objects cannot be written")]
pub struct MapperError {
    what: &'static str,
    #[source]
    cause: NotWritten,
}

/// Makes objects of values.
pub struct Mapper {
    settings: MappingSettings,
    families: BTreeMap<FamilyId, FamilyTexts>,
    /// Author and marking.
    common: Common,
    threats: ThreatObjects,
}

/// What values of a family have in common.
struct FamilyTexts {
    labels: Vec<String>,
    list: String,
    severity: Severity,
    /// It stands in the folder of what is no more than suspicious.
    is_suspicious: bool,
}

impl fmt::Debug for Mapper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapper")
            .field("settings", &self.settings)
            .field("families", &self.families.len())
            .field("threats", &self.threats.objects.len())
            .finish_non_exhaustive()
    }
}

impl Mapper {
    /// For the lists of one commit, and the threats that they are named after
    /// ([`ThreatFacts::threats`](super::trails::survey::ThreatFacts::threats)).
    ///
    /// # Errors
    /// When author or marking cannot be written: a defect of this program.
    pub fn new<'t>(
        settings: &MappingSettings,
        pages: &ListPages,
        families: &Families,
        threats: impl IntoIterator<Item = ThreatView<'t>>,
    ) -> Result<Self, MapperError> {
        let common = common(settings)?;
        let writer = ThreatWriter {
            settings,
            pages,
            families,
            common: &common,
        };
        let threats = threats.into_iter().collect();
        Ok(Self {
            settings: settings.clone(),
            threats: writer.write_all(threats),
            families: families
                .families()
                .map(|(id, family)| {
                    let names = family.category().into_iter().chain([family.stem()]);
                    let texts = FamilyTexts {
                        labels: names.map(label).collect(),
                        list: plain(&family.list_name(), LIST_CHARS),
                        severity: family.severity(),
                        is_suspicious: family.category() == Some("suspicious"),
                    };
                    (id, texts)
                })
                .collect(),
            common,
        })
    }

    /// All threats that full lists are named after, in order; none where no threats are wanted.
    pub fn threats(&self) -> impl Iterator<Item = (ThreatId, &Arc<StixObject>)> {
        let objects = self.threats.objects.iter();
        objects.map(|(id, object)| (*id, object))
    }

    /// Threats that cannot be written; their values come without them.
    pub fn skipped_threats(&self) -> &[Skipped] {
        &self.threats.skipped
    }

    /// The objects of one value.
    ///
    /// `moment` is the date of the commit that brought it ([`commit_date`]); for a value that the last imported commit
    /// had already, the date of that one.
    pub fn write(&self, view: &View<'_>, occasion: Occasion, moment: Timestamp) -> Written {
        let is_indicator = self.settings.create_indicators && view.is_indicator;
        let attached = self.attached(view);
        let mut written = Written {
            references_left_out: attached.left_out,
            ..Written::default()
        };
        let shape = Shape::of(view.value);
        let mut common = Common {
            labels: self.labels(view),
            ..self.common.clone()
        };
        let score = self.score(view);
        if !is_indicator {
            // What an indicator would say is not lost.
            let description = self.description(view, attached.left_out);
            common.external_references = attached.references;
            let said = (score, description.as_deref());
            self.put_observable(&mut written, &shape, said, &common);
            return written;
        }
        let observable = self.put_observable(&mut written, &shape, (score, None), &common);
        common.external_references = attached.references;
        let when = (occasion, moment);
        let indicator = self.indicator(view, &shape, when, attached.left_out, common);
        let indicator = put(&mut written, indicator, &shape.name, "Indicator");
        if let Some(indicator) = indicator {
            self.put_ties(&mut written, view, &shape, &indicator, observable);
        }
        written
    }

    /// The indicator of a value, with these labels and references.
    fn indicator(
        &self,
        view: &View<'_>,
        shape: &Shape<'_>,
        (occasion, moment): (Occasion, Timestamp),
        left_out: usize,
        common: Common,
    ) -> Result<StixObject, NotWritten> {
        let severity = self.severity(view);
        let score = self.score(view);
        let (score, revoked) = match occasion {
            Occasion::Listed => (score, None),
            Occasion::Returned(former) => (score::returned(score, former), Some(false)),
        };
        let valid_from = Some(self.valid_from(view, occasion, moment));
        let name = one_line(&shape.name, usize::MAX);
        let description = self.description(view, left_out);
        let indicator = Indicator {
            indicator_types: self.indicator_types(view),
            description: description.as_deref(),
            score: Some(score),
            detection: self.detection(severity),
            valid_from,
            main_observable_type: Some(shape.main_type),
            ..Indicator::new(&name, IndicatorPattern::Stix(&shape.pattern))
        };
        indicator.write(&Common {
            created: valid_from,
            revoked,
            ..common
        })
    }

    /// Ties an indicator to its observable, or that of its address, and to its threats.
    fn put_ties(
        &self,
        written: &mut Written,
        view: &View<'_>,
        shape: &Shape<'_>,
        indicator: &StixId,
        observable: Option<StixId>,
    ) {
        let is_observable = self.settings.create_observables;
        let address = shape.based_on.clone().filter(|_| is_observable);
        if let Some(observable) = observable.or(address) {
            self.tie(written, shape, "based-on", indicator, &observable);
        }
        let threats = view.threats.iter();
        for threat in threats.filter_map(|threat| self.threats.objects.get(threat)) {
            self.tie(written, shape, "indicates", indicator, &threat.id);
            written.threats.push(Arc::clone(threat));
        }
    }

    /// The indicator of a value that is gone, revoked; none where there are no indicators. Of the value nothing but
    /// itself has to be known.
    ///
    /// It has the score 0, which nobody sent before, and no end of its own: the platform keeps score, validity and
    /// revocation of one that comes with a score that it knows from this user, and puts the end of one that is revoked a
    /// second behind its beginning (docs/protocol.md#indicators). `moment` is the date of the last imported commit that
    /// had the value.
    ///
    /// # Errors
    /// [`NotWritten`] when it cannot be written.
    pub fn revoke(
        &self,
        value: &TrailValue<'_>,
        moment: Timestamp,
    ) -> Result<Option<StixObject>, NotWritten> {
        if !self.settings.create_indicators {
            return Ok(None);
        }
        let shape = Shape::of(value);
        let millis = moment.moment().timestamp_millis();
        // So that its end has passed, however fast it is imported.
        let valid_from = Timestamp::from_millis(millis.saturating_sub(REVOKED_AFTER_MS));
        let common = Common {
            revoked: Some(true),
            ..self.common.clone()
        };
        let name = one_line(&shape.name, usize::MAX);
        let indicator = Indicator {
            score: Percent::new(0),
            valid_from: Some(valid_from.unwrap_or(moment)),
            main_observable_type: Some(shape.main_type),
            ..Indicator::new(&name, IndicatorPattern::Stix(&shape.pattern))
        };
        indicator.write(&common).map(Some)
    }

    /// What is written of the value itself; its id.
    fn put_observable(
        &self,
        written: &mut Written,
        shape: &Shape<'_>,
        (score, description): (Percent, Option<&str>),
        common: &Common,
    ) -> Option<StixId> {
        let value_type = shape
            .observable
            .filter(|_| self.settings.create_observables)?;
        let observable = Observable {
            score: Some(score),
            description,
            ..Observable::new(Content::Value(value_type, &shape.name))
        };
        put(
            written,
            observable.write(common),
            &shape.name,
            value_type.kind(),
        )
    }

    fn tie(
        &self,
        written: &mut Written,
        shape: &Shape<'_>,
        relationship_type: &'static str,
        source: &StixId,
        target: &StixId,
    ) {
        let tie = Relationship::new(relationship_type, source, target);
        put(
            written,
            tie.write(&self.common),
            &shape.name,
            relationship_type,
        );
    }

    /// The highest of its lists'.
    fn severity(&self, view: &View<'_>) -> Severity {
        let families = self.texts(view).map(|texts| texts.severity);
        families.max().unwrap_or(Severity::Suspicious)
    }

    /// The highest of its lists'.
    fn score(&self, view: &View<'_>) -> Percent {
        let scores = self.texts(view).map(|texts| texts.severity);
        let scores = scores.map(|severity| score::normal(severity, self.settings.scores));
        scores.max().unwrap_or(self.settings.scores.suspicious)
    }

    /// What only lists of suspicious things have is anomalous, and no more.
    fn indicator_types(&self, view: &View<'_>) -> &'static [&'static str] {
        let mut texts = self.texts(view);
        if texts.all(|texts| texts.is_suspicious) {
            &["anomalous-activity"]
        } else {
            &["malicious-activity"]
        }
    }

    fn labels(&self, view: &View<'_>) -> Vec<String> {
        if !self.settings.labels {
            return Vec::new();
        }
        let labels = self.texts(view).flat_map(|texts| &texts.labels);
        labels.cloned().collect()
    }

    fn texts<'v>(&'v self, view: &'v View<'_>) -> impl Iterator<Item = &'v FamilyTexts> {
        let families = view.families.iter();
        families.filter_map(|family| self.families.get(family))
    }

    fn attached(&self, view: &View<'_>) -> Attached {
        if !self.settings.references {
            return Attached::default();
        }
        let mut attached = attach(std::iter::empty(), view.references.iter().copied());
        attached.left_out += view.references_left_out;
        attached
    }

    fn description(&self, view: &View<'_>, left_out: usize) -> Option<String> {
        let mut sentences = Sentences::default();
        let lists: Vec<&str> = self.texts(view).map(|texts| texts.list.as_str()).collect();
        sentences.lists(lists.into_iter());
        sentences.ports(&view.ports);
        sentences.notes(&view.notes, view.notes_left_out);
        if self.settings.references {
            let large = view.large_references.iter();
            sentences.addresses(large.map(|reference| reference.address()));
        }
        sentences.more_references(left_out);
        sentences.into_text()
    }

    fn detection(&self, severity: Severity) -> Option<bool> {
        (severity > Severity::Suspicious).then_some(self.settings.detection)
    }

    fn valid_from(&self, view: &View<'_>, occasion: Occasion, moment: Timestamp) -> Timestamp {
        let counts_age = self.settings.valid_from == ValidFrom::Reference;
        if !counts_age || matches!(occasion, Occasion::Returned(_)) {
            return moment;
        }
        let references = view.references.iter().chain(&view.large_references);
        let addresses = references.map(|reference| reference.address());
        dates::newest(addresses, moment).unwrap_or(moment)
    }
}

fn common(settings: &MappingSettings) -> Result<Common, MapperError> {
    let failed = |what| move |cause| MapperError { what, cause };
    let marking = MarkingDefinition::Tlp(settings.tlp);
    let marking = marking
        .write(&Common::default())
        .map_err(failed("marking"))?;
    let markings = vec![Arc::new(marking)];
    let page = ExternalReference::page(AUTHOR, AUTHOR_PAGE);
    let author = Identity {
        class: IdentityClass::Organization,
        name: AUTHOR,
        description: Some(AUTHOR_DESCRIPTION),
    };
    let author = author.write(&Common {
        markings: markings.clone(),
        external_references: page.into_iter().collect(),
        ..Common::default()
    });
    Ok(Common {
        author: Some(Arc::new(author.map_err(failed("author"))?)),
        markings,
        ..Common::default()
    })
}

fn label(text: &str) -> String {
    one_line(text, LABEL_CHARS).into_owned()
}

/// Keeps what was written; its id.
fn put(
    written: &mut Written,
    object: Result<StixObject, NotWritten>,
    name: &str,
    kind: &str,
) -> Option<StixId> {
    match object {
        Ok(object) => {
            let id = object.id.clone();
            written.objects.push(object);
            Some(id)
        }
        Err(error) => {
            written.skipped.push(skipped(name, kind, &error));
            None
        }
    }
}

fn skipped(name: &str, kind: &str, error: &NotWritten) -> Skipped {
    Skipped {
        id: safe(name, NAME).into_owned(),
        kind: kind.to_owned(),
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests;
