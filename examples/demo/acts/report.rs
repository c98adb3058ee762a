//! What happened, as text.

use std::collections::BTreeMap;

use indicatif::HumanCount;
use opencti_connectors::runtime::End;
use sandbox::{Imported, ImportedObject, Status};

use super::{Act, Stage};
use crate::notes::Notes;
use crate::summary::{Text, describe_work, seconds};

/// What came of a run that asked its source so much.
pub(crate) fn of_act(stage: &Stage, act: &Act, requests: &str) -> String {
    let mut text = Text::default();
    text.fact("requests", requests);
    match &act.work {
        None => text.fact("work", "none: no message was sent"),
        Some(work) => {
            text.fact("time", &time(act));
            describe_work(&mut text, work);
            text.0.push('\n');
            table(&mut text, &stage.destination.imported());
        }
    }
    text.0
}

/// The counts that are not zero, each with what it counts.
pub(crate) fn counted(counts: &[(usize, &str)]) -> String {
    let named = counts.iter().filter(|(count, _)| *count > 0);
    let named: Vec<String> = named
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    named.join(", ")
}

fn time(act: &Act) -> String {
    format!(
        "{} until the workers were through with {} messages",
        seconds(act.whole),
        HumanCount(act.messages as u64),
    )
}

/// What stands at the platform, by type.
fn table(text: &mut Text, imported: &Imported) {
    let mut kinds: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for (_, object) in imported.objects() {
        let (all, revoked) = kinds.entry(&object.entity_type).or_default();
        *all += 1;
        *revoked += u64::from(is_revoked(object));
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|(_, (all, _))| std::cmp::Reverse(*all));
    text.line(format_args!("  {:<28} {:>9}", "at the platform", "objects"));
    for (kind, (all, revoked)) in kinds {
        let note = match revoked {
            0 => String::new(),
            revoked => format!("  {} of them revoked", HumanCount(revoked)),
        };
        let all = HumanCount(all).to_string();
        text.line(format_args!("  {kind:<28} {all:>9}{note}"));
    }
}

pub(crate) fn is_revoked(object: &ImportedObject) -> bool {
    object.life.as_ref().is_some_and(|life| life.is_revoked)
}

/// Whether each act but the last one had a work that was completed without an error, the last one none, and nothing was
/// lost on the way.
pub(crate) fn is_whole(stage: &Stage, acts: &[Act]) -> bool {
    let Some((last, others)) = acts.split_last() else {
        return false;
    };
    let is_complete = |act: &Act| {
        let work = act.work.as_ref();
        work.is_some_and(|work| work.status == Status::Complete && work.errors.is_empty())
    };
    let imported = stage.destination.imported();
    let losses = imported.losses().len() + stage.workers.dropped() + stage.workers.rejected();
    acts.iter().all(|act| act.end == End::RanOnce)
        && last.work.is_none()
        && others.iter().all(is_complete)
        && losses == 0
        && imported.dangling().is_empty()
}

/// The last words: the success, or which acts failed and what was logged.
pub(crate) fn close(text: &mut Text, success: Option<&str>, acts: &[Act], notes: &Notes) {
    for error in notes.errors() {
        text.fact("error", &error);
    }
    let Some(success) = success else {
        text.line(format_args!(
            "\n✗ Not everything is as it should be: see above."
        ));
        for act in acts.iter().filter(|act| act.end != End::RanOnce) {
            text.fact("failed", &act.title);
        }
        return;
    };
    text.line(format_args!("\n✓ {success}"));
}

/// An indicator in one line.
pub(crate) fn indicator(object: &ImportedObject) -> String {
    let pattern = object.object.get("pattern");
    let pattern = pattern.and_then(serde_json::Value::as_str);
    // Places of attackers, which nobody is to open by chance.
    let defanged = pattern.unwrap_or_default().replace('.', "[.]");
    let score = object.life.as_ref().map_or(0, |life| life.score);
    let labels: Vec<&str> = object.labels.iter().map(String::as_str).collect();
    let labels = match labels.as_slice() {
        [] => String::new(),
        labels => format!(", labels {}", labels.join(", ")),
    };
    format!("{defanged}, score {score}{labels}")
}
