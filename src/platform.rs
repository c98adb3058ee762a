//! An OpenCTI platform, seen through its GraphQL API: its release, what its schema knows, and the
//! operations cut down to that.
//!
//! **Invariant.** Nothing is asked for that the platform does not know: an unknown field, argument or
//! type refuses the whole document. What a platform knows is found by asking it, type by type, with
//! `__type(name:)`; where it refuses that, the marks of our schema file and its release decide
//! (docs/protocol.md#requests).

mod access;
mod ask_release;
mod error;
mod knowledge;
mod pagination_guard;
mod release;
#[cfg(test)]
pub(crate) mod scripted;
mod shape;
mod tries;

use std::sync::{Arc, LazyLock, RwLock};
use std::time::SystemTime;

use serde::de::{DeserializeOwned, Error as _};

pub use crate::graphql::Download;
use crate::graphql::{
    Answer, AnswerLimit, BoundedOperation, GraphqlClient, Narrowed, OwnSchema, RequestError,
    SchemaError, prune_variables,
};
use crate::http::{ErrorKind, RetryPolicy};
use crate::telemetry::logs::Chain;
pub use access::PlatformAccess;
pub(crate) use ask_release::AppInfo;
use ask_release::ask_release;
pub use error::PlatformError;
use knowledge::Knowledge;
pub use pagination_guard::{EndlessList, ListedRow, PaginationGuard};
pub use release::{NotARelease, Release};
use tries::Tries;

/// Ids in one filter: so many were seen working live, and they stay far below the search engine's
/// limits.
pub const IDS_A_FILTER: usize = 250;

/// Our own schema file.
const SCHEMA: &str = include_str!("schema.graphql");

static OWN_SCHEMA: LazyLock<Result<OwnSchema, Arc<SchemaError>>> =
    LazyLock::new(|| OwnSchema::read(SCHEMA).map_err(Arc::new));

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
        PlatformError::Request(RequestError::Shape {
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
        let variables =
            serde_json::to_value(&body.variables).map_err(|source| RequestError::Shape {
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
}

#[cfg(test)]
mod tests;
