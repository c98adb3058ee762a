//! A whole import as files instead of messages, or only the report of what it would be.
//!
//! Every export begins at the beginning, and leaves no trace at the destination.

mod made_folder;

use std::collections::HashSet;
use std::error::Error;
use std::path::Path;

use anyhow::Context;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::connector::{Checks, Converted, Converter, Importer, Resume, Source, Tally};
use crate::http::RetryPolicy;
use crate::opencti::{Pusher, Rules, write_whole};
use crate::platform::PlatformAccess;
use crate::runtime::context;
use crate::runtime::import::admission::{Admission, Rejected};
use crate::runtime::import::destination::{Destination, SentTotals};
use crate::runtime::import::note_unit;
use crate::runtime::import::packer::{Batch, Packer, Packing};
use crate::runtime::import::read_ahead::ReadAhead;
use crate::runtime::import::run::log_summary;
use crate::runtime::session::SessionContext;
use crate::settings::Settings;
use crate::stix::bundle;
use crate::telemetry::Instruments;
use crate::telemetry::logs::Chain;
use made_folder::MadeFolder;

/// What an export came to.
#[derive(Debug, Default)]
pub struct Exported {
    /// What was written, or would be, by type; what not, by reason.
    pub tally: Tally,
    /// How many bundles.
    pub bundles: usize,
    /// Of what is not written: what would be, once something has changed at the destination or the source.
    pub deferred: usize,
    /// Whether the request to stop came first.
    pub is_cut_short: bool,
}

/// Writes the whole import into a folder, which is made; without one, only counts. Whether it `waits` for a
/// source that does not answer yet, or gives up at once. the request to stop ends it whatever it waits for. A folder
/// that was made and is empty where it does not come to its end is removed again.
///
/// # Errors
/// When the source cannot be read, or the folder not be written to.
pub async fn export<C: Importer>(
    settings: &Settings<C::Section>,
    folder: Option<&Path>,
    waits: bool,
    instruments: &Instruments,
    stop: &CancellationToken,
) -> anyhow::Result<Exported> {
    let made = folder.map(MadeFolder::make).transpose()?;
    let context = context::<C>(settings, &instruments.metrics)?;
    let connector = C::new(settings, &context)?;
    let batch_size = connector.batch_size();
    let mut exporter = Exporter {
        folder,
        destination: None,
        admission: Admission::default(),
        packer: Packer::new(Packing::Closed { batch_size }),
        instruments,
        exported: Exported::default(),
    };
    let exporting = async {
        if !waits {
            look(&connector).await?;
        }
        exporter.destination = ask_destination(settings, &context.platform, instruments).await;
        exporter.all(&connector).await
    };
    match stop.run_until_cancelled(exporting).await {
        Some(ended) => {
            ended?;
            if let Some(made) = made {
                made.keep();
            }
        }
        None => exporter.exported.is_cut_short = true,
    }
    instruments.bars.end();
    Ok(exporter.exported)
}

/// Whether the source answers at all.
async fn look<C: Importer>(connector: &C) -> anyhow::Result<()> {
    let mut ignore = |_| {};
    let mut checks = Checks::new(&mut ignore);
    connector.check(&mut checks).await;
    match checks.first_failure() {
        Some(failure) => Err(anyhow::anyhow!("{failure}")),
        None => Ok(()),
    }
}

