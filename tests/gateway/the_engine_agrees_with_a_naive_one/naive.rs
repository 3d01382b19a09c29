//! The policy language as its documentation tells it: a walk over the whole tree, with plain loops and text functions.
//!
//! A truth is `Some(bool)`, or `None` where it hangs on an unknown fact.

use super::policy::{Action, Bounds, Key, Match, Policy, Rule, TIMES};
use super::request::{BROWSER, Request};
use regex::Regex;
use std::cell::RefCell;
use std::collections::HashMap;
use windscreen::facts::{Fact, HttpVersion, Identity};
use windscreen::network::IpNet;
use windscreen::verdict::{self, Charge, Class, Dialect, HeldBack, Verdict};

type Truth = Option<bool>;

/// What the evaluation has come to so far.
struct Running<'r> {
    request: &'r Request,
    class: &'static str,
    weight: i64,
}

fn all(mut parts: impl Iterator<Item = Truth>) -> Truth {
    parts
        .try_fold(Some(true), |sum, part| if part == Some(false) { Err(()) } else { Ok(sum.and(part)) })
        .unwrap_or(Some(false))
}

fn any(parts: impl Iterator<Item = Truth>) -> Truth {
    all(parts.map(|part| part.map(|holds| !holds))).map(|none| !none)
}

fn test<T>(fact: Fact<T>, holds: impl FnOnce(T) -> bool) -> Truth {
    match fact {
        Fact::Present(value) => Some(holds(value)),
        Fact::Absent => Some(false),
        Fact::Unknown => None,
    }
}

fn finds(expression: &str, text: &str) -> bool {
    thread_local!(static KNOWN: RefCell<HashMap<String, Regex>> = RefCell::default());
    KNOWN.with_borrow_mut(|known| {
        known.entry(expression.to_owned()).or_insert_with(|| Regex::new(expression).unwrap()).is_match(text)
    })
}

fn glob(pattern: &str, text: &str) -> bool {
    let mut chars = pattern.chars();
    let after = |length: usize| &pattern[length..];
    match chars.next() {
        None => text.is_empty(),
        Some('/') if pattern == "/**" => text.starts_with('/'),
        Some('/') if pattern.starts_with("/**/") => {
            text.match_indices('/').any(|(at, _)| text.starts_with('/') && glob(after(4), &text[at + 1..]))
        }
        Some('*') if !pattern.starts_with("**") || pattern.len() > 2 => {
            // Beside anything but slashes two stars are one after the other.
            let segment = text.split('/').next().unwrap();
            (0..=segment.len()).any(|length| glob(after(1), &text[length..]))
        }
        Some('{') => {
            let (alternatives, rest) = pattern[1..].split_once('}').unwrap();
            alternatives.split(',').any(|text_| glob(&format!("{text_}{rest}"), text))
        }
        Some('[') => {
            let (set, rest) = pattern[1..].split_once(']').unwrap();
            text.chars().next().is_some_and(|c| set.contains(c) && glob(rest, &text[1..]))
        }
        Some('?') => text.chars().next().is_some_and(|c| c != '/' && glob(after(1), &text[1..])),
        Some(c) => text.strip_prefix(c).is_some_and(|rest| glob(after(1), rest)),
    }
}

fn parameter(query: Fact<&str>, name: &str) -> Fact<String> {
    let query = match query {
        Fact::Present(query) => query,
        Fact::Absent => return Fact::Absent,
        Fact::Unknown => return Fact::Unknown,
    };
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if typed(key) == name {
            return Fact::Present(typed(value));
        }
    }
    Fact::Absent
}

/// What was typed into a form; the tests escape ASCII alone.
fn typed(text: &str) -> String {
    let text = text.replace('+', " ");
    let mut parts = text.split('%');
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |typed, part| {
        let letter = u8::from_str_radix(&part[..2], 16).unwrap();
        format!("{typed}{}{}", char::from(letter), &part[2..])
    })
}

