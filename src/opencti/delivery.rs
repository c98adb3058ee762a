//! Messages on their way, and the receipt for them.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Announcer, Message};
use crate::connector::Position;

/// Messages that belong together, the last of a page with the position that the page reached. The
/// position comes out again only inside the [`Receipt`].
#[derive(Debug)]
pub struct Delivery {
    /// The messages, in order.
    pub messages: Vec<Message>,
    /// Where the page ends; none for a part of a page.
    pub position: Option<Position>,
    /// Announces what has to be sent again; none where there is nothing to send.
    pub announcer: Option<Arc<Announcer>>,
    /// Cancelled when nobody wants the messages any more: those not sent by then are dropped.
    pub given_up: CancellationToken,
}

/// The proof that all messages of a delivery were confirmed; nothing else lets a run's progress move.
///
/// ```compile_fail
/// use netmanageit_connector::connector::Position;
/// use netmanageit_connector::opencti::Receipt;
/// // A receipt cannot be made by hand: its field is private, and there is no constructor.
/// let forged = Receipt { position: Some(Position { stream: "observables", cursor: "x".into() }) };
/// ```
#[derive(Debug)]
#[must_use = "a receipt that is dropped is progress forgotten"]
pub struct Receipt {
    position: Option<Position>,
}

impl Receipt {
    /// Opens the receipt.
    pub fn into_position(self) -> Option<Position> {
        self.position
    }
}

/// Without any confirm for so long, a run is given up.
const PATIENCE: Duration = Duration::from_mins(10);
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Messages could not be delivered for good.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PushError {
    /// The sender has ended.
    #[error("the sender of messages has stopped")]
    Stopped,
    /// Nothing was confirmed for long.
    #[error(
        "the broker has confirmed nothing for {} minutes; is the address right that the log names, and is the connector still registered?",
        PATIENCE.as_secs() / 60
    )]
    NothingConfirmed,
    /// The platform refuses a bundle (api protocol).
    #[error("the destination refused a bundle: {0}")]
    Refused(String),
}

/// Takes deliveries and confirms them: RabbitMQ or the API behind it.
#[derive(Debug, Clone)]
pub struct Pusher {
    outgoing: mpsc::Sender<Outgoing>,
    /// Messages confirmed so far, of all deliveries.
    confirmed: Arc<AtomicU64>,
}

/// One message on its way to the sending task.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) message: Message,
    /// Shared by the messages of one delivery; the last one to be dropped as done fires the receipt.
    pub(super) ticket: Arc<Ticket>,
}

/// Counts the confirms of one delivery: every message holds it until it is confirmed.
#[derive(Debug)]
pub(super) struct Ticket {
    state: std::sync::Mutex<TicketState>,
    confirmed: Arc<AtomicU64>,
}

type ReceiptSender = oneshot::Sender<Result<Receipt, PushError>>;

#[derive(Debug)]
struct TicketState {
    unconfirmed: usize,
    receipt: Option<ReceiptSender>,
    position: Option<Position>,
}

impl Ticket {
    /// One message of the delivery is confirmed.
    pub(super) fn confirm_one(&self) {
        self.confirmed.fetch_add(1, Ordering::Relaxed);
        let mut state = self
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        state.unconfirmed = state.unconfirmed.saturating_sub(1);
        if state.unconfirmed == 0
            && let Some(receipt) = state.receipt.take()
        {
            let position = state.position.take();
            // A run that was stopped no longer waits for it.
            drop(receipt.send(Ok(Receipt { position })));
        }
    }

    /// The delivery cannot be made.
    pub(super) fn refuse(&self, error: PushError) {
        let mut state = self
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(receipt) = state.receipt.take() {
            drop(receipt.send(Err(error)));
        }
    }
}

/// A delivery that was handed over and is not confirmed yet.
#[derive(Debug)]
pub struct Pending {
    receipt: oneshot::Receiver<Result<Receipt, PushError>>,
}

impl Pending {
    /// Waits until every message is confirmed.
    ///
    /// # Errors
    /// [`PushError`] when that will never be.
    pub async fn receipt(self) -> Result<Receipt, PushError> {
        self.receipt.await.unwrap_or(Err(PushError::Stopped))
    }
}

