//! What the script promises, in plain Rust, and a real server that keeps to it.

use super::script::{batch_of, command, command_of, total};
use super::server::Valkey;
use crate::clock::Timestamp;
use crate::exchange::{Change, CounterId, Total};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use redis::{Connection, Value};
use std::collections::BTreeMap;
use std::time::Duration;

const SCRIPT: &str = super::script::SCRIPT;
const CLOCK: &str = "redis.call('TIME')";
const NOW: Timestamp = Timestamp(1_800_000_000_000);
const DAY: Duration = Duration::from_secs(86_400);
const HALF_LIFE: Duration = Duration::from_secs(3600);
/// Time goes in such steps, so that no key expires in the moments that a test takes.
const STEP: u64 = 10_000_000;

/// The state of all counters, in which time is an argument.
#[derive(Default)]
struct Model {
    due: BTreeMap<u128, u64>,
    sums: BTreeMap<u128, u64>,
    decaying: BTreeMap<u128, (f64, u64)>,
    members: BTreeMap<u128, Vec<(u64, Timestamp)>>,
}

impl Model {
    fn exchange(&mut self, key: u128, change: &Change, now: u64) -> Total {
        match change {
            Change::Due { add, view, most } => {
                let until = self.due.entry(key).or_default();
                *until = ((*until).max(now) + add).max(now + view).min(now + most);
                Total::Due(*until - now)
            }
            Change::Sum { add, view, .. } => {
                let sum = self.sums.entry(key).or_default();
                *sum = (*sum + add).max(*view);
                Total::Sum(*sum)
            }
            Change::Decaying { add, view, half_life } => {
                let (value, at) = self.decaying.entry(key).or_insert((0.0, now));
                let half_lives = (now - *at) as f64 / half_life.as_micros() as f64;
                (*value, *at) = ((*value * (-half_lives).exp2() + add).max(*view), now);
                Total::Decaying(*value)
            }
            Change::Members { seen, .. } => {
                let members = self.members.entry(key).or_default();
                for (member, at) in seen {
                    match members.iter_mut().find(|(known, _)| known == member) {
                        Some((_, latest)) => *latest = (*latest).max(*at),
                        None => members.push((*member, *at)),
                    }
                }
                members.sort_by_key(|(member, at)| (*at, *member));
                members.drain(..members.len().saturating_sub(16));
                Total::Members(members.clone())
            }
        }
    }
}

fn id(change: &Change, key: u128) -> CounterId {
    let space = match change {
        Change::Due { .. } => "due",
        Change::Sum { .. } => "sum",
        Change::Decaying { .. } => "decaying",
        Change::Members { .. } => "members",
    };
    CounterId { space, scope: 7, key }
}

/// Exchanges as at `micros`, whatever the server's clock says.
fn exchange_at(server: &mut Connection, micros: u64, changes: &[(CounterId, Change)]) -> Vec<Total> {
    let clock = format!("{{'{}', '{}'}}", micros / 1_000_000, micros % 1_000_000);
    let script = SCRIPT.replace(CLOCK, &clock);
    let batch = changes.iter().map(|(id, change)| (id, change));
    let answers: Vec<Value> = command_of(&script, "test", batch, NOW).query(server).unwrap();
    assert_eq!(answers.len(), changes.len());
    changes.iter().zip(answers).map(|((_, change), answer)| total(change, answer).unwrap()).collect()
}

fn near(found: &Total, expected: &Total) -> bool {
    match (found, expected) {
        (Total::Decaying(found), Total::Decaying(expected)) => (found - expected).abs() <= 1e-9 * expected.max(1.0),
        (found, expected) => found == expected,
    }
}

fn connect(server: &Valkey) -> Connection {
    redis::Client::open(server.url()).unwrap().get_connection().unwrap()
}

