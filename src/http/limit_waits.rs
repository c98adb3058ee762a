//! How long a host is left alone that takes no request for now.

use std::time::Duration;

/// The shortest wait: a host that asks for none may go on saying so.
const SHORTEST: Duration = Duration::from_secs(1);
/// From so many limits in a row on, waits do not grow any more: the shortest is a minute then.
const MOST_DOUBLINGS: u32 = 6;

/// Waits for limits of requests in a row, which grow.
#[derive(Debug, Clone, Copy, Default)]
pub struct LimitWaits {
    in_a_row: u32,
}

impl LimitWaits {
    /// The next wait for a host that asks for so long: at least that.
    pub fn asked(&mut self, wait: Duration) -> Duration {
        wait.max(SHORTEST * self.next_factor())
    }

    /// The next wait for a host that does not say how long: so long at first.
    pub fn unnamed(&mut self, first: Duration) -> Duration {
        first * self.next_factor()
    }

    fn next_factor(&mut self) -> u32 {
        let factor = 2_u32.pow(self.in_a_row.min(MOST_DOUBLINGS));
        self.in_a_row = self.in_a_row.saturating_add(1);
        factor
    }

    /// How many there were since the beginning, or since the host took a request.
    pub fn in_a_row(self) -> u32 {
        self.in_a_row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn a_host_is_asked_no_sooner_than_it_says_and_more_and_more_seldom() {
        let mut waits = LimitWaits::default();
        let first = [0, 0, 90].map(|wait| waits.asked(Duration::from_secs(wait)).as_secs());
        assert_eq!(first, [1, 2, 90]);
        assert_eq!(waits.unnamed(MINUTE), 8 * MINUTE);
        let more = [0; 4].map(|wait| waits.asked(Duration::from_secs(wait)).as_secs());
        assert_eq!(more, [16, 32, 64, 64]);
        assert_eq!(waits.in_a_row(), 8);
    }
}
