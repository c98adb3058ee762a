//! What happened, as text.

use indicatif::HumanCount;
use sandbox::{Imported, ImportedObject};
use serde_json::Value;

use super::feed_server::Asked;
use super::{ADDED, CHANGED, NEW};
use crate::acts::report::{close, counted, indicator, is_revoked, is_whole};
use crate::acts::{Act, Stage};
use crate::notes::Notes;
use crate::summary::Text;

const MANIFEST: &str = "manifest.json";
/// Columns of a title.
const TITLE: usize = 44;
/// Threats of a kind that are named.
const NAMED: usize = 12;

/// A text of an event's head.
pub(super) fn text<'a>(event: &'a Value, name: &str) -> &'a str {
    let text = event.get("Event").and_then(|head| head.get(name));
    text.and_then(Value::as_str).unwrap_or_default()
}

/// How many events, and attributes in them.
pub(super) fn events_of(events: &[Value]) -> String {
    let list = |of: Option<&Value>, name: &str| {
        let list = of.and_then(|of| of.get(name)).and_then(Value::as_array);
        list.cloned().unwrap_or_default()
    };
    let attributes = events.iter().map(|event| {
        let event = event.get("Event");
        let objects = list(event, "Object");
        let in_objects = objects.iter().map(|o| list(Some(o), "Attribute").len());
        list(event, "Attribute").len() + in_objects.sum::<usize>()
    });
    let attributes = HumanCount(attributes.sum::<usize>() as u64);
    format!("{} events with {attributes} attributes", events.len())
}

/// What the feed was asked.
pub(super) fn requests(asked: &[Asked]) -> String {
    let manifest = |status| {
        let asked = asked.iter().filter(|asked| asked.file == MANIFEST);
        asked.filter(|asked| asked.status == status).count()
    };
    let events = asked.iter().filter(|asked| asked.file != MANIFEST);
    counted(&[
        (manifest(200), "for the manifest"),
        (manifest(304), "for the manifest: \"nothing has changed\""),
        (events.count(), "for events"),
    ])
}

/// The last words, and whether all went well: each of so many events is one report, and what is new is in there.
pub(super) fn verdict(stage: &Stage, acts: &[Act], events: usize, notes: &Notes) -> (String, bool) {
    let mut text = Text::default();
    let imported = stage.destination.imported();
    reports(&mut text, &imported);
    threats(&mut text, &imported);
    examples(&mut text, &imported);
    let is_good = is_whole(stage, acts)
        && acts.len() == 3
        && imported.of_type("report").count() == events
        && added(&imported).len() == 2
        && imported.get(&report_id(NEW)).is_some();
    let success = format!(
        "All {events} events arrived, each as one report. The new attribute is in the report that its event\n  \
         already had, nothing refers to what is not there, and nothing was lost on the way."
    );
    close(&mut text, is_good.then_some(success.as_str()), acts, notes);
    (text.0.trim_end().to_owned(), is_good)
}

/// The id by which the report of an event is found, whatever its title is.
fn report_id(event: &str) -> String {
    format!("report--{event}")
}

fn word<'a>(object: &'a ImportedObject, name: &str) -> &'a str {
    let word = object.object.get(name).and_then(Value::as_str);
    word.unwrap_or_default()
}

/// The indicator and the domain of the new attribute that the report of its event refers to.
fn added(imported: &Imported) -> Vec<&ImportedObject> {
    let members = imported.members(&report_id(CHANGED));
    let members = members.into_iter().filter_map(|id| imported.get(id));
    members
        .filter(|object| word(object, "value") == ADDED || word(object, "name") == ADDED)
        .collect()
}

/// The reports, the newest first.
fn reports(text: &mut Text, imported: &Imported) {
    let mut reports: Vec<_> = imported.of_type("report").collect();
    reports.sort_by_key(|(_, report)| std::cmp::Reverse(word(report, "published")));
    text.line(format_args!(
        "  {:<TITLE$}  {:<10}  {:>8}  author",
        "report", "published", "objects"
    ));
    let [new, changed] = [NEW, CHANGED].map(|event| imported.get(&report_id(event)));
    for (id, report) in reports {
        let is = |other: Option<&ImportedObject>| {
            other.is_some_and(|other| other.object.get("id") == report.object.get("id"))
        };
        let note = match report {
            _ if is(new) => ", new",
            _ if is(changed) => ", changed",
            _ => "",
        };
        let author = report.author.as_deref().and_then(|id| imported.get(id));
        let author = author.map_or("", |author| word(author, "name"));
        let published = word(report, "published").get(..10).unwrap_or_default();
        let objects = HumanCount(imported.members(id).len() as u64).to_string();
        let title = shortened(word(report, "name"));
        text.line(format_args!(
            "  {title:<TITLE$}  {published}  {objects:>8}  {author}{note}"
        ));
    }
    text.0.push('\n');
}

fn shortened(title: &str) -> String {
    if title.chars().count() <= TITLE {
        return title.to_owned();
    }
    let begin: String = title.chars().take(TITLE - 2).collect();
    format!("{} …", begin.trim_end())
}

/// Who and what the reports tell of.
fn threats(text: &mut Text, imported: &Imported) {
    for (kind, heading) in [
        ("intrusion-set", "groups"),
        ("malware", "malware"),
        ("tool", "tools"),
        ("attack-pattern", "techniques"),
    ] {
        let threats = imported.of_type(kind);
        let mut names: Vec<String> = threats
            .map(|(_, threat)| match word(threat, "x_mitre_id") {
                "" => word(threat, "name").to_owned(),
                number => number.to_owned(),
            })
            .collect();
        names.sort();
        let more = names.len().saturating_sub(NAMED);
        names.truncate(NAMED);
        if more > 0 {
            names.push(format!("{more} more"));
        }
        if !names.is_empty() {
            text.fact(heading, &names.join(", "));
        }
    }
}

/// What came of the new attribute, a file with all its hashes, and what is too old to count.
fn examples(text: &mut Text, imported: &Imported) {
    for object in added(imported) {
        if word(object, "type") == "indicator" {
            text.fact("added", &indicator(object));
        }
    }
    let files = imported.of_type("file").map(|(_, file)| file);
    if let Some(file) = files.max_by_key(|file| hashes(file).len()) {
        let name = word(file, "name");
        text.fact("one file", &format!("{name}, {}", hashes(file).join(", ")));
    }
    let all = imported.of_type("indicator").count();
    let revoked = imported.of_type("indicator");
    let revoked = revoked.filter(|(_, indicator)| is_revoked(indicator));
    let old = format!(
        "{} of {all} indicators are older than they live at a platform with decay, which revoked them as \
         they came",
        revoked.count()
    );
    text.fact("revoked", &old);
}

fn hashes(file: &ImportedObject) -> Vec<String> {
    let hashes = file.object.get("hashes").and_then(Value::as_object);
    let hashes = hashes.into_iter().flatten();
    let hashes = hashes.filter_map(|(name, hash)| Some(format!("{name} {}", hash.as_str()?)));
    hashes.collect()
}
