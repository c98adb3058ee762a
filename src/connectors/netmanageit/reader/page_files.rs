//! The files of a page's objects: noted with the page, and brought behind it.

use super::RunReader;
use crate::connector::{Deferred, SourceError};
use crate::connectors::netmanageit::ask::PageAnswer;
use crate::connectors::netmanageit::by_id::{ReadObjects, read_objects};
use crate::connectors::netmanageit::files::{Brought, FilePage};
use crate::connectors::netmanageit::page::FilesOfReferences;
use crate::connectors::netmanageit::referenced_objects::ReferencedObjects;
use crate::connectors::netmanageit::source::RawPage;

impl RunReader {
    /// Notes the files of the new objects of a page, to come behind it. Whether there are any has to be known
    /// before its position is given away, so the references that have some are read now.
    pub(super) async fn look_for_files(
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

    /// The next object that brings files, with their content; none where nothing is left to bring or to report.
    pub(super) async fn page_with_files(
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
}
