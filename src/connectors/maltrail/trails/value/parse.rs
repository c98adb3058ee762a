//! Reads a trail.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

use regex::bytes::RegexBuilder;

use super::host::{self, Host, Port};
use super::{TrailValue, Unusable};

/// The longest regular expression, in bytes.
const MOST_EXPRESSION_BYTES: usize = 4 * 1024;
/// The largest program of a regular expression, in bytes: a short text can mean a large one.
const MOST_PROGRAM_BYTES: usize = 1 << 20;
/// The most bits that a range of IPv4 addresses can share.
const MOST_RANGE_BITS: u8 = 32;

/// A trail as its line has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trail<'a> {
    /// What it means; never [`TrailValue::Traffic`]: an address and its port are apart here.
    pub value: TrailValue<'a>,
    /// The port of an address or a name that has nothing behind it.
    pub port: Option<u16>,
    /// Whether something stands where a port would, and is none.
    pub is_port_unreadable: bool,
    /// Whether it is a name or an address and nothing else, not even a slash.
    pub is_bare: bool,
    /// Its host, if that is an IPv4 address: the address itself, that of a URL, the one of a range.
    pub host_address: Option<Ipv4Addr>,
}

impl<'a> Trail<'a> {
    /// Reads the text of a line in front of any `#`, without blanks around it.
    ///
    /// # Errors
    ///
    /// Why it is no trail.
    pub fn parse(text: &'a str) -> Result<Self, Unusable> {
        check_letters(text)?;
        if text.starts_with('/') {
            return path(text).map(Self::of);
        }
        if let Some(suffix) = text.strip_prefix('.')
            && !is_expression(text)
        {
            return host::suffix(suffix)
                .map(|suffix| Self::of(TrailValue::Suffix(Cow::Owned(suffix))));
        }
        let (scheme, behind) = split_scheme(text);
        let (authority, rest) = match behind.split_once('/') {
            Some((authority, rest)) => (authority, Some(rest)),
            None => (behind, None),
        };
        let is_bare = scheme.is_none() && rest.is_none();
        let rest = rest.filter(|rest| !rest.is_empty());
        if !host::is_address_in_brackets(authority) && is_expression(authority) {
            return expression(authority, rest);
        }
        let (host, port) = host::parse(authority)?;
        match rest {
            None => Ok(Self::of_host(host, port, is_bare)),
            Some(rest) => match range(scheme, &host, port, rest) {
                Some(range) => Ok(range),
                None => url(scheme, &host, port, rest),
            },
        }
    }

    fn of(value: TrailValue<'a>) -> Self {
        Self {
            value,
            port: None,
            is_port_unreadable: false,
            is_bare: false,
            host_address: None,
        }
    }

    fn of_host(host: Host<'a>, port: Port, is_bare: bool) -> Self {
        let host_address = host.ipv4();
        let value = match host {
            Host::Name(name) => TrailValue::Domain(name),
            Host::Address(IpAddr::V4(address)) => TrailValue::Ipv4(address),
            Host::Address(IpAddr::V6(address)) => TrailValue::Ipv6(address),
        };
        Self {
            port: port.number(),
            is_port_unreadable: port == Port::Unreadable,
            is_bare: is_bare && port == Port::None,
            host_address,
            ..Self::of(value)
        }
    }
}

/// No trail has characters that steer a terminal or the direction of text, and none what stands for bytes that could not
/// be read.
fn check_letters(text: &str) -> Result<(), Unusable> {
    if text.is_ascii() {
        let has_control = text.bytes().any(|byte| byte.is_ascii_control());
        return if has_control {
            Err(Unusable::ControlCharacter)
        } else {
            Ok(())
        };
    }
    if text.contains(char::REPLACEMENT_CHARACTER) {
        return Err(Unusable::NotText);
    }
    if text.contains(is_steering) {
        return Err(Unusable::ControlCharacter);
    }
    Ok(())
}

/// Control characters, and what changes the direction of text or cannot be seen in it.
pub(in super::super) fn is_steering(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
        )
}

