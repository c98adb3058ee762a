//! What can go wrong with one request, and what that means for the caller.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use serde::Deserialize;

/// One entry of an answer's `errors` list.
#[derive(Debug, Clone, Deserialize)]
pub struct GraphqlError {
    /// The platform's own words.
    #[serde(default)]
    pub message: String,
    /// OpenCTI's name of the error, such as `AUTH_REQUIRED`.
    #[serde(default)]
    pub name: Option<String>,
    /// Where in the answer the error arose: field names and list positions.
    #[serde(default)]
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
    Field(String),
}

#[derive(Debug, Clone, Deserialize)]
struct Extensions {
    #[serde(default)]
    code: Option<String>,
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
    /// row is not (spec/protocol.md §1).
    pub fn is_number_out_of_range(&self) -> bool {
        self.message.contains("non 32-bit signed integer")
    }

    /// Whether the platform, or something in front of it, has too much to do for the moment: nothing
    /// about what was asked is wrong.
    pub fn is_busy(&self) -> bool {
        let message = self.message.to_lowercase();
        self.is(BUSY) || BUSY_WORDS.iter().any(|words| message.contains(words))
    }

    fn is(&self, codes: &[&str]) -> bool {
        let named = |text: Option<&str>| text.is_some_and(|text| codes.contains(&text));
        named(self.code()) || named(self.name.as_deref())
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

/// Why a request has no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The HTTP client could not be made, for example because a CA certificate is not one.
    #[error("cannot set up the connection to {platform}")]
    Setup {
        /// Which platform, in words.
        platform: String,
        /// The client's own reason.
        source: reqwest::Error,
    },
    /// No answer came: refused, timed out, reset, or cut off in the middle.
    #[error("{operation}: no answer from {platform}{}", advice(source))]
    Transport {
        /// The operation's name.
        operation: &'static str,
        /// Which platform, in words.
        platform: String,
        /// The client's own reason.
        source: reqwest::Error,
    },
    /// An HTTP status that is not a success.
    #[error("{operation}: {platform} answered HTTP {status}{}", advice_on(*status))]
    Status {
        /// The operation's name.
        operation: &'static str,
        /// Which platform, in words.
        platform: String,
        /// The status.
        status: reqwest::StatusCode,
        /// How long the server asks to wait (`Retry-After`).
        retry_after: Option<Duration>,
    },
    /// The body is not the JSON of a GraphQL answer.
    #[error("{operation}: the answer of {platform} is not GraphQL; is its address right?")]
    NotGraphql {
        /// The operation's name.
        operation: &'static str,
        /// Which platform, in words.
        platform: String,
        /// Where the JSON breaks.
        source: serde_json::Error,
    },
    /// The answer is larger than this program is ready to hold.
    #[error("{operation}: the answer of {platform} exceeds {limit} bytes")]
    TooLarge {
        /// The operation's name.
        operation: &'static str,
        /// Which platform, in words.
        platform: String,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The platform answered with errors.
    #[error("{operation}: {platform} refused: {first}{}", hint(first))]
    Refused {
        /// The operation's name.
        operation: &'static str,
        /// Which platform, in words.
        platform: String,
        /// The first error of the answer.
        first: Box<GraphqlError>,
    },
    /// The answer has neither data nor errors, or its data has not the shape asked for.
    #[error("{operation}: the answer of {platform} has not the expected shape")]
    Shape {
        /// The operation's name.
        operation: &'static str,
        /// Which platform, in words.
        platform: String,
        /// What is missing or of another type.
        source: serde_json::Error,
    },
}

/// What an error means for the caller. What is not listed as transient is not tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// May pass by itself; where the server said so, not before this time.
    Transient(Option<Duration>),
    /// The token is missing, wrong or has not the right.
    Authentication,
    /// The platform does not know something of what was asked.
    Validation,
    /// The platform failed at this request; asking for less may work.
    Server,
    /// Anything else; trying again does not help.
    Permanent,
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

/// Refusals that come of the moment: the search engine is away, another writer holds the object.
const PASSING: &[&str] = &["DATABASE_ERROR", "LOCK_ERROR"];

/// Refusals of a platform that is asked too much, or is not there for the moment.
const BUSY: &[&str] = &[
    "TOO_MANY_REQUESTS",
    "RATE_LIMITED",
    "RATE_LIMIT_EXCEEDED",
    "SERVICE_UNAVAILABLE",
];
const BUSY_WORDS: &[&str] = &["too many requests", "rate limit"];

impl Error {
    /// Whether the platform refused for a reason of the moment, so that the same request may succeed
    /// later.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Refused { first, .. } => first.is(PASSING) || first.is_busy(),
            _ => false,
        }
    }

