//! Loads a policy with everything that it imports, and the networks that a deployment puts in.

#![allow(clippy::disallowed_methods, reason = "rank 5: reads configuration files")]

mod pasted;

pub use pasted::{Known, load_pasted};

use super::gateway::{Named, PolicyReference};
use super::kind::{FileKind, read_as};
use super::loaded::LoadedPolicy;
use super::passes::{pass_limits_of, solves};
use super::policy::{BUILT_IN, ImportedFile, PolicyFile};
use super::source::Source;
use super::{Config, Files, read_file};
use crate::document::{Decode, Diagnostics, Node, Position, Spanned, read, unknown_word};
use crate::limit::{LimitSettings, Over};
use crate::network::{Blocks, Feed, parse_list};
use crate::policy::{
    BUILT_IN_FILE, Deployment, Fragment, Names, NetworkId, NetworkParts, Policy, Rule, RuleSettings,
    UserAgentListSettings,
};
use crate::verdict::Mode;
use std::path::{Path, PathBuf};

type NetworkEntries = Named<Spanned<Vec<Spanned<Blocks>>>>;

/// The rules of one file.
struct Part {
    file: String,
    classes: Vec<Node>,
    rules: Vec<Spanned<RuleSettings>>,
    thresholds: Vec<Spanned<RuleSettings>>,
}

/// Reads files into one policy.
struct Loader<'l> {
    names: Names,
    parts: Vec<Part>,
    limits: Vec<(String, LimitSettings)>,
    feeds: Vec<(NetworkId, usize, Feed)>,
    /// Names that are defined: what, name, where, and whether an imported file did so.
    defined: Vec<(&'static str, String, String, Position, bool)>,
    /// Files that have been read.
    seen: Vec<PathBuf>,
    /// The files whose imports are being followed, with their names.
    open: Vec<(PathBuf, String)>,
    overrides: Vec<(String, Spanned<Vec<Spanned<Blocks>>>)>,
    overrides_source: Option<(String, PathBuf)>,
    files: &'l mut Files,
    diagnostics: &'l mut Diagnostics,
}

impl<'l> Loader<'l> {
    fn new(deployment: Option<Deployment>, files: &'l mut Files, diagnostics: &'l mut Diagnostics) -> Self {
        let (parts, limits, feeds, defined, seen, open, overrides) = Default::default();
        let (names, overrides_source) = (Names::new(deployment), None);
        Loader { names, parts, limits, feeds, defined, seen, open, overrides, overrides_source, files, diagnostics }
    }

    /// The policy of `file`, whose mode `mode` overrides.
    fn finish(mut self, source: &Source, file: PolicyFile, mode: Option<Mode>) -> Option<LoadedPolicy> {
        self.imports(source, &file.import);
        self.names(source, file.networks, file.lists, file.limits, false);
        file.decision.check(self.diagnostics);
        file.auto.iter().for_each(|auto| auto.check(self.diagnostics));
        file.sample.iter().for_each(|sample| sample.value.check(self.diagnostics));
        for (name, difficulty) in &file.challenge.tiers.0 {
            self.names.add_tier(name, *difficulty);
        }
        for (name, blocks) in std::mem::take(&mut self.overrides) {
            let known = self.defined.iter().filter(|known| known.0 == "network").map(|known| known.1.as_str());
            let message = match Names::is_built_in(&name) {
                true => format!("`{name}` is built in: it cannot be changed"),
                false => format!("{} (of the policy)", unknown_word("network", &name, known)),
            };
            let overriding = self.overrides_source.as_ref().map_or("", |(name, _)| name.as_str());
            let policy = self.diagnostics.enter(overriding);
            self.diagnostics.error(blocks.position, message);
            self.diagnostics.enter(policy);
        }
        self.parts.push(Part {
            file: source.name.clone(),
            classes: file.classes,
            rules: file.rules,
            thresholds: file.thresholds,
        });
        let fragments: Vec<Fragment<'_>> = self
            .parts
            .iter()
            .map(|part| Fragment {
                file: &part.file,
                classes: &part.classes,
                rules: &part.rules,
                thresholds: &part.thresholds,
            })
            .collect();
        let mode = mode.unwrap_or(file.mode);
        let mut policy = Policy::compile(mode, &fragments, &file.default, &self.names, self.diagnostics);
        if let Some((policy, sample)) = policy.as_mut().zip(file.sample.as_ref()) {
            sample.value.put_into(policy, file.mode, sample.position, self.diagnostics);
        }
        let pass_limits = pass_limits_of(&file.challenge.limits, &self.limits, &self.names, self.diagnostics);
        let wait_limits = match &file.challenge.wait {
            Some(wait) => {
                for tier in &wait.tiers {
                    self.names.tier(&tier.value, tier.position, self.diagnostics);
                }
                pass_limits_of(&wait.limits, &self.limits, &self.names, self.diagnostics)
            }
            None => Some(Vec::new()),
        };
        if self.diagnostics.error_count() == 0 {
            self.warn_of_unused();
            policy.iter().for_each(|policy| self.warn_of_pacing(policy.rules()));
        }
        let (networks, lists) = (self.names.named_networks(), self.names.lists());
        let Loader { mut limits, feeds, diagnostics, .. } = self;
        (diagnostics.error_count() == 0).then_some(())?;
        let counter = limits.len();
        limits.push(solves(&file.challenge.harder));
        Some(LoadedPolicy {
            policy: policy?,
            limits,
            pass_limits: pass_limits?,
            wait_limits: wait_limits?,
            solves: counter,
            challenge: file.challenge,
            strikes: file.strikes,
            decision: file.decision,
            auto: file.auto,
            lists,
            networks,
            feeds,
        })
    }

