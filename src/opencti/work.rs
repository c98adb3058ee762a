//! One work: what a person sees of one run on the connector's page.
//!
//! The order of things is that which completes a work exactly once, on every release
//! (spec/protocol.md §5, seen working live): a multi-part work where the release has it, one
//! expectation of our own as a guard, the expectations of messages before the messages, and at the
//! end `toProcessed`, then the report of the guard.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::Expectations;
use super::operations::{
    AddExpectations, AddWork, FinishWork, ReportExpectation, WorkProgress, WorkState,
    add_expectations, add_work, finish_work, report_expectation, work_progress,
};
use super::registration::queue_size;
use crate::graphql::RetryPolicy;
use crate::platform::{Platform, PlatformError};
use crate::telemetry::logs::Chain;

/// Between two looks at how far the workers are.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Workers that report nothing for so long are taken for stopped.
const PATIENCE: Duration = Duration::from_mins(10);

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
    /// The workers do not import.
    #[error(
        "the workers of the destination have reported nothing for {} minutes on work {work} ({done} of {wanted} done); are they running?",
        PATIENCE.as_secs() / 60
    )]
    NoProgress {
        /// The work's id.
        work: String,
        /// What they have reported.
        done: u64,
        /// What is being waited for.
        wanted: u64,
    },
}

/// An open work.
#[derive(Debug)]
pub struct Work {
    platform: Arc<Platform>,
    connector: Uuid,
    id: String,
    announcer: Arc<Announcer>,
    /// Objects announced or known to be announced by workers: the reports that will come.
    objects: u64,
}

/// Announces what is sent once more: whoever sends it again does so while the run knows nothing of it.
/// The first copy may have arrived as well, and then both are reported (spec/protocol.md §5).
#[derive(Debug)]
pub struct Announcer {
    platform: Arc<Platform>,
    work: String,
    /// Objects announced once more.
    again: AtomicU64,
}

impl Announcer {
    /// Announces so many objects once more, before they are sent again.
    ///
    /// # Errors
    /// [`WorkError`] when the platform refuses.
    pub async fn announce_again(&self, objects: u64) -> Result<(), WorkError> {
        self.again.fetch_add(objects, Ordering::Relaxed);
        add_expectations(&self.platform, &self.work, objects).await
    }

    /// How many objects were announced once more.
    pub fn again(&self) -> u64 {
        self.again.load(Ordering::Relaxed)
    }
}

/// How far the workers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkCount {
    /// Reports expected, the guard's included.
    pub expected: u64,
    /// Reports made.
    pub processed: u64,
}

