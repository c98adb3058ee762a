//! The settings of a connector, read once at start from `config.yml` and the environment.
//!
//! What every connector has (the platform it feeds, its own identity and schedule, the broker,
//! extra certificate authorities) is defined here; what only one connector has comes from that
//! connector through [`Section`]. Both are tables of [`Setting`], the one place that knows the
//! names, the defaults and the meaning: reading, the sample file and the documentation follow it.
//!
//! **Invariant:** the values of a [`Settings`] were all checked; a start with
//! bad settings ends with all [`Problems`] at once, before anything else happens.

mod address;
mod alias;
mod bounded_file;
mod bytes;
mod document;
mod effective;
mod given;
mod globs;
mod hint;
mod kind;
mod live_stream;
mod load;
mod named;
mod pem;
mod period;
mod problem;
mod proxy;
mod reader;
mod schema;
mod secret_file;
mod short_name;
mod since;
mod standard;
mod table;
mod tlp_level;
mod unknown;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use tracing::Level;
use url::Url;
use uuid::Uuid;

pub use alias::{Alias, AliasName, Form, Precedence};
pub use effective::{AllEffective, Effective, Origin};
pub use globs::Globs;
pub use kind::Kind;
pub use live_stream::{LiveStreamSettings, Recovery};
pub use load::process_environment;
pub use pem::Pem;
pub use problem::{Problem, Problems};
pub use proxy::Proxies;
pub use reader::Reader;
pub use schema::schema;
pub use short_name::{NameError, ShortName};
pub use since::Since;
pub use table::{ConnectorType, Fallback, Section, Setting, table};
pub use tlp_level::TlpLevel;

/// All settings of a connector, checked. `S` is the connector's own part.
#[derive(Debug, Clone)]
pub struct Settings<S> {
    /// The platform that receives the data.
    pub opencti: PlatformSettings,
    /// Who this connector is, when it runs and how it logs.
    pub connector: ConnectorSettings,
    /// What replaces the broker's address and access that registration answers.
    pub broker: BrokerOverrides,
    /// What holds for every https connection.
    pub http: HttpSettings,
    /// The connector's own settings.
    pub section: S,
    /// What the operator should know although it stops nothing, one sentence each: to be logged as warnings by every
    /// command.
    pub notices: Vec<String>,
    /// All secrets that were given, those in the addresses of proxies too, so that they can be hidden where somebody
    /// quotes them.
    pub secrets: Vec<SecretString>,
}

/// How to reach one `OpenCTI` platform.
#[derive(Debug, Clone)]
pub struct PlatformSettings {
    /// The GraphQL endpoint, ending in `/graphql`, `http` or `https`, without user or password.
    pub url: Url,
    /// The API token, fit for a header: no blanks, no control characters.
    pub token: SecretString,
    /// Which certificates of the platform are believed.
    pub tls: TlsTrust,
}

/// Which server certificates are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsTrust {
    /// Those that an authority of the system has signed.
    System,
    /// Those of the system's authorities and of these.
    SystemAnd(Pem),
    /// Any certificate at all: the connection is encrypted, but to whom is not known.
    Anyone,
}

/// Who this connector is, when it runs and how it logs.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectorSettings {
    /// The identity under which the platform keeps state and queue of this connector.
    pub id: Uuid,
    /// The display name, at least two characters.
    pub name: String,
    /// The scope of the connector; at least one entry, none of them blank.
    pub scope: Vec<String>,
    /// The least important level that is logged.
    pub log_level: Level,
    /// JSON lines if true, readable text if false; none leaves it to where the lines go.
    pub json_logging: Option<bool>,
    /// When the connector runs.
    pub schedule: Schedule,
    /// The fill of the connector's queue, in megabytes (10⁶ bytes), above which a run waits.
    pub queue_threshold_mb: f64,
    /// Without progress for so long, a run has failed; none means that it never has.
    pub stall_limit: Option<Duration>,
    /// How long a run waits for workers that import nothing, before what waits goes with what it needs; zero where
    /// nothing waits.
    pub worker_patience: Duration,
    /// The way bundles take to the platform.
    pub queue_protocol: QueueProtocol,
    /// Where bundles go.
    pub outputs: OutputSettings,
    /// Where metrics and health are served, and under which names.
    pub metrics: MetricsSettings,
    /// The live stream that a connector of the type [`ConnectorType::Stream`] follows; none for the others.
    pub live_stream: Option<LiveStreamSettings>,
}

/// Where bundles go; at least to one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputSettings {
    /// To the workers' queue.
    pub to_queue: bool,
    /// Into a folder, as files.
    pub directory: Option<DirectorySettings>,
}

