//! AWS's published examples, signatures by AWS's own signer, and what must not be accepted.

use super::{AccessKey, Fault, MOST_SKEW, Sent, Signed};
use crate::clock::Timestamp;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::time::Duration;

/// Requests with their signatures as they stand in the S3 API reference, one per paragraph.
const EXAMPLES: &str = include_str!("../../../tests/vectors/sigv4-s3.txt");
const EXAMPLE_KEY: &str = "AKIAIOSFODNN7EXAMPLE wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// A request, which can be changed.
#[derive(Debug, Clone)]
struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
}

impl Request {
    fn parse(text: &str) -> Self {
        let mut lines = text.lines();
        let (method, target) = lines.next().unwrap().split_once(' ').unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap());
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Request { method: method.into(), target: target.into(), headers }
    }

    fn header(&mut self, name: &str) -> &mut String {
        &mut self.headers.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)).unwrap().1
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// `None` where no client could send it.
    fn map(&self) -> Option<HeaderMap> {
        let mut map = HeaderMap::new();
        for (name, value) in &self.headers {
            map.append(name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value).ok()?);
        }
        Some(map)
    }

    fn verify(&self, key: &AccessKey, now: Timestamp) -> Result<(), Fault> {
        let Some(headers) = self.map() else { return Err(Fault::Header("no headers")) };
        let sent = Sent { method: &self.method, target: &self.target, headers: &headers, port: Some(8080) };
        Signed::read(sent, |id| id == key.id())?.verify(key, now)
    }
}

fn examples() -> Vec<Request> {
    let text: Vec<&str> = EXAMPLES.lines().filter(|line| !line.starts_with('#')).collect();
    text.join("\n").trim().split("\n\n").map(|paragraph| Request::parse(paragraph.trim())).collect()
}

fn example_key() -> AccessKey {
    AccessKey::parse(EXAMPLE_KEY, None).unwrap()
}

fn then() -> Timestamp {
    "2013-05-24T00:00:00Z".parse().unwrap()
}

#[test]
fn published_examples_are_verified() {
    let examples = examples();
    assert_eq!(examples.len(), 4);
    for request in examples {
        assert_eq!(request.verify(&example_key(), then()), Ok(()), "{request:?}");
        let other = AccessKey::parse(&EXAMPLE_KEY.replace("bPx", "bpX"), None).unwrap();
        assert_eq!(request.verify(&other, then()), Err(Fault::Mismatch), "{request:?}");
        let session = AccessKey::parse(&format!("{EXAMPLE_KEY} token"), None).unwrap();
        assert_eq!(request.verify(&session, then()), Err(Fault::UnknownKey), "{request:?}");
    }
}

#[test]
fn a_signature_has_its_time() {
    let examples = examples();
    let (by_header, presigned) = (&examples[0], &examples[3]);
    let key = example_key();
    let second = Duration::from_secs(1);
    let before = |time: Duration| Timestamp(then().0 - u64::try_from(time.as_millis()).unwrap());
    let cases = [
        (by_header, then() + MOST_SKEW, Ok(())),
        (by_header, then() + MOST_SKEW + second, Err(Fault::Skew)),
        (by_header, before(MOST_SKEW), Ok(())),
        (by_header, before(MOST_SKEW + second), Err(Fault::Skew)),
        (presigned, then() + Duration::from_secs(86399), Ok(())),
        (presigned, then() + Duration::from_secs(86400), Err(Fault::Expired)),
        (presigned, before(MOST_SKEW), Ok(())),
        (presigned, before(MOST_SKEW + second), Err(Fault::Early)),
    ];
    for (request, now, expected) in cases {
        assert_eq!(request.verify(&key, now), expected, "{request:?} {now}");
    }
}

