//! Which row is at a place, asked for alone: by its name where the source can give it, else by its place.

use super::bad_row::UNEXPLAINED_ROWS;
use crate::connector::{RowTime, SourceError};
use crate::connectors::netmanageit::ask::{
    Detail, Filter, ListRequest, PageAnswer, PageOutcome, RequestFailure, SourceRequest, Stream,
    ask, given_up, over_limit, unreadable,
};
use crate::connectors::netmanageit::cursor::{SourceClock, Span};
use crate::connectors::netmanageit::page::{List, RowName};
use crate::connectors::netmanageit::row_place::RowPlace;
use crate::http::{ErrorKind, RetryBudget};
use crate::platform::Platform;
use crate::telemetry::logs::Chain;

/// The identity of a row that the source could not name.
pub(in super::super) enum RowIdentity {
    /// The source names it now.
    Named(RowName),
    /// Still not, and why.
    Unknown(String),
    /// None any more: the stream has no rows.
    Gone,
}

/// Asks once which row is at a place.
pub(in super::super) async fn identify_row_at(
    platform: &Platform,
    stream: Stream,
    place: RowPlace,
) -> Result<RowIdentity, SourceError> {
    let request = SourceRequest::List(ListRequest {
        stream,
        detail: Detail::Names,
        filter: Filter::Span(place.span),
        first: 1,
        after: place.after,
        is_newest_first: false,
    });
    let retry_budget = &mut RetryBudget::default();
    let answer = match ask(platform, &request, retry_budget, &mut Vec::new()).await {
        Ok(PageOutcome::Page(answer)) => answer,
        Ok(PageOutcome::Failed(failure)) => {
            return Ok(RowIdentity::Unknown(failure.as_reason("it")));
        }
        // The source is down, or refuses the token: that means nothing for the place.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::Transient(_) | ErrorKind::Authentication
            ) =>
        {
            return Err(unreadable(stream, error));
        }
        // Another release may not take the cursor.
        Err(error) => return Ok(RowIdentity::Unknown(Chain(&error).to_string())),
    };
    Ok(RowIdentity::of(&answer))
}

impl RowIdentity {
    /// What an answer says of the one row that was asked for.
    fn of(answer: &PageAnswer) -> Self {
        let unknown = |reason: &str| Self::Unknown(reason.to_owned());
        let list = answer.list();
        let rows = list.map_or(0, List::rows);
        let counted = list.and_then(|list| list.page_info.global_count);
        if rows > 1 {
            return unknown("more than one row was answered for it");
        }
        // A list that is not empty may be so for a moment.
        if rows == 0 && counted != Some(0) {
            return unknown("nothing was answered for it");
        }
        match read_row(answer) {
            Some(RowAt::Row { name, .. }) => name.map_or_else(
                || unknown("the source does not name it"),
                RowIdentity::Named,
            ),
            Some(RowAt::Nothing(_)) => Self::Gone,
            None => Self::Unknown(RequestFailure::no_list().as_reason("it")),
        }
    }
}

/// What is at a place.
pub(super) enum RowAt {
    Row {
        /// The place behind it.
        place: String,
        /// Its name, where the source can give it.
        name: Option<RowName>,
        clock: Option<SourceClock>,
    },
    Nothing(Option<SourceClock>),
}

/// The first row of what is asked for: with its name if the source can, else its place alone.
pub(super) async fn row_at(
    platform: &Platform,
    request: &ListRequest,
    retry_budget: &mut RetryBudget,
) -> Result<RowAt, SourceError> {
    let stream = request.stream;
    loop {
        let mut last = RequestFailure::no_list();
        for detail in [Detail::Names, Detail::Places] {
            let request = SourceRequest::List(ListRequest {
                detail,
                ..request.clone()
            });
            let asked = ask(platform, &request, retry_budget, &mut Vec::new()).await;
            match asked.map_err(|error| unreadable(stream, error))? {
                PageOutcome::Page(answer) => {
                    if let Some(row) = read_row(&answer) {
                        return Ok(row);
                    }
                }
                PageOutcome::Failed(failure) => last = failure,
            }
        }
        if last.is_over_limit {
            return Err(over_limit(stream, &last));
        }
        if !retry_budget.outlast(stream, &last).await {
            return Err(given_up(stream, &last));
        }
    }
}

