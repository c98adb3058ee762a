//! Reads one run: first what earlier runs deferred, then each stream from where they ended.
//!
//! Rows that earlier runs handed out are skipped before anything is asked for them.
//!
//! **Invariant.** A page's position is true once that page and all before it are confirmed;
//! a relationship's ends were read, or come along with it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::ask::{Detail, Extras, PageAnswer, Stream};
use super::by_id::{ReadObjects, Wanted, read_objects};
use super::cursor::{
    ClockCheck, NextRead, PageHandling, Reading, Row, Shortfall, SourceClock, Span,
};
use super::files::{Brought, FilePage, FilePages};
use super::page::{EndRow, Ends, FilesOfReferences, List};
use super::pager::{
    Pager, ReadPage, RowIdentity, SCANNED_ROWS, Skips, Step, identify_row_at, newest, rows,
};
use super::referenced_objects::{Asker, MissingEnds, ReferencedObjects};
use super::row_place::RowPlace;
use super::settings::{Creators, NetManageItSettings};
use super::source::RawPage;
use crate::connector::{Deferred, Position, Resume, RowTime, Skipped, SourceError};
use crate::platform::{IDS_A_FILTER, Platform};
use crate::telemetry::logs::Chain;

/// Relationships that bring both their ends while messages of an earlier process may be at the
/// workers: as many as those may take to be done.
const RELATIONSHIPS_WITH_ENDS: usize = 4000;

/// Reads one run.
#[derive(Debug)]
pub(super) struct RunReader {
    asker: Asker,
    page_size: usize,
    readers: usize,
    cooldown: Duration,
    /// Finds the files to bring.
    file_pages: FilePages,
    /// Objects of the last page that bring files, each a page of its own.
    with_files: VecDeque<FilePage>,
    /// The position of the last page, which is reached only with its files.
    behind_files: Option<Position>,
    /// What earlier runs deferred, still to be read once more.
    again: VecDeque<(Stream, Vec<String>)>,
    /// Pages of the last step, in order.
    read_now: Vec<RawPage>,
    pages_again: u64,
    /// The streams of this run.
    wanted: Vec<Stream>,
    /// The streams still to be read, and where earlier runs ended.
    streams: VecDeque<(Stream, Option<Value>)>,
    at: Option<StreamReader>,
    /// The streams that were read.
    read: HashMap<Stream, Reading>,
    /// So many relationships still bring both their ends, whatever was read.
    with_ends: usize,
    last_page: Option<Instant>,
}

/// The reading of one stream.
#[derive(Debug)]
struct StreamReader {
    stream: Stream,
    /// The cursor's name in the state.
    cursor_name: &'static str,
    reading: Reading,
    /// Reads the current list.
    pager: Option<Pager>,
    /// The cursor of the last page, or of an earlier run.
    cursor: Option<Value>,
    pages: u64,
    /// That rows carry times in the future was logged.
    is_ahead_logged: bool,
}

impl RunReader {
    /// A reader for one run.
    pub(super) fn new(
        platform: Arc<Platform>,
        settings: &NetManageItSettings,
        mut resume: Resume,
    ) -> Self {
        let streams = streams(settings);
        let with_ends = if resume.is_unfinished {
            RELATIONSHIPS_WITH_ENDS
        } else {
            0
        };
        let extras = Extras {
            creators: settings.creators != Creators::None,
            files: settings.max_file_bytes > 0,
        };
        Self {
            asker: Asker { platform, extras },
            page_size: settings.page_size,
            readers: settings.parallel_readers,
            // Each reader pauses for that long.
            cooldown: settings.cooldown / u32::try_from(settings.parallel_readers).unwrap_or(1),
            file_pages: FilePages::new(settings.max_file_bytes),
            with_files: VecDeque::new(),
            behind_files: None,
            again: again(&streams, &resume.again),
            read_now: Vec::new(),
            pages_again: 0,
            streams: streams
                .iter()
                .map(|stream| {
                    (
                        *stream,
                        resume.cursors.remove(cursor_name(*stream, &streams)),
                    )
                })
                .collect(),
            wanted: streams,
            at: None,
            read: HashMap::new(),
            with_ends,
            last_page: None,
        }
    }

    async fn cool_down(&mut self) {
        if let Some(last_page) = self.last_page {
            tokio::time::sleep_until(last_page + self.cooldown).await;
        }
    }

