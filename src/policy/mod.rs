//! Policy: a pure function from what is known about a request, and remembered about its client, to a verdict.
//!
//! A policy is compiled once, from the sections of a policy file and the names that the rest of the file defines.
//! [`Policy::decide`] then serves every caller alike: live traffic, `explain`, `test`, replay.
//!
//! The work is done in three steps, so that it hardly grows with the number of rules: one pass over each text of the
//! request finds the atoms that hold (`atoms`, `patterns`, `networks`), these point to the rules that may (`index`), and
//! only those are evaluated, in their order (`request`).

mod atoms;
mod compile;
mod index;
mod literals;
mod matches;
mod names;
mod networks;
mod own_doing;
mod patterns;
mod request;
mod rule;
mod sample;
mod schema;
mod settings;
mod settle;
mod signals;
mod texts;
mod user_agents;
mod warnings;
mod when;
mod window;

pub use compile::Fragment;
pub use names::{BUILT_IN_FILE, Deployment, Names};
pub use networks::{NetworkId, NetworkParts, Networks, ToldApart};
pub use request::Reason;
pub use rule::{Effect, Rule, RuleSettings};
pub use sample::Sample;
pub use schema::{classes, rules};
pub use user_agents::UserAgentListSettings;

use crate::decisions::Kind;
use crate::facts::{Fact, Facts, Truth};
use crate::signal::Signals;
use crate::state::State;
use crate::verdict::{Action, BLOCKED, Class, HeldBack, Mode, RUNTIME_BLOCK, Step, Verdict};
use atoms::Atoms;
use index::Index;
use matches::Matcher;
use regex_automata::util::pool::Pool;
use request::{Request, Scratch};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, LazyLock};
use when::When;

/// The rule and the reason of every verdict by which an operator has blocked a client.
static BLOCK: LazyLock<[Arc<str>; 2]> = LazyLock::new(|| [RUNTIME_BLOCK.into(), BLOCKED.into()]);

type MakeScratch = Box<dyn Fn() -> Scratch + Send + Sync + UnwindSafe + RefUnwindSafe>;

/// Checks the text of a `when`.
///
/// # Errors
/// Says what is wrong with it, and what to do.
pub fn check_expression(text: &str) -> Result<(), String> {
    When::compile(text).map(drop).map_err(|error| error.message)
}

/// A compiled policy.
#[derive(Debug)]
pub struct Policy {
    mode: Mode,
    sample: Sample,
    atoms: Atoms,
    /// The networks; feeds change them while the policy is in use.
    pub networks: Networks,
    classes: Vec<(Class, Matcher)>,
    class_index: Index,
    /// Stands for the `classes` section where a rule is named.
    classes_section: Arc<str>,
    /// The rules, the thresholds, and last the default.
    rules: Vec<Rule>,
    rule_index: Index,
    scratch: Pool<Scratch, MakeScratch>,
}

/// What became of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Its match does not hold.
    Passed,
    /// Its match hangs on something unknown: it was passed over.
    Undecided,
    /// As that, but it guards access: it refused, since nobody can tell whether it should.
    Withheld,
    /// It was held back by its mode, or the policy's.
    HeldBack,
    /// The client's pass meets its challenge.
    Met,
    /// It did what it does, and the evaluation went on.
    Done,
    /// It ended the evaluation.
    Decided,
}

impl Fate {
    /// The words for it.
    pub fn word(self) -> &'static str {
        match self {
            Fate::Passed => "no match",
            Fate::Undecided => "undecided",
            Fate::Withheld => "withheld",
            Fate::HeldBack => "held back",
            Fate::Met => "met by the pass",
            Fate::Done => "done",
            Fate::Decided => "decided",
        }
    }
}

/// Sees every step of a decision.
trait Watch {
    /// Whether rules are shown that cannot match, too.
    const EVERYTHING: bool;

    fn rule(&mut self, _rule: &Rule, _fate: Fate, _request: &Request<'_>) {}

    fn class(&mut self, _line: usize, _class: Class, _matcher: &Matcher, _request: &Request<'_>) {}
}

/// Sees nothing, at no cost.
struct Blind;

impl Watch for Blind {
    const EVERYTHING: bool = false;
}

/// One step of a decision, for people to read.
#[derive(Debug, Clone)]
pub struct ExplainedRule {
    /// The rule's name.
    pub name: Arc<str>,
    /// The file and line of the rule.
    pub place: String,
    /// The word for its action.
    pub action: &'static str,
    /// What became of it.
    pub fate: Fate,
    /// Why its match holds or not.
    pub reason: Reason,
}

/// A line of the `classes` section, for people to read.
#[derive(Debug, Clone)]
pub struct ExplainedClass {
    /// The class.
    pub class: Class,
    /// Which line it is, counted from 1.
    pub line: usize,
    /// Why its match holds, or may hold.
    pub reason: Reason,
}

/// A decision with everything that led to it.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The lines of the `classes` section that hang on something unknown; last the first one that holds, if any.
    pub classes: Vec<ExplainedClass>,
    /// The signals of the request.
    pub signals: Signals,
    /// Every rule in order, up to the one that decided.
    pub rules: Vec<ExplainedRule>,
    /// The verdict.
    pub verdict: Verdict,
}

#[derive(Default)]
struct Explainer {
    classes: Vec<ExplainedClass>,
    signals: Signals,
    rules: Vec<ExplainedRule>,
}

impl Watch for Explainer {
    const EVERYTHING: bool = true;

