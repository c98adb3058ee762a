//! Log lines, in the shape that the field's log collectors already parse: one JSON object with
//! the keys `timestamp`, `level`, `name`, `message` and, only when there are any, `attributes`.
//!
//! **Invariant:** one event is one line, whatever its texts contain: each of them is made safe for people, and is cut.

use std::error::Error;
use std::fmt;
use std::io::Write;
use std::time::SystemTime;

use super::bars::Bars;
use super::safe_text::{TEXT, safe};
use super::waiting;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterFn, LevelFilter, Targets, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// How the targets of this crate begin.
const OWN_CRATE: &str = env!("CARGO_CRATE_NAME");

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// The process already has a subscriber.
    #[error("logging is already set up")]
    AlreadySetUp(#[source] TryInitError),
}

/// Sets up logging to standard error, above the progress bars, for the whole process; to be called once.
///
/// This crate logs from `level` on, other crates only warnings and errors (only errors when
/// `level` is [`Level::ERROR`]). `json` chooses JSON lines over text; `name` is the connector's
/// name in each line.
///
/// # Errors
///
/// When the process already has a subscriber.
pub fn init(level: Level, json: bool, name: &str, bars: Bars) -> Result<(), LogsError> {
    tracing_subscriber::registry()
        .with(lines(json, name, bars).with_filter(filter(level)))
        .try_init()
        .map_err(LogsError::AlreadySetUp)
}

/// Sets up logging to standard error of what is waited for, and of nothing else: for a command that says by itself
/// what it finds.
///
/// # Errors
///
/// When the process already has a subscriber.
pub fn init_waiting(name: &str) -> Result<(), LogsError> {
    tracing_subscriber::registry()
        .with(lines(false, name, std::io::stderr).with_filter(only_waiting()))
        .try_init()
        .map_err(LogsError::AlreadySetUp)
}

/// An error and all its causes, joined by `": "`.
///
/// A cause whose text the error above it already ends with is left out, for some libraries repeat
/// it there. Causes hold texts of other systems: all of it is safe to be shown, and is cut.
#[derive(Debug, Clone, Copy)]
pub struct Chain<'a>(pub &'a (dyn Error + 'a));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut above = self.0.to_string();
        let mut whole = above.clone();
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !above.ends_with(&text) {
                whole.push_str(": ");
                whole.push_str(&text);
            }
            above = text;
            cause = error.source();
        }
        f.write_str(&safe(&whole, TEXT))
    }
}

/// Lets through what is to be logged, and this crate's spans down to info in any case: an error
/// must say in which run it happened even where only errors are logged.
fn filter(level: Level) -> FilterFn<impl Fn(&Metadata<'_>) -> bool> {
    let events = Targets::new()
        .with_default(level.min(Level::WARN))
        // Its errors come back to us, who log them where they are handled, with what is done about it.
        .with_target("lapin", LevelFilter::OFF)
        .with_target(OWN_CRATE, level);
    let spans = Targets::new().with_target(OWN_CRATE, level.max(Level::INFO));
    let most = LevelFilter::from_level(level.max(Level::INFO));
    filter_fn(move |metadata| {
        let targets = if metadata.is_span() { &spans } else { &events };
        targets.would_enable(metadata.target(), metadata.level())
    })
    .with_max_level_hint(most)
}

/// Lets through what is waited for.
fn only_waiting() -> Targets {
    Targets::new().with_target(waiting::TARGET, LevelFilter::INFO)
}

fn lines<W>(json: bool, name: &str, writer: W) -> Lines<W> {
    Lines {
        json,
        name: safe(name, TEXT).into_owned(),
        writer,
    }
}

/// Writes events as lines and keeps the fields of spans for them.
struct Lines<W> {
    json: bool,
    name: String,
    writer: W,
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = EventFields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<EventFields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = EventFields::default();
        event.record(&mut fields);
        // From the innermost span outwards: the nearer one knows better.
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(outer) = span.extensions().get::<EventFields>() {
                fields.add_missing(outer);
            }
        }
        let line = LogLine {
            timestamp: DateTime::<Utc>::from(SystemTime::now())
                .to_rfc3339_opts(SecondsFormat::Micros, true),
            level: level_name(*event.metadata().level()),
            name: &self.name,
            message: &fields.message,
            attributes: &fields.attributes,
        };
        self.write(&line);
    }
}

