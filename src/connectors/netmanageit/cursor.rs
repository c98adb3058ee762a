//! The position in a stream, from run to run.
//!
//! A *pass* reads a stream once, ordered by `updated_at`: the first one everything, each later one
//! what is not older than the start that the pass before it left. Several servers write at the source,
//! and each stamps `updated_at` a little before others can see the row: only what is older than
//! [`OVERLAP`] is settled. So a pass leaves as its start: the newest row that there was when it
//! began (the *high watermark*), less the overlap; and a [`OverlapWindow`] of the rows from there on that it handed
//! out, which the next pass reads again and skips.
//!
//! No cursor is later than what the source itself calls now ([`SourceClock`]), nor is it moved by rows whose time has not
//! come: these are handed out, held in the window, and read again until it has. Where the clock was set back, the
//! next pass begins so much earlier.
//!
//! Pure: the caller asks the source what [`Reading::next`] says and puts the answers in.
//!
//! **Invariant.** What [`Reading::cursor`] says is true once everything handed out so far is
//! confirmed: a reading that is resumed from it hands out every version of a row that this one had
//! not handed out, if it became visible within the overlap.

mod clock;

use std::collections::HashSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::page::LONGEST_CURSOR;
use crate::connector::{Digest, HELD_ROWS, OverlapWindow, RowTime, RowVersion};
pub(super) use clock::SourceClock;

/// How long a row may have its `updated_at` before it can be seen.
pub(super) const OVERLAP: Duration = Duration::from_mins(5);
/// Versions of the last minutes that a run remembers of each stream, to know the ends of relationships
/// as read: 16 MB at most. What goes beyond is read by id.
const REMEMBERED: usize = 500_000;

/// A row, as far as the reading has to know it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Row {
    /// The source's internal id.
    pub(super) id: Box<str>,
    /// When it changed; none where the source gives no time that can be read.
    pub(super) updated_at: Option<RowTime>,
}

impl Row {
    fn version(&self) -> Option<RowVersion> {
        self.updated_at.map(|at| RowVersion::new(&self.id, at))
    }
}

/// Which part of a stream is asked for, always in the order of `updated_at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Span {
    Everything,
    /// Rows of this moment and later ones.
    From(RowTime),
    /// Only later rows.
    Behind(RowTime),
}

/// What has to be asked of the source next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NextRead {
    /// The newest row of the stream: [`Reading::put_newest`].
    Newest,
    /// Rows of this span, with no more than id and time: [`Reading::put_scanned`].
    Scan(Span),
    /// Rows of this span, whole, behind this place, of which so many were read:
    /// [`Reading::put_page`], or [`Reading::put_end`].
    Pages {
        span: Span,
        after: Option<String>,
        rows: u64,
    },
    /// Nothing: the pass is over.
    Nothing,
}

/// What a page reports of its place in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PageEnd {
    /// The place behind it.
    pub(super) after: String,
    /// How many rows it had, with those before it that could not be read.
    pub(super) rows: u64,
    /// All rows of the span, where the source answers it.
    pub(super) total: Option<u64>,
    /// One request answered the whole span.
    pub(super) is_whole: bool,
    /// Nothing seems to come behind it.
    pub(super) is_last: bool,
}

/// How a page is handled.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PageHandling {
    /// It has to be read again, later: [`Reading::next`] says what comes first.
    ReadLater,
    /// It is handed out but for these rows, by their ids, which were handed out before.
    HandOutExcept(HashSet<Box<str>>),
}

/// The end of a span.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SpanEnd {
    /// Of the rows that were put in with it, those that were read before.
    pub(super) known: HashSet<Box<str>>,
    /// What is missing, if anything.
    pub(super) shortfall: Option<Shortfall>,
}

/// Rows of a page whose time has not come, and the last such time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FutureRows {
    pub(super) rows: usize,
    /// One of them.
    pub(super) id: Box<str>,
    pub(super) latest: RowTime,
}

/// The check of the source's clock, before a pass goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClockCheck {
    /// It goes on.
    Fine,
    /// The clock was set back by so much: the pass begins so much earlier, and has to be asked for anew.
    SetBack(Duration),
    /// The cursor was in the future: the stream is read from its beginning.
    InFuture,
}