    fn imports(&mut self, source: &Source, imports: &[Spanned<String>]) {
        self.open.push((source.identity.clone(), source.name.clone()));
        for import in imports {
            let found = match source.import(&import.value, self.files) {
                Ok(found) => found,
                Err(message) => {
                    self.diagnostics.error(import.position, message);
                    continue;
                }
            };
            for file in found {
                if let Some(first) = self.open.iter().position(|(open, _)| *open == file.identity) {
                    let names = self.open[first..].iter().map(|(_, name)| name).chain([&file.name]);
                    let cycle = names.map(String::as_str).collect::<Vec<_>>().join("` imports `");
                    self.diagnostics.error(import.position, format!("the imports go round in a circle: `{cycle}`"));
                } else if !self.seen.contains(&file.identity) {
                    self.seen.push(file.identity.clone());
                    self.imported(&file);
                }
            }
        }
        self.open.pop();
    }

    fn imported(&mut self, source: &Source) {
        let outer = self.diagnostics.enter(source.name.clone());
        if let Some(file) = read::<ImportedFile>(&source.text, self.diagnostics) {
            self.imports(source, &file.import);
            self.names(source, file.networks, file.lists, file.limits, true);
            let part = Part {
                file: source.name.clone(),
                classes: file.classes,
                rules: file.rules,
                thresholds: file.thresholds,
            };
            self.parts.push(part);
        }
        self.diagnostics.enter(outer);
    }

    /// Notes that a name is defined here. Says no when it is so already.
    fn define(&mut self, what: &'static str, name: &str, position: Position, imported: bool) -> bool {
        if let Some((_, _, file, place, _)) = self.defined.iter().find(|known| known.0 == what && known.1 == name) {
            let message =
                format!("a second {what} named `{name}`: the first is at {file}:{}:{}", place.line, place.column);
            self.diagnostics.error(position, message);
            return false;
        }
        self.defined.push((what, name.to_owned(), self.diagnostics.file().to_owned(), position, imported));
        true
    }