fn lies(number: f64, (low, high): &Bounds) -> bool {
    low.is_none_or(|low| number >= f64::from(low)) && high.is_none_or(|high| number < f64::from(high))
}

fn contains(agent: &str, names: &[&str]) -> bool {
    names.iter().any(|name| agent.to_lowercase().contains(&name.to_lowercase()))
}

impl Running<'_> {
    fn matches(&self, part: &Match) -> Truth {
        all(part.0.iter().map(|key| self.key(key)))
    }

    fn key(&self, key: &Key) -> Truth {
        let request = self.request;
        match key {
            Key::Nested("all", parts) => all(parts.iter().map(|part| self.matches(part))),
            Key::Nested(_, parts) => any(parts.iter().map(|part| self.matches(part))),
            Key::Not(part) => self.matches(part).map(|holds| !holds),
            Key::Words(key, words) => any(words.iter().map(|word| self.word(key, word))),
            Key::Texts("path", texts) => any(texts.iter().map(|(kind, text)| Some(self.path(kind, text)))),
            Key::Texts(_, texts) => any(texts.iter().map(|(kind, text)| self.user_agent(kind, text))),
            Key::Values(key, values) => all(values.iter().map(|(name, kind, text)| {
                let value = match *key {
                    "query" => parameter(request.query, name),
                    _ => self.header(name).map(str::to_owned),
                };
                match *kind {
                    "true" => test(value, |_| true),
                    "false" => test(value, |_| true).map(|there| !there),
                    "exact" => test(value, |value| value == *text),
                    _ => test(value, |value| finds(text, &value)),
                }
            })),
            Key::Verified(wanted) => self.verified().map(|verified| verified == *wanted),
            Key::Signals(least, words) => {
                let signals: Vec<Truth> = words.iter().map(|word| self.signal(word)).collect();
                let there = signals.iter().filter(|signal| **signal == Some(true)).count();
                let maybe = signals.iter().filter(|signal| signal.is_none()).count();
                match *least as usize {
                    least if there >= least => Some(true),
                    least if there + maybe >= least => None,
                    _ => Some(false),
                }
            }
            Key::Time(index) => Some(TIMES[*index].1[request.moment]),
            Key::Span("load", over, bounds) => {
                let index = ["1m", "5m", "15m"].iter().position(|word| word == over).unwrap();
                test(request.state.load, |load| lies(load[index], bounds))
            }
            Key::Span(_, _, bounds) => test(request.state.strikes, |strikes| lies(strikes, bounds)),
        }
    }

    fn header(&self, name: &str) -> Fact<&'static str> {
        let found = self.request.headers.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or(Fact::Absent, |(_, value)| *value)
    }

    fn word(&self, key: &str, word: &str) -> Truth {
        let request = self.request;
        let address = request.client.address;
        let in_block = |block: &str| match block.parse::<IpNet>() {
            Ok(block) => block.contains(&address),
            Err(_) => block == address.to_string(),
        };
        match key {
            "site" => Some(word == request.site),
            "host" => test(request.host, |host| match word.to_lowercase().strip_prefix("*.") {
                Some(domain) => host
                    .strip_suffix(&format!(".{domain}"))
                    .is_some_and(|rest| rest.chars().next_back().is_some_and(|last| last != '.')),
                None => host == word.to_lowercase(),
            }),
            "method" => Some(word == request.method),
            "identity" => Some(word == request.identity.word()),
            "client" => test(request.client_name, |name| name == word),
            "ja4" => test(request.ja4, |found| match word.strip_suffix('*') {
                Some(start) => found.starts_with(start),
                None => found == word,
            }),
            "class" => Some(word == self.class),
            "dnsbl" => test(request.state.listed, |listed| listed),
            "when" => self.when(word),
            // An address that proves nothing is in no network, country or autonomous system.
            "network" | "prefix" | "country" | "asn" if !request.client.trusted => Some(false),
            "prefix" => Some(in_block(word)),
            "country" => test(request.state.country, |country| country == word.as_bytes()),
            "asn" => test(request.state.asn, |asn| asn.to_string() == word),
            _ => match word {
                "fixed" => Some(["192.0.2.0/28", "2001:db8::/48"].into_iter().any(in_block)),
                "fed" => Some(in_block(super::FED)),
                "unfed" => in_block("203.0.113.0/24").then_some(true),
                "private" => Some(in_block("10.0.0.0/8")),
                _ => Some(in_block("127.0.0.0/8")),
            },
        }
    }

    fn path(&self, kind: &str, text: &str) -> bool {
        let path = self.request.path.as_str();
        match kind {
            "prefix" => path.starts_with(text),
            "regex" => finds(text, path),
            "extension" => path.rsplit('/').next().unwrap().ends_with(&format!(".{text}")),
            _ => glob(text, path),
        }
    }

    fn user_agent(&self, kind: &str, text: &str) -> Truth {
        test(self.request.user_agent, |agent| match (kind, text) {
            ("list", "tools") => contains(agent, &["curl/", "Wget"]),
            ("list", _) => contains(agent, &["GoodBot", "NetBot", "PlainBot"]),
            ("regex", _) => finds(text, agent),
            _ => agent == text,
        })
    }

    fn verified(&self) -> Truth {
        let request = self.request;
        if !request.client.trusted {
            return Some(false);
        }
        let names = |name| test(request.user_agent, |agent| contains(agent, &[name]));
        let good = all([names("GoodBot"), test(request.state.named, |named| named)].into_iter());
        let net = all([names("NetBot"), self.word("prefix", "192.0.2.0/28")].into_iter());
        any([good, net].into_iter())
    }

    fn signal(&self, word: &str) -> Truth {
        let request = self.request;
        let agent = match request.user_agent {
            Fact::Present(agent) => agent,
            Fact::Absent => "",
            Fact::Unknown => return None,
        };
        match word {
            "no-user-agent" => Some(agent.is_empty()),
            // Only browsers show the others.
            _ if agent != BROWSER => Some(false),
            "no-accept-language" => test(self.header("accept-language"), |_| true).map(|there| !there),
            _ => match request.version {
                Fact::Present(version) => Some(version == HttpVersion::Http10),
                Fact::Absent | Fact::Unknown => None,
            },
        }
    }

    fn when(&self, expression: &str) -> Truth {
        let request = self.request;
        match expression {
            "path.startsWith('/a')" => Some(request.path.starts_with("/a")),
            "user_agent.contains('curl')" => test(request.user_agent, |agent| agent.contains("curl")),
            "'x-a' in headers" => test(self.header("x-a"), |_| true),
            // Without the header there is no value to compare, and an error is no match.
            "headers['x-a'] == '1'" => test(self.header("x-a"), |value| value == "1"),
            "strikes >= 2.0" => test(request.state.strikes, |strikes| strikes >= 2.0),
            "country == 'BR' || identity == 'pass'" => {
                any([self.word("country", "BR"), self.word("identity", "pass")].into_iter())
            }
            // What is absent is an empty text.
            "ja4.startsWith('t13d17')" => test(request.ja4, |found| found.starts_with("t13d17")),
            "size(segments(path)) > 2" => Some(request.path[1..].split('/').count() > 2),
            "weight > 3" => Some(self.weight > 3),
            "class == 'tool'" => Some(self.class == "tool"),
            other => panic!("{other}"),
        }
    }

    /// Whether the request may be held against the client: nobody else's page made its browser send it.
    fn is_own_doing(&self) -> bool {
        let is_early = test(self.header("purpose"), |purpose| purpose == "prefetch");
        if !self.request.client.trusted || is_early != Some(false) {
            return false;
        }
        let host = match (self.header("referer"), self.request.host) {
            (Fact::Present(referer), Fact::Present(host)) => {
                let referer: http::Uri = referer.parse().unwrap();
                let name = referer.host().map(str::to_lowercase);
                if referer.scheme().is_some() && name.as_deref() == Some(host) { "own" } else { "foreign" }
            }
            (Fact::Absent, _) => "none",
            _ => "unknown",
        };
        let is_browser = match self.request.user_agent {
            Fact::Present(agent) => agent == BROWSER,
            Fact::Absent => false,
            Fact::Unknown => true,
        };
        match (self.header("sec-fetch-site"), self.header("sec-fetch-dest"), self.request.dialect) {
            (Fact::Unknown, _, _) => false,
            (Fact::Present(site), dest, _) => {
                site == "same-origin" && [Fact::Absent, Fact::Present("document")].contains(&dest)
            }
            (_, _, Fact::Present(Dialect::Plain | Dialect::S3)) => !is_browser,
            (_, _, Fact::Present(Dialect::Page)) => host == "own" || (host == "none" && !is_browser),
            _ => false,
        }
    }
}

