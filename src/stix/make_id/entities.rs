//! Ids of entities, containers, labels and marking definitions.

use super::super::{StixId, Timestamp, tlp};
use super::{Properties, id_over, id_over_all, normal, trimmed};

/// The class of an identity, which is part of its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IdentityClass {
    /// An organisation; also the author of what a connector brings.
    Organization,
    /// A person.
    Individual,
    /// A sector: STIX calls it a class.
    Sector,
    /// A computer.
    System,
}

impl IdentityClass {
    /// As STIX writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Individual => "individual",
            Self::Sector => "class",
            Self::System => "system",
        }
    }

    /// The platform's word for identities of this class.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Organization => "Organization",
            Self::Individual => "Individual",
            Self::Sector => "Sector",
            Self::System => "System",
        }
    }
}

/// The type of a location, which is part of its id. Positions are not among them: their ids are made of coordinates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "their names say what they are")]
pub enum LocationType {
    Region,
    Country,
    AdministrativeArea,
    City,
}

impl LocationType {
    /// The platform's word, which `x_opencti_location_type` holds.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Region => "Region",
            Self::Country => "Country",
            Self::AdministrativeArea => "Administrative-Area",
            Self::City => "City",
        }
    }
}

macro_rules! by_name {
    ($($maker:ident, $stix_type:literal, $what:literal;)*) => {
        $(#[doc = concat!("The id of ", $what, " of this name.")]
        pub fn $maker(name: &str) -> StixId {
            id_over($stix_type, [("name", normal(name))])
        })*
    };
}

by_name! {
    malware, "malware", "a malware";
    intrusion_set, "intrusion-set", "an intrusion set";
    tool, "tool", "a tool";
    campaign, "campaign", "a campaign";
    vulnerability, "vulnerability", "a vulnerability";
}

/// The id of an identity of this class and name.
pub fn identity(class: IdentityClass, name: &str) -> StixId {
    let class = class.as_str().into();
    id_over(
        "identity",
        [("name", normal(name)), ("identity_class", class)],
    )
}

/// The id of the technique of this number in MITRE's list, such as `T1059.001`; where it has none, by its name.
pub fn attack_pattern(name: &str, mitre_id: Option<&str>) -> StixId {
    by_mitre_id("attack-pattern", name, mitre_id)
}

/// The id of a course of action, by its number in MITRE's list; where it has none, by its name.
pub fn course_of_action(name: &str, mitre_id: Option<&str>) -> StixId {
    by_mitre_id("course-of-action", name, mitre_id)
}

fn by_mitre_id(stix_type: &'static str, name: &str, mitre_id: Option<&str>) -> StixId {
    match mitre_id.filter(|id| !id.trim().is_empty()) {
        Some(id) => id_over(stix_type, [("x_mitre_id", normal(id))]),
        None => id_over(stix_type, [("name", normal(name))]),
    }
}

/// The id of a location of this type and name.
pub fn location(location_type: LocationType, name: &str) -> StixId {
    let location_type = location_type.as_str().into();
    let properties = [
        ("name", normal(name)),
        ("x_opencti_location_type", location_type),
    ];
    id_over("location", properties)
}

/// The id of an indicator with this pattern, of whatever pattern type. A STIX pattern has to be in the platform's
/// normal form, as [`Pattern`](crate::stix::pattern::Pattern) writes it.
pub fn indicator(pattern: &str) -> StixId {
    id_over("indicator", [("pattern", trimmed(pattern))])
}

/// The id of a report.
pub fn report(name: &str, published: Timestamp) -> StixId {
    let published = published.to_string().into();
    id_over("report", [("name", normal(name)), ("published", published)])
}

/// The id of an incident.
pub fn incident(name: &str, created: Timestamp) -> StixId {
    named_and_created("incident", name, created)
}

/// The id of a case of incident response.
pub fn case_incident(name: &str, created: Timestamp) -> StixId {
    named_and_created("case-incident", name, created)
}

fn named_and_created(stix_type: &'static str, name: &str, created: Timestamp) -> StixId {
    let created = created.to_string().into();
    id_over(stix_type, [("name", normal(name)), ("created", created)])
}

/// The id of a note. An abstract that is empty does not count.
pub fn note(content: &str, r#abstract: Option<&str>, created: Timestamp) -> StixId {
    let mut properties: Properties<'_> = vec![
        ("content", trimmed(content)),
        ("created", created.to_string().into()),
    ];
    if let Some(text) = r#abstract.filter(|text| !text.trim().is_empty()) {
        properties.push(("attribute_abstract", trimmed(text)));
    }
    id_over_all("note", properties)
}

/// The id of a label.
pub fn label(value: &str) -> StixId {
    id_over("label", [("value", normal(value))])
}

/// The id of a marking definition. Those of the Traffic Light Protocol, in any of their spellings, have fixed ones.
pub fn marking_definition(definition_type: &str, definition: &str) -> StixId {
    if let Some(tlp) = tlp::meant(Some(definition_type), definition) {
        return tlp.id();
    }
    let upper = |text: &str| text.to_uppercase().into();
    id_over(
        "marking-definition",
        [
            ("definition_type", upper(definition_type)),
            ("definition", upper(definition)),
        ],
    )
}
