//! What Maltrail itself never reports.

/// A list of what is never reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum List {
    /// `whitelist.txt`: names, addresses and ranges of well-known services.
    Whitelist,
    /// `bogon_ranges.txt`: ranges that are nobody's on the Internet.
    Bogons,
    /// `cdn_ranges.txt`: ranges of content delivery networks.
    Cdns,
}

/// What is never reported, of one commit.
#[derive(Debug, Clone, Default)]
pub struct Whitelist {}
