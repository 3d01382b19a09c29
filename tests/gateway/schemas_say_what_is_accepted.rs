//! The JSON Schemas that editors read are those of the types, accept whatever the program accepts, and refuse what has
//! the wrong shape.

use jsonschema::Validator;
use serde_json::Value;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use windscreen::config::{GatewayFile, check_policy, gateway_schema, policy_schema};
use windscreen::document::{Decode, Diagnostics, HeaderName, Kind, Node, Position, Required, Schemas, read};
use windscreen::network::Cidr;
use windscreen::origin::OriginUrl;
use windscreen::quantity::{ByteRate, Bytes, Rate};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn validator(kind: &str) -> Validator {
    let schema = if kind == "gateway" { gateway_schema() } else { policy_schema() };
    jsonschema::draft202012::new(&schema).unwrap()
}

/// A document as an editor sees it: `typed` scalars are what YAML's core schema makes of them when they are plain, the
/// others are all quoted. Nodes do not tell which it was, so both must be accepted.
fn json(node: &Node, typed: bool) -> Value {
    match &node.kind {
        Kind::Null => Value::Null,
        Kind::Scalar(text) if typed => {
            let number = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
            match text.as_str() {
                "true" => true.into(),
                "false" => false.into(),
                text => match (text.parse::<i64>(), text.parse::<f64>()) {
                    (Ok(whole), _) => whole.into(),
                    (_, Ok(float)) if number => float.into(),
                    _ => text.into(),
                },
            }
        }
        Kind::Scalar(text) => text.as_str().into(),
        Kind::List(items) => items.iter().map(|item| json(item, typed)).collect(),
        Kind::Map(entries) => entries
            .iter()
            .map(|(key, _, value)| (key.clone(), json(value, typed)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}

/// What the schema finds wrong with a text.
fn mistakes(validator: &Validator, text: &str) -> Vec<String> {
    let mut diagnostics = Diagnostics::new("x");
    let node = Node::parse(text, &mut diagnostics).unwrap_or_else(|| panic!("{diagnostics}"));
    let found = [true, false].into_iter().flat_map(|typed| {
        let document = json(&node, typed);
        let errors: Vec<_> =
            validator.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect();
        errors
    });
    found.collect()
}

fn files(directory: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(root().join(directory))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        // Cases have no schema.
        .filter(|path| !path.to_string_lossy().ends_with(".cases.yaml"))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "{directory}");
    found
}

const COMMITTED: [(&str, &str); 2] =
    [("policy", "policies/policy.schema.json"), ("gateway", "deploy/gateway.schema.json")];

#[test]
fn committed_schemas_are_those_of_the_types() {
    for (kind, file) in COMMITTED {
        let output = Command::new(env!("CARGO_BIN_EXE_windscreen")).args(["schema", kind]).output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        let committed = std::fs::read_to_string(root().join(file)).unwrap();
        assert!(told == committed, "{file} is out of date: run `cargo run -- schema {kind} > {file}`");
        let schema: Value = serde_json::from_str(&committed).unwrap();
        jsonschema::draft202012::meta::validate(&schema).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
}

#[test]
fn good_files_have_the_right_shape() {
    let (gateway, policy) = (validator("gateway"), validator("policy"));
    let directories = ["tests/config/good", "tests/config/doubtful", "policies", "policies/lists", "deploy"];
    for path in directories.into_iter().flat_map(files) {
        let is_gateway = path.file_name().unwrap().to_string_lossy().starts_with("gateway");
        let text = std::fs::read_to_string(&path).unwrap();
        let found = mistakes(if is_gateway { &gateway } else { &policy }, &text);
        assert!(found.is_empty(), "{}: {found:#?}", path.display());
    }
}

#[test]
fn what_we_ship_names_its_schema() {
    for (directory, schema) in [("policies", "."), ("policies/lists", ".."), ("deploy", ".")] {
        for path in files(directory) {
            let kind = if directory == "deploy" { "gateway" } else { "policy" };
            let expected = format!("# yaml-language-server: $schema={schema}/{kind}.schema.json");
            let text = std::fs::read_to_string(&path).unwrap();
            assert_eq!(text.lines().next(), Some(&*expected), "{}", path.display());
        }
    }
}

#[test]
fn bad_shapes_are_refused() {
    // Mistakes of meaning, and of other files, which no schema can tell.
    let of_meaning = [
        "gateway-built-in",
        "gateway-check",
        "gateway-geoip-unreadable",
        "gateway-page-contrast",
        "policy-built-in",
        "policy-default-goes-on",
        "policy-import-a-policy",
        "policy-import-circle",
        "policy-import-nothing",
        "policy-import-twice",
        "policy-limit-lacks",
        "policy-import-unknown-keys",
        "policy-limit-action",
        "policy-limits",
        "policy-runtime-block",
        "policy-when-in-classes",
        "policy-when-words",
    ];
    for path in files("tests/config/bad") {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        if Node::parse(&text, &mut Diagnostics::default()).is_some() {
            let refused = !mistakes(&validator(name.split('-').next().unwrap()), &text).is_empty();
            assert_eq!(refused, !of_meaning.contains(&&*name), "{name}");
        }
    }
}

#[test]
fn each_mistake_of_shape_is_seen() {
    // A section, or a match of a rule.
    let sections = [
        "mode: on",
        "networks: {a: [10.0.0.0/8, ten]}",
        "networks: {a: {file: x, fed: y}}",
        "networks: {a: {feed: aws}}",
        "networks: {'a b': []}",
        "lists: {a: {source: x, contains: [y]}}",
        "lists: {a: {source: x, date: 2026-11-21, contains: [{domains: [a.example]}]}}",
        "classes: {class: robot, match: {}}",
        "rules: {action: allow}",
        "rules: {name: a}",
        "rules: {name: a, action: deny, status: 200}",
        "rules: {name: a, action: weigh, weight: heavy}",
        "rules: {name: a, action: slow, rate: 1}",
        "thresholds: {name: a, action: deny, weight: {atleast: 1}}",
        "limits: {a: {key: address, requests: 5}}",
        "challenge: {tiers: {default: 1}}",
        "challenge: {pass: {per: 60}}",
        "strikes: {half_life: long}",
    ];
    let matches = [
        "pth: /x",
        "all: []",
        "any: [{}, {pth: /x}]",
        "not: {not: {pth: /x}}",
        "not: ",
        "any: [{}, ~]",
        "signals: {at_least: 1, of: []}",
        "host: http://x",
        "method: get",
        "path: x/*",
        "path: {prefx: /x}",
        "query: {a: [b]}",
        "header: {'a b': true}",
        "header: {a: {regx: b}}",
        "user_agent: {lst: tools}",
        "verified: perhaps",
        "prefix: ten",
        "identity: signed",
        "class: robot",
        "signals: [header-odour]",
        "signals: {at_least: 0}",
        "country: Brazil",
        "asn: AS13335",
        "time: {from: noon}",
        "time: {days: monday}",
        "load: {over: 2m}",
        "strikes: {at_least: many}",
        "dnsbl: zone",
        "when: [{}]",
        "weight: {at_least: 1}",
    ];
    let validator = validator("policy");
    let sections = sections.into_iter().map(str::to_owned);
    let matches = matches.into_iter().map(|text| format!("rules: {{name: a, action: allow, match: {{{text}}}}}"));
    for section in sections.chain(matches) {
        let text = format!("version: 1\ndefault: {{action: allow}}\n{section}\n");
        assert!(!mistakes(&validator, &text).is_empty(), "{section}");
    }
}

/// Every text that is one edit away from one of these: if `T` takes it, so does the schema.
fn never_stricter<T: Decode>(texts: &[&str]) {
    let validator = jsonschema::draft202012::new(&T::schema(&mut Schemas::default())).unwrap();
    let characters: Vec<String> = (' '..='~').chain(['\t', 'é']).map(String::from).chain([String::new()]).collect();
    for text in texts {
        let places = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        for (at, character) in places.flat_map(|at| characters.iter().map(move |character| (at, character))) {
            let (before, after) = text.split_at(at);
            for rest in [after, after.get(1..).unwrap_or_default()] {
                let edited = format!("{before}{character}{rest}");
                let node = Node { position: Position::default(), kind: Kind::Scalar(edited.clone()) };
                if T::decode(&node, &mut Diagnostics::default()).is_some() {
                    let typed = [true, false].map(|typed| validator.is_valid(&json(&node, typed)));
                    assert_eq!(typed, [true, true], "{}: `{edited}`", std::any::type_name::<T>());
                }
            }
        }
    }
}

#[test]
fn schemas_are_never_stricter_than_the_program() {
    never_stricter::<bool>(&["true", "false"]);
    never_stricter::<u32>(&["0", "15", "4294967295"]);
    never_stricter::<NonZeroU32>(&["1", "15"]);
    never_stricter::<i64>(&["5", "-15"]);
    never_stricter::<f64>(&["1.5", "-2e3", ".5", "1e-5"]);
    never_stricter::<String>(&["a", "true", "1.5"]);
    never_stricter::<Required>(&["a", ""]);
    never_stricter::<HeaderName>(&["x-forwarded-for"]);
    never_stricter::<IpAddr>(&["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"]);
    never_stricter::<SocketAddr>(&["0.0.0.0:8080", "[::]:8080", "[fe80::1%1]:80"]);
    never_stricter::<Cidr>(&["192.0.2.0/24", "2001:db8::/32", "::1"]);
    never_stricter::<OriginUrl>(&["https://s3.example.org/b/", "http://[::1]:9000", "https://a.example:443/x%20y#z"]);
    never_stricter::<Duration>(&["30s", "1.5 h", "250ms", "2 weeks", "1minute"]);
    never_stricter::<Bytes>(&["300 MB", "2 GiB", "5", "1.5kB", "0B"]);
    never_stricter::<ByteRate>(&["256 KiB/s", "1 MB / second", "5/s"]);
    never_stricter::<Rate>(&["5/s", "100 / min", "+1/week"]);
}

#[test]
fn odd_forms_are_accepted_where_the_program_accepts_them() {
    let policy = "
version: '1'
mode:
import:
networks:
  none:
  one: 192.0.2.1
  office: {file: office.txt, feed: ~}
  feeds: [{feed: aws-ip-ranges, service: EC2}, {feed: github-meta, key: [web]}, {feed: 'file:///x', format: list}]
lists:
  l: {source: 5, date: 2026, contains: {name: 7, domains: .a.example., networks: '::1'}}
  m: {source: true, date: 1.5, contains: 5}
classes: {class: ci, match: {}}
rules:
  - {name: 1, match: {}, action: deny, status: '410', reason: 5, limits: , mode: ~}
  - {name: w, match: {any: {site: 5}}, action: weigh, weight: '-3'}
  - {name: v, match: {all: [{not: {}}, {host: ['*.A_b.example', '[::1]', 5]}]}, action: weigh, weight: +3}
  - {name: s, match: {path: ['**/a', {prefix: /a, glob: '**'}, {extension: 5, regex: 5}]}, action: strike, strikes: .5}
  - {name: t, match: {query: {'a b': 5, c: true, d: {regex: 5}}, header: {}}, action: tag, class: tool}
  - {name: r, match: {user_agent: [5, {list: [l, m], regex: [a, 5]}], verified: 'true'}, action: slow, rate: 1.5MiB / second}
  - {name: n, match: {network: [none, one, office, feeds, private], prefix: ['::/0', 192.0.2.0/24]}, action: allow}
  - {name: g, match: {country: 'NO', asn: ['5', +5, 007], dnsbl: [1.2, A.b.]}, action: allow}
  - {name: i, match: {signals: [http-1.0], identity: none, class: ci, method: HEAD}, action: limit, limits: a}
  - {name: j, match: {signals: {at_least: '1', of: no-user-agent}}, action: challenge, tier: default}
  - {name: k, match: {time: {days: mon, from: '+022:+5', to: '0:00', after: 2026-11-01 00:00:00+01:00}}, action: allow}
  - {name: l, match: {load: {over: 15m, at_least: 1., below: '1e3'}, strikes: {below: 5}, when: 'true'}, action: allow}
  - {name: m, match: {site: [], time: {}}, action: allow}
thresholds: {name: x, weight: {at_least: '-5', below: 6}, action: deny}
default: {action: redirect, name: , reason: ~}
limits: {a: {key: address, requests: ' +100 / minute ', burst: '5'}}
challenge:
  tiers: {default: '64'}
  pass: {requests: '5', bytes: 5, per: '1.5 h', prefixes: ~}
strikes:
";
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("office.txt"), "192.0.2.0/24\n").unwrap();
    let path = directory.path().join("policy.yaml");
    std::fs::write(&path, policy).unwrap();
    let mut diagnostics = Diagnostics::default();
    check_policy(&path, &mut diagnostics).unwrap();
    assert_eq!(diagnostics.error_count(), 0, "{diagnostics}");
    assert_eq!(mistakes(&validator("policy"), policy), Vec::<String>::new());

    let gateway = "
version: '1'
listeners: {address: '[::1%1]:080', trusted_proxies: , address_header: 5}
admin:
policy: {file: , mode: auto}
credentials: {a: {profile: 5}, b: {key_file: /x, profile: ~}}
sites:
  5: {hosts: 5, origins: {name: 5, url: 'HTTP://[::1]:80/b', connect_timeout: ' 1.5 minute '}}
geoip:
feeds:
pass_keys:
";
    let mut diagnostics = Diagnostics::default();
    read::<GatewayFile>(gateway, &mut diagnostics);
    assert_eq!(diagnostics.error_count(), 0, "{diagnostics}");
    assert_eq!(mistakes(&validator("gateway"), gateway), Vec::<String>::new());
}