    /// Takes one step in a stream. A page to which that led is kept if it has anything new.
    async fn advance(&mut self, stream_reader: &mut StreamReader) -> Result<(), SourceError> {
        match stream_reader.reading.next() {
            NextRead::Newest => {
                stream_reader.pager = None;
                let (newest, clock) = newest(&self.asker.platform, stream_reader.stream).await?;
                // What comes next is asked for with the clock's time.
                stream_reader.has_to_begin_anew(clock);
                stream_reader.reading.put_newest(newest);
            }
            NextRead::Scan(span) => {
                self.scan(stream_reader, span).await?;
            }
            NextRead::Pages { span, after, rows } => {
                let detail = Detail::Whole(self.asker.extras);
                let pager = stream_reader.pager.get_or_insert_with(|| {
                    let platform = Arc::clone(&self.asker.platform);
                    Pager::new(platform, stream_reader.stream, detail, span, self.page_size)
                        .going_on(after, rows)
                        .with_readers(self.readers)
                });
                self.cool_down().await;
                let step = pager.next().await?;
                self.last_page = Some(Instant::now());
                self.take(stream_reader, step).await?;
            }
            NextRead::Nothing => {}
        }
        Ok(())
    }

    /// Looks whether rows are still as an earlier run handed them out, without reading them whole.
    async fn scan(
        &mut self,
        stream_reader: &mut StreamReader,
        span: Span,
    ) -> Result<(), SourceError> {
        let platform = Arc::clone(&self.asker.platform);
        let mut pager = Pager::new(
            platform,
            stream_reader.stream,
            Detail::Names,
            span,
            SCANNED_ROWS,
        );
        while matches!(stream_reader.reading.next(), NextRead::Scan(_)) {
            self.cool_down().await;
            let step = pager.next().await?;
            self.last_page = Some(Instant::now());
            match step {
                Step::Page(page) => stream_reader
                    .reading
                    .put_scanned(&page.rows, page.end.is_last),
                Step::End { .. } | Step::Refused => stream_reader.reading.put_scanned(&[], true),
            }
        }
        Ok(())
    }

    async fn take(
        &mut self,
        stream_reader: &mut StreamReader,
        step: Step,
    ) -> Result<(), SourceError> {
        match step {
            Step::Page(page) => return self.take_page(stream_reader, *page).await,
            Step::End {
                total,
                skips,
                clock,
            } => {
                if stream_reader.has_to_begin_anew(clock) {
                    return Ok(());
                }
                self.read_now.extend(stream_reader.close(total, skips));
            }
            Step::Refused => {
                tracing::warn!(
                    stream = stream_reader.stream.name(),
                    "the source does not take the place where an earlier run ended; this stream's reading begins anew, which sends some of it twice"
                );
                stream_reader.reading.begin_anew();
                stream_reader.pager = None;
            }
        }
        Ok(())
    }

    async fn take_page(
        &mut self,
        stream_reader: &mut StreamReader,
        page: ReadPage,
    ) -> Result<(), SourceError> {
        let ReadPage {
            answer,
            rows,
            end,
            skips,
        } = page;
        if stream_reader.has_to_begin_anew(answer.clock()) {
            return Ok(());
        }
        let bad = skips.bad.iter().map(|(row, _)| row);
        let all: Vec<Row> = bad.chain(&rows).cloned().collect();
        let known = match stream_reader.reading.put_page(&all, &end) {
            PageHandling::HandOutExcept(known) => known,
            PageHandling::ReadLater => {
                stream_reader.pager = None;
                return Ok(());
            }
        };
        stream_reader.log_ahead(&all, &known);
        let (skipped, deferred) = skipped_and_deferred(stream_reader.stream, skips, &known);
        let new = rows.iter().filter(|row| !known.contains(&row.id));
        let ids: Vec<String> = new.map(|row| row.id.to_string()).collect();
        // Within a pass, a place behind nothing but known rows is not worth a page: what was not kept
        // is a few pages that are read again.
        let is_over = stream_reader.reading.next() == NextRead::Nothing;
        let is_moved = is_over && stream_reader.has_moved();
        if ids.is_empty() && skipped.is_empty() && !is_moved {
            return Ok(());
        }
        let new = New {
            stream: stream_reader.stream,
            answer: &answer,
            ids,
            known: &known,
            is_again: false,
        };
        let referenced_objects = self.read_referenced(new);
        let mut page = stream_reader.page(answer, known, skipped);
        page.total = end.total;
        page.deferred = deferred;
        page.referenced_objects = referenced_objects;
        self.look_for_files(&mut page, false).await?;
        if !self.with_files.is_empty() {
            self.behind_files = page.position.take();
        }
        self.read_now.push(page);
        Ok(())
    }

