//! How long the source is waited for after a failure.

use super::failure::RequestFailure;
use super::request::Stream;
use crate::http::RetryBudget;

impl RetryBudget {
    /// Waits until the source may have recovered from a failure, longer each time, and logs that; false when
    /// the retry budget is used up.
    pub(in super::super) async fn outlast(
        &mut self,
        stream: Stream,
        failure: &RequestFailure,
    ) -> bool {
        tracing::warn!(
            stream = stream.name(),
            reason = failure.reason,
            "the source fails; it is waited for"
        );
        self.wait(failure.wait).await
    }

    /// Waits after a failure, unless it names the row to blame, which will not pass. A row that is
    /// asked for alone and fails for the moment is waited for longer each time. False when the retry budget
    /// is used up.
    pub(in super::super) async fn rest(
        &mut self,
        failure: &RequestFailure,
        is_alone: bool,
    ) -> bool {
        if failure.names_row() {
            true
        } else if is_alone && failure.may_pass && !failure.is_about_size {
            self.wait(failure.wait).await
        } else {
            self.pause(failure.wait).await
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn failure(suspect: Option<usize>, may_pass: bool) -> RequestFailure {
        RequestFailure {
            suspect,
            may_pass,
            ..RequestFailure::no_list()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_retry_budget_ends_and_an_answer_renews_it() {
        let mut retry_budget = RetryBudget::default();
        let began = tokio::time::Instant::now();
        while retry_budget.rest(&failure(None, true), true).await {}
        assert!(began.elapsed() <= Duration::from_mins(10));
        retry_budget.renew();
        assert!(retry_budget.rest(&failure(None, false), false).await);
        let asked = Some(Duration::from_mins(11));
        assert!(!retry_budget.wait(asked).await && !retry_budget.pause(asked).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_row_that_is_named_is_not_waited_for() {
        let began = tokio::time::Instant::now();
        let mut retry_budget = RetryBudget::default();
        assert!(retry_budget.rest(&failure(Some(3), false), true).await);
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
