//! RE2 expressions, as Go reads them, in the syntax of Rust's `regex`.
//!
//! Source: `regexp/syntax` of Go. There `\d`, `\s`, `\w` and `\b` know ASCII only, `\Q...\E` quotes, octal escapes
//! exist, a brace that counts nothing is a brace, and in a class `[`, `&&`, `--` and `~~` mean themselves. Names of
//! groups are dropped: nothing here refers to them.

use crate::document::regex_fault;
use regex_syntax::escape_into;

/// The names between `[:` and `:]`.
const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word",
    "xdigit",
];

/// Translates `text` to an expression that `regex` compiles and that matches the same texts.
///
/// # Errors
/// With the reason when it is no RE2 expression, or too large.
pub(super) fn translate(text: &str) -> Result<String, String> {
    let mut translator = Translator { rest: text, out: String::with_capacity(text.len()), last: Last::Atom };
    while let Some(next) = translator.next() {
        translator.step(next)?;
    }
    let out = translator.out;
    match regex::Regex::new(&out) {
        Ok(_) => Ok(out),
        Err(regex::Error::CompiledTooBig(limit)) => {
            Err(format!("it needs more than {limit} bytes of memory: write a smaller one"))
        }
        Err(error) => Err(regex_fault(&error.to_string()).to_owned()),
    }
}

/// What stands before the place that is read: RE2 refuses a repetition of a repetition.
#[derive(PartialEq)]
enum Last {
    Atom,
    Repetition,
    LazyRepetition,
}

struct Translator<'a> {
    rest: &'a str,
    out: String,
    last: Last,
}

