//! `when:` - expressions of the Common Expression Language (CEL) in a `match:`.
//!
//! An expression is parsed, type-checked and its cost bounded once, when a policy is read. Evaluating it reads only
//! the facts that it names, compiles nothing, and ends in a truth or in a text that says why there is none: a policy
//! decides on the requests of strangers, and no request may make it panic or run for long.

mod bind;
mod calls;
mod check;
mod functions;
mod shape;
mod table;

use crate::facts::{Facts, Truth};
use crate::record::Extent;
use crate::signal::Signals;
use crate::state::State;
use crate::verdict::Class;
use bind::Bindings;
use cel::common::types::CelBool;
use cel::parser::{Expression, Parser};
use cel::{Context, ExecutionError, Value};
use check::{Checker, Reads};
use functions::{ENVIRONMENT, Pattern};
use shape::MAX_ENTRIES;

/// The longest expression, in characters.
const MAX_LENGTH: usize = 4096;
/// How deeply brackets and arguments may nest.
const MAX_BRACKETS: u16 = 24;
/// The parser descends through a dozen functions for each bracket, about 130 KiB of stack in an unoptimised build, and
/// through one for each operator of a long chain, about 2 KiB.
const PARSER_STACK: usize = 32 << 20;
/// The longest reason for a failed evaluation, in characters: the rest may be text that a client sent.
const MAX_REASON: usize = 200;

/// A compiled, type-checked expression.
#[derive(Debug)]
pub struct When {
    expression: Expression,
    reads: Reads,
    patterns: Vec<Pattern>,
}

/// What the evaluation of a policy has come to so far: inputs that are not facts.
#[derive(Clone, Copy)]
pub struct Running<'a> {
    /// The class; `unknown` while it is being decided.
    pub class: Class,
    /// The sum of the weights of the rules so far.
    pub weight: i64,
    /// The signals of the request.
    pub signals: Signals,
    /// What is remembered and measured.
    pub state: &'a dyn State,
}

/// Why an expression was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct WhenError {
    /// What is wrong, and what to do.
    pub message: String,
    /// Line and column in the text, from 1, where known.
    pub offset: Option<(usize, usize)>,
}

impl WhenError {
    fn new(message: impl Into<String>) -> Self {
        WhenError { message: message.into(), offset: None }
    }
}

impl When {
    /// Compiles `text`. Refuses what does not parse, names that do not exist, types that clash, a result that is not a
    /// bool, bad patterns, and what could cost too much on any request.
    pub fn compile(text: &str) -> Result<When, WhenError> {
        let length = text.chars().count();
        if length > MAX_LENGTH {
            let message = format!("expression of {length} characters, at most {MAX_LENGTH} are allowed: split it");
            return Err(WhenError::new(message));
        }
        std::thread::scope(|scope| {
            let parser = std::thread::Builder::new().name("when".to_owned()).stack_size(PARSER_STACK);
            match parser.spawn_scoped(scope, || When::parse(text)).map(|thread| thread.join()) {
                Ok(Ok(compiled)) => compiled,
                Ok(Err(_)) => Err(WhenError::new("the parser gave up on this expression: write it differently")),
                Err(error) => Err(WhenError::new(format!("cannot start a thread to parse the expression: {error}"))),
            }
        })
    }

    fn parse(text: &str) -> Result<When, WhenError> {
        let parser = Parser::default().max_recursion_depth(MAX_BRACKETS);
        let (mut expression, source) = parser.parse_with_source_info(text).map_err(|errors| syntax_error(&errors))?;
        let mut checker = Checker::new(&source);
        checker.condition(&mut expression)?;
        let (reads, patterns) = checker.finish();
        Ok(When { expression, reads, patterns })
    }

    /// Evaluates it. The truth is undecided where it hangs on an unknown fact.
    ///
    /// # Errors
    ///
    /// Says why there is no truth, such as `no such key: accept`, in one line of at most 200 characters. It may hold
    /// text that the client sent.
    pub fn evaluate(&self, facts: &Facts<'_>, running: &Running<'_>) -> Result<Truth, String> {
        let bindings = Bindings::new(&self.reads, &self.patterns, facts, running);
        let mut context = Context::with_env(ENVIRONMENT.clone());
        context.set_variable_resolver(&bindings);
        // What is unknown fails the parts that need it, and `&&` and `||` absorb the failure where it does not matter.
        match Value::resolve_val(&self.expression, &context) {
            Ok(value) => match value.downcast_ref::<CelBool>() {
                Some(holds) => Ok(Truth::from(*holds.inner())),
                None => Err(format!("the expression gave a {}, not a bool", value.get_type().name())),
            },
            Err(_) if bindings.unknown => Ok(Truth::Undecided),
            Err(_) if bindings.overfull => {
                Err(format!("the request has more than {MAX_ENTRIES} headers or parameters"))
            }
            Err(ExecutionError::FunctionError { function, message }) => Err(reason(&format!("{function}: {message}"))),
            Err(error) => Err(reason(&error.to_string())),
        }
    }

    /// Adds to `extent` what the expression reads.
    pub fn extend(&self, extent: &mut Extent) {
        let Reads { headers, query, .. } = &self.reads;
        for (all, read) in [(&mut extent.headers, headers), (&mut extent.query, query)] {
            read.some.iter().for_each(|name| all.add(name));
            all.all |= read.all;
        }
        if self.reads("content_length") {
            extent.headers.add("content-length");
        }
        extent.host |= self.reads("host");
        extent.signals |= self.reads("signals");
    }

    /// Whether the expression reads the variable `name`.
    pub fn reads(&self, name: &str) -> bool {
        self.reads.variables.contains(&name)
    }
}

/// One bounded line, as the project writes errors.
fn reason(text: &str) -> String {
    let line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut line = line.take(MAX_REASON);
    line.next().map(|first| first.to_lowercase().chain(line).collect()).unwrap_or_default()
}

/// The first of the parser's errors. What follows from it helps nobody.
fn syntax_error(errors: &cel::ParseErrors) -> WhenError {
    let Some(error) = errors.errors.first() else { return WhenError::new("not an expression") };
    if error.msg.contains("Recursion limit") {
        return WhenError::new(format!("brackets nest deeper than {MAX_BRACKETS}: split the expression"));
    }
    let message = error.msg.strip_prefix("Syntax error: ").unwrap_or(&error.msg);
    let message = message.split(" expecting ").next().unwrap_or(message).replace('\'', "`");
    let place = usize::try_from(error.pos.0).ok().zip(usize::try_from(error.pos.1).ok());
    WhenError {
        message: format!("not an expression: {}", reason(&message)),
        offset: place.filter(|(line, column)| *line > 0 && *column > 0),
    }
}

#[cfg(test)]
mod tests;
