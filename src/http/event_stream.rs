//! Server-sent events (WHATWG HTML §9.2): frames out of the pieces of a body, each with a bound.
//!
//! **Invariant.** A frame exists only with the blank line behind it: what came of one before the connection broke is
//! forgotten with its reader, its id too.

use std::mem;

use super::silence::Silence;
use super::{Error, Response};

/// So much of a frame that has not come whole counts as a sign of life: a large one takes its time. Single bytes, and
/// comments that keep a connection open, do not.
const SIGN_OF_LIFE: u64 = 64 * 1024;

/// The frames of an answer.
#[derive(Debug)]
pub struct Events {
    response: Response,
    reader: EventReader,
    /// Since the last frame.
    silence: Silence,
    /// How much of a frame had come when its bytes counted last.
    counted: u64,
}

impl Events {
    pub(super) fn new(response: Response, reader: EventReader) -> Self {
        let silence = response.silence.anew();
        Self {
            response,
            reader,
            silence,
            counted: 0,
        }
    }

    /// The frames that the next piece completes, which may be none; `None` at the end. May be broken off without a
    /// loss.
    ///
    /// # Errors
    /// [`Error::NoAnswer`] where it breaks off, or brings no frame for too long.
    pub async fn next(&mut self) -> Result<Option<Vec<Framed>>, Error> {
        let piece = self.silence.wait_on(self.response.piece()).await;
        let Some(piece) = piece.map_err(|silence| self.response.target.silent(&silence))?? else {
            return Ok(None);
        };
        let mut frames = Vec::new();
        self.reader.push(&piece, |framed| frames.push(framed));
        self.count(!frames.is_empty());
        Ok(Some(frames))
    }

    /// Ends the silence where a frame has come, or much of one.
    fn count(&mut self, has_frames: bool) {
        let begun = self.reader.bytes;
        if has_frames || begun < self.counted {
            self.counted = 0;
        }
        let is_much = begun.saturating_sub(self.counted) >= SIGN_OF_LIFE;
        if is_much {
            self.counted = begun;
        }
        if has_frames || is_much {
            self.silence.end();
        }
    }
}

/// One frame.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// Its `id`; none where it has none.
    pub id: Option<String>,
    /// Its `event`; empty where it has none.
    pub event: String,
    /// Its `data`, lines joined by line breaks.
    pub data: String,
}

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Framed {
    /// A frame.
    Frame(Frame),
    /// A frame that is larger than the limit, of which nothing but its names was held.
    TooLarge {
        /// Its `id`, as far as it came before it grew too large.
        id: Option<String>,
        /// Its `event`, likewise.
        event: String,
        /// Its size, in bytes.
        bytes: u64,
    },
}

/// Takes a body apart into frames. One reader for each connection.
#[derive(Debug)]
pub(super) struct EventReader {
    limit: usize,
    /// A line whose end has not come.
    line: Vec<u8>,
    frame: Frame,
    /// Bytes of the frame so far, whether held or not.
    bytes: u64,
    is_too_large: bool,
    /// The last piece ended with a carriage return, of which a line feed may be the rest.
    is_after_return: bool,
    is_begun: bool,
}

/// The most of an id or of an event's name, in bytes.
const LONGEST_NAME: usize = 256;

impl EventReader {
    /// A reader that holds frames of at most so many bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            frame: Frame::default(),
            bytes: 0,
            is_too_large: false,
            is_after_return: false,
            is_begun: false,
        }
    }

    /// Takes the next piece, and hands over the frames that it completes.
    pub(super) fn push(&mut self, piece: &[u8], mut take: impl FnMut(Framed)) {
        let mut rest = piece;
        if self.is_after_return {
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            self.is_after_return = rest.is_empty() && piece.is_empty();
        }
        while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (part, behind) = rest.split_at(end);
            self.hold(part);
            let is_return = behind.first() == Some(&b'\r');
            rest = behind.get(1..).unwrap_or_default();
            if is_return {
                self.is_after_return = rest.is_empty();
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            }
            if let Some(framed) = self.end_line() {
                take(framed);
            }
        }
        self.hold(rest);
    }

    /// Adds to the open line what the frame may still hold.
    fn hold(&mut self, part: &[u8]) {
        // A comment is no part of a frame, however long it is.
        if self.line.first().or(part.first()) == Some(&b':') {
            self.line.clear();
            self.line.push(b':');
            return;
        }
        self.bytes = self.bytes.saturating_add(part.len() as u64);
        let held = self.line.len() + self.frame.data.len();
        if self.is_too_large || held + part.len() > self.limit {
            self.is_too_large = true;
            self.frame.data = String::new();
            // Its beginning may still be a name.
            let left = LONGEST_NAME.saturating_sub(self.line.len());
            self.line.truncate(LONGEST_NAME);
            self.line
                .extend_from_slice(part.get(..left.min(part.len())).unwrap_or_default());
            return;
        }
        self.line.extend_from_slice(part);
    }

    /// The end of a line; of a frame, where the line is empty.
    fn end_line(&mut self) -> Option<Framed> {
        let mut line = mem::take(&mut self.line);
        if !self.is_begun {
            self.is_begun = true;
            if line.starts_with("\u{feff}".as_bytes()) {
                line.drain(.."\u{feff}".len());
            }
        }
        if line.is_empty() {
            return self.end_frame();
        }
        let text = String::from_utf8_lossy(&line);
        let (field, value) = text.split_once(':').unwrap_or((&text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" if !value.contains('\0') => self.frame.id = Some(short(value)),
            "event" => self.frame.event = short(value),
            "data" if !self.is_too_large => {
                // Each line with its break; the last one's goes with the frame's end.
                self.frame.data.push_str(value);
                self.frame.data.push('\n');
            }
            // A comment begins with the colon; other fields mean nothing here.
            _ => {}
        }
        line.clear();
        // Its memory serves the next line.
        if line.capacity() <= LONGEST_LINE_KEPT {
            self.line = line;
        }
        None
    }

    fn end_frame(&mut self) -> Option<Framed> {
        let mut frame = mem::take(&mut self.frame);
        let bytes = mem::take(&mut self.bytes);
        if mem::take(&mut self.is_too_large) {
            let Frame { id, event, .. } = frame;
            return Some(Framed::TooLarge { id, event, bytes });
        }
        // Without a line of data there is no frame.
        frame.data.pop()?;
        Some(Framed::Frame(frame))
    }
}

