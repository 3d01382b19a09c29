//! The `decision` section of a policy file: who is held for a scraper, and when that matters.

use super::data::Measure;
use crate::cost::{Money, fixed};
use crate::document::{Decode, Diagnostics, Node, NonEmpty, Schemas, Spanned, pattern};
use crate::verdict::Class;
use serde_json::Value;
use std::num::NonZeroU32;

/// Dollars a month, e.g. `25 USD/month`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Monthly(pub Money);

/// A part of a whole, above 0 and at most 1; written as `40%`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Percent(pub f64);

/// How many times as much as the week before, above 1; written as `2x/week`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth(pub f64);

/// Reads a scalar, or says what is wanted.
fn decode<T>(read: impl Fn(&str) -> Option<T>, wanted: &str, node: &Node, diagnostics: &mut Diagnostics) -> Option<T> {
    let value = node.text().and_then(read);
    if value.is_none() {
        diagnostics.error(node.position, format!("expected {wanted}, found {}", node.describe()));
    }
    value
}

/// The number before the unit, of at most six decimals.
fn decimal(text: &str) -> Option<f64> {
    let millionths: u32 = fixed(text.trim(), 6)?.try_into().ok()?;
    Some(f64::from(millionths) / 1e6)
}

impl Decode for Monthly {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let read = |text: &str| {
            let (amount, per) = text.split_once('/')?;
            let cents = fixed(amount.trim().strip_suffix("USD")?.trim_end(), 2)?;
            (per.trim() == "month").then_some(Monthly(Money::from_cents(i64::try_from(cents).ok()?)))
        };
        decode(read, "dollars a month such as `25 USD/month`", node, diagnostics)
    }

    fn schema(_: &mut Schemas) -> Value {
        pattern(r"^\s*[0-9]+(\.[0-9]{1,2})?\s*USD\s*/\s*month\s*$", &["25 USD/month"])
    }
}

impl Decode for Percent {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let read = |text: &str| {
            let percent = decimal(text.trim_end().strip_suffix('%')?)?;
            (percent > 0.0 && percent <= 100.0).then_some(Percent(percent / 100.0))
        };
        decode(read, "a share above 0 such as `1%` or `40%`", node, diagnostics)
    }

    fn schema(_: &mut Schemas) -> Value {
        pattern(r"^\s*[0-9]+(\.[0-9]+)?\s*%\s*$", &["1%", "40%"])
    }
}

impl Decode for Growth {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let read = |text: &str| {
            let (times, per) = text.split_once('/')?;
            let times = decimal(times.trim_end().strip_suffix('x')?)?;
            (per.trim() == "week" && times > 1.0).then_some(Growth(times))
        };
        decode(read, "a growth above 1 such as `2x/week`", node, diagnostics)
    }

    fn schema(_: &mut Schemas) -> Value {
        pattern(r"^\s*[0-9]+(\.[0-9]+)?\s*x\s*/\s*week\s*$", &["2x/week"])
    }
}

crate::settings! {
    /// When protection is said to be needed, or to be watched.
    pub struct DecisionSettings {
        /// The classes that scrapers are in; `declared-bot` and `suspect` where absent.
        scrapers: NonEmpty<Class> = DecisionSettings::default().scrapers,
        /// When it is needed. Scrapers that cost 25 USD a month, or 1 % of failing origins, where absent.
        needed: ThresholdSettings = DecisionSettings::default().needed,
        /// When it may soon be. 10 USD a month, 40 % of paid bytes or twice as much as the week before, where absent.
        watch: ThresholdSettings = DecisionSettings::default().watch,
        /// With fewer whole days of evidence nothing is decided; 5 where absent.
        min_days: NonZeroU32 = DecisionSettings::default().min_days,
    }
}

crate::settings! {
    /// When something is said.
    pub struct ThresholdSettings {
        /// Conditions, of which one is enough.
        any: NonEmpty<Spanned<ConditionSettings>>,
    }
}

