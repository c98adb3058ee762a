//! Looks tags up among the threats of the platform.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use crate::connector::RunReporter;
use crate::connectors::misp_feed::tags::Guesses;
use crate::platform::PlatformAccess;

/// What is known of tags in one run.
#[derive(Debug)]
pub(super) struct Guesser {
    platform: Arc<PlatformAccess>,
    asked: HashSet<String>,
    guesses: Arc<Guesses>,
}

impl Guesser {
    /// Nothing is known yet.
    pub(super) fn new(platform: Arc<PlatformAccess>) -> Self {
        Self {
            platform,
            asked: HashSet::new(),
            guesses: Arc::default(),
        }
    }

    /// Which of these names, and of those before, are those of threats.
    pub(super) async fn look_up(
        &mut self,
        names: &BTreeSet<String>,
        reporter: &RunReporter,
    ) -> Arc<Guesses> {
        Arc::clone(&self.guesses)
    }
}
