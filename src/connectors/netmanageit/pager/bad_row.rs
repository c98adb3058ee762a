//! Steps around a page that the source fails at: asks for less of it until the row to blame is alone, and skips that
//! one by name.

use super::Pager;
use super::row_at::{RowAt, row_at};
use crate::connector::{Deferred, Skipped, SourceError};
use crate::connectors::netmanageit::ask::{
    Detail, Filter, ListRequest, PageAnswer, RequestFailure, given_up, over_limit,
};
use crate::connectors::netmanageit::blame::BlameOutcome;
use crate::connectors::netmanageit::cursor::Span;
use crate::connectors::netmanageit::page::RowName;
use crate::connectors::netmanageit::row_place::RowPlace;

/// Rows in a row that are skipped because the source fails at them; more than that is no bad data but a
/// bad source.
const FAILED_ROWS: usize = 500;
/// The same where the source does not name the row that it fails at: then it is the source sooner.
pub(super) const UNEXPLAINED_ROWS: usize = 20;
/// The same where it takes too long: each of these costs minutes.
const TIMED_OUT_ROWS: usize = 3;

impl Pager {
    /// Makes the next request smaller, until the row that fails is alone; that one is skipped.
    pub(super) async fn step_around(
        &mut self,
        failure: &RequestFailure,
    ) -> Result<(), SourceError> {
        tracing::warn!(
            stream = self.stream.name(),
            page.rows = self.size.rows(),
            reason = failure.reason,
            "the source failed at a page; asking for less of it"
        );
        let is_alone = self.size.rows() == 1;
        if is_alone && failure.is_over_limit {
            return Err(over_limit(self.stream, failure));
        }
        if !self.retry_budget.rest(failure, is_alone).await {
            return Err(given_up(self.stream, failure));
        }
        if is_alone {
            return self.blame_row(failure).await;
        }
        if failure.is_about_size {
            self.size.shrink();
        } else {
            self.size.step_before(failure.suspect);
        }
        Ok(())
    }

    /// After a failure of the row at hand alone: asks for it again, for others, or skips it.
    async fn blame_row(&mut self, failure: &RequestFailure) -> Result<(), SourceError> {
        let may_go_on = match self.blame.note(failure) {
            BlameOutcome::AskAgain => true,
            BlameOutcome::AskOthers => {
                let are_answered = self.answers_others().await?;
                self.blame.note_others(are_answered);
                are_answered || self.retry_budget.outlast(self.stream, failure).await
            }
            BlameOutcome::ToBlame if self.skip_row(failure).await? => {
                // The others were answered, or the row was named.
                self.retry_budget.renew();
                true
            }
            // One list has a row there, and another of the same rows has none.
            BlameOutcome::ToBlame => self.retry_budget.outlast(self.stream, failure).await,
        };
        if may_go_on {
            Ok(())
        } else {
            Err(given_up(self.stream, failure))
        }
    }

    /// Whether the source answers others of the stream, in the same detail, while the row at hand fails: the one
    /// behind it, the first of all, or the one behind the first ones. Where it does not, it is the source.
    async fn answers_others(&mut self) -> Result<bool, SourceError> {
        let first = ListRequest {
            filter: Filter::Span(Span::Everything),
            after: None,
            ..self.request(self.detail)
        };
        if self.is_answered(&first).await? {
            return Ok(true);
        }
        let near = self.request(Detail::Places);
        let far = ListRequest {
            first: UNEXPLAINED_ROWS,
            detail: Detail::Places,
            ..first.clone()
        };
        for from in [near, far] {
            let place = self.place_behind(&from).await?;
            let behind = ListRequest {
                filter: from.filter,
                after: place.clone(),
                ..first.clone()
            };
            if place.is_some() && self.is_answered(&behind).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The place behind what is asked for, where the source answers it.
    async fn place_behind(&mut self, request: &ListRequest) -> Result<Option<String>, SourceError> {
        let answer = self.answer(request).await?;
        let list = answer.as_ref().and_then(PageAnswer::list);
        let place = list.and_then(|list| list.page_info.end_cursor.clone());
        Ok(place.filter(|place| !place.is_empty()))
    }

    /// Skips the row at hand by name, unless so many were skipped in a row that it is no bad row but a
    /// bad source. False where there is no row.
    async fn skip_row(&mut self, failure: &RequestFailure) -> Result<bool, SourceError> {
        let request = self.request(Detail::Names);
        let (place, name) = match row_at(&self.platform, &request, &mut self.retry_budget).await? {
            RowAt::Row { place, name, .. } => (place, name),
            RowAt::Nothing(_) => return Ok(false),
        };
        if self.after.as_ref() == Some(&place) {
            return Err(SourceError::new("the source answers the same cursor again"));
        }
        self.note_skipped(name, failure);
        self.after = Some(place);
        self.seen = self.seen.saturating_add(1);
        self.failed_in_a_row += 1;
        let limit = rows_in_a_row(failure);
        if self.failed_in_a_row > limit {
            return Err(SourceError::new(format!(
                "the source fails at more than {limit} of its {} in a row: {}",
                self.stream.name(),
                failure.reason
            )));
        }
        self.size.step_behind(self.failed_in_a_row == 1);
        Ok(true)
    }

    fn note_skipped(&mut self, name: Option<RowName>, failure: &RequestFailure) {
        let row = name.as_ref().map(RowName::row);
        let kind = name.as_ref().and_then(|name| name.entity_type.clone());
        // What looks like a place would be asked for as one.
        let id = name.map(RowName::into_id);
        let id = id.filter(|id| id.parse::<RowPlace>().is_err());
        let place = RowPlace::of(self.span, self.after.as_deref());
        let skipped = Skipped {
            id: id.unwrap_or_else(|| place.to_string()),
            kind: kind.unwrap_or_else(|| self.stream.name().to_owned()),
            reason: failure.as_reason("it"),
        };
        let skips = &mut self.since_last_page;
        skips.rows += 1;
        // What the source does not explain may have been of the moment: it is no bad row for ever.
        match row {
            Some(row) if failure.names_row() => skips.bad.push((row, skipped)),
            // Without a name it is asked for by its place.
            named => {
                if named.is_some() || place.can_be_kept() {
                    let unread = Deferred::unread(self.stream.name(), &skipped);
                    skips.deferred.push(unread);
                }
                skips.skipped.push(skipped);
            }
        }
    }
}

fn rows_in_a_row(failure: &RequestFailure) -> usize {
    match failure {
        _ if failure.names_row() => FAILED_ROWS,
        RequestFailure {
            is_about_size: true,
            ..
        } => TIMED_OUT_ROWS,
        _ => UNEXPLAINED_ROWS,
    }
}
