//! Published lists of blocks: bytes in, blocks out.
//!
//! What was fetched is foreign text: it is bounded by whoever fetched it, and messages show little of it.

use super::feed::{AWS, GITHUB};
use super::{Feed, Format, IpNet, block};
use crate::document::unknown_word;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// How much of a feed's own text a message shows, in characters.
const SHOWN: usize = 80;
/// The shortest prefixes in a feed, of IPv4 and IPv6. No cloud has larger blocks, and `0.0.0.0/0` in a feed, by mistake
/// or malice, would make everybody one of its network.
const SHORTEST: (u8, u8) = (8, 16);

/// Reads what was fetched for `feed`: its blocks, sorted, none twice.
///
/// # Errors
/// When it has another form, when a filter names what the feed does not have, when a block is shorter than /8 of IPv4 or
/// /16 of IPv6, or when no block is left: an empty feed is far more often a broken one. The message says what to look at.
pub fn parse(feed: &Feed, bytes: &[u8]) -> Result<Vec<IpNet>, String> {
    let mut blocks = match &feed.format {
        Format::List => parse_list(bytes)?,
        Format::AwsIpRanges { service, region } => aws_ip_ranges(bytes, service, region)?,
        Format::GithubMeta { key } => github_meta(bytes, key)?,
    };
    if blocks.is_empty() {
        return Err(match &*feed.filter() {
            "" => "it holds no block".into(),
            filter => format!("it holds no block for `{filter}`"),
        });
    }
    let is_vast = |block: &&IpNet| block.prefix_len() < if block.addr().is_ipv4() { SHORTEST.0 } else { SHORTEST.1 };
    if let Some(vast) = blocks.iter().find(is_vast) {
        let (ipv4, ipv6) = SHORTEST;
        return Err(format!("the block `{vast}` is too large for a feed: at most /{ipv4} of IPv4, /{ipv6} of IPv6"));
    }
    blocks.sort_unstable();
    blocks.dedup();
    Ok(blocks)
}

/// Reads a list: one block or address per line; `#` and `;` begin comments. It may be empty.
///
/// # Errors
/// At the first line that is neither, with its number.
pub fn parse_list(bytes: &[u8]) -> Result<Vec<IpNet>, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut blocks = Vec::new();
    for (number, line) in bytes.split(|b| *b == b'\n').enumerate() {
        let code = line.split(|b| matches!(b, b'#' | b';')).next().unwrap_or_default().trim_ascii();
        if !code.is_empty() {
            let read = block(&shown(&String::from_utf8_lossy(code)));
            blocks.push(read.map_err(|message| format!("line {}: {message}", number + 1))?);
        }
    }
    Ok(blocks)
}

/// The beginning of a text from outside, safe to show. Blocks and addresses come out as they are.
fn shown(text: &str) -> String {
    text.escape_debug().take(SHOWN).collect()
}

fn malformed(format: &str, error: &serde_json::Error) -> String {
    format!("it is not of the format `{format}`: {}", shown(&error.to_string()))
}

#[derive(Deserialize)]
struct AwsIpRanges<'a> {
    #[serde(borrow)]
    prefixes: Vec<AwsPrefix<'a>>,
    #[serde(borrow)]
    ipv6_prefixes: Vec<AwsPrefix<'a>>,
}

#[derive(Deserialize)]
struct AwsPrefix<'a> {
    #[serde(alias = "ipv6_prefix", borrow)]
    ip_prefix: Cow<'a, str>,
    #[serde(borrow)]
    service: Cow<'a, str>,
    #[serde(borrow)]
    region: Cow<'a, str>,
}

fn aws_ip_ranges(bytes: &[u8], service: &[String], region: &[String]) -> Result<Vec<IpNet>, String> {
    let ranges: AwsIpRanges = serde_json::from_slice(bytes).map_err(|error| malformed(AWS, &error))?;
    let all = || ranges.prefixes.iter().chain(&ranges.ipv6_prefixes);
    every_is_known("service", service, all().map(|prefix| &*prefix.service))?;
    every_is_known("region", region, all().map(|prefix| &*prefix.region))?;
    let named = |filter: &[String], value: &str| filter.is_empty() || filter.iter().any(|word| word == value);
    all()
        .filter(|prefix| named(service, &prefix.service) && named(region, &prefix.region))
        .map(|prefix| block(&shown(&prefix.ip_prefix)))
        .collect()
}

fn github_meta(bytes: &[u8], key: &[String]) -> Result<Vec<IpNet>, String> {
    /// A value of the document that is a list of blocks, or something else.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Value {
        Texts(Vec<String>),
        Other(serde::de::IgnoredAny),
    }
    let meta: BTreeMap<String, Value> = serde_json::from_slice(bytes).map_err(|error| malformed(GITHUB, &error))?;
    let lists: BTreeMap<&str, &[String]> = meta
        .iter()
        .filter_map(|(name, value)| match value {
            Value::Texts(texts) if texts.first().is_none_or(|text| block(text).is_ok()) => Some((&**name, &**texts)),
            Value::Texts(_) | Value::Other(_) => None,
        })
        .collect();
    every_is_known("key", key, lists.keys().copied())?;
    key.iter().flat_map(|key| lists[&**key]).map(|text| block(&shown(text))).collect()
}

