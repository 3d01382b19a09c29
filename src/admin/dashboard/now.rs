//! What is in force, and how the gateway is: policy, limits, passes, feeds, origins, connections, by the metrics.

use super::super::Sources;
use crate::decisions::Kind;
use crate::metrics::{Labels, Samples};
use crate::verdict::Mode;
use serde_json::{Value, json};

/// Series of a family, each with its labels and its value under `name`.
fn rows(samples: &Samples, family: &str, name: &str) -> Vec<Value> {
    let row = |(labels, value): (&Labels, f64)| {
        let mut row = json!(labels);
        row[name] = value.into();
        row
    };
    samples.series(family).map(row).collect()
}

/// All but the books and the history.
pub(super) fn now(of: &Sources, samples: &Samples) -> Value {
    let gateway = &of.gateway;
    let ruling = gateway.ruling.load();
    let sum = |family: &str| samples.sum(family);
    let by = |family: &str, label: &str| json!(samples.by(family, label));
    let one = |family: &str| samples.series(family).next().map(|(_, value)| value);
    let evidence = of.auto.evidence();
    let expire = ["certificate_expires", "credentials_expire", "clients_expire"];
    let expire: Vec<Value> =
        expire.iter().flat_map(|what| rows(samples, &format!("{what}_timestamp_seconds"), "at")).collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "now": gateway.clock.now().0,
        "stopping": gateway.leaving.load(std::sync::atomic::Ordering::Relaxed),
        "policy": {
            "name": ruling.policy.rules().last().map(|rule| &*rule.file),
            "mode": ruling.policy.mode().word(),
            "rules": ruling.policy.rules().len(),
            "loaded": sum("config_loaded_timestamp_seconds"),
        },
        "state": state(of, ruling.policy.mode(), evidence.as_ref().map(|(since, _)| since.is_some())),
        "auto": evidence.map(|(since, conditions)| json!({
            "since": since.map(|since| since.to_string()),
            "conditions": conditions.iter().map(|condition| {
                json!({"part": condition.part, "words": condition.words})
            }).collect::<Vec<_>>(),
        })),
        "sample": ruling.policy.sample().map(|_| json!({
            "sessions": by("sample_sessions", "outcome"), "solvers": by("sample_solvers_ratio", "bound"),
        })),
        "refused": of.steering.refused().map(|refused| json!({
            "at": refused.at.to_string(), "because": refused.because,
        })),
        "decisions": by("runtime_decisions", "kind"),
        "may_decide": !gateway.operators.load().is_empty(),
        "in_flight": sum("requests_in_flight"),
        "connections": {
            "open": sum("connections"),
            "refused": by("connections_refused_total", "reason"),
            "cut": by("connections_cut_total", "reason"),
        },
        "limits": limits(of, samples),
        "slowed": sum("slowed_requests_total"),
        "passes": {
            "live": gateway.gate.live_passes(),
            "issued": sum("challenges_issued_total"),
            "solved": sum("challenges_solved_total"),
            "failed": sum("challenges_failed_total"),
            "waited": sum("passes_waited_total"),
            "renewed": sum("passes_renewed_total"),
            "rejected": sum("passes_rejected_total"),
        },
        "feeds": feeds(samples),
        "origins": origins(of, samples),
        "expire": expire,
        "shared_state": one("shared_state_up"),
        "ledger": of.ledger.as_ref().map(|settings| json!({
            "up": one("ledger_up"), "last_write": one("ledger_last_write_timestamp_seconds"),
            "addresses": settings.addresses.word(),
        })),
        "monthly": by("projected_cost_dollars", "class"),
        "scrapers": by("scraper_class", "class"),
        "access_log": of.access_log.is_some(),
        "sites": gateway.sites.iter().map(|site| json!({
            "name": &*site.name,
            "url": format!(
                "https://{}{}/", site.hosts.first().map_or("example.org", String::as_str),
                site.prefix.as_deref().unwrap_or_default(),
            ),
        })).collect::<Vec<_>>(),
    })
}

/// Whether anybody is stopped now, in a word: `off` by an operator, `observe`, `enforce`, and for mode `auto`
/// `waiting` or `active`, for mode `sample` `sampling`.
fn state(of: &Sources, mode: Mode, evidence: Option<bool>) -> &'static str {
    let is_off = of.register.list().iter().any(|decision| decision.kind == Kind::Off);
    match (mode, evidence) {
        _ if is_off => "off",
        (Mode::Observe, _) => "observe",
        (Mode::Sample, _) => "sampling",
        (Mode::Auto, Some(false)) => "waiting",
        (Mode::Auto, Some(true)) => "active",
        (Mode::Enforce | Mode::Auto, _) => "enforce",
    }
}

fn limits(of: &Sources, samples: &Samples) -> Vec<Value> {
    let ruling = of.gateway.ruling.load();
    let hits =
        |limit: &str, outcome: &str| samples.sum_of("limits_hit_total", &[("limit", limit), ("outcome", outcome)]);
    // The counter of passes is no limit of the policy.
    let named = ruling.limits.sizes().filter(|(name, _)| !name.contains(' '));
    let row = |(name, keys): (&str, usize)| {
        json!({
            "limit": name, "keys": keys,
            "refuse": hits(name, "refuse"), "pace": hits(name, "pace"), "none": hits(name, "none"),
        })
    };
    named.map(row).collect()
}

fn feeds(samples: &Samples) -> Vec<Value> {
    let prefixes = samples.by("feed_prefixes", "feed");
    let row = |(feed, last): (&str, f64)| {
        json!({
            "feed": feed, "last_success": last, "prefixes": prefixes.get(feed).copied().unwrap_or(0.0),
            "errors": samples.sum_of("feed_refreshes_total", &[("feed", feed), ("result", "error")]),
        })
    };
    samples.by("feed_last_success_timestamp_seconds", "feed").into_iter().map(row).collect()
}

fn origins(of: &Sources, samples: &Samples) -> Vec<Value> {
    let mut found = Vec::new();
    for site in of.gateway.sites.iter() {
        for origin in &site.origins {
            let sum = |family: &str| samples.sum_of(family, &[("site", &site.name), ("origin", &origin.name)]);
            found.push(json!({
                "site": &*site.name, "origin": &*origin.name, "reachable": origin.addresses.is_reachable(),
                "requests": sum("origin_requests_total"), "errors": sum("origin_errors_total"),
                "bytes": sum("origin_bytes_total"),
            }));
        }
    }
    found
}
