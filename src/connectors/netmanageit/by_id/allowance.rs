//! How much the answers of one reading may have together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::connectors::netmanageit::ask::PageAnswer;
use crate::connectors::netmanageit::page::List;

/// What the answers of one reading may have together: those of a usual page have some 5 MB.
pub(super) const KEPT_BYTES: usize = 64 * 1024 * 1024;

/// What a row needs in memory beside its text.
const ROW_BYTES: usize = 512;

pub(super) const TOO_MUCH: &str = "what is read together with it has more than 64 MiB: a smaller OPENCTI_NETMANAGEIT_PAGE_SIZE (opencti_netmanageit.page_size) needs less";

/// What the answers of one reading may still have, of all its requests together.
#[derive(Debug, Clone)]
pub(super) struct Allowance(Arc<AtomicUsize>);

impl Allowance {
    pub(super) fn of(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    /// Takes what an answer needs; false where there is not so much left. Then it is spent, so that the reading
    /// ends.
    pub(super) fn take(&self, answer: &PageAnswer) -> bool {
        let rows = answer.list().map_or(0, List::rows);
        let needed = answer.size_bytes() + rows * ROW_BYTES;
        let rest = |left: usize| left.checked_sub(needed);
        let taken = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest)
            .is_ok();
        if !taken {
            self.0.store(0, Ordering::Relaxed);
        }
        taken
    }

    pub(super) fn is_spent(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}
