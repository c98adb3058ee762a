//! Faults that a test switches on while a platform runs.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::watch;

use crate::lock;

/// What goes wrong with requests, mostly for a number of times.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Answered with this HTTP status, so many times.
    Status(u16, usize),
    /// Answered with this HTTP status and `Retry-After` in seconds, so many times.
    RetryAfter(u16, u64, usize),
    /// Pages with more rows than this (the variable `first`) are answered with this HTTP status.
    StatusAbove {
        /// The largest page that is still answered.
        rows: i64,
        /// The status of the others.
        status: u16,
        /// How many times.
        times: usize,
    },
    /// Requests whose body is larger than so many bytes are answered with HTTP 413, always, as by nginx.
    TooLarge(usize),
    /// Answered with this HTTP status and this body, so many times; where `above` is given, only requests for more
    /// rows than that (the variable `first`).
    Body {
        /// The status.
        status: u16,
        /// The body.
        body: String,
        /// The most rows that are still answered.
        above: Option<i64>,
        /// How many times.
        times: usize,
    },
    /// Carried out, and then answered with this HTTP status, so many times: who asked cannot know.
    AfterStatus(u16, usize),
    /// The platform's clock is so many seconds ahead of ours, or behind: each answer says so in its `Date`.
    Clock(i64),
    /// Every answer comes so much later.
    Delay(Duration),
    /// Every answer comes so much later for each row asked for (the variable `first`).
    DelayPerRow(Duration),
    /// Not answered at all until the faults are cleared; what waits by then is answered as if
    /// nothing had been.
    Silent,
    /// The connection is reset without an answer, and nothing is carried out, so many times.
    Reset(usize),
    /// The answer breaks off in its middle, so many times.
    TruncatedBody(usize),
    /// The answer is a page of HTML, so many times.
    NotJson(usize),
    /// Answered with a GraphQL error.
    GraphqlError {
        /// The platform's name of the error, also its code.
        name: String,
        /// Its words.
        message: String,
        /// How many times.
        times: usize,
    },
    /// Carried out and answered, with a GraphQL error beside the data: every second row of a list
    /// lacks its author, as when the platform could not load it.
    GraphqlErrorBesideData {
        /// The platform's name of the error, also its code.
        name: String,
        /// Its words.
        message: String,
        /// How many times.
        times: usize,
    },
}

/// The faults of one platform. Delays add up, and so does what its clock is ahead; of the others the first one added
/// comes first.
#[derive(Debug, Default)]
pub struct Faults {
    entries: Arc<Mutex<Vec<Entry>>>,
}

/// Holds requests back as long as it lives.
#[derive(Debug)]
#[must_use = "the requests are let go at once"]
pub struct Hold {
    entries: Arc<Mutex<Vec<Entry>>>,
    sender: Weak<watch::Sender<()>>,
}

#[derive(Debug)]
struct Entry {
    operation: Option<String>,
    effect: Effect,
}

#[derive(Debug)]
enum Effect {
    Fault(Fault),
    /// Requests wait as long as the entry is there.
    Wait(HoldSender),
    /// So many requests pass, the others wait as long as the entry is there.
    WaitBehind(usize, HoldSender),
}

/// Closed until its entry is gone, with the only copy.
type HoldSender = Arc<watch::Sender<()>>;

/// The faults that apply to a request.
#[derive(Debug, Default)]
pub(crate) struct AppliedFaults {
    pub(crate) delay: Duration,
    /// How many seconds the platform's clock is ahead of ours.
    pub(crate) clock_ahead_s: i64,
    pub(crate) fault: Option<Fault>,
}

impl Faults {
    /// Switches a fault on for all operations.
    pub fn add(&self, fault: Fault) {
        self.enter(None, fault);
    }

    /// Switches a fault on for one operation by its name.
    pub fn add_for(&self, operation: &str, fault: Fault) {
        self.enter(Some(operation.to_owned()), fault);
    }

    /// Holds the requests of one operation, by its name, until the hold is dropped or the faults
    /// are cleared. They are noted when they come, and carried out only then, unless whoever asked
    /// has gone meanwhile. Faults that are added in between count.
    pub fn hold(&self, operation: &str) -> Hold {
        let sender = HoldSender::new(watch::Sender::new(()));
        let hold = Hold {
            entries: Arc::clone(&self.entries),
            sender: Arc::downgrade(&sender),
        };
        lock(&self.entries).push(Entry {
            operation: Some(operation.to_owned()),
            effect: Effect::Wait(sender),
        });
        hold
    }

    /// Lets so many requests pass, of one operation or of all, and holds the others like
    /// [`Self::hold`].
    pub fn hold_behind(&self, requests: usize, operation: Option<&str>) -> Hold {
        let sender = HoldSender::new(watch::Sender::new(()));
        let hold = Hold {
            entries: Arc::clone(&self.entries),
            sender: Arc::downgrade(&sender),
        };
        lock(&self.entries).push(Entry {
            operation: operation.map(str::to_owned),
            effect: Effect::WaitBehind(requests, sender),
        });
        hold
    }

