//! One observable (STIX 2.1 §6, and the platform's own types): its fields by the table of types.

use std::borrow::Cow;

use serde::Deserialize;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use super::error::{ConvertError, of_field};
use super::fields::put_field;
use super::metadata_writer::ObjectMetadata;
use super::types::{ObservableType, observable_type};
use super::unknown_type;
use super::unknown_type::Written;
use crate::connector::Skipped;
use crate::connectors::netmanageit::files::FileContent;
use crate::connectors::netmanageit::page::{AttachedFiles, Node, Text};
use crate::stix::{JsonKind, ObjectWriter, StixId, StixObject};

/// The kinds of hashes that the platform stores (docs/protocol.md#types).
const HASHES: &[&str] = &[
    "MD5", "SHA-1", "SHA-256", "SHA-512", "SHA3-256", "SHA3-512", "SSDEEP", "SDHASH", "TLSH",
    "LZJD",
];

/// Writes an observable, but for what it refers to.
pub(super) fn write(
    node: &Node<'_>,
    metadata: &ObjectMetadata,
    written: &Written<'_>,
    skipped: &mut Vec<Skipped>,
) -> Result<StixObject, ConvertError> {
    let standard_id = node
        .text("standard_id")?
        .ok_or(ConvertError::Missing("id"))?;
    let entity_type = node
        .text("entity_type")?
        .ok_or(ConvertError::Missing("type"))?;
    let Some(known) = observable_type(&entity_type) else {
        return unknown_type::write(node, &entity_type, metadata, written, skipped);
    };
    check_identity(known, node)?;
    let mut object = ObjectWriter::new(StixId::of(known.stix_type, &standard_id)?);
    if let Some(value) = node.get("hashes").filter(|_| known.has_hashes()) {
        put_hashes(&mut object, node, value, skipped)?;
    }
    for (field, property, kind) in known.fields {
        match node.get(field) {
            // Without it, or with another one, it would be another object.
            Some(value) if known.identified_by.contains(field) => {
                object.put_checked(property, kind.check(value).map_err(of_field(field))?);
            }
            _ => put_field(&mut object, node, (field, property, *kind), skipped),
        }
    }
    put_common(&mut object, node, skipped);
    metadata.put(&mut object);
    Ok(object.finish(known.entity_type)?)
}

/// The content of an artifact. It never goes as `payload_bin`, which the platform's client makes a file
/// without markings of: as a file of ours it has those of its object. Not where one of `files` is it.
pub(super) fn content(
    node: &Node<'_>,
    files: &[FileContent],
    skipped: &mut Vec<Skipped>,
) -> Result<Option<FileContent>, ConvertError> {
    let Some(data) = node.decode::<String>("payload_bin")? else {
        return Ok(None);
    };
    // Content beside an address is refused (docs/protocol.md#files).
    if node.get("url").is_some() {
        skipped.push(Skipped {
            id: super::name_of(node),
            kind: "payload_bin".to_owned(),
            reason: "platforms refuse it beside a url".to_owned(),
        });
        return Ok(None);
    }
    let mime_type: Option<String> = node.decode("mime_type")?;
    let mime_type = mime_type.filter(|mime_type| !mime_type.is_empty());
    let name = content_name(node, mime_type.as_deref())?;
    let comes_already = files.iter().any(|file| file.name == name);
    Ok((!comes_already).then_some(FileContent {
        name,
        mime_type,
        version: None,
        data,
        markings: Vec::new(),
    }))
}

/// The name that the artifact has, else that of the source's own file, else one by its type.
fn content_name(node: &Node<'_>, mime_type: Option<&str>) -> Result<String, ConvertError> {
    let names: Vec<Option<String>> = node
        .decode("x_opencti_additional_names")?
        .unwrap_or_default();
    let given = names.into_iter().flatten().find(|name| !name.is_empty());
    // A list of another shape is named where the files are fetched.
    let files = AttachedFiles::of(node).unwrap_or_default().into_files();
    let stored = || {
        let mut names = files.iter().map(|file| file.name().to_owned());
        names.find(|name| !name.is_empty())
    };
    Ok(given
        .or_else(stored)
        .unwrap_or_else(|| format!("artifact.{}", extension(mime_type))))
}

