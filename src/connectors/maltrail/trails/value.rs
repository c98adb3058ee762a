//! What a trail is: a name, an address, a URL … in its normal form, or why it is nothing.

mod host;
mod parse;
mod unusable;

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use parse::Trail;
pub(super) use parse::{first_of_range, is_steering};
pub use unusable::Unusable;

/// What a trail says, in its normal form: two trails that mean the same have equal values.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TrailValue<'a> {
    /// A domain name: two labels or more, lower case, as IDNA's ASCII, without a final dot.
    Domain(Cow<'a, str>),
    /// An IPv4 address.
    Ipv4(Ipv4Addr),
    /// An IPv6 address that others can reach.
    Ipv6(Ipv6Addr),
    /// An address and a port as one value, `address:port`: only where network traffic is asked for.
    Traffic(IpAddr, u16),
    /// A URL with scheme, host and something behind its first slash: `http://example.com/a`. Scheme and host are in
    /// lower case, all else is as written, a blank is `%20`.
    Url(Cow<'a, str>),
    /// A range of IPv4 addresses, as the first of them and how many bits they share (0 to 32).
    Range(Ipv4Addr, u8),
    /// A path of a URL on any host: it begins with `/`, a blank is `%20`.
    Path(Cow<'a, str>),
    /// A regular expression for domain names. It compiles; it is not to be run.
    Expression(Cow<'a, str>),
    /// Everything below a suffix: `.xyz`. It begins with a dot; labels as those of a domain name.
    Suffix(Cow<'a, str>),
}

/// Which form a value has: those of [`TrailValue`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are described with the values")]
pub enum TrailForm {
    Domain,
    Ipv4,
    Ipv6,
    Traffic,
    Url,
    Range,
    Path,
    Expression,
    Suffix,
}

impl TrailValue<'_> {
    /// Its form.
    pub fn form(&self) -> TrailForm {
        match self {
            Self::Domain(_) => TrailForm::Domain,
            Self::Ipv4(_) => TrailForm::Ipv4,
            Self::Ipv6(_) => TrailForm::Ipv6,
            Self::Traffic(..) => TrailForm::Traffic,
            Self::Url(_) => TrailForm::Url,
            Self::Range(..) => TrailForm::Range,
            Self::Path(_) => TrailForm::Path,
            Self::Expression(_) => TrailForm::Expression,
            Self::Suffix(_) => TrailForm::Suffix,
        }
    }

    /// The value as people read it: `203.0.113.7:443`, `[2001:db8::1]:443`, `198.51.100.0/24`, and the others as
    /// they are.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Domain(text)
            | Self::Url(text)
            | Self::Path(text)
            | Self::Expression(text)
            | Self::Suffix(text) => Cow::Borrowed(text),
            Self::Ipv4(address) => Cow::Owned(address.to_string()),
            Self::Ipv6(address) => Cow::Owned(address.to_string()),
            Self::Traffic(address, port) => {
                Cow::Owned(std::net::SocketAddr::new(*address, *port).to_string())
            }
            Self::Range(first, bits) => Cow::Owned(format!("{first}/{bits}")),
        }
    }

    /// The address, where the value is one and nothing else.
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Ipv4(address) => Some((*address).into()),
            Self::Ipv6(address) => Some((*address).into()),
            _ => None,
        }
    }

    /// The value with its own texts.
    pub fn into_owned(self) -> TrailValue<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Domain(text) => TrailValue::Domain(own(text)),
            Self::Ipv4(address) => TrailValue::Ipv4(address),
            Self::Ipv6(address) => TrailValue::Ipv6(address),
            Self::Traffic(address, port) => TrailValue::Traffic(address, port),
            Self::Url(text) => TrailValue::Url(own(text)),
            Self::Range(first, bits) => TrailValue::Range(first, bits),
            Self::Path(text) => TrailValue::Path(own(text)),
            Self::Expression(text) => TrailValue::Expression(own(text)),
            Self::Suffix(text) => TrailValue::Suffix(own(text)),
        }
    }
}

#[cfg(test)]
mod tests;
