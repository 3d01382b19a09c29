//! What the demo's buckets hold: test runs with their logs, machine images, and one running test.
//!
//! Nothing here depends on the hour: the same build writes the same bytes and names.

pub use super::files::{Attributes, describe, put, remove};
pub use super::test_run::RunningTest;

use super::test_run::{LOGS, RUNNING, TEXT, put_pages};
use flate2::Compression;
use flate2::write::GzEncoder;
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use sha2::{Digest, Sha256};
use std::io::{self, Write};
use std::path::Path;

const IMAGES: &str = "images";
const FINISHED: &str = "pull-1234-fedora-42/";

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
        ("TestLogin-testBasic.png", screenshot, Attributes::of("image/png")),
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

/// Writes an image of pseudo-random bytes, which do not compress, and gives its key.
fn image(root: &Path, system: &str, mebibytes: usize, seed: u64) -> io::Result<String> {
    let mut bytes = vec![0; mebibytes << 20];
    StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    let key = format!("{system}-{:x}.qcow2", Sha256::digest(&bytes));
    put(root, IMAGES, &key, &bytes, &Attributes::of("application/octet-stream"))?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn an_image_is_named_by_its_hash_and_the_same_every_time() {
        let root = std::env::temp_dir().join(format!("demo-image-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).unwrap();
        let key = image(&root, "system", 1, 7).unwrap();
        let bytes = fs::read(root.join(IMAGES).join(&key)).unwrap();
        assert_eq!(bytes.len(), 1 << 20);
        assert_eq!(key, format!("system-{:x}.qcow2", Sha256::digest(&bytes)));
        assert_eq!(image(&root, "system", 1, 7).unwrap(), key);
        fs::remove_dir_all(root).unwrap();
    }
}
