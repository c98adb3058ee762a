//! Where a unit ends, and under which name that is kept in the state.

use std::borrow::Cow;
use std::time::SystemTime;

use super::Converted;

/// Where in its stream a unit ends. Only the source that made it can read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// None, or by what the cursor is told from others of the same stream, where that is read in several ways, such as
    /// with and without what the settings can exclude: each has a cursor of its own, named as [`cursor_name`] says.
    pub variant: Option<&'static str>,
    /// The source's own cursor: a small JSON that people can read, because the platform shows it.
    pub cursor: serde_json::Value,
    /// Up to when changes at the source lie before it; none where that is not known.
    pub as_of: Option<SystemTime>,
}

/// The name of a cursor in the state and in [`Resume`](super::Resume): that of the stream, and behind a blank the variant.
pub fn cursor_name(stream: &'static str, variant: Option<&'static str>) -> Cow<'static, str> {
    match variant {
        Some(variant) => format!("{stream} {variant}").into(),
        None => stream.into(),
    }
}

/// Whether a cursor of this name belongs to a stream, in whatever variant.
pub fn is_cursor_of(name: &str, stream: &str) -> bool {
    let variant = name.strip_prefix(stream);
    variant.is_some_and(|variant| variant.is_empty() || variant.starts_with(' '))
}

/// The position of a unit in the unit's own stream. Nothing but a unit makes one, so that no cursor is kept under a name
/// by which its stream would not find it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitPosition {
    stream: &'static str,
    position: Position,
}

impl UnitPosition {
    /// The stream.
    pub fn stream(&self) -> &'static str {
        self.stream
    }

    /// The name of the cursor in the state.
    pub fn cursor_name(&self) -> Cow<'static, str> {
        cursor_name(self.stream, self.position.variant)
    }

    /// What the source has said.
    pub fn into_position(self) -> Position {
        self.position
    }
}

impl Converted {
    /// Takes out where the unit ends, with its stream; none where it says nothing of that.
    pub fn take_position(&mut self) -> Option<UnitPosition> {
        let position = self.position.take()?;
        let stream = self.stream;
        Some(UnitPosition { stream, position })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_connector_names_its_cursors_their_streams_find_them() {
        for variant in [None, Some("to what is there"), Some("s"), Some("")] {
            let mut unit = Converted::new("alerts", 1, 0);
            assert_eq!(unit.take_position(), None);
            unit.position = Some(Position {
                variant,
                cursor: 1.into(),
                as_of: None,
            });
            let name = unit.take_position().unwrap().cursor_name();
            assert!(is_cursor_of(&name, "alerts"), "{name}");
            for other in ["alert", "alerts of hosts", "hosts"] {
                assert!(!is_cursor_of(&name, other), "{name} of {other}");
            }
        }
    }
}
