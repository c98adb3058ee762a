//! What is answered, read piece by piece.

use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use tokio::time::timeout;
use url::Url;

use super::client::RequestTarget;
use super::event_stream::{EventReader, Events};
use super::headers::{Clocks, asked_wait, date};
use super::silence::{Silence, TooLong};
use super::{Error, NoAnswer, Validators};
use crate::telemetry::safe_text::{NAME, WORDS, safe};

/// The most of the body of an error.
const BEGINNING: usize = 64 * 1024;
/// The longest that the body of an error is waited for: what it says is good to know, its status is what counts.
const BEGINNING_LIMIT: Duration = Duration::from_secs(5);
/// Memory for at most so much is allocated before a body comes, whatever length it promises.
const USUAL_BODY: usize = 4 * 1024 * 1024;

/// An answer, whose body has not been read yet.
#[derive(Debug)]
pub struct Response {
    pub(super) target: RequestTarget,
    pub(super) answer: reqwest::Response,
    pub(super) silence: Silence,
}

/// A body that is read piece by piece, with a limit.
#[derive(Debug)]
pub struct Pieces {
    response: Response,
    limit: usize,
    /// Bytes that came, unpacked.
    read: usize,
    pace: Option<Pace>,
}

/// The least that has to come in a time.
#[derive(Debug)]
struct Pace {
    bytes: usize,
    /// Since so much came last.
    silence: Silence,
    /// Bytes that came since.
    came: usize,
}

impl Pieces {
    /// The same body, which breaks off where it drips: each time that so many bytes of it have come, unpacked, as many
    /// more have to come within `time`, or its end. As with a silence, only the time counts in which somebody waits for
    /// a piece. So a large body may take as long as it needs, and one that never ends is noticed all the same.
    #[must_use]
    pub fn at_pace(mut self, bytes: usize, time: Duration) -> Self {
        self.pace = Some(Pace {
            bytes,
            silence: Silence::new(time),
            came: 0,
        });
        self
    }

    /// The next piece, unpacked; none at the end.
    ///
    /// # Errors
    /// [`Error::TooLarge`] where the body has more bytes than it may, [`Error::NoAnswer`] where it breaks off, or is
    /// silent for too long.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let piece = match &mut self.pace {
            Some(pace) => pace.wait(&mut self.response).await?,
            None => self.response.piece().await?,
        };
        let Some(piece) = piece else {
            return Ok(None);
        };
        self.read = self.read.saturating_add(piece.len());
        if self.read > self.limit {
            return Err(self.response.target.too_large(self.limit));
        }
        Ok(Some(piece))
    }

    /// Reads into `body` until that has more than so many bytes; true once all of it is there.
    async fn fill(&mut self, body: &mut BytesMut, most: usize) -> Result<bool, Error> {
        while body.len() <= most {
            match self.next().await? {
                Some(piece) => body.extend_from_slice(&piece),
                None => return Ok(true),
            }
        }
        Ok(false)
    }

    /// All that is still to come, in one piece.
    ///
    /// # Errors
    /// Those of [`Pieces::next`].
    pub async fn collect(mut self) -> Result<Bytes, Error> {
        // What a host promises is not believed beyond the usual.
        let promised = self.response.answer.content_length().unwrap_or_default();
        let promised = usize::try_from(promised).unwrap_or_default();
        let mut body = BytesMut::with_capacity(promised.min(USUAL_BODY).min(self.limit));
        while let Some(piece) = self.next().await? {
            body.extend_from_slice(&piece);
        }
        Ok(body.freeze())
    }
}

impl Pace {
    /// The next piece of a body, if enough of it comes in time.
    async fn wait(&mut self, response: &mut Response) -> Result<Option<Bytes>, Error> {
        let piece = match self.silence.wait_on(response.piece()).await {
            Ok(piece) => piece?,
            Err(TooLong(within)) => {
                let bytes = self.bytes;
                return Err(response
                    .target
                    .unanswered(NoAnswer::Dripping { bytes, within }));
            }
        };
        self.came += piece.as_ref().map_or(0, Bytes::len);
        if self.came >= self.bytes {
            self.came = 0;
            self.silence.end();
        }
        Ok(piece)
    }
}