    /// Notes the files of the new objects of a page, to come behind it. Whether there are any has to be known
    /// before its position is given away, so the references that have some are read now.
    async fn look_for_files(
        &mut self,
        page: &mut RawPage,
        is_again: bool,
    ) -> Result<(), SourceError> {
        if !self.asker.extras.files {
            return Ok(());
        }
        let of_references = match std::mem::take(&mut page.referenced_objects) {
            ReferencedObjects::References(ids) => {
                let files = self.asker.references(page, &ids).await?;
                page.referenced_objects = ReferencedObjects::Targets(ids);
                files
            }
            other => {
                page.referenced_objects = other;
                FilesOfReferences::default()
            }
        };
        let pages = self.file_pages.of_page(page, of_references, is_again);
        self.with_files.extend(pages);
        Ok(())
    }

    /// What the new objects of a page refer to and was not read.
    fn read_referenced(&mut self, new: New<'_>) -> ReferencedObjects {
        match new.stream {
            _ if new.ids.is_empty() => ReferencedObjects::Nothing,
            Stream::Observables | Stream::Indicators => ReferencedObjects::References(new.ids),
            // Dates would be guessed from the texts of a relationship's references (docs/protocol.md#relationships).
            Stream::Relationships => ReferencedObjects::Ends(self.missing_ends(&new)),
        }
    }

    /// The next object that brings files, with their content; none where nothing is left to bring or to report.
    async fn page_with_files(
        &mut self,
        mut next: FilePage,
    ) -> Result<Option<RawPage>, SourceError> {
        let is_sent = next.is_sent().await;
        let brought = if is_sent {
            self.file_pages.bring(&self.asker.platform, &next).await?
        } else {
            Brought::default()
        };
        let sent_notifier = self.file_pages.hand_out(&next, &brought);
        let Brought {
            files,
            mut skipped,
            unread,
            ..
        } = brought;
        let unread = unread.map(|reason| next.unread(reason));
        let mut deferred: Vec<Deferred> = unread.into_iter().collect();
        let mut answer = PageAnswer::empty();
        if !files.is_empty() {
            let wanted = self.asker.along(next.stream);
            let ids = [next.id.clone()];
            let read = read_objects(&self.asker.platform, wanted, &ids, &mut skipped);
            let ReadObjects { answers, unread } = read.await?;
            for unread in unread {
                skipped.push(unread.named("object with files"));
                deferred.push(next.unread(unread.reason));
            }
            answer = answers.into_iter().next().unwrap_or(answer);
        }
        let completes = next.completes().filter(|_| is_sent);
        let is_last = self.with_files.is_empty();
        let position = is_last.then(|| self.behind_files.take()).flatten();
        let has_news = !files.is_empty() || !skipped.is_empty() || completes.is_some();
        if !has_news && position.is_none() {
            return Ok(None);
        }
        Ok(Some(RawPage {
            files: Some(files),
            deferred,
            sent_notifier,
            completes,
            position,
            ..self.once_more(next.stream, answer, skipped)
        }))
    }

    /// The ends of new relationships that may not have been read.
    fn missing_ends(&mut self, new: &New<'_>) -> MissingEnds {
        let mut missing = MissingEnds::default();
        for node in new.answer.list().into_iter().flat_map(List::nodes) {
            // What cannot be read is reported by the converter.
            let Some(ends) = Ends::of(node).filter(|ends| !new.known.contains(ends.id())) else {
                continue;
            };
            let brings_all = new.is_again || self.with_ends > 0;
            self.with_ends = self.with_ends.saturating_sub(1);
            for (stream, end) in [
                (Stream::Indicators, ends.indicator()),
                (Stream::Observables, ends.observable()),
            ] {
                match end {
                    Some(end) if !self.wanted.contains(&stream) => missing.add_elsewhere(end),
                    Some(end) if brings_all || !self.has_read(stream, &end) => {
                        missing.add(stream, end);
                    }
                    _ => {}
                }
            }
        }
        missing
    }

