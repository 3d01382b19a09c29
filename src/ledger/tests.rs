//! Promises of the ledger that need no gateway.

use super::file::{File, beside, set_aside};
use super::schema::{STEPS, migrate};
use super::*;
use crate::clock::ManualClock;
use crate::document::read;
use crate::network::IpNet;
use crate::state::SAMPLE_POINTS;
use crate::traffic::{Billed, Cell, Drawn, Entry, Heavy, Key, Outcome, Shown, Sighting, Taken, Would};
use crate::verdict::{Class, Done};
use proptest::prelude::*;
use rusqlite::Connection;
use std::hash::Hash;
use std::path::PathBuf;
use tempfile::TempDir;

const FOREVER: Timestamp = Timestamp(u64::MAX);

/// A request, as numbers that a test can make up.
#[derive(Debug, Clone)]
struct Made {
    at: u64,
    kind: u16,
    client: u8,
    bytes: u64,
    agent: String,
    path: String,
}

impl Made {
    fn new(at: u64, kind: u16) -> Self {
        Made { at, kind, client: kind as u8, bytes: 1000, agent: "curl/8".into(), path: "/run/1/log".into() }
    }

    fn entry(&self) -> Entry<'_> {
        let bit = |number: u16| self.kind >> number & 1 == 1;
        let key = Key {
            site: ["logs", "images"][usize::from(bit(0))].into(),
            source: ["aws", ""][usize::from(bit(1))].into(),
            class: if bit(2) { Class::Suspect } else { Class::Human },
            rule: ["default", ""][usize::from(bit(3))].into(),
            done: if bit(4) { Done::Limit } else { Done::Allow },
            would: bit(5).then(|| Would { rule: "scrapers".into(), action: "deny" }),
            status: if bit(6) { 0 } else { 2 },
            billed: if bit(6) { Billed::Nothing } else { Billed::Get },
            network: ["", "aws"][usize::from(bit(2))].into(),
            region: ["", "us-east-1"][usize::from(bit(1))].into(),
            country: bit(7).then_some(*b"FR"),
            asn: bit(8).then_some(u32::MAX),
            undecided: bit(9).then(|| ["", "feed"][usize::from(bit(0))].into()),
        };
        let prefix = IpNet::new_assert([192, 0, self.client, 0].into(), 24);
        let shown = usize::from(self.kind >> 10)
            .checked_sub(1)
            .and_then(|kind| Shown::WORDS.get(kind))
            .map(|(_, shown)| *shown);
        Entry {
            at: Timestamp(self.at),
            key,
            prefix,
            bytes: self.bytes,
            user_agent: &self.agent,
            path: &self.path,
            shown,
        }
    }
}

/// A ledger in a folder of its own, and its clock.
struct Desk {
    directory: TempDir,
    path: PathBuf,
    clock: Arc<ManualClock>,
    metrics: Metrics,
    ledger: Ledger,
}

fn settings(path: &Path, more: &str) -> LedgerSettings {
    let mut diagnostics = crate::document::Diagnostics::new("x");
    let settings: Option<LedgerSettings> = read(&format!("{{path: '{}'{more}}}", path.display()), &mut diagnostics);
    assert!(settings.is_some(), "{diagnostics}");
    settings.unwrap()
}

impl Desk {
    fn new(more: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("ledger.db");
        Self::at(directory, path, more)
    }

    fn at(directory: TempDir, path: PathBuf, more: &str) -> Self {
        let (clock, metrics) = (Arc::new(ManualClock::new(Timestamp(HOUR * 10_000))), Metrics::new().unwrap());
        let settings = settings(&path, more);
        let ledger = Ledger::new(&settings, Arc::new(Ledger::live(Some(&settings))), clock.clone(), &metrics);
        Desk { directory, path, clock, metrics, ledger }
    }

    fn enter(&self, requests: &[Made]) {
        requests.iter().for_each(|made| self.ledger.live.enter(made.entry()));
    }

    fn read(&self) -> Books {
        Ledger::read(&self.path, Timestamp(0), FOREVER).unwrap()
    }

    fn requests(&self) -> u64 {
        requests(&self.read())
    }

