//! What the destination's release asks of a sender: the one place where release numbers decide how
//! messages are made.
//!
//! The facts are those of docs/protocol.md#workers and docs/protocol.md#bundle-push.

use crate::platform::Release;
use crate::settings::QueueProtocol;

/// The release cannot do what the settings ask for.
#[derive(Debug, thiserror::Error)]
#[error(
    "connector.queue_protocol (CONNECTOR_QUEUE_PROTOCOL): the api protocol needs OpenCTI 6.5.7 or later, \
     the destination is {release}; use amqp"
)]
pub struct Unsupported {
    /// The destination's release.
    pub release: Release,
}

/// How to send to one destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one thing that a release does"
)]
pub struct Rules {
    /// Whether a message of several objects is imported as a whole, in order. Otherwise workers fail
    /// it whole or take it apart, and objects have to travel so that any order is right.
    pub imports_messages_whole: bool,
    /// Whether messages say so themselves (`no_split`).
    pub marks_no_split: bool,
    /// Who adds the expectations of the reports that the workers will make.
    pub expectations: Expectations,
    /// Whether a single nested reference that is set already is an error at import, which costs the
    /// references behind it as well (docs/protocol.md#references).
    pub refuses_set_references: bool,
    /// Whether an object that is sent to be deleted is. Otherwise it would be imported as it stands
    /// (docs/protocol.md#objects-that-come-again).
    pub takes_deletions: bool,
}

/// Who adds the expectations of the reports that the workers will make for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expectations {
    /// The sender, one for each distinct object.
    Sender,
    /// The worker that takes the message apart; the sender only for a message of one object.
    WorkerUnlessSingle,
    /// As before, or the platform always: releases that are newer than what is known here. For a
    /// message of one object the work's own count shows.
    Unknown,
}

impl Rules {
    /// The rules for a destination.
    ///
    /// # Errors
    /// [`Unsupported`] for the api protocol before 6.5.7: bundles pushed there belong to no work.
    pub fn of(release: &Release, protocol: QueueProtocol) -> Result<Self, Unsupported> {
        match protocol {
            QueueProtocol::Amqp => Ok(Self::of_amqp(release)),
            QueueProtocol::Api if release.is_at_least(6, 5, 7) => Ok(Self::of_api(release)),
            QueueProtocol::Api => Err(Unsupported {
                release: release.clone(),
            }),
        }
    }

    fn of_amqp(release: &Release) -> Self {
        let marks_no_split = release.is_at_least(6, 7, 0);
        let whole_by_nature = release.is_at_least(6, 1, 5) && !release.is_at_least(6, 2, 14);
        Self {
            imports_messages_whole: marks_no_split || whole_by_nature,
            marks_no_split,
            expectations: Expectations::Sender,
            refuses_set_references: refuses_set_references(release),
            takes_deletions: takes_deletions(release),
        }
    }

    fn of_api(release: &Release) -> Self {
        let newer_than_known = *release > Release::new(7, 260_817, 0);
        let expectations = if newer_than_known {
            Expectations::Unknown
        } else {
            Expectations::WorkerUnlessSingle
        };
        Self {
            imports_messages_whole: false,
            marks_no_split: false,
            expectations,
            refuses_set_references: refuses_set_references(release),
            takes_deletions: takes_deletions(release),
        }
    }
}

fn refuses_set_references(release: &Release) -> bool {
    release.is_at_least(6, 7, 13)
}

fn takes_deletions(release: &Release) -> bool {
    release.is_at_least(6, 1, 5)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amqp(release: &str) -> (bool, bool) {
        let rules = Rules::of(&release.parse().unwrap(), QueueProtocol::Amqp).unwrap();
        assert_eq!(rules.expectations, Expectations::Sender);
        (rules.imports_messages_whole, rules.marks_no_split)
    }

    #[test]
    fn each_row_of_the_worker_table() {
        for release in ["6.0.0", "6.1.4", "6.2.14", "6.2.19", "6.3.0", "6.6.18"] {
            assert_eq!(amqp(release), (false, false), "{release}");
        }
        for release in ["6.1.5", "6.2.13"] {
            assert_eq!(amqp(release), (true, false), "{release}");
        }
        for release in ["6.7.0", "7.260817.0", "7.270101.0"] {
            assert_eq!(amqp(release), (true, true), "{release}");
        }
    }

    #[test]
    fn the_api_protocol_begins_with_the_release_that_takes_a_work_id() {
        let of = |release: &str| Rules::of(&release.parse().unwrap(), QueueProtocol::Api);
        assert!(
            of("6.5.6")
                .unwrap_err()
                .to_string()
                .contains("CONNECTOR_QUEUE_PROTOCOL")
        );
        assert_eq!(
            of("6.5.7").unwrap().expectations,
            Expectations::WorkerUnlessSingle
        );
        assert_eq!(
            of("7.260817.0").unwrap().expectations,
            Expectations::WorkerUnlessSingle
        );
        assert_eq!(
            of("7.260901.0").unwrap().expectations,
            Expectations::Unknown
        );
    }
}