#[test]
fn what_is_not_signed_as_it_should_be_is_refused() {
    let examples = examples();
    let (by_header, presigned) = (&examples[0], &examples[3]);
    let key = example_key();
    let header = |from: &str, to: &str| {
        let mut request = by_header.clone();
        let value = request.header("authorization");
        assert!(value.contains(from), "{from}");
        *value = value.replace(from, to);
        request
    };
    let query = |from: &str, to: &str| {
        assert!(presigned.target.contains(from), "{from}");
        Request { target: presigned.target.replace(from, to), ..presigned.clone() }
    };
    let without = |name: &str| {
        let headers = by_header.headers.iter().filter(|(known, _)| !known.eq_ignore_ascii_case(name)).cloned();
        Request { headers: headers.collect(), ..by_header.clone() }
    };
    let replaced = |name: &str, value: &str| without(name).with(name, value);
    let longer = "x".repeat(70_000);
    let many: String = (0..200).map(|number| format!("&p{number}=")).collect();
    type Case = (Request, &'static str);
    let cases: [Case; 36] = [
        (header("AWS4-HMAC-SHA256 ", "AWS "), "version"),
        (header("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), "version"),
        (query("X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256"), "version"),
        (query("X-Amz-Algorithm", "AWSAccessKeyId"), "version"),
        (presigned.clone().with("Authorization", "AWS4-HMAC-SHA256 x"), "both"),
        (presigned.clone().with("Authorization", "Bearer x"), "both"),
        (header("Signature=", "Sig="), "malformed"),
        (header("Credential=", ""), "malformed"),
        (header("Credential=AKIA", "Credential=ASIA"), "unknown-key"),
        (header("SignedHeaders=", "Signed="), "malformed"),
        (header("Signature=", "Signature=00,Signature="), "malformed"),
        (header("/us-east-1/s3/", "/us-east-1/ec2/"), "malformed"),
        (header("/aws4_request", "/aws4"), "malformed"),
        (header("20130524/us", "20130523/us"), "malformed"),
        (header("/us-east-1/", "//"), "malformed"),
        (header("host;range", "Host;range"), "malformed"),
        (header("host;range", "range;host"), "malformed"),
        (header("host;range", "host;host;range"), "malformed"),
        (header("host;range", ";host;range"), "malformed"),
        (header("host;range", "authorization;host;range"), "mismatch"),
        (header("host;range", "host;if-match;range"), "mismatch"),
        (header("host;range", "range"), "unsigned"),
        (header(";x-amz-content-sha256", ""), "unsigned"),
        (by_header.clone().with("x-amz-acl", "public-read"), "unsigned"),
        (presigned.clone().with("X-Amz-Date", "20130524T000000Z"), "unsigned"),
        (by_header.clone().with("X-Amz-Date", "20130524T000000Z"), "malformed"),
        (by_header.clone().with("Authorization", "AWS4-HMAC-SHA256 x"), "malformed"),
        (without("x-amz-date"), "date"),
        (replaced("x-amz-date", "20130524T000000"), "malformed"),
        (replaced("x-amz-date", "20130524T250000Z"), "malformed"),
        (replaced("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), "payload"),
        (query("X-Amz-Expires=86400", "X-Amz-Expires=604801"), "malformed"),
        (query("X-Amz-Expires=86400", "X-Amz-Expires=0"), "malformed"),
        (query("X-Amz-Expires=86400&", ""), "malformed"),
        (Request { target: format!("/{longer}"), ..by_header.clone() }, "malformed"),
        (Request { target: format!("/test.txt?a{many}"), ..by_header.clone() }, "malformed"),
    ];
    for (request, word) in cases {
        let fault = request.verify(&key, then()).unwrap_err();
        assert_eq!(fault.word(), word, "{request:?}");
        assert!(Fault::WORDS.contains(&word));
    }
    // Twice is never once: a proxy could take the other one.
    assert_eq!(query("X-Amz-Date=", "X-Amz-Date=1&X-Amz-Date=").verify(&key, then()).unwrap_err().word(), "malformed");
}

#[test]
fn a_key_may_be_for_one_region() {
    let request = &examples()[0];
    for (region, expected) in [("us-east-1", Ok(())), ("eu-central-1", Err(Fault::Region))] {
        let key = AccessKey::parse(EXAMPLE_KEY, Some(region)).unwrap();
        assert_eq!(request.verify(&key, then()), expected, "{region}");
    }
}

#[test]
fn a_key_file_has_one_line_and_is_never_shown() {
    let key = AccessKey::parse(" AKID  s3cr3t\ttok3n \n", None).unwrap();
    let shown = format!("{key:?}");
    assert!(shown.contains("AKID") && !shown.contains("s3cr3t") && !shown.contains("tok3n"), "{shown}");
    for wrong in ["", "AKID", "AKID\nsecret", "a b c d", "A/B secret"] {
        assert!(AccessKey::parse(wrong, None).is_none(), "{wrong}");
    }
}

/// Something to sign.
#[derive(Debug, Clone)]
struct Unsigned {
    key: String,
    secret: String,
    token: Option<String>,
    region: String,
    method: &'static str,
    target: String,
    /// The host that is sent, and the one that is signed.
    hosts: (&'static str, &'static str),
    headers: Vec<(String, String)>,
    presigned: bool,
    at: u64,
}

const HOSTS: [(&str, &str); 6] = [
    ("images.example.org", "images.example.org"),
    ("images.example.org:8080", "images.example.org:8080"),
    ("images.example.org:8443", "images.example.org"),
    ("images.example.org", "images.example.org:8080"),
    ("Images.Example.org", "images.example.org"),
    ("[2001:db8::1]:8080", "[2001:db8::1]"),
];

fn unsigned() -> impl Strategy<Value = Unsigned> {
    let segment = "[A-Za-z0-9_.~-]{1,8}(%20|%2F|%C3%A4|%2B)?[a-z]{0,3}";
    let path = prop::collection::vec(segment, 0..4).prop_map(|segments| format!("/{}", segments.join("/")));
    let pair = ("[a-zA-Z-]{1,8}", "([a-zA-Z0-9._~-]|%20|%2F|%3D|%C3%A4){0,8}");
    let query = prop::collection::vec(pair.prop_map(|(name, value)| format!("{name}={value}")), 0..4);
    let target = (path, query).prop_map(|(path, query)| match query.is_empty() {
        true => path,
        false => format!("{path}?{}", query.join("&")),
    });
    let name = prop::sample::select(&["range", "if-none-match", "x-amz-meta-a", "x-amz-b", "accept"][..]);
    let headers = prop::collection::btree_map(name, "[!-~]([ -~]{0,12}[!-~])?", 0..4);
    let headers = headers.prop_map(|all| all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
    let key = ("[A-Z0-9]{4,20}", "[A-Za-z0-9/+]{8,40}", prop::option::of("[A-Za-z0-9/+=]{1,60}"));
    let how = (prop::sample::select(&["GET", "HEAD"][..]), prop::sample::select(&HOSTS[..]), any::<bool>());
    (key, "[a-z]{2}-[a-z]{3,7}-[0-9]|any", target, headers, how, 0u64..4_000_000_000).prop_map(
        |((key, secret, token), region, target, headers, (method, hosts, presigned), at)| Unsigned {
            key,
            secret,
            token,
            region,
            method,
            target,
            hosts,
            headers,
            presigned,
            at,
        },
    )
}

impl Unsigned {
    fn key(&self) -> AccessKey {
        let token = self.token.as_deref().unwrap_or_default();
        AccessKey::parse(&format!("{} {} {token}", self.key, self.secret), None).unwrap()
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.at * 1000)
    }

    /// Signs with AWS's own code.
    fn sign(&self) -> Request {
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let mut body = SignableBody::Bytes(&[]);
        if self.presigned {
            settings.signature_location = SignatureLocation::QueryParams;
            settings.expires_in = Some(Duration::from_secs(600));
            body = SignableBody::UnsignedPayload;
        } else {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let (sent, signed) = self.hosts;
        let uri = format!("http://{signed}{}", self.target);
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let signable = SignableRequest::new(self.method, uri, headers.chain([("host", signed)]), body).unwrap();
        let token = self.token.clone();
        let identity = Credentials::new(&self.key, &self.secret, token, None, "test").into();
        let params = SigningParams::builder().identity(&identity).region(&self.region).name("s3");
        let params = params.time(self.now().into()).settings(settings).build().unwrap().into();
        let (headers, parameters) = sign(signable, &params).unwrap().into_parts().0.into_parts();
        let mut request =
            Request { method: self.method.into(), target: self.target.clone(), headers: self.headers.clone() }
                .with("host", sent);
        for header in headers {
            request = request.with(header.name(), header.value());
        }
        for (name, value) in parameters {
            let joint = if request.target.contains('?') { '&' } else { '?' };
            let value = percent_encoding::utf8_percent_encode(&value, percent_encoding::NON_ALPHANUMERIC);
            request.target.push_str(&format!("{joint}{name}={value}"));
        }
        request
    }
}

proptest! {
    #[test]
    fn what_aws_signs_is_verified(unsigned in unsigned()) {
        prop_assert_eq!(unsigned.sign().verify(&unsigned.key(), unsigned.now()), Ok(()));
    }

    #[test]
    fn anything_can_be_read(target in "[ -~]{0,80}", authorization in "(AWS4-HMAC-SHA256 )?[ -~]{0,120}") {
        let request = Request { method: "GET".into(), target, headers: Vec::new() };
        let request = request.with("authorization", &authorization).with("host", "h");
        let _ = request.verify(&example_key(), then());
    }
}

/// What a request says, by its meaning: the order and encoding of parameters, space around and within values, and the
/// port and letter case of the host do not count.
fn meaning(request: &Request) -> Option<impl PartialEq + use<>> {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = super::parse::parameters(query)
        .map(|(name, value)| (name.replace('+', " "), value.replace('+', " ")))
        .map(|(name, value)| (percent_decode_str(&name).collect(), percent_decode_str(&value).collect()))
        .collect();
    pairs.sort();
    let mut headers: Vec<(String, String)> = request
        .headers
        .iter()
        .map(|(name, value)| {
            let value = match name.as_str() {
                "authorization" => value.replace(' ', ""),
                "host" => {
                    let value = value.trim().to_ascii_lowercase();
                    let port = value.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
                    port.map_or(value.clone(), |(name, _)| name.to_owned())
                }
                _ => value.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ").trim().to_owned(),
            };
            (name.clone(), value)
        })
        .collect();
    headers.sort();
    request.map()?;
    Some((request.method.clone(), path.to_owned(), pairs, headers))
}

/// Changes, inserts or removes the byte at `place` of all that is signed, whatever is left of it.
fn mutated(request: &Request, place: usize, how: u8, byte: u8) -> Option<Request> {
    let mut request = request.clone();
    let mut texts: Vec<&mut String> = vec![&mut request.method, &mut request.target];
    texts.extend(request.headers.iter_mut().map(|(_, value)| value));
    let total: usize = texts.iter().map(|text| text.len()).sum();
    let mut place = place % total;
    for text in texts {
        if place >= text.len() {
            place -= text.len();
            continue;
        }
        let mut bytes = text.clone().into_bytes();
        match how % 3 {
            0 => bytes[place] = byte,
            1 => bytes.insert(place, byte),
            _ => drop(bytes.remove(place)),
        }
        *text = String::from_utf8(bytes).ok()?;
        break;
    }
    Some(request)
}

#[test]
fn of_a_hundred_thousand_changes_none_is_accepted() {
    let mut runner = TestRunner::deterministic();
    let (mut tried, mut same) = (0, 0);
    let mutations = prop::collection::vec((any::<usize>(), any::<u8>(), b' '..=b'~'), 500);
    while tried < 100_000 {
        let unsigned = unsigned().new_tree(&mut runner).unwrap().current();
        let (request, key) = (unsigned.sign(), unsigned.key());
        let original = meaning(&request);
        for (place, how, byte) in mutations.new_tree(&mut runner).unwrap().current() {
            let Some(changed) = mutated(&request, place, how, byte) else { continue };
            match meaning(&changed) {
                None => continue,
                known if known == original => same += 1,
                Some(_) => {
                    tried += 1;
                    let outcome = changed.verify(&key, unsigned.now());
                    assert!(outcome.is_err(), "{request:?}\n{changed:?}");
                }
            }
        }
    }
    assert!(same < tried / 20, "{same} of {tried} changes change nothing");
}
