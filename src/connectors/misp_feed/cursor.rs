//! What of a feed is done, as the state keeps it.
//!
//! **Invariant.** An item counts as done with the receipt of its last part. Whoever wrote the state: what is read of it are
//! fingerprints, dates and short texts, or nothing. It has at most some 250 KB.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::done::{DoneItems, Folded, FoldedState, read_all, write_all};
use super::failing::{Failing, FailingItems};
use crate::http::Validators;

/// The name of what the Python connector keeps.
const PYTHON_LAST: &str = "last_event_timestamp";

/// What of a feed is done.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Cursor {
    pub(super) done: DoneItems,
    /// Objects of a bucket of which all is confirmed, and that are to be removed there. They are not among `done`.
    pub(super) removable: DoneItems,
    pub(super) failing: FailingItems,
    /// What the feed is asked with for what is new; none as long as not all that it listed is done or noted as failing.
    pub(super) validators: Validators,
    /// By which settings it was read.
    pub(super) settings: AppliedSettings,
    /// Events up to this time, in seconds since 1970, were imported by the program that ran before.
    pub(super) taken_over: Option<i64>,
}

/// The settings by which a feed was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AppliedSettings {
    /// A digest of those that decide what becomes of an event.
    #[serde(default)]
    pub(super) mapping: String,
    /// From which date on events are imported, as it is set; empty where all are.
    #[serde(default)]
    pub(super) import_from: String,
}

/// The same as it is written.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Written {
    /// How many items are done, for people.
    #[serde(default)]
    items: usize,
    #[serde(default)]
    done: String,
    /// Beside `done`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    left_out: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    removable: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    folded: Option<FoldedState>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    failing: Vec<Failing>,
    #[serde(default)]
    version: Validators,
    #[serde(default)]
    settings: AppliedSettings,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    taken_over: Option<i64>,
}