    fn is_up(&self) -> bool {
        self.metrics.ledger_up.with_label_values::<&str>(&[]).get() == 1
    }
}

fn requests(books: &Books) -> u64 {
    books.cells().map(|(_, _, cell)| cell.requests).sum()
}

/// Everything that books say, in an order.
#[allow(clippy::type_complexity, reason = "it is compared and printed alone")]
fn told(books: &Books) -> Vec<(u64, Vec<(Key, (u64, u64, Vec<u8>, u64))>, Vec<String>)> {
    fn top<K: Hash + Clone + std::fmt::Debug>(heavy: &Heavy<K>) -> impl Iterator<Item = String> {
        heavy.top().into_iter().map(|(key, taken): (K, Taken)| format!("{key:?} {taken:?}"))
    }
    let cell = |cell: &Cell| (cell.requests, cell.bytes, cell.prefixes.to_bytes(), cell.peak_minute);
    let hours = books.hours.iter().map(|(number, hour)| {
        let mut cells: Vec<_> = hour.cells.iter().map(|(key, counted)| (key.clone(), cell(counted))).collect();
        cells.sort();
        let (takers, agents, paths, stopped) = (&hour.takers, &hour.agents, &hour.paths, &hour.stopped);
        let sums = hour.stores.sums.iter().map(|sum| format!("{sum:?}"));
        let tops =
            top(takers).chain(top(agents)).chain(top(paths)).chain(top(stopped)).chain(top(&hour.stores.objects));
        let mut tops: Vec<_> = tops.chain(sums).collect();
        tops.sort();
        (*number, cells, tops)
    });
    hours.collect()
}

