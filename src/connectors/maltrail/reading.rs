//! Reads the lists of a commit, several times, and hands out what is to be sent.
//!
//! First it is looked which values there are and what all lists say about each, two passes over each commit, then what
//! is different; only then is anything handed out, in the order of paths and lines, so that an import goes on where it
//! ended. Memory holds packed lists, some bytes for each value, and what is said of values that stand on several lines.

mod compare;
mod emit;
mod listed;
mod passes;
mod removed;

use std::collections::HashSet;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::blobs::{Blobs, BlobsError};
use super::cursor::{Cursor, Imported, Step, UnderWay, UpTo};
use super::git_host::CommitSha;
use super::listing::Lists;
use super::mapping::{Forecast, ListPages, Mapper, MapperError};
use super::revoked::Revoked;
use super::settings::{MaltrailSettings, Removed};
use super::summary::RunSummary;
use super::trails::hash::ValueHasher;
use super::trails::merged::MergeError;
use super::trails::reader::Place;
use super::trails::survey::SurveyError;
use crate::connector::{Deferred, SourceError};
use crate::telemetry::safe_text::{NAME, safe};
use compare::{Difference, compare};
use emit::{Emitter, Ends};
use listed::Listed;
use passes::{Surveyed, survey};

pub(super) use emit::TrailUnit;

/// Why the lists cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadingError {
    /// A content is not there.
    #[error(transparent)]
    Blobs(#[from] BlobsError),
    /// There are too many values.
    #[error(transparent)]
    Survey(#[from] SurveyError),
    /// Too many of them stand on several lines.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// Nothing can be written.
    #[error(transparent)]
    Mapper(#[from] MapperError),
    /// More is gone than anybody takes out on purpose.
    #[error(
        "{removed} of {known} indicators of commit {} are in no list of commit {} any more, which is more than {percent} % \
         (maltrail.max_removed_percent, MALTRAIL_MAX_REMOVED_PERCENT): nothing is sent, and nothing revoked",
        .from.short(), .to.short()
    )]
    TooManyRemoved {
        /// How many are gone.
        removed: usize,
        /// Of how many.
        known: usize,
        /// How many may be gone at once.
        percent: u8,
        /// The commit that is imported.
        from: CommitSha,
        /// The one that was to be.
        to: CommitSha,
    },
    /// Nobody takes what is handed out: the run has ended.
    #[error("the run has ended")]
    Ended,
}

impl ReadingError {
    /// The error that ends a run; none where it has ended.
    pub(super) fn into_source_error(self) -> Option<SourceError> {
        match self {
            Self::Ended => None,
            Self::Blobs(error) => Some(error.into_source_error()),
            other => Some(SourceError::because(other.to_string(), other)),
        }
    }
}

/// The commit that is imported, and its lists.
#[derive(Debug)]
pub(super) struct Earlier {
    pub(super) imported: Imported,
    pub(super) lists: Lists,
    /// What did not change is sent once more, too.
    pub(super) by_other_settings: bool,
}

/// All that an import needs, read from the host and the platform.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) settings: Arc<MaltrailSettings>,
    pub(super) blobs: Blobs,
    pub(super) lists: Lists,
    pub(super) earlier: Option<Earlier>,
    /// How the state stands once everything is sent.
    pub(super) done: Imported,
    /// What was imported, where its lists are not known any more.
    pub(super) lost: Option<Imported>,
    pub(super) up_to: Option<UpTo>,
    /// What is to be sent again.
    pub(super) again: Vec<Deferred>,
    /// Indicators that are revoked with a score of 0.
    pub(super) revoked: Revoked,
    /// Cancelled once the run has ended.
    pub(super) stop: CancellationToken,
}

impl Reading {
    /// Hands out the units of an import, after what is coming was announced. `emit` says whether somebody takes them.
    /// Answers what the run did.
    ///
    /// # Errors
    /// [`ReadingError`]; [`ReadingError::TooManyRemoved`] before anything is handed out.
    pub(super) fn read(
        &self,
        announce: impl FnOnce(&Forecast),
        emit: impl FnMut(TrailUnit) -> bool,
    ) -> Result<RunSummary, ReadingError> {
        let hasher = ValueHasher::new();
        let mapping = &self.settings.mapping;
        let surveyed = survey(self.contents(), &self.lists, mapping, &hasher)?;
        let difference = self.difference(&surveyed, &hasher)?;
        let mapper = self.mapper(&self.lists, &surveyed)?;
        let listed = self.listed(&hasher, &surveyed, &mapper, difference.as_ref());
        let forecast = listed.forecast()?;
        announce(&forecast);
        let keeps_removals = self.keeps_removals(difference.as_ref());
        let mut emitter = Emitter::new(self.ends(keeps_removals), emit);
        emitter.expect(forecast.sent.values);
        let mut summary = self.summary();
        listed.send_again(&mut emitter)?;
        listed.send(&mut emitter, &mut summary)?;
        if let (Some(earlier), Some(difference), false) =
            (&self.earlier, &difference, keeps_removals)
        {
            let removed = removed::Removal {
                reading: self,
                earlier,
                hasher: &hasher,
                changes: &difference.changes,
                mapper: &mapper,
                from: self.place(Step::Removed, &earlier.lists),
            };
            removed.send(&mut emitter, &mut summary)?;
        }
        emitter.end()?;
        Ok(summary)
    }

    fn contents(&self) -> (&Blobs, &CancellationToken) {
        (&self.blobs, &self.stop)
    }

