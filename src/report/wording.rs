//! How numbers are written, and how text of strangers is made harmless.

use crate::cost::{Day, Money};
use crate::printable::{escaped, printable};

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `1,234,567`
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 day`, `2 days`.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// Bytes in powers of 1000, with two or three digits.
pub fn bytes(count: u64) -> String {
    let units = [("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)];
    let exact = count as f64;
    match units.into_iter().find(|(_, size)| exact >= *size) {
        Some((unit, size)) if exact / size < 9.95 => format!("{:.1} {unit}", exact / size),
        Some((unit, size)) => format!("{:.0} {unit}", exact / size),
        None => format!("{count} B"),
    }
}

/// Whole dollars, `$1,234`; less than one in cents.
pub(super) fn dollars(money: Money) -> String {
    match money.cents().unsigned_abs() {
        0 => "$0".into(),
        1..100 => money.to_string(),
        _ => format!("{money:.0}"),
    }
}

/// As [`dollars`], without the sign, for a column that has it in its head.
pub(super) fn amount(money: Money) -> String {
    dollars(money).replacen('$', "", 1)
}

/// `5 %`; `<1 %` for what is not nothing.
pub(super) fn percent(part: f64) -> String {
    match part * 100.0 {
        0.0 => "0 %".into(),
        small if small > 0.0 && small < 1.0 => "<1 %".into(),
        percent => format!("{percent:.0} %"),
    }
}

/// `+5 %`, `-5 %`, `0 %`; `-` where it is not known.
pub(super) fn change(part: Option<f64>) -> String {
    let Some(part) = part else { return "-".into() };
    match (part * 100.0).round() as i64 {
        0 => "0 %".into(),
        percent => format!("{percent:+} %"),
    }
}

/// `3 Nov`.
pub(super) fn date(day: Day) -> String {
    match day.civil() {
        Some((_, month, day)) => format!("{day} {}", MONTHS[usize::from(month.clamp(1, 12)) - 1]),
        None => day.to_string(),
    }
}

/// `3-9 Nov`, `28 Oct-3 Nov`; with years where they differ.
pub(super) fn dates(from: Day, to: Day) -> String {
    match (from.civil(), to.civil()) {
        _ if from == to => date(to),
        (Some(first), Some(last)) if first.0 != last.0 => format!("{} {}-{} {}", date(from), first.0, date(to), last.0),
        (Some(first), Some(last)) if first.1 == last.1 => format!("{}-{}", first.2, date(to)),
        _ => format!("{}-{}", date(from), date(to)),
    }
}

/// Rows in columns that are as wide as their widest cell. The first `words` columns are words, all others numbers.
pub fn aligned(rows: &[Vec<String>], words: usize, gap: &str) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut out = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            if column < words { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        out.push_str(cells.collect::<Vec<_>>().join(gap).trim_end());
        out.push('\n');
    }
    out
}

/// Text as it stands in HTML, in attributes, too.
pub(super) fn html(text: &str) -> String {
    escaped(&printable(text))
}

/// Text as it stands in Markdown: whatever could be markup, a link or a mention is written by its number. A dollar gets
/// an element of its own, since GitHub reads two of them as a formula.
pub(super) fn markdown(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '$' => safe.push_str("<span>$</span>"),
            ' ' | ',' | '.' | ';' | '-' | '+' | '(' | ')' | '%' | '?' => safe.push(c),
            c if c.is_alphanumeric() => safe.push(c),
            c => safe.push_str(&format!("&#{};", u32::from(c))),
        }
    }
    safe
}

/// Text of strangers in Markdown: as code, in which nobody is mentioned, and without the dot that makes a link.
pub(super) fn markdown_code(text: &str) -> String {
    let mut safe = String::from("<code>");
    for c in printable(text).chars() {
        match c {
            ' ' => safe.push(c),
            c if c.is_alphanumeric() => safe.push(c),
            c => safe.push_str(&format!("&#{};", u32::from(c))),
        }
    }
    safe + "</code>"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_easy_to_read() {
        let cases =
            [(0, "0", "0 B"), (999, "999", "999 B"), (9_960_000, "9,960,000", "10 MB"), (1000, "1,000", "1.0 kB")];
        for (number, digits, size) in cases {
            assert_eq!((grouped(number), bytes(number)), (digits.to_owned(), size.to_owned()));
        }
        let cases = [(0, "$0"), (40, "$0.40"), (99, "$0.99"), (149, "$1"), (123_456, "$1,235"), (-700, "-$7")];
        for (cents, text) in cases {
            assert_eq!(dollars(Money::from_cents(cents)), text);
        }
        assert_eq!([0.0, 0.001, 0.05, 0.996].map(percent), ["0 %", "<1 %", "5 %", "100 %"]);
        assert_eq!([Some(0.001), Some(0.12), Some(-0.5), None].map(change), ["0 %", "+12 %", "-50 %", "-"]);
    }

    #[test]
    fn days_are_told_as_people_do() {
        // 3 November 2026
        let day = |offset: i32| Day((20_760 + offset) as u32);
        let cases = [(0, 0, "3 Nov"), (0, 6, "3-9 Nov"), (-6, 0, "28 Oct-3 Nov"), (0, 60, "3 Nov 2026-2 Jan 2027")];
        for (from, to, text) in cases {
            assert_eq!(dates(day(from), day(to)), text);
        }
    }

    #[test]
    fn nothing_that_strangers_write_is_markup() {
        let hostile = "\u{1b}[31m\u{202e}<script>|`@you` [x](http://x.example) $a$ *b* \"'&\n# c";
        for text in [printable(hostile), html(hostile), markdown(hostile), markdown_code(hostile)] {
            assert!(!text.contains(['\u{1b}', '\u{202e}', '\n']), "{text}");
        }
        assert!(!html(hostile).contains(['<', '>', '"', '\'']));
        let code = markdown_code(hostile);
        let inner = code.strip_prefix("<code>").unwrap().strip_suffix("</code>").unwrap();
        for text in [inner, &markdown(hostile).replace("<span>$</span>", "")] {
            assert!(!text.contains(['<', '>', '|', '`', '@', '[', '*', '$', ':', '/', '\\']), "{text}");
        }
    }
}
