//! An outcome for people: what was understood, every step of the decision, and what the client would see.

use super::request::Described;
use super::run::{Answer, Outcome};
use crate::decisions::Kind;
use crate::facts::{Fact, Truth};
use crate::policy::{ExplainedClass, Explanation, Fate, Reason};
use crate::printable::printable;
use crate::signal::{Signal, Signals};
use crate::verdict::Class;
use std::fmt::Write;

/// Lines of a body that are shown, and characters of each.
const BODY_LINES: usize = 4;
const BODY_COLUMNS: usize = 160;

/// Colours, for terminals (ECMA-48).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paint(pub bool);

impl Paint {
    fn code(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// What is good, or holds.
    pub fn green(self, text: &str) -> String {
        self.code("32", text)
    }

    /// What is bad, or does not hold.
    pub fn red(self, text: &str) -> String {
        self.code("31", text)
    }

    /// What is not known, or held back.
    pub fn yellow(self, text: &str) -> String {
        self.code("33", text)
    }

    /// What matters.
    pub fn bold(self, text: &str) -> String {
        self.code("1", text)
    }

    /// What matters less.
    pub fn dim(self, text: &str) -> String {
        self.code("2", text)
    }
}

/// Whether a test holds.
pub(super) fn truth_word(truth: Truth) -> &'static str {
    match truth {
        Truth::True => "yes",
        Truth::False => "no",
        Truth::Undecided => "unknown",
    }
}

/// The signals that nobody can tell.
pub(super) fn unknown_signals(signals: Signals) -> impl Iterator<Item = Signal> {
    Signal::WORDS.into_iter().map(|(_, signal)| signal).filter(move |signal| signals.count(1 << *signal as u16).1 == 1)
}

fn words(signals: impl Iterator<Item = Signal>) -> String {
    let words: Vec<&str> = signals.map(Signal::word).collect();
    if words.is_empty() { "none".into() } else { words.join(", ") }
}

/// Writes lines of a name and a value.
struct Lines {
    out: String,
    paint: Paint,
}

impl Lines {
    fn line(&mut self, name: &str, value: &str) {
        let name = if value.is_empty() { name.to_owned() } else { format!("{name:<10}") };
        _ = writeln!(self.out, "{}{value}", self.paint.dim(&name));
    }
}

/// The whole outcome. `all` shows every part of every match, else those that decide it.
pub fn outcome(request: &Described, outcome: &Outcome, all: bool, paint: Paint) -> String {
    let mut lines = Lines { out: String::new(), paint };
    let client = &outcome.client;
    let unknown = || paint.yellow("unknown");
    let host = outcome.host.as_deref().map_or_else(unknown, printable);
    let scheme = if outcome.secure { "https" } else { "http" };
    lines.line("request", &format!("{} {scheme}://{host}{}", request.method, printable(&request.target)));
    lines.line("site", outcome.site.as_deref().unwrap_or("none"));
    if let Some(path) = &outcome.path {
        lines.line("path", &printable(path.as_str()));
    }
    let distrust = if client.trusted { "" } else { "; a forwarding header from no listed proxy: in no network" };
    lines.line("client", &format!("{}, prefix {}{distrust}", client.address, client.prefix));
    let mut identity = request.identity.word().to_owned();
    if outcome.stranger {
        identity = "none: what the certificate opens is not this".to_owned();
    } else if let Some(name) = &request.client_name {
        identity += &format!(" of {}", printable(name));
    }
    lines.line("identity", &request.pass.map_or(identity.clone(), |pass| format!("{identity} of difficulty {pass}")));
    if let Fact::Present(fingerprint) = &request.ja4 {
        lines.line("ja4", fingerprint);
    }
    lines.line("dialect", outcome.dialect.word());
    lines.line("time", &request.now.to_string());
    if let Some(explanation) = &outcome.explanation {
        lines.line("mode", outcome.mode.word());
        class(explanation, all, &mut lines);
        let unknown: Vec<Signal> = unknown_signals(explanation.signals).collect();
        let mut signals = words(explanation.signals.present());
        if !unknown.is_empty() {
            _ = write!(signals, "; {}: {}", paint.yellow("unknown"), words(unknown.into_iter()));
        }
        lines.line("signals", &signals);
        if let Some(decided) = &explanation.verdict.decided {
            let (about, until, who) = (decided.about(), decided.until, printable(&decided.who));
            let what = match decided.kind {
                Kind::Block => "is blocked",
                Kind::Allow | Kind::Off => "has protection held back",
            };
            let message = format!("{about} {what} until {until}, by {who}: {}", printable(&decided.reason));
            lines.line("operator", &paint.yellow(&message));
        }
        lines.line("rules", "");
        lines.out += &path(explanation, all, paint);
    }
    answer(outcome, &mut lines);
    lines.out
}

