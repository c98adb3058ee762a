//! The Python side: the platform's own client and the OASIS validator, asked about our messages.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

/// The folder of the Python programs.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle")
}

/// The interpreter of the environment that `scripts/test` makes.
pub(crate) fn python() -> PathBuf {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python");
    let python = std::env::var_os("ORACLE_PYTHON").map_or(ours, PathBuf::from);
    assert!(
        python.exists(),
        "{} is not there: scripts/test makes the Python environment",
        python.display()
    );
    python
}

/// What one of the programs says of the messages.
pub(crate) fn ask(program: &str, messages: &[Value], arguments: &[&str]) -> Value {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    for message in messages {
        writeln!(file, "{}", json!({ "body": message })).expect("the file takes it");
    }
    let output = Command::new(python())
        .arg(folder().join(program))
        .arg(file.path())
        .args(arguments)
        .output()
        .expect("Python runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}
