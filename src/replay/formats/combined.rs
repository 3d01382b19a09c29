//! The combined and common log formats of Apache and nginx, also with the virtual host in front.
//!
//! Only the form is common to them: whether the time is that of the request or of its end depends on the server, and
//! whether bytes include headers on its configuration.

use super::text::{COMMON_TIME, address, common_time, number, request_line, said, status, token, unescaped};
use super::{Parsed, Reason};
use crate::facts::Fact;
use crate::replay::record::Record;
use memchr::memchr2_iter;
use std::borrow::Cow;

const SHORT: Reason = "a field is missing";

/// Reads one line.
pub fn parse(line: &str, ended: bool) -> Parsed<'_> {
    let mut rest = line;
    let first = token(&mut rest).ok_or(SHORT)?;
    let (host, address) = match address(first) {
        Ok(address) => (Fact::Unknown, address),
        Err(reason) => (Fact::Present(first), address(token(&mut rest).ok_or(reason)?).map_err(|_| reason)?),
    };
    let (user, time, rest) = user_and_time(rest)?;
    let (request, rest) = quoted(rest)?.ok_or("the request line is not quoted")?;
    let request = unescaped(request);
    let mut rest = rest;
    let status = status(token(&mut rest).ok_or(SHORT)?)?;
    let bytes = token(&mut rest).ok_or(SHORT)?;
    let has_headers = ["\"", "- \"", "- -"].iter().any(|start| rest.starts_with(start));
    if !has_headers && !ended {
        return Err("the line is cut off");
    }
    let bytes = number(bytes)?.unwrap_or(0);
    let (mut referer, mut user_agent) = (Fact::Unknown, Fact::Unknown);
    if has_headers && let Some((field, rest)) = quoted(rest)? {
        referer = header(field);
        user_agent = header(quoted(rest)?.ok_or(SHORT)?.0);
    }
    let (method, target, request_host, version) = match request {
        Cow::Borrowed(line) => {
            let line = request_line(line)?;
            (Cow::Borrowed(line.method), Cow::Borrowed(line.target), line.host, line.version)
        }
        // Here a host in the target has no place to be borrowed from.
        Cow::Owned(line) => {
            let line = request_line(&line)?;
            (Cow::Owned(line.method.to_owned()), Cow::Owned(line.target.to_owned()), None, line.version)
        }
    };
    Ok(Some(Record {
        address: Some(address),
        requester: user,
        host: request_host.map_or(host, Fact::Present),
        status,
        bytes,
        referer,
        user_agent,
        version,
        ..Record::new(time, method, target)
    }))
}

/// `- user [time] `. A user's name may hold spaces and brackets, so the time is where one can be read.
fn user_and_time(rest: &str) -> Result<(Fact<&str>, crate::clock::Timestamp, &str), Reason> {
    let bytes = rest.as_bytes();
    for open in memchr::memchr_iter(b'[', bytes) {
        let close = open + 1 + COMMON_TIME;
        if bytes.get(close..close + 2) != Some(b"] ") || open == 0 || bytes[open - 1] != b' ' {
            continue;
        }
        if let Some(time) = common_time(&bytes[open + 1..close]) {
            let (_, user) = rest[..open].trim_end_matches(' ').split_once(' ').ok_or(SHORT)?;
            return Ok((said(user).into(), time, &rest[close + 2..]));
        }
    }
    Err("there is no time in brackets")
}

/// A quoted field and what follows it, `None` where there is no quote. A quote within is escaped; where some program
/// left it as it was, the field ends at one that a space or the end follows.
fn quoted(rest: &str) -> Result<Option<(&str, &str)>, Reason> {
    let Some(inner) = rest.strip_prefix('"') else {
        return Ok(rest.strip_prefix("- ").map(|after| ("-", after)));
    };
    let bytes = inner.as_bytes();
    let mut escaped = None;
    for at in memchr2_iter(b'"', b'\\', bytes) {
        if escaped == Some(at) {
            continue;
        }
        match (bytes[at], bytes.get(at + 1)) {
            (b'\\', _) => escaped = Some(at + 1),
            (_, None) => return Ok(Some((&inner[..at], ""))),
            (_, Some(b' ')) => return Ok(Some((&inner[..at], &inner[at + 2..]))),
            _ => {}
        }
    }
    Err("a quoted field has no end")
}

fn header(field: &str) -> Fact<Cow<'_, str>> {
    said(field).map(unescaped).into()
}