    fn names(
        &mut self,
        source: &Source,
        networks: NetworkEntries,
        lists: Named<Spanned<UserAgentListSettings>>,
        limits: Named<Spanned<LimitSettings>>,
        imported: bool,
    ) {
        for (name, blocks) in networks.0 {
            if Names::is_built_in(&name) {
                self.diagnostics.error(blocks.position, format!("`{name}` is built in: choose another name"));
            } else if self.define("network", &name, blocks.position, imported) {
                self.network(&name, blocks, source.directory.as_deref());
            }
        }
        for (name, list) in lists.0 {
            if list.value.contains.is_empty() && self.diagnostics.error_count() == 0 {
                self.diagnostics.warn(list.position, format!("the list `{name}` is empty: it never matches"));
            }
            if self.define("list", &name, list.position, imported) {
                self.names.add_list(&name, list.value);
            }
        }
        for (name, limit) in limits.0 {
            // A value that could not be read looks as if it were missing.
            if self.diagnostics.error_count() == 0 {
                limit.value.check(limit.position, self.diagnostics);
            }
            let is_own = !self.diagnostics.file().starts_with(BUILT_IN_FILE);
            if limit.value.key.asn && is_own && !self.names.may_know_systems() {
                let message = "this limit counts nobody: `asn` needs `geoip: {asn: FILE}` in the gateway file";
                self.diagnostics.warn(limit.position, message);
            }
            if self.define("limit", &name, limit.position, imported) {
                self.names.add_limit(&name);
                self.limits.push((name, limit.value));
            }
        }
    }

    /// Warns of limits that would pace what is never delayed.
    fn warn_of_pacing(&mut self, rules: &[Rule]) {
        let outer = self.diagnostics.file().to_owned();
        for rule in rules.iter().filter(|rule| matches!(rule.effect.word(), "redirect" | "challenge")) {
            let limits = rule.limits.iter().filter_map(|id| self.limits.get(*id));
            if let Some((name, _)) = limits.into_iter().find(|(_, limit)| limit.over == Over::Pace) {
                let what = rule.effect.word();
                let message =
                    format!("`{name}` holds nobody up here: it says `over: pace`, and a {what} is never delayed");
                self.diagnostics.enter(&*rule.file);
                self.diagnostics.warn(rule.position, message);
            }
        }
        self.diagnostics.enter(outer);
    }

    /// Defines a network, by the deployment's blocks where it has some.
    fn network(&mut self, name: &str, blocks: Spanned<Vec<Spanned<Blocks>>>, directory: Option<&Path>) {
        let own = self.overrides.iter().position(|(known, _)| known == name).map(|at| self.overrides.remove(at).1);
        let Some((own, (file, directory))) = own.zip(self.overrides_source.clone()) else {
            return self.add_network(name, blocks.value, directory);
        };
        let outer = self.diagnostics.enter(file);
        self.add_network(name, own.value, Some(&directory));
        self.diagnostics.enter(outer);
    }

    fn add_network(&mut self, name: &str, blocks: Vec<Spanned<Blocks>>, directory: Option<&Path>) {
        let mut parts = NetworkParts::default();
        let mut feeds = Vec::new();
        for Spanned { position, value } in blocks {
            match value {
                Blocks::Cidr(cidr) => parts.fixed.push(cidr.0),
                Blocks::Feed(feed) => {
                    parts.feeds.push(None);
                    feeds.push(feed);
                }
                Blocks::File(path) => {
                    let path = directory.unwrap_or(Path::new("")).join(path);
                    let blocks = read_file(&path, self.files)
                        .and_then(|text| parse_list(text.as_bytes()).map_err(|e| format!("`{}`: {e}", path.display())));
                    match blocks {
                        Ok(blocks) => parts.fixed.extend(blocks),
                        Err(message) => self.diagnostics.error(position, message),
                    }
                }
            }
        }
        let id = self.names.add_network(name, parts);
        self.feeds.extend(feeds.into_iter().enumerate().map(|(number, feed)| (id, number, feed)));
    }

    fn warn_of_unused(&mut self) {
        // An imported file is made for several policies; what stands in the policy itself is meant to be used.
        for (what, name, file, position, imported) in std::mem::take(&mut self.defined) {
            if !imported && !self.names.is_used(what, &name) {
                let outer = self.diagnostics.enter(file);
                self.diagnostics.warn(position, format!("the {what} `{name}` is never used"));
                self.diagnostics.enter(outer);
            }
        }
    }
}

