//! One run: what is to be done is planned, the lists are read into memory, and a thread hands out unit after unit.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::blobs::{BlobReader, Blobs, BlobsError, Few, Unread, log_unread};
use super::cursor::{Cursor, Imported, UnreadList, UnreadLists};
use super::git_host::{GitSession, Reason, RepositoryPath};
use super::listing::{Listing, Lists};
use super::mapping::Forecast;
use super::plan::{Before, Import, Plan, Planner, Target};
use super::reading::{Earlier, Reading, TrailUnit};
use super::revoked::{self, Revoked};
use super::{Maltrail, STREAM};
use crate::connector::{
    Checks, Converted, Converter, Deferred, HandedUnits, Position, Resume, RunReporter, Source,
    SourceError, WorkerPace,
};
use crate::http::RetryPolicy;
use crate::stix::Timestamp;
use crate::telemetry::logs::Chain;

/// Units that are handed out and not taken yet.
const UNITS_AHEAD: usize = 1;
/// So many lists may be unread, each of which costs later runs a request to the API; more are no single faults.
const MOST_UNREAD: usize = 20;

/// One run over the lists.
#[derive(Debug)]
pub struct MaltrailSource {
    units: HandedUnits<TrailUnit>,
    /// Ends the reading with the run.
    _stop: Option<DropGuard>,
}

impl MaltrailSource {
    /// Nothing is read: there is this unit, or none.
    fn of(unit: Option<TrailUnit>) -> Self {
        Self {
            units: HandedUnits::Known(unit),
            _stop: None,
        }
    }
}

/// How a run is opened.
pub(super) struct Opening<'a> {
    pub(super) connector: &'a Maltrail,
    pub(super) reporter: &'a RunReporter,
    pub(super) session: GitSession,
}