impl<'a> Translator<'a> {
    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }

    fn skip(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Takes what stands before `end`, and `end`.
    fn until(&mut self, end: &str) -> Option<&'a str> {
        let (before, after) = self.rest.split_once(end)?;
        self.rest = after;
        Some(before)
    }

    fn step(&mut self, next: char) -> Result<(), String> {
        match next {
            '*' | '+' | '?' => return self.repetition(&next.to_string()),
            '{' => match self.count() {
                Some(count) => return self.repetition(&count),
                None => self.literal(next),
            },
            '}' | ']' => self.literal(next),
            '\\' => self.escaped()?,
            '[' => self.class()?,
            '(' => self.group()?,
            other => self.out.push(other),
        }
        self.last = Last::Atom;
        Ok(())
    }

    fn repetition(&mut self, operator: &str) -> Result<(), String> {
        self.last = match (&self.last, operator) {
            (Last::Atom, _) => Last::Repetition,
            (Last::Repetition, "?") => Last::LazyRepetition,
            _ => return Err(format!("`{operator}` repeats a repetition")),
        };
        self.out.push_str(operator);
        Ok(())
    }

    /// `{n}`, `{n,}` or `{n,m}`, after its brace; anything else is text.
    fn count(&mut self) -> Option<String> {
        let (inside, after) = self.rest.split_once('}')?;
        let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        (!least.is_empty() && digits(least) && digits(most)).then(|| {
            self.rest = after;
            format!("{{{inside}}}")
        })
    }

    /// A character that means itself, in a class as well as outside.
    fn literal(&mut self, character: char) {
        if character.is_control() {
            self.out.push_str(&format!("\\x{{{:X}}}", u32::from(character)));
        } else {
            escape_into(character.encode_utf8(&mut [0; 4]), &mut self.out);
        }
    }

    fn group(&mut self) -> Result<(), String> {
        self.out.push('(');
        if self.rest.starts_with("?<=") || self.rest.starts_with("?<!") {
            return Err("it looks behind".into());
        }
        if self.skip("?P<") || self.skip("?<") {
            self.until(">").ok_or("the name of a group has no end")?;
        } else if self.skip("?") {
            self.out.push('?');
            loop {
                match self.next() {
                    Some(flag @ ('i' | 'm' | 's' | 'U' | '-')) => self.out.push(flag),
                    Some(end @ (':' | ')')) => {
                        self.out.push(end);
                        return Ok(());
                    }
                    _ => return Err("a group of an unknown kind".into()),
                }
            }
        }
        Ok(())
    }

    fn escaped(&mut self) -> Result<(), String> {
        if self.unicode_class()? {
            return Ok(());
        }
        let kind = self.rest.chars().next().ok_or("it ends in `\\`")?;
        if let Some((negated, inside)) = perl_class(kind) {
            self.out.push_str(&format!("[{}{inside}]", if negated { "^" } else { "" }));
        } else if matches!(kind, 'A' | 'z') {
            self.out.push_str(&format!("\\{kind}"));
        } else if matches!(kind, 'b' | 'B') {
            self.out.push_str(&format!("(?-u:\\{kind})"));
        } else if self.skip("Q") {
            let quoted = self.until("\\E").unwrap_or_else(|| std::mem::take(&mut self.rest));
            escape_into(quoted, &mut self.out);
            return Ok(());
        } else {
            let character = self.escaped_character()?;
            self.literal(character);
            return Ok(());
        }
        self.next();
        Ok(())
    }

    /// `\pN`, `\p{Name}`, `\p{^Name}` and their opposites with `\P`, after the backslash.
    fn unicode_class(&mut self) -> Result<bool, String> {
        let mut negated = match self.rest.chars().next() {
            Some('p') => false,
            Some('P') => true,
            _ => return Ok(false),
        };
        self.next();
        let mut name = match self.next() {
            Some('{') => self.until("}").ok_or("the name of a class has no end")?.to_owned(),
            Some(letter) => letter.to_string(),
            None => return Err("it ends in `\\p`".into()),
        };
        if name.starts_with('^') {
            negated = !negated;
            name.remove(0);
        }
        self.out.push_str(&format!("\\{}{{{name}}}", if negated { 'P' } else { 'p' }));
        Ok(true)
    }

    /// One character, after its backslash.
    fn escaped_character(&mut self) -> Result<char, String> {
        let kind = self.next().ok_or("it ends in `\\`")?;
        let octal = |c: char| ('0'..='7').contains(&c);
        let unknown = || format!("unknown escape `\\{kind}`");
        let code = match kind {
            'a' => 0x07,
            'f' => 0x0C,
            'n' => 0x0A,
            'r' => 0x0D,
            't' => 0x09,
            'v' => 0x0B,
            // A single digit but 0 would refer back to a group, which RE2 has not.
            '1'..='7' if !self.rest.starts_with(octal) => return Err(unknown()),
            '0'..='7' => {
                let mut code = u32::from(kind) - u32::from('0');
                for _ in 0..2 {
                    let Some(digit) = self.rest.chars().next().filter(|c| octal(*c)) else { break };
                    self.next();
                    code = code * 8 + (u32::from(digit) - u32::from('0'));
                }
                code
            }
            'x' => {
                let digits = if self.skip("{") {
                    self.until("}").ok_or_else(unknown)?
                } else {
                    let (digits, rest) = self.rest.split_at_checked(2).ok_or_else(unknown)?;
                    self.rest = rest;
                    digits
                };
                u32::from_str_radix(digits, 16).map_err(|_| unknown())?
            }
            other if other.is_ascii() && !other.is_ascii_alphanumeric() => return Ok(other),
            _ => return Err(unknown()),
        };
        char::from_u32(code).ok_or_else(unknown)
    }

    /// A class, after its bracket.
    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.skip("^") {
            self.out.push('^');
        }
        let mut first = true;
        while first || !self.skip("]") {
            first = false;
            if self.posix_class()? {
                continue;
            }
            if let Some(escape) = self.rest.strip_prefix('\\') {
                if escape.starts_with(['p', 'P']) {
                    self.next();
                    self.unicode_class()?;
                    continue;
                }
                if let Some((negated, inside)) = escape.chars().next().and_then(perl_class) {
                    self.rest = &escape[1..];
                    self.out.push_str(&if negated { format!("[^{inside}]") } else { inside.to_owned() });
                    continue;
                }
            }
            let low = self.class_character()?;
            self.literal(low);
            if self.rest.starts_with('-') && !self.rest.starts_with("-]") {
                self.next();
                let high = self.class_character()?;
                self.out.push('-');
                self.literal(high);
            }
        }
        self.out.push(']');
        Ok(())
    }

    fn class_character(&mut self) -> Result<char, String> {
        match self.next() {
            Some('\\') => self.escaped_character(),
            Some(character) => Ok(character),
            None => Err("a class has no end".into()),
        }
    }

    fn posix_class(&mut self) -> Result<bool, String> {
        let Some((name, after)) = self.rest.strip_prefix("[:").and_then(|rest| rest.split_once(":]")) else {
            return Ok(false);
        };
        if !POSIX.contains(&name.trim_start_matches('^')) {
            return Err(format!("unknown class `[:{name}:]`"));
        }
        self.out.push_str(&format!("[:{name}:]"));
        self.rest = after;
        Ok(true)
    }
}