/// The source counts more rows than it answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shortfall {
    pub(super) counted: u64,
    pub(super) answered: u64,
}

/// The reading of one stream in one run.
#[derive(Debug)]
pub(super) struct Reading {
    /// What earlier passes handed out; none before the first pass is complete.
    before: Option<OverlapWindow>,
    /// The newest row of earlier passes.
    updated_at: Option<RowTime>,
    /// The source's clock when the last pass that moved on began.
    clock: Option<SourceClock>,
    stage: Stage,
    pass: Pass,
    /// Versions that this run has read, not older than the pass's window.
    remembered: HashSet<RowVersion>,
}

#[derive(Debug)]
enum Stage {
    Newest,
    /// So much of the sum was found again.
    Scan(Digest),
    Pages,
    Over,
}

/// One pass, as far as it has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Pass {
    /// The place behind the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    /// The newest row read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    updated_at: Option<RowTime>,
    /// The newest row that there was when the pass began.
    #[serde(default, rename = "edge", skip_serializing_if = "Option::is_none")]
    high_watermark: Option<RowTime>,
    /// The rows up to here were found as they were handed out by an earlier pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    behind: Option<RowTime>,
    count: Count,
    /// The source's clock when the pass began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clock: Option<SourceClock>,
    /// The same with its last answer.
    #[serde(skip)]
    last_clock: Option<SourceClock>,
    /// What is handed out, from the start of the next pass on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    window: Option<OverlapWindow>,
    #[serde(skip)]
    is_watermark_asked: bool,
}

/// What the pass counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Count {
    /// Rows read.
    rows: u64,
    /// Those of them that changed while the pass was on its way.
    newer: u64,
    /// The fewest and the most rows that the source counted meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    totals: Option<(u64, u64)>,
}

impl Count {
    fn note(&mut self, total: Option<u64>) {
        let Some(total) = total else { return };
        let (fewest, most) = self.totals.unwrap_or((total, total));
        self.totals = Some((fewest.min(total), most.max(total)));
    }

    /// What is missing of a total beyond what can have moved: a row that appears or goes while we read
    /// changes the total, and a row that changes comes again, as a newer one.
    fn shortfall(&self, total: u64) -> Option<Shortfall> {
        let (fewest, most) = self.totals.unwrap_or((total, total));
        let moved = most.saturating_sub(fewest).saturating_add(self.newer);
        (total.saturating_sub(self.rows) > moved).then_some(Shortfall {
            counted: total,
            answered: self.rows,
        })
    }
}

/// The cursor as the state holds it.
#[derive(Serialize, Deserialize)]
struct StoredCursor {
    /// The newest row of the passes that are complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    updated_at: Option<RowTime>,
    /// What they handed out that will be read again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    window: Option<OverlapWindow>,
    /// The source's clock when the last of them began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clock: Option<SourceClock>,
    /// The pass that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pass: Option<Pass>,
}

impl StoredCursor {
    /// Whether it holds no more than what is written.
    fn is_bounded(&self) -> bool {
        let pass = self.pass.as_ref();
        let windows = [
            self.window.as_ref(),
            pass.and_then(|pass| pass.window.as_ref()),
        ];
        let mut windows = windows.into_iter().flatten();
        let after = pass.and_then(|pass| pass.after.as_deref());
        windows.all(|window| window.versions().len() <= HELD_ROWS)
            && after.is_none_or(|after| after.len() <= LONGEST_CURSOR)
    }
}

/// A cursor that this program has not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoCursor {
    #[error("it has another shape")]
    Shape(#[from] serde_json::Error),
    #[error("it is empty")]
    Empty,
    #[error("it is longer than any of ours")]
    TooLong,
}

impl Reading {
    /// The newest row read so far, in this run or before; never in the future.
    pub(super) fn newest(&self) -> Option<RowTime> {
        let newest = self.pass.updated_at.max(self.updated_at);
        newest.map(|at| self.last_clock().map_or(at, |clock| at.min(clock.now)))
    }

