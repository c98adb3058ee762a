//! The elements of an XML that have text, one after the other, without a tree.
//!
//! **Invariant:** what is read at once is one text, and the names of the elements around it, of which there are few.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, Event};

/// How deep elements may lie in one another: those of S3 are four levels deep.
const DEEPEST: usize = 16;

/// Why a text cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum XmlError {
    /// It is no UTF-8.
    #[error("it is no text in UTF-8")]
    NotUtf8(#[from] std::str::Utf8Error),
    /// It is no XML.
    #[error("it is no XML")]
    NotXml(#[from] quick_xml::Error),
    /// It is cut off.
    #[error("it breaks off")]
    CutOff,
    /// It has elements in elements in elements.
    #[error("it has elements in more than {DEEPEST} others")]
    TooDeep,
    /// It refers to something that has to be defined first.
    #[error("it refers to an entity that is not one of XML")]
    Entity,
}

/// Goes over all elements, each when it ends: with the names from the first one down to it, without their name spaces, and
/// with the text that stands in it and in no other.
pub(super) fn elements(
    xml: &[u8],
    mut take: impl FnMut(&[String], String),
) -> Result<(), XmlError> {
    let mut reader = Reader::from_str(std::str::from_utf8(xml)?);
    reader.config_mut().expand_empty_elements = true;
    let mut names: Vec<String> = Vec::new();
    let mut text = String::new();
    loop {
        match reader.read_event()? {
            Event::Start(_) if names.len() >= DEEPEST => return Err(XmlError::TooDeep),
            Event::Start(element) => {
                names.push(element.local_name().as_ref().to_owned());
                text.clear();
            }
            Event::End(_) => {
                take(&names, std::mem::take(&mut text));
                names.pop();
            }
            Event::Text(piece) => text.push_str(&piece.xml10_content()),
            Event::CData(piece) => text.push_str(&piece.xml10_content()),
            Event::GeneralRef(entity) => push(&mut text, &entity)?,
            Event::Eof if names.is_empty() => return Ok(()),
            Event::Eof => return Err(XmlError::CutOff),
            // Nothing that a document type defines is used.
            _ => {}
        }
    }
}

/// Puts the character in that stands behind a number or a name.
fn push(text: &mut String, entity: &BytesRef<'_>) -> Result<(), XmlError> {
    if let Some(c) = entity.resolve_char_ref()? {
        text.push(c);
        return Ok(());
    }
    let known = resolve_predefined_entity(&entity.xml10_content());
    text.push_str(known.ok_or(XmlError::Entity)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn read(xml: &str) -> Result<Vec<(String, String)>, XmlError> {
        let mut read = Vec::new();
        elements(xml.as_bytes(), |names, text| {
            read.push((names.join("/"), text));
        })?;
        Ok(read)
    }

    #[test]
    fn each_element_comes_with_its_own_text() {
        let xml = "<?xml version='1.0'?><a xmlns='urn:x'> <n:b xmlns:n='urn:y'> x&amp;&#x41;&#10;<![CDATA[<y>]]> </n:b><c/></a>";
        let read = read(xml).unwrap();
        let expected = [("a/b", " x&A\n<y> "), ("a/c", ""), ("a", "")];
        let expected = expected.map(|(names, text)| (names.to_owned(), text.to_owned()));
        assert_eq!(read, expected);
    }

    #[rstest]
    #[case("<a><b></a>", "no XML")]
    #[case("<a><b>x</b>", "breaks off")]
    #[case("<a>&file;</a>", "entity")]
    #[case("<!DOCTYPE a [<!ENTITY x \"xxxx\">]><a>&x;</a>", "entity")]
    #[case(&"<a>".repeat(1_000_000), "more than 16")]
    fn what_is_no_such_xml_is_refused(#[case] xml: &str, #[case] words: &str) {
        let error = read(xml).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}