/// Fewer prefixes than are kept one by one: what is beyond is only estimated.
fn made() -> impl Strategy<Value = Made> {
    let at = (HOUR * 9_998)..(HOUR * 10_000);
    let texts =
        (prop::sample::select(vec!["", "curl/8", "a\0b'\"; DROP TABLE cells; --", "ö\u{202e}"]), "/[a-c]/[a-c]/x");
    (at, 0u16..8192, 0u8..20, 0u64..1 << 40, texts).prop_map(|(at, kind, client, bytes, (agent, path))| Made {
        at,
        kind,
        client,
        bytes,
        agent: agent.into(),
        path,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_goes_in_comes_out(
        requests in prop::collection::vec(made(), 1..300),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let desk = Desk::new("");
        let mut whole = Books::default();
        let cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(requests.len())).collect();
        for (number, request) in requests.iter().enumerate() {
            if cuts.contains(&number) {
                desk.ledger.save();
            }
            whole.enter(request.entry());
            desk.enter(std::slice::from_ref(request));
        }
        desk.ledger.save();
        prop_assert_eq!(told(&desk.read()), told(&whole));
        prop_assert_eq!(told(&desk.ledger.live.recent(desk.clock.now())), told(&whole));
        let rows = desk.metrics.ledger_rows.with_label_values::<&str>(&[]).get();
        prop_assert_eq!(rows as usize, whole.cells().count());
    }
}

#[test]
fn a_part_is_read_by_time_and_two_ledgers_are_one() {
    let (left, right) = (Desk::new(""), Desk::new(""));
    let mut whole = Books::default();
    for number in 0..300u16 {
        let made = Made::new(HOUR * 9_990 + u64::from(number) * HOUR / 100, number);
        whole.enter(made.entry());
        [&left, &right][usize::from(number % 2)].enter(&[made]);
    }
    left.ledger.save();
    right.ledger.save();
    let mut both = left.read();
    both.merge(&right.read());
    assert_eq!(requests(&both), 300);
    let sums = |books: &Books| -> Vec<_> {
        let mut sums: Vec<_> =
            books.cells().map(|(hour, key, cell)| (hour, key.clone(), cell.requests, cell.bytes)).collect();
        sums.sort();
        sums
    };
    assert_eq!(sums(&both), sums(&whole));
    for (from, to, hours) in [(0, 1, 0), (HOUR, 2 * HOUR, 1), (HOUR + 1, 2 * HOUR + 1, 2), (0, 9 * HOUR, 3)] {
        let (from, to) = (HOUR * 9_989 + from, HOUR * 9_989 + to);
        let read = Ledger::read(&left.path, Timestamp(from), Timestamp(to)).unwrap();
        assert_eq!(read.hours.len(), hours, "{from} {to}");
    }
}

#[test]
fn two_processes_may_write_one_file_and_a_third_read_it() {
    let desk = Desk::new("");
    let other = Desk::at(TempDir::new().unwrap(), desk.path.clone(), "");
    std::thread::scope(|scope| {
        for writer in [&desk, &other] {
            scope.spawn(move || {
                for round in 0..20u64 {
                    writer.enter(&[Made::new(HOUR * 9_999 + round, 1), Made::new(HOUR * 9_999 + round, round as u16)]);
                    writer.ledger.save();
                    assert!(writer.is_up());
                }
            });
        }
        scope.spawn(|| {
            let mut last = 0;
            for _ in 0..40 {
                // At first there is nothing yet.
                let read = Ledger::read(&desk.path, Timestamp(0), FOREVER).map(|books| requests(&books)).unwrap_or(0);
                assert!(read >= last && read <= 80 && read.is_multiple_of(2), "{last} {read}");
                last = read;
            }
        });
    });
    assert_eq!(desk.requests(), 80);
    let copy = desk.directory.path().join("copy 100%.db");
    desk.ledger.writer.lock().unwrap().file = None;
    other.ledger.writer.lock().unwrap().file = None;
    std::fs::copy(&desk.path, &copy).unwrap();
    assert_eq!(requests(&Ledger::read(&copy, Timestamp(0), FOREVER).unwrap()), 80);
}

#[test]
fn texts_of_clients_are_bounded_and_harm_nothing() {
    let desk = Desk::new("");
    let texts = ["'; DROP TABLE cells; --", "\0", "\u{1b}[31m", "ä".repeat(5000).leak(), "%s%n", ""];
    for (number, text) in texts.into_iter().enumerate() {
        let made = Made { agent: text.into(), path: format!("/{text}/{text}/x"), ..Made::new(HOUR * 9_999, 0) };
        desk.enter(&vec![made; number + 1]);
    }
    desk.ledger.save();
    let hour = desk.read().hours.into_values().next().unwrap();
    let agents: Vec<_> =
        hour.agents.top().into_iter().map(|(agent, taken)| (agent.user_agent, taken.requests)).collect();
    for (number, text) in texts.into_iter().enumerate() {
        let kept = text.floor_char_boundary(200);
        assert!(agents.contains(&(text[..kept].into(), number as u64 + 1)), "{agents:?}");
    }
    assert!(std::fs::metadata(&desk.path).unwrap().len() < 200_000);
}

#[test]
fn a_damaged_file_is_kept_aside_and_a_new_one_begins() {
    let damages: [fn(&Path); 3] = [
        |path| {
            let mut bytes = std::fs::read(path).unwrap();
            for byte in &mut bytes[5000..] {
                *byte = 0xa5;
            }
            std::fs::write(path, bytes).unwrap();
        },
        |path| Connection::open(path).unwrap().execute_batch("DROP TABLE cells").unwrap(),
        |path| Connection::open(path).unwrap().execute_batch("UPDATE cells SET prefixes = x'00'").unwrap(),
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let before = Desk::new("");
        before.enter(&[Made::new(HOUR * 9_999, 1)]);
        before.ledger.save();
        before.ledger.writer.lock().unwrap().file = None;
        damage(&before.path);
        assert!(Ledger::read(&before.path, Timestamp(0), FOREVER).is_err(), "{number}");
        let after = Desk::at(before.directory, before.path, "");
        after.enter(&[Made::new(HOUR * 9_999, 2), Made::new(HOUR * 9_999, 3)]);
        after.ledger.save();
        assert_eq!((after.requests(), after.metrics.ledger_damaged.get(), after.is_up()), (2, 1, true), "{number}");
        let aside = beside(&after.path, &format!(".damaged-{}", after.clock.now().seconds()));
        assert!(aside.exists(), "{number}");
    }
}

#[test]
fn what_is_no_database_is_left_alone() {
    let desk = Desk::new("");
    let text = "no database at all, but long enough to be taken for one".repeat(100);
    std::fs::write(&desk.path, &text).unwrap();
    desk.enter(&[Made::new(HOUR * 9_999, 1)]);
    desk.ledger.save();
    assert!(!desk.is_up() && desk.metrics.ledger_damaged.get() == 0);
    assert_eq!(std::fs::read_to_string(&desk.path).unwrap(), text);
}

#[test]
fn files_of_others_and_of_later_versions_are_left_alone() {
    let cases: [(&str, &str); 2] = [
        ("CREATE TABLE addresses (name TEXT)", "it belongs to another program: name another file"),
        (
            "PRAGMA application_id = 0x57534c47; PRAGMA user_version = 7; CREATE TABLE x (y)",
            "it is of version 7, and this program knows up to 3: use a newer windscreen",
        ),
    ];
    for (sql, message) in cases {
        let desk = Desk::new("");
        Connection::open(&desk.path).unwrap().execute_batch(sql).unwrap();
        let before = std::fs::read(&desk.path).unwrap();
        desk.enter(&[Made::new(HOUR * 9_999, 1)]);
        desk.ledger.save();
        assert!(!desk.is_up() && desk.metrics.ledger_failed_writes.get() == 1);
        assert_eq!(std::fs::read(&desk.path).unwrap(), before);
        assert_eq!(Ledger::read(&desk.path, Timestamp(0), FOREVER).unwrap_err().to_string(), message);
    }
}

#[test]
fn an_older_file_is_migrated_as_a_whole_or_not_at_all() {
    let desk = Desk::new("");
    desk.enter(&[Made::new(HOUR * 9_999, 1)]);
    desk.ledger.save();
    let mut connection = Connection::open(&desk.path).unwrap();
    let broken = [STEPS, &["CREATE TABLE more (x INTEGER)", "nonsense"]].concat();
    assert!(migrate(&mut connection, &broken).is_err());
    assert_eq!(desk.requests(), 1, "nothing has changed");
    migrate(&mut connection, &broken[..4]).unwrap();
    connection.execute_batch("SELECT x FROM more").unwrap();
    assert!(matches!(Ledger::read(&desk.path, Timestamp(0), FOREVER), Err(LedgerError::Newer { found: 4, known: 3 })));
}

#[test]
fn the_sample_is_kept_and_a_smaller_one_goes_on_with_it() {
    let desk = Desk::new("");
    let sighting = |point, session, outcome| Sighting {
        at: Timestamp(HOUR * 9_999),
        point,
        below: SAMPLE_POINTS / 2,
        session,
        outcome,
    };
    let whole = |outcome| Sighting { below: SAMPLE_POINTS, ..sighting(SAMPLE_POINTS - 1, 3, outcome) };
    desk.ledger.live.enter_sighting(whole(Outcome::Shown));
    desk.ledger.save();
    assert_eq!(desk.read().hours[&9_999].sampled.drawn().count(), 1, "the last point of all");
    for session in [u32::MAX, 0, 7] {
        desk.ledger.live.enter_sighting(sighting(SAMPLE_POINTS / 2 - 1, session, Outcome::Shown));
    }
    desk.ledger.save();
    // Another half minute, another process.
    desk.ledger.live.enter_sighting(sighting(SAMPLE_POINTS / 2 - 1, u32::MAX, Outcome::Solved));
    desk.ledger.save();
    let sampled = desk.read().hours[&9_999].sampled.clone();
    assert_eq!(sampled.drawn().collect::<Vec<_>>(), [Drawn { shown: 3, solved: 1, waited: 0, suspicious: 0 }]);
    assert_eq!(sampled.share(), 0.5, "a smaller one leaves out what it would not have drawn");
    let connection = Connection::open(&desk.path).unwrap();
    connection.execute_batch("UPDATE sampled SET sessions = x'0102'").unwrap();
    let error = Ledger::read(&desk.path, Timestamp(0), FOREVER).unwrap_err().to_string();
    assert_eq!(error, "it is damaged: a sample that makes no sense");
}

#[test]
fn a_file_of_the_first_version_is_read_and_written_on() {
    let desk = Desk::new("");
    desk.enter(&[Made::new(HOUR * 9_999, 1)]);
    desk.ledger.save();
    let connection = Connection::open(&desk.path).unwrap();
    connection
        .execute_batch("DROP TABLE findings; DROP TABLE objects; DROP TABLE sampled; PRAGMA user_version = 1")
        .unwrap();
    drop(connection);
    assert_eq!(desk.requests(), 1);
    let again = Desk::at(TempDir::new().unwrap(), desk.path.clone(), "");
    again.enter(&[Made::new(HOUR * 9_999, 1)]);
    again.ledger.save();
    assert!(again.is_up());
    assert_eq!((again.requests(), again.read().hours[&9_999].stores.sums.len()), (2, 0));
}

#[test]
fn what_cannot_be_written_waits_and_is_bounded() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("missing").join("ledger.db");
    let desk = Desk::at(directory, path, "");
    for hour in 0..50 {
        desk.enter(&[Made::new(HOUR * (9_000 + hour), 1)]);
        desk.ledger.save();
        assert!(!desk.is_up());
    }
    assert_eq!((desk.metrics.ledger_failed_writes.get(), desk.metrics.ledger_lost.get()), (50, 2));
    std::fs::create_dir(desk.path.parent().unwrap()).unwrap();
    desk.ledger.save();
    assert_eq!((desk.requests(), desk.is_up()), (48, true));
    // Somebody takes the file away: a new one begins.
    std::fs::remove_file(&desk.path).unwrap();
    desk.enter(&[Made::new(HOUR * 9_999, 1)]);
    desk.ledger.save();
    assert_eq!((desk.requests(), desk.is_up()), (1, true));
}

