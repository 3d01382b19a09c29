//! The targets: each reads one text and checks what must hold whatever it says.

use crate::requests::{REQUESTS, decide_all, request};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, OnceLock};
use windscreen::clock::Timestamp;
use windscreen::config::{LoadedPolicy, check_policy, load};
use windscreen::document::{Diagnostics, Position, read};
use windscreen::identity::signature::{AccessKey, Sent, Signed};
use windscreen::identity::{BearerProof, Bearers, KeyCell, KeySet, OidcSettings, TokenHash};
use windscreen::importer::anubis;
use windscreen::ja4::{EXAMPLE, ja4, may_begin};
use windscreen::network::{Blocks, parse, parse_list};
use windscreen::replay::{Format, Reader};

pub const TARGETS: [(&str, fn(&str)); 10] = [
    ("policy_file", policy_file),
    ("gateway_file", gateway_file),
    ("when", when),
    ("feed", feed),
    ("request", a_request),
    ("anubis", an_anubis_policy),
    ("access_log", access_log),
    ("signature", signature),
    ("token", token),
    ("hello", hello),
];

/// A file with this text, in a folder of this process alone.
fn file(text: &str) -> PathBuf {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let folder = std::env::temp_dir().join(format!("windscreen-fuzz-{}", std::process::id()));
        let _ = std::fs::create_dir_all(&folder);
        folder
    });
    let file = FOLDER.join("file.yaml");
    if let Err(error) = std::fs::write(&file, text) {
        panic!("cannot write `{}`: {error}", file.display());
    }
    file
}

/// Loads a policy. One that is refused has a mistake, one that is not has none.
fn loaded(text: &str) -> (Option<LoadedPolicy>, Diagnostics) {
    let mut diagnostics = Diagnostics::default();
    let loaded = check_policy(&file(text), &mut diagnostics).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(loaded.is_none(), diagnostics.error_count() > 0, "{diagnostics}");
    (loaded, diagnostics)
}

/// A policy file is refused with a mistake, or decides any request, and explains the same verdict.
fn policy_file(text: &str) {
    if let (Some(loaded), _) = loaded(text) {
        decide_all(&loaded.policy, REQUESTS);
    }
}

fn gateway_file(text: &str) {
    let mut diagnostics = Diagnostics::default();
    let loaded = load(&file(text), &mut diagnostics).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(loaded.is_none(), diagnostics.error_count() > 0, "{diagnostics}");
}

/// An expression, as a rule's.
fn when(text: &str) {
    let text = serde_json::Value::from(text);
    policy_file(&format!(
        "{{version: 1, rules: [{{name: w, match: {{when: {text}}}, action: deny}}], default: {{action: allow}}}}"
    ));
}

/// What was fetched for a feed, in every format.
fn feed(text: &str) {
    for settings in [
        "{feed: 'https://h/'}",
        "{feed: aws-ip-ranges, service: [EC2, S3]}",
        "{feed: github-meta, key: [hooks, actions]}",
    ] {
        let Some(Blocks::Feed(feed)) = read(settings, &mut Diagnostics::default()) else { panic!("{settings}") };
        match parse(&feed, text.as_bytes()) {
            Ok(blocks) => assert!(!blocks.is_empty() && blocks.is_sorted()),
            Err(message) => assert!(message.len() < 1000 && !message.contains('\n'), "{message}"),
        }
    }
    let _ = parse_list(text.as_bytes());
}

/// A request that says whatever it likes, to the built-in policy and to one of all kinds of rules.
fn a_request(text: &str) {
    static POLICIES: OnceLock<[LoadedPolicy; 2]> = OnceLock::new();
    let policies = POLICIES.get_or_init(|| {
        let texts =
            [include_str!("../../../policies/cockpit.yaml"), include_str!("../../config/good/policy-everything.yaml")];
        texts.map(|text| match loaded(text) {
            (Some(loaded), _) => loaded,
            (None, diagnostics) => panic!("{diagnostics}"),
        })
    });
    policies.iter().for_each(|loaded| decide_all(&loaded.policy, &[request(text)]));
}

