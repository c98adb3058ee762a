//! The settings that every connector has.
//!
//! May know: the table and the reader. May be known by `settings` alone.
//!
//! **Invariant:** every setting that is read here is in [`settings`], and the other way round.

use std::time::Duration;

use tracing::Level;

use super::reader::Reader;
use super::table::{Fallback, Kind, Section, Setting};
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

/// Whoever brings the settings of another connector is told which of them do nothing here
/// (spec/ecosystem.md §1.5).
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

const URL: Setting = Setting {
    key: "opencti.url",
    env: "OPENCTI_URL",
    kind: Kind::PlatformUrl,
    default: Fallback::Required,
    doc: "address of the OpenCTI platform that receives the data",
    secret: false,
};
const TOKEN: Setting = Setting {
    key: "opencti.token",
    env: "OPENCTI_TOKEN",
    kind: Kind::Token,
    default: Fallback::Required,
    doc: "API token of the connector's user",
    secret: true,
};
const SSL_VERIFY: Setting = Setting {
    key: "opencti.ssl_verify",
    env: "OPENCTI_SSL_VERIFY",
    kind: Kind::Trust,
    default: Fallback::Value("true"),
    doc: "whether the platform's certificate is checked: true, false, or an extra authority as path or PEM text",
    secret: false,
};
const JSON_LOGGING: Setting = Setting {
    key: "opencti.json_logging",
    env: "OPENCTI_JSON_LOGGING",
    kind: Kind::Boolean,
    default: Fallback::Unset,
    doc: "whether logs are JSON lines (true) or plain text (false); unless it is set, text on a terminal and JSON elsewhere",
    secret: false,
};

const ID: Setting = Setting {
    key: "connector.id",
    env: "CONNECTOR_ID",
    kind: Kind::Uuid,
    default: Fallback::Required,
    doc: "UUID of this connector, generated once and kept",
    secret: false,
};
const TYPE: Setting = Setting {
    key: "connector.type",
    env: "CONNECTOR_TYPE",
    kind: Kind::Choice(&["EXTERNAL_IMPORT"]),
    default: Fallback::Value("EXTERNAL_IMPORT"),
    doc: "type of connector; there is only this one",
    secret: false,
};
const NAME: Setting = Setting {
    key: "connector.name",
    env: "CONNECTOR_NAME",
    kind: Kind::Text { min_chars: 2 },
    default: Fallback::Required,
    doc: "name that the platform shows",
    secret: false,
};
const SCOPE: Setting = Setting {
    key: "connector.scope",
    env: "CONNECTOR_SCOPE",
    kind: Kind::List,
    default: Fallback::Required,
    doc: "what the connector says it is about, separated by commas; for display only",
    secret: false,
};
const LOG_LEVEL: Setting = Setting {
    key: "connector.log_level",
    env: "CONNECTOR_LOG_LEVEL",
    kind: Kind::Choice(&["debug", "info", "warn", "warning", "error"]),
    default: Fallback::Value("info"),
    doc: "least important level that is logged: debug, info, warn or error",
    secret: false,
};
const DURATION_PERIOD: Setting = Setting {
    key: "connector.duration_period",
    env: "CONNECTOR_DURATION_PERIOD",
    kind: Kind::Period,
    default: Fallback::Value("PT1H"),
    doc: "time between two runs as an ISO 8601 period; 0 for one run only",
    secret: false,
};
const RUN_AND_TERMINATE: Setting = Setting {
    key: "connector.run_and_terminate",
    env: "CONNECTOR_RUN_AND_TERMINATE",
    kind: Kind::Boolean,
    default: Fallback::Value("false"),
    doc: "whether the connector ends after one run",
    secret: false,
};
const QUEUE_THRESHOLD: Setting = Setting {
    key: "connector.queue_threshold",
    env: "CONNECTOR_QUEUE_THRESHOLD",
    kind: Kind::Positive,
    default: Fallback::Value("500"),
    doc: "fill of the connector's queue, in MB, above which a run waits",
    secret: false,
};
const STALL_LIMIT: Setting = Setting {
    key: "connector.stall_limit",
    env: "CONNECTOR_STALL_LIMIT",
    kind: Kind::Period,
    default: Fallback::Value("PT30M"),
    doc: "time without any progress after which a run has failed, as an ISO 8601 period; waiting for the workers counts as progress; 0 for no limit",
    secret: false,
};
const QUEUE_PROTOCOL: Setting = Setting {
    key: "connector.queue_protocol",
    env: "CONNECTOR_QUEUE_PROTOCOL",
    kind: Kind::Choice(&["amqp", "api"]),
    default: Fallback::Value("amqp"),
    doc: "way to the platform: amqp (the broker) or api (GraphQL)",
    secret: false,
};

