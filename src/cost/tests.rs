//! Promises of the whole: bills to the cent, shares that add up, refusals with their places.

use super::Destination::{Internet, OtherRegion, SameRegion};
use super::*;
use crate::document::{Decode, Diagnostics, Schemas, Spanned, read};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const GB: u64 = 1 << 30;
const TB: u64 = 1 << 40;
const NETWORKS: [&str; 3] = ["aws", "github", "internal"];
const SOURCES: [&str; 4] = ["images", "images-fra", "logs", "linode"];

fn parse(text: &str) -> (Option<PriceBook>, String) {
    let mut diagnostics = Diagnostics::new("gateway.yaml");
    let settings: Option<Spanned<PricesSettings>> = read(text, &mut diagnostics);
    let book = settings.and_then(|settings| PriceBook::new(&settings, &NETWORKS, &SOURCES, &mut diagnostics));
    (book.filter(|_| diagnostics.error_count() == 0), diagnostics.to_string())
}

fn book(text: &str) -> PriceBook {
    let (book, found) = parse(text);
    assert!(book.is_some(), "{text}: {found}");
    book.unwrap()
}

/// Three sources in two regions, and one elsewhere.
fn deployment() -> PriceBook {
    book(
        "{preset: aws-us-east-1, free_networks: [aws], \
         origins: {images-fra: {preset: aws-eu-central-1, region_networks: [aws]}, linode: {preset: linode}}}",
    )
}

fn usage<K>(key: K, source: &str, destination: Destination, bytes: u64) -> Usage<K> {
    Usage { key, source: source.into(), destination, gets: 0, lists: 0, unbilled: 0, bytes }
}

#[test]
fn bills_are_exact_at_every_border() {
    // Nano-dollars, calculated by hand from the providers' pages.
    let cases = [
        ("aws-us-east-1", 0, 0),
        ("aws-us-east-1", 100 * GB, 0),
        ("aws-us-east-1", 100 * GB + 12, 1),
        ("aws-us-east-1", 101 * GB, 90_000_000),
        ("aws-us-east-1", 10 * TB - GB, 912_510_000_000),
        ("aws-us-east-1", 10 * TB, 912_600_000_000),
        ("aws-us-east-1", 10 * TB + 1, 912_600_000_000),
        ("aws-us-east-1", 10 * TB + 12, 912_600_000_001),
        ("aws-us-east-1", 10 * TB + GB, 912_685_000_000),
        ("aws-us-east-1", 50 * TB, 4_394_200_000_000),
        ("aws-us-east-1", 50 * TB + GB, 4_394_270_000_000),
        ("aws-us-east-1", 150 * TB, 11_562_200_000_000),
        ("aws-us-east-1", 200 * TB, 14_122_200_000_000),
        ("aws-us-east-1", 50_000_000_000_000, 4_000_320_942_116),
        ("aws-eu-central-1", 10 * TB + GB, 912_685_000_000),
        ("linode", 1_000_000_000_000, 0),
        ("linode", 1_500_000_000_000, 2_500_000_000),
        ("cloudfront", TB, 0),
        ("cloudfront", 11 * TB, 865_280_000_000),
    ];
    for (preset, bytes, nanos) in cases {
        let (book, usages) = (book(&format!("{{preset: {preset}}}")), [usage((), "logs", Internet, bytes)]);
        assert_eq!(Bill::new(&book, &usages).total(), Money(nanos), "{preset} {bytes}");
    }
    // gets, lists
    let cases = [
        ("aws-us-east-1", 7_440_000_000, 0, 2_976_000_000_000),
        ("aws-us-east-1", 1, 1, 5_400),
        ("aws-eu-central-1", 1_000_000, 1_000, 435_400_000),
        ("linode", 1_000_000, 1_000_000, 0),
        ("cloudfront", 10_000_000, 0, 0),
        ("cloudfront", 10_000_001, 0, 1_000),
    ];
    for (preset, gets, lists, nanos) in cases {
        let usages = [Usage { gets, lists, unbilled: 1_000_000, ..usage((), "logs", Internet, 0) }];
        let book = book(&format!("{{preset: {preset}}}"));
        assert_eq!(Bill::new(&book, &usages).total(), Money(nanos), "{preset} {gets} {lists}");
    }
}

