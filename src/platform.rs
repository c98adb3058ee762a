//! An OpenCTI platform, seen through its GraphQL API: its release, what its schema knows, and the
//! operations cut down to that.
//!
//! **Invariant.** Nothing is asked for that the platform does not know: an unknown field, argument or
//! type refuses the whole document. What a platform knows is found by asking it, type by type, with
//! `__type(name:)`; where it refuses that, the marks of our schema file and its release decide
//! (docs/protocol.md#requests).

mod access;
mod pagination_guard;
mod release;
#[cfg(test)]
pub(crate) mod scripted;
mod shape;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, RwLock};
use std::time::SystemTime;

use graphql_client::GraphQLQuery;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Error as _};

pub use crate::graphql::Download;
use crate::graphql::{
    Answer, AnswerLimit, BoundedOperation, Error, GraphqlClient, NarrowError, Narrowed, OwnSchema,
    SchemaError, mentioned_types, narrow, prune_variables,
};
use crate::http::{ErrorKind, RetryPolicy, Waits};
use crate::telemetry::logs::Chain;
pub use access::PlatformAccess;
pub use pagination_guard::{EndlessList, ListedRow, PaginationGuard};
pub use release::{NotARelease, Release};
use shape::{KnownShape, TypeShape};

/// Ids in one filter: so many were seen working live, and they stay far below the search engine's
/// limits.
pub const IDS_A_FILTER: usize = 250;

/// Our own schema file.
const SCHEMA: &str = include_str!("schema.graphql");
const PROBE: &str = include_str!("platform/probe.graphql");

static OWN_SCHEMA: LazyLock<Result<OwnSchema, Arc<SchemaError>>> =
    LazyLock::new(|| OwnSchema::read(SCHEMA).map_err(Arc::new));

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/platform/about.graphql",
    response_type = "crate::platform::AppInfo"
)]
struct About;

impl BoundedOperation for About {
    const LIMIT: AnswerLimit = AnswerLimit::Few;
}

#[derive(Debug, Deserialize)]
pub(crate) struct AppInfo {
    version: String,
}

/// Why a platform cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    /// The request failed.
    #[error(transparent)]
    Request(#[from] Error),
    /// The platform's schema does not have the operation at all.
    #[error("{platform} (release {release}) does not know what it has to be asked")]
    Unknown {
        /// The platform's name in messages.
        platform: String,
        /// Its release.
        release: Release,
        /// The operation's name.
        operation: &'static str,
        /// What is missing.
        source: Box<NarrowError>,
    },
    /// The platform's release cannot be read.
    #[error("{platform} does not say its release")]
    NoRelease {
        /// The platform's name in messages.
        platform: String,
        /// What it answered.
        source: NotARelease,
    },
    /// The platform is older than this program can work with.
    #[error("{platform} is release {release}; the oldest that works is 6.0.0")]
    TooOld {
        /// The platform's name in messages.
        platform: String,
        /// Its release.
        release: Release,
    },
    /// Our own schema file is broken.
    #[error("this program's own schema cannot be read")]
    OwnSchema(#[from] Arc<SchemaError>),
}

impl PlatformError {
    /// The class of the error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Request(error) => error.kind(),
            Self::Unknown { .. } => ErrorKind::Unknown,
            Self::NoRelease { .. } | Self::TooOld { .. } | Self::OwnSchema(_) => {
                ErrorKind::Unusable
            }
        }
    }

    /// Whether the platform's release does not have what was asked, by its schema or by its own error. No transient
    /// failure, and nothing in front of it, can mean that.
    pub fn is_unknown_to_release(&self) -> bool {
        match self {
            Self::Unknown { .. } => true,
            Self::Request(error) => error.is_about_schema(),
            Self::NoRelease { .. } | Self::TooOld { .. } | Self::OwnSchema(_) => false,
        }
    }
}

/// One platform: asked through [`Platform::call`] and [`Platform::ask`].
#[derive(Debug)]
pub struct Platform {
    client: GraphqlClient,
    release: Release,
    schema: &'static OwnSchema,
    knowledge: RwLock<Knowledge>,
    /// How long to ask about the schema.
    probing: RetryPolicy,
}

