//! The works of a platform: what is expected, what is done, when a work is complete, by release.
//!
//! A work has numbers of its own and a counter in Redis; from 6.8.7 on a work whose counter is gone
//! is not alive, and the workers drop its messages (docs/protocol.md#works).

use serde_json::{Value, json};

use crate::Release;
use crate::release_rules::RULES;

/// The platform keeps no more errors of a work.
const ERROR_LIMIT: usize = 100;

/// A work's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Something is still expected.
    Progress,
    /// All done.
    Complete,
}

/// One work.
#[derive(Debug, Clone)]
pub struct Work {
    /// Its id.
    pub id: String,
    /// The connector that it belongs to.
    pub connector: String,
    /// What people read.
    pub name: String,
    /// Its status.
    pub status: Status,
    /// Reports expected, over all.
    pub expected: i64,
    /// Reports that came.
    pub processed: i64,
    /// The messages of `toProcessed`, in order.
    pub messages: Vec<String>,
    /// The errors reported, at most 100.
    pub errors: Vec<WorkError>,
    /// When it was opened, as milliseconds since 1970.
    pub opened: i64,
    /// When it became complete.
    pub completed: Option<i64>,
    /// Whether completion waits for `toProcessed`.
    pub is_multi_part: bool,
    counter: Option<Counter>,
}

/// An error of a work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkError {
    /// What went wrong.
    pub message: String,
    /// The object that it concerns, as JSON; empty where unknown.
    pub source: String,
}

/// The counter in Redis.
#[derive(Debug, Clone, Copy, Default)]
struct Counter {
    expected: i64,
    processed: i64,
}

/// All works, oldest first.
#[derive(Debug)]
pub(crate) struct Works {
    release: Release,
    works: Vec<Work>,
}

impl Works {
    pub(crate) fn new(release: Release) -> Self {
        Self {
            release,
            works: Vec::new(),
        }
    }

    pub(crate) fn all(&self) -> &[Work] {
        &self.works
    }

    pub(crate) fn open(
        &mut self,
        connector: &str,
        name: &str,
        is_multi_part: bool,
        now: i64,
    ) -> String {
        let id = format!(
            "work_{connector}_{}_{}",
            crate::time::iso(now),
            self.works.len() + 1
        );
        self.works.push(Work {
            id: id.clone(),
            connector: connector.to_owned(),
            name: name.to_owned(),
            status: Status::Progress,
            expected: 0,
            processed: 0,
            messages: Vec::new(),
            errors: Vec::new(),
            opened: now,
            completed: None,
            is_multi_part,
            counter: Some(Counter::default()),
        });
        id
    }

    pub(crate) fn find(&self, id: &str) -> Option<&Work> {
        self.works.iter().find(|work| work.id == id)
    }

    fn find_mut(&mut self, id: &str) -> Option<&mut Work> {
        self.works.iter_mut().find(|work| work.id == id)
    }

    /// Whether workers still import the work's messages.
    pub(crate) fn is_alive(&self, id: &str) -> bool {
        !RULES.drops_messages_of_dead_works.includes(self.release)
            || self.find(id).is_some_and(|work| work.counter.is_some())
    }

    /// Expects more reports. False for an unknown work.
    pub(crate) fn add_expectations(&mut self, id: &str, count: i64) -> bool {
        let Some(work) = self.find_mut(id) else {
            return false;
        };
        work.expected += count;
        work.counter.get_or_insert_default().expected += count;
        true
    }

    /// Takes one report. False for an unknown work.
    pub(crate) fn report(&mut self, id: &str, error: Option<WorkError>, now: i64) -> bool {
        let release = self.release;
        let Some(work) = self.find_mut(id) else {
            return false;
        };
        work.processed += 1;
        work.counter.get_or_insert_default().processed += 1;
        if let Some(error) = error {
            work.add_error(error);
        }
        if work.is_caught_up(release) && (!work.is_multi_part || !work.messages.is_empty()) {
            work.complete(now);
        }
        true
    }

    /// Takes the sender's word that everything is sent. False for an unknown work.
    pub(crate) fn finish(&mut self, id: &str, message: &str, in_error: bool, now: i64) -> bool {
        let release = self.release;
        let Some(work) = self.find_mut(id) else {
            return false;
        };
        work.messages.push(message.to_owned());
        if in_error {
            work.add_error(WorkError {
                message: message.to_owned(),
                source: String::new(),
            });
        }
        if RULES.done_never_completes.includes(release) || !work.is_caught_up(release) {
            return true;
        }
        work.complete(now);
        if RULES.deletes_counters_when_done.includes(release) {
            work.counter = None;
        }
        true
    }

    /// The connector manager, which runs every 60 s: once a newer work of a connector has a report,
    /// its older open works are forced to complete.
    pub(crate) fn close_old(&mut self, now: i64) {
        let release = self.release;
        let mut reported: Vec<String> = Vec::new();
        for work in self.works.iter_mut().rev() {
            if reported.contains(&work.connector) && work.status == Status::Progress {
                work.complete(now);
                if RULES.deletes_counters_when_forced.includes(release) {
                    work.counter = None;
                }
            }
            if work.processed > 0 {
                reported.push(work.connector.clone());
            }
        }
    }

