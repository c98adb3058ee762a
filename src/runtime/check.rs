//! Tests every hop from the source to the workers' queue, for a person who wants to know before the first run.
//!
//! **Invariant.** Nothing is imported, and nothing is left behind: a connector that the destination did not know
//! before is deleted there again, also after a registration that failed half-way, and none is registered that the
//! user may not delete, or of which that is not known.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::{broker_tls, endpoint, overridden, preflight};
use crate::connector::{Importer, SourceLook};
use crate::graphql::{Client, RetryPolicy};
use crate::opencti::queue::Depth;
use crate::opencti::{
    BrokerAddress, ConnectorProfile, Kept, Rights, Rules, delete, kept, queue_size, register,
};
use crate::platform::{Platform, PlatformError};
use crate::settings::{QueueProtocol, Settings};
use crate::telemetry::logs::Chain;
use crate::telemetry::metrics::Metrics;

/// Clocks that differ by less do not matter.
const SKEW: Duration = Duration::from_mins(1);
/// An answer that takes longer is one more thing that is wrong.
const LIMIT: Duration = Duration::from_secs(30);

/// How a person removes what could not be deleted.
const REMOVAL: &str = "an administrator can delete it there under Data > Ingestion > Connectors";

/// What came of one hop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// Which one.
    pub name: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was found, and what the person can do.
    pub text: String,
    /// How long it took.
    pub took: Duration,
}

/// How a hop is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Fine,
    /// An import works, but something will be missing.
    Warning,
    /// No import works.
    Failed,
}

/// Hops as they are tested.
struct Hops<'a> {
    tell: &'a mut dyn FnMut(Hop),
    began: Instant,
    is_fine: bool,
}

impl Hops<'_> {
    fn say(&mut self, name: &'static str, verdict: Verdict, text: impl Into<String>) {
        self.is_fine &= verdict != Verdict::Failed;
        (self.tell)(Hop {
            name,
            verdict,
            text: text.into(),
            took: self.began.elapsed(),
        });
        self.began = Instant::now();
    }

    fn fail(&mut self, name: &'static str, error: &dyn std::error::Error) {
        self.say(name, Verdict::Failed, Chain(error).to_string());
    }
}

/// Tests the hops in their order and tells of each; whether an import would work.
pub async fn check<C: Importer>(
    settings: &Settings<C::Section>,
    tell: &mut (dyn FnMut(Hop) + Send),
) -> bool {
    let mut hops = Hops {
        tell,
        began: Instant::now(),
        is_fine: true,
    };
    check_source::<C>(settings, &mut hops).await;
    if let Some(platform) = meet(settings, &mut hops).await {
        check_clock(&mut hops, platform.clock().await);
        let rights = check_rights(&platform, &mut hops).await;
        check_registration(settings, &platform, rights.as_ref(), &mut hops).await;
    }
    hops.is_fine
}

async fn check_source<C: Importer>(settings: &Settings<C::Section>, hops: &mut Hops<'_>) {
    let looked = match C::new(settings, &Metrics::default()) {
        Ok(connector) => connector.look().await,
        Err(error) => Err(error),
    };
    let SourceLook {
        address,
        release,
        counts,
        remarks,
        clock,
    } = match looked {
        Ok(look) => look,
        Err(error) => return hops.fail("source", &error),
    };
    hops.say(
        "source",
        Verdict::Fine,
        format!("{address} answers, release {release}"),
    );
    for (stream, count) in counts {
        match count {
            Some(0) => hops.say(
                "source rows",
                Verdict::Warning,
                format!("no {stream}; may the token's user see them?"),
            ),
            Some(count) => hops.say("source rows", Verdict::Fine, format!("{count} {stream}")),
            None => hops.say(
                "source rows",
                Verdict::Warning,
                format!("it does not say how many {stream} there are"),
            ),
        }
    }
    for remark in remarks {
        hops.say("source rows", Verdict::Warning, remark);
    }
    check_clock(hops, clock);
}

fn check_clock(hops: &mut Hops<'_>, clock: Option<SystemTime>) {
    let Some(clock) = clock else { return };
    let now = SystemTime::now();
    let skew = now
        .duration_since(clock)
        .unwrap_or_else(|error| error.duration());
    if skew > SKEW {
        hops.say(
            "clock",
            Verdict::Warning,
            format!(
                "that platform's clock and this one differ by {} s; let both follow a time server",
                skew.as_secs()
            ),
        );
    }
}

async fn meet<S>(settings: &Settings<S>, hops: &mut Hops<'_>) -> Option<Arc<Platform>> {
    let address = settings.opencti.url.origin().ascii_serialization();
    let client = match Client::new(&endpoint(settings, &Metrics::default())) {
        Ok(client) => client,
        Err(error) => {
            hops.fail("destination", &error);
            return None;
        }
    };
    match Platform::meet(client, RetryPolicy::NEVER).await {
        Ok(platform) => {
            let release = platform.release();
            let text = format!("{address} answers, release {release}");
            hops.say("destination", Verdict::Fine, text);
            Some(Arc::new(platform))
        }
        Err(error) => {
            hops.fail("destination", &error);
            None
        }
    }
}

/// Answers the rights, where the platform says them.
async fn check_rights(platform: &Platform, hops: &mut Hops<'_>) -> Option<Rights> {
    let rights = match Rights::ask(platform, RetryPolicy::NEVER).await {
        Ok(rights) => rights,
        Err(error) => {
            let text = format!("it does not say what the user may do: {}", Chain(&error));
            hops.say("rights", Verdict::Warning, text);
            return None;
        }
    };
    let lacks = preflight::lacks(&rights);
    let user = &rights.user;
    if lacks.is_empty() {
        let text = format!("{user} may set all markings, and make markings, labels and phases");
        hops.say("rights", Verdict::Fine, text);
    }
    for lack in lacks {
        let verdict = if lack.is_fatal {
            Verdict::Failed
        } else {
            Verdict::Warning
        };
        hops.say("rights", verdict, format!("{user}: {}", lack.text));
    }
    Some(rights)
}

