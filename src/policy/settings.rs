//! The parts of matches that are mappings.

use super::atoms::Span;
use super::schema::{matches, paths};
use crate::document::{Decode, Diagnostics, Node, NonEmpty, Position, Schemas, Spanned, choose, words};
use crate::signal::Signal;
use serde_json::Value;
use std::num::NonZeroU32;

/// What stands under `match`, where there is one. Nothing behind the word is kept, to be refused: it is a slip of
/// indentation, and without a match the rule would be for everybody.
#[derive(Debug, Clone)]
pub struct MatchNode(pub Option<Node>);

impl Decode for MatchNode {
    const NOTHING_IS_ABSENT: bool = false;

    fn decode(node: &Node, _: &mut Diagnostics) -> Option<Self> {
        Some(MatchNode(Some(node.clone())))
    }

    fn schema(schemas: &mut Schemas) -> Value {
        matches(schemas)
    }
}

/// A regular expression, checked.
#[derive(Debug, Clone)]
pub struct RegexText(pub String);

crate::settings! {
    /// `{regex: ...}`.
    pub struct ExpressionSettings {
        /// The expression, found anywhere in the text unless anchored.
        regex: RegexText,
    }
}

crate::settings! {
    /// A path match that is not a glob. Any part that holds is enough.
    pub struct PathSettings {
        /// The path begins with one of these.
        #[schema(paths)]
        prefix: Vec<Spanned<String>> = Vec::new(),
        /// An expression finds a match in the path.
        regex: Vec<RegexText> = Vec::new(),
        /// The last segment ends with a dot and one of these: `qcow2`, `tar.gz`.
        extension: Vec<Spanned<String>> = Vec::new(),
        /// A glob, the same as a bare text.
        #[schema(paths)]
        glob: Vec<Node> = Vec::new(),
    }
}

crate::settings! {
    /// A User-Agent match that is not an exact text. Any part that holds is enough.
    pub struct UserAgentSettings {
        /// In one of these lists.
        list: Vec<Spanned<String>> = Vec::new(),
        /// An expression finds a match in it.
        regex: Vec<RegexText> = Vec::new(),
    }
}

crate::settings! {
    /// `signals: {at_least: 2, of: [...]}`.
    pub struct SignalSettings {
        /// How many must be there.
        at_least: NonZeroU32,
        /// Which ones count; all of them where absent.
        of: Option<NonEmpty<Signal>> = None,
    }
}

/// Which load average: over 1, 5 or 15 minutes.
#[derive(Debug, Clone, Copy)]
pub struct Average(pub usize);

const AVERAGES: [(&str, usize); 3] = [("1m", 0), ("5m", 1), ("15m", 2)];

impl Decode for Average {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        choose(node, "average", &AVERAGES, diagnostics).map(Average)
    }

    fn schema(_: &mut Schemas) -> Value {
        words(&AVERAGES)
    }
}

crate::settings! {
    /// `load: {over: 5m, at_least: 8}`.
    pub struct LoadSettings {
        /// Over how long the average is taken: `1m`, `5m` or `15m`; `1m` where absent.
        over: Option<Average> = None,
        /// The load is at least this.
        at_least: Option<f64> = None,
        /// The load is below this.
        below: Option<f64> = None,
    }
}

crate::settings! {
    /// `strikes: {at_least: 3}`.
    pub struct StrikesSettings {
        /// There are at least so many.
        at_least: Option<f64> = None,
        /// There are fewer than this.
        below: Option<f64> = None,
    }
}

crate::settings! {
    /// `suspicion: {at_least: 0.8}`.
    pub struct SuspicionSettings {
        /// It is at least this, from 0 to 1.
        at_least: Option<f64> = None,
        /// It is below this.
        below: Option<f64> = None,
    }
}

crate::settings! {
    /// `weight: {at_least: 10, below: 20}`.
    pub struct WeightSettings {
        /// The weight is at least this.
        at_least: Option<i64> = None,
        /// The weight is below this.
        below: Option<i64> = None,
    }
}

/// Reads settings, and gives none when they hold a mistake: a stand-in for it would only be called another one.
pub fn faultless<T: Decode>(node: &Node, diagnostics: &mut Diagnostics) -> Option<T> {
    let before = diagnostics.error_count();
    T::decode(node, diagnostics).filter(|_| diagnostics.error_count() == before)
}

/// As [`span`], of a number that is never below zero: warns where that makes it hold always, or never.
pub fn span_from_zero(
    at_least: Option<f64>,
    below: Option<f64>,
    position: Position,
    diagnostics: &mut Diagnostics,
) -> Option<Span<f64>> {
    let span = span(at_least, below, position, diagnostics)?;
    if below.is_some_and(|below| below <= 0.0) {
        diagnostics.warn(position, "this never matches: the number is never below 0");
    } else if below.is_none() && at_least.is_some_and(|least| least <= 0.0) {
        diagnostics.warn(position, "this always matches: the number is never below 0");
    }
    Some(span)
}

/// Makes a span of two bounds, of which one may be missing.
pub fn span<T: PartialOrd + Copy>(
    at_least: Option<T>,
    below: Option<T>,
    position: Position,
    diagnostics: &mut Diagnostics,
) -> Option<Span<T>> {
    match (at_least, below) {
        (None, None) => {
            diagnostics.error(position, "expected `at_least`, `below`, or both");
            None
        }
        (Some(low), Some(high)) if low >= high => {
            diagnostics.error(position, "nothing is in this span: `at_least` is not less than `below`");
            None
        }
        _ => Some(Span { at_least, below }),
    }
}

impl Decode for Signal {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        choose(node, "signal", &Signal::WORDS, diagnostics)
    }

    fn schema(_: &mut Schemas) -> Value {
        words(&Signal::WORDS)
    }
}
