//! What the process tells about itself while it runs.
//!
//! May know: nothing of the connectors or the runtime. May be known by everything.

pub mod logs;
