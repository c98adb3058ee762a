//! Files that come with an object.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{ImportedFile, extension};
use crate::data::Record;

/// The files of an object by name; those without content are left out, as by the client. An error
/// for content that is not base64, which costs the object.
pub(super) fn files_of(object: &Record) -> Result<Vec<(String, ImportedFile)>, String> {
    let lists = [object.get("x_opencti_files"), extension(object, "files")];
    let files = lists.into_iter().flatten().filter_map(Value::as_array);
    let with_content = files.flatten().filter_map(|file| {
        let data = file.get("data")?.as_str()?;
        Some((file, data))
    });
    with_content.map(|(file, data)| read(file, data)).collect()
}

fn read(file: &Value, data: &str) -> Result<(String, ImportedFile), String> {
    let text = |name: &str| file.get(name).and_then(Value::as_str);
    let name = text("name").ok_or("'name' of a file is missing")?;
    let content = STANDARD.decode(data);
    let content = content.map_err(|error| format!("the content of {name}: {error}"))?;
    let is_quiet = file.get("no_trigger_import").and_then(Value::as_bool) == Some(true);
    let read = ImportedFile {
        mime_type: text("mime_type")
            .unwrap_or("application/octet-stream")
            .to_owned(),
        content,
        triggers_import: !is_quiet,
    };
    Ok((name.to_owned(), read))
}