/// The usual ending of a file of this type (RFC 6838); that of plain bytes where it is not known.
fn extension(mime_type: Option<&str>) -> &'static str {
    let essence = mime_type.and_then(|mime_type| mime_type.split(';').next());
    let essence = essence.unwrap_or_default().trim().to_ascii_lowercase();
    let known = EXTENSIONS.iter().find(|(known, _)| *known == essence);
    known.map_or("bin", |(_, extension)| extension)
}

const EXTENSIONS: &[(&str, &str)] = &[
    ("application/gzip", "gz"),
    ("application/java-archive", "jar"),
    ("application/javascript", "js"),
    ("application/json", "json"),
    ("application/msword", "doc"),
    ("application/pdf", "pdf"),
    ("application/rtf", "rtf"),
    ("application/vnd.android.package-archive", "apk"),
    ("application/vnd.microsoft.portable-executable", "exe"),
    ("application/vnd.ms-excel", "xls"),
    ("application/vnd.ms-outlook", "msg"),
    ("application/vnd.ms-powerpoint", "ppt"),
    (
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "pptx",
    ),
    (
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "xlsx",
    ),
    (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "docx",
    ),
    ("application/vnd.rar", "rar"),
    ("application/x-7z-compressed", "7z"),
    ("application/x-dosexec", "exe"),
    ("application/x-msdownload", "exe"),
    ("application/x-tar", "tar"),
    ("application/xml", "xml"),
    ("application/zip", "zip"),
    ("image/bmp", "bmp"),
    ("image/gif", "gif"),
    ("image/jpeg", "jpg"),
    ("image/png", "png"),
    ("image/svg+xml", "svg"),
    ("image/tiff", "tiff"),
    ("image/webp", "webp"),
    ("message/rfc822", "eml"),
    ("text/csv", "csv"),
    ("text/html", "html"),
    ("text/javascript", "js"),
    ("text/plain", "txt"),
    ("text/xml", "xml"),
];

/// Puts what every observable has.
pub(super) fn put_common(object: &mut ObjectWriter, node: &Node<'_>, skipped: &mut Vec<Skipped>) {
    for (property, kind) in [
        ("x_opencti_score", JsonKind::Integer),
        ("x_opencti_description", JsonKind::Text),
    ] {
        put_field(object, node, (property, property, kind), skipped);
    }
}

/// An observable without any of the fields that make it what it is would be another one at import.
fn check_identity(known: &ObservableType, node: &Node<'_>) -> Result<(), ConvertError> {
    let is_empty = |value: &RawValue| matches!(value.get(), "[]" | "\"\"");
    let is_set = |field: &&&'static str| node.get(field).is_some_and(|value| !is_empty(value));
    let Some(first) = known.identified_by.first() else {
        return Ok(());
    };
    if known.identified_by.iter().any(|field| is_set(&field)) {
        Ok(())
    } else {
        Err(ConvertError::Missing(first))
    }
}

fn put_hashes(
    object: &mut ObjectWriter,
    node: &Node<'_>,
    value: &RawValue,
    skipped: &mut Vec<Skipped>,
) -> Result<(), ConvertError> {
    let hashes: Vec<SourceHash<'_>> = serde_json::from_str(value.get())?;
    let mut stored: Vec<(&'static str, Text<'_>)> = Vec::new();
    for SourceHash { algorithm, hash } in hashes {
        let Some(hash) = hash else { continue };
        let known = HASHES
            .iter()
            .find(|known| known.eq_ignore_ascii_case(&algorithm));
        let reason = match known {
            None => "the platform stores no hashes of this kind",
            Some(known) if stored.iter().any(|(stored, _)| stored == known) => {
                "there can be one such hash, and there is another"
            }
            Some(known) => {
                stored.push((known, hash));
                continue;
            }
        };
        skipped.push(Skipped {
            id: super::name_of(node),
            kind: format!("{algorithm} hash"),
            reason: reason.to_owned(),
        });
    }
    if !stored.is_empty() {
        object.put("hashes", &StixHashes(stored));
    }
    Ok(())
}

