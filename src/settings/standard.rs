//! The settings that every connector has.
//!
//! **Invariant:** every setting that is read here is in [`settings`], and the other way round.

use std::time::Duration;

use tracing::Level;

use super::kind::Kind;
use super::live_stream;
use super::reader::Reader;
use super::table::{ConnectorType, Fallback, Section, Setting};
use super::{
    BrokerOverrides, ClientCertificate, ConnectorSettings, DirectorySettings, HttpSettings,
    MetricsSettings, OutputSettings, PlatformSettings, QueueProtocol, Schedule,
};

/// Shared sections in which an unknown key is a problem all the same: they are new enough that no
/// file of another connector brings more.
pub(super) const STRICT_SECTIONS: &[&str] = &["mq", "https"];

/// A variable of the platform's own connectors that has no effect here.
pub(super) struct NoEffect {
    pub(super) env: &'static str,
    /// With this value, nothing is missed.
    pub(super) harmless: &'static str,
    /// What holds instead, and what to do.
    pub(super) instead: &'static str,
}

/// A notice names those settings of other connectors that have no effect here
/// (docs/protocol.md#conventions).
pub(super) const NO_EFFECT: &[NoEffect] = &[
    NoEffect {
        env: "QUEUE_PROTOCOL",
        harmless: "",
        instead: "its name is CONNECTOR_QUEUE_PROTOCOL",
    },
    NoEffect {
        env: "CONNECTOR_SEND_TO_S3",
        harmless: "false",
        instead: "bundles can be written to a folder (CONNECTOR_SEND_TO_DIRECTORY), not to S3",
    },
    NoEffect {
        env: "CONNECTOR_VALIDATE_BEFORE_IMPORT",
        harmless: "false",
        instead: "bundles go to the workers, not to the workbench",
    },
    NoEffect {
        env: "CONNECTOR_AUTO_CREATE_SERVICE_ACCOUNT",
        harmless: "false",
        instead: "no account is made; give the token of a user of the group Connectors",
    },
    NoEffect {
        env: "CONNECTOR_CONFIDENCE_LEVEL",
        harmless: "",
        instead: "the confidence is that of the objects, up to what the connector's user may give",
    },
    NoEffect {
        env: "CONNECTOR_UPDATE_EXISTING_DATA",
        harmless: "true",
        instead: "what is there already is always updated",
    },
    NoEffect {
        env: "MQ_USE_SSL_REJECT_UNAUTHORIZED",
        harmless: "true",
        instead: "the broker's certificate is always verified; MQ_USE_SSL_CA names an authority of your own",
    },
    NoEffect {
        env: "MQ_USE_SSL_PASSPHRASE",
        harmless: "",
        instead: "give the key without a passphrase",
    },
    NoEffect {
        env: "HTTPS_PROXY_REJECT_UNAUTHORIZED",
        harmless: "true",
        instead: "certificates behind a proxy are verified; HTTPS_CA_CERTIFICATES names an authority of your own",
    },
];

const URL: Setting = Setting::new(
    "opencti.url",
    "OPENCTI_URL",
    Kind::PlatformUrl,
    Fallback::Required,
    "address of the OpenCTI platform that receives the data",
);
const TOKEN: Setting = Setting::new(
    "opencti.token",
    "OPENCTI_TOKEN",
    Kind::Token,
    Fallback::Required,
    "API token of the connector's user",
)
.secret();
const SSL_VERIFY: Setting = Setting::new(
    "opencti.ssl_verify",
    "OPENCTI_SSL_VERIFY",
    Kind::Trust,
    Fallback::Value("true"),
    "whether the platform's certificate is checked: true, false, or an extra authority as path or PEM text",
);
const JSON_LOGGING: Setting = Setting::new(
    "opencti.json_logging",
    "OPENCTI_JSON_LOGGING",
    Kind::Boolean,
    Fallback::Unset,
    "whether logs are JSON lines (true) or plain text (false); unless it is set, text on a terminal and JSON elsewhere",
)
.example("true");

