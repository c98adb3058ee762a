//! The push queue over AMQP: one long-lived connection that comes back, and only confirms count.
//!
//! The only user of lapin. Its automatic recovery is not used: a publish that is cancelled while the
//! broker is gone can leave a recovering channel stuck for ever. A *session* is used instead:
//! connect, publish, await confirms; whatever goes wrong with the connection ends the session, and the
//! next one begins with the messages that were not confirmed. A message may so be sent twice, and is
//! never lost. A message that the broker refuses ends nothing: it waits, and is offered again.
//!
//! **Invariant.** A message leaves this module's memory only with a plain Ack, or when it is not wanted
//! any more. A Nack, a message that comes back unroutable, and "confirms are off" are not successes.
//! The expectations of what may have arrived are added again before it is sent again.

mod advice;
mod congestion;
mod connection;
mod depth;
mod names;
mod session;
mod too_large;
mod window;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::delivery::{Backlog, Bounds, ConnectionStatusSender, Outgoing, Pusher};
use super::{BrokerAddress, WorkExpectations};
use crate::http::{RetryPolicy, Waits};
use congestion::CongestionWindow;
use connection::Broker;
pub use connection::ConnectError;
pub use depth::{Depth, DepthError};
use session::{BLOCKED, Session, SessionError};
use window::{BrokerAnswer, Refusal, SendWindow, SettledWindow, WINDOW_BYTES, WINDOW_MESSAGES};

/// As much again as the window holds may wait for its place there.
const BOUNDS: Bounds = Bounds {
    messages: 2 * WINDOW_MESSAGES,
    bytes: 2 * WINDOW_BYTES,
};
/// While answers of the broker are outstanding: between two looks at whether it is still there.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Before another session is begun, after one failed.
const BETWEEN_SESSIONS: RetryPolicy = RetryPolicy {
    first: Duration::from_millis(500),
    longest: Duration::from_secs(30),
    total: None,
};

/// The TLS settings for the broker.
#[derive(Debug, Default, Clone)]
pub struct BrokerTls {
    /// Extra certificate authorities, PEM.
    pub extra_ca: Option<String>,
    /// Our own certificate and key, PEM.
    pub identity: Option<TlsIdentity>,
}

/// The connector's client certificate.
#[derive(Clone)]
pub struct TlsIdentity {
    /// The certificate, PEM.
    pub certificate: Vec<u8>,
    /// Its key, PEM.
    pub key: SecretString,
}

impl std::fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsIdentity")
    }
}

/// Starts the sending task; it ends when every [`Pusher`] is dropped and its messages are confirmed.
pub fn start(address: BrokerAddress, tls: BrokerTls, name: &str) -> Pusher {
    let (pusher, backlog, connection) = Pusher::channel(BOUNDS);
    let sender = QueueSender {
        broker: Broker::new(address, tls, name),
        backlog,
        connection,
        congestion: CongestionWindow::default(),
        waits: BETWEEN_SESSIONS.waits(),
    };
    tokio::spawn(sender.run());
    pusher
}

struct QueueSender {
    broker: Broker,
    backlog: Backlog,
    connection: ConnectionStatusSender,
    congestion: CongestionWindow,
    /// Between two sessions.
    waits: Waits,
}

impl QueueSender {
    /// One session after another, as long as something is to be sent or may come.
    async fn run(mut self) {
        // Nothing to send: no need for a connection yet.
        while self.backlog.has_more().await {
            let Err(error) = self.session().await else {
                return;
            };
            if let SessionError::TooLarge { .. } = error {
                // The broker is well: nothing has to be waited for.
                continue;
            }
            self.connection.disconnected(error.for_people(), &error);
            self.congestion.be_careful();
            let wait = self.waits.next(None).unwrap_or(BETWEEN_SESSIONS.longest);
            self.backlog.during(tokio::time::sleep(wait)).await;
        }
    }

    /// Sends until there is nothing more to come, or the connection fails.
    async fn session(&mut self) -> Result<(), SessionError> {
        let beginning = Box::pin(Session::begin(&self.broker));
        let mut session = self.backlog.during(beginning).await?;
        self.connection.connected(&self.broker);
        let mut window = SendWindow::default();
        let ended = match self.add_again().await {
            Ok(()) => self.send_all(&mut session, &mut window).await,
            Err(error) => Err(error),
        };
        let ending = Box::pin(session.end(&mut window));
        let too_large = self.backlog.during(ending).await;
        let limit = too_large.and_then(|refusal| refusal.limit(window.largest_unanswered()));
        self.settle(&mut window);
        let Some(limit) = limit else { return ended };
        tracing::warn!(
            limit_bytes = limit,
            "the broker refuses larger messages (its max_message_size): they are packed smaller from now on"
        );
        self.backlog.take_at_most(limit, limit);
        Err(SessionError::TooLarge { limit })
    }

