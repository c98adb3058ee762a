//! One operation and its answer: POST, bearer, size limit, retries.

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use base64::engine::general_purpose::STANDARD;
use base64::write::EncoderStringWriter;
use bytes::Bytes;
use graphql_client::GraphQLQuery;
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use url::Url;

use super::{GraphqlError, HttpFailure, RequestError};
use crate::http::{
    self, Clocks, Credential, ErrorKind, HeaderName, HeaderValue, Peer, Request, Response,
    RetryPolicy, Site,
};
use crate::telemetry::logs::Chain;

/// A user who has a draft open reads from that draft unless this header is there, empty
/// (docs/protocol.md#requests).
const DRAFT_HEADER: HeaderName = HeaderName::from_static("opencti-draft-id");
const NO_DRAFT: HeaderValue = HeaderValue::from_static("");

/// Asks one platform. Cheap to clone; all clones have one connection pool.
#[derive(Debug, Clone)]
pub struct GraphqlClient {
    http: http::Client,
    /// Whether a GraphQL has ever answered at its address.
    has_answered: Arc<AtomicBool>,
}

/// How large the answer to an operation may be, unpacked: what its kind of answer can be, and no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerLimit {
    /// Some fields of one thing: a release, a work, that something was done.
    Few,
    /// A connector with its state, a user with all markings, a type of the schema, a list of ids and names.
    Many,
    /// A page of objects with all that they hold. A row that exceeds it by itself could not go into a message
    /// either.
    Page,
}

impl AnswerLimit {
    /// The limit.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Few => 64 * 1024,
            Self::Many => 4 * 1024 * 1024,
            Self::Page => 16 * 1024 * 1024,
        }
    }

    /// How long its body may take, from its first piece to its last; none where the client's own limits do.
    const fn time(self) -> Option<Duration> {
        match self {
            Self::Few => Some(Duration::from_secs(30)),
            Self::Many => Some(Duration::from_mins(2)),
            Self::Page => None,
        }
    }
}

/// An operation with a limit for its answer. None can be asked without.
pub trait BoundedOperation: GraphQLQuery {
    /// How large its answer may be.
    const LIMIT: AnswerLimit;
}

/// Defines how large the answers to operations may be.
macro_rules! limits {
    ($($limit:ident: $($operation:ident),+;)+) => {
        $($(impl $crate::graphql::BoundedOperation for $operation {
            const LIMIT: $crate::graphql::AnswerLimit = $crate::graphql::AnswerLimit::$limit;
        })+)+
    };
}
pub(crate) use limits;

/// What came of the download of a file.
#[derive(Debug)]
pub enum Download {
    /// All of it.
    Whole {
        /// Its content.
        base64: String,
        /// Its size.
        bytes: usize,
    },
    /// It has more bytes than were wanted.
    TooLarge,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a, V> {
    operation_name: &'static str,
    query: &'a str,
    variables: &'a V,
}

impl GraphqlClient {
    /// Prepares the client for a platform, whose address is that of its GraphQL; sends nothing.
    ///
    /// # Errors
    /// [`http::Error::Setup`] when a certificate cannot be used.
    pub fn new(site: Site, token: &SecretString) -> Result<Self, RequestError> {
        let site = site
            .with_header(DRAFT_HEADER, NO_DRAFT)
            .with_credential(Credential::token("Bearer", token));
        let http = http::Client::new(site).map_err(failed("the set-up"))?;
        Ok(Self {
            http,
            has_answered: Arc::default(),
        })
    }

    /// The platform's name in messages.
    pub fn platform(&self) -> &str {
        self.http.name()
    }

    /// The server's time (RFC 9110 §6.6.1); none where it does not answer it.
    pub async fn clock(&self) -> Option<SystemTime> {
        let request = Request::get(self.http.url().clone());
        let asking = self.http.send(&request);
        let answer = self.http.awaited(asking).await.ok()?;
        answer.date()
    }

