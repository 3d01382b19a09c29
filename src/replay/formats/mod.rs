//! The formats of access logs: one line in, one [`Record`] out.
//!
//! A line is a record, or nothing to see (a header, a blank line, a message of the same program), or unparsable for a
//! reason. What was cut off in the middle is unparsable rather than wrong.

mod cloudfront;
mod combined;
mod json;
mod s3;
mod text;

use super::record::Record;
use cloudfront::Columns;

/// Why a line cannot be read.
pub type Reason = &'static str;

/// What a line came to: a record, or nothing to see.
pub type Parsed<'a> = Result<Option<Record<'a>>, Reason>;

/// How many lines of a file are looked at to tell its format.
const SNIFFED: usize = 200;

/// A format of access logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Format {
    /// Told from the first lines of each file.
    #[default]
    Auto,
    /// S3 server access logs.
    S3,
    /// The combined or common log format of Apache and nginx.
    Combined,
    /// The gateway's own access log.
    Json,
    /// CloudFront standard logs.
    CloudFront,
}

impl Format {
    /// The words for `--format`, with what they mean.
    pub const WORDS: [(&'static str, Format); 5] = [
        ("auto", Format::Auto),
        ("s3", Format::S3),
        ("combined", Format::Combined),
        ("json", Format::Json),
        ("cloudfront", Format::CloudFront),
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize].0
    }
}

/// Tells the format from the first lines of a file; [`Format::Auto`] where none of them is of a known one.
pub fn sniff<'a>(lines: impl Iterator<Item = &'a str>) -> Format {
    let mut perhaps = Format::Auto;
    for line in lines.take(SNIFFED) {
        if line.starts_with("#Version:") || line.starts_with("#Fields:") {
            return Format::CloudFront;
        }
        for format in [Format::S3, Format::Combined, Format::Json, Format::CloudFront] {
            if matches!(Parser::new(format).parse(line, true), Ok(Some(_))) {
                return format;
            }
        }
        if perhaps == Format::Auto && line.starts_with('{') {
            perhaps = Format::Json;
        }
    }
    perhaps
}

/// Reads the lines of one file.
#[derive(Debug)]
pub struct Parser {
    format: Format,
    columns: Columns,
}

impl Parser {
    /// A parser of one format. One of [`Format::Auto`] can read nothing: that is a file whose format nobody could tell.
    pub fn new(format: Format) -> Self {
        Parser { format, columns: Columns::standard() }
    }

    /// Reads one line, without its end. `ended` says whether there was a line end: the last line of a file that is
    /// still written, or was cut off, has none.
    ///
    /// # Errors
    /// When the line is not of this format.
    pub fn parse<'a>(&mut self, line: &'a str, ended: bool) -> Parsed<'a> {
        if line.trim_ascii().is_empty() {
            return Ok(None);
        }
        match self.format {
            Format::Auto => Err("the file's format is not known: name it with --format"),
            Format::S3 => s3::parse(line, ended),
            Format::Combined => combined::parse(line, ended),
            Format::Json => json::parse(line),
            Format::CloudFront => self.columns.parse(line, ended),
        }
    }
}

#[cfg(test)]
mod tests;
