//! Refusals, and the one function that speaks them in the client's dialect.

use crate::challenge::{Offer, Page, Visit};
use crate::limit::Currency;
use crate::printable::escaped;
use crate::verdict::Dialect;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, StatusCode, header};
use pingora::http::ResponseHeader;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;
use std::time::Duration;

/// Why a request does not get its object. Everything here may be shown to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: StatusCode,
    /// S3's error code.
    pub code: &'static str,
    /// One sentence: what happened, and what to do.
    pub detail: String,
    /// When to try again.
    pub retry_after: Option<Duration>,
    /// Which methods are allowed (405).
    pub allow: Option<&'static str>,
    /// Whether a bearer token was refused (401).
    pub bearer: bool,
    /// How a program gets a pass.
    pub way: Option<Box<Way>>,
}

/// How a program gets a pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// By solving this; for those who read JSON.
    Offer(Offer),
    /// By this command; for those who read text.
    Command(String),
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Refusal { status, code, detail: detail.into(), retry_after: None, allow: None, bearer: false, way: None }
    }

    /// 400: the request has no reading or two.
    pub fn bad_request(detail: &str) -> Self {
        Refusal::new(StatusCode::BAD_REQUEST, "InvalidRequest", format!("The request is malformed: {detail}."))
    }

    /// 431: target and headers are longer than any client needs.
    pub fn headers_too_large() -> Self {
        let detail = "The request's headers are too large. Delete the cookies of this site, and try again.";
        Refusal::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "RequestHeaderSectionTooLarge", detail)
    }

    /// 405: the gateway reads and never writes.
    pub fn method_not_allowed(allow: &'static str) -> Self {
        let detail = format!("This method is not allowed here; allowed: {allow}. To write, address the bucket itself.");
        Refusal { allow: Some(allow), ..Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", detail) }
    }

    /// 421: no site has this host name.
    pub fn misdirected() -> Self {
        let detail = "No site with this host name is served here. Check the URL.";
        Refusal::new(StatusCode::MISDIRECTED_REQUEST, "NoSuchBucket", detail)
    }

    /// 404: no site has this path prefix, or the gateway has no such page.
    pub fn not_found() -> Self {
        Refusal::new(StatusCode::NOT_FOUND, "NoSuchBucket", "Nothing is served at this path. Check the URL.")
    }

    /// A deny rule's answer, with the rule's public reason.
    pub fn denied(status: u16, reason: &str) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
        Refusal::new(status, "AccessDenied", format!("Access denied: {reason}."))
    }

    /// 503: a rule that keeps objects private hangs on something that is not known yet, such as a feed of addresses.
    pub fn undecided() -> Self {
        let detail = "It cannot be decided yet whether you may have this object. Try again later.";
        let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", detail);
        Refusal { retry_after: Some(Duration::from_secs(10)), ..refusal }
    }

    /// 403: listings of a bucket.
    pub fn listing() -> Self {
        let detail = "Access denied: the contents of this bucket are not listed. Ask for an object by its name.";
        Refusal::new(StatusCode::FORBIDDEN, "AccessDenied", detail)
    }

    /// 400: something that is not served of a bucket.
    pub fn bad_listing(detail: &str) -> Self {
        Refusal::new(StatusCode::BAD_REQUEST, "InvalidArgument", format!("The request cannot be answered: {detail}."))
    }

    /// 403: a challenge for a client that cannot be shown the page.
    pub fn pass_needed(way: Option<Way>) -> Self {
        let detail = match way {
            Some(Way::Offer(_)) => {
                "A pass is needed here. Open the page in a browser, or solve this challenge, as `windscreen fetch` does."
            }
            Some(Way::Command(_)) => {
                "A pass is needed here, which costs a short calculation. Open the page in a browser, ask the operator \
                 to allow your network, or run:"
            }
            None => {
                "A pass is needed here, which costs a short calculation. Open the page in a browser, use `windscreen \
                 fetch`, or ask the operator to allow your network."
            }
        };
        Refusal { way: way.map(Box::new), ..Refusal::new(StatusCode::FORBIDDEN, "AccessDenied", detail) }
    }

    /// Over a limit. S3 clients and image-download retry 503 SlowDown, browsers and tools know 429.
    pub fn over_limit(dialect: Dialect, currency: Currency, retry_after: Duration) -> Self {
        let status = match dialect {
            Dialect::S3 => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::TOO_MANY_REQUESTS,
        };
        let seconds = whole_seconds(retry_after);
        let detail = match currency {
            Currency::Requests => {
                format!("Too many requests from your network. Try again in {seconds} s, and more slowly.")
            }
            Currency::Bytes => format!("Your network has downloaded too much for now. Try again in {seconds} s."),
            Currency::Transfers => {
                format!("Too many downloads from your network at the same time. Try again in {seconds} s, with fewer.")
            }
        };
        Refusal { retry_after: Some(retry_after), ..Refusal::new(status, "SlowDown", detail) }
    }

    /// 429: the network has bought too many passes.
    pub fn too_many_passes(retry_after: Duration) -> Self {
        let seconds = whole_seconds(retry_after);
        let detail = format!("Too many passes were given to your network lately. Try again in {seconds} s.");
        let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "SlowDown", detail);
        Refusal { retry_after: Some(retry_after), ..refusal }
    }

    /// 403: a link was followed before its time.
    pub fn too_early(left: Duration) -> Self {
        let detail =
            format!("Please wait {} s more. You get a small pass then, without JavaScript.", whole_seconds(left));
        let refusal = Refusal::new(StatusCode::FORBIDDEN, "AccessDenied", detail);
        Refusal { retry_after: Some(left), ..refusal }
    }

    /// 403: the pass was given, and did not come back.
    pub fn no_cookie() -> Self {
        let detail = "Your browser did not keep the cookie that holds your pass. Allow cookies for this site, then go back \
                      and follow the link again.";
        Refusal::new(StatusCode::FORBIDDEN, "AccessDenied", detail)
    }

    /// The object is not there: 404, or 403 where the origin does not tell callers what is missing.
    pub fn missing(status: StatusCode) -> Self {
        let code = if status == StatusCode::NOT_FOUND { "NoSuchKey" } else { "AccessDenied" };
        Refusal::new(status, code, "There is no such object, or it is not public. Check the URL.")
    }

    /// 503: the origin is overloaded. S3 clients and image-download try again.
    pub fn origin_busy() -> Self {
        let detail = "The storage behind this gateway is busy. Try again later.";
        let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "SlowDown", detail);
        Refusal { retry_after: Some(Duration::from_secs(10)), ..refusal }
    }

    /// 502 or 504: the origin cannot be reached.
    pub fn origin_failed(timeout: bool) -> Self {
        let status = if timeout { StatusCode::GATEWAY_TIMEOUT } else { StatusCode::BAD_GATEWAY };
        let detail = "The storage behind this gateway cannot be reached at the moment. Try again later.";
        Refusal { retry_after: Some(Duration::from_secs(10)), ..Refusal::new(status, "ServiceUnavailable", detail) }
    }

    /// 500: a mistake of ours. Nothing that a client sends leads here.
    pub fn internal() -> Self {
        let detail = "The gateway failed to answer. The operator finds the request by its id in the log.";
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", detail)
    }

    /// 403: a submission that bought no pass.
    pub fn not_redeemed(reason: &str, again: Option<Offer>) -> Self {
        let advice = if again.is_some() { "This one is good in both." } else { "Reload the page for a new one." };
        let refusal = Refusal::new(StatusCode::FORBIDDEN, "AccessDenied", format!("{reason}. {advice}"));
        Refusal { way: again.map(|offer| Box::new(Way::Offer(offer))), ..refusal }
    }
}