    fn rule(&mut self, rule: &Rule, fate: Fate, request: &Request<'_>) {
        self.signals = request.signals();
        self.rules.push(ExplainedRule {
            name: rule.name.clone(),
            place: format!("{}:{}", rule.file, rule.position.line),
            action: rule.effect.word(),
            fate,
            reason: request.explain(&rule.matcher),
        });
    }

    fn class(&mut self, line: usize, class: Class, matcher: &Matcher, request: &Request<'_>) {
        self.classes.push(ExplainedClass { class, line: line + 1, reason: request.explain(matcher) });
    }
}

impl Policy {
    /// Decides one request. The outcome depends on `facts` and `state` alone.
    ///
    /// Rules are tried in order; the first that matches, ends the evaluation and is in force, decides. A challenge that
    /// the client's pass meets goes on, a rule that the mode holds back is recorded and passed over, and a match that
    /// hangs on something unknown is passed over and flagged, but where the rule guards access: then it refuses
    /// ([`Verdict::withheld`]). Allow, weigh, tag and strike rules keep nothing from anybody, so a policy in `observe`
    /// does not hold them back: without them its other verdicts would not be those of the same policy under `enforce`.
    ///
    /// Before all rules stands what an operator has [decided](State::decided): a block ends the evaluation, and for whom
    /// protection is held back the policy is one in `observe`.
    pub fn decide(&self, facts: &Facts<'_>, state: &dyn State) -> Verdict {
        self.decide_as(self.mode, facts, state)
    }

    /// As [`decide`](Self::decide), as if the policy as a whole had this mode.
    pub fn decide_as(&self, mode: Mode, facts: &Facts<'_>, state: &dyn State) -> Verdict {
        let verdict = self.run(mode, facts, state, &mut Blind);
        self.settled(mode, verdict, facts, state)
    }

    /// Decides one request and tells how.
    pub fn explain(&self, facts: &Facts<'_>, state: &dyn State) -> Explanation {
        let mut explainer = Explainer::default();
        let verdict = self.run(self.mode, facts, state, &mut explainer);
        let Explainer { classes, signals, rules } = explainer;
        Explanation { classes, signals, rules, verdict: self.settled(self.mode, verdict, facts, state) }
    }

    fn run<W: Watch>(&self, mode: Mode, facts: &Facts<'_>, state: &dyn State, watch: &mut W) -> Verdict {
        let mut scratch = self.scratch.get();
        let table = self.networks.table();
        scratch.search(&self.atoms, facts, &table, &self.class_index, &self.rule_index);
        let Scratch { found, unknown, classes, rules, .. } = &mut *scratch;
        let mut request = Request::new(facts, state, &self.atoms, &table, found, unknown);
        let decided = state.decided(&facts.client, facts.now);
        let is_blocked = decided.as_ref().is_some_and(|decision| decision.kind == Kind::Block);
        request.mode = if decided.is_some() && !is_blocked { Mode::Observe } else { mode };

        let mut undecided = None;
        let mut next = classes.next(0);
        while let Some(line) = next {
            let (class, matcher) = &self.classes[line];
            let truth = request.holds(matcher);
            if truth != Truth::False {
                watch.class(line, *class, matcher, &request);
            }
            if truth == Truth::Undecided {
                undecided.get_or_insert_with(|| self.classes_section.clone());
            }
            if truth == Truth::True {
                request.class = *class;
                break;
            }
            next = classes.next(line + 1);
        }

        let of_class = |class, rules: &mut index::Marks| {
            self.atoms.of_class(class).into_iter().for_each(|atom| self.rule_index.mark_atom(atom, rules));
        };
        of_class(request.class, rules);
        let default = self.rules.len() - 1;
        let mut verdict = Verdict {
            class: request.class,
            action: Action::Allow,
            rule: self.rules[default].name.clone(),
            enforced: self.enforces(&self.rules[default], &request),
            sampled: false,
            charges: Default::default(),
            draws_on_pass: false,
            held_back: None,
            undecided: None,
            withheld: false,
            weight: 0,
            decided,
            strikes: 0.0,
            slow: None,
            signals: None,
            errors: 0,
        };
        let mut next = if W::EVERYTHING { Some(0) } else { rules.next(0) };
        if is_blocked {
            let [rule, reason] = BLOCK.clone();
            (verdict.action, verdict.rule, verdict.enforced) = (Action::Deny { status: 403, reason }, rule, true);
            next = None;
        }
        while let Some(number) = next {
            let rule = &self.rules[number];
            let fate = match request.holds(&rule.matcher) {
                Truth::False => Fate::Passed,
                Truth::Undecided if rule.guards_access() => {
                    self.apply(rule, &mut request, &mut verdict);
                    verdict.withheld = true;
                    Fate::Withheld
                }
                Truth::Undecided => Fate::Undecided,
                Truth::True => self.apply(rule, &mut request, &mut verdict),
            };
            if matches!(fate, Fate::Undecided | Fate::Withheld) {
                undecided.get_or_insert_with(|| rule.name.clone());
            }
            watch.rule(rule, fate, &request);
            if matches!(fate, Fate::Decided | Fate::Withheld) {
                break;
            }
            if matches!(rule.effect, Effect::Go(Step::Tag(_))) && fate == Fate::Done {
                of_class(request.class, rules);
            }
            next = if W::EVERYTHING { (number < default).then_some(number + 1) } else { rules.next(number + 1) };
        }
        verdict.class = request.class;
        verdict.weight = request.weight;
        verdict.undecided = undecided;
        verdict.signals = request.signals_read();
        verdict.errors = request.errors();
        verdict
    }

