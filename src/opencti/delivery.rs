//! Messages on their way, and the receipt for them.
//!
//! The runtime's end is the [`Pusher`]; the end of the task that sends, over AMQP or by way of the platform, is the
//! [`Backlog`].
//!
//! **Invariant.** A receipt fires when every message of its delivery is confirmed, and what lies
//! between the two ends is bounded in messages and in bytes: a message keeps its [`BacklogPermit`] until it is
//! confirmed or dropped.

mod backlog;
mod connection_status;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Message, WorkExpectations};
use crate::connector::UnitPosition;

pub(super) use backlog::Backlog;
pub use connection_status::ConnectionStatus;
pub(super) use connection_status::ConnectionStatusSender;

/// Messages that belong together, the last of a unit with the position that the unit reached. The
/// position comes out again only inside the [`Receipt`].
#[derive(Debug)]
pub struct Delivery {
    /// The messages, in order.
    pub messages: Vec<Message>,
    /// Where the unit ends; none for a part of a unit.
    pub position: Option<UnitPosition>,
    /// Adds the expectations of what has to be sent again; none where there is nothing to send.
    pub expectations: Option<Arc<WorkExpectations>>,
    /// Cancelled when nobody wants the messages any more: those not sent by then are dropped.
    pub given_up: CancellationToken,
}

/// The proof that all messages of a delivery were confirmed; nothing else lets a run's progress move.
///
/// ```compile_fail
/// use opencti_connectors::connector::UnitPosition;
/// use opencti_connectors::opencti::Receipt;
/// // A receipt cannot be made by hand: its field is private, and there is no constructor.
/// fn forge(position: UnitPosition) -> Receipt {
///     Receipt { position: Some(position) }
/// }
/// ```
#[derive(Debug)]
#[must_use = "a receipt that is dropped is progress forgotten"]
pub struct Receipt {
    position: Option<UnitPosition>,
}

impl Receipt {
    /// Opens the receipt.
    pub fn into_position(self) -> Option<UnitPosition> {
        self.position
    }
}

/// Without any confirm for so long, a run is given up.
const CONFIRM_TIMEOUT: Duration = Duration::from_mins(10);
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Messages could not be delivered for good.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PushError {
    /// The sender has ended.
    #[error("the sender of messages has stopped")]
    Stopped,
    /// The delivery's token was cancelled before all of it was sent.
    #[error("messages that were not sent yet were given up")]
    GivenUp,
    /// Nothing was confirmed for long.
    #[error(
        "the broker has confirmed nothing for {} minutes; is the address right that the log names, and is the connector still registered?",
        CONFIRM_TIMEOUT.as_secs() / 60
    )]
    NothingConfirmed,
    /// No message so large is taken. Nothing of it was taken; smaller ones are.
    #[error(
        "no message over {limit} bytes is taken, by the broker (its max_message_size) or, with the api protocol, by what stands in front of the destination"
    )]
    TooLarge {
        /// The largest body that is taken, as far as is known.
        limit: usize,
    },
    /// The platform refuses a bundle (api protocol).
    #[error("the destination refused a bundle: {0}")]
    Refused(String),
}

/// How much may lie between a run and the broker; one message larger than all the bytes passes alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) messages: usize,
    pub(super) bytes: u32,
}

/// Takes deliveries and confirms them: RabbitMQ or the API behind it.
#[derive(Debug, Clone)]
pub struct Pusher {
    /// Not bounded itself: nothing enters without a permit.
    outgoing: mpsc::UnboundedSender<Outgoing>,
    places: BacklogPermits,
    /// Messages confirmed so far, of all deliveries.
    confirmed: Arc<AtomicU64>,
    limit: SizeLimit,
    connection_status: watch::Receiver<ConnectionStatus>,
}

/// The largest body that is taken, once one was refused. It only ever falls.
#[derive(Debug, Clone)]
pub(super) struct SizeLimit {
    several: Arc<AtomicUsize>,
    one: Arc<AtomicUsize>,
}

