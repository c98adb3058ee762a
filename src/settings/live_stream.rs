//! The settings that every connector has that follows a live stream of the platform.
//!
//! **Invariant:** every setting that is read here is in [`SETTINGS`], and the other way round.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::kind::Kind;
use super::reader::Reader;
use super::since::Since;
use super::table::{Fallback, Setting};

/// The live stream to follow, and where to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveStreamSettings {
    /// The id of the live stream: a UUID in lower case, or `live` for all that the platform has.
    pub id: String,
    /// Whether the platform sends deletions.
    pub listens_to_deletions: bool,
    /// Whether the platform leaves out what the objects refer to.
    pub without_dependencies: bool,
    /// Whether inferred objects are sent as well.
    pub with_inferences: bool,
    /// Where a connector without a state begins; none for the beginning that [`Self::recovery`] asks for.
    pub start: Option<DateTime<Utc>>,
    /// Up to when the platform is asked for what was there before.
    pub recovery: Recovery,
    /// Without a byte from the platform for so long, the connection is made anew; never zero.
    pub silence_limit: Duration,
}

/// Up to when the platform is asked for what was there before the stream began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// Up to the moment of the first start.
    UntilFirstStart,
    /// Up to this date.
    Until(Since),
    /// Not at all.
    Never,
}

const ID: Setting = Setting::new(
    "connector.live_stream_id",
    "CONNECTOR_LIVE_STREAM_ID",
    Kind::UuidOrWord(&["live"]),
    Fallback::Required,
    "id of the live stream on the platform, a UUID; live stands for all that the platform has",
);
const LISTEN_DELETE: Setting = Setting::new(
    "connector.live_stream_listen_delete",
    "CONNECTOR_LIVE_STREAM_LISTEN_DELETE",
    Kind::Boolean,
    Fallback::Value("true"),
    "whether the platform sends what is deleted",
);
const NO_DEPENDENCIES: Setting = Setting::new(
    "connector.live_stream_no_dependencies",
    "CONNECTOR_LIVE_STREAM_NO_DEPENDENCIES",
    Kind::Boolean,
    Fallback::Value("true"),
    "whether the platform leaves out what the objects refer to",
);
const WITH_INFERENCES: Setting = Setting::new(
    "connector.live_stream_with_inferences",
    "CONNECTOR_LIVE_STREAM_WITH_INFERENCES",
    Kind::Boolean,
    Fallback::Value("false"),
    "whether the platform sends what it has inferred",
);
const START_TIMESTAMP: Setting = Setting::new(
    "connector.live_stream_start_timestamp",
    "CONNECTOR_LIVE_STREAM_START_TIMESTAMP",
    Kind::EpochMillis,
    Fallback::Unset,
    "position at which a connector without a state begins, in milliseconds since 1970",
)
.example("1735689600000");
const RECOVER_ISO_DATE: Setting = Setting::new(
    "connector.live_stream_recover_iso_date",
    "CONNECTOR_LIVE_STREAM_RECOVER_ISO_DATE",
    Kind::Since {
        none: &["no", "none", "false"],
    },
    Fallback::Unset,
    "date up to which the platform is asked for what was there before; unless it is set, up to the first start; no for the stream alone",
)
.example("2026-01-31T00:00:00Z");
const SILENCE_LIMIT: Setting = Setting::new(
    "connector.live_stream_silence_limit",
    "CONNECTOR_LIVE_STREAM_SILENCE_LIMIT",
    Kind::Period,
    Fallback::Value("PT45S"),
    "time without a frame from the platform after which the connection is made anew, as an ISO 8601 period",
);

/// The table.
pub(super) const SETTINGS: [Setting; 7] = [
    ID,
    LISTEN_DELETE,
    NO_DEPENDENCIES,
    WITH_INFERENCES,
    START_TIMESTAMP,
    RECOVER_ISO_DATE,
    SILENCE_LIMIT,
];

/// The live stream; `None` when a problem was recorded.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<LiveStreamSettings> {
    let id = reader.uuid_or_word(&ID);
    let listens_to_deletions = reader.boolean(&LISTEN_DELETE);
    let without_dependencies = reader.boolean(&NO_DEPENDENCIES);
    let with_inferences = reader.boolean(&WITH_INFERENCES);
    let start = reader.epoch_millis(&START_TIMESTAMP);
    let recovery = match reader.since_or_none(&RECOVER_ISO_DATE) {
        None => Recovery::UntilFirstStart,
        Some(None) => Recovery::Never,
        Some(Some(date)) => Recovery::Until(date),
    };
    let silence_limit = reader.period(&SILENCE_LIMIT);
    if silence_limit.is_some_and(|limit| limit.is_zero()) {
        reader.problem(&SILENCE_LIMIT, "must be longer than nothing");
    }
    if listens_to_deletions == Some(false) {
        reader.notice(format!(
            "{LISTEN_DELETE}: is false, so the platform sends no deletions, and what is deleted there stays at the target"
        ));
    }
    Some(LiveStreamSettings {
        id: id?,
        listens_to_deletions: listens_to_deletions?,
        without_dependencies: without_dependencies?,
        with_inferences: with_inferences?,
        start,
        recovery,
        silence_limit: silence_limit?,
    })
}
