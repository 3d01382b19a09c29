//! Whether protection is needed.

use super::data::{Answer, Measure, Need, Reason};
use super::evidence::{Days, Of};
use super::rows::ClassRow;
use super::settings::{ConditionSettings, DecisionSettings, ThresholdSettings};
use crate::cost::{Day, DayUsage, Money, Month, PriceBook, project};
use crate::verdict::Done;

/// The days of the month that is projected. Bills mean a twelfth of a year; the band is scaled to that.
const MONTH: u32 = 30;

/// What thresholds look at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measured {
    pub cost: Money,
    pub total: Money,
    pub origin_errors: Option<f64>,
    pub share_of_paid_bytes: Option<f64>,
    pub growth: Option<f64>,
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

impl Measured {
    pub fn new(classes: &[ClassRow], growth: Option<f64>, period: &Days<'_>) -> Self {
        let scrapers = || classes.iter().filter(|row| row.scraper);
        let paid = |rows: &mut dyn Iterator<Item = &ClassRow>| rows.map(|row| row.amount.paid_bytes).sum::<u64>();
        let (mut failed, mut asked) = (0, 0);
        for (_, key, cell) in period.cells().filter(|(_, key, _)| key.done == Done::Allow && !key.source.is_empty()) {
            asked += cell.requests;
            failed += if key.status == 5 { cell.requests } else { 0 };
        }
        Measured {
            cost: scrapers().map(|row| row.amount.cost).sum(),
            total: classes.iter().map(|row| row.amount.cost).sum(),
            origin_errors: ratio(failed, asked),
            share_of_paid_bytes: ratio(paid(&mut scrapers()), paid(&mut classes.iter())),
            growth,
        }
    }

    /// What of `condition` holds, if all of it does.
    fn reasons(&self, condition: &ConditionSettings) -> Option<Vec<Reason>> {
        let cost = condition.cost.map(|from| (Measure::Cost, Some(self.cost.dollars()), from.0.dollars()));
        let errors = condition.origin_errors.map(|from| (Measure::OriginErrors, self.origin_errors, from.0));
        let share = condition.share_of_paid_bytes;
        let share = share.map(|from| (Measure::ShareOfPaidBytes, self.share_of_paid_bytes, from.0));
        let growth = condition.growth.map(|from| (Measure::Growth, self.growth, from.0));
        let all = [cost, errors, share, growth].into_iter().flatten().map(|(measure, found, threshold)| {
            let found = found.filter(|found| *found >= threshold)?;
            Some(Reason { measure, found, threshold })
        });
        all.collect()
    }

    fn reach(&self, threshold: &ThresholdSettings) -> Option<Vec<Reason>> {
        threshold.any.0.iter().find_map(|condition| self.reasons(&condition.value))
    }
}

/// The answer from what was measured in `week`, of `days` days of evidence.
pub(super) fn answer(
    measured: &Measured,
    week: &[DayUsage<Of>],
    days: usize,
    book: &PriceBook,
    settings: &DecisionSettings,
) -> Answer {
    let (need, reasons) = if days < settings.min_days.get() as usize {
        (Need::NotEnoughData, Vec::new())
    } else if let Some(reasons) = measured.reach(&settings.needed) {
        (Need::Needed, reasons)
    } else if let Some(reasons) = measured.reach(&settings.watch) {
        (Need::Watch, reasons)
    } else {
        (Need::NotNeeded, Vec::new())
    };
    Answer {
        need,
        scrapers: measured.cost,
        total: measured.total,
        band: band(measured.cost, week, book, settings),
        watch_from: settings.watch.cost(),
        needed_from: settings.needed.cost(),
        reasons,
        min_days: settings.min_days.get(),
    }
}

/// The band around `cost`, what scrapers cost a month by `week`.
fn band(cost: Money, week: &[DayUsage<Of>], book: &PriceBook, settings: &DecisionSettings) -> Option<(Money, Money)> {
    let month = Month { first: Day(week.last()?.day.0.saturating_add(1)), length: MONTH };
    let told = project(book, week, month, |of| settings.is_scraper(of.class))?;
    let scale = |end: Money| match told.month.0 {
        0 => end,
        middle => Money(end.0.saturating_mul(cost.0) / middle),
    };
    Some((scale(told.low), scale(told.high)))
}

impl Answer {
    /// In how many days it pays to look again.
    pub(super) fn days_until_next(&self, days: usize) -> u32 {
        match self.need {
            Need::NotEnoughData => self.min_days.saturating_sub(u32::try_from(days).unwrap_or(u32::MAX)).max(1),
            Need::NotNeeded => 7,
            Need::Watch => 2,
            Need::Needed => 1,
        }
    }
}
