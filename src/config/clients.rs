//! The `clients` of a gateway file: their keys are read, and what each opens is checked.

#![allow(clippy::disallowed_methods, reason = "rank 5: reads the wall clock, to warn of what is over")]

use super::gateway::{ClientSettings, GatewayFile};
use super::{Files, read_file};
use crate::clock::Timestamp;
use crate::document::{Diagnostics, Spanned, check_name, unknown_word};
use crate::identity::signature::AccessKey;
use crate::identity::{Entry, Proof, Roster};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

/// Reads the keys of all clients. What is wrong is in `diagnostics`.
pub(super) fn read_clients(
    file: &GatewayFile,
    directory: &Path,
    files: &mut Files,
    diagnostics: &mut Diagnostics,
) -> Roster {
    let now = Timestamp::from(SystemTime::now());
    let mut entries: Vec<Entry> = Vec::new();
    let mut keys: BTreeMap<String, String> = BTreeMap::new();
    for Spanned { value: client, .. } in &file.clients {
        let name = &client.name;
        check_name(&name.value, name.position, diagnostics);
        if entries.iter().any(|known| *known.name == *name.value) {
            diagnostics.error(name.position, format!("a second client named `{}`", name.value));
        }
        check(client, file, now, diagnostics);
        let position = client.key_file.position;
        let region = client.region.as_ref().map(|region| region.0.as_str());
        let key = match read_file(&directory.join(&client.key_file.value), files) {
            Ok(text) => AccessKey::parse(&text, region).ok_or_else(|| {
                format!("`{}` does not hold one line `ACCESS SECRET [TOKEN]`", client.key_file.value.display())
            }),
            Err(message) => Err(message),
        };
        let key = match key {
            Ok(key) => key,
            Err(message) => {
                diagnostics.error(position, message);
                continue;
            }
        };
        if let Some(other) = keys.insert(key.id().to_owned(), name.value.clone()) {
            let message = format!("the access key is that of the client `{other}`: one key is one client");
            diagnostics.error(position, message);
        }
        entries.push(Entry {
            name: name.value.as_str().into(),
            proof: Proof::Key(key),
            sites: client.sites.0.iter().map(|site| site.value.clone()).collect(),
            paths: client.paths.iter().map(|path| path.value.clone()).collect(),
            not_before: client.not_before.map(|from| from.0),
            expires: client.expires.as_ref().map(|until| until.value.0),
            public: client.public,
        });
    }
    Roster::new(entries)
}

fn check(client: &ClientSettings, file: &GatewayFile, now: Timestamp, diagnostics: &mut Diagnostics) {
    let known = || file.sites.value.0.iter().map(|(name, _)| name.as_str());
    for site in &client.sites.0 {
        if !known().any(|name| name == site.value) && !diagnostics.is_broken(&site.value) {
            let known: Vec<&str> = known().collect();
            diagnostics.error(site.position, unknown_word("site", &site.value, known.into_iter()));
        }
    }
    for path in client.paths.iter().filter(|path| !path.value.starts_with('/')) {
        diagnostics.error(path.position, format!("a path begins with `/`, did you mean `/{}`?", path.value));
    }
    if let Some(expires) = &client.expires {
        if client.not_before.is_some_and(|from| from.0 >= expires.value.0) {
            diagnostics.error(expires.position, "`expires` is not after `not_before`: nobody is ever accepted");
        } else if expires.value.0 <= now {
            let message = format!("the client `{}` is not accepted any more: it has expired", client.name.value);
            diagnostics.warn(expires.position, message);
        }
    }
}
