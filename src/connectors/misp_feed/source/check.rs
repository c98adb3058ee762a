//! What the command `check` finds at a feed.

use chrono::{DateTime, Utc};

use crate::connector::Checks;
use crate::connectors::misp_feed::MispFeed;
use crate::connectors::misp_feed::feed::{FeedError, FeedItem, FeedListing};
use crate::http::Validators;

const NAME: &str = "source";
const ROWS: &str = "source rows";
const NOTHING_OF_ATTRIBUTES: &str = "; of their attributes come neither indicators nor observables (misp_feed.create_indicators, \
     MISP_FEED_CREATE_INDICATORS; misp_feed.create_observables, MISP_FEED_CREATE_OBSERVABLES)";

/// Lists a feed once, and says what there is.
pub(in super::super) async fn check(connector: &MispFeed, checks: &mut Checks<'_>) {
    let session = connector.feed.once();
    let items = match session.list(&Validators::default()).await {
        Ok(FeedListing::Items(items)) => items,
        Ok(FeedListing::Unchanged) => return checks.fail(NAME, "it says nothing of what it has"),
        Err(error) => return fail(checks, error),
    };
    checks.pass(NAME, connector.feed.address());
    let what = connector.feed.items_word();
    let listed = items.items.len();
    if listed == 0 {
        let text = format!("it has no {what}");
        return checks.warn(ROWS, text);
    }
    let range = range(&items.items);
    let mut text = format!("{listed} {what}{range}");
    if items.left_out.total > 0 {
        let others = format!(", and {} entries that are none", items.left_out.total);
        text.push_str(&others);
    }
    let mapping = &connector.mapping;
    if !mapping.create_indicators && !mapping.create_observables {
        text.push_str(NOTHING_OF_ATTRIBUTES);
    }
    let now = connector.clock.now();
    let Some(from) = connector.import_from.map(|since| since.resolve(now)) else {
        return checks.pass(ROWS, text);
    };
    let left_out = items.items.iter().filter(|item| item.is_before(from));
    let left_out = left_out.count();
    let text = format!(
        "{text}; {left_out} of them are not imported, as they lie before {} (misp_feed.import_from_date, MISP_FEED_IMPORT_FROM_DATE)",
        day(from.timestamp())
    );
    if left_out == listed {
        checks.warn(ROWS, text);
    } else {
        checks.pass(ROWS, text);
    }
}

fn fail(checks: &mut Checks<'_>, error: FeedError) {
    checks.fail_with(NAME, &error.into_source_error());
}

/// From when to when they were changed.
fn range(items: &[FeedItem]) -> String {
    let times = items
        .iter()
        .filter_map(|item| item.timestamp.or(item.written));
    let times = || times.clone().filter(|time| *time > 0);
    match (times().min(), times().max()) {
        (Some(first), Some(last)) => {
            format!(", changed between {} and {}", day(first), day(last))
        }
        _ => String::new(),
    }
}

fn day(seconds: i64) -> String {
    let time = DateTime::<Utc>::from_timestamp(seconds, 0);
    time.map_or_else(
        || "?".to_owned(),
        |time| time.format("%Y-%m-%d").to_string(),
    )
}
