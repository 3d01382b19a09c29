//! Metrics of the modes `auto` and `sample`.

use super::registrar::Registrar;
use crate::report::SampleRow;
use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec};

/// Handles on the families.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the HELP text beside each name in `new` is the documentation")]
pub struct ModeMetrics {
    pub auto_active: IntGaugeVec,
    pub auto_evidence_ratio: GaugeVec,
    pub auto_switches: IntCounterVec,
    sample_sessions: IntGaugeVec,
    sample_solvers_ratio: GaugeVec,
}

impl ModeMetrics {
    pub(super) fn new(r: &Registrar) -> Result<Self, prometheus::Error> {
        Ok(ModeMetrics {
            auto_active: r.gauges(
                "auto_active",
                "1 while the evidence has rules of mode auto enforced, else 0. There is none without an `auto` section: they are enforced.",
                &[],
            )?,
            auto_evidence_ratio: r.fractions(
                "auto_evidence_ratio",
                "How near the nearest condition of the policy's `auto` section is: at 1 rules of mode auto are switched on.",
                &[],
            )?,
            auto_switches: r.counters(
                "auto_switches_total",
                "How often rules of mode auto were switched, by what to: on, off.",
                &["to"],
            )?,
            // A family of one, too: where nobody is sampled there is no share.
            sample_sessions: r.gauges(
                "sample_sessions",
                "Sessions that the sample of the last day challenged, by outcome (solved, waited, left). A session is one \
                 User-Agent at one site, of one prefix in one hour.",
                &["outcome"],
            )?,
            sample_solvers_ratio: r.fractions(
                "sample_solvers_ratio",
                "The part of unknown sessions of the last day that solves the challenge, as the sample says, by bound: the estimate, and low and high, \
                 which hold the truth 95 times out of 100. Scrapers with a browser solve, too. Absent until 30 prefixes were challenged.",
                &["bound"],
            )?,
        })
    }

    /// Tells what became of the sample of the last day.
    pub fn tell_sample(&self, sample: Option<&SampleRow>) {
        self.sample_sessions.reset();
        self.sample_solvers_ratio.reset();
        let Some(sample) = sample else { return };
        let left = sample.sessions - sample.solved - sample.waited;
        for (outcome, count) in [("solved", sample.solved), ("waited", sample.waited), ("left", left)] {
            self.sample_sessions.with_label_values(&[outcome]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        if let Some(solvers) = sample.solvers {
            for (bound, share) in [("low", solvers.low), ("estimate", solvers.share), ("high", solvers.high)] {
                self.sample_solvers_ratio.with_label_values(&[bound]).set(share);
            }
        }
    }
}