/// Refuses a filter that names what the feed does not have. One wrong word among right ones is refused as well: the
/// network would lack its blocks, and nobody would know.
fn every_is_known<'a>(what: &str, filter: &[String], known: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let known: BTreeSet<&str> = if filter.is_empty() { BTreeSet::new() } else { known.collect() };
    match filter.iter().find(|word| !known.contains(&***word)) {
        Some(word) => {
            let sane = |word: &&str| word.len() <= SHOWN && word.bytes().all(|b| b.is_ascii_graphic());
            Err(unknown_word(what, word, known.iter().copied().filter(sane)))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Blocks;
    use super::*;
    use crate::document::Diagnostics;

    const AWS_JSON: &str = r#"{"syncToken": "1", "createDate": "2026-01-01",
        "prefixes": [
            {"ip_prefix": "192.0.2.0/25", "region": "us-east-1", "service": "AMAZON", "network_border_group": "x"},
            {"ip_prefix": "192.0.2.0/25", "region": "us-east-1", "service": "EC2", "network_border_group": "x"},
            {"ip_prefix": "198.51.100.0/24", "region": "eu-west-1", "service": "EC2", "network_border_group": "x"},
            {"ip_prefix": "203.0.113.0/24", "region": "eu-west-1", "service": "S3", "network_border_group": "x"}],
        "ipv6_prefixes": [
            {"ipv6_prefix": "2001:db8::/40", "region": "us-east-1", "service": "EC2", "network_border_group": "x"}]}"#;

    const GITHUB_JSON: &str = r#"{"verifiable_password_authentication": false, "ssh_keys": ["ssh-ed25519 AAAA"],
        "ssh_key_fingerprints": {"SHA256_RSA": "x"}, "hooks": ["192.0.2.0/24", "2001:db8::/32"],
        "actions": ["198.51.100.0/24", "192.0.2.0/24"], "importer": [], "domains": {"website": ["*.example.org"]}}"#;

    fn read(feed: &str, bytes: &str) -> Result<String, String> {
        let mut diagnostics = Diagnostics::new("p");
        let Some(Blocks::Feed(feed)) = crate::document::read(feed, &mut diagnostics) else {
            unreachable!("{diagnostics}")
        };
        let blocks = parse(&feed, bytes.as_bytes())?;
        Ok(blocks.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn blocks_are_read_as_filtered_and_none_twice() {
        let github = |key: &str| read(&format!("{{feed: github-meta, key: {key}}}"), GITHUB_JSON).unwrap();
        assert_eq!(github("hooks"), "192.0.2.0/24 2001:db8::/32");
        assert_eq!(github("[hooks, actions, importer]"), "192.0.2.0/24 198.51.100.0/24 2001:db8::/32");
        let aws = |filter: &str| read(&format!("{{feed: aws-ip-ranges, {filter}}}"), AWS_JSON).unwrap();
        assert_eq!(aws(""), "192.0.2.0/25 198.51.100.0/24 203.0.113.0/24 2001:db8::/40");
        assert_eq!(aws("service: [EC2]"), "192.0.2.0/25 198.51.100.0/24 2001:db8::/40");
        assert_eq!(aws("service: [EC2, S3], region: eu-west-1"), "198.51.100.0/24 203.0.113.0/24");
        let list = "\u{feff}# mine\r\n192.0.2.0/24 ; a comment\r\n\r\n 2001:db8::1\t# one\n192.0.2.0/24";
        assert_eq!(read("{feed: 'https://h/'}", list).unwrap(), "192.0.2.0/24 2001:db8::1/128");
        assert_eq!(parse_list(b"# nobody yet\n"), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_such_feed_is_refused() {
        let cases = [
            ("{feed: 'https://h/'}", "\n \n# nothing", "it holds no block"),
            (
                "{feed: 'https://h/'}",
                "192.0.2.0/24\n<p>\x1b[1m",
                "line 2: expected a CIDR block such as `192.0.2.0/24`, found `<p>\\u{1b}[1m`",
            ),
            (
                "{feed: 'https://h/'}",
                "192.0.2.1/24",
                "line 1: `192.0.2.1/24` has host bits set, did you mean `192.0.2.0/24`?",
            ),
            (
                "{feed: 'https://h/'}",
                "192.0.2.0/24\n0.0.0.0/0",
                "the block `0.0.0.0/0` is too large for a feed: at most /8 of IPv4, /16 of IPv6",
            ),
            (
                "{feed: 'https://h/'}",
                "10.0.0.0/8\n2000::/3",
                "the block `2000::/3` is too large for a feed: at most /8 of IPv4, /16 of IPv6",
            ),
            (
                "{feed: aws-ip-ranges}",
                r#"{"prefixes": []}"#,
                "it is not of the format `aws-ip-ranges`: missing field `ipv6_prefixes` at line 1 column 16",
            ),
            ("{feed: aws-ip-ranges, service: EC3}", AWS_JSON, "unknown service `EC3`, did you mean `EC2`?"),
            (
                "{feed: aws-ip-ranges, service: [EC2, LAMBDA]}",
                AWS_JSON,
                "unknown service `LAMBDA`, expected one of: AMAZON, EC2, S3",
            ),
            (
                "{feed: aws-ip-ranges, service: S3, region: us-east-1}",
                AWS_JSON,
                "it holds no block for `service=S3 region=us-east-1`",
            ),
            ("{feed: github-meta, key: action}", GITHUB_JSON, "unknown key `action`, did you mean `actions`?"),
            (
                "{feed: github-meta, key: ssh_keys}",
                GITHUB_JSON,
                "unknown key `ssh_keys`, expected one of: actions, hooks, importer",
            ),
            ("{feed: github-meta, key: importer}", GITHUB_JSON, "it holds no block for `key=importer`"),
            (
                "{feed: github-meta, key: hooks}",
                "[1]",
                "it is not of the format `github-meta`: invalid type: sequence, expected a map at line 1 column 0",
            ),
        ];
        for (feed, bytes, message) in cases {
            assert_eq!(read(feed, bytes).unwrap_err(), message, "{feed}");
        }
        assert!(read("{feed: 'https://h/'}", &"x".repeat(1 << 20)).unwrap_err().len() < 200);
    }
}
