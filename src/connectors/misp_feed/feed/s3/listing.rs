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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn page(members: &str) -> Result<Page, String> {
        let xml = format!(
            r#"<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>{members}</ListBucketResult>"#
        );
        read(xml.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn objects_are_as_the_bucket_lists_them() {
        let read = page(
            "<IsTruncated>true</IsTruncated><Contents><Key> a&amp;b&#13;ü+%20.json </Key><LastModified>2026-11-20T10:00:00.000Z</LastModified><ETag>&quot;0a1b&quot;</ETag><Size>12</Size><Owner><ID>x</ID></Owner></Contents><Contents><Key>c</Key><Size>many</Size></Contents><CommonPrefixes><Prefix>d</Prefix></CommonPrefixes><NextContinuationToken>1/x==</NextContinuationToken>",
        );
        let expected = Page {
            objects: vec![
                Listed {
                    key: " a&b\rü+%20.json ".to_owned(),
                    etag: Some("\"0a1b\"".to_owned()),
                    modified: Some("2026-11-20T10:00:00.000Z".to_owned()),
                    size: Some(12),
                },
                Listed {
                    key: "c".to_owned(),
                    ..Listed::default()
                },
            ],
            next: Some("1/x==".to_owned()),
        };
        assert_eq!(read, Ok(expected));
    }

    #[test]
    fn keys_that_a_server_encodes_are_decoded() {
        let read = page(
            "<EncodingType>url</EncodingType><Contents><Key>a+b%2Bc%C3%BC%252F</Key></Contents>",
        );
        assert_eq!(read.unwrap().objects[0].key, "a b+cü%2F");
    }

    #[rstest]
    #[case(
        "<IsTruncated>false</IsTruncated><NextContinuationToken>x</NextContinuationToken>",
        Ok(None)
    )]
    #[case("<NextContinuationToken>x</NextContinuationToken>", Ok(Some("x")))]
    #[case("", Ok(None))]
    #[case("<IsTruncated>true</IsTruncated>", Err("which is the next"))]
    #[case(
        "<IsTruncated>true</IsTruncated><NextContinuationToken/>",
        Err("which is the next")
    )]
    fn there_is_a_next_page_only_where_one_is_named(
        #[case] members: &str,
        #[case] next: Result<Option<&str>, &str>,
    ) {
        match (page(members), next) {
            (Ok(page), next) => assert_eq!(Ok(page.next.as_deref()), next),
            (Err(error), next) => assert!(error.contains(next.unwrap_err()), "{error}"),
        }
    }

    #[rstest]
    #[case("<html><body>Log in</body></html>")]
    #[case("<Error><Code>x</Code></Error>")]
    #[case("")]
    #[case("{}")]
    #[case("<ListBucketResult><Contents><Key>a</Key>")]
    fn what_is_no_page_is_refused(#[case] body: &str) {
        assert!(read(body.as_bytes()).is_err());
    }

    #[rstest]
    #[case(
        "<Error><Code>NoSuchKey</Code><Message>It is not there</Message><Key>k</Key></Error>",
        Some("NoSuchKey"),
        Some("It is not there")
    )]
    #[case("<Error><Code>SlowDown</Code><Mess", Some("SlowDown"), None)]
    #[case("<html><Code>x</Code></html>", None, None)]
    #[case("", None, None)]
    fn an_error_tells_its_code_and_its_message(
        #[case] body: &str,
        #[case] code: Option<&str>,
        #[case] message: Option<&str>,
    ) {
        let told = read_error(body.as_bytes());
        assert_eq!(
            (told.code.as_deref(), told.message.as_deref()),
            (code, message)
        );
    }
}
