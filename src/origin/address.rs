//! `s3://BUCKET/PREFIX`: a bucket by its name, and the beginning of the keys in it that are meant.

use crate::document::{Decode, Diagnostics, Node, Schemas, pattern};
use serde_json::Value;
use std::str::FromStr;

/// A bucket and the beginning of all keys that are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketAddress {
    /// The bucket's name.
    pub bucket: String,
    /// The beginning of the keys; may be empty, and may end within a name.
    pub prefix: String,
}

impl FromStr for BucketAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no bucket: write `s3://BUCKET/PREFIX`");
        let rest = text.strip_prefix("s3://").ok_or_else(wrong)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        // Source: "General purpose bucket naming rules" of the S3 user guide.
        let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
        let is_name = (3..=63).contains(&bucket.len()) && bucket.bytes().all(good);
        let address = || BucketAddress { bucket: bucket.to_owned(), prefix: prefix.to_owned() };
        is_name.then(address).ok_or_else(wrong)
    }
}

impl Decode for BucketAddress {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let text = String::decode(node, diagnostics)?;
        text.parse().map_err(|message: String| diagnostics.error(node.position, message)).ok()
    }

    fn schema(_: &mut Schemas) -> Value {
        pattern("^s3://[a-z0-9._-]{3,63}(/|$)", &["s3://BUCKET/PREFIX"])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_name_a_bucket() {
        let address = |bucket: &str, prefix: &str| Ok(BucketAddress { bucket: bucket.into(), prefix: prefix.into() });
        assert_eq!("s3://my-logs".parse(), address("my-logs", ""));
        assert_eq!("s3://my.logs/a/b-".parse(), address("my.logs", "a/b-"));
        for bad in ["", "s3://", "s3:///x", "https://b/", "s3://UPPER/", "s3://a b/", "s3://b?x/"] {
            let message = format!("`{bad}` is no bucket: write `s3://BUCKET/PREFIX`");
            assert_eq!(bad.parse::<BucketAddress>(), Err(message));
        }
    }
}
