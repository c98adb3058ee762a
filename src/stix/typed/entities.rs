//! Entities (identities, threats, vulnerabilities, techniques, locations), labels and marking definitions.

use serde_json::{Map, Value, json};

use super::super::make_id::{self, IdentityClass, LocationType};
use super::super::text::{DESCRIPTION_CHARS, NAME_CHARS};
use super::super::tlp::{self, Tlp};
use super::super::{StixObject, Timestamp};
use super::TypedObject;
use super::common::Common;
use super::draft::{Draft, Nature, NotWritten, need, optional};

/// OpenCTI's extension of STIX objects (docs/protocol.md#import).
const OPENCTI_EXTENSION: &str = "extension-definition--ea279b3e-5c71-4632-ac08-831c66a786ba";

/// When the markings of the Traffic Light Protocol were made, 2017-01-20 (STIX 2.1 §7.2.1.4): a marking has to say it.
const TLP_CREATED_SECONDS: i64 = 1_484_870_400;

/// An identity: an organisation, a person, a sector or a system. An author has no author, so it is written with a
/// [`Common`] of its own.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// What it is.
    pub class: IdentityClass,
    /// Its name.
    pub name: &'a str,
    /// What it is, in words.
    pub description: Option<&'a str>,
}

impl TypedObject for Identity<'_> {
    fn write(&self, common: &Common) -> Result<StixObject, NotWritten> {
        let name = need("name", self.name, NAME_CHARS)?;
        let mut draft = Draft::new(make_id::identity(self.class, &name));
        draft.required("name", &name);
        draft.required("identity_class", self.class.as_str());
        draft.text("description", self.description, DESCRIPTION_CHARS);
        draft.common(common, Nature::Domain);
        draft.finish(self.class.kind())
    }
}

/// What kind of threat a [`Threat`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ThreatKind {
    /// A malware, or a family of it.
    Malware {
        /// Whether it is a family.
        is_family: bool,
    },
    /// A set of intrusions of one origin, as groups of attackers are called.
    IntrusionSet,
    /// A legitimate program that attackers use.
    Tool,
    /// Intrusions of one time and aim.
    Campaign,
}

/// A malware, an intrusion set, a tool or a campaign.
#[derive(Debug, Clone, Copy)]
pub struct Threat<'a> {
    /// What it is.
    pub kind: ThreatKind,
    /// Its name.
    pub name: &'a str,
    /// Other names of it. The platform takes an object that has one of them for the same, and changes that.
    pub aliases: &'a [&'a str],
    /// What it is, in words.
    pub description: Option<&'a str>,
}

impl TypedObject for Threat<'_> {
    fn write(&self, common: &Common) -> Result<StixObject, NotWritten> {
        let name = need("name", self.name, NAME_CHARS)?;
        let (id, kind) = match self.kind {
            ThreatKind::Malware { .. } => (make_id::malware(&name), "Malware"),
            ThreatKind::IntrusionSet => (make_id::intrusion_set(&name), "Intrusion-Set"),
            ThreatKind::Tool => (make_id::tool(&name), "Tool"),
            ThreatKind::Campaign => (make_id::campaign(&name), "Campaign"),
        };
        let mut draft = Draft::new(id);
        draft.required("name", &name);
        if let ThreatKind::Malware { is_family } = self.kind {
            draft.value("is_family", Some(is_family));
        }
        draft.names("aliases", self.aliases);
        draft.text("description", self.description, DESCRIPTION_CHARS);
        draft.common(common, Nature::Domain);
        draft.finish(kind)
    }
}

/// A vulnerability, such as `CVE-2026-1234`.
#[derive(Debug, Clone, Copy)]
pub struct Vulnerability<'a> {
    /// Its number, or another name.
    pub name: &'a str,
    /// What it is, in words.
    pub description: Option<&'a str>,
    /// How severe it is, from 0 to 10 (CVSS). Another number is left out.
    pub cvss_base_score: Option<f64>,
}

impl TypedObject for Vulnerability<'_> {
    fn write(&self, common: &Common) -> Result<StixObject, NotWritten> {
        let name = need("name", self.name, NAME_CHARS)?;
        let mut draft = Draft::new(make_id::vulnerability(&name));
        draft.required("name", &name);
        draft.text("description", self.description, DESCRIPTION_CHARS);
        let score = self.cvss_base_score;
        let score = score.filter(|score| (0.0..=10.0).contains(score));
        draft.value("x_opencti_cvss_base_score", score);
        draft.common(common, Nature::Domain);
        draft.finish("Vulnerability")
    }
}

/// An attack pattern: a technique of attackers.
#[derive(Debug, Clone, Copy)]
pub struct AttackPattern<'a> {
    /// Its name. The platform gives a technique that it has this name.
    pub name: &'a str,
    /// Its number in MITRE's list, such as `T1059.001`.
    pub mitre_id: Option<&'a str>,
    /// Other names of it.
    pub aliases: &'a [&'a str],
    /// What it is, in words.
    pub description: Option<&'a str>,
}

impl TypedObject for AttackPattern<'_> {
    fn write(&self, common: &Common) -> Result<StixObject, NotWritten> {
        let name = need("name", self.name, NAME_CHARS)?;
        let mitre_id = optional("MITRE number", self.mitre_id, NAME_CHARS)?;
        let mut draft = Draft::new(make_id::attack_pattern(&name, mitre_id.as_deref()));
        draft.required("name", &name);
        draft.value("x_mitre_id", mitre_id);
        draft.names("aliases", self.aliases);
        draft.text("description", self.description, DESCRIPTION_CHARS);
        draft.common(common, Nature::Domain);
        draft.finish("Attack-Pattern")
    }
}

