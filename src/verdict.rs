//! What a policy decides, in words that reports, metrics and the access log share.

use crate::decisions::Decision;
use crate::document::{Decode, Diagnostics, Node, Schemas, choose, words};
use crate::signal::Signals;
use serde_json::Value;
use smallvec::SmallVec;
use std::sync::Arc;

/// What a client is for the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Continuous integration: must never meet a challenge.
    Ci,
    /// A person in a browser.
    Human,
    /// A crawler that says what it is.
    DeclaredBot,
    /// A command-line tool or library.
    Tool,
    /// Claims to be what it is not.
    Suspect,
    /// None of these.
    Unknown,
}

impl Class {
    /// Every class with its word.
    pub const WORDS: [(&'static str, Class); 6] = [
        ("ci", Class::Ci),
        ("human", Class::Human),
        ("declared-bot", Class::DeclaredBot),
        ("tool", Class::Tool),
        ("suspect", Class::Suspect),
        ("unknown", Class::Unknown),
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize].0
    }
}

/// Whether rules are enforced or only recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Record what would happen.
    Observe,
    /// Do it.
    Enforce,
    /// Enforce while the evidence says so, or where nobody collects any.
    Auto,
    /// As `observe`, but challenge a share of those who are not known, to see who solves.
    Sample,
}

impl Mode {
    /// Every mode with its word.
    pub const WORDS: [(&'static str, Mode); 4] =
        [("observe", Mode::Observe), ("enforce", Mode::Enforce), ("auto", Mode::Auto), ("sample", Mode::Sample)];

    /// The word for it.
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize].0
    }
}

/// Implements `Decode` for an enum with a `WORDS` table.
macro_rules! decode_words {
    ($($type:ty, $what:expr;)*) => {$(
        impl Decode for $type {
            fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
                choose(node, $what, &<$type>::WORDS, diagnostics)
            }

            fn schema(_: &mut Schemas) -> Value {
                words(&<$type>::WORDS)
            }

            fn written(&self) -> Option<Value> {
                Some(<$type>::WORDS[*self as usize].0.into())
            }
        }
    )*};
}

decode_words! {
    Class, "class";
    Mode, "mode";
    Dialect, "dialect";
    crate::facts::HttpVersion, "version of HTTP";
    crate::facts::Identity, "identity";
}

/// What ends the evaluation of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Pass it to the origin.
    Allow,
    /// Refuse it.
    Deny {
        /// The HTTP status, 400 to 499.
        status: u16,
        /// What the client is told.
        reason: Arc<str>,
    },
    /// Ask for a pass.
    Challenge {
        /// The tier's name.
        tier: Arc<str>,
        /// The tier's difficulty : expected trials per solution.
        difficulty: u32,
    },
    /// Send the client to the origin, with a URL that is signed for a short time.
    Redirect,
}

impl Action {
    /// The word for it in metrics, logs and reports.
    pub fn word(&self) -> &'static str {
        match self {
            Action::Allow => "allow",
            Action::Deny { .. } => "deny",
            Action::Challenge { .. } => "challenge",
            Action::Redirect => "redirect",
        }
    }
}

/// What a rule does to a request that goes on to the next rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// Charge it to the rule's limits.
    Limit,
    /// Add to its weight.
    Weigh(i64),
    /// Call the client a member of this class from here on.
    Tag(Class),
    /// Add to the record of the client's prefix.
    Strike(f64),
    /// Send the answer no faster than this, in bytes per second.
    Slow(u64),
}

impl Step {
    /// The word for it in metrics, logs and reports.
    pub fn word(self) -> &'static str {
        match self {
            Step::Limit => "limit",
            Step::Weigh(_) => "weigh",
            Step::Tag(_) => "tag",
            Step::Strike(_) => "strike",
            Step::Slow(_) => "slow",
        }
    }
}

