//! A real RabbitMQ of its own: own port, node name, data folder, cookie and name service.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use crate::lock;

/// The server script itself; the one on the path would change to the user `rabbitmq`.
const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
/// Its remote control, for the same reason not the one on the path.
const CONTROL: &str = "/usr/lib/rabbitmq/bin/rabbitmqctl";
/// What the server and its remote control show each other.
const COOKIE: &str = "sandbox";
const START_LIMIT: Duration = Duration::from_mins(5);
const CONTROL_LIMIT: Duration = Duration::from_mins(3);

/// Below those that systems give to outgoing connections: while a broker is down, none of these takes its port.
const FIRST_PORT: u16 = 20_000;
const PORTS_OF_OURS: u128 = 12_000;
const PORT_TRIES: usize = 1_000;

/// Reads the ids of process groups until this process ends, which closes the pipe, and then ends
/// those groups. So nothing stays behind a test that is killed, or that keeps its broker in a static.
const WATCH: &str = "groups=
    while read -r id; do groups=\"$groups -$id\"; done
    kill -s KILL -- $groups; sleep 1; rm -rf \"$1\"";

/// Where a broker is and as whom to use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerAddress {
    /// Host name or address.
    pub host: String,
    /// AMQP port.
    pub port: u16,
    /// Virtual host.
    pub vhost: String,
    /// User.
    pub user: String,
    /// Password.
    pub pass: String,
}

/// A broker that answers nothing for so long is tried anew.
pub(crate) const ANSWER_LIMIT: Duration = Duration::from_secs(20);

impl BrokerAddress {
    /// The address as a URI.
    pub fn url(&self) -> String {
        let vhost = self.vhost.replace('/', "%2f");
        format!(
            "amqp://{}:{}@{}:{}/{vhost}",
            self.user, self.pass, self.host, self.port
        )
    }

    /// Opens a connection.
    pub(crate) async fn connect(&self) -> Result<Connection> {
        let url = self.url();
        let connecting = Connection::connect(&url, ConnectionProperties::default());
        tokio::time::timeout(ANSWER_LIMIT, connecting)
            .await
            .with_context(|| format!("no answer of the broker at {}:{}", self.host, self.port))?
            .with_context(|| format!("no broker at {}:{}", self.host, self.port))
    }
}

/// A broker; dropping it stops what it started.
#[derive(Debug)]
pub struct Broker {
    address: BrokerAddress,
    own: Option<Own>,
}

/// What belongs to a broker that was started here.
#[derive(Debug)]
struct Own {
    folder: TempDir,
    name_port: u16,
    distribution_port: u16,
    /// What watches over the others, the name service, and the server.
    processes: Mutex<Vec<Child>>,
}

impl Broker {
    /// True where the broker's server is installed.
    pub fn installed() -> bool {
        Path::new(SERVER).exists()
    }

    /// Starts a broker and waits until it answers.
    pub async fn start() -> Result<Self> {
        Self::start_with("").await
    }

    /// The same, with more lines in its `rabbitmq.conf`.
    pub async fn start_with(configuration: &str) -> Result<Self> {
        if !Self::installed() {
            bail!(
                "RabbitMQ is not installed: {SERVER} is missing (apt-get install rabbitmq-server)"
            );
        }
        let [port, name_port, distribution_port] = free_ports()?;
        let address = BrokerAddress {
            host: Ipv4Addr::LOCALHOST.to_string(),
            port,
            vhost: "/".to_owned(),
            user: "guest".to_owned(),
            pass: "guest".to_owned(),
        };
        let folder = tempfile::Builder::new()
            .prefix("sandbox-broker-")
            .tempdir()
            .context("no temporary folder")?;
        let own = Own {
            folder,
            name_port,
            distribution_port,
            processes: Mutex::default(),
        };
        own.prepare(configuration)?;
        let broker = Self {
            address,
            own: Some(own),
        };
        broker.restart().await?;
        Ok(broker)
    }