    /// Does what a rule does whose match holds.
    fn apply(&self, rule: &Rule, request: &mut Request<'_>, verdict: &mut Verdict) -> Fate {
        let in_general = self.enforces(rule, request);
        let sampled = !in_general && self.samples(rule, request);
        let enforced = in_general || sampled;
        let harmless = match &rule.effect {
            Effect::End(Action::Allow) => true,
            Effect::Go(step) => !matches!(step, Step::Slow(_) | Step::Limit),
            Effect::End(_) => false,
        };
        let in_force = enforced || (harmless && rule.mode.is_none());
        match &rule.effect {
            Effect::End(Action::Challenge { difficulty, .. }) if request.is_paid(*difficulty) => {
                verdict.draws_on_pass |= enforced;
                return Fate::Met;
            }
            // A held-back limit still counts, so that reports say whom it would refuse.
            Effect::Go(Step::Limit) => {
                verdict.charge(rule, enforced);
                return if enforced { Fate::Done } else { Fate::HeldBack };
            }
            effect if !in_force => {
                // What would only have prepared a verdict is no answer that a client would have seen.
                if !harmless || matches!(effect, Effect::End(_)) {
                    verdict
                        .held_back
                        .get_or_insert_with(|| HeldBack { rule: rule.name.clone(), action: effect.word() });
                }
                return Fate::HeldBack;
            }
            Effect::End(action) => {
                verdict.action = action.clone();
                verdict.rule = rule.name.clone();
                (verdict.enforced, verdict.sampled) = (enforced, sampled);
                verdict.charge(rule, enforced);
                return Fate::Decided;
            }
            Effect::Go(Step::Weigh(weight)) => request.weight = request.weight.saturating_add(*weight),
            Effect::Go(Step::Tag(class)) => request.class = *class,
            Effect::Go(Step::Strike(strikes)) if request.is_own_doing() => verdict.strikes += strikes,
            Effect::Go(Step::Strike(_)) => {}
            Effect::Go(Step::Slow(rate)) => verdict.slow = Some(verdict.slow.map_or(*rate, |slow| slow.min(*rate))),
        }
        Fate::Done
    }

    /// Whether `rule` is in force. A rule that says `mode: enforce` itself is, whatever the policy says.
    fn enforces(&self, rule: &Rule, request: &Request<'_>) -> bool {
        match (request.mode, rule.mode) {
            (_, Some(Mode::Enforce)) => true,
            (Mode::Observe | Mode::Sample, _) | (_, Some(Mode::Observe | Mode::Sample)) => false,
            (Mode::Enforce, None) => true,
            (_, Some(Mode::Auto)) | (Mode::Auto, None) => request.state().evidence() != Fact::Absent,
        }
    }

    /// Whether the evidence says that the rule of this name is in force now.
    pub fn is_auto(&self, rule: &str) -> bool {
        let rule = self.rules.iter().find(|known| *known.name == *rule);
        rule.is_some_and(|rule| (rule.mode.unwrap_or(self.mode)) == Mode::Auto)
    }

    /// The mode of the policy as a whole.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Changes the mode of the policy as a whole, to try what it decides in another.
    pub fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
    }

    /// All rules in order, thresholds behind them, the default last.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}
