//! What can go wrong with one request, and what that means for the caller.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::http::{self, ErrorKind, Peer};
use crate::telemetry::safe_text::{NAME, WORDS, safe};

/// Errors of one answer that are kept: more than a page has rows.
const MOST_ERRORS: usize = 4096;
/// Steps of a path that are kept: more than a document is deep.
const MOST_STEPS: usize = 64;

/// One entry of an answer's `errors` list. Its texts are the platform's: they are made safe for people, and cut,
/// when they are read.
#[derive(Debug, Clone, Deserialize)]
pub struct GraphqlError {
    /// The platform's own words.
    #[serde(default, deserialize_with = "words")]
    pub message: String,
    /// OpenCTI's name of the error, such as `AUTH_REQUIRED`.
    #[serde(default, deserialize_with = "name")]
    pub name: Option<String>,
    /// Where in the answer the error arose: field names and list positions.
    #[serde(default, deserialize_with = "path")]
    pub path: Option<Vec<PathStep>>,
    /// Carries `code` on current releases.
    #[serde(default)]
    extensions: Option<Extensions>,
}

/// One step of an error's path.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum PathStep {
    /// A position in a list.
    Index(usize),
    /// The response name of a field.
    Field(#[serde(deserialize_with = "field")] String),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(from = "WrittenExtensions")]
struct Extensions {
    code: Option<String>,
    /// The mark of a lock is somewhere in them.
    carry_lock: bool,
}

#[derive(Deserialize)]
struct WrittenExtensions {
    #[serde(default, deserialize_with = "name")]
    code: Option<String>,
    #[serde(flatten)]
    others: serde_json::Map<String, serde_json::Value>,
}

impl From<WrittenExtensions> for Extensions {
    fn from(written: WrittenExtensions) -> Self {
        Self {
            carry_lock: written.code.as_deref().is_some_and(mentions_lock)
                || written.others.values().any(carries_lock),
            code: written.code,
        }
    }
}

/// The platform's mark of a lock that it could not take.
const LOCK: &str = "LOCK_ERROR";
/// The platform's message for it, where the mark is lost on the way.
const LOCK_WORDS: &str = "too many concurrent call on the same entities";

fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    deserializer.deserialize_str(SafeText(WORDS))
}

fn field<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    deserializer.deserialize_str(SafeText(NAME))
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    struct ErrorName(#[serde(deserialize_with = "field")] String);
    Ok(Option::<ErrorName>::deserialize(deserializer)?.map(|name| name.0))
}

fn path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<PathStep>>, D::Error> {
    #[derive(Deserialize)]
    struct ErrorPath(#[serde(deserialize_with = "first_steps")] Vec<PathStep>);
    fn first_steps<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PathStep>, D::Error> {
        Ok(deserializer.deserialize_seq(First::new(MOST_STEPS))?.items)
    }
    Ok(Option::<ErrorPath>::deserialize(deserializer)?.map(|path| path.0))
}

/// The errors of an answer. Where there are too many, the last one states that: it is about none
/// of the rows.
pub(super) fn errors<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<GraphqlError>, D::Error> {
    #[derive(Deserialize)]
    struct Errors(#[serde(deserialize_with = "first_errors")] Vec<GraphqlError>);
    fn first_errors<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<GraphqlError>, D::Error> {
        let First {
            items: mut errors,
            more,
            ..
        } = deserializer.deserialize_seq(First::new(MOST_ERRORS))?;
        if more > 0 {
            errors.push(GraphqlError {
                message: format!("{more} more errors"),
                name: None,
                path: None,
                extensions: None,
            });
        }
        Ok(errors)
    }
    let errors = Option::<Errors>::deserialize(deserializer)?;
    Ok(errors.map(|errors| errors.0).unwrap_or_default())
}

/// Reads a text, of which at most so much is kept.
struct SafeText(usize);

impl Visitor<'_> for SafeText {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E>(self, text: &str) -> Result<String, E> {
        Ok(safe(text, self.0).into_owned())
    }
}

