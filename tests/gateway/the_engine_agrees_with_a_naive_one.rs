//! The policy engine decides what a plain reading of the policy decides: its tables, automata and shortcuts change
//! nothing. Random policies go through the real loader and decide random requests, beside an engine without any of that.

mod naive;
mod policy;
mod request;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::cell::RefCell;
use std::collections::BTreeMap;
use windscreen::config::check_policy;
use windscreen::document::Diagnostics;
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
