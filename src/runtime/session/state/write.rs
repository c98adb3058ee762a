//! The text that the platform keeps.

use std::mem;

use serde::ser::Error as _;

use super::{State, bounds};

impl State {
    /// The text that the platform keeps, never longer than what it can answer again. Where it would be, what was held
    /// back is counted only, and what is not ours is left out.
    ///
    /// # Errors
    /// When it cannot be written as JSON, or is too long all the same.
    pub fn write(&self) -> Result<String, serde_json::Error> {
        let text = serde_json::to_string(self)?;
        if text.len() <= bounds::LONGEST {
            return Ok(text);
        }
        let text = serde_json::to_string(&self.counted_only())?;
        if text.len() <= bounds::LONGEST {
            return Ok(text);
        }
        let (found, most) = (text.len(), bounds::LONGEST);
        Err(serde_json::Error::custom(format!(
            "it would have {found} bytes, and {most} are kept at most"
        )))
    }

    /// The same state with nothing by name that can be found again by reading its stream.
    fn counted_only(&self) -> Self {
        let mut state = self.clone();
        state.other.clear();
        let of_work = state
            .work
            .as_mut()
            .map(|work| mem::take(&mut work.resolved));
        let mut objects = mem::take(&mut state.deferred);
        objects.extend(of_work.into_iter().flatten());
        for object in objects {
            state.count_only(object);
        }
        state
    }
}
