//! The `clients` of a gateway file: their keys are read, and what each opens is checked.

#![allow(clippy::disallowed_methods, reason = "rank 5: reads the wall clock, to warn of what is over")]

use super::gateway::{ClientSettings, GatewayFile};
use super::{Files, read_file};
use crate::clock::Timestamp;
use crate::document::{Diagnostics, Spanned, check_name, unknown_word};
use crate::identity::signature::AccessKey;
use crate::identity::{BearerProof, Entry, Proof, Roster};
use crate::listener::ListenerSettings;
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
    let mut proofs: BTreeMap<String, String> = BTreeMap::new();
    for (number, Spanned { position, value: client }) in file.clients.iter().enumerate() {
        let name = &client.name;
        let next = file.clients.get(number + 1).map_or(usize::MAX, |next| next.position.line);
        let is_faulty = diagnostics.all().iter().any(|found| (position.line..next).contains(&found.position.line));
        check_name(&name.value, name.position, diagnostics);
        if entries.iter().any(|known| *known.name == *name.value) {
            diagnostics.error(name.position, format!("a second client named `{}`", name.value));
        }
        check(client, file, now, diagnostics);
        let Some(proof) = proof(client, is_faulty, directory, files, diagnostics) else { continue };
        let (known, position) = match (&proof, &client.key_file, &client.token) {
            (Proof::Key(key), Some(file), _) => (key.id().to_owned(), file.position),
            (_, _, Some(token)) => (token.value.to_string(), token.position),
            _ => (String::new(), name.position),
        };
        let other = proofs.insert(known.clone(), name.value.clone());
        if let Some(other) = other.filter(|_| !known.is_empty()) {
            let message = format!("this proves the client `{other}` already: one key or token is one client");
            diagnostics.error(position, message);
        }
        entries.push(Entry {
            name: name.value.as_str().into(),
            proof,
            sites: client.sites.0.iter().map(|site| site.value.clone()).collect(),
            paths: client.paths.iter().map(|path| path.value.clone()).collect(),
            not_before: client.not_before.map(|from| from.0),
            expires: client.expires.as_ref().map(|until| until.value.0),
            public: client.public,
        });
    }
    Roster::new(entries)
}

/// By what a client proves itself: exactly one thing. `is_faulty` says that something of it could not be read.
fn proof(
    client: &ClientSettings,
    is_faulty: bool,
    directory: &Path,
    files: &mut Files,
    diagnostics: &mut Diagnostics,
) -> Option<Proof> {
    let only_keys = |what: &str, diagnostics: &mut Diagnostics| {
        diagnostics.error(client.name.position, format!("`{what}` is for clients with a `key_file`"));
    };
    if client.key_file.is_none() && client.public {
        only_keys("public", diagnostics);
    }
    if client.key_file.is_none() && client.region.is_some() {
        only_keys("region", diagnostics);
    }
    let region = client.region.as_ref().map(|region| region.0.as_str());
    match (&client.key_file, &client.token, &client.oidc, &client.certificate) {
        (Some(file), None, None, None) => {
            let key = read_file(&directory.join(&file.value), files).and_then(|text| {
                let form = || format!("`{}` does not hold one line `ACCESS SECRET [TOKEN]`", file.value.display());
                AccessKey::parse(&text, region).ok_or_else(form)
            });
            key.map(Proof::Key).map_err(|message| diagnostics.error(file.position, message)).ok()
        }
        (None, Some(token), None, None) => Some(Proof::Bearer(BearerProof::Token(token.value))),
        (None, None, Some(oidc), None) => {
            oidc.value.check(oidc.position, diagnostics);
            Some(Proof::Bearer(BearerProof::Oidc(oidc.value.clone())))
        }
        (None, None, None, Some(certificate)) => {
            certificate.value.name(certificate.position, diagnostics).map(Proof::Certificate)
        }
        _ => {
            // What could not be read looks as if it were absent.
            if !is_faulty {
                let message =
                    "expected one of `key_file`, `token`, `oidc` and `certificate`: by what the client proves itself";
                diagnostics.error(client.name.position, message);
            }
            None
        }
    }
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
    let asks = |listener: &ListenerSettings| listener.tls.as_ref().is_some_and(|tls| tls.client_certificates.is_some());
    if let Some(certificate) = client.certificate.as_ref().filter(|_| !file.listeners.0.iter().any(asks)) {
        let message = "nobody can show one: no listener has `tls: {client_certificates: {authorities: FILE}}`";
        diagnostics.warn(certificate.position, message);
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
