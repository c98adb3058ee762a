//! What can go wrong with one request, and what that means for the caller.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use reqwest::StatusCode;

use super::{Peer, RedirectRefusal};

/// Why no answer came.
#[derive(Debug)]
pub enum NoAnswer {
    /// The HTTP client's error, shown by the message of the first of its causes that means something to people.
    Client(reqwest::Error),
    /// Nothing came for this long, before the first piece or between two of them.
    Silence(Duration),
    /// It came, and not whole within this time.
    Slow(Duration),
    /// Less than so many bytes of it came within this time.
    Dripping {
        /// The least that has to come.
        bytes: usize,
        /// The time for that.
        within: Duration,
    },
}

impl NoAnswer {
    /// Whether it took too long.
    pub fn is_timeout(&self) -> bool {
        match self {
            Self::Client(error) => error.is_timeout(),
            Self::Silence(_) | Self::Slow(_) | Self::Dripping { .. } => true,
        }
    }

    /// Whether no connection came about.
    pub fn is_connect(&self) -> bool {
        matches!(self, Self::Client(error) if error.is_connect())
    }

    /// Whether the request could not be made at all.
    pub fn is_builder(&self) -> bool {
        matches!(self, Self::Client(error) if error.is_builder())
    }
}

/// The first error with a useful message. The client's own says no more than that a request failed, and so does the one
/// behind it where no connection came about.
fn useful(error: &reqwest::Error) -> &(dyn StdError + 'static) {
    let mut error: &(dyn StdError + 'static) = error;
    while let Some(cause) = error.source() {
        let is_useful = !error.is::<reqwest::Error>()
            && !["client error", "error "]
                .iter()
                .any(|start| error.to_string().starts_with(start));
        if is_useful {
            break;
        }
        error = cause;
    }
    error
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(error) => fmt::Display::fmt(useful(error), f),
            Self::Silence(limit) => write!(f, "nothing came for {}", seconds(*limit)),
            Self::Slow(limit) => write!(f, "it has not come whole within {}", seconds(*limit)),
            Self::Dripping { bytes, within } => {
                write!(
                    f,
                    "less than {bytes} bytes came within {}",
                    seconds(*within)
                )
            }
        }
    }
}

impl StdError for NoAnswer {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Client(error) => useful(error).source(),
            Self::Silence(_) | Self::Slow(_) | Self::Dripping { .. } => None,
        }
    }
}

/// Why a request has no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client could not be made, for example because a CA certificate is not one.
    #[error("cannot set up the connection to {name}")]
    Setup {
        /// The host's name in messages.
        name: String,
        /// The client's own reason.
        source: reqwest::Error,
    },
    /// No answer came: refused, timed out, reset, or cut off in the middle.
    #[error("no answer from {peer}{}", advice(source, proxy.as_deref()))]
    NoAnswer {
        /// The host's name and address.
        peer: Peer,
        /// The proxy through which it was asked, for people.
        proxy: Option<String>,
        /// The client's own reason.
        source: NoAnswer,
    },
    /// An HTTP status that is not a success.
    #[error("{peer} answered HTTP {status}{}{}", words_of(message.as_deref()), advice_on(*status, *retry_after, proxy.as_deref()))]
    Status {
        /// The host's name and address.
        peer: Peer,
        /// The proxy through which it was asked, for people.
        proxy: Option<String>,
        /// The status.
        status: StatusCode,
        /// How long the server asks to wait (`Retry-After`, `x-ratelimit-reset`).
        retry_after: Option<Duration>,
        /// The message in the body, made safe for people.
        message: Option<String>,
    },
    /// It redirects to an address that is not allowed.
    #[error("the redirect of {peer} is not followed")]
    Redirect {
        /// Who led there.
        peer: Peer,
        /// Why it is not followed.
        source: RedirectRefusal,
    },
    /// The answer is larger than this program is ready to hold.
    #[error("the answer of {} exceeds {limit} bytes", peer.name())]
    TooLarge {
        /// Who was asked.
        peer: Peer,
        /// The limit, in bytes.
        limit: usize,
    },
}

