//! Which markings can be set at the destination. An object never lands with less marking than it had:
//! an import that may not set a marking, or does not find it, leaves it away after some tries
//! (docs/protocol.md#import).
//!
//! **Invariant.** A marking counts as usable only after the destination itself has listed it, as what it is at the
//! source.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::connector::is_marking;
use crate::http::RetryPolicy;
use crate::opencti::UserRights;
use crate::platform::PlatformError;
use crate::runtime::import::destination::Destination;
use crate::stix::{KeySet, StixObject, TextMap, tlp};
use crate::telemetry::logs::Chain;
use crate::telemetry::safe_text::{NAME, safe};

/// How often it is looked whether a marking that was made can be set: users and their rights are
/// remembered by the platform for a moment.
const LOOKS: usize = 5;
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);
/// How long a marking that the destination has listed counts as being there: somebody may delete it.
const LISTED_FOR: Duration = Duration::from_mins(1);
/// So many different ones are known at once. Platforms have tens, some hundreds: a source that names more makes them up.
const MOST: usize = 10_000;
/// Their number is left away: it is one reason for all of them.
const TOO_MANY: &str = "its marking is beyond the most that a run looks up";
/// A defect of this program.
const NOT_LEARNT: &str = "nothing is known of its marking";

/// What is known of the markings of a run.
#[derive(Debug, Default)]
pub(crate) struct MarkingCache {
    rights: Option<UserRights>,
    /// When the destination was last asked.
    asked: Option<Instant>,
    /// Of [`MOST`] at most.
    statuses: TextMap<Box<str>, MarkingStatus>,
    /// There were more.
    are_too_many: bool,
}

/// What the destination makes of a marking.
#[derive(Debug, Clone, PartialEq, Eq)]
enum MarkingStatus {
    Usable {
        /// The destination has listed it.
        is_listed: bool,
    },
    /// It cannot be set, for this reason.
    Forbidden(String),
    /// It cannot be set as it is. Whether that has changed shows only when it is read again.
    Unfit(String),
}

/// Why an object cannot go with a marking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MarkingRejection<'a> {
    /// The marking's id.
    pub(crate) marking: &'a str,
    /// Why it cannot be set.
    pub(crate) reason: &'a str,
    /// Whether only reading it again shows that this has changed.
    pub(crate) is_unfit: bool,
}

impl MarkingStatus {
    /// What these rights make of a marking; none where the destination does not have it. An id alone says nothing: who
    /// finds a marking by it takes that one's definition.
    fn of(marking: &StixObject, rights: &UserRights) -> Option<Self> {
        if let Some(other) =
            MarkingFields::of(marking).and_then(|written| written.contradicted_by(rights))
        {
            return Some(Self::Unfit(other));
        }
        if rights.may_set(&marking.id) {
            Some(Self::usable(rights))
        } else if rights.has_marking(&marking.id) {
            Some(Self::Forbidden(not_allowed(marking, &rights.user)))
        } else {
            None
        }
    }

    /// A marking that these rights let set; a platform that does not say them lists nothing.
    fn usable(rights: &UserRights) -> Self {
        Self::Usable {
            is_listed: rights.lists_markings(),
        }
    }
}

/// A marking's ids and definition, as its object has them.
#[derive(Debug, serde::Deserialize)]
struct MarkingFields {
    id: String,
    definition_type: Option<String>,
    name: Option<String>,
    #[serde(default)]
    extensions: BTreeMap<String, MarkingExtension>,
}

#[derive(Debug, serde::Deserialize)]
struct MarkingExtension {
    /// The ids that it had before: the destination knows a marking by any of its ids.
    #[serde(default)]
    stix_ids: Vec<String>,
}

impl MarkingFields {
    fn of(marking: &StixObject) -> Option<Self> {
        serde_json::from_str(&marking.json).ok()
    }

    /// Why it cannot be set, where the destination has another marking under one of its ids.
    fn contradicted_by(&self, rights: &UserRights) -> Option<String> {
        let own = (self.definition_type.as_deref(), self.name.as_deref()?);
        let former = self.extensions.values().flat_map(|more| &more.stix_ids);
        let mut there = std::iter::once(&self.id)
            .chain(former)
            .flat_map(|id| rights.definitions(id));
        let other = there.find(|other| !tlp::are_same(own, *other))?;
        Some(another_one(own, other))
    }
}