crate::settings! {
    /// A condition; all keys in it must hold.
    #[derive(Default, PartialEq)]
    pub struct ConditionSettings {
        /// Scrapers cost at least so much, e.g. `25 USD/month`.
        cost: Option<Monthly> = None,
        /// At least this part of requests to origins fails with 5xx, whoever asks, e.g. `1%`.
        origin_errors: Option<Percent> = None,
        /// Scrapers take at least this part of the bytes that are paid for, e.g. `40%`.
        share_of_paid_bytes: Option<Percent> = None,
        /// Scrapers take at least so many times as much as in the week before, e.g. `2x/week`: bytes, with a request
        /// for 4.4 kB, as bills weigh them. It needs two weeks of evidence.
        growth: Option<Growth> = None,
    }
}

impl ThresholdSettings {
    fn new(conditions: Vec<ConditionSettings>) -> Self {
        let spanned = |value| Spanned { position: Default::default(), value };
        ThresholdSettings { any: NonEmpty(conditions.into_iter().map(spanned).collect()) }
    }

    /// The lowest cost that is enough by itself.
    pub fn cost(&self) -> Option<Money> {
        self.alone().filter_map(|condition| condition.cost.map(|cost| cost.0)).min()
    }

    /// What is enough by itself, in the units of [`Reason`](super::Reason): dollars, parts of a whole, times as much.
    pub fn enough(&self, measure: Measure) -> Option<f64> {
        let given = |condition: &ConditionSettings| match measure {
            Measure::Cost => condition.cost.map(|cost| cost.0.dollars()),
            Measure::OriginErrors => condition.origin_errors.map(|part| part.0),
            Measure::ShareOfPaidBytes => condition.share_of_paid_bytes.map(|part| part.0),
            Measure::Growth => condition.growth.map(|times| times.0),
        };
        self.alone().filter_map(given).min_by(f64::total_cmp)
    }

    /// The conditions of one key.
    fn alone(&self) -> impl Iterator<Item = &ConditionSettings> {
        self.any.0.iter().map(|condition| &condition.value).filter(|condition| {
            let ConditionSettings { cost, origin_errors, share_of_paid_bytes, growth } = condition;
            let keys = [cost.is_some(), origin_errors.is_some(), share_of_paid_bytes.is_some(), growth.is_some()];
            keys.iter().filter(|given| **given).count() == 1
        })
    }
}

/// Thresholds for a deployment that one person looks after.
impl Default for DecisionSettings {
    fn default() -> Self {
        let none = ConditionSettings::default;
        let cost = |cents| ConditionSettings { cost: Some(Monthly(Money::from_cents(cents))), ..none() };
        DecisionSettings {
            scrapers: NonEmpty(vec![Class::DeclaredBot, Class::Suspect]),
            needed: ThresholdSettings::new(vec![
                cost(2_500),
                ConditionSettings { origin_errors: Some(Percent(0.01)), ..none() },
            ]),
            watch: ThresholdSettings::new(vec![
                cost(1_000),
                ConditionSettings { share_of_paid_bytes: Some(Percent(0.4)), ..none() },
                ConditionSettings { growth: Some(Growth(2.0)), ..none() },
            ]),
            min_days: NonZeroU32::MIN.saturating_add(4),
        }
    }
}

impl DecisionSettings {
    /// Whether scrapers are in `class`.
    pub fn is_scraper(&self, class: Class) -> bool {
        self.scrapers.0.contains(&class)
    }

