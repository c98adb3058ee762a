//! Simulated OpenCTI platforms in one process, for the demo, the tests and the benchmarks.
//!
//! - [`Source`] is a platform that is read from: it answers the list queries over a [`DataSet`].
//! - [`Destination`] is a platform that is written into. It registers connectors, takes their pings,
//!   keeps their states, counts works, hands out the address of a [`Broker`], and has a live stream.
//! - [`Worker`] imports what arrives in the queues of a destination.
//!
//! Both platforms listen on a port of this machine, on threads of their own, and behave as the
//! release that they are started with (docs/protocol.md). Dropping one stops it.
//!
//! # What was imported
//!
//! [`Destination::imported`] gives a copy of everything that stands, [`Destination::with_imported`] a
//! look at it ([`Imported`]):
//!
//! | question | answer |
//! | --- | --- |
//! | how many objects stand of each type | [`Imported::counts`], by the platform's names of types |
//! | does this object stand, by any of its ids | [`Imported::get`], [`Imported::of_type`], [`Imported::of_entity_type`] |
//! | how often was it imported | [`Imported::imports`], [`ImportedObject::imports`] |
//! | what was refused, and why | [`Imported::refused`]; also the errors of [`Destination::works`] |
//! | does anything refer to what is not there | [`Imported::dangling`]: empty where all is well |
//! | what was lost without an error | [`Imported::losses`] |
//! | which relationships and sightings stand between two objects | [`Imported::between`] |
//! | what does a report, a case, a note hold | [`Imported::members`] |
//! | is an indicator alive | [`ImportedObject::life`]: score, dates and revocation as the platform computes them |
//! | which files came with an object | [`ImportedObject::files`] |
//! | how many objects hang on an external reference | [`Imported::ties_of_references`] |
//!
//! What stands before a connector comes is put there with [`Destination::put`].
//!
//! What the platform does with each type, and the sandbox too:
//!
//! - An object is the same one if it has the id that the platform makes of its content, the id that it
//!   was sent with before, or one of `x_opencti_stix_ids`; a threat, a person or a place also if it
//!   has the name, or one of the aliases; a file also if it has one of the hashes.
//! - What comes again overwrites, but with less confidence only fills what is empty. Lists and
//!   references add up. Another author needs more confidence. The older `created` stays.
//! - An end of a relationship or sighting that is not there is an error after some tries. A marking, an
//!   author, or a member of a container that is not there is left out after some tries, without one.
//! - Relationships are taken only between types that the platform allows (`relations.json`).
//! - Sightings of one thing at one place within 30 days are one; the counts are added where the time
//!   grows, and else the new count takes the place of the old one.
//! - Indicators decay ([`DestinationOptions::decay`]): the end of their life is computed, one that is
//!   older than its lifetime is revoked on arrival, and a score that was sent before changes neither
//!   score nor life, so that a revocation with it is ignored.
//!
//! # The live stream
//!
//! [`Destination::stream`] is a [`LiveStream`] of indicators, served at `/stream/{id}` with the id
//! [`STREAM_ID`] or [`DestinationOptions::stream_id`]. A test changes indicators, and each change is sent as the platform would send it:
//!
//! ```no_run
//! use sandbox::{Destination, DestinationOptions, StreamFault};
//!
//! # fn main() -> anyhow::Result<()> {
//! let platform = Destination::start(DestinationOptions::default())?;
//! let stream = platform.stream();
//! let id = stream.create_address("198.51.100.1");
//! stream.update(&id, |document| document["labels"] = "c2".into());
//! // It leaves the usual filter: sent as a deletion of what was.
//! stream.revoke(&id);
//! stream.delete(&id);
//! // The next connection breaks off in the middle of its third event.
//! stream.add_fault(StreamFault::CutEvent { after: 2 });
//! # Ok(())
//! # }
//! ```
//!
//! | to simulate | use |
//! | --- | --- |
//! | a refused token or right, a stopped stream | another token, [`Destination::change_user`] (`TAXIIAPI`), [`LiveStream::set_live`] |
//! | another status, a reset or no answer instead of the stream | [`Fault`] of the operation `Stream` |
//! | a platform that is away | [`Destination::go_offline`], [`Destination::go_online`] |
//! | an end, a reset, half a frame, silence, slowness, an `error` | [`StreamFault`], for one connection |
//! | an end of all connections | [`LiveStream::disconnect`] |
//! | `\r\n`, comments, `retry:`, several data lines, events twice | [`FrameStyle`] |
//! | events that nobody can read, unknown ones | [`LiveStream::record_raw`] |
//! | anything else on the wire, of any size | [`LiveStream::inject`], [`LiveStream::inject_error`] |
//! | history that is no longer kept, objects that went unnoticed | [`LiveStream::keep_events`], [`LiveStream::forget`] |
//! | a filter, and one by origin | [`LiveStream::set_filters`], [`LiveStream::set_filters_by_origin`] |
//! | an author or a relationship in front of an event | [`LiveStream::create`] with another type |
//!
//! What a consumer did is in [`LiveStream::connections`] (to be waited for with
//! [`LiveStream::until`]), [`Destination::connector`] and
//! [`Destination::state`]. Indicators of the stream stand in the list `indicators` too, where a
//! consumer looks for other carriers of a value.
//!
//! # A git host
//!
//! [`GitHost`] is a host as GitHub is one, with one repository in memory: the API, raw files and archives, each on a port
//! of its own. It counts requests as GitHub does, 60 an hour without a token.
//!
//! ```no_run
//! use sandbox::{GitFault, GitHost, GitHostOptions};
//!
//! # fn main() -> anyhow::Result<()> {
//! let host = GitHost::start(GitHostOptions::default())?;
//! let first = host.commit([("trails/static/malware/a.txt", "a.example\n")]);
//! // A later commit, which adds a file.
//! let second = host.change(|files| {
//!     files.insert("trails/static/malware/b.txt".to_owned(), "b.example\n".into());
//! });
//! // The next archive breaks off, and the branch moves when its tree is asked for.
//! host.add_fault("legacy.tar.gz", 1, GitFault::CutAfter(1000));
//! host.commit_when("/git/trees/", [("trails/static/malware/c.txt", "c.example\n")]);
//! # Ok(())
//! # }
//! ```
//!
//! | question | answer |
//! | --- | --- |
//! | what was asked for, with which headers | [`GitHost::requests`], [`GitHost::asked`] |
//! | how many requests count at the API | [`GitHost::count_of_api`] |
//! | how many answers were on their way at once | [`GitHost::most_at_once`] |
//!
//! # What goes wrong
//!
//! [`Destination::faults`] and [`Source::faults`] switch faults of requests on, for all operations or
//! for one by its name ([`Faults::add_for`]); [`Faults::hold`] stops requests until the test goes on.
//! Downloads count as the operation `Storage`, the live stream as `Stream`.

