//! A policy file as written, with what it imports.

use super::gateway::{Named, Version};
use crate::challenge::ChallengeSettings;
use crate::document::{Node, Spanned};
use crate::limit::LimitSettings;
use crate::network::Cidr;
use crate::policy::{RuleSettings, UserAgentListSettings};
use crate::verdict::Mode;
use std::collections::BTreeMap;

crate::settings! {
    /// The whole file.
    pub struct PolicyFile {
        /// The version of the format: 1.
        version: Version,
        /// Whether rules are enforced; `observe` holds back all but those that say `mode: enforce` themselves.
        mode: Mode = Mode::Observe,
        /// Files with user-agent lists: relative to this file, or built in.
        import: Vec<Spanned<String>> = Vec::new(),
        /// Networks by name.
        networks: BTreeMap<String, Vec<Cidr>> = BTreeMap::new(),
        /// User-agent lists by name.
        lists: BTreeMap<String, UserAgentListSettings> = BTreeMap::new(),
        /// Who a client is for the books: the first match.
        classes: Vec<Node> = Vec::new(),
        /// What happens, in order.
        rules: Vec<Spanned<RuleSettings>> = Vec::new(),
        /// What happens to requests that no rule ended.
        default: Spanned<RuleSettings>,
        /// Limits by name.
        limits: Named<LimitSettings> = Named::default(),
        /// Challenges and passes.
        challenge: ChallengeSettings = ChallengeSettings::default(),
    }
}

crate::settings! {
    /// A file that a policy imports.
    pub struct ListFile {
        /// The version of the format: 1.
        version: Version,
        /// User-agent lists by name.
        lists: BTreeMap<String, UserAgentListSettings>,
    }
}

/// The built-in files by name: the reference policy and its lists.
pub const BUILT_IN: [(&str, &str); 5] = [
    ("cockpit.yaml", include_str!("../../policies/cockpit.yaml")),
    ("lists/ai-crawlers.yaml", include_str!("../../policies/lists/ai-crawlers.yaml")),
    ("lists/search-engines.yaml", include_str!("../../policies/lists/search-engines.yaml")),
    ("lists/tools.yaml", include_str!("../../policies/lists/tools.yaml")),
    ("lists/browsers.yaml", include_str!("../../policies/lists/browsers.yaml")),
];
