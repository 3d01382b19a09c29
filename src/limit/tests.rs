//! What limits promise, against models that are too simple to be wrong.

use super::*;
use crate::clock::{ManualClock, Timestamp};
use crate::facts::Client;
use crate::quantity::{Bytes, Rate, Volume};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const SECOND: Duration = Duration::from_secs(1);
const PLAIN: Manner = Manner { never_refused: false, patience: Duration::ZERO, has_body: true };

fn none(key: KeyBy) -> LimitSettings {
    LimitSettings { key, requests: None, burst: None, bytes: None, transfers: None, over: Over::Refuse }
}

fn requests(count: u32, burst: u32) -> LimitSettings {
    let requests = Some(Rate { count, per: SECOND });
    LimitSettings { requests, burst: NonZeroU32::new(burst), ..none(KeyBy::ADDRESS) }
}

fn bytes(amount: u64, per: Duration) -> LimitSettings {
    LimitSettings { bytes: Some(Volume { bytes: Bytes(amount), per }), ..none(KeyBy::ADDRESS) }
}

fn transfers(most: u32) -> LimitSettings {
    LimitSettings { transfers: NonZeroU32::new(most), ..none(KeyBy::ADDRESS) }
}

struct Bench {
    limits: Limits,
    clock: Arc<ManualClock>,
}

fn named(settings: &[LimitSettings]) -> Vec<(String, LimitSettings)> {
    settings.iter().enumerate().map(|(at, settings)| (format!("limit{at}"), settings.clone())).collect()
}

fn bench(settings: &[LimitSettings], cap: usize) -> Bench {
    let clock = Arc::new(ManualClock::new(Timestamp(1_000_000)));
    let shared: Arc<dyn Clock> = clock.clone();
    Bench { limits: Limits::new(&named(settings), cap, [7; 16], &shared), clock }
}

fn at(address: impl Into<IpAddr>) -> Subject<'static> {
    let client = Client::new(address.into(), true);
    Subject { client, site: "logs", pass: None, identity: None, shared: false, asn: None }
}

fn someone() -> Subject<'static> {
    at(Ipv4Addr::new(192, 0, 2, 1))
}

impl Bench {
    fn admit(&self, subject: &Subject<'_>) -> Result<Admission, Exceeded> {
        self.limits.admit(&[(&[0], true)], subject, PLAIN)
    }

    fn size(&self) -> usize {
        self.limits.sizes().map(|(_, size)| size).sum()
    }

    fn good(&self, subject: &Subject<'_>, tries: usize) -> usize {
        (0..tries).filter(|_| self.admit(subject).is_ok()).count()
    }
}

/// The interval is a whole number of nanoseconds, which both sides then count exactly.
fn governors(count: u32, burst: u32) -> governor::Quota {
    governor::Quota::with_period(SECOND / count).unwrap().allow_burst(NonZeroU32::new(burst).unwrap())
}

