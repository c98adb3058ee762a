//! Readings of a source that changes under them, against the source itself.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::hostile::{corpus, damaged, misfilled};

const MINUTE: i64 = 60_000;
const OVERLAP_MS: i64 = 5 * MINUTE;
const START: i64 = 1_800_000_000_000;
/// What a stream's cursor may take of the state.
const LARGEST_CURSOR: usize = 20_000;

/// A version of a row as the model knows it.
type Handed = (String, i64);

/// A source: rows by id, each with the time that it carries and the time from which it is seen.
#[derive(Debug, Clone, Default)]
struct Model {
    now: i64,
    rows: BTreeMap<String, (i64, i64)>,
    made: usize,
}

#[derive(Debug, Clone)]
enum Event {
    /// Rows that all carry this moment, and are seen so much later.
    Add {
        rows: usize,
        delay: i64,
    },
    /// The row at this place (of as many as there are) changes.
    Change {
        place: usize,
        delay: i64,
    },
    Delete {
        place: usize,
    },
    Pass {
        time: i64,
    },
}

impl Model {
    fn with(groups: &[(usize, i64)]) -> Self {
        let mut model = Self {
            now: START,
            ..Self::default()
        };
        for (rows, distance) in groups {
            model.apply(&Event::Add {
                rows: *rows,
                delay: 0,
            });
            model.now += distance;
        }
        model
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::Add { rows, delay } => {
                for _ in 0..*rows {
                    self.made += 1;
                    // Not in the order in which they are made.
                    let id = format!("{:03}-{}", self.made * 7 % 1000, self.made);
                    self.rows.insert(id, (self.now, self.now + delay));
                }
            }
            Event::Change { place, delay } => {
                if let Some(id) = self.at(*place) {
                    self.rows.insert(id, (self.now, self.now + delay));
                }
            }
            Event::Delete { place } => {
                if let Some(id) = self.at(*place) {
                    self.rows.remove(&id);
                }
            }
            Event::Pass { time } => self.now += time,
        }
        // No two writes in the same millisecond but those of one event.
        self.now += 1;
    }

    fn at(&self, place: usize) -> Option<String> {
        let place = place.checked_rem(self.rows.len())?;
        self.rows.keys().nth(place).cloned()
    }

    /// What can be seen of a span, in order.
    fn list(&self, span: Span) -> Vec<Handed> {
        let is_in = |at: i64| match span {
            Span::Everything => true,
            Span::From(start) => RowTime::from(at) >= start,
            Span::Behind(end) => RowTime::from(at) > end,
        };
        let seen = self.rows.iter().filter(|(_, (_, seen))| *seen <= self.now);
        let mut list: Vec<Handed> = seen
            .filter(|(_, (at, _))| is_in(*at))
            .map(|(id, (at, _))| (id.clone(), *at))
            .collect();
        list.sort_by(|one, other| (one.1, &one.0).cmp(&(other.1, &other.0)));
        list
    }

    fn newest(&self) -> Option<RowTime> {
        let list = self.list(Span::Everything);
        list.last().map(|(_, at)| RowTime::from(*at))
    }

    fn all(&self) -> BTreeSet<Handed> {
        let versions = self.rows.iter().map(|(id, (at, _))| (id.clone(), *at));
        versions.collect()
    }
}

fn behind<'a>(list: &'a [Handed], after: Option<&str>) -> &'a [Handed] {
    let Some(after) = after else { return list };
    let (at, id) = after.split_once(' ').unwrap();
    let at: i64 = at.parse().unwrap();
    let start = list.partition_point(|row| (row.1, row.0.as_str()) <= (at, id));
    &list[start..]
}

fn rows_of(handed: &[Handed]) -> Vec<Row> {
    let row = |(id, at): &Handed| Row {
        id: id.as_str().into(),
        updated_at: Some(RowTime::from(*at)),
    };
    handed.iter().map(row).collect()
}

/// One run: how it reads, what happens meanwhile, and how it ends.
#[derive(Debug, Clone)]
struct RunPlan {
    page_size: usize,
    /// What happens before each request, as long as it lasts.
    events: Vec<Event>,
    /// Dies after so many pages.
    dies_after: Option<usize>,
    /// So many of its last pages are never confirmed.
    unconfirmed: usize,
}

