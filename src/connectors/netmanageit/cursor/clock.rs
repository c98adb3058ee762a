//! What the source calls now.
//!
//! Pure. **Invariant.** Two clocks are compared as the source answered them, or by how far each was ahead of
//! ours; our own time alone decides nothing.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::connector::RowTime;

/// What clocks may differ by: a `Date` header has whole seconds, and an answer takes its time.
pub(super) const TOLERANCE: Duration = Duration::from_mins(1);

/// The source's clock, from one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct SourceClock {
    pub(super) now: RowTime,
    /// Milliseconds that it was ahead of ours.
    lead: i64,
}

impl SourceClock {
    /// What the source called now when an answer came, and what we did.
    pub(in super::super) fn of(theirs: SystemTime, ours: SystemTime) -> Self {
        let (now, ours) = (RowTime::of_clock(theirs), RowTime::of_clock(ours));
        Self {
            now,
            lead: now.milliseconds() - ours.milliseconds(),
        }
    }

    /// Whether a row carries a time that has not come.
    pub(in super::super) fn is_ahead(self, at: RowTime) -> bool {
        at > self.now.after(TOLERANCE)
    }

    /// How far the clock was set back since an earlier answer; none where it was not.
    pub(super) fn set_back_since(self, earlier: Self) -> Option<Duration> {
        let by_itself = earlier.now.milliseconds() - self.now.milliseconds();
        let by_ours = earlier.lead.saturating_sub(self.lead);
        let back = u64::try_from(by_itself.max(by_ours)).ok()?;
        Some(Duration::from_millis(back)).filter(|back| *back > TOLERANCE)
    }
}
