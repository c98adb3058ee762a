//! Which values the platform takes (docs/protocol.md#values): the plain cases, not its own expressions.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::data::Record;

/// Whether an observable has the form that the platform asks for.
pub(super) fn is_taken(object: &Record) -> bool {
    let value = object.text("value");
    match object.text("type") {
        "ipv4-addr" => is_address::<Ipv4Addr>(value, 32),
        "ipv6-addr" => is_address::<Ipv6Addr>(value, 128),
        "mac-addr" => is_mac(value),
        "domain-name" => {
            value.contains('.')
                && value
                    .split('.')
                    .all(|label| !label.is_empty() && !label.contains(' '))
        }
        "hostname" => value.split('.').all(is_host_label),
        "email-addr" => value.split_once('@').is_some_and(|(user, host)| {
            !user.is_empty() && !host.is_empty() && !value.contains(' ')
        }),
        "autonomous-system" => object
            .get("number")
            .and_then(serde_json::Value::as_u64)
            .is_some_and(|number| number < 1 << 31),
        "imei" => is_digits(value, 15..=16),
        "iccid" => is_digits(value, 18..=22),
        "imsi" => is_digits(value, 14..=15),
        "file" | "artifact" => has_whole_hashes(object),
        _ => true,
    }
}

fn is_address<A: std::str::FromStr>(value: &str, longest: u8) -> bool {
    let (address, prefix) = value.split_once('/').unwrap_or((value, "0"));
    address.parse::<A>().is_ok() && prefix.parse::<u8>().is_ok_and(|prefix| prefix <= longest)
}

fn is_host_label(label: &str) -> bool {
    let is_taken = |byte: u8| byte.is_ascii_alphanumeric() || [b'-', b'_'].contains(&byte);
    !label.is_empty() && label.bytes().all(is_taken)
}

fn is_mac(value: &str) -> bool {
    let parts: Vec<&str> = value.split([':', '-']).collect();
    parts.len() == 6
        && parts
            .iter()
            .all(|part| part.len() == 2 && u8::from_str_radix(part, 16).is_ok())
}

fn is_digits(value: &str, lengths: std::ops::RangeInclusive<usize>) -> bool {
    lengths.contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit())
}

fn has_whole_hashes(object: &Record) -> bool {
    let hashes = object.get("hashes").and_then(serde_json::Value::as_object);
    hashes.into_iter().flatten().all(|(kind, hash)| {
        let digits = match kind.as_str() {
            "MD5" => 32,
            "SHA-1" => 40,
            "SHA-256" => 64,
            "SHA-512" => 128,
            _ => return true,
        };
        hash.as_str().is_some_and(|hash| {
            hash.len() == digits && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    })
}
