//! The platform that is written into.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use apollo_compiler::resolvers::{FieldError, ObjectValue, ResolveInfo, ResolvedValue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::fault::Faults;
use crate::graphql::objects::{Tree, resolve_list};
use crate::graphql::{Executor, PlatformError, Prepared, plain};
use crate::lists::{Catalogue, List};
use crate::release_rules::RULES;
use crate::server::{Platform, Reader, Request, Server, runtime};
use crate::source::PAGE_CAP;
use crate::stream::{self, LiveStream, STREAM_ID};
use crate::worker::bundle::{self, Bundle};
use crate::worker::imported::Imported;
use crate::{BrokerAddress, DataSet, Record, Release, lock, time};

mod connectors;
mod queues;
mod user;
mod works;

pub use connectors::Connector;
use connectors::Connectors;
pub(crate) use queues::Consumer;
use queues::Queues;
pub use user::User;
use works::Works;
pub use works::{Status, Work, WorkError};

/// The user that a connector's messages are imported for.
pub const APPLICANT: &str = "88ec0c6a-13ce-5e39-b486-354fe4a7084f";
/// How long a request waits for the broker.
const BROKER_LIMIT: Duration = Duration::from_secs(20);

/// How a destination is.
#[derive(Debug, Clone)]
pub struct DestinationOptions {
    /// Its release.
    pub release: Release,
    /// The token that it accepts.
    pub token: String,
    /// Its broker. Without one the queues are in this process, where only `stixBundlePush` reaches
    /// them, and a registration names a host that does not exist.
    pub broker: Option<BrokerAddress>,
    /// What a registration answers as `config` in place of the broker and the names of its queues.
    pub answered_config: Option<Value>,
    /// `rabbitmq:queue_prefix`.
    pub queue_prefix: String,
    /// Whether `__type(name:)` is answered.
    pub probing: bool,
    /// Keeps a copy of everything that is published, for [`Destination::published`], and of what workers
    /// take, for [`Worker::taken`](crate::Worker::taken).
    pub recording: bool,
    /// The user on whose behalf the workers import.
    pub user: User,
    /// The markings that it has; the default are those that every generated content has.
    pub markings: Vec<Record>,
    /// Whether its indicators decay, as on a platform that nobody has changed.
    pub decay: bool,
    /// From so many references on workers put an object aside (`objects_max_refs`); 0 is no limit.
    pub objects_max_refs: usize,
    /// The id of its live stream.
    pub stream_id: String,
}

impl Default for DestinationOptions {
    fn default() -> Self {
        Self {
            release: Release::LATEST,
            token: "9d1f0b0a-7c35-4d0e-8f52-8a9f0e6f2b17".to_owned(),
            broker: None,
            answered_config: None,
            queue_prefix: String::new(),
            probing: true,
            recording: false,
            user: User::default(),
            markings: DataSet::usual_markings(),
            decay: true,
            objects_max_refs: 0,
            stream_id: STREAM_ID.to_owned(),
        }
    }
}

/// One mutation as it ran, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Mutation {
    /// The field: `registerConnector`, `workAdd`, `workEdit.addExpectations`, ...
    pub field: String,
    /// Its arguments, for `workEdit` with the work's `id`.
    pub arguments: Value,
}

/// A running destination; dropping it stops it.
pub struct Destination {
    server: Server,
    state: Arc<State>,
}

/// What the HTTP side and the workers share.
pub(crate) struct State {
    pub(crate) release: Release,
    pub(crate) objects_max_refs: usize,
    pub(crate) is_recording: bool,
    pub(crate) queues: Queues,
    pub(crate) handle: Handle,
    pub(crate) works: Mutex<Works>,
    /// How many workers run.
    pub(crate) workers: AtomicUsize,
    pub(crate) imported: Mutex<Imported>,
    stream: LiveStream,
    connectors: Mutex<Connectors>,
    answered_config: Option<Value>,
    mutations: Mutex<Vec<Mutation>>,
    listed: Mutex<Listed>,
}

/// What the workers had imported when somebody last asked for a list.
struct Listed {
    changes: usize,
    catalogue: Arc<Catalogue>,
}

