//! The one canonical form of a request target.
//!
//! The path that policy judges must be the path that the origin gets. So a target is decoded once, here; whatever could
//! be read in two ways by two programs is refused, and what is signed is encoded anew from the decoded form.

use memchr::{memchr, memchr_iter};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::borrow::Cow;

/// What S3 signs literally: unreserved characters and the separator. Everything else is encoded.
/// Source: AWS "Signature Version 4", `UriEncode`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// S3 keys are at most 1024 bytes of UTF-8; a site's prefix may come on top.
const MAX_BYTES: usize = 1024 + 256;

/// Why a target is refused with 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Not origin-form (`/path?query`).
    #[error("the request target must begin with /")]
    NotOriginForm,
    /// A `%` that is not followed by two hexadecimal digits.
    #[error("the path has a malformed percent-encoding")]
    BadEncoding,
    /// Bytes that are not UTF-8 once decoded; S3 keys are.
    #[error("the path is not UTF-8")]
    NotUtf8,
    /// `.` or `..` as a segment, encoded or not.
    #[error("the path has a . or .. segment")]
    DotSegment,
    /// `//`: some programs merge it, some do not.
    #[error("the path has an empty segment")]
    EmptySegment,
    /// Control characters, `\` or `#`.
    #[error("the path has a control character, a backslash or a #")]
    BadCharacter,
    /// Longer than any S3 key.
    #[error("the path is too long")]
    TooLong,
}

/// A decoded path with exactly one reading. It begins with `/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CanonicalPath(String);

impl CanonicalPath {
    /// Reads the path of a request target (without the query).
    ///
    /// `%2F` is `/`, as S3 reads it. `+` is a plus: the origin gets it as `%2B`, since S3 would take a bare one for a
    /// space.
    pub fn parse(raw: &str) -> Result<Self, PathError> {
        if !raw.starts_with('/') {
            return Err(PathError::NotOriginForm);
        }
        if raw.len() > MAX_BYTES * 3 {
            return Err(PathError::TooLong);
        }
        let bytes = raw.as_bytes();
        let mut is_encoded = false;
        for at in memchr_iter(b'%', bytes) {
            is_encoded = true;
            // The digits behind it are no `%`.
            match bytes.get(at + 1..at + 3) {
                Some([a, b]) if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {}
                _ => return Err(PathError::BadEncoding),
            }
        }
        if memchr(b'#', bytes).is_some() {
            return Err(PathError::BadCharacter);
        }
        let decoded = match is_encoded {
            true => percent_decode_str(raw).decode_utf8().map_err(|_| PathError::NotUtf8)?,
            false => Cow::Borrowed(raw),
        };
        Self::check(&decoded)?;
        Ok(CanonicalPath(decoded.into_owned()))
    }

    /// Whether a decoded text is such a path as it stands.
    ///
    /// # Errors
    /// Says why no request has this path.
    pub fn check(decoded: &str) -> Result<(), PathError> {
        let Some(below) = decoded.strip_prefix('/') else { return Err(PathError::NotOriginForm) };
        if decoded.len() > MAX_BYTES {
            return Err(PathError::TooLong);
        }
        // Without a branch for each byte.
        let (bad, ascii) = below.bytes().fold((false, true), |(bad, ascii), byte| {
            (bad | byte.is_ascii_control() | (byte == b'\\'), ascii & byte.is_ascii())
        });
        if bad || (!ascii && below.chars().any(char::is_control)) {
            return Err(PathError::BadCharacter);
        }
        let mut rest = below;
        while let Some(end) = memchr(b'/', rest.as_bytes()) {
            match &rest[..end] {
                "" => return Err(PathError::EmptySegment),
                "." | ".." => return Err(PathError::DotSegment),
                _ => rest = &rest[end + 1..],
            }
        }
        if matches!(rest, "." | "..") { Err(PathError::DotSegment) } else { Ok(()) }
    }

    /// The decoded path: what policy matches, `/` first.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The decoded path as a text of its own.
    pub fn into_string(self) -> String {
        self.0
    }

    /// The object key: the decoded path without its first `/`.
    pub fn key(&self) -> &str {
        &self.0[1..]
    }

    /// The path below `prefix` (which begins with `/` and has no `/` at its end), or `None` when it is not below it.
    pub fn below(&self, prefix: &str) -> Option<CanonicalPath> {
        let rest = self.0.strip_prefix(prefix)?;
        match rest {
            "" => Some(CanonicalPath("/".into())),
            _ if rest.starts_with('/') => Some(CanonicalPath(rest.to_owned())),
            _ => None,
        }
    }