    /// Sends an operation until it is answered or the policy gives up; the answer may hold errors.
    ///
    /// # Errors
    /// The last error of the tries, when no answer came or it is not GraphQL.
    pub async fn post<V: Serialize>(
        &self,
        operation: &'static str,
        query: &str,
        variables: &V,
        limit: AnswerLimit,
        policy: RetryPolicy,
    ) -> Result<Answer, RequestError> {
        let mut waits = policy.waits();
        loop {
            let posting = self.post_once(operation, query, variables, limit);
            let error = match self.http.counted(posting).await {
                Ok(answer) => {
                    self.note_answer(&answer);
                    return Ok(answer);
                }
                Err(error) => error,
            };
            // Messages for people do not name it.
            tracing::debug!(operation, platform = self.platform(), error = %Chain(&error), "a request failed");
            let Some(wait) = waits.after(error.kind()) else {
                return Err(error);
            };
            self.http.pause(wait, &error).await;
        }
    }

    /// Counts that something is asked once more that brought no usable answer.
    pub fn count_retry(&self) {
        self.http.count_retry();
    }

    /// Fetches a stored file: the platform keeps them under `/storage/get/` and the file's id.
    ///
    /// # Errors
    /// The last error of the tries.
    pub async fn download(
        &self,
        file: &str,
        limit: usize,
        policy: RetryPolicy,
    ) -> Result<Download, RequestError> {
        let mut waits = policy.waits();
        loop {
            let error = match self.http.counted(self.download_once(file, limit)).await {
                Ok(download) => return Ok(download),
                Err(error) => error,
            };
            let Some(wait) = waits.after(error.kind()) else {
                return Err(error);
            };
            self.count_retry();
            tokio::time::sleep(wait).await;
        }
    }

    async fn download_once(&self, file: &str, limit: usize) -> Result<Download, RequestError> {
        const OPERATION: &str = "the download of a file";
        let request = Request::get(self.storage(file));
        let response = self.http.send(&request).await.map_err(failed(OPERATION))?;
        if !response.status().is_success() {
            return Err(failed(OPERATION)(response.refusal(None)));
        }
        let mut pieces = response.pieces(limit);
        let (mut encoder, mut bytes) = (EncoderStringWriter::new(&STANDARD), 0);
        loop {
            let piece = match pieces.next().await {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(http::Error::TooLarge { .. }) => return Ok(Download::TooLarge),
                Err(error) => return Err(failed(OPERATION)(error)),
            };
            bytes += piece.len();
            // Into memory: writing cannot fail.
            if encoder.write_all(&piece).is_err() {
                return Ok(Download::TooLarge);
            }
        }
        let base64 = encoder.into_inner();
        Ok(Download::Whole { base64, bytes })
    }

    /// The address of a stored file, beside that of GraphQL; ids are paths.
    fn storage(&self, file: &str) -> Url {
        let mut url = self.http.url().clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop()
                .extend(["storage", "get"])
                .extend(file.split('/'));
        }
        url
    }

    async fn post_once<V: Serialize>(
        &self,
        operation: &'static str,
        query: &str,
        variables: &V,
        limit: AnswerLimit,
    ) -> Result<Answer, RequestError> {
        let body = serde_json::to_vec(&Body {
            operation_name: operation,
            query,
            variables,
        })
        .map_err(|source| RequestError::Shape {
            operation,
            platform: self.platform().to_owned(),
            source,
        })?;
        let request = Request::post_json(self.http.url().clone(), body);
        let mut response = self.http.send(&request).await.map_err(failed(operation))?;
        let retry_after = response.retry_after();
        if !response.status().is_success() {
            let body = response.beginning().await;
            return self.refused_by_status(operation, &response, body);
        }
        let clocks = response.clocks();
        let body = match limit.time() {
            Some(time) => response.body_within(limit.bytes(), time).await,
            None => response.body(limit.bytes()).await,
        };
        let answer = Answer::read(
            operation,
            self.http.peer(),
            body.map_err(failed(operation))?,
        )?;
        Ok(Answer {
            clocks: Some(clocks),
            wait: retry_after,
            ..answer
        })
    }

    /// What a status means that says that there is nothing at the address, where no GraphQL has answered it. Where one
    /// has before, that is of the moment: the address is right.
    fn without_endpoint(&self, error: RequestError) -> RequestError {
        let status = error.http().and_then(http::Error::status);
        let is_absent = matches!(status.map(|status| status.as_u16()), Some(404 | 405));
        match error {
            RequestError::Http(failure) if is_absent && self.has_answered() => {
                RequestError::NoEndpoint(failure)
            }
            error => error,
        }
    }

