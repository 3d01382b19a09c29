//! The last hour in steps of ten seconds, so that a page that is opened now shows how it came to this.

use crate::clock::Timestamp;
use crate::metrics::Samples;
use crate::verdict::{Class, Done};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// A step.
pub(super) const STEP: Duration = Duration::from_secs(10);
/// Steps that are kept: an hour. One takes 120 bytes.
const STEPS: usize = 360;
const CLASSES: usize = Class::WORDS.len();

/// Counts since the start, or within a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    requests: [u64; CLASSES],
    bytes: [u64; CLASSES],
    /// Requests that were denied, challenged or over a limit.
    stopped: u64,
    /// Requests that would have been.
    would_be: u64,
    origin_errors: u64,
}

/// The last hour.
#[derive(Debug, Default)]
pub(super) struct History {
    before: Option<Counts>,
    steps: VecDeque<Counts>,
    end: Timestamp,
}

fn whole(number: f64) -> u64 {
    // Counters are whole and never negative.
    number as u64
}

impl Counts {
    fn new(samples: &Samples) -> Self {
        let (requests, bytes) = (samples.by("requests_total", "class"), samples.by("response_bytes_total", "class"));
        let of =
            |sums: &BTreeMap<&str, f64>| Class::WORDS.map(|(word, _)| whole(sums.get(word).copied().unwrap_or(0.0)));
        let done = samples.by("requests_total", "action");
        let stopped = [Done::Deny, Done::Challenge, Done::Limit].map(|done| done.word());
        Counts {
            requests: of(&requests),
            bytes: of(&bytes),
            stopped: stopped.iter().filter_map(|word| done.get(word)).map(|count| whole(*count)).sum(),
            would_be: whole(samples.sum("would_be_total")),
            origin_errors: whole(samples.sum("origin_errors_total")),
        }
    }

    fn since(&self, before: &Counts) -> Counts {
        let less = |now: [u64; CLASSES], before: [u64; CLASSES]| {
            let mut left = now;
            left.iter_mut().zip(before).for_each(|(now, before)| *now = now.saturating_sub(before));
            left
        };
        Counts {
            requests: less(self.requests, before.requests),
            bytes: less(self.bytes, before.bytes),
            stopped: self.stopped.saturating_sub(before.stopped),
            would_be: self.would_be.saturating_sub(before.would_be),
            origin_errors: self.origin_errors.saturating_sub(before.origin_errors),
        }
    }
}

impl History {
    /// Ends a step. The first call only says where counting begins.
    pub fn step(&mut self, samples: &Samples, now: Timestamp) {
        let counts = Counts::new(samples);
        if let Some(before) = self.before.replace(counts) {
            self.steps.push_back(counts.since(&before));
            if self.steps.len() > STEPS {
                self.steps.pop_front();
            }
        }
        self.end = now;
    }

    /// Each series as a list, the oldest step first, the running one last; of classes those that did something.
    pub fn to_json(&self, samples: &Samples, now: Timestamp) -> Value {
        let counts = Counts::new(samples);
        let running = counts.since(self.before.as_ref().unwrap_or(&counts));
        let steps = || self.steps.iter().chain([&running]);
        let by_class = |of: fn(&Counts) -> &[u64; CLASSES]| {
            let series = Class::WORDS
                .iter()
                .enumerate()
                .map(|(place, (word, _))| (*word, steps().map(|step| of(step)[place]).collect::<Vec<_>>()));
            series.filter(|(_, counts)| counts.iter().any(|count| *count > 0)).collect::<BTreeMap<_, _>>()
        };
        let all = |of: fn(&Counts) -> u64| steps().map(of).collect::<Vec<_>>();
        json!({
            "step_seconds": STEP.as_secs(),
            "running_seconds": now.since(self.end).as_secs_f64().min(STEP.as_secs_f64()),
            "steps": self.steps.len(),
            "requests": by_class(|step| &step.requests),
            "bytes": by_class(|step| &step.bytes),
            "stopped": all(|step| step.stopped),
            "would_be": all(|step| step.would_be),
            "origin_errors": all(|step| step.origin_errors),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn an_hour_of_differences_is_kept_and_no_more() {
        let (metrics, mut history) = (Metrics::new().unwrap(), History::default());
        let now = |step: u64| Timestamp(1_795_200_000_000 + step * 10_000);
        let requests = metrics.requests.with_label_values(&["logs", "suspect", "deny", "enforce"]);
        requests.inc_by(100);
        history.step(&metrics.samples(), now(0));
        assert_eq!(history.to_json(&metrics.samples(), now(0))["steps"], 0, "what was before is no step");
        for step in 1..=400 {
            requests.inc_by(step);
            metrics.would_be.with_label_values(&["logs", "human", "rule", "challenge"]).inc();
            history.step(&metrics.samples(), now(step));
        }
        requests.inc_by(9);
        let told = history.to_json(&metrics.samples(), now(400) + Duration::from_secs(4));
        assert_eq!((told["steps"].as_u64(), told["running_seconds"].as_f64()), (Some(360), Some(4.0)));
        assert_eq!(told["requests"]["suspect"][360], 9, "the running one");
        assert_eq!((&told["requests"]["suspect"][0], &told["stopped"][359]), (&json!(41), &json!(400)));
        assert_eq!((&told["would_be"][7], &told["requests"]["human"]), (&json!(1), &Value::Null));
    }
}
