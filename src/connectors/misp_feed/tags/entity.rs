//! Threats, techniques, sectors and places that tags and clusters name.

use std::sync::LazyLock;

use regex::Regex;

use super::guesses::Guessed;
use super::is_uuid;
use super::machine_tag::MachineTag;
use crate::connectors::misp_feed::event::Cluster;
use crate::stix::make_id::{self, IdentityClass, LocationType};
use crate::stix::text::{NAME_CHARS, whole};
use crate::stix::typed::{
    AttackPattern, Common, CourseOfAction, ExternalReference, Identity, Location, NotWritten,
    Percent, Threat, ThreatKind, TypedObject, Vulnerability,
};
use crate::stix::{StixId, StixObject};

/// What an entity is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "their names say what they are")]
pub enum EntityKind {
    IntrusionSet,
    Malware,
    Tool,
    AttackPattern,
    CourseOfAction,
    Campaign,
    Sector,
    Country,
    Region,
    Vulnerability,
    Organization,
    Individual,
}

impl EntityKind {
    /// What the clusters of a galaxy are, by its type, in any case; none where they are labels.
    fn of_galaxy(galaxy: &str) -> Option<Self> {
        let galaxy = galaxy.trim().to_ascii_lowercase();
        let ends = |ending: &str| galaxy.ends_with(ending);
        Some(match galaxy.as_str() {
            "threat-actor"
            | "microsoft-activity-group"
            | "360net-threat-actor"
            | "eset-threat-actor" => Self::IntrusionSet,
            "malpedia" | "ransomware" | "android" | "backdoor" | "banker" | "botnet"
            | "cryptominers" | "exploit-kit" | "rat" | "stealer" | "tds" | "tool"
            | "mitre-ics-software" => Self::Malware,
            "mitre-ics-techniques" => Self::AttackPattern,
            "sector" => Self::Sector,
            "country" | "target-information" => Self::Country,
            "region" => Self::Region,
            "branded-vulnerability" => Self::Vulnerability,
            _ if ends("intrusion-set") || ends("-groups") || ends("-threat-actor") => {
                Self::IntrusionSet
            }
            _ if ends("-malware") => Self::Malware,
            _ if ends("-tool") => Self::Tool,
            _ if ends("attack-pattern") => Self::AttackPattern,
            _ if ends("course-of-action") => Self::CourseOfAction,
            _ if ends("-campaign") => Self::Campaign,
            _ => return None,
        })
    }

    /// Whether indicators may indicate it.
    pub fn is_threat(self) -> bool {
        matches!(
            self,
            Self::IntrusionSet | Self::Malware | Self::Tool | Self::AttackPattern | Self::Campaign
        )
    }

    /// The platform's word.
    pub fn kind(self) -> &'static str {
        match self {
            Self::IntrusionSet => "Intrusion-Set",
            Self::Malware => "Malware",
            Self::Tool => "Tool",
            Self::AttackPattern => "Attack-Pattern",
            Self::CourseOfAction => "Course-Of-Action",
            Self::Campaign => "Campaign",
            Self::Sector => "Sector",
            Self::Country => "Country",
            Self::Region => "Region",
            Self::Vulnerability => "Vulnerability",
            Self::Organization => "Organization",
            Self::Individual => "Individual",
        }
    }
}

/// A threat, a technique, a sector or a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entity {
    /// What it is.
    pub kind: EntityKind,
    /// Its name, of two characters or more, as many as a name may have.
    pub name: String,
    /// Its number in MITRE's list, where it is a technique.
    pub mitre_id: Option<String>,
    description: Option<String>,
    aliases: Vec<String>,
    /// Numbers in MITRE's list.
    external_ids: Vec<String>,
    iso: Option<String>,
    /// How severe it is by CVSS, in tenths.
    severity: Option<u8>,
    /// Whether its name is only a number.
    is_nameless: bool,
    /// Its id at the platform, where it was found there: then it is not sent.
    at_platform: Option<StixId>,
}

impl Entity {
    /// One of which no more than its name is known.
    pub fn named(kind: EntityKind, name: &str) -> Option<Self> {
        let name = whole(name, NAME_CHARS)?;
        name.chars().nth(1)?;
        Some(Self::bare(kind, name.into_owned()))
    }

    fn bare(kind: EntityKind, name: String) -> Self {
        Self {
            kind,
            name,
            mitre_id: None,
            description: None,
            aliases: Vec::new(),
            external_ids: Vec::new(),
            iso: None,
            severity: None,
            is_nameless: false,
            at_platform: None,
        }
    }

