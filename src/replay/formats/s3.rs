//! S3 server access logs.
//!
//! Fields are appended over the years, and what comes after those that are known is passed over. The request line,
//! Referer and User-Agent stand in quotes and are written as the client sent them, quotes included: so the end of a
//! field is where what follows has the right form. Whoever writes quotes into a header cannot shift the fields that
//! count: those before the headers are read from the left, those behind from the right.
//!
//! Sources: "Amazon S3 server access log format" of the S3 user guide; that quotes are raw and keys encoded twice but
//! for those of lifecycle rules and batches: Yelp Engineering, "S3 server access logs at scale" (2025).

use super::text::{
    COMMON_TIME, RequestLine, address, common_time, cut, header, number, request_line, said, status, token,
};
use super::{Parsed, Reason};
use crate::facts::Fact;
use crate::replay::record::{Operation, Record, Signature};
use memchr::{memchr_iter, memrchr_iter};
use percent_encoding::percent_decode_str;
use std::borrow::Cow;

const SHORT: Reason = "a field is missing";
const CUT: Reason = "the line is cut off";
const QUOTES: Reason = "a quoted field has no end";
/// How many quotes behind the User-Agent are looked through, from the right: as many as two fields may have that are
/// quoted and not known yet.
const QUOTES_BEHIND: usize = 5;

/// Reads one line.
pub fn parse(line: &str, ended: bool) -> Parsed<'_> {
    let mut rest = line;
    let mut next = || token(&mut rest).filter(|field| !field.is_empty()).ok_or(SHORT);
    let (_owner, bucket) = (next()?, next()?);
    let time = rest.as_bytes();
    if time.len() < COMMON_TIME + 3 || time[0] != b'[' || time[COMMON_TIME + 1..COMMON_TIME + 3] != *b"] " {
        return Err("the third field is no time in brackets");
    }
    let at = common_time(&time[1..=COMMON_TIME]).ok_or("the time is none")?;
    rest = &rest[COMMON_TIME + 3..];
    let mut next = || token(&mut rest).filter(|field| !field.is_empty()).ok_or(SHORT);
    let (client, requester, id, operation, key) = (next()?, next()?, next()?, next()?, next()?);
    let address = said(client).map(address).transpose()?;
    let (request, answer, rest) = request_and_answer(rest)?;
    let (referer, user_agent, tail) = headers(rest)?;
    if !ended && !tail.has_signature {
        return Err(CUT);
    }

    let operation = Kind::of(operation);
    let request = said(request).map(request_line).transpose()?;
    let (method, target) = match request {
        Some(request) => (request.method, target(&request, bucket, key)),
        None => ("", Cow::Owned(target_of(key, operation.keys_once))),
    };
    let host = request.and_then(|request| request.host);
    Ok(Some(Record {
        trusted: true,
        recorded: None,
        time: at,
        method: Cow::Borrowed(method),
        target,
        site: None,
        tells_query: true,
        identity: Fact::Unknown,
        client_name: Fact::Unknown,
        ja4: Fact::Unknown,
        address,
        requester: said(requester).filter(|name| *name != "Anonymous").into(),
        request_id: said(id).map(Cow::Borrowed),
        operation: operation.operation,
        bucket: said(bucket),
        host: host.map_or(tail.host, Fact::Present),
        status: answer.status,
        error: answer.error.map(Cow::Borrowed),
        bytes: answer.bytes,
        size: answer.size,
        millis: answer.millis,
        referer: header(referer),
        user_agent: header(user_agent),
        version: request.map_or(Fact::Unknown, |request| request.version),
        secure: tail.secure,
        signature: tail.signature,
        source_region: tail.region,
    }))
}

/// What an operation is for.
struct Kind {
    operation: Operation,
    /// Whether the key is encoded once, not twice.
    keys_once: bool,
}

