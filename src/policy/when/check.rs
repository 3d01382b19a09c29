//! The checker: what an expression reads, whether its types fit, and what it may cost.

use super::WhenError;
use super::bind::VARIABLES;
use super::functions::Pattern;
use super::shape::{Kind, MAX_ENTRIES, Shape, common};
use crate::document::unknown_word;
use crate::signal::Signal;
use cel::common::ast::{ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SourceInfo};

/// The most parts of an expression.
const MAX_NODES: usize = 1000;
/// How deeply parts may nest: evaluation descends once for each, on the stack of a request.
const MAX_DEPTH: usize = 48;
/// How deeply loops may nest.
const MAX_LOOPS: usize = 2;
/// The most that one evaluation may cost, in parts evaluated and texts copied or searched. A part takes about a
/// microsecond in an unoptimised build: a loop over 256 headers fits, one within another does not.
const MAX_COST: u64 = 100_000;

/// Which entries of a table an expression reads.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The ones that it names.
    pub some: Vec<String>,
    /// Whether it may read all others as well.
    pub all: bool,
}

/// What an expression reads.
#[derive(Debug, Default)]
pub(super) struct Reads {
    pub variables: Vec<&'static str>,
    pub headers: Names,
    pub query: Names,
}

/// Checks one expression.
pub(super) struct Checker<'a> {
    source: &'a SourceInfo,
    reads: Reads,
    pub(super) patterns: Vec<Pattern>,
    /// The variables of the loops around the part that is being checked.
    pub(super) scope: Vec<(String, Shape)>,
    nodes: usize,
    depth: usize,
    loops: usize,
    /// How often the part that is being checked may be evaluated.
    times: u64,
    cost: u64,
}

/// What was checked, or the first mistake.
pub(super) type Checked<T> = Result<T, WhenError>;

impl<'a> Checker<'a> {
    pub fn new(source: &'a SourceInfo) -> Self {
        Checker {
            source,
            reads: Reads::default(),
            patterns: Vec::new(),
            scope: Vec::new(),
            nodes: 0,
            depth: 0,
            loops: 0,
            times: 1,
            cost: 0,
        }
    }

    /// What it found.
    pub fn finish(self) -> (Reads, Vec<Pattern>) {
        (self.reads, self.patterns)
    }

    /// Checks a whole expression, which must give a bool.
    pub fn condition(&mut self, expr: &mut IdedExpr) -> Checked<()> {
        let id = expr.id;
        let shape = self.check(expr)?;
        if !shape.kind.may_be(Kind::Bool) {
            let message = format!("expected a condition, the expression gives {}: compare it", shape.kind.name());
            return self.refuse(id, message);
        }
        Ok(())
    }

    pub(super) fn refuse<T>(&self, id: u64, message: impl Into<String>) -> Checked<T> {
        let start = self.source.offset_for(id).map(|(start, _)| start as usize);
        let before = start.and_then(|start| self.source.source.get(..start));
        let offset = before.map(|before| {
            let line = before.rsplit('\n').next().unwrap_or_default();
            (before.matches('\n').count() + 1, line.chars().count() + 1)
        });
        Err(WhenError { message: message.into(), offset })
    }

    /// Charges what is done as often as the part that is being checked.
    pub(super) fn charge(&mut self, id: u64, cost: u64) -> Checked<()> {
        self.cost = self.cost.saturating_add(self.times.saturating_mul(cost));
        if self.cost > MAX_COST {
            return self.refuse(id, "could take too long on a large request: loop less, or over less");
        }
        Ok(())
    }

    pub(super) fn check(&mut self, expr: &mut IdedExpr) -> Checked<Shape> {
        self.nodes += 1;
        self.depth += 1;
        if self.nodes > MAX_NODES {
            return self.refuse(expr.id, format!("expression of more than {MAX_NODES} parts: split it"));
        }
        if self.depth > MAX_DEPTH {
            return self.refuse(expr.id, format!("parts nest deeper than {MAX_DEPTH}: split the expression"));
        }
        self.charge(expr.id, 1)?;
        let id = expr.id;
        let shape = match &mut expr.expr {
            Expr::Literal(literal) => self.literal(id, literal),
            Expr::Ident(name) => self.identifier(id, name),
            Expr::Select(select) => {
                let field = select.field.clone();
                let shape = self.container(&mut select.operand, Some(&field))?;
                match shape.kind {
                    Kind::Table("headers" | "query") => Ok(Shape::scalar(Kind::Text)),
                    Kind::Map | Kind::Dyn => Ok(shape.item(shape.element)),
                    other => self.refuse(id, format!("{} has no field `{field}`", other.name())),
                }
                .map(|shape| if select.test { Shape::scalar(Kind::Bool) } else { shape })
            }
            Expr::List(list) => {
                let mut all = Shape::list(Kind::Dyn, 0, 1);
                for (index, element) in list.elements.iter_mut().enumerate() {
                    let shape = self.check(element)?;
                    all.element = if index == 0 { shape.kind } else { common(all.element, shape.kind) };
                    all.each = all.each.max(shape.size());
                    all.length += 1;
                }
                self.charge(id, all.size())?;
                Ok(all)
            }
            Expr::Map(map) => {
                let mut all = Shape { kind: Kind::Map, ..Shape::list(Kind::Dyn, 0, 1) };
                for (index, entry) in map.entries.iter_mut().enumerate() {
                    let EntryExpr::MapEntry(entry) = &mut entry.expr else {
                        return self.refuse(id, "messages are not supported");
                    };
                    let key = self.check(&mut entry.key)?;
                    let value = self.check(&mut entry.value)?;
                    all.element = if index == 0 { value.kind } else { common(all.element, value.kind) };
                    all.each = all.each.max(value.size()).max(key.size());
                    all.length += 1;
                }
                self.charge(id, all.size())?;
                Ok(all)
            }
            Expr::Call(call) => match self.call(id, call)? {
                (shape, None) => Ok(shape),
                (shape, Some(rewritten)) => {
                    expr.expr = rewritten;
                    Ok(shape)
                }
            },
            Expr::Comprehension(comprehension) => self.comprehension(id, comprehension),
            Expr::Struct(_) | Expr::Unspecified => self.refuse(id, "messages are not supported"),
        }?;
        self.depth -= 1;
        Ok(shape)
    }

