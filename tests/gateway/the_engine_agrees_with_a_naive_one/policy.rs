//! Random policies: a tree of our own, printed as a policy file.

use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value, json};

/// A `match:` mapping: all keys must hold.
#[derive(Debug, Clone)]
pub struct Match(pub Vec<Key>);

#[derive(Debug, Clone)]
pub enum Key {
    /// `all` or `any`.
    Nested(&'static str, Vec<Match>),
    Not(Match),
    /// A key whose value is a list of words, of which one is enough.
    Words(&'static str, Vec<&'static str>),
    /// `path` or `user_agent`: a list of a kind and a text each.
    Texts(&'static str, Vec<(&'static str, &'static str)>),
    /// `query` or `header`: a name, a kind and a text each, all of which must hold.
    Values(&'static str, Vec<(&'static str, &'static str, &'static str)>),
    Verified(bool),
    Signals(u32, Vec<&'static str>),
    /// The index of a window in [`TIMES`].
    Time(usize),
    /// `load` or `strikes`, the average, and where the number must lie.
    Span(&'static str, &'static str, Bounds),
}

/// At least this much, and below that.
pub type Bounds = (Option<i8>, Option<i8>);

#[derive(Debug, Clone)]
pub struct Rule {
    pub matched: Option<Match>,
    /// Of a threshold.
    pub weight: Option<Bounds>,
    pub action: Action,
    pub limits: Vec<usize>,
    pub mode: Option<&'static str>,
}

#[derive(Debug, Clone)]
pub enum Action {
    Allow,
    Deny(u16, &'static str),
    Challenge(&'static str),
    Redirect,
    Limit,
    Weigh(i64),
    Tag(&'static str),
    Strike(u8),
    /// KiB per second.
    Slow(u64),
}

#[derive(Debug, Clone)]
pub struct Policy {
    pub mode: &'static str,
    pub classes: Vec<(&'static str, Match)>,
    pub rules: Vec<Rule>,
    pub thresholds: Vec<Rule>,
    pub default: Rule,
}

/// Windows, and whether each of [`MOMENTS`] is in it.
pub const TIMES: [(&str, [bool; 3]); 6] = [
    ("{from: '08:00', to: '18:00'}", [false, true, false]),
    ("{from: '22:00', to: '06:00'}", [true, false, true]),
    ("{days: [sat, sun]}", [true, false, false]),
    ("{days: fri, from: '22:00', to: '06:00'}", [true, false, true]),
    ("{after: 2026-11-21T00:00:00Z, before: 2026-11-23T00:00:00Z}", [true, false, false]),
    ("{to: '01:00'}", [true, false, false]),
];
/// Saturday at 00:30, Monday at 12:00, Friday at 23:00, in seconds.
pub const MOMENTS: [u64; 3] = [1_795_221_000, 1_795_435_200, 1_795_215_600];

pub const CLASSES: [&str; 6] = ["ci", "human", "declared-bot", "tool", "suspect", "unknown"];
/// Expressions; the last ones may not stand in the classes section.
pub const EXPRESSIONS: [&str; 10] = [
    "path.startsWith('/a')",
    "user_agent.contains('curl')",
    "'x-a' in headers",
    "headers['x-a'] == '1'",
    "strikes >= 2.0",
    "country == 'BR' || identity == 'pass'",
    "size(segments(path)) > 2",
    "ja4.startsWith('t13d17')",
    "weight > 3",
    "class == 'tool'",
];
pub const PATHS: [(&str, &str); 20] = [
    ("bare", "/a/log"),
    ("bare", "/b"),
    ("bare", "/a/*"),
    ("bare", "/a/**"),
    ("glob", "/**/log"),
    ("bare", "/*/x.gz"),
    ("glob", "/{a,b}/*"),
    ("bare", "/a?/log"),
    ("bare", "/[ab]/*"),
    ("bare", "**.gz"),
    ("prefix", "/a"),
    ("prefix", "/a/b"),
    ("prefix", "/"),
    ("extension", "gz"),
    ("extension", "tar.gz"),
    ("regex", "log$"),
    ("regex", "^/a/"),
    ("regex", r"x\.(tar|gz)"),
    ("regex", "(?i)LOG"),
    ("regex", "b+/"),
];
pub const AGENTS: [(&str, &str); 8] = [
    ("bare", "curl/8"),
    ("bare", ""),
    ("list", "bots"),
    ("list", "tools"),
    ("regex", "(?i)bot"),
    ("regex", "^curl/"),
    ("regex", "Mozilla|Wget"),
    ("regex", "[0-9]{2}"),
];
const HEADERS: [(&str, &str, &str); 7] = [
    ("X-A", "true", ""),
    ("x-a", "exact", "1"),
    ("x-a", "regex", "[12]"),
    ("accept-language", "false", ""),
    ("accept-language", "regex", "en|de"),
    ("referer", "true", ""),
    ("sec-fetch-site", "exact", "cross-site"),
];
const QUERIES: [(&str, &str, &str); 6] = [
    ("a", "true", ""),
    ("a", "exact", "1"),
    ("a", "regex", "^[12]?$"),
    ("b", "false", ""),
    ("b", "exact", "2"),
    ("b", "regex", "(?i)task"),
];

fn some<T: Clone + std::fmt::Debug + 'static>(of: &'static [T]) -> impl Strategy<Value = Vec<T>> {
    prop_oneof![1 => Just(Vec::new()), 12 => subsequence(of, 1..=3.min(of.len()))]
}

fn words(key: &'static str, of: &'static [&'static str]) -> BoxedStrategy<Key> {
    some(of).prop_map(move |words| Key::Words(key, words)).boxed()
}

fn bounds() -> impl Strategy<Value = Bounds> {
    prop_oneof![
        (-1i8..5).prop_map(|low| (Some(low), None)),
        (-1i8..5).prop_map(|high| (None, Some(high))),
        (-1i8..3, 3i8..6).prop_map(|(low, high)| (Some(low), Some(high))),
    ]
}

fn leaf(in_classes: bool) -> impl Strategy<Value = Key> {
    let expressions = if in_classes { &EXPRESSIONS[..9] } else { &EXPRESSIONS };
    let values = |key, of: &'static [(&'static str, &'static str, &'static str)]| {
        let distinct = move |mut values: Vec<(&'static str, _, _)>| {
            values.dedup_by_key(|(name, ..)| *name);
            Key::Values(key, values)
        };
        some(of).prop_map(distinct).boxed()
    };
    let spans = |key| (select(&["1m", "5m", "15m"][..]), bounds()).prop_map(move |(over, at)| Key::Span(key, over, at));
    let class = if in_classes { words("site", &["logs"]) } else { words("class", &CLASSES) };
    let strategies = vec![
        words("site", &["logs", "images"]),
        words("host", &["logs.example", "*.example", "IMAGES.example"]),
        words("method", &["GET", "HEAD"]),
        some(&PATHS).prop_map(|texts| Key::Texts("path", texts)).boxed(),
        some(&PATHS).prop_map(|texts| Key::Texts("path", texts)).boxed(),
        some(&AGENTS).prop_map(|texts| Key::Texts("user_agent", texts)).boxed(),
        some(&AGENTS).prop_map(|texts| Key::Texts("user_agent", texts)).boxed(),
        values("query", &QUERIES),
        values("header", &HEADERS),
        any::<bool>().prop_map(Key::Verified).boxed(),
        words("network", &["fixed", "fed", "unfed", "private", "loopback"]),
        words("prefix", &["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"]),
        words("identity", &["none", "signature", "token", "pass", "public-key", "certificate"]),
        words("client", &["ci", "ci-next"]),
        class,
        (1u32..3, subsequence(&["no-user-agent", "no-accept-language", "http-1.0"][..], 2..=3))
            .prop_map(|(least, words)| Key::Signals(least, words))
            .boxed(),
        words("ja4", &["t13d1516h2_8daaf6152771_e5627efa2ab1", "t13d1*", "t*", "t12d*"]),
        words("country", &["BR", "CN"]),
        words("asn", &["64500", "64501"]),
        (0..TIMES.len()).prop_map(Key::Time).boxed(),
        spans("load").boxed(),
        spans("strikes").boxed(),
        words("dnsbl", &["bl.example"]),
        some(expressions).prop_map(|words| Key::Words("when", words)).boxed(),
    ];
    proptest::strategy::Union::new(strategies)
}

fn a_match(in_classes: bool) -> impl Strategy<Value = Match> {
    let mapping = |keys: Vec<Key>| {
        let mut keys = keys;
        keys.sort_by_key(Key::word);
        keys.dedup_by_key(|key| key.word());
        Match(keys)
    };
    let flat = prop::collection::vec(leaf(in_classes), 1..3).prop_map(mapping);
    flat.prop_recursive(2, 10, 3, move |inner| {
        let nested = (select(&["all", "any"][..]), prop::collection::vec(inner.clone(), 1..3))
            .prop_map(|(word, parts)| Key::Nested(word, parts));
        let key = prop_oneof![leaf(in_classes), nested, inner.prop_map(Key::Not)];
        prop::collection::vec(key, 1..3).prop_map(mapping)
    })
}

fn ending() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::Allow),
        (select(&[403u16, 451][..]), select(&["no", "never"][..])).prop_map(|(status, why)| Action::Deny(status, why)),
        select(&["default", "hard"][..]).prop_map(Action::Challenge),
        Just(Action::Redirect),
    ]
}

fn going_on() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::Limit),
        select(&CLASSES[..]).prop_map(Action::Tag),
        (0u8..3).prop_map(Action::Strike),
        (64u64..67).prop_map(Action::Slow),
    ]
}