impl MarkingCache {
    /// Looks up these markings; returns those that have to be made at the destination first.
    pub(crate) async fn learn(
        &mut self,
        destination: &Destination,
        markings: Vec<Arc<StixObject>>,
    ) -> Result<Vec<Arc<StixObject>>, PlatformError> {
        self.forget_old();
        let is_new = |marking: &Arc<StixObject>| !self.statuses.contains_key(&*marking.id);
        let new: Vec<_> = markings.into_iter().filter(is_new).collect();
        if new.is_empty() {
            return Ok(new);
        }
        let rights = self.take_rights(destination).await?;
        let to_make = self.judge(new, &rights);
        self.rights = Some(rights);
        Ok(to_make)
    }

    /// Judges markings of which nothing is known, as far as there is room; returns those that have to be made. What is
    /// left out has no status, so that no object goes with it.
    fn judge(
        &mut self,
        mut new: Vec<Arc<StixObject>>,
        rights: &UserRights,
    ) -> Vec<Arc<StixObject>> {
        let room = MOST.saturating_sub(self.statuses.len());
        if new.len() > room {
            self.note_too_many();
            new.truncate(room);
        }
        let mut to_make = Vec::new();
        for marking in new {
            let status = match MarkingStatus::of(&marking, rights) {
                Some(status) => status,
                None if rights.makes_markings() => {
                    to_make.push(marking);
                    continue;
                }
                None => MarkingStatus::Forbidden(not_there(&marking, &rights.user)),
            };
            self.statuses.insert(marking.id.clone().into(), status);
        }
        to_make
    }

    fn note_too_many(&mut self) {
        if !self.are_too_many {
            tracing::warn!(
                markings = MOST,
                "the source names more different markings than a run looks up: objects with any other are deferred, and the next run tries them again; look at the source why there are so many"
            );
        }
        self.are_too_many = true;
    }

