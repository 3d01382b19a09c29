//! What the formats have in common: fields, numbers, moments, request lines, escapes.

use super::Reason;
use crate::clock::Timestamp;
use crate::facts::{Fact, HttpVersion};
use memchr::{memchr, memrchr};
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::net::IpAddr;

/// Takes the text up to the next space or the end. `None` at the end.
#[inline]
pub fn token<'a>(rest: &mut &'a str) -> Option<&'a str> {
    if rest.is_empty() {
        return None;
    }
    let (token, after) = rest.split_at(space(rest.as_bytes()).unwrap_or(rest.len()));
    *rest = after.get(1..).unwrap_or_default();
    Some(token)
}

/// Where the first space is. Most fields are so short that a search which is made for long texts costs more than the
/// field: the first eight bytes are looked at as one number, in which a zero byte stands for a space.
/// Source: Sean Eron Anderson, "Bit Twiddling Hacks", "Determine if a word has a zero byte".
#[inline]
fn space(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let within = |eight: &[u8; 8]| {
        let spaces = u64::from_le_bytes(*eight) ^ (ONES * b' ' as u64);
        let zeros = spaces.wrapping_sub(ONES) & !spaces & (ONES << 7);
        (zeros != 0).then(|| zeros.trailing_zeros() as usize / 8)
    };
    let Some((first, rest)) = bytes.split_first_chunk() else { return bytes.iter().position(|byte| *byte == b' ') };
    if let Some(at) = within(first) {
        return Some(at);
    }
    match rest.first_chunk().and_then(within) {
        Some(at) => Some(8 + at),
        None => memchr(b' ', rest).map(|at| 8 + at),
    }
}

/// The text before and behind the first `byte`, an ASCII character. Quicker than `split_once`.
pub fn cut(text: &str, byte: u8) -> Option<(&str, &str)> {
    let at = memchr(byte, text.as_bytes())?;
    Some((&text[..at], &text[at + 1..]))
}

/// What a field says; `-` says nothing.
pub fn said(field: &str) -> Option<&str> {
    (field != "-").then_some(field)
}

/// A whole number, `None` for `-`.
///
/// # Errors
/// When it is neither.
pub fn number(field: &str) -> Result<Option<u64>, Reason> {
    if field == "-" {
        return Ok(None);
    }
    digits(field.as_bytes()).map(Some).ok_or("a number is expected where there is none")
}

fn digits(bytes: &[u8]) -> Option<u64> {
    // 18 digits cannot overflow.
    if bytes.is_empty() || bytes.len() > 18 {
        return None;
    }
    bytes.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u64::from(byte - b'0')))
}

/// A status of three digits; `-` and all zeros are none, as is what no server answers with.
///
/// # Errors
/// When it is anything else.
pub fn status(field: &str) -> Result<Option<u16>, Reason> {
    match number(field)? {
        None | Some(0) => Ok(None),
        Some(code @ 100..=999) => Ok(u16::try_from(code).ok()),
        Some(_) => Err("the status is no HTTP status"),
    }
}

/// A client's address.
///
/// # Errors
/// When it is none.
pub fn address(field: &str) -> Result<IpAddr, Reason> {
    field.parse().map(crate::network::unmapped).map_err(|_| "the client's address is none")
}

/// Days from the Unix epoch to a date of the Gregorian calendar, for years from 1970 to 2199: what is beyond is damage,
/// not a date. Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => return None,
    };
    if !(1970..2200).contains(&year) || !(1..=length).contains(&day) {
        return None;
    }
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// Seconds since midnight, from `HH:MM:SS`. A leap second is there.
fn of_day(bytes: &[u8]) -> Option<u64> {
    let [h, hh, b':', m, mm, b':', s, ss] = *bytes else { return None };
    let (hours, minutes, seconds) = (digits(&[h, hh])?, digits(&[m, mm])?, digits(&[s, ss])?);
    (hours < 24 && minutes < 60 && seconds <= 60).then_some(hours * 3600 + minutes * 60 + seconds)
}