proptest! {
    /// The crate `governor` is the model.
    #[test]
    fn requests_are_admitted_as_gcra_says(
        count in prop::sample::select(vec![1u32, 5, 20, 100, 1000]),
        burst in 1u32..50,
        waits in prop::collection::vec(0u64..2000, 1..200),
    ) {
        let bench = bench(&[requests(count, burst)], 100);
        let clock = governor::clock::FakeRelativeClock::default();
        let model = governor::RateLimiter::direct_with_clock(governors(count, burst), clock.clone());
        for wait in waits {
            // Half of the requests come at once.
            let wait = Duration::from_millis(wait.saturating_sub(1000));
            bench.clock.advance(wait);
            clock.advance(wait);
            prop_assert_eq!(bench.admit(&someone()).is_ok(), model.check().is_ok());
        }
    }

    /// The model sends and then ends.
    #[test]
    fn a_response_that_is_over_counts_as_one_that_was_sent_and_ended(
        bodies in prop::collection::vec((0u64..500_000, 0u64..3000, any::<bool>()), 1..60),
    ) {
        let limit = LimitSettings { transfers: NonZeroU32::new(2), ..bytes(1_000_000, 10 * SECOND) };
        let both = [(), ()].map(|()| bench(&[limit.clone(), requests(5, 20), transfers(1)], 100));
        for (size, wait, has_body) in bodies {
            let manner = Manner { has_body, ..PLAIN };
            let admitted = both.each_ref().map(|bench| {
                bench.clock.advance(Duration::from_millis(wait));
                bench.limits.admit(&[(&[0, 1, 2], true)], &someone(), manner)
            });
            match admitted {
                [Ok(one), Ok(other)] => {
                    one.meter.sent(size, Duration::ZERO);
                    other.meter.ended(size);
                }
                [one, other] => prop_assert_eq!(one.err(), other.err()),
            }
        }
        let quota = both.map(|bench| bench.limits.admit(&[(&[0, 1, 2], true)], &someone(), PLAIN).map(|a| a.meter.quota()));
        let [one, other] = quota;
        prop_assert_eq!(one, other);
    }

    /// The model is a bucket of bytes that fills evenly.
    #[test]
    fn bytes_are_held_back_until_the_bucket_has_them(
        amount in 100_000u64..10_000_000,
        steps in prop::collection::vec((0u64..3000, 1u64..400_000), 1..100),
    ) {
        let limit = LimitSettings { over: Over::Pace, ..bytes(amount, 10 * SECOND) };
        let bench = bench(&[limit], 100);
        let admission = bench.admit(&someone()).unwrap();
        let mut left = amount as f64;
        for (wait, size) in steps {
            bench.clock.advance(Duration::from_millis(wait));
            left = (left + wait as f64 / 10_000.0 * amount as f64).min(amount as f64);
            // No more is owed than comes back in one window.
            left = (left - size as f64).max(-(amount as f64));
            let expected = (-left / amount as f64 * 10.0).clamp(0.0, size as f64 / meter::FLOOR as f64);
            let got = admission.meter.sent(size, Duration::ZERO).as_secs_f64();
            prop_assert!((got - expected).abs() < 0.001, "{got} {expected}");
        }
    }

    /// The model counts on its fingers.
    #[test]
    fn slots_come_back_however_a_transfer_ends(most in 1u32..5, steps in prop::collection::vec(any::<u8>(), 1..200)) {
        let bench = bench(&[transfers(most)], 100);
        let mut open = Vec::new();
        for step in steps {
            if step % 3 == 0 && !open.is_empty() {
                drop(open.swap_remove(step as usize % open.len()));
                continue;
            }
            match bench.admit(&someone()) {
                Ok(admission) => {
                    prop_assert!(open.len() < most as usize);
                    admission.meter.sent(u64::from(step), Duration::ZERO);
                    open.push(admission);
                }
                Err(exceeded) => {
                    prop_assert_eq!(exceeded.currency, Currency::Transfers);
                    prop_assert_eq!(open.len(), most as usize);
                }
            }
        }
    }

    /// Whatever others do, each key gets exactly what it would get alone.
    #[test]
    fn nobody_is_limited_for_what_others_do(steps in prop::collection::vec((0u8..20, 0u64..400), 1..300)) {
        let together = bench(&[requests(1, 3)], 1000);
        let alone: Vec<Bench> = (0..20).map(|_| bench(&[requests(1, 3)], 100)).collect();
        for (who, wait) in steps {
            let subject = at(Ipv4Addr::new(192, 0, 2, who));
            together.clock.advance(Duration::from_millis(wait));
            alone.iter().for_each(|bench| bench.clock.advance(Duration::from_millis(wait)));
            prop_assert_eq!(together.admit(&subject).is_ok(), alone[usize::from(who)].admit(&subject).is_ok());
        }
    }
}

/// The host of that number in the network of that number of 2001:700::/24.
fn v6(network: u128, host: u128) -> Subject<'static> {
    at(Ipv6Addr::from_bits(((0x2001_0700 + network) << 96) + (host << 64)))
}

#[test]
fn a_full_table_judges_new_keys_by_their_neighbourhood_and_known_ones_exactly() {
    let bench = bench(&[requests(1, 3)], 1000);
    let known = someone();
    assert_eq!(bench.good(&known, 1), 1);
    // Of twenty networks, none of which has more than its share.
    for number in 0..40_000 {
        bench.good(&v6(number % 20, number / 20), 1);
    }
    assert!(bench.size() <= 1100, "{}", bench.size());
    assert_eq!(bench.good(&known, 9), 2, "the rest of its own burst");
    assert_eq!(bench.good(&at(Ipv4Addr::new(198, 51, 100, 1)), 9), 3, "another neighbourhood is not refused");
    assert_eq!(bench.good(&v6(0, 9999), 9), 0, "a flooding /48 shares one budget");
    assert_eq!(bench.good(&v6(0, 1 << 20), 9), 3, "another /48 has its own");
}