impl Opening<'_> {
    /// Plans a run, and reads what it needs.
    pub(super) async fn open(&self, resume: &Resume) -> Result<MaltrailSource, SourceError> {
        let again = resume.again.clone();
        let plan = self
            .plan(resume.cursors.get(STREAM), !again.is_empty())
            .await?;
        match plan {
            Plan::Nothing => Ok(MaltrailSource::of(None)),
            Plan::Note(imported) => Ok(MaltrailSource::of(Some(TrailUnit::noting(*imported)))),
            Plan::Import(import) => {
                let revoked = self.revoked(&import.before).await?;
                let reading = self.prepare(*import, again, revoked).await?;
                let stop = reading.stop.clone().drop_guard();
                Ok(MaltrailSource {
                    units: HandedUnits::Through(hand_out(
                        reading,
                        self.reporter.clone(),
                        resume.pace,
                    )),
                    _stop: Some(stop),
                })
            }
        }
    }

    async fn plan(&self, cursor: Option<&Value>, has_again: bool) -> Result<Plan, SourceError> {
        let read = cursor.map(Cursor::read);
        if let Some(None) = read {
            tracing::warn!(
                "the state says nothing that can be read of the lists: they are imported from their beginning"
            );
        }
        let now = Timestamp::new(self.connector.clock.now());
        let now = now.ok_or_else(|| SourceError::new("the clock of this machine is wrong"))?;
        let planner = Planner {
            session: &self.session,
            listing: &self.connector.listing,
            settings: &self.connector.settings.import_digest(),
            now,
            has_again,
        };
        planner.plan(read.flatten().unwrap_or_default()).await
    }

    /// Reads all that an import needs.
    async fn prepare(
        &self,
        import: Import,
        again: Vec<Deferred>,
        revoked: Revoked,
    ) -> Result<Reading, SourceError> {
        let mut blobs = Blobs::default();
        let reader = self.reader();
        let target = &import.target;
        let listing = &self.connector.listing;
        let wanted = target.listing.wanted(listing);
        let unread = reader.read(&mut blobs, &target.commit, &wanted, Few::Archive);
        let unread = unread.await.map_err(BlobsError::into_source_error)?;
        let before = self.earlier(&mut blobs, import.before).await?;
        let EarlierRead {
            earlier,
            lost,
            unread: incomparable,
        } = before;
        let mut unread = self.unread_lists(unread, earlier.as_ref())?;
        // What cannot be compared waits for the next run, too.
        unread.extend(incomparable);
        let lists = self.lists(&target.listing, &blobs, &unread)?;
        if let Some(whitelist) = &lists.whitelist {
            whitelist.log_lacks();
        }
        let mut unread_then = import.unread_then.iter();
        // A list that can be read by now may stand before the line.
        let goes_on = unread_then.all(|(path, list)| lists.unread.get(path) == Some(list));
        Ok(Reading {
            settings: Arc::clone(&self.connector.settings),
            done: Imported {
                commit: target.commit.clone(),
                date: target.date,
                read: target.listing.read.clone(),
                settings: self.connector.settings.import_digest(),
                first_import: import.first_began,
                version: target.version.clone(),
                unread: lists.unread.clone(),
            },
            revoked,
            blobs,
            lists,
            earlier,
            lost,
            up_to: import.up_to.filter(|_| goes_on),
            again,
            stop: CancellationToken::new(),
        })
    }

    fn reader(&self) -> BlobReader<'_> {
        BlobReader {
            session: &self.session,
            reporter: self.reporter,
        }
    }

    fn lists(
        &self,
        listing: &Listing,
        blobs: &Blobs,
        unread: &UnreadLists,
    ) -> Result<Lists, SourceError> {
        let Maltrail {
            listing: settings,
            table,
            ..
        } = self.connector;
        let lists = Lists::new(listing, settings, table, blobs, unread);
        lists.map_err(BlobsError::into_source_error)
    }

    /// The lists that are imported, or only their commit where they cannot be had any more.
    async fn earlier(&self, blobs: &mut Blobs, before: Before) -> Result<EarlierRead, SourceError> {
        let (imported, listing, by_other_settings) = match before {
            Before::Nothing => return Ok(EarlierRead::default()),
            Before::Lost(imported) => return Ok(EarlierRead::lost(*imported)),
            Before::Commit {
                imported,
                listing,
                by_other_settings,
            } => (*imported, *listing, by_other_settings),
        };
        let unread = match self.read_earlier(blobs, &imported, &listing).await {
            Ok(unread) => unread,
            Err(error) if error.is_gone() => {
                tracing::warn!(
                    commit = imported.commit.as_str(),
                    error = %Chain(&error),
                    "the lists that are imported cannot be had any more: everything of the newest commit is sent, and nothing is revoked"
                );
                return Ok(EarlierRead::lost(imported));
            }
            Err(error) => return Err(error.into_source_error()),
        };
        let unread = self.unread_lists(unread, None)?;
        let mut all_unread = imported.unread.clone();
        all_unread.extend(unread.clone());
        let lists = self.lists(&listing, blobs, &all_unread)?;
        let unread = unread.into_keys().map(|path| {
            let list = UnreadList {
                stale: listing.content(&path).cloned(),
                is_too_large: false,
            };
            (path, list)
        });
        Ok(EarlierRead {
            unread: unread.collect(),
            earlier: Some(Earlier {
                imported,
                lists,
                by_other_settings,
            }),
            lost: None,
        })
    }

    /// Reads the lists that are imported; answers those that could not be read.
    async fn read_earlier(
        &self,
        blobs: &mut Blobs,
        imported: &Imported,
        listing: &Listing,
    ) -> Result<Vec<Unread>, BlobsError> {
        let reader = self.reader();
        let wanted = listing.wanted_but(&self.connector.listing, &imported.unread);
        let stale = imported
            .unread
            .values()
            .filter_map(|list| list.stale.as_ref());
        reader.read_contents(blobs, stale).await?;
        // Most of them are those of the newest commit.
        let commit = &imported.commit;
        reader.read(blobs, commit, &wanted, Few::Singles).await
    }

    /// What counts as the content of lists that could not be read; the error of the first where nothing may.
    fn unread_lists(
        &self,
        unread: Vec<Unread>,
        earlier: Option<&Earlier>,
    ) -> Result<UnreadLists, SourceError> {
        log_unread(&unread);
        let count: usize = unread.iter().map(|unread| unread.paths.len()).sum();
        let mut lists = UnreadLists::new();
        for Unread { paths, error } in unread {
            for path in paths {
                let below = path.below(&self.connector.listing.folder);
                let below = below.and_then(|below| RepositoryPath::parse(below).ok());
                let Some(below) = below.filter(|_| count <= MOST_UNREAD) else {
                    return Err(error.into_source_error());
                };
                let stale = earlier.and_then(|earlier| earlier.lists.content(&below));
                let list = UnreadList {
                    stale: stale.cloned(),
                    is_too_large: matches!(error.reason, Reason::TooLarge { .. }),
                };
                lists.insert(below, list);
            }
        }
        Ok(lists)
    }

    /// The indicators that are revoked with a score of 0. Also before a first import: the state may have been reset.
    ///
    /// # Errors
    /// Where a platform that has something does not say it now: what a list has again would stay revoked for good.
    async fn revoked(&self, before: &Before) -> Result<Revoked, SourceError> {
        let reaching = match before {
            // Whoever exports may have no platform.
            Before::Nothing => RetryPolicy::NEVER,
            Before::Commit { .. } | Before::Lost(_) => RetryPolicy::FOR_A_PART,
        };
        let has_something = !matches!(before, Before::Nothing);
        match revoked::ask(&self.connector.platform, reaching).await {
            Ok(revoked) => Ok(revoked),
            Err(error) if has_something && !error.kind().is_for_good() => {
                let tried = "the platform does not say which indicators are revoked";
                Err(SourceError::because(tried, error))
            }
            Err(error) => {
                tracing::warn!(
                    error = %Chain(&error),
                    "the platform does not say which indicators are revoked: those that a list has again stay revoked"
                );
                Ok(Revoked::default())
            }
        }
    }
}

