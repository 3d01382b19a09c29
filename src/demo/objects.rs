//! Reading one object the way S3 answers it: GET and HEAD with ranges and conditions.
//!
//! s3s-fs stores objects well, but its reads know no conditions, answer a HEAD with a range in
//! full, hash the whole file for want of an ETag and follow `..` into other buckets. So every GET
//! and HEAD of an object is answered here, after s3s has verified the signature, from the files
//! that s3s-fs would have read; all else (writing, listing, multipart uploads) stays with s3s-fs.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "objects are files, and their dates come from the file system"
)]

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, Uri};
use hyper::body::{Frame, SizeHint};
use s3s::dto::{self, Timestamp, TimestampFormat};
use s3s::route::S3Route;
use s3s::{Body, S3Request, S3Response, S3Result, s3_error};
use tokio::task::JoinHandle;

use super::samples::Stored;
use super::store::{Addressing, Name, query};

/// How much of a file is read, and held, at once. Twice this is the memory of a download.
const CHUNK: u64 = 256 * 1024;

/// The route that answers for objects. Whether a request may read is decided here as well,
/// because s3s asks its access policy about its own operations only.
pub struct Objects {
    /// The folder of the buckets.
    pub root: PathBuf,
    /// Which host names are buckets.
    pub addressing: Addressing,
    /// Whether objects are read without a signature.
    pub anonymous: bool,
}

#[async_trait::async_trait]
impl S3Route for Objects {
    fn is_match(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        extensions: &mut Extensions,
    ) -> bool {
        let reads = method == Method::GET || method == Method::HEAD;
        // `?acl`, `?tagging` and their like are other operations, which s3s knows by name.
        if !reads || query(uri).any(|(name, _)| is_subresource(&name)) {
            return false;
        }
        match self.addressing.object(uri, headers) {
            Some(name) => extensions.insert(name).is_none(),
            None => false,
        }
    }

    async fn check_access(&self, request: &mut S3Request<Body>) -> S3Result<()> {
        if self.anonymous || request.credentials.is_some() {
            Ok(())
        } else {
            Err(s3_error!(AccessDenied, "Access Denied"))
        }
    }

    async fn call(&self, request: S3Request<Body>) -> S3Result<S3Response<Body>> {
        let Some(name) = request.extensions.get::<Name>().cloned() else {
            return Err(s3_error!(InternalError));
        };
        let signed = request.credentials.is_some();
        let query: Vec<_> = query(&request.uri).collect();
        if let Some(refusal) = Refusal::of_query(&query, &request.headers, signed) {
            return Ok(refusal.response(&name, HeaderMap::new()));
        }
        let root = self.root.clone();
        let opening = name.clone();
        let opened = tokio::task::spawn_blocking(move || Stored::open(&root, &opening)).await;
        match opened.map_err(io::Error::other).flatten() {
            Ok(stored) => Ok(stored.response(&request, &query, &name)),
            Err(error) => {
                let refusal = Refusal::of_error(&error, &self.root.join(&name.bucket), signed);
                Ok(refusal.response(&name, HeaderMap::new()))
            }
        }
    }
}

fn is_subresource(query: &str) -> bool {
    matches!(
        query,
        "acl" | "attributes" | "legal-hold" | "retention" | "tagging" | "torrent" | "uploadId"
    )
}

/// An answer that is an error: its status, and S3's code and message.
#[derive(PartialEq)]
struct Refusal(StatusCode, &'static str, &'static str);

const NO_BUCKET: Refusal = refusal(404, "NoSuchBucket", "The specified bucket does not exist");
const NO_KEY: Refusal = refusal(404, "NoSuchKey", "The specified key does not exist.");
const DENIED: Refusal = refusal(403, "AccessDenied", "Access Denied");
const FAILED: Refusal = refusal(412, "PreconditionFailed", "A pre-condition did not hold");
const NO_RANGE: Refusal = refusal(
    416,
    "InvalidRange",
    "The requested range is not satisfiable",
);
const BROKEN: Refusal = refusal(500, "InternalError", "We encountered an internal error.");
/// No error, but like one it ends the matter without the object.
const NOT_MODIFIED: Refusal = refusal(304, "NotModified", "");