/// Reads a list, of which only so many are kept.
struct First<T> {
    most: usize,
    items: Vec<T>,
    more: usize,
}

impl<T> First<T> {
    fn new(most: usize) -> Self {
        Self {
            most,
            items: Vec::new(),
            more: 0,
        }
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for First<T> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Self, A::Error> {
        while let Some(item) = list.next_element()? {
            if self.items.len() < self.most {
                self.items.push(item);
            } else {
                self.more += 1;
            }
        }
        Ok(self)
    }
}

impl GraphqlError {
    /// The error's code: `extensions.code`, else its `name`, else nothing.
    pub fn code(&self) -> Option<&str> {
        let code = self.extensions.as_ref().and_then(|e| e.code.as_deref());
        code.or(self.name.as_deref())
    }

    /// The position in the first list on the error's path: the row of a page that caused it.
    pub fn row(&self) -> Option<usize> {
        self.path.as_ref()?.iter().find_map(|step| match step {
            PathStep::Index(index) => Some(*index),
            PathStep::Field(_) => None,
        })
    }

    /// The field of the row's object on the error's path, in which the error arose.
    pub fn field_of_row(&self) -> Option<&str> {
        let steps = self.path.iter().flatten();
        let mut within = steps.skip_while(|step| matches!(step, PathStep::Field(_)));
        // The row's number, the way from it to its object, and the object's field.
        match within.nth(2)? {
            PathStep::Field(name) => Some(name),
            PathStep::Index(_) => None,
        }
    }

    /// The last field on the error's path: the one that has no value.
    pub fn last_field(&self) -> Option<&str> {
        self.path
            .as_ref()?
            .iter()
            .rev()
            .find_map(|step| match step {
                PathStep::Field(name) => Some(name.as_str()),
                PathStep::Index(_) => None,
            })
    }

    /// True where a number of the source does not fit GraphQL's 32-bit `Int`: the field is lost, the
    /// row is not (docs/protocol.md#requests).
    pub fn is_number_out_of_range(&self) -> bool {
        self.message.contains("non 32-bit signed integer")
    }

    /// Whether the platform could not lock what was to be changed: another writer holds it, or it was
    /// deleted some seconds ago. Nothing was changed. The mark stands in the code or the name, or,
    /// under the code of an internal error, in the words or in what comes along.
    pub fn is_lock(&self) -> bool {
        let marked = |text: &str| mentions_lock(text);
        let named = self.name.as_deref().is_some_and(marked);
        let extensions = self.extensions.as_ref();
        let carried = extensions.is_some_and(|extensions| extensions.carry_lock);
        named || carried || marked(&self.message)
    }

    /// Whether the platform, or something in front of it, has too much to do for the moment: nothing
    /// about what was asked is wrong.
    pub fn is_busy(&self) -> bool {
        let message = self.message.to_lowercase();
        self.is(BUSY) || BUSY_WORDS.iter().any(|words| message.contains(words))
    }

    /// Whether it exceeds a limit of what may be asked in one request: its cost, its depth, its length.
    pub fn is_over_limit(&self) -> bool {
        let message = self.message.to_lowercase();
        let says = |words: &&str| message.contains(*words);
        let is_limit = self.is(LIMITS) || (OVER.iter().any(says) && MEASURES.iter().any(says));
        is_limit && !self.is_busy() && !self.is(AUTHENTICATION) && self.row().is_none()
    }

    /// Whether the platform says that its schema lacks something of what was asked, in the words that GraphQL servers
    /// have for it (graphql-js). Other refusals of a validation may come of anything.
    pub fn is_about_schema(&self) -> bool {
        let message = &self.message;
        self.is(VALIDATION) && LACKING.iter().any(|words| message.contains(words))
    }

    /// Whether the platform refuses introspection, and did not only fail for the moment.
    pub fn refuses_introspection(&self) -> bool {
        let is_stated = self.message.to_lowercase().contains("introspection");
        is_stated || self.is(VALIDATION) || self.is(NOT_TOLD) || self.is_over_limit()
    }

