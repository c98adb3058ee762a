//! The Maltrail connector between a simulated git host and a simulated platform whose workers import what it sends.

#![cfg(feature = "maltrail")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "clippy allows them in test functions, but not in what those share"
)]

#[path = "maltrail/changes.rs"]
mod changes;
#[path = "maltrail/faults.rs"]
mod faults;
#[path = "maltrail/first_import.rs"]
mod first_import;
#[path = "maltrail/line.rs"]
mod line;