fn read_row(answer: &PageAnswer) -> Option<RowAt> {
    let list = answer.list()?;
    if list.rows() == 0 {
        return Some(RowAt::Nothing(answer.clock()));
    }
    let name = list.nodes().next().and_then(RowName::of);
    let clock = answer.clock();
    let row = |place| RowAt::Row { place, name, clock };
    list.first_cursor().map(row)
}

/// When the newest row of a stream changed whose time has come, and the source's clock; none where there is no row,
/// or none of the newest says it. Where the time of none of the newest has come, that of the first.
pub(in super::super) async fn newest(
    platform: &Platform,
    stream: Stream,
) -> Result<(Option<RowTime>, Option<SourceClock>), SourceError> {
    let (mut first_clock, mut ahead) = (None, None);
    let mut retry_budget = RetryBudget::default();
    let mut request = ListRequest {
        stream,
        detail: Detail::Names,
        filter: Filter::Span(Span::Everything),
        first: 1,
        after: None,
        is_newest_first: true,
    };
    for _ in 0..UNEXPLAINED_ROWS {
        match row_at(platform, &request, &mut retry_budget).await? {
            RowAt::Nothing(clock) => return Ok((ahead, first_clock.or(clock))),
            RowAt::Row { place, name, clock } => {
                first_clock = first_clock.or(clock);
                if let Some(timestamp) = name.and_then(|name| name.row().updated_at) {
                    if !first_clock.is_some_and(|clock| clock.is_ahead(timestamp)) {
                        return Ok((Some(timestamp), first_clock));
                    }
                    ahead = ahead.or(Some(timestamp));
                }
                request.after = Some(place);
            }
        }
    }
    Ok((ahead, first_clock))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever is answered of a place, it costs no run, but where the source does not know us.
    #[tokio::test]
    async fn a_row_at_a_place_is_identified_or_not() {
        let error = |code| {
            format!(
                r#"{{"errors":[{{"message":"m","extensions":{{"code":"{code}"}}}}],"data":null}}"#
            )
        };
        let rows = |rows: &str| {
            let info = r#"{"endCursor":"","hasNextPage":false,"globalCount":9}"#;
            format!(r#"{{"data":{{"indicators":{{"pageInfo":{info},"edges":[{rows}]}}}}}}"#)
        };
        for (answer, expected) in [
            (error("GRAPHQL_VALIDATION_FAILED"), "unknown"),
            (error("INTERNAL_SERVER_ERROR"), "unknown"),
            (error("FORBIDDEN_ACCESS"), "refused"),
            (r#"{"data":{"indicators":{}}}"#.to_owned(), "unknown"),
            (rows(r#"{"cursor":"A","node":null}"#), "unknown"),
            (rows(r#"{"cursor":"A","node":{"id":null}}"#), "unknown"),
            (rows(r#"{"cursor":"A","node":{"id":"i"}}"#), "i"),
            (
                rows(r#"{"cursor":"A","node":{"id":"i"}},{"cursor":"B","node":{"id":"j"}}"#),
                "unknown",
            ),
            (rows(""), "unknown"),
            (rows("").replace(":9", ":0"), "nobody"),
        ] {
            let reported = answer.clone();
            let platform = Platform::scripted(move |_, _| answer.clone()).await;
            let place = RowPlace::of(Span::Everything, Some("A"));
            let who = identify_row_at(&platform, Stream::Indicators, place).await;
            let who = match who {
                Ok(RowIdentity::Named(name)) => name.id,
                Ok(RowIdentity::Unknown(_)) => "unknown".to_owned(),
                Ok(RowIdentity::Gone) => "nobody".to_owned(),
                Err(_) => "refused".to_owned(),
            };
            assert_eq!(who, expected, "{reported}");
        }
    }
}