    /// The broker of all tests of a process: the one that `TEST_AMQP_URL` names, else one of their own, which lives as long
    /// as they do.
    pub fn of_test_run() -> Result<&'static Self> {
        static BROKER: OnceLock<Result<Broker>> = OnceLock::new();
        let broker = BROKER.get_or_init(|| {
            if let Some(url) = std::env::var_os("TEST_AMQP_URL") {
                return Self::from_url(&url.to_string_lossy()).context("TEST_AMQP_URL");
            }
            let starting = std::thread::spawn(Self::start_for_good).join();
            starting.map_err(|_| anyhow!("the thread that starts the broker ends by itself"))?
        });
        broker.as_ref().map_err(|error| anyhow!("{error:#}"))
    }

    /// On a runtime of its own, which is never dropped.
    fn start_for_good() -> Result<Self> {
        let runtime = tokio::runtime::Runtime::new()?;
        let broker = runtime.block_on(Self::start())?;
        std::mem::forget(runtime);
        Ok(broker)
    }

    /// Uses a broker that runs already, such as `amqp://user:pass@host:port/vhost`.
    pub fn from_url(url: &str) -> Result<Self> {
        let uri: AMQPUri = url
            .parse()
            .map_err(|error| anyhow!("{url:?} is no address of a broker: {error}"))?;
        let (authority, vhost) = (uri.authority, uri.vhost);
        let (user, pass) = (authority.userinfo.username, authority.userinfo.password);
        let address = BrokerAddress {
            host: authority.host,
            port: authority.port,
            vhost,
            user,
            pass,
        };
        Ok(Self { address, own: None })
    }

    /// Where it is.
    pub fn address(&self) -> &BrokerAddress {
        &self.address
    }

    /// Ends it at once, as `kill -9` does; its data stays. A broker not started here is left alone.
    pub fn kill(&self) {
        if let Some(own) = &self.own {
            own.end();
        }
    }

    /// Starts it again on the same port and data, and waits until it answers.
    pub async fn restart(&self) -> Result<()> {
        let own = self
            .own
            .as_ref()
            .context("a broker that was not started here is not restarted either")?;
        own.end();
        own.run(self.address.port)?;
        let deadline = Instant::now() + START_LIMIT;
        while Instant::now() < deadline {
            if let Some(log) = own.log_of_failure() {
                bail!("the broker ended while starting:\n{log}");
            }
            if self.answers().await {
                return Ok(());
            }
            sleep(Duration::from_millis(200)).await;
        }
        bail!(
            "the broker does not answer after {START_LIMIT:?}:\n{}",
            own.log()
        )
    }

    /// Runs `rabbitmqctl` on it with these arguments and gives what it wrote, such as
    /// `["close_all_connections", "closed by a test"]`. Only for a broker that was started here.
    pub async fn control(&self, arguments: &[&str]) -> Result<String> {
        let own = self
            .own
            .as_ref()
            .context("a broker that was not started here is not controlled either")?;
        let running = own
            .control(self.address.port)
            .args(arguments)
            .kill_on_drop(true)
            .output();
        let ended = timeout(CONTROL_LIMIT, running)
            .await
            .with_context(|| format!("rabbitmqctl {arguments:?} does not end"))?
            .with_context(|| format!("{CONTROL} cannot be started"))?;
        let written = String::from_utf8_lossy(&ended.stdout).into_owned();
        if !ended.status.success() {
            let errors = String::from_utf8_lossy(&ended.stderr);
            bail!("rabbitmqctl {arguments:?} failed:\n{written}{errors}");
        }
        Ok(written)
    }

    /// Stops it and removes its data.
    pub fn stop(self) {
        drop(self);
    }

    async fn answers(&self) -> bool {
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, self.address.port));
        if tokio::net::TcpStream::connect(here).await.is_err() {
            return false;
        }
        let Ok(connection) = self.address.connect().await else {
            return false;
        };
        connection.close(200, "seen".into()).await.is_ok()
    }
}

