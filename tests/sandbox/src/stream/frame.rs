//! Frames: server-sent events as text.

use serde_json::Value;

use super::{EventPosition, FrameStyle};

/// One event on the wire.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) event: String,
    pub(super) position: Option<EventPosition>,
    /// The text behind `data:`.
    pub(super) data: String,
}

/// What only keeps a connection going.
const HOUSEKEEPING: [&str; 3] = ["connected", "heartbeat", "consumer_metrics"];

impl Frame {
    pub(super) fn of(event: &str, position: Option<EventPosition>, data: &Value) -> Self {
        Self {
            event: event.to_owned(),
            position,
            data: data.to_string(),
        }
    }

    /// Whether it is an event.
    pub(super) fn is_event(&self) -> bool {
        !HOUSEKEEPING.contains(&self.event.as_str())
    }

    pub(super) fn to_text(&self, style: FrameStyle) -> String {
        let mut text = String::with_capacity(self.data.len() + 64);
        let end = if style.crlf { "\r\n" } else { "\n" };
        let mut line = |parts: &[&str]| {
            for part in parts {
                text.push_str(part);
            }
            text.push_str(end);
        };
        if style.comments {
            line(&[": a comment"]);
        }
        if style.retry {
            line(&["retry: 3000"]);
        }
        if let Some(position) = self.position {
            line(&["id: ", &position.to_string()]);
        }
        line(&["event: ", &self.event]);
        // JSON may be broken between its members: line breaks are white space there.
        let parts = if style.split_data {
            split(&self.data)
        } else {
            vec![self.data.as_str()]
        };
        for part in parts {
            line(&["data: ", part]);
        }
        line(&[]);
        text
    }
}

/// The text in two or three pieces, cut before a comma or a brace outside of strings.
fn split(text: &str) -> Vec<&str> {
    let (mut is_text, mut is_escaped) = (false, false);
    let mut cuts = vec![0];
    for (at, letter) in text.char_indices() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' if is_text => is_escaped = true,
            '"' => is_text = !is_text,
            ',' if !is_text && cuts.len() < 3 => cuts.push(at),
            _ => {}
        }
    }
    cuts.push(text.len());
    let pieces = cuts
        .windows(2)
        .filter_map(|cut| text.get(*cut.first()?..*cut.last()?));
    pieces.collect()
}