/// Rounded up, at least one: `Retry-After: 0` invites a busy loop.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_millis().div_ceil(1000).max(1).try_into().unwrap_or(u64::MAX)
}

/// A response that the gateway makes itself.
#[derive(Debug)]
pub struct Reply {
    /// Status and headers; Content-Length is set.
    pub header: Box<ResponseHeader>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// A response that nobody may store.
    pub fn new(
        status: StatusCode,
        content_type: &'static str,
        body: impl Into<Vec<u8>>,
        request_id: &str,
    ) -> pingora::Result<Self> {
        let body = body.into();
        let mut header = Box::new(ResponseHeader::build(status, Some(8))?);
        if status != StatusCode::NO_CONTENT {
            header.insert_header(header::CONTENT_TYPE, content_type)?;
            header.insert_header(header::CONTENT_LENGTH, body.len())?;
        }
        header.insert_header(header::CACHE_CONTROL, "no-store")?;
        header.insert_header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")?;
        header.insert_header("X-Request-Id", request_id)?;
        Ok(Reply { header, body })
    }
}

#[derive(Serialize)]
struct Problem<'a> {
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    challenge: Option<&'a Offer>,
}

/// Speaks a refusal in the client's dialect.
pub fn speak(refusal: &Refusal, dialect: Dialect, request_id: &str) -> pingora::Result<Reply> {
    let title = refusal.status.canonical_reason().unwrap_or("Refused");
    let detail = refusal.detail.as_str();
    let (content_type, body) = match dialect {
        Dialect::Page => ("text/html; charset=utf-8", page(title, refusal, request_id)),
        Dialect::Fetch => {
            let status = refusal.status.as_u16();
            let challenge = match refusal.way.as_deref() {
                Some(Way::Offer(offer)) => Some(offer),
                _ => None,
            };
            let problem = Problem { title, status, detail, code: refusal.code, request_id, challenge };
            ("application/problem+json", serde_json::to_string(&problem).unwrap_or_default())
        }
        Dialect::S3 => {
            let (code, message) = (refusal.code, escaped(detail));
            let body = format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>\
                 <RequestId>{request_id}</RequestId></Error>"
            );
            ("application/xml", body)
        }
        Dialect::Plain => {
            let command = match refusal.way.as_deref() {
                Some(Way::Command(command)) => format!("  {command}\n"),
                _ => String::new(),
            };
            ("text/plain; charset=utf-8", format!("{detail}\n{command}Request id: {request_id}\n"))
        }
    };
    let mut reply = Reply::new(refusal.status, content_type, body, request_id)?;
    if dialect == Dialect::Page {
        let policy = if refusal.retry_after.is_some() { COUNTING_POLICY.as_str() } else { PAGE_POLICY };
        reply.header.insert_header(header::CONTENT_SECURITY_POLICY, policy)?;
    }
    if let Some(after) = refusal.retry_after {
        reply.header.insert_header(header::RETRY_AFTER, whole_seconds(after))?;
    }
    if let Some(allow) = refusal.allow {
        reply.header.insert_header(header::ALLOW, HeaderValue::from_static(allow))?;
    }
    if refusal.bearer {
        // RFC 6750, section 3.
        let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
        reply.header.insert_header(header::WWW_AUTHENTICATE, challenge)?;
    }
    Ok(reply)
}

