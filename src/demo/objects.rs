//! Reading one object the way S3 answers it: GET and HEAD with ranges and conditions.
//!
//! s3s-fs stores objects well, but its reads know no conditions, answer a HEAD with a range in
//! full, hash the whole file for want of an ETag and follow `..` into other buckets. So every GET
//! and HEAD of an object is answered here, after s3s has verified the signature, from the files
//! that s3s-fs would have read; all else (writing, listing, multipart uploads) stays with s3s-fs.

use super::addressing::{Addressing, query};
use super::body::Reading;
use super::conditions::{Outcome, judge};
use super::files::Stored;
use super::headers;
use http::{Extensions, HeaderMap, Method, StatusCode, Uri, header};
use s3s::route::S3Route;
use s3s::{Body, S3Error, S3Request, S3Response, S3Result, s3_error};
use std::io;
use std::path::{Path, PathBuf};

/// The route that answers for objects. Whether a request may read is decided here as well,
/// because s3s asks its access policy about its own operations only.
pub(super) struct Objects {
    /// The folder of the buckets.
    pub(super) root: PathBuf,
    pub(super) addressing: Addressing,
    /// Whether objects are read without a signature.
    pub(super) anonymous: bool,
}

#[async_trait::async_trait]
impl S3Route for Objects {
    fn is_match(&self, method: &Method, uri: &Uri, headers: &HeaderMap, _: &mut Extensions) -> bool {
        let reads = method == Method::GET || method == Method::HEAD;
        // `?acl`, `?tagging` and their like are other operations, which s3s knows by name.
        reads && !query(uri).any(|(name, _)| is_subresource(&name)) && self.addressing.object(uri, headers).is_some()
    }

    async fn check_access(&self, request: &mut S3Request<Body>) -> S3Result<()> {
        if self.anonymous || request.credentials.is_some() {
            Ok(())
        } else {
            Err(s3_error!(AccessDenied, "Access Denied"))
        }
    }

    async fn call(&self, request: S3Request<Body>) -> S3Result<S3Response<Body>> {
        let signed = request.credentials.is_some();
        let query: Vec<_> = query(&request.uri).collect();
        check(&query, &request.headers, signed)?;
        let Some(name) = self.addressing.object(&request.uri, &request.headers) else {
            return Err(s3_error!(InternalError));
        };
        let root = self.root.clone();
        let open =
            move || Stored::open(&root, &name).map_err(|error| missing(&error, &root.join(&name.bucket), signed));
        let stored = tokio::task::spawn_blocking(open).await.map_err(S3Error::internal_error)??;
        answer(stored, &request, &query)
    }
}

fn is_subresource(query: &str) -> bool {
    matches!(query, "acl" | "attributes" | "legal-hold" | "retention" | "tagging" | "torrent" | "uploadId")
}

/// Refuses a query before the object is looked at.
fn check(query: &[(String, String)], headers: &HeaderMap, signed: bool) -> S3Result<()> {
    for (name, value) in query {
        return Err(match name.as_str() {
            name if name.starts_with("response-") && !signed => s3_error!(
                InvalidRequest,
                "Request specific response headers cannot be used for anonymous GET requests."
            ),
            "versionId" if value != "null" => s3_error!(InvalidArgument, "Invalid version id specified"),
            "partNumber" if headers.contains_key(header::RANGE) => {
                s3_error!(InvalidRequest, "Cannot specify both Range header and partNumber query parameter")
            }
            "partNumber" if !matches!(value.parse(), Ok(1..=10_000_u32)) => {
                s3_error!(InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive")
            }
            _ => continue,
        });
    }
    Ok(())
}

/// What S3 says of an object that could not be opened.
fn missing(error: &io::Error, bucket: &Path, signed: bool) -> S3Error {
    use io::ErrorKind::{InvalidFilename, IsADirectory, NotADirectory, NotFound};
    match error.kind() {
        // Who may not list a bucket is not told what is missing in it.
        NotFound | IsADirectory | NotADirectory | InvalidFilename if !signed => {
            s3_error!(AccessDenied, "Access Denied")
        }
        NotFound if !bucket.is_dir() => s3_error!(NoSuchBucket, "The specified bucket does not exist"),
        NotFound | IsADirectory | NotADirectory | InvalidFilename => {
            s3_error!(NoSuchKey, "The specified key does not exist.")
        }
        _ => s3_error!(InternalError, "We encountered an internal error."),
    }
}

fn answer(stored: Stored, request: &S3Request<Body>, query: &[(String, String)]) -> S3Result<S3Response<Body>> {
    let part = query.iter().find(|(name, _)| name == "partNumber").and_then(|(_, number)| number.parse().ok());
    let (status, range) = match judge(&stored, &request.headers, part) {
        Outcome::Whole => (StatusCode::OK, 0..stored.size),
        Outcome::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Outcome::NotModified => {
            let response = S3Response::with_status(Body::empty(), StatusCode::NOT_MODIFIED);
            return Ok(S3Response { headers: headers::validators(&stored), ..response });
        }
        Outcome::PreconditionFailed => return Err(s3_error!(PreconditionFailed, "A pre-condition did not hold")),
        Outcome::InvalidRange => {
            let mut error = s3_error!(InvalidRange, "The requested range is not satisfiable");
            // These replace s3s's own.
            let mut headers = HeaderMap::new();
            headers::set(&mut headers, header::CONTENT_TYPE, "application/xml");
            headers::set(&mut headers, header::CONTENT_RANGE, &format!("bytes */{}", stored.size));
            error.set_headers(headers);
            return Err(error);
        }
    };
    let mut headers = headers::describe(&stored, &request.headers, range.end - range.start);
    if status == StatusCode::PARTIAL_CONTENT {
        let value = format!("bytes {}-{}/{}", range.start, range.end - 1, stored.size);
        headers::set(&mut headers, header::CONTENT_RANGE, &value);
    }
    for (name, value) in query {
        // `response-content-type` and its like replace what is stored.
        if let Some(header) = name.strip_prefix("response-") {
            headers::set(&mut headers, header, value);
        }
    }
    let body =
        if request.method == Method::HEAD { Body::empty() } else { Body::http_body(Reading::new(stored.file, range)) };
    Ok(S3Response { headers, ..S3Response::with_status(body, status) })
}
