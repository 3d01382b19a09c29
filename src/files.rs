//! Files that are replaced as a whole.

#![allow(clippy::disallowed_methods, reason = "the one place that writes files so, for all above it")]

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Of files that only their owner may read.
pub const PRIVATE: u32 = 0o600;
/// Of files that all may read, where the process's umask lets them.
pub const PUBLIC: u32 = 0o666;

/// Replaces the file at `path`, whose directory must exist. Whoever reads meanwhile finds the old or the new one, and so
/// does who comes after a crash. Others may do the same at the same time: the last one wins.
///
/// # Errors
/// When it cannot be written: the old one is left then.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    // Beside it, so that it can take its place at once.
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{:016x}.new", rand::random::<u64>()));
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        fs::rename(&beside, path)
    };
    write().inspect_err(|_| drop(fs::remove_file(&beside)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_file_is_replaced_as_a_whole_or_left() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("file");
        for (text, mode) in [("first", PRIVATE), ("second", PUBLIC)] {
            replace(&path, text.as_bytes(), mode).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            let found = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(found & !mode, 0, "{found:o}");
        }
        let place = folder.path().join("taken");
        fs::create_dir(&place).unwrap();
        fs::write(place.join("x"), "").unwrap();
        assert!(replace(&place, b"text", PRIVATE).is_err(), "a directory cannot be replaced");
        assert!(replace(&folder.path().join("missing/file"), b"text", PRIVATE).is_err());
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "nothing lies about: {left:?}");
    }
}
