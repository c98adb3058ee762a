//! Labels whose values come from outside.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::telemetry::safe_text::{NAME, safe};

/// A label's words, safe and short: the first so many, and one for all others.
#[derive(Debug, Clone)]
pub(super) struct Bounded {
    most: usize,
    others: &'static str,
    known: Arc<Mutex<HashSet<String>>>,
}

impl Bounded {
    pub(super) fn new(most: usize, others: &'static str) -> Self {
        Self {
            most,
            others,
            known: Arc::default(),
        }
    }

    pub(super) fn word(&self, word: &str) -> String {
        let word = &*safe(word, NAME);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.contains(word) {
            if known.len() >= self.most {
                return self.others.to_owned();
            }
            known.insert(word.to_owned());
        }
        word.to_owned()
    }
}
