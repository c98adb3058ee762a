//! Our ids, patterns and objects beside those of the platform's client, of the OASIS parser and of its validator. No
//! broker and no platform is needed.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what helps a test fails by panicking"
)]

mod client;
mod ids;
#[cfg(feature = "maltrail")]
mod maltrail;
#[cfg(feature = "misp-feed")]
mod misp_feed;
mod objects;
#[path = "../it/oracle.rs"]
mod oracle;
mod patterns;
#[cfg(any(feature = "maltrail", feature = "misp-feed"))]
mod validator;

/// Texts that other writers and readers take in different ways, if any do.
const TEXTS: &[&str] = &[
    "ACME",
    "  padded \t",
    "ÉCOLE Straße",
    "ΟΔΟΣ",
    "İstanbul",
    "日本 中国 😀",
    "quote \" and ' and \\ and \\'",
    "'] OR [url:value = '",
    "\\",
    "'",
    "line\nbreak\r\nand\ttab",
    "\u{2028}separator",
    "</script>&amp;",
    "e\u{301}",
    "\u{1}\u{1f}\u{7f}",
    "1e400",
    "null",
];
