//! The MISP Feed connector between a simulated feed and a simulated platform whose workers import what it sends.

#![cfg(feature = "misp-feed")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy allows them in test functions, but not in what those share"
)]

#[path = "misp_feed/buckets.rs"]
mod buckets;
#[path = "misp_feed/changes.rs"]
mod changes;
#[path = "misp_feed/deaths.rs"]
mod deaths;
#[path = "misp_feed/deferred.rs"]
mod deferred;
#[path = "misp_feed/faults.rs"]
mod faults;
#[path = "misp_feed/feed_server.rs"]
mod feed_server;
#[path = "misp_feed/first_import.rs"]
mod first_import;
#[path = "misp_feed/line.rs"]
mod line;
#[expect(dead_code, reason = "other tests ask Python about messages")]
#[path = "it/oracle.rs"]
mod oracle;
#[expect(dead_code, reason = "tests of the other program use more of it")]
#[path = "cli/process.rs"]
mod process;
#[path = "misp_feed/progress.rs"]
mod progress;
#[path = "settings/refused.rs"]
mod refused;
#[path = "misp_feed/s3_server.rs"]
mod s3_server;
#[path = "misp_feed/settings.rs"]
mod settings;
#[path = "misp_feed/states.rs"]
mod states;
#[path = "misp_feed/threats.rs"]
mod threats;

/// The program that these tests start.
const BINARY: &str = env!("CARGO_BIN_EXE_misp-feed-connector");
