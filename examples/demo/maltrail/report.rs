//! What happened, as text.

use std::collections::BTreeMap;

use indicatif::HumanCount;
use opencti_connectors::runtime::End;
use sandbox::{GitFiles, GitPort, Imported, ImportedObject, Status};

use super::{Act, Stage};
use crate::notes::Notes;
use crate::summary::{Text, describe_work, seconds};

/// Indicators that are shown of those that came, and of those that are gone.
const SHOWN: usize = 2;

/// How many lists, and lines in them.
pub(crate) fn lists_of(files: &GitFiles) -> String {
    let lists = files.iter().filter(|(path, _)| is_list(path));
    let (mut count, mut lines) = (0, 0);
    for (_, file) in lists {
        count += 1;
        lines += file
            .content()
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty() && !line.starts_with(b"#"))
            .count();
    }
    format!("{count} lists with {} trails", HumanCount(lines as u64))
}

/// How two commits differ.
pub(crate) fn changes(before: &GitFiles, after: &GitFiles) -> String {
    let of = |files: &GitFiles, others: &GitFiles, differs: &dyn Fn(&str) -> bool| {
        let paths = files.keys().filter(|path| is_list(path));
        let paths = paths.filter(|path| others.contains_key(*path) == differs(path));
        paths.count()
    };
    let is_new = |_: &str| false;
    let is_changed = |path: &str| {
        let content = |files: &GitFiles| files.get(path).map(|file| file.content().to_vec());
        content(before) != content(after)
    };
    let changed = after
        .keys()
        .filter(|path| is_list(path) && before.contains_key(*path) && is_changed(path));
    format!(
        "{} lists changed, {} are new, {} are gone",
        changed.count(),
        of(after, before, &is_new),
        of(before, after, &is_new)
    )
}

fn is_list(path: &str) -> bool {
    path.starts_with("trails/static/")
}

/// What came of a run.
pub(crate) fn of_act(stage: &Stage, act: &Act) -> String {
    let mut text = Text::default();
    text.fact("requests", &requests(act));
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

fn requests(act: &Act) -> String {
    let count = |port| {
        let requests = act.requests.iter().filter(|request| request.port == port);
        requests.count()
    };
    let unchanged = act.requests.iter().filter(|request| request.status == 304);
    let counts = [
        (count(GitPort::Api), "to the API"),
        (unchanged.count(), "of them \"nothing changed\""),
        (count(GitPort::Archive), "for an archive"),
        (count(GitPort::Raw), "for single lists"),
    ];
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

fn is_revoked(object: &ImportedObject) -> bool {
    object.life.as_ref().is_some_and(|life| life.is_revoked)
}

/// The last words, and whether all went well.
pub(crate) fn verdict(stage: &Stage, acts: &[Act], notes: &Notes) -> (String, bool) {
    let mut text = Text::default();
    let imported = stage.destination.imported();
    examples(&mut text, &imported);
    for error in notes.errors() {
        text.fact("error", &error);
    }
    let works = acts.iter().filter_map(|act| act.work.as_ref());
    let is_complete = works
        .clone()
        .all(|work| work.status == Status::Complete && work.errors.is_empty());
    let losses = imported.losses().len() + stage.workers.dropped() + stage.workers.rejected();
    let is_good = acts.iter().all(|act| act.end == End::RanOnce)
        && acts.last().is_some_and(|act| act.work.is_none())
        && works.count() == 2
        && is_complete
        && losses == 0;
    let is_good = is_good && count_indicators(&imported, true) > 0;
    let [revoked, active] = [true, false].map(|revoked| count_indicators(&imported, revoked));
    if is_good {
        text.line(format_args!(
            "\n✓ Both commits arrived whole: {} indicators count, {} that the lists took back are revoked,\n  \
             and nothing was lost on the way.",
            HumanCount(active),
            HumanCount(revoked)
        ));
    } else {
        text.line(format_args!(
            "\n✗ Not everything is as it should be: see above."
        ));
        for act in acts.iter().filter(|act| act.end != End::RanOnce) {
            text.fact("failed", &act.title);
        }
    }
    (text.0.trim_end().to_owned(), is_good)
}

fn count_indicators(imported: &Imported, revoked: bool) -> u64 {
    let indicators = imported.of_type("indicator");
    let counted = indicators.filter(|(_, object)| is_revoked(object) == revoked);
    counted.count() as u64
}

/// Some indicators that count, and some that do not any more.
fn examples(text: &mut Text, imported: &Imported) {
    for (revoked, heading) in [(false, "for example"), (true, "revoked")] {
        let indicators = imported.of_type("indicator");
        let indicators = indicators.filter(|(_, object)| is_revoked(object) == revoked);
        for (at, (_, object)) in indicators.take(SHOWN).enumerate() {
            text.fact(if at == 0 { heading } else { "" }, &example(object));
        }
    }
}

fn example(object: &ImportedObject) -> String {
    let word = |name: &str| {
        let word = object.object.get(name).and_then(serde_json::Value::as_str);
        word.unwrap_or_default()
    };
    // Places of attackers, which nobody is to open by chance.
    let defanged = word("pattern").replace('.', "[.]");
    let score = object.life.as_ref().map_or(0, |life| life.score);
    let labels: Vec<&str> = object.labels.iter().map(String::as_str).collect();
    format!("{defanged}, score {score}, labels {}", labels.join(", "))
}
