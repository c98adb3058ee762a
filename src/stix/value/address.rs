//! Addresses of the internet protocol, ranges of them, and addresses of network cards.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One address. It is written as RFC 5952 says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "their names say what they are")]
pub enum Address {
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

impl Address {
    /// The address that a text is: four numbers without leading zeros, or one of version 6, without a port and without
    /// a zone. A range of one address (`/32`, `/128`) is that address.
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address = Self::from(address.parse::<IpAddr>().ok()?);
        let is_one = prefix.is_none_or(|prefix| read_prefix(prefix) == Some(address.bits()));
        is_one.then_some(address)
    }

    /// The address of version 4 that one such as `::ffff:192.0.2.1` stands for; every other one as it is.
    #[must_use]
    pub fn unmapped(self) -> Self {
        match self {
            Self::V6(address) => address.to_ipv4_mapped().map_or(self, Self::V4),
            Self::V4(_) => self,
        }
    }

    /// Its type in STIX.
    pub fn stix_type(self) -> &'static str {
        match self {
            Self::V4(_) => "ipv4-addr",
            Self::V6(_) => "ipv6-addr",
        }
    }

    fn bits(self) -> u8 {
        match self {
            Self::V4(_) => 32,
            Self::V6(_) => 128,
        }
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6(address),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => address.fmt(f),
            Self::V6(address) => address.fmt(f),
        }
    }
}

/// A range of addresses, such as `198.51.100.0/24`. Bits behind the prefix stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network {
    address: Address,
    prefix: u8,
}

impl Network {
    /// The range that a text is; none for a range of one address, which is an [`Address`].
    pub fn read(text: &str) -> Option<Self> {
        let (address, prefix) = text.trim().split_once('/')?;
        let address = Address::from(address.parse::<IpAddr>().ok()?);
        let prefix = read_prefix(prefix)?;
        (prefix < address.bits()).then_some(Self { address, prefix })
    }

    /// The range of version 4 that begins there and shares so many bits, one of a single address too; none above 32.
    pub fn of_v4(first: Ipv4Addr, prefix: u8) -> Option<Self> {
        let address = Address::V4(first);
        (prefix <= address.bits()).then_some(Self { address, prefix })
    }

    /// The address in front of the prefix.
    pub fn address(self) -> Address {
        self.address
    }

    /// The type in STIX of its addresses.
    pub fn stix_type(self) -> &'static str {
        self.address.stix_type()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// A number without a sign and without leading zeros.
fn read_prefix(text: &str) -> Option<u8> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let has_zeros = text.len() > 1 && text.starts_with('0');
    (is_plain && !has_zeros).then(|| text.parse().ok())?
}

/// The address of a network card, of 48 bits. It is written in lower case with colons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac([u8; 6]);

