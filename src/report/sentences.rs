//! What a report says in words, once for all formats. Renderers escape whole sentences: names in them are an operator's.

use super::data::{Answer, Measure, Need, Reason, Report};
use super::rows::Hurt;
use super::sample::Estimate;
use super::wording::{bytes, counted, date, dates, dollars, grouped, percent};
use crate::cost::Alternative;
use crate::cost::Money;
use crate::verdict::Class;

/// How many examples a sentence gives.
const EXAMPLES: usize = 3;
/// How many sources it names.
const SOURCES: usize = 5;

/// The sentences below the table, in their order.
pub(super) fn findings(report: &Report) -> Vec<String> {
    let (first, second) = ([sources(report), effect(report), sample(report)], [undecided(report), cheaper(report)]);
    first.into_iter().chain(second).chain([gateway(report), month(report)]).flatten().collect()
}

/// `$5-11`.
fn band(low: Money, high: Money) -> String {
    let (low, high) = (dollars(low), dollars(high));
    if low == high { low } else { format!("{low}-{}", high.replacen('$', "", 1)) }
}

/// The answer in a sentence or two, with its numbers.
pub fn answer(report: &Report) -> String {
    let answer = &report.answer;
    let mut text = match answer.need {
        Need::NotEnoughData => format!(
            "Not enough data to say whether protection is needed: {} of at least {}",
            report.evidence.days,
            counted(answer.min_days.into(), "day", "days")
        ),
        Need::NotNeeded => "Protection is NOT needed".into(),
        Need::Watch => "WATCH, protection may soon be needed".into(),
        Need::Needed => "Protection is NEEDED".into(),
    };
    if report.evidence.days > 0 {
        text += &format!("{} {}", if answer.need == Need::NotEnoughData { ";" } else { ":" }, costs(answer));
    }
    let thresholds = [("watch", answer.watch_from), ("needed", answer.needed_from)];
    let thresholds: Vec<String> = thresholds
        .iter()
        .filter_map(|(word, from)| from.map(|from| format!("\"{word}\" from {}", dollars(from))))
        .collect();
    text.push('.');
    if !thresholds.is_empty() {
        text += &format!(" {}.", thresholds.join(", "));
    }
    let reasons: Vec<String> = answer.reasons.iter().filter_map(reason).collect();
    if !reasons.is_empty() {
        text += &format!(" Why: {}.", reasons.join(", "));
    }
    text
}

fn costs(answer: &Answer) -> String {
    let share = answer.scrapers.share_of(answer.total).map(percent);
    let sure = answer.band.map(|(low, high)| format!("90 % sure: {}", band(low, high)));
    let beside: Vec<String> = [share, sure].into_iter().flatten().collect();
    let beside = if beside.is_empty() { String::new() } else { format!(" ({})", beside.join("; ")) };
    format!("scrapers cost {} of {} a month{beside}", dollars(answer.scrapers), dollars(answer.total))
}

fn reason(reason: &Reason) -> Option<String> {
    let Reason { measure, found, threshold } = *reason;
    let precise = |part: f64| format!("{} %", (part * 1000.0).round() / 10.0);
    match measure {
        // The sentence begins with it.
        Measure::Cost => None,
        Measure::OriginErrors => {
            Some(format!("{} of requests to origins fail (from {})", precise(found), precise(threshold)))
        }
        Measure::ShareOfPaidBytes => {
            Some(format!("scrapers take {} of paid bytes (from {})", precise(found), precise(threshold)))
        }
        Measure::Growth => {
            Some(format!("scrapers take {found:.1} times as much as the week before (from {threshold:.1})"))
        }
    }
}

/// What it is told from.
pub(super) fn evidence(report: &Report) -> String {
    let basis = &report.evidence;
    let days = match basis.from.zip(basis.to) {
        Some((from, to)) => {
            format!("{}, {} of {}", dates(from, to), basis.days, counted(basis.of_days as u64, "day", "days"))
        }
        None => "no whole day".into(),
    };
    let left_out = &basis.left_out;
    let counts = [
        ("unreadable", left_out.unreadable),
        ("duplicates", left_out.duplicates),
        ("writes", left_out.writes),
        ("reads of the gateway", left_out.own_reads),
        ("of no client", left_out.other),
        ("on other days", left_out.part_days),
    ];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(what, count)| format!("{} {what}", grouped(*count)))
        .collect();
    let left_out = if counts.is_empty() { String::new() } else { format!("; left out: {}", counts.join(", ")) };
    format!("Evidence: {}, {days}; {}{left_out}", basis.described, counted(basis.reads, "read", "reads"))
}

