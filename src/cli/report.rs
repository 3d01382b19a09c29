//! `windscreen report`.

use super::check::refused;
use super::logs::{Read, Wanted, basis, judged, told, unknown};
use super::{EXIT_NO, ReportArguments, Written, moment};
use crate::clock::Timestamp;
use crate::config::GatewayFile;
use crate::cost::{Day, Preset, PriceBook};
use crate::document::Diagnostics;
use crate::ledger::Ledger;
use crate::replay::{Example, Replayed};
use crate::report::{Evidence, LeftOut, Report, counted, html, json, markdown, text, whole_days};
use crate::traffic::{Books, HOUR};
use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Columns of a report in text.
const WIDTH: usize = 100;
/// How far back logs are read that the gateway file names: what a projection looks back, and a week.
const EVIDENCE: &str = "35d";

/// Reports on past logs.
pub(super) fn report(arguments: &ReportArguments) -> Result<u8, String> {
    let mut diagnostics = Diagnostics::default();
    let logs = &arguments.logs;
    let Some(basis) = basis(logs, logs.policy.as_deref(), &mut diagnostics)? else {
        return Ok(refused(&diagnostics, arguments.format == Written::Json));
    };
    let policy = basis.name.rsplit('/').next().unwrap_or_default().to_owned();
    let (book, location) = match (&basis.deployed, arguments.prices) {
        (Some(deployed), None) => (deployed.prices.clone(), deployed.file.location.clone()),
        (_, preset) => (PriceBook::of(preset.unwrap_or(Preset::AwsUsEast1).prices()), None),
    };
    let decision = basis.policy.decision.clone();
    let unknown_feeds = basis.unknown_feeds.clone();
    let (ledgers, wanted) = wanted(&arguments.paths, basis.deployed.as_ref().map(|deployed| &deployed.file))?;
    let is_evidence = wanted.as_ref().is_some_and(Wanted::is_evidence);
    let mut found = Found { is_evidence, ..Found::default() };
    let since = logs.since.or(wanted.as_ref().and_then(|wanted| wanted.since));
    for path in &ledgers {
        found.add_ledger(path, since, logs.until)?;
    }
    if let Some(wanted) = wanted {
        let Read { replayed, fetched } = judged(basis, None, logs, arguments.log_format, wanted)?;
        if let Some(fetched) = fetched.filter(|_| std::io::stderr().is_terminal()) {
            eprintln!("{}", told(fetched));
        }
        found.add_logs(replayed);
    }
    let days = found.days().ok_or("there is no read in these logs: nothing to report")?;
    let described = found.described();
    let mut books = found.ledger_books.clone();
    books.merge(&found.log_books);
    let report = Report::new(
        &Evidence {
            books: &books,
            around: found.is_around().then_some(&found.log_books),
            described: &described,
            lacks: if found.logs { "what the logs do not record" } else { "" },
            left_out: &found.left_out,
            days: &days,
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
        eprintln!("{}", unknown(feed));
    }
    let fails = arguments.fail_if.is_some_and(|need| report.answer.need >= need);
    Ok(if fails { EXIT_NO } else { 0 })
}

/// The ledgers and the logs that are meant: those that were named, or else those of the gateway file.
fn wanted(paths: &[PathBuf], file: Option<&GatewayFile>) -> Result<(Vec<PathBuf>, Option<Wanted>), String> {
    let is_ledger = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "db");
    let (mut ledgers, logs): (Vec<_>, Vec<_>) = paths.iter().cloned().partition(is_ledger);
    if !logs.is_empty() {
        return Ok((ledgers, Some(Wanted::named(&logs)?)));
    }
    if ledgers.is_empty() {
        ledgers.extend(file.and_then(|file| file.ledger.as_ref()).map(|ledger| ledger.value.path.value.clone()));
    }
    let evidence = file.filter(|file| !file.evidence.is_empty());
    let evidence = evidence.map(|file| Ok::<_, String>(Wanted::evidence(file, moment(EVIDENCE)?))).transpose()?;
    if ledgers.is_empty() && evidence.is_none() {
        return Err("name logs: the gateway file has neither `ledger` nor `evidence`".into());
    }
    Ok((ledgers, evidence))
}

/// From when until when something tells of traffic.
type Span = Option<(Timestamp, Timestamp)>;