/// A folder for bundles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectorySettings {
    /// The folder.
    pub path: PathBuf,
    /// Files of this connector that are older are removed; none keeps them.
    pub retention: Option<Duration>,
}

/// Metrics and health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsSettings {
    /// The port on which they are served; none where they are not.
    pub port: Option<u16>,
    /// What the names of the metrics begin with that all connectors have; may be empty.
    pub namespace: String,
    /// What follows; may be empty.
    pub subsystem: String,
}

/// When a connector runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// One run, then the process ends.
    Once,
    /// A run every so often; never zero.
    Every(Duration),
}

/// The way bundles take to the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueProtocol {
    /// To the broker.
    Amqp,
    /// Through the platform's GraphQL API.
    Api,
}

/// What replaces parts of the broker's address and access that registration answers. `None`
/// leaves the answer as it is.
#[derive(Debug, Clone, Default)]
pub struct BrokerOverrides {
    /// Host name or address.
    pub host: Option<ShortName>,
    /// Port.
    pub port: Option<u16>,
    /// Virtual host.
    pub vhost: Option<ShortName>,
    /// User.
    pub user: Option<ShortName>,
    /// Password of the user.
    pub pass: Option<SecretString>,
    /// Whether the connection uses TLS.
    pub use_ssl: Option<bool>,
    /// Authorities believed besides the system's.
    pub ca: Option<Pem>,
    /// The connector's client certificate.
    pub client: Option<ClientCertificate>,
}

/// A certificate and the key that belongs to it.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// The certificate, with its chain if it has one.
    pub certificate: Pem,
    /// The private key.
    pub key: Pem,
}

/// What holds for every https connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSettings {
    /// Authorities believed besides the system's.
    pub ca: Option<Pem>,
    /// The proxies that the environment names.
    pub proxies: Proxies,
}

/// Reads the settings from the file at `path`, which may be absent, and from `environment`
/// (for a real start: [`process_environment`]).
///
/// The environment wins over the file, the file over the default. A variable or key that is
/// present but blank counts as absent.
///
/// # Errors
///
/// All problems found, not only the first.
pub fn read<S, K, V>(
    path: &Path,
    environment: impl IntoIterator<Item = (K, V)>,
) -> Result<Settings<S>, Problems>
where
    S: Section,
    K: Into<OsString>,
    V: Into<OsString>,
{
    let values = load::load::<S>(path, owned(environment));
    read_values(&values)
}

/// Every setting with its value and where that comes from, in the order of the table, secrets hidden; and the
/// notices that a start with them brings.
///
/// # Errors
///
/// All problems found, as for [`read`]: values that cannot be used are not shown.
pub fn effective<S, K, V>(
    path: &Path,
    environment: impl IntoIterator<Item = (K, V)>,
) -> Result<AllEffective, Problems>
where
    S: Section,
    K: Into<OsString>,
    V: Into<OsString>,
{
    let values = load::load::<S>(path, owned(environment));
    let Settings { notices, .. } = read_values::<S>(&values)?;
    let settings = table::<S>().into_iter();
    Ok(AllEffective {
        settings: settings
            .map(|setting| Effective::of(setting, &values))
            .collect(),
        notices,
    })
}

fn owned<K, V>(
    environment: impl IntoIterator<Item = (K, V)>,
) -> impl Iterator<Item = (OsString, OsString)>
where
    K: Into<OsString>,
    V: Into<OsString>,
{
    let environment = environment.into_iter();
    environment.map(|(name, value)| (name.into(), value.into()))
}

fn read_values<S: Section>(values: &load::GivenValues) -> Result<Settings<S>, Problems> {
    let mut reader = Reader::new(values);
    let opencti = standard::read_opencti(&mut reader);
    let connector = standard::read_connector::<S>(&mut reader);
    let broker = standard::read_broker(&mut reader, connector.as_ref());
    let http = standard::read_http(&mut reader);
    let section = S::read(&mut reader);
    let (problems, notices) = reader.finish();
    if !problems.is_empty() {
        return Err(Problems::new(problems, notices));
    }
    if let (Some(opencti), Some(connector), Some(section)) = (opencti, connector, section) {
        return Ok(Settings {
            opencti,
            connector,
            broker,
            http,
            section,
            notices,
            secrets: values.secrets(&table::<S>()),
        });
    }
    // A section that returns nothing must have noted a problem; one that did not is defective, and
    // a start without settings must still not happen.
    let text =
        "the settings could not be read, and the reason was not recorded; report this defect";
    Err(Problems::new(vec![Problem::new(S::NAME, text)], notices))
}
