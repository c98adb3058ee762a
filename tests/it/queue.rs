//! The way into the queue, with everything that can happen to it: a broker that dies, refuses, gives
//! back, closes, falls silent; a platform that answers too late.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lapin::options::{
    BasicGetOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties};
use opencti_connectors::graphql::GraphqlClient;
use opencti_connectors::http::{RetryPolicy, Site};
use opencti_connectors::opencti::queue::{BrokerTls, Depth, DepthError};
use opencti_connectors::opencti::{
    BrokerAddress, ConnectionStatus, ConnectorInfo, ConnectorProfile, Delivery, Message, Pending,
    PushError, Pusher, Work, WorkExpectations, api, ping, queue, register,
};
use opencti_connectors::platform::Platform;
use opencti_connectors::runtime::End;
use opencti_connectors::settings::{BrokerOverrides, ConnectorType, ShortName};
use sandbox::{Broker, Destination, DestinationOptions, Fault, Release, SourceOptions};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::compare::differences;
use crate::support::{LIMIT, Line, broker, generated, limit_messages};

/// Objects in each message of these tests.
const OBJECTS: u64 = 3;
/// Large enough that a window full of them takes its time.
const PADDING: usize = 4_000;
const LOOK: Duration = Duration::from_millis(20);

/// A destination, a connector that is registered there, its open work, and its way into the queue.
struct Lane {
    destination: Destination,
    platform: Arc<Platform>,
    id: Uuid,
    address: BrokerAddress,
    pusher: Pusher,
    /// Locked to add expectations, which every sender does.
    work: tokio::sync::Mutex<Work>,
    expectations: Arc<WorkExpectations>,
    given_up: CancellationToken,
    written: AtomicUsize,
    confirmed: AtomicUsize,
}

impl Lane {
    async fn on(broker: &Broker) -> Self {
        Self::through(broker, None).await
    }

    /// By way of another port than the broker's, if one is given.
    async fn through(broker: &Broker, port: Option<u16>) -> Self {
        let destination = Destination::start(DestinationOptions {
            broker: Some(broker.address().clone()),
            queue_prefix: format!("{}_", Uuid::new_v4()),
            ..DestinationOptions::default()
        });
        let meeting = Meeting::at(destination.expect("the destination starts")).await;
        let mut address = meeting.address.clone();
        address.port = port.unwrap_or(address.port);
        let pusher = queue::start(address, BrokerTls::default(), "test");
        meeting.open(pusher).await
    }

    /// By way of the platform, which keeps the queue itself.
    async fn by_api(release: Release) -> Self {
        let destination = Destination::start(DestinationOptions {
            release,
            ..DestinationOptions::default()
        });
        let meeting = Meeting::at(destination.expect("the destination starts")).await;
        let pusher = api::start(Arc::clone(&meeting.platform), meeting.id);
        meeting.open(pusher).await
    }

    /// So many new messages, whose expectations were added.
    async fn expected_messages(&self, count: usize) -> Vec<Message> {
        let mut work = self.work.lock().await;
        let objects = count as u64 * OBJECTS;
        work.add_expectations(objects)
            .await
            .expect("its expectations are added");
        let first = self.written.fetch_add(count, Ordering::Relaxed);
        (first..first + count)
            .map(|number| message(work.id(), number))
            .collect()
    }

    fn written(&self) -> usize {
        self.written.load(Ordering::Relaxed)
    }

    async fn deliver(&self, messages: Vec<Message>) -> Pending {
        self.deliver_until(messages, &self.given_up).await
    }

    async fn deliver_until(&self, messages: Vec<Message>, given_up: &CancellationToken) -> Pending {
        let delivery = Delivery {
            messages,
            position: None,
            expectations: Some(Arc::clone(&self.expectations)),
            given_up: given_up.clone(),
        };
        self.pusher
            .deliver(delivery)
            .await
            .expect("the sender takes it")
    }

    /// Announces and delivers so many messages, each a delivery of its own.
    async fn send(&self, count: usize) -> Vec<Pending> {
        let mut pending = Vec::new();
        for message in self.expected_messages(count).await {
            pending.push(self.deliver(vec![message]).await);
        }
        pending
    }