    /// Whether the platform may have done what was asked, although it did not say so: for requests
    /// that are not to be done twice.
    pub fn leaves_in_doubt(&self) -> bool {
        match self {
            Self::Setup { .. } => false,
            Self::Transport { source, .. } => !source.is_connect() && !source.is_builder(),
            Self::Status { status, .. } => status.is_server_error() || status.as_u16() == 408,
            Self::NotGraphql { .. } | Self::TooLarge { .. } | Self::Shape { .. } => true,
            Self::Refused { first, .. } => !first.is(AUTHENTICATION) && !first.is(VALIDATION),
        }
    }

    /// Whether asking for less may help: the answer took too long, or was too large for somebody on
    /// the way.
    pub fn is_about_size(&self) -> bool {
        match self {
            Self::Transport { source, .. } => source.is_timeout() && !source.is_connect(),
            Self::Status { status, .. } => matches!(status.as_u16(), 413 | 504 | 524),
            Self::TooLarge { .. } => true,
            _ => false,
        }
    }

    /// Whether something in front of the platform answered in its place. That is of the moment at
    /// first; what makes the platform fall over again and again may be the size of the request.
    pub fn is_of_gateway(&self) -> bool {
        matches!(self, Self::Status { status, .. } if matches!(status.as_u16(), 502 | 503))
    }

    /// The class of the error, by the one table of this module.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Setup { .. } | Self::TooLarge { .. } => Kind::Permanent,
            Self::Transport { source, .. } if source.is_builder() => Kind::Permanent,
            Self::Transport { .. } | Self::NotGraphql { .. } => Kind::Transient(None),
            Self::Status {
                status,
                retry_after,
                ..
            } => match status.as_u16() {
                408 | 425 | 429 | 502 | 503 | 504 | 520..=524 => Kind::Transient(*retry_after),
                401 | 403 => Kind::Authentication,
                413 | 500 => Kind::Server,
                _ => Kind::Permanent,
            },
            Self::Refused { first, .. } if first.is(AUTHENTICATION) => Kind::Authentication,
            Self::Refused { first, .. } if first.is(VALIDATION) => Kind::Validation,
            Self::Refused { first, .. } if first.is_busy() => Kind::Transient(None),
            Self::Refused { .. } | Self::Shape { .. } => Kind::Server,
        }
    }
}

/// What a person can do where no answer came.
fn advice(error: &reqwest::Error) -> &'static str {
    if is_about_certificate(error) {
        "; its certificate is not believed here: an authority of your own belongs into https.ca_certificates"
    } else if error.is_connect() {
        "; is its address right, is it running, and can it be reached from here?"
    } else {
        ""
    }
}

fn is_about_certificate(error: &(dyn StdError + 'static)) -> bool {
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return matches!(error, rustls::Error::InvalidCertificate(_));
    }
    // What an I/O error carries is not among its sources.
    let carried = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    match carried {
        Some(carried) => is_about_certificate(carried),
        None => error.source().is_some_and(is_about_certificate),
    }
}

/// What a person can do about an HTTP status, where that is known.
fn advice_on(status: reqwest::StatusCode) -> &'static str {
    match status.as_u16() {
        301 | 302 | 307 | 308 => "; no redirect is followed: set the address to which it leads",
        401 | 403 => {
            "; check the token, and whether something in front of the platform asks for more"
        }
        404 | 405 => "; is its address right? /graphql is added to it",
        _ => "",
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