#[test]
fn sources_of_one_table_are_billed_together_and_share_what_is_free() {
    let book = deployment();
    let usages = [
        usage("ci", "images", SameRegion, 9 * TB),
        usage("ci", "images", Internet, 10 * TB),
        usage("human", "logs", Internet, TB),
        usage("ci", "images-fra", Internet, 60 * GB),
        usage("ci", "images-fra", OtherRegion, 10 * GB),
        usage("tool", "linode", Internet, 1_100_000_000_000),
    ];
    let bill = Bill::new(&book, &usages);
    // The allowance of 100 GB goes to eu-central-1 first, by name: 60 GB there, 40 GB in us-east-1, where 10 TB cost
    // 0.09 and one more 0.085. The average of these is shared out 10 to 1. Between regions a GB costs 0.02.
    let us_east_1 = (10_240 - 40) * 90_000_000 + 1_024 * 85_000_000;
    let expected = [0, us_east_1 * 10 / 11 + 1, us_east_1 / 11, 0, 200_000_000, 500_000_000];
    let costs: Vec<i128> = bill.lines().iter().map(|line| line.cost().0).collect();
    assert_eq!(costs, expected);
    assert_eq!(bill.total(), Money(us_east_1 + 700_000_000));
    let ci = bill.by_key()[&"ci"];
    assert_eq!((ci.bytes, ci.paid_bytes), (19 * TB + 70 * GB, 10 * TB + 70 * GB));
    assert_eq!(bill.by_source()["linode"].cost, Money::from_cents(50));
    // To stop the tools saves their whole share; to stop people saves less than theirs: theirs are the cheap bytes.
    assert_eq!(saving(&book, &usages, |usage| usage.key == "tool"), Money::from_cents(50));
    let people = saving(&book, &usages, |usage| usage.key == "human");
    assert_eq!(people, Money(1_024 * 85_000_000));
    assert!(people < bill.by_key()[&"human"].cost);
}

#[test]
fn networks_tell_where_bytes_go() {
    let book = deployment();
    let cases: [(&str, &[&str], Destination); 5] = [
        ("logs", &[], Internet),
        ("logs", &["github"], Internet),
        ("logs", &["github", "aws"], SameRegion),
        ("images-fra", &["aws"], OtherRegion),
        ("linode", &["aws"], Internet),
    ];
    for (source, networks, destination) in cases {
        assert_eq!(book.prices(source).destination(networks.iter().copied()), destination, "{source} {networks:?}");
    }
}

#[test]
fn a_preset_is_changed_key_by_key() {
    let changed =
        book("{preset: aws-us-east-1, free: 0 GB, requests: {get: 0.0005}, source: contract, effective: 2026-10-01}");
    let prices = changed.prices("logs");
    assert_eq!((prices.free, prices.requests.get, prices.requests.list), (0, Price(500_000), Price(5_000_000)));
    assert_eq!((prices.source.as_str(), prices.effective.to_string().as_str()), ("contract", "2026-10-01"));
    assert_eq!(prices.egress, Preset::AwsUsEast1.prices().egress);
    assert!(book("{preset: linode, free: 2 TB}").prices("x").source.ends_with(", changed by the configuration"));

    let full = book(
        "{gb: decimal, egress: [{up_to: 1 TB, per_gb: 0.02}, {per_gb: 0.01}], source: 'https://example.org/prices', \
         effective: 2026-01-01}",
    );
    let usages = [usage((), "logs", Internet, 1_500_000_000_000), usage((), "logs", SameRegion, TB)];
    assert_eq!(Bill::new(&full, &usages).total(), Money::from_cents(2_500));

    // A table of its own begins with the one around it.
    let other = book("{preset: aws-us-east-1, free_networks: [aws], origins: {logs: {requests: {get: 0}}}}");
    assert_eq!(other.prices("logs").free_networks, ["aws"]);
    assert_ne!(other.prices("logs").table, other.prices("images").table);

    let mut named = deployment();
    named.also_known_as("site-images", ["bucket", "images-fra", "linode"]);
    assert_eq!(named.prices("site-images").table, "aws-eu-central-1");
}

