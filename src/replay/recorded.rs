//! What the gateway's own log says of a decision: what it rested on, and what it came to; and how a replay compares.

use crate::clock::Timestamp;
use crate::record::{Answers, RecordedFacts};
use crate::verdict::{Done, Verdict};

/// Verdicts that differ are shown by so many examples.
const EXAMPLES: usize = 10;

/// A decision, as it was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// The id of the request.
    pub request_id: Box<str>,
    /// What tells the policy from others.
    pub policy: Box<str>,
    /// The facts that it could read.
    pub facts: RecordedFacts,
    /// The state that it was told.
    pub state: Answers,
    /// What it came to.
    pub verdict: Told,
    /// Whether a limit refused the request.
    pub is_limited: bool,
}

/// What a verdict says, in the words of the access log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The class.
    pub class: Box<str>,
    /// What is to be done, whatever was.
    pub action: Box<str>,
    /// The rule that decided.
    pub rule: Box<str>,
    /// The rule that was held back first, and what it would have done.
    pub held_back: Option<(Box<str>, Box<str>)>,
    /// The rule that hung on something unknown first.
    pub undecided: Option<Box<str>>,
}

impl Told {
    /// What `verdict` says.
    pub fn new(verdict: &Verdict) -> Self {
        Told {
            class: verdict.class.word().into(),
            action: verdict.action.word().into(),
            rule: (&*verdict.rule).into(),
            held_back: verdict.held_back.as_ref().map(|held| ((&*held.rule).into(), held.action.into())),
            undecided: verdict.undecided.as_deref().map(Into::into),
        }
    }
}

/// A verdict that a replay does not come to again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// When the request came.
    pub at: Timestamp,
    /// Its id.
    pub request_id: Box<str>,
    /// Whether the line has the hash of the policy that the replay decides by.
    pub same_policy: bool,
    /// What was recorded.
    pub recorded: Told,
    /// What the replay came to.
    pub replayed: Told,
}

/// How the verdicts of a replay compare with those that were recorded. Limits are compared apart: they hang on what came
/// before, of which a log is a part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Agreement {
    /// Lines that say what was decided, and on what it rested.
    pub lines: u64,
    /// Those with the hash of the policy.
    pub same_policy: u64,
    /// Those whose verdict is the same again.
    pub equal: u64,
    /// Those of the policy's hash whose verdict is.
    pub equal_of_same: u64,
    /// Those whose verdict hangs on a fact or a state that they lack, where the recorded one did not.
    pub lacking: u64,
    /// Lines of requests that a limit refused then.
    pub limited_then: u64,
    /// Those that one refuses in the replay.
    pub limited_now: u64,
    /// Those that one refused both times.
    pub limited_both: u64,
    /// The first that differ; those of the policy's hash come first.
    pub differences: Vec<Difference>,
}

impl Agreement {
    /// Notes a line, what it is decided to be now, and what limits would do to it.
    pub fn note(
        &mut self,
        at: Timestamp,
        recorded: &Recorded,
        replayed: &Verdict,
        same_policy: bool,
        would: Option<&str>,
    ) {
        let Recorded { request_id, verdict, is_limited, .. } = recorded;
        let replayed = Told::new(replayed);
        let is_equal = *verdict == replayed;
        let limited = would == Some(Done::Limit.word());
        self.lines += 1;
        self.same_policy += u64::from(same_policy);
        self.equal += u64::from(is_equal);
        self.equal_of_same += u64::from(is_equal && same_policy);
        self.lacking += u64::from(verdict.undecided.is_none() && replayed.undecided.is_some());
        self.limited_then += u64::from(*is_limited);
        self.limited_now += u64::from(limited);
        self.limited_both += u64::from(*is_limited && limited);
        if is_equal {
            return;
        }
        let place = match same_policy {
            true => self.differences.iter().take_while(|known| known.same_policy).count(),
            false => self.differences.len(),
        };
        if place < EXAMPLES {
            let (request_id, recorded) = (request_id.clone(), verdict.clone());
            self.differences.insert(place, Difference { at, request_id, same_policy, recorded, replayed });
            self.differences.truncate(EXAMPLES);
        }
    }
}
