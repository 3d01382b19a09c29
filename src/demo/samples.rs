//! What the demo's buckets hold: test runs with their logs, machine images, and one running test.
//!
//! Nothing here depends on the hour: the same build writes the same bytes and names.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "objects are files, and their dates come from the file system"
)]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::write::GzEncoder;
use s3s::dto::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::store::{Name, is_storable};

const LOGS: &str = "logs";
const IMAGES: &str = "images";
const FINISHED: &str = "pull-1234-fedora-42/";
const RUNNING: &str = "pull-1235-fedora-42/";

/// How many tests the running run has, before it starts over.
const TESTS: usize = 200;

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

/// The names of what [`fill`] wrote.
#[derive(Clone, Debug)]
pub struct Samples {
    /// Key in `images`: a public image of 64 MiB, its SHA-256 in its name.
    pub image: String,
    /// Key in `images`: an image of 1 MiB that is not for everyone.
    pub private_image: String,
    /// Key in `images` of the second store: an image of 1 MiB that the first lacks.
    pub second_only_image: String,
    /// Prefix in `logs`, with a slash at its end: a finished test run.
    pub finished_run: String,
    /// Prefix in `logs`, with a slash at its end: the run that [`RunningTest`] continues.
    pub running_run: String,
}

/// Writes the sample buckets `logs` and `images` below `first`, and `images` below `second`.
pub fn fill(first: &Path, second: &Path) -> io::Result<Samples> {
    let mut journal = GzEncoder::new(Vec::new(), Compression::default());
    journal.write_all(include_bytes!("assets/journal.txt"))?;
    let log = include_bytes!("assets/finished.txt");
    let screenshot = include_bytes!("assets/TestLogin-testBasic.png");
    let metrics = include_bytes!("assets/prometheus.txt");
    let zipped = Attributes::of(TEXT).with("content_encoding", "gzip");
    let exposition = Attributes::of("text/plain; version=0.0.4; charset=utf-8");
    let files: [(&str, &[u8], Attributes); 3] = [
        ("log", log, Attributes::of(TEXT)),
        (
            "TestLogin-testBasic.png",
            screenshot,
            Attributes::of("image/png"),
        ),
        ("journal.log.gz", &journal.finish()?, zipped),
    ];
    for (name, bytes, attributes) in &files {
        put(first, LOGS, &format!("{FINISHED}{name}"), bytes, attributes)?;
    }
    put_pages(first, FINISHED, &files.map(|(name, ..)| name))?;
    put(first, LOGS, "prometheus", metrics, &exposition)?;
    RunningTest::new(first)?;

    Ok(Samples {
        image: image(first, "fedora-42", 64, 1)?,
        private_image: image(first, "rhel-10-1", 1, 2)?,
        second_only_image: image(second, "debian-13", 1, 3)?,
        finished_run: FINISHED.to_owned(),
        running_run: RUNNING.to_owned(),
    })
}

/// Writes the viewer of a run's log, and a page that links it and `files`.
fn put_pages(root: &Path, run: &str, files: &[&str]) -> io::Result<()> {
    let html = Attributes::of(HTML);
    let viewer = include_bytes!("assets/log.html");
    put(root, LOGS, &format!("{run}log.html"), viewer, &html)?;
    let mut links = String::new();
    for name in ["log.html"].iter().chain(files) {
        let _ = writeln!(links, "<li><a href=\"{name}\">{name}</a></li>");
    }
    let index = include_str!("assets/index.html")
        .replace("@TITLE@", run.trim_end_matches('/'))
        .replace("@FILES@", &links);
    put(
        root,
        LOGS,
        &format!("{run}index.html"),
        index.as_bytes(),
        &html,
    )
}