    fn is(&self, codes: &[&str]) -> bool {
        let named = |text: Option<&str>| text.is_some_and(|text| codes.contains(&text));
        named(self.code()) || named(self.name.as_deref())
    }
}

fn mentions_lock(text: &str) -> bool {
    let mut words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.any(|word| word == LOCK) || text.contains(LOCK_WORDS)
}

/// As deep as the JSON reader went, which has a limit.
fn carries_lock(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::String(text) => mentions_lock(text),
        serde_json::Value::Array(values) => values.iter().any(carries_lock),
        serde_json::Value::Object(fields) => fields.values().any(carries_lock),
        _ => false,
    }
}

impl fmt::Display for GraphqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code() {
            Some(code) => write!(f, "{} ({code})", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// What HTTP makes of an operation, with what a person can do about the address of a GraphQL.
#[derive(Debug)]
pub struct HttpFailure {
    /// The operation's name.
    pub operation: &'static str,
    /// What went wrong.
    pub error: http::Error,
}

impl fmt::Display for HttpFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.error.status().map(|status| status.as_u16());
        let advice = match status {
            Some(404 | 405) => "; is its address right? /graphql is added to it",
            _ => "",
        };
        write!(f, "{}{advice}", self.error)
    }
}

impl StdError for HttpFailure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.error.source()
    }
}

/// Why a request has no usable answer. Its message does not name the operation, which means nothing to people; the log
/// does, at debug.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// It was not asked, or not answered, or by something that is no answer.
    #[error(transparent)]
    Http(#[from] HttpFailure),
    /// Something else answered the address of the GraphQL that there is no such thing: what stands in front of a platform
    /// says so while the platform starts, and the platform never.
    #[error(transparent)]
    NoEndpoint(HttpFailure),
    /// The body is not the JSON of a GraphQL answer.
    #[error("the answer of {platform} is not GraphQL; is its address right?")]
    NotGraphql {
        /// The operation's name.
        operation: &'static str,
        /// Which platform, and where.
        platform: Peer,
        /// Where the JSON breaks.
        source: serde_json::Error,
    },
    /// The platform answered with errors.
    #[error("{platform} refused: {first}{}", hint(first))]
    Refused {
        /// The operation's name.
        operation: &'static str,
        /// Which platform, in words.
        platform: String,
        /// The first error of the answer.
        first: Box<GraphqlError>,
        /// How long the server asks to wait (`Retry-After`).
        retry_after: Option<Duration>,
    },
    /// The answer has neither data nor errors, or its data has not the shape asked for.
    #[error("the answer of {platform} has not the expected shape")]
    Shape {
        /// The operation's name.
        operation: &'static str,
        /// Which platform, in words.
        platform: String,
        /// What is missing or of another type.
        source: serde_json::Error,
    },
}

const AUTHENTICATION: &[&str] = &[
    "AUTH_REQUIRED",
    "AUTH_FAILURE",
    "FORBIDDEN_ACCESS",
    "UNAUTHENTICATED",
    "AuthRequired",
    "ForbiddenAccess",
];
const VALIDATION: &[&str] = &[
    "GRAPHQL_VALIDATION_FAILED",
    "GRAPHQL_PARSE_FAILED",
    "BAD_USER_INPUT",
];

/// What a schema lacks.
const LACKING: &[&str] = &["Cannot query field", "Unknown type", "Unknown argument"];
/// Refusals of questions about the schema.
const NOT_TOLD: &[&str] = &[
    "RESOURCE_NOT_FOUND",
    "INTROSPECTION_DISABLED",
    "FUNCTIONAL_ERROR",
    "UNSUPPORTED_ERROR",
];

/// Transient refusals: the search engine is down. So are locks, wherever they are marked.
const PASSING: &[&str] = &["DATABASE_ERROR"];