fn class(word: &str) -> Class {
    Class::WORDS.iter().find(|(known, _)| *known == word).unwrap().1
}

/// Decides, and says which rules held.
pub fn decide(policy: &Policy, request: &Request) -> (Verdict, Vec<String>) {
    let (mut verdict, held) = evaluate(policy, request);
    let is_served = matches!(verdict.action, verdict::Action::Allow | verdict::Action::Redirect);
    if request.identity == Identity::Pass && is_served && !verdict.draws_on_pass {
        let (without, _) = evaluate(policy, &Request { identity: Identity::None, pass: None, ..request.clone() });
        // What comes of it but for who decided counts where it is in force.
        let decided = verdict.enforced && verdict.rule != without.rule;
        let slower = without.slow.unwrap_or(u64::MAX) < verdict.slow.unwrap_or(u64::MAX);
        let charged = without.charges.iter().any(|charge| charge.enforced && !verdict.charges.contains(charge));
        verdict.draws_on_pass = verdict.action != without.action || decided || slower || charged;
    }
    if verdict.action == verdict::Action::Redirect {
        let client = windscreen::facts::Client { trusted: false, ..request.client };
        let stranger =
            Request { client, identity: Identity::None, client_name: Fact::Absent, pass: None, ..request.clone() };
        let private = matches!(evaluate(policy, &stranger).0.action, verdict::Action::Deny { .. });
        let signs = [Identity::Signature, Identity::PublicKey, Identity::Token].contains(&request.identity);
        if private || signs || request.method != "GET" {
            verdict.action = verdict::Action::Allow;
        }
    }
    (verdict, held)
}