const SEND_TO_QUEUE: Setting = Setting {
    key: "connector.send_to_queue",
    env: "CONNECTOR_SEND_TO_QUEUE",
    kind: Kind::Boolean,
    default: Fallback::Value("true"),
    doc: "whether bundles go to the platform's queue",
    secret: false,
};
const SEND_TO_DIRECTORY: Setting = Setting {
    key: "connector.send_to_directory",
    env: "CONNECTOR_SEND_TO_DIRECTORY",
    kind: Kind::Boolean,
    default: Fallback::Value("false"),
    doc: "whether bundles are written as files",
    secret: false,
};
const SEND_TO_DIRECTORY_PATH: Setting = Setting {
    key: "connector.send_to_directory_path",
    env: "CONNECTOR_SEND_TO_DIRECTORY_PATH",
    kind: Kind::Text { min_chars: 1 },
    default: Fallback::Unset,
    doc: "folder for these files",
    secret: false,
};
const SEND_TO_DIRECTORY_RETENTION: Setting = Setting {
    key: "connector.send_to_directory_retention",
    env: "CONNECTOR_SEND_TO_DIRECTORY_RETENTION",
    kind: Kind::Whole {
        min: 0,
        max: 36_500,
    },
    default: Fallback::Value("7"),
    doc: "days after which these files are removed at the next start; 0 keeps them",
    secret: false,
};
const EXPOSE_METRICS: Setting = Setting {
    key: "connector.expose_metrics",
    env: "CONNECTOR_EXPOSE_METRICS",
    kind: Kind::Boolean,
    default: Fallback::Value("false"),
    doc: "whether metrics and health are served over HTTP",
    secret: false,
};
const METRICS_PORT: Setting = Setting {
    key: "connector.metrics_port",
    env: "CONNECTOR_METRICS_PORT",
    kind: PORT,
    default: Fallback::Value("9095"),
    doc: "port on which metrics and health are served",
    secret: false,
};
const METRICS_NAMESPACE: Setting = Setting {
    key: "connector.metrics_namespace",
    env: "CONNECTOR_METRICS_NAMESPACE",
    kind: Kind::MetricName,
    default: Fallback::Unset,
    doc: "word in front of the names of the metrics that all connectors have",
    secret: false,
};
const METRICS_SUBSYSTEM: Setting = Setting {
    key: "connector.metrics_subsystem",
    env: "CONNECTOR_METRICS_SUBSYSTEM",
    doc: "word behind that one",
    ..METRICS_NAMESPACE
};

const PORT: Kind = Kind::Whole {
    min: 1,
    max: 65_535,
};

const MQ_HOST: Setting = broker_setting(
    "mq.host",
    "MQ_HOST",
    Kind::Text { min_chars: 1 },
    "host of the broker, instead of the one the platform names",
);
const MQ_PORT: Setting = broker_setting(
    "mq.port",
    "MQ_PORT",
    PORT,
    "port of the broker, instead of the one the platform names",
);
const MQ_VHOST: Setting = broker_setting(
    "mq.vhost",
    "MQ_VHOST",
    Kind::Text { min_chars: 1 },
    "virtual host on the broker, instead of the one the platform names",
);
const MQ_USER: Setting = broker_setting(
    "mq.user",
    "MQ_USER",
    Kind::Text { min_chars: 1 },
    "user on the broker, instead of the one the platform names",
);
const MQ_PASS: Setting = Setting {
    secret: true,
    ..broker_setting(
        "mq.pass",
        "MQ_PASS",
        Kind::Password,
        "password of the user on the broker",
    )
};
const MQ_USE_SSL: Setting = broker_setting(
    "mq.use_ssl",
    "MQ_USE_SSL",
    Kind::Boolean,
    "whether the connection to the broker uses TLS, instead of what the platform says",
);
const MQ_CA: Setting = broker_setting(
    "mq.use_ssl_ca",
    "MQ_USE_SSL_CA",
    Kind::Certificates,
    "extra authority for the broker's certificate, as path or PEM text",
);
const MQ_CERT: Setting = broker_setting(
    "mq.use_ssl_cert",
    "MQ_USE_SSL_CERT",
    Kind::Certificates,
    "certificate shown to the broker, as path or PEM text",
);
const MQ_KEY: Setting = Setting {
    secret: true,
    ..broker_setting(
        "mq.use_ssl_key",
        "MQ_USE_SSL_KEY",
        Kind::PrivateKey,
        "private key of that certificate, as path or PEM text",
    )
};
const HTTPS_CA: Setting = Setting {
    key: "https.ca_certificates",
    env: "HTTPS_CA_CERTIFICATES",
    kind: Kind::Certificates,
    default: Fallback::Unset,
    doc: "extra authorities for every https connection, as path or PEM text",
    secret: false,
};

const BROKER: [Setting; 9] = [
    MQ_HOST, MQ_PORT, MQ_VHOST, MQ_USER, MQ_PASS, MQ_USE_SSL, MQ_CA, MQ_CERT, MQ_KEY,
];

const fn broker_setting(
    key: &'static str,
    env: &'static str,
    kind: Kind,
    doc: &'static str,
) -> Setting {
    Setting {
        key,
        env,
        kind,
        default: Fallback::Unset,
        doc,
        secret: false,
    }
}

/// The standard settings of the connector whose section is `S`.
pub(super) fn settings<S: Section>() -> Vec<Setting> {
    let mut settings = vec![
        URL,
        TOKEN,
        SSL_VERIFY,
        JSON_LOGGING,
        ID,
        TYPE,
        name::<S>(),
        scope::<S>(),
        LOG_LEVEL,
        DURATION_PERIOD,
        RUN_AND_TERMINATE,
        QUEUE_THRESHOLD,
        STALL_LIMIT,
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
    let kind = reader.choice(&TYPE, &[("EXTERNAL_IMPORT", ())]);
    let name = reader.text(&name::<S>());
    let scope = reader.list(&scope::<S>());
    let log_level = read_log_level(reader);
    let schedule = read_schedule(reader);
    let queue_threshold_mb = reader.positive(&QUEUE_THRESHOLD);
    let stall_limit = reader.period(&STALL_LIMIT);
    let queue_protocol = read_queue_protocol(reader);
    let outputs = read_outputs(reader);
    let metrics = read_metrics(reader);
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
        queue_protocol: queue_protocol?,
        outputs: outputs?,
        metrics: metrics?,
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

fn read_schedule(reader: &mut Reader<'_>) -> Option<Schedule> {
    let period = reader.period(&DURATION_PERIOD);
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
