//! Where an object goes while it comes: `FILE.part`, with `FILE.part.json` beside it that says what it is a part of.

#![allow(clippy::disallowed_methods, reason = "rank 5: writes files")]

use super::answer::text;
use super::url::named_checksum;
use super::{Checksum, FetchError, Job};
use http::HeaderMap;
use http::header::{ETAG, LAST_MODIFIED};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where an object goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A file, which is whole once it has this name.
    File(PathBuf),
    /// Standard output.
    Stdout,
}

/// What a part is a part of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Whole {
    url: String,
    etag: Option<String>,
    last_modified: Option<String>,
}

impl Whole {
    /// What the server goes on with, if it can: a strong ETag, else a date (RFC 9110, section 13.1.5).
    fn validator(&self) -> Option<&str> {
        let etag = self.etag.as_deref().filter(|etag| !etag.starts_with("W/"));
        etag.or(self.last_modified.as_deref())
    }
}

/// An object that is not whole yet.
pub(super) struct Part {
    sink: Sink,
    length: u64,
    /// How much of it a former run left.
    resumed: u64,
    hasher: Sha256,
    whole: Option<Whole>,
    /// Without the query, which may hold a signature that is of no use the next time.
    url: String,
}

enum Sink {
    /// The file, and where it goes.
    File(File, PathBuf),
    Stdout,
}

/// `path` with something added to its name.
fn name_with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn failed(path: &Path, error: &io::Error) -> FetchError {
    FetchError::Failed(format!("cannot write `{}`: {error}", path.display()))
}