#[test]
fn one_network_has_its_share_of_a_table_and_beyond_it_one_budget() {
    let bench = bench(&[requests(1, 3)], 112);
    let known = v6(0, 1 << 30);
    assert_eq!(bench.good(&known, 1), 1);
    // A /29 of eight /32s, each of which could fill the table.
    for number in 0..80_000 {
        bench.good(&v6(number % 8, number), 1);
    }
    assert_eq!(bench.size(), 8 * (112 / 16 + 1), "their shares, and what is beyond them together");
    assert_eq!(bench.good(&known, 9), 2, "who is known goes on");
    assert_eq!(bench.good(&v6(0, 1 << 31), 9), 0, "newcomers share the flood's budget");
    let others: usize = (0..20).map(|host| bench.good(&at(Ipv4Addr::new(192, host, 2, 1)), 9)).sum();
    assert_eq!(others, 20 * 3, "nobody else pays for it");
    assert!(bench.limits.would_refuse(&[0], &v6(0, 1 << 31)).is_some());
    bench.clock.advance(4 * SECOND);
    let again = (0..7).filter(|host| bench.good(&v6(1, (1 << 30) + host), 9) == 3).count();
    assert_eq!(again, 7, "idle clients take no share, and no sweep has come round yet");
}

#[test]
fn what_replicas_tell_makes_no_table_grow_beyond_its_bound() {
    let (large, small) = (bench(&[requests(1, 3)], 100_000), bench(&[requests(1, 3)], 100));
    large.limits.share();
    (0..5000).for_each(|number| drop(large.admit(&v6(number % 500, number))));
    let told = |changes: Vec<(CounterId, Change)>| -> Vec<(CounterId, Total)> {
        changes.into_iter().map(|(id, _)| (id, Total::Due(1_000_000))).collect()
    };
    let totals = told(large.limits.changes(10_000));
    assert_eq!(totals.len(), 5000);
    small.limits.merge(&totals);
    assert!(small.size() <= 140, "{}", small.size());
    assert_eq!(small.good(&someone(), 9), 3, "it goes on as any full table");
}

#[test]
fn a_table_is_bounded_whatever_comes() {
    for key in [KeyBy::ADDRESS, KeyBy { pass: true, ..KeyBy::default() }] {
        let limit = LimitSettings { key, ..requests(1, 3) };
        let bench = bench(&[limit], 1000);
        for number in 0..300_000u128 {
            let pass = Some(number.to_be_bytes());
            let subject = at(Ipv6Addr::from_bits((0x2000_0000 + number % 50_000) << 96 | number << 64));
            bench.good(&Subject { pass, ..subject }, 1);
        }
        let size = bench.size();
        assert!(size <= 1000 * 11 / 8 + 65_536, "{size}");
        assert_eq!(bench.good(&Subject { pass: Some([255; 16]), ..someone() }, 9), 3, "not all are refused");
    }
}

#[test]
fn idle_keys_are_forgotten_and_nobody_gains_by_it() {
    let bench = bench(&[requests(1, 3)], 100);
    let (idle, busy) = (someone(), at(Ipv4Addr::new(192, 0, 2, 2)));
    assert_eq!((bench.good(&idle, 1), bench.good(&busy, 9)), (1, 3));
    bench.clock.advance(Duration::from_millis(1500));
    (0..SWEEP_STEPS).for_each(|_| bench.limits.sweep());
    assert_eq!(bench.size(), 1, "one request at one per second is forgotten after a second");
    assert_eq!(bench.good(&busy, 9), 1, "the busy one gets its rate, not its burst");

    let slow = self::bench(&[transfers(1)], 100);
    let held = slow.admit(&idle).unwrap();
    slow.clock.advance(1000 * SECOND);
    (0..SWEEP_STEPS).for_each(|_| slow.limits.sweep());
    assert!(slow.admit(&idle).is_err(), "a transfer is not forgotten while it is under way");
    drop(held);
    assert!(slow.admit(&idle).is_ok());
}