/// The destination, to be asked what it takes. From a place where it cannot be reached, everything is written.
async fn ask_destination<S>(
    settings: &Settings<S>,
    access: &PlatformAccess,
    instruments: &Instruments,
) -> Option<Destination> {
    let connected = access.connect(RetryPolicy::NEVER).await;
    let not_asked = |error: &dyn Error| {
        tracing::warn!(error = %Chain(error), "the destination cannot be asked what it takes: everything is written");
    };
    let platform = connected.inspect_err(|error| not_asked(error)).ok()?;
    let protocol = settings.connector.queue_protocol;
    let rules = Rules::of(platform.release(), protocol);
    let rules = rules.inspect_err(|error| not_asked(error)).ok()?;
    let session = SessionContext {
        platform,
        connector_id: settings.connector.id,
        connector_name: settings.connector.name.clone(),
        applicant_id: String::new(),
        instruments: instruments.clone(),
    };
    Some(Destination {
        session,
        protocol,
        rules,
        pusher: Pusher::nowhere(),
        depth: None,
        sent: SentTotals::default(),
        sends_to_queue: false,
        directory: None,
    })
}

struct Exporter<'a> {
    folder: Option<&'a Path>,
    destination: Option<Destination>,
    admission: Admission,
    packer: Packer,
    instruments: &'a Instruments,
    exported: Exported,
}

impl Exporter<'_> {
    /// Unit by unit. May be broken off: nothing is written by halves.
    async fn all<C: Importer>(&mut self, connector: &C) -> anyhow::Result<()> {
        let resume = Resume::default();
        let reporter = resume.reporter.clone();
        let exported = self.from(connector.open(resume).await?).await;
        log_summary(&reporter);
        exported
    }

    async fn from<S: Source>(&mut self, source: S) -> anyhow::Result<()> {
        let mut converter = source.converter();
        let mut units = ReadAhead::of(source);
        loop {
            let began = Instant::now();
            let Some(unit) = units.next().await? else {
                return Ok(());
            };
            let unit = converter.convert(unit);
            note_unit(self.instruments, &unit, began.elapsed());
            self.unit(unit).await?;
        }
    }

    async fn unit(&mut self, mut converted: Converted) -> anyhow::Result<()> {
        let rejected = if let Some(destination) = &self.destination {
            let to_make = self
                .admission
                .markings_to_make(destination, &converted)
                .await?;
            self.admission.assume_made(&to_make);
            self.admission
                .admit(destination, &mut converted, true)
                .await?
        } else {
            Rejected::default()
        };
        rejected.note_in(&mut self.packer, &converted);
        let files_lost = self.packer.drop_large_files(&mut converted);
        converted.skipped.extend(files_lost);
        let packed = self.packer.pack(&converted);
        for batch in packed.waves.iter().flat_map(|wave| &wave.batches) {
            self.write(converted.stream, batch)?;
        }
        let left: HashSet<&str> = packed
            .deferred
            .iter()
            .map(|left| left.id.as_str())
            .collect();
        let sent = converted
            .objects
            .iter()
            .filter(|object| !left.contains(&*object.id));
        if converted.parts.counts_as.is_none() {
            let kinds = sent.map(|object| &*object.kind);
            self.exported.tally.count_sent(kinds);
        }
        converted
            .skipped
            .extend(packed.deferred.into_iter().chain(packed.links_lost));
        for skipped in &converted.skipped {
            let (id, kind, reason) = (&skipped.id, &skipped.kind, &skipped.reason);
            tracing::debug!(id, kind, reason, "not written");
            self.instruments
                .metrics
                .objects
                .count_not_sent(kind, reason);
        }
        self.exported.tally.count_skipped(&converted.skipped);
        self.exported.tally.count_left(&rejected.left);
        self.exported.deferred += converted.deferred.len() + packed.dependents.len();
        for alarm in &converted.alarms {
            tracing::error!(stream = converted.stream, "{alarm}");
        }
        Ok(())
    }

    fn write(&mut self, stream: &str, batch: &Batch) -> anyhow::Result<()> {
        self.exported.bundles += 1;
        if let Some(folder) = self.folder {
            let name = format!("{:06}-{stream}", self.exported.bundles);
            let path = folder.join(name);
            write_whole(&path, bundle(batch).as_bytes()).with_context(|| {
                format!(
                    "{} cannot be written; is there space left, and may this user write there?",
                    path.display()
                )
            })?;
        }
        Ok(())
    }
}
