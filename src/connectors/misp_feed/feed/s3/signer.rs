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

    /// A request without a body, signed for some minutes from `now`. Of its headers, those that are worth something only the
    /// host of the address may see.
    pub(super) fn sign(
        &self,
        method: Method,
        url: &Url,
        now: DateTime<Utc>,
    ) -> Result<Request, BoxError> {
        let identity = self.credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("s3")
            .time(SystemTime::from(now))
            .settings(settings())
            .build()?;
        let params = params.into();
        let signable = SignableRequest::new(
            method.as_str(),
            url.as_str(),
            std::iter::empty(),
            SignableBody::empty(),
        )?;
        let (instructions, _) = sign(signable, &params)?.into_parts();
        let mut request = Request::new(method.clone(), url.clone());
        for header in instructions.into_parts().0 {
            let name = HeaderName::from_bytes(header.name().as_bytes())?;
            let value = SecretString::from(header.value());
            request = request.with_secret_header(name, &value);
        }
        Ok(request)
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
