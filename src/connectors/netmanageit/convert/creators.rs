//! The users who made an object at the source. The platform takes no creator at import, so they travel,
//! if at all, in a label or in an external reference.

use serde::Deserialize;

use super::Choices;
use super::error::ConvertError;
use super::metadata_writer::ObjectMetadata;
use crate::connectors::netmanageit::page::{ExternalReferenceFields, Node, Text};
use crate::connectors::netmanageit::settings::Creators;

#[derive(Deserialize)]
struct Creator<'a> {
    #[serde(borrow)]
    name: Text<'a>,
}

/// Adds the creators to what surrounds an object, as the settings want it.
pub(super) fn put(
    choices: &Choices,
    node: &Node<'_>,
    metadata: &mut ObjectMetadata,
) -> Result<(), ConvertError> {
    if choices.creators == Creators::None {
        return Ok(());
    }
    let creators: Vec<Creator<'_>> = node.decode("creators")?.unwrap_or_default();
    if creators.is_empty() {
        return Ok(());
    }
    match choices.creators {
        Creators::None => {}
        Creators::Label => {
            let labels = creators
                .iter()
                .map(|creator| format!("creator:{}", creator.name.0).into());
            metadata.labels.extend(labels);
        }
        Creators::ExternalReference => {
            let names: Vec<&str> = creators.iter().map(|creator| &*creator.name.0).collect();
            let reference = page_reference(choices, node, &names)?;
            metadata.external_references.extend(reference);
        }
    }
    Ok(())
}

/// The object's page at the source; every kind of object has one under its internal id.
fn page_reference(
    choices: &Choices,
    node: &Node<'_>,
    creators: &[&str],
) -> Result<Option<ExternalReferenceFields>, ConvertError> {
    let Some(id) = node.text("id")? else {
        return Ok(None);
    };
    let mut page = choices.source.clone();
    if let Ok(mut path) = page.path_segments_mut() {
        path.pop().extend(["dashboard", "id", &id]);
    }
    let host = page.host_str().unwrap_or("source").to_owned();
    let description = format!("Created there by {}", creators.join(", "));
    Ok(Some(ExternalReferenceFields::of_page(
        host,
        description,
        page,
    )))
}
