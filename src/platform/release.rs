//! The release of an OpenCTI platform, as `about { version }` writes it.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A release such as `6.7.5` or `7.260309.0-lts.2`; the suffix takes no part in comparisons.
#[derive(Debug, Clone)]
pub struct Release {
    parts: [u64; 3],
    written: String,
}

/// The text is not a release.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a release such as 6.7.5")]
pub struct NotARelease(String);

impl Release {
    /// The release with these three numbers.
    pub fn new(major: u64, minor: u64, patch: u64) -> Self {
        Self {
            parts: [major, minor, patch],
            written: format!("{major}.{minor}.{patch}"),
        }
    }

    /// Whether this release is the given one or a later one.
    pub fn is_at_least(&self, major: u64, minor: u64, patch: u64) -> bool {
        self.parts >= [major, minor, patch]
    }
}

impl FromStr for Release {
    type Err = NotARelease;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let not_a_release = || NotARelease(text.to_owned());
        let numbers = text
            .trim()
            .split(['-', '+', ' '])
            .next()
            .unwrap_or_default();
        let mut parts = [0; 3];
        let mut written = numbers.split('.');
        for part in &mut parts {
            *part = written
                .next()
                .ok_or_else(not_a_release)?
                .parse()
                .map_err(|_| not_a_release())?;
        }
        Ok(Self {
            parts,
            written: text.trim().to_owned(),
        })
    }
}

impl PartialEq for Release {
    fn eq(&self, other: &Self) -> bool {
        self.parts == other.parts
    }
}

impl Eq for Release {}

impl PartialOrd for Release {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Release {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts.cmp(&other.parts)
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_compare_by_number_and_not_by_text() {
        let in_order = [
            "6.0.0",
            "6.0.10",
            "6.2.9",
            "6.10.0",
            "7.260309.0-lts.2",
            "7.260817.0",
        ];
        let releases: Vec<Release> = in_order.iter().map(|text| text.parse().unwrap()).collect();
        assert!(releases.is_sorted());
        assert!(releases[4].is_at_least(7, 260_309, 0));
        assert_eq!(releases[4].to_string(), "7.260309.0-lts.2");
    }

    #[test]
    fn what_is_not_a_release_is_refused() {
        for text in ["", "6", "6.x.1", "testing", "6.7"] {
            assert!(text.parse::<Release>().is_err(), "{text}");
        }
    }
}
