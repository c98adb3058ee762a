//! The reading of one stream, and the pages that it hands out.

use std::collections::HashSet;

use serde_json::Value;

use crate::connector::{Deferred, Position, RowTime, Skipped};
use crate::connectors::netmanageit::ask::{PageAnswer, Stream};
use crate::connectors::netmanageit::cursor::{
    ClockCheck, NextRead, Reading, Row, Shortfall, SourceClock,
};
use crate::connectors::netmanageit::pager::{Pager, Skips};
use crate::connectors::netmanageit::source::RawPage;
use crate::telemetry::logs::Chain;

/// The reading of one stream.
#[derive(Debug)]
pub(super) struct StreamReader {
    pub(super) stream: Stream,
    /// By what its cursor is told from others of the stream.
    variant: Option<&'static str>,
    pub(super) reading: Reading,
    /// Reads the current list.
    pub(super) pager: Option<Pager>,
    /// The cursor of the last page, or of an earlier run.
    cursor: Option<Value>,
    pages: u64,
    /// That rows carry times in the future was logged.
    is_ahead_logged: bool,
}

impl StreamReader {
    /// Goes on where earlier runs ended.
    pub(super) fn begin(
        stream: Stream,
        variant: Option<&'static str>,
        cursor: Option<Value>,
    ) -> Self {
        let reading = match &cursor {
            None => Reading::first(),
            Some(kept) => Reading::resume(kept).unwrap_or_else(|error| {
                tracing::warn!(
                    stream = stream.name(),
                    error = %Chain(&error),
                    "the kept position of this stream cannot be read; it is read from its beginning"
                );
                Reading::first()
            }),
        };
        if let NextRead::Pages {
            after: Some(_),
            rows,
            ..
        } = reading.next()
        {
            tracing::info!(
                stream = stream.name(),
                stream.rows = rows,
                "reading goes on where an earlier run stopped"
            );
        }
        Self {
            stream,
            variant,
            reading,
            pager: None,
            cursor,
            pages: 0,
            is_ahead_logged: false,
        }
    }

    /// Whether the reading has moved on from the last cursor.
    pub(super) fn has_moved(&self) -> bool {
        !Reading::is_same(self.reading.cursor().as_ref(), self.cursor.as_ref())
    }

    /// Takes the source's clock of an answer; true where it has to be asked for again.
    pub(super) fn has_to_begin_anew(&mut self, clock: Option<SourceClock>) -> bool {
        let Some(clock) = clock else { return false };
        match self.reading.put_clock(clock) {
            ClockCheck::Fine => return false,
            ClockCheck::SetBack(back) => tracing::warn!(
                stream = self.stream.name(),
                back_s = back.as_secs(),
                "the source's clock was set back, or ours ahead; so much more of this stream is read once more, which sends some of it twice"
            ),
            ClockCheck::InFuture => tracing::warn!(
                stream = self.stream.name(),
                "the kept position of this stream lies in the source's future, where later changes would be missed; it is read from its beginning"
            ),
        }
        self.pager = None;
        true
    }

    /// Logs once that rows carry times in the future.
    pub(super) fn log_ahead(&mut self, rows: &[Row], known: &HashSet<Box<str>>) {
        if self.is_ahead_logged {
            return;
        }
        let Some(ahead) = self.reading.ahead(rows, known) else {
            return;
        };
        self.is_ahead_logged = true;
        tracing::warn!(
            stream = self.stream.name(),
            rows = ahead.rows,
            id = %ahead.id,
            latest = %ahead.latest,
            "rows of the source changed at a time that has not come by its own clock; they are sent, and read again until then; look at the clocks of that platform's servers"
        );
    }

    /// The stream has no more rows. A last page, if there is anything new.
    pub(super) fn close(&mut self, total: Option<u64>, skips: Skips) -> Option<RawPage> {
        let bad: Vec<Row> = skips.bad.iter().map(|(row, _)| row.clone()).collect();
        let ended = self.reading.put_end(&bad, skips.rows, total);
        let (skipped, deferred) = skipped_and_deferred(self.stream, skips, &ended.known);
        let alarms: Vec<String> = ended
            .shortfall
            .map(|shortfall| alarm(self.stream, shortfall))
            .into_iter()
            .collect();
        let has_news = !skipped.is_empty() || !alarms.is_empty();
        if !has_news && !self.has_moved() {
            return None;
        }
        Some(RawPage {
            deferred,
            alarms,
            ..self.page(PageAnswer::empty(), HashSet::new(), skipped)
        })
    }

    pub(super) fn page(
        &mut self,
        answer: PageAnswer,
        known: HashSet<Box<str>>,
        skipped: Vec<Skipped>,
    ) -> RawPage {
        self.pages += 1;
        self.cursor = self.reading.cursor();
        let variant = self.variant;
        RawPage {
            known,
            position: self.cursor.clone().map(|cursor| Position {
                variant,
                cursor,
                as_of: self.reading.newest().and_then(RowTime::shown),
            }),
            ..RawPage::new(self.stream, self.pages, answer, skipped)
        }
    }
}

/// Which rows could not be read, and which of these are to be asked for again. A bad row is reported once, until it
/// changes; it is remembered from then on.
pub(super) fn skipped_and_deferred(
    stream: Stream,
    skips: Skips,
    known: &HashSet<Box<str>>,
) -> (Vec<Skipped>, Vec<Deferred>) {
    let (mut skipped, mut deferred) = (skips.skipped, skips.deferred);
    for (row, bad) in skips.bad {
        if !known.contains(&row.id) {
            deferred.push(Deferred::unread(stream.name(), &bad));
            skipped.push(bad);
        }
    }
    (skipped, deferred)
}

fn alarm(stream: Stream, shortfall: Shortfall) -> String {
    let Shortfall { counted, answered } = shortfall;
    format!(
        "the source counts {counted} {} and answered {answered} of them: {} are missing here; have the search index of that platform checked, and whether the token's user may see all of them",
        stream.name(),
        counted - answered,
    )
}
