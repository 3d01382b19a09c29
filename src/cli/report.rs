//! `windscreen report`.

use super::check::refused;
use super::logs::{basis, judged};
use super::{EXIT_NO, ReportArguments, Written};
use crate::clock::Timestamp;
use crate::cost::{Preset, PriceBook};
use crate::document::Diagnostics;
use crate::ledger::Ledger;
use crate::replay::{Example, Replayed};
use crate::report::{Evidence, LeftOut, Report, counted, html, json, markdown, text, whole_days};
use crate::traffic::{Books, HOUR};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Columns of a report in text.
const WIDTH: usize = 100;

/// Reports on past logs.
pub(super) fn report(arguments: &ReportArguments) -> Result<u8, String> {
    let mut diagnostics = Diagnostics::default();
    let logs = &arguments.logs;
    let Some(basis) = basis(logs.config.as_deref(), logs.policy.as_deref(), logs.feeds.as_deref(), &mut diagnostics)?
    else {
        return Ok(refused(&diagnostics, arguments.format == Written::Json));
    };
    let policy = basis.name.rsplit('/').next().unwrap_or_default().to_owned();
    let (book, location) = match (&basis.deployed, arguments.prices) {
        (Some(deployed), None) => (deployed.prices.clone(), deployed.file.location.clone()),
        (_, preset) => (PriceBook::of(preset.unwrap_or(Preset::AwsUsEast1).prices()), None),
    };
    let decision = basis.policy.decision.clone();
    let unknown_feeds = basis.unknown_feeds.clone();
    let deployed = basis.deployed.as_ref();
    let written = deployed.and_then(|deployed| deployed.file.ledger.as_ref()).map(|ledger| &ledger.value.path);
    let (ledgers, paths): (Vec<PathBuf>, Vec<PathBuf>) = match (&*arguments.paths, written) {
        ([], Some(ledger)) => (vec![ledger.value.clone()], Vec::new()),
        ([], None) => return Err("name logs: the gateway file has no `ledger`".into()),
        (paths, _) => {
            paths.iter().cloned().partition(|path| path.extension().is_some_and(|extension| extension == "db"))
        }
    };
    let mut found = Found::default();
    for path in &ledgers {
        found.add_ledger(path, logs.since, logs.until)?;
    }
    if !paths.is_empty() {
        found.add_logs(judged(basis, None, logs, arguments.log_format, &paths)?);
    }
    let Some((first, last)) = found.span else {
        return Err("there is no read in these logs: nothing to report".into());
    };
    let described = found.described();
    let report = Report::new(
        &Evidence {
            books: &found.books,
            described: &described,
            lacks: if paths.is_empty() { "" } else { "what the logs do not record" },
            left_out: &found.left_out,
            days: &whole_days(first, last),
            policy: &policy,
            location: location.as_ref(),
        },
        &book,
        &decision,
    );
    match arguments.format {
        Written::Text => print!("{}", text(&report, WIDTH)),
        Written::Markdown => print!("{}", markdown(&report)),
        Written::Html => print!("{}", html(&report)),
        Written::Json => print!("{}", json(&report)),
    }
    for feed in unknown_feeds.iter().filter(|_| found.logs) {
        eprintln!("unknown: who is in the feed {feed}: `--feeds` may name a folder with a copy");
    }
    let fails = arguments.fail_if.is_some_and(|need| report.answer.need >= need);
    Ok(if fails { EXIT_NO } else { 0 })
}

/// What a report is made from.
#[derive(Default)]
struct Found {
    books: Books,
    left_out: LeftOut,
    span: Option<(Timestamp, Timestamp)>,
    ledgers: u64,
    logs: bool,
}

impl Found {
    fn widen(&mut self, first: Timestamp, last: Timestamp) {
        let span = self.span.get_or_insert((first, last));
        *span = (span.0.min(first), span.1.max(last));
    }

    /// Adds the ledger of a gateway. Of its first and last hour it is not known which part it holds.
    fn add_ledger(&mut self, path: &Path, since: Option<Timestamp>, until: Option<Timestamp>) -> Result<(), String> {
        let (since, until) = (since.unwrap_or(Timestamp(0)), until.unwrap_or(Timestamp(u64::MAX)));
        let books =
            Ledger::read(path, since, until).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
        if let (Some((first, _)), Some((last, _))) = (books.hours.first_key_value(), books.hours.last_key_value()) {
            self.widen(Timestamp(first * HOUR), Timestamp((last + 1) * HOUR - 1));
        }
        self.books.merge(&books);
        self.ledgers += 1;
        Ok(())
    }

    fn add_logs(&mut self, replayed: Replayed) {
        if let Some((first, last)) = replayed.span {
            self.widen(first, last);
        }
        let unparsable = replayed.tally.unparsable;
        let example = |example: Example| format!("{}: {}: {}", example.place, example.reason, example.text);
        self.left_out = LeftOut {
            unreadable: unparsable.count,
            examples: unparsable.examples.into_iter().map(example).collect(),
            duplicates: replayed.left_out.duplicates,
            writes: replayed.left_out.writes,
            own_reads: replayed.left_out.own_reads,
            other: replayed.left_out.other,
            part_days: 0,
        };
        self.books.merge(&replayed.books);
        self.logs = true;
    }

    /// What it is, in words.
    fn described(&self) -> String {
        let sources: BTreeSet<&str> =
            self.books.cells().map(|(_, key, _)| &*key.source).filter(|source| !source.is_empty()).collect();
        let logs = format!("access logs of {}", counted(sources.len() as u64, "bucket", "buckets"));
        let ledgers = format!("ledgers of {}", counted(self.ledgers, "gateway", "gateways"));
        match (self.ledgers, self.logs) {
            (0, _) => logs,
            (_, false) => ledgers,
            (_, true) => format!("{ledgers}, {logs}"),
        }
    }
}
