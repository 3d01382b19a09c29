//! What this machine brings: certificates, keys, folders to write to, descriptors, and whom listeners believe.

#![allow(clippy::disallowed_methods, reason = "rank 6: looks at files")]

use super::finding::Finding;
use crate::clock::Timestamp;
use crate::config::Config;
use crate::ledger::Ledger;
use crate::listener::ListenerSettings;
use crate::network::Cidr;
use ipnet::IpNet;
use rustix::fs::statvfs;
use rustix::process::{Resource, getrlimit};
use std::fs::{OpenOptions, remove_file};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Certificates that end sooner are told of: Let's Encrypt renews 30 days before.
const SOON: Duration = Duration::from_secs(14 * 86_400);
/// A ledger may grow to a gigabyte if nothing else is said.
const ROOM: u64 = 1_000_000_000;
/// Files, listeners and what else a gateway has open besides connections.
const OTHERS: u64 = 100;

/// Looks at all of it.
pub(super) fn examine(config: &Config, now: Timestamp) -> Vec<Finding> {
    let file = &config.file;
    let mut found = vec![pass_keys(file.pass_keys.as_ref().map(|keys| keys.dir.value.as_path()))];
    for (path, certificate) in config.certificates.iter().flatten() {
        found.push(of_certificate(path, certificate.expires, now));
    }
    found.extend(file.listeners.0.iter().flat_map(believed));
    if let Some(counters) = &file.counters {
        found.push(written("counters", &counters.value.file.value));
    }
    if let Some(decisions) = &file.decisions {
        found.push(written("decisions", &decisions.value.file.value));
    }
    if let Some(ledger) = &file.ledger {
        let path = &ledger.value.path.value;
        found.push(written("ledger", path));
        found.extend([room(path), readable(path, now)].into_iter().flatten());
    }
    let limit = getrlimit(Resource::Nofile).maximum;
    found.push(descriptors(file.connections.most.get().into(), limit));
    found
}

fn pass_keys(folder: Option<&Path>) -> Finding {
    if let Some(folder) = folder {
        return Finding::ok("pass_keys", folder.display().to_string(), "passes outlive the process");
    }
    let message = "there are none: passes end with the process, and hold on no other replica";
    let advice = "`windscreen keygen --dir pass-keys`, and `pass_keys: {dir: pass-keys}` in the gateway file";
    Finding::warning("pass_keys", "gateway file", message, advice)
}

/// `expires` is in seconds since 1970.
fn of_certificate(path: &str, expires: i64, now: Timestamp) -> Finding {
    let expires = Timestamp(u64::try_from(expires).unwrap_or_default().saturating_mul(1000));
    let advice = "renew it, and see why that did not happen by itself; the gateway takes the new one while it runs";
    if expires <= now {
        return Finding::bad("certificate", path, &format!("it has been expired since {expires}"), advice);
    }
    let left = expires.since(now);
    let message = format!("it expires in {} days, at {expires}", left.as_secs() / 86_400);
    match left < SOON {
        true => Finding::warning("certificate", path, &message, advice),
        false => Finding::ok("certificate", path, &message),
    }
}

/// Whether a listener believes more than proxies.
fn believed(listener: &ListenerSettings) -> Vec<Finding> {
    let address = listener.address.to_string();
    let advice = "list the addresses of your proxies alone: whoever is listed can say to be any client";
    let found = listener.trusted_proxies.iter().filter_map(|proxy| {
        let Cidr(network) = proxy.value;
        let widest = match network {
            IpNet::V4(_) => 8,
            IpNet::V6(_) => 16,
        };
        let about = |what: &str| format!("`{network}` of `trusted_proxies` {what}");
        match network.prefix_len() {
            0 => Some(Finding::bad("proxies", &*address, &about("is everybody"), advice)),
            length if length < widest => Some(Finding::warning("proxies", &*address, &about("is very wide"), advice)),
            _ => None,
        }
    });
    let found: Vec<Finding> = found.collect();
    match (found.is_empty(), listener.trusted_proxies.is_empty()) {
        (false, _) => found,
        (true, true) => vec![Finding::ok("proxies", address, "nobody else says who a client is")],
        (true, false) => {
            let listed: Vec<_> = listener.trusted_proxies.iter().map(|proxy| proxy.value.0.to_string()).collect();
            vec![Finding::ok("proxies", address, &format!("these say who a client is: {}", listed.join(", ")))]
        }
    }
}