fn rule(
    action: impl Strategy<Value = Action>,
    matched: impl Strategy<Value = Option<Match>>,
    weight: impl Strategy<Value = Option<Bounds>>,
) -> impl Strategy<Value = Rule> {
    let mode = prop_oneof![4 => Just(None), 1 => select(&["observe", "enforce", "enforce", "auto", "sample"][..]).prop_map(Some)];
    let limits = prop_oneof![3 => Just(vec![]), 1 => Just(vec![1]), 1 => Just(vec![2, 0])];
    (matched, weight, action, limits, mode).prop_map(|(matched, weight, action, mut limits, mode)| {
        match action {
            Action::Limit if limits.is_empty() => limits.push(0),
            Action::Weigh(_) | Action::Tag(_) | Action::Strike(_) | Action::Slow(_) => limits.clear(),
            _ => {}
        }
        Rule { matched, weight, action, limits, mode }
    })
}

pub fn policy() -> impl Strategy<Value = Policy> {
    let weigh = (-3i64..6).prop_map(Action::Weigh);
    let rules = rule(
        prop_oneof![3 => ending(), 3 => going_on(), 1 => weigh],
        option::weighted(0.97, a_match(false)),
        Just(None),
    );
    let thresholds = rule(prop_oneof![ending(), going_on()], option::of(a_match(false)), bounds().prop_map(Some));
    (
        select(&["observe", "enforce", "auto", "sample"][..]),
        prop::collection::vec((select(&CLASSES[..]), a_match(true)), 0..4),
        prop::collection::vec(rules, 0..12),
        prop::collection::vec(thresholds, 0..3),
        rule(ending(), Just(None), Just(None)),
    )
        .prop_map(|(mode, classes, rules, thresholds, default)| Policy {
            mode,
            classes,
            rules,
            thresholds,
            default,
        })
}

