//! Pass 2: what values that stand on several lines say elsewhere; pass 3: each value once, with all of it.

mod view;

pub use view::View;

/// The most notes of one value that are kept.
pub const MOST_NOTES: usize = 20;
