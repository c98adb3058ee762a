//! Where a redirect may lead.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::StatusCode;
use url::{Host, Url};

/// Whether redirects are followed. A credential never goes along to another origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirects {
    /// None is.
    Never,
    /// So many in a row, but never from https to http, nor from a public host to a private one.
    Follow {
        /// The most in a row.
        most: usize,
        /// Whether they may lead to another scheme, host or port at all.
        elsewhere: bool,
    },
}

/// Why a redirect is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RedirectRefusal {
    /// There were too many.
    #[error("it leads from one address to the next without an end")]
    TooMany,
    /// It names no address, or none of HTTP.
    #[error("it leads to no address of http or https")]
    NoAddress,
    /// What was encrypted would not be any more.
    #[error("it leads from https to http")]
    NotEncrypted,
    /// It leads into a private network.
    #[error("it leads to an address of a private network")]
    Private,
    /// It leads to another host.
    #[error("it leads to another host")]
    Elsewhere,
}

impl Redirects {
    /// The same, but to the site's own origin alone.
    pub(super) fn at_site(self) -> Self {
        match self {
            Self::Never => Self::Never,
            Self::Follow { most, .. } => Self::Follow {
                most,
                elsewhere: false,
            },
        }
    }

    /// The address that is asked next, where an answer with this status and `Location` is followed; none where the
    /// answer counts as it is.
    pub(super) fn next(
        self,
        followed: usize,
        status: StatusCode,
        (site, asked): (&AskedSite<'_>, &Url),
        location: Option<&str>,
    ) -> Result<Option<Url>, RedirectRefusal> {
        let Self::Follow { most, elsewhere } = self else {
            return Ok(None);
        };
        // 300 and 304 to 306 lead nowhere (RFC 9110 §15.4).
        if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
            return Ok(None);
        }
        if followed >= most {
            return Err(RedirectRefusal::TooMany);
        }
        let location = location.ok_or(RedirectRefusal::NoAddress)?;
        let next = asked
            .join(location)
            .map_err(|_| RedirectRefusal::NoAddress)?;
        check(site, asked, &next, elsewhere)?;
        Ok(Some(next))
    }
}

/// The site that leads elsewhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct AskedSite<'a> {
    pub(super) url: &'a Url,
    /// Whether it is in a private network itself, and may lead to others there.
    pub(super) is_private: bool,
}

fn check(
    site: &AskedSite<'_>,
    asked: &Url,
    next: &Url,
    elsewhere: bool,
) -> Result<(), RedirectRefusal> {
    match next.scheme() {
        "https" => {}
        "http" if asked.scheme() == "http" => {}
        "http" => return Err(RedirectRefusal::NotEncrypted),
        _ => return Err(RedirectRefusal::NoAddress),
    }
    if next.host().is_none() {
        return Err(RedirectRefusal::NoAddress);
    }
    if next.origin() == site.url.origin() {
        return Ok(());
    }
    if !elsewhere {
        return Err(RedirectRefusal::Elsewhere);
    }
    if !site.is_private && is_private_host(next) {
        return Err(RedirectRefusal::Private);
    }
    Ok(())
}

/// Whether an address names a host of a private network by itself. What a name resolves to is judged when it is
/// resolved.
pub(super) fn is_private_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => is_private(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => is_private(IpAddr::V6(address)),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost")
        }
        None => false,
    }
}

/// Whether an address is not one of the public network: loopback, private, link-local (with the metadata services of
/// clouds), multicast, and what is reserved.
pub(super) fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_private_v4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => is_private_v4(mapped),
            None => is_private_v6(address),
        },
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || first == 0
        // Shared address space (RFC 6598), and what is reserved (RFC 1112 §4).
        || (first == 100 && (64..128).contains(&second))
        || first >= 240
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    let [first, second, third, ..] = address.segments();
    embedded_v4(address).is_some_and(is_private_v4)
        // For translators within a network (RFC 8215).
        || (first, second, third) == (0x64, 0xff9b, 1)
        // Site-local (RFC 3879: no longer given out).
        || first & 0xffc0 == 0xfec0
        || address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || address.is_unique_local()
        || address.is_unicast_link_local()
}

