//! What the workers imported, and what was lost on the way (docs/protocol.md#import).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::bail;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::data::{DataSet, Record};
use crate::destination::{User, WorkError};
use crate::graphql::PlatformError;
use crate::release_rules::RULES;
use crate::types::OBSERVABLE_TYPES;
use crate::{Release, time};

use super::bundle::is_known;

mod audit;
mod entities;
mod files;
mod format;
pub(crate) mod kinds;
mod known;
mod life;
mod mirror;
pub(crate) mod pattern;
mod relations;

pub use audit::Refused;
use kinds::entity_type;
use known::Place;
pub use life::Life;

const EXTENSIONS: [&str; 2] = [
    "extension-definition--ea279b3e-5c71-4632-ac08-831c66a786ba",
    "extension-definition--f93e2c80-4231-4f9a-af8b-95c9bd566a82",
];
/// References that are not nested references between observables.
const NO_NESTED: [&str; 4] = [
    "created_by_ref",
    "object_marking_refs",
    "x_opencti_created_by_ref",
    "x_opencti_granted_refs",
];
const END_RETRIES: usize = 4;
const SURROUNDING_RETRIES: usize = 3;

/// One object as it landed.
#[derive(Debug, Clone, Default)]
pub struct ImportedObject {
    /// Its fields as sent; later imports overwrite earlier ones field by field. Of domain objects an
    /// import with less confidence only fills what is empty, lists of texts add up, and the older
    /// `created` stays. Of relationships and sightings times and count are those that stand.
    pub object: Value,
    /// What the platform calls its type: `Sector`, `Country`, `Case-Incident`, `IPv4-Addr`; of a
    /// relationship, its relationship type.
    pub entity_type: String,
    /// The author, where it existed.
    pub author: Option<String>,
    /// The markings that existed; of each type the highest one.
    pub markings: BTreeSet<String>,
    /// The values of its labels.
    pub labels: BTreeSet<String>,
    /// Nested references by relation, such as `obs_resolves-to`; under `object` what a container
    /// holds.
    pub references: BTreeMap<String, BTreeSet<String>>,
    /// External references, each once.
    pub external_references: Vec<Value>,
    /// The files that came within its external references, one entry for each time, with the reference.
    pub reference_files: Vec<(Value, Value)>,
    /// The files that were uploaded with it, by name; one of the same name takes the place of the old
    /// one. What came without content is none.
    pub files: BTreeMap<String, ImportedFile>,
    /// Kill chain and phase.
    pub kill_chain_phases: BTreeSet<(String, String)>,
    /// Of an indicator: its score and its life as the platform computes them.
    pub life: Option<Life>,
    /// The confidence of the last import that was taken, 100 where none was given.
    pub confidence: i64,
    /// How often it was imported.
    pub imports: usize,
    /// When it was last imported, as milliseconds since 1970.
    pub updated: i64,
}

/// One file of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedFile {
    /// Its type.
    pub mime_type: String,
    /// Its content.
    pub content: Vec<u8>,
    /// Whether the platform lets connectors import it at once.
    pub triggers_import: bool,
}

/// One label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedLabel {
    /// Its value; before 7.260807.0 in lower case.
    pub value: String,
    /// Its colour; none where the platform derives one from the text.
    pub color: Option<String>,
}

/// What an object landed without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossKind {
    /// Its author did not exist.
    Author,
    /// A marking did not exist: a disclosure risk.
    Marking,
    /// A label did not exist, and could not be made.
    Label,
    /// The source or destination of traffic did not exist.
    Reference,
    /// What a container was to hold did not exist.
    Member,
    /// An external reference had no source, or neither a URL nor an id.
    ExternalReference,
}

/// Something silently lost: no error reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The object that landed.
    pub id: String,
    /// What kind of thing it lacks.
    pub kind: LossKind,
    /// What it lacks.
    pub missing: String,
}

/// Why an object is not imported.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// What is missing may still come.
    Again,
    /// Reported at once.
    Final(WorkError),
}