impl<W: for<'w> MakeWriter<'w>> Lines<W> {
    fn write(&self, line: &LogLine<'_>) {
        let text = if self.json {
            // Every key and value is text, number or boolean, which JSON can always express.
            serde_json::to_string(line).unwrap_or_else(|_| line.to_string())
        } else {
            line.to_string()
        };
        // A log line that cannot be written leaves no place to say so.
        self.writer
            .make_writer()
            .write_all(format!("{text}\n").as_bytes())
            .ok();
    }
}

/// One event, ready to be written.
struct LogLine<'a> {
    timestamp: String,
    level: &'static str,
    name: &'a str,
    message: &'a str,
    attributes: &'a [(&'static str, Value)],
}

impl Serialize for LogLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("timestamp", &self.timestamp)?;
        map.serialize_entry("level", self.level)?;
        map.serialize_entry("name", self.name)?;
        map.serialize_entry("message", self.message)?;
        if !self.attributes.is_empty() {
            map.serialize_entry("attributes", &InOrder(self.attributes))?;
        }
        map.end()
    }
}

/// A JSON object whose keys keep their order, which `serde_json::Map` would sort.
struct InOrder<'a>(&'a [(&'static str, Value)]);

impl Serialize for InOrder<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl fmt::Display for LogLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.timestamp, self.level, self.message)?;
        for (name, value) in self.attributes {
            match value {
                Value::String(text) if is_word(text) => write!(f, " {name}={text}")?,
                value => write!(f, " {name}={value}")?,
            }
        }
        Ok(())
    }
}

/// Readable without quotes.
fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || "\"=".contains(c))
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        // The field has no level below.
        _ => "DEBUG",
    }
}

/// The fields of an event or a span, in the order in which they were recorded.
#[derive(Debug, Default)]
struct EventFields {
    message: String,
    attributes: Vec<(&'static str, Value)>,
}

impl EventFields {
    fn set(&mut self, field: &Field, value: Value) {
        let name = field.name();
        // What the `log` crate's events carry beside their message: where they were written.
        if name.starts_with("log.") {
            return;
        }
        match self.attributes.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.attributes.push((name, value)),
        }
    }

    /// All texts come this way.
    fn set_text(&mut self, field: &Field, text: &str) {
        let text = safe(text, TEXT).into_owned();
        if field.name() == "message" {
            self.message = text;
        } else {
            self.set(field, Value::String(text));
        }
    }

    fn add_missing(&mut self, outer: &Self) {
        for (name, value) in &outer.attributes {
            if self.attributes.iter().all(|(known, _)| known != name) {
                self.attributes.push((name, value.clone()));
            }
        }
    }
}

impl Visit for EventFields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set_text(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set_text(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.set_text(field, &Chain(value).to_string());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        match serde_json::Number::from_f64(value) {
            Some(number) => self.set(field, number.into()),
            // JSON has no word for an infinite number.
            None => self.set_text(field, &value.to_string()),
        }
    }
}

