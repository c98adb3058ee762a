//! `scripts/new-connector` begins connectors that compile without a warning, each alone, and have all their files.

#![expect(
    clippy::unwrap_used,
    reason = "clippy allows them in test functions, but not in what those share"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const IMPORTER: &str = "made-up-feed";
const CONSUMER: &str = "madeupsink";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What git has of this package, in a folder of its own. It has another version: so cargo keeps what it builds of it
/// apart from what it builds of this one.
fn copy() -> tempfile::TempDir {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others"])
        .arg("--exclude-standard")
        .current_dir(root())
        .output()
        .unwrap();
    assert!(listed.status.success(), "{listed:?}");
    let folder = tempfile::tempdir().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let files = listed.split_terminator('\0').map(Path::new);
    for file in files.filter(|file| root().join(file).exists()) {
        let copied = folder.path().join(file);
        fs::create_dir_all(copied.parent().unwrap()).unwrap();
        fs::copy(root().join(file), copied).unwrap();
    }
    for manifest in ["Cargo.toml", "tests/sandbox/Cargo.toml"] {
        let manifest = folder.path().join(manifest);
        let text = fs::read_to_string(&manifest).unwrap();
        let version = text.lines().find(|line| line.starts_with("version = "));
        let copied = text.replacen(version.unwrap(), "version = \"0.0.0\"", 1);
        fs::write(manifest, copied).unwrap();
    }
    folder
}

/// The folder in which this test was built.
fn target() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    program.ancestors().nth(3).unwrap().to_owned()
}

/// A command in the copy, which builds where the dependencies are there already. Programs lie in the copy, or others
/// would run them.
fn command(copy: &Path, program: impl AsRef<Path>, build: &Path) -> Command {
    let mut command = Command::new(program.as_ref());
    command
        .current_dir(copy)
        .env("CARGO_BUILD_BUILD_DIR", build)
        .env("CARGO_TARGET_DIR", copy.join("target"))
        .env("CARGO_NET_OFFLINE", "true");
    command
}

fn begin(copy: &Path, slug: &str, kind: &str) -> Output {
    let mut script = command(copy, copy.join("scripts/new-connector"), &target());
    script.args([slug, kind, "--no-files"]).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn assert_success(output: &Output) {
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}\n{error}");
}

/// Each connector by itself, as its image has it, with no warning.
fn lint_alone(copy: &Path, slug: &str) {
    // Where scripts/test lints.
    let mut lint = command(copy, "cargo", &target().join("lints"));
    lint.args(["clippy", "--no-default-features", "--features", slug])
        .args(["--bin", &format!("{slug}-connector")])
        // With a test, the dependencies are those of the tests.
        .args(["--test", "new_connector"])
        .args(["--", "-D", "warnings"]);
    assert_success(&lint.output().unwrap());
}

/// Writes the files, then compares them; another test judges names, links and what knows what.
fn write_and_check_files(copy: &Path) {
    let test = |tests: &[&str]| {
        let mut test = command(copy, "cargo", &target());
        test.args(["test", "--quiet"]).args(tests);
        test
    };
    let mut writing = test(&["--test", "catalogue"]);
    assert_success(&writing.env("WRITE_FILES", "1").output().unwrap());
    let mut checking = test(&["--test", "catalogue", "--test", "architecture"]);
    assert_success(&checking.env_remove("WRITE_FILES").output().unwrap());
}

#[test]
fn a_new_connector_of_each_kind_is_clean_alone_and_has_its_files() {
    let copy = copy();
    let copy = copy.path();
    for (slug, kind) in [(IMPORTER, "importer"), (CONSUMER, "stream")] {
        assert_success(&begin(copy, slug, kind));
    }
    for slug in [IMPORTER, CONSUMER] {
        lint_alone(copy, slug);
    }
    write_and_check_files(copy);
}

#[test]
fn a_name_that_cannot_be_taken_changes_nothing() {
    let copy = copy();
    let lists = || fs::read_to_string(copy.path().join("Cargo.toml")).unwrap();
    let before = lists();
    for slug in [
        "netmanageit",
        "http",
        "struct",
        "Feed",
        "a_feed",
        "-feed",
        "a--b",
        "../a",
    ] {
        let refused = begin(copy.path(), slug, "importer");
        assert_eq!(refused.status.code(), Some(1), "{slug}");
        let error = text(&refused.stderr);
        assert!(
            error.starts_with("scripts/new-connector: "),
            "{slug}: {error}"
        );
        assert_eq!(lists(), before, "{slug}");
    }
}
