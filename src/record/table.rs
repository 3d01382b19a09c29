//! Few values by name, small in memory: many lines wait to be judged.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;

/// Values by name, in the order in which they came.
#[derive(Debug, Clone, PartialEq)]
pub struct Table<V>(Vec<(Box<str>, V)>);

impl<V> Default for Table<V> {
    fn default() -> Self {
        Table(Vec::new())
    }
}

impl<V> Table<V> {
    /// The value of this name.
    pub fn get(&self, name: &str) -> Option<&V> {
        self.0.iter().find(|(known, _)| **known == *name).map(|(_, value)| value)
    }

    /// The value of this name, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut V> {
        self.0.iter_mut().find(|(known, _)| **known == *name).map(|(_, value)| value)
    }

    /// Adds a value of a name that is not there yet.
    pub fn add(&mut self, name: &str, value: V) {
        self.0.push((name.into(), value));
    }

    /// Keeps those of which `keep` says so.
    pub(super) fn retain(&mut self, keep: impl Fn(&str, &V) -> bool) {
        self.0.retain(|(name, value)| keep(name, value));
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }
}

impl<V: Serialize> Serialize for Table<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Table<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Entries<V> {
            type Value = Table<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("values by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut table = Table::default();
                while let Some(entry) = map.next_entry()? {
                    table.0.push(entry);
                }
                table.0.shrink_to_fit();
                Ok(table)
            }
        }
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

/// What is on record of a text: `null`, `true`, the text, or a list of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    /// It was not there.
    Absent,
    /// It was there, and what it said is withheld: a secret, or too long.
    Withheld,
    /// It was this one.
    One(Box<str>),
    /// There were several by one name, in this order.
    Several(Vec<Box<str>>),
}

impl Text {
    /// Adds another text of the same name. Once something is withheld, all is.
    pub(super) fn push(&mut self, text: Text) {
        *self = match (std::mem::replace(self, Text::Withheld), text) {
            (Text::Absent, text) => text,
            (Text::One(first), Text::One(text)) => Text::Several(vec![first, text]),
            (Text::Several(mut texts), Text::One(text)) => {
                texts.push(text);
                Text::Several(texts)
            }
            _ => Text::Withheld,
        };
    }

    /// All texts.
    pub fn texts(&self) -> &[Box<str>] {
        match self {
            Text::Absent | Text::Withheld => &[],
            Text::One(text) => std::slice::from_ref(text),
            Text::Several(texts) => texts,
        }
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Text::Absent => serializer.serialize_unit(),
            Text::Withheld => serializer.serialize_bool(true),
            Text::One(text) => serializer.serialize_str(text),
            Text::Several(texts) => serializer.collect_seq(texts),
        }
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, several, `true` or `null`")
            }

            fn visit_unit<E>(self) -> Result<Text, E> {
                Ok(Text::Absent)
            }

            fn visit_bool<E>(self, there: bool) -> Result<Text, E> {
                Ok(if there { Text::Withheld } else { Text::Absent })
            }

            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text::One(text.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Text, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = seq.next_element()? {
                    texts.push(text);
                }
                Ok(Text::Several(texts))
            }
        }
        deserializer.deserialize_any(Texts)
    }
}