/// Writes an image of pseudo-random bytes, which do not compress, and gives its key.
fn image(root: &Path, system: &str, mebibytes: usize, seed: u64) -> io::Result<String> {
    fs::create_dir_all(root.join(IMAGES))?;
    let draft = draft(root);
    let mut file = File::create(&draft)?;
    let mut hash = Sha256::new();
    // xorshift64: each image has its own seed, which must not be 0.
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = vec![0; 1 << 20];
    for _ in 0..mebibytes {
        for word in bytes.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
        hash.update(&bytes);
        file.write_all(&bytes)?;
    }
    let key = format!("{system}-{:x}.qcow2", hash.finalize());
    describe(
        root,
        IMAGES,
        &key,
        &Attributes::of("application/octet-stream"),
    )?;
    fs::rename(draft, root.join(IMAGES).join(&key))?;
    Ok(key)
}

/// What the log of the running test says of one of its tests.
fn lines(number: usize) -> String {
    let names: Vec<&str> = include_str!("assets/tests.txt").lines().collect();
    let name = names[number % names.len()];
    let machine = 1 + number % 4;
    let seconds = 3 + number * 37 % 58;
    let (verdict, why) = match number % 41 {
        40 => ("not ok", "testlib.Error: timeout\n"),
        _ => ("ok", ""),
    };
    let mut text = format!("# {name}\n> m{machine}: booted\n{why}{verdict} {number} {name} ");
    let _ = writeln!(text, "[{seconds}s on m{machine}]");
    if number == 1 {
        text.insert_str(0, &format!("# 4 machines, 2 GiB each\n1..{TESTS}\n"));
    }
    text
}

/// The test that runs while the demo does. Its log is read in chunks, as `log.html` describes:
/// `log.START-END` holds these bytes, `log.chunks` lists the sizes.
pub struct RunningTest {
    root: PathBuf,
    chunks: Vec<Chunk>,
    tests: usize,
}

struct Chunk {
    appends: usize,
    text: String,
}

impl RunningTest {
    /// Starts the run that [`fill`] has made below `root` (or makes it), with its first chunk.
    pub fn new(root: &Path) -> io::Result<Self> {
        put_pages(root, RUNNING, &[])?;
        remove(root, LOGS, &format!("{RUNNING}log"))?;
        let mut run = Self {
            root: root.to_owned(),
            chunks: Vec::new(),
            tests: 0,
        };
        run.append()?;
        Ok(run)
    }

    /// One more test has ended: its lines are appended. After 200 the log starts over.
    pub fn append(&mut self) -> io::Result<()> {
        if self.tests == TESTS {
            // The old chunks stay: they are what the next round writes again, and a reader that
            // has the old list still finds them.
            self.chunks.clear();
            self.tests = 0;
        }
        self.tests += 1;
        let mut last = Chunk {
            appends: 1,
            text: lines(self.tests),
        };
        // Chunks of equal weight are merged, so that a long log is few objects: only the last one
        // ever changes, and readers ask for the part of it that they lack.
        while let Some(before) = self.chunks.pop_if(|before| before.appends == last.appends) {
            last.appends += before.appends;
            last.text = before.text + &last.text;
        }
        let sizes = |chunks: &[Chunk]| chunks.iter().map(|chunk| chunk.text.len()).collect();
        let before: Vec<usize> = sizes(&self.chunks);
        let start: usize = before.iter().sum();
        let name = format!("log.{start}-{}", start + last.text.len());
        self.write(&name, last.text.as_bytes(), TEXT)?;
        self.chunks.push(last);
        // The list comes last: what it names is there.
        let json = serde_json::to_vec(&sizes(&self.chunks))?;
        self.write("log.chunks", &json, "application/json")
    }

    /// The test ends: `log` holds all of it, and the chunks go.
    pub fn finish(self) -> io::Result<()> {
        let texts = self.chunks.iter().map(|chunk| chunk.text.as_str());
        self.write("log", texts.collect::<String>().as_bytes(), TEXT)?;
        put_pages(&self.root, RUNNING, &["log"])?;
        remove(&self.root, LOGS, &format!("{RUNNING}log.chunks"))?;
        for entry in fs::read_dir(self.root.join(LOGS).join(RUNNING))? {
            let name = entry?.file_name();
            let name = name.to_string_lossy();
            if name
                .strip_prefix("log.")
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
            {
                remove(&self.root, LOGS, &format!("{RUNNING}{name}"))?;
            }
        }
        Ok(())
    }

