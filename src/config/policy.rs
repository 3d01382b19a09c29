//! Policy files as written.

use super::gateway::Named;
use crate::challenge::ChallengeSettings;
use crate::document::{Decode, Node, Schemas, Spanned, Version};
use crate::evidence::{AutoSettings, SampleSettings};
use crate::limit::LimitSettings;
use crate::network::Blocks;
use crate::policy::{self, RuleSettings, UserAgentListSettings};
use crate::report::DecisionSettings;
use crate::surroundings::StrikeSettings;
use crate::verdict::Mode;
use serde_json::Value;
use std::time::Duration;

crate::settings! {
    /// The whole file.
    pub struct PolicyFile {
        /// The version of the format: 1.
        version: Version,
        /// Whether rules are enforced; `observe` holds back all but those that say `mode: enforce` themselves.
        mode: Mode = Mode::Observe,
        /// Files whose sections come before those of this one: relative to it, or built in. `*` stands for several.
        import: Vec<Spanned<String>> = Vec::new(),
        /// Networks by name.
        networks: Named<Spanned<Vec<Spanned<Blocks>>>> = Named::default(),
        /// User-agent lists by name.
        lists: Named<Spanned<UserAgentListSettings>> = Named::default(),
        /// Who a client is for the books: the first match.
        #[schema(policy::classes)]
        classes: Vec<Node> = Vec::new(),
        /// What happens, in order.
        #[schema(policy::rules)]
        rules: Vec<Spanned<RuleSettings>> = Vec::new(),
        /// Rules that judge the weight, tried after the others.
        #[schema(policy::rules)]
        thresholds: Vec<Spanned<RuleSettings>> = Vec::new(),
        /// What happens to requests that no rule ended. A policy must have it, a file that is imported must not.
        default: Spanned<RuleSettings>,
        /// Limits by name.
        limits: Named<Spanned<LimitSettings>> = Named::default(),
        /// Challenges and passes.
        challenge: ChallengeSettings = ChallengeSettings::default(),
        /// How strikes are forgotten.
        strikes: StrikeSettings = StrikeSettings { half_life: Duration::from_secs(24 * 3600) },
        /// When reports say that protection is needed.
        decision: DecisionSettings = DecisionSettings::default(),
        /// When rules of mode `auto` are enforced; always where absent.
        auto: Option<AutoSettings> = None,
        /// Whom challenges meet that are held back for all others: by mode `sample`, and by mode `auto` while the evidence
        /// says no.
        sample: Option<Spanned<SampleSettings>> = None,
    }
}

crate::settings! {
    /// A file that a policy imports.
    pub struct ImportedFile {
        /// The version of the format: 1.
        version: Version,
        /// Files whose sections come before those of this one.
        import: Vec<Spanned<String>> = Vec::new(),
        /// Networks by name.
        networks: Named<Spanned<Vec<Spanned<Blocks>>>> = Named::default(),
        /// User-agent lists by name.
        lists: Named<Spanned<UserAgentListSettings>> = Named::default(),
        /// Who a client is for the books.
        #[schema(policy::classes)]
        classes: Vec<Node> = Vec::new(),
        /// What happens, in order.
        #[schema(policy::rules)]
        rules: Vec<Spanned<RuleSettings>> = Vec::new(),
        /// Rules that judge the weight.
        #[schema(policy::rules)]
        thresholds: Vec<Spanned<RuleSettings>> = Vec::new(),
        /// Limits by name.
        limits: Named<Spanned<LimitSettings>> = Named::default(),
    }
}

/// The schema of a policy file. Editors cannot tell a policy from a file that it imports, so `default` may be left out.
pub fn policy_schema() -> Value {
    let mut schemas = Schemas::default();
    PolicyFile::schema(&mut schemas);
    let required = schemas.get_mut("PolicyFile").and_then(|schema| schema["required"].as_array_mut());
    if let Some(required) = required {
        required.retain(|key| key != "default");
    }
    schemas.document("A policy of windscreen", "PolicyFile")
}

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        /// The built-in files by name: the reference policy, and lists to import.
        pub const BUILT_IN: &[(&str, &str)] = &[$(($name, include_str!(concat!("../../policies/", $name)))),*];
    };
}

built_in!(
    "cockpit.yaml",
    "lists/ai-crawlers.yaml",
    "lists/search-engines.yaml",
    "lists/tools.yaml",
    "lists/browsers.yaml",
    "lists/monitoring.yaml",
    "lists/test-browsers.yaml",
);

/// The text of a built-in file.
pub fn built_in(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
