//! What a run is to do: nothing, or bring the platform from one commit to another.

use chrono::{DateTime, Utc};

use super::cursor::{Cursor, Imported, UnderWay, UnreadLists, UpTo};
use super::git_host::{CommitSha, GitHostError, GitSession, Head};
use super::listing::{Listing, ListingSettings};
use super::mapping::commit_date;
use crate::connector::SourceError;
use crate::http::Validators;
use crate::stix::Timestamp;
use crate::telemetry::logs::Chain;

/// What a run is to do.
#[derive(Debug)]
pub(super) enum Plan {
    /// Everything is imported.
    Nothing,
    /// There is another commit with the same lists: it only has to be noted.
    Note(Box<Imported>),
    /// The lists of a commit are to be imported.
    Import(Box<Import>),
}

/// The lists of a commit that are to be imported.
#[derive(Debug)]
pub(super) struct Import {
    pub(super) target: Target,
    pub(super) before: Before,
    /// Up to where an earlier run has brought it.
    pub(super) up_to: Option<UpTo>,
    /// Lists that could not be read then.
    pub(super) unread_then: UnreadLists,
    /// When the first import began.
    pub(super) first_began: DateTime<Utc>,
}

/// The commit to which the platform is brought.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) commit: CommitSha,
    /// When it was committed, as far as that is believed.
    pub(super) date: Timestamp,
    pub(super) listing: Listing,
    pub(super) version: Validators,
}

/// From where the platform is brought there.
#[derive(Debug)]
pub(super) enum Before {
    /// Nothing is imported.
    Nothing,
    /// This commit is.
    Commit {
        imported: Box<Imported>,
        listing: Box<Listing>,
        /// By other settings: what did not change is sent once more, too.
        by_other_settings: bool,
    },
    /// A commit is that cannot be had any more, such as after history was rewritten: everything is sent, and nothing
    /// revoked.
    Lost(Box<Imported>),
}

/// What decides on it.
pub(super) struct Planner<'a> {
    pub(super) session: &'a GitSession,
    pub(super) listing: &'a ListingSettings,
    /// A digest of the settings by which is imported.
    pub(super) settings: &'a str,
    pub(super) now: Timestamp,
    /// Something of what is imported is to be sent again.
    pub(super) has_again: bool,
}

impl Planner<'_> {
    /// What is to be done behind a cursor.
    ///
    /// # Errors
    /// Why the host does not say what it has.
    pub(super) async fn plan(&self, cursor: Cursor) -> Result<Plan, SourceError> {
        let Cursor {
            imported,
            under_way,
        } = cursor;
        let (imported, under_way) = match under_way {
            // A part of what is imported is there by the settings of an import that did not end.
            Some(other) if other.settings != self.settings => {
                let imported = imported.map(|imported| imported.by(other.settings));
                (imported, None)
            }
            under_way => (imported, under_way),
        };
        if let Some(under_way) = under_way
            && let Some(target) = self.resumed(&under_way).await?
        {
            let before = self.before(imported).await?;
            return Ok(Plan::Import(Box::new(Import {
                target,
                before,
                up_to: under_way.up_to,
                unread_then: under_way.unread,
                first_began: under_way.first_import,
            })));
        }
        self.plan_newest(imported).await
    }

    async fn plan_newest(&self, imported: Option<Imported>) -> Result<Plan, SourceError> {
        let is_settled = |imported: &Imported| {
            imported.settings == self.settings && imported.is_whole() && !self.has_again
        };
        let known = imported.as_ref().filter(|imported| is_settled(imported));
        let version = known.map(|imported| imported.version.clone());
        let head = self.session.head(&version.unwrap_or_default()).await;
        let (commit, version) = match head.map_err(GitHostError::into_source_error)? {
            Head::Unchanged => return Ok(Plan::Nothing),
            Head::At { sha, validators } => (sha, validators),
        };
        if let Some(known) = known
            && known.commit == commit
        {
            let noted = Imported {
                version,
                ..known.clone()
            };
            return Ok(if noted == *known {
                Plan::Nothing
            } else {
                Plan::Note(Box::new(noted))
            });
        }
        let target = self.target(commit, version).await;
        let target = target.map_err(GitHostError::into_source_error)?;
        if let Some(known) = known
            && known.read == target.listing.read
        {
            return Ok(Plan::Note(Box::new(Imported {
                commit: target.commit,
                date: target.date,
                version: target.version,
                ..known.clone()
            })));
        }
        let first_began = imported
            .as_ref()
            .map_or(self.now.moment(), |imported| imported.first_import);
        let before = self.before(imported).await?;
        Ok(Plan::Import(Box::new(Import {
            target,
            before,
            up_to: None,
            unread_then: UnreadLists::new(),
            first_began,
        })))
    }

    /// The commit whose import has begun; none where it cannot be had any more.
    async fn resumed(&self, under_way: &UnderWay) -> Result<Option<Target>, SourceError> {
        let commit = under_way.commit.clone();
        match self.target(commit, under_way.version.clone()).await {
            Ok(target) => Ok(Some(target)),
            Err(error) if error.is_gone() => {
                tracing::warn!(
                    commit = under_way.commit.as_str(),
                    error = %Chain(&error),
                    "the commit whose import had begun is gone: the newest one is imported from its beginning"
                );
                Ok(None)
            }
            Err(error) => Err(error.into_source_error()),
        }
    }

    async fn target(&self, commit: CommitSha, version: Validators) -> Result<Target, GitHostError> {
        let known = self.session.commit(&commit).await?;
        let listing = Listing::ask(self.session, &commit, self.listing).await?;
        Ok(Target {
            date: believed(known.date, self.now),
            commit,
            listing,
            version,
        })
    }

    async fn before(&self, imported: Option<Imported>) -> Result<Before, SourceError> {
        let Some(imported) = imported else {
            return Ok(Before::Nothing);
        };
        match Listing::ask(self.session, &imported.commit, self.listing).await {
            Ok(listing) => Ok(Before::Commit {
                by_other_settings: imported.settings != self.settings,
                imported: Box::new(imported),
                listing: Box::new(listing),
            }),
            Err(error) if error.is_gone() => {
                tracing::warn!(
                    commit = imported.commit.as_str(),
                    error = %Chain(&error),
                    "the commit that is imported cannot be had any more, as after history was rewritten: everything of the newest one is sent, and nothing is revoked"
                );
                Ok(Before::Lost(Box::new(imported)))
            }
            Err(error) => Err(error.into_source_error()),
        }
    }
}

/// The date of a commit, as far as it is believed.
fn believed(date: Option<DateTime<Utc>>, now: Timestamp) -> Timestamp {
    let date = date.map(|date| date.to_rfc3339()).unwrap_or_default();
    commit_date(&date, now)
}