/// The folder that a file is in.
fn folder(file: &Path) -> &Path {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes an empty file in a folder, and removes it: nothing else tells of read-only and full file systems, too.
fn try_to_write(folder: &Path) -> io::Result<()> {
    let path = folder.join(format!(".windscreen-doctor-{:016x}", rand::random::<u64>()));
    OpenOptions::new().write(true).create_new(true).open(&path)?;
    remove_file(&path)
}

/// Whether `file` can be written, and what takes its place or lies beside it.
fn written(check: &'static str, file: &Path) -> Finding {
    let existing = || if file.exists() { OpenOptions::new().write(true).open(file).map(drop) } else { Ok(()) };
    let subject = file.display().to_string();
    match try_to_write(folder(file)).and_then(|()| existing()) {
        Ok(()) => Finding::ok(check, subject, "it can be written"),
        Err(error) => {
            let advice = format!(
                "let the user that the gateway runs as write to it and to `{}` (systemd: `StateDirectory=`), or name another \
                 file as `{check}`",
                folder(file).display()
            );
            Finding::bad(check, subject, &format!("it cannot be written: {error}"), &advice)
        }
    }
}

/// How much room there is for a ledger; nothing where the system does not say.
fn room(file: &Path) -> Option<Finding> {
    let system = statvfs(folder(file)).ok()?;
    Some(of_room(file, system.f_bavail.saturating_mul(system.f_frsize)))
}

fn of_room(file: &Path, free: u64) -> Finding {
    let message = format!("{} MB are free beside it", free / 1_000_000);
    let subject = file.display().to_string();
    match free > ROOM {
        true => Finding::ok("ledger", subject, &message),
        false => {
            let advice = "make room, or lower `max_size` of `ledger`: it may grow to 1 GB where nothing else is said";
            Finding::warning("ledger", subject, &message, advice)
        }
    }
}

/// Whether the ledger can be read; nothing where there is none yet.
fn readable(file: &Path, now: Timestamp) -> Option<Finding> {
    if !file.exists() {
        return None;
    }
    let subject = file.display().to_string();
    Some(match Ledger::read(file, now, Timestamp(u64::MAX)) {
        Ok(_) => Finding::ok("ledger", subject, "it can be read"),
        Err(error) => {
            let aside = PathBuf::from(file).with_extension("damaged");
            let advice = format!("move it away (to `{}`, say): the gateway begins a new one", aside.display());
            Finding::bad("ledger", subject, &format!("it cannot be read: {error}"), &advice)
        }
    })
}

/// Whether as many connections can be open as the gateway file allows. `limit` is the most files, `None` for any number.
fn descriptors(most: u64, limit: Option<u64>) -> Finding {
    let needed = most.saturating_mul(2).saturating_add(OTHERS);
    let Some(limit) = limit.filter(|limit| *limit < needed) else {
        return Finding::ok("descriptors", "connections.most", &format!("{most} connections can be open"));
    };
    let message = format!(
        "{most} connections take {needed} files, as each has another one to an origin, and {limit} may be open here"
    );
    let advice = format!("raise the limit (systemd: `LimitNOFILE={needed}`), or lower `connections.most`");
    Finding::warning("descriptors", "connections.most", &message, &advice)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn certificates_are_told_of_before_they_expire() {
        let day = 86_400;
        for (expires, verdict) in [
            (100 * day, Verdict::Ok),
            (14 * day + 1, Verdict::Ok),
            (14 * day - 1, Verdict::Warning),
            (1, Verdict::Warning),
            (0, Verdict::Bad),
            (-day, Verdict::Bad),
        ] {
            let now = 1_000 * day;
            let found = of_certificate("a.pem", now + expires, Timestamp(u64::try_from(now).unwrap() * 1000));
            assert_eq!(found.verdict, verdict, "{expires}");
        }
    }

    #[test]
    fn descriptors_are_enough_or_not() {
        for (most, limit, verdict) in [
            (20_000, None, Verdict::Ok),
            (20_000, Some(40_100), Verdict::Ok),
            (20_000, Some(40_099), Verdict::Warning),
            (400, Some(1_024), Verdict::Ok),
        ] {
            assert_eq!(descriptors(most, limit).verdict, verdict, "{most} {limit:?}");
        }
        assert!(descriptors(1_000, Some(1_024)).advice.unwrap().contains("LimitNOFILE=2100"));
    }

    #[test]
    fn what_cannot_be_written_is_bad() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        assert_eq!(written("ledger", &file).verdict, Verdict::Ok);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "nothing is left behind");
        std::fs::write(&file, "").unwrap();
        assert_eq!(written("ledger", &file).verdict, Verdict::Ok);
        // For root all folders can be written, but no file is a folder.
        let found = written("ledger", &file.join("ledger.db"));
        assert_eq!(found.verdict, Verdict::Bad);
        assert!(found.advice.unwrap().contains("StateDirectory="));
    }

    #[test]
    fn a_ledger_needs_room_and_must_be_one() {
        for (free, verdict) in [(ROOM, Verdict::Warning), (ROOM + 1, Verdict::Ok), (0, Verdict::Warning)] {
            assert_eq!(of_room(Path::new("ledger.db"), free).verdict, verdict, "{free}");
        }
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ledger.db");
        assert!(readable(&file, Timestamp(0)).is_none());
        std::fs::write(&file, "no database".repeat(1_000)).unwrap();
        assert_eq!(readable(&file, Timestamp(0)).unwrap().verdict, Verdict::Bad);
    }
}
