//! The gateway's own access log: one JSON object per line.
//!
//! Messages may stand between its lines where both went to one file. They are passed over, as is any JSON of others.

use super::text::{internet_time, status};
use super::{Parsed, Reason};
use crate::clock::Timestamp;
use crate::facts::{Fact, Identity};
use crate::metrics::NO_SITE;
use crate::record::{Answers, RecordedFacts};
use crate::replay::record::Record;
use crate::replay::recorded::{Recorded, Told};
use crate::verdict::Done;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::de::{Deserialize, Deserializer, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What a path cannot hold plain and mean the same.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'?');

/// A text that is borrowed where it has no escapes, also where it is optional.
#[derive(Debug)]
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Texts)
    }
}

/// What is read of a line.
#[derive(Debug, serde::Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    target: Option<Text<'a>>,
    #[serde(borrow)]
    timestamp: Option<Text<'a>>,
    #[serde(borrow)]
    request_id: Option<Text<'a>>,
    #[serde(borrow)]
    site: Option<Text<'a>>,
    #[serde(borrow)]
    client: Option<Text<'a>>,
    #[serde(borrow)]
    method: Option<Text<'a>>,
    #[serde(borrow)]
    path: Option<Text<'a>>,
    status: Option<u16>,
    bytes: Option<u64>,
    #[serde(borrow)]
    identity: Option<Text<'a>>,
    #[serde(borrow)]
    client_name: Option<Text<'a>>,
    #[serde(borrow)]
    error: Option<Text<'a>>,
    seconds: Option<f64>,
    #[serde(borrow)]
    user_agent: Option<Text<'a>>,
    #[serde(borrow)]
    referer: Option<Text<'a>>,
    #[serde(borrow)]
    ja4: Option<Text<'a>>,
    trusted: Option<bool>,
    #[serde(borrow)]
    class: Option<Text<'a>>,
    #[serde(borrow)]
    action: Option<Text<'a>>,
    #[serde(borrow)]
    verdict: Option<Text<'a>>,
    #[serde(borrow)]
    rule: Option<Text<'a>>,
    #[serde(borrow)]
    would_rule: Option<Text<'a>>,
    #[serde(borrow)]
    would_action: Option<Text<'a>>,
    #[serde(borrow)]
    undecided: Option<Text<'a>>,
    #[serde(borrow)]
    policy: Option<Text<'a>>,
    facts: Option<RecordedFacts>,
    state: Option<Answers>,
}

impl Line<'_> {
    /// What was decided, where the line says on what it rested.
    fn recorded(&mut self) -> Option<Recorded> {
        let (facts, state) = self.facts.take().zip(self.state.take())?;
        let boxed = |text: &Option<Text<'_>>| text.as_ref().map(|text| Box::<str>::from(&*text.0));
        let action = boxed(&self.action)?;
        Some(Recorded {
            request_id: boxed(&self.request_id)?,
            policy: boxed(&self.policy)?,
            facts,
            state,
            is_limited: *action == *Done::Limit.word(),
            verdict: Told {
                class: boxed(&self.class)?,
                action: boxed(&self.verdict).unwrap_or(action),
                rule: boxed(&self.rule)?,
                held_back: boxed(&self.would_rule).zip(boxed(&self.would_action)),
                undecided: boxed(&self.undecided),
            },
        })
    }
}

/// Reads one line.
pub fn parse(line: &str) -> Parsed<'_> {
    if !line.starts_with('{') {
        return Ok(None);
    }
    let mut line: Line<'_> = serde_json::from_str(line).map_err(fault)?;
    if line.target.as_ref().is_some_and(|target| target.0 != "access") {
        return Ok(None);
    }
    let (recorded, is_read) = (line.recorded(), line.rule.is_some());
    let (Some(id), Some(method), Some(path), Some(code)) = (line.request_id, line.method, line.path, line.status)
    else {
        return Ok(None);
    };
    let ended = line.timestamp.and_then(|text| internet_time(&text.0)).ok_or("the time is none")?;
    let taken = line.seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let millis = taken.and_then(|taken| u64::try_from(taken.as_millis()).ok());
    // Where the gateway does not know the client, it has refused the request before it looked.
    let address = line.client.map(|text| super::text::address(&text.0)).transpose()?;
    let word = line.identity.map(|text| text.0);
    let identity = Identity::WORDS.into_iter().find(|(known, _)| word.as_deref() == Some(*known));
    let code = code.to_string();
    let came = Timestamp(ended.0.saturating_sub(millis.unwrap_or(0)));
    let came = recorded.as_ref().map_or(came, |recorded| Timestamp(recorded.facts.at));
    Ok(Some(Record {
        address,
        trusted: line.trusted.unwrap_or(true),
        recorded: recorded.map(Arc::new),
        request_id: Some(id.0),
        site: line.site.map(|site| site.0).filter(|site| site != NO_SITE),
        tells_query: false,
        status: status(&code)?,
        error: line.error.map(|error| error.0),
        bytes: line.bytes.unwrap_or(0),
        millis,
        referer: fact(line.referer),
        user_agent: fact(line.user_agent),
        client_name: if identity.is_some() { fact(line.client_name) } else { Fact::Unknown },
        // Where there is none, nobody knew it then either.
        ja4: line.ja4.map_or(Fact::Unknown, |text| Fact::Present(text.0)),
        identity: identity.map_or(Fact::Unknown, |(_, identity)| Fact::Present(identity)),
        ..Record::new(came, method.0, target(path.0, code != "400" || is_read))
    }))
}

fn fact(text: Option<Text<'_>>) -> Fact<Cow<'_, str>> {
    text.map(|text| text.0).into()
}

fn fault(error: serde_json::Error) -> Reason {
    if error.is_eof() { "the line is cut off" } else { "it is no JSON of the gateway's" }
}

/// The path as a client would ask for it. It is logged decoded, but for requests whose path could not be `read`: these
/// were answered 400 before anything was decided, and their path is logged as it was sent.
fn target(path: Cow<'_, str>, read: bool) -> Cow<'_, str> {
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'#' | b'%' | b'?'));
    if plain || !read { path } else { Cow::Owned(utf8_percent_encode(&path, ENCODED).to_string()) }
}