fn path(text: &str) -> Result<TrailValue<'_>, Unusable> {
    if text.bytes().all(|byte| byte == b'/') {
        return Err(Unusable::EmptyPath);
    }
    Ok(TrailValue::Path(without_blanks(text)))
}

fn without_blanks(text: &str) -> Cow<'_, str> {
    if text.contains(' ') {
        return Cow::Owned(text.replace(' ', "%20"));
    }
    Cow::Borrowed(text)
}

/// What stands before `://`, where that is a word.
fn split_scheme(text: &str) -> (Option<&str>, &str) {
    match text.split_once("://") {
        Some((scheme, behind)) if is_scheme(scheme) => (Some(scheme), behind),
        _ => (None, text),
    }
}

/// As RFC 3986 has it.
fn is_scheme(text: &str) -> bool {
    let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(is_inside)
}

/// Whether a host is a regular expression: it has a class (`[…]`), or a character that only these have.
fn is_expression(host: &str) -> bool {
    let has_class = || {
        let class = host.split_once('[');
        class.is_some_and(|(_, behind)| behind.contains(']'))
    };
    host.contains(['\\', '^', '$', '*', '|', '{', '}', '(', ')']) || has_class()
}

fn expression<'a>(host: &'a str, rest: Option<&'a str>) -> Result<Trail<'a>, Unusable> {
    let (text, port) = match (host.rsplit_once(':'), rest) {
        (_, Some(rest)) => (Cow::Owned(format!("{host}/{rest}")), Port::None),
        (Some((text, port)), None) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            (Cow::Borrowed(text), Port::parse(port))
        }
        _ => (Cow::Borrowed(host), Port::None),
    };
    if text.len() > MOST_EXPRESSION_BYTES {
        return Err(Unusable::ExpressionTooLong);
    }
    // It is compiled and never run, by an engine whose matches take linear time. Names are ASCII.
    let built = RegexBuilder::new(&text)
        .unicode(!text.is_ascii())
        .size_limit(MOST_PROGRAM_BYTES)
        .build();
    built.map_err(|_| Unusable::BadExpression)?;
    Ok(Trail {
        port: port.number(),
        is_port_unreadable: port == Port::Unreadable,
        ..Trail::of(TrailValue::Expression(text))
    })
}

/// `address/0` to `address/32`, without a scheme and a port.
fn range<'a>(scheme: Option<&str>, host: &Host<'_>, port: Port, rest: &str) -> Option<Trail<'a>> {
    let address = host.ipv4()?;
    let is_number = rest.len() <= 2 && rest.bytes().all(|byte| byte.is_ascii_digit());
    if scheme.is_some()
        || port != Port::None
        || !is_number
        || (rest.len() == 2 && rest.starts_with('0'))
    {
        return None;
    }
    let bits: u8 = rest.parse().ok().filter(|bits| *bits <= MOST_RANGE_BITS)?;
    Some(Trail {
        host_address: Some(address),
        ..Trail::of(TrailValue::Range(first_of_range(address, bits), bits))
    })
}

/// The first address of the range that an address is in.
pub(in super::super) fn first_of_range(address: Ipv4Addr, bits: u8) -> Ipv4Addr {
    let free = u32::from(MOST_RANGE_BITS.saturating_sub(bits));
    let mask = u32::MAX.checked_shl(free).unwrap_or(0);
    Ipv4Addr::from_bits(address.to_bits() & mask)
}

fn url<'a>(
    scheme: Option<&str>,
    host: &Host<'_>,
    port: Port,
    rest: &str,
) -> Result<Trail<'a>, Unusable> {
    let port = match port {
        Port::None => String::new(),
        Port::Number(number) => format!(":{number}"),
        Port::Unreadable => return Err(Unusable::PortBeforePath),
    };
    let scheme = scheme.map_or_else(|| "http".to_owned(), str::to_ascii_lowercase);
    let rest = without_blanks(rest);
    Ok(Trail {
        host_address: host.ipv4(),
        ..Trail::of(TrailValue::Url(Cow::Owned(format!(
            "{scheme}://{host}{port}/{rest}"
        ))))
    })
}
