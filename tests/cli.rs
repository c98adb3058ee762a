//! The binary as an operator runs it: a process with arguments, variables, signals and an exit code,
//! between two platforms and a real broker.
//!
//! Only one promise is about time: asked to stop, the process ends within ten seconds. All other
//! limits are there so that a test that hangs ends.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy allows them in test functions, but not in what those share"
)]

#[path = "cli/arguments.rs"]
mod arguments;
#[path = "cli/check.rs"]
mod check;
#[path = "cli/commands.rs"]
mod commands;
#[path = "it/compare.rs"]
mod compare;
#[path = "cli/export.rs"]
mod export;
#[path = "cli/interleavings.rs"]
mod interleavings;
#[path = "cli/ipv6.rs"]
mod ipv6;
#[path = "cli/killed.rs"]
mod killed;
#[path = "cli/line.rs"]
mod line;
#[path = "cli/logs.rs"]
mod logs;
#[path = "cli/observed.rs"]
mod observed;
#[path = "cli/process.rs"]
mod process;
#[path = "cli/proxy.rs"]
mod proxy;
#[path = "it/queued.rs"]
mod queued;
#[path = "cli/restart.rs"]
mod restart;
#[path = "cli/rights.rs"]
mod rights;
#[path = "cli/runs.rs"]
mod runs;
#[path = "cli/secrets.rs"]
mod secrets;
#[path = "cli/state.rs"]
mod state;
#[path = "cli/stop.rs"]
mod stop;
#[path = "cli/terminal.rs"]
mod terminal;
#[path = "cli/tls.rs"]
mod tls;

/// The program that these tests start.
const BINARY: &str = env!("CARGO_BIN_EXE_netmanageit-connector");
