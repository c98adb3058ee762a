//! How fast the workers import what a run sends, and how long they still need: said in the log now and then, and kept in
//! the state for what the next import announces.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::connector::{RunReporter, WorkerPace};
use crate::opencti::{Work, WorkCount};
use crate::runtime::import::destination::Destination;
use crate::runtime::session::state_store::StateStore;
use crate::telemetry::logs::Chain;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_mins(1);
/// An answer that takes longer is not waited for.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// So many looks are remembered: an hour.
const LOOKS: usize = 61;
/// After so many looks it is said.
const LOOKS_BETWEEN_LINES: usize = 5;
/// Reports that no worker makes: that of the sentinel.
const SENTINEL: u64 = 1;

/// Looks at the work of a run as long as the run goes on.
pub(super) async fn watch_pace(
    destination: &Destination,
    state_store: &StateStore,
    reporter: &RunReporter,
) -> Infallible {
    // A run goes on with a work that is there when it begins; one that comes later is its own.
    let mut is_there_before = true;
    let mut watched: Option<(String, PaceWatch)> = None;
    loop {
        let open = state_store.look(|state| {
            let work = state.work.as_ref().filter(|work| work.closing.is_none());
            work.map(|work| work.id.clone())
        });
        if watched.as_ref().map(|(id, _)| id) != open.as_ref() {
            let begin = |id| (id, PaceWatch::new(is_there_before));
            watched = open.map(begin);
        }
        is_there_before = false;
        if let Some((id, watch)) = &mut watched
            && let Some(count) = count_of(destination, id).await
            && let Some(pace) = watch.take(count, Instant::now())
        {
            state_store.change_always(|state| state.objects_an_hour = pace.objects_an_hour());
            if let Some(coming) = reporter.coming() {
                let left = watch.left(count, coming);
                tracing::info!(
                    work.id = id,
                    "the workers import {pace}; for what is still to come, some {left} objects, they need about {} at this pace",
                    pace.time_for(left)
                );
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// How far the workers are; none where the platform does not say.
async fn count_of(destination: &Destination, id: &str) -> Option<WorkCount> {
    let platform = Arc::clone(&destination.session.platform);
    let work = Work::known(platform, id.to_owned());
    match tokio::time::timeout(ANSWER_LIMIT, work.count()).await {
        Ok(Ok(count)) => Some(count),
        Ok(Err(error)) => {
            tracing::debug!(work.id = id, error = %Chain(&error), "it is not known how far the workers are");
            None
        }
        Err(_) => None,
    }
}

/// What was seen of one work in this run.
#[derive(Debug)]
struct PaceWatch {
    /// It was there before the run: what waited then comes on top of what the run sends.
    is_older: bool,
    /// As it stood when the run began.
    first: Option<WorkCount>,
    /// Reports made by then, since when the workers have always had something to do.
    looks: VecDeque<(Instant, u64)>,
    until_line: usize,
}

impl PaceWatch {
    fn new(is_older: bool) -> Self {
        Self {
            is_older,
            first: None,
            looks: VecDeque::new(),
            until_line: LOOKS_BETWEEN_LINES,
        }
    }

    /// Takes what a look has found; every few looks the pace, as far as the workers show one.
    fn take(&mut self, count: WorkCount, now: Instant) -> Option<WorkerPace> {
        let begin = if self.is_older {
            count
        } else {
            WorkCount::default()
        };
        self.first.get_or_insert(begin);
        let has_counted_back = self
            .looks
            .back()
            .is_some_and(|(_, last)| count.processed < *last);
        if has_counted_back || count.missing() <= SENTINEL {
            // Workers that wait for something to do show nothing.
            self.looks.clear();
            return None;
        }
        self.looks.push_back((now, count.processed));
        if self.looks.len() > LOOKS {
            self.looks.pop_front();
        }
        self.until_line = self.until_line.saturating_sub(1);
        if self.until_line > 0 || self.looks.len() < 2 {
            return None;
        }
        let (since, before) = self.looks.front()?;
        let time = now.saturating_duration_since(*since);
        let pace = WorkerPace::of(count.processed.saturating_sub(*before), time)?;
        self.until_line = LOOKS_BETWEEN_LINES;
        Some(pace)
    }

    /// How many objects the workers still have to import, of so many that the run sends.
    fn left(&self, count: WorkCount, coming: u64) -> u64 {
        let first = self.first.unwrap_or_default();
        let all = coming.saturating_add(first.missing());
        let done = count.processed.saturating_sub(first.processed);
        let waiting = count.missing().saturating_sub(SENTINEL);
        all.saturating_sub(done).max(waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(expected: u64, processed: u64) -> WorkCount {
        WorkCount {
            expected,
            processed,
        }
    }

    /// What looks every minute show.
    fn paces(watch: &mut PaceWatch, counts: &[WorkCount]) -> Vec<Option<u64>> {
        let begin = Instant::now();
        let looks = counts.iter().zip(0..);
        let paces = looks.map(|(count, minute)| watch.take(*count, begin + LOOK_EVERY * minute));
        paces
            .map(|pace| pace.map(WorkerPace::objects_an_hour))
            .collect()
    }

    #[tokio::test]
    async fn the_pace_is_said_every_few_minutes() {
        let mut watch = PaceWatch::new(false);
        let counts: Vec<WorkCount> = (0..11).map(|at| count(100_001, at * 600)).collect();
        let paces = paces(&mut watch, &counts);
        let said = paces.iter().filter(|pace| **pace == Some(36_000)).count();
        assert_eq!(said, 2, "{paces:?}");
        assert_eq!(paces.iter().flatten().count(), 2);
    }

    #[tokio::test]
    async fn workers_that_have_nothing_to_do_or_do_nothing_show_no_pace() {
        let idle: Vec<WorkCount> = (1..20).map(|at| count(at * 600 + 1, at * 600)).collect();
        assert_eq!(paces(&mut PaceWatch::new(false), &idle), [None; 19]);
        let away = [count(5000, 100); 19];
        assert_eq!(paces(&mut PaceWatch::new(false), &away), [None; 19]);
    }

    #[tokio::test]
    async fn what_waited_before_the_run_comes_on_top_of_what_it_sends() {
        let mut own = PaceWatch::new(false);
        own.take(count(3001, 1000), Instant::now());
        assert_eq!(own.left(count(3001, 1000), 50_000), 49_000);
        let mut older = PaceWatch::new(true);
        older.take(count(3001, 1000), Instant::now());
        assert_eq!(older.left(count(4001, 1500), 50_000), 50_000 + 2001 - 500);
        // More came than was announced.
        assert_eq!(own.left(count(90_001, 60_000), 50_000), 30_000);
    }
}
