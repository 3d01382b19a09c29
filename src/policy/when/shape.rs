//! What the checker knows of a value before there is one: its type, and how large it can be.

/// The most entries of a table that an expression can loop over, and the most segments of a path. Pingora takes no more
/// than 256 headers of an HTTP/1 request.
pub(super) const MAX_ENTRIES: usize = 256;

/// The type of a value, as far as it is evident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int,
    Uint,
    Double,
    Text,
    List,
    Map,
    /// One of the tables that a request brings, by the name of its variable. Not a value: it can only be looked into.
    Table(&'static str),
    /// Not evident: checked when it is evaluated.
    Dyn,
}

impl Kind {
    /// The type with its article, for messages.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Bool => "a bool",
            Kind::Int => "an int",
            Kind::Uint => "a uint",
            Kind::Double => "a double",
            Kind::Text => "a string",
            Kind::List | Kind::Table("signals") => "a list",
            Kind::Map | Kind::Table(_) => "a map",
            Kind::Dyn => "a value",
        }
    }

    /// Whether it may turn out to be `other`.
    pub fn may_be(self, other: Kind) -> bool {
        self == other || self == Kind::Dyn || other == Kind::Dyn
    }

    fn is_number(self) -> bool {
        matches!(self, Kind::Int | Kind::Uint | Kind::Double)
    }

    /// Whether the two may be equal, or one less than the other. Numbers of all types compare with each other.
    pub fn compares_with(self, other: Kind) -> bool {
        self.may_be(other) || (self.is_number() && other.is_number())
    }
}

/// The type of a value and a bound on its size. The unit of size is one text of a request, such as its path: what else
/// a value may hold is no larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// The type.
    pub kind: Kind,
    /// The type of the elements of a list, of the values of a map.
    pub element: Kind,
    /// The most elements; 1 for what has none.
    pub length: u64,
    /// The size of the largest element, or of the value itself.
    pub each: u64,
}

impl Shape {
    /// A value without elements.
    pub fn scalar(kind: Kind) -> Shape {
        Shape { kind, element: Kind::Dyn, length: 1, each: 1 }
    }

    /// A list.
    pub fn list(element: Kind, length: u64, each: u64) -> Shape {
        Shape { kind: Kind::List, element, length, each }
    }

    /// The most that copying it takes. Tables are not copied.
    pub fn size(self) -> u64 {
        if let Kind::Table(_) = self.kind { 1 } else { self.length.saturating_mul(self.each).max(1) }
    }

    /// One of its elements, of type `kind`.
    pub fn item(self, kind: Kind) -> Shape {
        Shape { kind, element: Kind::Dyn, length: if kind == Kind::Text { 1 } else { self.each }, each: self.each }
    }

    /// The type of the elements of both. An empty list says nothing about it.
    pub fn common_element(self, other: Shape) -> Kind {
        match (self.length, other.length) {
            (0, _) => other.element,
            (_, 0) => self.element,
            _ => common(self.element, other.element),
        }
    }

    /// What may be either.
    pub fn or(self, other: Shape) -> Shape {
        Shape {
            kind: common(self.kind, other.kind),
            element: self.common_element(other),
            length: self.length.max(other.length),
            each: self.each.max(other.each),
        }
    }
}

/// The type of what is of either type.
pub(super) fn common(one: Kind, other: Kind) -> Kind {
    if one == other { one } else { Kind::Dyn }
}
