//! `windscreen origins`.

#![allow(clippy::disallowed_methods, reason = "rank 6: reads the wall clock")]

use super::check::refused;
use super::{EXIT_NO, examples, span};
use crate::clock::Timestamp;
use crate::config::load;
use crate::document::Diagnostics;
use crate::ledger::Ledger;
use crate::report::{Removal, second_stores, second_stores_text};
use crate::traffic::Books;
use clap::Args;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

#[derive(Debug, Args)]
#[command(after_help = examples::ORIGINS)]
pub(super) struct OriginsArguments {
    /// The gateway file.
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// For how long nobody must have needed an origin before it may go.
    #[arg(long, value_name = "TIME", default_value = "14d", value_parser = span)]
    quiet: Duration,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    /// The ledgers of all gateways, in place of that of the gateway file.
    #[arg(value_name = "LEDGER")]
    ledgers: Vec<PathBuf>,
}

/// Says of each origin that is not the first of its site whether it may go.
pub(super) fn origins(arguments: &OriginsArguments) -> Result<u8, String> {
    let mut diagnostics = Diagnostics::default();
    let Some(config) = load(&arguments.config, &mut diagnostics)? else {
        return Ok(refused(&diagnostics, arguments.json));
    };
    let ledgers: Vec<PathBuf> = match (&*arguments.ledgers, &config.file.ledger) {
        ([], Some(ledger)) => vec![ledger.value.path.value.clone()],
        ([], None) => return Err("the gateway file has no `ledger`: what origins were needed for is kept there".into()),
        (ledgers, _) => ledgers.to_vec(),
    };
    let mut books = Books::default();
    for path in &ledgers {
        let read = Ledger::read(path, Timestamp(0), Timestamp(u64::MAX));
        books.merge(&read.map_err(|error| format!("cannot read `{}`: {error}", path.display()))?);
    }
    let sites = config.file.sites.value.0.iter().map(|(name, site)| {
        let origins = site.origins.0.iter().map(|origin| origin.name.value.clone());
        (name.clone(), origins.collect::<Vec<String>>())
    });
    let sites: Vec<_> = sites.collect();
    let answers = second_stores(&books, &sites, arguments.quiet, SystemTime::now().into());
    if arguments.json {
        let document = serde_json::json!({ "version": 1, "origins": answers });
        println!("{}", serde_json::to_string_pretty(&document).unwrap_or_default());
    } else if answers.is_empty() {
        println!("no site has more than one origin");
    } else {
        print!("{}", second_stores_text(&answers));
    }
    let all_safe = answers.iter().all(|answer| answer.removal == Removal::Safe);
    Ok(if all_safe { 0 } else { EXIT_NO })
}
