//! Tests of the first pass.

use super::super::reference::BlockId;
use super::super::tree::Tree;
use super::*;

fn trails(count: usize, name: &str) -> String {
    (0..count)
        .map(|number| format!("{name}{number}.example\n"))
        .collect::<Vec<_>>()
        .concat()
}

fn block(address: &str) -> String {
    format!("# Reference: https://{address}\n")
}

#[test]
fn blocks_over_the_limit_are_large_and_belong_to_the_threat() {
    let file = block("p.example/1")
        + &trails(4, "a")
        + &block("p.example/2")
        + &trails(3, "b")
        + &block("p.example/3")
        + &trails(2, "c")
        + "# a99.example\nc0.example\n\u{0}\nc1.example\n";
    let other = block("p.example/4") + &trails(9, "d");
    let tree = Tree::new([
        ("malware/x.txt", file),
        (
            "malware/x-1.txt",
            block("p.example/5") + &trails(4, "e") + &block("p.example/1") + &trails(4, "f"),
        ),
        ("suspicious/s.txt", other.clone()),
        ("malware/generic.txt", other),
    ]);
    let surveyed = tree.survey(&ValueHasher::new(), 3);
    let is_large = |path: &str, line| {
        let file = tree.families.file(path).unwrap();
        surveyed.large.contains(BlockId { file, line })
    };
    assert!(is_large("malware/x.txt", 1));
    assert!(!is_large("malware/x.txt", 6));
    // Four lines with trails, two of them after one that is none, and after one that was taken out.
    assert!(is_large("malware/x.txt", 10));
    assert!(is_large("suspicious/s.txt", 1) && is_large("malware/generic.txt", 1));
    assert_eq!(surveyed.large.len(), 6);

    let views: Vec<ThreatView<'_>> = surveyed.threats.threats(&tree.families).collect();
    assert_eq!(views.len(), 1);
    let addresses: Vec<&str> = views[0]
        .references
        .iter()
        .map(|reference| reference.address())
        .collect();
    // Files by their paths: that of `x-1.txt` comes before that of `x.txt`.
    assert_eq!(
        addresses,
        [
            "https://p.example/5",
            "https://p.example/1",
            "https://p.example/3"
        ]
    );
    assert_eq!(views[0].trails, 8 + 4 + 3 + 4);
    assert_eq!(views[0].files.len(), 2);
}

#[test]
fn references_of_a_threat_are_bounded() {
    let blocks = (0..150)
        .map(|number| block(&format!("p.example/{number}")) + &trails(2, &format!("a{number}-")));
    let tree = Tree::new([("malware/x.txt", blocks.collect::<String>())]);
    let surveyed = tree.survey(&ValueHasher::new(), 1);
    let view = surveyed.threats.threats(&tree.families).next().unwrap();
    assert_eq!((view.references.len(), view.references_left_out), (100, 50));
}

#[test]
fn aliases_are_those_of_the_threats_files() {
    let tree = Tree::new([
        (
            "malware/apt_x.txt",
            "# Aliases: One, two\n# Alias: two, three\na.example\n".to_owned(),
        ),
        (
            "malware/apt_x-1.txt",
            "# Aliases: One, four\nb.example\n".to_owned(),
        ),
        // Named after nothing, without trails, for observables alone.
        (
            "malware/generic.txt",
            "# Aliases: five\nc.example\n".to_owned(),
        ),
        ("malware/y.txt", "# Aliases: six\n# d.example\n".to_owned()),
        (
            "suspicious/s.txt",
            "# Aliases: seven\nd.example\n".to_owned(),
        ),
    ]);
    let surveyed = tree.survey(&ValueHasher::new(), 1000);
    let views: Vec<ThreatView<'_>> = surveyed.threats.threats(&tree.families).collect();
    assert_eq!(views.len(), 1);
    assert_eq!(&*views[0].threat.name, "x");
    assert_eq!(views[0].aliases, ["One", "four", "two", "three"]);
}

#[test]
fn too_many_values_are_refused() {
    let tree = Tree::new([("malware/x.txt", trails(11, "a"))]);
    let survey = |most_values| {
        let mut survey = Survey::new(ValueHasher::new(), 1000);
        survey.most_values = most_values;
        tree.read(|found| survey.take(&tree.families, &found));
        survey
            .finish(&tree.families)
            .map(|surveyed| surveyed.index.len())
    };
    assert_eq!(survey(11), Ok(11));
    assert_eq!(survey(10), Err(SurveyError::TooManyValues));
}