const ID: Setting = Setting::new(
    "connector.id",
    "CONNECTOR_ID",
    Kind::Uuid,
    Fallback::Required,
    "UUID of this connector, generated once and kept",
);
const TYPE: Setting = Setting::new(
    "connector.type",
    "CONNECTOR_TYPE",
    Kind::Choice(&[ConnectorType::ExternalImport.name()]),
    Fallback::Value(ConnectorType::ExternalImport.name()),
    "type of connector; there is only this one",
);
const NAME: Setting = Setting::new(
    "connector.name",
    "CONNECTOR_NAME",
    Kind::Text { min_chars: 2 },
    Fallback::Required,
    "name that the platform shows",
);
const SCOPE: Setting = Setting::new(
    "connector.scope",
    "CONNECTOR_SCOPE",
    Kind::List,
    Fallback::Required,
    "what the connector says it is about, separated by commas; for display only",
);
const LOG_LEVEL: Setting = Setting::new(
    "connector.log_level",
    "CONNECTOR_LOG_LEVEL",
    Kind::Choice(&["debug", "info", "warn", "warning", "error"]),
    Fallback::Value("info"),
    "least important level that is logged: debug, info, warn or error",
);
const DURATION_PERIOD: Setting = Setting::new(
    "connector.duration_period",
    "CONNECTOR_DURATION_PERIOD",
    Kind::Period,
    Fallback::Value("PT1H"),
    "time between two runs as an ISO 8601 period; 0 for one run only",
);
const RUN_AND_TERMINATE: Setting = Setting::new(
    "connector.run_and_terminate",
    "CONNECTOR_RUN_AND_TERMINATE",
    Kind::Boolean,
    Fallback::Value("false"),
    "whether the connector ends after one run",
);
const QUEUE_THRESHOLD: Setting = Setting::new(
    "connector.queue_threshold",
    "CONNECTOR_QUEUE_THRESHOLD",
    Kind::Positive,
    Fallback::Value("500"),
    "fill of the connector's queue, in MB, above which a run waits",
);
const STALL_LIMIT: Setting = Setting::new(
    "connector.stall_limit",
    "CONNECTOR_STALL_LIMIT",
    Kind::Period,
    Fallback::Value("PT30M"),
    "time without any progress after which a run has failed, as an ISO 8601 period; waiting for the workers counts as progress; 0 for no limit",
);
const WORKER_PATIENCE: Setting = Setting::new(
    "connector.worker_patience",
    "CONNECTOR_WORKER_PATIENCE",
    Kind::Period,
    Fallback::Value("PT90S"),
    "time without any import by the workers after which a run sends what waits for them together with what it needs, as an ISO 8601 period; 0 for no waiting",
);
const QUEUE_PROTOCOL: Setting = Setting::new(
    "connector.queue_protocol",
    "CONNECTOR_QUEUE_PROTOCOL",
    Kind::Choice(&["amqp", "api"]),
    Fallback::Value("amqp"),
    "way to the platform: amqp (the broker) or api (GraphQL)",
);