    fn last_clock(&self) -> Option<SourceClock> {
        self.pass.last_clock.or(self.pass.clock).or(self.clock)
    }

    /// The source's clock, from the answer that is put in next; before anything else of it.
    pub(super) fn put_clock(&mut self, clock: SourceClock) -> ClockCheck {
        self.pass.last_clock = Some(clock);
        if self.pass.clock.is_some() {
            return ClockCheck::Fine;
        }
        let windows = [&self.before, &self.pass.window];
        let starts = windows.into_iter().flatten().map(OverlapWindow::start);
        let is_in_future = starts.max().is_some_and(|start| start > clock.now);
        if self.clock.is_none() && is_in_future {
            *self = Self::first();
            self.pass.clock = Some(clock);
            return ClockCheck::InFuture;
        }
        self.pass.clock = Some(clock);
        let back = self.clock.and_then(|earlier| clock.set_back_since(earlier));
        let (Some(back), Some(before)) = (back, &mut self.before) else {
            return ClockCheck::Fine;
        };
        before.reach_back(back);
        self.stage = Stage::Newest;
        ClockCheck::SetBack(back)
    }

    /// Of these rows, but for those that are known, the ones whose time has not come.
    pub(super) fn ahead(&self, rows: &[Row], known: &HashSet<Box<str>>) -> Option<FutureRows> {
        let clock = self.last_clock()?;
        let at = |row: &Row| row.updated_at.filter(|at| clock.is_ahead(*at));
        let new = rows.iter().filter(|row| !known.contains(&row.id));
        let ahead = new.filter_map(|row| Some((at(row)?, &row.id)));
        let (latest, id) = ahead.clone().max()?;
        Some(FutureRows {
            rows: ahead.count(),
            id: id.clone(),
            latest,
        })
    }

    /// Whether two cursors are the same, whatever the clock showed.
    pub(super) fn is_same(one: Option<&Value>, other: Option<&Value>) -> bool {
        let without_clock = |cursor: Option<&Value>| {
            let mut cursor = cursor.cloned();
            if let Some(fields) = cursor.as_mut().and_then(Value::as_object_mut) {
                fields.remove("clock");
            }
            cursor
        };
        without_clock(one) == without_clock(other)
    }

    /// A stream that was never read.
    pub(super) fn first() -> Self {
        Self::of(None, None)
    }

    /// Goes on from the cursor.
    ///
    /// # Errors
    /// [`NoCursor`] when it cannot be read.
    pub(super) fn resume(cursor: &Value) -> Result<Self, NoCursor> {
        let kept = StoredCursor::deserialize(cursor)?;
        if !kept.is_bounded() {
            return Err(NoCursor::TooLong);
        }
        let mut reading = Self::of(kept.window, kept.updated_at);
        reading.clock = kept.clock;
        match kept.pass {
            Some(pass) if pass.after.as_ref().is_some_and(|after| !after.is_empty()) => {
                let held = pass
                    .window
                    .iter()
                    .flat_map(OverlapWindow::versions)
                    .copied();
                reading.remembered.extend(held);
                reading.stage = Stage::Pages;
                reading.pass = Pass {
                    is_watermark_asked: true,
                    ..pass
                };
            }
            Some(_) => return Err(NoCursor::Empty),
            None if reading.before.is_none() => return Err(NoCursor::Empty),
            None => {}
        }
        Ok(reading)
    }

    fn of(before: Option<OverlapWindow>, updated_at: Option<RowTime>) -> Self {
        // A first pass is long, and a sum is checked with requests of its own: then the high watermark has to be
        // known beforehand. Else most passes are a single page, which is its own high watermark.
        let is_short = before
            .as_ref()
            .is_some_and(|window| window.digest().is_none());
        Self {
            before,
            updated_at,
            clock: None,
            stage: if is_short {
                Stage::Pages
            } else {
                Stage::Newest
            },
            pass: Pass::default(),
            remembered: HashSet::new(),
        }
    }

    /// What has to be asked next.
    pub(super) fn next(&self) -> NextRead {
        match self.stage {
            Stage::Newest => NextRead::Newest,
            Stage::Scan(_) => NextRead::Scan(self.start()),
            Stage::Pages => NextRead::Pages {
                span: self.pass.behind.map_or_else(|| self.start(), Span::Behind),
                after: self.pass.after.clone(),
                rows: self.pass.count.rows,
            },
            Stage::Over => NextRead::Nothing,
        }
    }