impl Part {
    /// Opens what a former run left, or begins.
    ///
    /// # Errors
    /// When it cannot be written, or another run writes it.
    pub fn open(job: &Job) -> Result<Self, FetchError> {
        let url = job.url.without_query();
        let Destination::File(path) = &job.to else {
            return Ok(Part { sink: Sink::Stdout, length: 0, resumed: 0, hasher: Sha256::new(), whole: None, url });
        };
        let part = name_with_suffix(path, ".part");
        let wrong = |error: io::Error| failed(&part, &error);
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).open(&part).map_err(wrong)?;
        let taken = || FetchError::Failed(format!("another `windscreen fetch` is writing `{}`", part.display()));
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(taken()),
            // Some network file systems know no locks.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(wrong(error)),
        }
        // Another run may have finished it, and given it its name, between opening and locking.
        if fs::metadata(&part).map(|now| now.ino()).ok() != Some(file.metadata().map_err(wrong)?.ino()) {
            return Err(taken());
        }
        let whole = fs::read(name_with_suffix(path, ".part.json")).ok();
        let whole = whole.and_then(|text| serde_json::from_slice::<Whole>(&text).ok());
        let whole = whole.filter(|whole| whole.url == url && whole.validator().is_some());
        let sink = Sink::File(file, path.clone());
        let mut opened = Part { sink, length: 0, resumed: 0, hasher: Sha256::new(), whole, url };
        if opened.whole.is_some() {
            opened.read_what_is_there().map_err(wrong)?;
            opened.resumed = opened.length;
        }
        Ok(opened)
    }

    fn read_what_is_there(&mut self) -> io::Result<()> {
        let Sink::File(file, _) = &mut self.sink else { return Ok(()) };
        let mut buffer = vec![0; 1 << 18];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(()),
                count => {
                    self.hasher.update(&buffer[..count]);
                    self.length += count as u64;
                }
            }
        }
    }

    /// How much is there.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// How much of it a former run left.
    pub fn resumed(&self) -> u64 {
        self.resumed
    }

    /// From where to go on, and with what, where that can be.
    pub fn range(&self) -> Option<(u64, &str)> {
        let validator = self.whole.as_ref()?.validator()?;
        (self.length > 0).then_some((self.length, validator))
    }

    /// Whether an answer with these headers is about the same object.
    pub fn is_of(&self, headers: &HeaderMap) -> bool {
        let same = |known: Option<&str>, now: Option<&str>| known.is_none() || now.is_none() || known == now;
        let Some(whole) = &self.whole else { return false };
        match (&whole.etag, text(headers, &ETAG)) {
            (Some(known), Some(now)) => known == now,
            _ => same(whole.last_modified.as_deref(), text(headers, &LAST_MODIFIED)),
        }
    }

    /// Throws away what is there, and begins with the object that `headers` are about.
    ///
    /// # Errors
    /// When it cannot be written, or what is there has gone to standard output already.
    pub fn begin(&mut self, headers: &HeaderMap) -> Result<(), FetchError> {
        self.clear()?;
        let said = |name| text(headers, name).map(str::to_owned);
        let whole = Whole { url: self.url.clone(), etag: said(&ETAG), last_modified: said(&LAST_MODIFIED) };
        if let Sink::File(_, path) = &self.sink {
            // Before the first byte: a part must never be taken for one of another object.
            let beside = name_with_suffix(path, ".part.json");
            let written = serde_json::to_vec(&whole).map_err(io::Error::from).and_then(|text| fs::write(&beside, text));
            written.map_err(|error| failed(&beside, &error))?;
        }
        self.whole = Some(whole);
        Ok(())
    }

    /// Throws away what is there.
    ///
    /// # Errors
    /// As of [`Part::begin`].
    pub fn clear(&mut self) -> Result<(), FetchError> {
        match &self.sink {
            Sink::File(file, path) => {
                file.set_len(0).map_err(|error| failed(&name_with_suffix(path, ".part"), &error))?;
            }
            Sink::Stdout if self.length > 0 => {
                let what = "the object changed while it came, and its beginning is written already";
                return Err(FetchError::Refused(what.into()));
            }
            Sink::Stdout => {}
        }
        (self.length, self.resumed, self.hasher, self.whole) = (0, 0, Sha256::new(), None);
        Ok(())
    }

    /// Adds a piece. Blocks.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&mut self, piece: &[u8]) -> Result<(), FetchError> {
        match &mut self.sink {
            Sink::File(file, path) => file.write_all(piece).map_err(|error| failed(path, &error))?,
            Sink::Stdout => {
                let written = io::stdout().write_all(piece).and_then(|()| io::stdout().flush());
                written.map_err(|error| FetchError::Failed(format!("cannot write to standard output: {error}")))?;
            }
        }
        self.hasher.update(piece);
        self.length += piece.len() as u64;
        Ok(())
    }

    /// Verifies what came and gives it its name. The checksum, and whether it was compared with a known one.
    ///
    /// # Errors
    /// When the checksum is wrong: the object is `FILE.bad` then. When it cannot be written.
    pub fn finish(self, job: &Job) -> Result<(Checksum, bool), FetchError> {
        let sum: Checksum = self.hasher.finalize().into();
        let expected = expected(job);
        let wrong = expected.iter().find(|expected| **expected != sum);
        let mut place = String::new();
        if let Sink::File(file, path) = &self.sink {
            let to = if wrong.is_some() { name_with_suffix(path, ".bad") } else { path.clone() };
            let moved = file.sync_all().and_then(|()| fs::rename(name_with_suffix(path, ".part"), &to));
            moved.map_err(|error| failed(&to, &error))?;
            // A leftover does no harm: it says nothing about a part that is not there.
            let _ = fs::remove_file(name_with_suffix(path, ".part.json"));
            place = format!("; what came is in `{}`", to.display());
        }
        match wrong {
            Some(expected) => {
                let (sum, expected) = (hex::encode(sum), hex::encode(expected));
                Err(FetchError::Refused(format!("the checksum is {sum}, not {expected}{place}")))
            }
            None => Ok((sum, !expected.is_empty())),
        }
    }
}

/// What the object must be: as the user says, and as its name says.
fn expected(job: &Job) -> Vec<Checksum> {
    job.sha256.into_iter().chain(named_checksum(&job.url.name())).collect()
}

/// The file that is there already, if it is known to be the object. Reads it. Blocks.
pub(super) fn present(job: &Job) -> Option<(u64, Checksum)> {
    let Destination::File(path) = &job.to else { return None };
    let expected = expected(job);
    let mut file = File::open(path).ok().filter(|_| !expected.is_empty())?;
    let mut hasher = Sha256::new();
    let bytes = io::copy(&mut file, &mut hasher).ok()?;
    let sum = hasher.finalize().into();
    expected.iter().all(|expected| *expected == sum).then_some((bytes, sum))
}
