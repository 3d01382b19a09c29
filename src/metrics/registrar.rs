//! How families are declared.

use prometheus::core::Collector;
use prometheus::{
    CounterVec, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};
use std::cell::RefCell;

/// A family as it is declared, whether or not it has been used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// Its name with the prefix.
    pub name: String,
    /// What it is.
    pub help: String,
    /// The names of its labels.
    pub labels: Vec<String>,
    /// Whether its samples are `NAME_bucket` (with the label `le`), `NAME_sum` and `NAME_count`.
    pub is_histogram: bool,
}

/// Registers families under the `windscreen_` prefix.
#[derive(Default)]
pub(super) struct Registrar {
    pub registry: Registry,
    pub families: RefCell<Vec<Family>>,
}

fn options(name: &str, help: &str) -> Opts {
    Opts::new(format!("windscreen_{name}"), help)
}

impl Registrar {
    fn register<C: Collector + Clone + 'static>(
        &self,
        collector: Result<C, prometheus::Error>,
        is_histogram: bool,
    ) -> Result<C, prometheus::Error> {
        let collector = collector?;
        self.registry.register(Box::new(collector.clone()))?;
        let families = collector.desc().into_iter().map(|desc| Family {
            name: desc.fq_name.clone(),
            help: desc.help.clone(),
            labels: desc.variable_labels.clone(),
            is_histogram,
        });
        self.families.borrow_mut().extend(families);
        Ok(collector)
    }

    pub fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
        self.register(IntCounterVec::new(options(name, help), labels), false)
    }

    /// Counters of what is not counted in whole numbers.
    pub fn sums(&self, name: &str, help: &str, labels: &[&str]) -> Result<CounterVec, prometheus::Error> {
        self.register(CounterVec::new(options(name, help), labels), false)
    }

    pub fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
        self.register(IntGaugeVec::new(options(name, help), labels), false)
    }

    /// Gauges of what is not counted in whole numbers.
    pub fn fractions(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, prometheus::Error> {
        self.register(GaugeVec::new(options(name, help), labels), false)
    }

    pub fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.register(IntGauge::with_opts(options(name, help)), false)
    }

    pub fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        self.register(IntCounter::with_opts(options(name, help)), false)
    }

    pub fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> Result<HistogramVec, prometheus::Error> {
        let options = HistogramOpts::new(format!("windscreen_{name}"), help).buckets(buckets.to_vec());
        self.register(HistogramVec::new(options, labels), true)
    }
}
