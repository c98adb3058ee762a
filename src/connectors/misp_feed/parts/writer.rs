//! Objects of one event, written: with the event's author, and their markings and labels.

use std::collections::HashMap;
use std::sync::Arc;

use crate::connectors::misp_feed::mapping::{Draft, Facts, SignPattern, What};
use crate::connectors::misp_feed::tags::{Entity, LabelText, Marks};
use crate::stix::make_id::IdentityClass;
use crate::stix::typed::{
    Common, Identity, Indicator, IndicatorPattern, Label, MarkingDefinition, NotWritten,
    Relationship, TypedObject,
};
use crate::stix::{Handling, StixId, StixObject, Timestamp};

/// The most markings and labels that are kept as objects; more are written again.
const MOST_KEPT: usize = 10_000;

/// Writes objects of one event.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) author: Arc<StixObject>,
    /// Labels of the event that its observables and indicators have, too.
    pub(super) propagated: Vec<LabelText>,
    markings: HashMap<(String, String), Arc<StixObject>>,
    labels: HashMap<(String, String), Arc<StixObject>>,
}

impl Writer {
    /// For an event by this author.
    pub(super) fn new(author: &str) -> Result<Self, NotWritten> {
        let author = Identity {
            class: IdentityClass::Organization,
            name: author,
            description: None,
        };
        Ok(Self {
            author: Arc::new(author.write(&Common::default())?),
            propagated: Vec::new(),
            markings: HashMap::new(),
            labels: HashMap::new(),
        })
    }

    /// What an object has in common with others. An object that cannot be marked is not written.
    pub(super) fn common(
        &mut self,
        marks: &Marks,
        labels: &[LabelText],
        moment: Option<Timestamp>,
    ) -> Result<Common, NotWritten> {
        let coloured = labels
            .iter()
            .filter_map(|label| Some((label, label.colour.as_ref()?)));
        let label_objects = coloured.filter_map(|(label, color)| self.label(label, color));
        let label_objects = label_objects.collect();
        Ok(Common {
            author: Some(Arc::clone(&self.author)),
            markings: self.markings(marks)?,
            labels: labels.iter().map(|label| label.value.clone()).collect(),
            label_objects,
            created: moment,
            modified: moment,
            ..Common::default()
        })
    }

    fn markings(&mut self, marks: &Marks) -> Result<Vec<Arc<StixObject>>, NotWritten> {
        let tlp = marks.tlp.map(MarkingDefinition::Tlp);
        let pap = marks.pap.map(|pap| MarkingDefinition::Other {
            definition_type: "PAP",
            definition: pap.definition(),
            order: None,
        });
        let others = marks.others.iter();
        let others = others.map(|(definition_type, definition)| MarkingDefinition::Other {
            definition_type,
            definition,
            order: None,
        });
        let all = tlp.into_iter().chain(pap).chain(others);
        all.map(|marking| self.marking(&marking)).collect()
    }

    fn marking(&mut self, marking: &MarkingDefinition<'_>) -> Result<Arc<StixObject>, NotWritten> {
        let key = match marking {
            MarkingDefinition::Tlp(tlp) => (String::new(), tlp.definition().to_owned()),
            MarkingDefinition::Other {
                definition_type,
                definition,
                ..
            } => ((*definition_type).to_owned(), (*definition).to_owned()),
        };
        if let Some(object) = self.markings.get(&key) {
            return Ok(Arc::clone(object));
        }
        if self.markings.len() >= MOST_KEPT {
            self.markings.clear();
        }
        let object = Arc::new(marking.write(&Common::default())?);
        self.markings.insert(key, Arc::clone(&object));
        Ok(object)
    }

    /// A label with its colour; without it, the platform makes the label by itself.
    fn label(&mut self, label: &LabelText, color: &str) -> Option<Arc<StixObject>> {
        let key = (label.value.clone(), color.to_owned());
        if let Some(object) = self.labels.get(&key) {
            return Some(Arc::clone(object));
        }
        if self.labels.len() >= MOST_KEPT {
            self.labels.clear();
        }
        let value = &label.value;
        let object = Label { value, color }.write(&Common::default()).ok()?;
        let object = Arc::new(object);
        self.labels.insert(key, Arc::clone(&object));
        Some(object)
    }

    /// Writes an observable or an indicator.
    pub(super) fn draft(&mut self, draft: &Draft) -> Result<StixObject, NotWritten> {
        let facts = &draft.facts;
        let is_own = |label: &LabelText| facts.labels.iter().any(|own| own.value == label.value);
        let others = self.propagated.iter().filter(|label| !is_own(label));
        let labels: Vec<LabelText> = facts.labels.iter().chain(others).cloned().collect();
        let common = self.common(&facts.marks, &labels, facts.timestamp)?;
        let common = Common {
            external_references: facts.references.clone(),
            ..common
        };
        match &draft.what {
            What::Observable(content) => content.write(facts, &common),
            What::Indicator {
                pattern,
                name,
                main_type,
            } => indicator(pattern, name, *main_type, facts).write(&Common {
                confidence: facts.confidence,
                ..common
            }),
        }
    }

    /// Writes an entity. Each event marks it as it is marked itself, and the strictest of these stays.
    pub(super) fn entity(
        &mut self,
        entity: &Entity,
        marks: &Marks,
    ) -> Result<StixObject, NotWritten> {
        let common = self.common(marks, &[], None)?;
        Ok(with_adding_up(entity.write(&common)?, true))
    }

    /// Writes a relationship, without times. Without a description, other events say the same of it, but for its marking.
    pub(super) fn relationship(
        &mut self,
        ends: (&'static str, &StixId, &StixId),
        description: Option<&str>,
        (marks, moment): (&Marks, Option<Timestamp>),
    ) -> Result<StixObject, NotWritten> {
        let (word, source, target) = ends;
        let common = self.common(marks, &[], moment)?;
        let relationship = Relationship {
            description,
            ..Relationship::new(word, source, target)
        };
        let object = relationship.write(&common)?;
        Ok(with_adding_up(object, description.is_none()))
    }
}

fn with_adding_up(object: StixObject, adds_up: bool) -> StixObject {
    let handling = Handling {
        adds_up,
        ..object.handling
    };
    object.handled(handling)
}

fn indicator<'a>(
    pattern: &'a SignPattern,
    name: &'a str,
    main_type: Option<&'static str>,
    facts: &'a Facts,
) -> Indicator<'a> {
    let pattern = match pattern {
        SignPattern::Stix(pattern) => IndicatorPattern::Stix(pattern),
        SignPattern::Rule(language, text) => IndicatorPattern::Rule(*language, text),
    };
    Indicator {
        main_observable_type: main_type,
        description: facts.comment.as_deref(),
        score: Some(facts.score),
        detection: Some(facts.to_ids),
        valid_from: facts.timestamp,
        valid_until: facts.valid_until,
        ..Indicator::new(name, pattern)
    }
}