fn sources(report: &Report) -> Option<String> {
    let paid: u64 = report.sources.iter().map(|row| row.amount.paid_bytes).sum();
    let share = |bytes: u64| percent(bytes as f64 / paid as f64);
    let named = report.sources.iter().take(SOURCES).map(|row| {
        let name = if row.site == row.source { row.site.clone() } else { format!("{} {}", row.site, row.source) };
        format!("{name} {}", share(row.amount.paid_bytes))
    });
    let rest: u64 = report.sources.iter().skip(SOURCES).map(|row| row.amount.paid_bytes).sum();
    let rest = (rest > 0).then(|| format!("others {}", share(rest)));
    let all: Vec<String> = named.chain(rest).collect();
    (paid > 0).then(|| format!("Paid bytes left from: {}", all.join(", ")))
}

fn examples(report: &Report, class: Class) -> String {
    let of_class = report.effect.hurt.iter().filter(|hurt| hurt.class == class).take(EXAMPLES);
    let example = |hurt: &Hurt| format!("{}, rule {}", hurt.prefix, hurt.rule);
    let examples: Vec<String> = of_class.map(example).collect();
    if examples.is_empty() { String::new() } else { format!(" ({})", examples.join("; ")) }
}

fn effect(report: &Report) -> Option<String> {
    let effect = &report.effect;
    if report.classes.is_empty() {
        return None;
    }
    let stopped = match effect.requests {
        0 => "nothing of scrapers".into(),
        requests if effect.bytes == 0 => format!("{} of scrapers", counted(requests, "read", "reads")),
        _ => format!("{} ({} a month)", bytes(effect.bytes), dollars(effect.saving)),
    };
    let people = match (effect.hurt_people, effect.people) {
        (_, 0) => "nobody, for no people were seen,".into(),
        (0, people) => format!("none of ~{} people", grouped(people)),
        (hurt, people) => {
            format!("{} of ~{} people{}", grouped(hurt), grouped(people), examples(report, Class::Human))
        }
    };
    let ci = match effect.hurt_ci {
        0 => "no CI".into(),
        hurt => format!("{} of CI{}", counted(hurt, "prefix", "prefixes"), examples(report, Class::Ci)),
    };
    let waiting = match effect.challenged_people {
        0 => String::new(),
        people => format!("; it asks {} of them to wait for a challenge", grouped(people)),
    };
    Some(format!("{} would have stopped {stopped} and hurt {people} and {ci}{waiting}", report.evidence.policy))
}

/// What the sample says, and what it cannot say: a scraper with a browser solves, too.
fn sample(report: &Report) -> Option<String> {
    let sample = report.sample.as_ref()?;
    let sessions = counted(sample.sessions, "session", "sessions");
    let basis = format!("{sessions} in {}", counted(sample.prefix_hours as u64, "prefix-hour", "prefix-hours"));
    let Some(Estimate { share, low, high }) = sample.solvers else {
        let fewest = sample.fewest;
        return Some(format!("Sample: {basis} were challenged so far; {fewest} prefix-hours tell how many solve"));
    };
    let part = |some: u64, of: u64| percent(some as f64 / of.max(1) as f64);
    let waited = match sample.waited {
        0 => String::new(),
        waited => format!(", {} more wait for a pass", part(waited, sample.sessions)),
    };
    let acted = match (sample.solved, sample.suspicious) {
        (0, _) => String::new(),
        (solved, some) => format!("; at least {} of these acted like no browser afterwards", part(some, solved)),
    };
    let sure = format!("{}-{}", percent(low).trim_end_matches(" %"), percent(high));
    Some(format!(
        "Sample: {} of unknown sessions solve the challenge (95 % sure: {sure}; {basis}){waited}, the rest leave or run no \
         scripts. Who solves is a person, or a scraper with a browser{acted}",
        percent(share)
    ))
}

