//! What traffic costs, and from when on the policy says that this matters.

use super::registrar::Registrar;
use crate::cost::Share;
use crate::report::{DecisionSettings, Measure};
use crate::verdict::Class;
use prometheus::{GaugeVec, IntGaugeVec};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Handles on the families about cost.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the HELP text beside each name in `new` is the documentation")]
pub struct CostMetrics {
    pub projected_dollars: GaugeVec,
    pub projected_paid_bytes: IntGaugeVec,
    pub scraper_class: IntGaugeVec,
    pub threshold: GaugeVec,
}

impl CostMetrics {
    pub(super) fn new(r: &Registrar) -> Result<Self, prometheus::Error> {
        Ok(CostMetrics {
            projected_dollars: r.fractions(
                "projected_cost_dollars",
                "What the last 24 hours would cost over a month of 730 hours, in US dollars by `prices` of the gateway file, by \
                 site and class of the client. Told every 5 minutes from what this process saw, so too little for the first \
                 day after a start. Bytes redirected to origins are not in it. Sum it over classes or replicas; each replica subtracts the free allowance.",
                &["site", "class"],
            )?,
            projected_paid_bytes: r.gauges(
                "projected_paid_bytes",
                "Bytes in windscreen_projected_cost_dollars over a month, by site and class, those towards where bytes cost something. The share \
                 of scrapers is their sum by windscreen_scraper_class over the sum of all.",
                &["site", "class"],
            )?,
            scraper_class: r.gauges(
                "scraper_class",
                "1 if the policy holds this class for scrapers (`decision.scrapers`), else 0. Multiply by it rather than name classes.",
                &["class"],
            )?,
            threshold: r.fractions(
                "decision_threshold",
                "From which value on the policy (`decision`) says that protection is to be watched or is needed (need: watch, \
                 needed), by measure: cost in dollars a month, share_of_paid_bytes and origin_errors from 0 to 1, growth in times \
                 a week. Only of conditions that are enough by themselves.",
                &["need", "measure"],
            )?,
        })
    }

    /// Tells what a month would come to, zero for all of `sites` and classes that are not in `months`.
    pub fn project<'s>(
        &self,
        sites: impl IntoIterator<Item = &'s Arc<str>>,
        months: &BTreeMap<(Arc<str>, Class), Share>,
    ) {
        for site in sites {
            for (word, class) in Class::WORDS {
                let share = months.get(&(site.clone(), class)).copied().unwrap_or_default();
                self.projected_dollars.with_label_values(&[&**site, word]).set(share.cost.dollars());
                let bytes = i64::try_from(share.paid_bytes).unwrap_or(i64::MAX);
                self.projected_paid_bytes.with_label_values(&[&**site, word]).set(bytes);
            }
        }
    }

    /// Tells what the policy decides by.
    pub fn decide_by(&self, settings: &DecisionSettings) {
        for (word, class) in Class::WORDS {
            self.scraper_class.with_label_values(&[word]).set(settings.is_scraper(class).into());
        }
        for (need, thresholds) in [("watch", &settings.watch), ("needed", &settings.needed)] {
            for (word, measure) in Measure::WORDS {
                match thresholds.enough(measure) {
                    Some(from) => self.threshold.with_label_values(&[need, word]).set(from),
                    // It may never have been there.
                    None => drop(self.threshold.remove_label_values(&[need, word])),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Metrics;
    use super::*;
    use crate::document::{Diagnostics, read};

    #[test]
    fn what_is_no_more_is_told_no_more() {
        let metrics = Metrics::new().unwrap();
        let settings = |text| read::<DecisionSettings>(text, &mut Diagnostics::default()).unwrap();
        let text = || String::from_utf8(metrics.encode().unwrap()).unwrap();
        let (cost, share) = ("decision_threshold{measure=\"cost\",need=\"needed\"} 25", "share_of_paid_bytes");
        metrics.costs.decide_by(&settings("{}"));
        assert!(text().contains(cost) && text().contains("measure=\"share_of_paid_bytes\",need=\"watch\"} 0.4"));
        assert!(text().contains("scraper_class{class=\"suspect\"} 1") && text().contains("class{class=\"human\"} 0"));
        metrics.costs.decide_by(&settings("{scrapers: [tool], watch: {any: [{cost: 1 USD/month}]}}"));
        assert!(text().contains(cost) && !text().contains(&format!("measure=\"{share}\"")), "{}", text());
        assert!(text().contains("scraper_class{class=\"suspect\"} 0") && text().contains("class{class=\"tool\"} 1"));

        let site: Arc<str> = "logs".into();
        let share = Share { cost: crate::cost::Money::from_cents(150), paid_bytes: 7, ..Share::default() };
        metrics.costs.project([&site], &BTreeMap::from([((site.clone(), Class::Ci), share)]));
        assert!(text().contains("projected_cost_dollars{class=\"ci\",site=\"logs\"} 1.5"), "{}", text());
        metrics.costs.project([&site], &BTreeMap::new());
        assert!(text().contains("projected_cost_dollars{class=\"ci\",site=\"logs\"} 0\n"));
        assert!(text().contains("projected_paid_bytes{class=\"suspect\",site=\"logs\"} 0\n"));
    }
}
