//! What runs a connector, whatever its kind.
//!
//! - [`session`]: what every kind needs: registration, ping, state, reset, stop.
//! - [`import`]: importers: schedule, run, admission, packing, works, back-pressure.
//! - [`stream`]: stream consumers: position, reconnecting, the watch over silence, acknowledgement.
//! - `check`: the whole way, checked before the first run.
//!
//! **Invariant.** The process ends within ten seconds of a signal; what it leaves unfinished stands in
//! the state that the platform keeps.

mod check;
pub mod import;
pub mod session;
pub mod stream;

use chrono::Utc;

use crate::connector::{Clock, Connector, Context};
use crate::graphql;
use crate::settings::Settings;
use crate::telemetry::metrics::Metrics;
pub use check::{check, check_consumer};
pub use import::export::{Exported, export};
pub use import::run_importer;
pub use session::End;
pub use session::stop::on_signals;
pub use stream::run_consumer;

/// What a connector with these settings is made from, with this machine's clock.
///
/// # Errors
/// [`graphql::RequestError`] where a certificate of the settings cannot be used.
pub fn context<C: Connector>(
    settings: &Settings<C::Section>,
    metrics: &Metrics,
) -> Result<Context, graphql::RequestError> {
    Context::of::<C>(settings, metrics.clone(), Clock::new(Utc::now))
}