    fn start(&self) -> Span {
        self.before
            .as_ref()
            .map_or(Span::Everything, |window| Span::From(window.start()))
    }

    /// The cursor after all that was handed out; none when nothing is known of the stream.
    pub(super) fn cursor(&self) -> Option<Value> {
        let is_under_way = matches!(self.stage, Stage::Pages) && self.pass.after.is_some();
        if self.before.is_none() && !is_under_way {
            return None;
        }
        let kept = StoredCursor {
            updated_at: self.updated_at,
            window: self.before.clone(),
            clock: self.clock,
            pass: is_under_way.then(|| self.pass.clone()),
        };
        serde_json::to_value(kept).ok()
    }

    /// The newest row's time; none where there is no row, or none whose time can be read.
    pub(super) fn put_newest(&mut self, newest: Option<RowTime>) {
        self.pass.is_watermark_asked = true;
        self.begin_window(newest);
        let digest = self.before.as_ref().and_then(OverlapWindow::digest);
        self.stage = match digest {
            Some(digest) => Stage::Scan(Digest::none_until(digest.until)),
            None => Stage::Pages,
        };
    }

    /// The pass's window begins where rows may still appear; never before that of the pass before.
    fn begin_window(&mut self, high_watermark: Option<RowTime>) {
        let now = self.pass.clock.map(|clock| clock.now);
        let high_watermark = high_watermark
            .map(|high_watermark| now.map_or(high_watermark, |now| high_watermark.min(now)));
        let settled = high_watermark.map(|high_watermark| high_watermark.before(OVERLAP));
        let start = settled.max(self.before.as_ref().map(OverlapWindow::start));
        self.pass.high_watermark = high_watermark;
        self.pass.window = start.map(OverlapWindow::since);
    }

    /// Rows of the scan, in order; at its end none follow.
    pub(super) fn put_scanned(&mut self, rows: &[Row], is_end: bool) {
        let Stage::Scan(found) = &mut self.stage else {
            return;
        };
        let until = found.until;
        let all: Vec<RowVersion> = rows.iter().filter_map(Row::version).collect();
        let versions: Vec<RowVersion> = all.iter().filter(|one| one.at <= until).copied().collect();
        for version in &versions {
            found.add(*version);
        }
        let is_past = versions.len() < all.len();
        self.hold(&versions);
        if is_past || is_end {
            self.judge_scan();
        }
    }

    /// Found as it was, the sum needs no reading. Else its rows count as never handed out.
    fn judge_scan(&mut self) {
        let Stage::Scan(found) = &self.stage else {
            return;
        };
        let Some(before) = &mut self.before else {
            return;
        };
        if before.digest() == Some(found) {
            self.pass.behind = Some(found.until);
        } else {
            self.remembered.clear();
            if let Some(window) = &mut self.pass.window {
                *window = OverlapWindow::since(window.start());
            }
        }
        before.forget_digest();
        self.stage = Stage::Pages;
    }

    /// A page of rows, in order.
    pub(super) fn put_page(&mut self, rows: &[Row], page: &PageEnd) -> PageHandling {
        let versions: Vec<RowVersion> = rows.iter().filter_map(Row::version).collect();
        if self.pass.window.is_none() {
            if !page.is_whole && !self.pass.is_watermark_asked {
                // What follows is read later than this page: the high watermark has to be older than both.
                self.stage = Stage::Newest;
                return PageHandling::ReadLater;
            }
            // Where the newest row is not known, everything may be new.
            let high_watermark = if page.is_whole {
                self.newest_come(&versions)
            } else {
                versions.first().map(|version| version.at)
            };
            // What is only ahead moves no start; but there has to be one.
            let any = versions.first().filter(|_| self.before.is_none());
            self.begin_window(high_watermark.or(any.map(|version| version.at)));
        }
        let known = self.known(rows);
        self.count(&versions, page.rows, page.total);
        self.hold(&versions);
        self.pass.after = Some(page.after.clone());
        let reached = versions.last().map(|version| version.at);
        if let (Some(before), Some(reached)) = (&mut self.before, reached) {
            before.forget_before(reached);
        }
        // Rows that moved while we read may make the count whole too early.
        if page.is_last && self.pass.updated_at >= self.pass.high_watermark {
            self.end();
        }
        PageHandling::HandOutExcept(known)
    }

