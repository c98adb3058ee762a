//! The whole line: a source, the connector as it is run, a real broker, a destination with workers.
//! One binary, a module a behaviour.

mod releases;
mod support;
mod whole_line;