/// The address of IPv4 that an address of IPv6 leads to: through a translator (RFC 6052) or a tunnel (6to4, RFC 3056), or
/// as one that is compatible with IPv4 (RFC 4291 §2.5.5.1: no longer used).
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [first, second, third, .., seventh, eighth] = address.segments();
    let of = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    let is_zero_between = address.octets().get(4..12) == Some(&[0; 8]);
    match (first, second) {
        (0x64, 0xff9b) | (0, 0) if is_zero_between => Some(of(seventh, eighth)),
        (0x2002, _) => Some(of(second, third)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const FOLLOW: Redirects = Redirects::Follow {
        most: 5,
        elsewhere: true,
    };

    fn next(
        redirects: Redirects,
        site: &str,
        location: &str,
    ) -> Result<Option<String>, RedirectRefusal> {
        let url = Url::parse(site).unwrap();
        let site = AskedSite {
            url: &url,
            is_private: is_private_host(&url),
        };
        let next = redirects.next(0, StatusCode::FOUND, (&site, &url), Some(location));
        Ok(next?.map(String::from))
    }

    #[rstest]
    #[case("/b?c=1", "https://api.example/b?c=1")]
    #[case("https://raw.example/x", "https://raw.example/x")]
    #[case("//raw.example/x", "https://raw.example/x")]
    #[case("https://8.8.8.8/x", "https://8.8.8.8/x")]
    fn it_leads_on(#[case] location: &str, #[case] expected: &str) {
        let led = next(FOLLOW, "https://api.example/a", location);
        assert_eq!(led, Ok(Some(expected.to_owned())));
    }

    #[rstest]
    #[case("http://api.example/a", RedirectRefusal::NotEncrypted)]
    #[case("ftp://api.example/a", RedirectRefusal::NoAddress)]
    #[case("file:///etc/passwd", RedirectRefusal::NoAddress)]
    #[case("https://[", RedirectRefusal::NoAddress)]
    #[case("https://localhost/", RedirectRefusal::Private)]
    #[case("https://a.LOCALHOST./", RedirectRefusal::Private)]
    #[case("https://127.0.0.1/", RedirectRefusal::Private)]
    #[case("https://0x7f.1/", RedirectRefusal::Private)]
    #[case("https://2130706433/", RedirectRefusal::Private)]
    #[case("https://169.254.169.254/latest/meta-data", RedirectRefusal::Private)]
    #[case("https://10.0.0.1/", RedirectRefusal::Private)]
    #[case("https://100.64.0.1/", RedirectRefusal::Private)]
    #[case("https://0.0.0.0/", RedirectRefusal::Private)]
    #[case("https://[::1]/", RedirectRefusal::Private)]
    #[case("https://[::]/", RedirectRefusal::Private)]
    #[case("https://[fd00::1]/", RedirectRefusal::Private)]
    #[case("https://[fe80::1]/", RedirectRefusal::Private)]
    #[case("https://[::ffff:10.0.0.1]/", RedirectRefusal::Private)]
    #[case("https://[64:ff9b::10.0.0.1]/", RedirectRefusal::Private)]
    #[case("https://[64:ff9b:1::1]/", RedirectRefusal::Private)]
    #[case("https://[2002:c0a8:1::1]/", RedirectRefusal::Private)]
    #[case("https://[::10.0.0.1]/", RedirectRefusal::Private)]
    #[case("https://[fec0::1]/", RedirectRefusal::Private)]
    #[case("https://[feff::1]/", RedirectRefusal::Private)]
    fn it_leads_nowhere(#[case] location: &str, #[case] why: RedirectRefusal) {
        let led = next(FOLLOW, "https://api.example/a", location);
        assert_eq!(led, Err(why));
    }

    #[rstest]
    #[case("https://[64:ff9b::8.8.8.8]/")]
    #[case("https://[2002:808:808::1]/")]
    #[case("https://[2606:4700::1111]/")]
    fn it_leads_to_the_public_network(#[case] location: &str) {
        assert!(next(FOLLOW, "https://api.example/a", location).is_ok());
    }

    #[test]
    fn a_private_host_may_lead_to_others_of_its_kind() {
        let led = next(FOLLOW, "http://10.0.0.1/a", "http://10.0.0.2/b");
        assert_eq!(led, Ok(Some("http://10.0.0.2/b".to_owned())));
    }

    #[test]
    fn only_so_many_and_only_where_it_is_wanted() {
        let url = Url::parse("https://api.example/a").unwrap();
        let site = AskedSite {
            url: &url,
            is_private: false,
        };
        let fifth = FOLLOW.next(5, StatusCode::FOUND, (&site, &url), Some("/b"));
        assert_eq!(fifth, Err(RedirectRefusal::TooMany));
        let not_modified = FOLLOW.next(0, StatusCode::NOT_MODIFIED, (&site, &url), Some("/b"));
        assert_eq!(not_modified, Ok(None));
        assert_eq!(next(Redirects::Never, "https://a.example", "/b"), Ok(None));
        let at_home = Redirects::Follow {
            most: 5,
            elsewhere: false,
        };
        assert_eq!(
            next(at_home, "https://a.example", "https://b.example/"),
            Err(RedirectRefusal::Elsewhere)
        );
        assert!(next(at_home, "https://a.example", "/b").is_ok());
    }
}