const SEND_TO_QUEUE: Setting = Setting::new(
    "connector.send_to_queue",
    "CONNECTOR_SEND_TO_QUEUE",
    Kind::Boolean,
    Fallback::Value("true"),
    "whether bundles go to the platform's queue",
);
const SEND_TO_DIRECTORY: Setting = Setting::new(
    "connector.send_to_directory",
    "CONNECTOR_SEND_TO_DIRECTORY",
    Kind::Boolean,
    Fallback::Value("false"),
    "whether bundles are written as files",
);
const SEND_TO_DIRECTORY_PATH: Setting = Setting::new(
    "connector.send_to_directory_path",
    "CONNECTOR_SEND_TO_DIRECTORY_PATH",
    Kind::Text { min_chars: 1 },
    Fallback::Unset,
    "folder for these files",
)
.example("/var/lib/connector");
const SEND_TO_DIRECTORY_RETENTION: Setting = Setting::new(
    "connector.send_to_directory_retention",
    "CONNECTOR_SEND_TO_DIRECTORY_RETENTION",
    Kind::Whole {
        min: 0,
        max: 36_500,
    },
    Fallback::Value("7"),
    "days after which these files are removed at the next start; 0 keeps them",
);
const EXPOSE_METRICS: Setting = Setting::new(
    "connector.expose_metrics",
    "CONNECTOR_EXPOSE_METRICS",
    Kind::Boolean,
    Fallback::Value("false"),
    "whether metrics and health are served over HTTP",
);
const METRICS_PORT: Setting = Setting::new(
    "connector.metrics_port",
    "CONNECTOR_METRICS_PORT",
    PORT,
    Fallback::Value("9095"),
    "port on which metrics and health are served",
);
const METRICS_NAMESPACE: Setting = Setting::new(
    "connector.metrics_namespace",
    "CONNECTOR_METRICS_NAMESPACE",
    Kind::MetricName,
    Fallback::Unset,
    "word in front of the names of the metrics that all connectors have",
)
.example("acme");
const METRICS_SUBSYSTEM: Setting = Setting::new(
    "connector.metrics_subsystem",
    "CONNECTOR_METRICS_SUBSYSTEM",
    Kind::MetricName,
    Fallback::Unset,
    "word behind that one",
)
.example("intel");

const PORT: Kind = Kind::Whole {
    min: 1,
    max: 65_535,
};

const MQ_HOST: Setting = broker_setting(
    "mq.host",
    "MQ_HOST",
    Kind::Text { min_chars: 1 },
    "host of the broker, instead of the one the platform names",
)
.example("rabbitmq");
const MQ_PORT: Setting = broker_setting(
    "mq.port",
    "MQ_PORT",
    PORT,
    "port of the broker, instead of the one the platform names",
)
.example("5672");
const MQ_VHOST: Setting = broker_setting(
    "mq.vhost",
    "MQ_VHOST",
    Kind::Text { min_chars: 1 },
    "virtual host on the broker, instead of the one the platform names",
)
.example("/");
const MQ_USER: Setting = broker_setting(
    "mq.user",
    "MQ_USER",
    Kind::Text { min_chars: 1 },
    "user on the broker, instead of the one the platform names",
)
.example("opencti");
const MQ_PASS: Setting = broker_setting(
    "mq.pass",
    "MQ_PASS",
    Kind::Password,
    "password of the user on the broker",
)
.secret()
.example("ChangeMe");
const MQ_USE_SSL: Setting = broker_setting(
    "mq.use_ssl",
    "MQ_USE_SSL",
    Kind::Boolean,
    "whether the connection to the broker uses TLS, instead of what the platform says",
)
.example("false");
const MQ_CA: Setting = broker_setting(
    "mq.use_ssl_ca",
    "MQ_USE_SSL_CA",
    Kind::Certificates,
    "extra authority for the broker's certificate, as path or PEM text",
)
.example("/etc/ssl/broker-ca.pem");
const MQ_CERT: Setting = broker_setting(
    "mq.use_ssl_cert",
    "MQ_USE_SSL_CERT",
    Kind::Certificates,
    "certificate shown to the broker, as path or PEM text",
)
.example("/etc/ssl/connector.pem");
const MQ_KEY: Setting = broker_setting(
    "mq.use_ssl_key",
    "MQ_USE_SSL_KEY",
    Kind::PrivateKey,
    "private key of that certificate, as path or PEM text",
)
.secret()
.example("/etc/ssl/connector.key");
const HTTPS_CA: Setting = Setting::new(
    "https.ca_certificates",
    "HTTPS_CA_CERTIFICATES",
    Kind::Certificates,
    Fallback::Unset,
    "extra authorities for every https connection, as path or PEM text",
)
.example("/etc/ssl/extra-ca.pem");