/// What an error means for the caller. What is not listed as transient is not tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// May pass by itself; where the server asked for a wait, not before this time.
    Transient(Option<Duration>),
    /// The token is missing, wrong or has not the right.
    Authentication,
    /// The platform refuses what was asked as not valid.
    Validation,
    /// The platform's release does not have what has to be asked.
    Unknown,
    /// The platform failed at this request; asking for less may work.
    Server,
    /// It is more than may be asked, sent or answered in one request.
    OverLimit,
    /// Something else answered in the platform's place, such as a gateway or a login page: that says nothing about
    /// what was asked, and nothing about later.
    Elsewhere,
    /// The platform cannot be asked at all, as it is set up or as it is.
    Unusable,
}

impl ErrorKind {
    /// Whether it does not pass by itself: somebody has to change something. Where the platform only failed, or
    /// another one answered in its place, that is not known.
    pub fn is_for_good(self) -> bool {
        match self {
            Self::Transient(_) | Self::Server | Self::Elsewhere => false,
            Self::Authentication
            | Self::Validation
            | Self::Unknown
            | Self::OverLimit
            | Self::Unusable => true,
        }
    }
}

impl Error {
    /// How long the server asks to wait.
    pub fn asked_wait(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The status that was answered; none where no answer came.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether what was asked may have been done, although no answer says so: for requests that are not to be done
    /// twice.
    pub fn leaves_in_doubt(&self) -> bool {
        match self {
            Self::Setup { .. } | Self::Redirect { .. } => false,
            Self::NoAnswer { source, .. } => !source.is_connect() && !source.is_builder(),
            Self::Status { status, .. } => status.is_server_error() || status.as_u16() == 408,
            Self::TooLarge { .. } => true,
        }
    }

    /// Whether asking for less may help: the answer took too long, or was too large for somebody on
    /// the way.
    pub fn is_about_size(&self) -> bool {
        match self {
            Self::NoAnswer { source, .. } => source.is_timeout() && !source.is_connect(),
            Self::Status { status, .. } => matches!(status.as_u16(), 413 | 504 | 524),
            Self::TooLarge { .. } => true,
            Self::Setup { .. } | Self::Redirect { .. } => false,
        }
    }

    /// Whether the request itself was too large for somebody on the way, who passed nothing of it on.
    pub fn refuses_size(&self) -> bool {
        self.status() == Some(StatusCode::PAYLOAD_TOO_LARGE)
    }

    /// Whether there is no such thing: that does not pass, as other refusals may.
    pub fn is_gone(&self) -> bool {
        let status = self.status().map(|status| status.as_u16());
        matches!(status, Some(404 | 410))
    }

    /// Whether something in front of the host answered in its place. That is of the moment at
    /// first; what makes the host fall over again and again may be the size of the request.
    pub fn is_of_gateway(&self) -> bool {
        let status = self.status().map(|status| status.as_u16());
        matches!(status, Some(502 | 503))
    }

    /// The class of the error, by the one table of this module.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Setup { .. } | Self::Redirect { .. } => ErrorKind::Unusable,
            Self::TooLarge { .. } => ErrorKind::OverLimit,
            Self::NoAnswer { source, .. } if source.is_builder() => ErrorKind::Unusable,
            Self::NoAnswer { .. } => ErrorKind::Transient(None),
            Self::Status {
                status,
                retry_after,
                ..
            } => match status.as_u16() {
                408 | 425 | 429 | 502 | 503 | 504 | 520..=524 => ErrorKind::Transient(*retry_after),
                // A limit of requests, no matter of the token.
                403 if retry_after.is_some() => ErrorKind::Transient(*retry_after),
                401 | 403 => ErrorKind::Authentication,
                413 => ErrorKind::OverLimit,
                500 => ErrorKind::Server,
                _ => ErrorKind::Elsewhere,
            },
        }
    }
}

