//! A page of a listing: read as the origin wrote it, and written without what is hidden.

use super::{Begin, Listing, Seal};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use quick_xml::escape::escape;
use serde::Deserialize;

/// What stays as it is in an encoded key.
const LITERAL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// The origin's answer is no page of a listing. Says nothing of what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the origin's answer is no list of objects")]
pub struct PageError;

/// A page.
#[derive(Debug, Default, Deserialize)]
#[serde(rename = "ListBucketResult")]
pub struct Page {
    #[serde(rename = "IsTruncated", default)]
    truncated: bool,
    #[serde(rename = "NextMarker")]
    marker: Option<String>,
    #[serde(rename = "NextContinuationToken")]
    token: Option<String>,
    #[serde(rename = "Contents", default)]
    contents: Vec<Content>,
    #[serde(rename = "CommonPrefixes", default)]
    folders: Vec<Folder>,
}

#[derive(Debug, Deserialize)]
struct Content {
    #[serde(rename = "Key")]
    key: String,
    #[serde(rename = "LastModified")]
    modified: Option<String>,
    #[serde(rename = "ETag")]
    tag: Option<String>,
    #[serde(rename = "Size")]
    size: Option<u64>,
    #[serde(rename = "StorageClass")]
    class: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Folder {
    #[serde(rename = "Prefix")]
    prefix: String,
}

/// Adds an element with a text.
fn element(out: &mut String, name: &str, text: &str) {
    out.push_str(&format!("<{name}>{}</{name}>", escape(text)));
}

impl Page {
    /// Reads an answer.
    ///
    /// # Errors
    /// When it is something else.
    pub fn read(text: &str) -> Result<Page, PageError> {
        // The name of the root is not looked at by the deserializer, and an error document has none of the elements.
        let page = quick_xml::de::from_str(text).map_err(|_| PageError)?;
        if text.contains("<ListBucketResult") { Ok(page) } else { Err(PageError) }
    }

    /// Where the next page begins, in the origin's words. Without a delimiter S3 does not say so in the first version
    /// of the API: it is after the last entry.
    fn next(&self) -> Option<&str> {
        let last =
            || self.contents.iter().map(|content| &content.key).chain(self.folders.iter().map(|f| &f.prefix)).max();
        let said = self.token.as_ref().or(self.marker.as_ref());
        said.or_else(last).filter(|_| self.truncated).map(String::as_str)
    }

    /// Adds what is shown of another page, which comes behind this one. Says where the origin's next page begins.
    pub fn add(
        &mut self,
        mut other: Page,
        mut shows_key: impl FnMut(&str) -> bool,
        mut shows_folder: impl FnMut(&str) -> bool,
    ) -> Option<Begin> {
        let next = other.next().map(|next| Begin::Token(next.to_owned()));
        other.contents.retain(|content| shows_key(&content.key));
        other.folders.retain(|folder| shows_folder(&folder.prefix));
        self.contents.append(&mut other.contents);
        self.folders.append(&mut other.folders);
        next
    }

    /// How many entries it has.
    pub fn count(&self) -> usize {
        self.contents.len() + self.folders.len()
    }

    /// Keeps the first `most` entries. Says where the next page begins, if there were more: behind the last one that is
    /// kept, which tells nothing of what is hidden.
    pub fn cut(&mut self, most: usize) -> Option<Begin> {
        if self.count() <= most {
            return None;
        }
        let keys = self.contents.iter().map(|content| &*content.key);
        let mut all: Vec<&str> = keys.chain(self.folders.iter().map(|folder| &*folder.prefix)).collect();
        all.sort_unstable();
        let last = all.get(most.checked_sub(1)?).copied().unwrap_or_default().to_owned();
        self.contents.retain(|content| content.key <= last);
        self.folders.retain(|folder| folder.prefix <= last);
        // All that lies in a folder is behind its name.
        let is_folder = self.folders.iter().any(|folder| folder.prefix == last);
        Some(Begin::After(if is_folder { format!("{last}{}", char::MAX) } else { last }))
    }

    /// Writes what is left as the answer to `listing` of the bucket `name`.
    pub fn write(&self, listing: &Listing, name: &str, next: Option<&Begin>, scope: &str, seal: &Seal) -> String {
        let key = |text: &str| match listing.encoded {
            true => utf8_percent_encode(text, LITERAL).to_string(),
            false => text.to_owned(),
        };
        let mut out = String::from(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">",
        );
        element(&mut out, "Name", name);
        element(&mut out, "Prefix", &key(&listing.prefix));
        if listing.folders {
            element(&mut out, "Delimiter", "/");
        }
        element(&mut out, "MaxKeys", &listing.most.to_string());
        if listing.encoded {
            element(&mut out, "EncodingType", "url");
        }
        let more = next.map(|next| seal.seal(scope, &next.text()));
        element(&mut out, "IsTruncated", if more.is_some() { "true" } else { "false" });
        if listing.v2 {
            element(&mut out, "KeyCount", &(self.contents.len() + self.folders.len()).to_string());
            let said = [("ContinuationToken", listing.token.clone()), ("NextContinuationToken", more)];
            let after = listing.start_after.as_deref().map(key);
            for (name, text) in said.into_iter().chain([("StartAfter", after)]) {
                text.iter().for_each(|text| element(&mut out, name, text));
            }
        } else {
            element(&mut out, "Marker", &listing.marker.as_deref().map(key).unwrap_or_default());
            more.iter().for_each(|next| element(&mut out, "NextMarker", next));
        }
        for content in &self.contents {
            out.push_str("<Contents>");
            element(&mut out, "Key", &key(&content.key));
            let size = content.size.map(|size| size.to_string());
            let class = content.class.clone().or_else(|| Some("STANDARD".into()));
            let rest = [
                ("LastModified", &content.modified),
                ("ETag", &content.tag),
                ("Size", &size),
                ("StorageClass", &class),
            ];
            for (name, text) in rest {
                text.iter().for_each(|text| element(&mut out, name, text));
            }
            out.push_str("</Contents>");
        }
        for folder in &self.folders {
            out.push_str("<CommonPrefixes>");
            element(&mut out, "Prefix", &key(&folder.prefix));
            out.push_str("</CommonPrefixes>");
        }
        out.push_str("</ListBucketResult>\n");
        out
    }
}

#[cfg(test)]
mod tests {
    use super::super::Asked;
    use super::*;
    use http::Method;

