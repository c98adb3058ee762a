//! From when on a value counts: the date of a commit, and the dates that addresses of posts carry.
//!
//! **Invariant:** no date is before 2000, and none after the moment up to which dates are believed.

use chrono::{NaiveDate, NaiveTime};

use crate::stix::Timestamp;

/// 2000-01-01T00:00:00Z: there was no post, no commit and no list before.
const EARLIEST_SECONDS: i64 = 946_684_800;
/// When the numbers of posts on X (Twitter) begin to count milliseconds
/// (<https://github.com/twitter-archive/snowflake/tree/snowflake-2010>).
const POSTS_BEGIN_MS: i64 = 1_288_834_974_657;
/// Smaller numbers are older than that and carry no date.
const FIRST_DATED_POST: u64 = 29_700_859_248;
/// What counts the posts of one millisecond.
const POST_SEQUENCE_BITS: u32 = 22;
/// Where pulses are published whose ids begin with a date.
const PULSES_HOST: &str = "otx.alienvault.com";
/// A pulse's id: an object id of `MongoDB`, which begins with seconds since 1970 in so many hexadecimal digits.
const PULSE_DIGITS: usize = 24;
const PULSE_DATE_DIGITS: usize = 8;

/// The date of a commit as its host writes it (RFC 3339). One that cannot be read, before 2000 or after now counts as
/// now.
pub fn commit_date(date: &str, now: Timestamp) -> Timestamp {
    Timestamp::read(date)
        .filter(|date| is_believed(*date, now))
        .unwrap_or(now)
}

/// The newest date that one of these addresses carries; those after `until` are not believed, since whatever refers to
/// a post is newer than the post.
pub(super) fn newest<'a>(
    addresses: impl Iterator<Item = &'a str>,
    until: Timestamp,
) -> Option<Timestamp> {
    addresses
        .flat_map(dates_in)
        .filter(|date| is_believed(*date, until))
        .max()
}

fn is_believed(date: Timestamp, until: Timestamp) -> bool {
    let earliest = Timestamp::from_seconds(EARLIEST_SECONDS);
    earliest.is_none_or(|earliest| date >= earliest) && date <= until
}

/// All dates in the path of an address.
fn dates_in(address: &str) -> impl Iterator<Item = Timestamp> {
    let behind = address.split_once("://").map_or("", |(_, behind)| behind);
    let path = behind.split(['?', '#']).next().unwrap_or_default();
    let parts: Vec<&str> = path.split('/').collect();
    let host = parts.first().copied().unwrap_or_default();
    let pairs = parts.windows(2).filter_map(move |pair| match pair {
        ["status", number] => date_of_post(number),
        ["pulse", id] if host.eq_ignore_ascii_case(PULSES_HOST) => date_of_pulse(id),
        _ => None,
    });
    let days = parts.windows(3).filter_map(|days| match days {
        [year, month, day] => date_of_day(year, month, day),
        _ => None,
    });
    pairs.chain(days).collect::<Vec<_>>().into_iter()
}

fn date_of_post(number: &str) -> Option<Timestamp> {
    // A sign is none of it.
    let number = number
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| number.parse::<u64>())?;
    let number = number.ok().filter(|number| *number >= FIRST_DATED_POST)?;
    let since = i64::try_from(number >> POST_SEQUENCE_BITS).ok()?;
    Timestamp::from_millis(POSTS_BEGIN_MS.checked_add(since)?)
}

fn date_of_pulse(id: &str) -> Option<Timestamp> {
    let is_id = id.len() == PULSE_DIGITS && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let seconds = id.get(..PULSE_DATE_DIGITS).filter(|_| is_id)?;
    Timestamp::from_seconds(i64::from_str_radix(seconds, 16).ok()?)
}

