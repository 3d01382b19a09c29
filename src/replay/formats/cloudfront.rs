//! CloudFront standard logs: fields between tabs, named by a header of the file.
//!
//! Values are percent-encoded, a `%` of the request as `%25`; User-Agents were encoded twice for years.
//! Source: "Standard logging reference" of the CloudFront developer guide.

use super::Parsed;
use super::text::{address, cut, decoded, is_method, number, said, status, utc, version};
use crate::clock::Timestamp;
use crate::facts::Fact;
use crate::replay::record::Record;
use memchr::memchr;
use std::borrow::Cow;

/// The fields that are read.
const NAMES: [&str; 16] = [
    "date",
    "time",
    "c-ip",
    "cs-method",
    "cs-uri-stem",
    "cs-uri-query",
    "sc-status",
    "sc-bytes",
    "time-taken",
    "cs(Referer)",
    "cs(User-Agent)",
    "x-edge-request-id",
    "x-host-header",
    "cs(Host)",
    "cs-protocol",
    "cs-protocol-version",
];

/// Where they stand when no header says.
const STANDARD: &str = "date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) \
    cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header cs-protocol cs-bytes \
    time-taken x-forwarded-for ssl-protocol ssl-cipher x-edge-response-result-type cs-protocol-version";

/// More fields than any log has.
const MOST: usize = 64;

/// Which field stands where.
#[derive(Debug)]
pub struct Columns {
    /// For each of `NAMES`.
    places: [Option<usize>; NAMES.len()],
    /// How many fields a line has, where a header said so.
    count: Option<usize>,
}

impl Columns {
    /// Those of a file without a header.
    pub fn standard() -> Self {
        Columns { count: None, ..Columns::named(STANDARD) }
    }

    fn named(header: &str) -> Self {
        let names: Vec<&str> = header.split_ascii_whitespace().take(MOST).collect();
        Columns { places: NAMES.map(|name| names.iter().position(|other| *other == name)), count: Some(names.len()) }
    }

    /// Reads one line, a header or a request.
    pub fn parse<'a>(&mut self, line: &'a str, ended: bool) -> Parsed<'a> {
        if let Some(comment) = line.strip_prefix('#') {
            if let Some(names) = comment.strip_prefix("Fields:") {
                *self = Columns::named(names);
            }
            return Ok(None);
        }
        let mut fields = [""; MOST];
        let mut count = 0;
        let mut rest = Some(line);
        for field in &mut fields {
            let Some(now) = rest else { break };
            (*field, rest) = cut(now, b'\t').map_or((now, None), |(field, rest)| (field, Some(rest)));
            count += 1;
        }
        if self.count.is_some_and(|expected| count < expected) || !ended {
            return Err("the line is cut off");
        }
        let [date, time, client, method, stem, query, code, bytes, taken, referer, agent, id, host, own, scheme, http] =
            self.places.map(|place| place.and_then(|place| fields.get(place).copied()).filter(|text| !text.is_empty()));
        let missing = "a field is missing";
        let end = utc(date.ok_or(missing)?, time.ok_or(missing)?).ok_or("the time is none")?;
        let method = method.ok_or(missing)?;
        if !is_method(method) {
            return Err("the method is none");
        }
        let millis = taken.and_then(|taken| taken.parse().ok()).and_then(seconds);
        let began = Timestamp(end.0.saturating_sub(millis.unwrap_or(0)));
        let mut target = as_sent(stem.ok_or(missing)?);
        if let Some(query) = query.and_then(said) {
            target = Cow::Owned(format!("{target}?{}", as_sent(query)));
        }
        let header = |field: Option<&'a str>| field.map_or(Fact::Unknown, |text| said(text).map(plain).into());
        Ok(Some(Record {
            address: Some(address(client.ok_or(missing)?)?),
            request_id: id.and_then(said).map(Cow::Borrowed),
            host: host.and_then(said).or(own.and_then(said)).map_or(Fact::Unknown, Fact::Present),
            tells_query: query.is_some(),
            status: code.map_or(Ok(None), status)?,
            bytes: number(bytes.ok_or(missing)?)?.unwrap_or(0),
            millis,
            referer: header(referer),
            user_agent: header(agent),
            version: http.and_then(|text| text.strip_prefix("HTTP/")).map_or(Fact::Unknown, version),
            secure: scheme.map_or(Fact::Unknown, |scheme| Fact::Present(matches!(scheme, "https" | "wss"))),
            ..Record::new(began, Cow::Borrowed(method), target)
        }))
    }
}

/// Milliseconds; `None` for what is no duration.
fn seconds(seconds: f64) -> Option<u64> {
    std::time::Duration::try_from_secs_f64(seconds).ok().and_then(|taken| u64::try_from(taken.as_millis()).ok())
}

/// A path or query as the client sent it. Of what CloudFront encoded only the `%` is decoded: all else has the same
/// reading encoded as it has plain.
fn as_sent(text: &str) -> Cow<'_, str> {
    let has_percent = memchr(b'%', text.as_bytes()).is_some();
    if has_percent { Cow::Owned(text.replace("%25", "%")) } else { Cow::Borrowed(text) }
}

/// A header as the client sent it.
fn plain(text: &str) -> Cow<'_, str> {
    match decoded(text) {
        Cow::Owned(once) if once.contains("%20") => Cow::Owned(decoded(&once).into_owned()),
        once => once,
    }
}