impl Pusher {
    /// A pusher and the end at which its task takes the messages; holds at most `waiting` of them.
    pub(super) fn channel(waiting: usize) -> (Self, mpsc::Receiver<Outgoing>) {
        let (outgoing, taken) = mpsc::channel(waiting);
        (
            Self {
                outgoing,
                confirmed: Arc::default(),
            },
            taken,
        )
    }

    /// Hands the messages over, waiting while too many are unconfirmed.
    ///
    /// # Errors
    /// [`PushError::Stopped`] when the sending task has ended.
    pub async fn deliver(&self, delivery: Delivery) -> Result<Pending, PushError> {
        let (fire, receipt) = oneshot::channel();
        // One more than there are messages, confirmed below: a page without any has its receipt at once.
        let ticket = Arc::new(Ticket {
            confirmed: Arc::clone(&self.confirmed),
            state: std::sync::Mutex::new(TicketState {
                unconfirmed: delivery.messages.len() + 1,
                receipt: Some(fire),
                position: delivery.position,
            }),
        });
        for message in delivery.messages {
            let outgoing = Outgoing {
                message,
                ticket: Arc::clone(&ticket),
            };
            self.outgoing
                .send(outgoing)
                .await
                .map_err(|_| PushError::Stopped)?;
        }
        ticket.confirm_one();
        Ok(Pending { receipt })
    }

    /// Waits for something that needs the broker, as long as the broker confirms anything at all.
    ///
    /// # Errors
    /// [`PushError::NothingConfirmed`] after ten minutes without a confirm.
    pub async fn while_confirming<T>(
        &self,
        step: impl Future<Output = Result<T, PushError>>,
    ) -> Result<T, PushError> {
        let mut step = std::pin::pin!(step);
        let mut last = self.confirmed.load(Ordering::Relaxed);
        let mut since = Instant::now();
        loop {
            tokio::select! {
                outcome = &mut step => return outcome,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let confirmed = self.confirmed.load(Ordering::Relaxed);
            if confirmed != last {
                (last, since) = (confirmed, Instant::now());
            }
            if since.elapsed() > PATIENCE {
                return Err(PushError::NothingConfirmed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(messages: usize) -> Delivery {
        let message = Message {
            body: Vec::new().into(),
            work_id: "work".into(),
            objects: 1,
        };
        Delivery {
            messages: vec![message; messages],
            position: Some(Position {
                stream: "observables",
                cursor: "c".into(),
            }),
            announcer: None,
            given_up: CancellationToken::new(),
        }
    }

    #[tokio::test]
    async fn a_receipt_comes_with_the_last_confirm_and_not_before() {
        let (pusher, mut taken) = Pusher::channel(8);
        let pending = pusher.deliver(delivery(2)).await.unwrap();
        let mut receipt = std::pin::pin!(pending.receipt());
        taken.recv().await.unwrap().ticket.confirm_one();
        assert!(futures_are_pending(receipt.as_mut()).await);
        taken.recv().await.unwrap().ticket.confirm_one();
        assert_eq!(receipt.await.unwrap().into_position().unwrap().cursor, "c");
    }

    #[tokio::test]
    async fn a_page_without_messages_has_its_receipt_at_once() {
        let (pusher, _taken) = Pusher::channel(1);
        assert!(
            pusher
                .deliver(delivery(0))
                .await
                .unwrap()
                .receipt()
                .await
                .is_ok()
        );
    }

    #[tokio::test]
    async fn a_sender_that_ends_leaves_no_receipt() {
        let (pusher, mut taken) = Pusher::channel(8);
        let pending = pusher.deliver(delivery(1)).await.unwrap();
        drop(taken.recv().await);
        drop(taken);
        assert!(matches!(pending.receipt().await, Err(PushError::Stopped)));
        assert!(matches!(
            pusher.deliver(delivery(1)).await,
            Err(PushError::Stopped)
        ));
    }

    async fn futures_are_pending<F: Future>(future: std::pin::Pin<&mut F>) -> bool {
        tokio::time::timeout(std::time::Duration::from_millis(10), future)
            .await
            .is_err()
    }
}
