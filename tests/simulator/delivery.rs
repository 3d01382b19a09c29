//! Server access logs as S3 delivers them: many small files, lines late, twice, and some that nobody can read.

#![allow(clippy::disallowed_methods, reason = "it writes files")]

use super::chance::Chance;
use super::event::Event;
use super::lines;
use super::rhythm::{self, DAY, HOUR, SECOND};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// How lines are delivered. Shares are of all events, from 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Another seed, other lines late.
    pub seed: u64,
    /// Lines in a file.
    pub lines_per_file: usize,
    /// Events that come one to six hours late.
    pub late: f64,
    /// Events that come twice, the second time late.
    pub duplicated: f64,
    /// Lines that are damaged: a copy of an event's line, with bytes that are no text, or no spaces where they belong.
    /// They come beside the event's own line, so that they change no sum.
    pub damaged: f64,
    /// Lines that end before the status does, also beside the event's own.
    pub truncated: f64,
    /// Events whose line has fields that nobody knows yet, at its end.
    pub future: f64,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            seed: 0,
            lines_per_file: 5_000,
            late: 0.01,
            duplicated: 0.0005,
            damaged: 0.0001,
            truncated: 0.0001,
            future: 0.001,
        }
    }
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Files.
    pub files: u64,
    /// Lines, of all kinds.
    pub lines: u64,
    /// Events whose line came late, without those that came twice.
    pub late: u64,
    /// Lines that had come before.
    pub duplicates: u64,
    /// Lines that were damaged.
    pub damaged: u64,
    /// Lines that end too soon.
    pub truncated: u64,
    /// Lines with more fields.
    pub future: u64,
}

impl Delivered {
    /// Lines that nobody can read.
    pub fn unreadable(&self) -> u64 {
        self.damaged + self.truncated
    }
}

/// What waits for its delivery at most; beyond that, lines come in time.
const WAITING: usize = 50_000;

/// Writes events, in the order of time, to a directory as S3 would: `YYYY-mm-DD-HH-MM-SS-ID`, by the time of delivery.
///
/// # Errors
/// When the directory or a file cannot be written.
pub fn write_s3_directory(
    directory: &Path,
    events: impl IntoIterator<Item = Event>,
    delivery: &Delivery,
) -> io::Result<Delivered> {
    fs::create_dir_all(directory)?;
    let mut desk = Desk { directory, delivery, done: Delivered::default(), file: None, in_file: 0, now: 0 };
    let mut chance = Chance::new(&[delivery.seed, 0x006c_6f67]);
    let mut waiting: BinaryHeap<Reverse<(i64, Vec<u8>)>> = BinaryHeap::new();
    for event in events {
        desk.now = event.at_ms;
        while waiting.peek().is_some_and(|Reverse((at, _))| *at <= event.at_ms) {
            let Some(Reverse((_, line))) = waiting.pop() else { break };
            desk.deliver(&line)?;
        }
        let mut line = lines::s3_line(&event);
        if chance.hits(delivery.future) {
            line.push_str(" tomorrow \"and more\"");
            desk.done.future += 1;
        }
        let later = |chance: &mut Chance| event.at_ms + HOUR + chance.below(5 * HOUR as u64) as i64;
        if chance.hits(delivery.damaged) {
            desk.deliver(&damage(&line, &mut chance))?;
            desk.done.damaged += 1;
        }
        if chance.hits(delivery.truncated) {
            let end = line.find(" HTTP/1.1\"").unwrap_or(0);
            desk.deliver(&line.as_bytes()[..chance.between(1, end as u64) as usize])?;
            desk.done.truncated += 1;
        }
        let has_room = waiting.len() < WAITING;
        if has_room && chance.hits(delivery.duplicated) {
            waiting.push(Reverse((later(&mut chance), line.clone().into_bytes())));
            desk.done.duplicates += 1;
        }
        if has_room && chance.hits(delivery.late) {
            waiting.push(Reverse((later(&mut chance), line.into_bytes())));
            desk.done.late += 1;
        } else {
            desk.deliver(line.as_bytes())?;
        }
    }
    while let Some(Reverse((at, line))) = waiting.pop() {
        desk.now = at;
        desk.deliver(&line)?;
    }
    desk.finish()
}

/// A line as no reader may take it for one.
fn damage(line: &str, chance: &mut Chance) -> Vec<u8> {
    let mut bytes = line.as_bytes().to_vec();
    if chance.hits(0.5) {
        // The time is no time any more.
        let start = line.find('[').unwrap_or(0);
        bytes[start + 1..start + 12].copy_from_slice(b"\x00\xff\xfe\x80damaged");
    } else {
        bytes.retain(|byte| *byte != b' ');
    }
    bytes
}

struct Desk<'a> {
    directory: &'a Path,
    delivery: &'a Delivery,
    done: Delivered,
    file: Option<BufWriter<File>>,
    in_file: usize,
    now: i64,
}

impl Desk<'_> {
    fn deliver(&mut self, line: &[u8]) -> io::Result<()> {
        if self.in_file == self.delivery.lines_per_file.max(1) {
            self.close()?;
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let name = self.name();
                self.done.files += 1;
                self.file.insert(BufWriter::new(File::create(self.directory.join(name))?))
            }
        };
        file.write_all(line)?;
        file.write_all(b"\n")?;
        self.in_file += 1;
        self.done.lines += 1;
        Ok(())
    }

    /// S3 delivers some minutes after the first request of a file.
    fn name(&self) -> String {
        let at = self.now + 300 * SECOND;
        let ((year, month, day), (hour, minute, second)) = (rhythm::date(at.div_euclid(DAY)), rhythm::clock(at));
        let id = super::chance::blend(&[self.delivery.seed, self.done.files]);
        format!("{year}-{month:02}-{day:02}-{hour:02}-{minute:02}-{second:02}-{id:016X}")
    }

    fn close(&mut self) -> io::Result<()> {
        self.in_file = 0;
        self.file.take().map_or(Ok(()), |mut file| file.flush())
    }

    fn finish(mut self) -> io::Result<Delivered> {
        self.close()?;
        Ok(self.done)
    }
}
