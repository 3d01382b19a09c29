//! The passes that were bought, kept between runs: one file per server and site, which only the user may read.

#![allow(clippy::disallowed_methods, reason = "rank 5: the user's cache directory")]

use crate::clock::Timestamp;
use crate::files::{PRIVATE, replace};
use http::HeaderMap;
use http::header::SET_COOKIE;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Passes of one server beyond these are not kept: it has as many sites at most.
const MOST: usize = 16;
/// Our passes are a tenth as long.
const LONGEST: usize = 4096;
/// A pass is kept for no longer, whatever the server says.
const OLDEST: u64 = 30 * 24 * 3600;
/// What passes are called before the name of their site. The gateway puts `__Host-` before it where it speaks TLS.
const PREFIX: &str = "windscreen-";

/// One pass. No `Debug`: a pass is a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Pass {
    server: String,
    name: String,
    value: String,
    /// In milliseconds since the epoch.
    expires: u64,
}

#[derive(Default)]
struct Known {
    passes: BTreeMap<String, Pass>,
    generation: u64,
}

/// All passes that a run knows.
pub struct Jar {
    folder: Option<PathBuf>,
    servers: Mutex<HashMap<String, Known>>,
}

impl Jar {
    /// Passes in `folder`, which need not be there yet; only for this run where there is none.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Jar { folder, servers: Mutex::default() }
    }

    /// The Cookie header for a server, and a number that changes with its passes.
    pub(super) fn cookies(&self, server: &str, now: Timestamp) -> (Option<String>, u64) {
        let mut servers = self.known(server, now);
        let known = servers.entry(server.to_owned()).or_default();
        let pairs: Vec<String> = known.passes.values().map(|pass| format!("{}={}", pass.name, pass.value)).collect();
        (Some(pairs.join("; ")).filter(|pairs| !pairs.is_empty()), known.generation)
    }

    /// Keeps the passes that an answer of `server` sets.
    ///
    /// # Errors
    /// When they cannot be written: they last for this run then.
    pub(super) fn keep(&self, server: &str, headers: &HeaderMap, now: Timestamp) -> Result<(), String> {
        let set = headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
        let passes: Vec<Pass> = set.filter_map(|cookie| read(server, cookie, now)).collect();
        if passes.is_empty() {
            return Ok(());
        }
        let mut servers = self.known(server, now);
        let known = servers.entry(server.to_owned()).or_default();
        let mut written = Ok(());
        for pass in passes {
            if known.passes.len() >= MOST && !known.passes.contains_key(&pass.name) {
                continue;
            }
            known.generation += 1;
            if let Some(path) = self.path(server, &pass.name) {
                written = written.and(write(&path, &pass).map_err(|error| {
                    format!("the pass cannot be kept in `{}`: {error}; the next run needs another", path.display())
                }));
            }
            known.passes.insert(pass.name.clone(), pass);
        }
        written
    }

    /// Drops the passes for a site, which were refused.
    pub(super) fn forget(&self, server: &str, site: &str, now: Timestamp) {
        let mut servers = self.known(server, now);
        let known = servers.entry(server.to_owned()).or_default();
        for prefix in ["", "__Host-"] {
            let name = format!("{prefix}{PREFIX}{site}");
            if known.passes.remove(&name).is_some()
                && let Some(path) = self.path(server, &name)
            {
                // Gone already, or written by another run: that run knows better.
                let _ = fs::remove_file(path);
            }
        }
    }

    /// What is known, after what former runs left for `server` was read.
    fn known(&self, server: &str, now: Timestamp) -> MutexGuard<'_, HashMap<String, Known>> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = servers.entry(server.to_owned()).or_insert_with(|| Known {
            passes: self.folder.as_deref().map_or_else(BTreeMap::new, |folder| load(folder, server, now)),
            generation: 0,
        });
        known.passes.retain(|_, pass| pass.expires > now.0);
        servers
    }

    fn path(&self, server: &str, name: &str) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(format!("{}_{name}.json", slug(server))))
    }
}

/// A server as the beginning of a file's name.
fn slug(server: &str) -> String {
    let server = server.replace("://", "_");
    server.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '_' }).collect()
}

/// Whether this is what passes are called.
fn is_pass(name: &str) -> bool {
    let site = name.strip_prefix("__Host-").unwrap_or(name).strip_prefix(PREFIX);
    let legal = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    site.is_some_and(|site| (1..=100).contains(&site.len()) && site.chars().all(legal))
}

