//! The work of a run: opened with the first message, given its expectations, watched for being cleared.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{LOOK_AT_WORK_EVERY, STORED_LIMIT, Sink, Unconfirmed, UnitEnd};
use crate::opencti::{Delivery, Expectations, Message, MessageWriter, Work};
use crate::runtime::import::packer::Batch;
use crate::runtime::import::run::RunError;
use crate::runtime::session::state::OpenWork;
use crate::stix::bundle;
use crate::telemetry::logs::Chain;

impl Sink<'_> {
    /// Looks now and then whether somebody has cleared the work: then its messages are dropped, and
    /// sending more of them is for nothing.
    pub(super) async fn look_at_work(&mut self) -> Result<(), RunError> {
        if self.looked_at_work.elapsed() < LOOK_AT_WORK_EVERY {
            return Ok(());
        }
        self.looked_at_work = Instant::now();
        self.check_work().await
    }

    /// Fails if somebody has cleared the work.
    pub(crate) async fn check_work(&self) -> Result<(), RunError> {
        match &self.work {
            Some(work) => Ok(work.check().await?),
            None => Ok(()),
        }
    }

    /// Waits until all that was sent is imported; false when the request to stop came meanwhile.
    pub(super) async fn until_imported(
        &mut self,
        stop: &CancellationToken,
    ) -> Result<bool, RunError> {
        self.receipts(0).await?;
        let importing = async {
            self.wait_until_imported().await?;
            self.until_nothing_is_missed().await
        };
        match stop.run_until_cancelled(importing).await {
            Some(imported) => imported.map(|()| true),
            None => Ok(false),
        }
    }

    async fn wait_until_imported(&mut self) -> Result<(), RunError> {
        let work = open(&mut self.work)?;
        let back_pressure = &*self.back_pressure;
        Ok(back_pressure
            .wait_until_imported(self.destination, work, self.activity)
            .await?)
    }

    /// Waits until the workers are through with the work of the run before, unless this run has gone on
    /// with it; false when the request to stop came meanwhile.
    pub(super) async fn wait_for_previous(
        &mut self,
        stop: &CancellationToken,
    ) -> Result<bool, RunError> {
        if self.work.is_some() {
            return Ok(true);
        }
        let previous =
            self.back_pressure
                .wait_for_previous(self.destination, self.state_store, self.activity);
        tokio::select! {
            waited = stop.run_until_cancelled(previous) => Ok(waited.transpose()?.is_some()),
            () = self.state_store.superseded(self.epoch) => Err(RunError::Superseded),
        }
    }

    /// Opens the work if that has not been done, once the work of the run before is complete; false
    /// when the request to stop came meanwhile. The opening itself is not broken off: its work would
    /// stay behind, open and forgotten.
    pub(super) async fn open_work(&mut self, stop: &CancellationToken) -> Result<bool, RunError> {
        if self.work.is_some() {
            return Ok(true);
        }
        if let Some(user) = self.admission.powerless_user(self.destination).await? {
            return Err(RunError::Powerless { user });
        }
        if !self.wait_for_previous(stop).await? {
            return Ok(false);
        }
        let platform = Arc::clone(&self.destination.session.platform);
        let work = Work::open(platform, self.destination.session.connector_id, &self.title).await?;
        // A user who may not see works could never see that one is complete.
        if let Err(error) = work.count().await {
            let message = Chain(&error).to_string();
            work.send_message(&message, true).await?;
            return Err(error.into());
        }
        self.looked_at_work = Instant::now();
        let work = self.work.insert(work);
        let id = work.id().to_owned();
        let noted = self.state_store.change(self.epoch, |state| {
            state.work = Some(OpenWork {
                id,
                began_at: state.streams.clone(),
                after_first_pass: state.first_pass_complete,
                resolved: Vec::new(),
                sent: BTreeMap::new(),
                closing: None,
            });
        });
        work.add_sentinel().await?;
        if noted.is_err() {
            self.close_unused().await?;
            return Err(RunError::Superseded);
        }
        // From here on messages name the work: the process after a crash has to find it.
        self.activity
            .now("waiting until the destination has stored the state");
        tokio::select! {
            biased;
            stored = self.state_store.stored(self.epoch) => stored?,
            reason = self.state_store.state_refused() => return Err(RunError::StateRefused(reason)),
            () = tokio::time::sleep(STORED_LIMIT) => return Err(RunError::NotStored(STORED_LIMIT)),
        }
        Ok(true)
    }

    /// A work that was opened just when a reset came: it is in no state.
    async fn close_unused(&mut self) -> Result<(), RunError> {
        if let Some(work) = self.work.take() {
            work.send_message("The connector was reset.", true).await?;
            work.report_sentinel().await?;
        }
        Ok(())
    }

    pub(super) fn messages(&mut self, batches: &[Batch]) -> Result<Vec<Message>, RunError> {
        let work_id = open(&mut self.work)?.id().into();
        let writer = MessageWriter {
            rules: self.destination.rules,
            protocol: self.destination.protocol,
            applicant_id: self.destination.session.applicant_id.clone(),
            work_id,
        };
        let write = |batch: &Batch| Ok(writer.write(bundle(batch), batch.len() as u64)?);
        batches.iter().map(write).collect()
    }

    /// Adds expectations first: a report that is not expected would complete the work too early.
    pub(super) async fn expect_and_deliver(
        &mut self,
        mut messages: Vec<Message>,
        end: Option<UnitEnd>,
    ) -> Result<(), RunError> {
        let platform_adds = match self.destination.rules.expectations {
            Expectations::Sender => {
                let work = open(&mut self.work)?;
                work.add_expectations(objects_of(&messages)).await?;
                return self.deliver(messages, end).await;
            }
            Expectations::WorkerUnlessSingle => false,
            Expectations::Unknown => self.who_adds(&mut messages).await?,
        };
        let work = open(&mut self.work)?;
        for message in &mut messages {
            message.counted = u64::from(message.objects == 1 && !platform_adds);
        }
        let ours = messages.iter().map(|message| message.counted).sum();
        work.note_added_by_others(objects_of(&messages) - ours);
        work.add_expectations(ours).await?;
        self.deliver(messages, end).await
    }

    /// On a release newer than known: whether the platform itself adds the expectation of a message of one object.
    /// The work's own count shows it, once, with the first such message.
    async fn who_adds(&mut self, messages: &mut Vec<Message>) -> Result<bool, RunError> {
        if let Some(known) = self.platform_adds {
            return Ok(known);
        }
        let Some(first_single) = messages.iter().position(|message| message.objects == 1) else {
            return Ok(false);
        };
        self.receipts(0).await?;
        self.wait_until_imported().await?;
        let work = open(&mut self.work)?;
        let before = work.count().await?.expected;
        let mut single = messages.remove(first_single);
        // The count has to show who adds it: nothing of ours may be in it.
        single.counted = 0;
        self.deliver(vec![single], None).await?;
        self.receipts(0).await?;
        let work = open(&mut self.work)?;
        let platform_adds = work.count().await?.expected > before;
        if platform_adds {
            work.note_added_by_others(1);
        } else {
            work.add_expectations(1).await?;
        }
        self.platform_adds = Some(platform_adds);
        Ok(platform_adds)
    }

    pub(super) async fn deliver(
        &mut self,
        messages: Vec<Message>,
        end: Option<UnitEnd>,
    ) -> Result<(), RunError> {
        let UnitEnd {
            position,
            acknowledged,
        } = end.unwrap_or_default();
        let delivery = Delivery {
            messages,
            position,
            expectations: self.work.as_ref().map(Work::expectations),
            given_up: self.given_up.clone(),
        };
        self.destination.sent.note(&delivery.messages);
        let (messages, handed_over) = (delivery.messages.len(), Instant::now());
        let pusher = &self.destination.pusher;
        let pending = pusher.while_confirming(pusher.deliver(delivery)).await?;
        self.unconfirmed.push_back(Unconfirmed {
            pending,
            acknowledged,
            messages,
            handed_over,
        });
        Ok(())
    }

    /// Goes on with a work that a process before left open.
    pub(crate) fn take_over(&mut self, work: Work) {
        self.work = Some(work);
        self.is_taken_over = true;
    }
}

/// The work that messages need; without one, sending would lose them.
pub(super) fn open(work: &mut Option<Work>) -> Result<&mut Work, RunError> {
    work.as_mut().ok_or(RunError::NoWork)
}

fn objects_of(messages: &[Message]) -> u64 {
    messages.iter().map(|message| message.objects).sum()
}
