//! The binary as a process: nothing of our own environment but PATH and HOME, a folder of its own.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opencti_connectors::telemetry::safe_text::is_unsafe;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::BINARY;

/// Long enough for the slowest machine; a test that reaches it hangs.
pub(crate) const LIMIT: Duration = Duration::from_mins(5);
/// Between two looks at something that is waited for.
const LOOK: Duration = Duration::from_millis(20);

/// A start of the binary, to be described and then made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Start {
    launcher: Vec<&'static str>,
    arguments: Vec<String>,
    variables: BTreeMap<String, String>,
    file: Option<String>,
}

impl Start {
    /// With these arguments and nothing else.
    pub(crate) fn with_arguments(arguments: &[&str]) -> Self {
        Self {
            arguments: arguments.iter().map(|&text| text.to_owned()).collect(),
            ..Self::default()
        }
    }

    /// With these arguments too.
    pub(crate) fn with_words(mut self, arguments: &[&str]) -> Self {
        let more = arguments.iter().map(|&text| text.to_owned());
        self.arguments.extend(more);
        self
    }

    /// With an environment variable.
    pub(crate) fn set(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    /// Without an environment variable.
    pub(crate) fn unset(mut self, name: &str) -> Self {
        self.variables.remove(name);
        self
    }

    /// With a `config.yml` in the folder where it is started.
    pub(crate) fn with_file(mut self, text: impl Into<String>) -> Self {
        self.file = Some(text.into());
        self
    }

    /// Not started directly, but by this command.
    pub(crate) fn launched_by(mut self, launcher: &[&'static str]) -> Self {
        self.launcher = launcher.to_vec();
        self
    }

    /// Starts it, each time anew: also on the same line after another one has died.
    pub(crate) fn start(&self) -> Process {
        let folder = tempfile::tempdir().expect("a temporary folder");
        if let Some(text) = &self.file {
            std::fs::write(folder.path().join("config.yml"), text).expect("the file is written");
        }
        let mut words: Vec<&OsStr> = self.launcher.iter().map(OsStr::new).collect();
        words.push(OsStr::new(BINARY));
        words.extend(self.arguments.iter().map(OsStr::new));
        let kept = ["PATH", "HOME"].map(|name| (name, std::env::var_os(name).unwrap_or_default()));
        let mut child = Command::new(words.remove(0))
            .args(words)
            .env_clear()
            .envs(kept)
            .envs(&self.variables)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts");
        let stdout = Stream::of(child.stdout.take().expect("standard output"));
        let stderr = Stream::of(child.stderr.take().expect("standard error"));
        Process {
            child,
            stdout,
            stderr,
            _folder: folder,
        }
    }

    /// Starts it and waits for its end.
    pub(crate) async fn run(self) -> Ended {
        self.start().ended().await
    }
}

/// What a stream of the process has brought so far.
struct Stream {
    bytes: Arc<Mutex<Vec<u8>>>,
    reading: JoinHandle<()>,
}

impl Stream {
    fn of(mut pipe: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&bytes);
        let reading = tokio::spawn(async move {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = pipe.read(&mut piece).await {
                let read = piece.get(..length).unwrap_or_default();
                into.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend(read);
            }
        });
        Self { bytes, reading }
    }

    fn text(&self) -> String {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// All of it, once the process has ended.
    async fn whole(self) -> Vec<u8> {
        let bytes = Arc::clone(&self.bytes);
        self.reading.await.expect("the stream is read");
        let bytes = bytes.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.clone()
    }
}

/// The running process; dropped, it is killed.
pub(crate) struct Process {
    child: Child,
    stdout: Stream,
    stderr: Stream,
    _folder: TempDir,
}

impl Process {
    /// The id of the process that was started: the launcher's, if there is one.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("the process still runs")
    }

    /// Waits until something is so, which has to happen before the process ends.
    pub(crate) async fn until(&mut self, what: &str, mut is_so: impl FnMut() -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !is_so() {
            if let Some(status) = self.child.try_wait().expect("the process can be asked") {
                panic!("ended ({status}) before {what}:\n{}", self.stderr.text());
            }
            assert!(
                Instant::now() < deadline,
                "never {what}:\n{}",
                self.stderr.text()
            );
            sleep(LOOK).await;
        }
    }

    /// Waits until the log says this.
    pub(crate) async fn until_output(&mut self, text: &str) {
        let bytes = Arc::clone(&self.stderr.bytes);
        let says = || {
            let bytes = bytes.lock().unwrap_or_else(PoisonError::into_inner);
            String::from_utf8_lossy(&bytes).contains(text)
        };
        self.until(&format!("it said {text:?}"), says).await;
    }

    /// Sends a signal by its short name, such as TERM.
    pub(crate) async fn signal(&self, name: &str) {
        send_signal(self.id(), name).await;
    }

    /// Waits for its end.
    pub(crate) async fn ended(self) -> Ended {
        self.ended_within(LIMIT).await
    }

    /// Waits for its end, which has to come within this time.
    pub(crate) async fn ended_within(self, limit: Duration) -> Ended {
        let (code, stdout, stderr) = self.left_within(limit).await;
        let text = |bytes| String::from_utf8(bytes).expect("the output is UTF-8");
        Ended {
            code,
            stdout: text(stdout),
            stderr: text(stderr),
        }
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        let status = self.child.try_wait().expect("the process can be asked");
        status.is_some()
    }

    /// Kills it at once, without a chance to do anything more, and waits until it is gone.
    pub(crate) async fn kill_9(self) -> Ended {
        let ended = self.gone().await;
        assert_eq!(ended.code, None, "it had ended before it was killed");
        ended
    }

    /// The same for a process that may have ended. What it wrote last may be half a line, which is
    /// left out.
    pub(crate) async fn gone(mut self) -> Ended {
        if !self.has_ended() {
            self.child.start_kill().expect("the process can be killed");
        }
        let (code, stdout, stderr) = self.left_within(LIMIT).await;
        let whole_lines = |bytes: Vec<u8>| {
            let length = bytes.iter().rposition(|byte| *byte == b'\n');
            let lines = &bytes[..length.map_or(0, |last| last + 1)];
            String::from_utf8_lossy(lines).into_owned()
        };
        Ended {
            code,
            stdout: whole_lines(stdout),
            stderr: whole_lines(stderr),
        }
    }

    /// Its exit code and all that it wrote, once it has ended.
    async fn left_within(mut self, limit: Duration) -> (Option<i32>, Vec<u8>, Vec<u8>) {
        let Ok(status) = timeout(limit, self.child.wait()).await else {
            panic!("still runs after {limit:?}:\n{}", self.stderr.text());
        };
        let code = status.expect("the process can be waited for").code();
        (code, self.stdout.whole().await, self.stderr.whole().await)
    }
}

/// Sends a signal with the shell's own `kill`, which is everywhere.
pub(crate) async fn send_signal(process: u32, name: &str) {
    let mut kill = Command::new("sh");
    kill.args(["-c", "kill -s \"$0\" \"$1\"", name, &process.to_string()]);
    assert!(
        kill.status().await.expect("there is a shell").success(),
        "{name} to {process}"
    );
}

/// Words of a platform that command a terminal, turn what is read, hide, and begin a line of their own.
pub(crate) const HOSTILE: &str = "\u{1b}]0;x\u{7}\u{1b}[2J\u{9b}1mno\u{202e}\u{2066}\u{200b}\u{e0041}\r\nok       forged  line\u{2028}.";

/// What is left of a process.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; none when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The lines of the log, each of which has to be JSON.
    pub(crate) fn log(&self) -> Vec<Value> {
        let read =
            |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        self.stderr.lines().map(read).collect()
    }