#[test]
fn a_full_disk_loses_nothing_and_counts_nothing_twice() {
    let desk = Desk::new("");
    desk.enter(&[Made::new(HOUR * 9_999, 1)]);
    desk.ledger.save();
    let limit = |pages: u64| {
        let writer = desk.ledger.writer.lock().unwrap();
        let connection = &writer.file.as_ref().unwrap().connection;
        connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).unwrap();
    };
    limit(1);
    let many: Vec<Made> =
        (0..1000).map(|kind| Made { agent: format!("{kind:0>150}"), ..Made::new(HOUR * 9_999, kind) }).collect();
    for _ in 0..3 {
        desk.enter(&many);
        desk.ledger.save();
        assert!(!desk.is_up());
        assert_eq!(desk.requests(), 1);
    }
    limit(1_000_000);
    desk.ledger.save();
    assert_eq!((desk.requests(), desk.is_up(), desk.metrics.ledger_damaged.get()), (3001, true, 0));
}

#[test]
fn old_hours_are_dropped() {
    let desk = Desk::new(", keep: 2d");
    for hour in 0..100 {
        desk.enter(&[Made::new(HOUR * (9_900 + hour), hour as u16)]);
    }
    // What waits in memory is bounded, too.
    desk.ledger.save();
    let hours: Vec<u64> = desk.read().hours.into_keys().collect();
    assert_eq!(hours, (9_952..10_000).collect::<Vec<_>>());
    desk.clock.advance(Duration::from_secs(86_400));
    desk.ledger.save();
    assert_eq!(desk.read().hours.into_keys().next(), Some(9_976));
    assert_eq!(desk.metrics.ledger_rows.with_label_values::<&str>(&[]).get(), 24);
}

