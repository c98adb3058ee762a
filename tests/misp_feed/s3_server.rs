//! A server of S3 as a process of its own: moto, which checks the signature of every request.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::oracle::python;

/// The server. It ends with this.
pub(crate) struct S3Server {
    child: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    pub(crate) access: S3Access,
}

/// Where it is, and the keys of its one user.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct S3Access {
    pub(crate) endpoint: String,
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl S3Server {
    pub(crate) fn start() -> Self {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/misp_feed/s3_server.py");
        let mut child = Command::new(python())
            .arg(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python runs");
        let commands = child.stdin.take();
        let mut answers = BufReader::new(child.stdout.take().expect("it has an output"));
        let access = line(&mut answers);
        let access = serde_json::from_value(access).expect("it says where it is");
        Self {
            child,
            commands,
            answers,
            access,
        }
    }

    /// Puts objects into a bucket, which is made if it is not there; all its keys then.
    pub(crate) fn put<K: Into<String>, B: Into<Value>>(
        &mut self,
        bucket: &str,
        objects: impl IntoIterator<Item = (K, B)>,
    ) -> Vec<String> {
        let objects: serde_json::Map<String, Value> = objects
            .into_iter()
            .map(|(key, body)| (key.into(), body.into()))
            .collect();
        self.ask(&json!({ "bucket": bucket, "put": objects }))
    }

    /// The keys of a bucket, in order.
    pub(crate) fn keys(&mut self, bucket: &str) -> Vec<String> {
        self.ask(&json!({ "bucket": bucket }))
    }

    fn ask(&mut self, command: &Value) -> Vec<String> {
        let commands = self.commands.as_mut().expect("it runs");
        writeln!(commands, "{command}").expect("it reads commands");
        commands.flush().expect("it reads commands");
        serde_json::from_value(line(&mut self.answers)).expect("it answers with keys")
    }
}

fn line(answers: &mut BufReader<ChildStdout>) -> Value {
    let mut line = String::new();
    answers.read_line(&mut line).expect("it answers");
    serde_json::from_str(&line).expect(
        "the server of S3 answers: is moto there? scripts/test makes the Python environment",
    )
}

impl Drop for S3Server {
    fn drop(&mut self) {
        // It ends with its input, at the latest.
        drop(self.commands.take());
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