impl Destination {
    /// Starts a destination on a free port.
    pub fn start(options: DestinationOptions) -> Result<Self> {
        let executor = Arc::new(Executor::new(options.release, options.probing)?);
        let (runtime, handle) = runtime()?;
        let listed = Listed {
            changes: 0,
            catalogue: Arc::new(Catalogue::new(DataSet::default())),
        };
        let state = Arc::new(State {
            release: options.release,
            objects_max_refs: options.objects_max_refs,
            is_recording: options.recording,
            queues: Queues::new(options.broker, &options.queue_prefix, options.recording),
            handle,
            workers: AtomicUsize::new(0),
            works: Mutex::new(Works::new(options.release)),
            imported: Mutex::new(Imported::at(
                options.release,
                options.user,
                &options.markings,
                options.decay,
            )),
            stream: LiveStream::new(&options.stream_id, options.release),
            connectors: Mutex::default(),
            answered_config: options.answered_config,
            mutations: Mutex::default(),
            listed: Mutex::new(listed),
        });
        let platform: Arc<dyn Platform> = Arc::<State>::clone(&state);
        let server = Server::start(runtime, platform, executor, &options.token, false)?;
        Ok(Self { server, state })
    }

    /// Its address, without `/graphql`.
    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// The token that it accepts.
    pub fn token(&self) -> &str {
        self.server.token()
    }

