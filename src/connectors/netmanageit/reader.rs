//! Reads one run: first what earlier runs deferred, then each stream from where they ended.
//!
//! Rows that earlier runs handed out are skipped before anything is asked for them.
//!
//! **Invariant.** A page's position is true once that page and all before it are confirmed;
//! a relationship's ends were read, or come along with it.

mod again;
mod page_files;
mod referenced;
mod stream_reader;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::ask::{Detail, Extras, Stream};
use super::cursor::{NextRead, PageHandling, Reading, Row, Span};
use super::files::{FilePage, FilePages};
use super::pager::{Pager, ReadPage, SCANNED_ROWS, Step, newest};
use super::referenced_objects::Asker;
use super::settings::{Creators, NetManageItSettings};
use super::source::RawPage;
use crate::connector::{Position, Resume, SourceError, cursor_name};
use crate::platform::Platform;
use again::again;
use referenced::New;
use stream_reader::{StreamReader, skipped_and_deferred};

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
                    let name = cursor_name(stream.name(), variant(*stream, &streams));
                    (*stream, resume.cursors.remove(&*name))
                })
                .collect(),
            wanted: streams,
            at: None,
            read: HashMap::new(),
            with_ends,
            last_page: None,
        }
    }

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
            let variant = variant(stream, &self.wanted);
            Some(StreamReader::begin(stream, variant, cursor))
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

    async fn cool_down(&mut self) {
        if let Some(last_page) = self.last_page {
            tokio::time::sleep_until(last_page + self.cooldown).await;
        }
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

/// Relationships have another cursor while only one kind of their ends is imported: what did not go then is read once
/// both kinds are.
fn variant(stream: Stream, wanted: &[Stream]) -> Option<&'static str> {
    let is_one_end = stream == Stream::Relationships && wanted.len() < Stream::ALL.len();
    is_one_end.then_some("to what is there")
}
