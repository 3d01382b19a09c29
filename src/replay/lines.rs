//! Lines out of anything that can be read, by big blocks.
//!
//! Memory is one block, whatever a file holds: a line that is longer than any log's is passed over, not gathered.

use memchr::{memchr, memrchr};
use std::io::{self, Read};

/// How much is read at once, in bytes.
const BLOCK: usize = 256 * 1024;

/// The longest line that is read, in bytes. S3 takes 8 kB of headers, and no server more than 64 KiB by default.
pub const LONGEST: usize = 64 * 1024;

/// A line without its end, which is `\n` or `\r\n`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// A whole line.
    Whole(&'a [u8]),
    /// The last one, which has no end.
    Last(&'a [u8]),
    /// The beginning of one that is too long.
    TooLong(&'a [u8]),
}

/// Reads lines.
pub struct Lines<'b, R> {
    input: R,
    block: &'b mut [u8],
    /// What is read and not handed out yet.
    start: usize,
    end: usize,
    /// Within a line that is passed over.
    passing: bool,
    /// Nothing more comes.
    finished: bool,
    /// Why nothing more comes.
    fault: Option<io::Error>,
}

/// Room for what is read at once. It serves one input after the other, since most logs in buckets are small.
pub fn block() -> Box<[u8]> {
    vec![0; BLOCK].into_boxed_slice()
}

impl<'b, R: Read> Lines<'b, R> {
    /// Lines of `input`, read into a [`block`].
    pub fn new(input: R, block: &'b mut [u8]) -> Self {
        Lines { input, block, start: 0, end: 0, passing: false, finished: false, fault: None }
    }

    /// The whole lines at the beginning, as many as are read at once. They are handed out afterwards as all others.
    pub fn first(&mut self) -> impl Iterator<Item = &[u8]> {
        while self.start == 0 && self.end <= LONGEST && !self.finished {
            self.fill();
        }
        let there = &self.block[self.start..self.end];
        let whole = if self.finished { there.len() } else { memrchr(b'\n', there).unwrap_or(0) };
        there[..whole].split(|byte| *byte == b'\n')
    }

    /// The next line. What could be read before an error is handed out before it.
    ///
    /// # Errors
    /// When the input cannot be read any further. Nothing comes after that.
    #[allow(clippy::should_implement_trait, reason = "no iterator: a line lives until the next one")]
    pub fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        // How much of what is there has no line end.
        let mut searched = 0;
        loop {
            let found = memchr(b'\n', &self.block[self.start + searched..self.end]);
            if let Some(at) = found {
                let start = self.start;
                let end = start + searched + at;
                self.start = end + 1;
                searched = 0;
                if !std::mem::take(&mut self.passing) {
                    return Ok(Some(line(&self.block[start..end], true)));
                }
                continue;
            }
            searched = self.end - self.start;
            if self.passing || searched > LONGEST + 1 {
                let start = std::mem::replace(&mut self.start, self.end);
                searched = 0;
                if !std::mem::replace(&mut self.passing, true) {
                    return Ok(Some(Line::TooLong(&self.block[start..start + LONGEST])));
                }
            }
            if self.finished {
                if searched == 0 {
                    return self.fault.take().map_or(Ok(None), Err);
                }
                let start = std::mem::replace(&mut self.start, self.end);
                return Ok(Some(line(&self.block[start..self.end], false)));
            }
            self.fill();
        }
    }

    /// Reads behind what is there, which moves to the front. There is room: what is there is no longer than a line.
    fn fill(&mut self) {
        self.block.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        match self.input.read(&mut self.block[self.end..]) {
            Ok(0) => self.finished = true,
            Ok(read) => self.end += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                self.finished = true;
                self.fault = Some(error);
            }
        }
    }
}

