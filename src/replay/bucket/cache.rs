//! Copies of the logs that were read from buckets, so that the next run asks only for those that are new.
//!
//! A log never changes once S3 has delivered it. So a copy is a gzip file whose name is a hash of where the log is, of its
//! version and its size, and what is read from it is what was read from the bucket, to the byte. Logs name clients: the
//! folder is its owner's alone, what no run has asked for in a while is removed, and all of it is bounded.

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Copies that no run has asked for in so long are removed.
const KEPT: Duration = Duration::from_secs(40 * 86_400);
/// What files are called that are not whole yet.
const UNFINISHED: &str = "new";
/// Unfinished ones that are older were left behind by a process that was killed.
const LEFT_BEHIND: Duration = Duration::from_secs(86_400);

/// What is in the folder.
#[derive(Default)]
struct Held {
    /// Bytes of all copies.
    bytes: u64,
    /// Copies of earlier runs, the one that was asked for last at the front.
    earlier: Vec<(PathBuf, u64)>,
    /// What this run asks for, and may not be removed.
    wanted: HashSet<PathBuf>,
}

/// A folder with copies of logs.
pub struct Cache {
    folder: PathBuf,
    /// Bytes of all copies at most.
    most: u64,
    held: Mutex<Held>,
    copies: AtomicU64,
    anew: AtomicU64,
}

impl Cache {
    /// Copies in `folder`, which is made where it is missing, of `most` bytes in all.
    ///
    /// # Errors
    /// When it cannot be made or read.
    pub fn open(folder: &Path, most: u64, now: SystemTime) -> io::Result<Arc<Self>> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let mut found = Vec::new();
        for shelf in fs::read_dir(folder)? {
            let shelf = shelf?.path();
            // Whatever else lies there is none of ours.
            let Ok(entries) = fs::read_dir(&shelf) else { continue };
            for entry in entries {
                let entry = entry?;
                let Ok(metadata) = entry.metadata() else { continue };
                let age = metadata.modified().ok().and_then(|at| now.duration_since(at).ok()).unwrap_or_default();
                let path = entry.path();
                let is_unfinished = path.extension().is_some_and(|extension| extension == UNFINISHED);
                if age > KEPT || is_unfinished && age > LEFT_BEHIND {
                    _ = fs::remove_file(&path);
                } else if !is_unfinished {
                    found.push((age, path, metadata.len()));
                }
            }
        }
        found.sort();
        let bytes = found.iter().map(|(_, _, bytes)| bytes).sum();
        let earlier = found.into_iter().map(|(_, path, bytes)| (path, bytes)).collect();
        let held = Mutex::new(Held { bytes, earlier, wanted: HashSet::new() });
        let (copies, anew) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Arc::new(Cache { folder: folder.to_owned(), most, held, copies, anew }))
    }

    /// How many logs were read from copies, and how many anew.
    pub fn counts(&self) -> (u64, u64) {
        (self.copies.load(Ordering::Relaxed), self.anew.load(Ordering::Relaxed))
    }

    /// Where the copy of a log is: one of this version and size, that is at this address.
    pub(super) fn path(&self, address: &str, version: &str, bytes: u64) -> PathBuf {
        let name = hex::encode(Sha256::digest(format!("{address}\n{version}\n{bytes}")));
        self.folder.join(&name[..2]).join(&name[2..])
    }

    /// Notes what is going to be asked for.
    pub(super) fn want(&self, paths: impl Iterator<Item = PathBuf>) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).wanted.extend(paths);
    }

    /// The copy, where there is one.
    pub(super) fn copy(&self, path: PathBuf) -> Option<Copy> {
        let file = File::open(&path).ok();
        let count = if file.is_some() { &self.copies } else { &self.anew };
        count.fetch_add(1, Ordering::Relaxed);
        let file = file?;
        // When it was asked for last. That this cannot be noted does no harm.
        _ = file.set_modified(SystemTime::now());
        Some(Copy { path, input: MultiGzDecoder::new(BufReader::new(file)) })
    }

    /// Begins a copy, unless there is no room for it or the disk has a fault: then there is none.
    pub(super) fn begin(self: &Arc<Self>, path: PathBuf) -> Option<Copying> {
        if !self.make_room() {
            return None;
        }
        DirBuilder::new().recursive(true).mode(0o700).create(path.parent()?).ok()?;
        let beside = path.with_extension(format!("{:016x}.{UNFINISHED}", rand::random::<u64>()));
        let file = OpenOptions::new().write(true).create_new(true).mode(crate::files::PRIVATE).open(&beside).ok()?;
        let output = Some(GzEncoder::new(file, Compression::fast()));
        Some(Copying { cache: self.clone(), path, beside, output, bytes: 0 })
    }

    /// Removes what was asked for longest ago until there is some room. Says whether there is.
    fn make_room(&self) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        while held.bytes >= self.most {
            let Some((path, bytes)) = held.earlier.pop() else { return false };
            if !held.wanted.contains(&path) && fs::remove_file(&path).is_ok() {
                held.bytes = held.bytes.saturating_sub(bytes);
            }
        }
        true
    }
}

