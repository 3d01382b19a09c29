//! Tables that a request brings: its headers, the parameters of its query, its signals.
//!
//! A table can have gaps, which the maps of CEL cannot: reading an unknown entry is an error, not a missing key.

use super::shape::MAX_ENTRIES;
use crate::facts::Fact;
use cel::ExecutionError;
use cel::common::traits::{Container, Indexer, Iterable, Iterator as CelIterator, Sizer};
use cel::common::types::{CelInt, CelString, LIST_TYPE, MAP_TYPE, Type};
use cel::common::value::{CowVal, Val};

/// A table of texts by name.
#[derive(Debug, Clone)]
pub(super) struct Table<'a> {
    kind: &'static Type,
    /// Whether the case of names does not count. They stand in the table in lower case.
    caseless: bool,
    /// In the order of the names. Not a map of the standard library: names are looked up by a shorter borrow.
    entries: Vec<(CelString<'a>, Fact<CelString<'a>>)>,
    rest: Rest,
}

/// What there is of names that are not in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// Nothing.
    Nothing,
    /// Nobody knows.
    Unknown,
    /// More than the table takes.
    TooMuch,
}

impl<'a> Table<'a> {
    /// The headers: a map whose names may be asked for in any case.
    pub fn headers() -> Self {
        Table { kind: &MAP_TYPE, caseless: true, entries: Vec::new(), rest: Rest::Nothing }
    }

    /// The query: a map.
    pub fn query() -> Self {
        Table { kind: &MAP_TYPE, caseless: false, entries: Vec::new(), rest: Rest::Nothing }
    }

    /// The signals: a list of the names.
    pub fn signals() -> Self {
        Table { kind: &LIST_TYPE, caseless: false, entries: Vec::new(), rest: Rest::Nothing }
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.entries.binary_search_by(|(known, _)| known.inner().cmp(name))
    }

    /// Puts `value` under `name`, whatever stood there.
    pub fn put(&mut self, name: CelString<'a>, value: Fact<CelString<'a>>) {
        match self.find(&name) {
            Ok(index) => self.entries[index].1 = value,
            Err(index) => self.entries.insert(index, (name, value)),
        }
    }

    /// The value under `name`, to be changed; absent where there was none. Nothing if the table is full.
    pub fn entry(&mut self, name: CelString<'a>) -> Option<&mut Fact<CelString<'a>>> {
        let index = match self.find(&name) {
            Ok(index) => index,
            Err(_) if self.entries.len() >= MAX_ENTRIES => {
                self.rest = Rest::TooMuch;
                return None;
            }
            Err(index) => {
                self.entries.insert(index, (name, Fact::Absent));
                index
            }
        };
        Some(&mut self.entries[index].1)
    }

    /// Whether `name` stands in the table.
    pub fn knows(&self, name: &str) -> bool {
        self.find(name).is_ok()
    }

    /// Says that names which are not in the table may be there all the same.
    pub fn leave_unknown(&mut self) {
        self.rest = Rest::Unknown;
    }

    /// Whether an answer of this table may have to be that nobody knows.
    pub fn has_gaps(&self) -> bool {
        self.rest == Rest::Unknown || self.entries.iter().any(|(_, value)| *value == Fact::Unknown)
    }

    /// Whether the request has more entries than the table takes.
    pub fn is_overfull(&self) -> bool {
        self.rest == Rest::TooMuch
    }

    /// Whether all entries are there, so that they can be counted and looped over.
    fn is_whole(&self) -> bool {
        self.rest == Rest::Nothing && !self.has_gaps()
    }

    fn look_up(&self, key: &dyn Val) -> Result<Option<&CelString<'a>>, ExecutionError> {
        let Some(name) = key.downcast_ref::<CelString<'_>>().map(CelString::inner) else {
            return Err(ExecutionError::UnexpectedType {
                got: key.get_type().name().to_owned(),
                want: "string".to_owned(),
            });
        };
        let lower;
        let name = if self.caseless && name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            lower = name.to_ascii_lowercase();
            &lower
        } else {
            name
        };
        match (self.find(name).ok().map(|index| &self.entries[index].1), self.rest) {
            (Some(Fact::Present(value)), _) => Ok(Some(value)),
            (Some(Fact::Absent), _) | (None, Rest::Nothing) => Ok(None),
            (Some(Fact::Unknown), _) | (None, Rest::Unknown) => Err(failure("the entry is unknown")),
            (None, Rest::TooMuch) => Err(failure("the entry did not fit")),
        }
    }
}

fn failure(message: &str) -> ExecutionError {
    ExecutionError::InternalError(message.to_owned())
}

impl<'a> Val for Table<'a> {
    fn get_type(&self) -> &Type {
        self.kind
    }

    fn cel_type() -> &'static Type {
        &MAP_TYPE
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_iterable<'b, 'v>(&'b self) -> Option<&'b (dyn Iterable + 'v)>
    where
        Self: 'v,
    {
        if self.is_whole() { Some(self) } else { None }
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        if self.is_whole() { Some(self) } else { None }
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }
}

impl Container for Table<'_> {
    fn contains(&self, key: &dyn Val) -> Result<bool, ExecutionError> {
        self.look_up(key).map(|value| value.is_some())
    }
}

impl Indexer for Table<'_> {
    fn get<'b, 'v>(&'b self, key: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let name = key.downcast_ref::<CelString<'_>>().map(CelString::inner).unwrap_or_default();
        match self.look_up(key)? {
            Some(value) => Ok(CowVal::Borrowed(value)),
            None => Err(ExecutionError::no_such_key(name)),
        }
    }

    fn steal<'v>(self: Box<Self>, key: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(key).map(CowVal::into_owned)
    }
}

impl<'a> Iterable for Table<'a> {
    fn iter<'b, 'v>(&'b self) -> Box<dyn CelIterator<'b, 'v> + 'b>
    where
        Self: 'v,
    {
        Box::new(Keys(self.entries.iter()))
    }
}

struct Keys<'b, 'a>(std::slice::Iter<'b, (CelString<'a>, Fact<CelString<'a>>)>);

impl<'b, 'a: 'v, 'v> CelIterator<'b, 'v> for Keys<'b, 'a> {
    fn next(&mut self) -> Option<&'b (dyn Val + 'v)> {
        let (name, _) = self.0.find(|(_, value)| matches!(value, Fact::Present(_)))?;
        Some(name)
    }
}

impl Sizer for Table<'_> {
    fn size(&self) -> CelInt {
        let there = self.entries.iter().filter(|(_, value)| matches!(value, Fact::Present(_)));
        CelInt::from(i64::try_from(there.count()).unwrap_or(i64::MAX))
    }
}