impl Kind {
    /// `REST.GET.OBJECT` and others.
    fn of(word: &str) -> Self {
        if word == "REST.GET.OBJECT" {
            return Kind { operation: Operation::Read, keys_once: false };
        }
        let (kind, rest) = cut(word, b'.').unwrap_or((word, ""));
        let (verb, resource) = cut(rest, b'.').unwrap_or((rest, ""));
        let operation = match (kind, verb, resource) {
            ("S3", ..) => Operation::Lifecycle,
            (_, "GET" | "HEAD", "OBJECT") => Operation::Read,
            // What is billed as a list. Source: "Amazon S3 pricing", requests.
            (_, "GET", "BUCKET" | "BUCKETVERSIONS" | "UPLOADS" | "UPLOAD" | "SERVICE") => Operation::List,
            // The side of a copy that reads: no byte of it leaves S3.
            (_, "COPY", "OBJECT_GET" | "PART_GET") => Operation::Other,
            ("BATCH", ..) | (_, "PUT" | "POST" | "DELETE" | "COPY", _) => Operation::Write,
            _ => Operation::Other,
        };
        Kind { operation, keys_once: kind == "S3" || kind == "BATCH" }
    }
}

/// What S3 answered.
struct Answer<'a> {
    status: Option<u16>,
    error: Option<&'a str>,
    bytes: u64,
    size: Option<u64>,
    millis: Option<u64>,
}

/// Six fields: status, error code, bytes sent, object size, total time, turn-around time.
fn answer<'a>(rest: &mut &'a str) -> Result<Answer<'a>, Reason> {
    let mut next = || token(rest).ok_or(SHORT);
    let answer = Answer {
        status: status(next()?)?,
        error: said(next()?),
        bytes: number(next()?)?.unwrap_or(0),
        size: number(next()?)?,
        millis: number(next()?)?,
    };
    number(next()?)?;
    Ok(answer)
}

/// The request line, the answer, and what follows. The request line ends where an answer follows: no target holds
/// spaces, so no client can write one into it.
fn request_and_answer(rest: &str) -> Result<(&str, Answer<'_>, &str), Reason> {
    if let Some(mut after) = rest.strip_prefix("- ") {
        let answer = answer(&mut after)?;
        return Ok(("-", answer, after));
    }
    let quoted = rest.strip_prefix('"').ok_or(SHORT)?;
    let bytes = quoted.as_bytes();
    let mut fault = QUOTES;
    for end in memchr_iter(b'"', bytes) {
        // ` 200 ` or ` - `.
        if bytes.get(end + 1) != Some(&b' ') || !matches!(bytes.get(end + 2), Some(b'0'..=b'9' | b'-')) {
            continue;
        }
        let mut after = &quoted[end + 2..];
        match answer(&mut after) {
            Ok(answer) => return Ok((&quoted[..end], answer, after)),
            Err(reason) => fault = reason,
        }
    }
    Err(fault)
}

/// Referer, User-Agent and what follows.
fn headers(rest: &str) -> Result<(&str, &str, Tail<'_>), Reason> {
    let bytes = rest.as_bytes();
    let mut plain = None;
    for end in memrchr_iter(b'"', bytes).take(QUOTES_BEHIND) {
        let tail = match bytes.get(end + 1) {
            None => "",
            Some(b' ') => &rest[end + 2..],
            Some(_) => continue,
        };
        // Behind the headers of today's lines stand the words of the signature. A field in quotes further on is of the
        // future.
        if let Ok(tail) = Tail::new(tail)
            && tail.is_known
        {
            return split(&rest[..=end]).map(|(referer, user_agent)| (referer, user_agent, tail));
        }
        // In lines without them nothing is quoted behind the User-Agent.
        plain = plain.or(Some((&rest[..=end], tail)));
    }
    let (referer, user_agent, tail) = match plain {
        None => ("-", "-", rest.strip_prefix("- -").ok_or(QUOTES)?.trim_start()),
        Some((both, tail)) => match (split(both), strip(both), tail.strip_prefix("- ")) {
            (Ok((referer, user_agent)), ..) => (referer, user_agent, tail),
            (Err(_), Some(referer), Some(tail)) => (referer, "-", tail),
            (Err(reason), ..) => return Err(reason),
        },
    };
    Ok((referer, user_agent, Tail::new(tail)?))
}

/// `"referer" "user agent"`; without quotes each may be `-`.
fn split(both: &str) -> Result<(&str, &str), Reason> {
    let quoted = |text| strip(text).ok_or(QUOTES);
    if let Some(user_agent) = both.strip_prefix("- ") {
        return Ok(("-", quoted(user_agent)?));
    }
    let bytes = both.as_bytes();
    let middle = memchr_iter(b'"', bytes).find(|at| bytes[*at..].starts_with(b"\" \"")).ok_or(QUOTES)?;
    Ok((quoted(&both[..=middle])?, quoted(&both[middle + 2..])?))
}

