//! What goes wrong on a stream behind the status 200, and how frames may be written.

use std::time::Duration;

/// What happens to one connection. Frames are counted from 0, `connected` being the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamFault {
    /// After so many frames the answer ends.
    End {
        /// How many whole frames go before it.
        after: usize,
    },
    /// After so many frames the connection is reset.
    Reset {
        /// How many whole frames go before it.
        after: usize,
    },
    /// After so many frames half of the next one is sent, and then the connection breaks off.
    CutFrame {
        /// How many whole frames go before it.
        after: usize,
    },
    /// After so many events (frames but `connected`, heartbeats and metrics) half of the next one is
    /// sent, and then the connection breaks off.
    CutEvent {
        /// How many whole events go before it.
        after: usize,
    },
    /// After so many frames no byte comes any more, while the connection stays open.
    Silence {
        /// How many whole frames go before it.
        after: usize,
    },
    /// Each frame comes so much later.
    Slow(Duration),
    /// After so many frames the event `error` comes, and the answer ends.
    Error {
        /// How many whole frames go before it.
        after: usize,
    },
}

/// How frames are written. The default is what the platform does; a reader of server-sent events has
/// to take all of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a way of writing by itself"
)]
pub struct FrameStyle {
    /// Lines end with `\r\n`.
    pub crlf: bool,
    /// A comment stands in each frame.
    pub comments: bool,
    /// A line `retry:` stands in each frame.
    pub retry: bool,
    /// The data stand in several lines.
    pub split_data: bool,
    /// Each event comes twice.
    pub twice: bool,
}

impl StreamFault {
    /// How many whole frames go before it; none for what concerns all of them, or counts events.
    pub(super) fn after(self) -> Option<usize> {
        match self {
            Self::End { after }
            | Self::Reset { after }
            | Self::CutFrame { after }
            | Self::Silence { after }
            | Self::Error { after } => Some(after),
            Self::CutEvent { .. } | Self::Slow(_) => None,
        }
    }
}
