//! Names that another host chose: none of them may lead into a private network.

use std::error::Error as StdError;
use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::redirect::is_private;

/// Resolves names to addresses of the public network alone.
///
/// It holds where this process connects to the host itself. A host that is asked through a proxy is resolved by the
/// proxy, behind which nobody here sees what its name leads to: whether it may lead into a private network is up to the
/// proxy's own rules. Addresses that are private as they are written, and `localhost`, are refused on both ways before
/// anything is asked (`redirect::check`). The proxy's own host is not judged: whoever runs the connector has named it.
#[derive(Debug, Clone, Copy)]
pub(super) struct PublicOnly;

/// All that a name resolves to is private.
#[derive(Debug, thiserror::Error)]
#[error("{0} resolves to no address of the public network, and another host has led to it")]
struct PrivateName(String);

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        Box::pin(async move {
            let resolved = tokio::net::lookup_host((name.as_str(), 0)).await?;
            public(&name, resolved)
        })
    }
}

fn public(
    name: &str,
    resolved: impl Iterator<Item = SocketAddr>,
) -> Result<Addrs, Box<dyn StdError + Send + Sync>> {
    let public: Vec<SocketAddr> = resolved
        .filter(|address| !is_private(address.ip()))
        .collect();
    if public.is_empty() {
        return Err(PrivateName(name.to_owned()).into());
    }
    Ok(Box::new(public.into_iter()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_a_name_resolves_to_only_public_addresses_are_left() {
        let addresses = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let mixed = addresses(&["10.0.0.1:0", "[::1]:0", "8.8.8.8:0"]);
        let left: Vec<_> = public("a.example", mixed.into_iter()).unwrap().collect();
        assert_eq!(left, addresses(&["8.8.8.8:0"]));
        let private = addresses(&["127.0.0.1:0", "169.254.169.254:0"]);
        let refused = public("a.example", private.into_iter());
        let reported = refused.err().unwrap().to_string();
        assert!(
            reported.starts_with("a.example resolves to no address"),
            "{reported}"
        );
    }
}
