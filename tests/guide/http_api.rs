//! What the guide shows of an HTTP API: a feed that is read, and a target that is written to.

use opencti_connectors::connector::{Context, Position, SourceError, Taken};
use opencti_connectors::http::{Client, Credential, Fetched, Request, RetryPolicy, Validators};
use opencti_connectors::settings::TlsTrust;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

/// The most of one answer, in bytes once it is unpacked.
const LARGEST_ANSWER: usize = 16 << 20;

/// A feed that answers a list of addresses.
pub(crate) struct Feed {
    client: Client,
}

/// What it answers, and what it calls this version.
pub(crate) struct Entries {
    pub(crate) addresses: Vec<String>,
    pub(crate) version: Validators,
}

/// The client of one host, with what every request to it carries.
pub(crate) fn client(
    url: &Url,
    token: &SecretString,
    context: &Context,
) -> Result<Client, SourceError> {
    let site = context.site("the feed", url, &TlsTrust::System);
    let site = site.with_credential(Credential::token("Bearer", token));
    Client::new(site).map_err(|error| SourceError::because("cannot ask the feed", error))
}

impl Feed {
    pub(crate) fn of(client: Client) -> Self {
        Self { client }
    }

    /// The entries, or none if they are still those of a known version.
    pub(crate) async fn read(
        &self,
        known: &Validators,
        policy: RetryPolicy,
    ) -> Result<Option<Entries>, SourceError> {
        let request = Request::get(self.client.url().clone())
            .accept("application/json")
            .unless_still(known);
        let fetched = self.client.fetch(&request, LARGEST_ANSWER, policy).await;
        let fetched = fetched.map_err(|error| {
            SourceError::because("cannot read the feed (feed.url, feed.token)", error)
        })?;
        let (body, version) = match fetched {
            Fetched::Unchanged => return Ok(None),
            Fetched::Content { body, version } => (body, version),
        };
        let addresses = serde_json::from_slice(&body);
        let addresses = addresses.map_err(|error| {
            SourceError::because("the feed answers no list of addresses; see feed.url", error)
        })?;
        Ok(Some(Entries { addresses, version }))
    }
}

/// Where the reading ends: the version that was read.
pub(crate) fn position(version: &Validators) -> Position {
    Position {
        variant: None,
        cursor: json!({ "version": version }),
        as_of: None,
    }
}

/// The version in a cursor. Anybody may have written it: what is none is read anew.
pub(crate) fn version_of(cursor: Option<&Value>) -> Validators {
    let version = cursor.and_then(|cursor| cursor.get("version"));
    let version = version.and_then(|version| Validators::deserialize(version).ok());
    version.unwrap_or_default()
}

/// A target that takes lists of ids.
pub(crate) struct Target {
    pub(crate) client: Client,
    pub(crate) ids: Vec<String>,
}

impl Target {
    pub(crate) async fn flush(&mut self) -> Result<Taken, SourceError> {
        let failed = |error| SourceError::because("cannot write to the target (sink.url)", error);
        let body = json!(self.ids).to_string();
        let request = Request::post_json(self.client.url().clone(), body);
        let policy = RetryPolicy::AT_START;
        let sent = self.client.fetch(&request, LARGEST_ANSWER, policy).await;
        sent.map_err(failed)?;
        self.ids.clear();
        Ok(Taken::Everything)
    }
}