/// Everything that the workers imported.
#[derive(Debug, Clone)]
pub struct Imported {
    release: Release,
    objects: BTreeMap<String, ImportedObject>,
    /// Other ids of objects, with the ids under which these stand.
    aliases: HashMap<String, String>,
    /// Entity types with names, aliases and hashes, and the ids of the objects that have them.
    names: HashMap<(String, String), BTreeSet<String>>,
    /// Relationships and sightings by type and ends.
    relationships: HashMap<(String, String, String), Vec<String>>,
    refused: Vec<Refused>,
    /// Whether indicators decay.
    is_decaying: bool,
    labels: BTreeMap<String, ImportedLabel>,
    losses: Vec<Loss>,
    changes: usize,
    user: User,
    /// Ids of markings that the user may not set.
    barred: BTreeSet<String>,
    /// Ids of objects whose next import fails.
    failing: BTreeSet<String>,
}

impl Imported {
    /// A platform that has some markings and nothing else.
    pub(crate) fn at(release: Release, user: User, markings: &[Record], is_decaying: bool) -> Self {
        let mut imported = Self {
            is_decaying,
            user,
            ..Self::new(release)
        };
        for marking in markings {
            imported.add_marking(marking);
        }
        imported
    }

    fn new(release: Release) -> Self {
        Self {
            user: User::default(),
            barred: BTreeSet::new(),
            failing: BTreeSet::new(),
            release,
            objects: BTreeMap::new(),
            aliases: HashMap::new(),
            names: HashMap::new(),
            relationships: HashMap::new(),
            refused: Vec::new(),
            is_decaying: true,
            labels: BTreeMap::new(),
            losses: Vec::new(),
            changes: 0,
        }
    }

    fn add_marking(&mut self, marking: &Record) {
        let order = json!({ "order": marking.get("x_opencti_order"), "color": marking.get("x_opencti_color") });
        let mut object = Record::new("MarkingDefinition");
        object
            .set("type", "marking-definition")
            .set("id", marking.standard_id())
            .set("definition_type", marking.text("definition_type"))
            .set("name", marking.text("definition"))
            .set("extensions", json!({ EXTENSIONS[0]: order }));
        let landed = ImportedObject {
            object: object.to_value(),
            entity_type: "Marking-Definition".to_owned(),
            ..ImportedObject::default()
        };
        self.objects
            .insert(marking.standard_id().to_owned(), landed);
    }

    pub(crate) fn delete(&mut self, id: &str) {
        self.changes += 1;
        let Some(key) = self.key(id).map(str::to_owned) else {
            return;
        };
        self.forget(&key);
        self.relationships
            .retain(|(_, source, target), _| *source != key && *target != key);
        for ties in self.relationships.values_mut() {
            ties.retain(|tie| *tie != key);
        }
    }

    /// Whether the user has a capability, by its name or that of a narrower one.
    pub(crate) fn user_may(&self, capability: &str) -> bool {
        self.user.may(capability)
    }

    pub(crate) fn change_user(&mut self, change: impl FnOnce(&mut User)) {
        change(&mut self.user);
        if self.user.may_set_new_markings {
            self.barred.clear();
        }
    }

    /// The answer to `me`.
    pub(crate) fn me(&self) -> Value {
        let allowed = self.of_type("marking-definition");
        let allowed = allowed.filter(|(id, _)| self.may_set(id));
        let mut allowed: Vec<Value> = allowed
            .map(|(id, marking)| self.marking(id, marking))
            .collect();
        if self.user.lacks_other_ids {
            for marking in &mut allowed {
                marking["x_opencti_stix_ids"] = json!([]);
            }
        }
        self.user.to_json(&allowed)
    }

    /// All markings in the field names of the schema.
    pub(crate) fn markings(&self) -> Vec<Value> {
        let markings = self.of_type("marking-definition");
        markings
            .map(|(id, marking)| self.marking(id, marking))
            .collect()
    }