#[test]
fn a_file_that_is_too_large_loses_old_tops_first_and_then_old_days() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("ledger.db");
    let mut file = File::open(&path, true).unwrap();
    let mut books = Books::default();
    for hour in 0..400 {
        for kind in 0..40u16 {
            let made = Made { agent: format!("{kind:0>150}"), ..Made::new(HOUR * hour, kind) };
            books.enter(made.entry());
        }
    }
    file.add(&books).unwrap();
    let (rows, whole) = file.size().unwrap();
    let look = || Ledger::read(&path, Timestamp(0), FOREVER).unwrap();
    let hours_with_tops = |books: &Books| books.hours.values().filter(|hour| !hour.agents.top().is_empty()).count();
    file.trim(0, whole - 200_000).unwrap();
    let read = look();
    assert!(read.hours.len() == 400 && hours_with_tops(&read) < 400, "{}", hours_with_tops(&read));
    assert_eq!(file.size().unwrap().0, rows);
    for most in [whole / 2, whole / 10, 100_000] {
        file.trim(0, most).unwrap();
        let ((rows, size), read) = (file.size().unwrap(), look());
        assert!(size <= most, "{size} of {most}");
        assert_eq!((read.cells().count() as u64, read.hours.keys().last()), (rows, Some(&399)));
    }
    assert!(look().hours.len() < 50 && hours_with_tops(&look()) > 0);
    file.trim(0, 1).unwrap();
    assert_eq!(look().hours.len(), 1, "the newest hour stays");
    file.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() < 150_000, "what is free is given back");
}