#[cfg(test)]
pub(crate) use tests::logged;

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::*;
    use crate::telemetry::waiting::WaitNotice;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What `run` logs.
    pub(crate) fn logged(json: bool, level: Level, run: impl FnOnce()) -> String {
        logged_through(filter(level), json, run)
    }

    fn logged_through(
        filter: impl tracing_subscriber::layer::Filter<tracing_subscriber::Registry>
        + Send
        + Sync
        + 'static,
        json: bool,
        run: impl FnOnce(),
    ) -> String {
        let captured = Captured::default();
        let writer = captured.clone();
        let layer = lines(json, "NetManageIT", move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(layer.with_filter(filter));
        tracing::subscriber::with_default(subscriber, run);
        let bytes = captured.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    /// Waits so long, one after another.
    fn wait(waits: &[(&'static str, Duration)]) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let waiting = WaitNotice::default();
        runtime.block_on(async {
            for (what, wait) in waits {
                let wait = tokio::time::sleep(*wait);
                waiting.with_notice(|| (*what).to_owned(), wait).await;
            }
            tracing::warn!("something else");
        });
    }

    #[test]
    fn a_long_wait_is_logged_once() {
        let soon = waiting::LOG_AFTER.saturating_sub(Duration::from_millis(1));
        let late = Duration::from_hours(1);
        let waits = [
            ("the first", soon),
            ("the second", late),
            ("the third", late),
            ("the fourth", soon),
            ("the fifth", late),
        ];
        let whole = logged(false, Level::INFO, || wait(&waits));
        let alone = logged_through(only_waiting(), false, || wait(&waits));
        for (text, others) in [(whole, 1), (alone, 0)] {
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(lines.len(), 2 + others, "{text}");
            assert!(lines[0].ends_with("INFO still waiting for the second"));
            assert!(lines[1].ends_with("INFO still waiting for the fifth"));
        }
    }

    fn after_timestamp(line: &str) -> String {
        let (_, rest) = line.split_once("Z\",").unwrap();
        rest.to_owned()
    }

    #[test]
    fn json_line_has_the_known_keys_in_the_known_order() {
        let line = logged(true, Level::INFO, || {
            tracing::info!(
                zeta = 3,
                alpha = true,
                ratio = 0.5,
                text = "a \"b\"",
                "page read"
            );
        });
        assert!(line.starts_with("{\"timestamp\":\"2"), "{line}");
        assert_eq!(
            after_timestamp(&line),
            "\"level\":\"INFO\",\"name\":\"NetManageIT\",\"message\":\"page read\",\
             \"attributes\":{\"zeta\":3,\"alpha\":true,\"ratio\":0.5,\"text\":\"a \\\"b\\\"\"}}\n"
        );
    }

    #[test]
    fn timestamp_has_microseconds_and_z() {
        let line = logged(true, Level::INFO, || tracing::info!("x"));
        let value: Value = serde_json::from_str(&line).unwrap();
        let timestamp = value["timestamp"].as_str().unwrap();
        assert_eq!(timestamp.len(), "2026-11-20T11:10:22.587378Z".len());
        assert!(timestamp.ends_with('Z'));
    }

    #[test]
    fn attributes_are_absent_when_there_are_none() {
        let line = logged(true, Level::INFO, || tracing::info!("x"));
        assert_eq!(
            after_timestamp(&line),
            "\"level\":\"INFO\",\"name\":\"NetManageIT\",\"message\":\"x\"}\n"
        );
    }

    #[test]
    fn spans_add_their_fields_and_the_nearer_one_wins() {
        let line = logged(true, Level::INFO, || {
            let run = tracing::info_span!("cycle", work = "w1", page = 1);
            let _run = run.enter();
            let page = tracing::info_span!("page", page = 2, rows = tracing::field::Empty);
            page.record("rows", 10);
            let _page = page.enter();
            tracing::info!(batch = 1, "sent");
        });
        let expected = "\"attributes\":{\"batch\":1,\"page\":2,\"rows\":10,\"work\":\"w1\"}}\n";
        assert!(line.ends_with(expected), "{line}");
    }

    #[test]
    fn levels_carry_the_names_of_the_field() {
        let text = logged(true, Level::DEBUG, || {
            tracing::debug!("x");
            tracing::info!("x");
            tracing::warn!("x");
            tracing::error!("x");
        });
        let levels: Vec<String> = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["level"].to_string())
            .collect();
        assert_eq!(
            levels,
            ["\"DEBUG\"", "\"INFO\"", "\"WARNING\"", "\"ERROR\""]
        );
    }

    #[rstest::rstest]
    #[case(Level::DEBUG, 2)]
    #[case(Level::INFO, 2)]
    #[case(Level::ERROR, 1)]
    fn other_crates_are_heard_only_when_it_matters(#[case] level: Level, #[case] lines: usize) {
        let text = logged(true, level, || {
            tracing::info!(target: "hyper::client", "x");
            tracing::warn!(target: "hyper::client", "x");
            tracing::error!(target: "hyper::client", "x");
            tracing::error!(target: "lapin::channel", "x");
        });
        assert_eq!(text.lines().count(), lines, "{text}");
    }

    #[test]
    fn errors_keep_their_spans_where_only_errors_are_logged() {
        let line = logged(true, Level::ERROR, || {
            let _run = tracing::info_span!("cycle", work = "w1").entered();
            tracing::info!("not heard");
            tracing::error!("run ended");
        });
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(line.contains("\"attributes\":{\"work\":\"w1\"}"), "{line}");
    }

    #[test]
    fn own_crate_is_heard_at_the_chosen_level() {
        let text = logged(true, Level::INFO, || {
            tracing::debug!("x");
            tracing::info!("x");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
    }

    #[test]
    fn text_is_one_readable_line() {
        let line = logged(false, Level::INFO, || {
            tracing::warn!(
                rows = 3,
                name = "a b",
                word = "w",
                escape = "\u{1b}[1m",
                "two\nlines"
            );
        });
        let (_, rest) = line.split_once("Z ").unwrap();
        assert_eq!(
            rest,
            "WARNING two\\nlines rows=3 name=\"a b\" word=w escape=\\u{1b}[1m\n"
        );
    }

    #[rstest::rstest]
    fn a_text_of_any_length_and_content_is_a_short_safe_line(#[values(true, false)] json: bool) {
        let text = "\u{1b}[31m\u{202e}\n".repeat(20_000);
        let line = logged(json, Level::INFO, || {
            let error = link(&["page failed"]);
            let _run = tracing::info_span!("cycle", work = text).entered();
            tracing::error!(words = %text, debug = ?text, error = &error as &(dyn Error + 'static), "{text}");
        });
        assert!(line.len() < 5 * TEXT, "{} bytes", line.len());
        assert_eq!(line.matches(" bytes more)").count(), 4, "{line}");
        let line = line.strip_suffix('\n').unwrap();
        assert!(!line.contains(super::super::safe_text::is_unsafe), "{line}");
        if json {
            let read: Value = serde_json::from_str(line).unwrap();
            let message = read["message"].as_str().unwrap();
            assert!(message.starts_with("\\u{1b}[31m\\u{202e}\\n"), "{message}");
        }
    }

    #[test]
    fn a_chain_is_cut_and_safe() {
        let text: &'static str = String::leak("\u{202e}x".repeat(1_000_000));
        let chain = Chain(&link(&["page failed", text])).to_string();
        assert!(chain.len() <= TEXT, "{} bytes", chain.len());
        assert!(chain.starts_with("page failed: \\u{202e}x"), "{chain}");
    }

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Link {
        text: &'static str,
        #[source]
        cause: Option<Box<Link>>,
    }

    fn link(texts: &[&'static str]) -> Link {
        let (text, causes) = texts.split_first().unwrap();
        let cause = (!causes.is_empty()).then(|| Box::new(link(causes)));
        Link { text, cause }
    }

    #[rstest::rstest]
    #[case(&["alone"], "alone")]
    #[case(&["page failed", "connection reset"], "page failed: connection reset")]
    #[case(&["page failed: reset", "reset", "by peer"], "page failed: reset: by peer")]
    fn chain_names_every_cause_once(#[case] texts: &[&'static str], #[case] expected: &str) {
        assert_eq!(Chain(&link(texts)).to_string(), expected);
    }

    #[test]
    fn error_fields_carry_their_causes() {
        let line = logged(true, Level::INFO, || {
            let error = link(&["page failed", "connection reset"]);
            tracing::error!(error = &error as &(dyn Error + 'static), "run ended");
        });
        assert!(
            line.contains("\"error\":\"page failed: connection reset\""),
            "{line}"
        );
    }
}
