//! `windscreen keygen`.

#![allow(clippy::disallowed_methods, reason = "rank 6: writes a key file, reads the wall clock")]

use crate::challenge::SigningKeys;
use crate::clock::Timestamp;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::SystemTime;

/// Prints a new key that signs passes, or writes it to a new file in `directory`.
pub(super) fn keygen(directory: Option<&Path>) -> Result<u8, String> {
    let key = SigningKeys::print(&rand::random());
    let Some(directory) = directory else {
        println!("{key}");
        return Ok(0);
    };
    // Without colons, which some tools take for the name of a host.
    let name = Timestamp::from(SystemTime::now()).to_string().replace(':', "");
    if let Some(later) = sorted_last(directory)?.filter(|last| *last > name) {
        let message = format!(
            "`{}` would go on signing, since its name comes after `{name}`: give it a name that sorts before",
            directory.join(later).display()
        );
        return Err(message);
    }
    let path = directory.join(name);
    let unwritable = |error| format!("cannot write `{}`: {error}", path.display());
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(unwritable)?;
    let written = writeln!(file, "{key}").and_then(|()| file.sync_all());
    // Half a key keeps a gateway from starting.
    written.inspect_err(|_| drop(std::fs::remove_file(&path))).map_err(unwritable)?;
    println!(
        "a gateway that reads `{}` signs with it within seconds; keep the other keys until their passes have expired. \
         Of several replicas each must know it before one signs with it: bring it to all of them under a name that sorts \
         first, and rename it then",
        path.display()
    );
    Ok(0)
}

/// The name in `directory` that comes last, of those that are keys to a gateway.
fn sorted_last(directory: &Path) -> Result<Option<String>, String> {
    let unreadable = |error| format!("cannot read `{}`: {error}", directory.display());
    let mut last = None;
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && entry.path().is_file() {
            last = last.max(Some(name));
        }
    }
    Ok(last)
}
