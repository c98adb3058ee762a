//! The image as an operator runs it: hardened, as process 1, between two simulated platforms.
//!
//! Only on request, as it needs podman and an image: `scripts/test image` builds one, names it in
//! `TEST_IMAGE`, and runs this, with a podman behind `DOCKER_HOST` for Docker Compose. No broker is
//! needed: the connector sends through the API.
//!
//! What the process may do is read from the kernel, not from what podman was asked for.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "clippy allows them in test functions, but not in what those share"
)]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

use sandbox::{
    DataSet, Destination, DestinationOptions, Fault, Shape, Source, SourceOptions, Worker,
};
use serde_json::Value;

/// What the product promises, in seconds; podman kills what has not ended by then.
const PROMISED: &str = "10";
/// Of a program that podman had to kill.
const KILLED: i64 = 137;
/// The user of the image.
const USER: &str = "65532";
/// A test that waits so long hangs.
const LIMIT: Duration = Duration::from_mins(2);
/// Between two looks at something that is waited for.
const LOOK: Duration = Duration::from_millis(50);
const COMPOSE_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docker-compose.yml");

fn image() -> String {
    std::env::var("TEST_IMAGE").expect("TEST_IMAGE names an image; scripts/test image sets it")
}

fn podman(words: &[&str]) -> Output {
    let ended = Command::new("podman").args(words).output();
    ended.expect("podman is installed; scripts/test image installs it")
}

fn podman_says(words: &[&str]) -> String {
    says(Command::new("podman").args(words))
}

/// What a command says, which has to succeed.
fn says(command: &mut Command) -> String {
    let output = command.output();
    let output = output.expect("the command is installed; scripts/test image installs it");
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < LIMIT, "waited in vain: {what}");
        sleep(LOOK);
    }
}

/// Two platforms, with workers that import at the destination.
struct Platforms {
    _workers: Worker,
    destination: Destination,
    source: Source,
}

impl Platforms {
    fn start() -> Self {
        let data = DataSet::generate(&Shape {
            observables: 400,
            indicators: 200,
            ..Shape::default()
        });
        let source = Source::start(SourceOptions {
            data,
            ..SourceOptions::default()
        });
        let destination = Destination::start(DestinationOptions::default()).unwrap();
        Self {
            _workers: Worker::start(&destination, 2).unwrap(),
            destination,
            source: source.unwrap(),
        }
    }

    /// The settings of a connector between them, with its health at this port.
    fn variables(&self, port: u16) -> [(&'static str, String); 10] {
        [
            ("OPENCTI_URL", self.destination.url()),
            ("OPENCTI_TOKEN", self.destination.token()),
            ("CONNECTOR_ID", "5d0f7c4e-2f4f-4c0a-9d06-6a4f3cf0b001"),
            ("CONNECTOR_DURATION_PERIOD", "PT1H"),
            ("CONNECTOR_QUEUE_PROTOCOL", "api"),
            ("CONNECTOR_EXPOSE_METRICS", "true"),
            ("CONNECTOR_METRICS_PORT", port.to_string().as_str()),
            ("OPENCTI_NETMANAGEIT_URL", self.source.url()),
            ("OPENCTI_NETMANAGEIT_TOKEN", self.source.token()),
            ("OPENCTI_NETMANAGEIT_PAGE_SIZE", "100"),
        ]
        .map(|(name, value)| (name, value.to_owned()))
    }

    /// Waits until all that the source has stands at the destination.
    fn until_everything_is_imported(&self) {
        let data = self.source.data();
        let lists = [&data.observables, &data.indicators, &data.relationships];
        let records: Vec<_> = lists.into_iter().flatten().collect();
        assert!(records.len() > 600);
        until("everything is imported", || {
            self.destination.with_imported(|imported| {
                let is_there = |id: &str| imported.get(id).is_some();
                records.iter().all(|record| is_there(record.standard_id()))
            })
        });
        let imported = self.destination.imported();
        assert!(imported.refused().is_empty(), "{:?}", imported.refused());
    }
}

/// A container of the image; dropped, it is removed.
struct Container {
    id: String,
    port: u16,
}

impl Container {
    /// The connector between these platforms, with as little as it needs.
    fn start(platforms: &Platforms) -> Self {
        let port = free_port();
        let variables = platforms.variables(port);
        let variables = variables.map(|(name, value)| format!("--env={name}={value}"));
        let image = image();
        let mut words = vec!["run", "--detach", "--network=host", "--read-only"];
        // Else podman mounts folders that can be written at /tmp and /run.
        words.push("--read-only-tmpfs=false");
        words.extend(["--cap-drop=ALL", "--security-opt=no-new-privileges"]);
        words.extend(variables.iter().map(String::as_str));
        words.push(&image);
        let id = podman_says(&words);
        Self { id, port }
    }

    /// The same by `docker-compose.yml`, but in this machine's network, where the platforms are.
    fn compose(platforms: &Platforms) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let differences = folder.path().join("differences.yml");
        let text = format!(
            "services: {{connector-netmanageit: {{image: '{}', network_mode: host, networks: !reset null}}}}",
            image()
        );
        std::fs::write(&differences, text).unwrap();
        let port = free_port();
        let compose = |words: &[&str]| {
            let mut command = Command::new("docker-compose");
            command.args(["--env-file", "/dev/null", "--project-name", "image-test"]);
            command
                .args(["--file", COMPOSE_FILE, "--file"])
                .arg(&differences);
            command.args(words).envs(platforms.variables(port));
            says(&mut command)
        };
        compose(&["up", "--detach", "--no-build", "--pull", "never"]);
        let id = compose(&["ps", "--quiet", "connector-netmanageit"]);
        Self { id, port }
    }

