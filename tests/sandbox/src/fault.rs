//! Faults that a test switches on while a platform runs.

use std::sync::Mutex;
use std::time::Duration;

use crate::lock;

/// What goes wrong with requests, mostly for a number of times.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Answered with this HTTP status, so many times.
    Status(u16, usize),
    /// Answered with this HTTP status and `Retry-After` in seconds, so many times.
    RetryAfter(u16, u64, usize),
    /// Every answer comes so much later.
    Delay(Duration),
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
}

/// The faults of one platform; the first one added comes first.
#[derive(Debug, Default)]
pub struct Faults {
    entries: Mutex<Vec<Entry>>,
}

#[derive(Debug)]
struct Entry {
    operation: Option<String>,
    fault: Fault,
}

impl Faults {
    /// Switches a fault on for all operations.
    pub fn add(&self, fault: Fault) {
        lock(&self.entries).push(Entry {
            operation: None,
            fault,
        });
    }

    /// Switches a fault on for one operation by its name.
    pub fn add_for(&self, operation: &str, fault: Fault) {
        lock(&self.entries).push(Entry {
            operation: Some(operation.to_owned()),
            fault,
        });
    }

    /// Switches all faults off.
    pub fn clear(&self) {
        lock(&self.entries).clear();
    }

    /// The fault that a request of this operation meets.
    pub(crate) fn next(&self, operation: &str) -> Option<Fault> {
        let mut entries = lock(&self.entries);
        let concerns = |entry: &Entry| {
            entry
                .operation
                .as_deref()
                .is_none_or(|only| only == operation)
        };
        let position = entries.iter().position(concerns)?;
        let fault = entries.get(position)?.fault.clone();
        if entries.get_mut(position)?.fault.is_used_up() {
            entries.remove(position);
        }
        Some(fault)
    }
}

impl Fault {
    /// Counts one use; true after the last one.
    fn is_used_up(&mut self) -> bool {
        let times = match self {
            Self::Delay(_) => return false,
            Self::Status(_, times)
            | Self::RetryAfter(_, _, times)
            | Self::TruncatedBody(times)
            | Self::NotJson(times)
            | Self::GraphqlError { times, .. } => times,
        };
        *times = times.saturating_sub(1);
        *times == 0
    }
}