    /// What is coming, without handing anything out.
    ///
    /// # Errors
    /// [`ReadingError`].
    pub(super) fn forecast(&self) -> Result<Forecast, ReadingError> {
        let hasher = ValueHasher::new();
        let surveyed = survey(
            self.contents(),
            &self.lists,
            &self.settings.mapping,
            &hasher,
        )?;
        let difference = self.difference(&surveyed, &hasher)?;
        let mapper = self.mapper(&self.lists, &surveyed)?;
        let listed = self.listed(&hasher, &surveyed, &mapper, difference.as_ref());
        listed.forecast()
    }

    fn listed<'a>(
        &'a self,
        hasher: &'a ValueHasher,
        surveyed: &'a Surveyed,
        mapper: &'a Mapper,
        difference: Option<&'a Difference>,
    ) -> Listed<'a> {
        Listed {
            reading: self,
            hasher,
            surveyed,
            mapper,
            difference,
            from: self.place(Step::Listed, &self.lists),
        }
    }

    /// What is different from the commit that is imported; none where none is, or is known no more.
    fn difference(
        &self,
        surveyed: &Surveyed,
        hasher: &ValueHasher,
    ) -> Result<Option<Difference>, ReadingError> {
        let Some(earlier) = &self.earlier else {
            return Ok(None);
        };
        let difference = compare(self, earlier, surveyed, hasher)?;
        let changes = &difference.changes;
        let percent = self.settings.max_removed_percent;
        if self.revokes() && changes.removes_more_than(percent) {
            return Err(ReadingError::TooManyRemoved {
                removed: changes.gone().len(),
                known: changes.indicators_before(),
                percent,
                from: earlier.imported.commit.clone(),
                to: self.done.commit.clone(),
            });
        }
        Ok(Some(difference))
    }

    /// Whether what is gone is revoked. Both commits are read by the settings of today: what other settings leave out is in
    /// neither, and not gone.
    fn revokes(&self) -> bool {
        self.settings.removed == Removed::Revoke && self.earlier.is_some()
    }

    /// Whether what seems gone waits for a later run, because a list cannot be read that may have it now. Then the commit
    /// does not move: the next run compares once more. What is too large is not read for good, and waited for by nobody.
    fn keeps_removals(&self, difference: Option<&Difference>) -> bool {
        let mut unread = self.lists.unread.iter();
        let may_have_it = unread.find(|(_, list)| list.stale.is_none() && !list.is_too_large);
        let gone = difference.map_or(0, |difference| difference.changes.gone().len());
        let Some((path, _)) = may_have_it.filter(|_| self.revokes() && gone > 0) else {
            return false;
        };
        tracing::warn!(
            gone,
            list = %safe(path.as_str(), NAME),
            "nothing is revoked before each new list can be read: what is gone elsewhere may stand in it"
        );
        true
    }

    fn mapper(&self, lists: &Lists, surveyed: &Surveyed) -> Result<Mapper, MapperError> {
        let settings = &self.settings;
        let pages = ListPages::new(
            &settings.host.api_base_url,
            &settings.repository,
            &settings.branch,
            &settings.path,
        );
        let families = &lists.families;
        let threats = surveyed.threats.threats(families);
        Mapper::new(&settings.mapping, &pages, families, threats)
    }

    /// Behind which line a step goes on; none from its beginning.
    fn place(&self, step: Step, lists: &Lists) -> From {
        let Some(up_to) = &self.up_to else {
            return From::Beginning;
        };
        if up_to.step > step {
            return From::Nowhere;
        }
        let file = lists.families.file(up_to.path.as_str());
        match file.filter(|_| up_to.step == step) {
            Some(file) => From::Behind(Place {
                file,
                line: up_to.line,
            }),
            None => From::Beginning,
        }
    }

    /// What is imported, be its lists known or not.
    fn imported(&self) -> Option<&Imported> {
        let earlier = self.earlier.as_ref().map(|earlier| &earlier.imported);
        earlier.or(self.lost.as_ref())
    }

    fn ends(&self, keeps_removals: bool) -> Ends {
        let before = Cursor {
            imported: self.imported().cloned(),
            under_way: None,
        };
        let done = if keeps_removals {
            // The next run compares with the same commit; what both have is there by these settings.
            let imported = before.imported.clone();
            let settings = || self.done.settings.clone();
            Cursor {
                imported: imported.map(|imported| imported.by(settings())),
                under_way: None,
            }
        } else {
            Cursor {
                imported: Some(self.done.clone()),
                under_way: None,
            }
        };
        let imported = done.imported.as_ref();
        Ends {
            as_of: imported.map(|imported| imported.date.moment()),
            before,
            done,
            under_way: UnderWay {
                commit: self.done.commit.clone(),
                settings: self.done.settings.clone(),
                first_import: self.done.first_import,
                version: self.done.version.clone(),
                up_to: None,
                unread: self.lists.unread.clone(),
            },
        }
    }

    /// A summary that names the families that are new.
    fn summary(&self) -> RunSummary {
        let mut summary = RunSummary::default();
        let Some(earlier) = self
            .earlier
            .as_ref()
            .filter(|earlier| !earlier.by_other_settings)
        else {
            return summary;
        };
        let known: HashSet<&str> = earlier.lists.names().collect();
        for name in self.lists.names().filter(|name| !known.contains(name)) {
            summary.add_new_family(name);
        }
        summary
    }
}

/// Where a step goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Beginning,
    Behind(Place),
    /// It is through.
    Nowhere,
}

impl From {
    /// Whether a line lies behind it.
    fn is_before(self, place: Place) -> bool {
        match self {
            Self::Beginning => true,
            Self::Behind(last) => place > last,
            Self::Nowhere => false,
        }
    }

    /// Whether nothing of a list lies behind it.
    fn is_past(self, file: super::trails::family::FileId) -> bool {
        match self {
            Self::Beginning => false,
            Self::Behind(last) => file < last.file,
            Self::Nowhere => true,
        }
    }
}
