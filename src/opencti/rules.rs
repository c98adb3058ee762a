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
    /// Whether the import of a label that is there already leaves its colour as it is (docs/protocol.md#labels).
    pub keeps_labels: bool,
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
            keeps_labels: keeps_labels(release),
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
            keeps_labels: keeps_labels(release),
        }
    }
}

fn refuses_set_references(release: &Release) -> bool {
    release.is_at_least(6, 7, 13)
}

fn takes_deletions(release: &Release) -> bool {
    release.is_at_least(6, 1, 5)
}

fn keeps_labels(release: &Release) -> bool {
    release.is_at_least(7, 260_807, 0)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    /// The facts about releases, with which the simulated platform works too.
    const RELEASE_RULES: &str = include_str!("../../tests/tables/release-rules.json");
    /// Which says the same in words.
    const PROTOCOL: &str = include_str!("../../docs/protocol.md");

    /// What the table says of the rules that decide how to send.
    #[derive(Deserialize)]
    struct Facts {
        reports_each_object: Span,
        splits_messages: Span,
        honours_no_split: Span,
        deletes: Span,
        refuses_set_references: Span,
        keeps_labels: Span,
        pushes_into_a_work: Span,
        splits_pushed_bundles: Span,
    }

    #[derive(Deserialize)]
    struct Span {
        from: String,
        until: Option<String>,
    }

    impl Span {
        fn includes(&self, release: &Release) -> bool {
            let read = |text: &str| text.parse::<Release>().unwrap();
            read(&self.from) <= *release
                && self.until.as_deref().is_none_or(|end| *release < read(end))
        }
    }

    fn table<T: serde::de::DeserializeOwned>() -> T {
        #[derive(Deserialize)]
        struct Table<T> {
            rules: T,
        }
        serde_json::from_str::<Table<T>>(RELEASE_RULES)
            .unwrap()
            .rules
    }

    /// The releases where anything of the table changes, each with the number before it, and a later one.
    fn releases() -> Vec<Release> {
        let spans: std::collections::BTreeMap<String, Span> = table();
        let ends = spans
            .into_values()
            .flat_map(|span| [Some(span.from), span.until]);
        let mut releases = vec![Release::new(7, 270_101, 0)];
        for release in ends.flatten() {
            let numbers: Vec<u64> = release
                .split('.')
                .map(|part| part.parse().unwrap())
                .collect();
            releases.extend(match numbers[..] {
                [major, minor, patch] if patch > 0 => Some(Release::new(major, minor, patch - 1)),
                [major, minor, _] if minor > 0 => Some(Release::new(major, minor - 1, 999)),
                _ => None,
            });
            releases.push(release.parse().unwrap());
        }
        assert!(releases.len() > 40, "{releases:?}");
        releases
    }

    #[test]
    fn over_the_broker_each_release_gets_what_its_workers_take() {
        let facts: Facts = table();
        for release in releases() {
            let marks_no_split = facts.honours_no_split.includes(&release);
            let is_taken_apart = facts.splits_messages.includes(&release) && !marks_no_split;
            let expected = Rules {
                keeps_labels: facts.keeps_labels.includes(&release),
                imports_messages_whole: facts.reports_each_object.includes(&release)
                    && !is_taken_apart,
                marks_no_split,
                expectations: Expectations::Sender,
                refuses_set_references: facts.refuses_set_references.includes(&release),
                takes_deletions: facts.deletes.includes(&release),
            };
            let rules = Rules::of(&release, QueueProtocol::Amqp).unwrap();
            assert_eq!(rules, expected, "{release}");
        }
    }

    #[test]
    fn pushed_bundles_need_a_release_that_knows_their_work() {
        let facts: Facts = table();
        for release in releases() {
            let expectations = match Rules::of(&release, QueueProtocol::Api) {
                Ok(rules) => {
                    assert!(!rules.imports_messages_whole && !rules.marks_no_split);
                    assert_eq!(rules.takes_deletions, facts.deletes.includes(&release));
                    let refuses = facts.refuses_set_references.includes(&release);
                    assert_eq!(rules.refuses_set_references, refuses);
                    Some(rules.expectations)
                }
                Err(error) => {
                    assert!(error.to_string().contains("CONNECTOR_QUEUE_PROTOCOL"));
                    None
                }
            };
            let expected = if facts.splits_pushed_bundles.includes(&release) {
                Some(Expectations::Unknown)
            } else if facts.pushes_into_a_work.includes(&release) {
                Some(Expectations::WorkerUnlessSingle)
            } else {
                None
            };
            assert_eq!(expectations, expected, "{release}");
        }
    }

    /// What each release gets over the broker, by its number: whether messages are imported whole, whether they say so,
    /// whether references that are set are refused, whether deletions are taken. Not read from the table, so that a number
    /// that is wrong in both shows.
    #[test]
    fn the_main_releases_have_these_rules_over_the_broker() {
        for (release, expected) in [
            ("6.0.0", [false, false, false, false]),
            ("6.1.4", [false, false, false, false]),
            ("6.1.5", [true, false, false, true]),
            ("6.2.13", [true, false, false, true]),
            ("6.2.14", [false, false, false, true]),
            ("6.3.0", [false, false, false, true]),
            ("6.6.18", [false, false, false, true]),
            ("6.7.0", [true, true, false, true]),
            ("6.7.12", [true, true, false, true]),
            ("6.7.13", [true, true, true, true]),
            ("7.260817.0", [true, true, true, true]),
            ("7.270101.0", [true, true, true, true]),
        ] {
            let rules = Rules::of(&release.parse().unwrap(), QueueProtocol::Amqp).unwrap();
            let has = [
                rules.imports_messages_whole,
                rules.marks_no_split,
                rules.refuses_set_references,
                rules.takes_deletions,
            ];
            assert_eq!(has, expected, "{release}");
            assert_eq!(rules.expectations, Expectations::Sender, "{release}");
        }
    }

    /// The same of pushed bundles: who adds the expectations.
    #[test]
    fn the_main_releases_take_pushed_bundles_or_not() {
        for (release, expected) in [
            ("6.0.0", None),
            ("6.5.6", None),
            ("6.5.7", Some(Expectations::WorkerUnlessSingle)),
            ("6.7.13", Some(Expectations::WorkerUnlessSingle)),
            ("7.260817.0", Some(Expectations::WorkerUnlessSingle)),
            ("7.260817.1", Some(Expectations::Unknown)),
            ("7.260901.0", Some(Expectations::Unknown)),
        ] {
            let rules = Rules::of(&release.parse().unwrap(), QueueProtocol::Api).ok();
            let expectations = rules.map(|rules| rules.expectations);
            assert_eq!(expectations, expected, "{release}");
        }
    }

    /// Each number of the table stands in the list of releases that people read.
    #[test]
    fn the_releases_of_the_table_are_documented() {
        let (_, listed) = PROTOCOL.split_once("\n## Releases\n").unwrap();
        let spans: std::collections::BTreeMap<String, Span> = table();
        for (rule, span) in spans {
            for release in [Some(span.from), span.until].into_iter().flatten() {
                let row = match release.as_str() {
                    "6.0.0" => continue,
                    "7.260817.1" => "| after 7.260817.0 |".to_owned(),
                    _ => format!("| {release} |"),
                };
                assert!(listed.contains(&row), "{rule}: {release}");
            }
        }
    }
}
