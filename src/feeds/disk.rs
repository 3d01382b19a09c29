//! Last good copies of feeds, one file each, replaced as a whole.

use crate::files::{PUBLIC, replace};
use crate::network::Feed;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Reads a whole file of at most `largest` bytes.
pub fn read(path: &Path, largest: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
    let read = file.take(largest as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
    if bytes.len() > largest {
        return Err(format!("`{}` is larger than {largest} bytes", path.display()));
    }
    Ok(bytes)
}

fn path(directory: &Path, feed: &Feed) -> PathBuf {
    directory.join(feed.id())
}

/// The last good copy of what `feed` is read from, and when it was last known to be good.
pub fn cached(directory: &Path, feed: &Feed) -> Option<(Vec<u8>, SystemTime)> {
    let path = path(directory, feed);
    let bytes = read(&path, super::LARGEST).ok()?;
    Some((bytes, path.metadata().ok()?.modified().ok()?))
}

/// What somebody put into `directory` by hand: `aws-ip-ranges.json` for the feed of this name.
pub fn given(directory: &Path, feed: &Feed) -> Option<Vec<u8>> {
    read(&directory.join(format!("{}.json", feed.name())), super::LARGEST).ok()
}

/// Replaces the copy. Whoever reads meanwhile sees the old or the new one, and so does who comes after a crash.
pub fn store(directory: &Path, feed: &Feed, bytes: &[u8]) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    // Several gateways may share the directory.
    replace(&path(directory, feed), bytes, PUBLIC)
}

/// Notes that the copy is still good.
pub fn confirm(directory: &Path, feed: &Feed) -> std::io::Result<()> {
    File::options().append(true).open(path(directory, feed))?.set_modified(SystemTime::now())
}