/// More is not kept for the next line.
const LONGEST_LINE_KEPT: usize = 64 * 1024;

fn short(value: &str) -> String {
    value.chars().take(LONGEST_NAME).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn read(body: &[u8], piece: usize, limit: usize) -> Vec<Framed> {
        let mut reader = EventReader::new(limit);
        let mut framed = Vec::new();
        for piece in body.chunks(piece.max(1)) {
            reader.push(piece, |frame| framed.push(frame));
        }
        framed
    }

    fn frame(id: Option<&str>, event: &str, data: &str) -> Framed {
        Framed::Frame(Frame {
            id: id.map(str::to_owned),
            event: event.to_owned(),
            data: data.to_owned(),
        })
    }

    #[rstest]
    #[case::plain(
        "id: 1-0\nevent: create\ndata: {}\n\n",
        frame(Some("1-0"), "create", "{}")
    )]
    #[case::no_blank(
        "id:1-0\nevent:create\ndata:{}\n\n",
        frame(Some("1-0"), "create", "{}")
    )]
    #[case::returns("event: a\r\ndata: b\r\n\r\n", frame(None, "a", "b"))]
    #[case::lone_returns("event: a\rdata: b\r\r", frame(None, "a", "b"))]
    #[case::lines("data: a\ndata:\ndata: b\n\n", frame(None, "", "a\n\nb"))]
    #[case::comments(": x\nretry: 5\ndata: a\n:\n\n", frame(None, "", "a"))]
    #[case::mark("\u{feff}data: a\n\n", frame(None, "", "a"))]
    #[case::no_data_before("id: 1\n\nid: 2\ndata: a\n\n", frame(Some("2"), "", "a"))]
    #[case::colons("data: {\"a\":\"b: c\"}\n\n", frame(None, "", "{\"a\":\"b: c\"}"))]
    #[case::cut_behind("data: a\n\nid: 9\ndata: half", frame(None, "", "a"))]
    fn a_frame_is_read_however_it_comes(#[case] body: &str, #[case] expected: Framed) {
        for piece in 1..=body.len() {
            let framed = read(body.as_bytes(), piece, 1000);
            assert_eq!(framed, [expected.clone_for_test()], "{piece}");
        }
    }

    impl Framed {
        fn clone_for_test(&self) -> Self {
            match self {
                Self::Frame(frame) => Self::Frame(frame.clone()),
                Self::TooLarge { id, event, bytes } => Self::TooLarge {
                    id: id.clone(),
                    event: event.clone(),
                    bytes: *bytes,
                },
            }
        }
    }

    #[test]
    fn half_a_frame_leaves_nothing_to_the_next_connection() {
        assert_eq!(read(b"id: 7-0\nevent: create\ndata: {\"a\":", 5, 1000), []);
    }

    #[test]
    fn a_comment_of_any_length_is_no_part_of_a_frame() {
        let comment = format!(":{}", "x".repeat(5000));
        let body = format!("{comment}\n\ndata: a\n{comment}\ndata: b\n\n");
        for piece in [1, 7, 4096, body.len()] {
            assert_eq!(
                read(body.as_bytes(), piece, 1000),
                [frame(None, "", "a\nb")]
            );
        }
    }

    #[test]
    fn a_frame_that_is_too_large_is_named_and_the_next_one_is_read() {
        let large = "x".repeat(5000);
        let body = format!("id: 1-0\nevent: create\ndata: {large}\ndata: {large}\n\ndata: a\n\n");
        for piece in [1, 7, 4096, body.len()] {
            let framed = read(body.as_bytes(), piece, 1000);
            let [Framed::TooLarge { id, event, bytes }, next] = &framed[..] else {
                panic!("{framed:?}");
            };
            assert_eq!((id.as_deref(), event.as_str()), (Some("1-0"), "create"));
            assert!(*bytes > 10_000, "{bytes}");
            assert_eq!(*next, frame(None, "", "a"));
        }
    }

    proptest! {
        #[test]
        fn any_body_in_any_pieces_is_the_same_frames_within_the_limit(
            body in "(id|event|data|x)?:? ?[a-c:\\n\\r]{0,40}(\\n|\\r|\\r\\n){0,3}",
            piece in 1usize..9,
        ) {
            let whole = read(body.as_bytes(), body.len(), 30);
            let pieces = read(body.as_bytes(), piece, 30);
            let names = |framed: &[Framed]| framed.iter().map(|framed| match framed {
                Framed::Frame(frame) => {
                    assert!(frame.data.len() <= 30);
                    Some(frame.clone())
                }
                Framed::TooLarge { .. } => None,
            }).collect::<Vec<_>>();
            prop_assert_eq!(names(&whole), names(&pieces));
        }
    }
}
