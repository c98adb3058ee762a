//! The connectors of this package, one module each.
//!
//! A connector may know [`crate::connector`], [`crate::platform`], [`crate::graphql`], [`crate::http`],
//! [`crate::stix`], [`crate::settings`] and [`crate::telemetry`]. It must not know the runtime, the
//! destination or another connector; only the binaries know it.

#[cfg(feature = "netmanageit")]
pub mod netmanageit;

#[cfg(feature = "maltrail")]
pub mod maltrail;

#[cfg(feature = "misp-feed")]
pub mod misp_feed;