    /// All requests so far, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.server.requests()
    }

    /// The labels that somebody has made by a request each, as objects.
    pub fn labels_made(&self) -> Vec<Value> {
        let requests = self.requests().into_iter();
        let made = requests.filter(|request| request.operation == "AddLabel");
        made.map(|request| {
            let variables = json!(request.variables);
            let input = |name: &str| variables.pointer(&format!("/input/{name}")).cloned();
            json!({
                "type": "label",
                "id": input("stix_id"),
                "value": input("value"),
                "color": input("color"),
            })
        })
        .collect()
    }

    /// How many requests of an operation came so far.
    pub fn count(&self, operation: &str) -> usize {
        self.server.count(operation)
    }

    /// Goes away, as when its machine is restarted: connections are reset, and new ones refused.
    pub async fn go_offline(&self) {
        self.server.set_online(false).await;
    }

    /// Is there again, at the same address and with all that it had.
    pub async fn go_online(&self) {
        self.server.set_online(true).await;
    }

    /// What goes wrong.
    pub fn faults(&self) -> &Faults {
        self.server.faults()
    }

    /// All mutations so far, in order.
    pub fn mutations(&self) -> Vec<Mutation> {
        lock(&self.state.mutations).clone()
    }

    /// Its live stream, with the indicators that are changed through it. They stand in the list of
    /// indicators too.
    pub fn stream(&self) -> &LiveStream {
        &self.state.stream
    }

    /// The works, oldest first.
    pub fn works(&self) -> Vec<Work> {
        lock(&self.state.works).all().to_vec()
    }

    /// Deletes an object, as a person does.
    pub fn delete_object(&self, id: &str) {
        lock(&self.state.imported).delete(id);
    }

    /// Lets the next import of an object fail, as where the database takes too long.
    pub fn fail_next_import(&self, id: &str) {
        lock(&self.state.imported).fail_next(id);
    }

    /// Puts STIX objects into the platform, as a person does or another connector did: no work, no
    /// queue. An error names what is refused.
    pub fn put(&self, objects: &Value) -> Result<()> {
        let text = json!({ "objects": objects }).to_string();
        let bundle = Bundle::read(text.as_bytes(), Some(self.state.release))?;
        ensure!(
            bundle.incompatible.is_empty(),
            "the release does not have all these types: {objects}"
        );
        let mut imported = lock(&self.state.imported);
        for object in &bundle.objects {
            imported.import_at_once(object)?;
        }
        Ok(())
    }

    /// Changes what the importing user may do, as an admin does. Connections to the live stream end
    /// where it may not read it any more.
    pub fn change_user(&self, change: impl FnOnce(&mut User)) {
        let mut imported = lock(&self.state.imported);
        imported.change_user(change);
        let may_read = imported.user_may(stream::CAPABILITY);
        drop(imported);
        if !may_read {
            self.state.stream.disconnect();
        }
    }

    /// Removes a work, as a person does; from 6.8.7 on its messages are then dropped.
    pub fn delete_work(&self, id: &str) {
        lock(&self.state.works).delete(id);
    }

    /// Drops a work's counter in Redis and nothing else: from 6.8.7 on the work is not alive then.
    pub fn clear_redis(&self, work: &str) {
        lock(&self.state.works).clear_counter(work);
    }

    /// Makes all reports that a work still waits for, as workers that import nothing and take no time.
    pub fn report_all(&self, work: &str) {
        let mut works = lock(&self.state.works);
        let missing = |work: &Work| work.expected - work.processed;
        for _ in 0..works.find(work).map_or(0, missing) {
            works.report(work, None, time::now());
        }
    }

    /// Runs the connector manager once, which the platform does every 60 s.
    pub fn run_manager(&self) {
        lock(&self.state.works).close_old(time::now());
    }

    /// A registered connector.
    pub fn connector(&self, id: &str) -> Option<Connector> {
        lock(&self.state.connectors).get(id).cloned()
    }

    /// Resets a connector's state as an admin does, which also empties its queue (what a worker holds
    /// stays with it): the state of the next ping is ignored, and that ping's answer carries the empty
    /// state.
    pub async fn reset(&self, id: &str) -> Result<()> {
        let is_known = lock(&self.state.connectors).reset(id);
        ensure!(is_known, "no connector {id}");
        let (state, id) = (Arc::clone(&self.state), id.to_owned());
        self.state
            .handle
            .spawn(async move { state.queues.purge(&id).await })
            .await?
    }

    /// Deletes a connector as an admin does, with its works and its queues: its pings are refused from
    /// then on, and a registration makes it anew.
    pub async fn delete_connector(&self, id: &str) -> Result<()> {
        let was_known = lock(&self.state.connectors).remove(id);
        ensure!(was_known, "no connector {id}");
        lock(&self.state.works).delete_of(id);
        let (state, id) = (Arc::clone(&self.state), id.to_owned());
        self.state
            .handle
            .spawn(async move { state.queues.delete(&id).await })
            .await?
    }

    /// Sets the state that a connector finds.
    pub fn set_state(&self, id: &str, state: &str) {
        lock(&self.state.connectors).set_state(id, state);
    }

    /// The state that is stored for a connector; none where there is none, or it is not JSON.
    pub fn state(&self, id: &str) -> Option<Value> {
        let connectors = lock(&self.state.connectors);
        let stored = connectors.get(id)?.state.as_deref()?;
        serde_json::from_str(stored).ok()
    }

    /// Makes the answers to the next pings and registrations echoes of the moment before the last
    /// change of the state or its timestamp; what is stored stays right.
    pub fn echo_stale(&self, pings: usize) {
        lock(&self.state.connectors).echo_stale(pings);
    }

    /// The messages that wait in a connector's push queue, in order, each with its `work_id`, the
    /// `objects` of its bundle, and the message itself as `raw`. They stay in the queue; workers must
    /// not run meanwhile, or they get them in another order.
    pub async fn queued(&self, id: &str) -> Result<Vec<Value>> {
        let (state, id) = (Arc::clone(&self.state), id.to_owned());
        let waiting = self
            .state
            .handle
            .spawn(async move { state.queues.peek(&id).await })
            .await??;
        Ok(waiting.iter().map(|data| read_message(data)).collect())
    }

    /// The messages that were ever published into a connector's push queue, in order and in the form
    /// of [`Self::queued`]; also what workers put back in parts. Only of a destination that records.
    pub async fn published(&self, id: &str) -> Result<Vec<Value>> {
        let (state, id) = (Arc::clone(&self.state), id.to_owned());
        let recorded = self
            .state
            .handle
            .spawn(async move { state.queues.recorded(&id).await })
            .await??;
        Ok(recorded.iter().map(|data| read_message(data)).collect())
    }

    /// How many messages wait in a connector's push queue, without those that workers hold.
    pub async fn waiting(&self, id: &str) -> Result<u32> {
        let (state, id) = (Arc::clone(&self.state), id.to_owned());
        self.state
            .handle
            .spawn(async move { state.queues.waiting(&id).await })
            .await?
    }

    /// Puts a message into a connector's push queue as it is.
    pub async fn publish(&self, id: &str, message: Value) -> Result<()> {
        let (state, id) = (Arc::clone(&self.state), id.to_owned());
        self.state
            .handle
            .spawn(async move { state.queues.publish(&id, &message).await })
            .await?
    }

    /// Looks at what the workers imported, which waits meanwhile: cheaper than a copy where there is
    /// much.
    pub fn with_imported<T>(&self, look: impl FnOnce(&Imported) -> T) -> T {
        look(&lock(&self.state.imported))
    }

    /// A copy of what the workers imported.
    pub fn imported(&self) -> Imported {
        lock(&self.state.imported).clone()
    }

    pub(crate) fn shared(&self) -> &Arc<State> {
        &self.state
    }
}