impl RunPlan {
    fn quiet(page_size: usize) -> Self {
        Self {
            page_size,
            events: Vec::new(),
            dies_after: None,
            unconfirmed: 0,
        }
    }
}

/// What a run did.
#[derive(Debug, Default)]
struct RunLog {
    /// Its pages: what they hand out, and the cursor behind them.
    pages: Vec<(Vec<Handed>, Value)>,
    requests: usize,
    newest_asked: usize,
    alarm: Option<Shortfall>,
}

impl RunLog {
    fn handed_out(&self) -> Vec<Handed> {
        self.pages
            .iter()
            .flat_map(|(handed, _)| handed.clone())
            .collect()
    }
}

/// Runs as the source does: asks what the reading says, puts the answers in, hands pages out.
fn run(model: &mut Model, cursor: Option<&Value>, how: &RunPlan) -> RunLog {
    let mut reading = cursor.map_or_else(Reading::first, |cursor| Reading::resume(cursor).unwrap());
    let mut current = cursor.cloned();
    let mut events = how.events.iter();
    let mut done = RunLog::default();
    let mut scanned: Option<String> = None;
    // Something has happened since the last run, too.
    events.by_ref().take(3).for_each(|event| model.apply(event));
    while how.dies_after.is_none_or(|pages| done.pages.len() < pages) {
        if let Some(event) = events.next() {
            model.apply(event);
        }
        let next = reading.next();
        done.requests += usize::from(next != NextRead::Nothing);
        let handed = match next {
            NextRead::Newest => {
                done.newest_asked += 1;
                reading.put_newest(model.newest());
                continue;
            }
            NextRead::Scan(span) => {
                let list = model.list(span);
                let rest = behind(&list, scanned.as_deref());
                let page = &rest[..rest.len().min(how.page_size * 5)];
                scanned = page.last().map(place).or(scanned);
                reading.put_scanned(&rows_of(page), page.len() == rest.len());
                continue;
            }
            NextRead::Pages { span, after, rows } => {
                let list = model.list(span);
                let rest = behind(&list, after.as_deref());
                let page = &rest[..rest.len().min(how.page_size)];
                let total = list.len() as u64;
                let Some(end) = page.last() else {
                    done.alarm = reading.put_end(&[], 0, Some(total)).shortfall;
                    close(&reading, &mut current, &mut done);
                    break;
                };
                let is_last = page.len() < how.page_size && rows + page.len() as u64 >= total;
                let page_end = PageEnd {
                    after: place(end),
                    rows: page.len() as u64,
                    total: Some(total),
                    is_whole: after.is_none() && is_last,
                    is_last,
                };
                match reading.put_page(&rows_of(page), &page_end) {
                    PageHandling::ReadLater => continue,
                    PageHandling::HandOutExcept(known) => page
                        .iter()
                        .filter(|(id, _)| !known.contains(id.as_str()))
                        .cloned()
                        .collect::<Vec<_>>(),
                }
            }
            NextRead::Nothing => break,
        };
        let cursor = reading.cursor().unwrap();
        check_cursor(&cursor);
        if !handed.is_empty() || current.as_ref() != Some(&cursor) {
            done.pages.push((handed, cursor.clone()));
            current = Some(cursor);
        }
    }
    done
}

fn close(reading: &Reading, current: &mut Option<Value>, done: &mut RunLog) {
    if let Some(cursor) = reading
        .cursor()
        .filter(|cursor| current.as_ref() != Some(cursor))
    {
        check_cursor(&cursor);
        done.pages.push((Vec::new(), cursor.clone()));
        *current = Some(cursor);
    }
}

fn place((id, at): &Handed) -> String {
    format!("{at} {id}")
}

/// It is small, and says the same when it comes back.
fn check_cursor(cursor: &Value) {
    let text = cursor.to_string();
    assert!(text.len() < LARGEST_CURSOR, "{} bytes", text.len());
    let again = Reading::resume(&serde_json::from_str(&text).unwrap()).unwrap();
    assert_eq!(again.cursor().as_ref(), Some(cursor));
}