#[test]
fn bad_prices_are_refused_with_their_places() {
    let cases = [
        ("preset: aws-us-east-2", "1:9: error: unknown preset `aws-us-east-2`, did you mean `aws-us-east-1`?"),
        ("currency: EUR", "1:11: error: unknown currency `EUR`, expected one of: USD"),
        ("preset: linode\nfre: 1 GB", "2:1: error: unknown key `fre`, did you mean `free`?"),
        ("preset: linode\nfree: 1 XB", "2:7: error: expected a size such as `100 GB` or `10 TB`, found `1 XB`"),
        (
            "preset: linode\nsame_region: -0.01",
            "2:14: error: expected a price in dollars such as `0.09`, at most 1000 and with at most 9 decimals, found \
             `-0.01`",
        ),
        (
            "preset: linode\nrequests: {get: 1001}",
            "2:17: error: expected a price in dollars such as `0.09`, at most 1000 and with at most 9 decimals, found \
             `1001`",
        ),
        (
            "preset: linode\negress: [{up_to: 1 TB, per_gb: 1}, {up_to: 1 TB, per_gb: 1}, {per_gb: 1}]",
            "2:36: error: `up_to` must be above that of the tier before",
        ),
        (
            "preset: linode\negress: [{per_gb: 1}, {per_gb: 1}]",
            "2:10: error: missing key `up_to`: only the last tier has no end",
        ),
        (
            "preset: linode\negress: [{up_to: 1 TB, per_gb: 1}]",
            "2:10: error: the last tier has no end: leave `up_to` out",
        ),
        ("preset: linode\negress: [{}]", "2:10: error: missing key `per_gb`"),
        ("preset: linode\negress: []", "1:1: error: `egress` needs a tier such as `{per_gb: 0.05}`"),
        ("egress: {per_gb: 1}\nsource: me", "1:1: error: missing key `effective`: a table without a `preset` needs it"),
        ("preset: linode\nfree_networks: [asw]", "2:17: error: unknown network `asw`, did you mean `aws`?"),
        (
            "preset: linode\nfree_networks: aws\nregion_networks: aws",
            "3:18: error: `aws` stands in `free_networks`, too: leave it out of one",
        ),
        ("preset: linode\norigins: {log: {}}", "2:16: error: unknown source `log`, did you mean `logs`?"),
        (
            "preset: linode\norigins:\n  logs: {origins: {images: {}}}",
            "3:28: error: `origins` within `origins`: write them side by side",
        ),
        (
            "preset: linode\neffective: 2026-02-30",
            "2:12: error: expected a day such as `2026-11-01`, found `2026-02-30`",
        ),
        (
            "preset: linode\nlocation: aws:virginia",
            "2:11: error: expected `outside` or a region such as `aws:us-east-1`, found `aws:virginia`",
        ),
        ("preset: linode\naccount: ''", "2:10: error: expected some text, found ``"),
        (
            "preset: aws-us-east-1\norigins: {logs: {preset: aws-eu-central-1, free: 1 GB}}",
            "2:17: warning: `logs` is of the same account as the others, and yet has another `free`",
        ),
    ];
    for (text, message) in cases {
        let (book, found) = parse(text);
        assert_eq!(book.is_none(), message.contains(": error: "), "{text}");
        assert!(found.lines().any(|line| line == format!("gateway.yaml:{message}")), "{text}\n{found}");
    }
}

#[test]
fn editors_accept_what_is_accepted() {
    let mut schemas = Schemas::default();
    PricesSettings::schema(&mut schemas);
    let schema = schemas.document("Prices", "PricesSettings");
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let accepted = serde_json::json!({
        "preset": "aws-us-east-1", "currency": "USD", "gb": "binary", "free": "100 GB",
        "egress": [{"up_to": "10 TB", "per_gb": 0.09}, {"per_gb": "0.05"}], "requests": {"get": 0.0004, "free": 5},
        "same_region": 0, "free_networks": ["aws"], "region_networks": "github", "location": "aws:us-east-1",
        "account": "ours", "source": "https://example.org", "effective": "2026-11-01", "origins": {"logs": null},
    });
    assert!(validator.is_valid(&accepted));
    assert!(parse(&accepted.to_string()).0.is_some());
    assert!(!validator.is_valid(&serde_json::json!({"per_gb": 1})));
}

#[test]
fn a_gateway_outside_makes_paid_what_was_free() {
    let book = deployment();
    let aws = |region: &str| Location::Aws(region.into());
    let free = [usage("ci", "images", SameRegion, TB), usage("human", "logs", Internet, TB)];
    let fra = [usage("human", "images-fra", Internet, TB)];
    // usages, where the gateway stands, without it and with it, in cents
    let cases: [(&[Usage<&str>], Location, i64, i64); 6] = [
        (&free, Location::Outside, 924 * 9, 1_948 * 9),
        (&free, aws("us-east-1"), 924 * 9, 924 * 9),
        (&free, aws("eu-central-1"), 924 * 9, 924 * 9 + 3 * 1_024 * 2),
        (&fra, Location::Outside, 924 * 9, 924 * 9),
        (&fra, aws("eu-central-1"), 924 * 9, 924 * 9),
        (&fra, aws("us-east-1"), 924 * 9, 924 * 9 + 1_024 * 2),
    ];
    for (usages, location, without, with) in cases {
        let effect = in_front(&book, usages, &location, |_| true);
        let expected = Effect { without: Money::from_cents(without), with: Money::from_cents(with) };
        assert_eq!(effect, expected, "{location} {usages:?}");
    }
    let redirected = in_front(&book, &free, &Location::Outside, |usage| usage.key != "ci");
    assert_eq!(redirected.added(), Money::ZERO);
}

