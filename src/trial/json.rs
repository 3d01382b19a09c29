//! An outcome for machines.

use super::request::Described;
use super::run::{Answer, Outcome};
use super::text::{truth_word, unknown_signals};
use crate::facts::Identity;
use crate::policy::{ExplainedClass, ExplainedRule, Explanation, Reason};
use crate::signal::Signal;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Everything that is known of an outcome.
pub fn outcome(request: &Described, outcome: &Outcome) -> Value {
    json!({
        "request": {
            "method": request.method.as_str(),
            "site": outcome.site.as_deref(),
            "host": outcome.host,
            "path": outcome.path.as_ref().map(|path| path.as_str()),
            "query": outcome.query,
            "address": outcome.client.address,
            "prefix": outcome.client.prefix,
            "trusted": outcome.client.trusted,
            "identity": if outcome.stranger { Identity::None } else { request.identity }.word(),
            "client": request.client_name.as_ref().filter(|_| !outcome.stranger),
            "pass": request.pass,
            "dialect": outcome.dialect.word(),
            "secure": outcome.secure,
            "ja4": request.ja4.as_str().present(),
            "time": request.now.to_string(),
        },
        "mode": outcome.mode.word(),
        "decision": outcome.explanation.as_ref().map(decision),
        "action": outcome.action,
        "reason": outcome.reason,
        "limits": outcome.charges.iter().map(|charged| json!({
            "limit": charged.limit,
            "rule": &*charged.rule,
            "key": charged.key.iter().cloned().collect::<BTreeMap<_, _>>(),
            "enforced": charged.enforced,
        })).collect::<Vec<_>>(),
        "response": response(&outcome.answer),
    })
}

fn decision(explanation: &Explanation) -> Value {
    let Explanation { classes, signals, rules, verdict } = explanation;
    json!({
        "class": verdict.class.word(),
        "class_lines": classes.iter().map(|ExplainedClass { class, line, reason: why }| json!({
            "class": class.word(), "line": line, "why": reason(why),
        })).collect::<Vec<_>>(),
        "signals": signals.present().map(Signal::word).collect::<Vec<_>>(),
        "unknown_signals": unknown_signals(*signals).map(Signal::word).collect::<Vec<_>>(),
        "rules": rules.iter().map(rule).collect::<Vec<_>>(),
        "action": verdict.action.word(),
        "rule": &*verdict.rule,
        "decided": verdict.decided.as_ref().map(|decided| json!({
            "kind": decided.kind.word(),
            "prefix": decided.prefix,
            "until": decided.until.to_string(),
            "who": &*decided.who,
            "reason": &*decided.reason,
        })),
        "enforced": verdict.enforced,
        "sampled": verdict.sampled,
        "held_back": verdict.held_back.as_ref().map(|held| json!({"rule": &*held.rule, "action": held.action})),
        "draws_on_pass": verdict.draws_on_pass,
        "weight": verdict.weight,
        "strikes": verdict.strikes,
        "slow": verdict.slow,
        "undecided": verdict.undecided.is_some(),
        "withheld": verdict.withheld,
        "expression_errors": verdict.errors,
    })
}

fn rule(rule: &ExplainedRule) -> Value {
    json!({
        "name": &*rule.name,
        "place": rule.place,
        "action": rule.action,
        "fate": rule.fate.word(),
        "why": reason(&rule.reason),
    })
}

fn reason(why: &Reason) -> Value {
    let parts: Vec<Value> = why.parts.iter().map(reason).collect();
    json!({"test": why.text, "holds": truth_word(why.truth), "parts": parts})
}

fn response(answer: &Answer) -> Value {
    match answer {
        Answer::Object => json!({"from": "origin"}),
        Answer::Gateway(reply) => json!({
            "from": "gateway",
            "status": reply.header.status.as_u16(),
            "headers": reply.header.headers.iter().map(|(name, value)| {
                (name.as_str().to_owned(), Value::from(String::from_utf8_lossy(value.as_bytes())))
            }).collect::<serde_json::Map<_, _>>(),
            "body": reply.body,
        }),
    }
}