    fn has_read(&self, stream: Stream, end: &EndRow) -> bool {
        let reading = self.read.get(&stream);
        reading.is_some_and(|reading| reading.has_read(&end.row))
    }

    /// Reads deferred objects once more. Those that are gone are not there.
    async fn read_again(&mut self, stream: Stream, ids: &[String]) -> Result<(), SourceError> {
        self.cool_down().await;
        let places = ids.iter().filter_map(|id| id.parse().ok());
        let mut deferred = self.identify_rows(stream, places.collect()).await?;
        let is_id = |id: &&String| id.parse::<RowPlace>().is_err();
        let ids: Vec<String> = ids.iter().filter(is_id).cloned().collect();
        let mut skipped = Vec::new();
        let wanted = Wanted {
            stream,
            detail: Detail::Whole(self.asker.extras),
        };
        let read = read_objects(&self.asker.platform, wanted, &ids, &mut skipped);
        let ReadObjects { answers, unread } = read.await?;
        self.last_page = Some(Instant::now());
        for answer in answers {
            self.take_again(stream, answer).await?;
        }
        // What fails again was reported when it failed first.
        let unread = unread.iter();
        let unread = unread.map(|unread| unread.named(stream.name()));
        deferred.extend(unread.map(|unread| Deferred::unread(stream.name(), &unread)));
        if !skipped.is_empty() || !deferred.is_empty() {
            let mut empty = self.once_more(stream, PageAnswer::empty(), skipped);
            empty.deferred = deferred;
            self.read_now.push(empty);
        }
        Ok(())
    }

    /// Asks for the names of rows that could not be named. What has a name by now is remembered by that, and read in the
    /// next run; what has none stays remembered by its place.
    async fn identify_rows(
        &self,
        stream: Stream,
        places: Vec<RowPlace>,
    ) -> Result<Vec<Deferred>, SourceError> {
        let mut deferred = Vec::new();
        for place in places {
            let id = place.to_string();
            let (id, kind, reason) =
                match identify_row_at(&self.asker.platform, stream, place).await? {
                    RowIdentity::Gone => continue,
                    RowIdentity::Unknown(reason) => (id, None, reason),
                    RowIdentity::Named(mut name) => {
                        let kind = name.entity_type.take();
                        let reason = "the source could not name it".to_owned();
                        (name.into_id(), kind, reason)
                    }
                };
            let kind = kind.unwrap_or_else(|| stream.name().to_owned());
            let unread = Skipped { id, kind, reason };
            deferred.push(Deferred::unread(stream.name(), &unread));
        }
        Ok(deferred)
    }

    async fn take_again(&mut self, stream: Stream, answer: PageAnswer) -> Result<(), SourceError> {
        let mut skipped = Vec::new();
        let rows = answer
            .list()
            .map_or_else(Vec::new, |list| rows(list, &mut skipped));
        if rows.is_empty() {
            return Ok(());
        }
        let new = New {
            stream,
            answer: &answer,
            ids: rows.into_iter().map(|row| row.id.into()).collect(),
            known: &HashSet::new(),
            is_again: true,
        };
        let referenced_objects = self.read_referenced(new);
        let mut page = self.once_more(stream, answer, skipped);
        page.referenced_objects = referenced_objects;
        self.look_for_files(&mut page, true).await?;
        self.read_now.push(page);
        Ok(())
    }

    fn once_more(&mut self, stream: Stream, answer: PageAnswer, skipped: Vec<Skipped>) -> RawPage {
        self.pages_again += 1;
        RawPage::new(stream, self.pages_again, answer, skipped)
    }
}

impl RunReader {
    /// Asks for what objects of the pages refer to.
    pub(super) fn asker(&self) -> &Asker {
        &self.asker
    }

    /// The pages of the last step.
    pub(super) fn take_read(&mut self) -> Vec<RawPage> {
        std::mem::take(&mut self.read_now)
    }