    /// That of a tag of a galaxy; none where the galaxy has none, or the value is that of a private one.
    pub(super) fn of_galaxy(galaxy: &str, value: &str) -> Option<Self> {
        let kind = EntityKind::of_galaxy(galaxy)?;
        if is_uuid(value) {
            return None;
        }
        let (name, number) = split_number(value);
        let name = match kind {
            EntityKind::IntrusionSet => joined_apt(name),
            EntityKind::Country => capitalised(name),
            EntityKind::Region => without_area_code(name).to_owned(),
            _ => name.to_owned(),
        };
        let mut entity = Self::named(kind, &name)?;
        if let Some(number) = number {
            entity.take_number(number);
        }
        Some(entity)
    }

    /// That of a cluster, with all that the cluster says.
    pub(super) fn of_cluster(cluster: &Cluster) -> Option<Self> {
        let tag = MachineTag::read(&cluster.tag_name);
        let galaxy = if cluster.galaxy.is_empty() {
            tag.predicate()
        } else {
            &cluster.galaxy
        };
        let value = if cluster.value.is_empty() {
            tag.value().unwrap_or_default()
        } else {
            &cluster.value
        };
        let mut entity = Self::of_galaxy(galaxy, value)?;
        let description = cluster.description.trim();
        entity.description = (!description.is_empty()).then(|| description.to_owned());
        for id in &cluster.external_ids {
            if NUMBER.is_match(id) {
                entity.take_number(id);
            }
        }
        entity.iso = cluster
            .iso
            .clone()
            .filter(|iso| iso.len() == 2 && iso.bytes().all(|byte| byte.is_ascii_alphabetic()));
        let own = entity.name.to_lowercase();
        let is_other = |alias: &&String| {
            let is_long = alias.trim().chars().nth(1).is_some();
            is_long && alias.trim().to_lowercase() != own
        };
        entity.aliases = cluster.synonyms.iter().filter(is_other).cloned().collect();
        Some(entity)
    }

    /// The technique of a number, such as `T1566.001`.
    pub(super) fn technique(number: &str) -> Option<Self> {
        let number = number.trim().to_ascii_uppercase();
        let is_technique = number.starts_with('T') && NUMBER.is_match(&number);
        let mut entity = Self::named(EntityKind::AttackPattern, &number)?;
        entity.is_nameless = true;
        entity.take_number(&number);
        is_technique.then_some(entity)
    }

    pub(super) fn guessed(guessed: &Guessed) -> Self {
        Self {
            at_platform: Some(guessed.id.clone()),
            ..Self::bare(guessed.kind, guessed.name.clone())
        }
    }

    fn take_number(&mut self, number: &str) {
        let number = number.to_ascii_uppercase();
        let is_technique = self.kind == EntityKind::AttackPattern;
        let is_measure = self.kind == EntityKind::CourseOfAction;
        if (is_technique || is_measure) && self.mitre_id.is_none() {
            self.mitre_id = Some(number.clone());
        }
        if !self.external_ids.contains(&number) {
            self.external_ids.push(number);
        }
    }

    /// The same without what is said about it.
    pub(super) fn name_only(&self) -> Self {
        Self {
            mitre_id: self.mitre_id.clone(),
            is_nameless: self.is_nameless,
            at_platform: self.at_platform.clone(),
            ..Self::bare(self.kind, self.name.clone())
        }
    }

    /// Takes over what it does not say itself.
    pub(in super::super) fn complete(&mut self, other: Self) {
        self.description = self.description.take().or(other.description);
        self.iso = self.iso.take().or(other.iso);
        self.severity = self.severity.or(other.severity);
        for number in other.external_ids {
            if !self.external_ids.contains(&number) {
                self.external_ids.push(number);
            }
        }
        if self.aliases.is_empty() {
            self.aliases = other.aliases;
        }
        if self.is_nameless && !other.is_nameless {
            self.name = other.name;
            self.is_nameless = false;
        }
    }

    /// Says what it is in words, where nothing says so yet.
    pub(in super::super) fn describe(&mut self, text: String) {
        self.description.get_or_insert(text);
    }

    /// Says how severe it is, from 0 to 10, where nothing says so yet and this is such a score.
    pub(in super::super) fn rate(&mut self, score: &str) {
        let score = score.trim().parse::<f64>().ok();
        let tenths = (0..=100_u8).find(|tenths| {
            score.is_some_and(|score| (f64::from(*tenths) - score * 10.0).abs() <= 0.5)
        });
        self.severity = self.severity.or(tenths);
    }

    /// Whether it says more than its name.
    pub(in super::super) fn says_more(&self) -> bool {
        let is_described = self.description.is_some() || self.severity.is_some();
        is_described
            || !self.aliases.is_empty()
            || self.iso.is_some()
            || !self.external_ids.is_empty()
    }

    /// Whether the platform has it under an id of its own, so that it is not sent.
    pub fn is_at_platform(&self) -> bool {
        self.at_platform.is_some()
    }

