//! Checks the whole way from the source to the workers' queue, for a person who wants to know before the first run.
//!
//! **Invariant.** Nothing is imported, and nothing is left behind: a connector that the destination did not know
//! before is deleted there again, also after a registration that failed half-way, and none is registered that the
//! user may not delete, or of which that is not known.

use std::sync::Arc;
use std::time::Duration;

use crate::connector::{
    Check, CheckOutcome, Checks, Connector, Context, Importer, StreamConsumer, StreamPosition,
};
use crate::http::{self, RetryPolicy};
use crate::opencti::queue::Depth;
use crate::opencti::{
    ConnectorProfile, KeptConnector, OpenStream, RegisteredBroker, Rules, StreamFrame, StreamStart,
    UserRights, delete, kept, queue_size, register,
};
use crate::platform::{Platform, PlatformAccess, PlatformError};
use crate::runtime::context;
use crate::runtime::import::broker_tls;
use crate::runtime::session::{self, preflight};
use crate::runtime::stream::live_stream;
use crate::settings::{QueueProtocol, Section, Settings};
use crate::telemetry::logs::Chain;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::safe_text::{WORDS, safe};

/// An answer that takes longer fails the check.
const LIMIT: Duration = Duration::from_secs(30);

/// How a person removes what could not be deleted.
const REMOVAL: &str = "an administrator can delete it there under Data > Ingestion > Connectors";

/// Checks an importer's own part, the destination and the way there, and reports each; whether the connector
/// would work.
pub async fn check<C: Importer>(
    settings: &Settings<C::Section>,
    report: &mut (dyn FnMut(Check) + Send),
) -> bool {
    let mut checks = Checks::new(report);
    if let Some((_, platform)) = check_both::<C>(settings, "source", &mut checks).await {
        let rights = check_rights(&platform, &mut checks).await;
        check_registration(settings, &platform, rights.as_ref(), &mut checks).await;
    }
    checks.first_failure().is_none()
}

/// Checks a stream consumer's own part, the platform and its live stream, and reports each; whether the connector
/// would work.
pub async fn check_consumer<C: StreamConsumer>(
    settings: &Settings<C::Section>,
    report: &mut (dyn FnMut(Check) + Send),
) -> bool {
    let mut checks = Checks::new(report);
    if let Some((context, platform)) = check_both::<C>(settings, "target", &mut checks).await {
        check_known(settings, &platform, &mut checks).await;
        check_stream(settings, &context, &mut checks).await;
    }
    checks.first_failure().is_none()
}

/// The connector's own part, whose `other_side` it names, and whether the platform answers.
async fn check_both<C: Connector>(
    settings: &Settings<C::Section>,
    other_side: &'static str,
    checks: &mut Checks<'_>,
) -> Option<(Context, Arc<Platform>)> {
    let context = match context::<C>(settings, &Metrics::default()) {
        Ok(context) => context,
        Err(error) => {
            checks.fail_with("destination", &error);
            return None;
        }
    };
    match C::new(settings, &context) {
        Ok(connector) => connector.check(checks).await,
        Err(error) => checks.fail_with(other_side, &error),
    }
    let platform = connect(settings, &context.platform, checks).await?;
    checks.compare_clock(platform.clock().await);
    Some((context, platform))
}

/// Whether the platform knows the connector; a stream consumer registers with its first start.
async fn check_known<S: Section>(
    settings: &Settings<S>,
    platform: &Platform,
    checks: &mut Checks<'_>,
) {
    match kept(platform, settings.connector.id).await {
        Ok(Some(_)) => checks.pass("registration", "the platform knows the connector"),
        Ok(None) => checks.pass(
            "registration",
            "the connector is new: its first start registers it",
        ),
        Err(error) => {
            let text = format!(
                "it does not say whether it knows the connector: {}",
                Chain(&error)
            );
            checks.warn("registration", text);
        }
    }
}

/// Whether the live stream can be followed: opened, and left with the first event or heartbeat.
async fn check_stream<S>(settings: &Settings<S>, context: &Context, checks: &mut Checks<'_>) {
    const NAME: &str = "live stream";
    let Some(live) = &settings.connector.live_stream else {
        return checks.fail(NAME, "the settings name none");
    };
    let mut heard = HeardOfStream::default();
    let following = async {
        let stream = live_stream(settings, context, live)?;
        let start = StreamStart {
            after: StreamPosition::at(context.clock.now()),
            recover_until: None,
        };
        heard.listen(stream.open(start).await?).await
    };
    let sign = tokio::time::timeout(LIMIT, following).await;
    match sign {
        Ok(Ok(StreamSign::Follows)) => checks.pass(
            NAME,
            format!("{} is open, and brings events or heartbeats", live.id),
        ),
        Ok(Ok(StreamSign::Failed(words))) => checks.fail(
            NAME,
            format!("the platform fails at it: {}", safe(&words, WORDS)),
        ),
        Ok(Ok(StreamSign::Ended)) => checks.fail(
            NAME,
            format!(
                "the platform ends it before an event or a heartbeat has come{}",
                heard.unknown()
            ),
        ),
        Ok(Err(error)) => {
            let advice = match error.status().map(|status| status.as_u16()) {
                Some(401 | 403) => {
                    "; is its id right (connector.live_stream_id, CONNECTOR_LIVE_STREAM_ID), and may the token's user access data sharing?"
                }
                Some(410) => "; it is stopped: start it on the platform",
                _ => "",
            };
            checks.fail(NAME, format!("{}{advice}", Chain(&error)));
        }
        Err(_) => checks.fail(
            NAME,
            format!(
                "the platform sends neither an event nor a heartbeat within {} s{}",
                LIMIT.as_secs(),
                heard.unknown()
            ),
        ),
    }
}

