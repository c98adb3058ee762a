//! How fast the workers of a platform import, and how long they need, for people.
//!
//! Pure.

use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

/// What one worker usually imports, in objects a second: the slow end and the fast one
/// (docs/performance.md).
const USUAL: (u64, u64) = (10, 50);
const HOUR: u64 = 3_600;
/// From so many minutes on it is hours, from so many hours on days.
const MINUTES: u64 = 120;
const HOURS: u64 = 72;

/// How many objects all workers of a platform together have imported in an hour, as far as the last import showed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkerPace(NonZeroU64);

impl WorkerPace {
    /// So many objects in an hour; none where that is nothing.
    pub fn an_hour(objects: u64) -> Option<Self> {
        NonZeroU64::new(objects).map(Self)
    }

    /// So many objects in this time; none where that is no time, or less than one an hour.
    pub fn of(objects: u64, time: Duration) -> Option<Self> {
        let millis = time.as_millis();
        let an_hour = u128::from(objects) * u128::from(HOUR) * 1000;
        let an_hour = an_hour.checked_div(millis)?;
        Self::an_hour(u64::try_from(an_hour).unwrap_or(u64::MAX))
    }

    /// Objects in an hour.
    pub fn objects_an_hour(self) -> u64 {
        self.0.get()
    }

    /// How long the workers need for so many objects: "about 47 hours".
    pub fn time_for(self, objects: u64) -> String {
        let seconds = u128::from(objects) * u128::from(HOUR) / u128::from(self.0.get());
        in_words(u64::try_from(seconds).unwrap_or(u64::MAX))
    }

    /// How long the workers need for so many objects, as a sentence without a full stop: at the pace that they have shown,
    /// or, where nobody knows one yet, by what is usual.
    pub fn forecast(known: Option<Self>, objects: u64) -> String {
        if let Some(pace) = known {
            let time = pace.time_for(objects);
            return format!("at the {pace} that the workers showed last, they need about {time}");
        }
        let (slow, fast) = USUAL;
        let (long, short) = (in_words(objects / slow), in_words(objects / fast));
        format!(
            "how fast the workers are is not known yet: at {slow} to {fast} objects a second, which is usual for one, a single worker needs {short} to {long}, and several so much less"
        )
    }
}

impl fmt::Display for WorkerPace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.get() {
            few if few < 2 * HOUR => write!(f, "{few} objects an hour"),
            many => write!(f, "{} objects a second", many / HOUR),
        }
    }
}

/// A time as people say it, rounded up.
fn in_words(seconds: u64) -> String {
    let minutes = seconds.div_ceil(60).max(1);
    let hours = minutes.div_ceil(60);
    match (minutes, hours) {
        (1, _) => "a minute".to_owned(),
        (minutes, _) if minutes < MINUTES => format!("{minutes} minutes"),
        (_, hours) if hours < HOURS => format!("{hours} hours"),
        (_, hours) => format!("{} days", hours.div_ceil(24)),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, "a minute")]
    #[case(60, "a minute")]
    #[case(61, "2 minutes")]
    #[case(7_140, "119 minutes")]
    #[case(7_200, "2 hours")]
    #[case(71 * 3_600, "71 hours")]
    #[case(72 * 3_600, "3 days")]
    #[case(u64::MAX, "213503982334602 days")]
    fn a_time_is_said_as_people_do(#[case] seconds: u64, #[case] words: &str) {
        assert_eq!(in_words(seconds), words);
    }

    #[rstest]
    #[case(9_300, 300, Some("31 objects a second"))]
    #[case(600, 300, Some("2 objects a second"))]
    #[case(100, 300, Some("1200 objects an hour"))]
    #[case(0, 300, None)]
    #[case(5, 0, None)]
    #[case(u64::MAX, 1, Some("5124095576030431 objects a second"))]
    fn a_pace_is_what_was_seen(
        #[case] objects: u64,
        #[case] seconds: u64,
        #[case] said: Option<&str>,
    ) {
        let pace = WorkerPace::of(objects, Duration::from_secs(seconds));
        assert_eq!(pace.map(|pace| pace.to_string()).as_deref(), said);
        let again = pace.and_then(|pace| WorkerPace::an_hour(pace.objects_an_hour()));
        assert_eq!(again, pace);
    }

    #[test]
    fn a_forecast_says_where_its_pace_comes_from() {
        let pace = WorkerPace::of(31, Duration::from_secs(1));
        assert_eq!(
            WorkerPace::forecast(pace, 5_381_084),
            "at the 31 objects a second that the workers showed last, they need about 49 hours"
        );
        assert_eq!(
            WorkerPace::forecast(None, 5_381_084),
            "how fast the workers are is not known yet: at 10 to 50 objects a second, which is usual for one, a single worker needs 30 hours to 7 days, and several so much less"
        );
    }
}
