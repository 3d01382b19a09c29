//! What a token says: when it is good, for whom, and of whom.

use super::settings::OidcSettings;
use crate::clock::Timestamp;
use crate::identity::rejection::Rejection;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// By how many seconds two clocks may differ.
const LEEWAY: f64 = 60.0;

/// The claims of a token.
pub(in crate::identity) struct Claims(pub(super) Map<String, Value>);

/// A claim as texts: of a list, those of its items.
fn texts(value: &Value) -> Vec<Cow<'_, str>> {
    match value {
        Value::String(text) => vec![text.into()],
        Value::Number(_) | Value::Bool(_) => vec![value.to_string().into()],
        Value::Array(items) => items.iter().filter(|item| !item.is_array()).flat_map(texts).collect(),
        Value::Null | Value::Object(_) => Vec::new(),
    }
}

impl Claims {
    /// Whose token it is.
    pub(super) fn issuer(&self) -> Option<&str> {
        self.0.get("iss")?.as_str()
    }

    fn texts(&self, name: &str) -> Vec<Cow<'_, str>> {
        self.0.get(name).map(texts).unwrap_or_default()
    }

    /// Seconds since 1970.
    fn moment(&self, name: &str) -> Result<Option<f64>, Rejection> {
        self.0.get(name).map(|value| value.as_f64().ok_or(Rejection::Malformed)).transpose()
    }

    /// Whether the token is good at `now`, give or take a minute. It must say until when.
    pub(in crate::identity) fn check_times(&self, now: Timestamp) -> Result<(), Rejection> {
        let now = now.seconds() as f64;
        let expires = self.moment("exp")?.ok_or(Rejection::Malformed)?;
        if now >= expires + LEEWAY {
            return Err(Rejection::Expired);
        }
        let begins = self.moment("nbf")?.into_iter().chain(self.moment("iat")?);
        if begins.into_iter().any(|begin| now < begin - LEEWAY) { Err(Rejection::NotYet) } else { Ok(()) }
    }

    /// Whether the token is one of those that `wanted` means.
    pub(in crate::identity) fn check(&self, wanted: &OidcSettings) -> Result<(), Rejection> {
        if !self.texts("aud").iter().any(|audience| **audience == wanted.audience.0) {
            return Err(Rejection::Audience);
        }
        let holds = |(name, patterns): &(String, Vec<super::ClaimPattern>)| {
            let texts = self.texts(name);
            patterns.iter().any(|pattern| texts.iter().any(|text| pattern.matches(text)))
        };
        if wanted.claims.0.iter().all(holds) { Ok(()) } else { Err(Rejection::Claims) }
    }
}