impl Response {
    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.answer.status()
    }

    /// Whether what was asked for is still what it was (HTTP 304).
    pub fn is_unchanged(&self) -> bool {
        self.status() == StatusCode::NOT_MODIFIED
    }

    /// The address that answered, behind all redirects.
    pub fn url(&self) -> &Url {
        self.answer.url()
    }

    /// A header as text; none where it is not there or no text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.answer.headers().get(name)?.to_str().ok()
    }

    /// The version that it calls what it holds.
    pub fn validators(&self) -> Validators {
        Validators::read(self.answer.headers())
    }

    /// How long the host asks to wait before the next request (`Retry-After`, or GitHub's `x-ratelimit-reset` where no
    /// request remains). Moments are those of its own clock, where it says what that shows.
    pub fn retry_after(&self) -> Option<Duration> {
        asked_wait(self.answer.headers(), self.clocks().theirs)
    }

    /// What the host calls now; none where it does not answer it.
    pub fn date(&self) -> Option<SystemTime> {
        date(self.answer.headers())
    }

    /// When it came, by both clocks.
    pub fn clocks(&self) -> Clocks {
        Clocks::read(self.answer.headers(), SystemTime::now())
    }

    /// The next piece of the body, unpacked; none at its end. It has no limit: whoever reads it counts.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, Error> {
        match self.silence.wait(self.answer.chunk()).await {
            Ok(piece) => piece.map_err(|source| self.target.no_answer(source)),
            Err(silence) => Err(self.target.silent(&silence)),
        }
    }

    /// The body piece by piece, of at most so many bytes, counted unpacked.
    pub fn pieces(self, limit: usize) -> Pieces {
        Pieces {
            response: self,
            limit,
            read: 0,
            pace: None,
        }
    }

    /// The body as server-sent events, as many as come, each of at most so many bytes, counted unpacked.
    pub fn events(self, largest_frame: usize) -> Events {
        Events::new(self, EventReader::new(largest_frame))
    }

    /// The whole body, of at most so many bytes, counted unpacked.
    ///
    /// # Errors
    /// [`Error::TooLarge`] where it has more, [`Error::NoAnswer`] where it breaks off.
    pub async fn body(self, limit: usize) -> Result<Bytes, Error> {
        self.pieces(limit).collect().await
    }

    /// As [`Response::body`], of an answer that is small: one that has not come whole within a time for all of it, from
    /// now on, breaks off, however steadily it comes.
    ///
    /// # Errors
    /// Those of [`Response::body`].
    pub async fn body_within(self, limit: usize, time: Duration) -> Result<Bytes, Error> {
        let target = self.target.clone();
        match timeout(time, self.body(limit)).await {
            Ok(body) => body,
            Err(_) => Err(target.unanswered(NoAnswer::Slow(time))),
        }
    }

    /// As [`Response::body_within`], of an answer that is read before it is needed: of a body that has more than `ahead`
    /// bytes, the rest comes once `turn` has. Until then, the time does not count; whoever sends it may have another
    /// opinion of that.
    ///
    /// # Errors
    /// Those of [`Response::body`].
    pub async fn body_in_turn(
        self,
        limit: usize,
        time: Duration,
        ahead: usize,
        turn: impl Future<Output = ()>,
    ) -> Result<Bytes, Error> {
        let target = self.target.clone();
        let slow = |_| target.unanswered(NoAnswer::Slow(time));
        let announced = self.answer.content_length().unwrap_or_default();
        let mut body = BytesMut::new();
        let mut pieces = self.pieces(limit);
        let is_small = usize::try_from(announced).is_ok_and(|announced| announced <= ahead);
        if is_small {
            let filling = timeout(time, pieces.fill(&mut body, ahead)).await;
            if filling.map_err(slow)?? {
                return Ok(body.freeze());
            }
        }
        turn.await;
        let filling = timeout(time, pieces.fill(&mut body, usize::MAX)).await;
        filling.map_err(slow)??;
        Ok(body.freeze())
    }

    /// The beginning of the body of an error, as far as it comes within some seconds; what does not come is not needed.
    pub async fn beginning(&mut self) -> Bytes {
        let mut body = BytesMut::new();
        let reading = async {
            while let Ok(Some(piece)) = self.piece().await {
                let left = BEGINNING.saturating_sub(body.len());
                body.extend_from_slice(piece.get(..left).unwrap_or(&piece));
                if body.len() >= BEGINNING {
                    break;
                }
            }
        };
        if timeout(BEGINNING_LIMIT, reading).await.is_err() {
            tracing::debug!(
                "the body of an error does not come to its end: its beginning has to do"
            );
        }
        body.freeze()
    }

    /// The answer, if it says that it is of this media type; else the error that something else has answered, such as
    /// the login page of a proxy with the status 200.
    ///
    /// # Errors
    /// [`Error::Status`], which names the type.
    pub fn of_type(self, media_type: &str) -> Result<Self, Error> {
        let answered = self.header(CONTENT_TYPE.as_str()).unwrap_or_default();
        let essence = answered.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case(media_type) {
            return Ok(self);
        }
        let named = match essence {
            "" => "without a type".to_owned(),
            other => format!("of the type {}", safe(other, NAME)),
        };
        let message = format!(
            "an answer {named} instead of {media_type}: does something in front of it answer in its place, such as a login page?"
        );
        Err(self.refusal(Some(message)))
    }

    /// The answer, if its status is a success; else the error that it is, with the message in its body.
    ///
    /// # Errors
    /// [`Error::Status`].
    pub async fn success(mut self) -> Result<Self, Error> {
        if self.status().is_success() {
            return Ok(self);
        }
        let body = self.beginning().await;
        Err(self.refusal(error_message(&body)))
    }

    /// The error that an answer with this status is, with a message for people that is safe.
    pub fn refusal(&self, message: Option<String>) -> Error {
        Error::Status {
            peer: self.target.peer.clone(),
            proxy: self.target.proxy.clone(),
            status: self.status(),
            retry_after: self.retry_after(),
            message,
        }
    }
}