/// The error of TLS that another one carries. What an I/O error carries is not among its sources.
pub(crate) fn tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(error);
    }
    let carried = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    match carried {
        Some(carried) => tls_error(carried),
        None => error.source().and_then(tls_error),
    }
}

/// Whether the connection closed before anything of the request was sent.
pub(super) fn is_unsent(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<hyper::Error>() {
            return error.is_canceled();
        }
        cause = error.source();
    }
    false
}

fn advice_on_tls(error: &rustls::Error) -> Option<&'static str> {
    use rustls::{AlertDescription, CertificateError as Reason, Error as Tls};
    Some(match error {
        Tls::InvalidCertificate(
            Reason::NotValidForName | Reason::NotValidForNameContext { .. },
        ) => "; its certificate is for another host: ask it by a name that stands in it",
        Tls::InvalidCertificate(Reason::Expired | Reason::ExpiredContext { .. }) => {
            "; its certificate has expired, or the clock of this machine is wrong"
        }
        Tls::InvalidCertificate(Reason::NotValidYet | Reason::NotValidYetContext { .. }) => {
            "; its certificate is not valid yet: is the clock of this machine right?"
        }
        Tls::InvalidCertificate(_) => {
            "; its certificate is not believed here: an authority of your own belongs into https.ca_certificates"
        }
        Tls::AlertReceived(AlertDescription::CertificateRequired) => {
            "; it demands a certificate of the connector, and none can be set here: ask it by a way that does not"
        }
        Tls::InvalidMessage(_) => {
            "; what answers there speaks no TLS: does its address begin with http:// instead of https://, or is it another port?"
        }
        _ => return None,
    })
}

/// What a person can do where no answer came.
fn advice(error: &NoAnswer, proxy: Option<&str>) -> String {
    let about_tls = match error {
        NoAnswer::Client(error) => tls_error(error).and_then(advice_on_tls),
        NoAnswer::Silence(_) | NoAnswer::Slow(_) | NoAnswer::Dripping { .. } => None,
    };
    match (about_tls, proxy) {
        (Some(advice), _) => advice.to_owned(),
        (None, _) if !error.is_connect() => String::new(),
        (None, Some(proxy)) => format!(
            "; it is asked through the proxy at {proxy}: is that right, is it running, and does it let the connector through? NO_PROXY excepts a host"
        ),
        (None, None) => {
            "; is its address right, is it running, and can it be reached from here?".to_owned()
        }
    }
}

/// The message of the host, behind a colon.
fn words_of(message: Option<&str>) -> String {
    message
        .map(|message| format!(": {message}"))
        .unwrap_or_default()
}

/// What a person can do about an HTTP status, where that is known.
fn advice_on(status: StatusCode, asked_wait: Option<Duration>, proxy: Option<&str>) -> String {
    let known = match (status.as_u16(), asked_wait) {
        (403 | 429 | 503, Some(wait)) if !wait.is_zero() => {
            format!("; it wants no request for {}", seconds(wait))
        }
        (403, Some(_)) => String::new(),
        (301 | 302 | 307 | 308, _) => {
            "; no redirect is followed: set the address to which it leads".to_owned()
        }
        (401 | 403, _) => {
            "; check the token, and whether something in front of it asks for more".to_owned()
        }
        (407, _) => {
            "; a proxy asks for a user and a password: they belong into the variable that names it"
                .to_owned()
        }
        _ => String::new(),
    };
    // These may be the proxy's own.
    match (status.as_u16(), proxy) {
        (403 | 407 | 502..=504, Some(proxy)) => {
            format!("{known}; it is asked through the proxy at {proxy}")
        }
        _ => known,
    }
}

/// A time for people.
fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64().ceil())
}
