//! The file of cases beside a policy: requests, and what is expected of each.

use super::dress::Dress;
use super::expected::{ExpectedSettings, Scope};
use super::request::{Addressed, Described, Given};
use crate::clock::Timestamp;
use crate::document::{Diagnostics, Kind, Node, NonEmpty, Required, Spanned, Version, unknown_word};
use crate::facts::{Fact, HttpVersion, Identity};
use crate::ja4::{EXAMPLE, may_begin};
use crate::network::unmapped;
use crate::policy::Policy;
use crate::verdict::Mode;
use http::{HeaderName, HeaderValue, Method};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

/// A stranger: an address of TEST-NET-1 (RFC 5737).
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
/// A Wednesday at noon: 2026-11-18T12:00:00Z.
const NOON: Timestamp = Timestamp(1_795_003_200_000);

crate::settings! {
    /// The whole file.
    pub struct CasesFile {
        /// The version of the format: 1.
        version: Version,
        /// What a deployment would put into the policy's networks, by name. Feeds are given blocks like others.
        networks: Option<Node> = None,
        /// The policy's mode, whatever it says itself; `enforce` where absent.
        mode: Mode = Mode::Enforce,
        /// What is tried.
        cases: NonEmpty<Spanned<CaseSettings>>,
    }
}

crate::settings! {
    /// One case as written.
    pub struct CaseSettings {
        /// What happens, in a few words. Each is used once.
        name: Required,
        /// Another mode for this case.
        mode: Option<Mode> = None,
        /// What is asked.
        request: Spanned<RequestSettings>,
        /// What comes of it; at least one key.
        expect: Spanned<ExpectedSettings>,
    }
}

crate::settings! {
    /// A request as written.
    pub struct RequestSettings {
        /// The site; `site`, as `serve --origin` calls it, where absent.
        site: Required = Required("site".into()),
        /// The host; `SITE.example.org` where absent.
        host: Option<Required> = None,
        /// The path below the site as sent, with its query.
        path: Spanned<Required>,
        /// The method, in capitals as it is sent; `GET` where absent.
        method: Option<Spanned<Required>> = None,
        /// The address that it comes from; 192.0.2.1, a stranger's, where absent.
        address: IpAddr = STRANGER,
        /// The headers of a well-known client. `user_agent` and `headers` change them or add to them.
        dress: Option<Dress> = None,
        /// The User-Agent.
        user_agent: Option<Spanned<String>> = None,
        /// Headers in their order; `false` removes one of the dress.
        headers: Option<Node> = None,
        /// How the client proved itself: `none`, `signature`, `public-key`, `token`, `certificate` or `pass`; `signature`
        /// where `client` is given.
        identity: Option<Spanned<Identity>> = None,
        /// The name of the client, as an entry of the gateway file would give it.
        client: Option<Spanned<Required>> = None,
        /// A valid pass: a tier, or the difficulty that it was bought with.
        pass: Option<Spanned<Required>> = None,
        /// Whether the client's side speaks TLS.
        secure: bool = true,
        /// The JA4 fingerprint of its TLS; unknown where absent.
        ja4: Option<Spanned<String>> = None,
        /// The version of HTTP: `1.0`, `1.1` or `2`.
        version: HttpVersion = HttpVersion::Http11,
        /// The strikes on the record of the prefix.
        strikes: f64 = 0.0,
        /// How suspicious the client is by what it did before, from 0 to 1.
        suspicion: f64 = 0.0,
        /// The load averages over 1, 5 and 15 minutes; unknown where absent.
        load: Option<Spanned<Vec<f64>>> = None,
        /// The country of the address; unknown where absent.
        country: Option<Spanned<String>> = None,
        /// The autonomous system of the address; unknown where absent.
        asn: Option<u32> = None,
        /// The confirmed names of the address, perhaps none; unknown where absent.
        host_names: Option<Vec<String>> = None,
        /// The DNS block lists that list the address, perhaps none; unknown where absent.
        listed: Option<Vec<String>> = None,
        /// The paths that somebody in the prefix has fetched, perhaps none; unknown where absent.
        fetched: Option<Vec<String>> = None,
        /// When it comes; 2026-11-18T12:00:00Z, a Wednesday, where absent.
        time: Timestamp = NOON,
    }
}

