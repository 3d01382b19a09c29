//! The report as one page: no script, nothing from elsewhere.

use super::charts::{charts, colours};
use super::data::{CLASSES, Report};
use super::sentences;
use super::tables::{Cell, NOTES, Table, classes, details, sites};
use super::wording::html as escaped;

/// All but the colours of classes. The rules for printing keep rows and charts whole.
const STYLE: &str = "
:root { color-scheme: light dark; --page: #fff; --ink: #1b1b1f; --soft: #55575c; --line: #c9ccd1; }
@media (prefers-color-scheme: dark) {
  :root { --page: #16181c; --ink: #eceef1; --soft: #b0b6bd; --line: #43474e; }
}
body { background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; margin: 0 auto;
  max-width: 60rem; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.3; }
h2, figcaption, caption { font-size: 1.1rem; font-weight: 600; text-align: left; }
figure { margin: 1.5rem 0; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
rect { stroke: var(--page); stroke-width: 0.5; }
.hour { fill: var(--soft); }
.table { overflow-x: auto; margin: 1.5rem 0; }
table { border-collapse: collapse; }
th, td { border-bottom: 1px solid var(--line); padding: 0.25rem 0.75rem 0.25rem 0; text-align: left;
  vertical-align: top; font-weight: 400; min-width: 4rem; }
thead th { color: var(--soft); }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.evidence, .notes { color: var(--soft); }
.legend { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; }
.legend span { display: inline-block; width: 0.8em; height: 0.8em; margin-right: 0.4em; }
@media (max-width: 40rem) { svg text { font-size: 22px; } }
@media print { body { max-width: none; font-size: 11px; } figure, tr { break-inside: avoid; }
  rect, .legend span { print-color-adjust: exact; } }
";

/// The report as a page that needs nothing else.
pub fn html(report: &Report) -> String {
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<title>Traffic report</title>\n<style>{STYLE}{}</style>\n</head>\n\
         <body>\n<main>\n<h1>{}</h1>\n<p class=\"evidence\">{}</p>\n",
        palette(),
        escaped(&sentences::answer(report)),
        escaped(&sentences::evidence(report))
    );
    write(&mut out, &classes(report));
    let findings = sentences::findings(report);
    out += "<ul>\n";
    for finding in findings.iter().chain([&sentences::next(report)]) {
        out += &format!("<li>{}</li>\n", escaped(finding));
    }
    out += "</ul>\n";
    let charts = charts(report);
    if !charts.is_empty() {
        out += "<h2>Charts</h2>\n<ul class=\"legend\">";
        for row in &report.classes {
            let class = row.class.word();
            out += &format!("<li><span class=\"{class}\"></span>{class}</li>");
        }
        out += &format!("</ul>\n{charts}");
    }
    [sites(report)].iter().chain(&details(report)).for_each(|table| write(&mut out, table));
    out += "<h2>How to read this</h2>\n<ul class=\"notes\">\n";
    NOTES.iter().for_each(|note| out += &format!("<li>{}</li>\n", escaped(note)));
    out + "</ul>\n</main>\n</body>\n</html>\n"
}

/// The colours of the classes.
fn palette() -> String {
    let rule = |class: &str, colour: &str| format!(".{class} {{ fill: {colour}; background: {colour}; }}\n");
    let by_day: String = CLASSES.iter().map(|class| rule(class.word(), colours(*class).0)).collect();
    let by_night: String = CLASSES.iter().map(|class| rule(class.word(), colours(*class).1)).collect();
    format!("{by_day}@media (prefers-color-scheme: dark) {{\n{by_night}}}\n")
}

fn write(out: &mut String, table: &Table) {
    if table.rows.is_empty() {
        return;
    }
    let kind = |column: usize| if column < table.words { "" } else { " class=\"number\"" };
    let caption = escaped(table.caption);
    // What scrolls must be reached by keys, too.
    let open = format!("<div class=\"table\" role=\"region\" tabindex=\"0\" aria-label=\"{caption}\">");
    *out += &format!("{open}<table><caption>{caption}</caption>\n<thead><tr>");
    for (column, title) in table.head.iter().enumerate() {
        *out += &format!("<th scope=\"col\"{}>{}</th>", kind(column), escaped(title));
    }
    *out += "</tr></thead>\n<tbody>\n";
    for row in &table.rows {
        *out += "<tr>";
        for (column, cell) in row.iter().enumerate() {
            let text = match cell {
                Cell::Own(text) => escaped(text),
                Cell::Strange(text) => format!("<code>{}</code>", escaped(text)),
            };
            *out += &match column {
                0 => format!("<th scope=\"row\">{text}</th>"),
                _ => format!("<td{}>{text}</td>", kind(column)),
            };
        }
        *out += "</tr>\n";
    }
    *out += "</tbody></table></div>\n";
}
