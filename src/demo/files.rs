//! Objects as files: KEY in the folder BUCKET, and what S3 keeps beside the bytes in files of s3s-fs's.

use super::addressing::Name;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use s3s::dto::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a writer says of an object, in the file that s3s-fs writes for it on PUT.
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
pub(super) struct Stored {
    pub(super) file: File,
    pub(super) size: u64,
    /// Without quotes.
    pub(super) etag: String,
    /// In whole seconds.
    pub(super) modified: Timestamp,
    pub(super) attributes: Attributes,
    /// Of the whole object: algorithm and value.
    pub(super) checksums: Vec<(String, String)>,
}

impl Stored {
    /// Opens an object below `root`.
    pub(super) fn open(root: &Path, Name { bucket, key }: &Name) -> io::Result<Self> {
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
        let known: HashMap<String, String> = serde_json::from_slice(&fs::read(sidecar).ok()?).ok()?;
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

/// Whether a key can be a file below its bucket's folder, and only there.
pub(super) fn is_storable(key: &str) -> bool {
    // A folder's own name ends in a slash.
    let key = key.strip_suffix('/').unwrap_or(key);
    !key.contains('\0') && key.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// Writes an object so that no reader ever sees half of it, its attributes first.
pub fn put(root: &Path, bucket: &str, key: &str, bytes: &[u8], attributes: &Attributes) -> io::Result<()> {
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
    let beside = |kind| sidecar(root, bucket, key, kind);
    for path in [root.join(bucket).join(key), beside("metadata"), beside("internal")] {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Writes a draft beside the buckets, where no key reaches, and moves it into place.
fn replace(root: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let draft = root.join(format!(".draft-{}-{number}", std::process::id()));
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

    #[test]
    fn a_replaced_file_has_another_etag_even_where_a_put_had_left_one() {
        let root = std::env::temp_dir().join(format!("demo-etag-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).unwrap();
        let name = Name { bucket: "b".to_owned(), key: "k".to_owned() };
        let text = Attributes::of("text/plain");
        put(&root, "b", "k", b"one", &text).unwrap();
        let known = sidecar(&root, "b", "k", "internal");
        fs::write(&known, r#"{"e_tag":"from-a-put"}"#).unwrap();
        assert_eq!(Stored::open(&root, &name).unwrap().etag, "from-a-put");
        let past = SystemTime::now() - Duration::from_secs(60);
        File::options().write(true).open(&known).unwrap().set_modified(past).unwrap();
        put(&root, "b", "k", b"two", &text).unwrap();
        assert_ne!(Stored::open(&root, &name).unwrap().etag, "from-a-put");
        remove(&root, "b", "k").unwrap();
        assert!(Stored::open(&root, &name).is_err());
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_key_stays_in_its_bucket() {
        for key in ["k", "a/k", "a/", "...", "a b"] {
            assert!(is_storable(key), "{key}");
        }
        for key in ["../b/k", "a/../../k", "./k", "a//k", "/k", "..", "", "a\0"] {
            assert!(!is_storable(key), "{key}");
        }
    }
}