    /// Finds what one key alone does not show.
    pub fn check(&self, diagnostics: &mut Diagnostics) {
        for condition in self.needed.any.0.iter().chain(&self.watch.any.0) {
            // A value that could not be read looks as if it were missing.
            if condition.value == ConditionSettings::default() && diagnostics.error_count() == 0 {
                let wanted = "`cost`, `origin_errors`, `share_of_paid_bytes` or `growth`";
                diagnostics.error(condition.position, format!("a condition needs {wanted}"));
            }
        }
        let (watch, needed) = (self.watch.cost(), self.needed.cost());
        if watch.zip(needed).is_some_and(|(watch, needed)| watch >= needed)
            && let Some(condition) = self.watch.any.0.iter().find(|condition| condition.value.cost.is_some())
        {
            diagnostics.warn(condition.position, "this is never said: from this cost on, protection is `needed`");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (Option<DecisionSettings>, String) {
        let mut diagnostics = Diagnostics::new("p.yaml");
        let settings: Option<DecisionSettings> = crate::document::read(text, &mut diagnostics);
        settings.iter().for_each(|settings| settings.check(&mut diagnostics));
        (settings, diagnostics.to_string())
    }

    #[test]
    fn thresholds_are_read_as_they_are_written() {
        let text = "{scrapers: [suspect], watch: {any: {share_of_paid_bytes: 12.5 %}}, min_days: 3, needed: \
                    {any: [{cost: 0.5 USD/month, growth: 1.5x/week}, {cost: 30USD / month}]}}";
        let (settings, found) = parse(text);
        let settings = settings.unwrap();
        assert_eq!(found, "");
        assert!(settings.is_scraper(Class::Suspect) && !settings.is_scraper(Class::DeclaredBot));
        assert_eq!((settings.needed.cost(), settings.watch.cost()), (Some(Money::from_cents(3_000)), None));
        let first = &settings.needed.any.0[0].value;
        assert_eq!((first.cost, first.growth), (Some(Monthly(Money::from_cents(50))), Some(Growth(1.5))));
        assert_eq!(settings.watch.any.0[0].value.share_of_paid_bytes, Some(Percent(0.125)));
        let (watch, needed) = (settings.watch, settings.needed);
        assert_eq!((watch.enough(Measure::ShareOfPaidBytes), needed.enough(Measure::Cost)), (Some(0.125), Some(30.0)));
        assert_eq!(needed.enough(Measure::Growth), None, "it is not enough by itself");
        let (absent, _) = parse("{}");
        let absent = absent.unwrap();
        let costs = (absent.needed.cost(), absent.watch.cost());
        assert_eq!(costs, (Some(Money::from_cents(2_500)), Some(Money::from_cents(1_000))));
        assert_eq!(absent.min_days.get(), 5);
    }

    #[test]
    fn mistakes_are_told_with_their_places() {
        let cases = [
            (
                "{needed: {any: [{cost: 25}]}}",
                "1:24: error: expected dollars a month such as `25 USD/month`, found `25`",
            ),
            ("{needed: {any: [{cost: 25 EUR/month}]}}", "1:24: error: expected dollars a month"),
            ("{watch: {any: [{growth: 1x/week}]}}", "1:25: error: expected a growth above 1 such as `2x/week`"),
            ("{watch: {any: [{origin_errors: 101%}]}}", "1:32: error: expected a share above 0"),
            ("{watch: {any: [{origin_errors: 0%}]}}", "1:32: error: expected a share above 0"),
            ("{watch: {any: [{costs: 1 USD/month}]}}", "unknown key `costs`, did you mean `cost`?"),
            ("{watch: {any: [{}]}}", "1:16: error: a condition needs `cost`, `origin_errors`"),
            ("{watch: {any: []}}", "1:15: error: expected at least one item"),
            ("{watch: {}}", "missing key `any`"),
            ("{scrapers: [robot]}", "unknown class `robot`"),
            ("{scrapers: []}", "expected at least one item"),
            ("{min_days: 0}", "expected a whole number from 1"),
            ("{watch: {any: [{cost: 25 USD/month}]}}", "1:16: warning: this is never said"),
        ];
        for (text, expected) in cases {
            let (_, found) = parse(text);
            assert!(found.contains(expected), "{text}\n{found}");
        }
    }
}