/// Refusals of a platform that is asked too much, or is not there for the moment.
const BUSY: &[&str] = &[
    "TOO_MANY_REQUESTS",
    "RATE_LIMITED",
    "RATE_LIMIT_EXCEEDED",
    "SERVICE_UNAVAILABLE",
];
/// Refusals of what is asked in one request, by their codes; most come with the code of a validation, and are known
/// by what they measure and that it is over.
const LIMITS: &[&str] = &[
    "QUERY_TOO_COMPLEX",
    "QUERY_COMPLEXITY_LIMIT_EXCEEDED",
    "COST_LIMIT_EXCEEDED",
    "COST_ESTIMATED_TOO_EXPENSIVE",
    "MAX_COST_EXCEEDED",
    "OPERATION_TOO_LARGE",
];
const MEASURES: &[&str] = &[
    "cost",
    "depth",
    "token",
    "alias",
    "directive",
    "complex",
    "character",
];
const OVER: &[&str] = &["exceed", "too complex", "too deep", "too expensive"];
const BUSY_WORDS: &[&str] = &["too many requests", "rate limit"];

impl RequestError {
    /// Whether the platform refused for a reason of the moment, so that the same request may succeed
    /// later.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Refused { first, .. } => first.is(PASSING) || first.is_lock() || first.is_busy(),
            _ => false,
        }
    }

    /// What HTTP makes of it, where it got no further.
    pub fn http(&self) -> Option<&http::Error> {
        match self {
            Self::Http(failure) | Self::NoEndpoint(failure) => Some(&failure.error),
            _ => None,
        }
    }

    /// How long the server asks to wait.
    pub fn asked_wait(&self) -> Option<Duration> {
        match self {
            Self::Http(failure) | Self::NoEndpoint(failure) => failure.error.asked_wait(),
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether the platform could not lock what was to be changed, and changed nothing.
    pub fn is_lock(&self) -> bool {
        matches!(self, Self::Refused { first, .. } if first.is_lock())
    }

    /// Whether the platform may have done what was asked, although it did not say so: for requests
    /// that are not to be done twice.
    pub fn leaves_in_doubt(&self) -> bool {
        match self {
            Self::Http(failure) | Self::NoEndpoint(failure) => failure.error.leaves_in_doubt(),
            Self::NotGraphql { .. } | Self::Shape { .. } => true,
            Self::Refused { first, .. } => {
                !first.is(AUTHENTICATION)
                    && !first.is(VALIDATION)
                    && !first.is_over_limit()
                    && !first.is_lock()
            }
        }
    }

    /// Whether asking for less may help: the answer took too long, or was too large for somebody on
    /// the way.
    pub fn is_about_size(&self) -> bool {
        match self {
            Self::Http(failure) => failure.error.is_about_size(),
            Self::Refused { first, .. } => first.is_over_limit(),
            _ => false,
        }
    }

    /// Whether the platform itself says that its schema lacks something of what was asked.
    pub fn is_about_schema(&self) -> bool {
        matches!(self, Self::Refused { first, .. } if first.is_about_schema())
    }

    /// Whether the platform itself refuses introspection.
    pub fn refuses_introspection(&self) -> bool {
        matches!(self, Self::Refused { first, .. } if !first.is_busy() && !first.is_lock() && first.refuses_introspection())
    }

    /// Whether the request itself was too large for somebody on the way, who passed nothing of it on.
    pub fn refuses_size(&self) -> bool {
        self.http().is_some_and(http::Error::refuses_size)
    }

    /// Whether the answer is larger than this program is ready to hold.
    pub fn is_too_large(&self) -> bool {
        matches!(self.http(), Some(http::Error::TooLarge { .. }))
    }

    /// Whether it is a limit of what may be asked in one request: no row is to blame for it.
    pub fn is_over_limit(&self) -> bool {
        matches!(self, Self::Refused { first, .. } if first.is_over_limit())
    }

    /// Whether the platform says that there is no such thing: that does not pass, as other refusals may.
    pub fn is_gone(&self) -> bool {
        self.http().is_some_and(http::Error::is_gone)
    }

    /// Whether something in front of the platform answered in its place. That is of the moment at
    /// first; what makes the platform fall over again and again may be the size of the request.
    pub fn is_of_gateway(&self) -> bool {
        self.http().is_some_and(http::Error::is_of_gateway)
    }

    /// The class of the error: for what HTTP makes of it by the table there, for the platform's own words by this one.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Http(failure) => failure.error.kind(),
            Self::NoEndpoint(failure) => ErrorKind::Transient(failure.error.asked_wait()),
            Self::NotGraphql { .. } => ErrorKind::Transient(None),
            Self::Refused { first, .. } if first.is(AUTHENTICATION) => ErrorKind::Authentication,
            Self::Refused {
                first, retry_after, ..
            } if first.is_busy() => ErrorKind::Transient(*retry_after),
            Self::Refused { first, .. } if first.is_over_limit() => ErrorKind::OverLimit,
            Self::Refused { first, .. } if first.is(VALIDATION) => ErrorKind::Validation,
            Self::Refused { .. } | Self::Shape { .. } => ErrorKind::Server,
        }
    }
}