const BROKER: [Setting; 9] = [
    MQ_HOST, MQ_PORT, MQ_VHOST, MQ_USER, MQ_PASS, MQ_USE_SSL, MQ_CA, MQ_CERT, MQ_KEY,
];

/// What is about runs, and what these put into a queue, besides [`BROKER`].
const IMPORTS: [Setting; 10] = [
    DURATION_PERIOD,
    RUN_AND_TERMINATE,
    QUEUE_THRESHOLD,
    STALL_LIMIT,
    WORKER_PATIENCE,
    QUEUE_PROTOCOL,
    SEND_TO_QUEUE,
    SEND_TO_DIRECTORY,
    SEND_TO_DIRECTORY_PATH,
    SEND_TO_DIRECTORY_RETENTION,
];

const fn broker_setting(
    key: &'static str,
    env: &'static str,
    kind: Kind,
    doc: &'static str,
) -> Setting {
    Setting::new(key, env, kind, Fallback::Unset, doc)
}

/// The standard settings of the connector whose section is `S`.
pub(super) fn settings<S: Section>() -> Vec<Setting> {
    let mut settings = match S::TYPE {
        ConnectorType::ExternalImport => all::<S>(),
        ConnectorType::Stream => [of_a_stream(all::<S>()), live_stream::SETTINGS.to_vec()].concat(),
    };
    for setting in &mut settings {
        let mut aliases = S::STANDARD_ALIASES.iter();
        if let Some((_, further)) = aliases.find(|(key, _)| *key == setting.key) {
            setting.aliases = further;
        }
    }
    settings
}

/// The standard settings that have no effect on the connector whose section is `S`.
pub(super) fn without_effect<S: Section>() -> Vec<Setting> {
    let mut all = all::<S>();
    match S::TYPE {
        ConnectorType::ExternalImport => all.clear(),
        ConnectorType::Stream => all.retain(is_of_imports),
    }
    all
}

fn of_a_stream(mut settings: Vec<Setting>) -> Vec<Setting> {
    settings.retain(|setting| !is_of_imports(setting));
    settings
}

/// Whether the setting is about runs, and what these put into a queue.
fn is_of_imports(setting: &Setting) -> bool {
    IMPORTS
        .iter()
        .chain(&BROKER)
        .any(|of_imports| of_imports.key == setting.key)
}

fn all<S: Section>() -> Vec<Setting> {
    let mut settings = vec![
        URL,
        TOKEN,
        SSL_VERIFY,
        JSON_LOGGING,
        ID,
        connector_type::<S>(),
        name::<S>(),
        scope::<S>(),
        LOG_LEVEL,
        duration_period::<S>(),
        RUN_AND_TERMINATE,
        QUEUE_THRESHOLD,
        STALL_LIMIT,
        WORKER_PATIENCE,
        QUEUE_PROTOCOL,
        SEND_TO_QUEUE,
        SEND_TO_DIRECTORY,
        SEND_TO_DIRECTORY_PATH,
        SEND_TO_DIRECTORY_RETENTION,
        EXPOSE_METRICS,
        METRICS_PORT,
        METRICS_NAMESPACE,
        METRICS_SUBSYSTEM,
    ];
    settings.extend(BROKER);
    settings.push(HTTPS_CA);
    settings
}

fn connector_type<S: Section>() -> Setting {
    let kind = match S::TYPE {
        ConnectorType::ExternalImport => TYPE.kind,
        ConnectorType::Stream => const { Kind::Choice(&[ConnectorType::Stream.name()]) },
    };
    Setting {
        kind,
        default: Fallback::Value(S::TYPE.name()),
        ..TYPE
    }
}

fn duration_period<S: Section>() -> Setting {
    Setting {
        default: Fallback::Value(S::DURATION_PERIOD),
        ..DURATION_PERIOD
    }
}

