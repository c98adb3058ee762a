//! What waits to be sent.
//!
//! **Invariant.** Order is kept, and what is no longer wanted is dropped at once: the
//! task that sends waits for nothing except through this module.

use std::collections::VecDeque;
use std::future::Future;
use std::task::Poll;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Outgoing, PushError, SizeLimit};

/// The messages that wait to be sent, and the end at which more come in.
#[derive(Debug)]
pub(in crate::opencti) struct Backlog {
    incoming: mpsc::UnboundedReceiver<Outgoing>,
    waiting: VecDeque<Outgoing>,
    /// Nothing more will come in.
    is_closed: bool,
    limit: SizeLimit,
}

impl Backlog {
    pub(super) fn new(incoming: mpsc::UnboundedReceiver<Outgoing>, limit: SizeLimit) -> Self {
        Self {
            incoming,
            waiting: VecDeque::new(),
            is_closed: false,
            limit,
        }
    }

    /// The next message that somebody still wants, and that is not too large.
    pub(in crate::opencti) fn take(&mut self) -> Option<Outgoing> {
        while let Some(outgoing) = self.waiting.pop_front() {
            if outgoing.is_given_up() {
                outgoing.refuse(PushError::GivenUp);
                continue;
            }
            match self.limit.exceeded_by(&outgoing.message) {
                Some(limit) => outgoing.refuse(PushError::TooLarge { limit }),
                None => return Some(outgoing),
            }
        }
        None
    }

    /// Notes the largest body that is taken, with several objects and with one, and refuses what waits and is
    /// larger: it was not taken, so that it is not in doubt either.
    pub(in crate::opencti) fn take_at_most(&mut self, several: usize, one: usize) {
        self.limit.lower_to(several, one);
        for outgoing in std::mem::take(&mut self.waiting) {
            match self.limit.exceeded_by(&outgoing.message) {
                Some(limit) => outgoing.refuse(PushError::TooLarge { limit }),
                None => self.waiting.push_back(outgoing),
            }
        }
    }

    /// Puts messages back to the front, in their order.
    pub(in crate::opencti) fn give_back(&mut self, messages: Vec<Outgoing>) {
        for outgoing in messages.into_iter().rev() {
            self.waiting.push_front(outgoing);
        }
    }

    pub(in crate::opencti) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(in crate::opencti) fn waiting(&self) -> &VecDeque<Outgoing> {
        &self.waiting
    }

    /// What waits, to note something about it.
    pub(in crate::opencti) fn waiting_mut(&mut self) -> &mut VecDeque<Outgoing> {
        &mut self.waiting
    }

    /// Nothing waits, and nothing more will come.
    pub(in crate::opencti) fn is_done(&self) -> bool {
        self.is_closed && self.is_empty()
    }

    /// Waits until there is something to send; false when there will be nothing.
    pub(in crate::opencti) async fn has_more(&mut self) -> bool {
        while self.is_empty() && !self.is_closed {
            self.change().await;
        }
        !self.is_empty()
    }

    /// Waits for something else; meanwhile messages come in, and unwanted ones are dropped.
    pub(in crate::opencti) async fn during<T>(&mut self, step: impl Future<Output = T>) -> T {
        let mut step = std::pin::pin!(step);
        loop {
            tokio::select! {
                biased;
                outcome = &mut step => return outcome,
                () = self.change() => {}
            }
        }
    }

    /// Waits until something comes in or is dropped; may be broken off at any time.
    pub(in crate::opencti) async fn change(&mut self) {
        let unwanted = any_cancelled(self.tokens());
        tokio::select! {
            incoming = self.incoming.recv(), if !self.is_closed => match incoming {
                Some(outgoing) => self.waiting.push_back(outgoing),
                None => self.is_closed = true,
            },
            () = unwanted => self.drop_given_up(),
        }
    }

    /// One for each delivery.
    fn tokens(&self) -> Vec<CancellationToken> {
        let mut tokens = Vec::new();
        let mut last: Option<&Outgoing> = None;
        for outgoing in &self.waiting {
            if !last.is_some_and(|last| last.is_of_the_delivery_of(outgoing)) {
                tokens.push(outgoing.given_up().clone());
            }
            last = Some(outgoing);
        }
        tokens
    }

    /// Drops what nobody wants any more.
    pub(in crate::opencti) fn drop_given_up(&mut self) {
        let (unwanted, wanted): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(Outgoing::is_given_up);
        self.waiting = wanted;
        if unwanted.is_empty() {
            return;
        }
        tracing::info!(
            messages = unwanted.len(),
            "messages that nobody wants any more are not sent"
        );
        for outgoing in unwanted {
            outgoing.refuse(PushError::GivenUp);
        }
    }
}

/// Completes with the first that is cancelled; never, when there is none.
async fn any_cancelled(tokens: Vec<CancellationToken>) {
    let mut waits: Vec<_> = tokens
        .into_iter()
        .map(|token| Box::pin(token.cancelled_owned()))
        .collect();
    std::future::poll_fn(|context| {
        for wait in &mut waits {
            if wait.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    })
    .await;
}
