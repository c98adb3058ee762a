//! The connectors of a platform: registration, ping, and the state that is kept for them.
//!
//! Knows nothing of queues and works. **Invariant**: what is stored is always right; only an answer
//! may be an echo of an earlier moment, as on the platform, which reads anew after it has written
//! (docs/protocol.md#state-and-reset).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{APPLICANT, text};
use crate::time;

/// A connector as the platform knows it.
#[derive(Debug, Clone, Default)]
pub struct Connector {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The input of its last registration.
    pub registration: Value,
    /// How often it registered.
    pub registrations: usize,
    /// The state that is stored for it.
    pub state: Option<String>,
    /// How often it pinged.
    pub pings: usize,
    /// The `connectorInfo` of its last ping.
    pub info: Option<Value>,
    /// When it was made or an admin last reset its state, as ISO.
    pub state_timestamp: Option<String>,
    /// Whether its state was reset and no ping came since.
    pub is_reset: bool,
    /// What a reader saw before the state or its timestamp last changed.
    earlier: Option<Moment>,
}

/// What a ping's answer holds of the state.
#[derive(Debug, Clone, PartialEq)]
struct Moment {
    state: Option<String>,
    timestamp: Option<String>,
    is_reset: bool,
}

/// All connectors.
#[derive(Debug, Default)]
pub(super) struct Connectors {
    known: BTreeMap<String, Connector>,
    /// The last timestamp given, in milliseconds: the next one is later, even within a millisecond.
    last_timestamp: i64,
    /// How many answers are still echoes of an earlier moment.
    stale_answers: usize,
    /// Deleted a moment ago: how many more times a lock on the id is refused.
    locked: BTreeMap<String, usize>,
}

/// The platform refuses locks on a deleted id for 5 s: so many tries, whatever the time.
const LOCKED_TRIES: usize = 3;

impl Connectors {
    pub(super) fn get(&self, id: &str) -> Option<&Connector> {
        self.known.get(id)
    }

    /// The ids of those that have queues.
    pub(super) fn registered(&self) -> Vec<String> {
        let registered = self.known.values().filter(|known| known.registrations > 0);
        registered.map(|known| known.id.clone()).collect()
    }

    /// Takes a registration and gives the answer. What is known of the state stays.
    pub(super) fn register(&mut self, input: &Value) -> Value {
        let id = text(input, "id");
        let timestamp = match self.get(id).and_then(|known| known.state_timestamp.clone()) {
            Some(known) => known,
            None => self.timestamp(),
        };
        let connector = self.entry(id);
        text(input, "name").clone_into(&mut connector.name);
        connector.registration = input.clone();
        connector.registrations += 1;
        connector.state_timestamp = Some(timestamp);
        self.answer(id)
    }

    /// Takes a ping and gives the answer; none for a connector that is not known. The first ping
    /// after a reset brings nothing but the end of the reset.
    pub(super) fn ping(
        &mut self,
        id: &str,
        state: Option<&str>,
        info: Option<&Value>,
    ) -> Option<Value> {
        let connector = self.known.get_mut(id)?;
        connector.pings += 1;
        if let Some(info) = info {
            connector.info = Some(info.clone());
        }
        if connector.is_reset {
            connector.is_reset = false;
        } else {
            connector.change(|connector| connector.state = state.map(str::to_owned));
        }
        Some(self.answer(id))
    }

    /// Empties the state, as an admin does. False for a connector that is not known.
    pub(super) fn reset(&mut self, id: &str) -> bool {
        let timestamp = self.timestamp();
        let Some(connector) = self.known.get_mut(id) else {
            return false;
        };
        connector.change(|connector| {
            connector.state = Some(String::new());
            connector.state_timestamp = Some(timestamp);
            connector.is_reset = true;
        });
        true
    }

    /// Stores a state for a connector, registered or not.
    pub(super) fn set_state(&mut self, id: &str, state: &str) {
        self.entry(id)
            .change(|connector| connector.state = Some(state.to_owned()));
    }

    /// Forgets a connector, whose id cannot be locked for a moment. False for one that is not known.
    pub(super) fn remove(&mut self, id: &str) -> bool {
        let was_known = self.known.remove(id).is_some();
        if was_known {
            self.locked.insert(id.to_owned(), LOCKED_TRIES);
        }
        was_known
    }

    /// Whether a lock on the id is refused this time.
    pub(super) fn is_locked(&mut self, id: &str) -> bool {
        let Some(tries) = self.locked.get_mut(id).filter(|tries| **tries > 0) else {
            return false;
        };
        *tries -= 1;
        true
    }

    /// Makes the next answers to pings and registrations echoes of an earlier moment.
    pub(super) fn echo_stale(&mut self, answers: usize) {
        self.stale_answers = answers;
    }

    fn entry(&mut self, id: &str) -> &mut Connector {
        let new = || Connector {
            id: id.to_owned(),
            ..Connector::default()
        };
        self.known.entry(id.to_owned()).or_insert_with(new)
    }

    fn timestamp(&mut self) -> String {
        self.last_timestamp = time::now().max(self.last_timestamp + 1);
        time::iso(self.last_timestamp)
    }

    /// The answer to a ping or a registration.
    fn answer(&mut self, id: &str) -> Value {
        let is_stale = self.stale_answers > 0;
        self.stale_answers = self.stale_answers.saturating_sub(1);
        let Some(connector) = self.known.get(id) else {
            return Value::Null;
        };
        let earlier = connector.earlier.as_ref().filter(|_| is_stale);
        connector.answer(earlier.unwrap_or(&connector.moment()))
    }
}

impl Connector {
    /// The connector in the field names of the schema.
    pub(super) fn to_json(&self) -> Value {
        self.answer(&self.moment())
    }

    fn answer(&self, moment: &Moment) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "connector_state": moment.state,
            "connector_state_reset": moment.is_reset,
            "connector_state_timestamp": moment.timestamp,
            "connector_user_id": APPLICANT,
            "connector_info": self.info,
            "jwks": r#"{"keys":[]}"#,
        })
    }

    fn moment(&self) -> Moment {
        Moment {
            state: self.state.clone(),
            timestamp: self.state_timestamp.clone(),
            is_reset: self.is_reset,
        }
    }

    /// Makes a change, and remembers what was before if the state or its timestamp moved.
    fn change(&mut self, change: impl FnOnce(&mut Self)) {
        let before = self.moment();
        change(self);
        if self.state != before.state || self.state_timestamp != before.timestamp {
            self.earlier = Some(before);
        }
    }
}
