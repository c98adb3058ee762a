//! The whole line: a source, the connector as it is run, a real broker, a destination with workers.
//! One binary, a module a behaviour.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "what helps a test fails by panicking"
)]

mod asked_of_workers;
mod back_pressure;
mod clients;
mod compare;
mod deferred;
mod every_field;
mod fidelity;
mod imports;
mod incremental;
mod links;
mod made_up;
mod oracle;
mod pycti;
mod pycti_import;
mod queue;
mod queued;
mod reconciliation;
mod releases;
mod reset;
mod rights;
mod source_traps;
mod state_content;
mod support;
mod tables;
mod too_large;
mod waiting;
mod watchdog;
mod whole_line;
mod work;
mod works_of_runs;
