//! The functions of the language, beyond the operators: their signatures, and the ones that CEL does not bring.

use super::shape::{Kind, MAX_ENTRIES};
use cel::common::traits::Container;
use cel::common::types::{CelList, CelString, STRING_TYPE, Type};
use cel::common::value::{CowVal, Val};
use cel::{Env, ExecutionError};
use regex::Regex;
use std::sync::{Arc, LazyLock};

/// A function as expressions may call it.
pub(super) struct Function {
    pub name: &'static str,
    /// Whether it may be called as `f(x, y)`.
    pub free: bool,
    /// Whether it may be called as `x.f(y)`.
    pub method: bool,
    /// The types that each argument may have, the target of a method first.
    pub arguments: &'static [&'static [Kind]],
    pub result: Kind,
    /// How often its result may hold the text of its first argument.
    pub growth: u64,
}

const TEXT: &[Kind] = &[Kind::Text];
const NUMERIC: &[Kind] = &[Kind::Int, Kind::Uint, Kind::Double, Kind::Text];
const TABLES: [Kind; 3] = [Kind::Table("headers"), Kind::Table("query"), Kind::Table("signals")];
const SIZED: &[Kind] = &[Kind::Text, Kind::List, Kind::Map, TABLES[0], TABLES[1], TABLES[2]];

const fn free(name: &'static str, arguments: &'static [&'static [Kind]], result: Kind) -> Function {
    Function { name, free: true, method: false, arguments, result, growth: 1 }
}

const fn method(name: &'static str, arguments: &'static [&'static [Kind]], result: Kind) -> Function {
    Function { name, free: false, method: true, arguments, result, growth: 1 }
}

/// All functions. The checker knows more of `matches`, `missingHeader` and `segments` than stands here.
pub(super) const FUNCTIONS: [Function; 15] = [
    Function { method: true, ..free("size", &[SIZED], Kind::Int) },
    Function { method: true, ..free("matches", &[TEXT, TEXT], Kind::Bool) },
    method("contains", &[TEXT, TEXT], Kind::Bool),
    method("startsWith", &[TEXT, TEXT], Kind::Bool),
    method("endsWith", &[TEXT, TEXT], Kind::Bool),
    method("lowerAscii", &[TEXT], Kind::Text),
    method("upperAscii", &[TEXT], Kind::Text),
    method("trim", &[TEXT], Kind::Text),
    free("int", &[NUMERIC], Kind::Int),
    free("uint", &[NUMERIC], Kind::Uint),
    free("double", &[NUMERIC], Kind::Double),
    free("string", &[&[Kind::Int, Kind::Uint, Kind::Double, Kind::Text, Kind::Bool]], Kind::Text),
    free("segments", &[TEXT], Kind::List),
    free("missingHeader", &[&[TABLES[0]], TEXT], Kind::Bool),
    Function { growth: 2, ..free("regexSafe", &[TEXT], Kind::Text) },
];

/// The macros of CEL, with the way to write each.
pub(super) const MACROS: [(&str, &str); 7] = [
    ("has", "has(headers.accept)"),
    ("all", "list.all(x, x > 1)"),
    ("exists", "list.exists(x, x > 1)"),
    ("exists_one", "list.exists_one(x, x > 1)"),
    ("existsOne", "list.existsOne(x, x > 1)"),
    ("map", "list.map(x, x + 1)"),
    ("filter", "list.filter(x, x > 1)"),
];

/// What evaluation can call. One for all expressions: it holds nothing of any of them.
pub(super) static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    // A name that is taken would only leave the function undeclared, and the tests evaluate each.
    let _ = env.add_extension(cel::extensions::strings);
    let _ = env.add_overload("segments", "segments_string", vec![STRING_TYPE], segments);
    let _ = env.add_overload("regexSafe", "regex_safe_string", vec![STRING_TYPE], regex_safe);
    Arc::new(env)
});

fn text<'b>(arguments: &'b [CowVal<'_, '_>]) -> Result<&'b str, ExecutionError> {
    let argument = arguments.first().and_then(|argument| argument.downcast_ref::<CelString<'_>>());
    argument.map(CelString::inner).ok_or_else(ExecutionError::missing_argument_or_target)
}

/// What stands between the slashes of a path: `/a/b` is `a` and `b`, `/` is one empty segment.
fn segments<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let Some(path) = text(&arguments)?.strip_prefix('/') else {
        return Err(ExecutionError::function_error("segments", "the path does not begin with a slash"));
    };
    let list: Vec<_> = path.split('/').take(MAX_ENTRIES + 1).collect();
    if list.len() > MAX_ENTRIES {
        let message = format!("the path has more than {MAX_ENTRIES} segments");
        return Err(ExecutionError::function_error("segments", message));
    }
    let boxed = |segment: &str| -> Box<dyn Val + 'v> { Box::new(CelString::from(segment.to_owned())) };
    Ok(CowVal::owned(CelList::from(list.into_iter().map(boxed).collect::<Vec<_>>())))
}

fn regex_safe<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    Ok(CowVal::owned(CelString::from(regex::escape(text(&arguments)?))))
}

/// A regular expression as a value: the set of the texts in which it finds a match. `text.matches(pattern)` is compiled
/// to `text in pattern`, so that no request compiles an expression.
#[derive(Debug, Clone)]
pub(super) struct Pattern(pub Regex);

static PATTERN: Type = Type::new_unspecified_type("pattern");

impl Val for Pattern {
    fn get_type(&self) -> &Type {
        &PATTERN
    }

    fn cel_type() -> &'static Type {
        &PATTERN
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }
}

impl Container for Pattern {
    fn contains(&self, value: &dyn Val) -> Result<bool, ExecutionError> {
        match value.downcast_ref::<CelString<'_>>() {
            Some(text) => Ok(self.0.is_match(text.inner())),
            None => Err(ExecutionError::function_error("matches", "not a string")),
        }
    }
}
