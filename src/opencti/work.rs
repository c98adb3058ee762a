//! One work: what a person sees of one run on the connector's page.
//!
//! The order of things is that which completes a work exactly once, on every release
//! (docs/protocol.md#works, seen working live): a multi-part work where the release has it, one
//! expectation of our own as a sentinel, the expectations of messages before the messages, and at the
//! end `toProcessed`, then the report of the sentinel.
//!
//! **Invariant.** As long as the sentinel is not reported, a work cannot be complete: what is expected
//! too much can be made up for later, and what is expected is never too little.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use uuid::Uuid;

use super::operations::{
    AddExpectations, AddWork, FinishWork, ReportExpectation, WorkAlive, WorkProgress, WorkState,
    add_expectations, add_work, finish_work, report_expectation, work_alive, work_progress,
};
use crate::http::{ErrorKind, RetryPolicy};
use crate::platform::{Platform, PlatformError};
use crate::telemetry::logs::Chain;
use crate::telemetry::safe_text::{NAME, SENTENCE, make_clean, safe};

/// A work that was not found is looked for once more after so long: a list may lag behind.
const SECOND_LOOK: Duration = Duration::from_secs(3);
/// Reports that are sent at once, when there are many to make up for.
const REPORTS_AT_ONCE: usize = 8;

/// Why a work cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// The request failed.
    #[error("the work {work} of this run could not be {tried}")]
    Request {
        /// The work's id, or "(new)".
        work: String,
        /// What was tried.
        tried: &'static str,
        /// The cause.
        source: Box<PlatformError>,
    },
    /// Somebody removed it, and with it its messages.
    #[error("the work {work} was cleared at the destination")]
    Cleared {
        /// The work's id.
        work: String,
    },
    /// A task that reported for it ended by itself.
    #[error("reporting for work {work} ended unexpectedly")]
    Interrupted {
        /// The work's id.
        work: String,
    },
}

impl WorkError {
    /// Whether the platform refuses it, and somebody has to change something there.
    pub fn is_for_good(&self) -> bool {
        matches!(self, Self::Request { source, .. } if source.kind().is_for_good())
    }
}

/// An open work.
#[derive(Debug)]
pub struct Work {
    platform: Arc<Platform>,
    expectations: Arc<WorkExpectations>,
    /// Objects whose expectations were added, by us or by the workers: the reports that will come.
    objects: u64,
    are_added_by_others: bool,
    /// Nothing of an earlier process is on its way any more.
    is_settled: bool,
}

/// Adds expectations to a work; also for whoever has to send something of it again, which the run
/// knows nothing of. The first copy may have arrived as well, and then both are reported
/// (docs/protocol.md#works).
#[derive(Debug)]
pub struct WorkExpectations {
    platform: Arc<Platform>,
    work: String,
    /// The expectations that were surely added: the platform's number is never lower, unless it has lost
    /// its count.
    added: AtomicU64,
    /// Objects whose expectations were added once more.
    again: AtomicU64,
    /// A request without an answer may have added its expectations, and was made once more.
    may_be_too_much: AtomicBool,
}

/// How far the workers are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkCount {
    /// Reports expected, the sentinel's included.
    pub expected: u64,
    /// Reports made.
    pub processed: u64,
}

impl WorkCount {
    /// Reports that have not come.
    pub fn missing(&self) -> u64 {
        self.expected.saturating_sub(self.processed)
    }

    /// Whether so many expectations had been added, and the platform lost its count and counts anew: what was
    /// queued before is dropped.
    pub fn has_begun_anew(&self, added: u64) -> bool {
        self.expected < added && self.expected + self.processed > 0
    }
}

/// What has become of a work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It waits for reports.
    Open(WorkCount),
    /// Everything that it expected was reported, or the platform gave it up.
    Complete(WorkCount),
    /// Somebody removed it.
    Cleared,
}

impl WorkExpectations {
    /// Adds the expectations of so many objects once more, before they are sent again.
    ///
    /// # Errors
    /// [`WorkError`] when the platform refuses, or the work is gone.
    pub async fn add_again(&self, objects: u64) -> Result<(), WorkError> {
        self.again.fetch_add(objects, Ordering::Relaxed);
        self.add(objects).await
    }

