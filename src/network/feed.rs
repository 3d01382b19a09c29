//! Where the blocks of a network come from: what a policy says.
//!
//! Pure: it says what to fetch and never fetches. Files and the network belong to `feeds`.

use super::Cidr;
use crate::document::{
    Decode, Diagnostics, MapReader, MapSchema, Node, NonEmpty, Schemas, choose, either, list, pattern, text_like,
    unknown_word, words as one_of,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Feeds that have a name: <https://docs.aws.amazon.com/vpc/latest/userguide/aws-ip-ranges.html> and
/// <https://docs.github.com/en/rest/meta/meta>.
const NAMED: [(&str, &str); 2] =
    [(AWS, "https://ip-ranges.amazonaws.com/ip-ranges.json"), (GITHUB, "https://api.github.com/meta")];
pub(super) const AWS: &str = "aws-ip-ranges";
pub(super) const GITHUB: &str = "github-meta";

/// The longest identity in bytes. A file name is 255 bytes at most, and temporary ones are a little longer.
const LONGEST_ID: usize = 200;
const FILE_NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_');

/// Where the blocks of a network come from: one item of an entry of `networks`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocks {
    /// A block that stands in the policy.
    Cidr(Cidr),
    /// A file for [`parse_list`](super::parse_list), as written: a relative path begins where the policy is.
    File(PathBuf),
    /// A published list that is fetched again and again.
    Feed(Feed),
}

/// A published list of blocks, or what filters leave of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Feed {
    /// Where it is fetched: `https://`, `http://` or `file:///`, without credentials. Escaped as by [`Feed::id`] it has
    /// at most 200 bytes.
    pub url: String,
    /// How it is read.
    pub format: Format,
}

/// How a feed is read, and which of its blocks are meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Format {
    /// One block or address per line; `#` and `;` begin comments.
    List,
    /// The JSON that AWS publishes. A block is meant if both filters name it; an empty one names all.
    AwsIpRanges {
        /// Services such as `EC2`.
        service: Vec<String>,
        /// Regions such as `us-east-1`, or `GLOBAL`.
        region: Vec<String>,
    },
    /// The JSON that GitHub publishes.
    GithubMeta {
        /// The lists that are meant, such as `actions`; at least one.
        key: Vec<String>,
    },
}

impl Feed {
    /// What is fetched, as a readable text that is also a file name. Feeds of one URL have the same, whatever their
    /// filters; feeds of two URLs never do.
    pub fn id(&self) -> String {
        let named = NAMED.iter().find(|(_, url)| *url == self.url).map(|(name, _)| (*name).to_owned());
        // Every URL has a colon to escape, so that none is ever mistaken for a name.
        named.unwrap_or_else(|| escaped(&self.url))
    }

    /// What messages and metrics call the source: its name, or its URL without scheme and query.
    pub fn name(&self) -> &str {
        if let Some((name, _)) = NAMED.iter().find(|(_, url)| *url == self.url) {
            return name;
        }
        let rest = self.url.split_once("://").map_or(&*self.url, |(_, rest)| rest);
        rest.split(['?', '#']).next().unwrap_or(rest)
    }

    /// The filters in one line, such as `service=EC2,S3 region=us-east-1`. Empty where there are none.
    pub fn filter(&self) -> String {
        let filters: &[(&str, &[String])] = match &self.format {
            Format::List => &[],
            Format::AwsIpRanges { service, region } => &[("service", service), ("region", region)],
            Format::GithubMeta { key } => &[("key", key)],
        };
        let set = filters.iter().filter(|(_, values)| !values.is_empty());
        set.map(|(name, values)| format!("{name}={}", values.join(","))).collect::<Vec<_>>().join(" ")
    }
}

fn escaped(url: &str) -> String {
    utf8_percent_encode(url, FILE_NAME).to_string()
}

