use super::*;
use proptest::prelude::*;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn decide(decisions: &Decisions, kind: Kind, prefix: &str, lasts: Duration, now: Timestamp) -> Arc<Decision> {
    let prefix = Some(prefix).filter(|prefix| !prefix.is_empty());
    decisions.decide(Proposal::new(kind, prefix, lasts, "a test").unwrap(), "alice", now).unwrap()
}

fn kind(decisions: &Decisions, address: &str, now: Timestamp) -> Option<Kind> {
    decisions.find(address.parse().unwrap(), true, now).map(|decision| decision.kind)
}

/// Hands on what each knows until nobody lacks anything, by way of a store; `order` says who comes first.
fn share(replicas: &[&Decisions], store: &mut String, now: Timestamp) {
    for _ in 0..replicas.len() + 1 {
        for replica in replicas {
            let merged = replica.merge(store, now);
            assert_eq!(merged.fault, None);
            if merged.lacks {
                *store = replica.text(now).0;
            }
        }
    }
}

#[test]
fn the_most_specific_prefix_wins_and_a_block_holds_under_off() {
    let decisions = Decisions::default();
    assert_eq!(kind(&decisions, "192.0.2.1", NOW), None);
    decide(&decisions, Kind::Block, "192.0.0.0/16", HOUR, NOW);
    decide(&decisions, Kind::Allow, "192.0.2.0/24", HOUR, NOW);
    decide(&decisions, Kind::Block, "192.0.2.255", MINUTE, NOW);
    decide(&decisions, Kind::Block, "2001:db8::/32", HOUR, NOW);
    decide(&decisions, Kind::Block, "::/16", HOUR, NOW);
    let cases = [
        ("192.0.1.255", Some(Kind::Block)),
        ("192.0.2.0", Some(Kind::Allow)),
        ("192.0.2.254", Some(Kind::Allow)),
        ("192.0.2.255", Some(Kind::Block)),
        ("192.0.3.0", Some(Kind::Block)),
        ("192.1.0.0", None),
        ("2001:db8:ffff::1", Some(Kind::Block)),
        ("2001:db9::", None),
        ("::1", Some(Kind::Block)),
        // IPv4 is not in an IPv6 block around its mapped range.
        ("8.8.8.8", None),
    ];
    for (address, expected) in cases {
        assert_eq!(kind(&decisions, address, NOW), expected, "{address}");
    }
    decide(&decisions, Kind::Off, "", HOUR, NOW);
    for (address, expected) in cases {
        assert_eq!(kind(&decisions, address, NOW), expected.or(Some(Kind::Off)), "{address}");
    }
    assert_eq!(kind(&decisions, "192.0.2.255", NOW + MINUTE), Some(Kind::Allow), "then the next broader one holds");
    let hidden = |address: &str| decisions.find(address.parse().unwrap(), false, NOW).map(|decision| decision.kind);
    assert_eq!(hidden("192.0.2.1"), Some(Kind::Block), "who hides where it comes from is not let off");
    assert_eq!(hidden("192.1.0.1"), Some(Kind::Off));
}