impl State {
    /// The ids of the connectors that have queues.
    pub(crate) fn connector_ids(&self) -> Vec<String> {
        lock(&self.connectors).registered()
    }

    fn note(&self, field: &str, arguments: &Value) {
        lock(&self.mutations).push(Mutation {
            field: field.to_owned(),
            arguments: arguments.clone(),
        });
    }

    fn register(&self, arguments: &Value) -> Result<Value, PlatformError> {
        let input = arguments.get("input").filter(|input| !input.is_null());
        let input =
            input.ok_or_else(|| PlatformError::functional("No input for the registration"))?;
        let (id, name) = (text(input, "id"), text(input, "name"));
        if name.chars().count() < 2 {
            return Err(PlatformError::functional(
                "The name of a connector needs two characters",
            ));
        }
        // The queues come first, and stay when the rest is refused.
        self.declare(id)?;
        if lock(&self.connectors).is_locked(id) {
            let thrown = r#"Unexpected error value: { name: "LOCK_ERROR" }"#;
            return Err(PlatformError::internal(thrown));
        }
        Ok(lock(&self.connectors).register(input))
    }

    fn ping(&self, arguments: &Value) -> Result<Value, PlatformError> {
        let unknown = || PlatformError::functional("No connector found with the specified ID");
        let id = text(arguments, "id");
        lock(&self.connectors).get(id).ok_or_else(unknown)?;
        self.declare(id)?;
        let state = arguments.get("state").and_then(Value::as_str);
        let info = arguments
            .get("connectorInfo")
            .filter(|info| !info.is_null());
        lock(&self.connectors)
            .ping(id, state, info)
            .ok_or_else(unknown)
    }

    /// With its works and its queues, which go first.
    fn delete(&self, id: &str) -> Result<(), PlatformError> {
        lock(&self.works).delete_of(id);
        self.on_queue(self.queues.delete(id))?;
        if !lock(&self.connectors).remove(id) {
            return Err(PlatformError::functional(
                "No connector found with the specified ID",
            ));
        }
        Ok(())
    }

    fn declare(&self, id: &str) -> Result<(), PlatformError> {
        self.on_queue(self.queues.declare(id))
    }

    fn add_work(&self, arguments: &Value) -> Value {
        let is_multi_part = arguments.get("isMultiPartWork").and_then(Value::as_bool) == Some(true);
        let (connector, name) = (
            text(arguments, "connectorId"),
            text(arguments, "friendlyName"),
        );
        let mut works = lock(&self.works);
        let id = works.open(connector, name, is_multi_part, time::now());
        works.find(&id).map(Work::to_json).unwrap_or_default()
    }

    /// `stixBundlePush`: who counts depends on the release (docs/protocol.md#bundle-push).
    fn push(&self, arguments: &Value) -> Result<(), PlatformError> {
        let connector = text(arguments, "connectorId");
        let sent = text(arguments, "bundle");
        let not_read =
            |error| PlatformError::functional(format!("the bundle is not JSON: {error}"));
        let objects = Bundle::read(sent.as_bytes(), None)
            .map_err(not_read)?
            .objects;
        let given = arguments
            .get("work_id")
            .and_then(Value::as_str)
            .filter(|_| RULES.pushes_into_a_work.includes(self.release));
        let work = given.map_or_else(
            || self.work_of_push(connector, objects.len()),
            str::to_owned,
        );
        if !RULES.splits_pushed_bundles.includes(self.release) {
            return self.publish(connector, &message(sent, &work, false));
        }
        lock(&self.works).add_expectations(&work, count(objects.len()));
        objects.iter().try_for_each(|object| {
            let content = bundle::text_of(std::slice::from_ref(object)).map_err(not_read)?;
            self.publish(connector, &message(&content, &work, true))
        })
    }

