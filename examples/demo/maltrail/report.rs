//! What happened, as text.

use indicatif::HumanCount;
use sandbox::{GitFiles, GitPort, GitRequest, Imported};

use crate::acts::report::{close, counted, indicator, is_revoked, is_whole};
use crate::acts::{Act, Stage};
use crate::notes::Notes;
use crate::summary::Text;

/// Indicators that are shown of those that came, and of those that are gone.
const SHOWN: usize = 2;

/// How many lists, and lines in them.
pub(super) fn lists_of(files: &GitFiles) -> String {
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
pub(super) fn changes(before: &GitFiles, after: &GitFiles) -> String {
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

/// What the git host was asked.
pub(super) fn requests(requests: &[GitRequest]) -> String {
    let count = |port| requests.iter().filter(|asked| asked.port == port).count();
    let unchanged = requests.iter().filter(|asked| asked.status == 304);
    counted(&[
        (count(GitPort::Api), "to the API"),
        (unchanged.count(), "of them \"nothing changed\""),
        (count(GitPort::Archive), "for an archive"),
        (count(GitPort::Raw), "for single lists"),
    ])
}

/// The last words, and whether all went well.
pub(super) fn verdict(stage: &Stage, acts: &[Act], notes: &Notes) -> (String, bool) {
    let mut text = Text::default();
    let imported = stage.destination.imported();
    examples(&mut text, &imported);
    let [revoked, active] = [true, false].map(|revoked| count_indicators(&imported, revoked));
    let is_good = is_whole(stage, acts) && acts.len() == 3 && revoked > 0;
    let success = format!(
        "Both commits arrived whole: {} indicators count, {} that the lists took back are revoked,\n  \
         and nothing was lost on the way.",
        HumanCount(active),
        HumanCount(revoked)
    );
    let success = is_good.then_some(success.as_str());
    close(&mut text, success, acts, notes);
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
            text.fact(if at == 0 { heading } else { "" }, &indicator(object));
        }
    }
}
