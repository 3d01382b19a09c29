//! `windscreen replay`.

use super::ReplayArguments;
use super::check::refused;
use super::logs::{Read, Wanted, basis, judged, told, unknown};
use crate::document::Diagnostics;
use crate::replay::Summary;

/// Judges past logs.
pub(super) fn replay(arguments: &ReplayArguments) -> Result<u8, String> {
    let mut diagnostics = Diagnostics::default();
    let ours = basis(&arguments.logs, arguments.logs.policy.as_deref(), &mut diagnostics)?;
    let other = match &arguments.diff {
        Some(path) => basis(&arguments.logs, Some(path), &mut diagnostics)?,
        None => None,
    };
    let Some(ours) = ours.filter(|_| arguments.diff.is_none() || other.is_some()) else {
        return Ok(refused(&diagnostics, arguments.json));
    };
    let (name, unknown_feeds) = (ours.name.clone(), ours.unknown_feeds.clone());
    let wanted = Wanted::named(&arguments.paths)?;
    let Read { replayed, fetched } = judged(ours, other, &arguments.logs, arguments.format, wanted)?;
    let summary = Summary::new(&replayed, &name);
    if arguments.json {
        let mut found = summary.to_json();
        found["unknown_feeds"] = unknown_feeds.into();
        if let Some((copies, anew)) = fetched {
            found["read"]["copies"] = copies.into();
            found["read"]["anew"] = anew.into();
        }
        println!("{found}");
    } else {
        print!("{}", summary.to_text());
        fetched.iter().for_each(|fetched| println!("{}", told(*fetched)));
        unknown_feeds.iter().for_each(|feed| println!("{}", unknown(feed)));
    }
    Ok(0)
}
