//! The platform's live stream: the request for it, and its frames.

use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use crate::connector::StreamPosition;
use crate::http::{Client, Credential, Error, Events, Frame, Framed, HeaderName, Request, Site};
use crate::settings::LiveStreamSettings;

/// Frames are some 2 KB, and those of the largest objects some MB.
const LARGEST_FRAME: usize = 32 * 1024 * 1024;
/// The media type of server-sent events.
const EVENT_STREAM: &str = "text/event-stream";
/// Behind which position the stream is followed, and what it brings.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const LISTEN_DELETE: HeaderName = HeaderName::from_static("listen-delete");
const NO_DEPENDENCIES: HeaderName = HeaderName::from_static("no-dependencies");
const WITH_INFERENCES: HeaderName = HeaderName::from_static("with-inferences");
/// A stream has no end.
const TOTAL_LIMIT: Duration = Duration::from_hours(24 * 365);

/// Access to one live stream.
#[derive(Debug, Clone)]
pub struct LiveStream {
    client: Client,
    url: Url,
    settings: LiveStreamSettings,
}

/// Where a connection begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamStart {
    /// Behind this position.
    pub after: StreamPosition,
    /// Up to when history is replayed first; none for live alone.
    pub recover_until: Option<StreamPosition>,
}

impl LiveStream {
    /// The stream of the platform whose GraphQL is at the site's address; asks nothing yet.
    ///
    /// # Errors
    /// [`Error::Setup`] when a certificate cannot be used.
    pub fn new(
        site: Site,
        token: &SecretString,
        settings: &LiveStreamSettings,
    ) -> Result<Self, Error> {
        let mut url = site.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop().extend(["stream", settings.id.as_str()]);
        }
        let site = Site {
            silence_limit: settings.silence_limit,
            total_limit: TOTAL_LIMIT,
            ..site
        };
        let site = site.with_credential(Credential::token("Bearer", token));
        Ok(Self {
            client: Client::new(site)?,
            url,
            settings: settings.clone(),
        })
    }

    /// Opens the stream. A status that is no success is an error: 401 for an unknown stream or a user without the
    /// right, 410 for one that is stopped (docs/protocol.md#live-stream). So is an answer that is no stream of events.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn open(&self, start: StreamStart) -> Result<OpenStream, Error> {
        let flag = |flag: bool| if flag { "true" } else { "false" };
        let mut url = self.url.clone();
        if let Some(until) = start.recover_until {
            url.query_pairs_mut()
                .append_pair("recover", &until.to_string());
        }
        let request = Request::get(url)
            .accept(EVENT_STREAM)
            .with_header(LAST_EVENT_ID, &start.after.to_string())
            .with_header(LISTEN_DELETE, flag(self.settings.listens_to_deletions))
            .with_header(NO_DEPENDENCIES, flag(self.settings.without_dependencies))
            .with_header(WITH_INFERENCES, flag(self.settings.with_inferences));
        let sending = self.client.counted(self.client.send(&request));
        let response = sending.await?.success().await?.of_type(EVENT_STREAM)?;
        Ok(OpenStream {
            date: response.date(),
            events: response.events(LARGEST_FRAME),
        })
    }
}

/// A connection.
#[derive(Debug)]
pub struct OpenStream {
    events: Events,
    /// What the platform called now when it answered.
    date: Option<SystemTime>,
}

impl OpenStream {
    /// What the platform's clock showed when it answered, in whole seconds, where it said so.
    pub fn date(&self) -> Option<SystemTime> {
        self.date
    }

    /// The frames that the next piece brings, which may be none; `None` at the end. A time without a frame
    /// that is longer than the settings allow is an error. May be broken off without a loss.
    ///
    /// # Errors
    /// [`Error::NoAnswer`] where the connection breaks.
    pub async fn next(&mut self) -> Result<Option<Vec<StreamFrame>>, Error> {
        let frames = self.events.next().await?;
        Ok(frames.map(|frames| frames.into_iter().map(StreamFrame::of).collect()))
    }
}

