//! Tells a source which objects of a unit are sent.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::watch;

/// Tells the source that handed out a unit which of the objects that it asks after are sent: those that neither the
/// destination nor the size of messages keeps from it. If this is dropped before, nobody will know.
#[derive(Debug, Clone)]
pub struct TellSent {
    asked_after: HashSet<Box<str>>,
    sent: Arc<watch::Sender<Option<HashSet<Box<str>>>>>,
}

/// Hears what [`TellSent`] tells.
#[derive(Debug, Clone)]
pub struct HearSent(watch::Receiver<Option<HashSet<Box<str>>>>);

impl TellSent {
    /// Of these objects, by their STIX ids.
    pub fn of(asked_after: HashSet<Box<str>>) -> (Self, HearSent) {
        let (sent, hear) = watch::channel(None);
        let tell = Self {
            asked_after,
            sent: Arc::new(sent),
        };
        (tell, HearSent(hear))
    }

    /// These objects of the unit are sent, and no others.
    pub fn tell<'a>(&self, ids: impl Iterator<Item = &'a str>) {
        let sent = ids.filter(|id| self.asked_after.contains(*id));
        self.sent.send_replace(Some(sent.map(Into::into).collect()));
    }
}

impl HearSent {
    /// Waits until it is known whether an object is sent; none where nobody will know.
    pub async fn goes(&mut self, id: &str) -> Option<bool> {
        let sent = self.0.wait_for(Option::is_some).await.ok()?;
        sent.as_ref().map(|sent| sent.contains(id))
    }
}