fn name<S: Section>() -> Setting {
    Setting {
        default: Fallback::Value(S::NAME),
        ..NAME
    }
}

fn scope<S: Section>() -> Setting {
    Setting {
        default: Fallback::Value(S::SCOPE),
        ..SCOPE
    }
}

/// The platform that receives the data. Sections may compare with it afterwards.
pub(super) fn read_opencti(reader: &mut Reader<'_>) -> Option<PlatformSettings> {
    let url = reader.platform_url(&URL);
    if let Some(url) = url.clone() {
        reader.remember_opencti(url);
    }
    let token = reader.token(&TOKEN);
    let tls = reader.trust(&SSL_VERIFY);
    Some(PlatformSettings {
        url: url?,
        token: token?,
        tls: tls?,
    })
}

/// Who the connector is, when it runs and how it logs.
pub(super) fn read_connector<S: Section>(reader: &mut Reader<'_>) -> Option<ConnectorSettings> {
    let json_logging = reader.boolean(&JSON_LOGGING);
    let id = reader.uuid(&ID);
    let kind = reader.choice(&connector_type::<S>(), &[(S::TYPE.name(), ())]);
    let name = reader.text(&name::<S>());
    let scope = reader.list(&scope::<S>());
    let log_level = read_log_level(reader);
    let schedule = read_schedule::<S>(reader);
    let queue_threshold_mb = reader.positive(&QUEUE_THRESHOLD);
    let stall_limit = reader.period(&STALL_LIMIT);
    let worker_patience = reader.period(&WORKER_PATIENCE);
    let queue_protocol = read_queue_protocol(reader);
    let outputs = read_outputs(reader);
    let metrics = read_metrics(reader);
    let live_stream = match S::TYPE {
        ConnectorType::ExternalImport => None,
        ConnectorType::Stream => Some(live_stream::read(reader)),
    };
    kind?;
    Some(ConnectorSettings {
        id: id?,
        name: name?,
        scope: scope?,
        log_level: log_level?,
        json_logging,
        schedule: schedule?,
        queue_threshold_mb: queue_threshold_mb?,
        stall_limit: Some(stall_limit?).filter(|limit| !limit.is_zero()),
        worker_patience: worker_patience?,
        queue_protocol: queue_protocol?,
        outputs: outputs?,
        metrics: metrics?,
        live_stream: match live_stream {
            None => None,
            Some(read) => Some(read?),
        },
    })
}

fn read_outputs(reader: &mut Reader<'_>) -> Option<OutputSettings> {
    const DAY: Duration = Duration::from_hours(24);
    let to_queue = reader.boolean(&SEND_TO_QUEUE);
    let to_directory = reader.boolean(&SEND_TO_DIRECTORY);
    let path = reader.text(&SEND_TO_DIRECTORY_PATH);
    let days: Option<u32> = reader.whole(&SEND_TO_DIRECTORY_RETENTION);
    if (to_queue, to_directory) == (Some(false), Some(false)) {
        let text = "bundles go nowhere; switch one of them on";
        reader.contradiction(&[&SEND_TO_QUEUE, &SEND_TO_DIRECTORY], text);
    }
    if to_directory == Some(true) && path.is_none() {
        let text = "there is no folder for the files; name one";
        reader.contradiction(&[&SEND_TO_DIRECTORY, &SEND_TO_DIRECTORY_PATH], text);
    }
    let retention = Some(DAY * days?).filter(|retention| !retention.is_zero());
    let directory = path.filter(|_| to_directory == Some(true));
    Some(OutputSettings {
        to_queue: to_queue?,
        directory: directory.map(|path| DirectorySettings {
            path: path.into(),
            retention,
        }),
    })
}