/// What the platform sends.
#[derive(Debug, PartialEq, Eq)]
pub enum StreamFrame {
    /// The first one: the oldest event that the platform still has, where it says it.
    Connected {
        /// Its position.
        first: Option<StreamPosition>,
    },
    /// A sign of life, with the position up to which nothing more has happened.
    Heartbeat(Option<StreamPosition>),
    /// The stream filters by origin: its history is not replayed.
    NoRecover(Option<StreamPosition>),
    /// The platform failed; the connection ends.
    Failed(String),
    /// Something that an event refers to, ahead of it. It has the event's position, which is not reached with it.
    Dependency(Frame),
    /// Something happened to an object.
    Event(Frame, Option<StreamPosition>),
    /// An event that this program does not know: its position counts.
    Unknown(String, Option<StreamPosition>),
    /// A frame that is too large, which was not held.
    TooLarge {
        /// Its event.
        event: String,
        /// Its position.
        position: Option<StreamPosition>,
        /// Its size.
        bytes: u64,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Connected {
    #[serde(default)]
    first_event_id: Option<StreamPosition>,
}

#[derive(Deserialize)]
struct ErrorMessage {
    #[serde(default)]
    message: Option<String>,
}

#[derive(Deserialize)]
struct WithOrigin {
    #[serde(default)]
    origin: Option<EventOrigin>,
}

#[derive(Deserialize)]
struct EventOrigin {
    #[serde(default)]
    referer: Option<String>,
}

/// The origin of an object that is sent for another one.
const DEPENDENCY: &str = "init-dependencies";

impl StreamFrame {
    /// Whether the stream is on its way with it: a connection that ends behind its first frame, or in an error, is none.
    pub fn is_of_stream(&self) -> bool {
        !matches!(self, Self::Connected { .. } | Self::Failed(_))
    }

    /// Whether no other program sends the like: an event of the platform, or a heartbeat.
    pub fn is_of_platform(&self) -> bool {
        self.is_of_stream() && !matches!(self, Self::Unknown(..))
    }

    fn of(framed: Framed) -> Self {
        let frame = match framed {
            Framed::Frame(frame) => frame,
            Framed::TooLarge { id, event, bytes } => {
                let position = id.and_then(|id| id.parse().ok());
                return Self::TooLarge {
                    event,
                    position,
                    bytes,
                };
            }
        };
        let position = frame.id.as_deref().and_then(|id| id.parse().ok());
        match frame.event.as_str() {
            "connected" => {
                let connected: Option<Connected> = serde_json::from_str(&frame.data).ok();
                let first = connected.and_then(|connected| connected.first_event_id);
                Self::Connected { first }
            }
            "heartbeat" | "consumer_metrics" => Self::Heartbeat(position),
            "no-recover" => Self::NoRecover(position),
            "error" => {
                let message: Option<ErrorMessage> = serde_json::from_str(&frame.data).ok();
                let message = message.and_then(|message| message.message);
                Self::Failed(message.unwrap_or_default())
            }
            "create" | "update" | "delete" | "merge" if is_dependency(&frame.data) => {
                Self::Dependency(frame)
            }
            "create" | "update" | "delete" | "merge" => Self::Event(frame, position),
            _ => Self::Unknown(frame.event, position),
        }
    }
}

fn is_dependency(data: &str) -> bool {
    // Most events do not have the word at all.
    let may_be = data.contains(DEPENDENCY);
    let with_origin = || {
        serde_json::from_str::<WithOrigin>(data)
            .ok()?
            .origin?
            .referer
    };
    may_be && with_origin().as_deref() == Some(DEPENDENCY)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn read(event: &str, id: Option<&str>, data: &str) -> StreamFrame {
        StreamFrame::of(Framed::Frame(Frame {
            id: id.map(str::to_owned),
            event: event.to_owned(),
            data: data.to_owned(),
        }))
    }

    fn at(text: &str) -> StreamPosition {
        text.parse().unwrap()
    }

    #[rstest]
    #[case("connected", r#"{"firstEventId":"5-1"}"#, StreamFrame::Connected { first: Some(at("5-1")) })]
    #[case("connected", r#"{"firstEventId":null}"#, StreamFrame::Connected { first: None })]
    #[case("connected", r#"{"firstEventId":7}"#, StreamFrame::Connected { first: None })]
    #[case("connected", "no JSON", StreamFrame::Connected { first: None })]
    #[case("heartbeat", "x", StreamFrame::Heartbeat(Some(at("9-0"))))]
    #[case("consumer_metrics", "{}", StreamFrame::Heartbeat(Some(at("9-0"))))]
    #[case("no-recover", "{}", StreamFrame::NoRecover(Some(at("9-0"))))]
    #[case("error", r#"{"message":"oh"}"#, StreamFrame::Failed("oh".to_owned()))]
    #[case("error", "[]", StreamFrame::Failed(String::new()))]
    #[case("vanish", "{}", StreamFrame::Unknown("vanish".to_owned(), Some(at("9-0"))))]
    fn frames_are_distinguished(
        #[case] event: &str,
        #[case] data: &str,
        #[case] expected: StreamFrame,
    ) {
        assert_eq!(read(event, Some("9-0"), data), expected);
    }

    #[test]
    fn a_connection_with_nothing_but_its_beginning_is_no_stream() {
        for (event, is_of_stream) in [("connected", false), ("error", false), ("heartbeat", true)] {
            assert_eq!(read(event, Some("9-0"), "{}").is_of_stream(), is_of_stream);
        }
        for (event, is_of_platform) in [("connected", false), ("price", false), ("create", true)] {
            let frame = read(event, Some("9-0"), "{}");
            assert_eq!(frame.is_of_platform(), is_of_platform);
        }
    }

    #[test]
    fn what_is_sent_for_another_object_is_no_event() {
        let dependency = r#"{"origin":{"referer":"init-dependencies"},"data":{}}"#;
        assert!(matches!(
            read("create", Some("9-0"), dependency),
            StreamFrame::Dependency(_)
        ));
        for own in [
            r#"{"origin":{"referer":"init-create"},"data":{"description":"init-dependencies"}}"#,
            r#"{"origin":{},"data":{"name":"init-dependencies"}}"#,
            "init-dependencies",
        ] {
            assert!(
                matches!(read("create", Some("9-0"), own), StreamFrame::Event(..)),
                "{own}"
            );
        }
        assert!(matches!(
            read("create", Some("soon"), "{}"),
            StreamFrame::Event(_, None)
        ));
    }
}
