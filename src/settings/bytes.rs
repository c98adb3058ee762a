//! Sizes in bytes.
//!
//! **Invariant:** a size that passes lies within its bounds.

use std::ops::RangeInclusive;

/// Units of SI and of IEC 80000-13, in lower case, each with its bytes.
const UNITS: [(&str, u64); 11] = [
    ("", 1),
    ("b", 1),
    ("k", 1_000),
    ("kb", 1_000),
    ("m", 1_000_000),
    ("mb", 1_000_000),
    ("g", 1_000_000_000),
    ("gb", 1_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
];

/// The bytes, or what is wrong.
pub(super) fn parse(text: &str, bounds: &RangeInclusive<u64>) -> Result<u64, String> {
    let digits_end = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits_end);
    let unit = unit.trim_start().to_ascii_lowercase();
    let factor = UNITS.iter().find(|(name, _)| *name == unit);
    let number: Option<u64> = number.parse().ok();
    let (Some(number), Some((_, factor))) = (number, factor) else {
        return Err(
            "is not a size; write a whole number of bytes, or for example 256MB or 64MiB"
                .to_owned(),
        );
    };
    let bytes = number.saturating_mul(*factor);
    if bounds.contains(&bytes) {
        return Ok(bytes);
    }
    let (min, max) = (bounds.start(), bounds.end());
    Err(format!("must be a size from {min} to {max} bytes"))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[rstest::rstest]
    #[case("0", 0)]
    #[case("1024", 1024)]
    #[case("12b", 12)]
    #[case("256MB", 256_000_000)]
    #[case("256 mb", 256_000_000)]
    #[case("64 MiB", 67_108_864)]
    #[case("3k", 3_000)]
    #[case("2KiB", 2_048)]
    #[case("1G", 1_000_000_000)]
    #[case("1GiB", 1_073_741_824)]
    fn a_size_is_a_number_with_or_without_a_unit(#[case] text: &str, #[case] bytes: u64) {
        assert_eq!(parse(text, &(0..=u64::MAX)).unwrap(), bytes);
    }

    #[rstest::rstest]
    #[case("", "not a size")]
    #[case("MB", "not a size")]
    #[case("-1", "not a size")]
    #[case("1.5MB", "not a size")]
    #[case("1 000", "not a size")]
    #[case("7 parsecs", "not a size")]
    #[case("99999999999999999999", "not a size")]
    #[case("0", "from 1 to 1000 bytes")]
    #[case("1001", "from 1 to 1000 bytes")]
    #[case("18446744073709551615GB", "from 1 to 1000 bytes")]
    fn refuses_the_rest(#[case] text: &str, #[case] reason: &str) {
        let error = parse(text, &(1..=1000)).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
}
