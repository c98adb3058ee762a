//! What is still to be asked for: what fails is asked for in smaller parts, down to the single object that is to
//! blame.

use std::collections::VecDeque;

use super::chunk::Chunk;
use crate::connector::{Skipped, SourceError};
use crate::connectors::netmanageit::ask::{
    PageOutcome, RequestFailure, SourceRequest, Stream, ask, given_up, over_limit, unreadable,
};
use crate::connectors::netmanageit::blame::BlameOutcome;
use crate::http::RetryBudget;
use crate::platform::{PaginationGuard, Platform};

/// So many others are asked for where one object fails, to see whether it is the source.
const OTHERS: usize = 3;

/// Rows in one answer.
pub(super) const ROWS_A_PAGE: usize = 1000;

/// What is still to be asked for.
#[derive(Debug)]
pub(super) struct Unanswered<'a> {
    platform: &'a Platform,
    /// The stream of the objects.
    stream: Stream,
    /// All of them: those beside one that fails show whether it is the source.
    ids: Vec<String>,
    pub(super) all_chunks: VecDeque<Chunk>,
    /// Makes the pagination guard of a list by so many ids.
    guard_of: fn(usize) -> PaginationGuard,
    retry_budget: RetryBudget,
}

impl<'a> Unanswered<'a> {
    pub(super) fn new(
        platform: &'a Platform,
        stream: Stream,
        ids: Vec<String>,
        guard_of: fn(usize) -> PaginationGuard,
    ) -> Self {
        let all = Chunk::new(ids.clone(), ROWS_A_PAGE, guard_of(ids.len()));
        Self {
            platform,
            stream,
            all_chunks: VecDeque::from([all]),
            ids,
            guard_of,
            retry_budget: RetryBudget::default(),
        }
    }

    /// Objects, so many rows of them at once.
    fn part(&self, ids: &[String], rows: usize) -> Chunk {
        Chunk::new(ids.to_vec(), rows, (self.guard_of)(ids.len()))
    }

    pub(super) async fn ask(
        &mut self,
        request: SourceRequest,
        skipped: &mut Vec<Skipped>,
    ) -> Result<PageOutcome, SourceError> {
        let asked = ask(self.platform, &request, &mut self.retry_budget, skipped)
            .await
            .map_err(|error| unreadable(self.stream, error))?;
        if let PageOutcome::Page(answer) = &asked
            && answer.list().is_some()
        {
            self.retry_budget.renew();
        }
        Ok(asked)
    }

    /// Asks for less of what failed; the object that fails alone, if it is to blame. `others` asks for the same of
    /// another object, or of any.
    pub(super) async fn step_around(
        &mut self,
        chunk: Chunk,
        failure: &RequestFailure,
        others: impl Fn(Option<String>) -> SourceRequest,
    ) -> Result<Option<String>, SourceError> {
        let is_alone = chunk.ids.len() == 1;
        if is_alone && failure.is_over_limit && chunk.rows == 1 {
            return Err(over_limit(self.stream, failure));
        }
        tracing::warn!(
            stream = self.stream.name(),
            ids = chunk.ids.len(),
            reason = failure.reason,
            "the source failed at objects that others refer to; asking for less of them"
        );
        if !self.retry_budget.rest(failure, is_alone).await {
            return Err(given_up(self.stream, failure));
        }
        if is_alone && !failure.is_over_limit {
            return self.blame_object(chunk, failure, others).await;
        }
        self.divide(&chunk, failure);
        Ok(None)
    }

    /// Cuts a chunk into parts that are asked for in its stead. Some rows may have been read already; reading them
    /// again changes nothing. Each try that takes too long takes a minute, so there must not be many of them.
    fn divide(&mut self, chunk: &Chunk, failure: &RequestFailure) {
        let (parts, rows) = if failure.is_about_size {
            (8, (chunk.rows / 8).max(1))
        } else {
            (2, chunk.rows)
        };
        let size = chunk.ids.len().div_ceil(parts);
        for ids in chunk.ids.chunks(size).rev() {
            let part = self.part(ids, rows);
            self.all_chunks.push_front(part);
        }
    }

    /// After a failure of a single object: its id if it is to blame; else it is asked for again, behind others if
    /// need be.
    async fn blame_object(
        &mut self,
        mut chunk: Chunk,
        failure: &RequestFailure,
        others: impl Fn(Option<String>) -> SourceRequest,
    ) -> Result<Option<String>, SourceError> {
        match chunk.blame.note(failure) {
            BlameOutcome::AskAgain => {}
            BlameOutcome::AskOthers => {
                let are_answered = self.answers_others(&chunk, others).await?;
                chunk.blame.note_others(are_answered);
                if !are_answered && !self.retry_budget.outlast(self.stream, failure).await {
                    return Err(given_up(self.stream, failure));
                }
            }
            BlameOutcome::ToBlame => {
                if !failure.names_row() {
                    self.retry_budget.renew();
                }
                return Ok(Some(chunk.ids.concat()));
            }
        }
        self.all_chunks.push_front(chunk);
        Ok(None)
    }

    /// Whether the source answers the same for others, while the object at hand fails. Where it does not, it is
    /// the source.
    async fn answers_others(
        &mut self,
        chunk: &Chunk,
        others: impl Fn(Option<String>) -> SourceRequest,
    ) -> Result<bool, SourceError> {
        let beside = self.ids.iter().rev().filter(|id| !chunk.ids.contains(id));
        let beside: Vec<String> = beside.take(OTHERS).cloned().collect();
        let requests = beside.into_iter().map(Some).chain([None]).map(others);
        for request in requests {
            let asked = ask(
                self.platform,
                &request,
                &mut self.retry_budget,
                &mut Vec::new(),
            )
            .await;
            match asked.map_err(|error| unreadable(self.stream, error))? {
                PageOutcome::Page(_) => return Ok(true),
                PageOutcome::Failed(_) => {}
            }
        }
        Ok(false)
    }
}
