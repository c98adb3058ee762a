//! Releases of the platform's own client, and what each sends to import messages.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use sandbox::Release;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

const ORACLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle");

/// A release of the client, and where it is installed; the one of the environment needs no folder.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) release: Release,
    folder: Option<PathBuf>,
    python: PathBuf,
}

/// What so many workers did.
#[derive(Debug, Deserialize)]
pub(super) struct Count {
    pub(super) workers: u32,
    pub(super) messages: u64,
    /// What was reported to the work.
    pub(super) imports: u64,
    pub(super) requests: BTreeMap<String, u64>,
    errors: Vec<Value>,
    logged: Vec<String>,
}

impl Count {
    pub(super) fn all_requests(&self) -> u64 {
        self.requests.values().sum()
    }
}

/// Those of `tests/oracle`, oldest first, or those of them that are wanted.
pub(super) fn clients(wanted: &[Release]) -> Result<Vec<Client>> {
    let python = std::env::var_os("ORACLE_PYTHON").map(PathBuf::from);
    let python =
        python.context("ORACLE_PYTHON is not set: scripts/bench prepares a Python and sets it")?;
    let environment = python
        .ancestors()
        .nth(2)
        .context("no folder above Python")?;
    let mut clients = Vec::new();
    for (list, is_pinned) in [("clients.txt", false), ("requirements.txt", true)] {
        let text = std::fs::read_to_string(Path::new(ORACLE).join(list))?;
        for release in text.lines().filter_map(|line| line.strip_prefix("pycti==")) {
            let folder = environment.join(format!("pycti-{release}"));
            clients.push(Client {
                release: release.trim().parse()?,
                folder: (!is_pinned).then_some(folder),
                python: python.clone(),
            });
        }
    }
    clients.sort_by_key(|client| client.release);
    if !wanted.is_empty() {
        clients.retain(|client| wanted.contains(&client.release));
    }
    ensure!(
        !clients.is_empty(),
        "tests/oracle has none of these releases: {wanted:?}"
    );
    Ok(clients)
}

#[derive(Deserialize)]
struct Answer {
    client: String,
    counts: Vec<Count>,
}

impl Client {
    /// What it asks for the messages, for each of these numbers of workers; `is_cut` for their objects in
    /// single messages instead. Settled objects are there before.
    pub(super) fn count(
        &self,
        messages: &[Value],
        settled: &[Value],
        workers: &[u32],
        is_cut: bool,
    ) -> Result<Vec<Count>> {
        let messages = lines(messages.iter().map(|message| json!({ "body": message })))?;
        let settled = lines(settled.iter().cloned())?;
        let mut command = Command::new(&self.python);
        command
            .arg(Path::new(ORACLE).join("count_requests.py"))
            .arg(messages.path())
            .arg("--settled")
            .arg(settled.path());
        for number in workers {
            command.arg("--workers").arg(number.to_string());
        }
        if is_cut {
            command.arg("--cut");
        }
        if let Some(folder) = &self.folder {
            ensure!(
                folder.exists(),
                "{} is not there: scripts/bench workers installs it",
                folder.display()
            );
            command.arg("--client").arg(folder);
        }
        let output = command.output().context("Python does not run")?;
        let log = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "counting failed: {log}");
        let answer: Answer = serde_json::from_slice(&output.stdout)?;
        ensure!(
            answer.client == self.release.to_string(),
            "pycti {} was installed in place of {}",
            answer.client,
            self.release
        );
        for count in &answer.counts {
            ensure!(
                count.errors.is_empty() && count.logged.is_empty(),
                "pycti {} does not import the messages: {:?} {:?}",
                self.release,
                count.errors,
                count.logged
            );
        }
        Ok(answer.counts)
    }
}

fn lines(values: impl Iterator<Item = Value>) -> Result<NamedTempFile> {
    let mut file = NamedTempFile::new()?;
    for value in values {
        writeln!(file, "{value}")?;
    }
    Ok(file)
}
