//! What is written down of a decision, so that it can be made again: the facts that the policy can read, and what it was
//! told of the state. One set of types serves both ways, so that what is read is what was written.
//!
//! Pure. Nothing in here decides what a policy can read ([`Extent`]) or where it is written. Secrets are never written:
//! of what may be one only that it was there, so that a match on its text is undecided afterwards.

mod facts;
mod noting;
mod recalled;
mod secrets;
mod table;

pub use facts::{Hints, RecordedFacts};
pub use noting::Noting;
pub use recalled::Recalled;
pub use table::{Table, Text};

/// Texts of clients that have a place of their own in the access log are cut there after so many bytes.
pub const SHOWN: usize = 512;

/// What was answered, by question. Numbers are texts, too: so they are exact.
pub type Answers = Table<Box<str>>;

/// Names that can be asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Those that are known beforehand.
    pub some: Vec<String>,
    /// Whether any other may be, too.
    pub all: bool,
}

impl Names {
    /// Adds a name.
    pub fn add(&mut self, name: &str) {
        if !self.some.iter().any(|known| known == name) {
            self.some.push(name.to_owned());
        }
    }

    fn contains(&self, name: &str) -> bool {
        self.all || self.some.iter().any(|known| known == name)
    }
}

/// What a policy can read of a request, besides what every line of the access log says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extent {
    /// The host.
    pub host: bool,
    /// Headers, in lower case.
    pub headers: Names,
    /// Parameters of the query, decoded.
    pub query: Names,
    /// The signals.
    pub signals: bool,
    /// Whether the request is the client's own doing.
    pub own_doing: bool,
}