    /// The path as it is signed and sent: encoded exactly as SigV4 wants it.
    pub fn encoded(&self) -> String {
        utf8_percent_encode(&self.0, ENCODED).to_string()
    }
}

/// A name or value of a query as it was typed into a form: `+` is a space, too. Bytes that are not UTF-8 become U+FFFD.
pub fn form_decoded(text: &str) -> Cow<'_, str> {
    if text.contains('+') {
        let text = text.replace('+', " ");
        Cow::Owned(percent_decode_str(&text).decode_utf8_lossy().into_owned())
    } else {
        percent_decode_str(text).decode_utf8_lossy()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forms_are_read_as_they_were_typed() {
        let cases = [("a", "a"), ("a+b%20c", "a b c"), ("%2B", "+"), ("%zz", "%zz"), ("%ff", "\u{fffd}"), ("", "")];
        for (text, typed) in cases {
            assert_eq!(form_decoded(text), typed, "{text}");
        }
    }

    #[test]
    fn every_path_has_one_reading_or_none() {
        let good = [
            ("/", "/", "/"),
            ("/a%20b", "/a b", "/a%20b"),
            ("/a+b", "/a+b", "/a%2Bb"),
            ("/a%2Bb", "/a+b", "/a%2Bb"),
            ("/a%2Fb", "/a/b", "/a/b"),
            ("/%72hel-9", "/rhel-9", "/rhel-9"),
            ("/gr\u{fc}n", "/gr\u{fc}n", "/gr%C3%BCn"),
            ("/gr%C3%BCn", "/gr\u{fc}n", "/gr%C3%BCn"),
            ("/a%252Fb", "/a%2Fb", "/a%252Fb"),
            ("/dir/", "/dir/", "/dir/"),
            ("/a...b/..c/.d", "/a...b/..c/.d", "/a...b/..c/.d"),
            ("/~x_y-z.0!$&'()*,;=:@", "/~x_y-z.0!$&'()*,;=:@", "/~x_y-z.0%21%24%26%27%28%29%2A%2C%3B%3D%3A%40"),
        ];
        for (raw, path, encoded) in good {
            let canonical = CanonicalPath::parse(raw).unwrap();
            assert_eq!((canonical.as_str(), &*canonical.encoded()), (path, encoded), "{raw}");
        }
        let bad = [
            ("", PathError::NotOriginForm),
            ("http://x/y", PathError::NotOriginForm),
            ("*", PathError::NotOriginForm),
            ("/%", PathError::BadEncoding),
            ("/%2", PathError::BadEncoding),
            ("/%zz", PathError::BadEncoding),
            ("/%u0072hel", PathError::BadEncoding),
            ("/%ff", PathError::NotUtf8),
            ("/%c0%af", PathError::NotUtf8),
            ("/a/../b", PathError::DotSegment),
            ("/a/%2e%2E/b", PathError::DotSegment),
            ("/a/..%2fb", PathError::DotSegment),
            ("/.", PathError::DotSegment),
            ("//a", PathError::EmptySegment),
            ("/a//b", PathError::EmptySegment),
            ("/%2Fa", PathError::EmptySegment),
            ("/a%00b", PathError::BadCharacter),
            ("/a%0d%0ab", PathError::BadCharacter),
            ("/a\\..\\b", PathError::BadCharacter),
            ("/a%5cb", PathError::BadCharacter),
            ("/a#b", PathError::BadCharacter),
        ];
        for (raw, error) in bad {
            assert_eq!(CanonicalPath::parse(raw), Err(error), "{raw}");
        }
        assert_eq!(CanonicalPath::parse(&format!("/{}", "a".repeat(5000))), Err(PathError::TooLong));
    }

    proptest! {
        #[test]
        fn what_is_sent_reads_as_what_was_judged(raw in "(/[ -~\u{e4}\u{20ac}%]{0,12}){1,4}") {
            if let Ok(path) = CanonicalPath::parse(&raw) {
                let again = CanonicalPath::parse(&path.encoded());
                prop_assert_eq!(again.as_ref(), Ok(&path));
                prop_assert_eq!(again.unwrap().encoded(), path.encoded());
            }
        }
    }
}