#[test]
fn a_real_server_keeps_to_the_model() {
    let steps = || (0..60u64).prop_map(|steps| steps * STEP);
    let seen = prop::collection::vec((0..30u64, (0..100u64).prop_map(Timestamp)), 0..12);
    let change = prop_oneof![
        (steps(), steps(), (1..90u64).prop_map(|steps| steps * STEP)).prop_map(|(add, view, most)| Change::Due {
            add,
            view,
            most
        }),
        (0..1000u64, 0..5000u64).prop_map(|(add, view)| Change::Sum { add, view, expires: NOW + DAY }),
        (0.0..10.0f64, 0.0..20.0f64).prop_map(|(add, view)| Change::Decaying { add, view, half_life: HALF_LIFE }),
        seen.prop_map(|seen| Change::Members { seen, expires: NOW + DAY }),
    ];
    let course = prop::collection::vec((steps(), prop::collection::vec((0..3u128, change), 0..8)), 1..12);
    let server = Valkey::start();
    let connection = std::cell::RefCell::new(connect(&server));
    let mut runner = TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() });
    let checked = runner.run(&course, |course| {
        let connection = &mut *connection.borrow_mut();
        redis::cmd("FLUSHALL").exec(connection).unwrap();
        let (mut model, mut now) = (Model::default(), NOW.0 * 1000 + 123_457);
        for (step, changes) in course {
            now += step;
            let changes: Vec<_> = changes.into_iter().map(|(key, change)| (id(&change, key), change)).collect();
            let found = exchange_at(connection, now, &changes);
            for ((id, change), found) in changes.iter().zip(&found) {
                let expected = model.exchange(id.key, change, now);
                prop_assert!(near(found, &expected), "{change:?}: {found:?} is not {expected:?}");
            }
        }
        Ok(())
    });
    checked.unwrap();
}

#[test]
fn microseconds_and_large_numbers_are_exact() {
    let server = Valkey::start();
    let mut connection = connect(&server);
    let due = |add, view, most| Change::Due { add, view, most };
    let sum = |add, view| Change::Sum { add, view, expires: NOW + DAY };
    let cases = [
        (due(1_234_567, 0, u64::MAX), Total::Due(1_234_567)),
        (due(1, 0, u64::MAX), Total::Due(1_234_568)),
        (due(u64::MAX, u64::MAX, u64::MAX), Total::Due(1 << 52)),
        (due(0, 0, 5), Total::Due(5)),
        (sum(4_000_000_000_000_001, 0), Total::Sum(4_000_000_000_000_001)),
        (sum(u64::MAX, 0), Total::Sum((1 << 52) + 4_000_000_000_000_001)),
        (sum(u64::MAX, u64::MAX), Total::Sum((1 << 53) - 1)),
        (Change::Decaying { add: f64::NAN, view: -1.0, half_life: Duration::ZERO }, Total::Decaying(0.0)),
        (Change::Decaying { add: 1e300, view: 0.0, half_life: Duration::MAX }, Total::Decaying(1e15)),
    ];
    for (change, expected) in cases {
        let found = exchange_at(&mut connection, NOW.0 * 1000, &[(id(&change, 1), change.clone())]);
        assert_eq!(found, [expected], "{change:?}");
    }
}