impl Decode for Blocks {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        if !matches!(node.kind, crate::document::Kind::Map(_)) {
            return Cidr::decode(node, diagnostics).map(Blocks::Cidr);
        }
        let mut map = MapReader::new(node, diagnostics)?;
        let file = map.node("file");
        let feed = map.node("feed");
        let options = FeedOptions {
            format: map.node("format"),
            service: map.node("service"),
            region: map.node("region"),
            key: map.node("key"),
        };
        map.finish(diagnostics);
        match (file, feed) {
            (Some(file), None) => {
                options.refuse(&["format", "service", "region", "key"], "goes with `feed`", diagnostics);
                PathBuf::decode(file, diagnostics).map(Blocks::File)
            }
            (None, Some(feed)) => options.feed(feed, diagnostics).map(Blocks::Feed),
            _ => {
                diagnostics.error(node.position, "expected a CIDR block, or either `file` or `feed`");
                None
            }
        }
    }

    fn schema(schemas: &mut Schemas) -> Value {
        let cidr = Cidr::schema(schemas);
        let mapping = schemas.define("Blocks", |schemas| {
            let formats = ["list", AWS, GITHUB].map(|word| (word, word));
            let feed = pattern(&format!("^({AWS}|{GITHUB})$|://"), &[AWS, GITHUB, "https://example.org/blocks.txt"]);
            let keys = [
                ("file", "A file of blocks, one per line, relative to the policy.", PathBuf::schema(schemas)),
                ("feed", "A published list: `aws-ip-ranges`, `github-meta`, or a URL.", feed),
                (
                    "format",
                    "How the list at a URL is read; `list`, one block per line, where absent.",
                    one_of(&formats),
                ),
                ("service", "Services of `aws-ip-ranges`, all where absent.", list(text_like("^[A-Z0-9_]+$"), 1)),
                (
                    "region",
                    "Regions of `aws-ip-ranges`, all where absent.",
                    list(text_like("^[a-z0-9-]+$|^GLOBAL$"), 1),
                ),
                (
                    "key",
                    "Which lists of `github-meta` are meant; it must be there.",
                    list(text_like("^[a-z0-9_]+$"), 1),
                ),
            ];
            let mut map = MapSchema::new(&["A file of blocks, or a published list of them."]);
            for (key, doc, schema) in keys {
                map.optional(key, &[doc], schema, None, schemas);
            }
            let mut schema = map.finish();
            schema["anyOf"] = json!([{ "required": ["file"] }, { "required": ["feed"] }]);
            schema
        });
        either(mapping, cidr)
    }
}

/// The keys beside `feed`.
struct FeedOptions<'a> {
    format: Option<&'a Node>,
    service: Option<&'a Node>,
    region: Option<&'a Node>,
    key: Option<&'a Node>,
}

impl FeedOptions<'_> {
    fn refuse(&self, keys: &[&str], reason: &str, diagnostics: &mut Diagnostics) {
        let given = [("format", self.format), ("service", self.service), ("region", self.region), ("key", self.key)];
        for (name, node) in given {
            if let Some(node) = node.filter(|_| keys.contains(&name)) {
                diagnostics.error(node.position, format!("`{name}` {reason}"));
            }
        }
    }

    fn feed(&self, feed: &Node, diagnostics: &mut Diagnostics) -> Option<Feed> {
        let text = String::decode(feed, diagnostics)?;
        let (url, format) = match NAMED.iter().find(|(name, _)| *name == text) {
            Some((name, url)) => {
                self.refuse(&["format"], "goes with a URL: this feed has its own", diagnostics);
                ((*url).to_owned(), *name)
            }
            None => {
                check_url(&text).map_err(|message| diagnostics.error(feed.position, message)).ok()?;
                let formats = ["list", AWS, GITHUB].map(|word| (word, word));
                let format = self.format.map_or(Some("list"), |node| choose(node, "format", &formats, diagnostics));
                (text, format?)
            }
        };
        if format != AWS {
            self.refuse(&["service", "region"], "goes with the feed `aws-ip-ranges` or its format", diagnostics);
        }
        if format != GITHUB {
            self.refuse(&["key"], "goes with the feed `github-meta` or its format", diagnostics);
        }
        let format = match format {
            AWS => Format::AwsIpRanges {
                service: words(self.service, "service", "EC2", is_service, diagnostics),
                region: words(self.region, "region", "us-east-1", is_region, diagnostics),
            },
            GITHUB if self.key.is_none() => {
                let message = "missing key `key`: which lists of the feed are meant, such as `actions`";
                diagnostics.error(feed.position, message);
                return None;
            }
            GITHUB => Format::GithubMeta { key: words(self.key, "key", "actions", is_key, diagnostics) },
            _ => Format::List,
        };
        Some(Feed { url, format })
    }
}

/// The values of a filter. Which ones exist only the feed knows; here they must look right.
fn words(
    node: Option<&Node>,
    what: &str,
    example: &str,
    looks_right: fn(&str) -> bool,
    diagnostics: &mut Diagnostics,
) -> Vec<String> {
    let Some(node) = node else { return Vec::new() };
    let words = NonEmpty::<String>::decode(node, diagnostics).map_or_else(Vec::new, |list| list.0);
    for word in words.iter().filter(|word| !looks_right(word)) {
        diagnostics.error(node.position, format!("`{word}` is no {what}: expected one such as `{example}`"));
    }
    words
}

fn consists_of(word: &str, other: &[u8], letter: fn(&u8) -> bool) -> bool {
    !word.is_empty() && word.bytes().all(|b| letter(&b) || b.is_ascii_digit() || other.contains(&b))
}

fn is_service(word: &str) -> bool {
    consists_of(word, b"_", u8::is_ascii_uppercase)
}

fn is_region(word: &str) -> bool {
    word == "GLOBAL" || consists_of(word, b"-", u8::is_ascii_lowercase)
}

fn is_key(word: &str) -> bool {
    consists_of(word, b"_", u8::is_ascii_lowercase)
}

