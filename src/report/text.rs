//! The first screen.

use super::data::Report;
use super::tables::{Cell, Table, classes, sites};
use super::wording::aligned;
use super::{sentences, tables};
use crate::printable::printable;

/// Narrower, and numbers would have to break.
const NARROWEST: usize = 60;
const GAP: &str = "   ";

/// The report for a terminal, in lines of at most `width` columns where its tables allow that.
pub fn text(report: &Report, width: usize) -> String {
    let width = width.max(NARROWEST);
    let mut out = String::new();
    let mut say = |sentence: &str| wrap(&mut out, &printable(sentence), width);
    say(&sentences::answer(report));
    say(&sentences::evidence(report));
    for table in [classes(report), sites(report)].iter().filter(|table| !table.rows.is_empty()) {
        out.push('\n');
        write(&mut out, table);
    }
    if !report.sites.is_empty() {
        out.push('\n');
    }
    let mut say = |sentence: &str| wrap(&mut out, &printable(sentence), width);
    sentences::findings(report).iter().for_each(|sentence| say(sentence));
    let more = if tables::details(report).is_empty() { "" } else { " People, prefixes, charts: --format html" };
    say(&format!("{}{more}", sentences::next(report)));
    out
}

/// Writes a sentence; lines after the first are indented.
fn wrap(out: &mut String, sentence: &str, width: usize) {
    let mut column = 0;
    for word in sentence.split(' ') {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > width {
            out.push_str("\n  ");
            column = 2;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out.push('\n');
}

fn write(out: &mut String, table: &Table) {
    let text = |cell: &Cell| match cell {
        Cell::Own(text) | Cell::Strange(text) => printable(text),
    };
    let head = table.head.iter().map(|title| printable(title)).collect();
    let rows = table.rows.iter().map(|row| row.iter().map(text).collect());
    let rows: Vec<Vec<String>> = [head].into_iter().chain(rows).collect();
    out.push_str(&aligned(&rows, table.words, GAP));
}
