//! Signs requests to a bucket (Signature Version 4).

use std::fmt;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::connectors::misp_feed::settings::S3Settings;
use crate::http::{HeaderName, Method, Request};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a request is signed with. It cannot be printed.
pub(super) struct Signer {
    credentials: Credentials,
    region: String,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

impl Signer {
    pub(super) fn new(settings: &S3Settings) -> Self {
        let text = |secret: &SecretString| secret.expose_secret().to_owned();
        let credentials = Credentials::new(
            text(&settings.access_key_id),
            text(&settings.secret_access_key),
            settings.session_token.as_ref().map(text),
            None,
            "settings",
        );
        Self {
            credentials,
            region: settings.region.as_str().to_owned(),
        }
    }

    /// A request without a body, signed for some minutes from `now`. What it is signed with, only the host of the address
    /// may see.
    pub(super) fn sign(
        &self,
        method: Method,
        url: &Url,
        now: DateTime<Utc>,
    ) -> Result<Request, BoxError> {
        let headers = self.headers(&method, url, now)?;
        let request = Request::new(method, url.clone());
        Ok(headers.into_iter().fold(request, |request, (name, value)| {
            request.with_secret_header(name, &value)
        }))
    }

    fn headers(
        &self,
        method: &Method,
        url: &Url,
        now: DateTime<Utc>,
    ) -> Result<Vec<(HeaderName, SecretString)>, BoxError> {
        let identity = self.credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("s3")
            .time(SystemTime::from(now))
            .settings(settings())
            .build()?;
        let params = params.into();
        let request = SignableRequest::new(
            method.as_str(),
            url.as_str(),
            std::iter::empty(),
            SignableBody::empty(),
        )?;
        let (instructions, _) = sign(request, &params)?.into_parts();
        let headers = instructions.into_parts().0.into_iter().map(|header| {
            let name = HeaderName::from_bytes(header.name().as_bytes())?;
            Ok((name, SecretString::from(header.value())))
        });
        headers.collect()
    }
}

/// S3 takes an address as it is written.
fn settings() -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// By an independent signer, that of botocore 1.44 (`S3SigV4Auth`, with the payload signed).
    #[rstest]
    #[case::list(
        "GET",
        "https://misp-events.s3.eu-west-1.amazonaws.com/?list-type=2&max-keys=1000",
        None,
        "cf20e8e9c3466298e2c3ab04ade80556c7cc884aaf5a059fd239af3c1a165bef"
    )]
    #[case::page(
        "GET",
        "http://127.0.0.1:9000/misp-events?list-type=2&max-keys=1000&continuation-token=1%20%2B%2F%3D&prefix=%C3%A4%20b%2F",
        Some("a-session"),
        "f86e12a0bc8952101b41f758e83924ecfa4096ae95cf02ba577b392a0264d59c"
    )]
    #[case::odd_key(
        "GET",
        "http://127.0.0.1:9000/misp-events/a%20b%2B%C3%BC%2520/c.json",
        Some("a-session"),
        "4bb14669e6645efe40a87369e22558aeb5093c4963078da40fb6fdeb9df6bfbf"
    )]
    #[case::empty_part(
        "GET",
        "http://127.0.0.1:9000/misp-events/a//b~.%28%29%27%2A%21json",
        None,
        "c4b0a4e54cf7bee15aaa18c1c1259b55dc11995f3f49177633bfbec406dbf198"
    )]
    #[case::removal(
        "DELETE",
        "https://s3.eu-west-1.amazonaws.com/misp.events/k.json",
        None,
        "4f3a00c0a677c35b54dd5c5724eebb339977764d7ca2d9186d5d10649d9c4352"
    )]
    fn a_request_is_signed_as_others_sign_it(
        #[case] method: Method,
        #[case] url: &str,
        #[case] session_token: Option<&str>,
        #[case] signature: &str,
    ) {
        let credentials = Credentials::new(
            "AKIAEXAMPLE",
            "a-secret-key",
            session_token.map(str::to_owned),
            None,
            "test",
        );
        let signer = Signer {
            credentials,
            region: "eu-west-1".to_owned(),
        };
        let now = "2026-11-20T10:00:00Z".parse().unwrap();
        let headers = signer
            .headers(&method, &Url::parse(url).unwrap(), now)
            .unwrap();
        let header = |name: &str| {
            let mut found = headers.iter().filter(|(known, _)| known.as_str() == name);
            found
                .next()
                .map(|(_, value)| value.expose_secret().to_owned())
        };
        let authorization = header("authorization").unwrap();
        assert!(
            authorization.ends_with(&format!("Signature={signature}")),
            "{authorization}"
        );
        assert_eq!(header("x-amz-security-token").as_deref(), session_token);
    }

    #[test]
    fn no_key_can_be_printed() {
        let credentials = Credentials::new("AKIAEXAMPLE", "a-secret-key", None, None, "test");
        let signer = Signer {
            credentials,
            region: "eu-west-1".to_owned(),
        };
        let shown = format!("{signer:?}");
        assert!(
            !shown.contains("a-secret-key") && !shown.contains("AKIA"),
            "{shown}"
        );
    }
}
