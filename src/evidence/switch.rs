//! The switch: on as soon as a condition holds, off when none has nearly held for a while.

use super::rates::{Rates, Sums};
use super::settings::{AutoSettings, TriggerSettings};
use crate::clock::Timestamp;
use crate::cost::Money;
use crate::report::bytes;

/// What is on stays on while a condition holds to this part: at the threshold itself it would flap.
const NEARLY: f64 = 0.8;
/// Shares and averages of fewer requests say nothing.
const FEWEST: u64 = 20;

/// What is measured elsewhere.
#[derive(Debug, Clone, Copy, Default)]
pub struct Measured {
    /// What a month like the last day would cost for the classes.
    pub projected_cost: Option<Money>,
    /// The load average over a minute.
    pub load: Option<f64>,
}

/// That it was switched, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switched {
    /// Whether it is on now.
    pub on: bool,
    /// The evidence in words.
    pub because: String,
}

/// The switch of one policy.
#[derive(Debug, Default)]
pub struct Switch {
    on: Option<Timestamp>,
    /// When a condition held, or nearly, for the last time.
    held: Timestamp,
    conditions: Vec<Condition>,
}

/// How near a condition was at the last look, and the numbers in words.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// The part of its threshold that is reached, of the key that is furthest from it: 1 where it holds.
    pub part: f64,
    /// What was measured, and from what on it counts.
    pub words: String,
}

impl Switch {
    /// Since when it is on, if it is.
    pub fn on_since(&self) -> Option<Timestamp> {
        self.on
    }

    /// How near the nearest condition was at the last look: 1 where it held.
    pub fn nearest(&self) -> f64 {
        self.conditions.iter().map(|condition| condition.part).fold(0.0, f64::max)
    }

    /// All conditions as they were at the last look, in their order.
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// Looks at the evidence; to be called every few seconds.
    pub fn look(
        &mut self,
        settings: &AutoSettings,
        rates: &Rates,
        measured: Measured,
        now: Timestamp,
    ) -> Option<Switched> {
        let conditions = settings.any.0.iter().map(|condition| {
            let sums = rates.sums(&settings.classes.0, condition.value.per, now);
            part(&condition.value, sums, measured)
        });
        self.conditions = conditions.collect();
        let nearest = self.nearest();
        if nearest >= if self.on.is_some() { NEARLY } else { 1.0 } {
            self.held = now;
        }
        match self.on {
            None if nearest >= 1.0 => {
                self.on = Some(now);
                let because = self.conditions.iter().find(|condition| condition.part >= nearest);
                Some(Switched { on: true, because: because.map_or_else(String::new, |it| it.words.clone()) })
            }
            Some(_) if now.since(self.held) >= settings.hold => {
                self.on = None;
                let hold = crate::quantity::written(settings.hold);
                Some(Switched { on: false, because: format!("no condition held for {hold}") })
            }
            _ => None,
        }
    }
}

