//! JSON Schemas (draft 2020-12) of what documents may hold, so that editors complete and underline.
//!
//! A schema is told by the same types that read the documents. It may accept more than they do, never less: an editor
//! must not underline what the program takes. Descriptions are the doc comments of settings.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::ops::{Bound, RangeBounds};

/// The types of a scalar: whatever it looks like, settings read its text.
const SCALAR: [&str; 3] = ["string", "number", "boolean"];

/// Collects the schemas that have a name, so that each is said once and may hold itself.
#[derive(Debug, Default)]
pub struct Schemas(BTreeMap<String, Value>);

impl Schemas {
    /// A reference to the schema called `name`, which `make` tells if nobody has yet. Names are those of types, each of
    /// which is used once in the program.
    pub fn define(&mut self, name: &str, make: impl FnOnce(&mut Self) -> Value) -> Value {
        if !self.0.contains_key(name) {
            // Its place is taken first: it may refer to itself.
            self.0.insert(name.to_owned(), Value::Null);
            let schema = make(self);
            self.0.insert(name.to_owned(), schema);
        }
        json!({ "$ref": format!("#/$defs/{name}") })
    }

    /// Accepts nothing (`key:` without a value) besides what `schema` accepts.
    pub fn or_nothing(&self, mut schema: Value) -> Value {
        let known = |reference: &str| self.0.get(reference.strip_prefix("#/$defs/")?);
        let accepts_null =
            |schema: &Value| schema["type"].as_array().is_some_and(|types| types.contains(&json!("null")));
        if let Some(reference) = schema["$ref"].as_str() {
            return match known(reference).is_some_and(accepts_null) {
                true => schema,
                false => json!({"anyOf": [schema, {"type": "null"}]}),
            };
        }
        if accepts_null(&schema["if"]) {
            return schema;
        }
        if let Some(other) = schema.get_mut("else") {
            *other = self.or_nothing(other.take());
        }
        if let Some(one @ Value::String(_)) = schema.get_mut("type") {
            *one = json!([one.take()]);
        }
        for key in ["type", "enum"] {
            if let Some(Value::Array(accepted)) = schema.get_mut(key) {
                let null = if key == "type" { json!("null") } else { Value::Null };
                if !accepted.contains(&null) {
                    accepted.push(null);
                }
            }
        }
        schema
    }

    /// The schema of a document that `root`, the name of a definition, tells.
    pub fn document(self, title: &str, root: &str) -> Value {
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": title,
            "$ref": format!("#/$defs/{root}"),
            "$defs": self.0,
        })
    }

    /// A definition, to change what the types cannot say.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.0.get_mut(name)
    }
}

/// The schema of a mapping whose keys are known, as [`MapReader`](super::MapReader) reads it.
pub struct MapSchema {
    description: String,
    properties: Map<String, Value>,
    required: Vec<&'static str>,
}

impl MapSchema {
    /// Begins a mapping that the lines of `doc` describe.
    pub fn new(doc: &[&str]) -> Self {
        MapSchema { description: joined(doc), properties: Map::new(), required: Vec::new() }
    }

    /// A key that must be there.
    pub fn required(&mut self, key: &'static str, doc: &[&str], schema: Value) {
        self.property(key, doc, schema);
        self.required.push(key.strip_prefix("r#").unwrap_or(key));
    }

    /// A key that may be left out, which then is read as `default`.
    pub fn optional(
        &mut self,
        key: &'static str,
        doc: &[&str],
        schema: Value,
        default: Option<Value>,
        schemas: &Schemas,
    ) {
        let mut schema = schemas.or_nothing(schema);
        if let Some(default) = default {
            schema["default"] = default;
        }
        self.property(key, doc, schema);
    }

    fn property(&mut self, key: &'static str, doc: &[&str], mut schema: Value) {
        schema["description"] = joined(doc).into();
        self.properties.insert(key.strip_prefix("r#").unwrap_or(key).to_owned(), schema);
    }

    /// The schema. Nothing counts as an empty mapping.
    pub fn finish(self) -> Value {
        let types = if self.required.is_empty() { json!(["object", "null"]) } else { json!("object") };
        let mut schema = json!({
            "description": self.description,
            "type": types,
            "properties": self.properties,
            "additionalProperties": false,
        });
        if !self.required.is_empty() {
            schema["required"] = json!(self.required);
        }
        schema
    }
}