use std::sync::{Mutex, MutexGuard, PoisonError};

mod broker;
mod data;
mod destination;
mod fault;
mod git_host;
mod graphql;
mod ids;
mod lists;
mod release;
mod release_rules;
mod schema;
mod server;
mod source;
mod stream;
#[cfg(test)]
mod tests;
mod time;
mod types;
mod worker;

pub use broker::{Broker, BrokerAddress, free_port};
pub use data::{DataSet, NO_START, NO_STOP, Record, Shape};
pub use destination::{
    APPLICANT, Connector, Destination, DestinationOptions, Mutation, Status, User, Work, WorkError,
};
pub use fault::{Fault, Faults, Hold};
pub use git_host::{
    GitFault, GitFile, GitFiles, GitHost, GitHostOptions, GitLimit, GitPort, GitRequest,
    ObjectFormat, TarEntry,
};
pub use release::Release;
pub use schema::{schema, sdl};
pub use server::Request;
pub use source::{PAGE_CAP, Source, SourceOptions};
pub use stream::{EventPosition, FrameStyle, LiveStream, STREAM_ID, StreamConnection, StreamFault};
pub use worker::Worker;
pub use worker::imported::{
    Imported, ImportedFile, ImportedLabel, ImportedObject, Life, Loss, LossKind, Refused,
};

/// Locks, also after a thread that held the lock has failed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
