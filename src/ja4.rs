//! JA4: a fingerprint of what a TLS client says first. Pure: bytes in, text out; it must not decide anything, and must not
//! trust what it reads.
//!
//! After FoxIO's specification of JA4, TLS clients only (<https://github.com/FoxIO-LLC/ja4>, `technical_details/JA4.md`,
//! BSD 3-Clause). The other methods of JA4+ have another licence and are not here.

use sha2::{Digest, Sha256};

/// Of what a client says first so many bytes are looked at. Hellos have some 500, and 2,000 with keys that quantum
/// computers cannot break.
pub const LONGEST_HELLO: usize = 16 << 10;
/// A fingerprint, to be shown to people.
pub const EXAMPLE: &str = "t13d1516h2_8daaf6152771_e5627efa2ab1";

/// Types of records, of messages and of extensions (RFC 8446).
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const SIGNATURE_ALGORITHMS: u16 = 13;
const ALPN: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;
/// What stands for the hash of nothing.
const NOTHING: &str = "000000000000";

/// The fingerprint of the client that sent `records` over TCP, which may hold more than its hello. `None` where they do
/// not hold a whole one.
pub fn ja4(records: &[u8]) -> Option<String> {
    Hello::read(&message(records)?).map(|hello| hello.fingerprint())
}

/// Whether a fingerprint of a client over TCP may begin so, or be so.
pub fn may_begin(text: &str) -> bool {
    let versions = ["00", "s2", "s3", "10", "11", "12", "13"];
    let version = text.get(1..text.len().min(3)).unwrap_or_default();
    let fits = |(place, byte): (usize, u8)| match place {
        0 => byte == b't',
        1 | 2 => true,
        3 => matches!(byte, b'd' | b'i'),
        4..=7 => byte.is_ascii_digit(),
        8 | 9 => byte.is_ascii_alphanumeric(),
        10 | 23 => byte == b'_',
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    };
    text.len() <= EXAMPLE.len()
        && text.bytes().enumerate().all(fits)
        && versions.iter().any(|known| known.starts_with(version))
}

/// The first message of a handshake, which may be cut into several records.
fn message(mut records: &[u8]) -> Option<Vec<u8>> {
    let mut read = Vec::new();
    loop {
        let mut record = Reader(records);
        if record.byte()? != HANDSHAKE {
            return None;
        }
        record.number()?;
        read.extend_from_slice(record.long()?.0);
        records = record.0;
        if let [CLIENT_HELLO, high, middle, low, body @ ..] = &*read {
            let length = u32::from_be_bytes([0, *high, *middle, *low]) as usize;
            if let Some(body) = body.get(..length) {
                return Some(body.to_vec());
            }
        } else if read.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
            return None;
        }
    }
}

/// Reads bytes from their beginning. `None` where there are not enough.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<Reader<'a>> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(Reader(taken))
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|taken| taken.0[0])
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2).map(|taken| u16::from_be_bytes([taken.0[0], taken.0[1]]))
    }

    /// What stands behind its length in one byte.
    fn short(&mut self) -> Option<Reader<'a>> {
        let length = self.byte()?;
        self.take(length.into())
    }

    /// What stands behind its length in two bytes.
    fn long(&mut self) -> Option<Reader<'a>> {
        let length = self.number()?;
        self.take(length.into())
    }

    /// All numbers of two bytes that mean something.
    fn numbers(mut self) -> Vec<u16> {
        std::iter::from_fn(|| self.number()).filter(|number| !is_grease(*number)).collect()
    }
}

/// Whether a number is there to see if servers pass over what they do not know (RFC 8701).
fn is_grease(number: u16) -> bool {
    let [high, low] = number.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}

/// What of a ClientHello makes its fingerprint.
#[derive(Debug, Default)]
struct Hello<'a> {
    version: u16,
    ciphers: Vec<u16>,
    extensions: Vec<u16>,
    alpn: &'a [u8],
    algorithms: Vec<u16>,
}

impl<'a> Hello<'a> {
    fn read(body: &'a [u8]) -> Option<Self> {
        let mut body = Reader(body);
        let mut hello = Hello { version: body.number()?, ..Hello::default() };
        body.take(32)?;
        body.short()?;
        hello.ciphers = body.long()?.numbers();
        body.short()?;
        // A hello may end here.
        let mut extensions = if body.0.is_empty() { body } else { body.long()? };
        while !extensions.0.is_empty() {
            let kind = extensions.number()?;
            let mut content = extensions.long()?;
            match kind {
                _ if is_grease(kind) => continue,
                SIGNATURE_ALGORITHMS => hello.algorithms = content.long()?.numbers(),
                ALPN => hello.alpn = content.long()?.short()?.0,
                SUPPORTED_VERSIONS => {
                    hello.version = content.short()?.numbers().into_iter().max().unwrap_or(hello.version);
                }
                _ => {}
            }
            hello.extensions.push(kind);
        }
        Some(hello)
    }