impl Key {
    fn word(&self) -> &'static str {
        match self {
            Key::Nested(word, _) | Key::Words(word, _) | Key::Texts(word, _) => word,
            Key::Values(word, _) | Key::Span(word, ..) => word,
            Key::Not(_) => "not",
            Key::Verified(_) => "verified",
            Key::Signals(..) => "signals",
            Key::Time(_) => "time",
        }
    }

    fn yaml(&self) -> Value {
        match self {
            Key::Nested(_, parts) => parts.iter().map(Match::yaml).collect(),
            Key::Not(part) => part.yaml(),
            Key::Words(_, words) => json!(words),
            Key::Texts(_, texts) => texts
                .iter()
                .map(|(kind, text)| if *kind == "bare" { json!(text) } else { object([(*kind, json!([text]))]) })
                .collect(),
            Key::Values(_, values) => object(values.iter().map(|(name, kind, text)| {
                let value = match *kind {
                    "exact" => json!(text),
                    "regex" => json!({ "regex": text }),
                    word => json!(word),
                };
                (*name, value)
            })),
            Key::Verified(wanted) => json!(wanted),
            Key::Signals(1, words) => json!(words),
            Key::Signals(least, words) => json!({ "at_least": least, "of": words }),
            Key::Time(index) => json!({ "window": index }),
            Key::Span(word, over, at) => {
                let mut span = bounds_yaml(at);
                if *word == "load" {
                    span["over"] = json!(over);
                }
                span
            }
        }
    }
}

