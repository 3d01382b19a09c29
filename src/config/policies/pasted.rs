//! A policy that somebody pasted, to be tried beside the one in force. It has no imports, files or feeds, so it reads
//! nothing.
//!
//! What it does not define is that of the policy in force, with what feeds have brought there: so the text of a real
//! policy can be tried once its imports and feeds are left out.

use super::{Loader, read_as};
use crate::config::kind::FileKind;
use crate::config::source::Source;
use crate::config::{Files, LoadedPolicy, PolicyFile};
use crate::document::{Diagnostics, Position, Spanned};
use crate::limit::LimitSettings;
use crate::network::Blocks;
use crate::policy::{Deployment, NetworkParts, UserAgentListSettings};
use std::path::PathBuf;

/// What a message calls the text.
const NAME: &str = "pasted policy";

/// What the policy in force defines, and the deployment.
#[derive(Debug, Clone)]
pub struct Known {
    /// Its networks, by name.
    pub networks: Vec<(String, NetworkParts)>,
    /// Its lists of User-Agents.
    pub lists: Vec<(String, UserAgentListSettings)>,
    /// Its limits.
    pub limits: Vec<(String, LimitSettings)>,
    /// What the deployment brings.
    pub deployment: Deployment,
}

/// Compiles `text`. `None` where something is wrong with it, which then is in `diagnostics`. No file is read.
pub fn load_pasted(text: &str, known: Known, diagnostics: &mut Diagnostics) -> Option<LoadedPolicy> {
    let outer = diagnostics.enter(NAME);
    let loaded =
        read_as(FileKind::Policy, text, diagnostics).and_then(|file| put_together(text, file, known, diagnostics));
    diagnostics.enter(outer);
    loaded
}

fn put_together(text: &str, file: PolicyFile, known: Known, diagnostics: &mut Diagnostics) -> Option<LoadedPolicy> {
    let mut file = forbid(file, diagnostics)?;
    let mut files = Files::default();
    let Known { networks, lists, limits, deployment } = known;
    let mut loader = Loader::new(Some(deployment), &mut files, diagnostics);
    // A network that is left empty is one that the deployment fills in.
    let missing = |name: &str| networks.iter().any(|(known, _)| known == name);
    file.networks.0.retain(|(name, blocks)| !(blocks.value.is_empty() && missing(name)));
    let here = Position::default();
    for (name, parts) in networks {
        if !file.networks.0.iter().any(|(own, _)| *own == name) && loader.define("network", &name, here, true) {
            loader.names.add_network(&name, parts);
        }
    }
    for (name, list) in lists {
        if !file.lists.0.iter().any(|(own, _)| *own == name) && loader.define("list", &name, here, true) {
            loader.names.add_list(&name, list);
        }
    }
    for (name, limit) in limits {
        if !file.limits.0.iter().any(|(own, _)| *own == name) && loader.define("limit", &name, here, true) {
            loader.names.add_limit(&name);
            loader.limits.push((name, limit));
        }
    }
    let source = Source { name: NAME.into(), identity: PathBuf::new(), directory: None, text: text.to_owned() };
    loader.finish(&source, file, None)
}

/// Refuses whatever is not in the text itself.
fn forbid(file: PolicyFile, diagnostics: &mut Diagnostics) -> Option<PolicyFile> {
    for Spanned { position, value } in &file.import {
        let message = format!(
            "`{value}` is not imported: nothing is read here. Leave `import` out; the lists, networks and limits of the \
             policy in force are known, and rules can be copied"
        );
        diagnostics.error(*position, message);
    }
    for (name, blocks) in &file.networks.0 {
        for Spanned { position, value } in &blocks.value {
            let what = match value {
                Blocks::Cidr(_) => continue,
                Blocks::File(_) => "no file is read here",
                Blocks::Feed(_) => "no feed or URL is fetched here",
            };
            let instead = "is that of the policy in force, with what its feeds have brought";
            diagnostics.error(*position, format!("{what}: leave `{name}` out, and it {instead}; or write its blocks"));
        }
    }
    (diagnostics.error_count() == 0).then_some(file)
}
