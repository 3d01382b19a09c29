//! Doubts about a policy that only the whole of it raises.

use super::Loader;
use crate::limit::Over;
use crate::policy::Rule;

impl Loader<'_> {
    /// Warns of limits that would pace what is never delayed.
    pub(super) fn warn_of_pacing(&mut self, rules: &[Rule]) {
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

    /// Warns of names that nothing refers to.
    pub(super) fn warn_of_unused(&mut self) {
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