const fn refusal(status: u16, code: &'static str, message: &'static str) -> Refusal {
    match StatusCode::from_u16(status) {
        Ok(status) => Refusal(status, code, message),
        Err(_) => Refusal(StatusCode::INTERNAL_SERVER_ERROR, code, message),
    }
}

impl Refusal {
    fn response(&self, name: &Name, mut headers: HeaderMap) -> S3Response<Body> {
        let Self(status, code, message) = self;
        let key = name.key.replace('&', "&amp;").replace('<', "&lt;");
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
             <Message>{message}</Message><BucketName>{}</BucketName><Key>{key}</Key></Error>",
            name.bucket
        );
        set(&mut headers, header::CONTENT_TYPE, "application/xml");
        answer(*status, headers, xml.into())
    }

    /// Why a query is refused before the object is looked at.
    fn of_query(query: &[(String, String)], headers: &HeaderMap, signed: bool) -> Option<Self> {
        let (code, message) = query.iter().find_map(|(name, value)| match name.as_str() {
            name if name.starts_with("response-") && !signed => Some((
                "InvalidRequest",
                "Request specific response headers cannot be used for anonymous GET requests.",
            )),
            "versionId" if value != "null" => {
                Some(("InvalidArgument", "Invalid version id specified"))
            }
            "partNumber" if headers.contains_key(header::RANGE) => Some((
                "InvalidRequest",
                "Cannot specify both Range header and partNumber query parameter",
            )),
            "partNumber" if !matches!(value.parse(), Ok(1..=10_000_u32)) => Some((
                "InvalidArgument",
                "Part number must be an integer between 1 and 10000, inclusive",
            )),
            _ => None,
        })?;
        Some(Self(StatusCode::BAD_REQUEST, code, message))
    }

    /// Why an object could not be opened.
    fn of_error(error: &io::Error, bucket: &Path, signed: bool) -> Self {
        use io::ErrorKind::{InvalidFilename, IsADirectory, NotADirectory, NotFound};
        match error.kind() {
            // Who may not list a bucket is not told what is missing in it.
            NotFound | IsADirectory | NotADirectory | InvalidFilename if !signed => DENIED,
            NotFound if !bucket.is_dir() => NO_BUCKET,
            NotFound | IsADirectory | NotADirectory | InvalidFilename => NO_KEY,
            _ => BROKEN,
        }
    }
}

