//! Where a bucket is: its name and its region.
//!
//! **Invariant:** what passes can be one part of a path, and cannot be another host than it says.

use std::fmt;

/// The longest name, in bytes, as old buckets have them
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>).
const LONGEST_BUCKET: usize = 255;
const SHORTEST_BUCKET: usize = 3;
/// The longest name that can be one part of a host's name.
const LONGEST_LABEL: usize = 63;
const LONGEST_REGION: usize = 64;

/// The name of a bucket: letters, digits, `.`, `-` and `_`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketName(String);

impl BucketName {
    /// Reads a name.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence that begins with the value.
    pub fn read(text: &str) -> Result<Self, String> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let is_name = (SHORTEST_BUCKET..=LONGEST_BUCKET).contains(&text.len())
            && text.chars().all(is_part)
            && text.starts_with(|first: char| first.is_ascii_alphanumeric());
        if is_name {
            return Ok(Self(text.to_owned()));
        }
        Err(format!(
            "is no name of a bucket; write it alone, without an address or a prefix: {SHORTEST_BUCKET} to {LONGEST_BUCKET} letters, digits, ., - and _, of which the first is a letter or a digit"
        ))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it can stand in front of a host's name, for which AWS has a certificate.
    pub(in crate::connectors::misp_feed) fn is_host_label(&self) -> bool {
        let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        self.0.len() <= LONGEST_LABEL && self.0.chars().all(is_part) && !self.0.ends_with('-')
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region(String);

impl Region {
    /// Reads a name. One of AWS becomes part of the host's name; that of another S3 is only signed.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence that begins with the value.
    pub fn read(text: &str, is_aws: bool) -> Result<Self, String> {
        let is_of_aws = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let is_of_others = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let is_part = |c: char| is_of_aws(c) || (!is_aws && is_of_others(c));
        if text.len() <= LONGEST_REGION && text.chars().all(is_part) {
            return Ok(Self(text.to_owned()));
        }
        Err("is no name of a region; write it such as eu-west-1".to_owned())
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
