//! What a reader gets of an object, by the conditions and the range of its request.

use super::files::Stored;
use http::{HeaderMap, HeaderName, header};
use s3s::dto::{self, Timestamp, TimestampFormat};
use std::ops::Range;

/// What a reader gets.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    Whole,
    /// These bytes; never none.
    Part(Range<u64>),
    NotModified,
    PreconditionFailed,
    InvalidRange,
}

/// RFC 9110, section 13.2.2, with S3's leniency: what cannot be parsed was not said.
/// `part` is S3's part number, which no request with a range has.
pub(super) fn judge(stored: &Stored, headers: &HeaderMap, part: Option<u32>) -> Outcome {
    let date = |name| {
        let text = headers.get(name)?.to_str().ok()?;
        Timestamp::parse(TimestampFormat::HttpDate, text).ok()
    };
    let matched = lists(headers, header::IF_MATCH, &stored.etag)
        .unwrap_or_else(|| date(header::IF_UNMODIFIED_SINCE).is_none_or(|date| stored.modified <= date));
    if !matched {
        return Outcome::PreconditionFailed;
    }
    let unchanged = lists(headers, header::IF_NONE_MATCH, &stored.etag)
        .unwrap_or_else(|| date(header::IF_MODIFIED_SINCE).is_some_and(|date| stored.modified <= date));
    if unchanged {
        return Outcome::NotModified;
    }
    match part {
        None => {}
        // A file is an object of one part.
        Some(1) if stored.size > 0 => return Outcome::Part(0..stored.size),
        Some(1) => return Outcome::Whole,
        Some(_) => return Outcome::InvalidRange,
    }
    let current = match headers.get(header::IF_RANGE) {
        None => true,
        Some(value) if value.as_bytes().ends_with(b"\"") => *value == format!("\"{}\"", stored.etag),
        Some(_) => date(header::IF_RANGE).is_some_and(|date| stored.modified == date),
    };
    let asked = headers.get(header::RANGE).filter(|_| current);
    // Several ranges, too, are not understood, hence answered in full.
    let asked = asked.and_then(|value| dto::Range::parse(value.to_str().ok()?).ok());
    match asked.map(|range| range.check(stored.size)) {
        None => Outcome::Whole,
        Some(Ok(range)) if !range.is_empty() => Outcome::Part(range),
        Some(_) => Outcome::InvalidRange,
    }
}

/// Whether a header that lists ETags names this one; None without that header.
fn lists(headers: &HeaderMap, name: HeaderName, etag: &str) -> Option<bool> {
    let mut lines = headers.get_all(name).iter().peekable();
    lines.peek()?;
    let texts = lines.filter_map(|line| line.to_str().ok());
    let mut tags = texts.flat_map(|text| text.split(',')).map(str::trim);
    // S3 accepts an ETag without quotes, and its ETags are never weak.
    Some(tags.any(|tag| {
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        tag == "*" || tag.trim_matches('"') == etag
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE};
    use std::fs::File;
    use std::time::{Duration, UNIX_EPOCH};

    const DATE: &str = "Tue, 14 Nov 2023 22:13:20 GMT";
    const BEFORE: &str = "Mon, 13 Nov 2023 22:13:20 GMT";

    fn outcome(asked: &[(HeaderName, &str)], part: Option<u32>) -> Outcome {
        let stored = Stored {
            file: File::open("/dev/null").unwrap(),
            size: 100,
            etag: "tag".to_owned(),
            modified: (UNIX_EPOCH + Duration::from_secs(1_700_000_000)).into(),
            attributes: Default::default(),
            checksums: Vec::new(),
        };
        let headers = asked.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        judge(&stored, &headers, part)
    }

    #[test]
    fn conditions_and_ranges_are_judged_in_the_order_of_the_standard() {
        use Outcome::{InvalidRange, NotModified, Part, PreconditionFailed, Whole};
        let part = (RANGE, "bytes=0-9");
        let beyond = (RANGE, "bytes=100-");
        for (asked, expected) in [
            (vec![], Whole),
            (vec![part.clone()], Part(0..10)),
            (vec![(RANGE, "bytes=-5")], Part(95..100)),
            (vec![(RANGE, "bytes=-0")], InvalidRange),
            (vec![beyond.clone()], InvalidRange),
            (vec![(RANGE, "bytes=0-1,3-4")], Whole),
            (vec![(RANGE, "bytes=9-5")], Whole),
            (vec![(IF_NONE_MATCH, "\"tag\"")], NotModified),
            (vec![(IF_NONE_MATCH, "\"x\", W/\"tag\"")], NotModified),
            (vec![(IF_NONE_MATCH, "\"x\""), (IF_MODIFIED_SINCE, DATE)], Whole),
            (vec![(IF_MODIFIED_SINCE, DATE)], NotModified),
            (vec![(IF_MODIFIED_SINCE, BEFORE)], Whole),
            (vec![(IF_MODIFIED_SINCE, "yesterday")], Whole),
            (vec![(IF_MATCH, "*")], Whole),
            (vec![(IF_MATCH, "\"x\""), beyond.clone()], PreconditionFailed),
            (vec![(IF_MATCH, "tag"), (IF_UNMODIFIED_SINCE, BEFORE)], Whole),
            (vec![(IF_UNMODIFIED_SINCE, BEFORE)], PreconditionFailed),
            (vec![(IF_UNMODIFIED_SINCE, DATE)], Whole),
            (vec![(IF_NONE_MATCH, "\"tag\""), beyond], NotModified),
            (vec![(IF_RANGE, "\"tag\""), part.clone()], Part(0..10)),
            (vec![(IF_RANGE, "\"x\""), part.clone()], Whole),
            (vec![(IF_RANGE, DATE), part.clone()], Part(0..10)),
            (vec![(IF_RANGE, BEFORE), part], Whole),
        ] {
            assert_eq!(outcome(&asked, None), expected, "{asked:?}");
        }
    }

    #[test]
    fn an_object_has_one_part() {
        assert_eq!(outcome(&[], Some(1)), Outcome::Part(0..100));
        assert_eq!(outcome(&[], Some(2)), Outcome::InvalidRange);
        assert_eq!(outcome(&[(IF_NONE_MATCH, "\"tag\"")], Some(2)), Outcome::NotModified);
    }
}