/// A case that can be run.
#[derive(Debug)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// The line that it begins in.
    pub line: usize,
    /// The mode of the policy.
    pub mode: Mode,
    /// What is asked.
    pub request: Described,
    /// What comes of it.
    pub expected: ExpectedSettings,
}

impl CasesFile {
    /// The cases, with the names in them looked up. Every mistake goes to `diagnostics`. `tiers` are those of the
    /// policy, `limits` the names of its limits.
    pub fn cases(
        self,
        policy: &Policy,
        limits: &[&str],
        tiers: &[(&str, u32)],
        diagnostics: &mut Diagnostics,
    ) -> Vec<Case> {
        let scope = Scope { policy, limits };
        let mut names = BTreeMap::new();
        let mut cases = Vec::new();
        for Spanned { position, value } in self.cases.0 {
            let CaseSettings { name: Required(name), mode, request, expect } = value;
            if let Some(first) = names.insert(name.clone(), position.line) {
                diagnostics.error(position, format!("a second case named `{name}`: the one before is at line {first}"));
            }
            expect.value.check(expect.position, &scope, diagnostics);
            let mode = mode.unwrap_or(self.mode);
            if let Some(request) = request.value.describe(tiers, diagnostics) {
                cases.push(Case { name, line: position.line, mode, request, expected: expect.value });
            }
        }
        cases
    }
}

impl RequestSettings {
    fn describe(self, tiers: &[(&str, u32)], diagnostics: &mut Diagnostics) -> Option<Described> {
        let before = diagnostics.error_count();
        let added = self.headers.as_ref().map_or_else(Vec::new, |headers| sent(headers, diagnostics));
        let mut fail = |position, message: String| diagnostics.error(position, message);
        if !self.path.value.0.starts_with('/') {
            fail(self.path.position, format!("a path begins with `/`, did you mean `/{}`?", self.path.value.0));
        }
        let pass = self.pass.and_then(|Spanned { position, value: Required(text) }| {
            let known = tiers.iter().find(|(name, _)| *name == text).map(|(_, difficulty)| *difficulty);
            let difficulty = known.or_else(|| text.parse().ok());
            if difficulty.is_none() {
                fail(position, unknown_word("tier", &text, tiers.iter().map(|(name, _)| *name)));
            }
            difficulty
        });
        let identity = match (&self.identity, pass) {
            (Some(given), Some(_)) if given.value != Identity::Pass => {
                fail(given.position, "a client with a `pass` has the identity `pass`".into());
                Identity::Pass
            }
            (Some(given), None) if given.value == Identity::Pass => {
                fail(given.position, "missing key `pass`: a tier, or the difficulty of the pass".into());
                Identity::Pass
            }
            (Some(given), _) => given.value,
            (None, None) if self.client.is_some() => Identity::Signature,
            (None, pass) => pass.map_or(Identity::None, |_| Identity::Pass),
        };
        if let Some(client) = self.client.as_ref().filter(|_| matches!(identity, Identity::None | Identity::Pass)) {
            fail(
                client.position,
                "a `client` has proved itself by `signature`, `public-key`, `token` or `certificate`".into(),
            );
        }
        let load = match &self.load {
            None => Fact::Unknown,
            Some(load) => match <[f64; 3]>::try_from(load.value.as_slice()) {
                Ok(load) => Fact::Present(load),
                Err(_) => {
                    fail(load.position, "expected three load averages: over 1, 5 and 15 minutes".into());
                    Fact::Unknown
                }
            },
        };
        let host = self.host.map_or_else(|| format!("{}.example.org", self.site.0), |host| host.0);
        let mut headers = vec![("Host".to_owned(), HeaderValue::from_str(&host).ok())];
        let dressed = self.dress.map_or_else(Vec::new, |dress| dress.headers(self.secure));
        headers.extend(dressed.iter().map(|(name, value)| ((*name).to_owned(), Some(HeaderValue::from_static(value)))));
        let agent = self.user_agent.map(|agent| match HeaderValue::from_str(&agent.value) {
            Ok(value) => ("User-Agent".to_owned(), Some(value)),
            Err(_) => {
                fail(agent.position, format!("`{}` cannot stand in a header", agent.value.escape_debug()));
                ("User-Agent".to_owned(), None)
            }
        });
        for (name, value) in agent.into_iter().chain(added) {
            match headers.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(&name)) {
                Some(place) => *place = (name, value),
                None => headers.push((name, value)),
            }
        }
        let headers = headers.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let method = self.method.map_or(Ok(Method::GET), |Spanned { position, value: Required(text) }| {
            text.parse().map_err(|_| fail(position, format!("expected a method such as `GET`, found `{text}`")))
        });
        let country = self.country.map_or(Fact::Unknown, |Spanned { position, value }| match country(&value) {
            Ok(country) => Fact::Present(country),
            Err(message) => {
                fail(position, message);
                Fact::Unknown
            }
        });
        let ja4 = self.ja4.map_or(Fact::Unknown, |Spanned { position, value }| match fingerprint(&value) {
            Ok(fingerprint) => Fact::Present(fingerprint),
            Err(message) => {
                fail(position, message);
                Fact::Unknown
            }
        });
        let state = Given {
            sample_point: Fact::Unknown,
            decisions: None,
            evidence: Fact::Unknown,
            strikes: Fact::Present(self.strikes),
            suspicion: Fact::Present(self.suspicion),
            load,
            country,
            asn: self.asn.map_or(Fact::Unknown, Fact::Present),
            host_names: self.host_names,
            listed: self.listed,
            fetched: self.fetched,
        };
        let method = method.ok()?;
        (diagnostics.error_count() == before).then_some(Described {
            addressed: Addressed::Site(self.site.0),
            method,
            target: self.path.value.0,
            address: unmapped(self.address),
            headers,
            identity,
            client_name: self.client.map(|client| client.value.0),
            pass,
            secure: self.secure,
            ja4,
            version: self.version,
            now: self.time,
            state,
        })
    }
}