    fn literal(&self, id: u64, literal: &LiteralValue) -> Checked<Shape> {
        Ok(Shape::scalar(match literal {
            LiteralValue::Boolean(_) => Kind::Bool,
            LiteralValue::Int(_) => Kind::Int,
            LiteralValue::UInt(_) => Kind::Uint,
            LiteralValue::Double(_) => Kind::Double,
            LiteralValue::String(_) => Kind::Text,
            LiteralValue::Bytes(_) => return self.refuse(id, "bytes are not supported: write a string"),
            LiteralValue::Null => {
                return self
                    .refuse(id, "`null` is nowhere: absent texts are \"\", absent entries are asked for with `in`");
            }
        }))
    }

    fn identifier(&mut self, id: u64, name: &str) -> Checked<Shape> {
        if let Some((_, shape)) = self.scope.iter().rev().find(|(known, _)| known == name) {
            return Ok(*shape);
        }
        let Some((variable, kind)) = VARIABLES.iter().find(|(known, _)| *known == name) else {
            return self.refuse(id, unknown_word("variable", name, VARIABLES.iter().map(|(known, _)| *known)));
        };
        if let Kind::Table(_) = kind {
            let hint = if name == "signals" { "ask with `in`" } else { "read one entry, ask with `in`" };
            return self.refuse(id, format!("`{name}` is not a value: {hint}, or loop over it"));
        }
        self.read(variable);
        Ok(Shape::scalar(*kind))
    }

    fn read(&mut self, variable: &'static str) {
        if !self.reads.variables.contains(&variable) {
            self.reads.variables.push(variable);
        }
    }

    /// The table that `expr` names, if it names one.
    fn table(&self, expr: &IdedExpr) -> Option<&'static str> {
        let Expr::Ident(name) = &expr.expr else { return None };
        if self.scope.iter().any(|(known, _)| known == name) {
            return None;
        }
        VARIABLES.iter().find(|(known, kind)| known == name && matches!(kind, Kind::Table(_))).map(|(known, _)| *known)
    }

    /// Checks a part that may be a table, of which `key` is read, or any entry.
    pub(super) fn container(&mut self, expr: &mut IdedExpr, key: Option<&str>) -> Checked<Shape> {
        let Some(table) = self.table(expr) else { return self.check(expr) };
        self.read(table);
        let names = match table {
            "headers" => Some(&mut self.reads.headers),
            "query" => Some(&mut self.reads.query),
            _ => None,
        };
        if let Some(names) = names {
            match key.map(|key| if table == "headers" { key.to_ascii_lowercase() } else { key.to_owned() }) {
                Some(key) if !names.some.contains(&key) => names.some.push(key),
                Some(_) => {}
                None => names.all = true,
            }
        }
        let length = if table == "signals" { Signal::WORDS.len() } else { MAX_ENTRIES };
        Ok(Shape { kind: Kind::Table(table), ..Shape::list(Kind::Text, length as u64, 1) })
    }

    fn comprehension(&mut self, id: u64, part: &mut ComprehensionExpr) -> Checked<Shape> {
        self.loops += 1;
        if self.loops > MAX_LOOPS {
            return self.refuse(id, format!("loops nest deeper than {MAX_LOOPS}: split the expression"));
        }
        let range = self.container(&mut part.iter_range, None)?;
        let item = match range.kind {
            Kind::List | Kind::Table(_) => range.item(range.element),
            Kind::Map | Kind::Dyn => range.item(Kind::Dyn),
            other => return self.refuse(id, format!("cannot loop over {}", other.name())),
        };
        let start = self.check(&mut part.accu_init)?;
        let times = self.times;
        self.times = times.saturating_mul(range.length.max(1));
        self.scope.push((part.iter_var.clone(), item));
        self.scope.push((part.accu_var.clone(), start));
        self.check(&mut part.loop_cond)?;
        // A step adds to what the steps before it gave.
        let step = self.check(&mut part.loop_step)?;
        self.times = times;
        let length = if step.kind == Kind::List { step.length.saturating_mul(range.length) } else { step.length };
        let accumulated = Shape { length, ..step };
        self.scope.pop();
        self.scope.push((part.accu_var.clone(), accumulated));
        let result = self.check(&mut part.result)?;
        self.scope.truncate(self.scope.len() - 2);
        self.charge(id, accumulated.size())?;
        self.loops -= 1;
        Ok(result)
    }
}
