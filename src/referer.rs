//! The Referer, as far as it tells from where within a host a client comes. It reads the text alone, and believes it.

/// The path of the URL `referer`, if it is at `host` (without port), whatever the port. Empty paths are `/`. A last dot
/// in either name means nothing (RFC 3986, section 3.2.2), nor does letter case.
///
/// No browser puts a user name into a Referer (RFC 9110, section 10.1.3), so a URL with one is at no host.
pub fn path_at<'a>(referer: &'a str, host: &str) -> Option<&'a str> {
    let (_, rest) = referer.split_once("://")?;
    let rest = rest.split(['?', '#']).next()?;
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let name = match authority.rsplit_once(':') {
        // An IPv6 address has colons of its own and stands in brackets.
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => authority,
    };
    let (name, host) = (name.strip_suffix('.').unwrap_or(name), host.strip_suffix('.').unwrap_or(host));
    (!name.is_empty() && name.eq_ignore_ascii_case(host)).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_referer_is_at_a_host_by_its_name_alone() {
        const HOST: &str = "logs.example.org";
        let cases = [
            ("https://logs.example.org/a/b", HOST, Some("/a/b")),
            ("http://LOGS.example.org:8080/a?x=/y#z", HOST, Some("/a")),
            ("https://logs.example.org", HOST, Some("/")),
            ("https://logs.example.org?x", HOST, Some("/")),
            ("https://logs.example.org:/", HOST, Some("/")),
            ("https://logs.example.org./a", HOST, Some("/a")),
            ("https://logs.example.org/a", "Logs.example.org.", Some("/a")),
            ("https://logs.example.org.:443/a", HOST, Some("/a")),
            ("https://[2001:db8::1]:8443/a", "[2001:db8::1]", Some("/a")),
            ("https://[2001:db8::1]/a", "[2001:db8::1]", Some("/a")),
            ("https://example.org/logs.example.org", HOST, None),
            ("https://logs.example.org.evil.example/", HOST, None),
            ("https://logs.example.org@evil.example/", HOST, None),
            ("https://me@logs.example.org/", HOST, None),
            ("https://logs.example.org:x/", HOST, None),
            ("https://evil.example/?https://logs.example.org/", HOST, None),
            ("logs.example.org/a", HOST, None),
            ("://", "", None),
            ("", HOST, None),
        ];
        for (referer, host, expected) in cases {
            assert_eq!(path_at(referer, host), expected, "{referer} at {host}");
        }
    }
}
