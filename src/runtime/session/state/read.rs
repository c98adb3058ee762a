//! Reads what stands at the platform: a state of this connector, nothing, or something else.

use serde_json::Value;

use super::{State, VERSION, bounds, version};
use crate::telemetry::safe_text::{NAME, safe};

/// What the platform had stored as the state.
#[derive(Debug)]
pub enum StoredState {
    /// Nothing: the connector is new, or was reset.
    Nothing,
    /// A state of this connector.
    State(Box<State>),
    /// Something else, and why it cannot be used.
    Unusable(String),
}

/// The state was written by a newer version of this program, as far as its version says.
#[derive(Debug, thiserror::Error)]
#[error(
    "the state that the destination keeps for this connector has version {found}, and this program reads version {VERSION}: \
     it was written by a newer version of the connector, or by another program; run that one, or reset the connector on the \
     platform to begin anew"
)]
pub struct NewerVersion {
    /// The version as it stands there, made safe.
    found: String,
}

/// The text without a byte order mark and blanks around it, which other programs write.
pub(super) fn without_mark(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

impl State {
    /// What stands at the platform where another program wrote it: an object without a version.
    pub fn of_another_program(text: Option<&str>) -> Option<Value> {
        let value: Value = serde_json::from_str(without_mark(text?)).ok()?;
        let fields = value.as_object()?;
        let is_foreign = !fields.is_empty() && !fields.contains_key("version");
        is_foreign.then_some(value)
    }

    /// Reads what stands at the platform.
    ///
    /// # Errors
    /// [`NewerVersion`] when it must not be touched.
    pub fn read(text: Option<&str>) -> Result<StoredState, NewerVersion> {
        let text = text.map(without_mark);
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            return Ok(StoredState::Nothing);
        };
        let versions = version::versions(text);
        let is_ours = |version: &Value| version.as_u64() == Some(VERSION);
        if let Some(other) = versions.iter().find(|version| !is_ours(version)) {
            let found = safe(&other.to_string(), NAME).into_owned();
            return Err(NewerVersion { found });
        }
        let value: Value = match serde_json::from_str(text) {
            Ok(Value::Null) => return Ok(StoredState::Nothing),
            Ok(Value::Object(fields)) if fields.is_empty() => return Ok(StoredState::Nothing),
            Ok(value) => value,
            Err(error) => return Ok(StoredState::Unusable(format!("it is not JSON: {error}"))),
        };
        if !value.get("version").is_some_and(is_ours) {
            let reason = "it has no version: another program wrote it";
            return Ok(StoredState::Unusable(reason.to_owned()));
        }
        let read = serde_json::from_value(value).map_err(|error| error.to_string());
        let read = read.and_then(|state| match bounds::check(&state) {
            Ok(()) => Ok(state),
            Err(error) => Err(error.to_string()),
        });
        Ok(match read {
            Ok(state) => StoredState::State(Box::new(state)),
            Err(error) => StoredState::Unusable(format!("a part of it is damaged: {error}")),
        })
    }
}