fn class(explanation: &Explanation, all: bool, lines: &mut Lines) {
    for ExplainedClass { class, line, reason } in &explanation.classes {
        let may_be = if reason.truth == Truth::Undecided { lines.paint.yellow("perhaps ") } else { String::new() };
        lines.line("class", &format!("{may_be}{} by line {line} of `classes`", class.word()));
        why(reason, all, 10, lines.paint, &mut lines.out);
    }
    let sure = explanation.classes.last().filter(|line| line.reason.truth == Truth::True);
    let given = sure.map_or(Class::Unknown, |line| line.class);
    if sure.is_none() {
        lines.line("class", "unknown: no line of `classes` holds");
    }
    if given != explanation.verdict.class {
        lines.line("class", &format!("{} by a rule that tags", explanation.verdict.class.word()));
    }
}

/// Every rule up to the one that decided: what became of it, and why.
pub fn path(explanation: &Explanation, all: bool, paint: Paint) -> String {
    let mut out = String::new();
    let longest = explanation.rules.iter().map(|rule| rule.name.len()).max().unwrap_or(0);
    for rule in &explanation.rules {
        let fate = format!("{:<15}", rule.fate.word());
        let fate = match rule.fate {
            Fate::Passed => paint.dim(&fate),
            Fate::Undecided | Fate::Withheld | Fate::HeldBack => paint.yellow(&fate),
            Fate::Met | Fate::Done => paint.green(&fate),
            Fate::Decided => paint.bold(&fate),
        };
        let place = paint.dim(&rule.place);
        _ = writeln!(out, "  {fate} {:<longest$}  {:<9}  {place}", rule.name, rule.action);
        why(&rule.reason, all, 18, paint, &mut out);
    }
    out
}

/// Why a match holds or not: its parts, or those that decide it.
fn why(reason: &Reason, all: bool, indent: usize, paint: Paint, out: &mut String) {
    let deciding = |part: &&Reason| all || reason.text == "not" || part.truth == reason.truth;
    let mut parts: Vec<&Reason> = reason.parts.iter().filter(deciding).collect();
    let one_is_enough = matches!((reason.text.as_str(), reason.truth), ("all", Truth::False) | ("any", Truth::True));
    if one_is_enough && !all {
        parts.truncate(1);
    }
    if let ([part], false, true) = (&parts[..], all, reason.text != "not") {
        return why(part, all, indent, paint, out);
    }
    let word = format!("{:<8}", truth_word(reason.truth));
    let word = match reason.truth {
        Truth::True => paint.green(&word),
        Truth::False => paint.red(&word),
        Truth::Undecided => paint.yellow(&word),
    };
    let text = if reason.text == "all" && reason.parts.is_empty() { "everything" } else { &reason.text };
    _ = writeln!(out, "{:indent$}{word}{}", "", printable(text));
    parts.iter().for_each(|part| why(part, all, indent + 2, paint, out));
}