fn evaluate(policy: &Policy, request: &Request) -> (Verdict, Vec<String>) {
    let mut running = Running { request, class: "unknown", weight: 0 };
    let mut undecided: Option<String> = None;
    for (class, part) in &policy.classes {
        let truth = running.matches(part);
        if truth.is_none() {
            undecided.get_or_insert_with(|| "classes".into());
        }
        if truth == Some(true) {
            running.class = class;
            break;
        }
    }
    let watches = ["observe", "sample"];
    let enforces = |rule: &Rule| {
        let held_back = watches.contains(&policy.mode) || rule.mode.is_some_and(|mode| watches.contains(&mode));
        rule.mode == Some("enforce") || !held_back
    };
    // Without a section in the policy a twentieth of those who are not known, where a mode says `sample`.
    let samples = |rule: &Rule, running: &Running<'_>| {
        let is_meant = match rule.mode {
            Some("sample") => policy.mode != "observe",
            Some("observe" | "enforce") => false,
            _ => policy.mode == "sample",
        };
        let is_present =
            |name: &str, words: &[&str]| matches!(running.header(name), Fact::Present(word) if words.contains(&word));
        let opens = request.dialect == Fact::Present(Dialect::Page)
            && !is_present("sec-fetch-dest", &["iframe"])
            && !is_present("purpose", &["prefetch"]);
        is_meant
            && matches!(rule.action, Action::Challenge(_))
            && ["human", "unknown"].contains(&running.class)
            && opens
            && request.state.point == Fact::Present(0)
    };
    let mut verdict = Verdict {
        class: Class::Unknown,
        action: verdict::Action::Allow,
        rule: "default".into(),
        enforced: enforces(&policy.default),
        sampled: false,
        charges: Default::default(),
        draws_on_pass: false,
        held_back: None,
        undecided: None,
        withheld: false,
        decided: None,
        weight: 0,
        strikes: 0.0,
        slow: None,
        signals: None,
        errors: 0,
    };
    let rules = policy.rules.iter().enumerate().map(|(number, rule)| (format!("r{number}"), rule));
    let thresholds = policy.thresholds.iter().enumerate().map(|(number, rule)| (format!("t{number}"), rule));
    let mut held = Vec::new();
    for (name, rule) in rules.chain(thresholds).chain([("default".to_owned(), &policy.default)]) {
        let matched = rule.matched.as_ref().map_or(Some(true), |part| running.matches(part));
        let weight = rule.weight.is_none_or(|bounds| lies(running.weight as f64, &bounds));
        match all([matched, Some(weight)].into_iter()) {
            None => {
                undecided.get_or_insert_with(|| name.clone());
                // Who may read private objects must be known.
                if matches!(rule.action, Action::Deny(..)) && rule.mode == Some("enforce") {
                    apply(rule, &name, true, &mut running, &mut verdict);
                    verdict.withheld = true;
                    break;
                }
            }
            Some(false) => {}
            Some(true) => {
                held.push(name.clone());
                let sampled = !enforces(rule) && samples(rule, &running);
                if apply(rule, &name, enforces(rule) || sampled, &mut running, &mut verdict) {
                    verdict.sampled = sampled;
                    break;
                }
            }
        }
    }
    verdict.class = class(running.class);
    verdict.weight = running.weight;
    verdict.undecided = undecided.map(Into::into);
    (verdict, held)
}