/// Seconds by which `+HHMM` or `-HH:MM` is ahead of UTC.
fn ahead(bytes: &[u8]) -> Option<i64> {
    let (sign, h, hh, m, mm) = match *bytes {
        [sign, h, hh, m, mm] | [sign, h, hh, b':', m, mm] => (sign, h, hh, m, mm),
        _ => return None,
    };
    let seconds = i64::try_from(digits(&[h, hh])? * 3600 + digits(&[m, mm])? * 60).ok()?;
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

fn moment(days: u64, of_day: u64, ahead: i64) -> Option<Timestamp> {
    let seconds = (days * 86_400 + of_day).checked_add_signed(-ahead)?;
    Some(Timestamp(seconds * 1000))
}

/// The length of a moment as [`common_time`] reads it.
pub const COMMON_TIME: usize = 26;

/// A moment of the common log format: `06/Feb/2019:00:00:38 +0000`.
pub fn common_time(bytes: &[u8]) -> Option<Timestamp> {
    const MONTHS: [&[u8]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    if bytes.len() != COMMON_TIME || [bytes[2], bytes[6], bytes[11], bytes[20]] != *b"//: " {
        return None;
    }
    let month = MONTHS.iter().position(|name| *name == &bytes[3..6])? as u64 + 1;
    let days = days(digits(&bytes[7..11])?, month, digits(&bytes[..2])?)?;
    moment(days, of_day(&bytes[12..20])?, ahead(&bytes[21..])?)
}

/// A date and a time of day in UTC: `2019-02-06` and `00:00:38`.
pub fn utc(date: &str, time: &str) -> Option<Timestamp> {
    moment(date_days(date.as_bytes())?, of_day(time.as_bytes())?, 0)
}

fn date_days(date: &[u8]) -> Option<u64> {
    if date.len() != 10 || date[4] != b'-' || date[7] != b'-' {
        return None;
    }
    days(digits(&date[..4])?, digits(&date[5..7])?, digits(&date[8..])?)
}

/// A moment as RFC 3339 writes it, to the millisecond: `2019-02-06T00:00:38.123456Z`.
pub fn internet_time(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let (day, rest) = bytes.split_at_checked(10)?;
    let (time, mut rest) = rest.split_first().filter(|(t, _)| **t == b'T' || **t == b' ')?.1.split_at_checked(8)?;
    let mut millis = 0;
    if let Some(fraction) = rest.strip_prefix(b".") {
        let length = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let three = [0, 1, 2].map(|at| if at < length { fraction[at] } else { b'0' });
        millis = digits(&three)?;
        rest = &fraction[length..];
    }
    let ahead = if rest == b"Z" { 0 } else { ahead(rest)? };
    let whole = moment(date_days(day)?, of_day(time)?, ahead)?;
    Some(Timestamp(whole.0 + millis))
}

/// Whether this could be the method of a request, extension methods of WebDAV and the like included.
pub fn is_method(text: &str) -> bool {
    !text.is_empty() && text.len() <= 32 && text.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-')
}

/// The three parts of a request line.
#[derive(Debug, Clone, Copy)]
pub struct RequestLine<'a> {
    /// The method.
    pub method: &'a str,
    /// The host that an absolute target names.
    pub host: Option<&'a str>,
    /// The target, without scheme and host.
    pub target: &'a str,
    /// The version; old logs and HTTP/0.9 name none.
    pub version: Fact<HttpVersion>,
}

/// Reads a request line.
///
/// # Errors
/// When it is none: what clients send may be anything, such as the beginning of a TLS handshake.
pub fn request_line(line: &str) -> Result<RequestLine<'_>, Reason> {
    const GARBAGE: Reason = "the request line is no HTTP request";
    let (method, rest) = line.split_at(space(line.as_bytes()).ok_or(GARBAGE)?);
    let rest = &rest[1..];
    // Mostly it ends in ` HTTP/1.1`.
    let usual = rest.len().checked_sub(9).filter(|at| rest.as_bytes()[*at] == b' ');
    let (target, version) = match usual.or_else(|| memrchr(b' ', rest.as_bytes())) {
        Some(at) if rest[at + 1..].starts_with("HTTP/") => (&rest[..at], version(&rest[at + 6..])),
        _ => (rest, Fact::Unknown),
    };
    if !is_method(method) || target.is_empty() || has_controls(target) {
        return Err(GARBAGE);
    }
    let (host, target) = match target.as_bytes()[0] {
        b'/' => (None, target),
        _ => origin_form(target),
    };
    Ok(RequestLine { method, host, target, version })
}

/// Without a branch for each byte.
fn has_controls(text: &str) -> bool {
    text.bytes().fold(false, |found, byte| found | byte.is_ascii_control())
}

