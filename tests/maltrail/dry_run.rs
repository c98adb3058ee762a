//! What a dry run counts is what a run sends.

use sandbox::GitHostOptions;

use crate::line::Line;
use crate::samples;

/// The number in front of a word.
fn number_before(text: &str, word: &str) -> u64 {
    let (before, _) = text
        .split_once(word)
        .unwrap_or_else(|| panic!("no {word:?} in {text}"));
    let digits = before.rsplit(|c: char| !c.is_ascii_digit()).next();
    digits.unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_sends_nothing_and_counts_what_is_sent() {
    let line = Line::of(GitHostOptions::default(), samples::after());
    let dry = line
        .program()
        .with_words(&["export", "--dry-run"])
        .run()
        .await;
    dry.assert_code(0);
    assert!(dry.stdout.contains("nothing was written"), "{dry:#?}");
    assert!(line.destination.connector(&line.connector_id).is_none());
    let counted = number_before(&dry.stdout, " objects in ");
    let works = line.import().await;
    let sentence = works[0].messages.concat();
    assert_eq!(
        counted,
        number_before(&sentence, " objects: "),
        "{sentence}\n{}",
        dry.stdout
    );
    let imported = line.imported();
    let kinds = [
        "indicator",
        "domain-name",
        "ipv4-addr",
        "ipv6-addr",
        "url",
        "relationship",
        "malware",
        "intrusion-set",
        "tool",
    ];
    let arrived: usize = kinds
        .iter()
        .map(|kind| imported.of_type(kind).count())
        .sum();
    assert_eq!(counted, arrived as u64, "{}", dry.stdout);
}