/// Reads headers in their order; a value of `None` removes one.
fn sent(node: &Node, diagnostics: &mut Diagnostics) -> Vec<(String, Option<HeaderValue>)> {
    let Kind::Map(entries) = &node.kind else {
        diagnostics.error(node.position, format!("expected a mapping of headers, found {}", node.describe()));
        return Vec::new();
    };
    let mut headers = Vec::new();
    for (name, position, value) in entries {
        if name.parse::<HeaderName>().is_err() {
            diagnostics.error(*position, format!("`{name}` is not the name of an HTTP header"));
        }
        match value.text().map(|text| (text, HeaderValue::from_str(text))) {
            Some(("false", _)) => headers.push((name.clone(), None)),
            Some((_, Ok(text))) => headers.push((name.clone(), Some(text))),
            _ => {
                diagnostics.error(value.position, format!("expected the text of a header, found {}", value.describe()))
            }
        }
    }
    headers
}

/// Reads a country by its two letters (ISO 3166-1 alpha-2).
///
/// # Errors
/// Says what was expected.
pub fn country(text: &str) -> Result<[u8; 2], String> {
    match text.as_bytes() {
        [a, b] if a.is_ascii_uppercase() && b.is_ascii_uppercase() => Ok([*a, *b]),
        _ => Err(format!("expected a country such as `BR`, found `{text}`")),
    }
}

/// Reads a JA4 fingerprint.
///
/// # Errors
/// Says what was expected.
pub fn fingerprint(text: &str) -> Result<String, String> {
    match text.len() == EXAMPLE.len() && may_begin(text) {
        true => Ok(text.to_owned()),
        false => Err(format!("expected a JA4 fingerprint such as `{EXAMPLE}`, found `{}`", text.escape_debug())),
    }
}