impl RequestTarget {
    pub(super) fn no_answer(&self, source: reqwest::Error) -> Error {
        self.unanswered(NoAnswer::Client(source))
    }

    pub(super) fn silent(&self, silence: &TooLong) -> Error {
        self.unanswered(NoAnswer::Silence(silence.0))
    }

    fn unanswered(&self, source: NoAnswer) -> Error {
        Error::NoAnswer {
            peer: self.peer.clone(),
            proxy: self.proxy.clone(),
            source,
        }
    }

    fn too_large(&self, limit: usize) -> Error {
        Error::TooLarge {
            peer: self.peer.clone(),
            limit,
        }
    }
}

/// The error message in a body: the `message` of a JSON, or a text that is no page for browsers.
pub(crate) fn error_message(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct ErrorBody {
        #[serde(default)]
        message: Option<String>,
        #[serde(default)]
        detail: Option<String>,
        #[serde(default)]
        error: Option<serde_json::Value>,
    }
    let words = if let Ok(error_body) = serde_json::from_slice::<ErrorBody>(body) {
        let nested = |error: &serde_json::Value| {
            let words = error.get("message").unwrap_or(error);
            words.as_str().map(str::to_owned)
        };
        let message = error_body
            .message
            .or(error_body.detail)
            .or_else(|| nested(&error_body.error?));
        message?
    } else {
        let text = std::str::from_utf8(body).ok()?.trim();
        let is_for_people = !text.starts_with(['<', '{', '[', '"']);
        is_for_people.then(|| text.to_owned())?
    };
    let words = words.trim();
    (!words.is_empty()).then(|| safe(words, WORDS).into_owned())
}