    /// One step: an object's files, what was deferred, or a stream. False at the end of all streams.
    pub(super) async fn step(&mut self) -> Result<bool, SourceError> {
        if let Some(next) = self.with_files.pop_front() {
            let page = self.page_with_files(next).await?;
            self.read_now.extend(page);
            return Ok(true);
        }
        if let Some((stream, ids)) = self.again.pop_front() {
            self.read_again(stream, &ids).await?;
            return Ok(true);
        }
        let next = || {
            let (stream, cursor) = self.streams.pop_front()?;
            let name = cursor_name(stream, &self.wanted);
            Some(StreamReader::begin(stream, name, cursor))
        };
        let Some(mut stream_reader) = self.at.take().or_else(next) else {
            return Ok(false);
        };
        self.advance(&mut stream_reader).await?;
        if stream_reader.reading.next() == NextRead::Nothing {
            self.read
                .insert(stream_reader.stream, stream_reader.reading);
        } else {
            self.at = Some(stream_reader);
        }
        Ok(true)
    }
}

/// The streams that the settings want, in their order.
pub(super) fn streams(settings: &NetManageItSettings) -> Vec<Stream> {
    let is_wanted = |stream: &Stream| match stream {
        Stream::Observables => settings.process_observables,
        Stream::Indicators => settings.process_indicators,
        // Where only one kind of ends is imported, the other one may be at the destination.
        Stream::Relationships => true,
    };
    Stream::ALL.into_iter().filter(is_wanted).collect()
}

/// The name of a stream's cursor in the state. Relationships have another one while only one kind of
/// their ends is imported: what did not go then is read once both kinds are.
fn cursor_name(stream: Stream, wanted: &[Stream]) -> &'static str {
    if stream == Stream::Relationships && wanted.len() < Stream::ALL.len() {
        "relationships to what is there"
    } else {
        stream.name()
    }
}

/// What was deferred, in chunks for one request each.
fn again(streams: &[Stream], deferred: &[Deferred]) -> VecDeque<(Stream, Vec<String>)> {
    let mut all_chunks = VecDeque::new();
    for stream in streams {
        let of_stream = deferred
            .iter()
            .filter(|deferred| deferred.stream == stream.name());
        let ids: Vec<String> = of_stream.map(|deferred| deferred.id.clone()).collect();
        let chunks = ids.chunks(IDS_A_FILTER);
        all_chunks.extend(chunks.map(|ids| (*stream, ids.to_vec())));
    }
    all_chunks
}

/// The new rows of a page.
struct New<'a> {
    stream: Stream,
    answer: &'a PageAnswer,
    /// Their internal ids.
    ids: Vec<String>,
    /// The internal ids of the page's other rows.
    known: &'a HashSet<Box<str>>,
    /// They are read once more, apart from their stream.
    is_again: bool,
}

/// Which rows could not be read, and which of these are to be asked for again. A bad row is reported once, until it
/// changes; it is remembered from then on.
fn skipped_and_deferred(
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

impl StreamReader {
    /// Goes on where earlier runs ended.
    fn begin(stream: Stream, cursor_name: &'static str, cursor: Option<Value>) -> Self {
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
            cursor_name,
            reading,
            pager: None,
            cursor,
            pages: 0,
            is_ahead_logged: false,
        }
    }

    /// Whether the reading has moved on from the last cursor.
    fn has_moved(&self) -> bool {
        !Reading::is_same(self.reading.cursor().as_ref(), self.cursor.as_ref())
    }

    /// Takes the source's clock of an answer; true where it has to be asked for again.
    fn has_to_begin_anew(&mut self, clock: Option<SourceClock>) -> bool {
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
    fn log_ahead(&mut self, rows: &[Row], known: &HashSet<Box<str>>) {
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
    fn close(&mut self, total: Option<u64>, skips: Skips) -> Option<RawPage> {
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

    fn page(
        &mut self,
        answer: PageAnswer,
        known: HashSet<Box<str>>,
        skipped: Vec<Skipped>,
    ) -> RawPage {
        self.pages += 1;
        self.cursor = self.reading.cursor();
        let stream = self.cursor_name;
        RawPage {
            known,
            position: self.cursor.clone().map(|cursor| Position {
                stream,
                cursor,
                as_of: self.reading.newest().and_then(RowTime::shown),
            }),
            ..RawPage::new(self.stream, self.pages, answer, skipped)
        }
    }
}

fn alarm(stream: Stream, shortfall: Shortfall) -> String {
    let Shortfall { counted, answered } = shortfall;
    format!(
        "the source counts {counted} {} and answered {answered} of them: {} are missing here; have the search index of that platform checked, and whether the token's user may see all of them",
        stream.name(),
        counted - answered,
    )
}
