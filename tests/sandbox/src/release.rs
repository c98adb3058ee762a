//! Releases of the platform, compared number by number.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Error, ensure};

/// A release such as `6.7.5` or `7.260309.0-lts.2`; the suffix does not take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release([u32; 3]);

impl Release {
    /// The oldest release whose behaviour is known.
    pub const FIRST: Self = Self::new(6, 0, 0);
    /// The newest release whose behaviour is known.
    pub const LATEST: Self = Self::new(7, 260_817, 0);

    /// The release of these three numbers.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self([major, minor, patch])
    }
}

impl FromStr for Release {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let numbers = text.split_once('-').map_or(text, |(numbers, _)| numbers);
        let mut parts = [0; 3];
        let mut given = numbers.split('.');
        for part in &mut parts {
            let number = given
                .next()
                .with_context(|| format!("{text:?} is not a release"))?;
            *part = number
                .parse()
                .with_context(|| format!("{text:?} is not a release"))?;
        }
        ensure!(given.next().is_none(), "{text:?} is not a release");
        Ok(Self(parts))
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([major, minor, patch]) = self;
        write!(f, "{major}.{minor}.{patch}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_compare_by_number_and_without_their_suffix() {
        let release = |text: &str| text.parse::<Release>().unwrap();
        assert!(release("6.0.9") < release("6.0.10"));
        assert!(release("6.9.28") < release("7.260224.0"));
        assert_eq!(release("7.260309.0-lts.2"), Release::new(7, 260_309, 0));
        assert_eq!(release("6.7.5").to_string(), "6.7.5");
        assert!("6.7".parse::<Release>().is_err());
    }
}