#[test]
fn addresses_are_hidden_as_the_settings_say() {
    for (word, kept) in [("prefix", true), ("hashed", false), ("none", false)] {
        let desk = Desk::new(&format!(", addresses: {word}"));
        desk.enter(&[Made::new(HOUR * 9_999, 48), Made::new(HOUR * 9_999, 49)]);
        desk.ledger.save();
        desk.ledger.writer.lock().unwrap().file = None;
        let bytes = std::fs::read(&desk.path).unwrap();
        assert_eq!(bytes.windows(8).any(|window| window == b"192.0.48"), kept, "{word}");
        let hour = desk.read().hours.into_values().next().unwrap();
        assert_eq!(hour.takers.top().len(), if word == "none" { 0 } else { 2 });
        // Names stay over a restart, by a key that only the owner reads.
        let again = Desk::at(desk.directory, desk.path, &format!(", addresses: {word}"));
        again.enter(&[Made::new(HOUR * 9_999, 48)]);
        again.ledger.save();
        let hour = again.read().hours.into_values().next().unwrap();
        assert_eq!(hour.takers.top().len(), if word == "none" { 0 } else { 2 });
        assert_eq!(beside(&again.path, ".key").exists(), word == "hashed");
    }
}

#[test]
fn a_file_is_set_aside_with_what_belongs_to_it() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("ledger.db");
    for part in ["", "-wal"] {
        std::fs::write(beside(&path, part), part).unwrap();
    }
    let aside = set_aside(&path, Timestamp(7_000)).unwrap();
    assert!(aside.ends_with("ledger.db.damaged-7") && !beside(&path, "-wal").exists());
    assert_eq!(std::fs::read_to_string(beside(&aside, "-wal")).unwrap(), "-wal");
}

#[test]
fn settings_have_bounds() {
    let cases = [
        ("keep: 23h", "expected a duration of `1d` or longer, found `23h`"),
        ("max_size: 9 MB", "expected a size of `10 MB` or more, found `9 MB`"),
        ("interval: 2m", "expected a duration from `1s` to `1m`, found `2m`"),
        ("addresses: hash", "`hash`"),
    ];
    for (text, message) in cases {
        let mut diagnostics = crate::document::Diagnostics::new("x");
        let _: Option<LedgerSettings> = read(&format!("{{path: x, {text}}}"), &mut diagnostics);
        assert!(diagnostics.to_string().contains(message), "{diagnostics}");
    }
}

/// `cargo test --release --lib what_a_request_costs -- --ignored --nocapture`
#[test]
#[ignore = "measures"]
fn what_a_request_costs() {
    let made: Vec<Made> = (0..3000u32)
        .map(|number| Made {
            client: number as u8,
            agent: format!("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 {}", number % 100),
            path: format!("/run-{}/fedora/log.html", number % 50),
            ..Made::new(HOUR * 9_999, (number % 40) as u16)
        })
        .collect();
    let entries: Vec<Entry<'_>> = made.iter().map(Made::entry).collect();
    for (threads, disguise) in [(1, Disguise::None), (2, Disguise::None), (2, Disguise::Names([1; 16]))] {
        let live = Live::new(disguise, true);
        let many = 300_000;
        let from = std::time::Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| (0..many).for_each(|number| live.enter(entries[number % entries.len()].clone())));
            }
        });
        println!("{threads} threads: {} ns a request", from.elapsed().as_nanos() / many as u128);
    }
}