/// Runs that die and go on, and what of their pages was confirmed.
#[derive(Default)]
struct RunSeries {
    cursor: Option<Value>,
    confirmed: BTreeSet<Handed>,
    /// Whether a window had too many rows to hold them one by one.
    had_sum: bool,
}

impl RunSeries {
    fn run(&mut self, model: &mut Model, how: &RunPlan) -> RunLog {
        let done = run(model, self.cursor.as_ref(), how);
        let confirmed = done.pages.len().saturating_sub(how.unconfirmed);
        for (handed, cursor) in &done.pages[..confirmed] {
            self.confirmed.extend(handed.iter().cloned());
            self.had_sum |= cursor.to_string().contains("bulk");
            self.cursor = Some(cursor.clone());
        }
        done
    }

    /// Once the source is quiet, everything that stayed as it is has been confirmed, and further runs
    /// find nothing to do.
    fn settle(&mut self, model: &mut Model) {
        model.now += 2 * OVERLAP_MS;
        // The first goes on with the pass that was under way; what changed during that one can make
        // the second hand a sum's rows out again.
        self.run(model, &RunPlan::quiet(500));
        let before = self.confirmed.clone();
        let second = self.run(model, &RunPlan::quiet(400)).handed_out();
        let twice = second.iter().filter(|row| before.contains(row)).count();
        let missing: Vec<_> = model
            .all()
            .difference(&self.confirmed)
            .take(5)
            .cloned()
            .collect();
        assert!(missing.is_empty(), "lost, among others: {missing:?}");
        assert!(twice == 0 || self.had_sum, "{twice} are handed out twice");
        let twice = self.run(model, &RunPlan::quiet(300)).handed_out().len();
        assert_eq!(twice, 0, "nothing is handed out twice");
        let idle = self.run(model, &RunPlan::quiet(10_000));
        assert_eq!(idle.pages.len(), 0);
    }
}

/// Times about the overlap, where it matters.
fn nearly_the_overlap() -> std::ops::Range<i64> {
    OVERLAP_MS - 9_000..OVERLAP_MS
}

