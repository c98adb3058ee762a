//! What came of a request: a page, or a failure. A page is taken apart once, with its errors judged.

use self_cell::self_cell;

use super::failure::RequestFailure;
use crate::connector::Skipped;
use crate::connectors::netmanageit::cursor::SourceClock;
use crate::connectors::netmanageit::page::{List, ListData};
use crate::graphql::{Answer, GraphqlError, RequestError};

/// The outcome of a request.
pub(in super::super) enum PageOutcome {
    Page(PageAnswer),
    /// The platform failed at it, and may not fail at less.
    Failed(RequestFailure),
}

/// An answer whose errors have been judged, with its list, taken apart in one pass.
pub(in super::super) struct PageAnswer(Parsed);

self_cell!(
    struct Parsed {
        owner: Answer,
        #[covariant]
        dependent: MaybeList,
    }
);

type MaybeList<'a> = Option<List<'a>>;

impl std::fmt::Debug for PageAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PageAnswer({} bytes)", self.size_bytes())
    }
}

impl Clone for PageAnswer {
    /// Takes the answer apart once more.
    fn clone(&self) -> Self {
        // What could be read once can be read again.
        Self::read(self.0.borrow_owner().clone()).unwrap_or_else(|_| Self::empty())
    }
}

impl PageAnswer {
    /// Takes an answer apart.
    ///
    /// # Errors
    /// When its data is no list.
    pub(super) fn read(answer: Answer) -> Result<Self, RequestError> {
        Parsed::try_new(answer, list_of_answer).map(Self)
    }

    /// An answer with this body; none where it has no list.
    #[cfg(test)]
    pub(in super::super) fn of_body(body: &str) -> Option<Self> {
        Self::read(Answer::of_body(body).ok()?).ok()
    }

    /// An answer that holds nothing.
    pub(in super::super) fn empty() -> Self {
        Self(Parsed::new(Answer::empty(), |_| None))
    }

    /// How large it came.
    pub(in super::super) fn size_bytes(&self) -> usize {
        self.0.borrow_owner().size_bytes()
    }

    /// The error of an answer that is not what was asked for, and why.
    pub(super) fn misshapen(&self, reason: &str) -> RequestError {
        self.0.borrow_owner().misshapen(reason)
    }

    /// The source's clock when it answered.
    pub(in super::super) fn clock(&self) -> Option<SourceClock> {
        let clocks = self.0.borrow_owner().clocks()?;
        Some(SourceClock::of(clocks.theirs, clocks.ours))
    }

    /// The list that the answer holds; none for an answer without data.
    pub(in super::super) fn list(&self) -> Option<&List<'_>> {
        self.0.borrow_dependent().as_ref()
    }

    /// Whether an error took the row on its path away, and not only a field of it.
    pub(super) fn costs_row(&self, error: &GraphqlError) -> bool {
        error
            .row()
            .is_some_and(|row| self.list().and_then(|list| list.node(row)).is_none())
    }

    /// What a number that is too large costs: a field that has to have it is null as a whole.
    pub(super) fn lost_field(&self, error: &GraphqlError) -> Skipped {
        let row = error.row();
        let node = row.and_then(|row| self.list()?.node(row));
        let field = error.field_of_row();
        let lost = field.filter(|field| node.is_some_and(|node| node.is_null(field)));
        Skipped {
            id: row.map_or_else(
                || "a row".to_owned(),
                |row| format!("row {row} of its page"),
            ),
            kind: lost.or(error.last_field()).unwrap_or("field").to_owned(),
            reason: "a number larger than the source's API can represent".to_owned(),
        }
    }
}

fn list_of_answer(answer: &Answer) -> Result<MaybeList<'_>, RequestError> {
    let list = answer.borrow_despite_errors::<ListData<'_>>()?.list;
    if list.is_broken_off() {
        return Err(answer.misshapen("an empty page says that its list goes on"));
    }
    Ok(Some(list))
}