    /// The work that a push without one opens.
    fn work_of_push(&self, connector: &str, objects: usize) -> String {
        let mut works = lock(&self.works);
        let id = works.open(connector, "Bundle push", false, time::now());
        let own = match self.release {
            release if RULES.splits_pushed_bundles.includes(release) => 0,
            release if RULES.announces_what_it_splits.includes(release) => i64::from(objects == 1),
            _ => count(objects),
        };
        if own > 0 {
            works.add_expectations(&id, own);
        }
        id
    }

    fn publish(&self, connector: &str, message: &Value) -> Result<(), PlatformError> {
        self.on_queue(self.queues.publish(connector, message))
    }

    /// Waits for the broker; a broker that does not answer is an error of the request.
    fn on_queue<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T, PlatformError> {
        let limited = async { timeout(BROKER_LIMIT, work).await };
        let answer = self.handle.block_on(limited);
        let answer = answer.unwrap_or_else(|_| bail!("the broker does not answer"));
        answer.map_err(|error| PlatformError::internal(format!("{error:#}")))
    }

    /// The lists as they are after what the workers have imported.
    ///
    /// No lock is held while another one is waited for: requests wait for the broker, and the thread
    /// that speaks with it is the one on which the workers import.
    fn up_to_date(&self) -> Arc<Catalogue> {
        let known = lock(&self.listed).changes;
        let newer = {
            let imported = lock(&self.imported);
            let changes = imported.changes() + self.stream.changes();
            (changes != known).then(|| (changes, imported.to_data_set()))
        };
        let newer = newer.map(|(changes, mut data)| {
            data.indicators.extend(self.stream.records());
            let catalogue = Arc::new(Catalogue::new(data));
            Listed { changes, catalogue }
        });
        let mut listed = lock(&self.listed);
        if let Some(newer) = newer.filter(|newer| newer.changes > listed.changes) {
            *listed = newer;
        }
        Arc::clone(&listed.catalogue)
    }
}

impl Platform for State {
    fn live_stream(&self) -> Option<Reader> {
        let imported = lock(&self.imported);
        Some(Reader {
            stream: self.stream.clone(),
            may_read: imported.user_may(stream::CAPABILITY),
            may_bypass: imported.user_may("BYPASS"),
        })
    }

    fn run(&self, request: &Prepared<'_>) -> Value {
        let catalogue = if request.asks_for_lists() {
            self.up_to_date()
        } else {
            Arc::clone(&lock(&self.listed).catalogue)
        };
        request.run(&Root {
            state: self,
            catalogue: &catalogue,
        })
    }
}

/// The root fields of queries and mutations.
struct Root<'a> {
    state: &'a State,
    catalogue: &'a Catalogue,
}

