//! What answers say besides the object.

use crate::challenge::Offer;
use crate::clock::Timestamp;
use crate::printable::printable;
use http::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderName, RETRY_AFTER};
use serde::Deserialize;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// The value of a header, as a text.
pub(super) fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Where the body of a 206 belongs, or what a 416 says: `first` is absent there, `total` where it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ContentRange {
    pub first: Option<u64>,
    pub total: Option<u64>,
}

/// Reads Content-Range (RFC 9110, section 14.4).
pub(super) fn content_range(headers: &HeaderMap) -> Option<ContentRange> {
    let (range, total) = text(headers, &CONTENT_RANGE)?.strip_prefix("bytes ")?.split_once('/')?;
    let first = match range.trim() {
        "*" => None,
        range => Some(range.split_once('-')?.0.parse().ok()?),
    };
    let total = match total.trim() {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    Some(ContentRange { first, total })
}

/// How long the server asks to wait: seconds or a date (RFC 9110, section 10.2.3).
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = text(headers, &RETRY_AFTER)?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = OffsetDateTime::parse(value, &Rfc2822).ok()?;
    let millis = u64::try_from(date.unix_timestamp_nanos() / 1_000_000).ok()?;
    Some(Duration::from_millis(millis.saturating_sub(now.0)))
}

/// What a refusal says.
#[derive(Debug, Default)]
pub(super) struct Complaint {
    /// One sentence, printable.
    pub detail: String,
    /// The challenge, where a pass would help.
    pub challenge: Option<Offer>,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    detail: String,
    challenge: Option<Offer>,
}

/// Reads the body of a refusal, in whichever way it is written.
pub(super) fn complaint(headers: &HeaderMap, body: &str) -> Complaint {
    let kind = text(headers, &CONTENT_TYPE).unwrap_or_default();
    if kind.starts_with("application/problem+json") {
        // A challenge of another form is none that can be solved; the sentence still says what to do.
        let problem = serde_json::from_str(body).or_else(|_| {
            let value: serde_json::Value = serde_json::from_str(body)?;
            let detail = value.get("detail").and_then(|detail| detail.as_str()).unwrap_or_default().to_owned();
            Ok::<_, serde_json::Error>(Problem { detail, challenge: None })
        });
        return problem.map_or_else(
            |_| Complaint::default(),
            |Problem { detail, challenge }| Complaint { detail: short(&detail), challenge },
        );
    }
    let element = |name: &str| {
        let (_, rest) = body.split_once(&format!("<{name}>"))?;
        Some(rest.split_once("</")?.0).filter(|text| !text.is_empty())
    };
    let detail = if kind.contains("xml") {
        [element("Code"), element("Message")].into_iter().flatten().collect::<Vec<_>>().join(": ")
    } else if kind.starts_with("text/plain") {
        body.lines().next().unwrap_or_default().to_owned()
    } else {
        String::new()
    };
    Complaint { detail: short(&detail), challenge: None }
}

/// A text of the server's, as it may be shown.
fn short(text: &str) -> String {
    let text: String = text.chars().take(400).collect();
    printable(text.trim().trim_end_matches(['.', ':']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn ranges_are_read() {
        let cases = [
            ("bytes 5-9/10", Some((Some(5), Some(10)))),
            ("bytes 5-9/*", Some((Some(5), None))),
            ("bytes */10", Some((None, Some(10)))),
            ("bytes x-9/10", None),
            ("pages 5-9/10", None),
            ("bytes 5-9", None),
        ];
        for (value, expected) in cases {
            let read = content_range(&headers(&[(CONTENT_RANGE, value)])).map(|range| (range.first, range.total));
            assert_eq!(read, expected, "{value}");
        }
    }

    #[test]
    fn servers_say_when_to_come_again() {
        let now = Timestamp(784_111_777_000);
        let cases = [
            ("3", Some(3)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ];
        for (value, seconds) in cases {
            let read = retry_after(&headers(&[(RETRY_AFTER, value)]), now);
            assert_eq!(read, seconds.map(Duration::from_secs), "{value}");
        }
    }

    #[test]
    fn refusals_are_read_in_all_dialects() {
        let offer = serde_json::to_string(&Offer::new("c".into(), 64, "logs")).unwrap();
        let cases = [
            ("application/problem+json", format!("{{\"detail\":\"No.\",\"challenge\":{offer}}}"), "No", true),
            (
                "application/problem+json",
                "{\"detail\":\"No.\",\"challenge\":{\"algorithm\":\"x\"}}".into(),
                "No",
                false,
            ),
            ("application/problem+json", "nonsense".into(), "", false),
            (
                "application/xml",
                "<Error><Code>AccessDenied</Code><Message>No.</Message></Error>".into(),
                "AccessDenied: No",
                false,
            ),
            ("text/plain; charset=utf-8", "No:\u{1b}[2J\nRequest id: 1".into(), "No:\\u{1b}[2J", false),
            ("text/html", "<title>No</title>".into(), "", false),
        ];
        for (kind, body, detail, solvable) in cases {
            let read = complaint(&headers(&[(CONTENT_TYPE, kind)]), &body);
            assert_eq!((&*read.detail, read.challenge.is_some()), (detail, solvable), "{kind} {body}");
        }
    }
}