/// The lines of a doc comment as one text.
fn joined(doc: &[&str]) -> String {
    doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// Any text.
pub fn text() -> Value {
    json!({ "type": SCALAR })
}

/// Text in which the regular expression finds a match, though it may look like a number or a truth value.
pub fn text_like(expression: &str) -> Value {
    json!({ "type": SCALAR, "pattern": expression })
}

/// Text in which the regular expression finds a match, and that never looks like anything but text.
pub fn pattern(expression: &str, examples: &[&str]) -> Value {
    json!({ "type": "string", "pattern": expression, "examples": examples })
}

/// One of a closed set of words.
pub fn words<T>(words: &[(&str, T)]) -> Value {
    json!({ "enum": words.iter().map(|(word, _)| word).collect::<Vec<_>>() })
}

fn bounded<T: Copy + Into<Value>>(mut schema: Value, range: impl RangeBounds<T>) -> Value {
    // A bound that is excluded is left out: a schema may accept more.
    if let Bound::Included(low) = range.start_bound() {
        schema["minimum"] = (*low).into();
    }
    if let Bound::Included(high) = range.end_bound() {
        schema["maximum"] = (*high).into();
    }
    schema
}

/// A whole number.
pub fn integer(range: impl RangeBounds<i64>) -> Value {
    bounded(json!({ "type": ["integer", "string"], "pattern": "^[+-]?[0-9]+$" }), range)
}

/// A number.
pub fn number(range: impl RangeBounds<f64>) -> Value {
    let expression = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$";
    bounded(json!({ "type": ["number", "string"], "pattern": expression }), range)
}

/// A list of at least so many items; a single one stands for a list of one.
pub fn list(item: Value, at_least: usize) -> Value {
    let mut items = json!({ "items": item });
    if at_least > 0 {
        items["minItems"] = at_least.into();
    }
    let examples = examples(&item);
    suggest(json!({ "if": { "type": ["array", "null"] }, "then": items, "else": item }), examples)
}

/// A mapping, or something else.
pub fn either(mapping: Value, other: Value) -> Value {
    let examples = examples(&other);
    suggest(json!({ "if": { "type": "object" }, "then": mapping, "else": other }), examples)
}

/// What editors may suggest for a schema.
fn examples(schema: &Value) -> Option<Value> {
    ["enum", "examples"].iter().find_map(|key| schema.get(key)).cloned()
}

/// Says it where editors look: they do not look into the branches of an `if`.
fn suggest(mut schema: Value, examples: Option<Value>) -> Value {
    if let Some(examples) = examples {
        schema["examples"] = examples;
    }
    schema
}

/// A mapping from names, as [`decode_names`](super::decode_names) reads it.
pub fn names(value: Value) -> Value {
    json!({
        "type": ["object", "null"],
        "propertyNames": { "pattern": "^[A-Za-z0-9._-]{1,64}$" },
        "additionalProperties": value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_added_where_it_is_not_accepted_yet() {
        let mut schemas = Schemas::default();
        let loose = schemas.define("Loose", |_| MapSchema::new(&[]).finish());
        let strict = schemas.define("Strict", |_| json!({ "type": "object" }));
        let cases = [
            (json!({ "type": "string" }), json!({ "type": ["string", "null"] })),
            (words(&[("a", ())]), json!({ "enum": ["a", null] })),
            (list(json!({ "type": "string" }), 0), list(json!({ "type": "string" }), 0)),
            (either(json!({}), json!({ "type": "string" })), either(json!({}), json!({ "type": ["string", "null"] }))),
            (loose.clone(), loose),
            (strict.clone(), json!({ "anyOf": [strict, { "type": "null" }] })),
        ];
        for (schema, expected) in cases {
            let once = schemas.or_nothing(schema);
            assert_eq!(once, expected);
        }
    }

    #[test]
    fn a_schema_may_hold_itself() {
        fn tree(schemas: &mut Schemas) -> Value {
            schemas.define("Tree", |schemas| list(tree(schemas), 0))
        }
        let mut schemas = Schemas::default();
        let reference = json!({ "$ref": "#/$defs/Tree" });
        assert_eq!(tree(&mut schemas), reference);
        assert_eq!(schemas.document("Trees", "Tree")["$defs"]["Tree"], list(reference, 0));
    }
}