    /// What may have arrived is reported by the workers: that has to be expected before it can happen
    /// twice.
    async fn add_again(&mut self) -> Result<(), SessionError> {
        while let Some(unacknowledged) = Unacknowledged::first(self.backlog.waiting()) {
            let announcing = unacknowledged.given_up.run_until_cancelled(
                unacknowledged
                    .expectations
                    .add_again(unacknowledged.objects),
            );
            match self.backlog.during(Box::pin(announcing)).await {
                Some(Ok(())) => unacknowledged.settle(self.backlog.waiting_mut()),
                Some(Err(error)) => return Err(SessionError::AddExpectation(error)),
                // They are dropped, not sent.
                None => self.backlog.drop_given_up(),
            }
        }
        Ok(())
    }

    async fn send_all(
        &mut self,
        session: &mut Session,
        window: &mut SendWindow,
    ) -> Result<(), SessionError> {
        loop {
            self.publish(session, window).await?;
            if window.is_empty() && self.backlog.is_empty() {
                self.connection.sending();
                if self.backlog.is_done() {
                    return Ok(());
                }
            }
            tokio::select! {
                answered = session.next_answer(window), if !window.is_empty() => answered?,
                () = self.backlog.change() => {}
                () = tokio::time::sleep_until(self.congestion.not_before()), if self.congestion.is_pause(Instant::now()) => {}
                () = tokio::time::sleep(LOOK_EVERY), if !window.is_empty() => {
                    if session.look()? {
                        self.connection.paused(BLOCKED);
                    }
                }
            }
            if window.is_answered() {
                self.settle(window);
            }
        }
    }

    /// Fills the window, as far as the pace allows.
    async fn publish(
        &mut self,
        session: &mut Session,
        window: &mut SendWindow,
    ) -> Result<(), SessionError> {
        while self.congestion.allows(window.len(), Instant::now())
            && window.has_room()
            && let Some(outgoing) = self.backlog.take()
        {
            if !session.is_open() {
                self.backlog.give_back(vec![outgoing]);
                return Err(SessionError::Gone);
            }
            // Ours before it is the broker's: whatever happens now, it comes back.
            let body = outgoing.message.body.clone();
            let number = window.admit(outgoing);
            let publishing = session.publish(number, &body, &self.connection);
            let published = self.backlog.during(Box::pin(publishing)).await;
            published.inspect_err(|_| window.answer(number, BrokerAnswer::Lost))?;
        }
        Ok(())
    }

    /// Lets go of what is confirmed and takes back what is not.
    fn settle(&mut self, window: &mut SendWindow) {
        let SettledWindow {
            confirmed,
            back,
            refusal,
        } = window.settle();
        let has_confirmed = !confirmed.is_empty();
        for outgoing in confirmed {
            outgoing.confirm();
        }
        self.backlog.give_back(back);
        if has_confirmed {
            self.waits = BETWEEN_SESSIONS.waits();
            self.congestion.taken();
        }
        match refusal {
            Some(refusal) => {
                self.congestion.refused(Instant::now());
                self.connection.paused(&self.in_words(refusal));
            }
            None if has_confirmed
                && (self.congestion.is_full() || !self.connection.is_paused()) =>
            {
                self.connection.sending();
            }
            None => {}
        }
    }

    fn in_words(&self, refusal: Refusal) -> String {
        match refusal {
            Refusal::Full => {
                "the broker takes no message at the moment: the push queue is at its limit, \
                 or not available; sending goes on as soon as it takes messages again"
                    .to_owned()
            }
            Refusal::Unroutable => format!(
                "the broker knows no queue for {}; sending goes on when the platform has declared it \
                 again, with the next ping; if not, was the connector deleted on the platform?",
                self.broker.routing_key()
            ),
        }
    }
}

/// What may have arrived of one work.
struct Unacknowledged {
    work_id: Arc<str>,
    objects: u64,
    expectations: Arc<WorkExpectations>,
    given_up: CancellationToken,
}

impl Unacknowledged {
    /// The expectations of the first work of which something has to be sent again.
    fn first(waiting: &VecDeque<Outgoing>) -> Option<Self> {
        let is_open = |outgoing: &&Outgoing| outgoing.in_doubt && outgoing.expectations().is_some();
        let first = waiting.iter().find(is_open)?;
        let work_id = &first.message.work_id;
        let meant = waiting
            .iter()
            .filter(|outgoing| outgoing.in_doubt && outgoing.message.work_id == *work_id);
        Some(Self {
            work_id: Arc::clone(work_id),
            objects: meant.map(|outgoing| outgoing.message.counted).sum(),
            expectations: Arc::clone(first.expectations()?),
            given_up: first.given_up().clone(),
        })
    }

    /// Its expectations are added.
    fn settle(&self, waiting: &mut VecDeque<Outgoing>) {
        for outgoing in waiting {
            if outgoing.message.work_id == self.work_id {
                outgoing.in_doubt = false;
            }
        }
    }
}
