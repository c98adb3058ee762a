//! What waits in the packer for the workers: when it is looked whether it can go, and what becomes of the units that
//! it belongs to.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::works::open;
use super::{Sink, UnitEnd};
use crate::http::RetryPolicy;
use crate::opencti::{KnownObjects, WorkCount};
use crate::runtime::import::packer::Wave;
use crate::runtime::import::quiescence::Quiescence;
use crate::runtime::import::run::RunError;
use crate::stix::StixId;
use crate::telemetry::logs::Chain;

/// The first look comes after so long, each further one after a tenth more.
const FIRST_LOOK: Duration = Duration::from_millis(50);
const LONGEST_LOOK: Duration = Duration::from_secs(2);
/// The first question for single objects comes with the first look, each further one after half as long again.
const RAREST_QUESTION: Duration = Duration::from_mins(1);
/// An answer about the workers that takes longer is not waited for.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Of so many objects that others wait for it is asked at once whether they are there.
const ASKED_FOR: usize = 500;
/// What waits at the end of a run comes with what it needs instead, where it is no more than this, and no more than one in
/// so many of what was sent.
const MOST_OF_FEW: usize = 20;
const FEW: u64 = 500;
/// After so long without a report, where the reports say that all is imported, what the destination lacks failed, or a
/// worker died at it.
const MISSED_FOR: Duration = Duration::from_secs(3);

/// When it is looked for the workers, and how long they have done nothing.
#[derive(Debug)]
pub(super) struct WorkerWatch {
    patience: Duration,
    /// Whether there are workers to wait for; none as long as nobody has asked.
    has_workers: Option<bool>,
    /// What the work counted when it was no longer waited for.
    gave_up_at: Option<WorkCount>,
    every: Duration,
    next: Instant,
    /// How long after the last question for single objects the next one comes.
    ask_every: Duration,
    next_question: Instant,
    /// The first of what is asked for next, of all that is waited for.
    next_asked: usize,
    /// The destination refuses such questions.
    is_refused: bool,
    /// What the work counted last, and since when.
    last: Option<(WorkCount, Instant)>,
    quiescence: Quiescence,
    /// What the work counted when the destination lacked something of what it counts as imported, and since when.
    missed_at: Option<(WorkCount, Instant)>,
}

/// How far the workers are, by a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looked {
    /// They are busy.
    NotYet,
    /// They have imported all that was sent.
    Everything,
    /// Nothing more comes of what was sent, and some of it is not there: its import failed, or a worker died at it.
    NothingMore,
}

impl WorkerWatch {
    pub(super) fn new(patience: Duration) -> Self {
        let now = Instant::now();
        Self {
            patience,
            has_workers: None,
            gave_up_at: None,
            every: FIRST_LOOK,
            next: now + FIRST_LOOK,
            ask_every: FIRST_LOOK,
            next_question: now,
            next_asked: 0,
            is_refused: false,
            last: None,
            quiescence: Quiescence::default(),
            missed_at: None,
        }
    }

    /// Notes that messages were sent: how the workers stood before says nothing of them.
    pub(super) fn note_sent(&mut self) {
        self.last = None;
        self.missed_at = None;
        self.quiescence = Quiescence::default();
    }

    /// Notes how long a look took: the next one comes after ten times as long, but no later than any, since a look that
    /// sends may wait for the broker.
    fn note_look(&mut self, took: Duration) {
        let pause = (took * 10).min(LONGEST_LOOK);
        self.next = self.next.max(Instant::now() + pause);
    }

    /// Looks soon: something has gone, and more may follow.
    fn look_soon(&mut self) {
        (self.every, self.next) = (FIRST_LOOK, Instant::now() + FIRST_LOOK);
    }

    /// Looks and asks soon: something is waited for that was not before.
    fn begin_anew(&mut self) {
        self.look_soon();
        (self.ask_every, self.next_question) = (FIRST_LOOK, Instant::now());
        self.note_sent();
    }

    /// Whether it is time to ask for single objects.
    fn is_question_due(&mut self) -> bool {
        let now = Instant::now();
        if self.is_refused || now < self.next_question {
            return false;
        }
        self.ask_every = (self.ask_every * 3 / 2).min(RAREST_QUESTION);
        self.next_question = now + self.ask_every;
        true
    }

