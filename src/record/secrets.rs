//! What is never written down, whatever a policy reads.

/// A header or parameter whose name has one of these in it may be a secret.
const IN_NAMES: [&str; 17] = [
    "auth",
    "cookie",
    "token",
    "secret",
    "passw",
    "pwd",
    "signature",
    "credential",
    "session",
    "jwt",
    "apikey",
    "api-key",
    "api_key",
    "accesskey",
    "access-key",
    "access_key",
    "key-pair",
];
/// So is one whose whole name is this.
const NAMES: [&str; 5] = ["key", "sig", "sign", "code", "policy"];
/// Parameters of signed URLs.
const SIGNED: &str = "x-amz-";
/// How values begin that prove something.
const PROOFS: [&str; 4] = ["bearer ", "basic ", "digest ", "aws4-hmac"];

/// Whether what goes by this name may be a secret. It may well be none: then a match on it is undecided afterwards.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    NAMES.contains(&&*name) || name.starts_with(SIGNED) || IN_NAMES.iter().any(|part| name.contains(part))
}

/// Whether the value of a header may be a secret, or hold one: a URL with a query may be a presigned one.
pub(super) fn is_secret_value(name: &str, value: &str) -> bool {
    let proves = |proof: &str| value.get(..proof.len()).is_some_and(|start| start.eq_ignore_ascii_case(proof));
    // Every line of the access log has the User-Agent.
    let is_url = name != "user-agent" && (value.starts_with('/') || value.contains("://"));
    PROOFS.iter().any(|proof| proves(proof)) || (is_url && value.contains('?'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_is_one() {
        let names = "authorization Cookie x-amz-security-token X-Amz-Signature x-api-key AWSAccessKeyId Signature \
                     Key-Pair-Id access_token sessionid proxy-authorization sig Policy code client_secret X-Auth";
        for name in names.split_whitespace() {
            assert!(is_secret_name(name), "{name}");
        }
        for name in "accept accept-language x-client range sec-fetch-site prefix list-type referer keyword".split(' ') {
            assert!(!is_secret_name(name), "{name}");
        }
        for value in ["Bearer abc", "basic YTpi", "AWS4-HMAC-SHA256 x", "https://h/a?x=1", "/a?x=1"] {
            assert!(is_secret_value("x-a", value), "{value}");
        }
        for value in ["bear", "?1", "https://h/a", "*/*", "what?", "gr\u{fc}n"] {
            assert!(!is_secret_value("x-a", value), "{value}");
        }
        assert!(!is_secret_value("user-agent", "bot (+https://h/?bot)"));
    }
}
