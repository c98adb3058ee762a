//! The status of the sending task, for logs and errors.
//!
//! **Invariant.** A status is logged when it begins and when it ends, however often sending is tried
//! meanwhile; its message names no user, no password and no URL.

use std::error::Error;

use tokio::sync::watch;

use crate::telemetry::logs::Chain;

/// Whether messages go out at the moment, and if not, why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ConnectionStatus {
    /// What comes is sent.
    #[default]
    Sending,
    /// The broker is there and takes nothing, or little, at the moment.
    Paused(String),
    /// Nobody is there who could take anything.
    Disconnected(String),
}

/// Where the sending task writes its status.
#[derive(Debug)]
pub(in crate::opencti) struct ConnectionStatusSender {
    connection_status: watch::Sender<ConnectionStatus>,
}

impl ConnectionStatusSender {
    pub(super) fn new() -> (Self, watch::Receiver<ConnectionStatus>) {
        let (connection_status, seen) = watch::channel(ConnectionStatus::default());
        (Self { connection_status }, seen)
    }

    /// What comes is sent.
    pub(in crate::opencti) fn sending(&self) {
        if self.write(ConnectionStatus::Sending) {
            tracing::info!("sending goes on");
        }
    }

    /// Nothing is taken at the moment, for this reason.
    pub(in crate::opencti) fn paused(&self, reason: &str) {
        if self.write(ConnectionStatus::Paused(reason.to_owned())) {
            tracing::warn!(reason, "sending pauses; it goes on by itself");
        }
    }

    /// Nobody is there, for this reason; its cause, for the log, may say more.
    pub(in crate::opencti) fn disconnected(&self, reason: String, cause: &(dyn Error + 'static)) {
        if self.write(ConnectionStatus::Disconnected(reason)) {
            tracing::warn!(
                error = %Chain(cause),
                "sending is interrupted; what is not confirmed will be sent again"
            );
        } else {
            tracing::debug!(error = %Chain(cause), "sending is still interrupted");
        }
    }

    /// A connection is open. While nothing gets through it, that is logged at debug only.
    pub(in crate::opencti) fn connected(&self, broker: &dyn std::fmt::Display) {
        if matches!(
            *self.connection_status.borrow(),
            ConnectionStatus::Disconnected(_)
        ) {
            tracing::debug!(%broker, "connected to the broker");
        } else {
            tracing::info!(%broker, "connected to the broker");
        }
    }

    /// Whether the broker is there and takes nothing, or little.
    pub(in crate::opencti) fn is_paused(&self) -> bool {
        matches!(
            *self.connection_status.borrow(),
            ConnectionStatus::Paused(_)
        )
    }

    /// True when it was not so before.
    fn write(&self, now: ConnectionStatus) -> bool {
        self.connection_status
            .send_if_modified(|connection_status| {
                let is_new = *connection_status != now;
                if is_new {
                    *connection_status = now;
                }
                is_new
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_change_is_logged() {
        let (connection, mut seen) = ConnectionStatusSender::new();
        connection.sending();
        assert!(!seen.has_changed().unwrap());
        connection.paused("full");
        assert!(seen.has_changed().unwrap());
        assert_eq!(
            *seen.borrow_and_update(),
            ConnectionStatus::Paused("full".to_owned())
        );
        connection.paused("full");
        assert!(!seen.has_changed().unwrap());
        connection.disconnected("gone".to_owned(), &std::fmt::Error);
        assert!(!connection.is_paused());
        assert_eq!(
            *seen.borrow(),
            ConnectionStatus::Disconnected("gone".to_owned())
        );
    }
}