    fn marking(&self, id: &str, marking: &ImportedObject) -> Value {
        let name = marking
            .object
            .get("name")
            .or(marking.object.get("definition"));
        let (standard_id, others) = if self.user.lacks_other_ids {
            let own = Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes());
            (format!("marking-definition--{own}"), vec![id])
        } else {
            (id.to_owned(), Vec::new())
        };
        json!({
            "id": Uuid::new_v5(&Uuid::NAMESPACE_URL, id.as_bytes()).to_string(), "standard_id": standard_id,
            "entity_type": "Marking-Definition", "x_opencti_stix_ids": others,
            "definition": name, "x_opencti_order": 0,
        })
    }

    /// Makes a label as somebody who asks for it, not the workers.
    pub(crate) fn make_label(&mut self, input: Option<&Value>) -> Result<Value, PlatformError> {
        let mut object = Record::from(
            input
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
        );
        object.set("type", "label");
        let made = self.import_label(&object);
        made.map_err(|refusal| match refusal {
            Refusal::Again => PlatformError::functional("something is missing"),
            Refusal::Final(error) => PlatformError::functional(error.message),
        })?;
        let id = crate::ids::label_id(object.text("value"));
        Ok(json!({ "id": id, "standard_id": id, "entity_type": "Label" }))
    }

    /// The labels with these ids, in the field names of the schema.
    pub(crate) fn labels_of(&self, ids: &[String]) -> Vec<Value> {
        let labels = self.labels.values().filter_map(|label| {
            let id = crate::ids::label_id(&label.value);
            ids.contains(&id).then(|| {
                json!({ "id": id, "standard_id": id, "entity_type": "Label",
                    "value": label.value, "color": label.color })
            })
        });
        labels.collect()
    }

    /// The identities with these ids, in the field names of the schema.
    pub(crate) fn identities_of(&self, ids: &[String]) -> Vec<Value> {
        let identities = self.of_type("identity");
        let identities = identities.filter(|(id, _)| ids.iter().any(|asked| asked == id));
        identities
            .map(|(id, identity)| {
                let markings: Vec<Value> = identity
                    .markings
                    .iter()
                    .map(|id| json!({ "id": id, "standard_id": id, "entity_type": "Marking-Definition", "x_opencti_stix_ids": [] }))
                    .collect();
                let written = identity.object.as_object().cloned().unwrap_or_default();
                let mut node = Record::from(written);
                let others = known::other_ids(&node);
                node.set("standard_id", id)
                    .set("id", id)
                    .set("entity_type", identity.entity_type.clone())
                    .set("__typename", identity.entity_type.replace('-', ""))
                    .set("x_opencti_stix_ids", others)
                    .set("objectMarking", markings);
                json!(node)
            })
            .collect()
    }

    fn may_set(&self, marking: &str) -> bool {
        let named = self
            .get(marking)
            .and_then(|marking| marking.object.get("name"));
        let named = named.and_then(Value::as_str).unwrap_or_default();
        !self.barred.contains(marking) && !self.user.barred_markings.contains(named)
    }

    /// An object by any of its ids: the one that it was sent with first, the platform's own, or one
    /// of its other ids.
    pub fn get(&self, id: &str) -> Option<&ImportedObject> {
        self.objects.get(self.key(id)?)
    }

    /// All objects but labels, by id.
    pub fn objects(&self) -> impl Iterator<Item = (&str, &ImportedObject)> {
        self.objects
            .iter()
            .map(|(id, object)| (id.as_str(), object))
    }

    /// The objects of a STIX type, by id.
    pub fn of_type<'a>(
        &'a self,
        stix_type: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a ImportedObject)> {
        self.objects().filter(move |(_, imported)| {
            imported.object.get("type").and_then(Value::as_str) == Some(stix_type)
        })
    }

    /// A label by its value, ignoring case.
    pub fn label(&self, value: &str) -> Option<&ImportedLabel> {
        self.labels.get(&label_key(value))
    }

    /// All labels.
    pub fn labels(&self) -> impl Iterator<Item = &ImportedLabel> {
        self.labels.values()
    }

    /// What was lost without an error, in order.
    pub fn losses(&self) -> &[Loss] {
        &self.losses
    }

    /// Grows with every import.
    pub(crate) fn changes(&self) -> usize {
        self.changes
    }

    /// The same in the form of the lists.
    pub(crate) fn to_data_set(&self) -> DataSet {
        mirror::data_set(self)
    }

    /// Imports one object; `attempt` counts from 0.
    pub(crate) fn import(&mut self, object: &Record, attempt: usize) -> Result<(), Refusal> {
        self.changes += 1;
        let result = self.take(object, attempt);
        if let Err(Refusal::Final(error)) = &result {
            self.refused.push(Refused::new(object, &error.message));
        }
        result
    }

    /// Imports one object without waiting for anything that it refers to.
    pub(crate) fn import_at_once(&mut self, object: &Record) -> anyhow::Result<()> {
        for attempt in 0..=END_RETRIES {
            match self.import(object, attempt) {
                Ok(()) => return Ok(()),
                Err(Refusal::Again) => {}
                Err(Refusal::Final(error)) => bail!("{}: {}", object.id(), error.message),
            }
        }
        bail!("{}: given up", object.id())
    }

    /// Notes what is refused before it is tried.
    pub(crate) fn note_refused(&mut self, object: &Record, message: &str) {
        self.refused.push(Refused::new(object, message));
    }

    /// Lets the next import of an object fail, as where the database takes too long.
    pub(crate) fn fail_next(&mut self, id: &str) {
        self.failing.insert(id.to_owned());
    }

    fn take(&mut self, object: &Record, attempt: usize) -> Result<(), Refusal> {
        if self.failing.remove(object.id()) {
            return Err(refusal(
                object,
                "DATABASE_ERROR: the database takes too long",
            ));
        }
        if RULES.deletes.includes(self.release) && entities::is_deletion(object) {
            self.delete(object.id());
            if RULES.deletes_without_an_error.includes(self.release) {
                return Ok(());
            }
            return Err(refusal(object, "Not supported opencti_operation"));
        }
        if let Some(message) = kinds::refused(object) {
            return Err(refusal(object, message));
        }
        match object.text("type") {
            "label" => self.import_label(object),
            "marking-definition" => self.import_marking(object, attempt),
            "relationship" => self.import_relationship(object, attempt),
            "sighting" => self.import_sighting(object, attempt),
            "indicator" => {
                self.check_indicator(object)?;
                self.import_entity(object, attempt)
            }
            kind if relations::is_observable(kind) => {
                check_score(object)?;
                if !format::is_taken(object) {
                    return Err(refusal(object, "INCORRECT_OBSERVABLE_FORMAT"));
                }
                self.store(object, attempt)?;
                self.add_references(object)
            }
            kind if kinds::is_domain_type(kind) => {
                check_score(object)?;
                self.import_entity(object, attempt)
            }
            _ => self.store(object, attempt).map(drop),
        }
    }

    /// First colour rule: until 7.260806 an import overwrites the colour, from then on an existing
    /// label stays as it is.
    fn import_label(&mut self, object: &Record) -> Result<(), Refusal> {
        let (value, color) = (object.text("value"), object.text("color"));
        if !self.user.may("SETTINGS_SETLABELS") {
            return Err(refusal(
                object,
                "FORBIDDEN_ACCESS: You are not allowed to do this.",
            ));
        }
        if value.is_empty() || color.is_empty() {
            return Err(refusal(object, "'color'"));
        }
        let (key, keeps) = (label_key(value), RULES.keeps_labels.includes(self.release));
        if !(keeps && self.labels.contains_key(&key)) {
            let label = ImportedLabel {
                value: self.label_value(value),
                color: Some(color.to_owned()),
            };
            self.labels.insert(key, label);
        }
        Ok(())
    }

    /// Making one is a right of its own, and not everybody may set it then.
    fn import_marking(&mut self, object: &Record, attempt: usize) -> Result<(), Refusal> {
        if !self.user.may("SETTINGS_SETMARKINGS") {
            let message = "FORBIDDEN_ACCESS: You are not allowed to do this.";
            return Err(refusal(object, message));
        }
        if self.get(object.id()).is_none() && !self.user.may_set_new_markings {
            self.barred.insert(object.id().to_owned());
        }
        self.store(object, attempt).map(drop)
    }

    fn label_value(&self, value: &str) -> String {
        if RULES.keeps_labels.includes(self.release) {
            value.trim().to_owned()
        } else {
            label_key(value)
        }
    }

    fn check_indicator(&self, object: &Record) -> Result<(), Refusal> {
        let name = if object.text("name").is_empty() {
            object.text("pattern")
        } else {
            object.text("name")
        };
        if object.text("pattern").is_empty() || object.text("pattern_type").is_empty() {
            return Err(refusal(object, "INCORRECT_INDICATOR_FORMAT: no pattern"));
        }
        let is_stix = object.text("pattern_type").eq_ignore_ascii_case("stix");
        if is_stix && pattern::normal(object.text("pattern")).is_none() {
            return Err(refusal(
                object,
                "INCORRECT_INDICATOR_FORMAT: Indicator of type stix is not correctly formatted.",
            ));
        }
        if name.chars().count() < 2 {
            return Err(refusal(
                object,
                "VALIDATION_ERROR: name needs two characters",
            ));
        }
        let times = [object.text("valid_from"), object.text("valid_until")];
        if !times[1].is_empty() && times[1] < times[0] {
            return Err(refusal(
                object,
                "The valid until date must be greater than the valid from date",
            ));
        }
        let main_type = object.text("x_opencti_main_observable_type");
        let main_type = if main_type == "File" {
            "StixFile"
        } else {
            main_type
        };
        let mut known = OBSERVABLE_TYPES
            .iter()
            .filter(|known| is_known(&known.stix_type(), self.release));
        if !["", "Unknown"].contains(&main_type)
            && !known.any(|known| known.entity_type == main_type)
        {
            return Err(refusal(
                object,
                format!("Observable type {main_type} is not supported."),
            ));
        }
        check_score(object)
    }

    /// Stores an object where it belongs.
    fn store(&mut self, object: &Record, attempt: usize) -> Result<String, Refusal> {
        self.check_surroundings(object, attempt)?;
        match self.place(object) {
            Place::At(key) => self.store_at(&key, object, attempt).map(|()| key),
            Place::Kept(key) => Ok(key),
        }
    }

    /// A marking that the user may not set, and what does not exist, is waited for.
    fn check_surroundings(&self, object: &Record, attempt: usize) -> Result<(), Refusal> {
        let markings = texts(object.get("object_marking_refs"));
        let barred = markings
            .iter()
            .find(|id| self.get(id).is_some() && !self.may_set(id))
            .filter(|_| RULES.checks_markings.includes(self.release));
        if let Some(barred) = barred {
            let missing = format!("MISSING_REFERENCE_ERROR: missing markings: {barred}");
            return Err(if attempt < END_RETRIES {
                Refusal::Again
            } else {
                refusal(object, missing)
            });
        }
        if !self.missing(object).is_empty() && attempt < SURROUNDING_RETRIES {
            return Err(Refusal::Again);
        }
        Ok(())
    }

    /// What an object refers to beside its nested references, and what does not exist of it.
    fn missing(&self, object: &Record) -> Vec<(LossKind, String)> {
        let markings = texts(object.get("object_marking_refs"));
        let markings = markings.into_iter().map(|id| (LossKind::Marking, id));
        let members = entities::members_of(object);
        let members = members.into_iter().map(|id| (LossKind::Member, id));
        let author = author_of(object).map(|id| (LossKind::Author, id));
        let all = markings.chain(members).chain(author);
        all.filter(|(_, id)| self.get(id).is_none()).collect()
    }

    /// Stores an object under this key with its surroundings; what of them does not exist is lost
    /// after some tries.
    fn store_at(&mut self, key: &str, object: &Record, attempt: usize) -> Result<(), Refusal> {
        self.check_surroundings(object, attempt)?;
        let files = files::files_of(object).map_err(|message| refusal(object, message))?;
        let author = author_of(object);
        let markings = texts(object.get("object_marking_refs"));
        let mut missing = self.missing(object);
        let (external, dropped) = external_references(object);
        missing.extend(dropped);
        let losses = missing.into_iter().map(|(kind, missing)| Loss {
            id: object.id().to_owned(),
            kind,
            missing,
        });
        self.losses.extend(losses);
        let labels = self.add_labels(object);
        let members = entities::members_of(object);
        let members = members
            .iter()
            .filter_map(|id| self.key(id).map(str::to_owned));
        let members: BTreeSet<String> = members.collect();
        let mut stored = self.objects.remove(key).unwrap_or_default();
        stored.entity_type = entity_type(object);
        stored.overwrite(object);
        if stored.may_have_author(object) {
            stored.author = author.filter(|id| self.get(id).is_some()).or(stored.author);
        }
        stored.confidence = stored.confidence.max(entities::confidence_of(object));
        stored
            .markings
            .extend(markings.into_iter().filter(|id| self.get(id).is_some()));
        stored.markings = self.highest(stored.markings);
        stored.labels.extend(labels);
        stored.kill_chain_phases.extend(entities::phases_of(object));
        if !members.is_empty() {
            let held = stored.references.entry("object".to_owned()).or_default();
            held.extend(members);
        }
        stored.add_external_references(external);
        stored.files.extend(files);
        self.objects.insert(key.to_owned(), stored);
        self.remember(key, object);
        Ok(())
    }

    /// The labels of an object, created where they are missing; the first of the forms wins.
    fn add_labels(&mut self, object: &Record) -> Vec<String> {
        let plain = |value: &Value| (value.as_str().unwrap_or_default().to_owned(), None);
        let tag = |tag: &Value| {
            let text = |name| tag.get(name).and_then(Value::as_str).map(str::to_owned);
            (text("value").unwrap_or_default(), text("color"))
        };
        let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned();
        let labels = list(object.get("labels")).or_else(|| list(extension(object, "labels")));
        let labels = labels.or_else(|| list(object.get("x_opencti_labels")));
        let labels: Vec<(String, Option<String>)> = match labels {
            Some(labels) => labels.iter().map(plain).collect(),
            None => list(object.get("x_opencti_tags"))
                .unwrap_or_default()
                .iter()
                .map(tag)
                .collect(),
        };
        let mut values = Vec::new();
        for (value, color) in labels {
            let new = ImportedLabel {
                value: self.label_value(&value),
                color,
            };
            if !self.user.may("SETTINGS_SETLABELS") && !self.labels.contains_key(&label_key(&value))
            {
                self.losses.push(Loss {
                    id: object.id().to_owned(),
                    kind: LossKind::Label,
                    missing: value,
                });
                continue;
            }
            values.push(
                self.labels
                    .entry(label_key(&value))
                    .or_insert(new)
                    .value
                    .clone(),
            );
        }
        values
    }

    /// Of several markings of one type only the one of the highest order stays.
    fn highest(&self, markings: BTreeSet<String>) -> BTreeSet<String> {
        let mut kept: BTreeMap<String, (i64, String)> = BTreeMap::new();
        for id in markings {
            let marking = self.get(&id).map(|marking| {
                Record::from(marking.object.as_object().cloned().unwrap_or_default())
            });
            let marking = marking.unwrap_or_else(|| Record::new("MarkingDefinition"));
            let order = marking
                .get("x_opencti_order")
                .or_else(|| extension(&marking, "order"));
            let order = order.and_then(Value::as_i64).unwrap_or_default();
            // Statements do not exclude each other.
            let kind = match marking.text("definition_type").to_lowercase() {
                kind if kind == "statement" || kind.is_empty() => id.clone(),
                kind => kind,
            };
            if kept.get(&kind).is_none_or(|(known, _)| *known < order) {
                kept.insert(kind, (order, id));
            }
        }
        kept.into_values().map(|(_, id)| id).collect()
    }

    /// Nested references are made after the object, one by one; the first error ends it.
    fn add_references(&mut self, object: &Record) -> Result<(), Refusal> {
        for (name, relation) in [("src_ref", "src"), ("dst_ref", "dst")] {
            if RULES.sets_ends_at_creation.includes(self.release) && object.get(name).is_some() {
                self.set_end(object, relation, object.text(name));
            }
        }
        for (name, value) in object.fields() {
            let single = name.strip_suffix("_ref");
            let Some(relation) = single.or_else(|| name.strip_suffix("_refs")) else {
                continue;
            };
            let is_end = ["src_ref", "dst_ref"].contains(&name);
            let is_left_out = NO_NESTED.contains(&name)
                || (is_end && RULES.sets_ends_only_at_creation.includes(self.release));
            if !is_left_out {
                self.add_reference(object, &relation_of(relation), value, single.is_some())?;
            }
        }
        Ok(())
    }

    /// Source and destination of traffic are set with the object itself.
    fn set_end(&mut self, object: &Record, relation: &str, target: &str) {
        if self.get(target).is_some() {
            let targets = self
                .references_of(object)
                .entry(relation.to_owned())
                .or_default();
            targets.insert(target.to_owned());
        } else {
            let (id, missing) = (object.id().to_owned(), target.to_owned());
            self.losses.push(Loss {
                id,
                kind: LossKind::Reference,
                missing,
            });
        }
    }

    fn add_reference(
        &mut self,
        object: &Record,
        relation: &str,
        value: &Value,
        single: bool,
    ) -> Result<(), Refusal> {
        if single && value.is_null() {
            return Err(refusal(
                object,
                format!("MISSING_ELEMENTS: {relation} is null"),
            ));
        }
        let is_set = self.references_of(object).contains_key(relation);
        if single && is_set && RULES.refuses_set_references.includes(self.release) {
            return Err(refusal(
                object,
                format!("UNSUPPORTED_ERROR: {relation} is a single reference that is set"),
            ));
        }
        for target in texts(Some(value)) {
            if self.get(&target).is_none() {
                return Err(refusal(
                    object,
                    format!("MISSING_ELEMENTS: {target} of {relation} does not exist"),
                ));
            }
            self.references_of(object)
                .entry(relation.to_owned())
                .or_default()
                .insert(target);
        }
        Ok(())
    }

    fn references_of(&mut self, object: &Record) -> &mut BTreeMap<String, BTreeSet<String>> {
        let key = self.key(object.id()).unwrap_or(object.id()).to_owned();
        &mut self.objects.entry(key).or_default().references
    }
}