/// What a verdict names as its rule where an operator has blocked the client. No rule of a policy is called so.
pub const RUNTIME_BLOCK: &str = "runtime-block";
/// What clients are told whom an operator has blocked. Why, and for how long, is not for them.
pub const BLOCKED: &str = "requests from this network are blocked";

/// The index of a limit in the policy's list of limits.
pub type LimitId = usize;

/// A rule that would have acted had it not been held back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldBack {
    /// The rule.
    pub rule: Arc<str>,
    /// The word for what it would have done.
    pub action: &'static str,
}

/// Limits that a rule charges a request to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The rule.
    pub rule: Arc<str>,
    /// The limits, in the order in which they are asked.
    pub limits: Arc<[LimitId]>,
    /// Whether the limits refuse, or are only recorded.
    pub enforced: bool,
}

/// What the policy decided for one request, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// What the client is for the books.
    pub class: Class,
    /// What to do.
    pub action: Action,
    /// The rule that decided, or `default`.
    pub rule: Arc<str>,
    /// Whether the deciding rule is in force.
    pub enforced: bool,
    /// Whether it is so for this request alone: a held-back challenge, and the client is in the sample.
    pub sampled: bool,
    /// The limits that the request is charged to, in the order of the rules.
    pub charges: SmallVec<[Charge; 4]>,
    /// Whether the client owes it to its pass, so that the request draws on it: a challenge was met, or without the pass
    /// another rule would have decided, slowed or charged it.
    pub draws_on_pass: bool,
    /// The first rule that was held back.
    pub held_back: Option<HeldBack>,
    /// The first rule that hung on an unknown fact, or `classes`.
    pub undecided: Option<Arc<str>>,
    /// Whether `rule` was among these: it guards access, so it refuses until it can be told whether it should. For those
    /// who judge requests afterwards this is no decision.
    pub withheld: bool,
    /// The sum of what rules weighed.
    pub weight: i64,
    /// What an operator has decided about the client, which came before the rules: a block ended the evaluation, of all
    /// else protection was held back.
    pub decided: Option<Arc<Decision>>,
    /// What to add to the record of the client's prefix.
    pub strikes: f64,
    /// How fast the answer may be sent at most, in bytes per second.
    pub slow: Option<u64>,
    /// The signals of the request, where a match asked for them.
    pub signals: Option<Signals>,
    /// How many expressions could not be evaluated. Such a match does not hold.
    pub errors: u32,
}

/// What was done with a request, in the words of metrics, the access log and reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Done {
    /// Passed to the origin.
    Allow,
    /// Refused by a deny rule.
    Deny,
    /// Asked for a pass.
    Challenge,
    /// Sent to the origin itself.
    Redirect,
    /// Refused by a limit.
    Limit,
    /// Refused because it is malformed, writes, lists or addresses nothing.
    Refuse,
    /// One of the gateway's own pages.
    Internal,
}

impl Done {
    /// Every way with its word.
    pub const WORDS: [(&'static str, Done); 7] = [
        ("allow", Done::Allow),
        ("deny", Done::Deny),
        ("challenge", Done::Challenge),
        ("redirect", Done::Redirect),
        ("limit", Done::Limit),
        ("refuse", Done::Refuse),
        ("internal", Done::Internal),
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize].0
    }
}

/// How a refusal is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// A navigation in a browser: an HTML page.
    Page,
    /// A fetch, XHR or subresource of a page: `application/problem+json` (RFC 9457).
    Fetch,
    /// An S3 client: S3's XML error document.
    S3,
    /// Everyone else: one paragraph of plain text.
    Plain,
}

impl Dialect {
    /// Every dialect with its word.
    pub const WORDS: [(&'static str, Dialect); 4] =
        [("page", Dialect::Page), ("fetch", Dialect::Fetch), ("s3", Dialect::S3), ("plain", Dialect::Plain)];

    /// The word for it in metrics and logs.
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize].0
    }
}
