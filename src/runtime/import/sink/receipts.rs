//! Receipts: what they confirm counts as sent, and the state moves over it.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::Utc;

use super::{Acknowledged, Sink};
use crate::runtime::import::run::RunError;
use crate::runtime::session::state_store::Superseded;
use crate::runtime::session::stop::{SENDING_GRACE, Stopping};
use crate::telemetry::Instruments;
use crate::telemetry::logs::Chain;
use crate::telemetry::metrics::Fate;

impl Sink<'_> {
    /// Takes receipts, in order, until no more than so many are outstanding.
    pub(crate) async fn receipts(&mut self, outstanding: usize) -> Result<(), RunError> {
        while self.unconfirmed.len() > outstanding {
            self.next_receipt().await?;
        }
        Ok(())
    }

    /// Takes the next receipt when it comes; where none is outstanding, none ever comes. What has its
    /// receipt counts as sent, and the state moves over it. May be broken off.
    pub(crate) async fn next_receipt(&mut self) -> Result<(), RunError> {
        let Some(first) = self.unconfirmed.front_mut() else {
            return std::future::pending().await;
        };
        let pusher = &self.destination.pusher;
        // It stays the first until it is there: nothing moves past a unit that was not delivered.
        let receipt = pusher.while_confirming(first.pending.receipt()).await?;
        let acknowledged = std::mem::take(&mut first.acknowledged);
        let (messages, took) = (first.messages, first.handed_over.elapsed());
        self.unconfirmed.pop_front();
        self.activity.now("sending");
        let confirmed = self.progress.advance(receipt);
        self.count_confirmed(messages, took, &acknowledged);
        if let Some((stream, until)) = confirmed {
            let reading = &self.destination.session.instruments.metrics.reading;
            reading.note_seen(stream, until);
        }
        self.note_done(acknowledged)?;
        Ok(())
    }

    fn count_confirmed(&self, messages: usize, took: Duration, acknowledged: &Acknowledged) {
        let Instruments {
            metrics, health, ..
        } = &self.destination.session.instruments;
        health.note_progress();
        if messages > 0 {
            metrics.queue.count_confirm(took);
        }
        metrics.standard.bundles.inc_by(messages as u64);
        metrics
            .standard
            .records
            .inc_by(acknowledged.kinds.len() as u64);
        let mut by_kind: BTreeMap<&str, u64> = BTreeMap::new();
        for kind in &acknowledged.kinds {
            *by_kind.entry(kind).or_default() += 1;
        }
        for (kind, objects) in by_kind {
            metrics.objects.count(kind, Fate::Sent, objects);
        }
        for object in &acknowledged.deferred {
            metrics.objects.count(&object.kind, Fate::Deferred, 1);
        }
        for object in &acknowledged.left {
            metrics.objects.count(&object.kind, Fate::LeftAsIs, 1);
        }
        for skipped in &acknowledged.skipped {
            let (kind, reason) = (&skipped.kind, &skipped.reason);
            metrics.objects.count_not_sent(kind, reason);
        }
    }

    fn note_done(&mut self, acknowledged: Acknowledged) -> Result<(), Superseded> {
        self.tally
            .count_sent(acknowledged.kinds.iter().map(|kind| &**kind));
        self.tally.count_skipped(&acknowledged.skipped);
        self.tally.count_left(&acknowledged.left);
        let (progress, today) = (&self.progress, Utc::now().date_naive());
        let mut given_up = Vec::new();
        self.state_store.change(self.epoch, |state| {
            progress.write(&mut state.streams);
            if let Some(work) = &mut state.work {
                work.count_sent(&acknowledged.kinds);
            }
            state.resolve(&acknowledged.resolved);
            state.note_arrived(&acknowledged.arrived);
            given_up = state.defer_on(today, acknowledged.deferred);
        })?;
        for object in given_up {
            tracing::warn!(
                id = object.id,
                kind = object.kind,
                reason = object.reason,
                "the source has failed at it on seven different days: it is not asked for again until it changes, or what it needs is sent"
            );
        }
        Ok(())
    }

    /// After a failure: what is expected is still delivered, if the broker takes it soon.
    pub(super) async fn last_receipts(&mut self, grace: Duration, stopping: &Stopping) {
        let all = async {
            if let Err(error) = self.receipts(0).await {
                tracing::warn!(error = %Chain(&error), "not every message of the failed run was delivered");
            }
        };
        tokio::select! {
            () = all => {}
            () = tokio::time::sleep(grace) => {}
            () = stopping.after(SENDING_GRACE) => {}
        }
    }
}
