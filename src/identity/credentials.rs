//! What a request claims to be signed with.

use super::bearer::is_bearer;
use http::HeaderMap;

/// A proof of identity that a request bears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// None.
    None,
    /// A SigV4 (or older AWS) signature, in the header or the query. It must be verified or refused: a request with a
    /// bad signature is never treated as anonymous.
    Signature,
    /// A token, of which the same is true.
    Token,
}

/// Finds the claim of a request. `query` is the raw query string.
pub fn claim(headers: &HeaderMap, query: &str) -> Claim {
    let by_header = headers.get_all(http::header::AUTHORIZATION).iter().any(|value| {
        let value = value.as_bytes();
        value.len() >= 3 && value[..3].eq_ignore_ascii_case(b"AWS")
    });
    let by_query = query.split('&').any(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        ["X-Amz-Signature", "X-Amz-Credential", "AWSAccessKeyId"].iter().any(|signed| name.eq_ignore_ascii_case(signed))
    });
    let by_token = || headers.get_all(http::header::AUTHORIZATION).iter().any(is_bearer);
    match by_header || by_query {
        true => Claim::Signature,
        false if by_token() => Claim::Token,
        false => Claim::None,
    }
}