#[derive(Deserialize)]
struct SourceHash<'a> {
    #[serde(borrow)]
    algorithm: Cow<'a, str>,
    #[serde(borrow)]
    hash: Option<Text<'a>>,
}

/// The source's list of hashes as STIX's dictionary (STIX 2.1 §2.7): each kind once, by its name of [`HASHES`].
struct StixHashes<'a>(Vec<(&'static str, Text<'a>)>);

impl Serialize for StixHashes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (algorithm, hash) in &self.0 {
            map.serialize_entry(algorithm, hash)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(artifact: &str) -> Option<(String, Option<String>)> {
        let node: Node<'_> = serde_json::from_str(artifact).unwrap();
        let content = content(&node, &[], &mut Vec::new()).unwrap();
        content.map(|content| (content.name, content.mime_type))
    }

    #[test]
    fn content_is_called_as_at_the_source_else_by_its_type() {
        for (artifact, name) in [
            (
                r#"{"payload_bin":"QQ==","mime_type":"application/pdf"}"#,
                "artifact.pdf",
            ),
            (
                r#"{"payload_bin":"QQ==","mime_type":"Text/Plain; charset=utf-8"}"#,
                "artifact.txt",
            ),
            (
                r#"{"payload_bin":"QQ==","mime_type":"application/x-own"}"#,
                "artifact.bin",
            ),
            (r#"{"payload_bin":"QQ=="}"#, "artifact.bin"),
            (
                r#"{"payload_bin":"QQ==","x_opencti_additional_names":["","a.doc"]}"#,
                "a.doc",
            ),
            (
                r#"{"payload_bin":"QQ==","mime_type":"application/pdf","importFiles":{"edges":[{"node":{"id":"1","name":"b.pdf"}}]}}"#,
                "b.pdf",
            ),
        ] {
            assert_eq!(written(artifact).unwrap().0, name, "{artifact}");
        }
    }

    #[test]
    fn each_kind_of_hash_goes_once_and_the_others_are_named() {
        let hashes = r#"[{"algorithm":"MD5","hash":"a"},{"algorithm":"md5","hash":"b"},
            {"algorithm":"MD5","hash":"a"},{"algorithm":"sha-1","hash":null},{"algorithm":"Sha-1","hash":"c"},
            {"algorithm":"\u017fHA-256","hash":"d"},{"algorithm":"CRC","hash":"e"}]"#;
        let row = format!(r#"{{"standard_id":"file--1","hashes":{hashes}}}"#);
        let node: Node<'_> = serde_json::from_str(&row).unwrap();
        let id = "file--613f2e26-407d-48c7-9eca-b8e91df99dc9";
        let mut object = ObjectWriter::new(StixId::of("file", id).unwrap());
        let mut skipped = Vec::new();
        put_hashes(
            &mut object,
            &node,
            node.get("hashes").unwrap(),
            &mut skipped,
        )
        .unwrap();
        let json = object.finish("StixFile").unwrap().json;
        let written = r#""hashes":{"MD5":"a","SHA-1":"c"}}"#;
        assert!(json.ends_with(written), "{json}");
        let named: Vec<&str> = skipped.iter().map(|part| part.kind.as_str()).collect();
        assert_eq!(
            named,
            ["md5 hash", "MD5 hash", "\u{17f}HA-256 hash", "CRC hash"]
        );
    }

    #[test]
    fn content_keeps_the_type_that_the_source_says() {
        let row = r#"{"payload_bin":"QQ==","mime_type":"application/x-own"}"#;
        let mime_type = written(row).unwrap().1;
        assert_eq!(mime_type.as_deref(), Some("application/x-own"));
        assert_eq!(written(r#"{"mime_type":"application/pdf"}"#), None);
    }

    #[test]
    fn a_file_that_comes_along_does_not_come_twice() {
        let node = r#"{"payload_bin":"QQ==","x_opencti_additional_names":["a.doc"]}"#;
        let node: Node<'_> = serde_json::from_str(node).unwrap();
        let first = content(&node, &[], &mut Vec::new()).unwrap().unwrap();
        let again = content(&node, &[first], &mut Vec::new()).unwrap();
        assert!(again.is_none());
    }
}
