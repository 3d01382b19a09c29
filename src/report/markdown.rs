//! The report for an issue.

use super::data::Report;
use super::sentences;
use super::tables::{Cell, NOTES, Table, classes, details, sites};
use super::wording::{markdown as escaped, markdown_code};

/// The report as Markdown that GitHub shows: no text of strangers links, mentions or breaks out of its cell.
pub fn markdown(report: &Report) -> String {
    let mut out = format!("**{}**\n\n", escaped(&sentences::answer(report)));
    out += &format!("{}\n\n", escaped(&sentences::evidence(report)));
    write(&mut out, &classes(report));
    if !report.sites.is_empty() {
        write(&mut out, &sites(report));
    }
    for finding in sentences::findings(report).iter().chain([&sentences::next(report)]) {
        out += &format!("- {}\n", escaped(finding));
    }
    out += "\n<details><summary>More</summary>\n\n";
    details(report).iter().for_each(|table| write(&mut out, table));
    NOTES.iter().for_each(|note| out += &format!("- {}\n", escaped(note)));
    out + "\n</details>\n"
}

fn write(out: &mut String, table: &Table) {
    if table.rows.is_empty() {
        return;
    }
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let rule = (0..table.head.len()).map(|column| if column < table.words { "---" } else { "--:" }.to_owned());
    let cell = |cell: &Cell| match cell {
        Cell::Own(text) => escaped(text),
        Cell::Strange(text) => markdown_code(text),
    };
    *out += &format!("**{}**\n\n", escaped(table.caption));
    *out += &line(table.head.iter().map(|title| escaped(title)).collect());
    *out += &line(rule.collect());
    table.rows.iter().for_each(|row| *out += &line(row.iter().map(cell).collect()));
    out.push('\n');
}