/// Loads the policy that a gateway file refers to, or the built-in one.
pub(super) fn load_policy(
    reference: &PolicyReference,
    directory: &Path,
    deployment: Deployment,
    files: &mut Files,
    diagnostics: &mut Diagnostics,
) -> Option<LoadedPolicy> {
    let source = match &reference.file {
        None => Source::built_in(BUILT_IN[0].0, BUILT_IN[0].1),
        Some(file) => Source::file(&directory.join(&file.value), files)
            .map_err(|message| diagnostics.error(file.position, message))
            .ok()?,
    };
    let mut overrides = Named(Vec::new());
    let mut overrides_source = None;
    if let Some(file) = &reference.networks {
        let path = directory.join(&file.value);
        let text = read_file(&path, files).map_err(|message| diagnostics.error(file.position, message)).ok()?;
        let name = path.display().to_string();
        let outer = diagnostics.enter(name.clone());
        overrides = read::<NetworkEntries>(&text, diagnostics).unwrap_or_default();
        diagnostics.enter(outer);
        overrides_source = Some((name, path.parent().map(Path::to_owned).unwrap_or_default()));
    }
    compile(&source, reference, overrides.0, overrides_source, Some(deployment), files, diagnostics)
}

/// Loads a policy in place of the one that a gateway file refers to, with the networks that it puts in; where `file` is
/// absent, the one that it refers to, and the built-in one without a gateway file.
///
/// # Errors
/// When the policy file itself cannot be read.
pub fn load_in_place(
    file: Option<&Path>,
    gateway: Option<(&Config, &Path)>,
    diagnostics: &mut Diagnostics,
) -> Result<Option<LoadedPolicy>, String> {
    let files = &mut Files::default();
    let source = file.map(|file| Source::file(file, files)).transpose()?;
    let Some((config, path)) = gateway else {
        let source = source.unwrap_or_else(|| Source::built_in(BUILT_IN[0].0, BUILT_IN[0].1));
        let reference = PolicyReference { file: None, networks: None, mode: None };
        return Ok(compile(&source, &reference, Vec::new(), None, None, files, diagnostics));
    };
    let absolute = file.map(|file| std::path::absolute(file).unwrap_or_else(|_| file.to_owned()));
    let named = absolute.map(|value| Spanned { position: Position::default(), value });
    let reference = PolicyReference { file: named.or(config.file.policy.file.clone()), ..config.file.policy.clone() };
    let directory = path.parent().unwrap_or(Path::new(""));
    Ok(load_policy(&reference, directory, config.deployment(), files, diagnostics))
}

/// Checks a policy file by itself.
///
/// # Errors
/// When the file itself cannot be read.
pub fn check_policy(path: &Path, diagnostics: &mut Diagnostics) -> Result<Option<LoadedPolicy>, String> {
    load_with_networks(path, None, diagnostics)
}

/// Loads a policy file by itself, with networks that another file puts in: their node, and that file.
///
/// # Errors
/// When the policy file itself cannot be read.
pub fn load_with_networks(
    path: &Path,
    networks: Option<(&Node, &Path)>,
    diagnostics: &mut Diagnostics,
) -> Result<Option<LoadedPolicy>, String> {
    let mut files = Files::default();
    let source = Source::file(path, &mut files)?;
    let reference = PolicyReference { file: None, networks: None, mode: None };
    let mut overrides = Named(Vec::new());
    let mut overrides_source = None;
    if let Some((node, file)) = networks {
        let name = file.display().to_string();
        let outer = diagnostics.enter(name.clone());
        overrides = NetworkEntries::decode(node, diagnostics).unwrap_or_default();
        diagnostics.enter(outer);
        overrides_source = Some((name, file.parent().map(Path::to_owned).unwrap_or_default()));
    }
    Ok(compile(&source, &reference, overrides.0, overrides_source, None, &mut files, diagnostics))
}

fn compile(
    source: &Source,
    reference: &PolicyReference,
    overrides: Vec<(String, Spanned<Vec<Spanned<Blocks>>>)>,
    overrides_source: Option<(String, PathBuf)>,
    deployment: Option<Deployment>,
    files: &mut Files,
    diagnostics: &mut Diagnostics,
) -> Option<LoadedPolicy> {
    let outer = diagnostics.enter(source.name.clone());
    let file = read_as(FileKind::Policy, &source.text, diagnostics);
    let loaded = file.and_then(|file| {
        let seen = vec![source.identity.clone()];
        let loader = Loader::new(deployment, files, diagnostics);
        Loader { overrides, overrides_source, seen, ..loader }.finish(source, file, reference.mode)
    });
    diagnostics.enter(outer);
    loaded
}