/// How near a condition is: the part of its threshold that is reached, of the key that is furthest from it.
fn part(condition: &TriggerSettings, sums: Sums, measured: Measured) -> Condition {
    let per = condition.per;
    let span = crate::quantity::written(per);
    let mut keys: Vec<(f64, String)> = Vec::new();
    if let Some(least) = condition.bytes {
        let part = sums.bytes as f64 / least.0.max(1) as f64;
        keys.push((part, format!("{} in {span}, of {}", bytes(sums.bytes), bytes(least.0))));
    }
    if let Some(least) = condition.requests {
        let rate = sums.requests as f64 / per.as_secs_f64();
        let least = f64::from(least.count) / least.per.as_secs_f64();
        keys.push((rate / least, format!("{rate:.1} requests/s over {span}, of {least:.1}")));
    }
    if let Some(least) = condition.projected_cost {
        let cost = measured.projected_cost.unwrap_or_default().dollars();
        let least = least.0.dollars();
        keys.push((cost / least.max(0.01), format!("a projected ${cost:.2} a month, of ${least:.2}")));
    }
    let enough = sums.answers >= FEWEST;
    if let Some(least) = condition.origin_errors {
        let share = if enough { sums.errors as f64 / sums.answers as f64 } else { 0.0 };
        let words =
            format!("{:.1} % of requests to origins failed over {span}, of {} %", share * 100.0, least.0 * 100.0);
        keys.push((share / least.0, words));
    }
    if let Some(least) = condition.origin_latency {
        let mean = if enough { sums.millis as f64 / sums.answers as f64 / 1000.0 } else { 0.0 };
        let least = least.as_secs_f64();
        keys.push((mean / least, format!("origins took {mean:.2} s on average over {span}, of {least:.2} s")));
    }
    if let Some(least) = condition.load {
        let load = measured.load.unwrap_or(0.0);
        keys.push((load / least.max(f64::EPSILON), format!("a load of {load:.1}, of {least:.1}")));
    }
    let least = keys.iter().map(|(part, _)| *part).fold(f64::INFINITY, f64::min);
    let words: Vec<String> = keys.into_iter().map(|(_, words)| words).collect();
    Condition { part: if least.is_finite() { least } else { 0.0 }, words: words.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Diagnostics, read};
    use crate::verdict::Class;
    use std::time::Duration;

    const START: u64 = 1_795_200_000_000;

    fn settings(text: &str) -> AutoSettings {
        let mut diagnostics = Diagnostics::default();
        let settings: Option<AutoSettings> = read(text, &mut diagnostics);
        assert!(settings.is_some(), "{diagnostics}");
        let settings = settings.unwrap();
        settings.check(&mut diagnostics);
        assert_eq!(diagnostics.error_count(), 0, "{diagnostics}");
        settings
    }

    /// Runs `rate(minute)` requests of suspects for so many minutes, looks every ten seconds, and tells in which minutes
    /// it was switched.
    fn run(settings: &AutoSettings, minutes: u64, rate: impl Fn(u64) -> u64) -> Vec<(u64, bool)> {
        let (rates, mut switch, mut switched) = (Rates::default(), Switch::default(), Vec::new());
        for second in (0..minutes * 60).step_by(10) {
            let now = Timestamp(START + second * 1000);
            for _ in 0..rate(second / 60) / 6 {
                rates.request(Class::Suspect, 1000, now);
            }
            if let Some(change) = switch.look(settings, &rates, Measured::default(), now) {
                switched.push((second / 60, change.on));
            }
        }
        switched
    }

    #[test]
    fn a_scrape_switches_it_on_within_the_span_and_its_end_off_after_the_hold() {
        let settings = settings("{any: [{requests: 2/s, per: 10m}], hold: 1h}");
        // Six a second from the 30th minute to the 90th.
        let switched = run(&settings, 300, |minute| if (30..90).contains(&minute) { 360 } else { 6 });
        let [(on, true), (off, false)] = switched[..] else { unreachable!("{switched:?}") };
        assert!((30..=34).contains(&on), "within the span: {on}");
        assert!((150..=162).contains(&off), "an hour after the last: {off}");
    }

    #[test]
    fn at_the_threshold_it_does_not_flap() {
        let settings = settings("{any: [{requests: 2/s, per: 10m}], hold: 20m}");
        let switched = run(&settings, 600, |minute| if minute % 2 == 0 { 126 } else { 114 });
        assert!(switched.len() <= 1, "{switched:?}");
        // Waves that go below for longer than the hold are another matter.
        let switched = run(&settings, 600, |minute| if minute / 60 % 2 == 0 { 240 } else { 0 });
        assert_eq!(switched.len(), 10, "{switched:?}");
        assert!(run(&settings, 600, |_| 108).is_empty(), "nearly is not enough to begin");
    }

    #[test]
    fn every_key_of_a_condition_must_hold_and_one_condition_is_enough() {
        let measured = Measured { projected_cost: Some(Money::from_cents(3000)), load: Some(9.0) };
        let rates = Rates::default();
        let now = Timestamp(START);
        for number in 0..100u64 {
            rates.request(Class::Suspect, 1_000_000, now);
            rates.request(Class::Human, 50_000_000, now);
            rates.answer(number < 10, Duration::from_millis(500), now);
        }
        let cases = [
            ("{any: [{bytes: 100 MB, per: 1h}]}", true),
            ("{any: [{bytes: 101 MB, per: 1h}]}", false),
            ("{any: [{bytes: 101 MB}, {projected_cost: 30 USD/month}]}", true),
            ("{any: [{bytes: 100 MB, projected_cost: 31 USD/month}]}", false),
            ("{any: [{origin_errors: 10%}]}", true),
            ("{any: [{origin_errors: 11%}]}", false),
            ("{any: [{origin_latency: 500ms}]}", true),
            ("{any: [{origin_latency: 1s}]}", false),
            ("{any: [{load: 9}]}", true),
            ("{any: [{load: 9.5}]}", false),
            ("{classes: [human], any: [{bytes: 5 GB}]}", true),
        ];
        for (text, on) in cases {
            let switched = Switch::default().look(&settings(text), &rates, measured, now);
            assert_eq!(switched.as_ref().map(|switched| switched.on), on.then_some(true), "{text} {switched:?}");
        }
        let few = Rates::default();
        few.answer(true, Duration::from_secs(9), now);
        let settings = settings("{any: [{origin_errors: 1%}, {origin_latency: 1s}]}");
        assert_eq!(Switch::default().look(&settings, &few, measured, now), None, "one failure says nothing");
    }

    #[test]
    fn a_condition_without_a_key_is_a_mistake() {
        for (text, message) in
            [("{any: [{per: 1h}]}", "expected at least one of"), ("{any: [{load: 1, per: 30s}]}", "from `1m`")]
        {
            let mut diagnostics = Diagnostics::default();
            let settings: AutoSettings = read(text, &mut diagnostics).unwrap();
            settings.check(&mut diagnostics);
            assert!(diagnostics.to_string().contains(message), "{diagnostics}");
        }
    }
}
