//! Values that a platform refuses at import, recognised before they are sent: there, each would be an
//! error of the work and nothing more (docs/protocol.md#values). Only what every release refuses counts,
//! unless the release is known; what is taken at the destination must not be kept from it.
//!
//! Pure.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::platform::Release;

/// What of an object decides whether it is taken.
struct CheckedValues<'a> {
    value: Option<BorrowedText<'a>>,
    name: Option<BorrowedText<'a>>,
    pattern: Option<BorrowedText<'a>>,
    pattern_type: Option<BorrowedText<'a>>,
    swid: Option<BorrowedText<'a>>,
    cpe: Option<BorrowedText<'a>>,
    number: Option<&'a RawValue>,
    hashes: Option<BTreeMap<BorrowedText<'a>, BorrowedText<'a>>>,
    score: Option<&'a RawValue>,
}

/// A text, borrowed where it has no escapes.
#[derive(PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
struct BorrowedText<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for BorrowedText<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// The kinds of which a value has to have a form.
const FORMED: &[&str] = &[
    "Autonomous-System",
    "Domain-Name",
    "Hostname",
    "Email-Addr",
    "IPv4-Addr",
    "IPv6-Addr",
    "Mac-Addr",
    "IMEI",
    "ICCID",
    "IMSI",
    "StixFile",
    "Artifact",
    "Software",
    "Indicator",
];

/// Why a destination of this release refuses an object, given its kind in the platform's words and, for a
/// property, JSON that begins with its value; none where nothing says that it does.
pub fn refusal<'a>(
    kind: &str,
    value_of: impl Fn(&str) -> Option<&'a str>,
    release: &Release,
) -> Option<&'static str> {
    if kind == "based-on" {
        return None;
    }
    let Ok(values) = CheckedValues::read(value_of) else {
        // Of types that are not known here, nothing is known to be refused.
        let is_known = FORMED.contains(&kind);
        return is_known.then_some("one of its values is of another kind than platforms take");
    };
    values.refusal(kind, release)
}

/// The value that a text begins with.
fn first<'a, T: Deserialize<'a>>(text: Option<&'a str>) -> Result<Option<T>, serde_json::Error> {
    let value = text.map(|text| Option::deserialize(&mut serde_json::Deserializer::from_str(text)));
    Ok(value.transpose()?.flatten())
}

impl<'a> CheckedValues<'a> {
    fn read(value_of: impl Fn(&str) -> Option<&'a str>) -> Result<Self, serde_json::Error> {
        Ok(Self {
            value: first(value_of("value"))?,
            name: first(value_of("name"))?,
            pattern: first(value_of("pattern"))?,
            pattern_type: first(value_of("pattern_type"))?,
            swid: first(value_of("swid"))?,
            cpe: first(value_of("cpe"))?,
            number: first(value_of("number"))?,
            hashes: first(value_of("hashes"))?,
            score: first(value_of("x_opencti_score"))?,
        })
    }

    fn refusal(&self, kind: &str, release: &Release) -> Option<&'static str> {
        if self.score.is_some_and(|score| !is_score(score)) {
            return Some("its score is no whole number from 0 to 100");
        }
        let value = self.value.as_deref().unwrap_or_default().trim();
        let (is_taken, reason) = match kind {
            "Autonomous-System" => (
                self.number.is_some_and(is_as_number),
                "its number is no AS number that the platform's API can represent (0 to 2147483647)",
            ),
            "Domain-Name" => (is_domain(value), "it is no domain name"),
            "Hostname" => (HOSTNAME.is_match(value), "it is no host name"),
            "Email-Addr" => (EMAIL.is_match(value), "it is no e-mail address"),
            "IPv4-Addr" => (is_ipv4(value, release), "it is no IPv4 address or range"),
            "IPv6-Addr" => (IPV6.is_match(value), "it is no IPv6 address or range"),
            "Mac-Addr" => (MAC.is_match(value), "it is no MAC address"),
            "IMEI" => (is_digits(value, 15, 16), "it is no IMEI (15 or 16 digits)"),
            "ICCID" => (is_digits(value, 18, 22), "it is no ICCID (18 to 22 digits)"),
            "IMSI" => (is_digits(value, 14, 15), "it is no IMSI (14 or 15 digits)"),
            "StixFile" | "Artifact" => (
                self.hashes
                    .iter()
                    .flatten()
                    .all(|(name, hash)| is_hash(name, hash)),
                "one of its hashes has not the length or the digits of its kind",
            ),
            "Software" => (
                self.is_software(),
                "it has neither a name nor a SWID nor a CPE 2.2",
            ),
            "Indicator" => return self.refusal_of_indicator(),
            _ => (true, ""),
        };
        (!is_taken).then_some(reason)
    }

    fn refusal_of_indicator(&self) -> Option<&'static str> {
        let is_set =
            |text: &Option<BorrowedText<'_>>| text.as_ref().is_some_and(|text| !text.is_empty());
        if !is_set(&self.pattern) {
            return Some("it has no pattern");
        }
        if !is_set(&self.pattern_type) {
            return Some("it has no pattern type");
        }
        // Without a name, the import takes the pattern for it.
        let name = self.name.as_ref().or(self.pattern.as_ref())?;
        (name.chars().count() < 2).then_some("its name has fewer than two characters")
    }

    fn is_software(&self) -> bool {
        let is_set =
            |text: &Option<BorrowedText<'_>>| text.as_ref().is_some_and(|text| !text.is_empty());
        let cpe = self.cpe.as_deref().unwrap_or_default();
        is_set(&self.name) || is_set(&self.swid) || CPE.is_match(cpe)
    }
}