impl ObjectValue for Root<'_> {
    fn type_name(&self) -> &'static str {
        "Query"
    }

    fn resolve_field<'a>(
        &'a self,
        info: &'a ResolveInfo<'a>,
    ) -> Result<ResolvedValue<'a>, FieldError> {
        if let Some(list) = List::of_field(info.field_name()) {
            return resolve_list(self.catalogue, list, PAGE_CAP, info);
        }
        let arguments = plain(info.arguments());
        let id = text(&arguments, "id");
        match info.field_name() {
            "about" => {
                let about = json!({ "version": self.state.release.to_string() });
                Ok(ResolvedValue::object(Tree::new("AppInfo", about)))
            }
            "me" => {
                let me = lock(&self.state.imported).me();
                Ok(ResolvedValue::object(Tree::new("MeUser", me)))
            }
            "markingDefinitions" => {
                let nodes = lock(&self.state.imported).markings();
                let edges: Vec<Value> = nodes
                    .into_iter()
                    .map(|node| json!({ "node": node }))
                    .collect();
                let page_info =
                    json!({ "endCursor": "", "hasNextPage": false, "globalCount": edges.len() });
                let list = json!({ "edges": edges, "pageInfo": page_info });
                Ok(ResolvedValue::object(Tree::new(
                    "MarkingDefinitionConnection",
                    list,
                )))
            }
            "rabbitMQMetrics" => {
                let consumers = self.state.workers.load(Ordering::Relaxed).to_string();
                let metrics = json!({ "consumers": consumers });
                Ok(ResolvedValue::object(Tree::new("RabbitMQMetrics", metrics)))
            }
            "labels" | "identities" => {
                let ids = ids_asked_for(&arguments);
                let imported = lock(&self.state.imported);
                let nodes = match info.field_name() {
                    "labels" => imported.labels_of(&ids),
                    _ => imported.identities_of(&ids),
                };
                let typename = match info.field_name() {
                    "labels" => "LabelConnection",
                    _ => "IdentityConnection",
                };
                let nodes = nodes.into_iter();
                let edges: Vec<Value> = nodes.map(|node| json!({ "node": node })).collect();
                let list = json!({ "edges": edges });
                Ok(ResolvedValue::object(Tree::new(typename, list)))
            }
            "work" => {
                let work = lock(&self.state.works).find(id).map(Work::to_json);
                Ok(ResolvedValue::nullable_object(
                    work.map(|work| Tree::new("Work", work)),
                ))
            }
            "streamCollection" => {
                self.require(stream::CAPABILITY)?;
                let known = self.state.stream.collection(id);
                Ok(ResolvedValue::nullable_object(
                    known.map(|fields| Tree::new("StreamCollection", fields)),
                ))
            }
            "isWorkAlive" => Ok(ResolvedValue::leaf(lock(&self.state.works).is_alive(id))),
            "connector" => {
                self.require("MODULES")?;
                let known = lock(&self.state.connectors).get(id).map(Connector::to_json);
                Ok(ResolvedValue::nullable_object(
                    known.map(|fields| self.connector(fields)),
                ))
            }
            field => self.change(field, &arguments),
        }
    }
}

impl Root<'_> {
    fn connector(&self, mut fields: Value) -> ConnectorObject<'_> {
        let id = text(&fields, "id").to_owned();
        if let Some(fields) = fields.as_object_mut() {
            let answered = self.state.answered_config.clone();
            let config = answered.unwrap_or_else(|| self.state.queues.config(&id));
            fields.insert("config".to_owned(), config);
        }
        ConnectorObject {
            state: self.state,
            id,
            tree: Tree::new("Connector", fields),
        }
    }

    fn require(&self, capability: &str) -> Result<(), PlatformError> {
        if lock(&self.state.imported).user_may(capability) {
            return Ok(());
        }
        let message = "You are not allowed to do this.";
        Err(PlatformError::new("FORBIDDEN_ACCESS", message))
    }

    fn change(&self, field: &str, arguments: &Value) -> Result<ResolvedValue<'_>, FieldError> {
        if field == "workEdit" {
            let id = text(arguments, "id").to_owned();
            return Ok(ResolvedValue::object(WorkEdit {
                state: self.state,
                id,
            }));
        }
        self.state.note(field, arguments);
        match field {
            "registerConnector" => Ok(ResolvedValue::object(
                self.connector(self.state.register(arguments)?),
            )),
            "pingConnector" => Ok(ResolvedValue::object(
                self.connector(self.state.ping(arguments)?),
            )),
            "deleteConnector" => {
                self.require("MODULES_MODMANAGE")?;
                let id = text(arguments, "id").to_owned();
                self.state.delete(&id)?;
                Ok(ResolvedValue::leaf(id))
            }
            "workAdd" => Ok(ResolvedValue::object(Tree::new(
                "Work",
                self.state.add_work(arguments),
            ))),
            "labelAdd" => {
                let label = lock(&self.state.imported).make_label(arguments.get("input"))?;
                Ok(ResolvedValue::object(Tree::new("Label", label)))
            }
            "stixBundlePush" => {
                self.state.push(arguments)?;
                Ok(ResolvedValue::leaf(true))
            }
            _ => Err(
                PlatformError::functional(format!("{field} is not answered by the sandbox")).into(),
            ),
        }
    }
}

