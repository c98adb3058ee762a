//! Whether an answer is one to its request: it may be cut short, or that of another request.

use super::answer::PageOutcome;
use super::failure::RequestFailure;
use super::request::{Detail, Filter, ListRequest, SourceRequest};
use crate::connectors::netmanageit::page::{List, Node, holder_of};
use crate::platform::PlatformError;
use crate::stix::TextSet;

impl SourceRequest {
    /// An answer that holds what was not asked for, or nothing of what it counts, is of an unknown shape. A failure
    /// that blames a row beyond those that were asked for blames none.
    pub(super) fn check(&self, asked: PageOutcome) -> Result<PageOutcome, PlatformError> {
        match asked {
            PageOutcome::Page(page) => match page.list().and_then(|list| self.misfit(list)) {
                Some(reason) => Err(page.misshapen(reason).into()),
                None => Ok(PageOutcome::Page(page)),
            },
            PageOutcome::Failed(failure) => Ok(PageOutcome::Failed(RequestFailure {
                suspect: failure.suspect.filter(|row| *row < self.rows()),
                ..failure
            })),
        }
    }

    /// Why a list is no answer to this, if it is none.
    fn misfit(&self, list: &List<'_>) -> Option<&'static str> {
        if self.is_answered_by_nothing(list) {
            Some("it counts rows and holds none")
        } else if self.is_answered_by_others(list) {
            Some(
                "it holds objects that were not asked for; look for a cache or proxy in front of that platform",
            )
        } else {
            None
        }
    }

    /// Whether a list holds what was not asked for, as that of another request does.
    fn is_answered_by_others(&self, list: &List<'_>) -> bool {
        let Some(asked) = self.internal_ids() else {
            return false;
        };
        let id_of = |node| match self {
            Self::List(_) => Node::text(node, "id").ok().flatten(),
            Self::References(_) => holder_of(node),
        };
        list.nodes()
            .filter_map(id_of)
            .any(|id| !asked.contains(&*id))
    }

    /// What was asked for, by internal ids alone; none where an object may answer to another id as well: a STIX id
    /// that it had before.
    fn internal_ids(&self) -> Option<TextSet<&str>> {
        let ids = match self {
            Self::List(ListRequest {
                filter: Filter::Ids(ids),
                ..
            }) => ids,
            Self::References(references) if !references.holders.is_empty() => &references.holders,
            Self::List(_) | Self::References(_) => return None,
        };
        let is_internal = ids.iter().all(|id| !id.contains("--"));
        is_internal.then(|| ids.iter().map(String::as_str).collect())
    }

    /// Whether a list is counted from its beginning and none of it is there.
    fn is_answered_by_nothing(&self, list: &List<'_>) -> bool {
        let is_from_start = matches!(self, Self::List(request) if request.after.is_none());
        let is_counted = list.page_info.global_count.is_some_and(|total| total > 0);
        is_from_start && is_counted && list.rows() == 0
    }

    /// How many rows it asks for at most.
    fn rows(&self) -> usize {
        match self {
            Self::List(list) => list.first,
            Self::References(references) => usize::try_from(references.first).unwrap_or_default(),
        }
    }

    /// Whether the rows of the answer have to hold something.
    pub(super) fn asks_for_nodes(&self) -> bool {
        match self {
            Self::List(request) => request.detail != Detail::Places,
            Self::References(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::netmanageit::ask::answer::PageAnswer;
    use crate::connectors::netmanageit::ask::is_about_shape;
    use crate::connectors::netmanageit::ask::request::{ReferencesRequest, Stream};

    fn list(field: &str, rows: &str) -> PageAnswer {
        let info = r#"{"endCursor":"A","hasNextPage":false,"globalCount":1}"#;
        let body = format!(r#"{{"data":{{"{field}":{{"pageInfo":{info},"edges":[{rows}]}}}}}}"#);
        PageAnswer::of_body(&body).unwrap()
    }

    /// A list by ids holds these and no others, unless it was asked for by ids that another may have had.
    #[test]
    fn what_was_not_asked_for_is_no_answer() {
        let by_ids = |ids: &[&str]| {
            let ids: Vec<String> = ids.iter().map(|&id| id.to_owned()).collect();
            let stream = Stream::Observables;
            SourceRequest::List(ListRequest::by_ids(stream, Detail::Stix, &ids))
        };
        let rows = r#"{"node":{"id":"a"}},null,{"node":{"id":7}},{"node":{"id":"b"}}"#;
        let answered = |request: SourceRequest| {
            let checked = request.check(PageOutcome::Page(list("stixCyberObservables", rows)));
            checked.map_err(|error| is_about_shape(&error)).map(|_| ())
        };
        assert_eq!(answered(by_ids(&["a", "b", "c"])), Ok(()));
        assert_eq!(answered(by_ids(&["a", "c"])), Err(true));
        assert_eq!(answered(by_ids(&["a", "url--1"])), Ok(()));
        let none = by_ids(&["a"]).check(PageOutcome::Page(list("stixCyberObservables", "")));
        assert!(
            none.is_err_and(|error| is_about_shape(&error)),
            "one is counted"
        );

        let rows = r#"{"node":{"id":"1","from":{"id":"a"}}},{"node":{"id":"2","from":null}}"#;
        let answered = |holders: &[&str]| {
            let request = SourceRequest::References(ReferencesRequest {
                holders: holders.iter().map(|&id| id.to_owned()).collect(),
                relations: Vec::new(),
                with_files: false,
                first: 9,
                after: None,
            });
            let page = PageOutcome::Page(list("stixRefRelationships", rows));
            request.check(page).is_ok()
        };
        assert!(answered(&["a"]) && answered(&[]) && !answered(&["b"]));
    }

    #[test]
    fn a_row_that_was_not_asked_for_is_not_to_blame() {
        let request = |first| {
            let list = ListRequest::by_ids(Stream::Indicators, Detail::Stix, &[]);
            SourceRequest::List(ListRequest { first, ..list })
        };
        let failure = RequestFailure {
            suspect: Some(3),
            ..RequestFailure::no_list()
        };
        let suspect =
            |request: SourceRequest| match request.check(PageOutcome::Failed(failure.clone())) {
                Ok(PageOutcome::Failed(failure)) => failure.suspect,
                _ => panic!("it failed"),
            };
        assert_eq!(
            [1, 3, 4, 50].map(request).map(suspect),
            [None, None, Some(3), Some(3)]
        );
    }
}