#[test]
fn clients_that_need_not_be_remembered_take_no_room_from_others() {
    let bench = bench(&[requests(1, 1)], 120);
    (0..120).for_each(|number| assert!(bench.admit(&at(Ipv4Addr::from(0x0a00_0000 | number << 16))).is_ok()));
    let good = |hosts: std::ops::Range<u8>| {
        hosts.filter(|host| bench.admit(&at(Ipv4Addr::new(192, 0, 2, *host))).is_ok()).count()
    };
    assert_eq!(good(1..10), 1, "a full table counts newcomers by their network");
    bench.clock.advance(2 * SECOND);
    assert_eq!(good(11..18), 7, "no sweep has come round yet");
}

#[test]
fn a_reload_gives_nobody_a_new_budget() {
    let bench = bench(&[requests(1, 3)], 100);
    let client = someone();
    bench.clock.advance(50 * SECOND);
    assert_eq!(bench.good(&client, 9), 3);
    let renewed = |bench: &Bench, settings: LimitSettings| Bench {
        limits: bench.limits.renewed(&named(&[settings])),
        clock: bench.clock.clone(),
    };
    let same = renewed(&bench, requests(1, 3));
    assert_eq!(same.good(&client, 9), 0, "the same settings");
    bench.clock.advance(Duration::from_millis(10));
    let faster = renewed(&same, requests(2, 3));
    assert_eq!(faster.good(&client, 9), 0, "another rate goes on from what was used");
    bench.clock.advance(3 * SECOND);
    assert_eq!(faster.good(&client, 9), 3, "and gives back at the new rate");
    let other = LimitSettings { key: KeyBy::PREFIX, ..requests(2, 3) };
    assert_eq!(renewed(&faster, other).good(&client, 9), 3, "another key begins anew");
}

#[test]
fn a_looser_limit_frees_those_who_have_used_the_old_one() {
    let bench = bench(&[bytes(1_000_000, 86_400 * SECOND)], 100);
    bench.admit(&someone()).unwrap().meter.sent(2_000_000, Duration::ZERO);
    assert!(bench.admit(&someone()).is_err());
    let looser = bench.limits.renewed(&named(&[bytes(1_000_000, SECOND)]));
    let refused = looser.admit(&[(&[0], true)], &someone(), PLAIN).unwrap_err();
    assert!(refused.retry_after <= 2 * SECOND, "{:?}", refused.retry_after);
}

#[test]
fn slots_are_counted_also_for_who_is_over_another_bound() {
    let limit = LimitSettings { transfers: NonZeroU32::new(1), over: Over::Pace, ..requests(1, 1) };
    let bench = bench(&[limit], 100);
    let (_first, second) = (bench.admit(&someone()).unwrap(), bench.admit(&someone()).unwrap());
    assert_eq!(second.meter.sent(65_536, Duration::ZERO), SECOND, "no slot is left for it");
}

#[test]
fn the_strictest_limit_answers_and_a_refusal_charges_nothing() {
    let slow = LimitSettings { requests: Some(Rate { count: 1, per: 60 * SECOND }), ..requests(1, 1) };
    let bench = bench(&[requests(1, 1), slow, requests(10, 10)], 100);
    let all: [(&[LimitId], bool); 1] = [(&[0, 1, 2], true)];
    let admit = || bench.limits.admit(&all, &someone(), PLAIN);
    assert!(admit().is_ok());
    let refused = admit().unwrap_err();
    assert_eq!((&*refused.limit, refused.retry_after), ("limit1", 60 * SECOND));
    let told = Quota { policy: "\"limit1\";q=1;w=60".into(), state: "\"limit1\";r=0;t=60".into() };
    assert_eq!(refused.quota, Some(told), "it alone is told of");
    for _ in 0..50 {
        assert!(admit().is_err());
    }
    assert_eq!((0..20).filter(|_| bench.limits.admit(&[(&[2], true)], &someone(), PLAIN).is_ok()).count(), 9);
}

