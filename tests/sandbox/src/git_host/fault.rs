//! What goes wrong with answers of a git host.

use std::time::Duration;

use super::archive::{Damage, Shape, TarEntry};
use crate::Fault;

/// What goes wrong with an answer.
#[derive(Debug, Clone)]
pub enum GitFault {
    /// It has this status and nothing else.
    Status(u16),
    /// Something else is answered.
    Answer {
        /// The status.
        status: u16,
        /// What it says to be.
        content_type: &'static str,
        /// The body.
        body: String,
    },
    /// A page for browsers comes with the status 200.
    Html,
    /// No request is taken for now.
    Limit {
        /// 403 or 429.
        status: u16,
        /// `retry-after`, in seconds.
        retry_after: Option<u64>,
        /// `x-ratelimit-remaining`.
        remaining: Option<u64>,
        /// `x-ratelimit-reset`, in seconds from now.
        reset_in: Option<i64>,
        /// The message.
        message: &'static str,
    },
    /// It leads to another address.
    Redirect {
        /// 301, 302, 307, 308.
        status: u16,
        /// The address; an empty one for the same once more.
        to: String,
    },
    /// The connection is reset without an answer.
    Reset,
    /// After so many bytes of the body the connection breaks off.
    CutAfter(usize),
    /// Behind so many hundredths of the body it ends, as if that were all.
    EndAt(usize),
    /// After so many bytes of the body nothing comes any more, while the connection stays open.
    HangAfter(usize),
    /// The body comes in pieces of so many bytes, one at a time.
    Drip {
        /// The size of a piece.
        bytes: usize,
        /// The time between two of them.
        every: Duration,
    },
    /// A byte in the middle of the body is another one.
    Damaged,
    /// The body is this long, filled up with zeros.
    Longer(usize),
    /// The tar of an archive that is packed well is damaged in its middle.
    DamagedTar,
    /// The tar of an archive that is packed well ends behind so many hundredths.
    TarEndsAt(usize),
    /// The tar of an archive that is packed well has all files, and no end.
    TarWithoutEnd,
    /// The archive says to be of another commit; an empty text for of none.
    Comment(String),
    /// The archive has these entries too.
    Entries(Vec<TarEntry>),
    /// The archive lacks these paths.
    Without(Vec<String>),
}

impl GitFault {
    /// A limit by `retry-after`.
    pub fn retry_after(status: u16, seconds: u64) -> Self {
        Self::Limit {
            status,
            retry_after: Some(seconds),
            remaining: None,
            reset_in: None,
            message: "You have exceeded a secondary rate limit.",
        }
    }

    /// A limit by `x-ratelimit-reset`.
    pub fn reset_in(status: u16, seconds: i64) -> Self {
        Self::Limit {
            status,
            retry_after: None,
            remaining: Some(0),
            reset_in: Some(seconds),
            message: "API rate limit exceeded.",
        }
    }

    /// A fault that all hosts of the sandbox have; none where it means nothing here.
    pub(super) fn of(fault: &Fault) -> Option<Self> {
        Some(match fault {
            Fault::Status(status, _) => Self::Status(*status),
            Fault::RetryAfter(status, seconds, _) => Self::retry_after(*status, *seconds),
            Fault::Body { status, body, .. } => Self::Answer {
                status: *status,
                content_type: "application/json; charset=utf-8",
                body: body.clone(),
            },
            Fault::Reset(_) => Self::Reset,
            Fault::TruncatedBody(_) => Self::CutAfter(10),
            Fault::NotJson(_) => Self::Html,
            _ => return None,
        })
    }

    /// Has an archive be made in another way.
    pub(super) fn shape(&self, shape: &mut Shape) {
        match self {
            Self::DamagedTar => shape.damage = Some(Damage::Header),
            Self::TarEndsAt(hundredths) => shape.damage = Some(Damage::CutAt(*hundredths)),
            Self::TarWithoutEnd => shape.damage = Some(Damage::NoEnd),
            Self::Comment(comment) => shape.comment = Some(comment.clone()),
            Self::Entries(entries) => shape.entries.extend(entries.iter().cloned()),
            Self::Without(paths) => shape.without.extend(paths.iter().cloned()),
            _ => {}
        }
    }
}

/// A fault that is switched on.
#[derive(Debug)]
pub(super) struct Planned {
    /// What has to stand in the address of a request.
    pub(super) asked: String,
    pub(super) fault: GitFault,
    /// For how many requests; none for all.
    pub(super) times: Option<usize>,
}

/// The fault of a request for this address.
pub(super) fn take(planned: &mut Vec<Planned>, asked: &str) -> Option<GitFault> {
    let at = planned
        .iter()
        .position(|planned| asked.contains(&planned.asked))?;
    let found = planned.get_mut(at)?;
    let fault = found.fault.clone();
    if let Some(times) = &mut found.times {
        *times = times.saturating_sub(1);
        if *times == 0 {
            planned.remove(at);
        }
    }
    Some(fault)
}