    /// The expectations of how many objects were added once more.
    pub fn again(&self) -> u64 {
        self.again.load(Ordering::Relaxed)
    }

    /// Adding is no request that may be made twice without harm: where it is not known whether
    /// it was done, it is done again, and noted.
    async fn add(&self, count: u64) -> Result<(), WorkError> {
        if count == 0 {
            return Ok(());
        }
        let mut waits = RetryPolicy::DURING_RUN.waits();
        loop {
            let variables = add_expectations::Variables {
                id: self.work.clone(),
                expectations: Some(i64::try_from(count).unwrap_or(i64::MAX)),
            };
            let added = self
                .platform
                .call::<AddExpectations>(variables, RetryPolicy::NEVER);
            let Err(error) = added.await else {
                self.added.fetch_add(count, Ordering::Relaxed);
                return Ok(());
            };
            if is_cleared(&self.platform, &self.work).await? {
                return Err(WorkError::Cleared {
                    work: self.work.clone(),
                });
            }
            let asked_by_server = match error.kind() {
                ErrorKind::Transient(wait) => wait,
                ErrorKind::Server => None,
                ErrorKind::Authentication
                | ErrorKind::Validation
                | ErrorKind::Unknown
                | ErrorKind::OverLimit
                | ErrorKind::Elsewhere
                | ErrorKind::Unusable => {
                    return Err(failed(&self.work, "given its expectations", error));
                }
            };
            self.may_be_too_much.store(true, Ordering::Relaxed);
            let Some(wait) = waits.next(asked_by_server) else {
                return Err(failed(&self.work, "given its expectations", error));
            };
            self.platform.count_retry();
            tokio::time::sleep(wait).await;
        }
    }
}

impl Work {
    /// Opens a work; [`Work::add_sentinel`] comes next.
    ///
    /// # Errors
    /// [`WorkError`] when the platform refuses.
    pub async fn open(
        platform: Arc<Platform>,
        connector: Uuid,
        name: &str,
    ) -> Result<Self, WorkError> {
        let variables = add_work::Variables {
            connector_id: connector.to_string(),
            friendly_name: Some(name.to_owned()),
            is_multi_part_work: Some(true),
        };
        let answer = platform
            .call::<AddWork>(variables, RetryPolicy::DURING_RUN)
            .await
            .map_err(|source| failed("(new)", "opened", source))?;
        let mut id = answer.work_add.id;
        // It goes into the state.
        make_clean(&mut id, NAME);
        tracing::info!(work.id = %id, work.name = name, "work opened");
        Ok(Self::known(platform, id))
    }

    /// A work that was opened before.
    pub fn known(platform: Arc<Platform>, id: String) -> Self {
        let expectations = WorkExpectations {
            platform: Arc::clone(&platform),
            work: id,
            added: AtomicU64::new(0),
            again: AtomicU64::new(0),
            may_be_too_much: AtomicBool::new(false),
        };
        Self {
            platform,
            expectations: Arc::new(expectations),
            objects: 0,
            are_added_by_others: false,
            is_settled: true,
        }
    }

    /// Goes on with a work that an earlier process left open. The expectations that it added count, and the
    /// sentinel is added if it did not come so far.
    ///
    /// # Errors
    /// [`WorkError`] when the platform does not answer.
    pub async fn go_on(&mut self, count: WorkCount) -> Result<(), WorkError> {
        self.is_settled = false;
        if count.expected == 0 {
            return self.add_sentinel().await;
        }
        self.objects = count.expected - 1;
        self.expectations
            .added
            .store(count.expected, Ordering::Relaxed);
        Ok(())
    }

    /// Adds the one expectation of our own that keeps the work from completing before it is closed;
    /// the first thing done to it.
    ///
    /// # Errors
    /// [`WorkError`] when the platform refuses.
    pub async fn add_sentinel(&self) -> Result<(), WorkError> {
        self.expectations.add(1).await
    }

    /// Adds as many expectations as there are reports too many, and one more: a platform that compares
    /// for equality finds it with the next report.
    ///
    /// # Errors
    /// [`WorkError`] when the platform refuses.
    pub async fn catch_up(&self, count: WorkCount) -> Result<(), WorkError> {
        let surplus = count.processed.saturating_sub(count.expected);
        self.expectations.add(surplus + 1).await
    }