    fn note_answer(&self, answer: &Answer) {
        if !answer.data.is_empty() || !answer.errors.is_empty() {
            self.has_answered.store(true, Ordering::Relaxed);
        }
    }

    fn has_answered(&self) -> bool {
        self.has_answered.load(Ordering::Relaxed)
    }

    /// What a status that is no success means: where the body holds the errors of GraphQL, it is an answer like
    /// any other; else the status counts, with its message.
    fn refused_by_status(
        &self,
        operation: &'static str,
        response: &Response,
        body: Bytes,
    ) -> Result<Answer, RequestError> {
        let by_status = failed(operation)(response.refusal(error_message(&body)));
        let Ok(mut answer) = Answer::read_whole(operation, self.http.peer(), body) else {
            return Err(self.without_endpoint(by_status));
        };
        // A body with such a status is no data.
        answer.data = 0..0;
        let answer = answer.with_wait(response.retry_after());
        // Errors say more than a status, but for what it says of the moment, of size and of the token.
        let says_more = match (by_status.kind(), answer.refusal()) {
            (_, None) => false,
            (ErrorKind::Transient(_) | ErrorKind::Authentication, Some(refusal)) => {
                refusal.kind() == by_status.kind()
            }
            (_, Some(refusal)) => !by_status.is_about_size() || refusal.is_about_size(),
        };
        if says_more {
            Ok(answer)
        } else {
            Err(self.without_endpoint(by_status))
        }
    }
}

/// The error of an operation that HTTP brings no further.
fn failed(operation: &'static str) -> impl Fn(http::Error) -> RequestError {
    move |error| RequestError::Http(HttpFailure { operation, error })
}

/// The error message in a body: that of the first GraphQL error, or that of any host's body.
fn error_message(body: &[u8]) -> Option<String> {
    if let Ok(envelope) = serde_json::from_slice::<AnswerEnvelope<'_>>(body)
        && let Some(first) = envelope.errors.first()
    {
        return Some(first.to_string());
    }
    http::error_message(body)
}

/// An answer of the platform: its body, known to be the JSON of a GraphQL answer.
#[derive(Clone)]
pub struct Answer {
    operation: &'static str,
    platform: Peer,
    body: Bytes,
    /// The range of the data in the body; empty where there is none.
    data: Range<usize>,
    errors: Vec<GraphqlError>,
    /// When it came; none where it came from nowhere.
    clocks: Option<Clocks>,
    /// It looks as if it held data and nothing else; whether that is so, shows when the data is read.
    is_assumed: bool,
    /// How long the server asks to wait before the next try (`Retry-After`).
    wait: Option<Duration>,
}

#[derive(Deserialize)]
struct AnswerEnvelope<'a> {
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "super::error::errors")]
    errors: Vec<GraphqlError>,
}

impl Answer {
    /// A large answer is not read twice: it is taken for what it looks like until its data is read.
    fn read(operation: &'static str, platform: &Peer, body: Bytes) -> Result<Self, RequestError> {
        let Some(data) = assumed_data(&body) else {
            return Self::read_whole(operation, platform, body);
        };
        Ok(Self {
            operation,
            platform: platform.clone(),
            body,
            data,
            errors: Vec::new(),
            clocks: None,
            is_assumed: true,
            wait: None,
        })
    }

    fn read_whole(
        operation: &'static str,
        platform: &Peer,
        body: Bytes,
    ) -> Result<Self, RequestError> {
        let envelope: AnswerEnvelope<'_> =
            serde_json::from_slice(&body).map_err(|source| RequestError::NotGraphql {
                operation,
                platform: platform.clone(),
                source,
            })?;
        let data = envelope.data.map(RawValue::get);
        let data = data.filter(|text| *text != "null").unwrap_or_default();
        let data = place_in(&body, data);
        let errors = envelope.errors;
        Ok(Self {
            operation,
            platform: platform.clone(),
            body,
            data,
            errors,
            clocks: None,
            is_assumed: false,
            wait: None,
        })
    }

