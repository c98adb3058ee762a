//! STIX patterns (OASIS STIX 2.1 §9): written from typed comparisons, and read for the values that they carry.

mod lexer;
mod path;
mod read;
mod write;

pub use path::{HashedObject, ObjectPath};
pub use read::{Ioc, IocType, LeftOut, NarrowPatterns, PatternIocs, Refused, read};
pub use write::{AllOf, AnyOf, Comparison, Pattern};
