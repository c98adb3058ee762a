//! The Maltrail connector between a simulated git host and a simulated platform whose workers import what it sends.

#![cfg(feature = "maltrail")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy allows them in test functions, but not in what those share"
)]

#[path = "maltrail/changes.rs"]
mod changes;
#[path = "maltrail/deaths.rs"]
mod deaths;
#[path = "maltrail/dry_run.rs"]
mod dry_run;
#[path = "maltrail/faults.rs"]
mod faults;
#[path = "maltrail/first_import.rs"]
mod first_import;
#[path = "maltrail/hostile.rs"]
mod hostile;
#[path = "maltrail/limits.rs"]
mod limits;
#[path = "maltrail/line.rs"]
mod line;
#[path = "../examples/demo/maltrail/lists.rs"]
mod lists;
#[path = "it/oracle.rs"]
mod oracle;
#[expect(dead_code, reason = "tests of the other program use more of it")]
#[path = "cli/process.rs"]
mod process;
#[path = "settings/refused.rs"]
mod refused;
#[path = "maltrail/reset.rs"]
mod reset;
#[path = "maltrail/samples.rs"]
mod samples;
#[path = "maltrail/settings.rs"]
mod settings;
#[path = "maltrail/token.rs"]
mod token;
#[path = "stix/validator.rs"]
mod validator;

/// The program that these tests start.
const BINARY: &str = env!("CARGO_BIN_EXE_maltrail-connector");
