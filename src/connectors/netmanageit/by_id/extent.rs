//! How far a list has come with an answer, and whether it goes on.

use super::chunk::Chunk;
use crate::connector::SourceError;
use crate::connectors::netmanageit::ask::PageAnswer;
use crate::connectors::netmanageit::cursor::Row;
use crate::connectors::netmanageit::page::{List, row_of};

/// Whether a list goes on.
enum ListEnd {
    At(String),
    /// Only if it has more rows than were seen; it has so many.
    MaybeAt(String, u64),
    None,
}

impl ListEnd {
    pub(super) fn of(list: &List<'_>) -> Self {
        let info = &list.page_info;
        match info.end_cursor.clone().filter(|cursor| !cursor.is_empty()) {
            Some(cursor) if info.has_next_page => Self::At(cursor),
            Some(cursor) => Self::MaybeAt(cursor, info.global_count.unwrap_or_default()),
            None => Self::None,
        }
    }
}

/// How far a list has come with an answer.
pub(super) struct Extent {
    /// The answer's rows.
    page_rows: usize,
    /// All that the source counts.
    total: Option<u64>,
    next: ListEnd,
}

impl Extent {
    /// None for an answer without a list.
    pub(super) fn of(answer: &PageAnswer) -> Option<Self> {
        let list = answer.list()?;
        Some(Self {
            page_rows: list.rows(),
            total: list.page_info.global_count,
            next: ListEnd::of(list),
        })
    }

    /// Whether with this answer, and so many rows before it, fewer came than the source counts.
    pub(super) fn is_short_of(&self, seen: u64) -> bool {
        let seen = seen.saturating_add(self.page_rows as u64);
        self.total.is_some_and(|total| seen < total)
    }
}

/// The chunk with the place where its list goes on behind an answer, if it does.
pub(super) fn go_on(
    mut chunk: Chunk,
    extent: Extent,
    answer: &PageAnswer,
) -> Result<Option<Chunk>, SourceError> {
    let seen = chunk.seen.saturating_add(extent.page_rows as u64);
    let place = match extent.next {
        // It holds nothing more, whatever it counts: what was deleted meanwhile is gone.
        _ if extent.page_rows == 0 => return Ok(None),
        ListEnd::At(place) => place,
        ListEnd::MaybeAt(place, total) if seen < total => place,
        ListEnd::MaybeAt(..) | ListEnd::None => return Ok(None),
    };
    let nodes = answer.list().into_iter().flat_map(List::nodes);
    let rows: Vec<Row> = nodes.filter_map(row_of).collect();
    chunk
        .guard
        .take(&place, &rows, extent.page_rows, extent.total)
        .map_err(|endless| SourceError::because("cannot read what objects refer to", endless))?;
    chunk.blame.count_anew();
    Ok(Some(Chunk {
        after: Some(place),
        seen,
        ..chunk
    }))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::connectors::netmanageit::by_id::asked::ids;
    use crate::connectors::netmanageit::by_id::objects::pagination_guard_of_objects;
    use crate::connectors::netmanageit::by_id::unanswered::ROWS_A_PAGE;
    use crate::platform::scripted::page_that_goes_on;

    fn page_of(cursor: &str, counted: &str, nodes: &str) -> PageAnswer {
        let rows = format!(r#"{{"node":{nodes}}}"#);
        let body = page_that_goes_on("stixRefRelationships", cursor, counted, &rows);
        PageAnswer::of_body(&body).unwrap()
    }

    fn answer(cursor: &str, rows: &[usize]) -> PageAnswer {
        let nodes: Vec<String> = rows
            .iter()
            .map(|row| format!(r#"{{"id":"{row}"}}"#))
            .collect();
        page_of(cursor, "2", &nodes.join(r#"},{"node":"#))
    }

    /// The same object, changed each time.
    fn ever_newer(page: usize) -> PageAnswer {
        let changed = format!("2026-11-29T{:02}:{:02}:00Z", page / 60, page % 60);
        let node = format!(r#"{{"id":"1","updated_at":"{changed}"}}"#);
        page_of(&page.to_string(), "1000000000", &node)
    }

    #[test]
    fn an_empty_page_ends_a_list_by_ids() {
        let body = r#"{"data":{"indicators":{"pageInfo":{"endCursor":"A","hasNextPage":false,"globalCount":9},"edges":[]}}}"#;
        let answer = PageAnswer::of_body(body).unwrap();
        let extent = Extent::of(&answer).unwrap();
        let chunk = Chunk::new(ids(1), ROWS_A_PAGE, pagination_guard_of_objects(1));
        assert!(go_on(chunk, extent, &answer).unwrap().is_none());
    }

    /// Whatever a source answers, reading by ids ends.
    #[rstest]
    #[case::cursors_that_alternate(|page: usize| answer(["A", "B"][page % 2], &[page]))]
    #[case::new_cursors_over_the_same_rows(|page: usize| answer(&page.to_string(), &[1, 2]))]
    #[case::far_more_rows_than_counted(|page: usize| answer(&page.to_string(), &[page]))]
    #[case::more_rows_than_these_ids_can_have(ever_newer)]
    #[case::rows_that_do_not_say_who_they_are(|page: usize| page_of(&page.to_string(), "null", "{}"))]
    fn a_list_that_does_not_end_is_an_error(#[case] pages: impl Fn(usize) -> PageAnswer) {
        let ids = vec!["1".to_owned()];
        let mut chunk = Chunk::new(ids, ROWS_A_PAGE, pagination_guard_of_objects(1));
        for number in 0..1000 {
            let answer = pages(number);
            match go_on(chunk, Extent::of(&answer).unwrap(), &answer) {
                Ok(next) => chunk = next.expect("it says that it goes on"),
                Err(error) => {
                    let cause = std::error::Error::source(&error).unwrap();
                    assert!(cause.to_string().contains("does not end"), "{cause}");
                    return;
                }
            }
        }
        panic!("it is read without an end");
    }
}
