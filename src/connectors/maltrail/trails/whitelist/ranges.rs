//! Ranges of IPv4 addresses.

use std::net::Ipv4Addr;

use super::super::value::first_of_range;

/// Some ranges, after [`Self::merge`] in order and apart from one another.
#[derive(Debug, Clone, Default)]
pub(super) struct Ranges {
    /// First and last address.
    spans: Vec<(u32, u32)>,
}

impl Ranges {
    pub(super) fn add(&mut self, address: Ipv4Addr, bits: u8) {
        let first = first_of_range(address, bits).to_bits();
        let free = 32_u32.saturating_sub(bits.into());
        let size = 1_u64 << free.min(32);
        let last = u64::from(first) + size - 1;
        self.spans
            .push((first, u32::try_from(last).unwrap_or(u32::MAX)));
    }

    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    pub(super) fn merge(&mut self) {
        self.spans.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(self.spans.len());
        for (first, last) in self.spans.drain(..) {
            match merged.last_mut() {
                Some(before) if first <= before.1 => before.1 = before.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        self.spans = merged;
    }

    /// Whether an address is in one of them.
    pub(super) fn contain(&self, address: Ipv4Addr) -> bool {
        let address = address.to_bits();
        let after = self.spans.partition_point(|(first, _)| *first <= address);
        let span = after.checked_sub(1).and_then(|at| self.spans.get(at));
        span.is_some_and(|(_, last)| address <= *last)
    }
}
