//! A bundle around objects.

use std::sync::Arc;

use uuid::Uuid;

use super::StixObject;
use super::make_id::NAMESPACE;

/// Writes a bundle of the objects, in this order (STIX 2.1 §8). Its id follows from theirs, so that the same objects
/// make the same bundle; no reader looks at it.
pub fn bundle(objects: &[Arc<StixObject>]) -> String {
    let keys: Vec<u8> = objects
        .iter()
        .flat_map(|object| object.key.to_be_bytes())
        .collect();
    let size: usize = objects.iter().map(|object| object.json.len() + 1).sum();
    let mut text = String::with_capacity(size + 96);
    text.push_str(r#"{"type":"bundle","id":"bundle--"#);
    text.push_str(&Uuid::new_v5(&NAMESPACE, &keys).to_string());
    text.push_str(r#"","objects":["#);
    for (place, object) in objects.iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        text.push_str(&object.json);
    }
    text.push_str("]}");
    text
}
