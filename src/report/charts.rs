//! Charts as SVG, drawn without a script. Each has a title and says in words what it shows.

use super::data::{CLASSES, Report};
use super::wording::{amount, bytes, counted, date, dates, dollars, grouped, html, percent};
use crate::cost::{Day, Money};
use crate::verdict::Class;

/// The width of all charts in their own units; pages scale them.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 180.0;
const BAR: f64 = 26.0;

/// The colour of a class, by day and by night: each has a contrast of 4.5 or more with the page (WCAG 2.2, 1.4.3).
pub(super) fn colours(class: Class) -> (&'static str, &'static str) {
    match class {
        Class::Ci => ("#0b5cad", "#6cb2ff"),
        Class::Tool => ("#7a5c00", "#e0b83d"),
        Class::Human => ("#1e7134", "#5fd07a"),
        Class::DeclaredBot => ("#7a2fd0", "#c39bff"),
        Class::Suspect => ("#b3261e", "#ff8a80"),
        Class::Unknown => ("#5f6368", "#b0b6bd"),
    }
}

/// A drawing of the given height with its title and its words.
fn drawing(id: &str, title: &str, words: &str, height: f64, shapes: &str) -> String {
    let (title, words) = (html(title), html(words));
    format!(
        "<figure><figcaption>{title}</figcaption>\n<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-labelledby=\"{id}-t {id}-d\"><title id=\"{id}-t\">{title}</title><desc id=\"{id}-d\">{words}</desc>{shapes}\
         </svg></figure>\n"
    )
}

fn rect(class: &str, x: f64, y: f64, width: f64, height: f64, tip: &str) -> String {
    let tip = html(tip);
    format!(
        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"><title>{tip}</title>\
         </rect>"
    )
}

fn label(x: f64, y: f64, anchor: &str, text: &str) -> String {
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", html(text))
}

fn part(of: u64, most: u64) -> f64 {
    if most == 0 { 0.0 } else { of as f64 / most as f64 }
}

/// All charts that there is something to show in.
pub(super) fn charts(report: &Report) -> String {
    [days(report), hours(report), shares(report), sites(report)].into_iter().flatten().collect()
}

/// Bytes per day, stacked by class.
fn days(report: &Report) -> Option<String> {
    let (first, last) = (report.days.first()?.day, report.days.last()?.day);
    let sum = |bytes: &[u64; 6]| bytes.iter().sum::<u64>();
    let most = report.days.iter().map(|row| sum(&row.bytes)).max().filter(|most| *most > 0)?;
    let (width, floor) = (WIDTH / report.days.len() as f64, HEIGHT - 18.0);
    let mut shapes = label(0.0, 12.0, "start", &format!("{} a day at most", bytes(most)));
    let mut words = Vec::new();
    for (number, row) in report.days.iter().enumerate() {
        let mut y = floor;
        for (class, taken) in CLASSES.iter().zip(row.bytes).filter(|(_, taken)| *taken > 0) {
            let height = part(taken, most) * (floor - 20.0);
            y -= height;
            let tip = format!("{}, {}: {}", date(row.day), class.word(), bytes(taken));
            shapes += &rect(class.word(), number as f64 * width + 1.0, y, (width - 2.0).max(0.5), height, &tip);
        }
        words.push(format!("{} {}", date(row.day), bytes(sum(&row.bytes))));
    }
    shapes += &label(0.0, HEIGHT - 4.0, "start", &date(first));
    shapes += &label(WIDTH, HEIGHT - 4.0, "end", &date(last));
    Some(drawing("days", "Bytes per day by class", &words.join(", "), HEIGHT, &shapes))
}

/// Requests per hour of the busiest week.
fn hours(report: &Report) -> Option<String> {
    let hours = report.busiest.as_ref()?;
    let most = hours.requests.iter().copied().max().filter(|most| *most > 0)?;
    let (width, floor) = (WIDTH / hours.requests.len() as f64, HEIGHT - 18.0);
    let last = Day(hours.from.0 + (hours.requests.len() as u32 / 24).saturating_sub(1));
    let mut shapes = label(0.0, 12.0, "start", &format!("{} an hour at most", counted(most, "request", "requests")));
    for (hour, count) in hours.requests.iter().enumerate().filter(|(_, count)| **count > 0) {
        let height = part(*count, most) * (floor - 20.0);
        let day = Day(hours.from.0 + hour as u32 / 24);
        let tip = format!("{}, {:02}:00 UTC: {}", date(day), hour % 24, grouped(*count));
        shapes += &rect("hour", hour as f64 * width, floor - height, (width - 0.5).max(0.5), height, &tip);
    }
    shapes += &label(0.0, HEIGHT - 4.0, "start", &date(hours.from));
    shapes += &label(WIDTH, HEIGHT - 4.0, "end", &date(last));
    let title = format!("Requests per hour in the busiest week, {}", dates(hours.from, last));
    let per_day = hours.requests.chunks(24).enumerate().map(|(number, day)| {
        let most = day.iter().max().copied().unwrap_or(0);
        format!("{} up to {} an hour", date(Day(hours.from.0 + number as u32)), grouped(most))
    });
    Some(drawing("hours", &title, &per_day.collect::<Vec<_>>().join(", "), HEIGHT, &shapes))
}

/// One bar, cut by the classes' shares of bytes.
fn shares(report: &Report) -> Option<String> {
    let all = Some(report.total().bytes).filter(|all| *all > 0)?;
    let (mut x, mut shapes, mut words) = (0.0, String::new(), Vec::new());
    for row in &report.classes {
        let share = part(row.amount.bytes, all);
        let says = format!("{} {} ({})", row.class.word(), percent(share), bytes(row.amount.bytes));
        shapes += &rect(row.class.word(), x, 4.0, share * WIDTH, BAR, &says);
        x += share * WIDTH;
        words.push(says);
    }
    Some(drawing("shares", "Bytes by class", &words.join(", "), BAR + 8.0, &shapes))
}

/// A bar of dollars for each site, cut by class; one for all where there is one site.
fn sites(report: &Report) -> Option<String> {
    let of_all = report.classes.iter().map(|row| ("all", row.class, row.amount.cost));
    let of_sites = report.sites.iter().map(|row| (row.site.as_str(), row.class, row.amount.cost));
    let rows: Vec<(&str, Class, Money)> = if report.sites.is_empty() { of_all.collect() } else { of_sites.collect() };
    let mut sums: Vec<(&str, Money)> = Vec::new();
    for (site, _, cost) in &rows {
        match sums.last_mut().filter(|(last, _)| last == site) {
            Some((_, sum)) => *sum += *cost,
            None => sums.push((site, *cost)),
        }
    }
    let most = sums.iter().map(|(_, sum)| sum.dollars()).fold(0.0, f64::max);
    let (mut shapes, mut words) = (String::new(), Vec::new());
    for (number, (site, sum)) in sums.iter().enumerate() {
        let (mut x, y) = (0.0, number as f64 * (BAR + 22.0));
        shapes += &label(0.0, y + 13.0, "start", &format!("{site}: ${}", amount(*sum)));
        for (_, class, cost) in rows.iter().filter(|(of, ..)| of == site) {
            let width = cost.dollars() / most * WIDTH;
            let says = format!("{site}, {}: {}", class.word(), dollars(*cost));
            shapes += &rect(class.word(), x, y + 18.0, width, BAR, &says);
            x += width;
            words.push(says);
        }
    }
    let height = sums.len() as f64 * (BAR + 22.0) + 4.0;
    (most > 0.0).then(|| drawing("sites", "Dollars a month by site and class", &words.join(", "), height, &shapes))
}