/// Whether the class is negated, and what it holds. Of white space `\s` leaves out the vertical tab.
fn perl_class(kind: char) -> Option<(bool, &'static str)> {
    let inside = match kind.to_ascii_lowercase() {
        'd' => "0-9",
        's' => r"\t\n\x0C\r ",
        'w' => "0-9A-Za-z_",
        _ => return None,
    };
    Some((kind.is_ascii_uppercase(), inside))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_written_anew() {
        let cases = [
            ("Mozilla|Opera", "Mozilla|Opera"),
            ("(?i:bot|crawler)", "(?i:bot|crawler)"),
            (r"\+https\://a\.b/\<x\>", r"\+https://a\.b/<x>"),
            (r"\d+\D\w\W\s\S", r"[0-9]+[^0-9][0-9A-Za-z_][^0-9A-Za-z_][\t\n\x0C\r ][^\t\n\x0C\r ]"),
            (r"\bbot\B\z\A", r"(?-u:\b)bot(?-u:\B)\z\A"),
            (r"\Qa.b*\E+c\Q.", r"a\.b\*+c\."),
            (r"(?P<name>a)(?<1st>b)(?U)(?-s:c)", "(a)(b)(?U)(?-s:c)"),
            (r"\pN\p{Greek}\P{^Lu}\p{^Lu}", r"\p{N}\p{Greek}\p{Lu}\P{Lu}"),
            (r"\101\x41\x{1F600}\07\_", "AA\u{1F600}\\x{7}_"),
            (r"a{2}b{2,}c{2,3}?d{,3}e{x}{", r"a{2}b{2,}c{2,3}?d\{,3\}e\{x\}\{"),
            (r"[]a][^]a][a-]", r"[\]a][^\]a][a\-]"),
            (r"[\d\W[:alpha:][:^digit:]\pL]", r"[0-9[^0-9A-Za-z_][:alpha:][:^digit:]\p{L}]"),
            (r"[a&&--c~~[]", r"[a\&\&-\-c\~\~\[]"),
            (r"[\x00-\n+--\]]", r"[\x{0}-\x{A}\+-\-\]]"),
            ("a]}", r"a\]\}"),
        ];
        for (text, expected) in cases {
            assert_eq!(translate(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn classes_are_ascii_and_quotes_quote() {
        let cases = [
            (r"^\d$", "\u{664}", false),
            (r"^\w$", "é", false),
            (r"^\s$", "\u{b}", false),
            (r"é\b", "é", false),
            (r"a\B", "aé", false),
            (r"^[^\w]$", "é", true),
            (r"^[a&&b]$", "&", true),
            (r"^\Q[a]\E$", "[a]", true),
            (r"(?i)^\w$", "\u{17F}", true),
        ];
        for (text, subject, expected) in cases {
            let translated = regex::Regex::new(&translate(text).unwrap()).unwrap();
            assert_eq!(translated.is_match(subject), expected, "{text} on {subject}");
        }
    }

    #[test]
    fn what_re2_refuses_is_refused() {
        let cases = [
            ("a++", "`+` repeats a repetition"),
            ("a{2}{3}", "`{3}` repeats a repetition"),
            (r"\C", r"unknown escape `\C`"),
            (r"(a)\1", r"unknown escape `\1`"),
            ("(?=a)", "a group of an unknown kind"),
            ("(?<!a)", "it looks behind"),
            ("(?x)a", "a group of an unknown kind"),
            ("[a", "a class has no end"),
            ("[[:what:]]", "unknown class `[:what:]`"),
            ("[b-a]", "invalid character class range, the start must be <= the end"),
            (r"[\b]", r"unknown escape `\b`"),
            ("a\\", "it ends in `\\`"),
            (r"\p", r"it ends in `\p`"),
            (r"\xé", r"unknown escape `\x`"),
            ("(a", "unclosed group"),
            ("(a{1000}){1000}", "it needs more than 10485760 bytes of memory: write a smaller one"),
        ];
        for (text, reason) in cases {
            assert_eq!(translate(text), Err(reason.to_owned()), "{text}");
        }
    }
}