/// Splits `http://host/path` into host and path.
fn origin_form(target: &str) -> (Option<&str>, &str) {
    let Some((scheme, rest)) = target.split_once("://") else { return (None, target) };
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return (None, target);
    }
    match rest.find(['/', '?']) {
        Some(at) if rest[at..].starts_with('/') => (Some(&rest[..at]), &rest[at..]),
        // Without a path; that there is a query then is too rare to keep it.
        Some(at) => (Some(&rest[..at]), "/"),
        None => (Some(rest), "/"),
    }
}

/// The version behind `HTTP/`.
pub fn version(text: &str) -> Fact<HttpVersion> {
    match text {
        "1.1" => Fact::Present(HttpVersion::Http11),
        "0.9" | "1.0" => Fact::Present(HttpVersion::Http10),
        "2" | "2.0" | "3" | "3.0" => Fact::Present(HttpVersion::Http2),
        _ => Fact::Unknown,
    }
}

/// A header as logged: `-` is absent.
pub fn header(text: &str) -> Fact<Cow<'_, str>> {
    said(text).map(Cow::Borrowed).into()
}

/// Undoes the escapes of Apache (`\"`, `\\`, `\n`, `\xhh`) and nginx (`\xHH`). What is no UTF-8 then becomes U+FFFD.
/// Source: Apache httpd, `ap_escape_logitem`; nginx, `ngx_http_log_escape`.
pub fn unescaped(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let Some(first) = memchr(b'\\', bytes) else { return Cow::Borrowed(text) };
    let mut plain = Vec::with_capacity(bytes.len());
    plain.extend_from_slice(&bytes[..first]);
    let mut rest = &bytes[first..];
    while let Some((byte, after)) = rest.split_first() {
        let (said, after) = match (byte, after) {
            (b'\\', [b'x', a, b, after @ ..]) if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
                (hex(*a) * 16 + hex(*b), after)
            }
            (b'\\', [letter, after @ ..]) => match letter {
                b'"' | b'\\' => (*letter, after),
                b'n' => (b'\n', after),
                b'r' => (b'\r', after),
                b't' => (b'\t', after),
                b'b' => (8, after),
                b'v' => (11, after),
                b'f' => (12, after),
                // No escape: a backslash that some other program left as it was.
                _ => (b'\\', &rest[1..]),
            },
            (byte, after) => (*byte, after),
        };
        plain.push(said);
        rest = after;
    }
    Cow::Owned(lossy(plain))
}