impl SizeLimit {
    fn unknown() -> Self {
        let unknown = || Arc::new(AtomicUsize::new(usize::MAX));
        Self {
            several: unknown(),
            one: unknown(),
        }
    }

    fn lower_to(&self, several: usize, one: usize) {
        self.several.fetch_min(several, Ordering::Relaxed);
        self.one.fetch_min(one, Ordering::Relaxed);
    }

    /// With several objects, and with one.
    fn get(&self) -> Option<(usize, usize)> {
        let (several, one) = (&self.several, &self.one);
        let limits = (several.load(Ordering::Relaxed), one.load(Ordering::Relaxed));
        (limits != (usize::MAX, usize::MAX)).then_some(limits)
    }

    /// The limit that a message exceeds.
    fn exceeded_by(&self, message: &Message) -> Option<usize> {
        let (several, one) = self.get()?;
        let limit = if message.objects == 1 { one } else { several };
        (message.body.len() > limit).then_some(limit)
    }
}

/// The permits for messages between a run and the broker.
#[derive(Debug, Clone)]
struct BacklogPermits {
    messages: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    all_bytes: u32,
}

/// The permit of one message.
#[derive(Debug)]
struct BacklogPermit {
    _message: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

impl BacklogPermits {
    fn new(bounds: Bounds) -> Self {
        Self {
            messages: Arc::new(Semaphore::new(bounds.messages)),
            bytes: Arc::new(Semaphore::new(bounds.bytes as usize)),
            all_bytes: bounds.bytes,
        }
    }

    /// Waits for a permit; they are given in order.
    async fn take(&self, message: &Message) -> Result<BacklogPermit, PushError> {
        let size = u32::try_from(message.body.len()).unwrap_or(u32::MAX);
        let stopped = |_| PushError::Stopped;
        let place = Arc::clone(&self.messages).acquire_owned().await;
        let bytes = Arc::clone(&self.bytes).acquire_many_owned(size.min(self.all_bytes));
        Ok(BacklogPermit {
            _message: place.map_err(stopped)?,
            _bytes: bytes.await.map_err(stopped)?,
        })
    }
}

/// One message on its way.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) message: Message,
    /// It was handed to the broker, who may have it or not: before it is sent again, its expectations are
    /// added again.
    pub(super) in_doubt: bool,
    /// Shared by the messages of one delivery.
    ticket: Arc<Ticket>,
    _place: BacklogPermit,
}

impl Outgoing {
    /// The broker has it.
    pub(super) fn confirm(self) {
        self.ticket.confirm_one();
    }

    /// It cannot be delivered.
    pub(super) fn refuse(self, error: PushError) {
        self.ticket.refuse(error);
    }

    /// Whether nobody wants it any more.
    pub(super) fn is_given_up(&self) -> bool {
        self.ticket.given_up.is_cancelled()
    }

    /// Cancelled when nobody wants it any more.
    pub(super) fn given_up(&self) -> &CancellationToken {
        &self.ticket.given_up
    }

    /// Adds its expectations again, if they are the sender's.
    pub(super) fn expectations(&self) -> Option<&Arc<WorkExpectations>> {
        self.ticket.expectations.as_ref()
    }

    fn is_of_the_delivery_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.ticket, &other.ticket)
    }
}

/// Counts the confirms of one delivery: every message holds it until it is confirmed.
#[derive(Debug)]
struct Ticket {
    state: std::sync::Mutex<TicketState>,
    confirmed: Arc<AtomicU64>,
    expectations: Option<Arc<WorkExpectations>>,
    given_up: CancellationToken,
}

type ReceiptSender = oneshot::Sender<Result<Receipt, PushError>>;

#[derive(Debug)]
struct TicketState {
    unconfirmed: usize,
    receipt: Option<ReceiptSender>,
    position: Option<UnitPosition>,
}

impl Ticket {
    /// One message of the delivery is confirmed.
    fn confirm_one(&self) {
        self.confirmed.fetch_add(1, Ordering::Relaxed);
        self.count_one();
    }