impl Mac {
    /// The address that a text is: six pairs of hexadecimal digits with a colon or a hyphen between them.
    pub fn read(text: &str) -> Option<Self> {
        let mut pairs = text.trim().split([':', '-']);
        let mut bytes = [0; 6];
        for byte in &mut bytes {
            let pair = pairs.next().filter(|pair| pair.len() == 2)?;
            // A sign would be taken for a part of the number.
            let is_pair = pair.bytes().all(|digit| digit.is_ascii_hexdigit());
            *byte = u8::from_str_radix(pair, 16).ok().filter(|_| is_pair)?;
        }
        pairs.next().is_none().then_some(Self(bytes))
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            let separator = if place > 0 { ":" } else { "" };
            write!(f, "{separator}{byte:02x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("198.51.100.7", "198.51.100.7")]
    #[case(" 198.51.100.7/32\n", "198.51.100.7")]
    #[case("2001:DB8:0:0:0:0:0:7", "2001:db8::7")]
    #[case("2001:db8::7/128", "2001:db8::7")]
    #[case("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1")]
    #[case("1:0:0:2:0:0:0:3", "1:0:0:2::3")]
    #[case("::ffff:c000:0201", "::ffff:192.0.2.1")]
    #[case("::1", "::1")]
    fn an_address_has_one_form(#[case] text: &str, #[case] form: &str) {
        assert_eq!(Address::read(text).unwrap().to_string(), form);
    }

    #[rstest]
    #[case("198.51.100.07")]
    #[case("198.51.100")]
    #[case("198.51.100.256")]
    #[case("198.51.100.7:443")]
    #[case("198.51.100.7/24")]
    #[case("198.51.100.7/")]
    #[case("198.51.100.7/+32")]
    #[case("198.51.100.7/032")]
    #[case("0x7f.1")]
    #[case("2130706433")]
    #[case("[::1]")]
    #[case("fe80::1%eth0")]
    #[case("1::2::3")]
    #[case("")]
    fn another_text_is_no_address(#[case] text: &str) {
        assert_eq!(Address::read(text), None);
    }

    #[test]
    fn a_mapped_address_is_one_of_version_4_where_that_is_wanted() {
        let unmapped = |text| Address::read(text).unwrap().unmapped().to_string();
        assert_eq!(unmapped("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(unmapped("2001:db8::1"), "2001:db8::1");
        assert_eq!(unmapped("::192.0.2.1"), "::c000:201");
    }

    #[rstest]
    #[case("198.51.100.0/24", Some("198.51.100.0/24"))]
    #[case("0.0.0.0/0", Some("0.0.0.0/0"))]
    #[case("198.51.100.7/31", Some("198.51.100.7/31"))]
    #[case("2001:DB8:0::/32", Some("2001:db8::/32"))]
    #[case("198.51.100.7/32", None)]
    #[case("198.51.100.7/33", None)]
    #[case("198.51.100.7", None)]
    #[case("2001:db8::/129", None)]
    #[case("2001:db8::/-1", None)]
    #[case("2001:db8::/ 1", None)]
    #[case("x/24", None)]
    fn a_range_is_more_than_one_address(#[case] text: &str, #[case] form: Option<&str>) {
        let network = Network::read(text).map(|network| network.to_string());
        assert_eq!(network.as_deref(), form);
    }

    #[rstest]
    #[case(24, Some("198.51.100.0/24"))]
    #[case(0, Some("198.51.100.0/0"))]
    #[case(32, Some("198.51.100.0/32"))]
    #[case(33, None)]
    fn a_range_of_known_numbers_may_be_one_address(#[case] prefix: u8, #[case] form: Option<&str>) {
        let network = Network::of_v4(Ipv4Addr::new(198, 51, 100, 0), prefix);
        let text = network.map(|network| network.to_string());
        assert_eq!(text.as_deref(), form);
    }

    #[rstest]
    #[case("02:00:5E:10:00:FF", Some("02:00:5e:10:00:ff"))]
    #[case(" 02-00-5e-10-00-ff ", Some("02:00:5e:10:00:ff"))]
    #[case("02:00:5e:10:00", None)]
    #[case("02:00:5e:10:00:ff:01", None)]
    #[case("2:0:5e:10:0:ff", None)]
    #[case("+2:00:5e:10:00:ff", None)]
    #[case("02:00:5e:10:00:é", None)]
    #[case("02005e1000ff", None)]
    fn a_network_cards_address_has_six_pairs(#[case] text: &str, #[case] form: Option<&str>) {
        assert_eq!(Mac::read(text).map(|mac| mac.to_string()).as_deref(), form);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(number: u128, prefix in 0..=127_u8, bytes: [u8; 6]) {
            let address = Address::V6(Ipv6Addr::from_bits(number));
            prop_assert_eq!(Address::read(&address.to_string()), Some(address));
            let network = Network { address, prefix };
            prop_assert_eq!(Network::read(&network.to_string()), Some(network));
            prop_assert_eq!(Mac::read(&Mac(bytes).to_string()), Some(Mac(bytes)));
        }
    }
}