/// What a person can do about a refusal, where that is known.
fn hint(error: &GraphqlError) -> &'static str {
    if error.is(&[
        "AUTH_REQUIRED",
        "AUTH_FAILURE",
        "UNAUTHENTICATED",
        "AuthRequired",
    ]) {
        "; check the token: it may be wrong, expired, or its user may lack the right to use tokens"
    } else if error.is(&["FORBIDDEN_ACCESS", "ForbiddenAccess"]) {
        "; the token's user lacks a right: the destination needs a user of the group Connectors, the source one who may read knowledge"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::telemetry::safe_text::is_unsafe;

    fn is_lock(error: serde_json::Value) -> bool {
        let error: GraphqlError = serde_json::from_value(error).unwrap();
        error.is_lock()
    }

    #[test]
    fn a_lock_is_known_wherever_its_mark_stands() {
        let internal = "INTERNAL_SERVER_ERROR";
        for error in [
            json!({ "message": "", "name": "LOCK_ERROR", "extensions": { "code": internal } }),
            json!({ "message": "", "extensions": { "code": "LOCK_ERROR" } }),
            json!({ "message": "", "extensions": { "code": internal, "data": { "name": "LOCK_ERROR" } } }),
            json!({ "message": "", "extensions": { "code": internal, "data": { "cause": [{ "code": "LOCK_ERROR" }] } } }),
            json!({ "message": "Unexpected error value: { name: \"LOCK_ERROR\" }", "extensions": { "code": internal } }),
            json!({ "message": "Execution timeout, too many concurrent call on the same entities", "extensions": { "code": internal } }),
        ] {
            assert!(is_lock(error.clone()), "{error}");
        }
    }

    #[test]
    fn other_errors_are_no_locks() {
        for error in [
            json!({ "message": "BLOCK_ERROR" }),
            json!({ "message": "", "name": "DRAFT_LOCKED", "extensions": { "code": "DRAFT_LOCKED" } }),
            json!({ "message": "out of memory", "extensions": { "code": "INTERNAL_SERVER_ERROR", "data": { "id": 1 } } }),
            json!({ "message": "no extensions" }),
        ] {
            assert!(!is_lock(error.clone()), "{error}");
        }
    }

    fn refused(code: &str, words: &str) -> RequestError {
        let error = json!({ "message": words, "extensions": { "code": code } });
        RequestError::Refused {
            operation: "Op",
            platform: "the source".to_owned(),
            first: Box::new(serde_json::from_value(error).unwrap()),
            retry_after: None,
        }
    }

    const INTROSPECTION: &str = "GraphQL introspection not authorized!";

    #[rstest::rstest]
    #[case(
        "GRAPHQL_VALIDATION_FAILED",
        "Cannot query field \"me\" on type \"Query\".",
        true
    )]
    #[case(
        "GRAPHQL_VALIDATION_FAILED",
        "Unknown argument \"first\" on field \"Query.a\".",
        true
    )]
    #[case(
        "GRAPHQL_VALIDATION_FAILED",
        "Query depth limit of 10 exceeded, found 12.",
        false
    )]
    #[case("GRAPHQL_VALIDATION_FAILED", "This operation is not allowed.", false)]
    #[case("INTERNAL_SERVER_ERROR", "Cannot query field of the index", false)]
    #[case("TOO_MANY_REQUESTS", "Too many requests", false)]
    #[case("FORBIDDEN_ACCESS", "You are not allowed to do this.", false)]
    fn only_words_about_the_schema_are_about_it(
        #[case] code: &str,
        #[case] words: &str,
        #[case] is_about_schema: bool,
    ) {
        let error = refused(code, words);
        assert_eq!(error.is_about_schema(), is_about_schema);
    }

    #[rstest::rstest]
    #[case("RESOURCE_NOT_FOUND", INTROSPECTION, true)]
    #[case("FORBIDDEN_ACCESS", INTROSPECTION, true)]
    #[case("", INTROSPECTION, true)]
    #[case("GRAPHQL_VALIDATION_FAILED", "", true)]
    #[case(
        "GRAPHQL_VALIDATION_FAILED",
        "Query depth limit of 3 exceeded, found 5.",
        true
    )]
    #[case("INTERNAL_SERVER_ERROR", "out of memory", false)]
    #[case("DATABASE_ERROR", "", false)]
    #[case("LOCK_ERROR", "", false)]
    #[case("TOO_MANY_REQUESTS", INTROSPECTION, false)]
    #[case("", "Too many requests, please try again later.", false)]
    #[case("", "oh", false)]
    fn introspection_is_refused_only_by_a_verdict(
        #[case] code: &str,
        #[case] words: &str,
        #[case] is_refused: bool,
    ) {
        assert_eq!(refused(code, words).refuses_introspection(), is_refused);
    }

    #[rstest::rstest]
    #[case(302, ErrorKind::Elsewhere)]
    #[case(400, ErrorKind::Elsewhere)]
    #[case(401, ErrorKind::Authentication)]
    #[case(404, ErrorKind::Elsewhere)]
    #[case(405, ErrorKind::Elsewhere)]
    #[case(413, ErrorKind::OverLimit)]
    #[case(429, ErrorKind::Transient(None))]
    #[case(500, ErrorKind::Server)]
    #[case(501, ErrorKind::Elsewhere)]
    #[case(503, ErrorKind::Transient(None))]
    fn a_status_is_no_word_of_the_platform(#[case] status: u16, #[case] kind: ErrorKind) {
        let error = RequestError::Http(HttpFailure {
            operation: "Op",
            error: http::Error::Status {
                peer: Peer::default(),
                proxy: None,
                status: status.try_into().unwrap(),
                retry_after: None,
                message: None,
            },
        });
        assert_eq!(error.kind(), kind);
        assert!(!error.is_about_schema() && !error.refuses_introspection());
        assert_eq!(error.refuses_size(), status == 413);
    }

    #[test]
    fn an_error_of_any_size_is_small_and_safe() {
        let long = "\u{1b}[1m\u{202e}x".repeat(2_000);
        let steps = vec![serde_json::json!(long); 100];
        let error = serde_json::json!({
            "message": long, "name": long, "path": steps, "extensions": { "code": long }
        });
        let error: GraphqlError = serde_json::from_str(&error.to_string()).unwrap();
        let shown = error.to_string();
        assert!(shown.len() <= WORDS + NAME + 3, "{} bytes", shown.len());
        assert!(!shown.contains(is_unsafe), "{shown}");
        assert!(error.name.unwrap().len() <= NAME);
        let path = error.path.unwrap();
        assert_eq!(path.len(), MOST_STEPS);
        for step in path {
            assert!(matches!(step, PathStep::Field(name) if name.len() <= NAME));
        }
    }

    #[test]
    fn absent_and_null_parts_are_none() {
        let error: GraphqlError =
            serde_json::from_str(r#"{"message":"m","name":null,"path":null,"extensions":{}}"#)
                .unwrap();
        assert!(error.name.is_none() && error.path.is_none() && error.code().is_none());
        let error: GraphqlError = serde_json::from_str("{}").unwrap();
        assert_eq!(error.message, "");
    }
}