#[test]
fn alternatives_are_told_honestly() {
    let book = deployment();
    let usages = [
        usage("ci", "images", SameRegion, 9 * TB),
        Usage { gets: 1_000_000, unbilled: 500_000, ..usage("human", "logs", Internet, 10 * TB) },
        usage("tool", "linode", Internet, 2_000_000_000_000),
    ];
    let bill = Bill::new(&book, &usages);
    assert_eq!(bill.total(), Money::from_cents(91_260 + 40 + 500));
    // In cents: the whole month with it, and what it saves. The reads and Linode stay: 540 cents.
    let expected = [
        ("CloudFront Pro", 1_540 + 500, true),
        ("CloudFront Business", 20_040 + 500, true),
        ("CloudFront Premium", 100_040 + 500, true),
        ("CloudFront, pay as you go", 78_336 + 40 + 500, true),
    ];
    let told = alternatives(&bill);
    assert_eq!(told.len(), expected.len());
    for (alternative, (name, total, fits)) in told.iter().zip(expected) {
        assert_eq!((alternative.name, alternative.total, alternative.fits), (name, Money::from_cents(total), fits));
        assert_eq!(alternative.saving, bill.total() - alternative.total);
        assert_eq!(alternative.effective.to_string(), "2026-09-05");
    }
    let many = [Usage { gets: 10_000_000, unbilled: 1, ..usage("human", "logs", Internet, 50_000_000_000_000) }];
    let fits: Vec<bool> = alternatives(&Bill::new(&book, &many)).iter().map(|told| told.fits).collect();
    assert_eq!(fits, [false, true, true, true]);
    // Nothing that could move.
    assert_eq!(alternatives(&Bill::new(&book, &usages[2..])), []);
}

fn some_usages() -> impl Strategy<Value = Vec<Usage<u8>>> {
    let source = prop::sample::select(&SOURCES[..]);
    let destination = prop::sample::select(&[SameRegion, OtherRegion, Internet][..]);
    // Both some bytes and hundreds of terabytes, so that all tiers are met.
    let bytes = prop_oneof![0..100u64, 0..200 * GB, 0..400 * TB];
    let usage = (0..4u8, source, destination, bytes, 0..20_000_000u64, 0..1_000u64).prop_map(
        |(key, source, destination, bytes, gets, lists)| Usage {
            gets,
            lists,
            ..usage(key, source, destination, bytes)
        },
    );
    prop::collection::vec(usage, 0..12)
}

proptest! {
    #[test]
    fn shares_add_up_and_bills_only_grow(
        usages in some_usages(), cloudfront: bool, index: prop::sample::Index, more in 0..TB, stopped in 0..4u8,
    ) {
        let book = if cloudfront { book("{preset: cloudfront}") } else { deployment() };
        let total = {
            let bill = Bill::new(&book, &usages);
            prop_assert_eq!(bill.by_key().values().map(|share| share.cost).sum::<Money>(), bill.total());
            prop_assert_eq!(bill.by_source().values().map(|share| share.cost).sum::<Money>(), bill.total());
            prop_assert!(bill.lines().iter().all(|line| line.transfer >= Money::ZERO && line.requests >= Money::ZERO));
            bill.total()
        };
        prop_assert_eq!(saving(&book, &usages, |_| true), total);
        let saved = saving(&book, &usages, |usage| usage.key == stopped);
        prop_assert!(Money::ZERO <= saved && saved <= total);
        if !usages.is_empty() {
            let mut grown = usages.clone();
            grown[index.index(usages.len())].bytes += more;
            prop_assert!(Bill::new(&book, &grown).total() >= total);
        }
    }
}

/// Amounts that no month has are no reason to panic, and still add up.
#[test]
fn absurd_amounts_are_billed_without_a_fault() {
    let book = book("{preset: aws-us-east-1, egress: {per_gb: 1000}}");
    let most = |key| Usage { gets: u64::MAX, lists: u64::MAX, ..usage(key, "logs", Internet, u64::MAX) };
    let usages = [most(1), most(2), most(3)];
    let bill = Bill::new(&book, &usages);
    assert_eq!(bill.by_key().values().map(|share| share.cost).sum::<Money>(), bill.total());
    // Three times 2⁶⁴ bytes at $1,000.
    assert_eq!(bill.lines().iter().map(|line| line.transfer.cents()).sum::<i128>() / 100, 51_539_607_452_000);
}