/// A course of action: what helps against attackers.
#[derive(Debug, Clone, Copy)]
pub struct CourseOfAction<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its number in MITRE's list, such as `M1042`.
    pub mitre_id: Option<&'a str>,
    /// What it is, in words.
    pub description: Option<&'a str>,
}

impl TypedObject for CourseOfAction<'_> {
    fn write(&self, common: &Common) -> Result<StixObject, NotWritten> {
        let name = need("name", self.name, NAME_CHARS)?;
        let mitre_id = optional("MITRE number", self.mitre_id, NAME_CHARS)?;
        let mut draft = Draft::new(make_id::course_of_action(&name, mitre_id.as_deref()));
        draft.required("name", &name);
        draft.value("x_mitre_id", mitre_id);
        draft.text("description", self.description, DESCRIPTION_CHARS);
        draft.common(common, Nature::Domain);
        draft.finish("Course-Of-Action")
    }
}

/// A location.
#[derive(Debug, Clone, Copy)]
pub struct Location<'a> {
    /// What it is.
    pub location_type: LocationType,
    /// Its name.
    pub name: &'a str,
    /// The country's code of ISO 3166-1, where it is in one.
    pub country: Option<&'a str>,
    /// What it is, in words.
    pub description: Option<&'a str>,
}

impl TypedObject for Location<'_> {
    fn write(&self, common: &Common) -> Result<StixObject, NotWritten> {
        let name = need("name", self.name, NAME_CHARS)?;
        let mut draft = Draft::new(make_id::location(self.location_type, &name));
        draft.required("name", &name);
        draft.required("x_opencti_location_type", self.location_type.as_str());
        // STIX wants one of these (STIX 2.1 §4.9).
        match self.location_type {
            LocationType::Region => draft.required("region", &name),
            LocationType::Country => {
                draft.text("country", self.country.or(Some(&name)), NAME_CHARS);
            }
            LocationType::City => draft.required("city", &name),
            LocationType::AdministrativeArea => draft.required("administrative_area", &name),
        }
        if !matches!(self.location_type, LocationType::Country) {
            draft.text("country", self.country, NAME_CHARS);
        }
        draft.text("description", self.description, DESCRIPTION_CHARS);
        draft.common(common, Nature::Domain);
        draft.finish(self.location_type.as_str())
    }
}

/// A label with its colour, sent ahead of objects that bear it.
#[derive(Debug, Clone, Copy)]
pub struct Label<'a> {
    /// The label.
    pub value: &'a str,
    /// Its colour, such as `#339900`: the platform's client fails at a label without one.
    pub color: &'a str,
}

impl TypedObject for Label<'_> {
    fn write(&self, _: &Common) -> Result<StixObject, NotWritten> {
        let value = need("value", self.value, NAME_CHARS)?;
        let color = self.color.trim();
        let digits = color.strip_prefix('#').unwrap_or_default();
        let is_color = digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_color {
            return Err(NotWritten::Missing("colour"));
        }
        let mut draft = Draft::new(make_id::label(&value));
        draft.required("value", &value);
        draft.required("color", color);
        draft.finish("label")
    }
}

/// A marking definition: who may see an object. Of [`Common`], only `created` is written.
#[derive(Debug, Clone, Copy)]
pub enum MarkingDefinition<'a> {
    /// One of the Traffic Light Protocol, which every platform has.
    Tlp(Tlp),
    /// Another one.
    Other {
        /// Its type, such as `PAP` or `statement`.
        definition_type: &'a str,
        /// What it says, such as `PAP:RED`.
        definition: &'a str,
        /// Its place among those of its type: of several on one object the platform keeps the highest. It counts only
        /// where the platform does not have the marking yet.
        order: Option<u32>,
    },
}

impl MarkingDefinition<'_> {
    /// The marking of this type and definition, in any spelling of the Traffic Light Protocol.
    pub fn of<'a>(
        definition_type: &'a str,
        definition: &'a str,
        order: Option<u32>,
    ) -> MarkingDefinition<'a> {
        match tlp::meant(Some(definition_type), definition) {
            Some(tlp) => MarkingDefinition::Tlp(tlp),
            None => MarkingDefinition::Other {
                definition_type,
                definition,
                order,
            },
        }
    }
}

impl TypedObject for MarkingDefinition<'_> {
    fn write(&self, common: &Common) -> Result<StixObject, NotWritten> {
        let created = match self {
            Self::Tlp(_) => Timestamp::from_seconds(TLP_CREATED_SECONDS),
            Self::Other { .. } => common.created,
        };
        let (definition_type, definition, order) = match self {
            Self::Tlp(tlp) => ("TLP", tlp.definition(), None),
            Self::Other {
                definition_type,
                definition,
                order,
            } => (*definition_type, *definition, *order),
        };
        let definition_type = need("type", definition_type, NAME_CHARS)?;
        let definition = need("definition", definition, NAME_CHARS)?;
        let id = make_id::marking_definition(&definition_type, &definition);
        let mut draft = Draft::new(id);
        draft.value("created", created);
        draft.required("definition_type", &definition_type);
        draft.required("name", &definition);
        // STIX has statements of its own, with a definition of their own (STIX 2.1 §7.2.1.3).
        let is_statement = definition_type == "statement";
        draft.value(
            "definition",
            is_statement.then(|| json!({ "statement": definition })),
        );
        let mut extension = Map::new();
        extension.insert("extension_type".to_owned(), "property-extension".into());
        if let Some(order) = order {
            extension.insert("order".to_owned(), order.into());
        }
        let extension = Value::Object(extension);
        draft.value("extensions", Some(json!({ OPENCTI_EXTENSION: extension })));
        draft.finish("marking")
    }
}