    /// The work's id.
    pub fn id(&self) -> &str {
        &self.expectations.work
    }

    /// For whoever may have to send something of this work again.
    pub fn expectations(&self) -> Arc<WorkExpectations> {
        Arc::clone(&self.expectations)
    }

    /// Whether just what was sent is expected: nothing twice, and nothing that others add, who may not have
    /// come to it yet.
    pub fn expects_what_was_sent(&self) -> bool {
        !self.are_added_by_others
            && self.expectations.again() == 0
            && !self.expectations.may_be_too_much.load(Ordering::Relaxed)
    }

    /// Adds the expectations of messages with so many objects, before they are sent.
    ///
    /// # Errors
    /// [`WorkError`] when the platform refuses.
    pub async fn add_expectations(&mut self, objects: u64) -> Result<(), WorkError> {
        self.objects += objects;
        self.expectations.add(objects).await
    }

    /// Notes objects whose expectations others add (docs/protocol.md#bundle-push).
    pub fn note_added_by_others(&mut self, objects: u64) {
        self.are_added_by_others |= objects > 0;
        self.objects += objects;
    }

    /// How far the workers are.
    ///
    /// # Errors
    /// [`WorkError`] when the platform does not answer.
    pub async fn count(&self) -> Result<WorkCount, WorkError> {
        Ok(count_of(self.look().await?.as_ref()))
    }

    /// What has become of the work.
    ///
    /// # Errors
    /// [`WorkError`] when the platform does not answer.
    pub async fn condition(&self) -> Result<Condition, WorkError> {
        let mut found = self.look().await?;
        if found.is_none() {
            tokio::time::sleep(SECOND_LOOK).await;
            found = self.look().await?;
        }
        let Some(work) = &found else {
            return Ok(Condition::Cleared);
        };
        let count = count_of(Some(work));
        let is_complete = matches!(work.status.as_deref(), Some("complete" | "timeout"));
        Ok(if is_complete {
            Condition::Complete(count)
        } else {
            Condition::Open(count)
        })
    }

    /// Whether the workers no longer import the messages of the open work: somebody removed it, or
    /// its counters are gone, or were gone and have come back with the next expectation or report.
    ///
    /// # Errors
    /// [`WorkError`] when the platform does not answer.
    pub async fn is_cleared(&self) -> Result<bool, WorkError> {
        Ok(self.has_begun_anew().await? || is_cleared(&self.platform, self.id()).await?)
    }

    /// Looks twice before it says so.
    async fn has_begun_anew(&self) -> Result<bool, WorkError> {
        let added = self.expectations.added.load(Ordering::Relaxed);
        if added == 0 || !self.count().await?.has_begun_anew(added) {
            return Ok(false);
        }
        tokio::time::sleep(SECOND_LOOK).await;
        Ok(self.count().await?.has_begun_anew(added))
    }

    /// The work as the platform has it; none when it is not there.
    async fn look(&self) -> Result<Option<WorkState>, WorkError> {
        look(&self.platform, self.id()).await
    }

    /// Whether the workers have reported all that was sent so far.
    pub fn is_imported(&self, count: WorkCount) -> bool {
        self.is_settled && count.processed >= self.objects + self.expectations.again()
    }

    /// Nothing more is to be expected of what was sent so far: some of it was expected twice, or by a
    /// process that died before it could send it.
    pub fn settle(&mut self, count: WorkCount) {
        self.objects = count.processed.saturating_sub(self.expectations.again());
        self.is_settled = true;
    }

    /// Looks whether the workers still import the messages of the work.
    ///
    /// # Errors
    /// [`WorkError::Cleared`] when they do not: somebody removed it, or its counters were lost;
    /// [`WorkError`] when the platform does not answer.
    pub async fn check(&self) -> Result<(), WorkError> {
        if self.is_cleared().await? {
            return Err(WorkError::Cleared {
                work: self.id().to_owned(),
            });
        }
        Ok(())
    }

