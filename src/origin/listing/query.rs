//! What a client asks of a bucket, and what the origin is asked for it.

use super::Seal;
use crate::path::form_decoded;
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// As S3: no page has more entries.
const MOST: u32 = 1000;
/// Smaller pages are not asked for: much of them may be hidden.
const LEAST: u32 = 100;
/// What stays as it is in a signed query.
const LITERAL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Why a bucket is not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ListingError {
    /// It is not about the list of objects.
    #[error("only the list of objects is served of a bucket")]
    NotAllowed,
    /// Other delimiters could be used to guess names that are not shown.
    #[error("the only delimiter is /")]
    Delimiter,
    /// A value has another form.
    #[error("a parameter of the listing is malformed")]
    Malformed,
    /// The continuation token is not ours.
    #[error("the continuation token is not for this listing")]
    Token,
}

/// What is asked of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Whether it is there (HeadBucket).
    Head,
    /// Its region (GetBucketLocation).
    Location,
    /// Its objects.
    Objects(Listing),
}

/// A page of objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Whether it is ListObjectsV2.
    pub(super) v2: bool,
    pub(super) prefix: String,
    /// Whether what lies in a folder is shown as that folder.
    pub(super) folders: bool,
    /// What the client said of where the page begins, as it said so.
    pub(super) marker: Option<String>,
    pub(super) token: Option<String>,
    pub(super) start_after: Option<String>,
    pub(super) most: u32,
    /// Whether keys in the answer are encoded.
    pub(super) encoded: bool,
    /// Where the origin is told to begin.
    from: Option<Begin>,
}

/// Where a page begins, in words for the origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// Behind this text: a key that was shown, or the end of a folder.
    After(String),
    /// Where the origin itself said so.
    Token(String),
}

impl Begin {
    /// As it is sealed.
    pub(super) fn text(&self) -> String {
        match self {
            Begin::After(text) => format!("a{text}"),
            Begin::Token(text) => format!("t{text}"),
        }
    }

    fn read(text: &str) -> Option<Begin> {
        match text.split_at_checked(1)? {
            ("a", text) => Some(Begin::After(text.to_owned())),
            ("t", text) => Some(Begin::Token(text.to_owned())),
            _ => None,
        }
    }
}

impl Asked {
    /// Reads the query of a request for the bucket itself. `scope` is whom sealed texts are for.
    ///
    /// # Errors
    /// When it is something that is not served.
    pub fn read(method: &Method, query: &str, scope: &str, seal: &Seal) -> Result<Asked, ListingError> {
        let (mut listing, mut location) = (Listing { most: MOST, ..Listing::default() }, false);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (form_decoded(name), form_decoded(value).into_owned());
            let is_absent = value.is_empty();
            match &*name {
                "list-type" if value == "2" => listing.v2 = true,
                "prefix" => listing.prefix = value,
                "delimiter" if value == "/" => listing.folders = true,
                "delimiter" if !is_absent => return Err(ListingError::Delimiter),
                "marker" => listing.marker = Some(value).filter(|_| !is_absent),
                "continuation-token" => listing.token = Some(value).filter(|_| !is_absent),
                "start-after" => listing.start_after = Some(value).filter(|_| !is_absent),
                "max-keys" => {
                    let most: u32 = value.parse().map_err(|_| ListingError::Malformed)?;
                    listing.most = most.min(MOST);
                }
                "encoding-type" if value == "url" => listing.encoded = true,
                "location" => location = true,
                // The owner is left out, whoever asks. The SDKs say what they do.
                "delimiter" | "fetch-owner" | "x-id" => {}
                name if name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("x-amz-")) => {}
                "list-type" | "encoding-type" => return Err(ListingError::Malformed),
                _ => return Err(ListingError::NotAllowed),
            }
        }
        if method == Method::HEAD {
            return Ok(Asked::Head);
        }
        if location {
            return Ok(Asked::Location);
        }
        let opened =
            |text: &String| seal.open(scope, text).and_then(|text| Begin::read(&text)).ok_or(ListingError::Token);
        listing.from = match (&listing.token, &listing.marker) {
            (Some(token), _) if listing.v2 => Some(opened(token)?),
            (_, Some(marker)) if !listing.v2 && Seal::is_sealed(marker) => Some(opened(marker)?),
            (_, Some(marker)) if !listing.v2 => Some(Begin::After(marker.clone())),
            _ => None,
        };
        Ok(Asked::Objects(listing))
    }
}