    /// The last to be counted fires the receipt.
    fn count_one(&self) {
        let mut state = self.state();
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
    fn refuse(&self, error: PushError) {
        if let Some(receipt) = self.state().receipt.take() {
            drop(receipt.send(Err(error)));
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, TicketState> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A delivery that was handed over and is not confirmed yet.
#[derive(Debug)]
pub struct Pending {
    receipt: Option<oneshot::Receiver<Result<Receipt, PushError>>>,
}

impl Pending {
    /// Waits until every message is confirmed; after that there is nothing to wait for any more. May be
    /// broken off and begun again.
    ///
    /// # Errors
    /// [`PushError`] when that will never be.
    pub async fn receipt(&mut self) -> Result<Receipt, PushError> {
        if let Some(receipt) = &mut self.receipt {
            let outcome = receipt.await.unwrap_or(Err(PushError::Stopped));
            self.receipt = None;
            return outcome;
        }
        Err(PushError::Stopped)
    }
}

impl Pusher {
    /// A pusher, and the backlog from which its task takes the messages and reports its status.
    pub(super) fn channel(bounds: Bounds) -> (Self, Backlog, ConnectionStatusSender) {
        let (outgoing, incoming) = mpsc::unbounded_channel();
        let (connection, connection_status) = ConnectionStatusSender::new();
        let limit = SizeLimit::unknown();
        let pusher = Self {
            outgoing,
            places: BacklogPermits::new(bounds),
            confirmed: Arc::default(),
            limit: limit.clone(),
            connection_status,
        };
        (pusher, Backlog::new(incoming, limit), connection)
    }

    /// A pusher that takes nothing: for callers that send nothing.
    pub fn nowhere() -> Self {
        let bounds = Bounds {
            messages: 0,
            bytes: 0,
        };
        Self::channel(bounds).0
    }

    /// Whether messages go out at the moment, and if not, why.
    pub fn connection_status(&self) -> watch::Receiver<ConnectionStatus> {
        self.connection_status.clone()
    }

    /// The largest bodies that are taken, in bytes: with several objects, and with one. None as long as none was
    /// refused.
    pub fn largest_bodies(&self) -> Option<(usize, usize)> {
        self.limit.get()
    }

    /// Hands the messages over, waiting while too many are unconfirmed.
    ///
    /// # Errors
    /// [`PushError::Stopped`] when the sending task has ended, [`PushError::GivenUp`] when the
    /// delivery's token is cancelled before all of it is handed over.
    pub async fn deliver(&self, delivery: Delivery) -> Result<Pending, PushError> {
        let (fire, receipt) = oneshot::channel();
        // One more than there are messages, counted below: a unit without any has its receipt at once.
        let ticket = Arc::new(Ticket {
            state: std::sync::Mutex::new(TicketState {
                unconfirmed: delivery.messages.len() + 1,
                receipt: Some(fire),
                position: delivery.position,
            }),
            confirmed: Arc::clone(&self.confirmed),
            expectations: delivery.expectations,
            given_up: delivery.given_up,
        });
        for message in delivery.messages {
            let placing = self.places.take(&message);
            let place = ticket.given_up.run_until_cancelled(placing).await;
            let outgoing = Outgoing {
                message,
                in_doubt: false,
                ticket: Arc::clone(&ticket),
                _place: place.ok_or(PushError::GivenUp)??,
            };
            self.outgoing
                .send(outgoing)
                .map_err(|_| PushError::Stopped)?;
        }
        ticket.count_one();
        Ok(Pending {
            receipt: Some(receipt),
        })
    }

    /// Waits for something that needs the broker, as long as the broker confirms anything at all, or
    /// reports itself that it takes nothing at the moment.
    ///
    /// # Errors
    /// [`PushError::NothingConfirmed`] after ten minutes without a confirm and without a pause.
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
            let is_paused = matches!(
                *self.connection_status.borrow(),
                ConnectionStatus::Paused(_)
            );
            if confirmed != last || is_paused {
                (last, since) = (confirmed, Instant::now());
            }
            if since.elapsed() > CONFIRM_TIMEOUT {
                return Err(PushError::NothingConfirmed);
            }
        }
    }
}

#[cfg(test)]
mod tests;