impl Own {
    /// Writes what the server reads at its start.
    fn prepare(&self, configuration: &str) -> Result<()> {
        let write = |name: &str, text: &str| {
            fs::write(self.file(name), text).with_context(|| format!("{name} cannot be written"))
        };
        write("enabled_plugins", "[].\n")?;
        write("rabbitmq-env.conf", "")?;
        // No alarms: a disk that is nearly full must not stop the tests.
        write(
            "rabbitmq.conf",
            &format!(
                "disk_free_limit.absolute = 1MB\nlog.console = false\nlog.file.level = warning\n{configuration}"
            ),
        )
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, port: u16) -> Result<()> {
        let mut processes = lock(&self.processes);
        let watch = self.watch().context("the broker cannot be watched")?;
        processes.push(watch);
        let mut names = Command::new("epmd");
        names.args([
            "-port",
            &self.name_port.to_string(),
            "-address",
            "127.0.0.1",
        ]);
        self.spawn(names, &mut processes)
            .context("epmd cannot be started")?;
        let mut server = Command::new(SERVER);
        server
            .env("RABBITMQ_NODENAME", node(port))
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", port.to_string())
            .env("RABBITMQ_DIST_PORT", self.distribution_port.to_string())
            .env("RABBITMQ_MNESIA_BASE", self.file("data"))
            .env("RABBITMQ_LOG_BASE", self.file("log"))
            .env("RABBITMQ_CONFIG_FILE", self.file("rabbitmq.conf"))
            .env("RABBITMQ_CONF_ENV_FILE", self.file("rabbitmq-env.conf"))
            .env(
                "RABBITMQ_ENABLED_PLUGINS_FILE",
                self.file("enabled_plugins"),
            )
            .env("RABBITMQ_PID_FILE", self.file("pid"))
            // The script then becomes the server, instead of waiting beside it.
            .env("RABBITMQ_ALLOW_INPUT", "true")
            .env(
                "RABBITMQ_SERVER_START_ARGS",
                format!("-noinput -setcookie {COOKIE}"),
            )
            .env("ERL_EPMD_ADDRESS", "127.0.0.1");
        self.spawn(server, &mut processes)
            .context("the broker cannot be started")
    }

    /// The remote control of the server on this port, without its arguments.
    fn control(&self, port: u16) -> tokio::process::Command {
        let mut control = tokio::process::Command::new(CONTROL);
        control
            .args(["--node", &node(port), "--erlang-cookie", COOKIE])
            .env("RABBITMQ_CONF_ENV_FILE", self.file("rabbitmq-env.conf"))
            .env("HOME", self.folder.path())
            .env("ERL_EPMD_PORT", self.name_port.to_string())
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        control
    }

    /// In a process group of its own, so that it outlives the group of the test.
    fn watch(&self) -> Result<Child> {
        let mut watch = Command::new("sh");
        watch
            .args(["-c", WATCH, "watch"])
            .arg(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        Ok(watch.spawn()?)
    }

    /// Starts a process that the first one watches over. In a process group of its own, so that
    /// Ctrl-C reaches it only through its owner, who may still need it.
    fn spawn(&self, mut command: Command, processes: &mut Vec<Child>) -> Result<()> {
        let output = fs::File::options()
            .create(true)
            .append(true)
            .open(self.file("output"))?;
        command
            .env("HOME", self.folder.path())
            .env("ERL_EPMD_PORT", self.name_port.to_string())
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0);
        let started = command.spawn()?;
        let id = started.id();
        processes.push(started);
        let watch = processes.first_mut().and_then(|watch| watch.stdin.as_mut());
        writeln!(watch.context("nothing watches")?, "{id}")?;
        Ok(())
    }

    /// Ends the processes started here, and only those: they are children that never fork away. What
    /// watches over them ends last.
    fn end(&self) {
        for mut process in lock(&self.processes).drain(..).rev() {
            // Already ended is as good.
            process.kill().ok();
            process.wait().ok();
        }
    }

    fn log_of_failure(&self) -> Option<String> {
        let mut processes = lock(&self.processes);
        let ended = processes
            .iter_mut()
            .any(|process| !matches!(process.try_wait(), Ok(None)));
        ended.then(|| self.log())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.file("output")).unwrap_or_default()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.end();
    }
}

/// The name of the server on this port.
fn node(port: u16) -> String {
    format!("sandbox{port}@localhost")
}

/// Ports that nobody uses now.
fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let listeners: Vec<TcpListener> = (0..N).map(|_| free_listener()).collect::<Result<_>>()?;
    let ports: Vec<u16> = listeners
        .iter()
        .map(|listener| Ok(listener.local_addr()?.port()))
        .collect::<Result<_, std::io::Error>>()?;
    ports.try_into().map_err(|_| anyhow!("no free ports"))
}

/// A port that nobody uses now, and that no outgoing connection takes later.
///
/// # Errors
/// Where none is found.
pub fn free_port() -> Result<u16> {
    Ok(free_listener()?.local_addr()?.port())
}

fn free_listener() -> Result<TcpListener> {
    let free = (0..PORT_TRIES).find_map(|_| {
        let port = uuid::Uuid::new_v4().as_u128() % PORTS_OF_OURS;
        let port = u16::try_from(port).ok()?.checked_add(FIRST_PORT)?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()
    });
    free.context("no port of ours is free")
}