    /// Removes a work, as a person does on the connector's page.
    pub(crate) fn delete(&mut self, id: &str) {
        self.works.retain(|work| work.id != id);
    }

    /// Drops a work's counter in Redis.
    pub(crate) fn clear_counter(&mut self, id: &str) {
        if let Some(work) = self.find_mut(id) {
            work.counter = None;
        }
    }

    /// Removes all works of a connector, as they go with it.
    pub(crate) fn delete_of(&mut self, connector: &str) {
        self.works.retain(|work| work.connector != connector);
    }
}

impl Work {
    /// The work in the field names of the schema.
    pub(crate) fn to_json(&self) -> Value {
        let counted = self.counter.unwrap_or(Counter {
            expected: self.expected,
            processed: self.processed,
        });
        json!({
            "id": self.id,
            "name": self.name,
            "status": if self.status == Status::Complete { "complete" } else { "progress" },
            "tracking": {
                "import_expected_number": counted.expected,
                "import_processed_number": counted.processed,
            },
        })
    }

    fn is_caught_up(&self, release: Release) -> bool {
        let counter = self.counter.unwrap_or_default();
        if RULES.completes_at_more_than_expected.includes(release) {
            counter.processed >= counter.expected
        } else {
            counter.processed == counter.expected
        }
    }

    fn complete(&mut self, now: i64) {
        self.status = Status::Complete;
        self.completed = Some(now);
    }

    fn add_error(&mut self, error: WorkError) {
        if self.errors.len() < ERROR_LIMIT {
            self.errors.push(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Add(i64),
        Report,
        Done,
    }
    use Step::{Add, Done, Report};

    /// Status and life of a work after these steps.
    fn after(release: &str, is_multi_part: bool, steps: &[Step]) -> (bool, bool) {
        let mut works = Works::new(release.parse().unwrap());
        let id = works.open("c", "run", is_multi_part, 0);
        for step in steps {
            match step {
                Add(count) => works.add_expectations(&id, *count),
                Report => works.report(&id, None, 1),
                Done => works.finish(&id, "done", false, 2),
            };
        }
        (
            works.find(&id).unwrap().status == Status::Complete,
            works.is_alive(&id),
        )
    }

    #[test]
    fn a_work_is_complete_by_the_rule_of_its_release() {
        type Row<'a> = (&'a str, bool, &'a [Step], (bool, bool));
        let (progress, complete, dropped) = ((false, true), (true, true), (true, false));
        let table: [Row<'_>; 19] = [
            // Equality; nothing expected completes; the counter goes with toProcessed.
            ("6.0.0", false, &[Add(2), Report], progress),
            ("6.0.0", false, &[Add(1), Report], complete),
            ("6.8.6", false, &[Done], complete),
            ("6.8.6", false, &[Add(1), Report, Report, Done], complete),
            ("6.8.7", false, &[Done], dropped),
            ("6.8.7", false, &[Add(1), Report, Done], dropped),
            ("6.8.7", false, &[Report], progress),
            ("7.260417.0", false, &[Add(2), Report, Done], progress),
            // At least; multi-part waits for toProcessed.
            ("7.260422.0", false, &[Report], complete),
            ("7.260422.0", true, &[Add(1), Report], progress),
            ("7.260422.0", true, &[Add(1), Report, Done], dropped),
            ("7.260423.0", false, &[Done], dropped),
            // toProcessed never completes.
            ("7.260428.0", false, &[Done], progress),
            ("7.260609.0", true, &[Add(1), Report, Done], progress),
            ("7.260609.0", true, &[Add(1), Done, Report], complete),
            // toProcessed completes again, the counter stays.
            ("7.260615.0", false, &[Done], complete),
            ("7.260817.0", true, &[Add(1), Report, Done], complete),
            // The sentinel: one expectation more, reported by the sender at the end.
            (
                "7.260609.0",
                true,
                &[Add(1), Add(1), Report, Done, Report],
                complete,
            ),
            (
                "6.0.0",
                false,
                &[Add(1), Add(1), Report, Done, Report],
                complete,
            ),
        ];
        for (release, is_multi_part, steps, expected) in table {
            assert_eq!(
                after(release, is_multi_part, steps),
                expected,
                "{release} {is_multi_part} {steps:?}"
            );
        }
    }

    #[test]
    fn the_manager_completes_older_works_once_a_newer_one_reports() {
        for (release, alive) in [
            ("6.8.7", false),
            ("7.260507.0", false),
            ("7.260510.0", true),
        ] {
            let mut works = Works::new(release.parse().unwrap());
            let old = works.open("c", "old", false, 0);
            let new = works.open("c", "new", false, 1);
            assert!(works.add_expectations(&old, 5) && works.add_expectations(&new, 5));
            works.close_old(2);
            assert_eq!(works.find(&old).unwrap().status, Status::Progress);
            assert!(works.report(&new, None, 3));
            works.close_old(4);
            assert_eq!(
                works.find(&old).unwrap().status,
                Status::Complete,
                "{release}"
            );
            assert_eq!(works.is_alive(&old), alive, "{release}");
            assert_eq!(works.find(&new).unwrap().status, Status::Progress);
        }
    }
}
