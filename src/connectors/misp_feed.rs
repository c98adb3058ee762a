//! MISP feeds: what the events of a feed become.
//!
//! The bytes of an event file are looked at in place ([`event`]); each attribute and each object is read from its own
//! slice, when its turn comes, and becomes what the table of types ([`attribute_types`]) and the event's tags ([`tags`])
//! say. [`parts`] goes over an event and hands out STIX objects, some hundred attributes at a time, so that neither the
//! tree of the whole event nor all of its objects are ever in memory.

pub mod attribute_types;
pub mod event;
pub mod feed;
mod mapping;
pub mod mapping_settings;
pub mod parts;
pub mod settings;
pub mod tags;

pub use mapping_settings::MappingSettings;
pub use settings::MispFeedSettings;
