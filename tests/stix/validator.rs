//! What the validator says of what our connectors write.

use serde_json::Value;

/// What it has to say besides what is meant so: the platform gives its own times to what has none, and an address that is
/// no URI is listed all the same.
pub(crate) fn unexpected_errors(errors: &Value) -> Vec<&str> {
    let objects = errors.as_array().expect("errors").iter();
    let errors = objects.flat_map(|object| object["errors"].as_array().into_iter().flatten());
    let errors = errors.filter_map(Value::as_str);
    let is_meant = |error: &str| {
        let times = [
            "'created' is a required property",
            "'modified' is a required property",
        ];
        times.contains(&error) || error.ends_with(" is not a 'uri'")
    };
    errors.filter(|error| !is_meant(error)).collect()
}
