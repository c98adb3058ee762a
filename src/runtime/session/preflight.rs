//! Logs at the start what the importing user may not do, before anything is lost for it.

use crate::http::RetryPolicy;
use crate::opencti::UserRights;
use crate::platform::Platform;
use crate::telemetry::logs::Chain;

/// Asks the destination for the user's rights, and logs what is missing and what that costs. Whatever cannot be
/// asked now holds nothing up: a run asks again for what it must know.
pub(crate) async fn log_missing_rights(platform: &Platform) {
    let rights = match UserRights::ask(platform, RetryPolicy::NEVER).await {
        Ok(rights) => rights,
        Err(error) => {
            tracing::warn!(error = %Chain(&error), "the destination does not say what the connector's user may do");
            return;
        }
    };
    for lack in lacks(&rights) {
        tracing::warn!(user = rights.user, "{}", lack.text);
    }
}

/// Something that the user may not do.
pub(crate) struct Lack {
    /// What, and what it costs, in a sentence.
    pub(crate) text: String,
    /// Whether it costs everything.
    pub(crate) is_fatal: bool,
}

/// What the user may not do, and what it costs, in sentences.
pub(crate) fn lacks(rights: &UserRights) -> Vec<Lack> {
    let mut lacks = Vec::new();
    let mut lack = |text| {
        lacks.push(Lack {
            text,
            is_fatal: false,
        });
    };
    let forbidden = rights.forbidden_markings();
    if !forbidden.is_empty() {
        lack(format!(
            "the user may not set the markings {}: objects that have one of them are deferred; allow them to one of the user's groups",
            forbidden.join(", ")
        ));
    }
    if !rights.makes_markings() {
        lack("the user may not make markings: objects with one that the destination does not have are deferred; give one of its roles the right to manage markings".to_owned());
    }
    if !rights.makes_labels() {
        lack("the user may not make labels: objects arrive without labels that the destination does not have; give one of its roles the right to manage labels".to_owned());
    }
    if !rights.makes_phases() {
        lack("the user may not make kill chain phases: objects with one are refused; give one of its roles the right to manage kill chain phases".to_owned());
    }
    if let Some(cap) = rights.confidence_cap() {
        lack(format!(
            "the user's confidence is at most {cap}: what has a higher one arrives with {cap}, and what has a higher one at the destination is hardly changed; raise it for the user or for one of its groups"
        ));
    }
    if !rights.has_confidence() {
        lacks.push(Lack {
            text: "the user has no confidence level, so that nothing can be created, and no run begins; set one for it or for one of its groups".to_owned(),
            is_fatal: true,
        });
    }
    lacks
}