fn widen(span: &mut Span, other: Span) {
    if let Some((first, last)) = other {
        let span = span.get_or_insert((first, last));
        *span = (span.0.min(first), span.1.max(last));
    }
}

/// What a report is made from.
#[derive(Default)]
struct Found {
    ledger_books: Books,
    log_books: Books,
    left_out: LeftOut,
    /// By hours.
    ledger_span: Span,
    /// With the gateway's own reads.
    log_span: Span,
    own_span: Span,
    ledgers: u64,
    logs: bool,
    /// Whether it is what the gateway file names.
    is_evidence: bool,
}

impl Found {
    /// Adds the ledger of a gateway. Of its first and last hour it is not known which part it holds.
    fn add_ledger(&mut self, path: &Path, since: Option<Timestamp>, until: Option<Timestamp>) -> Result<(), String> {
        let (since, until) = (since.unwrap_or(Timestamp(0)), until.unwrap_or(Timestamp(u64::MAX)));
        let books =
            Ledger::read(path, since, until).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
        if let (Some((first, _)), Some((last, _))) = (books.hours.first_key_value(), books.hours.last_key_value()) {
            widen(&mut self.ledger_span, Some((Timestamp(first * HOUR), Timestamp((last + 1) * HOUR - 1))));
        }
        self.ledger_books.merge(&books);
        self.ledgers += 1;
        Ok(())
    }

    fn add_logs(&mut self, replayed: Replayed) {
        self.own_span = replayed.own_reads.span;
        self.log_span = replayed.span;
        widen(&mut self.log_span, self.own_span);
        if self.is_evidence && self.log_span.is_none() {
            eprintln!("windscreen: no read is in the logs that `evidence` names: is logging on, and may we read them?");
        }
        let unparsable = replayed.tally.unparsable;
        let example = |example: Example| format!("{}: {}: {}", example.place, example.reason, example.text);
        self.left_out = LeftOut {
            unreadable: unparsable.count,
            examples: unparsable.examples.into_iter().map(example).collect(),
            duplicates: replayed.left_out.duplicates,
            writes: replayed.left_out.writes,
            own_reads: replayed.left_out.own_reads,
            own_requesters: replayed.own_reads.requesters,
            elsewhere: replayed.left_out.elsewhere,
            other: replayed.left_out.other,
            part_days: 0,
        };
        self.log_books.merge(&replayed.books);
        self.logs = true;
    }

    /// Whether the logs tell what went around the gateway whose ledger this is.
    fn is_around(&self) -> bool {
        let both = self.ledger_span.is_some() && self.log_span.is_some();
        both && (self.is_evidence || self.own_span.is_some())
    }

    /// The whole days of it. `None` where there is no traffic at all.
    ///
    /// Where logs tell what went around the gateway, a day needs both: the logs, and the ledger from the gateway's first
    /// read to its last one. Before and after it the logs alone have all there is.
    fn days(&self) -> Option<Vec<Day>> {
        let mut all = self.ledger_span;
        widen(&mut all, self.log_span);
        let (mut first, mut last) = all?;
        if self.is_around() {
            let (log_first, log_last) = self.log_span.unwrap_or_default();
            (first, last) = (log_first, log_last);
            if let Some(((own_first, own_last), (ledger_first, ledger_last))) = self.own_span.zip(self.ledger_span) {
                first = if own_first < ledger_first { first.max(ledger_first) } else { first };
                last = if own_last > ledger_last { last.min(ledger_last) } else { last };
            }
        }
        Some(whole_days(first, last))
    }

    /// What it is, in words.
    fn described(&self) -> String {
        let sources: BTreeSet<&str> =
            self.log_books.cells().map(|(_, key, _)| &*key.source).filter(|source| !source.is_empty()).collect();
        let logs = match sources.len() {
            // Nobody but the gateway read from them.
            0 => "access logs of buckets".to_owned(),
            count => format!("access logs of {}", counted(count as u64, "bucket", "buckets")),
        };
        let ledgers = format!("ledgers of {}", counted(self.ledgers, "gateway", "gateways"));
        match (self.ledgers, self.logs) {
            (0, _) => logs,
            (_, false) => ledgers,
            (_, true) => format!("{ledgers}, {logs}"),
        }
    }
}
