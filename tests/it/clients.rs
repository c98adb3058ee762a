//! The releases of the platform's own client that judge our messages, and where they are installed.

use std::path::PathBuf;

use sandbox::Release;

use crate::oracle;

/// The one that the environment itself has.
const OWN: &str = "requirements.txt";
const OTHERS: &str = "clients.txt";

/// All releases.
pub(crate) fn all() -> Vec<Release> {
    [OTHERS, OWN].into_iter().flat_map(pinned).collect()
}

/// Where a release is installed; none where it is the environment's own.
pub(crate) fn folder(release: Release) -> Option<PathBuf> {
    if pinned(OWN).contains(&release) {
        return None;
    }
    let python = oracle::python();
    let environment = python.ancestors().nth(2).expect("the environment's folder");
    let folder = environment.join(format!("pycti-{release}"));
    assert!(
        folder.exists(),
        "{} is not there: scripts/test installs it",
        folder.display()
    );
    Some(folder)
}

/// The releases that a list of requirements names.
fn pinned(list: &str) -> Vec<Release> {
    let text = std::fs::read_to_string(oracle::folder().join(list)).expect("the list is there");
    let releases = text.lines().filter_map(|line| line.strip_prefix("pycti=="));
    releases
        .map(|release| release.trim().parse().expect("a release"))
        .collect()
}
