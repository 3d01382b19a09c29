//! What only the whole of a verdict tells: what it owes to the pass, and whether a redirect may be given away.

use super::{Blind, Policy, Rule};
use crate::facts::{Client, Fact, Facts, Identity};
use crate::state::State;
use crate::verdict::{Action, Charge, Mode, Verdict};

impl Policy {
    /// The verdict with what only the whole of it tells.
    pub(super) fn settled(&self, mode: Mode, verdict: Verdict, facts: &Facts<'_>, state: &dyn State) -> Verdict {
        let mut verdict = self.with_debt(mode, verdict, facts, state);
        if verdict.action == Action::Redirect && !self.may_redirect(mode, facts, state) {
            verdict.action = Action::Allow;
        }
        verdict
    }

    /// Whether the URL of a redirect may be given away. It is good for whoever has it, so not where a stranger would be
    /// denied what the client may have. A client that signs would send its signature to the origin. The answer to a HEAD
    /// has no bytes to save, and Python's urllib (before 3.13) makes a GET of a redirected one, for which the URL is not
    /// signed.
    fn may_redirect(&self, mode: Mode, facts: &Facts<'_>, state: &dyn State) -> bool {
        let signs = matches!(facts.identity, Identity::Signature | Identity::PublicKey | Identity::Token);
        let client = Client { trusted: false, ..facts.client };
        let stranger = Facts { client, identity: Identity::None, client_name: Fact::Absent, pass: None, ..*facts };
        let given = |verdict: Verdict| !matches!(verdict.action, Action::Deny { .. });
        facts.method == "GET" && !signs && given(self.run(mode, &stranger, state, &mut Blind))
    }

    /// The verdict, which also draws on the pass where the client would have got less without it: whatever asks for the
    /// identity, by however many classes, weights and tags in between, would else honour a pass without end.
    fn with_debt(&self, mode: Mode, mut verdict: Verdict, facts: &Facts<'_>, state: &dyn State) -> Verdict {
        let is_served = matches!(verdict.action, Action::Allow | Action::Redirect);
        let may_owe = is_served && facts.identity == Identity::Pass && self.atoms.ask_for_identity;
        if may_owe && !verdict.draws_on_pass {
            let without = Facts { identity: Identity::None, pass: None, ..*facts };
            verdict.draws_on_pass = verdict.is_better_than(&self.run(mode, &without, state, &mut Blind));
        }
        verdict
    }
}

impl Verdict {
    /// Notes the limits of `rule`.
    pub(super) fn charge(&mut self, rule: &Rule, enforced: bool) {
        if !rule.limits.is_empty() {
            self.charges.push(Charge { rule: rule.name.clone(), limits: rule.limits.clone(), enforced });
        }
    }

    /// Whether a client gets more by this verdict than by `other`: an object, the limits of another rule that is in
    /// force, a faster answer.
    fn is_better_than(&self, other: &Verdict) -> bool {
        let is_slower = |rate: u64| self.slow.is_none_or(|own| own > rate);
        self.action != other.action
            || (self.enforced && self.rule != other.rule)
            || other.slow.is_some_and(is_slower)
            || other.charges.iter().any(|charge| charge.enforced && !self.charges.contains(charge))
    }
}