proptest! {
    #[test]
    fn the_table_finds_what_a_scan_finds(
        about in prop::collection::btree_map((0u32..64, 8u8..=32, any::<bool>()), any::<bool>(), 0..40),
        others in prop::collection::vec(any::<std::net::IpAddr>(), 8),
    ) {
        let decisions = Decisions::default();
        let mut all: Vec<(IpNet, Kind)> = Vec::new();
        for ((bits, length, ipv6), block) in about {
            let address = if ipv6 { std::net::IpAddr::from((u128::from(bits) << 90).to_be_bytes()) }
                else { (bits << 22).to_be_bytes().into() };
            let prefix = IpNet::new(address, if ipv6 { length + 16 } else { length }).unwrap().trunc();
            let kind = if block { Kind::Block } else { Kind::Allow };
            decide(&decisions, kind, &prefix.to_string(), HOUR, NOW);
            all.retain(|(known, _)| *known != prefix);
            all.push((prefix, kind));
        }
        let edges: Vec<_> = all.iter().flat_map(|(prefix, _)| [prefix.network(), prefix.broadcast()]).collect();
        for address in edges.into_iter().chain(others).filter(|address| address.to_canonical() == *address) {
            let around = all.iter().filter(|(prefix, _)| prefix.contains(&address));
            let expected = around.max_by_key(|(prefix, _)| prefix.prefix_len()).map(|(_, kind)| *kind);
            prop_assert_eq!(decisions.find(address, true, NOW).map(|found| found.kind), expected, "{}", address);
        }
    }

    #[test]
    fn replicas_come_to_one_mind_whatever_their_clocks_say(
        steps in prop::collection::vec((0usize..3, 0u8..5, 0u8..4, 1u64..90), 1..25),
        skew in prop::collection::vec(0u64..30_000, 3),
    ) {
        let replicas: [Decisions; 3] = Default::default();
        let mut store = String::new();
        let mut last: std::collections::BTreeMap<u8, Option<Kind>> = Default::default();
        for (who, what, about, minutes) in steps {
            let (replica, now) = (&replicas[who], Timestamp(NOW.0 + skew[who]));
            let prefix = format!("192.0.{about}.0/24");
            if what == 4 {
                replica.lift(Some(self::prefix(&prefix).unwrap()), "bob", now);
                last.insert(about, None);
            } else {
                let kind = if what % 2 == 0 { Kind::Block } else { Kind::Allow };
                decide(replica, kind, &prefix, MINUTE * minutes as u32 + HOUR, now);
                last.insert(about, Some(kind));
            }
            share(&replicas.each_ref(), &mut store, NOW);
        }
        for (about, expected) in last {
            for replica in &replicas {
                prop_assert_eq!(kind(replica, &format!("192.0.{about}.1"), NOW), expected);
            }
        }
        prop_assert_eq!(replicas[0].text(NOW), replicas[1].text(NOW));
    }
}