impl Stored {
    fn response(
        self,
        request: &S3Request<Body>,
        query: &[(String, String)],
        name: &Name,
    ) -> S3Response<Body> {
        let value = |wanted: &str| {
            let found = query.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.as_str())
        };
        let outcome = match (self.judge(&request.headers), value("partNumber")) {
            // A file is an object of one part.
            (Ok(None), Some("1")) if self.size > 0 => Ok(Some(0..self.size)),
            (Ok(_), Some(part)) if part != "1" => Err(NO_RANGE),
            (outcome, _) => outcome,
        };
        let mut headers = self.validators();
        let (size, range) = match outcome {
            Ok(range) => (self.size, range),
            Err(NOT_MODIFIED) => return answer(NOT_MODIFIED.0, headers, Body::empty()),
            Err(refusal) => {
                let mut headers = HeaderMap::new();
                if refusal == NO_RANGE {
                    let range = format!("bytes */{}", self.size);
                    set(&mut headers, header::CONTENT_RANGE, &range);
                }
                return refusal.response(name, headers);
            }
        };
        let status = match &range {
            None => StatusCode::OK,
            Some(Range { start, end }) => {
                let range = format!("bytes {start}-{}/{size}", end - 1);
                set(&mut headers, header::CONTENT_RANGE, &range);
                StatusCode::PARTIAL_CONTENT
            }
        };
        let range = range.unwrap_or(0..size);
        self.describe(&mut headers, &request.headers, range.end - range.start);
        for (name, value) in query {
            // `response-content-type` and its like replace what is stored.
            if let Some(header) = name.strip_prefix("response-") {
                set(&mut headers, header, value);
            }
        }
        if request.method == Method::HEAD {
            answer(status, headers, Body::empty())
        } else {
            let body = Body::http_body(Reading::new(self.file, range));
            answer(status, headers, body)
        }
    }

    /// The headers that a 304 has too.
    fn validators(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        set(&mut headers, header::ETAG, &format!("\"{}\"", self.etag));
        let modified = http_date(&self.modified);
        set(&mut headers, header::LAST_MODIFIED, &modified);
        if let Some(value) = self.attributes.standard.get("cache_control") {
            set(&mut headers, header::CACHE_CONTROL, value);
        }
        headers
    }

    fn describe(&self, headers: &mut HeaderMap, asked: &HeaderMap, length: u64) {
        set(headers, header::CONTENT_TYPE, "binary/octet-stream");
        for (field, value) in &self.attributes.standard {
            let date = Timestamp::parse(TimestampFormat::DateTime, value);
            match (field.as_str(), date) {
                ("expires", Ok(date)) => set(headers, header::EXPIRES, &http_date(&date)),
                _ => set(headers, field.replace('_', "-"), value),
            }
        }
        for (name, value) in &self.attributes.user_metadata {
            set(headers, format!("x-amz-meta-{name}"), value);
        }
        if length == self.size && asked.contains_key("x-amz-checksum-mode") {
            for (algorithm, value) in &self.checksums {
                set(headers, format!("x-amz-checksum-{algorithm}"), value);
            }
        }
        set(headers, "x-amz-server-side-encryption", "AES256");
        set(headers, header::ACCEPT_RANGES, "bytes");
        set(headers, header::CONTENT_LENGTH, &length.to_string());
    }

    /// RFC 9110, section 13.2.2, with S3's leniency: what cannot be parsed was not said.
    /// None is the whole object.
    fn judge(&self, headers: &HeaderMap) -> Result<Option<Range<u64>>, Refusal> {
        let date = |name| {
            let text = headers.get(name)?.to_str().ok()?;
            Timestamp::parse(TimestampFormat::HttpDate, text).ok()
        };
        let matched = match self.matches(headers, header::IF_MATCH) {
            None => date(header::IF_UNMODIFIED_SINCE).is_none_or(|date| self.modified <= date),
            Some(matched) => matched,
        };
        if !matched {
            return Err(FAILED);
        }
        let unchanged = match self.matches(headers, header::IF_NONE_MATCH) {
            None => date(header::IF_MODIFIED_SINCE).is_some_and(|date| self.modified <= date),
            Some(matched) => matched,
        };
        if unchanged {
            return Err(NOT_MODIFIED);
        }
        let current = match headers.get(header::IF_RANGE) {
            None => true,
            Some(value) if value.as_bytes().ends_with(b"\"") => {
                *value == format!("\"{}\"", self.etag)
            }
            Some(_) => date(header::IF_RANGE).is_some_and(|date| self.modified == date),
        };
        let asked = headers.get(header::RANGE).filter(|_| current);
        // Several ranges, too, are not understood, hence answered in full.
        let asked = asked.and_then(|value| dto::Range::parse(value.to_str().ok()?).ok());
        match asked.map(|range| range.check(self.size)) {
            None => Ok(None),
            Some(Ok(range)) if !range.is_empty() => Ok(Some(range)),
            Some(_) => Err(NO_RANGE),
        }
    }

    /// Whether a header that lists ETags names this one; None without that header.
    fn matches(&self, headers: &HeaderMap, name: HeaderName) -> Option<bool> {
        let mut lines = headers.get_all(name).iter().peekable();
        lines.peek()?;
        let texts = lines.filter_map(|line| line.to_str().ok());
        let mut tags = texts.flat_map(|text| text.split(',')).map(str::trim);
        // S3 accepts an ETag without quotes, and its ETags are never weak.
        Some(tags.any(|tag| {
            let tag = tag.strip_prefix("W/").unwrap_or(tag);
            tag == "*" || tag.trim_matches('"') == self.etag
        }))
    }
}

fn http_date(date: &Timestamp) -> String {
    let mut text = Vec::new();
    // Writing to memory does not fail, and a date that cannot be written is left out.
    let _ = date.format(TimestampFormat::HttpDate, &mut text);
    String::from_utf8(text).unwrap_or_default()
}

/// Sets a header, unless what was stored cannot be one.
fn set(headers: &mut HeaderMap, name: impl TryInto<HeaderName>, value: &str) {
    if let (Ok(name), Ok(value)) = (name.try_into(), HeaderValue::from_str(value)) {
        headers.insert(name, value);
    }
}

