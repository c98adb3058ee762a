//! The NetManageIT connector: imports observables, indicators and the relationships between them from
//! one OpenCTI platform.
//!
//! How an observable is read: `cursor` decides where its stream is read on; `pager` reads the next page and skips
//! bad rows, or `parallel` reads several pages at once; `ask` sends each request and retries transient failures;
//! `blame` says whether a row is to blame that is asked for alone; `page` parses the answer, node by node; `reader`
//! drops the rows that were sent before; `source` hands the pages out in order; `referenced_objects` lets `by_id`
//! read what a page refers to; `files` fetches what is attached to it; `convert` writes the STIX object.

mod ask;
mod blame;
mod by_id;
mod convert;
mod cursor;
mod files;
mod operations;
mod page;
mod page_size;
mod pager;
mod parallel;
mod reader;
mod referenced_objects;
mod row_place;
mod settings;
mod source;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::connector::{Checks, Connector, Context, Importer, Resume, SourceError};
use crate::graphql::GraphqlClient;
use crate::http::{RetryPolicy, Site};
use crate::platform::{Platform, PlatformAccess, PlatformError};
use crate::settings::Settings;
use ask::{RowCount, Stream, count};
pub use convert::NetManageItConverter;
pub use settings::{Creators, NetManageItSettings, Score};
pub use source::{NetManageItSource, RawPage};

/// How long an answer of the source may be silent. What takes longer is asked for in smaller parts,
/// which need less time, so there is no use in waiting longer for the whole.
const LONGEST_SILENCE: Duration = Duration::from_mins(1);

/// Imports from one OpenCTI platform.
#[derive(Debug)]
pub struct NetManageIt {
    settings: NetManageItSettings,
    platform: PlatformAccess,
}

impl NetManageIt {
    async fn platform(&self) -> Result<Arc<Platform>, SourceError> {
        let platform = self.platform.platform(RetryPolicy::DURING_RUN).await;
        platform.map_err(unreadable)
    }

    async fn look(&self) -> Result<SourceSummary, PlatformError> {
        let platform = self.platform.connect(RetryPolicy::NEVER).await?;
        let (mut counts, mut remarks) = (Vec::new(), Vec::new());
        for stream in reader::streams(&self.settings) {
            let counted = count(&platform, stream).await?;
            let rows = counted.rows();
            counts.push((stream, counted));
            if stream == Stream::Relationships {
                let ends = ask::look_at_ends(&platform).await?;
                remarks.extend(ends.and_then(|ends| ends.remark(rows)));
            }
        }
        Ok(SourceSummary {
            release: platform.release().to_string(),
            counts,
            remarks,
            clock: platform.clock().await,
        })
    }
}

/// The source's release, its counts and its clock.
struct SourceSummary {
    release: String,
    /// How many rows each stream has for this user.
    counts: Vec<(Stream, RowCount)>,
    /// Why fewer may come than are counted.
    remarks: Vec<String>,
    clock: Option<SystemTime>,
}

fn report_count(stream: &str, counted: RowCount, checks: &mut Checks<'_>) {
    const NAME: &str = "source rows";
    match counted {
        RowCount::Answered(rows) => checks.count_rows(stream, rows),
        RowCount::RowFails(reason) => checks.warn(
            NAME,
            format!("it does not say how many {stream} there are, as it fails at one of them: {reason}"),
        ),
        RowCount::Fails(reason) => checks.fail(
            NAME,
            format!("it fails at the {stream}, as it would in a run: {reason}; look at the health of that platform, and at its log"),
        ),
    }
}

fn unreadable(error: PlatformError) -> SourceError {
    SourceError::because("the source cannot be read", error)
}

impl Connector for NetManageIt {
    type Section = NetManageItSettings;
    const PROGRAM: &'static str = "netmanageit-connector";
    const ABOUT: &'static str =
        "Imports the observables and indicators of one OpenCTI platform into another";

    fn new(settings: &Settings<Self::Section>, context: &Context) -> Result<Self, SourceError> {
        let source = &settings.section.platform;
        let site = Site {
            silence_limit: LONGEST_SILENCE,
            ..context.platform_site("the source", source)
        };
        let client = GraphqlClient::new(site, &source.token)
            .map_err(|error| SourceError::because("cannot ask the source", error))?;
        Ok(Self {
            settings: settings.section.clone(),
            platform: PlatformAccess::new(client),
        })
    }

    async fn check(&self, checks: &mut Checks<'_>) {
        let look = match self.look().await {
            Ok(look) => look,
            Err(error) => return checks.fail_with("source", &unreadable(error)),
        };
        let text = format!("{} answers, release {}", self.source(), look.release);
        checks.pass("source", text);
        for (stream, counted) in look.counts {
            report_count(stream.name(), counted, checks);
        }
        for remark in look.remarks {
            checks.warn("source rows", remark);
        }
        checks.compare_clock(look.clock);
    }
}

impl Importer for NetManageIt {
    type Source = NetManageItSource;

    fn subject(&self) -> String {
        match (
            self.settings.process_observables,
            self.settings.process_indicators,
        ) {
            (true, false) => "observables".to_owned(),
            (false, _) => "indicators".to_owned(),
            (true, true) => "observables and indicators".to_owned(),
        }
    }

    fn batch_size(&self) -> usize {
        self.settings.batch_size
    }

    fn streams(&self) -> Vec<&'static str> {
        let streams = reader::streams(&self.settings);
        streams.into_iter().map(Stream::name).collect()
    }

    fn cooldown(&self) -> Duration {
        self.settings.cooldown
    }

    fn source(&self) -> String {
        self.settings.platform.url.origin().ascii_serialization()
    }

    async fn open(&self, resume: Resume) -> Result<Self::Source, SourceError> {
        let platform = self.platform().await?;
        Ok(NetManageItSource::new(platform, &self.settings, resume))
    }
}