    fn known(&self, rows: &[Row]) -> HashSet<Box<str>> {
        let Some(before) = &self.before else {
            return HashSet::new();
        };
        let is_known = |row: &&Row| row.version().is_some_and(|version| before.holds(&version));
        rows.iter()
            .filter(is_known)
            .map(|row| row.id.clone())
            .collect()
    }

    fn count(&mut self, versions: &[RowVersion], rows: u64, total: Option<u64>) {
        let clock = self.last_clock();
        self.pass.updated_at = self.pass.updated_at.max(self.newest_come(versions));
        let high_watermark = self.pass.high_watermark;
        // What is ahead of the clock has not changed now.
        let is_now = |at: RowTime| !clock.is_some_and(|clock| clock.is_ahead(at));
        let newer = versions.iter().filter(|version| {
            high_watermark.is_some_and(|high_watermark| version.at > high_watermark)
                && is_now(version.at)
        });
        let count = &mut self.pass.count;
        count.newer = count.newer.saturating_add(newer.count() as u64);
        count.rows = count.rows.saturating_add(rows);
        self.pass.count.note(total);
    }

    /// The newest of these whose time has come; never later than the source's now.
    fn newest_come(&self, versions: &[RowVersion]) -> Option<RowTime> {
        let clock = self.last_clock();
        let times = versions.iter().map(|version| version.at);
        let come = times.filter(|at| !clock.is_some_and(|clock| clock.is_ahead(*at)));
        let newest = come.max();
        newest.map(|at| clock.map_or(at, |clock| at.min(clock.now)))
    }

    fn hold(&mut self, versions: &[RowVersion]) {
        let Some(window) = &mut self.pass.window else {
            return;
        };
        window.put(versions.iter().copied());
        let start = window.start();
        let left = REMEMBERED.saturating_sub(self.remembered.len());
        let recent = versions.iter().filter(|version| version.at >= start);
        self.remembered.extend(recent.take(left));
    }

    /// The span has no more rows but these, which could not be read; there were so many of those, and
    /// the span has so many in all.
    pub(super) fn put_end(&mut self, bad: &[Row], rows: u64, total: Option<u64>) -> SpanEnd {
        if self.pass.window.is_none() {
            self.begin_window(None);
        }
        let known = self.known(bad);
        let versions: Vec<RowVersion> = bad.iter().filter_map(Row::version).collect();
        self.count(&versions, rows, total);
        self.hold(&versions);
        self.end();
        SpanEnd {
            known,
            shortfall: total.and_then(|total| self.pass.count.shortfall(total)),
        }
    }

    fn end(&mut self) {
        self.updated_at = self.updated_at.max(self.pass.updated_at);
        self.before = self.pass.window.take();
        self.clock = self.pass.clock.or(self.clock);
        self.stage = Stage::Over;
    }

    /// The source does not take the place that the cursor named: the pass begins anew. What it
    /// handed out before counts as known, as far as that was held one by one.
    pub(super) fn begin_anew(&mut self) {
        let handed_out = self.pass.window.take();
        if let (Some(before), Some(handed_out)) = (&mut self.before, handed_out) {
            before.merge(handed_out.versions());
        }
        self.remembered.clear();
        self.pass = Pass::default();
        self.stage = Stage::Newest;
    }

    /// Whether this version of a row has been handed out, in this run or an earlier one, as far as
    /// that is remembered. True only once the pass is over.
    pub(super) fn has_read(&self, row: &Row) -> bool {
        let (Stage::Over, Some(window)) = (&self.stage, &self.before) else {
            return false;
        };
        row.version().is_some_and(|version| {
            version.at < window.start() || self.remembered.contains(&version)
        })
    }
}

#[cfg(test)]
mod tests;