#[test]
fn what_was_taken_back_does_not_come_back_from_who_was_away() {
    let [here, away] = <[Decisions; 2]>::default();
    let mut store = String::new();
    decide(&here, Kind::Block, "192.0.2.0/24", HOUR * 10, NOW);
    decide(&here, Kind::Block, "198.51.100.0/24", HOUR * 10, NOW);
    share(&[&here, &away], &mut store, NOW);
    assert_eq!(kind(&away, "192.0.2.1", NOW), Some(Kind::Block));
    here.lift(Some(prefix("192.0.2.0/24").unwrap()), "bob", NOW).unwrap();
    decide(&here, Kind::Block, "198.51.100.0/24", MINUTE, NOW);
    let later = NOW + HOUR;
    assert_eq!(here.expire(later).len(), 1);
    let mut empty = String::new();
    share(&[&away, &here], &mut empty, later);
    for replica in [&here, &away] {
        assert_eq!(kind(replica, "192.0.2.1", later), None);
        assert_eq!(kind(replica, "198.51.100.1", later), None);
    }
    assert!(here.expire(NOW + HOUR * 11).is_empty(), "an end is told once");
    assert_eq!(here.text(NOW + HOUR * 11), (r#"{"version":1,"decisions":[]}"#.into(), None), "then all is forgotten");
}

#[test]
fn there_are_a_thousand_at_most() {
    let decisions = Decisions::default();
    for number in 0..CAP as u32 {
        let address = std::net::Ipv4Addr::from(0x0a00_0000 + number);
        decide(&decisions, Kind::Block, &address.to_string(), HOUR, NOW);
    }
    let one_more = || Proposal::new(Kind::Block, Some("192.0.2.0/24"), HOUR, "a test").unwrap();
    let refused = decisions.decide(one_more(), "alice", NOW).unwrap_err().to_string();
    assert!(refused.contains("1000 decisions") && refused.contains("remove some"), "{refused}");
    decide(&decisions, Kind::Allow, "10.0.0.0", HOUR, NOW);
    assert!(decisions.decide(one_more(), "alice", NOW + HOUR).is_ok(), "what is over makes room");

    // Two replicas that were full each keep the last ones, and agree on which.
    let other = Decisions::default();
    for number in 0..CAP as u32 {
        let address = std::net::Ipv4Addr::from(0x0b00_0000 + number);
        decide(&other, Kind::Block, &address.to_string(), HOUR, NOW + MINUTE);
    }
    let (mut store, now) = (String::new(), NOW + MINUTE);
    let full = Decisions::default();
    for number in 0..CAP as u32 {
        decide(&full, Kind::Block, &std::net::Ipv4Addr::from(0x0c00_0000 + number).to_string(), HOUR, NOW);
    }
    share(&[&full, &other], &mut store, now);
    assert_eq!(full.list(now), other.list(now));
    assert_eq!(full.list(now).len(), CAP);
    assert_eq!(kind(&full, "11.0.0.1", now), Some(Kind::Block));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let cases = [
        (Kind::Block, Some("0.0.0.0/0"), HOUR, "why", "too broad"),
        (Kind::Allow, Some("11.0.0.0/7"), HOUR, "why", "host bits"),
        (Kind::Allow, Some("128.0.0.0/7"), HOUR, "why", "`windscreen off`"),
        (Kind::Block, Some("2000::/15"), HOUR, "why", "too broad"),
        (Kind::Block, Some("::ffff:0:0/96"), HOUR, "why", "too broad"),
        (Kind::Block, Some("192.0.2.1/24"), HOUR, "why", "did you mean `192.0.2.0/24`?"),
        (Kind::Block, Some("example.org"), HOUR, "why", "CIDR block"),
        (Kind::Block, None, HOUR, "why", "needs a prefix"),
        (Kind::Off, Some("192.0.2.0/24"), HOUR, "why", "`off` is for everybody"),
        (Kind::Off, None, LONGEST + MINUTE, "why", "30 days"),
        (Kind::Off, None, Duration::ZERO, "why", "one second"),
        (Kind::Off, None, HOUR, " ", "a reason"),
        (Kind::Off, None, HOUR, "two\nlines", "a reason"),
        (Kind::Off, None, HOUR, "\u{202e}hidden", "a reason"),
        (Kind::Off, None, HOUR, &"x".repeat(201), "200 characters"),
    ];
    for (kind, prefix, lasts, reason, expected) in cases {
        let message = Proposal::new(kind, prefix, lasts, reason).unwrap_err();
        assert!(message.contains(expected), "{prefix:?} {reason:?}: {message}");
    }
    let mapped = Proposal::new(Kind::Block, Some("::ffff:192.0.2.0/120"), HOUR, &"é".repeat(200)).unwrap();
    assert_eq!(mapped.prefix, Some("192.0.2.0/24".parse().unwrap()));
}

#[test]
fn of_a_bad_text_what_can_be_read_is_taken() {
    let line = r#"{"kind":"block","prefix":"192.0.2.0/24","since":1800000000000,"until":1800000060000,"who":"alice","reason":"why"}"#;
    let bad = [
        line.replace("block", "ban"),
        line.replace("192.0.2.0/24", "0.0.0.0/0"),
        line.replace("block", "off"),
        line.replace("alice", "a b"),
        line.replace("why", &"x".repeat(300)),
        line.replace("1800000060000", "9900000060000"),
        line.replace("\"until\":1800000060000,", ""),
        "7".into(),
    ];
    let text = format!(r#"{{"version":1,"decisions":[{},{line}]}}"#, bad.join(","));
    let decisions = Decisions::default();
    let merged = decisions.merge(&text, NOW);
    assert_eq!(merged.fault.as_deref(), Some("8 of its decisions cannot be read"));
    assert_eq!((merged.changes.len(), decisions.list(NOW).len()), (1, 1));
    for (text, expected) in [("{", "damaged"), ("[]", "damaged"), (r#"{"version":2,"decisions":[]}"#, "version 2")] {
        let fault = decisions.merge(text, NOW).fault.unwrap();
        assert!(fault.contains(expected), "{text}: {fault}");
    }
    assert_eq!(decisions.list(NOW).len(), 1);
}