fn is_score(score: &RawValue) -> bool {
    score.get().parse::<u8>().is_ok_and(|score| score <= 100)
}

fn is_as_number(number: &RawValue) -> bool {
    number.get().parse::<i32>().is_ok_and(|number| number >= 0)
}

fn is_digits(value: &str, fewest: usize, most: usize) -> bool {
    (fewest..=most).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit())
}

/// Case and blanks around a hash do not count. Kinds that are not here have no form.
fn is_hash(name: &str, hash: &str) -> bool {
    let digits = match name.to_uppercase().as_str() {
        "MD5" => 32,
        "SHA-1" => 40,
        "SHA-256" => 64,
        "SHA-512" => 128,
        _ => return true,
    };
    let hash = hash.trim();
    hash.is_empty() || (hash.len() == digits && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Up to 6.4.5 letters and digits of any script; later nearly anything between dots.
fn is_domain(value: &str) -> bool {
    is_lenient_domain(value) || (DOMAIN_OF_LETTERS.is_match(value) && !value.is_empty())
}

/// The form that is taken from 6.4.6 on. Lengths are those of UTF-16, as the platform counts.
fn is_lenient_domain(value: &str) -> bool {
    let units = |text: &str| text.encode_utf16().count();
    let labels: Vec<&str> = value.split('.').collect();
    let is_label = |label: &&str| (1..=63).contains(&units(label));
    labels.len() > 1
        && units(value) <= 253
        && !value.starts_with('-')
        && !value.contains(char::is_whitespace)
        && labels.iter().all(is_label)
        && labels.last().is_some_and(|last| units(last) > 1)
}

/// Before 7.0 the numbers of an address were not looked at.
fn is_ipv4(value: &str, release: &Release) -> bool {
    if !IPV4.is_match(value) {
        return false;
    }
    let address = value.split('/').next().unwrap_or_default();
    !release.is_at_least(7, 0, 0) || address.parse::<std::net::Ipv4Addr>().is_ok()
}

/// A pattern of ours; the tests compile all of them.
fn pattern(text: &str) -> Regex {
    #[expect(clippy::expect_used, reason = "each is compiled by a test")]
    Regex::new(text).expect("a pattern")
}

static DOMAIN_OF_LETTERS: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^[\p{L}0-9\p{Pd}_]+(\.[\p{L}0-9\p{Pd}_]+)*$"));
static HOSTNAME: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^([A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?$",
    )
});
static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$",
    )
});
static IPV4: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^([0-9]{1,3}\.){3}[0-9]{1,3}(/([0-9]|[1-2][0-9]|3[0-2]))?$"));
static MAC: LazyLock<Regex> = LazyLock::new(|| pattern(r"^([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}$"));
static CPE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^cpe:/(/)?[a-zA-Z0-9_./:-]+"));
static IPV6: LazyLock<Regex> = LazyLock::new(|| {
    let group = "[0-9a-fA-F]{1,4}";
    let four = r"((25[0-5]|(2[0-4]|1?[0-9])?[0-9])\.){3}(25[0-5]|(2[0-4]|1?[0-9])?[0-9])";
    let forms = [
        format!("({group}:){{7}}{group}"),
        format!("({group}:){{1,7}}:"),
        format!("({group}:){{1,6}}:{group}"),
        format!("({group}:){{1,5}}(:{group}){{1,2}}"),
        format!("({group}:){{1,4}}(:{group}){{1,3}}"),
        format!("({group}:){{1,3}}(:{group}){{1,4}}"),
        format!("({group}:){{1,2}}(:{group}){{1,5}}"),
        format!("{group}:(:{group}){{1,6}}"),
        format!("::|:(:{group}){{1,7}}"),
        "fe80:(:[0-9a-fA-F]{0,4}){0,4}%[0-9a-zA-Z]+".to_owned(),
        format!("::(ffff(:0{{1,4}})?:)?{four}"),
        format!("({group}:){{1,4}}:{four}"),
    ];
    let prefix = "(/([0-9]|[1-9][0-9]|1[0-1][0-9]|12[0-8]))?";
    pattern(&format!("^({}){prefix}$", forms.join("|")))
});

#[cfg(test)]
mod tests;
