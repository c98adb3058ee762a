//! The host of a trail: a name or an address, with a port.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

use super::Unusable;

const MOST_LABEL_CHARS: usize = 63;
const MOST_NAME_CHARS: usize = 253;

/// A host in its normal form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host<'a> {
    Name(Cow<'a, str>),
    Address(IpAddr),
}

/// What stands behind the colon of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Port {
    /// There is no colon.
    None,
    /// From 1 to 65535.
    Number(u16),
    /// Something else.
    Unreadable,
}

impl Host<'_> {
    pub(super) fn ipv4(&self) -> Option<Ipv4Addr> {
        match self {
            Self::Address(IpAddr::V4(address)) => Some(*address),
            _ => None,
        }
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl Port {
    pub(super) fn parse(text: &str) -> Self {
        let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(number) if is_digits && number > 0 => Self::Number(number),
            _ => Self::Unreadable,
        }
    }

    pub(super) fn number(self) -> Option<u16> {
        match self {
            Self::Number(number) => Some(number),
            Self::None | Self::Unreadable => None,
        }
    }
}

/// Whether the text begins with an IPv6 address in brackets, and not with a class of a regular expression.
pub(super) fn is_address_in_brackets(text: &str) -> bool {
    in_brackets(text).is_some()
}

fn in_brackets(text: &str) -> Option<(Ipv6Addr, &str)> {
    let (address, behind) = text.strip_prefix('[')?.split_once(']')?;
    Some((address.parse().ok()?, behind))
}

/// Reads what stands in front of the first slash.
pub(super) fn parse(text: &str) -> Result<(Host<'_>, Port), Unusable> {
    if let Some((address, behind)) = in_brackets(text) {
        let port = match behind.strip_prefix(':') {
            Some(port) => Port::parse(port),
            None if behind.is_empty() => Port::None,
            None => return Err(Unusable::BadCharacter),
        };
        return Ok((public(address)?, port));
    }
    if let Ok(address) = text.parse() {
        return Ok((public(address)?, Port::None));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Port::parse(port)),
        None => (text, Port::None),
    };
    if host.is_empty() {
        return Err(Unusable::NoHost);
    }
    Ok((name_or_ipv4(host)?, port))
}

/// An IPv6 address that others can reach; one that stands for an IPv4 address is that.
fn public(address: Ipv6Addr) -> Result<Host<'static>, Unusable> {
    if let Some(address) = address.to_ipv4_mapped() {
        return Ok(Host::Address(address.into()));
    }
    let is_public = !(address.is_unicast_link_local()
        || address.is_unique_local()
        || address.is_loopback()
        || address.is_multicast()
        || address.is_unspecified());
    if is_public {
        return Ok(Host::Address(address.into()));
    }
    Err(Unusable::NotPublic)
}

fn name_or_ipv4(text: &str) -> Result<Host<'_>, Unusable> {
    let text = text.trim_end_matches('.');
    if is_four_numbers(text) {
        let address: Ipv4Addr = text.parse().map_err(|_| Unusable::BadAddress)?;
        return Ok(Host::Address(address.into()));
    }
    let name = ascii(text)?;
    let labels = check_labels(&name)?;
    if labels < 2 {
        return Err(Unusable::SingleWord);
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Unusable::NumericEnd);
    }
    Ok(Host::Name(name))
}

/// `.xyz` from what stands behind its dot.
pub(super) fn suffix(text: &str) -> Result<String, Unusable> {
    let name = ascii(text.trim_end_matches('.'));
    let name = name.and_then(|name| check_labels(&name).map(|_| name));
    let name = name.map_err(|_| Unusable::BadSuffix)?;
    Ok(format!(".{name}"))
}

fn is_four_numbers(text: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    // Most names are told by how they begin.
    text.starts_with(|first: char| first.is_ascii_digit())
        && text.split('.').count() == 4
        && text.split('.').all(is_number)
}

/// The name in lower case, and in ASCII.
fn ascii(text: &str) -> Result<Cow<'_, str>, Unusable> {
    if text.contains(char::is_whitespace) {
        return Err(Unusable::Blank);
    }
    if text.is_ascii() {
        let is_lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        return Ok(if is_lower {
            Cow::Borrowed(text)
        } else {
            Cow::Owned(text.to_ascii_lowercase())
        });
    }
    // Underscores and leading hyphens are no host names, but names they are: the letters are checked afterwards.
    let name = Uts46::new().to_ascii(
        text.as_bytes(),
        AsciiDenyList::EMPTY,
        Hyphens::Allow,
        DnsLength::Ignore,
    );
    let name = name.map_err(|_| Unusable::BadCharacter)?;
    Ok(Cow::Owned(name.trim_end_matches('.').to_owned()))
}

/// How many labels a name in ASCII has.
fn check_labels(name: &str) -> Result<usize, Unusable> {
    let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !name.bytes().all(is_inside) {
        return Err(Unusable::BadCharacter);
    }
    let mut labels = 0;
    for label in name.split('.') {
        if label.is_empty() {
            return Err(Unusable::EmptyLabel);
        }
        if label.len() > MOST_LABEL_CHARS {
            return Err(Unusable::LabelTooLong);
        }
        labels += 1;
    }
    if name.len() > MOST_NAME_CHARS {
        return Err(Unusable::NameTooLong);
    }
    Ok(labels)
}
