//! What was found wrong in a document, and where.

use super::Position;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is accepted, but probably does not say what its author meant.
    Warning,
}

/// One finding in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file's name as the operator wrote it.
    pub file: String,
    /// Where in the file.
    pub position: Position,
    /// Whether the file is refused for it.
    pub severity: Severity,
    /// Lower case, with the offending text in backticks.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let Position { line, column } = self.position;
        write!(f, "{}:{line}:{column}: {severity}: {}", self.file, self.message)
    }
}

/// Collects the findings of one run over one or more files.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics {
    file: String,
    found: Vec<Diagnostic>,
    broken: Vec<String>,
    stop: Option<Arc<AtomicBool>>,
}

impl Diagnostics {
    /// Starts with no findings, in the file of the given name.
    pub fn new(file: impl Into<String>) -> Self {
        Diagnostics { file: file.into(), ..Diagnostics::default() }
    }

    /// Findings from now on belong to `file`. Returns the file before it.
    pub fn enter(&mut self, file: impl Into<String>) -> String {
        std::mem::replace(&mut self.file, file.into())
    }

    /// Records a mistake.
    pub fn error(&mut self, position: Position, message: impl Into<String>) {
        self.push(position, Severity::Error, message.into());
    }

    /// Records a doubt.
    pub fn warn(&mut self, position: Position, message: impl Into<String>) {
        self.push(position, Severity::Warning, message.into());
    }

    fn push(&mut self, position: Position, severity: Severity, message: String) {
        self.found.push(Diagnostic { file: self.file.clone(), position, severity, message });
    }

    /// Notes that `name` is defined, but wrongly: that it is not known elsewhere is no second mistake.
    pub fn set_broken(&mut self, name: &str) {
        self.broken.push(name.to_owned());
    }

    /// Whether `name` is defined, but wrongly.
    pub fn is_broken(&self, name: &str) -> bool {
        self.broken.iter().any(|broken| broken == name)
    }

    /// Has what takes long be refused once `stop` is set: for texts of somebody who may wish to keep us busy.
    pub fn give_up_on(&mut self, stop: Arc<AtomicBool>) {
        self.stop = Some(stop);
    }

    /// Whether to give up.
    pub fn is_over(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed))
    }

    /// How many mistakes were found.
    pub fn error_count(&self) -> usize {
        self.found.iter().filter(|d| d.severity == Severity::Error).count()
    }

    /// Every finding, in the order in which they were found.
    pub fn all(&self) -> &[Diagnostic] {
        &self.found
    }

    /// Every finding, file by file as they were entered, in the order of their places.
    pub fn sorted(&self) -> impl Iterator<Item = &Diagnostic> {
        let mut files: Vec<&str> = Vec::new();
        for finding in &self.found {
            if !files.contains(&finding.file.as_str()) {
                files.push(&finding.file);
            }
        }
        let mut found: Vec<&Diagnostic> = self.found.iter().collect();
        found.sort_by_key(|d| (files.iter().position(|file| *file == d.file), d.position.line, d.position.column));
        found.into_iter()
    }

    /// The name of the file that findings belong to now.
    pub fn file(&self) -> &str {
        &self.file
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sorted().try_for_each(|d| writeln!(f, "{d}"))
    }
}

/// What is wrong with a regular expression, out of the drawing that the library makes of the place.
pub fn regex_fault(error: &str) -> &str {
    let why = error.lines().last().unwrap_or_default().trim();
    why.strip_prefix("error: ").unwrap_or(why)
}