async fn check_registration<S>(
    settings: &Settings<S>,
    platform: &Platform,
    rights: Option<&Rights>,
    hops: &mut Hops<'_>,
) {
    let protocol = settings.connector.queue_protocol;
    if let Err(error) = Rules::of(platform.release(), protocol) {
        return hops.fail("registration", &error);
    }
    let profile = ConnectorProfile {
        id: settings.connector.id,
        name: settings.connector.name.clone(),
        scope: settings.connector.scope.clone(),
    };
    let known = kept(platform, profile.id).await;
    let is_known = matches!(known, Ok(Some(_)));
    if !is_known && !rights.is_some_and(Rights::deletes_connectors) {
        return say_not_registered(&known, rights, hops);
    }
    // Who may not see connectors cannot tell a new one, and must not delete another one's.
    let is_new = matches!(known, Ok(None));
    let registration = match register(platform, &profile, RetryPolicy::NEVER).await {
        Ok(registration) => registration,
        Err(error) => {
            hops.fail("registration", &error);
            if is_new {
                take_back(platform, &profile, hops).await;
            }
            return;
        }
    };
    say_registered(&known, &profile, hops);
    match protocol {
        QueueProtocol::Amqp => check_broker(settings, registration.broker, hops).await,
        QueueProtocol::Api => hops.say(
            "broker",
            Verdict::Fine,
            "not needed: messages go through the platform",
        ),
    }
    check_queue(settings, platform, hops).await;
    if is_new {
        leave_nothing(platform, &profile, hops).await;
    }
}

/// What the platform keeps for the connector, as far as the user may see it.
type Known = Result<Option<Kept>, PlatformError>;

fn say_registered(known: &Known, profile: &ConnectorProfile, hops: &mut Hops<'_>) {
    let (verdict, text) = match known {
        Ok(None) => (
            Verdict::Fine,
            "the platform takes the connector; it does not know it yet".to_owned(),
        ),
        Ok(Some(_)) => (Verdict::Fine, "the platform knows the connector".to_owned()),
        Err(error) => (
            Verdict::Warning,
            format!(
                "the platform takes the connector, and it stays registered, under the name {}: whether it was before cannot be seen; {REMOVAL}: {}",
                profile.name,
                Chain(error)
            ),
        ),
    };
    hops.say("registration", verdict, text);
}

/// A registration would stay for good, or might.
fn say_not_registered(known: &Known, rights: Option<&Rights>, hops: &mut Hops<'_>) {
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
            "whether the user may delete connectors is not said, so that a registration might stay; the first run registers it; to have all of it tested, check again when the destination says what the user may do"
        }
    };
    let text = format!("not tried, nor the broker and the queue: {whether_known}, and {why}");
    hops.say("registration", Verdict::Warning, text);
}

/// What a registration that failed may have left: the platform makes the queues first.
async fn take_back(platform: &Platform, profile: &ConnectorProfile, hops: &mut Hops<'_>) {
    match delete(platform, profile.id).await {
        Ok(()) => hops.say("cleaning up", Verdict::Fine, "nothing of the failed registration stays"),
        // As where nothing had come into being: deleting takes the queues first.
        Err(error) => hops.say(
            "cleaning up",
            Verdict::Warning,
            format!(
                "whether something of the failed registration stays cannot be seen; if the connector {} is listed at the destination, {REMOVAL}: {}",
                profile.name,
                Chain(&error)
            ),
        ),
    }
}

async fn check_broker<S>(settings: &Settings<S>, named: BrokerAddress, hops: &mut Hops<'_>) {
    let broker = overridden(named, &settings.broker);
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
    match tokio::time::timeout(LIMIT, depth.messages()).await {
        Ok(Ok(messages)) => hops.say(
            "broker",
            Verdict::Fine,
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
            hops.say("broker", Verdict::Failed, text);
        }
    }
}

async fn check_queue<S>(settings: &Settings<S>, platform: &Platform, hops: &mut Hops<'_>) {
    let threshold = settings.connector.queue_threshold_mb;
    match queue_size(platform, settings.connector.id).await {
        Ok(Some(size)) => {
            let text = format!(
                "{:.1} MB in {} messages wait for the workers; a run waits above {threshold} MB",
                size.megabytes(),
                size.messages
            );
            let is_full = size.megabytes() > threshold;
            let verdict = if is_full {
                Verdict::Warning
            } else {
                Verdict::Fine
            };
            hops.say("queue", verdict, text);
        }
        Ok(None) => hops.say(
            "queue",
            Verdict::Fine,
            "this release does not say how much waits; the broker is asked instead",
        ),
        Err(error) => {
            let text = format!("it does not say how much waits: {}", Chain(&error));
            hops.say("queue", Verdict::Warning, text);
        }
    }
}

async fn leave_nothing(platform: &Platform, profile: &ConnectorProfile, hops: &mut Hops<'_>) {
    match delete(platform, profile.id).await {
        Ok(()) => hops.say(
            "cleaning up",
            Verdict::Fine,
            "the connector is not registered any more",
        ),
        Err(error) => hops.say(
            "cleaning up",
            Verdict::Warning,
            format!(
                "the connector stays registered, under the name {}; {REMOVAL}: {}",
                profile.name,
                Chain(&error)
            ),
        ),
    }
}
