//! The platform's client, asked about our objects.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use opencti_connectors::stix::{StixId, StixObject, bundle};
use serde_json::{Value, json};

use crate::oracle;

/// The client reads these in one message, each once; what the validator says of them.
pub(crate) fn read_by_client(objects: &[Arc<StixObject>]) -> Value {
    let message = json!({
        "type": "bundle",
        "applicant_id": "88ec0c6a-13ce-5e39-b486-354fe4a7084f",
        "update": true,
        "content": BASE64.encode(bundle(objects)),
    });
    let mut read = oracle::ask("read_messages.py", &[message], &[]);
    assert_eq!(read["message_errors"], json!([]));
    assert_eq!(read["incompatible"], json!([]));
    assert_eq!(read["objects"], json!(objects.len()));
    assert_eq!(read["distinct_ids"], json!(objects.len()));
    read["validator_errors"].take()
}

/// The client makes each of these ids of what belongs to it.
pub(crate) fn assert_made_by_client(ids: impl IntoIterator<Item = (StixId, Value)>) {
    let (ours, asked): (Vec<StixId>, Vec<Value>) = ids
        .into_iter()
        .map(|(id, arguments)| {
            let asked = json!({ "maker": id.stix_type(), "arguments": arguments });
            (id, asked)
        })
        .unzip();
    let answer = oracle::ask("make_ids.py", &asked, &[]);
    let theirs = answer["ids"].as_array().expect("ids");
    assert_eq!(theirs.len(), ours.len());
    for ((ours, theirs), asked) in ours.iter().zip(theirs).zip(&asked) {
        assert_eq!(theirs, ours.as_str(), "{asked}");
    }
}
