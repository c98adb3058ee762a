//! Trails: everything from the bytes of Maltrail's lists to what all of them say about a value. Pure: no network, no
//! clock, no files.

pub mod comment;
mod digest;
pub mod family;
pub mod hash;
pub mod index;
pub mod lines;
pub mod merged;
pub mod reader;
pub mod reference;
pub mod survey;
pub mod value;
pub mod whitelist;

#[cfg(test)]
mod tree;
