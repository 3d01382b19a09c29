//! May the second store of a site go? The answer, with what speaks for it.

use super::wording::{aligned, bytes, counted, grouped};
use crate::clock::Timestamp;
use crate::printable::printable;
use crate::traffic::{Books, Finding, HOUR, Heavy, Shower, Shown, Sum};
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Objects that are named.
const NAMED: usize = 10;
/// A ledger whose last hour is older says nothing about now.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// Whether an origin may be taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Removal {
    /// Nobody has needed it for as long as was asked for.
    Safe,
    /// Something would be missing.
    NotYet,
    /// The ledger does not reach back far enough.
    NotEnoughData,
}

/// How much showed one thing.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Showed {
    /// Requests, or comparisons.
    pub requests: u64,
    /// Bytes that were sent.
    pub bytes: u64,
    /// About how many objects.
    pub objects: u64,
    /// When last.
    #[serde(serialize_with = "moment")]
    pub last: Timestamp,
}

fn moment<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

/// An object that would be missing, or is another one.
#[derive(Debug, Clone, Serialize)]
pub struct Named {
    /// What it shows.
    pub shown: &'static str,
    /// Its path below the site's prefix. Text that a client sent.
    pub path: String,
    /// Requests, or comparisons.
    pub requests: u64,
    /// Bytes that were sent.
    pub bytes: u64,
}

/// The answer for one origin that is not its site's first.
#[derive(Debug, Clone, Serialize)]
pub struct SecondStore {
    /// The site.
    pub site: String,
    /// The origin.
    pub origin: String,
    /// The answer.
    pub removal: Removal,
    /// Why, in sentences.
    pub because: Vec<String>,
    /// What was shown, by its word.
    pub shown: BTreeMap<&'static str, Showed>,
    /// The objects that were asked for most.
    pub objects: Vec<Named>,
}

/// Judges the origins of `sites` (name, origins in their order) by what `books` know of the time `quiet` before `now`: an
/// origin may go when nobody has needed it for so long.
pub fn second_stores(
    books: &Books,
    sites: &[(String, Vec<String>)],
    quiet: Duration,
    now: Timestamp,
) -> Vec<SecondStore> {
    let from = now.0.saturating_sub(u64::try_from(quiet.as_millis()).unwrap_or(u64::MAX)) / HOUR;
    let mut answers = Vec::new();
    for (site, origins) in sites {
        for origin in origins.iter().skip(1) {
            let doubt = doubt(books, site, origin, from, quiet, now);
            answers.push(judged(books, site, origin, from, doubt, quiet));
        }
    }
    answers
}

/// Why too little is known of the time since the hour `from`. An hour counts where somebody asked for the site, and the
/// gateway looked whether it needed this origin: an older gateway did not, nor one that knew the origin by another name.
fn doubt(books: &Books, site: &str, origin: &str, from: u64, quiet: Duration, now: Timestamp) -> Option<String> {
    let finding = Finding { site: site.into(), origin: origin.into(), shown: Shown::Watched };
    let asked: BTreeSet<u64> = books.cells().filter(|(_, key, _)| *key.site == *site).map(|(hour, ..)| hour).collect();
    let Some(last) = asked.last() else {
        return Some("there was no request for the site yet".to_owned());
    };
    if *last < from || Timestamp((last + 1) * HOUR) + STALE < now {
        return Some(format!("there was no request for the site since {}", Timestamp((last + 1) * HOUR)));
    }
    let watched = |hour: &&u64| books.hours.get(*hour).is_some_and(|hour| hour.stores.sums.contains_key(&finding));
    let Some(since) = asked.iter().rev().take_while(watched).last() else {
        return Some("nobody has looked yet whether it is needed".to_owned());
    };
    let known = Duration::from_millis((now.0 / HOUR).saturating_sub(*since) * HOUR);
    (*since > from).then(|| format!("{} are known, and {} are asked for", span(known), span(quiet)))
}

