//! `windscreen report`.

use super::logs::{basis, judged, refused};
use super::{EXIT_NO, ReportArguments, Written};
use crate::cost::{Preset, PriceBook};
use crate::document::Diagnostics;
use crate::replay::Replayed;
use crate::report::{Evidence, LeftOut, Report, html, json, markdown, text, whole_days};
use std::collections::BTreeSet;

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
    let (book, location) = match (&basis.config, arguments.prices) {
        (Some(config), None) => (config.prices.clone(), config.file.location.clone()),
        (_, preset) => (PriceBook::of(preset.unwrap_or(Preset::AwsUsEast1).prices()), None),
    };
    let decision = basis.policy.decision.clone();
    let unknown_feeds = basis.unknown_feeds.clone();
    let replayed = judged(basis, None, logs, arguments.log_format, &arguments.paths)?;
    let Some((first, last)) = replayed.span else {
        return Err("there is no read in these logs: nothing to report".into());
    };
    let (left_out, described) = (left_out(&replayed), described(&replayed));
    let report = Report::new(
        &Evidence {
            books: &replayed.books,
            described: &described,
            lacks: "what the logs do not record",
            left_out: &left_out,
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
    for feed in unknown_feeds {
        eprintln!("unknown: who is in the feed {feed}: `--feeds` may name a folder with a copy");
    }
    let fails = arguments.fail_if.is_some_and(|need| report.answer.need >= need);
    Ok(if fails { EXIT_NO } else { 0 })
}

fn left_out(replayed: &Replayed) -> LeftOut {
    let unparsable = &replayed.tally.unparsable;
    let example = |example: &crate::replay::Example| format!("{}: {}: {}", example.place, example.reason, example.text);
    LeftOut {
        unreadable: unparsable.count,
        examples: unparsable.examples.iter().map(example).collect(),
        duplicates: replayed.left_out.duplicates,
        writes: replayed.left_out.writes,
        own_reads: replayed.left_out.own_reads,
        other: replayed.left_out.other,
        part_days: 0,
    }
}

/// What was read.
fn described(replayed: &Replayed) -> String {
    let sources: BTreeSet<&str> = replayed.books.cells().map(|(_, key, _)| &*key.source).collect();
    let buckets = if sources.len() == 1 { "bucket" } else { "buckets" };
    format!("access logs of {} {buckets}", sources.len())
}
