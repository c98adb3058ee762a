//! Which versions a kept text names, whatever else it is.
//!
//! Pure. **Invariant.** What stands at the top of an object is found also where the object is in a list or in a
//! text, breaks off later, or names its version more than once.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::without_mark;

/// So often an object may have been written as a text once more.
const TEXTS: u8 = 3;

/// The versions that a text names, in its order; `null` names none.
pub(super) fn versions(text: &str) -> Vec<Value> {
    let mut found = Vec::new();
    gather(text, TEXTS, &mut found);
    found.retain(|version| !version.is_null());
    found
}

fn gather(text: &str, texts: u8, found: &mut Vec<Value>) {
    let mut reader = serde_json::Deserializer::from_str(without_mark(text));
    // Where it is no JSON, whoever reads it says so. What came before counts.
    Gather { texts, found }.deserialize(&mut reader).ok();
}

struct Gather<'a> {
    texts: u8,
    found: &'a mut Vec<Value>,
}

impl<'de> DeserializeSeed<'de> for Gather<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Gather<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(name) = fields.next_key::<String>()? {
            if name == "version" {
                let version = fields.next_value();
                // One that cannot even be read, such as 1e999, is none of ours.
                let unreadable = || Value::from("that cannot be read");
                self.found
                    .push(version.as_ref().map_or_else(|_| unreadable(), Value::clone));
                version?;
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let texts = self.texts;
        let found = self.found;
        while items
            .next_element_seed(Gather {
                texts,
                found: &mut *found,
            })?
            .is_some()
        {}
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if let Some(texts) = self.texts.checked_sub(1) {
            gather(text, texts, self.found);
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}