    /// Its id.
    pub fn id(&self) -> StixId {
        if let Some(id) = &self.at_platform {
            return id.clone();
        }
        let name = &self.name;
        match self.kind {
            EntityKind::IntrusionSet => make_id::intrusion_set(name),
            EntityKind::Malware => make_id::malware(name),
            EntityKind::Tool => make_id::tool(name),
            EntityKind::AttackPattern => make_id::attack_pattern(name, self.mitre_id.as_deref()),
            EntityKind::CourseOfAction => make_id::course_of_action(name, self.mitre_id.as_deref()),
            EntityKind::Campaign => make_id::campaign(name),
            EntityKind::Sector => make_id::identity(IdentityClass::Sector, name),
            EntityKind::Country => make_id::location(LocationType::Country, name),
            EntityKind::Region => make_id::location(LocationType::Region, name),
            EntityKind::Vulnerability => make_id::vulnerability(name),
            EntityKind::Organization => make_id::identity(IdentityClass::Organization, name),
            EntityKind::Individual => make_id::identity(IdentityClass::Individual, name),
        }
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`NotWritten`] where it cannot be written.
    pub fn write(&self, common: &Common) -> Result<StixObject, NotWritten> {
        let numbers = self.external_ids.iter();
        let references = numbers.filter_map(|id| ExternalReference::entry("mitre-attack", id));
        let common = Common {
            external_references: references.collect(),
            // The name that the platform has is the better one: with less confidence, it stays.
            confidence: self.is_nameless.then(Percent::default),
            ..common.clone()
        };
        let aliases: Vec<&str> = self.aliases.iter().map(String::as_str).collect();
        let (name, description) = (self.name.as_str(), self.description.as_deref());
        let mitre_id = self.mitre_id.as_deref();
        let threat = |kind| Threat {
            kind,
            name,
            aliases: &aliases,
            description,
        };
        let place = |location_type| Location {
            location_type,
            name,
            country: self.iso.as_deref(),
            description,
        };
        let identity = |class| Identity {
            class,
            name,
            description,
        };
        match self.kind {
            EntityKind::IntrusionSet => threat(ThreatKind::IntrusionSet).write(&common),
            EntityKind::Malware => threat(ThreatKind::Malware { is_family: true }).write(&common),
            EntityKind::Tool => threat(ThreatKind::Tool).write(&common),
            EntityKind::Campaign => threat(ThreatKind::Campaign).write(&common),
            EntityKind::AttackPattern => AttackPattern {
                name,
                mitre_id,
                aliases: &aliases,
                description,
            }
            .write(&common),
            EntityKind::CourseOfAction => CourseOfAction {
                name,
                mitre_id,
                description,
            }
            .write(&common),
            EntityKind::Sector => identity(IdentityClass::Sector).write(&common),
            EntityKind::Organization => identity(IdentityClass::Organization).write(&common),
            EntityKind::Individual => identity(IdentityClass::Individual).write(&common),
            EntityKind::Country => place(LocationType::Country).write(&common),
            EntityKind::Region => place(LocationType::Region).write(&common),
            EntityKind::Vulnerability => Vulnerability {
                name,
                description,
                cvss_base_score: self.severity.map(|tenths| f64::from(tenths) / 10.0),
            }
            .write(&common),
        }
    }
}

#[expect(clippy::expect_used, reason = "it is compiled by a test")]
static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?i:(?:MOB-|PRE-)?(?:[GSTMC]|DET|DS|TA)[0-9]{4}(?:\.[0-9]{3})?)$")
        .expect("an expression")
});

/// A name without MITRE's number behind it, and the number: `Spearphishing Link - T1566.002`.
fn split_number(value: &str) -> (&str, Option<&str>) {
    let value = value.trim();
    match value.rsplit_once(" - ") {
        Some((name, number)) if NUMBER.is_match(number.trim()) => {
            (name.trim_end(), Some(number.trim()))
        }
        _ => (value, None),
    }
}

/// `APT 28` is written `APT28`.
fn joined_apt(name: &str) -> String {
    let number = name.split_once(' ').filter(|(word, number)| {
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        word.eq_ignore_ascii_case("APT") && is_number && !number.is_empty()
    });
    match number {
        Some((_, number)) => format!("APT{number}"),
        None => name.to_owned(),
    }
}

/// The first letter of each word large.
fn capitalised(name: &str) -> String {
    let words = name.split(' ').map(|word| {
        let mut letters = word.chars();
        let first = letters.next().map(char::to_uppercase);
        first.into_iter().flatten().chain(letters).collect()
    });
    words.collect::<Vec<String>>().join(" ")
}

/// `150 - Europe` is `Europe`.
fn without_area_code(name: &str) -> &str {
    match name.split_once(" - ") {
        Some((code, rest))
            if !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            rest.trim()
        }
        _ => name,
    }
}