fn answer(outcome: &Outcome, lines: &mut Lines) {
    let paint = lines.paint;
    let mut done = paint.bold(outcome.action);
    if let Some(reason) = outcome.reason {
        _ = write!(done, " ({reason})");
    }
    match outcome.verdict() {
        None => done += ", before the policy, in every mode",
        Some(verdict) => {
            let force = match (verdict.enforced, verdict.sampled) {
                (_, true) => "enforced, since the client is in the sample of this hour",
                (true, _) => "enforced",
                (false, _) => "observed",
            };
            _ = write!(done, " by `{}`, {force}", verdict.rule);
            lines.line("answer", &done);
            done.clear();
            if let Some(held) = &verdict.held_back {
                lines.line("held back", &format!("{} by `{}` is what would be", paint.yellow(held.action), held.rule));
            }
            if verdict.undecided.is_some() {
                let message = "what is unknown above may change the answer";
                lines.line("undecided", &paint.yellow(message));
            }
            if verdict.draws_on_pass {
                lines.line("pass", "the request draws on it");
            }
            let numbers = [
                ("weight", (verdict.weight != 0).then(|| verdict.weight.to_string())),
                ("strikes", (verdict.strikes > 0.0).then(|| format!("{} more on the record", verdict.strikes))),
                ("slow", verdict.slow.map(|rate| format!("at most {rate} bytes per second"))),
                ("errors", (verdict.errors > 0).then(|| format!("{} expressions failed", verdict.errors))),
            ];
            for (name, value) in numbers {
                value.into_iter().for_each(|value| lines.line(name, &value));
            }
        }
    }
    if !done.is_empty() {
        lines.line("answer", &done);
    }
    for charged in &outcome.charges {
        let part = |(by, value): &(&str, Option<String>)| match value {
            Some(value) => format!("{by} {value}"),
            None => format!("{by}, which it lacks: it does not apply"),
        };
        let key = charged.key.iter().map(part).collect::<Vec<_>>().join(" and ");
        let force = if charged.enforced { "" } else { "; only recorded" };
        let (limit, rule) = (&charged.limit, &charged.rule);
        lines.line("limit", &format!("`{limit}` by {key}, charged by `{rule}`{force}"));
    }
    response(&outcome.answer, lines);
}

fn response(answer: &Answer, lines: &mut Lines) {
    let Answer::Gateway(reply) = answer else {
        return lines.line("response", "the object, or what the origin says of it");
    };
    lines.line("response", &reply.header.status.to_string());
    for (name, value) in &reply.header.headers {
        lines.line("", &format!("{name}: {}", printable(&String::from_utf8_lossy(value.as_bytes()))));
        if name == "location" && reply.header.status.is_redirection() {
            lines.line("", &lines.paint.dim("(with a signature, good for a minute, unless the origin is anonymous)"));
        }
    }
    let more = reply.body.lines().count().saturating_sub(BODY_LINES);
    for line in reply.body.lines().take(BODY_LINES) {
        let cut = &line[..line.floor_char_boundary(BODY_COLUMNS)];
        lines.line("", &format!("{}{}", printable(cut), if cut.len() < line.len() { " ..." } else { "" }));
    }
    if more > 0 {
        lines.line("", &lines.paint.dim(&format!("({more} more lines)")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(text: &str, truth: Truth, parts: Vec<Reason>) -> Reason {
        Reason { text: text.into(), truth, parts }
    }

    fn told(reason: &Reason, all: bool) -> String {
        let mut out = String::new();
        why(reason, all, 0, Paint(false), &mut out);
        out
    }

    #[test]
    fn a_match_is_told_by_the_part_that_decides() {
        use Truth::{False, True, Undecided};
        let part = |text, truth| reason(text, truth, Vec::new());
        let all = |truth, parts| reason("all", truth, parts);
        let any = |truth, parts| reason("any", truth, parts);
        let cases = [
            (all(True, vec![]), "yes     everything\n"),
            (all(False, vec![part("a", True), part("b", False), part("c", False)]), "no      b\n"),
            (any(True, vec![part("a", False), part("b", True), part("c", True)]), "yes     b\n"),
            (all(True, vec![part("a", True), part("b", True)]), "yes     all\n  yes     a\n  yes     b\n"),
            (any(False, vec![part("a", False), part("b", False)]), "no      any\n  no      a\n  no      b\n"),
            (any(Undecided, vec![part("a", False), part("b", Undecided)]), "unknown b\n"),
            (reason("not", False, vec![part("a", True)]), "no      not\n  yes     a\n"),
            (all(False, vec![any(False, vec![part("a", False)])]), "no      a\n"),
        ];
        for (reason, expected) in cases {
            assert_eq!(told(&reason, false), expected);
        }
        let both = all(False, vec![part("a", True), part("b", False)]);
        assert_eq!(told(&both, true), "no      all\n  yes     a\n  no      b\n");
    }

    #[test]
    fn a_terminal_shows_what_clients_send_as_text() {
        let cases = [("café / 火", "café / 火"), ("a\x1b[2Jb\n", r"a\u{1b}[2Jb\n"), ("\u{202e}gpj", r"\u{202e}gpj")];
        for (sent, expected) in cases {
            assert_eq!(printable(sent), expected);
        }
    }

    #[test]
    fn colours_are_for_terminals() {
        assert_eq!(Paint(false).red("no"), "no");
        assert_eq!(Paint(true).red("no"), "\x1b[31mno\x1b[0m");
    }
}