/// What stands between two quotes.
fn strip(text: &str) -> Option<&str> {
    text.strip_prefix('"')?.strip_suffix('"')
}

/// What follows the headers.
struct Tail<'a> {
    host: Fact<&'a str>,
    secure: Fact<bool>,
    signature: Fact<Signature>,
    region: Fact<&'a str>,
    /// Whether the fields of 2018 are there.
    has_signature: bool,
    /// Whether the words of the signature stand where they should.
    is_known: bool,
}

impl<'a> Tail<'a> {
    /// Version id, host id, signature version, cipher suite, authentication type, host header, TLS version, access
    /// point, ACL required, source region.
    ///
    /// Lines ended with the User-Agent or the version id once, and since 2018 the next five have come together: a line
    /// that ends between them was cut off. Where it was cut off behind them, the last field may be half of one.
    fn new(tail: &'a str) -> Result<Self, Reason> {
        let mut rest = tail;
        let mut fields = [""; 10];
        let mut count = 0;
        for field in &mut fields {
            let Some(token) = token(&mut rest) else { break };
            *field = token;
            count += 1;
        }
        let [_, _, version, cipher, kind, host, tls, _, _, region] = fields;
        if (2..6).contains(&count) {
            return Err(CUT);
        }
        let has = |index: usize| index < count;
        let signature = match kind {
            "AuthHeader" => Fact::Present(Signature::Header),
            "QueryString" => Fact::Present(Signature::Query),
            "-" => Fact::Absent,
            _ => Fact::Unknown,
        };
        let tls = if has(6) { tls } else { cipher };
        // Half the name of a region lacks its number.
        let is_region = has(9) && (region == "-" || region.ends_with(|c: char| c.is_ascii_digit()));
        Ok(Tail {
            host: if has(6) { said(host).into() } else { Fact::Unknown },
            secure: if has(5) { Fact::Present(tls != "-") } else { Fact::Unknown },
            signature,
            region: if is_region { said(region).into() } else { Fact::Unknown },
            has_signature: has(5),
            is_known: (version == "-" || version.starts_with("Sig")) && signature != Fact::Unknown,
        })
    }
}

/// What a client of the bucket asked for. A target in path style begins with the bucket's name; whether that is the
/// bucket or a folder of the same name, the key tells.
fn target<'a>(request: &RequestLine<'a>, bucket: &str, key: &str) -> Cow<'a, str> {
    let whole = request.target;
    let path = cut(whole, b'?').map_or(whole, |(path, _)| path);
    let Some(below) = path.strip_prefix('/') else { return Cow::Borrowed(whole) };
    let in_bucket = below.strip_prefix(bucket).filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let Some(in_bucket) = in_bucket else { return Cow::Borrowed(whole) };
    let is_path_style = match said(key) {
        // The bucket itself.
        None => in_bucket.len() <= 1,
        Some(key) => !same(below, key) && !in_bucket.is_empty(),
    };
    match (is_path_style, in_bucket.is_empty()) {
        (false, _) => Cow::Borrowed(whole),
        (true, false) => Cow::Borrowed(&whole[1 + bucket.len()..]),
        (true, true) => Cow::Owned(format!("/{}", &whole[1 + bucket.len()..])),
    }
}

/// The target of a record without a request line: the key, encoded once.
fn target_of(key: &str, keys_once: bool) -> String {
    match said(key) {
        None => "/".into(),
        Some(key) if keys_once => format!("/{key}"),
        Some(key) => format!("/{}", super::text::decoded(key)),
    }
}

/// Whether a path as sent is a key as logged. In both `+` may be a space.
fn same(path: &str, key: &str) -> bool {
    if path == key {
        return true;
    }
    if !path.contains(['%', '+']) && !key.contains(['%', '+']) {
        return false;
    }
    let once = |text: &str| percent_decode_str(&text.replace('+', " ")).collect::<Vec<u8>>();
    let (path, key) = (once(path), once(key));
    path == key || percent_decode_str(&String::from_utf8_lossy(&key).replace('+', " ")).eq(path)
}
