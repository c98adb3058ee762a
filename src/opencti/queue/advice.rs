//! What a person can do about a broker that cannot be connected to.
//!
//! **Invariant.** An advice names the settings that matter for this very error.

use std::io;

use rustls::{AlertDescription, CertificateError, Error as TlsError};

use crate::http::tls_error;

/// How the connection was tried.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tried {
    /// With TLS.
    pub(super) tls: bool,
    /// With a certificate of our own.
    pub(super) identity: bool,
}

const ELSEWHERE: &str =
    "; if the address is that of a container network, set MQ_HOST and MQ_PORT (mq.host, mq.port)";
const NO_TLS: &str = "; what answers there speaks no TLS: set MQ_PORT (mq.port) to the broker's port for TLS, usually 5671, or MQ_USE_SSL (mq.use_ssl) to false";
const MAYBE_TLS: &str = "; what answers there does not speak as a broker does without TLS: if the port is one for TLS, set MQ_USE_SSL (mq.use_ssl) to true, else set MQ_PORT (mq.port)";
const CLIENT_WANTED: &str = "; the broker demands a certificate of the connector: set MQ_USE_SSL_CERT and MQ_USE_SSL_KEY (mq.use_ssl_cert, mq.use_ssl_key)";
const CLIENT_REFUSED: &str = "; the broker does not take the connector's certificate: check MQ_USE_SSL_CERT and MQ_USE_SSL_KEY (mq.use_ssl_cert, mq.use_ssl_key), and whether the broker knows the authority that signed it";

/// The rest of a sentence about a connection that was refused.
pub(super) fn advice(error: &lapin::Error, tried: Tried) -> &'static str {
    match error.kind() {
        lapin::ErrorKind::IOError(error) => match tls_error(error.as_ref()) {
            Some(error) => on_tls(error, tried),
            None => on_io(error, tried),
        },
        lapin::ErrorKind::ProtocolError(_) => {
            "; check MQ_USER, MQ_PASS and MQ_VHOST (mq.user, mq.pass, mq.vhost) if they are set"
        }
        lapin::ErrorKind::ParsingError(_) | lapin::ErrorKind::InvalidProtocolVersion(_)
            if !tried.tls =>
        {
            MAYBE_TLS
        }
        _ => "",
    }
}

fn on_tls(error: &TlsError, tried: Tried) -> &'static str {
    match error {
        TlsError::InvalidCertificate(reason) => on_certificate(reason),
        TlsError::AlertReceived(alert) => on_alert(*alert, tried),
        TlsError::InvalidMessage(_) => NO_TLS,
        TlsError::InconsistentKeys(_) => CLIENT_REFUSED,
        TlsError::PeerIncompatible(_) => {
            "; the broker speaks no TLS that is spoken here: it needs TLS 1.2 or 1.3"
        }
        _ => "; TLS with the broker failed: look at the broker's log",
    }
}

fn on_certificate(reason: &CertificateError) -> &'static str {
    match reason {
        CertificateError::UnknownIssuer => {
            "; the authority that signed the broker's certificate is not known here: name it in MQ_USE_SSL_CA (mq.use_ssl_ca)"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "; the broker's certificate is for another host: set MQ_HOST (mq.host) to a name that stands in it"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "; the broker's certificate has expired, or the clock of this machine is wrong: renew it"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "; the broker's certificate is not valid yet: is the clock of this machine right?"
        }
        CertificateError::Revoked => "; the broker's certificate was revoked: renew it",
        _ => {
            "; the broker's certificate cannot be believed: renew it, or name its authority in MQ_USE_SSL_CA (mq.use_ssl_ca)"
        }
    }
}

/// Before TLS 1.3, a missing certificate is reported like any failure.
fn on_alert(alert: AlertDescription, tried: Tried) -> &'static str {
    match alert {
        AlertDescription::CertificateRequired => CLIENT_WANTED,
        AlertDescription::HandshakeFailure | AlertDescription::BadCertificate
            if !tried.identity =>
        {
            CLIENT_WANTED
        }
        AlertDescription::HandshakeFailure
        | AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied
        | AlertDescription::DecryptError => CLIENT_REFUSED,
        AlertDescription::ProtocolVersion => {
            "; the broker speaks no TLS that is spoken here: it needs TLS 1.2 or 1.3"
        }
        _ => "; the broker ended TLS: look at its log",
    }
}

/// A host that answers, and hangs up at once, was reached.
fn on_io(error: &io::Error, tried: Tried) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::BrokenPipe => {
            if tried.tls {
                "; it hangs up during TLS: does it speak TLS on this port (MQ_PORT, MQ_USE_SSL: mq.port, mq.use_ssl), and does it demand a certificate (MQ_USE_SSL_CERT, MQ_USE_SSL_KEY: mq.use_ssl_cert, mq.use_ssl_key)?"
            } else {
                MAYBE_TLS
            }
        }
        _ => ELSEWHERE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(
        error: impl std::error::Error + Send + Sync + 'static,
        tried: Tried,
    ) -> &'static str {
        // As deep as the client carries it.
        let error = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, error));
        advice(&lapin::Error::from(error), tried)
    }

    const PLAIN: Tried = Tried {
        tls: false,
        identity: false,
    };
    const TLS: Tried = Tried {
        tls: true,
        identity: false,
    };
    const WITH_IDENTITY: Tried = Tried {
        tls: true,
        identity: true,
    };

    #[rstest::rstest]
    #[case(
        TlsError::InvalidCertificate(CertificateError::Expired),
        TLS,
        "expired"
    )]
    #[case(
        TlsError::InvalidCertificate(CertificateError::NotValidYet),
        TLS,
        "clock"
    )]
    #[case(
        TlsError::InvalidCertificate(CertificateError::UnknownIssuer),
        TLS,
        "MQ_USE_SSL_CA"
    )]
    #[case(
        TlsError::InvalidCertificate(CertificateError::NotValidForName),
        TLS,
        "MQ_HOST"
    )]
    #[case(
        TlsError::AlertReceived(AlertDescription::HandshakeFailure),
        TLS,
        "demands a certificate"
    )]
    #[case(
        TlsError::AlertReceived(AlertDescription::UnknownCA),
        WITH_IDENTITY,
        "does not take the connector's certificate"
    )]
    fn tls_errors_are_recognised_by_their_reason(
        #[case] error: TlsError,
        #[case] tried: Tried,
        #[case] part: &str,
    ) {
        let reported = reported(error, tried);
        assert!(reported.contains(part), "{reported}");
        assert!(!reported.contains("container network"), "{reported}");
    }

    #[rstest::rstest]
    #[case(io::ErrorKind::ConnectionRefused, "container network")]
    #[case(io::ErrorKind::ConnectionReset, "MQ_USE_SSL")]
    fn who_hangs_up_was_reached(#[case] kind: io::ErrorKind, #[case] part: &str) {
        let reported = advice(&lapin::Error::from(io::Error::from(kind)), PLAIN);
        assert!(reported.contains(part), "{reported}");
    }
}
