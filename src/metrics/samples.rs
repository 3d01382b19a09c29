//! The numbers as they stand, for whoever shows or compares them without reading text.

use super::Metrics;
use prometheus::proto::{Metric, MetricType};
use std::collections::BTreeMap;

/// The labels of a series.
pub type Labels = BTreeMap<String, String>;

/// The sum, 0 of nothing: that of the standard library is -0, which shows.
fn total(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |sum, value| sum + value)
}

/// The values of all counters and gauges at one moment. Histograms are left out.
#[derive(Debug, Default)]
pub struct Samples(BTreeMap<String, Vec<(Labels, f64)>>);

impl Metrics {
    /// All counters and gauges now.
    pub fn samples(&self) -> Samples {
        let mut samples = Samples::default();
        for family in self.registry.gather() {
            let name = family.name().trim_start_matches("windscreen_").to_owned();
            let value: fn(&Metric) -> f64 = match family.get_field_type() {
                MetricType::COUNTER => |metric| metric.get_counter().get_value(),
                MetricType::GAUGE => |metric| metric.get_gauge().get_value(),
                _ => continue,
            };
            let series = family.get_metric().iter().map(|metric| {
                let labels = metric.get_label().iter();
                (labels.map(|label| (label.name().to_owned(), label.value().to_owned())).collect(), value(metric))
            });
            samples.0.insert(name, series.collect());
        }
        samples
    }
}

impl Samples {
    /// The series of a family, by its name without the prefix: their labels and values.
    pub fn series(&self, name: &str) -> impl Iterator<Item = (&Labels, f64)> {
        self.0.get(name).into_iter().flatten().map(|(labels, value)| (labels, *value))
    }

    /// The sum of all series of a family.
    pub fn sum(&self, name: &str) -> f64 {
        total(self.series(name).map(|(_, value)| value))
    }

    /// The sum of those series of a family that have all these labels.
    pub fn sum_of(&self, name: &str, wanted: &[(&str, &str)]) -> f64 {
        let is = |labels: &Labels| {
            wanted.iter().all(|(label, value)| labels.get(*label).is_some_and(|known| known == value))
        };
        total(self.series(name).filter(|(labels, _)| is(labels)).map(|(_, value)| value))
    }

    /// The sums of a family by one of its labels.
    pub fn by(&self, name: &str, label: &str) -> BTreeMap<&str, f64> {
        let mut sums = BTreeMap::new();
        for (labels, value) in self.series(name) {
            *sums.entry(labels.get(label).map_or("", String::as_str)).or_default() += value;
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_summed_by_a_label() {
        let metrics = Metrics::new().unwrap();
        for (site, class, count) in [("a", "human", 2), ("a", "tool", 3), ("b", "tool", 5)] {
            metrics.requests.with_label_values(&[site, class, "allow", "enforce"]).inc_by(count);
        }
        metrics.in_flight.set(4);
        let samples = metrics.samples();
        assert_eq!(
            (samples.sum("requests_total"), samples.sum("requests_in_flight"), samples.sum("none")),
            (10., 4., 0.)
        );
        assert_eq!(
            (samples.sum_of("requests_total", &[("site", "a")]), samples.sum_of("requests_total", &[("class", "ci")])),
            (5., 0.)
        );
        assert!(samples.sum("none").is_sign_positive());
        assert_eq!(samples.by("requests_total", "class"), BTreeMap::from([("human", 2.), ("tool", 8.)]));
    }
}