    /// The lines of the log with this message.
    pub(crate) fn logged(&self, message: &str) -> Vec<Value> {
        let mut lines = self.log();
        lines.retain(|line| line.get("message").and_then(Value::as_str) == Some(message));
        lines
    }

    /// Nothing of [`HOSTILE`] does something to who reads what it wrote.
    pub(crate) fn assert_safe(&self, what: &str) {
        for text in [&self.stdout, &self.stderr] {
            let unsafe_one = text.chars().find(|c| *c != '\n' && is_unsafe(*c));
            assert_eq!(unsafe_one, None, "{what}: {text:?}");
            let mut lines = text.lines();
            assert!(
                !lines.any(|line| line.starts_with("ok       forged")),
                "{what}"
            );
        }
    }

    /// Ended with this code, and nothing of what it wrote is the trace of a panic.
    pub(crate) fn assert_code(&self, code: i32) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for trace in ["panicked", "RUST_BACKTRACE", "stack backtrace"] {
            assert!(!self.stderr.contains(trace), "{self:#?}");
        }
    }
}

/// An attribute of a log line.
pub(crate) fn attribute<'a>(line: &'a Value, name: &str) -> &'a Value {
    let attribute = line
        .get("attributes")
        .and_then(|attributes| attributes.get(name));
    attribute.unwrap_or_else(|| panic!("no {name} in {line}"))
}

/// Where a binary of this name is on the path.
pub(crate) fn is_installed(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| Path::new(&folder).join(name).exists())
}
