//! What the connector logs about its run, kept for the summary.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

const CONNECTOR: &str = "opencti_connectors";
/// The message under which the connector names what it does not send, one by one.
const NOT_SENT: &str = "not sent";

/// What was noted so far; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Noted>>);

#[derive(Debug, Default)]
struct Noted {
    /// Reasons by kind and id.
    not_sent: BTreeMap<(String, String), Vec<String>>,
    errors: Vec<String>,
    warning: Option<String>,
}

impl Notes {
    /// Begins to take notes, for the whole process; `shown` also prints the log to standard error.
    pub(crate) fn take(shown: bool) -> Result<Self> {
        let notes = Self::default();
        // The connector names the first hundred at level warning, the others at level debug.
        let heard = Targets::new().with_target(CONNECTOR, Level::DEBUG);
        let printed = if shown {
            let others = Targets::new().with_default(Level::WARN);
            others.with_target(CONNECTOR, Level::INFO)
        } else {
            Targets::new().with_default(LevelFilter::OFF)
        };
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        tracing_subscriber::registry()
            .with(notes.clone().with_filter(heard))
            .with(lines.with_filter(printed))
            .try_init()?;
        Ok(notes)
    }

    /// Why the object was not sent, if the connector logged it. Parts of an object have kinds of
    /// their own.
    pub(crate) fn reason(&self, kind: &str, id: &str) -> Option<String> {
        self.look(|noted| {
            let reasons = noted.not_sent.get(&(kind.to_owned(), id.to_owned()));
            reasons?.first().cloned()
        })
    }

    /// All that was not sent: how often, by kind and reason.
    pub(crate) fn not_sent(&self) -> BTreeMap<(String, String), u64> {
        self.look(|noted| {
            let mut counts = BTreeMap::new();
            for ((kind, _), reasons) in &noted.not_sent {
                for reason in reasons {
                    *counts.entry((kind.clone(), reason.clone())).or_default() += 1;
                }
            }
            counts
        })
    }

    /// The errors that were logged, in order.
    pub(crate) fn errors(&self) -> Vec<String> {
        self.look(|noted| noted.errors.clone())
    }

    /// The last warning that was logged.
    pub(crate) fn warning(&self) -> Option<String> {
        self.look(|noted| noted.warning.clone())
    }

    fn look<T>(&self, at: impl FnOnce(&mut Noted) -> T) -> T {
        at(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<S: Subscriber> Layer<S> for Notes {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        if fields.is(NOT_SENT) {
            let [id, kind, reason] = ["id", "kind", "reason"].map(|name| fields.text(name));
            self.look(|noted| noted.not_sent.entry((kind, id)).or_default().push(reason));
            return;
        }
        let line = fields.line();
        match *event.metadata().level() {
            Level::ERROR => self.look(|noted| noted.errors.push(line)),
            Level::WARN => self.look(|noted| noted.warning = Some(line)),
            _ => {}
        }
    }
}

/// The fields of one event, as text.
#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Fields {
    fn is(&self, message: &str) -> bool {
        self.0.get("message").is_some_and(|text| text == message)
    }

    fn text(&self, name: &str) -> String {
        self.0.get(name).cloned().unwrap_or_default()
    }

    fn line(&self) -> String {
        let mut line = self.text("message");
        if let Some(error) = self.0.get("error") {
            // Writing to a string does not fail.
            write!(line, ": {error}").ok();
        }
        line
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}