    fn write(&self, name: &str, bytes: &[u8], content_type: &str) -> io::Result<()> {
        let key = format!("{RUNNING}{name}");
        put(&self.root, LOGS, &key, bytes, &Attributes::of(content_type))
    }
}

/// What S3 keeps beside an object's bytes, in the file that s3s-fs writes for it on PUT.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Attributes {
    /// `x-amz-meta-*`, without that prefix.
    #[serde(default, skip_serializing_if = "HashMap::is_empty")]
    pub user_metadata: HashMap<String, String>,
    /// Standard headers by s3s-fs's name for them: `content_type`, `cache_control`, ...
    #[serde(flatten)]
    pub standard: HashMap<String, String>,
}

impl Attributes {
    /// A content type and nothing else.
    pub fn of(content_type: &str) -> Self {
        Self::default().with("content_type", content_type)
    }

    /// One more standard header, by s3s-fs's name for it.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.standard.insert(name.to_owned(), value.to_owned());
        self
    }
}

/// An object that has been opened: everything here is of one version of it.
pub struct Stored {
    /// Its bytes.
    pub file: File,
    /// How many they are.
    pub size: u64,
    /// Without quotes.
    pub etag: String,
    /// In whole seconds.
    pub modified: Timestamp,
    /// What a writer said of it.
    pub attributes: Attributes,
    /// Of the whole object: algorithm and value.
    pub checksums: Vec<(String, String)>,
}

impl Stored {
    /// Opens an object below `root`.
    pub fn open(root: &Path, name: &Name) -> io::Result<Self> {
        let Name { bucket, key } = name;
        if !is_storable(key) || key.ends_with('/') {
            return Err(io::ErrorKind::NotFound.into());
        }
        let file = File::open(root.join(bucket).join(key))?;
        let about = file.metadata()?;
        if about.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let modified = about.modified()?;
        let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut stored = Self {
            size: about.len(),
            // Opaque to every client, so that nothing has to be hashed for it.
            etag: format!("{:024x}{:08x}-1", since.as_nanos(), about.len()),
            // S3 knows whole seconds, and compares what it sends.
            modified: (UNIX_EPOCH + Duration::from_secs(since.as_secs())).into(),
            attributes: Attributes::default(),
            checksums: Vec::new(),
            file,
        };
        if let Ok(json) = fs::read(sidecar(root, bucket, key, "metadata")) {
            stored.attributes = serde_json::from_slice(&json).unwrap_or_default();
        }
        stored.recall(&sidecar(root, bucket, key, "internal"), modified);
        Ok(stored)
    }

    /// Takes the ETag and checksums of a PUT, unless the file has been replaced since.
    fn recall(&mut self, sidecar: &Path, modified: SystemTime) -> Option<()> {
        if fs::metadata(sidecar).ok()?.modified().ok()? < modified {
            return None;
        }
        let known: HashMap<String, String> =
            serde_json::from_slice(&fs::read(sidecar).ok()?).ok()?;
        for (field, value) in known {
            if field == "e_tag" {
                self.etag = value;
            } else if let Some(algorithm) = field.strip_prefix("checksum_") {
                self.checksums.push((algorithm.to_owned(), value));
            }
        }
        Some(())
    }
}

/// Writes an object so that no reader ever sees half of it, its attributes first.
pub fn put(
    root: &Path,
    bucket: &str,
    key: &str,
    bytes: &[u8],
    attributes: &Attributes,
) -> io::Result<()> {
    describe(root, bucket, key, attributes)?;
    let path = root.join(bucket).join(key);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    replace(root, &path, bytes)
}

/// Sets the attributes of an object, which need not be there yet.
pub fn describe(root: &Path, bucket: &str, key: &str, attributes: &Attributes) -> io::Result<()> {
    let json = serde_json::to_vec(attributes)?;
    replace(root, &sidecar(root, bucket, key, "metadata"), &json)
}

