//! What the program keeps in the user's folder for caches, and may fetch again: logs of buckets, and feeds.

#![allow(clippy::disallowed_methods, reason = "rank 6: the environment, files, the wall clock")]

use super::LogArguments;
use crate::feeds::{NotRenewed, renew};
use crate::network::Feed;
use crate::replay::Cache;
use indicatif::{ProgressBar, ProgressDrawTarget};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// All copies of logs together, packed: about the logs of a billion requests.
const MOST: u64 = 20_000_000_000;

/// `$XDG_CACHE_HOME/windscreen/OF`, or in `~/.cache`. `None` for who has no home.
/// Source: XDG Base Directory Specification 0.8.
fn folder(of: &str) -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache")))?;
    Some(caches.join("windscreen").join(of))
}

/// The copies of logs, unless there are to be none.
pub(super) fn logs(arguments: &LogArguments) -> Result<Option<Arc<Cache>>, String> {
    let own = || folder("logs").filter(|_| !arguments.no_cache);
    let Some(folder) = arguments.cache.clone().or_else(own) else { return Ok(None) };
    match Cache::open(&folder, MOST, SystemTime::now()) {
        Ok(cache) => Ok(Some(cache)),
        Err(error) if arguments.cache.is_some() => {
            Err(format!("cannot keep copies in `{}`: {error}", folder.display()))
        }
        // Nobody asked for it.
        Err(_) => Ok(None),
    }
}

/// Where copies of feeds are looked for, in this order. `directory` is that of the gateway file.
pub(super) fn feeds(arguments: &LogArguments, directory: Option<&Path>) -> Vec<PathBuf> {
    match &arguments.feeds {
        Some(given) => vec![given.clone()],
        None => {
            let (own, others) = (folder("feeds"), directory.map(Path::to_owned));
            let mut all: Vec<PathBuf> = others.into_iter().chain(own).collect();
            if arguments.fetch_feeds {
                all.reverse();
            }
            all
        }
    }
}

/// Fetches feeds whose copies in `directory` are missing or old.
pub(super) fn fetch_feeds(feeds: &[Feed], directory: Option<&PathBuf>) -> Result<(), String> {
    let directory = directory.ok_or("`--fetch-feeds` needs a place for copies: name it by `--feeds DIR`")?;
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.enable_steady_tick(Duration::from_millis(100));
    let begin = |name: &str| bar.set_message(format!("fetching the feed {name}"));
    let failed = super::runtime()?.block_on(renew(feeds, directory, SystemTime::now(), begin));
    bar.finish_and_clear();
    for NotRenewed { name, error, place, has_copy } in failed {
        let what = format!("cannot fetch the feed {name}: {error}");
        if !has_copy {
            let (place, without) = (place.display(), "or leave out `--fetch-feeds`: then it is unknown who is in it");
            return Err(format!("{what}; put its content into `{place}` by other means, {without}"));
        }
        eprintln!("windscreen: {what}; the last copy is used");
    }
    Ok(())
}