fn check_url(text: &str) -> Result<(), String> {
    if !text.contains("://") {
        return Err(unknown_word("feed", text, [AWS, GITHUB, "https://..."].into_iter()));
    }
    if escaped(text).len() > LONGEST_ID {
        return Err("this URL is too long: fetch the feed yourself and name a `file`".into());
    }
    if text.starts_with("file:///") {
        return Ok(());
    }
    let uri: http::Uri = text.parse().map_err(|_| format!("`{text}` is not a URL"))?;
    if !matches!(uri.scheme_str(), Some("https" | "http")) {
        return Err(format!("`{text}` must begin with `https://`, `http://` or `file:///`"));
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err(format!("`{text}` names no host"));
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("the URL of a feed must not hold credentials: it is shown in metrics".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &str) -> (Option<Blocks>, String) {
        let mut diagnostics = Diagnostics::new("p");
        let blocks = crate::document::read(text, &mut diagnostics);
        let messages: Vec<&str> = diagnostics.sorted().map(|finding| &*finding.message).collect();
        (blocks, messages.join("; "))
    }

    fn feed(text: &str) -> Feed {
        let (blocks, message) = decode(text);
        assert_eq!(message, "", "{text}");
        let Some(Blocks::Feed(feed)) = blocks else { unreachable!("{text} is no feed") };
        feed
    }

    #[test]
    fn an_item_is_a_block_a_file_or_a_feed() {
        assert_eq!(decode("192.0.2.1").0, Some(Blocks::Cidr(Cidr("192.0.2.1/32".parse().unwrap()))));
        assert_eq!(decode("{file: office.txt}").0, Some(Blocks::File("office.txt".into())));
        let aws = feed("{feed: aws-ip-ranges, service: EC2, region: [us-east-1, GLOBAL]}");
        assert_eq!(aws.url, "https://ip-ranges.amazonaws.com/ip-ranges.json");
        assert_eq!(aws.filter(), "service=EC2 region=us-east-1,GLOBAL");
        let mirror = feed("{feed: 'https://mirror.example/aws.json', format: aws-ip-ranges, service: [EC2, S3]}");
        assert_eq!(mirror.filter(), "service=EC2,S3");
        assert_eq!(feed("{feed: github-meta, key: actions}").url, "https://api.github.com/meta");
        assert_eq!(feed("{feed: 'file:///etc/blocks.txt'}").format, Format::List);
    }

    #[test]
    fn mistakes_say_what_to_do() {
        let cases = [
            ("[]", "expected a CIDR block such as `192.0.2.0/24`, found a list"),
            ("{}", "expected a CIDR block, or either `file` or `feed`"),
            ("{file: a, feed: github-meta}", "expected a CIDR block, or either `file` or `feed`"),
            ("{file: a, service: EC2}", "`service` goes with `feed`"),
            ("{feed: aws-ip-range}", "unknown feed `aws-ip-range`, did you mean `aws-ip-ranges`?"),
            (
                "{feed: blocks.txt}",
                "unknown feed `blocks.txt`, expected one of: aws-ip-ranges, github-meta, https://...",
            ),
            ("{feed: aws-ip-ranges, servce: EC2}", "unknown key `servce`, did you mean `service`?"),
            ("{feed: aws-ip-ranges, service: ec2}", "`ec2` is no service: expected one such as `EC2`"),
            ("{feed: aws-ip-ranges, service: []}", "expected at least one item"),
            ("{feed: aws-ip-ranges, region: US-EAST-1}", "`US-EAST-1` is no region: expected one such as `us-east-1`"),
            ("{feed: aws-ip-ranges, key: a}", "`key` goes with the feed `github-meta` or its format"),
            ("{feed: aws-ip-ranges, format: list}", "`format` goes with a URL: this feed has its own"),
            ("{feed: github-meta}", "missing key `key`: which lists of the feed are meant, such as `actions`"),
            (
                "{feed: github-meta, key: web, service: EC2}",
                "`service` goes with the feed `aws-ip-ranges` or its format",
            ),
            (
                "{feed: 'https://h/', format: csv}",
                "unknown format `csv`, expected one of: list, aws-ip-ranges, github-meta",
            ),
            ("{feed: 'ftp://h/x'}", "`ftp://h/x` must begin with `https://`, `http://` or `file:///`"),
            ("{feed: 'https://key:secret@h/x'}", "the URL of a feed must not hold credentials: it is shown in metrics"),
        ];
        for (text, message) in cases {
            assert_eq!(decode(text).1, message, "{text}");
        }
    }

    #[test]
    fn one_url_has_one_identity_and_a_file_name() {
        let of = |text: &str| feed(text).id();
        assert_eq!(of("{feed: aws-ip-ranges, service: EC2}"), "aws-ip-ranges");
        assert_eq!(of("{feed: 'https://h:8/a/../b?c=%20'}"), "https%3A%2F%2Fh%3A8%2Fa%2F..%2Fb%3Fc%3D%2520");
        let long = |letters| format!("{{feed: 'https://h/{}'}}", "x".repeat(letters));
        assert_eq!(of(&long(182)).len(), LONGEST_ID);
        assert!(decode(&long(183)).1.contains("too long"));
        assert_eq!(feed("{feed: 'https://h:8/list?token=secret'}").name(), "h:8/list");
        assert_eq!(feed("{feed: github-meta, key: web}").name(), "github-meta");
    }
}
