//! The sample: for which requests a challenge that is held back is in force all the same.

use super::Policy;
use super::request::Request;
use super::rule::{Effect, Rule};
use crate::facts::Fact;
use crate::state::SAMPLE_POINTS;
use crate::verdict::{Action, Class, Mode};

/// Who is in the sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The point in the draw of an hour from which on prefixes are left out; at most [`SAMPLE_POINTS`].
    pub below: u64,
    /// The classes that are challenged.
    pub of: Vec<Class>,
    /// Whether rules of mode `auto` are sampled while the evidence says no.
    pub auto: bool,
}

impl Sample {
    /// A sample of this part of all prefixes, from 0 to 1, in each hour.
    pub fn new(share: f64, of: Vec<Class>, auto: bool) -> Self {
        // Floats saturate where they are made integers.
        Sample { below: ((share * SAMPLE_POINTS as f64) as u64).min(SAMPLE_POINTS), of, auto }
    }
}

impl Default for Sample {
    /// A twentieth of those who are not known, where a mode asks for it.
    fn default() -> Self {
        Sample::new(0.05, vec![Class::Human, Class::Unknown], false)
    }
}

impl Policy {
    /// Says who is in the sample.
    pub fn set_sample(&mut self, sample: Sample) {
        self.sample = sample;
    }

    /// The sample, where anything may come of it.
    pub fn sample(&self) -> Option<&Sample> {
        let asks = |rule: &Rule| {
            let may_wait = self.sample.auto && rule.mode.unwrap_or(self.mode) == Mode::Auto;
            is_challenge(rule) && (may_wait || rule.mode == Some(Mode::Sample) || self.mode == Mode::Sample)
        };
        (self.mode != Mode::Observe && self.rules.iter().any(asks)).then_some(&self.sample)
    }

    /// Whether `rule`, which is not in force, is so for this request: it challenges, and the client is in the sample. Only
    /// navigations are, so that nothing breaks in a page that is open.
    pub(super) fn samples(&self, rule: &Rule, request: &Request<'_>) -> bool {
        let is_meant = match (request.mode, rule.mode) {
            (Mode::Observe, _) | (_, Some(Mode::Observe | Mode::Enforce)) | (Mode::Enforce, None) => false,
            (Mode::Sample, _) | (_, Some(Mode::Sample)) => true,
            (_, Some(Mode::Auto)) | (Mode::Auto, None) => self.sample.auto,
        };
        let Sample { below, of, .. } = &self.sample;
        is_meant
            && is_challenge(rule)
            && of.contains(&request.class)
            && request.is_navigation()
            && matches!(request.sample_point(), Fact::Present(point) if point < *below)
    }
}

fn is_challenge(rule: &Rule) -> bool {
    matches!(rule.effect, Effect::End(Action::Challenge { .. }))
}
