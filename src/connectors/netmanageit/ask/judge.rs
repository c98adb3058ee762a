//! What an answer is worth that may hold errors.

use super::answer::{PageAnswer, PageOutcome};
use super::failure::RequestFailure;
use crate::connector::Skipped;
use crate::graphql::{Answer, GraphqlError};
use crate::http::ErrorKind;
use crate::platform::PlatformError;

/// Decides what an answer is worth. Errors beside data are a failure of the page, with one exception:
/// a number that does not fit GraphQL's `Int` costs its field and nothing else, where its row is there.
pub(super) fn judge(
    mut answer: Answer,
    skipped: &mut Vec<Skipped>,
) -> Result<PageOutcome, PlatformError> {
    if answer.is_assumed() {
        match PageAnswer::read(answer.clone()) {
            Ok(page) => return Ok(PageOutcome::Page(page)),
            // Errors stand behind its data, or it was cut short.
            Err(_) => answer = answer.settled()?,
        }
    }
    let Some(refusal) = answer.refusal() else {
        return Ok(PageOutcome::Page(PageAnswer::read(answer)?));
    };
    // A transient failure is not the fault of a row, even beside an error that names one.
    let refusal = answer.busy().unwrap_or(refusal);
    if !matches!(refusal.kind(), ErrorKind::Server) {
        return Err(refusal.into());
    }
    judge_errors(&answer, refusal.may_pass(), skipped)
}

/// Decides what a page is worth whose errors may be the fault of its rows.
fn judge_errors(
    answer: &Answer,
    may_pass: bool,
    skipped: &mut Vec<Skipped>,
) -> Result<PageOutcome, PlatformError> {
    let errors = answer.errors();
    let only_numbers = errors.iter().all(GraphqlError::is_number_out_of_range);
    let page = match PageAnswer::read(answer.clone()) {
        Ok(page) => page,
        Err(error) if only_numbers && errors.iter().all(|error| error.row().is_none()) => {
            return Err(error.into());
        }
        Err(_) => PageAnswer::empty(),
    };
    let is_to_blame =
        |error: &&GraphqlError| !error.is_number_out_of_range() || page.costs_row(error);
    if !errors.iter().any(|error| is_to_blame(&error)) {
        skipped.extend(errors.iter().map(|error| page.lost_field(error)));
        return Ok(PageOutcome::Page(page));
    }
    let blamed = errors.iter().filter(is_to_blame);
    Ok(PageOutcome::Failed(RequestFailure {
        suspect: blamed.clone().filter_map(GraphqlError::row).min(),
        is_about_size: false,
        is_over_limit: false,
        may_pass,
        wait: None,
        reason: blamed
            .map(|error| error.message.clone())
            .next()
            .unwrap_or_default(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page of these nodes, and an error about a number for each of these paths.
    fn judged(nodes: &[&str], paths: &[&str]) -> (PageOutcome, Vec<Skipped>) {
        let edges: Vec<String> = nodes
            .iter()
            .map(|node| format!(r#"{{"node":{node}}}"#))
            .collect();
        let errors: Vec<String> = paths
            .iter()
            .map(|path| {
                format!(r#"{{"message":"Int cannot represent non 32-bit signed integer value: 5","path":{path}}}"#)
            })
            .collect();
        let body = format!(
            r#"{{"data":{{"indicators":{{"pageInfo":{{"hasNextPage":false}},"edges":[{}]}}}},"errors":[{}]}}"#,
            edges.join(","),
            errors.join(",")
        );
        let mut skipped = Vec::new();
        let asked = judge(Answer::of_body(&body).unwrap(), &mut skipped).unwrap();
        (asked, skipped)
    }

    #[test]
    fn a_number_that_is_too_large_costs_what_is_null_and_says_what_that_is() {
        let nodes = [
            r#"{"id":"1"}"#,
            r#"{"id":"2","size":null,"objectMarking":null}"#,
        ];
        for (path, lost) in [
            (r#"["indicators","edges",1,"node","size"]"#, "size"),
            (
                r#"["indicators","edges",1,"node","objectMarking",0,"x_opencti_order"]"#,
                "objectMarking",
            ),
            (
                r#"["indicators","edges",1,"node","files",2,"size"]"#,
                "size",
            ),
        ] {
            let (asked, skipped) = judged(&nodes, &[path]);
            assert!(matches!(asked, PageOutcome::Page(_)));
            assert_eq!((&*skipped[0].kind, skipped.len()), (lost, 1));
        }
    }

    #[test]
    fn a_number_that_is_too_large_and_takes_its_row_away_is_a_failure_of_that_row() {
        let size = r#"["indicators","edges",0,"node","size"]"#;
        let taken = r#"["indicators","edges",1,"node","objectMarking",0,"x_opencti_order"]"#;
        let (asked, skipped) = judged(&[r#"{"id":"1","size":null}"#, "null"], &[size, taken]);
        let PageOutcome::Failed(failure) = asked else {
            panic!("the row is gone");
        };
        assert_eq!((failure.suspect, skipped.len()), (Some(1), 0));
        assert!(failure.names_row());
    }
}
