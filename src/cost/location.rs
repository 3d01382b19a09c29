//! Where the gateway or a source stands, as far as bills are concerned.

use crate::document::{Decode, Diagnostics, Node, Schemas, pattern};
use serde_json::Value;
use std::fmt;

/// A place that bytes leave or reach.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Location {
    /// Outside AWS: everything that it fetches from S3 goes out to the internet.
    Outside,
    /// In a region of AWS, such as `us-east-1`.
    Aws(String),
}

impl Location {
    fn parse(text: &str) -> Option<Location> {
        if text == "outside" {
            return Some(Location::Outside);
        }
        let region = text.strip_prefix("aws:")?;
        let usable =
            |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        (region.split('-').all(usable) && region.matches('-').count() >= 2).then(|| Location::Aws(region.to_owned()))
    }
}

/// As configuration files say it: `outside`, `aws:us-east-1`.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Outside => f.write_str("outside"),
            Location::Aws(region) => write!(f, "aws:{region}"),
        }
    }
}

impl Decode for Location {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let location = node.text().and_then(Location::parse);
        if location.is_none() {
            let wanted = "`outside` or a region such as `aws:us-east-1`";
            diagnostics.error(node.position, format!("expected {wanted}, found {}", node.describe()));
        }
        location
    }

    fn schema(_: &mut Schemas) -> Value {
        pattern("^(outside|aws:[a-z0-9]+(-[a-z0-9]+){2,})$", &["outside", "aws:us-east-1"])
    }

    fn written(&self) -> Option<Value> {
        Some(self.to_string().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_they_are_written() {
        for text in ["outside", "aws:us-east-1", "aws:us-gov-west-1"] {
            assert_eq!(Location::parse(text).unwrap().to_string(), text);
        }
        for bad in ["", "inside", "aws", "aws:", "aws:us", "aws:US-EAST-1", "gcp:us-east-1", "aws:--"] {
            assert_eq!(Location::parse(bad), None, "{bad}");
        }
    }
}