fn date_of_day(year: &str, month: &str, day: &str) -> Option<Timestamp> {
    let number = |text: &str, digits: usize| {
        let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<u32>().ok())?
    };
    let year = i32::try_from(number(year, 4)?).ok()?;
    let date = NaiveDate::from_ymd_opt(year, number(month, 2)?, number(day, 2)?)?;
    Timestamp::new(date.and_time(NaiveTime::MIN).and_utc())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn time(text: &str) -> Timestamp {
        Timestamp::read(text).unwrap()
    }

    fn now() -> Timestamp {
        time("2026-08-23T12:00:00Z")
    }

    fn newest_of(addresses: &[&str]) -> Option<String> {
        newest(addresses.iter().copied(), now()).map(|date| date.to_string())
    }

    #[rstest]
    #[case::plain("2026-08-22T21:01:36Z", "2026-08-22T21:01:36.000Z")]
    #[case::offset("2026-08-22T23:01:36+02:00", "2026-08-22T21:01:36.000Z")]
    #[case::now("2026-08-23T12:00:00Z", "2026-08-23T12:00:00.000Z")]
    #[case::earliest("2000-01-01T00:00:00Z", "2000-01-01T00:00:00.000Z")]
    #[case::after_now("2026-08-23T12:00:01Z", "2026-08-23T12:00:00.000Z")]
    #[case::far_away("9999-12-31T23:59:59Z", "2026-08-23T12:00:00.000Z")]
    #[case::no_date("9999-99-99", "2026-08-23T12:00:00.000Z")]
    #[case::before_2000("1999-12-31T23:59:59Z", "2026-08-23T12:00:00.000Z")]
    #[case::beginning("0000-00-00T00:00:00Z", "2026-08-23T12:00:00.000Z")]
    #[case::nothing("", "2026-08-23T12:00:00.000Z")]
    fn a_commit_that_cannot_be_is_of_now(#[case] date: &str, #[case] expected: &str) {
        assert_eq!(commit_date(date, now()).to_string(), expected);
    }

    #[rstest]
    #[case::post(
        "https://twitter.com/a/status/1529022365217906688",
        Some("2022-05-24T08:51:54.386Z")
    )]
    #[case::post_with_more(
        "https://x.com/a/status/1529022365217906688/photo/1?s=20",
        Some("2022-05-24T08:51:54.386Z")
    )]
    #[case::old_post("https://twitter.com/a/status/20", None)]
    #[case::post_of_tomorrow("https://x.com/a/status/9223372036854775807", None)]
    #[case::no_number("https://x.com/a/status/+1529022365217906688", None)]
    #[case::too_large("https://x.com/a/status/99999999999999999999999", None)]
    #[case::other_numbers("https://infosec.exchange/users/a/statuses/109000000000000000", None)]
    #[case::pulse(
        "https://otx.alienvault.com/pulse/5f3e1c2b0123456789abcdef",
        Some("2020-08-20T06:46:03.000Z")
    )]
    #[case::pulse_elsewhere("https://example.com/pulse/5f3e1c2b0123456789abcdef", None)]
    #[case::no_pulse("https://otx.alienvault.com/pulse/5f3e1c2b", None)]
    #[case::pulse_of_tomorrow("https://otx.alienvault.com/pulse/ffffffff0123456789abcdef", None)]
    #[case::day(
        "https://blog.example/2019/12/03/name",
        Some("2019-12-03T00:00:00.000Z")
    )]
    #[case::day_at_the_end("https://blog.example/a/2020/02/29", Some("2020-02-29T00:00:00.000Z"))]
    #[case::no_day("https://blog.example/2019/02/29/name", None)]
    #[case::no_month("https://blog.example/2019/13/01", None)]
    #[case::one_digit("https://blog.example/2019/1/1", None)]
    #[case::month_alone("https://blog.example/2019/12/name", None)]
    #[case::before_2000("https://blog.example/1999/12/31", None)]
    #[case::tomorrow("https://blog.example/2026/08/24", None)]
    #[case::far_away("https://blog.example/9999/99/99", None)]
    #[case::in_the_query("https://blog.example/?/2019/12/03/", None)]
    #[case::no_address("2019/12/03", None)]
    #[case::in_the_middle("https://blog.example/x2019/12/03", None)]
    fn an_address_may_carry_a_date(#[case] address: &str, #[case] date: Option<&str>) {
        assert_eq!(newest_of(&[address]).as_deref(), date);
    }

    #[test]
    fn the_newest_date_counts() {
        let addresses = [
            "https://blog.example/2019/12/03/name",
            "https://blog.example/2021/01/01/2020/01/01/x",
            "https://blog.example/2030/01/01",
            "https://blog.example/",
        ];
        let newest = newest_of(&addresses);
        assert_eq!(newest.as_deref(), Some("2021-01-01T00:00:00.000Z"));
    }

    proptest! {
        #[test]
        fn any_address_and_date_can_be_read(
            address in "https?://(otx.alienvault.com|x.com)/(status|pulse|[0-9]{4})/[0-9a-f/]{0,26}|\\PC{0,40}",
            date in "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z|\\PC{0,20}",
        ) {
            let earliest = time("2000-01-01T00:00:00Z");
            if let Some(date) = newest([address.as_str()].into_iter(), now()) {
                prop_assert!((earliest..=now()).contains(&date));
            }
            let date = commit_date(&date, now());
            prop_assert!((earliest..=now()).contains(&date));
        }
    }
}