    fn fingerprint(mut self) -> String {
        let version = match self.version {
            0x0304 => "13",
            0x0303 => "12",
            0x0302 => "11",
            0x0301 => "10",
            0x0300 => "s3",
            0x0002 => "s2",
            _ => "00",
        };
        let name = if self.extensions.contains(&SERVER_NAME) { 'd' } else { 'i' };
        let (ciphers, extensions) = (self.ciphers.len().min(99), self.extensions.len().min(99));
        let [first, last] = ends(self.alpn);
        let start = format!("t{version}{name}{ciphers:02}{extensions:02}{first}{last}");
        self.ciphers.sort_unstable();
        self.extensions.retain(|kind| !matches!(*kind, SERVER_NAME | ALPN));
        self.extensions.sort_unstable();
        let mut kinds = listed(&self.extensions);
        if !self.algorithms.is_empty() {
            kinds = format!("{kinds}_{}", listed(&self.algorithms));
        }
        format!("{start}_{}_{}", hashed(&listed(&self.ciphers)), hashed(&kinds))
    }
}

/// The first and the last character of a protocol's name, or of its bytes in base 16 where one of the two is no letter
/// or digit.
fn ends(name: &[u8]) -> [char; 2] {
    let (Some(first), Some(last)) = (name.first(), name.last()) else { return ['0'; 2] };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [char::from(*first), char::from(*last)];
    }
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('0');
    [digit(first >> 4), digit(last & 0x0f)]
}

fn listed(numbers: &[u16]) -> String {
    let texts: Vec<String> = numbers.iter().map(|number| format!("{number:04x}")).collect();
    texts.join(",")
}