/// An operation with its variables, not yet narrowed.
struct UnnarrowedRequest {
    operation: &'static str,
    document: &'static str,
    variables: serde_json::Value,
    limit: AnswerLimit,
}

/// What has been learnt of the platform's schema so far.
#[derive(Debug, Default)]
struct Knowledge {
    shapes: HashMap<String, Option<TypeShape>>,
    probing_refused: bool,
    narrowed: HashMap<&'static str, Arc<Narrowed>>,
    thoroughly_probed: BTreeSet<&'static str>,
}

impl Platform {
    /// Asks the platform for its release.
    ///
    /// # Errors
    /// [`PlatformError`] when it does not answer within the policy, or is not an OpenCTI from 6.0.0 on.
    pub async fn connect(
        client: GraphqlClient,
        policy: RetryPolicy,
    ) -> Result<Self, PlatformError> {
        let schema = OWN_SCHEMA.as_ref().map_err(Arc::clone)?;
        let release = ask_release(&client, policy).await?;
        if !release.is_at_least(6, 0, 0) {
            return Err(PlatformError::TooOld {
                platform: client.platform().to_owned(),
                release,
            });
        }
        tracing::info!(platform = client.platform(), release = %release, "platform answers");
        Ok(Self {
            client,
            release,
            schema,
            knowledge: RwLock::default(),
            probing: RetryPolicy::DURING_RUN,
        })
    }

    /// Whether the platform still has the release that it had when we connected.
    ///
    /// # Errors
    /// [`PlatformError`] when it does not answer within the policy.
    pub async fn is_same_release(&self, policy: RetryPolicy) -> Result<bool, PlatformError> {
        Ok(ask_release(&self.client, policy).await? == self.release)
    }

    /// Counts that something is asked once more that brought no usable answer, by whoever waits for it
    /// himself.
    pub fn count_retry(&self) {
        self.client.count_retry();
    }

    /// The platform's time; none where it does not answer it.
    pub async fn clock(&self) -> Option<SystemTime> {
        self.client.clock().await
    }

    /// The platform's release.
    pub fn release(&self) -> &Release {
        &self.release
    }