fn answer(status: StatusCode, headers: HeaderMap, body: Body) -> S3Response<Body> {
    let mut response = S3Response::with_status(body, status);
    response.headers = headers;
    response
}

/// A part of a file as a body: one chunk is read ahead while the one before is sent.
struct Reading {
    next: Option<JoinHandle<io::Result<(File, Bytes)>>>,
    left: u64,
}

impl Reading {
    fn new(mut file: File, range: Range<u64>) -> Self {
        let left = range.end - range.start;
        let read = move || {
            file.seek(SeekFrom::Start(range.start))?;
            chunk(file, left)
        };
        Self {
            next: (left > 0).then(|| tokio::task::spawn_blocking(read)),
            left,
        }
    }
}

fn chunk(file: File, left: u64) -> io::Result<(File, Bytes)> {
    let length = left.min(CHUNK);
    let mut bytes = Vec::with_capacity(length as usize);
    (&file).take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length {
        Ok((file, bytes.into()))
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

impl hyper::body::Body for Reading {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Some(next) = &mut self.next else {
            return Poll::Ready(None);
        };
        let read = ready!(Pin::new(next).poll(context));
        self.next = None;
        let (file, bytes) = read.map_err(io::Error::other).flatten()?;
        self.left -= bytes.len() as u64;
        let left = self.left;
        self.next = (left > 0).then(|| tokio::task::spawn_blocking(move || chunk(file, left)));
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    const DATE: &str = "Tue, 14 Nov 2023 22:13:20 GMT";
    const BEFORE: &str = "Mon, 13 Nov 2023 22:13:20 GMT";

    fn status(asked: &[(HeaderName, &str)]) -> u16 {
        let stored = Stored {
            file: File::open("/dev/null").unwrap(),
            size: 100,
            etag: "tag".to_owned(),
            modified: (UNIX_EPOCH + Duration::from_secs(1_700_000_000)).into(),
            attributes: Default::default(),
            checksums: Vec::new(),
        };
        let mut headers = HeaderMap::new();
        for (name, value) in asked {
            set(&mut headers, name.clone(), value);
        }
        match stored.judge(&headers) {
            Ok(None) => 200,
            Ok(Some(_)) => 206,
            Err(refusal) => refusal.0.as_u16(),
        }
    }

    #[test]
    fn conditions_and_ranges_are_judged_in_the_order_of_the_standard() {
        use header::{
            IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
        };
        let part = (RANGE, "bytes=0-9");
        let beyond = (RANGE, "bytes=100-");
        for (asked, expected) in [
            (vec![], 200),
            (vec![part.clone()], 206),
            (vec![(RANGE, "bytes=-5")], 206),
            (vec![(RANGE, "bytes=-0")], 416),
            (vec![beyond.clone()], 416),
            (vec![(RANGE, "bytes=0-1,3-4")], 200),
            (vec![(RANGE, "bytes=9-5")], 200),
            (vec![(IF_NONE_MATCH, "\"tag\"")], 304),
            (vec![(IF_NONE_MATCH, "\"x\", W/\"tag\"")], 304),
            (
                vec![(IF_NONE_MATCH, "\"x\""), (IF_MODIFIED_SINCE, DATE)],
                200,
            ),
            (vec![(IF_MODIFIED_SINCE, DATE)], 304),
            (vec![(IF_MODIFIED_SINCE, BEFORE)], 200),
            (vec![(IF_MODIFIED_SINCE, "yesterday")], 200),
            (vec![(IF_MATCH, "*")], 200),
            (vec![(IF_MATCH, "\"x\""), beyond.clone()], 412),
            (vec![(IF_MATCH, "tag"), (IF_UNMODIFIED_SINCE, BEFORE)], 200),
            (vec![(IF_UNMODIFIED_SINCE, BEFORE)], 412),
            (vec![(IF_UNMODIFIED_SINCE, DATE)], 200),
            (vec![(IF_NONE_MATCH, "\"tag\""), beyond], 304),
            (vec![(IF_RANGE, "\"tag\""), part.clone()], 206),
            (vec![(IF_RANGE, "\"x\""), part.clone()], 200),
            (vec![(IF_RANGE, DATE), part.clone()], 206),
            (vec![(IF_RANGE, BEFORE), part], 200),
        ] {
            assert_eq!(status(&asked), expected, "{asked:?}");
        }
    }
}