/// What a connection of the live stream shows.
enum StreamSign {
    /// An event or a heartbeat has come.
    Follows,
    /// The platform failed, in its words.
    Failed(String),
    /// It ended without any.
    Ended,
}

/// What has come over the connection that is looked at.
#[derive(Default)]
struct HeardOfStream {
    /// Frames that no release of the platform is known to send.
    unknown: usize,
}

impl HeardOfStream {
    /// Listens until it is known whether the stream is one of the platform's.
    async fn listen(&mut self, mut open: OpenStream) -> Result<StreamSign, http::Error> {
        while let Some(frames) = open.next().await? {
            for frame in frames {
                if frame.is_of_platform() {
                    return Ok(StreamSign::Follows);
                }
                match frame {
                    StreamFrame::Failed(words) => return Ok(StreamSign::Failed(words)),
                    StreamFrame::Unknown(..) => self.unknown += 1,
                    _ => {}
                }
            }
        }
        Ok(StreamSign::Ended)
    }

    fn unknown(&self) -> String {
        match self.unknown {
            0 => String::new(),
            frames => format!(
                ", but {frames} frames that are not known here; does another program answer in its place?"
            ),
        }
    }
}

async fn connect<S>(
    settings: &Settings<S>,
    access: &PlatformAccess,
    checks: &mut Checks<'_>,
) -> Option<Arc<Platform>> {
    let address = settings.opencti.url.origin().ascii_serialization();
    match access.connect(RetryPolicy::NEVER).await {
        Ok(platform) => {
            let release = platform.release();
            checks.pass(
                "destination",
                format!("{address} answers, release {release}"),
            );
            Some(platform)
        }
        Err(error) => {
            checks.fail_with("destination", &error);
            None
        }
    }
}

/// Returns the rights, where the platform answers them.
async fn check_rights(platform: &Platform, checks: &mut Checks<'_>) -> Option<UserRights> {
    let rights = match UserRights::ask(platform, RetryPolicy::NEVER).await {
        Ok(rights) => rights,
        Err(error) => {
            let text = format!("it does not say what the user may do: {}", Chain(&error));
            checks.warn("rights", text);
            return None;
        }
    };
    let lacks = preflight::lacks(&rights);
    let user = &rights.user;
    if lacks.is_empty() {
        let text = format!("{user} may set all markings, and make markings, labels and phases");
        checks.pass("rights", text);
    }
    for lack in lacks {
        let outcome = if lack.is_fatal {
            CheckOutcome::Failed
        } else {
            CheckOutcome::Warning
        };
        checks.note("rights", outcome, format!("{user}: {}", lack.text));
    }
    Some(rights)
}

async fn check_registration<S: Section>(
    settings: &Settings<S>,
    platform: &Platform,
    rights: Option<&UserRights>,
    checks: &mut Checks<'_>,
) {
    let protocol = settings.connector.queue_protocol;
    if let Err(error) = Rules::of(platform.release(), protocol) {
        return checks.fail_with("registration", &error);
    }
    let profile = session::profile(settings);
    let known = kept(platform, profile.id).await;
    let is_known = matches!(known, Ok(Some(_)));
    if !is_known && !rights.is_some_and(UserRights::deletes_connectors) {
        return note_not_registered(&known, rights, checks);
    }
    // A user who may not see connectors cannot know whether this one is new, and must not delete another one's.
    let is_new = matches!(known, Ok(None));
    let registered = register(platform, &profile, RetryPolicy::NEVER).await;
    let broker = match registered.and_then(|registration| registration.broker) {
        Ok(broker) => broker,
        Err(error) => {
            checks.fail_with("registration", &error);
            if is_new {
                delete_failed_registration(platform, &profile, checks).await;
            }
            return;
        }
    };
    note_registered(&known, &profile, checks);
    match protocol {
        QueueProtocol::Amqp => check_broker(settings, broker, checks).await,
        QueueProtocol::Api => checks.pass("broker", "not needed: messages go through the platform"),
    }
    check_queue(settings, platform, checks).await;
    if is_new {
        delete_registration(platform, &profile, checks).await;
    }
}

/// What the platform keeps for the connector, as far as the user may see it.
type KnownConnector = Result<Option<KeptConnector>, PlatformError>;