    /// Tells the platform that everything was sent, with the message that people read. Not tried for long: a work that
    /// somebody has just removed refuses it for ever.
    ///
    /// # Errors
    /// [`WorkError`] when the platform refuses.
    pub async fn send_message(&self, message: &str, in_error: bool) -> Result<(), WorkError> {
        let message = &*safe(message, SENTENCE);
        let finish = finish_work::Variables {
            id: self.id().to_owned(),
            message: Some(message.to_owned()),
            in_error: Some(in_error),
        };
        let finished = self
            .platform
            .call::<FinishWork>(finish, RetryPolicy::FOR_A_PART);
        finished
            .await
            .map_err(|source| failed(self.id(), "closed", source))?;
        tracing::info!(
            work.id = self.id(),
            work.in_error = in_error,
            work.message = message,
            "nothing more is sent for the work: it is complete when the workers are through"
        );
        Ok(())
    }

    /// Reports the sentinel, the last thing done to a work: from now on it is complete as soon as the
    /// workers are through.
    ///
    /// # Errors
    /// [`WorkError`] when the platform refuses.
    pub async fn report_sentinel(&self) -> Result<(), WorkError> {
        report(&self.platform, self.id()).await
    }

    /// Makes up for reports that will never come.
    ///
    /// # Errors
    /// [`WorkError`] when the platform refuses.
    pub async fn make_up_for(&self, reports: u64) -> Result<(), WorkError> {
        let mut running = tokio::task::JoinSet::new();
        for _ in 0..reports {
            if running.len() >= REPORTS_AT_ONCE
                && let Some(done) = running.join_next().await
            {
                self.joined(done)?;
            }
            let (platform, id) = (Arc::clone(&self.platform), self.id().to_owned());
            running.spawn(async move { report(&platform, &id).await });
        }
        while let Some(done) = running.join_next().await {
            self.joined(done)?;
        }
        Ok(())
    }

    fn joined(
        &self,
        done: Result<Result<(), WorkError>, tokio::task::JoinError>,
    ) -> Result<(), WorkError> {
        done.unwrap_or_else(|_| {
            Err(WorkError::Interrupted {
                work: self.id().to_owned(),
            })
        })
    }
}

async fn look(platform: &Platform, work: &str) -> Result<Option<WorkState>, WorkError> {
    let variables = work_progress::Variables {
        id: work.to_owned(),
    };
    let looking = platform.call::<WorkProgress>(variables, RetryPolicy::DURING_RUN);
    let answer = looking
        .await
        .map_err(|source| failed(work, "looked at", source))?;
    Ok(answer.work)
}

fn count_of(work: Option<&WorkState>) -> WorkCount {
    let tracking = work.and_then(|work| work.tracking.as_ref());
    WorkCount {
        expected: tracking
            .and_then(|tracking| tracking.import_expected_number)
            .unwrap_or_default(),
        processed: tracking
            .and_then(|tracking| tracking.import_processed_number)
            .unwrap_or_default(),
    }
}

/// Looks twice before it says so.
async fn is_cleared(platform: &Platform, work: &str) -> Result<bool, WorkError> {
    if is_alive(platform, work).await? {
        return Ok(false);
    }
    tokio::time::sleep(SECOND_LOOK).await;
    Ok(!is_alive(platform, work).await?)
}

/// From 6.8.7 on the platform says it; before that, and where it does not, a work that is there is
/// alive (docs/protocol.md#workers).
async fn is_alive(platform: &Platform, work: &str) -> Result<bool, WorkError> {
    if platform.release().is_at_least(6, 8, 7) {
        let variables = work_alive::Variables {
            id: work.to_owned(),
        };
        let asking = platform.call::<WorkAlive>(variables, RetryPolicy::NEVER);
        match asking.await {
            Ok(answer) => return Ok(answer.is_work_alive != Some(false)),
            Err(error) => {
                tracing::debug!(error = %Chain(&error), "the destination does not say whether the work is alive");
            }
        }
    }
    Ok(look(platform, work).await?.is_some())
}

async fn report(platform: &Platform, work: &str) -> Result<(), WorkError> {
    let variables = report_expectation::Variables {
        id: work.to_owned(),
        error: None,
    };
    let reporting = platform.call::<ReportExpectation>(variables, RetryPolicy::FOR_A_PART);
    reporting
        .await
        .map(drop)
        .map_err(|source| failed(work, "completed", source))
}

fn failed(work: &str, tried: &'static str, source: PlatformError) -> WorkError {
    WorkError::Request {
        work: work.to_owned(),
        tried,
        source: Box::new(source),
    }
}