    /// Looks what has become of markings that were sent.
    pub(crate) async fn learn_made(
        &mut self,
        destination: &Destination,
        made: &[Arc<StixObject>],
    ) -> Result<(), PlatformError> {
        for look in 1..=LOOKS {
            self.rights = None;
            let rights = self.rights(destination).await?;
            if look == LOOKS || made.iter().all(|marking| rights.may_set(&marking.id)) {
                break;
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        let rights = self.rights(destination).await?;
        let status = |marking: &StixObject| {
            let status = MarkingStatus::of(marking, rights);
            status.unwrap_or_else(|| MarkingStatus::Forbidden(not_made(marking)))
        };
        let made: Vec<_> = made
            .iter()
            .map(|marking| (marking.id.clone().into(), status(marking)))
            .collect();
        self.statuses.extend(made);
        Ok(())
    }

    /// Notes which markings no message can hold, each with the reason.
    pub(crate) fn reject_too_large(&mut self, too_large: &[(Arc<StixObject>, String)]) {
        for (marking, reason) in too_large {
            let reason = format!("its marking {} is {reason}", name(marking));
            let id = marking.id.clone().into();
            self.statuses.insert(id, MarkingStatus::Unfit(reason));
        }
    }

    /// Takes markings for made, without a look.
    pub(crate) fn assume_made(&mut self, made: &[Arc<StixObject>]) {
        let usable = MarkingStatus::Usable { is_listed: false };
        let ids = made.iter().map(|marking| marking.id.clone());
        self.statuses
            .extend(ids.map(|id| (id.into(), usable.clone())));
    }

    /// Whether an object that waits for this marking can be tried again.
    pub(crate) async fn may_become_usable(
        &mut self,
        destination: &Destination,
        marking: &str,
    ) -> Result<bool, PlatformError> {
        let rights = self.rights(destination).await?;
        let can_be_made = !rights.has_marking(marking) && rights.makes_markings();
        Ok(rights.may_set(marking) || can_be_made)
    }

    /// The first marking of an object, or of what it depends on, that cannot be set, and why.
    pub(crate) fn rejection<'a>(&'a self, object: &'a StixObject) -> Option<MarkingRejection<'a>> {
        object.embedded.iter().find_map(|embedded_object| {
            let rejection = |reason, is_unfit| {
                Some(MarkingRejection {
                    marking: &embedded_object.id,
                    reason,
                    is_unfit,
                })
            };
            match self.statuses.get(&*embedded_object.id) {
                Some(MarkingStatus::Forbidden(reason)) => rejection(reason.as_str(), false),
                Some(MarkingStatus::Unfit(reason)) => rejection(reason.as_str(), true),
                Some(MarkingStatus::Usable { .. }) => None,
                None if is_marking(&embedded_object.id) && self.are_too_many => {
                    rejection(TOO_MANY, false)
                }
                None if is_marking(&embedded_object.id) => rejection(NOT_LEARNT, false),
                // An author has markings of its own.
                None => self.rejection(embedded_object),
            }
        })
    }

    /// The markings that the destination has listed and that can be set.
    pub(crate) fn listed(&self) -> impl Iterator<Item = &str> {
        let is_listed =
            |status: &MarkingStatus| *status == MarkingStatus::Usable { is_listed: true };
        let listed = self
            .statuses
            .iter()
            .filter(move |(_, status)| is_listed(status));
        listed.map(|(id, _)| &**id)
    }

    /// What was listed long ago is asked for once more.
    fn forget_old(&mut self) {
        if self.asked.is_some_and(|asked| asked.elapsed() > LISTED_FOR) {
            self.rights = None;
            self.statuses
                .retain(|_, status| !matches!(status, MarkingStatus::Usable { .. }));
        }
    }

    /// Asked now and then, and again when markings were made.
    pub(crate) async fn rights(
        &mut self,
        destination: &Destination,
    ) -> Result<&UserRights, PlatformError> {
        let rights = self.take_rights(destination).await?;
        Ok(self.rights.insert(rights))
    }

    async fn take_rights(
        &mut self,
        destination: &Destination,
    ) -> Result<UserRights, PlatformError> {
        if let Some(rights) = self.rights.take() {
            return Ok(rights);
        }
        self.asked = Some(Instant::now());
        ask(destination).await
    }
}

/// A platform that does not know the question can still import: then markings travel with their objects. Any other
/// error says nothing of what the user may do: the run fails with it, once it was waited for, and the next one asks
/// again.
async fn ask(destination: &Destination) -> Result<UserRights, PlatformError> {
    let error = match UserRights::ask(&destination.session.platform, RetryPolicy::DURING_RUN).await
    {
        Ok(rights) => return Ok(rights),
        Err(error) => error,
    };
    if !error.is_unknown_to_release() {
        return Err(error);
    }
    tracing::warn!(
        error = %Chain(&error),
        "the destination does not say which markings the connector's user may set; what it may not set shows in the work"
    );
    Ok(UserRights::unknown())
}

/// The markings that these objects need, each once.
pub(crate) fn markings_of<'a>(
    objects: impl Iterator<Item = &'a Arc<StixObject>>,
) -> Vec<Arc<StixObject>> {
    let (mut markings, mut seen) = (Vec::new(), KeySet::default());
    for object in objects {
        for embedded_object in &object.embedded {
            collect(embedded_object, &mut markings, &mut seen);
        }
    }
    markings
}

fn collect(
    embedded_object: &Arc<StixObject>,
    markings: &mut Vec<Arc<StixObject>>,
    seen: &mut KeySet,
) {
    if is_marking(&embedded_object.id) && seen.insert(embedded_object.key) {
        markings.push(Arc::clone(embedded_object));
    }
    for inner in &embedded_object.embedded {
        collect(inner, markings, seen);
    }
}

fn name(marking: &StixObject) -> String {
    #[derive(serde::Deserialize)]
    struct MarkingName {
        name: Option<String>,
    }
    let named = serde_json::from_str::<MarkingName>(&marking.json).ok();
    let name = named.and_then(|named| named.name);
    let name = name.unwrap_or_else(|| marking.id.to_string());
    safe(&name, NAME).into_owned()
}

fn another_one(own: (Option<&str>, &str), other: (Option<&str>, &str)) -> String {
    let named = |(kind, definition): (Option<&str>, &str)| {
        let definition = safe(definition, NAME);
        match kind {
            Some(kind) => format!("{definition} (type {})", safe(kind, NAME)),
            None => definition.into_owned(),
        }
    };
    format!(
        "an id of its marking {} is that of another marking at the destination, {}; correct one of them, at the source or there",
        named(own),
        named(other)
    )
}

fn not_allowed(marking: &StixObject, user: &str) -> String {
    format!(
        "the destination's user {user} may not set its marking {}; allow it to one of the user's groups there",
        name(marking)
    )
}

fn not_there(marking: &StixObject, user: &str) -> String {
    format!(
        "the destination does not have its marking {}, and its user {user} may not make markings; make it there, or give the user that right",
        name(marking)
    )
}

fn not_made(marking: &StixObject) -> String {
    format!(
        "its marking {} could not be made at the destination; the work there says why",
        name(marking)
    )
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;
    use crate::stix::{ObjectWriter, StixId};
    use crate::telemetry::logs::logged;

    const OWN: &str = "marking-definition--00000000-0000-4000-8000-000000000001";
    const FORMER: &str = "marking-definition--00000000-0000-4000-8000-000000000002";

    fn marking(kind: &str, name: &str) -> StixObject {
        let mut marking = ObjectWriter::new(StixId::of("marking-definition", OWN).unwrap());
        marking.put("definition_type", kind);
        marking.put("name", name);
        let extension =
            serde_json::json!({ "extension_type": "property-extension", "stix_ids": [FORMER] });
        marking.put(
            "extensions",
            &serde_json::json!({ "extension-definition--1": extension }),
        );
        marking.finish("marking").unwrap()
    }

    fn status(marking: &StixObject, there: &[(&str, Option<&str>, &str)]) -> Option<MarkingStatus> {
        MarkingStatus::of(marking, &UserRights::of_all(there))
    }

    #[test]
    fn a_marking_that_is_another_one_at_the_destination_is_forbidden_and_both_are_named() {
        let secret = marking("statement", "SECRET");
        let public = Some("statement");
        for there in [
            vec![(OWN, public, "PUBLIC")],
            vec![(FORMER, public, "PUBLIC")],
            vec![(OWN, public, "SECRET"), (FORMER, public, "PUBLIC")],
            vec![(OWN, public, "SECRET"), (OWN, public, "PUBLIC")],
            vec![(OWN, None, "PUBLIC")],
            vec![(OWN, Some("PAP"), "SECRET")],
        ] {
            let Some(MarkingStatus::Unfit(reason)) = status(&secret, &there) else {
                panic!("{there:?}");
            };
            let other = there.last().unwrap().2;
            assert!(
                reason.contains("SECRET") && reason.contains(other),
                "{reason}"
            );
        }
    }

    #[test]
    fn a_marking_that_no_message_can_hold_is_rejected_with_the_reason() {
        let large = Arc::new(marking("statement", "SECRET"));
        let mut markings = MarkingCache::default();
        let mut object = marking("statement", "any object");
        object.embedded.push(Arc::clone(&large));
        assert_eq!(markings.rejection(&object).unwrap().reason, NOT_LEARNT);
        markings.reject_too_large(&[(large, "larger than the broker takes (why)".to_owned())]);
        let rejection = markings.rejection(&object).unwrap();
        assert_eq!(
            rejection.reason,
            "its marking SECRET is larger than the broker takes (why)"
        );
        assert!(rejection.is_unfit && rejection.marking == OWN);
    }

    fn numbered(number: usize) -> Arc<StixObject> {
        let id = format!("marking-definition--00000000-0000-4000-8000-{number:012}");
        let id = StixId::of("marking-definition", &id).unwrap();
        Arc::new(ObjectWriter::new(id).finish("marking").unwrap())
    }

    fn with_marking(number: usize) -> StixObject {
        let mut object = marking("statement", "any object");
        object.embedded.push(numbered(number));
        object
    }

    /// Whatever the source makes up, memory is bounded, and nothing goes without its marking.
    #[test]
    fn objects_with_markings_beyond_the_most_are_deferred_and_that_is_logged_once() {
        let rights = UserRights::of_all(&[]);
        let mut markings = MarkingCache::default();
        let text = logged(false, Level::INFO, || {
            for new in [0..MOST - 5, MOST - 5..MOST + 15, MOST + 15..MOST + 35] {
                let to_make = markings.judge(new.map(numbered).collect(), &rights);
                markings.assume_made(&to_make);
            }
        });
        assert_eq!(markings.statuses.len(), MOST);
        assert_eq!(text.matches("more different markings").count(), 1, "{text}");
        for known in [0, MOST - 1] {
            assert_eq!(markings.rejection(&with_marking(known)), None);
        }
        for unknown in [MOST, MOST + 20] {
            let object = with_marking(unknown);
            let rejection = markings.rejection(&object).unwrap();
            assert_eq!(rejection.reason, TOO_MANY);
            // Deferred, and tried again by the next run.
            assert!(!rejection.is_unfit);
        }
    }

    #[test]
    fn names_of_markings_in_reasons_are_short() {
        let long = marking("statement", &"x".repeat(100_000));
        let there = [(OWN, Some("y"), "z")];
        let Some(MarkingStatus::Unfit(reason)) = status(&long, &there) else {
            panic!("it is another one");
        };
        for reason in [reason, not_made(&long)] {
            assert!(reason.len() < 1000, "{reason}");
        }
    }

    #[test]
    fn the_same_marking_in_other_letters_is_no_other_one() {
        let usable = Some(MarkingStatus::Usable { is_listed: true });
        let clear = marking("TLP", "TLP:CLEAR");
        for definition in ["TLP:CLEAR", "TLP:WHITE", "tlp: white", ""] {
            let there = [(OWN, Some("TLP"), definition), (FORMER, None, "TLP:CLEAR")];
            assert_eq!(status(&clear, &there), usable, "{definition:?}");
        }
        let ours = marking("statement", "Only for us");
        let there = [(OWN, Some("Statement"), "only for us ")];
        assert_eq!(status(&ours, &there), usable);
        assert_eq!(status(&ours, &[]), None);
    }
}