fn object<'k>(entries: impl IntoIterator<Item = (&'k str, Value)>) -> Value {
    Value::Object(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>())
}

fn bounds_yaml((low, high): &Bounds) -> Value {
    let ends = [("at_least", low), ("below", high)];
    object(ends.into_iter().filter_map(|(key, end)| end.map(|end| (key, json!(end)))))
}

impl Match {
    fn yaml(&self) -> Value {
        object(self.0.iter().map(|key| (key.word(), key.yaml())))
    }
}

impl Rule {
    fn yaml(&self, name: Option<String>) -> Value {
        let mut rule = match &self.action {
            Action::Allow => json!({ "action": "allow" }),
            Action::Redirect => json!({ "action": "redirect" }),
            Action::Limit => json!({ "action": "limit" }),
            Action::Deny(status, reason) => json!({ "action": "deny", "status": status, "reason": reason }),
            Action::Challenge(tier) => json!({ "action": "challenge", "tier": tier }),
            Action::Weigh(weight) => json!({ "action": "weigh", "weight": weight }),
            Action::Tag(class) => json!({ "action": "tag", "class": class }),
            Action::Strike(strikes) => json!({ "action": "strike", "strikes": strikes }),
            Action::Slow(rate) => json!({ "action": "slow", "rate": format!("{rate} KiB/s") }),
        };
        let limits: Vec<String> = self.limits.iter().map(|id| format!("l{id}")).collect();
        let keys = [
            ("name", name.map(Value::String)),
            ("match", self.matched.as_ref().map(Match::yaml)),
            ("weight", self.weight.as_ref().map(bounds_yaml)),
            ("limits", (!limits.is_empty()).then(|| json!(limits))),
            ("mode", self.mode.map(|mode| json!(mode))),
        ];
        keys.into_iter().filter_map(|(key, value)| Some((key, value?))).for_each(|(key, value)| rule[key] = value);
        rule
    }
}

/// What every policy defines. Of `fed` the feed is read, of `unfed` it is not.
const NAMES: &str = r#"
networks: {fixed: [192.0.2.0/28, '2001:db8::/48'], fed: [{feed: 'https://fed.example/'}],
           unfed: [203.0.113.0/24, {feed: 'https://unfed.example/'}]}
limits: {l0: {key: address, requests: 5/s}, l1: {key: prefix, requests: 5/s}, l2: {key: prefix, requests: 9/s}}
challenge: {tiers: {default: 1024, hard: 4096}}
lists:
  tools: {source: a test, date: 2026-11-21, contains: [curl/, Wget]}
  bots:
    {source: a test, date: 2026-11-21, contains:
      [{name: GoodBot, domains: [good.example]}, {name: NetBot, networks: [192.0.2.0/28]}, PlainBot]}
"#;

impl Policy {
    /// The policy as a file.
    pub fn yaml(&self) -> String {
        let numbered = |rules: &[Rule], letter: &str| -> Value {
            rules.iter().enumerate().map(|(number, rule)| rule.yaml(Some(format!("{letter}{number}")))).collect()
        };
        let classes: Value =
            self.classes.iter().map(|(class, part)| json!({ "class": class, "match": part.yaml() })).collect();
        let mut text = format!(
            "version: 1\nmode: {}\n{NAMES}classes: {classes}\nrules: {}\nthresholds: {}\ndefault: {}\n",
            self.mode,
            numbered(&self.rules, "r"),
            numbered(&self.thresholds, "t"),
            self.default.yaml(None),
        );
        for (index, (window, _)) in TIMES.iter().enumerate() {
            text = text.replace(&json!({ "window": index }).to_string(), window);
        }
        text
    }
}