/// What is carried over from Anubis is a good policy.
fn an_anubis_policy(text: &str) {
    let read = |path: &Path| match path.to_str() {
        Some("policy.yaml") => Ok(text.to_owned()),
        _ => Err("there is no other file".to_owned()),
    };
    if let Ok(imported) = anubis(Path::new("policy.yaml"), None, &read) {
        let (loaded, diagnostics) = loaded(&imported.policy);
        assert!(loaded.is_some(), "{diagnostics}\n{}", imported.policy);
    }
}

/// Each line of a log is a record, passed over or unparsable, whatever format it is taken for.
fn access_log(text: &str) {
    for (_, format) in Format::WORDS {
        let mut reader = Reader::new(format);
        reader.read("log", text.as_bytes(), |record| assert!(record.method.len() <= 32 || format == Format::Json));
        let tally = reader.tally;
        assert_eq!(tally.lines, tally.records + tally.skipped + tally.unparsable.count);
        let is_safe = |text: &str| !text.chars().any(char::is_control);
        assert!(tally.unparsable.examples.iter().all(|example| is_safe(&example.text)));
    }
}

/// A token, as it came or with a header, claims and a signature on a line each, proves nothing; nor does a text that is
/// read as keys, as settings or as a hash break anything.
fn token(text: &str) {
    static BEARERS: LazyLock<Bearers> = LazyLock::new(|| {
        let settings = "{issuer: 'https://i.example', audience: a, claims: {repository_id: '1', ref: 'refs/*'}}";
        let settings: Option<OidcSettings> = read(settings, &mut Diagnostics::default());
        // The key of RFC 7515, appendix A.3.
        let keys = br#"{"keys": [{"kid": "k", "kty": "EC", "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
        let cell = Arc::new(KeyCell::default());
        KeySet::parse(keys).into_iter().for_each(|keys| cell.set(keys));
        Bearers::new(settings.map(|settings| (0, BearerProof::Oidc(settings)))).with_keys(|_| cell.clone())
    });
    let now = Timestamp(1_795_221_000_000);
    let encoded: Vec<String> = text.splitn(3, '\n').map(|part| URL_SAFE_NO_PAD.encode(part)).collect();
    for token in [text, &encoded.join(".")] {
        assert!(BEARERS.verify(token, now, |_| Ok(())).is_err());
    }
    assert!(TokenHash::of(text).is_none_or(|_| text.len() == 52 && text.is_ascii()));
    if let Ok(hash) = text.parse::<TokenHash>() {
        assert_eq!(hash.to_string(), text.to_lowercase());
    }
    assert!(KeySet::parse(text.as_bytes()).map_or(true, |keys| (1..=64).contains(&keys.len())));
    let mut diagnostics = Diagnostics::default();
    if let Some(settings) = read::<OidcSettings>(text, &mut diagnostics) {
        settings.check(Position::default(), &mut diagnostics);
        assert!(settings.source().discovery().ends_with("/.well-known/openid-configuration"));
    }
}

/// A request that claims to be signed can be read or is refused, and nobody signs without the secret.
fn signature(text: &str) {
    let mut lines = text.lines();
    let (method, target) = lines.next().unwrap_or_default().split_once(' ').unwrap_or_default();
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            headers.append(name, value);
        }
    }
    let sent = Sent { method, target, headers: &headers, port: Some(8080) };
    let Some(key) = AccessKey::parse("AKIAIOSFODNN7EXAMPLE another-secret", None) else { panic!("no key") };
    if let Ok(signed) = Signed::read(sent, |_| true) {
        assert!(signed.verify(&key, Timestamp(1_369_353_600_000)).is_err());
    }
}

/// What a TLS client says first, in base 16 or as it is, has a fingerprint of the known form, or none.
fn hello(text: &str) {
    let bytes = hex::decode(text.trim()).unwrap_or_else(|_| text.as_bytes().to_vec());
    assert!(ja4(&bytes).is_none_or(|found| found.len() == EXAMPLE.len() && may_begin(&found)));
}
