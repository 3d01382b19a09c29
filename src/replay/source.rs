//! Where logs are: files and folders of them, in an order that is nearly that of time.

#![allow(clippy::disallowed_methods, reason = "rank 5: reads log files")]

use flate2::read::MultiGzDecoder;
use std::cmp::Reverse;
use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The first bytes of gzip. Source: RFC 1952, 2.3.1.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Why logs cannot be found.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A path that was named, or one below it, cannot be read.
    #[error("cannot read `{0}`: {1}")]
    Unreadable(PathBuf, io::Error),
}

/// A log that can be read.
pub struct Log {
    /// Its name, for messages.
    pub name: String,
    /// Whether it is read while no other is: two large ones side by side would bring two times at once.
    pub alone: bool,
    /// Its text, unpacked.
    pub input: io::Result<Box<dyn Read + Send>>,
}

/// Opens one file after the other, when its turn has come. What is read is added to `progress`.
pub fn open(files: Vec<LogFile>, progress: Arc<AtomicU64>) -> impl Iterator<Item = Log> + Send {
    files.into_iter().map(move |file| Log {
        name: file.path.display().to_string(),
        alone: file.bytes > LARGE,
        input: file.open(&progress),
    })
}

/// Files beyond so many bytes are read alone.
const LARGE: u64 = 16 << 20;

/// A log file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its size on disk, in bytes.
    pub bytes: u64,
}

/// All files that `paths` name, folders with what is below them. Hidden files are passed over, and symbolic links to
/// folders, unless named.
///
/// They come in an order that nearly is that of time: logs of S3 as they were delivered, whichever bucket they are of,
/// other logs by name, rotated ones (`access.log.2.gz`, `access.log-20261101`) oldest first.
///
/// # Errors
/// When a path does not exist or cannot be read.
pub fn find(paths: &[PathBuf]) -> Result<Vec<LogFile>, SourceError> {
    let mut files = Vec::new();
    for path in paths {
        let unreadable = |error| SourceError::Unreadable(path.clone(), error);
        let metadata = fs::metadata(path).map_err(unreadable)?;
        if metadata.is_dir() {
            collect(path, &mut files)?;
        } else {
            files.push(LogFile { path: path.clone(), bytes: metadata.len() });
        }
    }
    files.sort_by_cached_key(|file| order(&file.path));
    files.dedup();
    Ok(files)
}

fn collect(folder: &Path, files: &mut Vec<LogFile>) -> Result<(), SourceError> {
    let unreadable = |error| SourceError::Unreadable(folder.to_owned(), error);
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let kind = entry.file_type().map_err(unreadable)?;
        if kind.is_dir() {
            collect(&path, files)?;
            continue;
        }
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => files.push(LogFile { path, bytes: metadata.len() }),
            // A folder behind a link, a socket.
            Ok(_) => {}
            Err(error) => return Err(SourceError::Unreadable(path, error)),
        }
    }
    Ok(())
}

/// The order of a file among others: when it was delivered, then folder, name, and age among rotated files.
type Order = (Option<String>, PathBuf, String, (bool, Reverse<u32>, u64), PathBuf);

fn order(path: &Path) -> Order {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let folder = path.parent().unwrap_or(path).to_owned();
    let (stem, age) = rotation(name.strip_suffix(".gz").unwrap_or(&name));
    (delivered(&name).map(str::to_owned), folder, stem.to_owned(), age, path.to_owned())
}

/// When S3 delivered a log: the `YYYY-mm-DD-HH-MM-SS` in its name, before another dash.
pub fn delivered(name: &str) -> Option<&str> {
    let form = b"0000-00-00-00-00-00-";
    let fits = |bytes: &[u8]| bytes.iter().zip(form).all(|(b, f)| if *f == b'0' { b.is_ascii_digit() } else { b == f });
    let at = name.as_bytes().windows(form.len()).position(fits)?;
    name.get(at..at + form.len() - 1)
}

/// A name without what rotation put behind it, and a key that sorts older files first.
fn rotation(name: &str) -> (&str, (bool, Reverse<u32>, u64)) {
    let is_number = |text: &str, most: usize| text.len() <= most && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((stem, number)) = name.rsplit_once('.')
        && is_number(number, 5)
        && let Ok(number) = number.parse()
    {
        return (stem, (false, Reverse(number), 0));
    }
    if let Some((stem, date)) = name.rsplit_once('-')
        && date.len() >= 8
        && is_number(date, 14)
        && let Ok(date) = date.parse()
    {
        return (stem, (false, Reverse(0), date));
    }
    (name, (true, Reverse(0), 0))
}

