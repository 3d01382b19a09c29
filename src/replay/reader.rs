//! Reads logs line by line: records to whoever wants them, and an account of all else.

use super::formats::{Format, Parser, Reason, sniff};
use super::lines::{Line, Lines, block};
use super::record::Record;
use crate::printable::is_hidden;
use std::fmt::Write;
use std::io::Read;

/// How many lines that cannot be read, and how many files, are kept as examples.
const EXAMPLES: usize = 5;
/// Of so many characters at most.
const EXAMPLE_LENGTH: usize = 200;

/// A line that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Where it is, as `file:line`.
    pub place: String,
    /// Why.
    pub reason: Reason,
    /// Its beginning, safe to be shown: control characters are escaped, and queries left out, since a presigned one is
    /// a secret.
    pub text: String,
}

/// Lines that could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unparsable {
    /// How many.
    pub count: u64,
    /// The first ones.
    pub examples: Vec<Example>,
}

impl Unparsable {
    fn note(&mut self, name: &str, line: u64, reason: Reason, bytes: &[u8]) {
        self.count += 1;
        if self.examples.len() < EXAMPLES {
            let text = shown(&String::from_utf8_lossy(&bytes[..bytes.len().min(EXAMPLE_LENGTH * 4)]));
            self.examples.push(Example { place: format!("{name}:{line}"), reason, text });
        }
    }
}

/// What may go to a terminal.
fn shown(text: &str) -> String {
    let mut shown = String::new();
    let mut in_query = false;
    for c in text.chars().take(EXAMPLE_LENGTH) {
        in_query &= !matches!(c, ' ' | '"' | '\t');
        if in_query {
        } else if is_hidden(c) {
            let _ = write!(shown, "{}", c.escape_default());
        } else {
            shown.push(c);
        }
        in_query |= c == '?';
    }
    shown
}

/// A file that could not be read, or only in part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    /// Its name.
    pub name: String,
    /// What is the matter.
    pub message: String,
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Files.
    pub files: u64,
    /// Lines, of all kinds.
    pub lines: u64,
    /// Records.
    pub records: u64,
    /// Lines with nothing to see: blank, headers, messages of the same program.
    pub skipped: u64,
    /// Lines that could not be read.
    pub unparsable: Unparsable,
    /// Files that could not be read to their end.
    pub damaged_files: u64,
    /// The first ones of them.
    pub damaged: Vec<Damaged>,
}

impl Tally {
    /// Notes that a file could not be read to its end.
    pub fn damage(&mut self, name: &str, error: &std::io::Error) {
        self.damaged_files += 1;
        if self.damaged.len() < EXAMPLES {
            self.damaged.push(Damaged { name: name.to_owned(), message: error.to_string() });
        }
    }
}

impl Tally {
    /// Adds what another reader has read.
    pub fn merge(&mut self, other: Tally) {
        self.files += other.files;
        self.lines += other.lines;
        self.records += other.records;
        self.skipped += other.skipped;
        self.unparsable.count += other.unparsable.count;
        self.unparsable.examples.extend(other.unparsable.examples);
        self.unparsable.examples.truncate(EXAMPLES);
        self.damaged_files += other.damaged_files;
        self.damaged.extend(other.damaged);
        self.damaged.truncate(EXAMPLES);
    }
}

/// Reads one log after the other.
#[derive(Debug)]
pub struct Reader {
    format: Format,
    block: Box<[u8]>,
    /// What was read so far.
    pub tally: Tally,
}

impl Reader {
    /// A reader of one format, or of any.
    pub fn new(format: Format) -> Self {
        Reader { format, block: block(), tally: Tally::default() }
    }

    /// Reads `input` to its end and gives each record to `visit`. What cannot be read is counted.
    pub fn read(&mut self, name: &str, input: impl Read, mut visit: impl FnMut(&Record<'_>)) {
        let tally = &mut self.tally;
        tally.files += 1;
        let mut lines = Lines::new(input, &mut self.block);
        let format = match self.format {
            Format::Auto => sniff(lines.first().filter_map(|line| std::str::from_utf8(line).ok())),
            named => named,
        };
        let mut parser = Parser::new(format);
        let mut number = 0;
        loop {
            let (bytes, ended) = match lines.next() {
                Ok(Some(Line::Whole(bytes))) => (bytes, true),
                Ok(Some(Line::Last(bytes))) => (bytes, false),
                Ok(Some(Line::TooLong(beginning))) => {
                    number += 1;
                    tally.unparsable.note(name, number, "the line is too long", beginning);
                    continue;
                }
                Ok(None) => break,
                Err(error) => {
                    tally.damage(name, &error);
                    break;
                }
            };
            number += 1;
            let replaced;
            let line = match std::str::from_utf8(bytes) {
                Ok(line) => line,
                Err(_) => {
                    replaced = String::from_utf8_lossy(bytes);
                    &*replaced
                }
            };
            match parser.parse(line, ended) {
                Ok(Some(record)) => {
                    tally.records += 1;
                    visit(&record);
                }
                Ok(None) => tally.skipped += 1,
                Err(reason) => tally.unparsable.note(name, number, reason, bytes),
            }
        }
        tally.lines += number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "192.0.2.1 - - [01/Nov/2026:00:00:00 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"curl\"\n";

    #[test]
    fn what_cannot_be_read_is_counted_and_shown_safely() {
        let long = "x".repeat(100_000);
        let log = format!("{LINE}\x1b[31m\u{202e}what \"/?secret=1\" \u{7}\n\n{long}\n{LINE}\u{fffd}\n");
        let mut reader = Reader::new(Format::Auto);
        let mut seen = 0;
        reader.read("a.log", log.as_bytes(), |record| seen += record.bytes);
        assert_eq!((seen, reader.tally.lines, reader.tally.records, reader.tally.skipped), (10, 6, 2, 1));
        assert_eq!(reader.tally.unparsable.count, 3);
        let first = &reader.tally.unparsable.examples[0];
        assert_eq!((&*first.place, &*first.text), ("a.log:2", r#"\u{1b}[31m\u{202e}what "/?" \u{7}"#));
        assert_eq!(reader.tally.unparsable.examples[1].place, "a.log:4");
        assert_eq!(reader.tally.unparsable.examples[1].text.len(), 200);
        for _ in 0..4 {
            reader.read("b.log", &b"neither\n"[..], |_| {});
        }
        assert_eq!((reader.tally.unparsable.count, reader.tally.unparsable.examples.len()), (7, 5));
        assert_eq!(reader.tally.files, 5);
    }

    #[test]
    fn a_damaged_file_gives_what_was_readable() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("bad block"))
            }
        }
        let mut reader = Reader::new(Format::Combined);
        let cut = LINE.trim_end().split_at(70).0;
        reader.read("a.gz", [LINE.as_bytes(), cut.as_bytes()].concat().chain(Broken), |_| {});
        assert_eq!((reader.tally.records, reader.tally.unparsable.count, reader.tally.damaged_files), (1, 1, 1));
        assert_eq!(reader.tally.damaged, [Damaged { name: "a.gz".into(), message: "bad block".into() }]);
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        let mut reader = Reader::new(Format::Combined);
        let line = [&LINE.as_bytes()[..LINE.len() - 2], b"\xff/1\"\n"].concat();
        reader.read("a", &line[..], |record| {
            assert_eq!(record.user_agent.as_str().present(), Some("curl\u{fffd}/1"));
        });
        assert_eq!(reader.tally.records, 1);
    }
}
