//! STIX 2.1 as it travels: objects written key by key, and bundles of them.
//!
//! Pure.
//!
//! **Invariant.** An object holds only keys that were put into it one by one, none of them null or
//! an empty list (both are errors at import, docs/protocol.md#import).

mod bundle;
mod id;
mod json;
mod key;
pub mod make_id;
mod object;
pub mod pattern;
pub mod text;
mod timestamp;
pub mod tlp;
pub mod typed;
pub mod value;

pub use bundle::bundle;
pub use id::{NotAnId, StixId, is_observable_type, kind_of_end};
pub use json::{Checked, Json, JsonKind, NotOfKind, PropertyName, foreign_value, read_time};
pub use key::{Digests, KeyHasher, KeyMap, KeySet, ManyIds, TextMap, TextSet, key};
pub use object::{Handling, Need, ObjectReference, ObjectWriter, Operation, Presence, StixObject};
pub use timestamp::Timestamp;
pub use value::{Hash, HashAlgorithm, Hashes};
