//! Scalars: the single values that settings are made of.

use super::decode::{Decode, expected};
use super::schema::{self, Schemas, pattern};
use super::{Diagnostics, Node};
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

/// The name of an HTTP header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderName(pub http::HeaderName);

/// What names of headers look like: a token (RFC 9110, section 5.6.2), or with the `"` that the library lets pass.
pub const HEADER_NAME: &str = r##"^[!"#$%&'*+.^_`|~0-9A-Za-z-]+$"##;

impl Decode for HeaderName {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        match node.text().and_then(|text| text.parse().ok()) {
            Some(name) => Some(HeaderName(name)),
            None => expected("the name of an HTTP header", node, diagnostics),
        }
    }

    fn schema(_: &mut Schemas) -> Value {
        schema::text_like(HEADER_NAME)
    }

    fn written(&self) -> Option<Value> {
        Some(self.0.as_str().into())
    }
}

/// A number that is at least one.
impl Decode for NonZeroU32 {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        match node.text().and_then(|text| text.parse().ok()) {
            Some(value) => Some(value),
            None => expected("a whole number from 1 to 4294967295", node, diagnostics),
        }
    }

    fn schema(_: &mut Schemas) -> Value {
        schema::integer(1..=u32::MAX.into())
    }

    fn written(&self) -> Option<Value> {
        Some(self.get().into())
    }
}

/// Marks a value that must not be empty text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Required(pub String);

impl Decode for Required {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        match String::decode(node, diagnostics)? {
            text if text.trim().is_empty() => expected("some text", node, diagnostics),
            text => Some(Required(text)),
        }
    }

    fn schema(_: &mut Schemas) -> Value {
        schema::text_like(r"\S")
    }
}

impl Decode for Node {
    fn decode(node: &Node, _: &mut Diagnostics) -> Option<Self> {
        Some(node.clone())
    }

    fn schema(_: &mut Schemas) -> Value {
        json!({})
    }
}

impl Decode for String {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        match node.text() {
            Some(text) => Some(text.to_owned()),
            None => expected("text", node, diagnostics),
        }
    }

    fn schema(_: &mut Schemas) -> Value {
        schema::text()
    }
}

impl Decode for PathBuf {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        Required::decode(node, diagnostics).map(|Required(text)| text.into())
    }

    fn schema(schemas: &mut Schemas) -> Value {
        Required::schema(schemas)
    }
}

impl Decode for bool {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        match node.text() {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => expected("`true` or `false`", node, diagnostics),
        }
    }

    fn schema(_: &mut Schemas) -> Value {
        json!({"type": ["boolean", "string"], "pattern": "^(true|false)$"})
    }
}

/// Reads a scalar by `FromStr`.
macro_rules! decode_from_str {
    ($($type:ty, $wanted:expr, $schema:expr;)*) => {$(
        impl Decode for $type {
            fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
                match node.text().and_then(|text| text.parse().ok()) {
                    Some(value) => Some(value),
                    None => expected($wanted, node, diagnostics),
                }
            }

            fn schema(_: &mut Schemas) -> Value {
                $schema
            }
        }
    )*};
}

decode_from_str! {
    u16, "a whole number from 0 to 65535", schema::integer(0..=u16::MAX.into());
    u32, "a whole number from 0 to 4294967295", schema::integer(0..=u32::MAX.into());
    u64, "a whole number", schema::integer(0..);
    i64, "a whole number, negative ones included", schema::integer(..);
    SocketAddr, "an address with a port such as `0.0.0.0:8080` or `[::]:8080`",
        pattern(r"^([0-9.]+|\[[0-9A-Fa-f:.]+(%[0-9]+)?\]):[0-9]+$", &["0.0.0.0:8080", "[::]:8080"]);
    IpAddr, "an IP address", pattern("^[0-9A-Fa-f:.]+$", &["192.0.2.1", "2001:db8::1"]);
}

/// A number; neither infinite nor none.
impl Decode for f64 {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        match node.text().and_then(|text| text.parse::<f64>().ok()).filter(|number| number.is_finite()) {
            Some(value) => Some(value),
            None => expected("a number", node, diagnostics),
        }
    }

    fn schema(_: &mut Schemas) -> Value {
        schema::number(..)
    }
}

impl Decode for Duration {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        match node.text().and_then(crate::quantity::duration) {
            Some(value) => Some(value),
            None => expected("a duration such as `30s`, `5m`, `6h` or `400d`", node, diagnostics),
        }
    }

    fn schema(_: &mut Schemas) -> Value {
        pattern(crate::quantity::DURATION, &["30s", "5m", "6h", "400d"])
    }

    fn written(&self) -> Option<Value> {
        Some(crate::quantity::written(*self).into())
    }
}

/// The version of a file's format.
#[derive(Debug, Clone, Copy)]
pub struct Version;

impl Decode for Version {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        if node.text() != Some("1") {
            diagnostics.error(node.position, format!("expected version `1`, found {}", node.describe()));
        }
        // The rest is read as version 1, to find its mistakes too.
        Some(Version)
    }

    fn schema(_: &mut Schemas) -> Value {
        json!({ "enum": [1, "1"] })
    }
}