fn hashed(text: &str) -> String {
    if text.is_empty() {
        return NOTHING.to_owned();
    }
    hex::encode(&Sha256::digest(text)[..NOTHING.len() / 2])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Hellos as browsers sent them, with their fingerprints.
    const PUBLISHED: &str = include_str!("../tests/vectors/ja4.txt");

    fn published() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
        let lines = PUBLISHED.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        lines.map(|line| {
            let (fingerprint, bytes) = line.split_once(' ').unwrap();
            (fingerprint, hex::decode(bytes).unwrap())
        })
    }

    /// An extension, or a part of another kind with two bytes of length.
    fn part(kind: u16, content: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &long(content)].concat()
    }

    fn long(content: &[u8]) -> Vec<u8> {
        [&u16::try_from(content.len()).unwrap().to_be_bytes()[..], content].concat()
    }

    fn numbers(numbers: &[u16]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
    }

    /// A record with a hello of these ciphers and extensions.
    fn hello(version: u16, ciphers: &[u16], extensions: Option<&[Vec<u8>]>) -> Vec<u8> {
        let mut body = version.to_be_bytes().to_vec();
        body.extend([7; 32]);
        body.push(0);
        body.extend(long(&numbers(ciphers)));
        body.extend([1, 0]);
        body.extend(extensions.map_or_else(Vec::new, |extensions| long(&extensions.concat())));
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&[HANDSHAKE, 3, 1][..], &long(&[&[CLIENT_HELLO], &length[1..], &body].concat())].concat()
    }

    fn alpn(name: &[u8]) -> Vec<u8> {
        part(ALPN, &long(&[&[u8::try_from(name.len()).unwrap()], name].concat()))
    }

    #[test]
    fn browsers_have_the_fingerprints_that_were_published() {
        assert!(published().count() > 1);
        for (expected, bytes) in published() {
            assert_eq!(ja4(&bytes).as_deref(), Some(expected));
            assert!(may_begin(expected));
            // What follows does not matter.
            assert_eq!(ja4(&[&bytes, &b"more"[..]].concat()).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_hello_that_is_cut_off_has_none() {
        for (_, bytes) in published() {
            for length in 0..bytes.len() {
                assert_eq!(ja4(&bytes[..length]), None, "{length}");
            }
        }
    }

    #[test]
    fn a_hello_may_come_in_several_records() {
        for (expected, bytes) in published() {
            for size in [1, 2, 3, 100, 250] {
                let pieces = bytes[5..].chunks(size).flat_map(|piece| [&[HANDSHAKE, 3, 1][..], &long(piece)].concat());
                assert_eq!(ja4(&pieces.collect::<Vec<_>>()).as_deref(), Some(expected), "{size}");
            }
        }
    }

    #[test]
    fn each_part_says_what_the_client_does() {
        let start = |bytes: &[u8]| ja4(bytes).unwrap()[..10].to_owned();
        let versions = |versions: &[u16]| {
            let content = numbers(versions);
            part(SUPPORTED_VERSIONS, &[&[u8::try_from(content.len()).unwrap()], &*content].concat())
        };
        let named = part(SERVER_NAME, &[]);
        let grease = part(0x3a3a, &[]);
        let many: Vec<u16> = (0x100..0x200).collect();
        // version, ciphers, extensions, start
        type Case<'a> = (u16, &'a [u16], Option<&'a [Vec<u8>]>, &'a str);
        let cases: [Case<'_>; 12] = [
            (0x0303, &[0x1301], None, "t12i010000"),
            (0x0303, &[], Some(&[]), "t12i000000"),
            (0x0301, &[0x1301, 0x0a0a, 0xfafa], Some(&[grease.clone(), named.clone()]), "t10d010100"),
            (0x0303, &[1], Some(&[versions(&[0x7a7a, 0x0303, 0x0304])]), "t13i010100"),
            (0x0303, &[1], Some(&[versions(&[0x7a7a])]), "t12i010100"),
            (0x0300, &[1], Some(&[alpn(b"http/1.1")]), "ts3i0101h1"),
            (0x0305, &[1], Some(&[alpn(b"x")]), "t00i0101xx"),
            (0x0303, &[1], Some(&[alpn(&[0xab])]), "t12i0101ab"),
            (0x0303, &[1], Some(&[alpn(&[0x30, 0x31, 0xab, 0xcd])]), "t12i01013d"),
            (0x0303, &[1], Some(&[alpn(&[0x30, 0xab, 0xcd, 0x31])]), "t12i010101"),
            (0x0303, &[1], Some(&[alpn(b"")]), "t12i010100"),
            (0x0303, &many, Some(&vec![named.clone(); 120]), "t12d999900"),
        ];
        for (version, ciphers, extensions, expected) in cases {
            assert_eq!(start(&hello(version, ciphers, extensions)), expected, "{extensions:?}");
        }
    }

    #[test]
    fn order_does_not_count_but_that_of_algorithms_does() {
        let algorithms = |of: &[u16]| part(SIGNATURE_ALGORITHMS, &long(&numbers(of)));
        let of = |ciphers: &[u16], extensions: &[Vec<u8>]| ja4(&hello(0x0303, ciphers, Some(extensions))).unwrap();
        let (first, second) = (part(5, &[]), algorithms(&[0x0403, 0x0804]));
        let one = of(&[1, 2], &[first.clone(), second.clone()]);
        assert_eq!(of(&[2, 0x1a1a, 1], &[part(0xbaba, &[1]), second.clone(), first.clone()]), one);
        assert_eq!(of(&[1, 2], &[first.clone(), algorithms(&[0x0403, 0x9a9a, 0x0804])]), one);
        assert_ne!(of(&[1, 2], &[first.clone(), algorithms(&[0x0804, 0x0403])]), one);
        // Names of hosts and protocols are told by the first part alone.
        let of_none = of(&[], &[part(SERVER_NAME, &[]), alpn(b"h2")]);
        assert_eq!(of_none, format!("t12d0002h2_{NOTHING}_{NOTHING}"));
        assert!(one.ends_with(&hashed("0005,000d_0403,0804")), "{one}");
    }

    #[test]
    fn what_is_no_hello_has_none() {
        let good = hello(0x0303, &[1], Some(&[part(5, &[0; 3])]));
        assert!(ja4(&good).is_some());
        let changed = |at: usize, to: u8| {
            let mut bytes = good.clone();
            bytes[at] = to;
            ja4(&bytes)
        };
        assert_eq!(changed(0, 23), None, "another record");
        assert_eq!(changed(5, 2), None, "another message");
        assert_eq!(changed(good.len() - 4, 9), None, "an extension that is longer than all of them");
        assert_eq!(ja4(b"GET / HTTP/1.1\r\n\r\n"), None);
        assert_eq!(ja4(b""), None);
        assert_eq!(ja4(&[HANDSHAKE, 3, 1, 0, 0].repeat(3000)), None, "records without end");
    }

    #[test]
    fn a_beginning_is_told_from_what_is_none() {
        for good in ["", "t", "t1", "t13", "t13d", "t13d1516h2_", "t00i0000", "ts3", EXAMPLE] {
            assert!(may_begin(good), "{good}");
        }
        let long = format!("{EXAMPLE}0");
        for bad in ["q", "q13", "t14", "t2", "t13x", "t13dx", "t13d1516h2-", "t13d1516h2_8G", "13d", "t13d1516é", &long]
        {
            assert!(!may_begin(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_sent_makes_it_panic(
            which in 0usize..2,
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            junk in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let (_, mut bytes) = published().nth(which).unwrap();
            for (at, to) in changes {
                let at = at.index(bytes.len());
                bytes[at] = to;
            }
            if let Some(found) = ja4(&bytes) {
                prop_assert!(found.len() == EXAMPLE.len() && may_begin(&found), "{}", found);
            }
            prop_assert_eq!(ja4(&junk).filter(|found| !may_begin(found)), None);
        }
    }
}
