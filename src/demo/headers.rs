//! The headers by which S3 describes an object.

use super::files::Stored;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use s3s::dto::{Timestamp, TimestampFormat};

/// What a 304 says, too.
pub(super) fn validators(stored: &Stored) -> HeaderMap {
    let mut headers = HeaderMap::new();
    set(&mut headers, header::ETAG, &format!("\"{}\"", stored.etag));
    set(&mut headers, header::LAST_MODIFIED, &http_date(&stored.modified));
    if let Some(value) = stored.attributes.standard.get("cache_control") {
        set(&mut headers, header::CACHE_CONTROL, value);
    }
    headers
}

/// What an answer with `length` bytes of the object says.
pub(super) fn describe(stored: &Stored, asked: &HeaderMap, length: u64) -> HeaderMap {
    let mut headers = validators(stored);
    set(&mut headers, header::CONTENT_TYPE, "binary/octet-stream");
    for (field, value) in &stored.attributes.standard {
        let date = Timestamp::parse(TimestampFormat::DateTime, value);
        match (field.as_str(), date) {
            ("expires", Ok(date)) => set(&mut headers, header::EXPIRES, &http_date(&date)),
            _ => set(&mut headers, field.replace('_', "-"), value),
        }
    }
    for (name, value) in &stored.attributes.user_metadata {
        set(&mut headers, format!("x-amz-meta-{name}"), value);
    }
    if length == stored.size && asked.contains_key("x-amz-checksum-mode") {
        for (algorithm, value) in &stored.checksums {
            set(&mut headers, format!("x-amz-checksum-{algorithm}"), value);
        }
    }
    set(&mut headers, "x-amz-server-side-encryption", "AES256");
    set(&mut headers, header::ACCEPT_RANGES, "bytes");
    set(&mut headers, header::CONTENT_LENGTH, &length.to_string());
    headers
}

/// Sets a header, unless what was stored cannot be one.
pub(super) fn set(headers: &mut HeaderMap, name: impl TryInto<HeaderName>, value: &str) {
    if let (Ok(name), Ok(value)) = (name.try_into(), HeaderValue::from_str(value)) {
        headers.insert(name, value);
    }
}

fn http_date(date: &Timestamp) -> String {
    let mut text = Vec::new();
    // Writing to memory does not fail, and a date that cannot be written is left out.
    let _ = date.format(TimestampFormat::HttpDate, &mut text);
    String::from_utf8(text).unwrap_or_default()
}