/// A copy that is being read.
pub(super) struct Copy {
    path: PathBuf,
    input: MultiGzDecoder<BufReader<File>>,
}

impl Read for Copy {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.read(buffer).map_err(|error| {
            // The next run has a good one.
            _ = fs::remove_file(&self.path);
            io::Error::other(format!("its copy in the cache is damaged and was removed, run this again: {error}"))
        })
    }
}

/// A copy that is being written.
pub(super) struct Copying {
    cache: Arc<Cache>,
    path: PathBuf,
    beside: PathBuf,
    output: Option<GzEncoder<File>>,
    bytes: u64,
}

impl Copying {
    /// Adds what was read. A fault of the disk ends the copy, not the reading.
    pub fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        if self.output.as_mut().is_some_and(|output| output.write_all(bytes).is_err()) {
            self.output = None;
        }
    }

    /// It is whole, if so many bytes came.
    pub fn finish(mut self, bytes: u64) {
        let Some(output) = self.output.take().filter(|_| bytes == self.bytes) else { return };
        let size = output.finish().and_then(|file| file.metadata()).map(|metadata| metadata.len());
        if let Ok(size) = size
            && fs::rename(&self.beside, &self.path).is_ok()
        {
            self.cache.held.lock().unwrap_or_else(PoisonError::into_inner).bytes += size;
        }
    }
}

impl Drop for Copying {
    fn drop(&mut self) {
        // It is not there any more where the copy is whole.
        _ = fs::remove_file(&self.beside);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(cache: &Arc<Cache>, key: &str, text: &[u8]) {
        let mut copying = cache.begin(cache.path(key, "1", 1)).unwrap();
        copying.add(text);
        copying.finish(text.len() as u64);
    }

    fn kept(cache: &Cache, key: &str) -> Option<String> {
        cache.copy(cache.path(key, "1", 1)).map(|copy| io::read_to_string(copy).unwrap())
    }

    fn age(cache: &Cache, key: &str, days: u64) {
        let file = OpenOptions::new().append(true).open(cache.path(key, "1", 1)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(days * 86_400)).unwrap();
    }

    #[test]
    fn what_was_asked_for_longest_ago_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let open = |most| Cache::open(&folder.path().join("logs"), most, SystemTime::now()).unwrap();
        let cache = open(1000);
        for (key, days) in [("old", 41), ("wanted", 3), ("seldom", 2), ("often", 1)] {
            keep(&cache, key, b"text");
            age(&cache, key, days);
        }
        let size = cache.held.lock().unwrap().bytes / 4;
        let cache = open(3 * size);
        assert_eq!(kept(&cache, "old"), None, "nobody asked for it in 40 days");
        cache.want([cache.path("wanted", "1", 1)].into_iter());
        keep(&cache, "new", b"text");
        for (key, there) in [("wanted", true), ("seldom", false), ("often", true), ("new", true)] {
            assert_eq!(kept(&cache, key).is_some(), there, "{key}");
        }
        assert_eq!(cache.counts(), (3, 2));
        assert!(open(0).begin(PathBuf::new()).is_none(), "there is no room");
    }

    #[test]
    fn a_copy_is_whole_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), 1000, SystemTime::now()).unwrap();
        let path = cache.path("cut", "1", 1);
        let mut copying = cache.begin(path.clone()).unwrap();
        copying.add(b"half");
        copying.finish(8);
        drop(cache.begin(path.clone()).unwrap());
        assert!(cache.copy(path.clone()).is_none());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0, "nothing lies about");

        keep(&cache, "damaged", b"text");
        let path = cache.path("damaged", "1", 1);
        fs::write(&path, &fs::read(&path).unwrap()[..12]).unwrap();
        let error = io::read_to_string(cache.copy(path.clone()).unwrap()).unwrap_err().to_string();
        assert!(error.contains("damaged and was removed"), "{error}");
        assert!(cache.copy(path).is_none());
    }
}