impl Listing {
    /// How many entries the client's page has at most: one fewer than the origin's pages, so that one of these tells
    /// whether there are more.
    pub fn room(&self) -> usize {
        self.most.min(MOST - 1) as usize
    }

    /// The query that the origin is asked with, encoded as it is signed, from `begin` on, or from where the client
    /// wants.
    pub fn query(&self, begin: Option<&Begin>) -> String {
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        let most = (self.most + 1).clamp(LEAST, MOST).to_string();
        let begin = begin.or(self.from.as_ref());
        match begin {
            Some(Begin::Token(token)) if self.v2 => pairs.push(("continuation-token", token)),
            Some(Begin::Token(text) | Begin::After(text)) if !self.v2 => pairs.push(("marker", text)),
            _ => {}
        }
        if self.folders {
            pairs.push(("delimiter", "/"));
        }
        if self.v2 {
            pairs.push(("list-type", "2"));
        }
        pairs.push(("max-keys", &most));
        pairs.push(("prefix", &self.prefix));
        let after = match begin {
            Some(Begin::After(after)) => Some(after),
            Some(Begin::Token(_)) => None,
            None => self.start_after.as_ref(),
        };
        if let Some(after) = after.filter(|_| self.v2) {
            pairs.push(("start-after", after));
        }
        let encoded = |text: &str| utf8_percent_encode(text, LITERAL).to_string();
        let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        pairs.join("&")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lists_are_asked_for() {
        let seal = Seal::new([1; 16]);
        let token = seal.seal("images", "tz/1");
        let after = format!("list-type=2&max-keys=7&continuation-token={}", seal.seal("images", "az"));
        let next = format!("list-type=2&continuation-token={token}&start-after=b");
        let marker = format!("marker={token}");
        let cases = [
            ("", Ok("max-keys=1000&prefix=")),
            (
                "list-type=2&prefix=a%2Fb+c&delimiter=/&fetch-owner=true",
                Ok("delimiter=%2F&list-type=2&max-keys=1000&prefix=a%2Fb%20c"),
            ),
            ("list-type=2&start-after=b&max-keys=5000", Ok("list-type=2&max-keys=1000&prefix=&start-after=b")),
            ("marker=b&max-keys=0&encoding-type=url&x-id=x&X-Amz-Date=1", Ok("marker=b&max-keys=100&prefix=")),
            (&after, Ok("list-type=2&max-keys=100&prefix=&start-after=z")),
            ("list-type=2&max-keys=500", Ok("list-type=2&max-keys=501&prefix=")),
            (&next, Ok("continuation-token=z%2F1&list-type=2&max-keys=1000&prefix=")),
            (&marker, Ok("marker=z%2F1&max-keys=1000&prefix=")),
            ("list-type=2&continuation-token=z/1", Err(ListingError::Token)),
            ("list-type=1", Err(ListingError::Malformed)),
            ("max-keys=-1", Err(ListingError::Malformed)),
            ("delimiter=h", Err(ListingError::Delimiter)),
            ("versions", Err(ListingError::NotAllowed)),
            ("acl", Err(ListingError::NotAllowed)),
            ("%61cl", Err(ListingError::NotAllowed)),
            ("versioning", Err(ListingError::NotAllowed)),
        ];
        for (query, expected) in cases {
            let asked = Asked::read(&Method::GET, query, "images", &seal).map(|asked| match asked {
                Asked::Objects(listing) => listing.query(None),
                other => format!("{other:?}"),
            });
            assert_eq!(asked, expected.map(str::to_owned), "{query}");
        }
        assert_eq!(Asked::read(&Method::GET, "location=", "", &seal), Ok(Asked::Location));
        assert_eq!(Asked::read(&Method::HEAD, "", "", &seal), Ok(Asked::Head));
        assert_eq!(Asked::read(&Method::GET, &next, "logs", &seal), Err(ListingError::Token));
    }
}