fn days(first: u32, bytes: impl IntoIterator<Item = u64>) -> Vec<DayUsage<&'static str>> {
    let day = |(index, bytes)| DayUsage {
        day: Day(first + index as u32),
        usages: vec![usage("all", "logs", Internet, bytes)],
    };
    bytes.into_iter().enumerate().map(day).collect()
}

/// November 2026, which begins with a Sunday.
const NOVEMBER: u32 = 20_758;

#[test]
fn a_month_of_equal_days_is_known_from_two() {
    let (book, month) = (deployment(), Month::of(Day(NOVEMBER)));
    assert_eq!((month.first, month.length), (Day(NOVEMBER), 30));
    for known in 0..2 {
        assert_eq!(project(&book, &days(NOVEMBER, vec![GB; known]), month, |_| true), None);
    }
    // 30 days of 10 GB, of which 100 GB are free.
    let told = project(&book, &days(NOVEMBER, [10 * GB; 2]), month, |_| true).unwrap();
    let cost = Money::from_cents(1_800);
    assert_eq!((told.to_date, told.month, told.low, told.high), (Money::ZERO, cost, cost, cost));
    assert_eq!((told.days, told.by_weekday), (2, false));
    let told = project(&book, &days(NOVEMBER, [10 * GB; 30]), month, |_| true).unwrap();
    assert_eq!((told.to_date, told.month, told.by_weekday), (cost, cost, true));
    // Days of the month before tell what days are like, and are not billed.
    let told = project(&book, &days(NOVEMBER - 10, [10 * GB; 10]), month, |_| true).unwrap();
    assert_eq!((told.to_date, told.month), (Money::ZERO, cost));
}

#[test]
fn weekends_are_told_apart_after_two_weeks() {
    let (book, month) = (deployment(), Month::of(Day(NOVEMBER)));
    let bytes = |day: u32| if Day(day).weekday() >= 5 { 0 } else { 20 * GB };
    let told =
        |known: u32| project(&book, &days(NOVEMBER, (NOVEMBER..NOVEMBER + known).map(bytes)), month, |_| true).unwrap();
    // 21 working days.
    let exact = Money::from_cents((21 * 20 - 100) * 9);
    let (week, fortnight) = (told(7), told(14));
    assert!(!week.by_weekday && week.low < exact && exact < week.high);
    assert!(fortnight.by_weekday);
    assert_eq!((fortnight.month, fortnight.low, fortnight.high), (exact, exact, exact));
}

#[test]
fn part_of_a_bill_has_a_band_of_its_own() {
    let (book, month) = (deployment(), Month::of(Day(NOVEMBER)));
    let mut history = days(NOVEMBER, [30 * GB; 7]);
    for (index, day) in history.iter_mut().enumerate() {
        day.usages.push(usage("scrapers", "logs", Internet, (8 + index as u64 % 3) * GB));
    }
    let all = project(&book, &history, month, |_| true).unwrap();
    let people = project(&book, &history, month, |key| *key == "all").unwrap();
    let scrapers = project(&book, &history, month, |key| *key == "scrapers").unwrap();
    assert_eq!(people.month + scrapers.month, all.month);
    assert_eq!((people.low, people.high), (people.month, people.month));
    assert!(scrapers.low < scrapers.month && scrapers.month < scrapers.high);
    let nobody = project(&book, &history, month, |_| false).unwrap();
    assert_eq!((nobody.month, nobody.high), (Money::ZERO, Money::ZERO));
}

#[test]
fn the_band_holds_nine_months_out_of_ten() {
    let (book, month) = (book("{preset: aws-us-east-1, free: 0 GB}"), Month::of(Day(NOVEMBER)));
    let mut random = StdRng::seed_from_u64(1);
    let rounds = 400;
    for known in [2, 3, 7, 21] {
        let mut held = 0;
        for _ in 0..rounds {
            // Days between 5 and 15 GB, about normal.
            let mut day = || (0..4).map(|_| random.random_range(5 * GB / 4..15 * GB / 4)).sum::<u64>();
            let all: Vec<u64> = (0..30).map(|_| day()).collect();
            let truth = [usage((), "logs", Internet, all.iter().sum())];
            let truth = Bill::new(&book, &truth).total();
            let told = project(&book, &days(NOVEMBER, all.into_iter().take(known)), month, |_| true).unwrap();
            held += usize::from((told.low..=told.high).contains(&truth));
        }
        let share = held as f64 / rounds as f64;
        assert!((0.86..=0.94).contains(&share), "{known} days: {share}");
    }
}