#[test]
fn a_limit_that_is_named_twice_is_charged_once_and_enforced_if_it_is_so_anywhere() {
    let bench = bench(&[requests(1, 2)], 100);
    let twice: [(&[LimitId], bool); 3] = [(&[0], false), (&[0, 0], true), (&[0], true)];
    let admitted: Vec<_> = (0..3).map(|_| bench.limits.admit(&twice, &someone(), PLAIN)).collect();
    assert_eq!(admitted.iter().map(|admitted| admitted.is_ok()).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(admitted[2].as_ref().unwrap_err().charge, 1);
}

#[test]
fn what_only_observes_refuses_and_delays_nobody() {
    let bench = bench(&[requests(1, 2), transfers(1), LimitSettings { over: Over::Pace, ..bytes(10, SECOND) }], 100);
    let observed: [(&[LimitId], bool); 1] = [(&[0, 1, 2], false)];
    let mut held = Vec::new();
    for request in 0..5 {
        let admission = bench.limits.admit(&observed, &someone(), PLAIN).unwrap();
        assert_eq!(admission.delay, Duration::ZERO);
        assert_eq!(admission.meter.sent(1_000_000, Duration::ZERO), Duration::ZERO);
        assert_eq!(admission.meter.quota(), None);
        let over: Vec<_> = admission.over.iter().map(|over| &*over.limit).collect();
        let expected: &[&str] = match request {
            0 => &[],
            1 => &["limit1", "limit2"],
            _ => &["limit0", "limit1", "limit2"],
        };
        assert_eq!(over, expected, "{request}");
        held.push(admission);
    }
}

#[test]
fn clients_that_must_not_be_refused_are_delayed_for_five_seconds_at_most() {
    let never = Manner { never_refused: true, ..PLAIN };
    let pace = LimitSettings { over: Over::Pace, ..requests(1, 1) };
    for (settings, manner) in [(requests(1, 1), never), (pace, PLAIN)] {
        let bench = bench(&[settings], 100);
        let delays: Vec<u64> =
            (0..30).map(|_| bench.limits.admit(&[(&[0], true)], &someone(), manner).unwrap().delay.as_secs()).collect();
        assert_eq!(delays[..7], [0, 1, 2, 3, 4, 5, 5]);
        bench.clock.advance(12 * SECOND);
        let delay = bench.limits.admit(&[(&[0], true)], &someone(), manner).unwrap().delay;
        assert!(delay <= SECOND, "it gets out of its debt: {delay:?}");
    }
}

#[test]
fn a_page_that_is_open_rather_waits_than_breaks() {
    let bench = bench(&[requests(1, 1)], 100);
    let patient = Manner { patience: LONGEST_DELAY, ..PLAIN };
    let delays: Vec<_> = (0..7)
        .map(|_| bench.limits.admit(&[(&[0], true)], &someone(), patient).map(|a| a.delay.as_secs()).ok())
        .collect();
    assert_eq!(delays, [Some(0), Some(1), Some(2), Some(3), Some(4), Some(5), None]);
}

#[test]
fn so_many_of_one_key_are_delayed_at_a_time_and_others_refused() {
    let head = Manner { patience: Duration::MAX, has_body: false, ..PLAIN };
    let fetch = Manner { patience: LONGEST_DELAY, ..PLAIN };
    for (limit, manner) in [(requests(1, 1), head), (requests(100, 1), fetch), (bytes(10, SECOND), fetch)] {
        let bench = bench(&[limit], 100);
        let admit = |subject: &Subject<'_>| bench.limits.admit(&[(&[0], true)], subject, manner);
        bench.admit(&someone()).unwrap().meter.sent(11, Duration::ZERO);
        let mut waiting: Vec<_> = std::iter::from_fn(|| admit(&someone()).ok()).take(1000).collect();
        assert_eq!(waiting.len(), 64, "{manner:?}");
        assert!(waiting.iter().all(|admission| !admission.delay.is_zero()));
        assert_eq!(admit(&at(Ipv4Addr::new(192, 0, 2, 2))).unwrap().delay, Duration::ZERO, "nobody else is crowded");
        waiting[0].meter.waited();
        let next = admit(&someone());
        assert!(next.is_ok() && admit(&someone()).is_err(), "one has gone on");
        waiting.pop();
        assert!(admit(&someone()).is_ok(), "one has left");
        let signed = Manner { never_refused: true, ..manner };
        assert!(bench.limits.admit(&[(&[0], true)], &someone(), signed).is_ok());
    }
}

#[test]
fn bytes_over_the_budget_slow_what_goes_on_and_refuse_what_is_new() {
    let bench = bench(&[bytes(1_000_000, 100 * SECOND)], 100);
    let first = bench.admit(&someone()).unwrap();
    assert_eq!(first.meter.sent(1_000_000, Duration::ZERO), Duration::ZERO);
    assert_eq!(first.meter.sent(64 * 1024, Duration::ZERO), SECOND, "no slower than the floor");
    let refused = bench.admit(&someone()).unwrap_err();
    assert_eq!(refused.currency, Currency::Bytes);
    assert_eq!(refused.retry_after.as_secs(), 6, "when what is owed has come back");
    bench.clock.advance(refused.retry_after + Duration::from_millis(1));
    assert!(bench.admit(&someone()).is_ok());
}

#[test]
fn bodies_that_begin_together_overrun_the_budget_by_one_at_most_and_are_not_slowed_by_it() {
    let bench = bench(&[bytes(1000, 100 * SECOND)], 100);
    let mut admitted: Vec<_> = (0..10).map(|_| bench.admit(&someone()).unwrap()).collect();
    let begun: Vec<bool> = admitted.iter().map(|admission| admission.meter.reserve(600).is_ok()).collect();
    assert_eq!(begun, [[true; 2].as_slice(), &[false; 8]].concat());
    admitted.truncate(2);
    let refused = admitted[0].meter.reserve(1).unwrap_err();
    assert_eq!((refused.currency, refused.retry_after.as_secs()), (Currency::Bytes, 20));
    assert!(bench.admit(&someone()).is_err(), "nor is anything new admitted");
    let head = Manner { has_body: false, ..PLAIN };
    assert!(bench.limits.admit(&[(&[0], true)], &someone(), head).is_ok(), "but for what takes no bytes");
    assert_eq!(admitted[0].meter.quota().unwrap().state, "\"limit0-bytes\";r=0;t=0");
    // What is sent takes the place of what was reserved for it, and the rest comes back at the end.
    assert_eq!(admitted[0].meter.sent(600, Duration::ZERO), Duration::ZERO);
    assert_eq!(admitted[1].meter.sent(100, Duration::ZERO), Duration::ZERO);
    drop(admitted);
    let next = bench.admit(&someone()).unwrap();
    assert_eq!(next.meter.quota().unwrap().state, "\"limit0-bytes\";r=300;t=70");
    assert!(next.meter.reserve(1_000_000).is_ok());
    assert_eq!(
        next.meter.sent(300, Duration::ZERO),
        Duration::ZERO,
        "no transfer is slowed for what it has not sent yet"
    );
    drop(next);
    bench.clock.advance(100 * SECOND);
    assert_eq!(bench.admit(&someone()).unwrap().meter.quota().unwrap().state, "\"limit0-bytes\";r=1000;t=0");
}

#[test]
fn who_is_never_refused_may_begin_any_body() {
    let pace = LimitSettings { over: Over::Pace, ..bytes(1000, 100 * SECOND) };
    let never = Manner { never_refused: true, ..PLAIN };
    for (limit, enforced, manner) in
        [(pace, true, PLAIN), (bytes(1000, 100 * SECOND), false, PLAIN), (bytes(1000, 100 * SECOND), true, never)]
    {
        let bench = bench(&[limit], 100);
        let admit = || bench.limits.admit(&[(&[0], enforced)], &someone(), manner).unwrap();
        let admitted: Vec<_> = (0..10).map(|_| admit()).collect();
        assert!(admitted.iter().all(|admission| admission.meter.reserve(600).is_ok()));
    }
}

#[test]
fn transfers_beyond_the_slots_go_slowly_until_others_end() {
    let bench = bench(&[LimitSettings { over: Over::Pace, ..transfers(1) }], 100);
    let first = bench.admit(&someone()).unwrap();
    let second = bench.admit(&someone()).unwrap();
    assert_eq!(second.over.first().map(|over| over.currency), Some(Currency::Transfers));
    assert_eq!(
        (first.meter.sent(65_536, Duration::ZERO), second.meter.sent(65_536, Duration::ZERO)),
        (Duration::ZERO, SECOND)
    );
    drop(first);
    assert_eq!(second.meter.sent(65_536, Duration::ZERO), Duration::ZERO);
}

#[test]
fn keys_are_told_apart_by_all_that_they_name() {
    let by = |key: KeyBy| bench(&[LimitSettings { key, ..requests(1, 1) }], 100);
    let base = Subject { pass: Some([1; 16]), identity: Some("ci"), asn: Some(64500), ..someone() };
    let neighbour = at(Ipv4Addr::new(192, 0, 2, 9)).client;
    let elsewhere = at(Ipv4Addr::new(198, 51, 100, 9)).client;
    let cases = [
        (KeyBy::ADDRESS, Subject { client: neighbour, ..base }, true),
        (KeyBy::PREFIX, Subject { client: neighbour, ..base }, false),
        (KeyBy { network: Some((31, 64)), ..KeyBy::default() }, Subject { client: neighbour, ..base }, true),
        (KeyBy { pass: true, ..KeyBy::default() }, Subject { client: neighbour, ..base }, false),
        (KeyBy { pass: true, ..KeyBy::default() }, Subject { pass: Some([2; 16]), ..base }, true),
        (KeyBy { asn: true, ..KeyBy::default() }, Subject { asn: Some(64501), ..base }, true),
        (KeyBy { identity: true, ..KeyBy::default() }, Subject { identity: Some("ci2"), ..base }, true),
        (KeyBy { identity: true, ..KeyBy::default() }, Subject { client: elsewhere, ..base }, false),
        (KeyBy { identity: true, ..KeyBy::default() }, Subject { shared: true, ..base }, true),
        (KeyBy { site: true, ..KeyBy::PREFIX }, Subject { site: "images", ..base }, true),
        (KeyBy { site: true, ..KeyBy::PREFIX }, Subject { client: neighbour, ..base }, false),
    ];
    for (key, other, apart) in cases {
        let bench = by(key);
        assert!(bench.admit(&base).is_ok());
        assert_eq!(bench.admit(&other).is_ok(), apart, "{key:?}");
        assert!(bench.admit(&base).is_err());
    }
    for key in ["pass", "identity", "asn"] {
        let key = KeyBy { pass: key == "pass", identity: key == "identity", asn: key == "asn", ..KeyBy::ADDRESS };
        assert_eq!(by(key).good(&someone(), 9), 9, "who lacks what is counted by is not counted");
    }
}

#[test]
fn clients_are_told_what_is_left() {
    let all = LimitSettings { transfers: NonZeroU32::new(4), ..bytes(1000, 100 * SECOND) };
    let all = LimitSettings { requests: Some(Rate { count: 2, per: SECOND }), burst: NonZeroU32::new(10), ..all };
    let bench = bench(&[all], 100);
    let admission = bench.admit(&someone()).unwrap();
    admission.meter.sent(250, Duration::ZERO);
    let quota = admission.meter.quota().unwrap();
    assert_eq!(
        quota.policy,
        "\"limit0\";q=10;w=5, \"limit0-bytes\";q=1000;qu=\"content-bytes\";w=100, \
         \"limit0-transfers\";q=4;qu=\"concurrent-requests\""
    );
    assert_eq!(quota.state, "\"limit0\";r=9;t=1, \"limit0-bytes\";r=750;t=25, \"limit0-transfers\";r=3");
}

#[test]
fn replicas_that_exchange_what_they_count_bound_a_client_together() {
    let replicas: Vec<Bench> = (0..3).map(|_| bench(&[requests(100, 100)], 100)).collect();
    replicas.iter().for_each(|bench| bench.limits.share());
    // A store: the sum of what is owed, running down.
    let mut owed = std::collections::HashMap::<CounterId, u64>::new();
    let (interval, rounds) = (Duration::from_millis(200), 100);
    let mut admitted = 0;
    for _ in 0..rounds {
        for bench in &replicas {
            admitted += bench.good(&someone(), 1000);
            bench.clock.advance(interval);
        }
        owed.values_mut().for_each(|owed| *owed = owed.saturating_sub(200_000));
        for bench in &replicas {
            for (id, change) in bench.limits.changes(1000) {
                if let Change::Due { add, view, .. } = change {
                    let total = owed.entry(id).or_default();
                    *total = (*total + add).max(view);
                }
            }
        }
        for bench in &replicas {
            let totals: Vec<_> = owed.iter().map(|(id, owed)| (*id, Total::Due(*owed))).collect();
            bench.limits.merge(&totals);
        }
    }
    // Rate times window, one burst, and for each other replica a burst and what it admits until it hears.
    let bound = 100 * 20 + 100 + 2 * (100 + 20);
    assert!(admitted <= bound && admitted >= 2000, "{admitted}, at most {bound}");
}

use crate::exchange::{Change, CounterId, Replicated, Total};