    /// An answer with this body.
    #[cfg(test)]
    pub(crate) fn of_body(body: &str) -> Result<Self, RequestError> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        Self::read("Rows", &Peer::default(), body)
    }

    fn with_wait(self, wait: Option<Duration>) -> Self {
        Self { wait, ..self }
    }

    /// An answer that holds nothing.
    pub fn empty() -> Self {
        Self {
            operation: "",
            platform: Peer::default(),
            body: Bytes::from_static(b"{}"),
            data: 0..2,
            errors: Vec::new(),
            clocks: None,
            is_assumed: false,
            wait: None,
        }
    }

    /// The answer read as a whole, where its data could not be read: it may hold errors, or be no answer.
    ///
    /// # Errors
    /// [`RequestError::NotGraphql`] when it is none.
    pub fn settled(&self) -> Result<Self, RequestError> {
        let read = Self::read_whole(self.operation, &self.platform, self.body.clone())?;
        Ok(Self {
            clocks: self.clocks,
            wait: self.wait,
            ..read
        })
    }

    /// When it came, by both clocks.
    pub fn clocks(&self) -> Option<Clocks> {
        self.clocks
    }

    /// Whether it is not known yet what it holds beside data: see [`Answer::settled`].
    pub fn is_assumed(&self) -> bool {
        self.is_assumed
    }

    /// The errors of the answer, as far as they are known; there may be data as well.
    pub fn errors(&self) -> &[GraphqlError] {
        &self.errors
    }

    /// The first error, as the error of the operation.
    pub fn refusal(&self) -> Option<RequestError> {
        // A limit of requests counts before all other errors.
        let limit = self.errors.iter().find(|error| error.is_over_limit());
        Some(self.refused(limit.or(self.errors.first())?))
    }

    /// The first error that means that the platform is busy, as the error of the operation.
    pub fn busy(&self) -> Option<RequestError> {
        let first = self.errors.iter().find(|error| error.is_busy())?;
        Some(self.refused(first))
    }

    fn refused(&self, error: &GraphqlError) -> RequestError {
        RequestError::Refused {
            operation: self.operation,
            platform: self.platform.name().to_owned(),
            first: Box::new(error.clone()),
            retry_after: self.wait,
        }
    }

    /// The size of the answer, in bytes.
    pub fn size_bytes(&self) -> usize {
        self.body.len()
    }

    /// The `data` of the answer as text, whatever errors there are.
    pub fn data_text(&self) -> Option<&str> {
        let text = self.body.get(self.data.clone())?;
        // Read as text once already.
        let text = std::str::from_utf8(text).ok()?;
        (!text.is_empty()).then_some(text)
    }

    /// Decodes `data` without copying its texts.
    ///
    /// # Errors
    /// [`RequestError::Refused`] when the answer holds errors, [`RequestError::Shape`] when it has another shape.
    pub fn borrow<'a, T: Deserialize<'a>>(&'a self) -> Result<T, RequestError> {
        if let Some(refusal) = self.refusal() {
            return Err(refusal);
        }
        self.borrow_despite_errors()
    }

    /// Decodes `data` even where there are errors: for a caller that has judged them.
    ///
    /// # Errors
    /// [`RequestError::Shape`] when the data has another shape.
    pub fn borrow_despite_errors<'a, T: Deserialize<'a>>(&'a self) -> Result<T, RequestError> {
        let text = self.data_text().unwrap_or("null");
        serde_json::from_str(text).map_err(|source| self.shape(source))
    }

    /// Decodes `data` into something that outlives the answer.
    ///
    /// # Errors
    /// As [`Answer::borrow`].
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, RequestError> {
        match self.borrow() {
            Err(_) if self.is_assumed => self.settled()?.borrow(),
            decoded => decoded,
        }
    }

    /// The error of an answer that contradicts itself.
    pub fn misshapen(&self, reason: &str) -> RequestError {
        self.shape(serde::de::Error::custom(reason))
    }

    fn shape(&self, source: serde_json::Error) -> RequestError {
        RequestError::Shape {
            operation: self.operation,
            platform: self.platform.name().to_owned(),
            source,
        }
    }
}

/// The range of the data of a large answer, if it looks like `{"data":…}`.
fn assumed_data(body: &[u8]) -> Option<Range<usize>> {
    const LARGE: usize = 16 * 1024;
    const START: &[u8] = b"{\"data\":{";
    let body = body.trim_ascii_end();
    let looks_so = body.len() >= LARGE && body.starts_with(START) && body.ends_with(b"}}");
    looks_so.then(|| START.len() - 1..body.len() - 1)
}