fn line(bytes: &[u8], ended: bool) -> Line<'_> {
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    match bytes.get(..LONGEST) {
        Some(beginning) if bytes.len() > LONGEST => Line::TooLong(beginning),
        _ if ended => Line::Whole(bytes),
        _ => Line::Last(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives few bytes at a time, and an error in the end where there is to be one.
    struct Drops<'a>(&'a [u8], usize, bool);

    impl Read for Drops<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() && self.2 {
                return Err(io::Error::other("damaged"));
            }
            let size = self.1.min(self.0.len()).min(buffer.len());
            let (now, later) = self.0.split_at(size);
            buffer[..size].copy_from_slice(now);
            self.0 = later;
            Ok(size)
        }
    }

    /// All lines: a letter for what they are, and the bytes.
    fn all(bytes: &[u8], size: usize, damaged: bool) -> (Vec<(char, Vec<u8>)>, bool) {
        let mut block = block();
        let mut lines = Lines::new(Drops(bytes, size, damaged), &mut block);
        let mut found = Vec::new();
        loop {
            match lines.next() {
                Ok(Some(Line::Whole(line))) => found.push(('w', line.to_vec())),
                Ok(Some(Line::Last(line))) => found.push(('l', line.to_vec())),
                Ok(Some(Line::TooLong(line))) => found.push(('t', line.to_vec())),
                Ok(None) => return (found, false),
                Err(_) => return (found, lines.next().is_ok_and(|line| line.is_none())),
            }
        }
    }

    #[test]
    fn lines_end_as_they_should() {
        let long = |length: usize| vec![b'x'; length];
        type Kinds = Vec<(char, usize)>;
        let cases: [(Vec<u8>, Kinds); 8] = [
            (b"".to_vec(), vec![]),
            (b"a\nbc\r\n\nd".to_vec(), vec![('w', 1), ('w', 2), ('w', 0), ('l', 1)]),
            ([long(LONGEST), b"\n".to_vec()].concat(), vec![('w', LONGEST)]),
            ([long(LONGEST), b"\r\na".to_vec()].concat(), vec![('w', LONGEST), ('l', 1)]),
            ([long(LONGEST + 1), b"\na".to_vec()].concat(), vec![('t', LONGEST), ('l', 1)]),
            ([long(3_000_000), b"\nab\n".to_vec()].concat(), vec![('t', LONGEST), ('w', 2)]),
            ([b"a\n".to_vec(), long(3_000_000)].concat(), vec![('w', 1), ('t', LONGEST)]),
            (long(LONGEST), vec![('l', LONGEST)]),
        ];
        for (bytes, expected) in cases {
            for (size, damaged) in [(usize::MAX, false), (1000, false), (65_537, true)] {
                let (found, failed) = all(&bytes, size, damaged);
                let found: Vec<(char, usize)> = found.iter().map(|(kind, line)| (*kind, line.len())).collect();
                assert_eq!((&found, failed), (&expected, damaged), "{} bytes by {size}", bytes.len());
            }
        }
    }

    #[test]
    fn to_look_at_the_first_lines_takes_none_away() {
        let mut block = block();
        let mut lines = Lines::new(Drops(b"a\nb\nc", 2, false), &mut block);
        assert_eq!(lines.first().collect::<Vec<_>>(), [b"a", b"b", b"c"]);
        assert_eq!(lines.next().unwrap(), Some(Line::Whole(b"a")));
        let bytes = b"0123456789\n".repeat(100_000);
        let mut lines = Lines::new(&bytes[..], &mut block);
        assert!(lines.first().all(|line| line == b"0123456789"));
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_they_arrive(
            lines in proptest::collection::vec("[a-z\r]{0,6}", 0..40), size in 1_usize..9,
        ) {
            let bytes = lines.join("\n").into_bytes();
            prop_assert_eq!(all(&bytes, size, false), all(&bytes, usize::MAX, false));
            let found = all(&bytes, size, false).0.into_iter();
            let joined: Vec<String> = found.map(|(_, line)| String::from_utf8(line).unwrap()).collect();
            let mut expected: Vec<&str> = lines.iter().map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
            if expected.last().is_some_and(|last| last.is_empty()) && !bytes.ends_with(b"\r") {
                expected.pop();
            }
            prop_assert_eq!(joined, expected);
        }
    }
}
