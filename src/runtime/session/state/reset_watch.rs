//! Whether an answer of the platform shows a reset.

use chrono::DateTime;

use crate::opencti::Echo;

/// Whether an answer of the platform shows a reset, and not an echo of older days.
#[derive(Debug, Clone, Default)]
pub struct ResetWatch {
    known: Option<String>,
    /// The platform has shown a state that was not empty.
    was_kept: bool,
}

impl ResetWatch {
    /// Begins with the answer of the registration.
    pub fn new(echo: &Echo) -> Self {
        Self {
            known: echo.reset_at.clone(),
            was_kept: echo.state.is_some(),
        }
    }

    /// Judges one answer. The time of the last reset decides; where the release does not say it, a
    /// state that is empty after it was not.
    pub fn shows_reset(&mut self, echo: &Echo) -> bool {
        let was_kept = std::mem::replace(&mut self.was_kept, echo.state.is_some());
        let Some(reset_at) = &echo.reset_at else {
            return was_kept && echo.state.is_none();
        };
        let is_reset = match &self.known {
            Some(known) => is_later(reset_at, known),
            // Nobody had reset it since the release began to say when.
            None => was_kept && echo.state.is_none(),
        };
        if self.known.is_none() || is_reset {
            self.known = Some(reset_at.clone());
        }
        is_reset
    }

    /// A reset was seen, whichever way: the state that the platform shows next is empty.
    pub fn note_reset(&mut self) -> Option<String> {
        self.was_kept = false;
        self.known.clone()
    }

    /// The time of the last reset that was seen.
    pub fn reset_at(&self) -> Option<&str> {
        self.known.as_deref()
    }
}

/// Whether one time of the platform is later than another; texts that are no times are later when they
/// differ.
pub(super) fn is_later(time: &str, than: &str) -> bool {
    let read = |text| DateTime::parse_from_rfc3339(text).ok();
    match (read(time), read(than)) {
        (Some(time), Some(than)) => time > than,
        _ => time != than,
    }
}