/// The range of a part in its whole; empty for an empty one.
fn place_in(whole: &[u8], part: &str) -> Range<usize> {
    if part.is_empty() {
        return 0..0;
    }
    let start = (part.as_ptr().addr()).saturating_sub(whole.as_ptr().addr());
    start..start + part.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostile::{corpus, damaged};
    use crate::telemetry::logs::{Chain, logged};
    use crate::telemetry::safe_text::is_unsafe;
    use proptest::prelude::*;
    use tracing::Level;

    #[test]
    fn a_large_answer_is_what_its_data_shows() {
        let rows = vec![r#"{"id":"1"}"#; 2000].join(",");
        let read = |body: String| Answer::read("Rows", &Peer::default(), body.into()).unwrap();
        let data = read(format!(r#"{{"data":{{"rows":[{rows}]}}}}"#) + "\n");
        assert!(data.is_assumed() && data.decode::<serde_json::Value>().is_ok());
        let with_errors = format!(r#"{{"data":{{"rows":[{rows}]}},"errors":[{{"message":"m"}}]}}"#);
        let unseen = read(with_errors.replace(r#""}]}"#, r#"","extensions":{}}]}"#) + "");
        let settled = unseen.settled().unwrap();
        assert_eq!(settled.errors().len(), 1);
        assert!(matches!(
            unseen.decode::<serde_json::Value>(),
            Err(RequestError::Refused { .. })
        ));
        let cut = read(format!(r#"{{"data":{{"rows":[{rows}"#) + "}}");
        assert!(matches!(
            cut.decode::<serde_json::Value>(),
            Err(RequestError::NotGraphql { .. })
        ));
    }

    #[test]
    fn a_file_is_beside_graphql_whatever_its_name() {
        let url = Url::parse("https://cti.example/base/graphql").unwrap();
        let client = GraphqlClient::new(Site::new("the source", url), &token()).unwrap();
        assert_eq!(
            client.storage("import/Artifact/1/a b?#%.zip").as_str(),
            "https://cti.example/base/storage/get/import/Artifact/1/a%20b%3F%23%25.zip"
        );
    }

    fn token() -> SecretString {
        "a-token".to_owned().into()
    }

    #[tokio::test]
    async fn a_request_never_reads_from_a_draft_and_shows_its_token() {
        use std::io::Read;
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = std::thread::spawn(move || {
            let mut request = [0; 4096];
            let (mut stream, _) = listener.accept().unwrap();
            let read = stream.read(&mut request).unwrap();
            String::from_utf8_lossy(&request[..read]).to_lowercase()
        });
        assert!(ask(port, AnswerLimit::Few).await.is_err());
        let asked = asked.join().unwrap();
        for header in [
            "opencti-draft-id: \r\n",
            "authorization: bearer a-token\r\n",
        ] {
            assert!(asked.contains(header), "{asked}");
        }
    }

    /// Answers each request with the next status and body of these.
    fn serve_each(answers: &'static [(u16, &'static str)]) -> u16 {
        use std::io::Read;
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for (status, body) in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 4096];
                assert!(stream.read(&mut request).unwrap() > 0);
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
                );
                stream.write_all((head + body).as_bytes()).unwrap();
            }
        });
        port
    }

    /// What stands in front of a platform says so while that starts; at a wrong address everything does.
    #[tokio::test]
    async fn nothing_at_the_address_is_of_the_moment_where_a_platform_has_answered_it() {
        const ABSENT: (u16, &str) = (404, "default backend - 404");
        const NO_ROUTE: (u16, &str) = (404, r#"{"message":"no Route matched"}"#);
        const WRONG_METHOD: (u16, &str) = (405, "<html></html>");
        let port = serve_each(&[
            ABSENT,
            (200, r#"{"data":{"a":1}}"#),
            ABSENT,
            NO_ROUTE,
            WRONG_METHOD,
            (
                404,
                r#"{"errors":[{"message":"m","extensions":{"code":"FORBIDDEN_ACCESS"}}]}"#,
            ),
        ]);
        let client = client_of(port);
        let ask = async || {
            let query = "query Op { a }";
            let asking = client.post("Op", query, &(), AnswerLimit::Few, RetryPolicy::NEVER);
            asking.await
        };
        let error = ask().await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Elsewhere);
        assert!(
            error.to_string().contains("is its address right?"),
            "{error}"
        );
        assert!(ask().await.is_ok());
        for answer in ["ABSENT", "NO_ROUTE", "WRONG_METHOD"] {
            let error = ask().await.err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Transient(None), "{answer}");
            assert!(
                error.to_string().contains("is its address right?"),
                "{error}"
            );
        }
        // The platform's own word counts as before.
        let refusal = ask().await.unwrap().refusal().unwrap();
        assert_eq!(refusal.kind(), ErrorKind::Authentication);
    }

    /// Serves every request the same body on a port of this machine, and has nothing else to say.
    fn serve(head: Vec<u8>, piece: Vec<u8>, pieces: usize) -> u16 {
        use std::io::Read;
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = [0; 4096];
                assert!(stream.read(&mut request).unwrap() > 0);
                let mut sent = stream.write_all(&head);
                for _ in 0..pieces {
                    // The client closes when it has enough.
                    sent = sent.and_then(|()| stream.write_all(&piece));
                }
            }
        });
        port
    }

    fn client_of(port: u16) -> GraphqlClient {
        let url = Url::parse(&format!("http://127.0.0.1:{port}/graphql")).unwrap();
        GraphqlClient::new(Site::new("the source", url), &token()).unwrap()
    }

    /// Asks whatever is served at this port.
    async fn ask(port: u16, limit: AnswerLimit) -> Result<Answer, RequestError> {
        let client = client_of(port);
        let asked = client.post("Op", "query Op { a }", &(), limit, RetryPolicy::NEVER);
        asked.await
    }

    /// A megabyte of blanks as a piece of a gzip stream that can follow itself, behind the stream's head.
    fn packed_megabyte() -> Vec<u8> {
        let mut packed = Vec::with_capacity(64 * 1024);
        let mut deflate = flate2::Compress::new(flate2::Compression::fast(), false);
        deflate
            .compress_vec(
                &vec![b' '; 1024 * 1024],
                &mut packed,
                flate2::FlushCompress::Full,
            )
            .unwrap();
        packed
    }

    /// What a gzip stream begins with (RFC 1952 §2.3).
    const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

    #[rstest::rstest]
    #[tokio::test]
    async fn an_answer_is_taken_up_to_the_limit_of_its_operation(
        #[values(AnswerLimit::Few, AnswerLimit::Many, AnswerLimit::Page)] limit: AnswerLimit,
        #[values(true, false)] is_packed: bool,
    ) {
        let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n";
        let port = if is_packed {
            let head = format!("{head}content-encoding: gzip\r\n\r\n").into_bytes();
            serve([head, GZIP_HEAD.to_vec()].concat(), packed_megabyte(), 600)
        } else {
            serve(
                format!("{head}\r\n").into_bytes(),
                vec![b' '; 1024 * 1024],
                600,
            )
        };
        let asked = ask(port, limit).await;
        let error = asked.err().unwrap();
        assert!(
            matches!(error.http(), Some(http::Error::TooLarge { limit: reported, .. }) if *reported == limit.bytes()),
            "{error:?}"
        );
        assert!(error.is_about_size());
    }

    #[tokio::test]
    async fn an_answer_within_its_limit_is_taken_whatever_size_is_promised() {
        let body = format!(r#"{{"data":{{"a":"{}"}}}}"#, "x".repeat(60_000));
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        let port = serve(head.into_bytes(), body.into_bytes(), 1);
        let asked = ask(port, AnswerLimit::Few).await;
        assert!(asked.unwrap().size_bytes() > 60_000);
    }

    #[tokio::test]
    async fn no_answer_is_reported_without_the_names_of_programs() {
        let closed = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = closed.local_addr().unwrap().port();
        drop(closed);
        let asked = ask(port, AnswerLimit::Few).await;
        let reported = Chain(&asked.err().unwrap()).to_string();
        let expected = format!(
            "no answer from the source at http://127.0.0.1:{port}; is its address right, is it running, and can it be reached from here?: \
             tcp connect error: Connection refused (os error 111)"
        );
        assert_eq!(reported, expected);
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n";
        let port = serve(head.into(), b"{}".to_vec(), 1);
        let asked = ask(port, AnswerLimit::Few).await;
        let reported = Chain(&asked.err().unwrap()).to_string();
        assert!(
            reported.starts_with(&format!(
                "no answer from the source at http://127.0.0.1:{port}: "
            )) && !reported.contains(": error"),
            "{reported}"
        );
    }

    /// Takes connections, and answers nothing.
    #[test]
    fn a_silent_platform_is_named_long_before_it_is_given_up() {
        let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = silent.local_addr().unwrap().port();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let text = logged(false, Level::INFO, || {
            let asked = runtime.block_on(ask(port, AnswerLimit::Few));
            assert!(asked.is_err());
            assert_eq!(runtime.block_on(client_of(port).clock()), None);
        });
        let line = format!("still waiting for the answer of the source at http://127.0.0.1:{port}");
        assert_eq!(text.matches(&line).count(), 2, "{text}");
    }

    async fn refused_with(status: &str, body: &str) -> Result<Answer, RequestError> {
        let head = format!(
            "HTTP/1.1 {status}\r\nretry-after: 7\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        let port = serve(head.into_bytes(), body.as_bytes().to_vec(), 1);
        ask(port, AnswerLimit::Few).await
    }

    #[rstest::rstest]
    #[case(
        "Query Cost limit of 5000 exceeded, found 9482.",
        "GRAPHQL_VALIDATION_FAILED"
    )]
    #[case(
        "Query depth limit of 10 exceeded, found 12.",
        "GRAPHQL_VALIDATION_FAILED"
    )]
    #[case("Syntax Error: Token limit of 1000 exceeded.", "GRAPHQL_PARSE_FAILED")]
    #[case("Aliases limit of 15 exceeded, found 20.", "BAD_USER_INPUT")]
    #[case(
        "The query exceeds the maximum complexity of 20. Actual complexity is 21",
        ""
    )]
    #[tokio::test]
    async fn a_limit_of_requests_is_about_size_with_any_status(
        #[case] words: &str,
        #[case] code: &str,
        #[values("200 OK", "400 Bad Request", "413 Content Too Large", "500 Oh")] status: &str,
    ) {
        let body = serde_json::json!({ "errors": [
            { "message": "beside it", "extensions": { "code": "GRAPHQL_VALIDATION_FAILED" } },
            { "message": words, "extensions": { "code": code } },
        ] });
        let answer = refused_with(status, &body.to_string()).await.unwrap();
        let error = answer.decode::<serde_json::Value>().unwrap_err();
        assert!(
            error.is_about_size() && error.kind() == ErrorKind::OverLimit,
            "{error:?}"
        );
        assert!(error.to_string().contains(words), "{error}");
    }

    #[tokio::test]
    async fn errors_with_a_status_are_judged_like_others() {
        let body = |code: &str| {
            let error =
                serde_json::json!({ "message": "Why\u{1b}[1m", "extensions": { "code": code } });
            serde_json::json!({ "errors": [error], "data": { "a": 1 } }).to_string()
        };
        let wait = Some(Duration::from_secs(7));
        for (status, code, kind) in [
            (
                "400 Bad Request",
                "GRAPHQL_VALIDATION_FAILED",
                ErrorKind::Validation,
            ),
            (
                "400 Bad Request",
                "TOO_MANY_REQUESTS",
                ErrorKind::Transient(wait),
            ),
            ("200 OK", "TOO_MANY_REQUESTS", ErrorKind::Transient(wait)),
            (
                "429 Too Many Requests",
                "WHATEVER",
                ErrorKind::Transient(wait),
            ),
            (
                "503 Service Unavailable",
                "GRAPHQL_VALIDATION_FAILED",
                ErrorKind::Transient(wait),
            ),
            ("401 Unauthorized", "WHATEVER", ErrorKind::Authentication),
            (
                "400 Bad Request",
                "AUTH_REQUIRED",
                ErrorKind::Authentication,
            ),
            (
                "500 Internal Server Error",
                "INTERNAL_SERVER_ERROR",
                ErrorKind::Server,
            ),
        ] {
            let asked = refused_with(status, &body(code)).await;
            let error = match asked {
                Ok(answer) => answer.decode::<serde_json::Value>().unwrap_err(),
                Err(error) => error,
            };
            assert_eq!(error.kind(), kind, "{status} {code}");
            assert!(error.to_string().contains("Why\\u{1b}[1m"), "{error}");
        }
    }

    #[tokio::test]
    async fn the_message_beside_a_status_is_reported() {
        for (body, reported) in [
            (
                "no such tenant\n",
                "the source answered HTTP 400 Bad Request: no such tenant",
            ),
            (
                r#"{"message":"no"}"#,
                "the source answered HTTP 400 Bad Request: no",
            ),
            (
                r#"{"error":{"message":"no"}}"#,
                "the source answered HTTP 400 Bad Request: no",
            ),
            (
                "<html>a page</html>",
                "the source answered HTTP 400 Bad Request",
            ),
            ("{}", "the source answered HTTP 400 Bad Request"),
            ("", "the source answered HTTP 400 Bad Request"),
        ] {
            let error = refused_with("400 Bad Request", body).await.err().unwrap();
            let error = error.to_string();
            let (name, rest) = error.split_once(" at http://127.0.0.1:").unwrap();
            let (_port, rest) = rest.split_once(' ').unwrap();
            assert_eq!(format!("{name} {rest}"), reported);
        }
        let long = "x".repeat(200_000);
        let error = refused_with("400 Bad Request", &long).await.err().unwrap();
        assert!(error.to_string().len() < 700, "{error}");
    }

    #[test]
    fn an_answer_with_errors_is_never_a_success() {
        let body = br#"{"data":{"a":1},"errors":[{"message":"no","name":"X","path":["a",3,"b"]}]}"#;
        let answer = Answer::read("Op", &Peer::default(), Bytes::from_static(body)).unwrap();
        assert!(matches!(
            answer.decode::<serde_json::Value>(),
            Err(RequestError::Refused { .. })
        ));
        assert_eq!(answer.errors()[0].row(), Some(3));
        let data: serde_json::Value = answer.borrow_despite_errors().unwrap();
        assert_eq!(data["a"], 1);
    }

    #[test]
    fn more_errors_than_can_be_judged_are_never_harmless() {
        let harmless = r#"{"message":"Int cannot represent non 32-bit signed integer value: 5"}"#;
        let errors = vec![harmless; 10_000].join(",");
        let body = format!(r#"{{"data":{{"a":1}},"errors":[{errors}]}}"#);
        let answer = Answer::read("Op", &Peer::default(), body.into()).unwrap();
        assert!(answer.errors().len() < 5000);
        let last = answer.errors().last().unwrap();
        assert!(!last.is_number_out_of_range() && last.message.ends_with(" more errors"));
        let without = Answer::read(
            "Op",
            &Peer::default(),
            Bytes::from_static(br#"{"data":{},"errors":null}"#),
        );
        assert!(without.unwrap().errors().is_empty());
    }

    #[test]
    fn a_web_page_is_not_an_answer() {
        let url = "http://a-user:a-word@cti.example/a/graphql"
            .parse()
            .unwrap();
        let source = Peer::new("the source", &url);
        let error = Answer::read("Op", &source, Bytes::from_static(b"<html>"))
            .err()
            .unwrap();
        assert_eq!(error.kind(), ErrorKind::Transient(None));
        assert_eq!(
            error.to_string(),
            "the answer of the source at http://cti.example is not GraphQL; is its address right?"
        );
    }

    #[test]
    fn answers_of_the_corpus_are_what_they_say() {
        for (name, body) in corpus("answers") {
            let answer = Answer::of_body(&body);
            let is_answer = !matches!(
                name.as_str(),
                "page-of-a-web-server" | "cut" | "list" | "errors-of-no-shape"
            );
            assert_eq!(answer.is_ok(), is_answer, "{name}");
            let is_refused = answer.is_ok_and(|answer| answer.refusal().is_some());
            assert_eq!(
                is_refused,
                matches!(name.as_str(), "busy" | "lock"),
                "{name}"
            );
        }
    }

    proptest! {
        /// Whatever comes as an answer is none, or a refusal in short words, or data that is JSON.
        #[test]
        fn an_answer_of_any_text_is_data_or_a_short_refusal(body in damaged("answers")) {
            match Answer::of_body(&body) {
                Err(error) => prop_assert!(error.to_string().len() < 2048),
                Ok(answer) => {
                    if let Some(refusal) = answer.refusal() {
                        let words = Chain(&refusal).to_string();
                        prop_assert!(words.len() < 2048 && !words.contains(is_unsafe), "{words}");
                        prop_assert!(answer.decode::<serde_json::Value>().is_err());
                    } else if let Some(data) = answer.data_text() {
                        prop_assert!(serde_json::from_str::<&RawValue>(data).is_ok());
                    }
                }
            }
        }
    }
}
