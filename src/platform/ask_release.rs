//! Asks a platform for its release.

use graphql_client::GraphQLQuery;
use serde::Deserialize;

use super::error::PlatformError;
use super::release::Release;
use super::tries::{Tries, is_of_the_moment};
use crate::graphql::{AnswerLimit, BoundedOperation, GraphqlClient};
use crate::http::RetryPolicy;

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

pub(super) async fn ask_release(
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