fn note_registered(known: &KnownConnector, profile: &ConnectorProfile, checks: &mut Checks<'_>) {
    let (outcome, text) = match known {
        Ok(None) => (
            CheckOutcome::Passed,
            "the platform takes the connector; it does not know it yet".to_owned(),
        ),
        Ok(Some(_)) => (
            CheckOutcome::Passed,
            "the platform knows the connector".to_owned(),
        ),
        Err(error) => (
            CheckOutcome::Warning,
            format!(
                "the platform takes the connector, and it stays registered, under the name {}: whether it was before cannot be seen; {REMOVAL}: {}",
                profile.name,
                Chain(error)
            ),
        ),
    };
    checks.note("registration", outcome, text);
}

/// A registration would stay for good, or might.
fn note_not_registered(
    known: &KnownConnector,
    rights: Option<&UserRights>,
    checks: &mut Checks<'_>,
) {
    let whether_known = match known {
        Ok(_) => "the platform does not know the connector yet".to_owned(),
        Err(error) => format!(
            "whether the platform knows the connector cannot be seen ({})",
            Chain(error)
        ),
    };
    let why = match rights {
        Some(_) => {
            "the user may not delete connectors, so that a registration would stay; the first run registers it; to have all of it tested, give one of the user's roles the right to manage connectors"
        }
        None => {
            "whether the user may delete connectors is not known, so that a registration might stay; the first run registers it; to have all of it tested, check again when the destination says what the user may do"
        }
    };
    let text = format!("not tried, nor the broker and the queue: {whether_known}, and {why}");
    checks.warn("registration", text);
}

/// What a registration that failed may have left: the platform makes the queues first.
async fn delete_failed_registration(
    platform: &Platform,
    profile: &ConnectorProfile,
    checks: &mut Checks<'_>,
) {
    match delete(platform, profile.id).await {
        Ok(()) => checks.pass("cleaning up", "nothing of the failed registration stays"),
        // As where nothing had come into being: deleting takes the queues first.
        Err(error) => checks.warn("cleaning up",
            format!(
                "whether something of the failed registration stays cannot be seen; if the connector {} is listed at the destination, {REMOVAL}: {}",
                profile.name,
                Chain(&error)
            ),
        ),
    }
}

async fn check_broker<S>(settings: &Settings<S>, named: RegisteredBroker, checks: &mut Checks<'_>) {
    let broker = match named.overridden(&settings.broker) {
        Ok(broker) => broker,
        Err(error) => return checks.fail_with("broker", &error),
    };
    let address = broker.to_string();
    let origin = match settings.broker.host {
        Some(_) => "set by mq.host (MQ_HOST)",
        None => "as the platform names it",
    };
    let depth = Depth::new(
        broker,
        broker_tls(&settings.broker),
        &settings.connector.name,
    );
    let looking = async {
        let messages = depth.messages().await?;
        depth.find_exchange().await.map(|()| messages)
    };
    match tokio::time::timeout(LIMIT, looking).await {
        Ok(Ok(messages)) => checks.pass(
            "broker",
            format!(
                "{address}, {origin}, is reached; {messages} messages wait in the connector's queue"
            ),
        ),
        failed => {
            let reason = match &failed {
                Ok(Err(error)) => Chain(error).to_string(),
                _ => format!(
                    "no answer within {} s; if the address is that of a container network, set MQ_HOST and MQ_PORT (mq.host, mq.port)",
                    LIMIT.as_secs()
                ),
            };
            let text = format!("{address}, {origin}: {reason}");
            checks.fail("broker", text);
        }
    }
}

async fn check_queue<S>(settings: &Settings<S>, platform: &Platform, checks: &mut Checks<'_>) {
    let threshold = settings.connector.queue_threshold_mb;
    match queue_size(platform, settings.connector.id).await {
        Ok(Some(size)) => {
            let text = format!(
                "{:.1} MB in {} messages wait for the workers; a run waits above {threshold} MB",
                size.megabytes(),
                size.messages
            );
            let is_full = size.megabytes() > threshold;
            let outcome = if is_full {
                CheckOutcome::Warning
            } else {
                CheckOutcome::Passed
            };
            checks.note("queue", outcome, text);
        }
        Ok(None) => checks.pass(
            "queue",
            "this release does not say how much waits; the broker is asked instead",
        ),
        Err(error) => {
            let text = format!("it does not say how much waits: {}", Chain(&error));
            checks.warn("queue", text);
        }
    }
}

async fn delete_registration(
    platform: &Platform,
    profile: &ConnectorProfile,
    checks: &mut Checks<'_>,
) {
    match delete(platform, profile.id).await {
        Ok(()) => checks.pass("cleaning up", "the connector is not registered any more"),
        Err(error) => checks.warn(
            "cleaning up",
            format!(
                "the connector stays registered, under the name {}; {REMOVAL}: {}",
                profile.name,
                Chain(&error)
            ),
        ),
    }
}