impl ImportedObject {
    fn overwrite(&mut self, object: &Record) {
        if kinds::is_domain_type(object.text("type")) && self.imports > 0 {
            self.upsert(object);
        } else {
            let known = self.object.as_object().cloned().unwrap_or_default();
            let mut merged = Record::from(known);
            for (name, value) in object.fields() {
                merged.set(name.to_owned(), value.clone());
            }
            self.object = merged.to_value();
        }
        self.imports += 1;
        self.updated = time::now();
    }

    fn add_external_references(&mut self, references: Vec<Value>) {
        for mut reference in references {
            let files = reference.as_object_mut();
            let files = files.and_then(|reference| reference.remove("x_opencti_files"));
            let files = files.as_ref().and_then(Value::as_array);
            for file in files.into_iter().flatten() {
                self.reference_files.push((reference.clone(), file.clone()));
            }
            if !self.external_references.contains(&reference) {
                self.external_references.push(reference);
            }
        }
    }
}

fn check_score(object: &Record) -> Result<(), Refusal> {
    match object.get("x_opencti_score") {
        Some(score) if !score.is_null() && score.as_u64().is_none_or(|score| score > 100) => {
            Err(refusal(
                object,
                format!("VALIDATION_ERROR: the score {score} is not within 0 and 100"),
            ))
        }
        _ => Ok(()),
    }
}