/// A connector; its queue is looked at only when somebody asks for it.
struct ConnectorObject<'a> {
    state: &'a State,
    id: String,
    tree: Tree,
}

impl ObjectValue for ConnectorObject<'_> {
    fn type_name(&self) -> &str {
        self.tree.type_name()
    }

    fn resolve_field<'a>(
        &'a self,
        info: &'a ResolveInfo<'a>,
    ) -> Result<ResolvedValue<'a>, FieldError> {
        if info.field_name() != "connector_queue_details" {
            return self.tree.resolve_field(info);
        }
        let extent = self.state.on_queue(self.state.queues.extent(&self.id))?;
        let details = json!({ "messages_number": extent.messages, "messages_size": extent.bytes });
        Ok(ResolvedValue::object(Tree::new(
            "ConnectorQueueDetails",
            details,
        )))
    }
}

/// The changes of one work.
struct WorkEdit<'a> {
    state: &'a State,
    id: String,
}

impl ObjectValue for WorkEdit<'_> {
    fn type_name(&self) -> &'static str {
        "WorkEditMutations"
    }

    fn resolve_field<'a>(
        &'a self,
        info: &'a ResolveInfo<'a>,
    ) -> Result<ResolvedValue<'a>, FieldError> {
        let arguments = plain(info.arguments());
        let mut noted = arguments.as_object().cloned().unwrap_or_else(Map::new);
        noted.insert("id".to_owned(), self.id.clone().into());
        self.state.note(
            &format!("workEdit.{}", info.field_name()),
            &Value::Object(noted),
        );
        let mut works = lock(&self.state.works);
        let known = match info.field_name() {
            "addExpectations" => {
                let count = arguments
                    .get("expectations")
                    .and_then(Value::as_i64)
                    .unwrap_or_default();
                works.add_expectations(&self.id, count)
            }
            "reportExpectation" => {
                let error = arguments
                    .get("error")
                    .filter(|error| !error.is_null())
                    .map(|error| WorkError {
                        message: text(error, "error").to_owned(),
                        source: text(error, "source").to_owned(),
                    });
                works.report(&self.id, error, time::now())
            }
            _ => {
                let in_error = arguments.get("inError").and_then(Value::as_bool) == Some(true);
                works.finish(&self.id, text(&arguments, "message"), in_error, time::now())
            }
        };
        if known {
            Ok(ResolvedValue::leaf(self.id.as_str()))
        } else {
            Err(PlatformError::new("DATABASE_ERROR", "Work is not in the database").into())
        }
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn count(objects: usize) -> i64 {
    i64::try_from(objects).unwrap_or(i64::MAX)
}

/// A message as the platform itself puts it into a queue.
fn message(content: &str, work: &str, no_split: bool) -> Value {
    let mut message = json!({
        "type": "bundle",
        "applicant_id": APPLICANT,
        "content": STANDARD.encode(content),
        "update": true,
        "work_id": work,
    });
    if let Some(message) = message.as_object_mut().filter(|_| no_split) {
        message.insert("no_split".to_owned(), true.into());
    }
    message
}

/// A message that somebody put into a queue, decoded as far as it can be.
fn read_message(data: &[u8]) -> Value {
    let raw: Value = serde_json::from_slice(data).unwrap_or_default();
    let bundle = STANDARD.decode(text(&raw, "content")).ok();
    let bundle: Option<Value> = bundle.and_then(|text| serde_json::from_slice(&text).ok());
    let objects = bundle.and_then(|bundle| bundle.get("objects").cloned());
    json!({
        "work_id": raw.get("work_id"),
        "objects": objects.unwrap_or_else(|| json!([])),
        "raw": raw,
    })
}

/// The values of a filter by `ids`.
fn ids_asked_for(arguments: &Value) -> Vec<String> {
    let filters = arguments.pointer("/filters/filters");
    let filters = filters.and_then(Value::as_array).into_iter().flatten();
    let by_ids = filters.filter(|filter| filter.get("key") == Some(&json!(["ids"])));
    let values = by_ids
        .filter_map(|filter| filter.get("values")?.as_array())
        .flatten();
    values
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}