/// A state that is none of this connector.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotACursor {
    /// It has no members: lists would be taken for what says nothing.
    #[error("it is no object of JSON")]
    NotAnObject,
    /// It has another shape.
    #[error("it has another shape")]
    Shape(#[from] serde_json::Error),
    /// What is done does not stand in it.
    #[error("what is done cannot be read of it")]
    Fingerprints(#[from] super::done::NotFingerprints),
    /// What of that is left out by its date does not.
    #[error("what is left out by its date cannot be read of it")]
    LeftOut(#[from] super::done::NotMarks),
}

impl Cursor {
    /// The cursor that a state holds.
    ///
    /// # Errors
    /// [`NotACursor`] where it is no cursor of this connector.
    pub(super) fn read(value: &Value) -> Result<Self, NotACursor> {
        if !value.is_object() {
            return Err(NotACursor::NotAnObject);
        }
        let written = Written::deserialize(value)?;
        let folded = written.folded.map(Folded::read).transpose()?;
        Ok(Self {
            done: DoneItems::read(read_all(&written.done)?, folded, &written.left_out)?,
            removable: DoneItems::new(read_all(&written.removable)?, None),
            failing: FailingItems::read(written.failing),
            validators: written.version,
            settings: written.settings,
            taken_over: written.taken_over,
        })
    }

    /// As the state keeps it.
    pub(super) fn to_json(&self) -> Value {
        let written = Written {
            items: self.done.count(),
            done: write_all(self.done.single()),
            left_out: self.done.left_out_to_state(),
            removable: write_all(self.removable.single()),
            folded: self.done.folded().map(Folded::to_state),
            failing: self.failing.to_state().to_vec(),
            version: self.validators.clone(),
            settings: self.settings.clone(),
            taken_over: self.taken_over,
        };
        // Nothing in it can fail to be written: texts and numbers.
        serde_json::to_value(written).unwrap_or_default()
    }

    /// The state of the Python connector: a time up to which events are imported. None where it is another one.
    pub(super) fn migrate(state: &Value) -> Option<Self> {
        let last = state.get(PYTHON_LAST)?;
        let text = last.as_str().map(|text| text.trim().parse());
        let last = text.map_or_else(|| last.as_i64(), Result::ok)?;
        Some(Self {
            taken_over: Some(last).filter(|last| *last >= 0),
            ..Self::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::connectors::misp_feed::done::{Fingerprinter, LeftOutByDate, Listed, Place};

    fn listing(items: usize) -> Vec<Listed> {
        let fingerprinter = Fingerprinter::new("6f3a1c52-0b5e-4f43-9d0a-5d1c3a7e9b11");
        let listed = |number: usize| {
            let name: Box<str> = format!("event {number}").into();
            Listed {
                fingerprint: fingerprinter.of(&name, "1"),
                place: Place {
                    timestamp: i64::try_from(number).unwrap(),
                    name,
                },
                is_left_out: false,
            }
        };
        (0..items).map(listed).collect()
    }

    fn cursor(items: usize) -> Cursor {
        let listing = listing(items);
        let mut cursor = Cursor::default();
        for listed in &listing {
            cursor.done.insert(listed.fingerprint);
            cursor.done.fold(&listing, |_| false);
        }
        for (number, listed) in listing.iter().enumerate() {
            let what = match number % 3 {
                0 => LeftOutByDate::All,
                1 => LeftOutByDate::Some,
                _ => continue,
            };
            cursor.done.note_left_out(listed.fingerprint, what);
        }
        cursor.validators.etag = Some("\"abc\"".to_owned());
        cursor.settings = AppliedSettings {
            mapping: "0123456789abcdef0123456789abcdef".to_owned(),
            import_from: "P30D".to_owned(),
        };
        cursor
    }

    #[rstest]
    #[case(0, 1_000)]
    #[case(2_500, 20_000)]
    #[case(40_000, 120_000)]
    fn what_is_written_is_read_and_small(#[case] items: usize, #[case] most: usize) {
        let cursor = cursor(items);
        let written = cursor.to_json();
        assert!(written.to_string().len() <= most);
        assert_eq!(Cursor::read(&written).unwrap(), cursor);
    }

    #[rstest]
    #[case("/done", json!("AAA"))]
    #[case("/done", json!("no base64"))]
    #[case("/done", json!(7))]
    #[case("/left_out", json!("no base64"))]
    #[case("/left_out", json!("A".repeat(20_000)))]
    #[case("/folded/digests", json!("AAAAAAA"))]
    #[case("/folded/up_to", json!("yesterday"))]
    #[case("/failing", json!([{"item": "x"}]))]
    #[case("/failing", json!([{"item": "x", "fingerprint": "", "tries": 1, "reason": ""}]))]
    #[case("/failing", json!([{"item": "x", "fingerprint": "AAAAAAA", "tries": -1, "reason": ""}]))]
    #[case("/version", json!("x"))]
    #[case("/settings/mapping", json!({}))]
    fn what_nobody_here_writes_is_no_cursor(#[case] at: &str, #[case] value: Value) {
        let mut written = cursor(10_001).to_json();
        written["failing"] = json!([]);
        *written.pointer_mut(at).unwrap() = value;
        assert!(Cursor::read(&written).is_err());
    }

    #[rstest]
    #[case(json!({"last_event_timestamp": 1_715_000_000}), &[Some(1_715_000_000)])]
    #[case(json!({"last_event_timestamp": "1715000000", "last_run": 1}), &[Some(1_715_000_000)])]
    #[case(json!({"last_event_timestamp": -5}), &[None])]
    #[case(json!({"last_event_timestamp": "x"}), &[])]
    #[case(json!({"last_event_timestamp": 1e300}), &[])]
    #[case(json!({"last_event_timestamp": null}), &[])]
    #[case(json!({"last_run": 1}), &[])]
    #[case(json!([1]), &[])]
    fn the_state_of_the_python_connector_is_known(
        #[case] state: Value,
        #[case] taken_over: &[Option<i64>],
    ) {
        let migrated = Cursor::migrate(&state);
        let known: Vec<Option<i64>> = migrated.iter().map(|cursor| cursor.taken_over).collect();
        assert_eq!(known, taken_over);
        if let Some(migrated) = migrated {
            assert_eq!(Cursor::read(&migrated.to_json()).unwrap(), migrated);
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[A-Za-z0-9+/=]{0,20}".prop_map(Value::from),
        ];
        let names = prop_oneof![
            "(done|items|left_out|folded|failing|version|settings|taken_over|up_to|digests|count|tries|item)",
            ".{0,3}"
        ];
        leaf.prop_recursive(4, 30, 6, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(names.clone(), inner, 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_state_is_a_cursor_or_an_error(state in any_json()) {
            if let Ok(cursor) = Cursor::read(&state) {
                prop_assert_eq!(Cursor::read(&cursor.to_json()).unwrap(), cursor);
            }
            Cursor::migrate(&state);
        }
    }
}