    fn inspect(&self, field: &str) -> String {
        podman_says(&["inspect", "--format", field, &self.id])
    }

    /// What it has written so far.
    fn log(&self) -> String {
        let output = podman(&["logs", &self.id]);
        let texts = [output.stdout, output.stderr];
        texts
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .concat()
    }

    fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        until(what, || {
            let is_running = self.inspect("{{.State.Running}}") == "true";
            assert!(is_running, "{what}: it has ended: {}", self.log());
            is_so()
        });
    }

    fn until_it_says(&self, text: &str) {
        self.until(text, || self.log().contains(text));
    }

    /// A file of the kernel about the process, by the number that it has on this machine.
    fn kernel_says(&self, file: &str) -> String {
        let path = format!("/proc/{}/{file}", self.inspect("{{.State.Pid}}"));
        std::fs::read_to_string(&path).expect(&path)
    }

    /// The answer's status and body, once somebody listens.
    fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Some((status, body.to_owned()))
    }

    /// Asks it to stop; its exit code.
    fn stop(&self) -> i64 {
        podman_says(&["stop", "--time", PROMISED, &self.id]);
        self.inspect("{{.State.ExitCode}}").parse().unwrap()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        podman(&["rm", "--force", "--time", "0", &self.id]);
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// The lines of `/proc/.../status`: name, then values.
fn fields(status: &str) -> BTreeMap<&str, Vec<&str>> {
    let lines = status.lines().filter_map(|line| line.split_once(':'));
    lines
        .map(|(name, values)| (name, values.split_whitespace().collect()))
        .collect()
}

/// XTM Composer sets an image and an environment, and no command.
#[test]
fn the_image_says_what_it_runs() {
    let text = podman_says(&["image", "inspect", "--format", "{{json .Config}}", &image()]);
    let config: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        config["Entrypoint"],
        serde_json::json!(["/usr/local/bin/connector"])
    );
    assert!(config["Cmd"].is_null(), "{config}");
    assert_eq!(config["User"], format!("{USER}:{USER}"));
    assert_eq!(config["StopSignal"], "SIGTERM");
    let title = &config["Labels"]["org.opencontainers.image.title"];
    assert_eq!(title, "netmanageit-connector");
    let version = podman_says(&["run", "--rm", "--network=none", &image(), "--version"]);
    assert!(version.starts_with("netmanageit-connector "), "{version}");
}

/// A mistake in the settings is told by the exit code, also of process 1.
#[test]
fn without_settings_it_says_what_is_missing_and_ends() {
    let output = podman(&["run", "--rm", "--network=none", &image()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(said.contains("OPENCTI_TOKEN"), "{said}");
}

/// As the kernel has it: process 1 of its own, not root, no rights, a root that cannot be written.
fn assert_hardened(container: &Container) {
    let status = container.kernel_says("status");
    let status = fields(&status);
    assert_eq!(status["NSpid"].last(), Some(&"1"), "{status:?}");
    assert_eq!(status["Uid"], [USER; 4]);
    assert_eq!(status["Gid"], [USER; 4]);
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(status[set], ["0000000000000000"], "{set}");
    }
    assert_eq!(status["NoNewPrivs"], ["1"]);
    let mounts = container.kernel_says("mountinfo");
    let mounts = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    let roots: Vec<_> = mounts.filter(|mount| mount[4] == "/").collect();
    assert_eq!(roots.len(), 1, "{roots:?}");
    assert!(
        roots[0][5].split(',').any(|option| option == "ro"),
        "{roots:?}"
    );
}

#[test]
fn it_runs_as_process_1_of_nobody_without_rights() {
    let platforms = Platforms::start();
    let container = Container::start(&platforms);
    container.until_it_says("registered");
    assert_hardened(&container);
}

#[test]
fn the_compose_file_starts_it_hardened_and_limited() {
    let platforms = Platforms::start();
    let container = Container::compose(&platforms);
    container.until_it_says("run complete");
    assert_hardened(&container);
    let limits = "{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}}";
    assert_eq!(container.inspect(limits), format!("{} 64", 128 << 20));
    platforms.until_everything_is_imported();
    assert_eq!(container.stop(), 0, "{}", container.log());
}

#[test]
fn it_serves_health_and_imports_everything() {
    let platforms = Platforms::start();
    let container = Container::start(&platforms);
    container.until("it is alive", || container.get("/healthz").is_some());
    assert_eq!(container.get("/healthz"), Some((200, "alive\n".to_owned())));
    container.until_it_says("run complete");
    assert!(matches!(container.get("/readyz"), Some((200, _))));
    // What HEALTHCHECK asks: podman runs it in the container.
    podman_says(&["healthcheck", "run", &container.id]);
    platforms.until_everything_is_imported();
}

#[test]
fn it_stops_when_asked_between_runs() {
    let platforms = Platforms::start();
    let container = Container::start(&platforms);
    container.until_it_says("waiting for the next run");
    let code = container.stop();
    assert_ne!(code, KILLED, "it did not stop within {PROMISED} seconds");
    assert_eq!(code, 0, "{}", container.log());
}

#[test]
fn it_stops_when_asked_in_the_middle_of_a_run() {
    let platforms = Platforms::start();
    let slow = Fault::Delay(Duration::from_secs(1));
    platforms.source.faults().add_for("Observables", slow);
    let container = Container::start(&platforms);
    container.until("a work was opened", || {
        !platforms.destination.works().is_empty()
    });
    let code = container.stop();
    assert_ne!(code, KILLED, "it did not stop within {PROMISED} seconds");
    assert_eq!(code, 0, "{}", container.log());
    assert!(container.log().contains("run stopped before its end"));
    let works = platforms.destination.works();
    assert!(works[0].messages[0].starts_with("Stopped before the end."));
}
