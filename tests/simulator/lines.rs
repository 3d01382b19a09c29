//! Events as lines of access logs.

use super::chance;
use super::client::Kind;
use super::event::Event;
use super::rhythm::{self, DAY};
use std::fmt::Write;

/// The canonical id of the buckets' owner.
pub const OWNER: &str = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be";

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Request ids are of these letters.
const ID: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A line of S3's server access log, without the line's end, with all fields up to the source region. Keys need no
/// escapes, see [`Event::path`]. Its request id is the only one of this number in a traffic.
///
/// Source: "Amazon S3 server access log format", Amazon S3 User Guide.
pub fn s3_line(event: &Event) -> String {
    let mut line = String::with_capacity(700);
    write_s3(&mut line, event);
    line
}

/// Appends what [`s3_line`] returns.
pub fn write_s3(line: &mut String, event: &Event) {
    let host = event.host();
    let bucket = host.split('.').next().unwrap_or(host);
    let is_list = event.path == "/";
    let key = if is_list { "-" } else { &event.path[1..] };
    let resource = if is_list { "BUCKET" } else { "OBJECT" };
    let error = match event.status {
        403 => "AccessDenied",
        404 => "NoSuchKey",
        416 => "InvalidRange",
        _ => "-",
    };
    let _ = write!(line, "{OWNER} {bucket} [");
    write_time(line, event.at_ms);
    let _ = write!(line, "] {} {} ", event.address, event.requester.as_deref().unwrap_or("-"));
    write_id(line, event);
    let _ = write!(line, " REST.{}.{resource} {key} \"{} {}", event.method, event.method, event.path);
    if let Some(query) = &event.query {
        let _ = write!(line, "?{query}");
    }
    let _ = write!(line, " HTTP/1.1\" {} {error} ", event.status);
    write_or_dash(line, (event.bytes > 0).then_some(event.bytes));
    line.push(' ');
    write_or_dash(line, event.object_size);
    let turn_around = (4 + event.number % 23).min(u64::from(event.took_ms));
    let _ = write!(line, " {} {turn_around} \"", event.took_ms);
    line.push_str(event.referer.as_deref().unwrap_or("-"));
    line.push_str("\" \"");
    line.push_str(event.user_agent().unwrap_or("-"));
    line.push_str("\" - ");
    write_host_id(line, event.number);
    let is_signed = event.requester.is_some();
    let is_presigned = event.query.as_ref().is_some_and(|query| query.contains("X-Amz-Signature"));
    let (signature, kind) = match (is_signed, is_presigned) {
        (false, _) => ("-", "-"),
        (true, true) => ("SigV4", "QueryString"),
        (true, false) => ("SigV4", "AuthHeader"),
    };
    let (cipher, tls) = match (event.is_tls, &event.client.kind) {
        (false, _) => ("-", "-"),
        (true, Kind::Wget) => ("ECDHE-RSA-AES128-GCM-SHA256", "TLSv1.2"),
        (true, _) => ("TLS_AES_128_GCM_SHA256", "TLSv1.3"),
    };
    let region = event.region.unwrap_or("-");
    let _ = write!(line, " {signature} {cipher} {kind} {host} {tls} - - {region}");
}

/// A line of the combined format of Apache and nginx, without the line's end. It knows neither host nor signature.
pub fn combined_line(event: &Event) -> String {
    let mut line = String::with_capacity(400);
    let _ = write!(line, "{} - - [", event.address);
    write_time(&mut line, event.at_ms);
    let _ = write!(
        line,
        "] \"{} {} HTTP/1.1\" {} {} \"{}\" \"{}\"",
        event.method,
        event.target(),
        event.status,
        event.bytes,
        event.referer.as_deref().unwrap_or("-"),
        event.user_agent().unwrap_or("-"),
    );
    line
}

fn write_time(line: &mut String, at_ms: i64) {
    let (year, month, day) = rhythm::date(at_ms.div_euclid(DAY));
    let (hour, minute, second) = rhythm::clock(at_ms);
    let month = MONTHS[month as usize - 1];
    let _ = write!(line, "{day:02}/{month}/{year}:{hour:02}:{minute:02}:{second:02} +0000");
}

fn write_or_dash(line: &mut String, number: Option<u64>) {
    let _ = match number {
        Some(number) => write!(line, "{number}"),
        None => write!(line, "-"),
    };
}

/// 16 letters: 80 bits of which 40 are the number, so that no two are equal.
fn write_id(line: &mut String, event: &Event) {
    let scattered = chance::mix(event.number ^ chance::mix(event.at_ms as u64));
    for place in 0..8 {
        let number = event.number >> (5 * place);
        line.push(char::from(ID[(scattered >> (5 * place)) as usize % 32]));
        line.push(char::from(ID[number as usize % 32]));
    }
}

/// 76 letters, as of 56 bytes.
fn write_host_id(line: &mut String, number: u64) {
    for part in 0..8 {
        let bits = chance::blend(&[number, part]);
        let letters = if part == 7 { 5 } else { 10 };
        line.extend((0..letters).map(|place| char::from(BASE64[(bits >> (6 * place)) as usize % 64])));
    }
    line.push('=');
}
