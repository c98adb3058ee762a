//! Notifies a source which objects of a unit are sent.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::watch;

/// Notifies the source that handed out a unit which of the objects of interest are sent: those that neither the
/// destination nor the size of messages prevents. If this is dropped before, that stays unknown.
#[derive(Debug, Clone)]
pub struct SentNotifier {
    of_interest: HashSet<Box<str>>,
    sent: Arc<watch::Sender<Option<HashSet<Box<str>>>>>,
}

/// Receives what a [`SentNotifier`] reports.
#[derive(Debug, Clone)]
pub struct SentListener(watch::Receiver<Option<HashSet<Box<str>>>>);

impl SentNotifier {
    /// For these objects, by their STIX ids.
    pub fn of(of_interest: HashSet<Box<str>>) -> (Self, SentListener) {
        let (sent, receiver) = watch::channel(None);
        let notifier = Self {
            of_interest,
            sent: Arc::new(sent),
        };
        (notifier, SentListener(receiver))
    }

    /// These objects of the unit are sent, and no others.
    pub fn notify<'a>(&self, ids: impl Iterator<Item = &'a str>) {
        let sent = ids.filter(|id| self.of_interest.contains(*id));
        self.sent.send_replace(Some(sent.map(Into::into).collect()));
    }
}

impl SentListener {
    /// Waits until it is known whether an object is sent; none where that stays unknown.
    pub async fn is_sent(&mut self, id: &str) -> Option<bool> {
        let sent = self.0.wait_for(Option::is_some).await.ok()?;
        sent.as_ref().map(|sent| sent.contains(id))
    }
}
