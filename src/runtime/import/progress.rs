//! How far a run has come: only receipts move it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::Value;

use crate::connector::Position;
use crate::opencti::Receipt;

/// The position in each stream up to which everything is confirmed.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Progress {
    /// By the names of their cursors.
    confirmed: BTreeMap<Cow<'static, str>, Value>,
    units: u64,
}

impl Progress {
    /// Moves to the position of a unit whose push is confirmed. There is no other way to move, and a
    /// receipt cannot be made up: what was not confirmed cannot be taken for done. Answers the stream, and up
    /// to when its changes are confirmed now, where the source says so.
    ///
    /// ```compile_fail
    /// use opencti_connectors::connector::UnitPosition;
    /// use opencti_connectors::runtime::Progress;
    /// fn advance(progress: &mut Progress, position: UnitPosition) {
    ///     // A position alone is no proof that anything arrived.
    ///     progress.advance(position);
    /// }
    /// ```
    pub(super) fn advance(&mut self, receipt: Receipt) -> Option<(&'static str, SystemTime)> {
        let position = receipt.into_position()?;
        let (stream, name) = (position.stream(), position.cursor_name());
        let Position { cursor, as_of, .. } = position.into_position();
        self.confirmed.insert(name, cursor);
        self.units += 1;
        Some((stream, as_of?))
    }

    /// Writes the confirmed positions over those of earlier runs.
    pub(super) fn write(&self, streams: &mut BTreeMap<String, Value>) {
        for (name, cursor) in &self.confirmed {
            if streams.get(&**name) != Some(cursor) {
                streams.insert(name.clone().into_owned(), cursor.clone());
            }
        }
    }

    /// How many units are confirmed.
    pub(super) fn units(&self) -> u64 {
        self.units
    }
}