#[test]
fn keys_expire_when_they_are_of_no_interest_any_more() {
    let server = Valkey::start();
    let mut connection = connect(&server);
    let hour = Duration::from_secs(3600);
    let cases = [
        (Change::Due { add: 7_000_000, view: 0, most: 60_000_000 }, 7_000),
        (Change::Sum { add: 1, view: 1, expires: NOW + DAY }, 86_400_000),
        // 10.24 halves ten times on its way to 0.01.
        (Change::Decaying { add: 10.24, view: 0.0, half_life: hour }, 36_000_000),
        (Change::Decaying { add: 0.001, view: 0.0, half_life: hour }, 3_600_000),
        (Change::Members { seen: vec![(1, NOW)], expires: NOW + hour }, 3_600_000),
    ];
    for (number, (change, life)) in cases.into_iter().enumerate() {
        let id = id(&change, number as u128);
        let _: Vec<Value> = command("test", [(&id, &change)].into_iter(), NOW).query(&mut connection).unwrap();
        let key = super::script::key("test", id.space, id.scope, id.key);
        assert_eq!(key, format!("test:1:{}:7:{number:032x}", id.space));
        let left: i64 = redis::cmd("PTTL").arg(&key).query(&mut connection).unwrap();
        assert!((life - 5_000..=life).contains(&left), "{change:?} expires in {left} ms, not in {life}");
    }
    // What owes nothing, counts nothing and has no members needs no key.
    let nothing = [
        Change::Due { add: 0, view: 0, most: 60_000_000 },
        Change::Sum { add: 0, view: 0, expires: NOW + DAY },
        Change::Decaying { add: 0.0, view: 0.0, half_life: hour },
        Change::Members { seen: Vec::new(), expires: NOW + DAY },
    ];
    for change in nothing {
        let id = id(&change, 99);
        let _: Vec<Value> = command("test", [(&id, &change)].into_iter(), NOW).query(&mut connection).unwrap();
    }
    let kept: i64 = redis::cmd("DBSIZE").query(&mut connection).unwrap();
    assert_eq!(kept, 5);
}

#[test]
fn a_value_that_is_none_is_replaced() {
    let server = Valkey::start();
    let mut connection = connect(&server);
    for change in [
        Change::Due { add: 5, view: 0, most: 60 },
        Change::Sum { add: 5, view: 0, expires: NOW + DAY },
        Change::Decaying { add: 5.0, view: 0.0, half_life: DAY },
    ] {
        let id = id(&change, 1);
        let key = super::script::key("test", id.space, id.scope, id.key);
        for broken in [&["SET", &key, "none"][..], &["HSET", &key, "a", "b"]] {
            redis::cmd("DEL").arg(&key).exec(&mut connection).unwrap();
            redis::cmd(broken[0]).arg(&broken[1..]).exec(&mut connection).unwrap();
            let found = exchange_at(&mut connection, NOW.0 * 1000, &[(id, change.clone())]);
            assert!(matches!(found[0], Total::Due(5) | Total::Sum(5) | Total::Decaying(5.0)), "{found:?}");
        }
    }
}

#[test]
fn a_batch_keeps_the_server_for_a_bounded_time() {
    let sum = Change::Sum { add: 1, view: 1, expires: NOW };
    let set = |members: u64| Change::Members { seen: (0..members).map(|m| (m, NOW)).collect(), expires: NOW };
    for (change, most) in [(sum, 256), (set(1), 128), (set(16), 42), (set(1_000), 42)] {
        let changes = |count: u128| (0..count).map(|key| ((0, id(&change, key)), change.clone())).collect::<Vec<_>>();
        let found = [0, 1, 300].map(|count| batch_of(&changes(count)));
        assert_eq!(found, [0, 1, most], "{change:?}");
    }
}

#[test]
fn an_answer_to_something_else_is_no_total() {
    let due = Change::Due { add: 1, view: 1, most: 1 };
    let decaying = Change::Decaying { add: 1.0, view: 1.0, half_life: DAY };
    let members = Change::Members { seen: Vec::new(), expires: NOW };
    let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
    let cases = [
        (&due, Value::Int(-1)),
        (&due, Value::Nil),
        (&due, text("1")),
        (&decaying, text("nan")),
        (&decaying, text("-1")),
        (&decaying, Value::Int(1)),
        (&members, Value::Array(vec![text("xyz"), text("1")])),
        (&members, Value::Array(vec![text("ff")])),
        (&members, Value::Int(1)),
    ];
    for (change, answer) in cases {
        assert_eq!(total(change, answer.clone()), None, "{change:?} {answer:?}");
    }
}