    /// Waits until all of them are confirmed.
    async fn receipts(&self, pending: Vec<Pending>) {
        for mut pending in pending {
            let waiting = tokio::time::timeout(LIMIT * 2, pending.receipt()).await;
            let receipt = waiting.unwrap_or_else(|_| {
                panic!(
                    "never a receipt: {:?}",
                    *self.pusher.connection_status().borrow()
                )
            });
            let position = receipt.expect("it is confirmed").into_position();
            assert_eq!(position, None, "none was given");
            self.confirmed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until so many more deliveries are confirmed.
    async fn until_confirmed(&self, more: usize) {
        let enough = self.confirmed.load(Ordering::Relaxed) + more;
        until("more confirmed", || {
            self.confirmed.load(Ordering::Relaxed) >= enough
        })
        .await;
    }

    /// Sends without a break while something is done to the way; all of it is confirmed at the end.
    async fn send_during(&self, trouble: impl Future<Output = ()>) {
        let is_over = CancellationToken::new();
        let (sent, mut unconfirmed) = mpsc::unbounded_channel();
        let sending = async {
            while !is_over.is_cancelled() {
                for pending in self.send(10).await {
                    sent.send(pending).expect("the receipts are taken");
                }
            }
            drop(sent);
        };
        let confirming = async {
            while let Some(pending) = unconfirmed.recv().await {
                self.receipts(vec![pending]).await;
            }
        };
        let troubling = async {
            self.until_confirmed(50).await;
            trouble.await;
            self.until_confirmed(50).await;
            is_over.cancel();
        };
        tokio::join!(sending, confirming, troubling);
    }

    /// What the platform was asked to expect, its sentinel apart.
    fn expected(&self) -> u64 {
        let mutations = self.destination.mutations();
        let reported = mutations
            .iter()
            .filter(|mutation| mutation.field == "workEdit.addExpectations")
            .filter_map(|mutation| mutation.arguments["expectations"].as_u64());
        reported.sum()
    }

    fn again(&self) -> u64 {
        self.expectations.again()
    }

    async fn until(
        &self,
        what: &str,
        is_so: impl Fn(&ConnectionStatus) -> bool,
    ) -> ConnectionStatus {
        let mut connection_status = self.pusher.connection_status();
        let waiting = connection_status.wait_for(|now| is_so(now));
        let found = tokio::time::timeout(LIMIT, waiting).await;
        found
            .unwrap_or_else(|_| panic!("never {what}"))
            .expect("the sender runs")
            .clone()
    }

    async fn until_paused(&self) -> String {
        match self.until("paused", is_paused).await {
            ConnectionStatus::Paused(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    /// Has the queue declared again, as each ping does.
    async fn ping(&self) {
        ping(&self.platform, self.id, None, &ConnectorInfo::default())
            .await
            .expect("the ping is taken");
    }

    /// Starts a killed broker again. RabbitMQ writes its bindings to the disk a while after it answered that
    /// they are there, so that one that was made just before the kill can be gone: the next ping
    /// declares it again.
    async fn bring_back(&self, broker: &Broker) {
        broker.restart().await.expect("the broker comes back");
        self.ping().await;
    }

    /// A hand of its own on the broker.
    async fn hand(&self, broker: &Broker) -> Hand {
        let url = broker.address().url();
        let connection = Connection::connect(&url, ConnectionProperties::default())
            .await
            .expect("the broker answers");
        let channel = connection.create_channel().await.expect("a channel");
        Hand {
            channel,
            address: self.address.clone(),
            _connection: connection,
        }
    }

    /// Everything arrived, and as often as it did it was expected, up to what is in doubt.
    fn assert_all_expected(&self, arrived: &BTreeMap<usize, u64>) {
        let numbers: BTreeSet<usize> = arrived.keys().copied().collect();
        assert_eq!(numbers, (0..self.written()).collect());
        let copies: u64 = arrived.values().sum();
        let (expected, again) = (self.expected(), self.again());
        assert!(expected <= self.written() as u64 * OBJECTS + again);
        assert!(expected >= copies * OBJECTS, "{copies} copies, {expected}");
        assert!(
            expected - copies * OBJECTS <= again,
            "the shortfall is what was expected again and had not arrived before"
        );
    }

    /// Everything arrived once, and was expected once.
    fn assert_exactly_once(&self, arrived: &BTreeMap<usize, u64>) {
        assert_eq!(*arrived, (0..self.written()).map(|n| (n, 1)).collect());
        assert_eq!(self.again(), 0);
        assert_eq!(self.expected(), self.written() as u64 * OBJECTS);
    }
}

/// A destination at which the connector has registered.
struct Meeting {
    destination: Destination,
    platform: Arc<Platform>,
    id: Uuid,
    address: BrokerAddress,
}

impl Meeting {
    async fn at(destination: Destination) -> Self {
        let url = format!("{}/graphql", destination.url());
        let token = destination.token().to_owned().into();
        let site = Site::new("the destination", url.parse().expect("a URL"));
        let client = GraphqlClient::new(site, &token);
        let client = client.expect("a client");
        let platform = Platform::connect(client, RetryPolicy::NEVER)
            .await
            .expect("the platform answers");
        let profile = ConnectorProfile {
            id: Uuid::new_v4(),
            name: "test".to_owned(),
            scope: Vec::new(),
            connector_type: ConnectorType::ExternalImport,
        };
        let registration = register(&platform, &profile, RetryPolicy::NEVER)
            .await
            .expect("it registers");
        Self {
            destination,
            platform: Arc::new(platform),
            id: profile.id,
            address: (registration.broker.expect("a broker"))
                .overridden(&BrokerOverrides::default())
                .expect("a host"),
        }
    }

    async fn open(self, pusher: Pusher) -> Lane {
        let opening = Work::open(Arc::clone(&self.platform), self.id, "test");
        let work = opening.await.expect("a work");
        Lane {
            expectations: work.expectations(),
            work: tokio::sync::Mutex::new(work),
            destination: self.destination,
            platform: self.platform,
            id: self.id,
            address: self.address,
            pusher,
            given_up: CancellationToken::new(),
            written: AtomicUsize::default(),
            confirmed: AtomicUsize::default(),
        }
    }
}

/// A bundle that says which one it is.
fn bundle(number: usize) -> String {
    let padding = "x".repeat(PADDING);
    serde_json::json!({ "type": "bundle", "number": number, "padding": padding, "objects": [] })
        .to_string()
}

fn message(work: &str, number: usize) -> Message {
    Message {
        body: bundle(number).into_bytes().into(),
        work_id: work.into(),
        objects: OBJECTS,
        counted: OBJECTS,
    }
}

/// What a person or a worker does to the queue.
struct Hand {
    channel: Channel,
    address: BrokerAddress,
    _connection: Connection,
}

impl Hand {
    /// Takes what is in the queue, and adds to the count of each number.
    async fn take(&self, arrived: &mut BTreeMap<usize, u64>) {
        let options = BasicGetOptions { no_ack: true };
        let queue = self.address.queue.as_str();
        while let Some(message) = self
            .channel
            .basic_get(queue.into(), options)
            .await
            .expect("the queue answers")
        {
            let bundle: serde_json::Value =
                serde_json::from_slice(&message.data).expect("a bundle");
            let number = bundle["number"].as_u64().expect("a number");
            *arrived
                .entry(usize::try_from(number).expect("a number"))
                .or_default() += 1;
        }
    }

    async fn all(&self) -> BTreeMap<usize, u64> {
        let mut arrived = BTreeMap::new();
        self.take(&mut arrived).await;
        arrived
    }

    async fn purge(&self) {
        let queue = self.address.queue.as_str();
        self.channel
            .queue_purge(queue.into(), QueuePurgeOptions::default())
            .await
            .expect("it is purged");
    }

    async fn delete_queue(&self) {
        let queue = self.address.queue.as_str();
        self.channel
            .queue_delete(queue.into(), QueueDeleteOptions::default())
            .await
            .expect("it is deleted");
    }

    async fn delete_exchange(&self) {
        let exchange = self.address.exchange.as_str();
        self.channel
            .exchange_delete(exchange.into(), ExchangeDeleteOptions::default())
            .await
            .expect("it is deleted");
    }

    async fn unbind(&self) {
        let BrokerAddress {
            queue,
            exchange,
            routing_key,
            ..
        } = &self.address;
        self.channel
            .queue_unbind(
                queue.as_str().into(),
                exchange.as_str().into(),
                routing_key.as_str().into(),
                FieldTable::default(),
            )
            .await
            .expect("it is unbound");
    }

    async fn bind(&self) {
        let BrokerAddress {
            queue,
            exchange,
            routing_key,
            ..
        } = &self.address;
        self.channel
            .queue_bind(
                queue.as_str().into(),
                exchange.as_str().into(),
                routing_key.as_str().into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await
            .expect("it is bound");
    }
}

fn is_paused(connection_status: &ConnectionStatus) -> bool {
    matches!(connection_status, ConnectionStatus::Paused(_))
}

fn is_disconnected(connection_status: &ConnectionStatus) -> bool {
    matches!(connection_status, ConnectionStatus::Disconnected(_))
}

async fn own_broker() -> Broker {
    Broker::start().await.expect("a broker of our own")
}

/// Waits, but not for ever: longer than a sender waits for a broker that answers nothing, twice.
async fn within<T>(what: &str, step: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(LIMIT * 2, step).await;
    done.unwrap_or_else(|_| panic!("never: {what}"))
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let looking = async {
        while !is_so() {
            tokio::time::sleep(LOOK).await;
        }
    };
    within(what, looking).await;
}

/// A way to the broker that can fall silent: what is sent over it is taken, and goes nowhere.
struct SilentWay {
    port: u16,
    silences: watch::Sender<u32>,
}

impl SilentWay {
    async fn to(broker: &Broker) -> Self {
        let (silences, _) = watch::channel(0);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (host, to) = (broker.address().host.clone(), broker.address().port);
        let heard = silences.clone();
        tokio::spawn(async move {
            while let Ok((here, _)) = listener.accept().await {
                let Ok(there) = TcpStream::connect((host.as_str(), to)).await else {
                    continue;
                };
                let (words, ear) = here.into_split();
                let (answers, broker) = there.into_split();
                tokio::spawn(carry(words, broker, heard.subscribe()));
                tokio::spawn(carry(answers, ear, heard.subscribe()));
            }
        });
        Self { port, silences }
    }

    /// Every connection that is open falls silent for ever; the ones that come later do not.
    fn fall_silent(&self) {
        self.silences.send_modify(|silences| *silences += 1);
    }
}

async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut silences: watch::Receiver<u32>,
) {
    let copying = tokio::io::copy(&mut from, &mut to);
    tokio::select! {
        _ = copying => {}
        _ = silences.changed() => {
            // Not closed: whoever is at the other end hears nothing, and writes on.
            tokio::io::copy(&mut from, &mut tokio::io::sink()).await.ok();
            std::future::pending::<()>().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_dies_gets_again_what_it_did_not_confirm_and_that_is_expected_again() {
    let broker = own_broker().await;
    let lane = Lane::on(&broker).await;
    let connector = lane.id.to_string();
    let dying = async {
        for _ in 0..2 {
            broker.kill();
            lane.until("disconnected", is_disconnected).await;
            lane.bring_back(&broker).await;
            lane.until_confirmed(100).await;
        }
    };
    let watching = async {
        loop {
            // Counted before: what is expected later does not help.
            if let Ok(waiting) = lane.destination.waiting(&connector).await {
                assert!(lane.expected() >= u64::from(waiting) * OBJECTS);
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        () = lane.send_during(dying) => {}
        () = watching => {}
    }
    assert_eq!(
        *lane.pusher.connection_status().borrow(),
        ConnectionStatus::Sending
    );
    assert!(lane.again() > 0, "messages were in flight");
    let arrived = lane.hand(&broker).await.all().await;
    lane.assert_all_expected(&arrived);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_a_pause_and_everything_arrives_once() {
    let broker = own_broker().await;
    limit_queues(&broker, 5).await;
    let lane = Lane::on(&broker).await;
    let hand = lane.hand(&broker).await;
    let pending = lane.send(30).await;
    let reason = lane.until_paused().await;
    assert!(
        reason.contains("the push queue is at its limit"),
        "{reason}"
    );
    let mut arrived = BTreeMap::new();
    let draining = async {
        while arrived.len() < lane.written() {
            hand.take(&mut arrived).await;
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::join!(lane.receipts(pending), within("all arrived", draining));
    lane.until("sending", |now| *now == ConnectionStatus::Sending)
        .await;
    lane.assert_exactly_once(&arrived);
}

/// The broker closes the channel over a message that is too large. That one comes back by name of its limit;
/// the others go on, and none is sent twice that was not in doubt.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_too_large_for_the_broker_is_refused_once_and_the_others_arrive() {
    const LIMIT_BYTES: usize = 20_000;
    let broker = own_broker().await;
    limit_messages(&broker, LIMIT_BYTES).await;
    let lane = Lane::on(&broker).await;
    assert_eq!(lane.pusher.largest_bodies(), None);
    let mut pending = lane.send(5).await;
    let mut too_large = Vec::new();
    for _ in 0..2 {
        let mut messages = lane.expected_messages(1).await;
        let mut body = messages[0].body.to_vec();
        body.resize(LIMIT_BYTES + 1, b' ');
        messages[0].body = body.into();
        too_large.push(lane.deliver(messages).await);
        pending.extend(lane.send(5).await);
    }
    for mut refused in too_large {
        let refused = within("an answer", refused.receipt()).await;
        let error = refused.expect_err("it is too large");
        assert!(
            matches!(error, PushError::TooLarge { limit: LIMIT_BYTES }),
            "{error}"
        );
    }
    lane.receipts(pending).await;
    let several = lane.pusher.largest_bodies().map(|(several, _)| several);
    assert_eq!(several, Some(LIMIT_BYTES));
    let arrived = lane.hand(&broker).await.all().await;
    let numbers: Vec<usize> = arrived.keys().copied().collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16]);
    let copies: u64 = arrived.values().sum();
    assert!(lane.expected() >= (copies + 2) * OBJECTS);
}

/// No queue takes more than so many messages.
async fn limit_queues(broker: &Broker, messages: usize) {
    let limit = format!("{{\"max-length\": {messages}, \"overflow\": \"reject-publish\"}}");
    let policy = [
        "set_policy",
        "limited",
        ".*push_.*",
        &limit,
        "--apply-to",
        "queues",
    ];
    broker.control(&policy).await.expect("the policy is set");
}

/// The same with all around it: the run is no failure, and its work completes.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_into_a_full_queue_waits_for_the_workers() {
    let broker = own_broker().await;
    limit_queues(&broker, 2).await;
    let destination = DestinationOptions {
        broker: Some(broker.address().clone()),
        ..DestinationOptions::default()
    };
    let source = SourceOptions {
        data: generated(60, 20),
        ..SourceOptions::default()
    };
    let line = Line::of(source, destination).set("OPENCTI_NETMANAGEIT_BATCH_SIZE", "10");
    let working = async {
        until("a full queue", || {
            line.destination
                .works()
                .iter()
                .any(|work| work.expected > 20)
        })
        .await;
        line.workers(1)
    };
    let (end, _workers) = tokio::join!(line.run(), working);
    assert_eq!(end, End::RanOnce);
    let works = line.works_when_complete().await;
    assert!(
        works.iter().all(|work| work.errors.is_empty()),
        "{works:#?}"
    );
    assert_eq!(
        differences(
            &line.source.data(),
            &line.destination.imported(),
            Release::LATEST
        ),
        Vec::<String>::new()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_without_a_queue_wait_until_it_is_declared_again() {
    let lane = Lane::on(broker()).await;
    let hand = lane.hand(broker()).await;
    // With a connection that stands.
    lane.receipts(lane.send(1).await).await;
    hand.take(&mut BTreeMap::new()).await;
    hand.delete_queue().await;
    let pending = lane.send(30).await;
    let reason = lane.until_paused().await;
    assert!(reason.contains("declared it again"), "{reason}");
    lane.ping().await;
    lane.receipts(pending).await;
    let mut arrived = hand.all().await;
    arrived.insert(0, 1);
    lane.assert_exactly_once(&arrived);
}

/// The client pairs what comes back with any confirm of the time: of messages that come back and
/// messages that arrive, mixed, none is taken for the other.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_is_not_taken_for_what_arrived() {
    let lane = Lane::on(broker()).await;
    let hand = lane.hand(broker()).await;
    let unbinding = async {
        for _ in 0..5 {
            hand.unbind().await;
            lane.until("paused", is_paused).await;
            hand.bind().await;
            lane.until("sending", |now| *now == ConnectionStatus::Sending)
                .await;
            lane.until_confirmed(50).await;
        }
    };
    lane.send_during(unbinding).await;
    lane.assert_exactly_once(&hand.all().await);
}

/// The exchange is gone, and with it the channel of whoever publishes there.
#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_the_broker_closes_is_opened_again() {
    let lane = Lane::on(broker()).await;
    let hand = lane.hand(broker()).await;
    let deleting = async {
        hand.delete_exchange().await;
        lane.until("disconnected", is_disconnected).await;
        lane.ping().await;
    };
    lane.send_during(deleting).await;
    lane.assert_all_expected(&hand.all().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_an_administrator_closes_are_opened_again() {
    let broker = own_broker().await;
    let lane = Lane::on(&broker).await;
    let depth = Depth::new(lane.address.clone(), BrokerTls::default(), "test");
    assert_eq!(depth.messages().await.expect("the broker says"), 0);
    let closing = async {
        for _ in 0..3 {
            let close = ["close_all_connections", "closed by a test"];
            broker.control(&close).await.expect("it closes them");
            lane.until_confirmed(100).await;
        }
    };
    lane.send_during(closing).await;
    // Its connection was closed as well.
    let waiting = lane.destination.waiting(&lane.id.to_string()).await;
    let depth_messages = async {
        loop {
            if let Ok(messages) = depth.messages().await {
                return messages;
            }
        }
    };
    let messages = within("the broker answers", depth_messages).await;
    assert_eq!(messages, u64::from(waiting.expect("the broker answers")));
    let arrived = lane.hand(&broker).await.all().await;
    lane.assert_all_expected(&arrived);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_falls_silent_is_noticed_by_the_heartbeat() {
    let broker = own_broker().await;
    // The lower of the two sides' counts, in seconds.
    let heartbeat = ["eval", "application:set_env(rabbit, heartbeat, 1)."];
    broker.control(&heartbeat).await.expect("it is set");
    let way = SilentWay::to(&broker).await;
    let lane = Lane::through(&broker, Some(way.port)).await;
    let falling_silent = async {
        way.fall_silent();
        let connection_status = lane.until("disconnected", is_disconnected).await;
        assert!(
            format!("{connection_status:?}").contains("no sign of life"),
            "{connection_status:?}"
        );
    };
    lane.send_during(falling_silent).await;

    // What may have arrived is not sent again before the platform expects it again.
    way.fall_silent();
    let pending = lane.send(10).await;
    let again = lane.again();
    let refused = Fault::GraphqlError {
        name: "FUNCTIONAL_ERROR".to_owned(),
        message: "not now".to_owned(),
        times: 1,
    };
    let faults = lane.destination.faults();
    faults.add_for("AddExpectations", refused);
    lane.receipts(pending).await;
    assert!(lane.again() > again);
    let arrived = lane.hand(&broker).await.all().await;
    lane.assert_all_expected(&arrived);
}

/// A broker that is short of memory says so and reads nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_in_an_alarm_is_a_pause() {
    let broker = own_broker().await;
    let lane = Lane::on(&broker).await;
    lane.receipts(lane.send(1).await).await;
    let memory = async |share| {
        let set = ["set_vm_memory_high_watermark", share];
        broker.control(&set).await.expect("it is set");
    };
    memory("0").await;
    let pending = lane.send(30).await;
    let reason = lane.until_paused().await;
    assert!(reason.contains("short of memory"), "{reason}");
    memory("0.4").await;
    lane.receipts(pending).await;
    lane.assert_exactly_once(&lane.hand(&broker).await.all().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_while_the_broker_is_away_is_never_sent() {
    let broker = own_broker().await;
    let lane = Lane::on(&broker).await;
    lane.receipts(lane.send(5).await).await;
    broker.kill();
    let unwanted = CancellationToken::new();
    let messages = lane.expected_messages(20).await;
    let unwanted_numbers = 5..25;
    let mut dropped = lane.deliver_until(messages, &unwanted).await;
    let wanted = lane.send(10).await;
    let connection_status = lane.until("disconnected", is_disconnected).await;
    let (user, secret) = ("guest", lane.address.vhost.as_str());
    let text = format!("{connection_status:?}");
    assert!(
        !text.contains(user) && !text.contains("amqp://") && !secret.is_empty(),
        "{text}"
    );
    unwanted.cancel();
    // At once: the broker is still away.
    let answer = within("an answer", dropped.receipt()).await;
    assert!(matches!(answer, Err(PushError::GivenUp)), "{answer:?}");
    lane.bring_back(&broker).await;
    lane.receipts(wanted).await;
    let arrived = lane.hand(&broker).await.all().await;
    for number in unwanted_numbers {
        assert!(!arrived.contains_key(&number), "{number}");
    }
    let wanted: BTreeSet<usize> = (0..5).chain(25..35).collect();
    assert_eq!(arrived.keys().copied().collect::<BTreeSet<_>>(), wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_says_how_much_waits() {
    let lane = Lane::on(broker()).await;
    let hand = lane.hand(broker()).await;
    let depth = Depth::new(lane.address.clone(), BrokerTls::default(), "test");
    assert_eq!(depth.messages().await.expect("the broker says"), 0);
    lane.receipts(lane.send(7).await).await;
    assert_eq!(depth.clone().messages().await.expect("the broker says"), 7);
    hand.purge().await;
    assert_eq!(depth.messages().await.expect("the broker says"), 0);
    // A question that fails closes its channel; the next one has another.
    hand.delete_queue().await;
    for _ in 0..2 {
        let refused = depth.messages().await;
        assert!(
            matches!(refused, Err(DepthError::Refused { .. })),
            "{refused:?}"
        );
    }
    lane.ping().await;
    assert_eq!(depth.messages().await.expect("the broker says"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_there_is_a_way_into_the_queue_is_known() {
    let lane = Lane::on(broker()).await;
    let name = |text: &str| ShortName::new(text).expect("a name");
    let find = async |change: &dyn Fn(&mut BrokerAddress)| {
        let mut address = lane.address.clone();
        change(&mut address);
        let depth = Depth::new(address, BrokerTls::default(), "test");
        depth.find_exchange().await
    };
    find(&|_| {}).await.expect("the exchange of the platform");
    let absent = find(&|address| address.exchange = name("no such exchange")).await;
    assert!(
        matches!(absent, Err(DepthError::NoExchange { .. })),
        "{absent:?}"
    );
    let nowhere = find(&|address| address.exchange = name("")).await;
    assert!(
        matches!(nowhere, Err(DepthError::NoRoute { .. })),
        "{nowhere:?}"
    );
    find(&|address| {
        address.exchange = name("");
        address.routing_key = address.queue.clone();
    })
    .await
    .expect("the queue by its name");
}

/// Whoever has the answer to a push torn off does not know whether it was done. Here it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_without_an_answer_is_expected_again() {
    let lane = Lane::by_api(Release::LATEST).await;
    lane.receipts(lane.send(2).await).await;
    assert_eq!(lane.again(), 0);
    let faults = lane.destination.faults();
    faults.add_for("PushBundle", Fault::TruncatedBody(1));
    lane.receipts(lane.send(1).await).await;
    assert_eq!(lane.again(), OBJECTS);
    faults.add_for("PushBundle", Fault::Status(502, 1));
    lane.receipts(lane.send(1).await).await;
    assert_eq!(lane.again(), 2 * OBJECTS);
    // Refused for certain: not done.
    faults.add_for("PushBundle", Fault::Status(429, 1));
    lane.receipts(lane.send(1).await).await;
    assert_eq!(lane.again(), 2 * OBJECTS);
    assert_eq!(lane.expected(), 7 * OBJECTS);
    assert_eq!(pushes(&lane.destination), 6, "one of them twice");
}

/// Each copy of a message that the workers take apart is expected by them.
#[tokio::test(flavor = "multi_thread")]
async fn what_others_expect_is_not_expected_again() {
    let lane = Lane::by_api(Release::LATEST).await;
    let mut messages = lane.expected_messages(1).await;
    messages[0].counted = 0;
    let faults = lane.destination.faults();
    faults.add_for("PushBundle", Fault::TruncatedBody(1));
    lane.receipts(vec![lane.deliver(messages).await]).await;
    assert_eq!(pushes(&lane.destination), 2);
    assert_eq!(lane.again(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_is_given_up_is_not_tried_again() {
    let lane = Lane::by_api(Release::LATEST).await;
    let faults = lane.destination.faults();
    faults.add_for("PushBundle", Fault::Status(503, usize::MAX));
    let pending = lane.send(2).await;
    lane.until("disconnected", is_disconnected).await;
    lane.given_up.cancel();
    for mut pending in pending {
        let answer = within("an answer", pending.receipt()).await;
        assert!(matches!(answer, Err(PushError::GivenUp)), "{answer:?}");
    }
    faults.clear();
    assert_eq!(pushes(&lane.destination), 0);
}

fn pushes(destination: &Destination) -> usize {
    let mutations = destination.mutations();
    let is_push = |field: &str| field == "stixBundlePush";
    mutations.iter().filter(|one| is_push(&one.field)).count()
}