/// Counts what is read.
struct Counted {
    file: File,
    progress: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.progress.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl LogFile {
    /// Opens it. What is read of it, as it is on disk, is added to `progress`.
    ///
    /// # Errors
    /// When it cannot be opened or its first bytes cannot be read.
    pub fn open(&self, progress: &Arc<AtomicU64>) -> io::Result<Box<dyn Read + Send>> {
        unpacked(Counted { file: File::open(&self.path)?, progress: progress.clone() })
    }
}

/// What is in `input`, unpacked if it is gzip, whatever its name. Several members follow one another as one text.
///
/// # Errors
/// When the first bytes cannot be read.
pub fn unpacked(mut input: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let mut first = Vec::with_capacity(GZIP.len());
    input.by_ref().take(GZIP.len() as u64).read_to_end(&mut first)?;
    let is_gzip = first == GZIP;
    let whole = Cursor::new(first).chain(input);
    Ok(if is_gzip { Box::new(MultiGzDecoder::new(whole)) } else { Box::new(whole) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    #[test]
    fn files_come_nearly_in_the_order_of_time() {
        let folder = tempfile::tempdir().unwrap();
        let names = [
            "b/2026-11-01-10-00-00-AAAA",
            "b/2026-11-01-12-00-00-AAAA",
            "a/deep/er/2026-11-01-11-00-00-AAAA",
            "nginx/access.log",
            "nginx/access.log.1",
            "nginx/access.log.2.gz",
            "nginx/access.log.10.gz",
            "nginx/error.log",
            "httpd/access_log",
            "httpd/access_log-20261018.gz",
            "httpd/access_log-20261025",
            ".hidden",
            ".folder/file",
        ];
        for name in names {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "xyz").unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(folder.path(), folder.path().join("loop")).unwrap();
        let found = find(&[folder.path().to_owned(), folder.path().join("nginx/error.log")]).unwrap();
        let found: Vec<_> =
            found.iter().map(|f| f.path.strip_prefix(folder.path()).unwrap().to_str().unwrap()).collect();
        let expected = [
            "httpd/access_log-20261018.gz",
            "httpd/access_log-20261025",
            "httpd/access_log",
            "nginx/access.log.10.gz",
            "nginx/access.log.2.gz",
            "nginx/access.log.1",
            "nginx/access.log",
            "nginx/error.log",
            "b/2026-11-01-10-00-00-AAAA",
            "a/deep/er/2026-11-01-11-00-00-AAAA",
            "b/2026-11-01-12-00-00-AAAA",
        ];
        assert_eq!(found, expected);
        assert_eq!(find(&[folder.path().join(".hidden")]).unwrap()[0].bytes, 3, "hidden, but named");
    }

    #[test]
    fn a_path_that_is_not_there_is_named() {
        let message = find(&["/nowhere/at/all".into()]).unwrap_err().to_string();
        assert!(message.starts_with("cannot read `/nowhere/at/all`: "), "{message}");
    }

    #[test]
    fn gzip_is_told_by_its_bytes() {
        let pack = |text: &[u8]| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        };
        let long = b"0123456789\n".repeat(10_000);
        let cut = pack(&long)[..200].to_vec();
        let cases: [(Vec<u8>, &[u8], bool); 6] = [
            (b"plain".to_vec(), b"plain", true),
            (vec![], b"", true),
            (vec![0x1f], &[0x1f], true),
            (pack(b"packed"), b"packed", true),
            ([pack(b"two "), pack(b"members")].concat(), b"two members", true),
            (cut, &long, false),
        ];
        let folder = tempfile::tempdir().unwrap();
        for (bytes, text, whole) in cases {
            let path = folder.path().join("log.gz.txt");
            fs::write(&path, &bytes).unwrap();
            let progress = Arc::new(AtomicU64::new(0));
            let mut read = Vec::new();
            let file = LogFile { path, bytes: bytes.len() as u64 };
            let result = file.open(&progress).unwrap().read_to_end(&mut read);
            assert_eq!(result.is_ok(), whole);
            assert!(text.starts_with(&read) && (whole && read.len() == text.len() || !whole && read.len() > 100));
            assert_eq!(progress.load(Ordering::Relaxed), bytes.len() as u64);
        }
    }
}
