//! The policy engine decides what a plain reading of the policy decides: its tables, automata and shortcuts change
//! nothing. Random policies go through the real loader and decide random requests, beside an engine without any of that.

mod naive;
mod policy;
mod request;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use request::{Line, Request};
use std::cell::RefCell;
use std::collections::BTreeMap;
use windscreen::config::check_policy;
use windscreen::document::Diagnostics;
use windscreen::facts::Fact;
use windscreen::policy::Policy;
use windscreen::record::{Noting, Recalled};
use windscreen::state::Blank;
use windscreen::verdict::Verdict;

/// The one block of the feed that is read.
const FED: &str = "198.51.100.0/24";

const POLICIES: u32 = 256;
const REQUESTS: usize = 48;

#[test]
fn every_verdict_is_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("policy.yaml");
    let seen: RefCell<BTreeMap<&'static str, usize>> = RefCell::default();
    let config = Config { cases: POLICIES, max_shrink_iters: 2000, failure_persistence: None, ..Config::default() };
    let pairs = (policy::policy(), prop::collection::vec(request::request(), REQUESTS));
    let outcome = TestRunner::new(config).run(&pairs, |(policy, requests)| {
        let text = policy.yaml();
        std::fs::write(&file, &text).unwrap();
        let mut diagnostics = Diagnostics::default();
        let Some(loaded) = check_policy(&file, &mut diagnostics).unwrap() else { panic!("{diagnostics}\n{text}") };
        let (fed, feed, _) = &loaded.feeds[0];
        loaded.policy.networks.set_feed(*fed, *feed, vec![FED.parse().unwrap()]);
        for request in &requests {
            // What was read on the way, and failed there, depends on the way.
            let bare = |verdict| Verdict { signals: None, errors: 0, ..verdict };
            let found = bare(loaded.policy.decide(&request.facts(), &request.state));
            let explained = bare(loaded.policy.explain(&request.facts(), &request.state).verdict);
            prop_assert_eq!(&explained, &found, "explained");
            let (line, noted) = recorded(&loaded.policy, request);
            prop_assert_eq!(&bare(noted), &found, "noted");
            let recalled = Recalled::new(&line.answers, &Blank);
            let again = bare(loaded.policy.decide(&line.facts(request), &recalled));
            let written = serde_json::to_string(&(&line.facts, &line.answers)).unwrap();
            // That a page was opened is not on record, and only then does it matter who is in the sample.
            if line.answers.get("sample point").is_none() {
                prop_assert_eq!(&again, &found, "from the record {}\nof {:?}\n{}", written, request, text);
            }
            let (expected, held) = naive::decide(&policy, request);
            prop_assert_eq!(&found, &expected, "{:?} hold for {:?}\n{}", held, request, text);
            note(&mut seen.borrow_mut(), &expected, held.len());
        }
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));

    let seen = seen.into_inner();
    println!("{seen:?}");
    let total = seen["requests"];
    assert!(total >= 10_000, "{seen:?}");
    // Were hardly anything to match, agreement would prove nothing.
    let rare = ["several rules held", "undecided", "held back", "weighed", "struck", "slowed", "charged", "on a pass"];
    for what in rare.into_iter().chain(["allow", "deny", "challenge", "redirect"]) {
        assert!(seen.get(what).is_some_and(|count| count * 100 > total), "{what} is rare: {seen:?}");
    }
    assert!(seen["withheld"] > 10, "{seen:?}");
    assert!(seen["by a rule"] * 5 > total, "{seen:?}");
}

/// What the access log would say of a request, after a way through its text, and the verdict that was noted.
fn recorded(policy: &Policy, request: &Request) -> (Line, Verdict) {
    let noting = Noting::new(&request.state);
    let verdict = policy.decide(&request.facts(), &noting);
    let facts = serde_json::to_string(&policy.record(&request.facts(), &verdict, &noting)).unwrap();
    let answers = serde_json::to_string(&noting.answers()).unwrap();
    let (facts, answers) = (serde_json::from_str(&facts).unwrap(), serde_json::from_str(&answers).unwrap());
    let referer =
        request.headers.0.iter().find(|(name, _)| *name == "referer").map_or(Fact::Absent, |(_, value)| *value);
    (Line { facts, answers, referer }, verdict)
}

fn note(seen: &mut BTreeMap<&'static str, usize>, verdict: &Verdict, held: usize) {
    let facts = [
        ("requests", true),
        ("by a rule", &*verdict.rule != "default"),
        ("several rules held", held > 2),
        ("undecided", verdict.undecided.is_some()),
        ("withheld", verdict.withheld),
        ("held back", verdict.held_back.is_some()),
        ("weighed", verdict.weight != 0),
        ("struck", verdict.strikes > 0.0),
        ("slowed", verdict.slow.is_some()),
        ("charged", !verdict.charges.is_empty()),
        ("on a pass", verdict.draws_on_pass),
        (verdict.action.word(), true),
    ];
    for (fact, _) in facts.into_iter().filter(|(_, holds)| *holds) {
        *seen.entry(fact).or_default() += 1;
    }
}
