//! Labels that are made ahead of the objects that bear them. Within the import of an object, the platform's client goes
//! without a label that it cannot make at that moment (docs/protocol.md#labels); made before, each is there.

use super::operations::{AddLabel, add_label};
use crate::http::RetryPolicy;
use crate::platform::{Platform, PlatformError};
use crate::stix::StixObject;

/// What the object of a label says.
#[derive(serde::Deserialize)]
struct LabelFields {
    value: String,
    color: String,
}

/// Makes a label at the destination, or gives the one that is there its colour, as its import would; false if the
/// object is none of a label with a text and a colour.
///
/// # Errors
/// [`PlatformError`] when the destination refuses.
pub async fn make_label(platform: &Platform, label: &StixObject) -> Result<bool, PlatformError> {
    let Ok(LabelFields { value, color }) = serde_json::from_str(&label.json) else {
        return Ok(false);
    };
    let variables = add_label::Variables {
        input: add_label::LabelAddInput {
            stix_id: Some(label.id.to_string()),
            value,
            color: Some(color),
        },
    };
    let policy = RetryPolicy::FOR_A_PART;
    platform.call::<AddLabel>(variables, policy).await?;
    Ok(true)
}