/// What was read of what is imported.
#[derive(Default)]
struct EarlierRead {
    earlier: Option<Earlier>,
    /// What is imported, where its lists cannot be had any more.
    lost: Option<Imported>,
    /// Lists that could not be read as they are imported, and their contents there.
    unread: UnreadLists,
}

impl EarlierRead {
    fn lost(imported: Imported) -> Self {
        Self {
            lost: Some(imported),
            ..Self::default()
        }
    }
}

/// Hands out units from a thread of its own, which ends once nobody takes them.
fn hand_out(
    reading: Reading,
    reporter: RunReporter,
    pace: Option<WorkerPace>,
) -> mpsc::Receiver<Result<TrailUnit, SourceError>> {
    let (hand_out, units) = mpsc::channel(UNITS_AHEAD);
    tokio::task::spawn_blocking(move || {
        let announce = |forecast: &Forecast| {
            reporter.announce(forecast.objects());
            tracing::info!("{}", forecast.announcement(pace));
        };
        let emit = |unit| hand_out.blocking_send(Ok(unit)).is_ok();
        match reading.read(announce, emit) {
            Ok(summary) => reporter.summarize(summary.to_string()),
            Err(error) => {
                if let Some(error) = error.into_source_error() {
                    // Nobody to hear it: then the run has ended otherwise.
                    hand_out.blocking_send(Err(error)).ok();
                }
            }
        }
    });
    units
}

impl Source for MaltrailSource {
    type Unit = TrailUnit;
    type Converter = TrailConverter;

    fn converter(&self) -> TrailConverter {
        TrailConverter
    }

    async fn next_unit(&mut self) -> Result<Option<TrailUnit>, SourceError> {
        self.units.next().await
    }
}

/// Makes units of what was written.
#[derive(Debug)]
pub struct TrailConverter;

impl Converter for TrailConverter {
    type Unit = TrailUnit;

    fn convert(&mut self, unit: TrailUnit) -> Converted {
        let position = unit.cursor.map(|cursor| Position {
            variant: None,
            cursor: cursor.to_json(),
            as_of: unit.as_of.map(Into::into),
        });
        Converted {
            is_again: position.is_none(),
            position,
            stream_total: unit.total,
            objects: unit.objects,
            shared: unit.threats.into_values().collect(),
            skipped: unit.skipped,
            deferred: unit.deferred,
            ..Converted::new(STREAM, unit.number, unit.values)
        }
    }
}

/// What the command `check` finds at the source.
pub(super) async fn check(connector: &Maltrail, checks: &mut Checks<'_>) {
    const NAME: &str = "source";
    const ROWS: &str = "source rows";
    let reporter = RunReporter::default();
    let opening = Opening {
        connector,
        reporter: &reporter,
        session: connector.host.once(),
    };
    let plan = match opening.plan(None, false).await {
        Ok(plan) => plan,
        Err(error) => return checks.fail_with(NAME, &error),
    };
    let Plan::Import(import) = plan else {
        return checks.fail(NAME, "it has no commit");
    };
    let Target {
        commit,
        date,
        listing,
        ..
    } = &import.target;
    checks.pass(
        NAME,
        format!(
            "commit {} of {}, with {} lists",
            commit.short(),
            date.moment().format("%Y-%m-%d %H:%M UTC"),
            listing.count(&connector.listing)
        ),
    );
    let reading = match opening
        .prepare(*import, Vec::new(), Revoked::default())
        .await
    {
        Ok(reading) => reading,
        Err(error) => return checks.fail_with(ROWS, &error),
    };
    let counted = tokio::task::spawn_blocking(move || reading.forecast()).await;
    match counted {
        Ok(Ok(forecast)) => checks.pass(ROWS, forecast.announcement(None)),
        Ok(Err(error)) => checks.fail(ROWS, error.to_string()),
        Err(error) => checks.fail_with(ROWS, &error),
    }
}