fn judged(books: &Books, site: &str, origin: &str, from: u64, doubt: Option<String>, quiet: Duration) -> SecondStore {
    let mut sums: BTreeMap<Shown, Sum> = BTreeMap::new();
    let mut heavy: Heavy<Shower> = Heavy::new(4096);
    let is_meant = |finding: &Finding| *finding.site == *site && *finding.origin == *origin;
    for hour in books.hours.range(from..).map(|(_, hour)| &hour.stores) {
        for (finding, theirs) in hour.sums.iter().filter(|(finding, _)| is_meant(finding)) {
            let sum = sums.entry(finding.shown).or_default();
            sum.requests += theirs.requests;
            sum.bytes += theirs.bytes;
            sum.objects.merge(&theirs.objects);
            sum.last = sum.last.max(theirs.last);
        }
        heavy.restore(hour.objects.top().into_iter().filter(|(shower, _)| is_meant(&shower.finding)));
    }
    let shown: BTreeMap<&'static str, Showed> = sums
        .iter()
        .filter(|(shown, _)| **shown != Shown::Watched)
        .map(|(shown, sum)| {
            let Sum { requests, bytes, objects, last } = sum;
            (shown.word(), Showed { requests: *requests, bytes: *bytes, objects: objects.count(), last: *last })
        })
        .collect();
    let named = heavy.top().into_iter().take(NAMED).map(|(shower, taken)| Named {
        shown: shower.finding.shown.word(),
        path: shower.path.into(),
        requests: taken.requests,
        bytes: taken.bytes,
    });
    let of = |kind: Shown| shown.get(kind.word());
    let mut because = Vec::new();
    if let Some(only) = of(Shown::OnlyHere) {
        because.push(format!(
            "{} came from it alone: {}, {}, the last at {}",
            counted(only.objects, "object", "objects"),
            counted(only.requests, "request", "requests"),
            bytes(only.bytes),
            only.last
        ));
    }
    if let Some(differs) = of(Shown::Differs) {
        let what = counted(differs.objects, "object is another one", "objects are others");
        because.push(format!("{what} in it than in the store that served them, the last seen at {}", differs.last));
    }
    if let Some(stood_in) = of(Shown::StoodIn) {
        let requests = counted(stood_in.requests, "request", "requests");
        because.push(format!("it stood in for a failing store in {requests}, the last at {}", stood_in.last));
    }
    let removal = match (because.is_empty(), doubt) {
        (false, _) => Removal::NotYet,
        (true, Some(doubt)) => {
            because.push(doubt);
            Removal::NotEnoughData
        }
        (true, None) => {
            because.push(format!("nothing came from it alone for {}", span(quiet)));
            Removal::Safe
        }
    };
    let compared = [Shown::Same, Shown::Differs, Shown::Lacks].map(|kind| of(kind).map_or(0, |showed| showed.requests));
    if compared.iter().any(|count| *count > 0) {
        let [same, differ, lack] = compared.map(grouped);
        because.push(format!("compared: {same} the same, {differ} others, {lack} not in it"));
    }
    SecondStore { site: site.to_owned(), origin: origin.to_owned(), removal, because, shown, objects: named.collect() }
}

/// A time in days, or in hours where it is short.
fn span(time: Duration) -> String {
    match time.as_secs() / 3600 {
        hours if hours >= 48 => counted(hours / 24, "day", "days"),
        hours => counted(hours, "hour", "hours"),
    }
}