    /// Sends an operation and decodes its answer; an answer with errors is an error, once trying again
    /// does not help.
    ///
    /// # Errors
    /// [`PlatformError`] with the platform's own message.
    pub async fn call<Q: BoundedOperation>(
        &self,
        variables: Q::Variables,
        policy: RetryPolicy,
    ) -> Result<Q::ResponseData, PlatformError>
    where
        Q::ResponseData: DeserializeOwned,
    {
        let request = self.request::<Q>(variables)?;
        let mut tries = Tries::new(&self.client, policy);
        loop {
            let answer = self.answer(&request, policy).await?;
            match answer.decode() {
                Ok(data) => return Ok(data),
                Err(error) if error.may_pass() => tries.wait_after(error).await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The error of an answer that is not what was asked for, and why.
    pub fn misshapen(&self, operation: &'static str, reason: &str) -> PlatformError {
        let source = serde_json::Error::custom(reason);
        let platform = self.client.platform().to_owned();
        PlatformError::Request(Error::Shape {
            operation,
            platform,
            source,
        })
    }

    /// Sends an operation and hands out the answer as it is, errors and all.
    ///
    /// # Errors
    /// [`PlatformError`] when there is no answer, or the platform does not know the operation.
    pub async fn ask<Q: BoundedOperation>(
        &self,
        variables: Q::Variables,
        policy: RetryPolicy,
    ) -> Result<Answer, PlatformError> {
        let request = self.request::<Q>(variables)?;
        self.answer(&request, policy).await
    }

    fn request<Q: BoundedOperation>(
        &self,
        variables: Q::Variables,
    ) -> Result<UnnarrowedRequest, PlatformError> {
        let body = Q::build_query(variables);
        let operation = body.operation_name;
        let platform = || self.client.platform().to_owned();
        let variables = serde_json::to_value(&body.variables).map_err(|source| Error::Shape {
            operation,
            platform: platform(),
            source,
        })?;
        Ok(UnnarrowedRequest {
            operation,
            document: body.query,
            variables,
            limit: Q::LIMIT,
        })
    }

    async fn answer(
        &self,
        request: &UnnarrowedRequest,
        policy: RetryPolicy,
    ) -> Result<Answer, PlatformError> {
        let (operation, document) = (request.operation, request.document);
        let narrowed = self.narrowed(operation, document).await?;
        let answer = self.send(request, &narrowed, policy).await?;
        let is_refused = answer
            .refusal()
            .is_some_and(|error| error.kind() == ErrorKind::Validation);
        if is_refused
            && let Some(narrower) = self
                .narrow_thoroughly(operation, document, &narrowed)
                .await?
        {
            return self.send(request, &narrower, policy).await;
        }
        Ok(answer)
    }

    async fn send(
        &self,
        request: &UnnarrowedRequest,
        narrowed: &Narrowed,
        policy: RetryPolicy,
    ) -> Result<Answer, PlatformError> {
        let (operation, limit) = (request.operation, request.limit);
        let variables = request.variables.clone();
        let variables =
            self.with_known(|known| prune_variables(self.schema, known, narrowed, variables));
        let answer = self
            .client
            .post(operation, &narrowed.query, &variables, limit, policy)
            .await?;
        if let Some(refusal) = answer.refusal() {
            tracing::debug!(operation, error = %Chain(&refusal), "a request was refused");
        }
        Ok(answer)
    }

    /// Whether the platform does not have an entity type such as "SSH-Key". Names of relationships,
    /// which begin with a small letter, are none of its business: the answer is no. A type that our
    /// schema file does not have counts as lacking where the platform refuses to be asked.
    ///
    /// # Errors
    /// [`PlatformError`] when the platform does not answer.
    pub async fn lacks_entity_type(&self, entity_type: &str) -> Result<bool, PlatformError> {
        use crate::graphql::Vocabulary;
        // IPv4-Addr is IPv4Addr in GraphQL (docs/protocol.md#types).
        let type_name = entity_type.replace('-', "");
        let is_known = self.schema.has_fields(&type_name);
        let is_everywhere = is_known && self.schema.type_marks(&type_name).is_empty();
        if is_everywhere || !entity_type.starts_with(|first: char| first.is_ascii_uppercase()) {
            return Ok(false);
        }
        if !is_known {
            self.probe_all(std::iter::once(type_name.clone()).collect())
                .await?;
            let has_it = self.learn(|known| matches!(known.shapes.get(&type_name), Some(Some(_))));
            return Ok(!has_it);
        }
        let asked = std::iter::once(type_name.clone()).collect();
        self.probe_all(worth_a_probe(self.schema, &asked)).await?;
        Ok(!self.with_known(|known| known.has_type(&type_name)))
    }

    /// Fetches a stored file by its id, up to so many bytes, and turns it into base64 as it comes.
    ///
    /// # Errors
    /// [`PlatformError`] when the platform does not hand it out.
    pub async fn download(&self, file: &str, limit: usize) -> Result<Download, PlatformError> {
        Ok(self
            .client
            .download(file, limit, RetryPolicy::FOR_A_PART)
            .await?)
    }

    fn with_known<T>(&self, use_it: impl FnOnce(&KnownShape<'_>) -> T) -> T {
        let knowledge = self
            .knowledge
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        use_it(&KnownShape {
            schema: self.schema,
            release: &self.release,
            shapes: &knowledge.shapes,
        })
    }

    fn learn<T>(&self, change: impl FnOnce(&mut Knowledge) -> T) -> T {
        change(
            &mut self
                .knowledge
                .write()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        )
    }

    /// The operation as this platform understands it: probed and cut at first use, then remembered.
    async fn narrowed(
        &self,
        operation: &'static str,
        document: &'static str,
    ) -> Result<Arc<Narrowed>, PlatformError> {
        if let Some(narrowed) = self.learn(|knowledge| knowledge.narrowed.get(operation).cloned()) {
            return Ok(narrowed);
        }
        let mentioned = mentioned_types(self.schema, document)
            .map_err(|source| self.unknown(operation, source))?;
        self.probe_all(worth_a_probe(self.schema, &mentioned))
            .await?;
        self.narrow_and_remember(operation, document)
    }

    /// After a refusal: asks about every type that the operation touches, not only about those known
    /// to have changed, and cuts again. None when that leaves what was sent as it was.
    async fn narrow_thoroughly(
        &self,
        operation: &'static str,
        document: &'static str,
        sent: &Narrowed,
    ) -> Result<Option<Arc<Narrowed>>, PlatformError> {
        if !self.learn(|knowledge| knowledge.thoroughly_probed.contains(operation)) {
            let mentioned = mentioned_types(self.schema, document)
                .map_err(|source| self.unknown(operation, source))?;
            let with_fields = mentioned
                .into_iter()
                .filter(|name| self.schema.has_fields(name));
            self.probe_all(with_fields.collect()).await?;
            self.narrow_and_remember(operation, document)?;
            self.learn(|knowledge| knowledge.thoroughly_probed.insert(operation));
        }
        let narrower = self.learn(|knowledge| knowledge.narrowed.get(operation).cloned());
        Ok(narrower.filter(|narrower| **narrower != *sent))
    }

    fn narrow_and_remember(
        &self,
        operation: &'static str,
        document: &str,
    ) -> Result<Arc<Narrowed>, PlatformError> {
        let narrowed = self
            .with_known(|known| narrow(self.schema, known, document))
            .map_err(|source| self.unknown(operation, source))?;
        if !narrowed.removed.is_empty() {
            tracing::info!(
                platform = self.client.platform(),
                operation,
                left_out = narrowed.removed.join(", "),
                "this release does not know everything that could be asked"
            );
        }
        let narrowed = Arc::new(narrowed);
        self.learn(|knowledge| knowledge.narrowed.insert(operation, Arc::clone(&narrowed)));
        Ok(narrowed)
    }

    fn unknown(&self, operation: &'static str, source: NarrowError) -> PlatformError {
        PlatformError::Unknown {
            platform: self.client.platform().to_owned(),
            release: self.release.clone(),
            operation,
            source: Box::new(source),
        }
    }

    async fn probe_all(&self, type_names: BTreeSet<String>) -> Result<(), PlatformError> {
        for type_name in type_names {
            let settled =
                self.learn(|known| known.probing_refused || known.shapes.contains_key(&type_name));
            if !settled {
                self.probe(type_name).await?;
            }
        }
        Ok(())
    }

    /// Learns what the platform has of a type. Only the platform's own refusal means that it answers nothing about its
    /// schema: what it fails at for the moment is waited for.
    async fn probe(&self, type_name: String) -> Result<(), PlatformError> {
        let policy = self.probing;
        let variables = serde_json::json!({ "name": type_name });
        let mut tries = Tries::new(&self.client, policy);
        loop {
            let asking = self
                .client
                .post("Probe", PROBE, &variables, AnswerLimit::Many, policy);
            match asking.await?.decode::<shape::ProbeAnswer>() {
                Ok(answer) => {
                    self.learn(|knowledge| knowledge.shapes.insert(type_name, answer.shape()));
                    return Ok(());
                }
                Err(error) if error.refuses_introspection() => {
                    tracing::info!(
                        platform = self.client.platform(),
                        error = %Chain(&error),
                        "the platform does not answer questions about its schema; its release decides what it is asked"
                    );
                    self.learn(|knowledge| knowledge.probing_refused = true);
                    return Ok(());
                }
                Err(error) if is_of_the_moment(&error) || matches!(error, Error::Shape { .. }) => {
                    tries.wait_after(error).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

async fn ask_release(
    client: &GraphqlClient,
    policy: RetryPolicy,
) -> Result<Release, PlatformError> {
    let mut tries = Tries::new(client, policy);
    let answer: about::ResponseData = loop {
        let about = About::build_query(about::Variables {});
        let (operation, variables) = (about.operation_name, &about.variables);
        let asking = client.post(operation, about.query, variables, About::LIMIT, policy);
        match asking.await?.decode() {
            Ok(answer) => break answer,
            Err(error) if is_of_the_moment(&error) => tries.wait_after(error).await?,
            Err(error) => return Err(error.into()),
        }
    };
    let written = answer.about.map(|about| about.version).unwrap_or_default();
    written.parse().map_err(|source| PlatformError::NoRelease {
        platform: client.platform().to_owned(),
        source,
    })
}

/// Whether the platform failed at what any platform can be asked: nothing of such a question can be to blame.
fn is_of_the_moment(error: &Error) -> bool {
    let is_failure = matches!(error.kind(), ErrorKind::Transient(_) | ErrorKind::Server);
    matches!(error, Error::Refused { .. }) && (error.may_pass() || is_failure)
}

/// The tries of one request that is answered with errors that may pass. That no answer comes is the client's.
struct Tries<'a> {
    client: &'a GraphqlClient,
    waits: Waits,
    locked: Waits,
}

impl<'a> Tries<'a> {
    fn new(client: &'a GraphqlClient, policy: RetryPolicy) -> Self {
        Self {
            client,
            waits: policy.waits(),
            locked: RetryPolicy::LOCKED.waits(),
        }
    }

    /// Waits before the next try.
    ///
    /// # Errors
    /// This error, when it is time to give up.
    async fn wait_after(&mut self, error: Error) -> Result<(), Error> {
        let locked = if error.is_lock() {
            self.locked.next(error.asked_wait())
        } else {
            None
        };
        let Some(wait) = locked.or_else(|| self.waits.next(error.asked_wait())) else {
            return Err(error);
        };
        tracing::warn!(error = %Chain(&error), "the platform could not do it now, trying again");
        self.client.count_retry();
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

/// The types that changed over the releases, and the interfaces that list which types there are.
fn worth_a_probe(schema: &OwnSchema, mentioned: &BTreeSet<String>) -> BTreeSet<String> {
    let mut worth = BTreeSet::new();
    for type_name in mentioned {
        if schema.has_marked_members(type_name) {
            worth.insert(type_name.clone());
        }
        if !schema.type_marks(type_name).is_empty() {
            match schema.interfaces(type_name).last() {
                Some(interface) => worth.insert(interface.clone()),
                None => worth.insert(type_name.clone()),
            };
        }
    }
    worth
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use apollo_compiler::{ExecutableDocument, Schema};

    use super::*;

    fn own_schema() -> &'static OwnSchema {
        OWN_SCHEMA.as_ref().unwrap()
    }

    fn operations(folder: &Path) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(operations(&path));
            } else if path.extension().is_some_and(|ending| ending == "graphql") {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                found.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
        found.retain(|(name, _)| name != "schema.graphql" && name != "probe.graphql");
        found
    }

    fn full_schemas() -> Vec<(Release, PathBuf)> {
        let named = std::env::var_os("OPENCTI_SCHEMAS").filter(|folder| !folder.is_empty());
        let Some(folder) = named.map(PathBuf::from) else {
            println!("skipped: OPENCTI_SCHEMAS names no folder with schemas");
            return Vec::new();
        };
        let entries = std::fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display()));
        let paths = entries.map(|entry| entry.unwrap().path());
        let release = |path: &Path| {
            let name = path.file_stem()?.to_str()?;
            name.strip_prefix("opencti-")?.parse().ok()
        };
        paths
            .filter_map(|path| Some((release(&path)?, path)))
            .collect()
    }

    /// Where no probe is answered, the marks alone cut every operation to what the release takes.
    #[test]
    fn every_operation_narrowed_by_the_marks_is_valid_at_its_release() {
        let operations = operations(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
        assert!(operations.len() > 10);
        for (release, path) in full_schemas() {
            let text = std::fs::read_to_string(&path).unwrap();
            let schema = apollo_compiler::validation::Valid::assume_valid(
                Schema::parse(text, &path).unwrap(),
            );
            let known = KnownShape {
                schema: own_schema(),
                release: &release,
                shapes: &HashMap::new(),
            };
            for (name, document) in &operations {
                match narrow(own_schema(), &known, document) {
                    Ok(narrowed) => {
                        let checked =
                            ExecutableDocument::parse_and_validate(&schema, &narrowed.query, name);
                        assert!(
                            checked.is_ok(),
                            "{name} at {release}: {}",
                            checked.unwrap_err().errors
                        );
                    }
                    Err(error) => {
                        // Their callers ask for the release first.
                        let came_later = match name.as_str() {
                            "push_bundle.graphql" => !release.is_at_least(6, 2, 6),
                            "work_alive.graphql" => !release.is_at_least(6, 8, 7),
                            _ => false,
                        };
                        assert!(came_later, "{name} at {release}: {error}");
                    }
                }
            }
        }
    }

    /// A source that answers this operation at first with these faults.
    fn source(operation: &str, faults: Vec<sandbox::Fault>) -> (sandbox::Source, GraphqlClient) {
        let options = sandbox::SourceOptions {
            release: sandbox::Release::new(7, 270_101, 0),
            ..sandbox::SourceOptions::default()
        };
        let source = sandbox::Source::start(options).unwrap();
        for fault in faults {
            source.faults().add_for(operation, fault);
        }
        let url = format!("{}/graphql", source.url()).parse().unwrap();
        let token = source.token().to_owned().into();
        let client = GraphqlClient::new(crate::http::Site::new("the source", url), &token).unwrap();
        (source, client)
    }

    fn refusal(name: &str) -> sandbox::Fault {
        sandbox::Fault::GraphqlError {
            name: name.to_owned(),
            message: "no".to_owned(),
            times: 1,
        }
    }

    fn body(status: u16, body: &str) -> sandbox::Fault {
        sandbox::Fault::Body {
            status,
            body: body.to_owned(),
            above: None,
            times: 1,
        }
    }

    /// What fails for the moment, in each of its forms.
    fn faults() -> Vec<sandbox::Fault> {
        let busy = r#"{"errors":[{"message":"Too many requests, please try again later.","extensions":{"code":"TOO_MANY_REQUESTS"}}],"data":null}"#;
        vec![
            refusal("TOO_MANY_REQUESTS"),
            refusal("DATABASE_ERROR"),
            refusal("LOCK_ERROR"),
            refusal("INTERNAL_SERVER_ERROR"),
            body(429, busy),
            body(503, busy),
        ]
    }

    /// Waits as it does, but not as long.
    const SOON: RetryPolicy = RetryPolicy {
        first: std::time::Duration::from_millis(1),
        longest: std::time::Duration::from_millis(5),
        total: None,
    };

    #[tokio::test]
    async fn a_transient_failure_does_not_keep_a_platform_from_being_connected() {
        let (source, client) = source("About", faults());
        let platform = Platform::connect(client, SOON).await.unwrap();
        assert_eq!(source.count("About"), faults().len() + 1);
        let refused = refusal("FORBIDDEN_ACCESS");
        source.faults().add_for("About", refused);
        let error = platform.is_same_release(SOON).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Authentication);
    }

    #[tokio::test]
    async fn without_retries_the_reason_of_a_failed_connection_is_returned() {
        let (_source, client) = source("About", vec![refusal("INTERNAL_SERVER_ERROR")]);
        let error = Platform::connect(client, RetryPolicy::NEVER)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("INTERNAL_SERVER_ERROR"));
    }

    #[tokio::test]
    async fn only_a_refusal_settles_what_a_platform_tells_about_its_schema() {
        let mut faults = faults();
        faults.push(body(200, r#"{"data":{}}"#));
        faults.push(body(200, r#"{"data":null}"#));
        let (source, client) = source("Probe", faults.clone());
        let platform = Platform {
            probing: SOON,
            ..Platform::connect(client, SOON).await.unwrap()
        };
        // A type that our schema file does not have: only the platform knows.
        assert!(!platform.lacks_entity_type("Quantum-Key").await.unwrap());
        assert_eq!(source.count("Probe"), faults.len() + 1);
        assert!(platform.lacks_entity_type("Nothing-Like-It").await.unwrap());
        source
            .faults()
            .add_for("Probe", refusal("RESOURCE_NOT_FOUND"));
        assert!(platform.lacks_entity_type("Other-Key").await.unwrap());
        assert!(platform.learn(|knowledge| knowledge.probing_refused));
    }

    #[test]
    fn a_type_that_came_and_went_and_came_again() {
        let knows = |release: &str| {
            let release: Release = release.parse().unwrap();
            let known = KnownShape {
                schema: own_schema(),
                release: &release,
                shapes: &HashMap::new(),
            };
            crate::graphql::Vocabulary::has_type(&known, "IMEI")
        };
        let answers = ["6.9.10", "6.9.11", "6.9.12", "7.260318.0", "7.260326.0"].map(knows);
        assert_eq!(answers, [false, true, false, false, true]);
    }
}