/// The challenge page: a 403 with what a browser needs to get a pass, in a language that its user reads, and compressed by
/// gzip where the browser can have it so.
pub fn ask(page: &Page, visit: &Visit<'_>, accept_language: &str, gzip: bool) -> pingora::Result<Reply> {
    let (body, language) = if gzip {
        page.render_gzip(visit, accept_language)
    } else {
        let (body, language) = page.render(visit, accept_language);
        (body.into_bytes(), language)
    };
    let mut reply = Reply::new(StatusCode::FORBIDDEN, "text/html; charset=utf-8", body, visit.request_id)?;
    reply.header.insert_header(header::CONTENT_LANGUAGE, language)?;
    reply.header.insert_header(header::VARY, "Accept-Language, Accept-Encoding")?;
    if gzip {
        reply.header.insert_header(header::CONTENT_ENCODING, "gzip")?;
    }
    reply.header.insert_header(header::CONTENT_SECURITY_POLICY, page.content_security_policy())?;
    reply.header.insert_header(header::REFERRER_POLICY, "same-origin")?;
    Ok(reply)
}

/// What `/robots.txt` says. Crawlers may keep it for a day (RFC 9309, section 2.4), as they may of any server.
pub fn robots(text: &str, request_id: &str) -> pingora::Result<Reply> {
    let mut reply = Reply::new(StatusCode::OK, "text/plain; charset=utf-8", text.to_owned(), request_id)?;
    reply.header.insert_header(header::CACHE_CONTROL, "public, max-age=3600")?;
    Ok(reply)
}

/// Sends the client to `location` for this one request.
pub fn lead(location: &str, request_id: &str) -> pingora::Result<Reply> {
    let mut reply = Reply::new(StatusCode::TEMPORARY_REDIRECT, "text/plain", String::new(), request_id)?;
    reply.header.insert_header(header::LOCATION, location)?;
    reply.header.insert_header(header::REFERRER_POLICY, "no-referrer")?;
    Ok(reply)
}

/// Counts the seconds down. Nothing is loaded again by itself: that would come from all waiting pages at once, and
/// would pull the page away from whoever reads it by ear.
const COUNTDOWN: &str = "const left=document.getElementById('left');let n=+left.textContent;\
    const timer=setInterval(()=>{left.textContent=--n;if(n<1)clearInterval(timer)},1000)";

const PAGE_POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Lets the countdown run besides.
static COUNTING_POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(COUNTDOWN));
    format!("{PAGE_POLICY}; script-src 'sha256-{hash}'")
});

fn page(title: &str, refusal: &Refusal, request_id: &str) -> String {
    let (title, detail) = (escaped(title), escaped(&refusal.detail));
    let wait = refusal.retry_after.map_or_else(String::new, |after| {
        let seconds = whole_seconds(after);
        format!(
            "<p><a href=\"\">Try again</a> in <span id=\"left\" role=\"timer\">{seconds}</span> s.</p>\n\
             <script>{COUNTDOWN}</script>\n"
        )
    });
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"robots\" content=\"noindex\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <link rel=\"icon\" href=\"data:,\">\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n<p>{detail}</p>\n{wait}\
         <p><small>Request id: <code>{request_id}</code></small></p>\n</main>\n</body>\n</html>\n"
    )
}
