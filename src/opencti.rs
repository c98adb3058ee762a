//! The destination platform: registration and ping, works, and the push of messages.
//!
//! **Invariant.** A [`Receipt`] exists only for messages that the broker (or the platform, with the
//! api protocol) has confirmed, all of them.

pub mod api;
mod delivery;
mod directory;
mod known;
mod known_embedded;
mod labels;
mod live_stream;
mod message;
mod operations;
pub mod queue;
mod registration;
mod rights;
mod rules;
mod values;
mod work;

pub use delivery::{ConnectionStatus, Delivery, Pending, PushError, Pusher, Receipt};
pub use directory::{Directory, DirectoryError, Removed, write_whole};
pub use known::{KnownObjects, SetTargets, relation_of, set_targets};
pub use known_embedded::{EmbeddedThere, There};
pub use labels::make_label;
pub use live_stream::{LiveStream, OpenStream, StreamFrame, StreamStart};
pub use message::{Message, MessageLimit, MessageWriter};
pub use registration::{
    ANSWER_TOO_LARGE, BrokerAddress, ConnectorInfo, ConnectorProfile, Echo, KeptConnector,
    QueueSize, RegisteredBroker, Registration, RegistrationError, delete, is_too_large, kept, ping,
    queue_size, register, worker_consumers,
};
pub use rights::UserRights;
pub use rules::{Expectations, Rules, Unsupported};
pub use values::refusal;
pub use work::{Condition, Work, WorkCount, WorkError, WorkExpectations};