/// A pass from a Set-Cookie header (RFC 6265, section 4.1.1).
fn read(server: &str, cookie: &str, now: Timestamp) -> Option<Pass> {
    let mut parts = cookie.split(';').map(str::trim);
    let (name, value) = parts.next()?.split_once('=')?;
    let legal = |byte: u8| byte.is_ascii_graphic() && !b"\";,\\".contains(&byte);
    if !is_pass(name) || value.is_empty() || value.len() > LONGEST || !value.bytes().all(legal) {
        return None;
    }
    let age = parts.find_map(|part| {
        let (key, seconds) = part.split_once('=')?;
        key.eq_ignore_ascii_case("max-age").then(|| seconds.parse::<u64>().ok()).flatten()
    });
    let life = Duration::from_secs(age.unwrap_or(3600).min(OLDEST));
    Some(Pass { server: server.to_owned(), name: name.to_owned(), value: value.to_owned(), expires: (now + life).0 })
}

/// What former runs left for `server`. What cannot be read is none of ours.
fn load(folder: &Path, server: &str, now: Timestamp) -> BTreeMap<String, Pass> {
    let prefix = format!("{}_", slug(server));
    let mut passes = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if !entry.file_name().to_str().is_some_and(|name| name.starts_with(&prefix) && name.ends_with(".json")) {
            continue;
        }
        let pass = fs::read(entry.path()).ok().and_then(|text| serde_json::from_slice::<Pass>(&text).ok());
        let Some(pass) = pass.filter(|pass| pass.server == server && is_pass(&pass.name)) else { continue };
        if pass.expires <= now.0 {
            let _ = fs::remove_file(entry.path());
        } else if passes.len() < MOST {
            passes.insert(pass.name.clone(), pass);
        }
    }
    passes
}

/// Writes a pass so that nobody else can read it, and that no run finds half of it.
fn write(path: &Path, pass: &Pass) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    replace(path, serde_json::to_string(pass)?.as_bytes(), PRIVATE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const NOW: Timestamp = Timestamp(1_000_000_000);

    fn setting(cookies: &[&str]) -> HeaderMap {
        cookies.iter().map(|cookie| (SET_COOKIE, cookie.parse().unwrap())).collect()
    }

    #[test]
    fn passes_outlive_the_run_for_their_server_alone() {
        let folder = tempfile::TempDir::new().unwrap();
        let inner = folder.path().join("a/b");
        let jar = Jar::new(Some(inner.clone()));
        let pass = "windscreen-logs=p1~x; Path=/; Max-Age=60; HttpOnly";
        jar.keep("https://h", &setting(&[pass, "session=1", "windscreen-=x", "windscreen-a/b=x"]), NOW).unwrap();
        assert_eq!(jar.cookies("https://h", NOW).0.as_deref(), Some("windscreen-logs=p1~x"));
        let next = Jar::new(Some(inner.clone()));
        for (server, cookie) in [
            ("https://h", Some("windscreen-logs=p1~x")),
            ("http://h", None),
            ("https://h:8443", None),
            ("https://h.example.org", None),
        ] {
            assert_eq!(next.cookies(server, NOW).0.as_deref(), cookie, "{server}");
        }
        let files: Vec<_> = fs::read_dir(&inner).unwrap().map(|entry| entry.unwrap()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        assert_eq!(files[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&inner).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(Jar::new(Some(inner.clone())).cookies("https://h", NOW + Duration::from_secs(60)).0, None);
        assert_eq!(fs::read_dir(&inner).unwrap().count(), 0, "what has expired is removed");
    }

    #[test]
    fn a_refused_pass_is_dropped() {
        let folder = tempfile::TempDir::new().unwrap();
        let jar = Jar::new(Some(folder.path().to_owned()));
        jar.keep("https://h", &setting(&["__Host-windscreen-logs=1", "windscreen-images=2"]), NOW).unwrap();
        let (_, before) = jar.cookies("https://h", NOW);
        jar.forget("https://h", "logs", NOW);
        for jar in [&jar, &Jar::new(Some(folder.path().to_owned()))] {
            assert_eq!(jar.cookies("https://h", NOW).0.as_deref(), Some("windscreen-images=2"));
        }
        assert_eq!(jar.cookies("https://h", NOW).1, before, "only new passes are a reason to ask again");
        jar.keep("https://h", &setting(&["__Host-windscreen-logs=3"]), NOW).unwrap();
        assert_ne!(jar.cookies("https://h", NOW).1, before);
    }

    #[test]
    fn a_folder_that_cannot_be_written_costs_only_the_next_run() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let jar = Jar::new(Some(file.path().join("passes")));
        assert!(jar.keep("https://h", &setting(&["windscreen-logs=1"]), NOW).is_err());
        assert_eq!(jar.cookies("https://h", NOW).0.as_deref(), Some("windscreen-logs=1"));
    }

    #[test]
    fn a_server_cannot_fill_the_folder() {
        let folder = tempfile::TempDir::new().unwrap();
        let jar = Jar::new(Some(folder.path().to_owned()));
        let cookies: Vec<String> = (0..100).map(|n| format!("windscreen-{n}=x")).collect();
        jar.keep("https://h", &setting(&cookies.iter().map(String::as_str).collect::<Vec<_>>()), NOW).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), MOST);
    }
}