/// The value of a hexadecimal digit.
fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Percent-decoded once. Borrows what has nothing to decode.
pub fn decoded(text: &str) -> Cow<'_, str> {
    match memchr(b'%', text.as_bytes()) {
        None => Cow::Borrowed(text),
        Some(_) => percent_decode_str(text).decode_utf8_lossy(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn moments_are_read_to_the_second_and_damage_is_none() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let common = [
            ("06/Feb/2019:00:00:38 +0000", Some(at("2019-02-06T00:00:38Z"))),
            ("29/Feb/2024:23:59:60 +0000", Some(at("2024-03-01T00:00:00Z"))),
            ("01/Jan/2026:00:30:00 +0200", Some(at("2025-12-31T22:30:00Z"))),
            ("10/Oct/2000:13:55:36 -0730", Some(at("2000-10-10T21:25:36Z"))),
            ("01/Jan/1970:00:00:00 +0000", Some(Timestamp(0))),
            ("01/Jan/1970:00:00:00 +0001", None),
            ("29/Feb/2023:00:00:00 +0000", None),
            ("00/Feb/2023:00:00:00 +0000", None),
            ("06/feb/2019:00:00:38 +0000", None),
            ("06/Feb/2019:24:00:38 +0000", None),
            ("06/Feb/2019:00:00:38 00000", None),
            ("06/Feb/9019:00:00:38 +0000", None),
            ("06/Feb/2019:00:00:38 +000", None),
            ("06/Feb/2019:00:00:3\u{e4}+0000", None),
            ("", None),
        ];
        for (text, expected) in common {
            assert_eq!(common_time(text.as_bytes()), expected, "{text}");
        }
        let internet = [
            ("2026-11-01T00:00:00Z", Some(at("2026-11-01T00:00:00Z"))),
            ("2026-11-01T00:00:00.123456Z", Some(at("2026-11-01T00:00:00Z") + Duration::from_millis(123))),
            ("2026-11-01T00:00:00.5+01:00", Some(at("2026-10-31T23:00:00Z") + Duration::from_millis(500))),
            ("2026-11-01T00:00:00", None),
            ("2026-11-01X00:00:00Z", None),
            ("2026-11", None),
        ];
        for (text, expected) in internet {
            assert_eq!(internet_time(text), expected, "{text}");
        }
        assert_eq!(utc("2019-12-04", "21:02:31"), Some(at("2019-12-04T21:02:31Z")));
        assert_eq!(utc("2019-13-04", "21:02:31"), None);
    }

    #[test]
    fn request_lines_are_told_from_garbage() {
        let good = [
            ("GET / HTTP/1.1", "GET", None, "/", Fact::Present(HttpVersion::Http11)),
            ("GET /a?b=c HTTP/2.0", "GET", None, "/a?b=c", Fact::Present(HttpVersion::Http2)),
            ("GET /a b HTTP/1.0", "GET", None, "/a b", Fact::Present(HttpVersion::Http10)),
            ("GET /a", "GET", None, "/a", Fact::Unknown),
            ("GET /\" HTTP/1.1", "GET", None, "/\"", Fact::Present(HttpVersion::Http11)),
            ("GET http://h:80/a HTTP/1.1", "GET", Some("h:80"), "/a", Fact::Present(HttpVersion::Http11)),
            ("GET HTTPS://h HTTP/1.1", "GET", Some("h"), "/", Fact::Present(HttpVersion::Http11)),
            ("OPTIONS * HTTP/1.1", "OPTIONS", None, "*", Fact::Present(HttpVersion::Http11)),
            ("CONNECT h:443 HTTP/1.1", "CONNECT", None, "h:443", Fact::Present(HttpVersion::Http11)),
        ];
        for (line, method, host, target, version) in good {
            let read = request_line(line).unwrap();
            assert_eq!((read.method, read.host, read.target, read.version), (method, host, target, version), "{line}");
        }
        for line in ["", "-", "GET", "GET ", " / HTTP/1.1", "\u{16}\u{3}\u{1} /", "G\\x16T / HTTP/1.1", "GET /\u{1}"] {
            assert!(request_line(line).is_err(), "{line:?}");
        }
    }

    #[test]
    fn escapes_of_both_servers_are_undone() {
        let cases = [
            ("plain", "plain"),
            (r#"a \"b\" c"#, "a \"b\" c"),
            (r"a\x22b\xC3\xBC", "a\"b\u{fc}"),
            (r"\\x41\n\t\q\", "\\x41\n\t\\q\\"),
            (r"\xff\x4", "\u{fffd}\\x4"),
            ("\\\u{fc}", "\\\u{fc}"),
        ];
        for (escaped, plain) in cases {
            assert_eq!(unescaped(escaped), plain, "{escaped}");
        }
        assert!(matches!(unescaped("plain"), Cow::Borrowed(_)));
    }

    #[test]
    fn fields_end_at_spaces() {
        let mut rest = "- a bc 0123456 01234567 012345678 \u{fc}\u{fc}\u{fc}!\" \u{2020}  x";
        let fields: Vec<&str> = std::iter::from_fn(|| token(&mut rest)).collect();
        let expected =
            ["-", "a", "bc", "0123456", "01234567", "012345678", "\u{fc}\u{fc}\u{fc}!\"", "\u{2020}", "", "x"];
        assert_eq!(fields, expected);
    }

    proptest! {
        #[test]
        fn a_field_is_what_stands_before_a_space(text in "[a ~!\u{a0}\u{2020}]{0,20}") {
            let mut rest = &*text;
            let (first, after) = text.split_once(' ').unwrap_or((&text, ""));
            prop_assert_eq!(token(&mut rest), (!text.is_empty()).then_some(first));
            prop_assert_eq!(rest, after);
        }

        #[test]
        fn moments_agree_with_the_calendar(seconds in 0_u64..7_000_000_000) {
            let at = Timestamp(seconds * 1000);
            prop_assert_eq!(internet_time(&at.to_string()), Some(at));
            let text = at.to_string();
            prop_assert_eq!(utc(&text[..10], &text[11..19]), Some(at));
        }
    }
}