fn read_metrics(reader: &mut Reader<'_>) -> Option<MetricsSettings> {
    let is_served = reader.boolean(&EXPOSE_METRICS);
    let port = reader.whole(&METRICS_PORT);
    let namespace = reader.metric_name(&METRICS_NAMESPACE);
    let subsystem = reader.metric_name(&METRICS_SUBSYSTEM);
    let port = port?;
    Some(MetricsSettings {
        port: is_served?.then_some(port),
        namespace: namespace.unwrap_or_default(),
        subsystem: subsystem.unwrap_or_default(),
    })
}

fn read_log_level(reader: &mut Reader<'_>) -> Option<Level> {
    let levels = [
        ("debug", Level::DEBUG),
        ("info", Level::INFO),
        ("warn", Level::WARN),
        ("warning", Level::WARN),
        ("error", Level::ERROR),
    ];
    reader.choice(&LOG_LEVEL, &levels)
}

fn read_schedule<S: Section>(reader: &mut Reader<'_>) -> Option<Schedule> {
    let period = reader.period(&duration_period::<S>());
    let once = reader.boolean(&RUN_AND_TERMINATE);
    let (period, once) = (period?, once?);
    if once || period.is_zero() {
        return Some(Schedule::Once);
    }
    Some(Schedule::Every(period))
}

fn read_queue_protocol(reader: &mut Reader<'_>) -> Option<QueueProtocol> {
    let protocols = [("amqp", QueueProtocol::Amqp), ("api", QueueProtocol::Api)];
    reader.choice(&QUEUE_PROTOCOL, &protocols)
}

/// What replaces the broker's address and access. `connector` is `None` when it could not be
/// read.
pub(super) fn read_broker(
    reader: &mut Reader<'_>,
    connector: Option<&ConnectorSettings>,
) -> BrokerOverrides {
    let protocol = connector.map(|connector| connector.queue_protocol);
    if protocol == Some(QueueProtocol::Api) && BROKER.iter().any(|setting| reader.is_given(setting))
    {
        reader.notice(format!(
            "{QUEUE_PROTOCOL}: is api, so the settings under mq have no effect"
        ));
    }
    let overrides = BrokerOverrides {
        host: reader.host(&MQ_HOST),
        port: reader.whole(&MQ_PORT),
        vhost: reader.short_name(&MQ_VHOST),
        user: reader.short_name(&MQ_USER),
        pass: reader.password(&MQ_PASS),
        use_ssl: reader.boolean(&MQ_USE_SSL),
        ca: reader.certificates(&MQ_CA),
        client: read_client_certificate(reader),
    };
    if overrides.use_ssl == Some(false) {
        refuse_tls_material(reader);
    }
    overrides
}

fn refuse_tls_material(reader: &mut Reader<'_>) {
    for setting in [&MQ_CA, &MQ_CERT] {
        if reader.is_given(setting) {
            let text = "a certificate is of no use without TLS; remove it or switch TLS on";
            reader.contradiction(&[&MQ_USE_SSL, setting], text);
        }
    }
}

fn read_client_certificate(reader: &mut Reader<'_>) -> Option<ClientCertificate> {
    let certificate = reader.certificates(&MQ_CERT);
    let key = reader.private_key(&MQ_KEY);
    match (reader.is_given(&MQ_CERT), reader.is_given(&MQ_KEY)) {
        (true, false) => reader.contradiction(
            &[&MQ_CERT, &MQ_KEY],
            "there is a certificate without its key; give both or none",
        ),
        (false, true) => reader.contradiction(
            &[&MQ_CERT, &MQ_KEY],
            "there is a key without its certificate; give both or none",
        ),
        _ => {}
    }
    Some(ClientCertificate {
        certificate: certificate?,
        key: key?,
    })
}

/// What holds for every https connection.
pub(super) fn read_http(reader: &mut Reader<'_>) -> HttpSettings {
    HttpSettings {
        ca: reader.certificates(&HTTPS_CA),
        proxies: reader.proxies(),
    }
}
