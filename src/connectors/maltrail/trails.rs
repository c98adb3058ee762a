//! Trails: everything from the bytes of Maltrail's lists to what all of them say about a value. Pure: no network, no
//! clock, no files.

pub mod family;
pub mod merged;
pub mod reader;
pub mod reference;
pub mod value;
pub mod whitelist;
