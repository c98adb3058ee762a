//! What a bucket answers: pages of its list of objects, and errors.

use percent_encoding::percent_decode_str;

use super::xml::{self, XmlError};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// One page of the list of objects
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>).
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) objects: Vec<Listed>,
    /// The name of the next page; none at the end.
    pub(super) next: Option<String>,
}

/// An object as it is listed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) key: String,
    pub(super) etag: Option<String>,
    pub(super) modified: Option<String>,
    pub(super) size: Option<u64>,
}

/// A page that is none.
#[derive(Debug, thiserror::Error)]
enum NotAPage {
    #[error("it is an XML of another kind")]
    OtherKind,
    #[error("it has more pages, and does not say which is the next one")]
    NoNext,
}

/// Reads a page.
pub(super) fn read(body: &[u8]) -> Result<Page, BoxError> {
    let mut reader = PageReader::default();
    xml::elements(body, |names, text| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        reader.take(&names, text);
    })?;
    Ok(reader.page()?)
}

#[derive(Default)]
struct PageReader {
    page: Page,
    object: Listed,
    is_list: bool,
    is_truncated: Option<bool>,
    /// Whether keys are encoded, as some servers do without being asked.
    is_encoded: bool,
}

impl PageReader {
    fn take(&mut self, names: &[&str], text: String) {
        let ["ListBucketResult", names @ ..] = names else {
            return;
        };
        match names {
            [] => self.is_list = true,
            ["Contents", "Key"] => self.object.key = text,
            ["Contents", "ETag"] => self.object.etag = Some(text),
            ["Contents", "LastModified"] => self.object.modified = Some(text),
            ["Contents", "Size"] => self.object.size = text.trim().parse().ok(),
            ["Contents"] => self.page.objects.push(std::mem::take(&mut self.object)),
            ["IsTruncated"] => self.is_truncated = Some(text.trim() == "true"),
            ["NextContinuationToken"] => self.page.next = Some(text),
            ["EncodingType"] => self.is_encoded = text.trim() == "url",
            _ => {}
        }
    }

    fn page(mut self) -> Result<Page, NotAPage> {
        if !self.is_list {
            return Err(NotAPage::OtherKind);
        }
        self.page.next.take_if(|next| next.is_empty());
        match (self.is_truncated, &self.page.next) {
            (Some(true), None) => return Err(NotAPage::NoNext),
            (Some(false), _) => self.page.next = None,
            _ => {}
        }
        if self.is_encoded {
            for object in &mut self.page.objects {
                object.key = decoded(&object.key);
            }
        }
        Ok(self.page)
    }
}

/// A key that was encoded as in a form, where a blank is a plus.
fn decoded(key: &str) -> String {
    let blanks = key.replace('+', " ");
    percent_decode_str(&blanks).decode_utf8_lossy().into_owned()
}

/// What a bucket says of an error.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// A word such as `NoSuchKey`.
    pub(super) code: Option<String>,
    /// For people.
    pub(super) message: Option<String>,
}

/// What stands in the body of an error, as far as it can be read. What else is in it is not for people: the request, and
/// what it was signed as.
pub(super) fn read_error(body: &[u8]) -> Told {
    let mut told = Told::default();
    let read = xml::elements(body, |names, text| match names {
        [error, code] if error == "Error" && code == "Code" => told.code = Some(text),
        [error, message] if error == "Error" && message == "Message" => told.message = Some(text),
        _ => {}
    });
    match read {
        Ok(()) | Err(XmlError::CutOff) => {}
        Err(error) => tracing::debug!("the body of an error is not read further: {error}"),
    }
    told
}