/// The answers for a terminal.
pub fn second_stores_text(answers: &[SecondStore]) -> String {
    let mut out = String::new();
    for answer in answers {
        let word = match answer.removal {
            Removal::Safe => "safe to remove",
            Removal::NotYet => "NOT YET",
            Removal::NotEnoughData => "not enough data",
        };
        out.push_str(&format!("{}\n", printable(&format!("site {}, origin {}: {word}", answer.site, answer.origin))));
        for sentence in &answer.because {
            out.push_str(&format!("  - {}\n", printable(sentence)));
        }
        if !answer.objects.is_empty() {
            let head = ["path", "", "requests", "bytes"].map(str::to_owned).to_vec();
            let rows = answer.objects.iter().map(|object| {
                vec![printable(&object.path), object.shown.to_owned(), grouped(object.requests), bytes(object.bytes)]
            });
            let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
            for line in aligned(&rows, 2, "  ").lines() {
                out.push_str(&format!("    {line}\n"));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::key;
    use crate::verdict::Class;

    const NOW: Timestamp = Timestamp(1000 * HOUR);

    /// Books of the site `logs`, with a request every day of so many, and findings so many hours ago.
    fn books(days: u64, findings: &[(Shown, &str, u64)]) -> Books {
        let mut books = Books::default();
        for day in 0..days {
            let at = Timestamp(NOW.0 - day * 24 * HOUR);
            let key = key("logs", Class::Human);
            let prefix = "192.0.2.0/24".parse().unwrap();
            books.enter(crate::traffic::Entry { at, key, prefix, bytes: 1, user_agent: "", path: "/a", shown: None });
            let finding = Finding { site: "logs".into(), origin: "second".into(), shown: Shown::Watched };
            books.enter_finding(finding, "", at);
        }
        for (shown, path, hours) in findings {
            let finding = Finding { site: "logs".into(), origin: "second".into(), shown: *shown };
            books.enter_finding(finding, path, Timestamp(NOW.0 - hours * HOUR));
        }
        books
    }

    fn answer(books: &Books) -> SecondStore {
        let sites = [("logs".to_owned(), vec!["first".to_owned(), "second".to_owned()])];
        let answers = second_stores(books, &sites, Duration::from_secs(14 * 24 * 3600), NOW);
        assert_eq!(answers.len(), 1, "the first may never go");
        answers.into_iter().next().unwrap()
    }

    #[test]
    fn it_may_go_when_nobody_needed_it_for_long_enough() {
        let two = [(Shown::OnlyHere, "/old", 20), (Shown::OnlyHere, "/old", 30)];
        type Case<'a> = (u64, &'a [(Shown, &'a str, u64)], Removal, &'a str);
        let cases: [Case; 8] = [
            (20, &[], Removal::Safe, "nothing came from it alone for 14 days"),
            (20, &[(Shown::OnlyHere, "/x", 15 * 24)], Removal::Safe, "nothing came from it alone"),
            (20, &[(Shown::StoodIn, "/x", 5)], Removal::NotYet, "stood in for a failing store in 1 request"),
            (20, &two, Removal::NotYet, "1 object came from it alone: 2 requests"),
            (3, &two, Removal::NotYet, "1 object came from it alone"),
            (20, &[(Shown::Differs, "/x", 5)], Removal::NotYet, "1 object is another one"),
            (
                20,
                &[(Shown::Same, "/x", 5), (Shown::Lacks, "/y", 6)],
                Removal::Safe,
                "1 the same, 0 others, 1 not in it",
            ),
            (4, &[], Removal::NotEnoughData, "3 days are known, and 14 days are asked for"),
        ];
        for (days, findings, removal, because) in cases {
            let answer = answer(&books(days, findings));
            assert_eq!(answer.removal, removal, "{days} {findings:?}");
            assert!(answer.because.iter().any(|sentence| sentence.contains(because)), "{:?}", answer.because);
        }
        assert_eq!(answer(&Books::default()).removal, Removal::NotEnoughData);
    }

    #[test]
    fn what_was_not_watched_is_not_known() {
        let sites = [("logs".to_owned(), vec!["first".to_owned(), "renamed".to_owned()])];
        let fortnight = Duration::from_secs(14 * 24 * 3600);
        let answers = second_stores(&books(20, &[]), &sites, fortnight, NOW);
        assert_eq!(answers[0].removal, Removal::NotEnoughData, "it had another name");
        let mut partly = books(20, &[]);
        partly.hours.get_mut(&(1000 - 5 * 24)).unwrap().stores.sums.clear();
        assert_eq!(answer(&partly).because, ["4 days are known, and 14 days are asked for"]);
    }

    #[test]
    fn a_ledger_that_ended_says_nothing_about_now() {
        let books = books(20, &[]);
        let sites = [("logs".to_owned(), vec!["first".to_owned(), "second".to_owned()])];
        let later = NOW + Duration::from_secs(3 * 24 * 3600);
        let answers = second_stores(&books, &sites, Duration::from_secs(14 * 24 * 3600), later);
        assert_eq!(answers[0].removal, Removal::NotEnoughData);
        assert!(
            answers[0].because[0].starts_with("there was no request for the site since"),
            "{:?}",
            answers[0].because
        );
    }

    #[test]
    fn the_objects_are_named_and_shown_as_they_are() {
        let answer = answer(&books(20, &[(Shown::OnlyHere, "/old\u{1b}[2J", 20), (Shown::OnlyHere, "/b", 20)]));
        let text = second_stores_text(&[answer]);
        assert!(text.starts_with("site logs, origin second: NOT YET\n  - 2 objects"), "{text}");
        assert!(text.contains("/old\\u{1b}[2J") && !text.contains('\u{1b}'), "{text}");
    }
}