fn delay() -> impl Strategy<Value = i64> {
    prop_oneof![
        2 => Just(0),
        1 => 0..OVERLAP_MS,
        1 => nearly_the_overlap(),
        2 => Just(OVERLAP_MS),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let time = prop_oneof![
        2 => 0..1000_i64,
        1 => 0..MINUTE,
        1 => 0..4 * OVERLAP_MS,
        4 => nearly_the_overlap(),
    ];
    prop_oneof![
        4 => (1..6_usize, delay()).prop_map(|(rows, delay)| Event::Add { rows, delay }),
        3 => (any::<usize>(), delay()).prop_map(|(place, delay)| Event::Change { place, delay }),
        1 => any::<usize>().prop_map(|place| Event::Delete { place }),
        4 => time.prop_map(|time| Event::Pass { time }),
    ]
}

fn a_run(page_sizes: impl Strategy<Value = usize>) -> impl Strategy<Value = RunPlan> {
    (
        page_sizes,
        proptest::collection::vec(event(), 0..12),
        proptest::option::weighted(0.3, 1..8_usize),
        prop_oneof![3 => Just(0), 1 => 1..3_usize],
    )
        .prop_map(|(page_size, events, dies_after, unconfirmed)| RunPlan {
            page_size,
            events,
            dies_after,
            unconfirmed,
        })
}

fn check(groups: &[(usize, i64)], runs: &[RunPlan]) {
    let mut model = Model::with(groups);
    let mut line = RunSeries::default();
    for how in runs {
        line.run(&mut model, how);
    }
    line.settle(&mut model);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn a_moving_source_loses_nothing(
        groups in proptest::collection::vec((1..8_usize, 0..3 * MINUTE), 0..12),
        runs in proptest::collection::vec(a_run(prop_oneof![1..12_usize, Just(200)]), 1..12),
    ) {
        check(&groups, &runs);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// More rows in the window than can be held one by one.
    #[test]
    fn bulk_imports_lose_nothing(
        groups in proptest::collection::vec(
            (prop_oneof![1..50_usize, 1000..3000_usize], prop_oneof![0..50_i64, 0..MINUTE]),
            1..5,
        ),
        digest in 2100..2600_usize,
        runs in proptest::collection::vec(a_run(300..900_usize), 1..5),
    ) {
        let mut runs = runs;
        runs.insert(runs.len() / 2, RunPlan {
            page_size: 400,
            events: vec![Event::Add { rows: digest, delay: 0 }],
            dies_after: Some(3),
            unconfirmed: 1,
        });
        check(&groups, &runs);
    }
}

#[test]
fn many_rows_of_one_moment_are_known_as_a_whole() {
    let mut model = Model::with(&[(30_000, 0)]);
    let mut line = RunSeries::default();
    let first = line.run(&mut model, &RunPlan::quiet(1000));
    assert_eq!(first.handed_out().len(), 30_000);
    assert!(line.cursor.clone().unwrap().to_string().len() < 300);
    let second = line.run(&mut model, &RunPlan::quiet(1000));
    assert!(second.pages.is_empty());
    // The newest row, the scan in pages of 5000, what is behind it.
    assert!(second.requests <= 1 + 7 + 1, "{}", second.requests);

    model.apply(&Event::Change {
        place: 17,
        delay: 0,
    });
    let third = line.run(&mut model, &RunPlan::quiet(1000));
    assert_eq!(
        third.handed_out().len(),
        30_000,
        "one row is gone from the moment: it is not known any more that the others are the same"
    );
    line.settle(&mut model);
}

#[test]
fn a_quiet_source_costs_one_request() {
    let mut model = Model::with(&[(10, MINUTE), (700, 20 * MINUTE), (3, MINUTE), (4, MINUTE)]);
    let mut line = RunSeries::default();
    line.run(&mut model, &RunPlan::quiet(500));
    for _ in 0..3 {
        let done = line.run(&mut model, &RunPlan::quiet(500));
        assert_eq!(
            (done.requests, done.newest_asked, done.pages.len()),
            (1, 0, 0)
        );
    }
    let cursor = line.cursor.unwrap();
    assert_eq!(cursor["updated_at"], "2027-01-15T08:22:00.003Z");
}

#[test]
fn what_is_new_is_handed_out_once_and_alone() {
    let mut model = Model::with(&[(10, MINUTE), (700, 20 * MINUTE), (30, 1000)]);
    let mut line = RunSeries::default();
    line.run(&mut model, &RunPlan::quiet(500));
    model.apply(&Event::Add { rows: 3, delay: 0 });
    model.apply(&Event::Change { place: 5, delay: 0 });
    let done = line.run(&mut model, &RunPlan::quiet(500));
    assert_eq!(done.handed_out().len(), 4);
    assert_eq!(done.pages.len(), 1);
    line.settle(&mut model);
}

#[test]
fn a_row_that_appears_late_is_found() {
    let mut model = Model::with(&[(10, 10 * MINUTE), (5, 0)]);
    let late = Event::Add {
        rows: 1,
        delay: OVERLAP_MS - 10,
    };
    model.apply(&late);
    model.apply(&Event::Add { rows: 1, delay: 0 });
    let mut line = RunSeries::default();
    assert_eq!(
        line.run(&mut model, &RunPlan::quiet(4)).handed_out().len(),
        16
    );
    model.now += OVERLAP_MS;
    model.apply(&Event::Add { rows: 1, delay: 0 });
    assert_eq!(
        line.run(&mut model, &RunPlan::quiet(4)).handed_out().len(),
        2
    );
}

#[test]
fn a_place_that_is_refused_begins_the_pass_anew_without_what_is_known() {
    let mut model = Model::with(&[(40, 10 * MINUTE), (5, 1000), (20, 1000)]);
    let mut line = RunSeries::default();
    line.run(&mut model, &RunPlan::quiet(50));
    model.apply(&Event::Add { rows: 30, delay: 0 });
    let dies = RunPlan {
        dies_after: Some(2),
        ..RunPlan::quiet(10)
    };
    line.run(&mut model, &dies);
    let mut reading = Reading::resume(&line.cursor.unwrap()).unwrap();
    reading.begin_anew();
    assert_eq!(reading.next(), NextRead::Newest);
    reading.put_newest(model.newest());
    let NextRead::Pages { span, after, rows } = reading.next() else {
        panic!("pages come next");
    };
    assert!(matches!(span, Span::From(_)));
    assert_eq!((after, rows), (None, 0));
    let list = model.list(span);
    let page = PageEnd {
        after: place(list.last().unwrap()),
        rows: list.len() as u64,
        total: Some(list.len() as u64),
        is_whole: true,
        is_last: true,
    };
    let PageHandling::HandOutExcept(known) = reading.put_page(&rows_of(&list), &page) else {
        panic!("the page is taken");
    };
    assert_eq!(list.len() - known.len(), 30);
}

#[test]
fn rows_are_read_when_they_were_handed_out_or_are_older_than_what_is_open() {
    let mut model = Model::with(&[(40, 10 * MINUTE), (5, 1000)]);
    let list = model.list(Span::Everything);
    let mut reading = Reading::first();
    reading.put_newest(model.newest());
    let page = PageEnd {
        after: place(list.last().unwrap()),
        rows: 45,
        total: Some(45),
        is_whole: true,
        is_last: true,
    };
    reading.put_page(&rows_of(&list), &page);
    assert_eq!(reading.next(), NextRead::Nothing);
    assert!(rows_of(&list).iter().all(|row| reading.has_read(row)));
    model.apply(&Event::Change { place: 3, delay: 0 });
    let changed = rows_of(&model.list(Span::Everything));
    assert!(!reading.has_read(changed.last().unwrap()));
    let late = Row {
        id: "late".into(),
        updated_at: list.last().map(|(_, at)| RowTime::from(at - 1)),
    };
    assert!(!reading.has_read(&late));
    let old = Row {
        updated_at: list.first().map(|(_, at)| RowTime::from(at - 1)),
        ..late
    };
    assert!(reading.has_read(&old));
}

/// Reads pages that say this of themselves, then an empty one.
fn shortfall(high_watermark: i64, pages: &[(i64, u64, u64)], last_total: u64) -> Option<Shortfall> {
    let mut reading = Reading::first();
    reading.put_newest(Some(RowTime::from(high_watermark)));
    for (number, (at, rows, total)) in pages.iter().enumerate() {
        let handed: Vec<Handed> = (0..*rows)
            .map(|row| (format!("{number}-{row}"), *at))
            .collect();
        let page = PageEnd {
            after: number.to_string(),
            rows: *rows,
            total: Some(*total),
            is_whole: false,
            is_last: false,
        };
        reading.put_page(&rows_of(&handed), &page);
    }
    // The count outlives a death.
    let cursor = reading.cursor().unwrap();
    Reading::resume(&cursor)
        .unwrap()
        .put_end(&[], 0, Some(last_total))
        .shortfall
}

#[test]
fn a_source_that_counts_more_than_it_answers_is_found_out() {
    let (old, new) = (START, START + MINUTE);
    let missing = |counted, answered| Some(Shortfall { counted, answered });
    assert_eq!(shortfall(old, &[(old, 100, 100)], 100), None);
    assert_eq!(shortfall(old, &[(old, 100, 120)], 120), missing(120, 100));
    assert_eq!(
        shortfall(old, &[(old, 50, 100), (old, 50, 104)], 104),
        None,
        "four appeared behind the reader"
    );
    assert_eq!(
        shortfall(old, &[(old, 50, 100), (old, 49, 104)], 104),
        missing(104, 99)
    );
    assert_eq!(
        shortfall(old, &[(old, 90, 100), (new, 8, 100)], 100),
        None,
        "so many moved while they were read"
    );
    assert_eq!(
        shortfall(old, &[(old, 100, 100)], 80),
        None,
        "some were deleted"
    );
}

#[test]
fn a_cursor_of_others_is_none_and_one_with_more_in_it_is_one() {
    for unknown_type in [
        json!(null),
        json!(17),
        json!("2026-11-20T10:00:00.000Z"),
        json!({}),
        json!({ "after": "x" }),
        json!({ "updated_at": "2026-11-20T10:00:00.000Z" }),
        json!({ "window": { "since": "yesterday" } }),
        json!({ "window": { "since": "2026-11-20T10:00:00.000Z", "rows": "?" } }),
        json!({ "window": { "since": "2026-11-20T10:00:00.000Z", "rows": "AAA=" } }),
        json!({ "pass": { "count": { "rows": 0, "newer": 0 } } }),
        json!({ "pass": { "after": "", "count": { "rows": 0, "newer": 0 } } }),
    ] {
        assert!(Reading::resume(&unknown_type).is_err(), "{unknown_type}");
    }
    // As long as those that a source may answer, and as many rows as a window holds; and one more.
    let since: RowTime = "2026-11-20T10:00:00.000Z".parse().unwrap();
    for (bytes, rows, is_ours) in [(4096, 1000, true), (4097, 1, false), (1, 1001, false)] {
        let mut window = serde_json::to_value(OverlapWindow::since(since)).unwrap();
        window["rows"] = json!("AAAAAAAA".repeat(rows));
        let pass = json!({ "after": "A".repeat(bytes), "count": { "rows": 0, "newer": 0 }, "window": window });
        let resumed = Reading::resume(&json!({ "pass": pass }));
        assert_eq!(resumed.is_ok(), is_ours, "{bytes} {rows}");
        let resumed = Reading::resume(&json!({ "window": window }));
        assert_eq!(resumed.is_ok(), rows <= 1000, "{rows}");
    }
    let more = json!({ "more": 1, "window": { "since": "2026-11-20T10:00:00Z", "more": 2 } });
    let reading = Reading::resume(&more).unwrap();
    let NextRead::Pages { span, .. } = reading.next() else {
        panic!("pages come next");
    };
    assert_eq!(
        span,
        Span::From("2026-11-20T10:00:00.000Z".parse().unwrap())
    );
}

#[test]
fn cursors_of_the_corpus_are_what_they_say() {
    for (name, text) in corpus("cursors") {
        let cursor = serde_json::from_str(&text).unwrap();
        let is_ours = name != "empty" && !name.starts_with("damaged");
        assert_eq!(Reading::resume(&cursor).is_ok(), is_ours, "{name}");
    }
}

proptest! {
    /// Whoever has written the cursor: it is refused, or reading goes on from it to the end of the stream.
    #[test]
    fn a_cursor_of_any_text_is_refused_or_goes_on(
        text in prop_oneof![damaged("cursors"), misfilled("cursors")],
        times in proptest::collection::vec(any::<i64>(), 1..4),
        clocks in proptest::collection::vec((0..253_402_300_799_999_i64, any::<i32>()), 0..8),
    ) {
        let cursor = serde_json::from_str::<Value>(&text);
        if let Some(mut reading) = cursor.ok().and_then(|cursor| Reading::resume(&cursor).ok()) {
            let mut clocks = clocks.into_iter();
            for _ in 0..8 {
                if let Some((now, lead)) = clocks.next() {
                    reading.put_clock(clock(now, i64::from(lead).min(now)));
                }
                match reading.next() {
                    NextRead::Newest => reading.put_newest(times.first().copied().map(RowTime::from)),
                    NextRead::Scan(_) => reading.put_scanned(&[], true),
                    NextRead::Pages { .. } => {
                        let row = |at: &i64| Row { id: at.to_string().into(), updated_at: Some(RowTime::from(*at)) };
                        let rows: Vec<Row> = times.iter().map(row).collect();
                        let page = PageEnd {
                            after: "c".to_owned(),
                            rows: rows.len() as u64,
                            total: Some(1),
                            is_whole: false,
                            is_last: false,
                        };
                        reading.put_page(&rows, &page);
                        reading.put_end(&[], 0, Some(u64::MAX));
                    }
                    NextRead::Nothing => break,
                }
            }
            prop_assert_eq!(reading.next(), NextRead::Nothing);
            if let Some(cursor) = reading.cursor() {
                prop_assert!(cursor.to_string().len() < LARGEST_CURSOR);
            }
        }
    }

    #[test]
    fn windows_come_back_as_they_were(
        versions in proptest::collection::vec((0..i64::from(i32::MAX), 0..50_u32), 0..300),
    ) {
        let mut window = OverlapWindow::since(RowTime::from(START));
        let version = |(at, id): &(i64, u32)| RowVersion::new(&id.to_string(), RowTime::from(START + at));
        window.put(versions.iter().map(version));
        let text = serde_json::to_string(&window).unwrap();
        prop_assert_eq!(serde_json::from_str::<OverlapWindow>(&text).unwrap(), window);
    }
}

/// The source's clock at a moment, so many milliseconds ahead of ours.
fn clock(now: i64, lead: i64) -> SourceClock {
    let at = |milliseconds: i64| {
        let since = Duration::from_millis(u64::try_from(milliseconds).unwrap());
        std::time::SystemTime::UNIX_EPOCH + since
    };
    SourceClock::of(at(now), at(now - lead))
}

/// One run at a source with a clock, in one page; what it hands out, the cursor, what the clock meant, and
/// what is to be logged.
fn run_by_clock(
    rows: &[Handed],
    cursor: Option<&Value>,
    at: SourceClock,
) -> (Vec<Handed>, Value, ClockCheck, Option<FutureRows>) {
    let mut reading = cursor.map_or_else(Reading::first, |cursor| Reading::resume(cursor).unwrap());
    let model = Model {
        now: i64::MAX,
        rows: rows
            .iter()
            .map(|(id, at)| (id.clone(), (*at, *at)))
            .collect(),
        made: 0,
    };
    let (mut handed, mut meant, mut ahead) = (Vec::new(), ClockCheck::Fine, None);
    while reading.next() != NextRead::Nothing {
        let reported = reading.put_clock(at);
        if reported != ClockCheck::Fine {
            meant = reported;
            continue;
        }
        match reading.next() {
            NextRead::Newest => {
                let times = rows.iter().map(|(_, at)| RowTime::from(*at));
                let come = times.clone().filter(|time| !at.is_ahead(*time)).max();
                reading.put_newest(come.or(times.max()));
            }
            NextRead::Scan(span) => reading.put_scanned(&rows_of(&model.list(span)), true),
            NextRead::Pages { span, after, .. } => {
                let list = model.list(span);
                let total = list.len() as u64;
                let Some(end) = list.last().filter(|_| after.is_none()) else {
                    reading.put_end(&[], 0, Some(total));
                    continue;
                };
                let end = PageEnd {
                    after: place(end),
                    rows: total,
                    total: Some(total),
                    is_whole: true,
                    is_last: true,
                };
                let page = rows_of(&list);
                let PageHandling::HandOutExcept(known) = reading.put_page(&page, &end) else {
                    continue;
                };
                ahead = reading.ahead(&page, &known);
                handed.extend(
                    list.into_iter()
                        .filter(|(id, _)| !known.contains(id.as_str())),
                );
            }
            NextRead::Nothing => {}
        }
    }
    assert!(reading.newest().is_none_or(|newest| newest <= at.now));
    (handed, reading.cursor().unwrap(), meant, ahead)
}

fn timestamp(text: &str) -> i64 {
    text.parse::<RowTime>().unwrap().milliseconds()
}

#[test]
fn a_row_from_the_future_hides_no_later_change_and_is_reported_once() {
    for future in ["2027-06-01T00:00:00Z", "9999-12-31T23:59:59.999Z"].map(timestamp) {
        let row = |id: &str, at| (id.to_owned(), at);
        let mut rows = vec![
            row("a", timestamp("0001-01-01T00:00:00Z")),
            row("b", START - MINUTE),
        ];
        rows.push(row("f", future));
        let now = timestamp("2026-11-29T00:00:00Z");
        rows[1].1 = now - 10 * MINUTE;
        let (first, cursor, _, ahead) = run_by_clock(&rows, None, clock(now, 0));
        assert_eq!(first.len(), 3);
        let ahead = ahead.unwrap();
        assert_eq!(
            (ahead.rows, &*ahead.id, ahead.latest.milliseconds()),
            (1, "f", future)
        );
        rows[0].1 = now + 60 * MINUTE;
        let at = clock(now + 70 * MINUTE, 0);
        let (second, cursor, _, ahead) = run_by_clock(&rows, Some(&cursor), at);
        assert_eq!((second, ahead), (vec![rows[0].clone()], None));
        let (third, cursor, ..) = run_by_clock(&rows, Some(&cursor), at);
        assert_eq!(third, []);
        let (once_its_time_has_come, ..) =
            run_by_clock(&rows, Some(&cursor), clock(future.min(now * 2), 0));
        assert_eq!(once_its_time_has_come, []);
    }
}

/// A `Date` that is wrong cannot be recognised: a row from the future must not lift the cursor to it.
#[test]
fn a_row_from_the_future_hides_nothing_where_the_clock_is_ahead() {
    let (hour, future) = (60 * MINUTE, timestamp("2027-06-01T00:00:00Z"));
    let mut rows = vec![("a".to_owned(), START), ("f".to_owned(), future)];
    let (first, mut cursor, ..) = run_by_clock(&rows, None, clock(START + hour, hour));
    assert_eq!(first, rows);
    for run in 1..4 {
        let now = START + run * MINUTE;
        let changed = (run.to_string(), now);
        rows.push(changed.clone());
        let handed;
        (handed, cursor, ..) = run_by_clock(&rows, Some(&cursor), clock(now + hour, hour));
        assert_eq!(handed, [changed]);
    }
}

#[test]
fn many_rows_from_the_future_lose_nothing() {
    let now = START;
    let mut rows: Vec<Handed> = (0..2500_i64)
        .map(|row| (row.to_string(), now + MINUTE * (row + 10)))
        .collect();
    let (first, cursor, ..) = run_by_clock(&rows, None, clock(now, 0));
    assert_eq!(first.len(), 2500);
    let (second, cursor, ..) = run_by_clock(&rows, Some(&cursor), clock(now, 0));
    assert_eq!(second, []);
    rows.push(("new".to_owned(), now + 1));
    let (third, cursor, ..) = run_by_clock(&rows, Some(&cursor), clock(now + 2, 0));
    assert!(third.contains(&rows[2500]));
    let (fourth, ..) = run_by_clock(&rows, Some(&cursor), clock(now + 3, 0));
    assert_eq!(fourth, []);
}

#[test]
fn a_clock_that_was_set_back_loses_nothing() {
    let hour = 60 * MINUTE;
    let rows = [("a".to_owned(), START + hour)];
    let (_, cursor, ..) = run_by_clock(&rows, None, clock(START + hour, hour));
    // Set back by an hour; it may have passed the old time again before the next run.
    for passed in [MINUTE, 2 * hour] {
        let changed = [rows[0].clone(), ("b".to_owned(), START + MINUTE / 2)];
        let at = clock(START + passed, 0);
        let (second, cursor, reported, _) = run_by_clock(&changed, Some(&cursor), at);
        assert!(matches!(reported, ClockCheck::SetBack(_)), "{reported:?}");
        assert!(second.contains(&changed[1]));
        let (third, _, reported, _) = run_by_clock(&changed, Some(&cursor), at);
        assert_eq!((third, reported), (Vec::new(), ClockCheck::Fine));
    }
}

#[test]
fn a_kept_cursor_in_the_future_begins_anew() {
    let cursor = json!({ "window": { "since": "2027-05-31T23:55:00.000Z" } });
    let now = timestamp("2026-11-29T01:00:00Z");
    let rows = [("a".to_owned(), now - MINUTE)];
    let (handed, cursor, reported, _) = run_by_clock(&rows, Some(&cursor), clock(now, 0));
    assert_eq!((handed, reported), (rows.to_vec(), ClockCheck::InFuture));
    assert_eq!(run_by_clock(&rows, Some(&cursor), clock(now, 0)).0, []);
}

#[test]
fn every_moment_can_be_written_and_read_again() {
    for text in [
        "0001-01-01T00:00:00.000Z",
        "9999-12-31T23:59:59.999Z",
        "1969-12-31T23:59:59.999Z",
    ] {
        let timestamp: RowTime = text.parse().unwrap();
        assert_eq!(timestamp.to_string(), text);
        let before = timestamp.before(OVERLAP).to_string();
        assert!(
            before.parse::<RowTime>().is_ok() && before.len() == text.len(),
            "{before}"
        );
    }
    for (beyond, within) in [
        ("0000-06-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00.000Z"),
        ("9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59.999Z"),
    ] {
        assert_eq!(beyond.parse::<RowTime>().unwrap().to_string(), within);
    }
}