fn refusal(object: &Record, message: impl Into<String>) -> Refusal {
    Refusal::Final(WorkError {
        message: message.into(),
        source: object.to_value().to_string(),
    })
}

fn label_key(value: &str) -> String {
    value.trim().to_lowercase()
}

/// The value of a key in the platform's extensions.
fn extension<'a>(object: &'a Record, key: &str) -> Option<&'a Value> {
    let extensions = object.get("extensions")?;
    EXTENSIONS
        .iter()
        .find_map(|id| extensions.get(*id)?.get(key))
}

fn author_of(object: &Record) -> Option<String> {
    let names = ["created_by_ref", "x_opencti_created_by_ref"];
    let own = names.iter().find_map(|name| object.get(name)?.as_str());
    own.or_else(|| extension(object, "created_by_ref")?.as_str())
        .map(str::to_owned)
}

/// The external references that can be made, and the others.
fn external_references(object: &Record) -> (Vec<Value>, Vec<(LossKind, String)>) {
    let list = object
        .get("external_references")
        .or_else(|| extension(object, "external_references"));
    let list = list.and_then(Value::as_array).cloned().unwrap_or_default();
    let is_text = |reference: &Value, name: &str| {
        reference
            .get(name)
            .and_then(Value::as_str)
            .is_some_and(|t| !t.is_empty())
    };
    // The platform asks for the source's name, the client for one of the others beside it.
    let (made, dropped): (Vec<Value>, Vec<Value>) = list.into_iter().partition(|reference| {
        is_text(reference, "source_name")
            && (is_text(reference, "url") || is_text(reference, "external_id"))
    });
    let dropped = dropped
        .into_iter()
        .map(|reference| (LossKind::ExternalReference, reference.to_string()));
    (made, dropped.collect())
}

fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(list)) => list
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}

/// The platform's name of a nested reference.
fn relation_of(key: &str) -> String {
    let relation = key.replace('_', "-");
    if ["resolves-to", "belongs-to", "content"].contains(&relation.as_str()) {
        return format!("obs_{relation}");
    }
    relation
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: Value) -> Record {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_is_missing_costs_a_marking_silently_and_a_reference_loudly() {
        let mut imported = Imported::new(Release::LATEST);
        let domain = record(json!({
            "id": "domain-name--1", "type": "domain-name", "value": "a.example",
            "object_marking_refs": ["marking-definition--1"], "resolves_to_refs": ["ipv4-addr--1"],
        }));
        assert!(matches!(imported.import(&domain, 0), Err(Refusal::Again)));
        let Err(Refusal::Final(error)) = imported.import(&domain, 3) else {
            panic!("refused")
        };
        assert!(
            error.message.starts_with("MISSING_ELEMENTS"),
            "{}",
            error.message
        );
        assert!(imported.get("domain-name--1").unwrap().markings.is_empty());
        assert_eq!(imported.losses()[0].kind, LossKind::Marking);
    }

    #[test]
    fn an_existing_label_keeps_its_colour_only_on_new_releases() {
        for (release, color) in [("7.260806.0", "#222222"), ("7.260807.0", "#111111")] {
            let mut imported = Imported::new(release.parse().unwrap());
            for (value, color) in [("Phishing", "#111111"), ("phishing", "#222222")] {
                let label =
                    json!({ "id": "label--1", "type": "label", "value": value, "color": color });
                imported.import(&record(label), 0).unwrap();
            }
            assert_eq!(
                imported.label("PHISHING").unwrap().color.as_deref(),
                Some(color),
                "{release}"
            );
        }
    }
}
