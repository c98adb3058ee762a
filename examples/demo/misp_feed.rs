//! The MISP Feed connector at work: events of a real organisation from a simulated feed into a simulated platform.
//!
//! Three runs: the first import of all events but one; then one that is new, and one that has got another attribute; and
//! one that finds nothing new.

use std::process::ExitCode;

use anyhow::{Context, Result};
use chrono::Utc;
use opencti_connectors::connectors::misp_feed::MispFeed;
use opencti_connectors::runtime::End;
use serde_json::{Value, json};

use crate::acts::{self, Stage};
use crate::notes::Notes;
use crate::print_line;
use feed_server::FeedServer;

#[expect(dead_code, reason = "the tests use more of it")]
#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the tests' own server"
)]
#[path = "../../tests/misp_feed/feed_server.rs"]
mod feed_server;
#[path = "misp_feed/report.rs"]
mod report;

/// The event that is not in the feed at first, all objects and references.
const NEW: &str = "7a1f92cb-dba7-425f-aacd-85b80ff5cb9a";
/// The event that gets another attribute.
const CHANGED: &str = "b5a79c58-fbd0-459c-8f19-8494f7f12b51";
/// What its new attribute says; made up.
const ADDED: &str = "update.signsight.example";

/// Plays all acts; the exit code says whether they went well.
pub(crate) async fn demo(arguments: &acts::Arguments) -> Result<ExitCode> {
    acts::demo(arguments, "a feed", play).await
}

async fn play(stage: &Stage, notes: &Notes) -> Result<bool> {
    let feed = FeedServer::start();
    let (mut first, mut later): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
    for event in feed_server::sample() {
        match report::text(&event, "uuid") {
            NEW => later.push(event),
            CHANGED => {
                later.push(with_attribute(event.clone())?);
                first.push(event);
            }
            _ => first.push(event),
        }
    }
    let what = "events of ESET and CIRCL, published between 2016 and 2022, simulated";
    print_line(&stage.introduction("feed", what));
    let events = first.len() + 1;
    let mut acts = Vec::new();
    for (title, published) in [
        (
            format!("1. The first import: {}", report::events_of(&first)),
            first,
        ),
        (
            "2. Later: an event has another attribute, and one is new".to_owned(),
            later,
        ),
        ("3. Nothing new".to_owned(), Vec::new()),
    ] {
        for event in &published {
            feed.put(event);
        }
        feed.forget_requests();
        let settings = stage.settings(&[
            ("MISP_FEED_URL", &feed.url()),
            ("MISP_FEED_CREATE_INDICATORS", "true"),
            ("MISP_FEED_CREATE_OBSERVABLES", "true"),
        ])?;
        let requests = || feed.asked().len();
        let act = stage.perform::<MispFeed>(title, settings, &requests);
        let act = act.await?;
        print_line(&acts::report::of_act(
            stage,
            &act,
            &report::requests(&feed.asked()),
        ));
        let went_well = act.end == End::RanOnce;
        acts.push(act);
        if !went_well {
            break;
        }
    }
    let (text, is_good) = report::verdict(stage, &acts, events, notes);
    print_line(&text);
    Ok(is_good)
}

/// A version of an event of today, with a domain more.
fn with_attribute(mut event: Value) -> Result<Value> {
    let timestamp = Utc::now().timestamp().to_string();
    let head = event.get_mut("Event").and_then(Value::as_object_mut);
    let head = head.context("a file of the sample holds no event")?;
    head.insert("timestamp".to_owned(), timestamp.as_str().into());
    let attributes = head.get_mut("Attribute").and_then(Value::as_array_mut);
    attributes
        .context("an event of the sample has no attributes")?
        .push(json!({
            "uuid": "0c1b1a52-6a5c-4f0e-8d0e-5b6d7a3e9f10",
            "type": "domain",
            "category": "Network activity",
            "value": ADDED,
            "to_ids": true,
            "timestamp": timestamp,
            "comment": "C&C server",
        }));
    Ok(event)
}