fn undecided(report: &Report) -> Option<String> {
    let total = report.total();
    let paid: u64 = report.undecided.iter().map(|row| row.paid_bytes).sum();
    let reads: u64 = report.undecided.iter().map(|row| row.reads).sum();
    let share = match total.paid_bytes {
        0 => format!("{} of reads", percent(reads as f64 / total.reads.max(1) as f64)),
        all => format!("{} of paid bytes", percent(paid as f64 / all as f64)),
    };
    let rules: Vec<&str> = report.undecided.iter().take(EXAMPLES).map(|row| row.rule.as_str()).collect();
    let (rule, needs) = if rules.len() == 1 { ("rule", "needs") } else { ("rules", "need") };
    let lacks = match report.evidence.lacks.as_str() {
        "" => String::new(),
        lacks => format!(" {needs} {lacks}"),
    };
    (!rules.is_empty()).then(|| format!("Undecidable here: {share} ({rule} {}{lacks})", rules.join(", ")))
}

/// The other way to deliver that saves most.
fn best(report: &Report) -> Option<&Alternative> {
    let fitting = report.offers.iter().filter(|offer| offer.fits && offer.saving.cents() > 0);
    fitting.max_by_key(|offer| offer.saving)
}

fn cheaper(report: &Report) -> Option<String> {
    let scrapers = report.answer.scrapers;
    let ci = report.ci_outside.as_ref().map(|ci| {
        format!("CI outside the region, {}, {}; in-region that is saved.", bytes(ci.bytes), dollars(ci.saving))
    });
    let offer = match best(report) {
        Some(offer) => {
            let fee = if offer.fee > Money::ZERO { format!(" for {}", dollars(offer.fee)) } else { String::new() };
            let more = if offer.saving > scrapers { ", more than scrapers cost" } else { "" };
            Some(format!("{}{fee} would save {} a month{more}.", offer.name, dollars(offer.saving)))
        }
        None => {
            let fees = report.offers.iter().filter(|offer| offer.fits).map(|offer| offer.fee);
            let fee = fees.filter(|fee| *fee > Money::ZERO).min().filter(|fee| *fee > scrapers);
            fee.map(|fee| format!("A {} CDN plan would cost more than the scrapers do.", dollars(fee)))
        }
    };
    let all: Vec<String> = [ci, offer].into_iter().flatten().collect();
    (!all.is_empty()).then(|| format!("Cheaper first: {}", all.join(" ")))
}

fn gateway(report: &Report) -> Option<String> {
    let gateway = report.gateway.as_ref()?;
    let added = gateway.with - gateway.without;
    let what = match added.cents() {
        0 => "add nothing".into(),
        1.. => format!("add {} a month", dollars(added)),
        _ => format!("save {} a month", dollars(Money::ZERO - added)),
    };
    let place = if gateway.location == "outside" { "outside of AWS" } else { &gateway.location };
    Some(format!(
        "The gateway itself ({place}) would {what}: {} with it, {} without, if it keeps nobody away",
        dollars(gateway.with),
        dollars(gateway.without)
    ))
}

fn month(report: &Report) -> Option<String> {
    let month = report.month.as_ref()?;
    let to_date = format!("{} to date, {} projected", dollars(month.to_date), dollars(month.projected));
    Some(format!("The month from {}: {to_date} (90 % sure: {})", date(month.first), band(month.low, month.high)))
}

/// What to do, and when to look again.
pub(super) fn next(report: &Report) -> String {
    let answer = &report.answer;
    let cheaper = best(report).map_or(Money::ZERO, |offer| offer.saving);
    let cheaper = cheaper.max(report.ci_outside.as_ref().map_or(Money::ZERO, |ci| ci.saving));
    let policy = &report.evidence.policy;
    let what = match answer.need {
        Need::NotEnoughData => "go on collecting".into(),
        Need::NotNeeded => "nothing now".into(),
        Need::Watch => format!("see whom {policy} would hurt, before it is needed"),
        Need::Needed if answer.scrapers > Money::ZERO && cheaper >= answer.scrapers => {
            "what is cheaper first, since it saves more than scrapers cost".into()
        }
        Need::Needed if report.effect.saving.0.saturating_mul(2) < answer.scrapers.0 => {
            format!("change {policy} before it is enforced: it would stop less than half of it")
        }
        Need::Needed => format!("look at whom {policy} hurts, then enforce it"),
    };
    match report.look_again {
        Some(day) => format!("Next: {what}; look again on {}.", date(day)),
        None => format!("Next: {what}."),
    }
}