impl Work {
    /// Opens a work; [`Work::guard`] comes next.
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
            .map_err(|source| WorkError::Request {
                work: "(new)".to_owned(),
                tried: "opened",
                source: Box::new(source),
            })?;
        let id = answer.work_add.id;
        tracing::info!(work.id = %id, work.name = name, "work opened");
        let announcer = Announcer {
            platform: Arc::clone(&platform),
            work: id.clone(),
            again: AtomicU64::new(0),
        };
        Ok(Self {
            platform,
            connector,
            id,
            announcer: Arc::new(announcer),
            objects: 0,
        })
    }

    /// Adds the one expectation of our own that keeps the work from completing before it is closed;
    /// the first thing done to it.
    ///
    /// # Errors
    /// [`WorkError`] when the platform refuses.
    pub async fn guard(&self) -> Result<(), WorkError> {
        add_expectations(&self.platform, &self.id, 1).await
    }

    /// The work's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// For whoever may have to send something of this work again.
    pub fn announcer(&self) -> Arc<Announcer> {
        Arc::clone(&self.announcer)
    }

    /// Announces messages with so many objects, before they are sent.
    ///
    /// # Errors
    /// [`WorkError`] when the platform refuses.
    pub async fn announce(&mut self, objects: u64) -> Result<(), WorkError> {
        self.objects += objects;
        add_expectations(&self.platform, &self.id, objects).await
    }

    /// Notes objects that others announce (spec/protocol-versions.json, `stixBundlePush`).
    pub fn note_announced_by_others(&mut self, objects: u64) {
        self.objects += objects;
    }

    /// How far the workers are.
    ///
    /// # Errors
    /// [`WorkError`] when the platform does not answer.
    pub async fn count(&self) -> Result<WorkCount, WorkError> {
        let tracking = self.look().await?.and_then(|work| work.tracking);
        let (expected, processed) = tracking
            .map(|tracking| {
                (
                    tracking.import_expected_number,
                    tracking.import_processed_number,
                )
            })
            .unwrap_or_default();
        Ok(WorkCount {
            expected: expected.unwrap_or_default(),
            processed: processed.unwrap_or_default(),
        })
    }

    /// The work as the platform has it; none when it is no longer there.
    async fn look(&self) -> Result<Option<WorkState>, WorkError> {
        let variables = work_progress::Variables {
            id: self.id.clone(),
        };
        let looking = self
            .platform
            .call::<WorkProgress>(variables, RetryPolicy::DURING_RUN);
        let answer = looking
            .await
            .map_err(|source| self.failed("looked at", source))?;
        Ok(answer.work)
    }

    /// Waits until the workers have reported everything that was sent so far.
    ///
    /// # Errors
    /// [`WorkError::NoProgress`] when they stand still for long.
    pub async fn wait_until_imported(&self) -> Result<(), WorkError> {
        let mut best = 0;
        let mut since = Instant::now();
        loop {
            let count = self.count().await?;
            if count.processed >= self.objects {
                return Ok(());
            }
            if count.processed > best {
                (best, since) = (count.processed, Instant::now());
            }
            if since.elapsed() > PATIENCE {
                let work = self.id.clone();
                return Err(WorkError::NoProgress {
                    work,
                    done: count.processed,
                    wanted: self.objects,
                });
            }
            tracing::debug!(work.id = %self.id, done = count.processed, wanted = self.objects, "waiting for the workers");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Where the workers announce: waits until they have announced all that was sent. Closed before,
    /// the work would be complete with nothing imported.
    ///
    /// # Errors
    /// [`WorkError`] when the platform does not answer.
    pub async fn wait_until_announced(&self, expectations: Expectations) -> Result<(), WorkError> {
        if expectations == Expectations::Sender {
            return Ok(());
        }
        let mut last = None;
        let mut since = Instant::now();
        loop {
            let count = self.count().await?;
            if count.expected > self.objects {
                return Ok(());
            }
            if last != Some(count) {
                (last, since) = (Some(count), Instant::now());
            }
            if since.elapsed() > PATIENCE {
                tracing::warn!(work.id = %self.id, "the workers do not take up what was sent; closing the work all the same");
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until the workers are through with the whole work. Workers that stand still while their
    /// queue is empty are through with what reached them, whatever the work says.
    ///
    /// # Errors
    /// [`WorkError`] when the platform does not answer.
    pub async fn wait_until_complete(&self) -> Result<(), WorkError> {
        let mut last = None;
        let mut since = Instant::now();
        while !self.is_complete().await? {
            let count = self.count().await?;
            if last != Some(count) {
                (last, since) = (Some(count), Instant::now());
                tracing::info!(
                    work.id = %self.id, done = count.processed, wanted = count.expected,
                    "waiting until the workers are through with the work of the run before"
                );
            }
            if since.elapsed() > PATIENCE && self.is_queue_empty().await {
                tracing::warn!(work.id = %self.id, "the work of the run before stays incomplete although its queue is empty; going on");
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    async fn is_complete(&self) -> Result<bool, WorkError> {
        // A work that is no longer there was cleared by somebody: nothing is left to wait for.
        let status = self.look().await?.and_then(|work| work.status);
        Ok(status.is_none_or(|status| status == "complete" || status == "timeout"))
    }

    /// Releases that do not say count as empty: what stands still for long has nothing to do.
    async fn is_queue_empty(&self) -> bool {
        match queue_size(&self.platform, self.connector).await {
            Ok(size) => size.is_none_or(|size| size.messages < 1.0),
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "the destination does not say how much waits in the queue");
                false
            }
        }
    }

    /// Closes the work with the sentence that people read; the last thing done to it.
    ///
    /// # Errors
    /// [`WorkError`] when the platform refuses.
    pub async fn close(
        &self,
        message: &str,
        in_error: bool,
        policy: RetryPolicy,
    ) -> Result<(), WorkError> {
        let finish = finish_work::Variables {
            id: self.id.clone(),
            message: Some(message.to_owned()),
            in_error: Some(in_error),
        };
        let finished = self.platform.call::<FinishWork>(finish, policy).await;
        // The guard's report completes the work, whatever came of the sentence.
        let guard = report_expectation::Variables {
            id: self.id.clone(),
            error: None,
        };
        let reported = self.platform.call::<ReportExpectation>(guard, policy).await;
        finished.map_err(|source| self.failed("closed", source))?;
        reported.map_err(|source| self.failed("completed", source))?;
        tracing::info!(work.id = %self.id, work.in_error = in_error, work.message = message, "work closed");
        Ok(())
    }

    fn failed(&self, tried: &'static str, source: PlatformError) -> WorkError {
        failed(&self.id, tried, source)
    }
}

async fn add_expectations(platform: &Platform, work: &str, count: u64) -> Result<(), WorkError> {
    if count == 0 {
        return Ok(());
    }
    let variables = add_expectations::Variables {
        id: work.to_owned(),
        expectations: Some(i64::try_from(count).unwrap_or(i64::MAX)),
    };
    let added = platform
        .call::<AddExpectations>(variables, RetryPolicy::DURING_RUN)
        .await;
    added
        .map(drop)
        .map_err(|source| failed(work, "told what to expect", source))
}

fn failed(work: &str, tried: &'static str, source: PlatformError) -> WorkError {
    WorkError::Request {
        work: work.to_owned(),
        tried,
        source: Box::new(source),
    }
}
