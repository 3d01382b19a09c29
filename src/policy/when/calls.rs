//! The checker's rules for calls: functions and operators.
//!
//! It also rewrites what CEL would do anew for each request: `matches` reads a pattern that was compiled here.

use super::check::{Checked, Checker};
use super::functions::{FUNCTIONS, Function, MACROS, Pattern};
use super::shape::{Kind, MAX_ENTRIES, Shape};
use crate::document::{regex_fault, unknown_word};
use crate::facts::Identity;
use crate::signal::Signal;
use crate::verdict::Class;
use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators};
use regex::RegexBuilder;

/// A pattern may take so much memory when it is compiled.
const PATTERN_LIMIT: usize = 2 << 20;

impl Checker<'_> {
    /// Checks a call. Comes with what the call is to be replaced by.
    pub(super) fn call(&mut self, id: u64, call: &mut CallExpr) -> Checked<(Shape, Option<Expr>)> {
        if call.target.is_none() && !call.func_name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '.') {
            return self.operator(id, call).map(|shape| (shape, None));
        }
        let name = call.func_name.clone();
        let Some(function) = FUNCTIONS.iter().find(|function| function.name == name) else {
            if let Some((_, example)) = MACROS.iter().find(|(known, _)| *known == name) {
                return self.refuse(id, format!("`{name}` is written `{example}`"));
            }
            let known = FUNCTIONS.iter().map(|function| function.name).chain(MACROS.iter().map(|(known, _)| *known));
            return self.refuse(id, unknown_word("function", &name, known));
        };
        self.check_style(id, call, function)?;
        let mut arguments: Vec<&mut IdedExpr> = call.target.as_deref_mut().into_iter().chain(&mut call.args).collect();
        let mut size = 0u64;
        let mut first = None;
        let header = if name == "missingHeader" { arguments.get(1).and_then(|name| constant(name)) } else { None };
        for (argument, kinds) in arguments.iter_mut().zip(function.arguments) {
            let takes_table = kinds.iter().any(|kind| matches!(kind, Kind::Table(_)));
            let shape = if takes_table { self.container(argument, header.as_deref())? } else { self.check(argument)? };
            if !kinds.iter().any(|kind| kind.may_be(shape.kind)) {
                return self.refuse(id, format!("`{name}` does not take {}", shape.kind.name()));
            }
            size = size.saturating_add(shape.size());
            first.get_or_insert(shape);
        }
        self.charge(id, size)?;
        let mut shape = Shape::scalar(function.result);
        match (function.result, first) {
            (Kind::Text, Some(first)) => shape.each = first.size().saturating_mul(function.growth),
            (Kind::List, Some(first)) => shape = Shape::list(Kind::Text, MAX_ENTRIES as u64, first.size()),
            _ => {}
        }
        let rewritten = match name.as_str() {
            "matches" => Some(self.pattern(id, call)?),
            "missingHeader" => Some(missing_header(call)),
            _ => None,
        };
        Ok((shape, rewritten))
    }

    /// Whether `call` calls `function` in a way that it can be called.
    fn check_style(&self, id: u64, call: &CallExpr, function: &Function) -> Checked<()> {
        let (name, method) = (function.name, call.target.is_some());
        if method && !function.method {
            return self.refuse(id, format!("`{name}` is not called on a value: write `{name}(...)`"));
        }
        if !method && !function.free {
            return self.refuse(id, format!("`{name}` is called on a value: write `text.{name}(...)`"));
        }
        let wanted = function.arguments.len() - usize::from(method);
        if call.args.len() != wanted {
            let plural = if wanted == 1 { "" } else { "s" };
            let message = format!("`{name}` takes {wanted} argument{plural} here, found {}", call.args.len());
            return self.refuse(id, message);
        }
        Ok(())
    }

    /// `text.matches('...')` as `text in pattern`.
    fn pattern(&mut self, id: u64, call: &mut CallExpr) -> Checked<Expr> {
        let Some(pattern) = call.args.pop() else { return self.refuse(id, "`matches` without a pattern") };
        let Some(text) = constant(&pattern) else {
            return self.refuse(pattern.id, "`matches` takes a pattern that is written out: 'text', not a variable");
        };
        let regex = match RegexBuilder::new(&text).size_limit(PATTERN_LIMIT).build() {
            Ok(regex) => regex,
            Err(error) => {
                let error = error.to_string();
                let why = regex_fault(&error);
                return self.refuse(pattern.id, format!("`{text}` is not a regular expression: {why}"));
            }
        };
        self.patterns.push(Pattern(regex));
        let name = Expr::Ident(format!("@{}", self.patterns.len() - 1));
        let subject = call.target.take().map(|target| *target).or_else(|| call.args.pop()).unwrap_or_default();
        let args = vec![subject, IdedExpr { id: pattern.id, expr: name }];
        Ok(Expr::Call(CallExpr { func_name: operators::IN.to_owned(), target: None, args }))
    }

    fn operator(&mut self, id: u64, call: &mut CallExpr) -> Checked<Shape> {
        let bool = Shape::scalar(Kind::Bool);
        self.check_words(call)?;
        let mut shapes = Vec::with_capacity(call.args.len());
        let key = call.args.get(usize::from(call.func_name == operators::INDEX)).and_then(constant);
        for (index, argument) in call.args.iter_mut().enumerate() {
            let looked_into =
                (call.func_name == operators::IN && index == 1) || (call.func_name == operators::INDEX && index == 0);
            shapes.push(if looked_into { self.container(argument, key.as_deref())? } else { self.check(argument)? });
        }
        self.charge(id, shapes.iter().fold(0, |sum, shape| sum.saturating_add(shape.size())))?;
        let name = call.func_name.as_str();
        let symbol = name.trim_matches(|c| matches!(c, '_' | '@'));
        match (name, shapes.as_slice()) {
            (operators::NOT_STRICTLY_FALSE, _) => Ok(bool),
            (operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT, _) => {
                match shapes.iter().find(|shape| !shape.kind.may_be(Kind::Bool)) {
                    Some(other) => self.refuse(id, format!("`{symbol}` takes conditions, found {}", other.kind.name())),
                    None => Ok(bool),
                }
            }
            (operators::CONDITIONAL, [condition, yes, no]) => match condition.kind.may_be(Kind::Bool) {
                true => Ok(yes.or(*no)),
                false => self.refuse(id, format!("`?` takes a condition, found {}", condition.kind.name())),
            },
            (operators::EQUALS | operators::NOT_EQUALS, [left, right]) if left.kind.compares_with(right.kind) => {
                Ok(bool)
            }
            (
                operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS,
                [left, right],
            ) if left.kind.compares_with(right.kind) && !matches!(left.kind, Kind::List | Kind::Map) => Ok(bool),
            (operators::IN, [left, right]) => match right.kind {
                Kind::Table(_) if left.kind.may_be(Kind::Text) => Ok(bool),
                Kind::List if left.kind.compares_with(right.element) => Ok(bool),
                Kind::Map | Kind::Dyn => Ok(bool),
                other => self.refuse(id, format!("cannot look for {} in {}", left.kind.name(), other.name())),
            },
            (operators::INDEX, [of, key]) => match of.kind {
                Kind::Table("headers" | "query") if key.kind.may_be(Kind::Text) => Ok(Shape::scalar(Kind::Text)),
                Kind::List if Kind::Int.may_be(key.kind) || key.kind == Kind::Uint => Ok(of.item(of.element)),
                Kind::Map | Kind::Dyn => Ok(of.item(of.element)),
                Kind::Table("signals") => self.refuse(id, "`signals` has no order: ask with `in`"),
                other => self.refuse(id, format!("{} is not indexed by {}", other.name(), key.kind.name())),
            },
            (operators::NEGATE, [of]) if matches!(of.kind, Kind::Int | Kind::Double | Kind::Dyn) => Ok(*of),
            (operators::ADD, [left, right]) => self.sum(id, *left, *right),
            (operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE | operators::MODULO, [left, right]) => {
                let numbers: &[Kind] = if name == operators::MODULO {
                    &[Kind::Int, Kind::Uint]
                } else {
                    &[Kind::Int, Kind::Uint, Kind::Double]
                };
                match numbers.iter().find(|kind| kind.may_be(left.kind) && kind.may_be(right.kind)) {
                    Some(_) => Ok(Shape::scalar(if left.kind == Kind::Dyn { right.kind } else { left.kind })),
                    None => self.clash(id, symbol, *left, *right),
                }
            }
            (_, [left, right]) => self.clash(id, symbol, *left, *right),
            (_, [of]) => self.refuse(id, format!("`{symbol}` does not take {}", of.kind.name())),
            _ => self.refuse(id, format!("`{symbol}` is not an operator here")),
        }
    }

    fn clash<T>(&self, id: u64, symbol: &str, left: Shape, right: Shape) -> Checked<T> {
        self.refuse(id, format!("`{symbol}` does not take {} and {}", left.kind.name(), right.kind.name()))
    }

    fn sum(&self, id: u64, left: Shape, right: Shape) -> Checked<Shape> {
        if !left.kind.may_be(right.kind) || matches!(left.kind, Kind::Bool | Kind::Map) {
            return self.clash(id, "+", left, right);
        }
        let kind = if left.kind == Kind::Dyn { right.kind } else { left.kind };
        Ok(match kind {
            Kind::List => Shape { length: left.length.saturating_add(right.length), ..left.or(right) },
            Kind::Text | Kind::Dyn => {
                let size = left.size().saturating_add(right.size());
                Shape { kind, element: Kind::Dyn, length: if kind == Kind::Text { 1 } else { size }, each: size }
            }
            _ => Shape::scalar(kind),
        })
    }

    /// Refuses words that a variable with few values never has.
    fn check_words(&self, call: &CallExpr) -> Checked<()> {
        let compares = matches!(call.func_name.as_str(), operators::EQUALS | operators::NOT_EQUALS | operators::IN);
        let [left, right] = call.args.as_slice() else { return Ok(()) };
        if !compares {
            return Ok(());
        }
        for (variable, words) in [(left, right), (right, left)] {
            let Expr::Ident(name) = &variable.expr else { continue };
            let known: Vec<&str> = match name.as_str() {
                "method" => vec!["GET", "HEAD"],
                "country" => Vec::new(),
                "class" => Class::WORDS.iter().map(|(word, _)| *word).collect(),
                "identity" => Identity::WORDS.iter().map(|(word, _)| *word).collect(),
                "signals" => Signal::WORDS.iter().map(|(word, _)| *word).collect(),
                _ => continue,
            };
            if self.scope.iter().any(|(bound, _)| bound == name) {
                continue;
            }
            let words = if let Expr::List(list) = &words.expr { &list.elements } else { std::slice::from_ref(words) };
            for word in words {
                let Some(text) = constant(word) else { continue };
                let in_capitals = |text: &str| text.bytes().all(|b| b.is_ascii_uppercase());
                let never = match name.as_str() {
                    // Other methods than ours are refused before, and asking for them does no harm.
                    "method" => !in_capitals(&text),
                    // It is empty where the database has none.
                    "country" => !(text.is_empty() || (text.len() == 2 && in_capitals(&text))),
                    _ => !known.contains(&text.as_str()),
                };
                if never && name == "country" {
                    return self.refuse(word.id, format!("expected a country code such as `BR`, found `{text}`"));
                }
                if never {
                    let what = if name == "signals" { "signal" } else { name };
                    return self.refuse(word.id, unknown_word(what, &text, known.iter().copied()));
                }
            }
        }
        Ok(())
    }
}

/// `missingHeader(headers, name)` as `!(name in headers)`.
fn missing_header(call: &mut CallExpr) -> Expr {
    call.args.reverse();
    let operator = |name: &str, args| CallExpr { func_name: name.to_owned(), target: None, args };
    let there = operator(operators::IN, std::mem::take(&mut call.args));
    let there = IdedExpr { id: 0, expr: Expr::Call(there) };
    Expr::Call(operator(operators::LOGICAL_NOT, vec![there]))
}

/// The text that a part is known to give: a literal, literals joined, or one made safe for a pattern.
fn constant(expr: &IdedExpr) -> Option<String> {
    match &expr.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner().to_owned()),
        Expr::Call(CallExpr { func_name, target: None, args }) => match (func_name.as_str(), args.as_slice()) {
            (operators::ADD, [left, right]) => Some(constant(left)? + &constant(right)?),
            ("regexSafe", [text]) => Some(regex::escape(&constant(text)?)),
            _ => None,
        },
        _ => None,
    }
}
