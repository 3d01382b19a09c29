//! The schemas of sections whose types do not tell them: rules, classes, and the recursive `match`.

use super::compile::ClassSettings;
use super::matches::MATCHES;
use super::rule::RuleSettings;
use super::settings::{
    ExpressionSettings, LoadSettings, PathSettings, SignalSettings, StrikesSettings, SuspicionSettings,
    UserAgentSettings,
};
use super::window::Window;
use crate::document::{Decode, HEADER_NAME, Schemas, either, list, pattern, text, text_like, words};
use crate::facts::Identity;
use crate::ja4::EXAMPLE;
use crate::network::Cidr;
use crate::signal::Signal;
use crate::verdict::Class;
use serde_json::{Map, Value, json};

/// The schema of the `classes` section.
pub fn classes(schemas: &mut Schemas) -> Value {
    Vec::<ClassSettings>::schema(schemas)
}

/// The schema of the `rules` and `thresholds` sections: unlike the default, their rules have names. The action is said
/// once more, because some editors read what stands beside a reference instead of what is referred to.
pub fn rules(schemas: &mut Schemas) -> Value {
    let mut rule = RuleSettings::schema(schemas);
    rule["required"] = json!(["name", "action"]);
    list(rule, 0)
}

/// The schema of paths and globs.
pub fn paths(_: &mut Schemas) -> Value {
    list(path(), 0)
}

fn path() -> Value {
    pattern(r"^(/|\*\*)", &["/robots.txt", "/a/**", "/**/*.png"])
}

/// The schema of a `match` mapping.
pub fn matches(schemas: &mut Schemas) -> Value {
    schemas.define("Match", |schemas| {
        let properties: Map<_, _> = MATCHES.iter().map(|key| ((*key).to_owned(), key_schema(key, schemas))).collect();
        json!({
            "description": "All keys must hold; of the values in a list one is enough.",
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
        })
    })
}

/// The schema of the value under one key of a `match`.
fn key_schema(key: &str, schemas: &mut Schemas) -> Value {
    let (description, mut schema) = match key {
        "all" => ("Every one of these matches holds.", list(matches(schemas), 1)),
        "any" => ("At least one of these matches holds.", list(matches(schemas), 1)),
        "not" => ("This match does not hold.", matches(schemas)),
        "site" => ("The site's name in the gateway file.", list(text(), 0)),
        "host" => (
            "The host name that is addressed; `*.example.org` is every name below the domain.",
            list(text_like(r"^(\*\.)?[A-Za-z0-9._:\[\]-]+$"), 0),
        ),
        "method" => ("The HTTP method, in capitals.", list(words(&[("GET", ()), ("HEAD", ())]), 0)),
        "path" => (
            "The path below the site's prefix: a glob, in which `*` stays within a segment and `**` crosses them, or a \
             mapping of which any part is enough.",
            list(either(PathSettings::schema(schemas), path()), 0),
        ),
        "query" => (
            "Query parameters, decoded: there (`true`), not there (`false`), exactly this text, or an expression.",
            values(None, schemas),
        ),
        "header" => (
            "Request headers: there (`true`), not there (`false`), exactly this text, or an expression.",
            values(Some(HEADER_NAME), schemas),
        ),
        "user_agent" => (
            "The User-Agent: exactly this text, or a mapping of which any part is enough.",
            list(either(UserAgentSettings::schema(schemas), text()), 0),
        ),
        "ja4" => (
            "The JA4 fingerprint of the client's TLS, or its beginning with a star.",
            list(
                pattern(
                    r"^(t[0-9a-z]{2}[di][0-9]{4}[0-9A-Za-z]{2}(_[0-9a-f]{12}){2}|t?[0-9a-zA-Z_]{0,35}\*)$",
                    &[EXAMPLE, "t13d1516h2_*"],
                ),
                0,
            ),
        ),
        "verified" => {
            ("Whether the User-Agent names a listed crawler, and the address is that crawler's.", bool::schema(schemas))
        }
        "network" => ("The address is in a network of this name.", list(text(), 0)),
        "prefix" => ("The address is in this block.", Vec::<Cidr>::schema(schemas)),
        "identity" => ("How the client proved itself.", Vec::<Identity>::schema(schemas)),
        "client" => ("The name of the client's entry in the gateway file, which it proved to be.", list(text(), 0)),
        "class" => ("What the client is for the books; not within `classes`.", Vec::<Class>::schema(schemas)),
        "signals" => (
            "Hints that the client is not what it claims to be: any of these words, or how many are needed.",
            either(SignalSettings::schema(schemas), Vec::<Signal>::schema(schemas)),
        ),
        "country" => (
            "The country of the address (ISO 3166-1 alpha-2); needs `geoip` in the gateway file.",
            list(pattern("^[A-Z]{2}$", &["BR", "DE"]), 0),
        ),
        "asn" => {
            ("The autonomous system of the address; needs `geoip` in the gateway file.", Vec::<u32>::schema(schemas))
        }
        "time" => ("The time, in UTC. All that is given must hold.", Window::schema(schemas)),
        "load" => ("The load average of the machine.", LoadSettings::schema(schemas)),
        "strikes" => ("The record of the client's prefix.", StrikesSettings::schema(schemas)),
        "suspicion" => ("What the client did before, against what browsers do.", SuspicionSettings::schema(schemas)),
        "dnsbl" => ("A DNS block list has the address.", list(text_like(r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+\.*$"), 0)),
        "when" => ("An expression in CEL holds.", list(text(), 0)),
        // Known, and never accepted here: it belongs to thresholds.
        _ => return false.into(),
    };
    schema["description"] = description.into();
    schema
}

/// Values by name, whose names look like this.
fn values(names: Option<&str>, schemas: &mut Schemas) -> Value {
    let value = either(ExpressionSettings::schema(schemas), text());
    let mut schema = json!({ "type": "object", "additionalProperties": value });
    if let Some(names) = names {
        schema["propertyNames"] = json!({ "pattern": names });
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_match_has_a_description() {
        let mut schemas = Schemas::default();
        for key in MATCHES.iter().filter(|key| **key != "weight") {
            let schema = key_schema(key, &mut schemas);
            assert!(schema["description"].as_str().is_some_and(|text| text.ends_with('.')), "{key}: {schema}");
        }
        assert_eq!(key_schema("weight", &mut schemas), false);
    }
}