    /// Some of what is waited for, each time others.
    fn choose(&mut self, waited_for: &[StixId]) -> Vec<StixId> {
        if self.next_asked >= waited_for.len() {
            self.next_asked = 0;
        }
        let chosen = waited_for.iter().skip(self.next_asked).take(ASKED_FOR);
        self.next_asked += ASKED_FOR;
        chosen.cloned().collect()
    }

    /// Notes a look; whether the workers have done nothing for longer than is waited for them.
    fn is_out_of_patience(&mut self, count: WorkCount) -> bool {
        self.every = (self.every * 11 / 10).min(LONGEST_LOOK);
        let now = Instant::now();
        self.next = now + self.every;
        match self.last {
            // What is reported beyond what is expected is no progress: a message comes again and again.
            Some((before, since)) if before.missing() <= count.missing() => {
                since.elapsed() >= self.patience
            }
            _ => {
                self.last = Some((count, now));
                false
            }
        }
    }
}

impl Sink<'_> {
    /// Whether objects wait for what was sent before: not without workers, nor for those that have done nothing for long,
    /// until they do something; nor where the destination does not say what it has.
    pub(super) async fn decide_what_waits(&mut self) {
        if !self.destination.sends_to_queue || self.watch.patience.is_zero() {
            return;
        }
        let has_workers = match self.watch.has_workers {
            Some(known) => known,
            None => self.destination.has_workers(ANSWER_LIMIT).await,
        };
        if self.watch.has_workers.is_none() && !has_workers {
            tracing::debug!("no worker is known: in this run objects go with what they need");
        }
        self.watch.has_workers = Some(has_workers);
        if let (Some(gave_up_at), Some(work)) = (self.watch.gave_up_at, &mut self.work)
            && let Ok(count) = work.count().await
            && count.processed > gave_up_at.processed
        {
            self.watch.gave_up_at = None;
        }
        self.packer
            .hold_back(has_workers && self.watch.gave_up_at.is_none() && !self.watch.is_refused);
        if self.packer.held() == 0 {
            self.watch.begin_anew();
        }
    }

    /// When to look next whether what waits can go; none where nothing waits.
    pub(crate) fn next_look(&self) -> Option<Instant> {
        (self.packer.held() > 0).then_some(self.watch.next)
    }

    /// Looks whether the workers are through with what was sent, and sends what has waited for it.
    pub(crate) async fn look_at_workers(
        &mut self,
        stop: &CancellationToken,
    ) -> Result<(), RunError> {
        let began = Instant::now();
        self.look_at_work().await?;
        let count = open(&mut self.work)?.count().await?;
        let looked = self.look(count).await?;
        let is_out_of_patience = self.watch.is_out_of_patience(count);
        match looked {
            Looked::Everything => {
                self.packer.note_imported();
                self.ask_for_identities().await;
                self.release(stop).await?;
            }
            Looked::NothingMore => {
                tracing::debug!(
                    objects = self.packer.held(),
                    "some of what was sent is not there: what waits goes with what it needs"
                );
                self.release_with_needs(stop).await?;
            }
            Looked::NotYet if is_out_of_patience => {
                tracing::info!(
                    objects = self.packer.held(),
                    "no worker has imported anything for a while: what waits for them goes with what it needs"
                );
                self.watch.gave_up_at = Some(count);
                self.packer.hold_back(false);
                self.release_with_needs(stop).await?;
            }
            Looked::NotYet => {
                self.ask_for_what_is_waited_for().await;
                self.release_after_news(stop).await?;
            }
        }
        self.watch.note_look(began.elapsed());
        Ok(())
    }

    /// How far the workers are with what was sent. Only what the destination has, by its own word, counts as imported:
    /// reports that do not come are no proof of anything, nor is an empty queue, as long as messages wait here for the
    /// broker.
    async fn look(&mut self, count: WorkCount) -> Result<Looked, RunError> {
        if self.watch.is_refused {
            return Ok(Looked::NothingMore);
        }
        if open(&mut self.work)?.is_imported(count) {
            if !self.misses_a_message(count).await {
                return Ok(if self.watch.is_refused {
                    Looked::NothingMore
                } else {
                    Looked::Everything
                });
            }
            let since = self.watch.missed_at.map(|(_, since)| since);
            let is_over = since.is_some_and(|since| since.elapsed() >= MISSED_FOR);
            return Ok(if is_over && self.is_all_confirmed() {
                Looked::NothingMore
            } else {
                Looked::NotYet
            });
        }
        if !self.is_all_confirmed() {
            self.watch.quiescence = Quiescence::default();
            return Ok(Looked::NotYet);
        }
        let quiescence = &mut self.watch.quiescence;
        Ok(if quiescence.is_reached(self.destination, count).await {
            Looked::NothingMore
        } else {
            Looked::NotYet
        })
    }

    /// Whether the broker has confirmed all messages that were handed over.
    fn is_all_confirmed(&self) -> bool {
        self.unconfirmed
            .iter()
            .all(|unconfirmed| unconfirmed.messages == 0)
    }

    /// Whether the workers are through with all that was sent: their reports say so, and the destination has the last
    /// object of each message. A message that the broker delivers twice, because a worker died at it, is reported twice.
    async fn is_all_imported(&mut self, count: WorkCount) -> Result<bool, RunError> {
        if open(&mut self.work)?.is_imported(count) && !self.misses_a_message(count).await {
            return Ok(true);
        }
        let quiescence = &mut self.watch.quiescence;
        if !quiescence.is_reached(self.destination, count).await {
            return Ok(false);
        }
        let work = open(&mut self.work)?;
        work.check().await?;
        work.settle(count);
        Ok(true)
    }

    /// Waits until the destination has the last object of each message, where the reports say that all is imported.
    pub(super) async fn until_nothing_is_missed(&mut self) -> Result<(), RunError> {
        // By waves, nothing shows it but the reports.
        if self.packer.last_of_messages().is_empty() {
            return Ok(());
        }
        loop {
            let count = open(&mut self.work)?.count().await?;
            if self.is_all_imported(count).await? {
                return Ok(());
            }
            self.activity.now("waiting for the workers");
            tokio::time::sleep(LONGEST_LOOK).await;
        }
    }

    /// Whether the destination lacks the last object of a message. It is asked again when the count has changed.
    async fn misses_a_message(&mut self, count: WorkCount) -> bool {
        if self
            .watch
            .missed_at
            .is_some_and(|(missed_at, _)| missed_at == count)
        {
            return true;
        }
        if self.watch.is_refused {
            return false;
        }
        let mut last = self.packer.last_of_messages();
        // Where these were there before the run, what is waited for shows it.
        last.extend(self.packer.waited_for());
        if last.is_empty() {
            return false;
        }
        let known = self.known_of(&last).await;
        if self.watch.is_refused {
            return false;
        }
        let is_there = |id: &&StixId| known.as_ref().is_some_and(|known| known.has(id));
        let (there, missing): (Vec<&StixId>, Vec<&StixId>) = last.iter().partition(is_there);
        self.packer.note_arrived(there);
        let is_missed = !missing.is_empty() && known.is_some();
        self.watch.missed_at = is_missed.then(|| (count, Instant::now()));
        !missing.is_empty()
    }

    /// An identity whose import failed is not there: objects would go without it, or not at all.
    pub(super) async fn ask_for_identities(&mut self) {
        let imported = self.packer.take_imported_identities();
        let Some(known) = self.known_of(&imported).await else {
            if !self.watch.is_refused {
                self.packer.put_back_identities(imported);
            }
            return;
        };
        for id in imported.iter().filter(|id| !known.has(id)) {
            tracing::warn!(
                id = id.as_str(),
                "an author was imported, and the destination does not have it; the work there says why"
            );
            self.packer.note_missing(id);
        }
    }

    /// Asks whether some of what is waited for is there by now, or was before.
    async fn ask_for_what_is_waited_for(&mut self) {
        if !self.watch.is_question_due() {
            return;
        }
        let waited_for = self.watch.choose(&self.packer.waited_for());
        if let Some(known) = self.known_of(&waited_for).await {
            let there = waited_for.iter().filter(|id| known.has(id));
            self.packer.note_arrived(there);
        }
    }

    /// Which of these the destination has; none where it does not say. Without an answer nothing is lost but time.
    async fn known_of(&mut self, ids: &[StixId]) -> Option<KnownObjects> {
        if ids.is_empty() || self.watch.is_refused {
            return None;
        }
        let ids: Vec<&str> = ids.iter().map(StixId::as_str).collect();
        let platform = &self.destination.session.platform;
        match KnownObjects::ask_with(platform, &ids, RetryPolicy::NEVER).await {
            Ok(known) => Some(known),
            Err(error) => {
                tracing::debug!(error = %Chain(&error), "the destination does not say what it has of what is waited for");
                self.watch.is_refused |= error.kind().is_for_good();
                None
            }
        }
    }

    /// Sends what still waits when everything is read: as soon as the workers let it.
    pub(crate) async fn send_what_waits(
        &mut self,
        stop: &CancellationToken,
    ) -> Result<(), RunError> {
        if stop.is_cancelled() {
            return self.send_all_that_waits().await;
        }
        while self.packer.held() > 0 {
            let held = self.packer.held();
            if held <= MOST_OF_FEW && held as u64 * FEW < self.handed_over {
                return self.release_with_needs(stop).await;
            }
            self.until_next_look(stop).await?;
            if stop.is_cancelled() {
                return self.send_all_that_waits().await;
            }
            self.look_at_workers(stop).await?;
        }
        Ok(())
    }

    /// Sends what waits of units whose end waits for it, with what it needs: the run ends here.
    pub(crate) async fn send_all_that_waits(&mut self) -> Result<(), RunError> {
        self.packer.hold_back(false);
        let Some((last, _)) = self.held_ends.back() else {
            return Ok(());
        };
        if self.work.is_none() || self.state_store.epoch() != self.epoch {
            return Ok(());
        }
        let wave = self.packer.release_all_until(*last);
        self.send_held(wave, &CancellationToken::new()).await
    }

    /// Waits while so much waits that nothing more should be read.
    pub(super) async fn until_room(&mut self, stop: &CancellationToken) -> Result<(), RunError> {
        while self.packer.is_full() && !stop.is_cancelled() {
            self.until_next_look(stop).await?;
            self.look_at_workers(stop).await?;
        }
        Ok(())
    }

    /// Takes receipts until it is time to look again, or to stop.
    async fn until_next_look(&mut self, stop: &CancellationToken) -> Result<(), RunError> {
        self.activity.now("waiting for the workers");
        let next = self.watch.next;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(next) => return Ok(()),
                () = stop.cancelled() => return Ok(()),
                received = self.next_receipt() => received?,
            }
        }
    }

    /// The end of a unit counts once nothing of it waits, nor of those before it.
    pub(super) async fn end_unit(&mut self, end: UnitEnd) -> Result<(), RunError> {
        let unit = self.packer.last_unit();
        self.held_ends.push_back((unit, end));
        self.end_units().await
    }

    async fn release_after_news(&mut self, stop: &CancellationToken) -> Result<(), RunError> {
        if self.packer.has_news() {
            self.release(stop).await
        } else {
            Ok(())
        }
    }

    async fn release_with_needs(&mut self, stop: &CancellationToken) -> Result<(), RunError> {
        let wave = self.packer.release_all();
        self.send_held(wave, stop).await
    }

    async fn release(&mut self, stop: &CancellationToken) -> Result<(), RunError> {
        let wave = self.packer.release();
        self.send_held(wave, stop).await
    }

    async fn send_held(&mut self, wave: Wave, stop: &CancellationToken) -> Result<(), RunError> {
        if !wave.batches.is_empty() {
            self.watch.look_soon();
            if !self.wave(wave, None, stop).await? {
                return Ok(());
            }
        }
        self.end_units().await
    }

    async fn end_units(&mut self) -> Result<(), RunError> {
        let first_held = self.packer.first_held_unit().unwrap_or(u64::MAX);
        while let Some((unit, _)) = self.held_ends.front()
            && *unit < first_held
        {
            if let Some((_, end)) = self.held_ends.pop_front() {
                self.deliver(Vec::new(), Some(end)).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A look that had to wait for a broker that was away says nothing of how long a look takes.
    #[tokio::test(start_paused = true)]
    async fn the_next_look_comes_soon_also_behind_one_that_took_long() {
        let mut watch = WorkerWatch::new(Duration::from_secs(90));
        for seconds in [1, 60, 600] {
            watch.look_soon();
            watch.note_look(Duration::from_secs(seconds));
            assert_eq!(watch.next - Instant::now(), LONGEST_LOOK);
        }
        watch.look_soon();
        watch.note_look(Duration::from_millis(1));
        assert_eq!(watch.next - Instant::now(), FIRST_LOOK);
    }
}