    const ANSWER: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
        <ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name><Prefix></Prefix>\
        <MaxKeys>4</MaxKeys><IsTruncated>true</IsTruncated><NextContinuationToken>rhel-9</NextContinuationToken>\
        <Contents><Key>a &amp; &lt;b&gt;+c</Key><LastModified>2026-11-01T00:00:00.000Z</LastModified>\
        <ETag>&quot;1&quot;</ETag><Size>5</Size><Owner><ID>me</ID></Owner><StorageClass>GLACIER</StorageClass></Contents>\
        <Contents><Key>rhel-9</Key><Size>6</Size></Contents>\
        <CommonPrefixes><Prefix>open/</Prefix></CommonPrefixes><CommonPrefixes><Prefix>rhel/</Prefix></CommonPrefixes>\
        </ListBucketResult>";

    fn listing(query: &str, seal: &Seal) -> Listing {
        match Asked::read(&Method::GET, query, "s", seal) {
            Ok(Asked::Objects(listing)) => listing,
            other => unreachable!("{query}: {other:?}"),
        }
    }

    #[test]
    fn what_is_hidden_leaves_no_trace() {
        let seal = Seal::new([1; 16]);
        let shown = |text: &str| !text.starts_with("rhel");
        for (query, key) in [
            ("list-type=2&delimiter=/", "<Key>a &amp; &lt;b&gt;+c</Key>"),
            ("list-type=2&delimiter=/&encoding-type=url", "<Key>a%20%26%20%3Cb%3E%2Bc</Key>"),
            ("delimiter=/", "<Key>a &amp; &lt;b&gt;+c</Key>"),
        ] {
            let asked = listing(query, &seal);
            let page = Page::read(ANSWER).unwrap();
            let mut mine = Page::default();
            let next = mine.add(page, shown, shown);
            let answer = mine.write(&asked, "images", next.as_ref(), "s", &seal);
            assert!(!answer.contains("rhel") && !answer.contains("me<"), "{answer}");
            for part in
                [key, "<Name>images</Name>", "<Prefix>open/</Prefix>", "<IsTruncated>true<", "<Size>5<", "GLACIER"]
            {
                assert!(answer.contains(part), "{part} {answer}");
            }
            // What it says can be read again, and leads on.
            let again = Page::read(&answer).unwrap();
            let next = again.next().unwrap().to_owned();
            let more =
                if asked.v2 { format!("list-type=2&continuation-token={next}") } else { format!("marker={next}") };
            let more = listing(&more, &seal).query(None);
            assert!(more.contains("=rhel-9"), "{more}");
        }
    }

    #[test]
    fn a_page_ends_at_what_is_shown() {
        let page = |keys: &[&str], folders: &[&str]| {
            let keys: String = keys.iter().map(|key| format!("<Contents><Key>{key}</Key></Contents>")).collect();
            let folders = folders.iter().map(|f| format!("<CommonPrefixes><Prefix>{f}</Prefix></CommonPrefixes>"));
            let folders: String = folders.collect();
            Page::read(&format!("<ListBucketResult>{keys}{folders}</ListBucketResult>")).unwrap()
        };
        let cases = [
            (1, Some(Begin::After("a".into())), 1),
            (2, Some(Begin::After(format!("b/{}", char::MAX))), 2),
            (3, Some(Begin::After("c".into())), 3),
            (4, None, 4),
        ];
        for (most, next, count) in cases {
            let mut mine = Page::default();
            assert_eq!(mine.add(page(&["a"], &["b/"]), |_| true, |_| true), None);
            mine.add(page(&["c", "hidden", "z"], &[]), |key| key != "hidden", |_| true);
            assert_eq!((mine.cut(most), mine.count()), (next, count), "{most}");
        }
    }

    #[test]
    fn keys_are_read_as_they_are() {
        for (text, key) in [(" a b ", " a b "), ("&#x20;a", " a"), ("a\u{e4}", "a\u{e4}")] {
            let answer = format!("<ListBucketResult><Contents><Key>{text}</Key></Contents></ListBucketResult>");
            assert_eq!(Page::read(&answer).unwrap().contents[0].key, key, "{text}");
        }
        for other in ["", "<Error><Code>AccessDenied</Code></Error>", "<html>", "{}"] {
            assert!(Page::read(other).is_err_and(|error| error == PageError), "{other}");
        }
    }
}