    /// Switches all faults off.
    pub fn clear(&self) {
        lock(&self.entries).clear();
    }

    fn enter(&self, operation: Option<String>, fault: Fault) {
        let effect = match fault {
            Fault::Silent => Effect::Wait(HoldSender::new(watch::Sender::new(()))),
            fault => Effect::Fault(fault),
        };
        lock(&self.entries).push(Entry { operation, effect });
    }

    /// Waits until nothing holds requests of this operation back.
    pub(crate) async fn let_go(&self, operation: &str) {
        while let Some(mut held) = self.receiver(operation) {
            // Nothing is ever sent: this ends when the sender is gone.
            held.changed().await.ok();
        }
    }

    fn receiver(&self, operation: &str) -> Option<watch::Receiver<()>> {
        let mut entries = lock(&self.entries);
        let concerned = entries.iter_mut().filter(|entry| entry.concerns(operation));
        let mut receivers = concerned.filter_map(|entry| entry.effect.receiver());
        receivers.next()
    }

    /// How many seconds the platform's clock is ahead of ours, whatever is asked.
    pub(crate) fn clock_ahead_s(&self) -> i64 {
        let entries = lock(&self.entries);
        let of_all = entries.iter().filter(|entry| entry.operation.is_none());
        let ahead = of_all.map(|entry| match entry.effect {
            Effect::Fault(Fault::Clock(seconds)) => seconds,
            _ => 0,
        });
        ahead.sum()
    }

    /// The faults of a request of this operation that asks for so many rows, and has a body of so many bytes.
    pub(crate) fn apply(&self, operation: &str, rows: Option<i64>, bytes: usize) -> AppliedFaults {
        let mut entries = lock(&self.entries);
        let mut applied = AppliedFaults::default();
        entries.retain_mut(|entry| {
            if !entry.concerns(operation) {
                return true;
            }
            let Effect::Fault(fault) = &mut entry.effect else {
                return true;
            };
            if let Some(delay) = fault.delay(rows) {
                applied.delay += delay;
                return true;
            }
            if let Fault::Clock(seconds) = fault {
                applied.clock_ahead_s += *seconds;
                return true;
            }
            if applied.fault.is_some() || !fault.concerns(rows, bytes) {
                return true;
            }
            applied.fault = Some(fault.clone());
            !fault.is_used_up()
        });
        applied
    }
}

impl Hold {
    /// Whether it holds a request now.
    pub fn is_holding(&self) -> bool {
        let sender = self.sender.upgrade();
        sender.is_some_and(|sender| sender.receiver_count() > 0)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        lock(&self.entries).retain(|entry| match &entry.effect {
            Effect::Wait(sender) | Effect::WaitBehind(_, sender) => {
                Arc::as_ptr(sender) != self.sender.as_ptr()
            }
            Effect::Fault(_) => true,
        });
    }
}

impl Effect {
    /// What a request waits at that comes now; it may be one of those that pass.
    fn receiver(&mut self) -> Option<watch::Receiver<()>> {
        match self {
            Self::Fault(_) => None,
            Self::Wait(sender) | Self::WaitBehind(0, sender) => Some(sender.subscribe()),
            Self::WaitBehind(passing, _) => {
                *passing -= 1;
                None
            }
        }
    }
}

impl Entry {
    fn concerns(&self, operation: &str) -> bool {
        let only = self.operation.as_deref();
        only.is_none_or(|only| only == operation)
    }
}

impl Fault {
    /// How much later an answer with so many rows comes; none for what is no delay.
    fn delay(&self, rows: Option<i64>) -> Option<Duration> {
        match self {
            Self::Delay(delay) => Some(*delay),
            Self::DelayPerRow(delay) => {
                let rows = rows.and_then(|rows| u32::try_from(rows).ok());
                Some(delay.saturating_mul(rows.unwrap_or_default()))
            }
            _ => None,
        }
    }

    fn concerns(&self, asked: Option<i64>, bytes: usize) -> bool {
        match self {
            Self::TooLarge(limit) => bytes > *limit,
            Self::StatusAbove { rows, .. }
            | Self::Body {
                above: Some(rows), ..
            } => asked.is_some_and(|asked| asked > *rows),
            _ => true,
        }
    }

    /// Counts one use; true after the last one.
    fn is_used_up(&mut self) -> bool {
        let times = match self {
            Self::Clock(_)
            | Self::Delay(_)
            | Self::DelayPerRow(_)
            | Self::Silent
            | Self::TooLarge(_) => {
                return false;
            }
            Self::Status(_, times)
            | Self::RetryAfter(_, _, times)
            | Self::StatusAbove { times, .. }
            | Self::Body { times, .. }
            | Self::AfterStatus(_, times)
            | Self::Reset(times)
            | Self::TruncatedBody(times)
            | Self::NotJson(times)
            | Self::GraphqlError { times, .. }
            | Self::GraphqlErrorBesideData { times, .. } => times,
        };
        *times = times.saturating_sub(1);
        *times == 0
    }
}
