//! Connectors for OpenCTI on one runtime: programs that bring threat intelligence into the platform, or out of it.
//!
//! # The way of the data
//!
//! ```text
//!  source                                 this process                                  destination
//!
//!  units ──▶ source ─▶ converter ─▶ admission ─▶ packer ─▶ messages ─▶ RabbitMQ ──▶ workers
//!            is read   writes       rejects what bundles   with their   confirms       │
//!            ahead     STIX         cannot be    in order  expectations    │           │ report
//!                                   imported                               ▼           ▼
//!                                              progress ◀──────────── receipt        work
//! ```
//!
//! Follow it in `src/runtime/import/run.rs` and `src/runtime/import/sink.rs`: it is one function per step.
//!
//! What is confirmed becomes the *state* (`src/runtime/session/state.rs`), which the *state store* holds and the
//! *heartbeat* carries to the destination; the *work closer* closes works, and sees to it that they become
//! complete, in this process or in a later one.
//!
//! # The parts
//!
//! | module | is | knows |
//! | --- | --- | --- |
//! | [`connectors`] | the connectors, one module each | `connector`, `platform`, `graphql`, `http`, `stix`, `settings`, `telemetry` |
//! | [`connector`] | the contract between connector and runtime | `stix`, `settings`, `telemetry`, `http`, `graphql`, `platform` |
//! | [`runtime`] | schedule, run, state, ping, closing of works, stop | everything but `connectors` |
//! | [`opencti`] | the destination: registration, works, queue, live stream | `platform`, `graphql`, `http`, `stix`, `settings`, `telemetry`, the contract's positions |
//! | [`platform`] | an OpenCTI platform: its release, what it knows | `graphql`, `http`, `telemetry` |
//! | [`graphql`] | operations, answers, narrowing | `http`, `telemetry` |
//! | [`http`] | the one client of HTTP: TLS, proxies, retries, redirects, bounds | `telemetry` |
//! | [`stix`] | ids, objects, bundles, patterns, kinds of values | – |
//! | [`settings`] | file and environment, checked | – |
//! | [`telemetry`] | logs, metrics, health | – |
//!
//! # What always holds
//!
//! - Progress moves only with the receipt of confirmed messages: [`opencti::Receipt`] is a type that
//!   nothing else can make.
//! - An object never goes without its markings: their definitions travel in its message, or are
//!   imported before it.
//! - What is not sent is named, with its reason, and counted.
//! - Expectations are added before the messages that they count; a work is closed on every way out.
//! - Confirmed is not yet imported: the state knows where the open work began, until it is complete.
//! - Secrets are of a type that cannot be printed.

pub mod cli;
pub mod connector;
pub mod connectors;
pub mod graphql;
#[cfg(test)]
mod hostile;
pub mod http;
pub mod opencti;
pub mod platform;
pub mod runtime;
pub mod settings;
pub mod stix;
pub mod telemetry;