/// Does what a rule does whose match holds. Says whether that ended the evaluation.
fn apply(rule: &Rule, name: &str, enforced: bool, running: &mut Running<'_>, verdict: &mut Verdict) -> bool {
    let charge = |verdict: &mut Verdict| {
        if !rule.limits.is_empty() {
            verdict.charges.push(Charge { rule: name.into(), limits: rule.limits.as_slice().into(), enforced });
        }
    };
    // Nothing holds back what keeps nothing from anybody, but a mode of its own.
    let in_force = enforced || rule.mode.is_none();
    let (action, word) = match &rule.action {
        Action::Limit => {
            charge(verdict);
            return false;
        }
        Action::Weigh(weight) => {
            running.weight += if in_force { *weight } else { 0 };
            return false;
        }
        Action::Tag(class) => {
            running.class = if in_force { class } else { running.class };
            return false;
        }
        Action::Strike(strikes) => {
            verdict.strikes += if in_force && running.is_own_doing() { f64::from(*strikes) } else { 0.0 };
            return false;
        }
        Action::Slow(rate) if enforced => {
            verdict.slow = Some(verdict.slow.unwrap_or(u64::MAX).min(rate * 1024));
            return false;
        }
        Action::Slow(_) => (None, "slow"),
        Action::Allow => (Some(verdict::Action::Allow), "allow"),
        Action::Redirect => (Some(verdict::Action::Redirect), "redirect"),
        Action::Deny(status, reason) => {
            (Some(verdict::Action::Deny { status: *status, reason: (*reason).into() }), "deny")
        }
        Action::Challenge(tier) => {
            let difficulty = if *tier == "hard" { 4096 } else { 1024 };
            if running.request.pass.is_some_and(|paid| paid >= difficulty) {
                verdict.draws_on_pass |= enforced;
                return false;
            }
            (Some(verdict::Action::Challenge { tier: (*tier).into(), difficulty }), "challenge")
        }
    };
    match action {
        Some(action) if enforced || (in_force && word == "allow") => {
            verdict.action = action;
            verdict.rule = name.into();
            verdict.enforced = enforced;
            charge(verdict);
            true
        }
        _ => {
            verdict.held_back.get_or_insert_with(|| HeldBack { rule: name.into(), action: word });
            false
        }
    }
}
