//! `windscreen replay`.

use super::ReplayArguments;
use super::check::refused;
use super::logs::{basis, judged};
use crate::document::Diagnostics;
use crate::replay::Summary;

/// Judges past logs.
pub(super) fn replay(arguments: &ReplayArguments) -> Result<u8, String> {
    let mut diagnostics = Diagnostics::default();
    let (config, feeds) = (arguments.logs.config.as_deref(), arguments.logs.feeds.as_deref());
    let ours = basis(config, arguments.logs.policy.as_deref(), feeds, &mut diagnostics)?;
    let other = match &arguments.diff {
        Some(path) => basis(config, Some(path), feeds, &mut diagnostics)?,
        None => None,
    };
    let Some(ours) = ours.filter(|_| arguments.diff.is_none() || other.is_some()) else {
        return Ok(refused(&diagnostics, arguments.json));
    };
    let (name, unknown_feeds) = (ours.name.clone(), ours.unknown_feeds.clone());
    let replayed = judged(ours, other, &arguments.logs, arguments.format, &arguments.paths)?;
    let summary = Summary::new(&replayed, &name);
    if arguments.json {
        let mut found = summary.to_json();
        found["unknown_feeds"] = unknown_feeds.into();
        println!("{found}");
    } else {
        print!("{}", summary.to_text());
        for feed in unknown_feeds {
            println!("unknown: who is in the feed {feed}: `--feeds` may name a folder with a copy");
        }
    }
    Ok(0)
}
