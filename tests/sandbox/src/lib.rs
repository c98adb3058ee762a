//! A source and a destination platform in one process, for the demo and the tests.
//!
//! [`Source`] answers the list queries over a [`DataSet`]. [`Destination`] registers connectors,
//! counts works and hands out the address of a [`Broker`]; a [`Worker`] imports what arrives there.
//! Without a broker it still takes what is pushed through the platform itself.
//! Both behave as the release they are started with; what a release does is written in
//! `docs/protocol.md`.

use std::sync::{Mutex, MutexGuard, PoisonError};

mod broker;
mod data;
mod destination;
mod fault;
mod graphql;
mod ids;
mod lists;
mod release;
mod schema;
mod server;
mod source;
#[cfg(test)]
mod tests;
mod time;
mod types;
mod worker;

pub use broker::{Broker, BrokerAddress};
pub use data::{DataSet, NO_START, NO_STOP, Record, Shape};
pub use destination::{
    APPLICANT, Connector, Destination, DestinationOptions, Mutation, Status, User, Work, WorkError,
};
pub use fault::{Fault, Faults, Hold};
pub use release::Release;
pub use schema::{schema, sdl};
pub use server::Request;
pub use source::{PAGE_CAP, Source, SourceOptions};
pub use worker::Worker;
pub use worker::imported::{Imported, ImportedLabel, ImportedObject, Loss, LossKind};

/// Locks, also after a thread that held the lock has failed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
