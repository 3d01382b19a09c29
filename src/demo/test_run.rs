//! Test runs in the bucket `logs`: their pages, and the one that runs while the demo does.

use super::files::{Attributes, put, remove};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub(super) const LOGS: &str = "logs";
pub(super) const RUNNING: &str = "pull-1235-fedora-42/";
pub(super) const TEXT: &str = "text/plain; charset=utf-8";

/// How many tests the running run has, before it starts over.
const TESTS: usize = 200;

/// Writes the viewer of a run's log, and a page that links it and `files`.
pub(super) fn put_pages(root: &Path, run: &str, files: &[&str]) -> io::Result<()> {
    let html = Attributes::of("text/html; charset=utf-8");
    put(root, LOGS, &format!("{run}log.html"), include_bytes!("assets/log.html"), &html)?;
    let link = |name| format!("<li><a href=\"{name}\">{name}</a></li>\n");
    let links: String = ["log.html"].iter().chain(files).map(link).collect();
    let title = run.trim_end_matches('/');
    let index = include_str!("assets/index.html").replace("@TITLE@", title).replace("@FILES@", &links);
    put(root, LOGS, &format!("{run}index.html"), index.as_bytes(), &html)
}

/// What the log of the running test says of one of its tests.
fn lines(number: usize) -> String {
    let names: Vec<&str> = include_str!("assets/tests.txt").lines().collect();
    let name = names[number % names.len()];
    let machine = 1 + number % 4;
    let seconds = 3 + number * 37 % 58;
    let plan = if number == 1 { format!("# 4 machines, 2 GiB each\n1..{TESTS}\n") } else { String::new() };
    let (verdict, why) = match number % 41 {
        40 => ("not ok", "testlib.Error: timeout\n"),
        _ => ("ok", ""),
    };
    format!("{plan}# {name}\n> m{machine}: booted\n{why}{verdict} {number} {name} [{seconds}s on m{machine}]\n")
}

/// The test that runs while the demo does. Its log is read in chunks, as `log.html` describes:
/// `log.START-END` holds these bytes, `log.chunks` lists the sizes.
pub struct RunningTest {
    root: PathBuf,
    chunks: Vec<Chunk>,
    tests: usize,
}

struct Chunk {
    appends: usize,
    text: String,
}

impl RunningTest {
    /// Starts the run below `root` with its first chunk, whatever was there of it.
    pub fn new(root: &Path) -> io::Result<Self> {
        put_pages(root, RUNNING, &[])?;
        remove(root, LOGS, &format!("{RUNNING}log"))?;
        let mut run = Self { root: root.to_owned(), chunks: Vec::new(), tests: 0 };
        run.append()?;
        Ok(run)
    }

    /// One more test has ended: its lines are appended. After 200 the log starts over.
    pub fn append(&mut self) -> io::Result<()> {
        if self.tests == TESTS {
            // The old chunks stay: they are what the next round writes again, and a reader that
            // has the old list still finds them.
            self.chunks.clear();
            self.tests = 0;
        }
        self.tests += 1;
        let mut last = Chunk { appends: 1, text: lines(self.tests) };
        // Chunks of equal weight are merged, so that a long log is few objects: only the last one
        // ever changes, and readers ask for the part of it that they lack.
        while let Some(before) = self.chunks.pop_if(|before| before.appends == last.appends) {
            last.appends += before.appends;
            last.text = before.text + &last.text;
        }
        let start: usize = self.chunks.iter().map(|chunk| chunk.text.len()).sum();
        let name = format!("log.{start}-{}", start + last.text.len());
        self.write(&name, last.text.as_bytes(), TEXT)?;
        self.chunks.push(last);
        // The list comes last: what it names is there.
        let sizes: Vec<usize> = self.chunks.iter().map(|chunk| chunk.text.len()).collect();
        self.write("log.chunks", &serde_json::to_vec(&sizes)?, "application/json")
    }

    /// The test ends: `log` holds all of it, and the chunks go, their list before them.
    pub fn finish(self) -> io::Result<()> {
        let log: String = self.chunks.iter().map(|chunk| chunk.text.as_str()).collect();
        self.write("log", log.as_bytes(), TEXT)?;
        put_pages(&self.root, RUNNING, &["log"])?;
        remove(&self.root, LOGS, &format!("{RUNNING}log.chunks"))?;
        for entry in fs::read_dir(self.root.join(LOGS).join(RUNNING))? {
            let name = entry?.file_name();
            let name = name.to_string_lossy();
            if name.starts_with("log.") && name != "log.html" {
                remove(&self.root, LOGS, &format!("{RUNNING}{name}"))?;
            }
        }
        Ok(())
    }

    fn write(&self, name: &str, bytes: &[u8], content_type: &str) -> io::Result<()> {
        put(&self.root, LOGS, &format!("{RUNNING}{name}"), bytes, &Attributes::of(content_type))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let root = std::env::temp_dir().join(format!("demo-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).unwrap();
        root
    }

    #[test]
    fn a_reader_of_chunks_gets_the_log_that_the_test_leaves() {
        let root = folder("chunks");
        let run = root.join(LOGS).join(RUNNING);
        let mut test = RunningTest::new(&root).unwrap();
        let mut read = Vec::new();
        for _ in 0..40 {
            test.append().unwrap();
            let list = fs::read(run.join("log.chunks")).unwrap();
            let mut end = 0;
            for size in serde_json::from_slice::<Vec<usize>>(&list).unwrap() {
                let start = end;
                end += size;
                let chunk = fs::read(run.join(format!("log.{start}-{end}"))).unwrap();
                assert_eq!(chunk.len(), size);
                if end > read.len() {
                    let known = read.len() - start;
                    read.extend_from_slice(&chunk[known..]);
                }
            }
        }
        test.finish().unwrap();
        assert_eq!(fs::read(run.join("log")).unwrap(), read);
        let mut left: Vec<_> = fs::read_dir(&run).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["index.html", "log", "log.html"]);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn the_running_test_starts_over_instead_of_growing_for_ever() {
        let root = folder("over");
        let list = root.join(LOGS).join(RUNNING).join("log.chunks");
        let mut test = RunningTest::new(&root).unwrap();
        let first = fs::read(&list).unwrap();
        for _ in 0..TESTS {
            test.append().unwrap();
        }
        assert_eq!(fs::read(&list).unwrap(), first);
        fs::remove_dir_all(root).unwrap();
    }
}