/// Removes an object; one that is not there is no error.
pub fn remove(root: &Path, bucket: &str, key: &str) -> io::Result<()> {
    for path in [
        root.join(bucket).join(key),
        sidecar(root, bucket, key, "metadata"),
        sidecar(root, bucket, key, "internal"),
    ] {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// A file name beside the buckets, where no key reaches, that nobody else uses.
fn draft(root: &Path) -> PathBuf {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    root.join(format!(".draft-{}-{number}", std::process::id()))
}

fn replace(root: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = draft(root);
    fs::write(&draft, bytes)?;
    fs::rename(&draft, path)
}

/// Where s3s-fs keeps what belongs to an object: `metadata`, and `internal` (ETag, checksums).
fn sidecar(root: &Path, bucket: &str, key: &str, kind: &str) -> PathBuf {
    let [bucket, key] = [bucket, key].map(|name| URL_SAFE_NO_PAD.encode(name));
    root.join(format!(".bucket-{bucket}.object-{key}.{kind}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let root = std::env::temp_dir().join(format!("demo-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).unwrap();
        root
    }

    #[test]
    fn a_reader_of_chunks_gets_the_log_that_the_test_leaves() {
        let root = folder("chunks");
        let run = root.join(LOGS).join(RUNNING);
        let mut test = RunningTest::new(&root).unwrap();
        let mut read = Vec::new();
        for _ in 0..40 {
            test.append().unwrap();
            let list = fs::read(run.join("log.chunks")).unwrap();
            let mut end = 0;
            for size in serde_json::from_slice::<Vec<usize>>(&list).unwrap() {
                let start = end;
                end += size;
                let chunk = fs::read(run.join(format!("log.{start}-{end}"))).unwrap();
                assert_eq!(chunk.len(), size);
                if end > read.len() {
                    let known = read.len() - start;
                    read.extend_from_slice(&chunk[known..]);
                }
            }
        }
        test.finish().unwrap();
        assert_eq!(fs::read(run.join("log")).unwrap(), read);
        let mut left: Vec<_> = fs::read_dir(&run)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["index.html", "log", "log.html"]);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn the_running_test_starts_over_instead_of_growing_for_ever() {
        let root = folder("over");
        let list = root.join(LOGS).join(RUNNING).join("log.chunks");
        let mut test = RunningTest::new(&root).unwrap();
        let first = fs::read(&list).unwrap();
        for _ in 0..TESTS {
            test.append().unwrap();
        }
        assert_eq!(fs::read(&list).unwrap(), first);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn an_image_is_named_by_its_hash_and_the_same_every_time() {
        let root = folder("image");
        let key = image(&root, "system", 1, 7).unwrap();
        let bytes = fs::read(root.join(IMAGES).join(&key)).unwrap();
        assert_eq!(key, format!("system-{:x}.qcow2", Sha256::digest(&bytes)));
        assert_eq!(image(&root, "system", 1, 7).unwrap(), key);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_replaced_file_has_another_etag_even_where_a_put_had_left_one() {
        let root = folder("etag");
        let name = Name {
            bucket: "b".to_owned(),
            key: "k".to_owned(),
        };
        let text = Attributes::of(TEXT);
        put(&root, "b", "k", b"one", &text).unwrap();
        let known = sidecar(&root, "b", "k", "internal");
        fs::write(&known, r#"{"e_tag":"from-a-put"}"#).unwrap();
        assert_eq!(Stored::open(&root, &name).unwrap().etag, "from-a-put");
        let past = SystemTime::now() - Duration::from_secs(60);
        File::options()
            .write(true)
            .open(&known)
            .unwrap()
            .set_modified(past)
            .unwrap();
        put(&root, "b", "k", b"two", &text).unwrap();
        assert_ne!(Stored::open(&root, &name).unwrap().etag, "from-a-put");
        remove(&root, "b", "k").unwrap();
        assert!(Stored::open(&root, &name).is_err());
        fs::remove_dir_all(root).unwrap();
    }
}
