//! Reading configuration: YAML text to typed settings, with a place for every mistake.
//!
//! `serde` stops at the first error and forgets where values stood. An operator wants every mistake of a file at once,
//! each as `file:line:column`, with the offending text and the nearest valid word. So a document is read in two steps:
//! [`Node::parse`] builds a tree that remembers positions, and [`Decode`] turns a node into a value while it collects
//! [`Diagnostics`] instead of returning early. The [`settings!`](crate::settings) macro derives `Decode` for a struct.
//! `Decode` also says as a JSON Schema what it accepts, for editors.
//!
//! Pure: it never opens a file; callers hand in the text and the file's name.

mod decode;
mod diagnostics;
mod node;
mod scalars;
mod schema;

pub use decode::{Decode, MapReader, NonEmpty, Spanned, check_name, choose, decode_names, nearest, unknown_word};
pub use diagnostics::{Diagnostic, Diagnostics, Severity, regex_fault};
pub use node::{Kind, Node, Position};
pub use scalars::{HEADER_NAME, HeaderName, Required, Version};
pub use schema::{MapSchema, Schemas, either, integer, list, names, number, pattern, text, text_like, words};

/// Parses `text` and decodes it as one `T`. All mistakes go to `diagnostics`.
///
/// A value may come back although mistakes were found: it serves to find the other ones. Only a caller that sees no
/// error in `diagnostics` may use it for anything else.
pub fn read<T: Decode>(text: &str, diagnostics: &mut Diagnostics) -> Option<T> {
    let node = Node::parse(text, diagnostics)?;
    T::decode(&node, diagnostics)
}

/// Declares a settings struct together with its decoder.
///
/// A field without a default is required; `= value` gives the default. Unknown keys are refused by name, with the
/// nearest known one. Doc comments on fields are the documentation of the keys: schemas show them to people who edit a
/// file. Where the field's type does not say what it holds, `#[schema(function)]` behind the comment does: a function
/// of [`Schemas`].
///
/// ```
/// windscreen::settings! {
///     /// Where to listen.
///     pub struct Listen {
///         /// The port, 1 to 65535.
///         port: u16,
///         /// How many connections to keep.
///         connections: u32 = 100,
///     }
/// }
/// let mut diagnostics = windscreen::document::Diagnostics::new("x.yaml");
/// let listen: Option<Listen> = windscreen::document::read("{prot: 1}", &mut diagnostics);
/// assert!(listen.is_none());
/// assert_eq!(
///     diagnostics.to_string(),
///     "x.yaml:1:1: error: missing key `port`\nx.yaml:1:2: error: unknown key `prot`, did you mean `port`?\n"
/// );
/// ```
#[macro_export]
macro_rules! settings {
    ($(#[doc = $doc:literal])* $(#[derive($($derive:ident),*)])? $vis:vis struct $name:ident {
        $(
            $(#[doc = $field_doc:literal])* $(#[schema($schema:expr)])?
            $field:ident: $type:ty $(= $default:expr)?,
        )*
    }) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone $($(, $derive)*)?)]
        $vis struct $name { $($(#[doc = $field_doc])* pub $field: $type,)* }

        impl $crate::document::Decode for $name {
            fn decode(
                node: &$crate::document::Node,
                diagnostics: &mut $crate::document::Diagnostics,
            ) -> Option<Self> {
                let mut map = $crate::document::MapReader::new(node, diagnostics)?;
                $(let $field = $crate::settings!(@field map, diagnostics, $field, $type $(, $default)?);)*
                map.finish(diagnostics);
                Some($name { $($field: $field?,)* })
            }

            fn schema(schemas: &mut $crate::document::Schemas) -> serde_json::Value {
                schemas.define(stringify!($name), |schemas| {
                    let mut map = $crate::document::MapSchema::new(&[$($doc),*]);
                    $(
                        let schema = $crate::settings!(@schema schemas, $type $(, $schema)?);
                        $crate::settings!(@key map, schemas, $field, &[$($field_doc),*], schema, $type $(, $default)?);
                    )*
                    map.finish()
                })
            }
        }
    };
    (@schema $schemas:ident, $type:ty) => {
        <$type as $crate::document::Decode>::schema($schemas)
    };
    (@schema $schemas:ident, $type:ty, $schema:expr) => {
        $schema(&mut *$schemas)
    };
    (@key $map:ident, $schemas:ident, $field:ident, $doc:expr, $schema:ident, $type:ty) => {
        $map.required(stringify!($field), $doc, $schema)
    };
    (@key $map:ident, $schemas:ident, $field:ident, $doc:expr, $schema:ident, $type:ty, $default:expr) => {
        let default: $type = $default;
        $map.optional(stringify!($field), $doc, $schema, $crate::document::Decode::written(&default), $schemas)
    };
    (@field $map:ident, $diagnostics:ident, $field:ident, $type:ty) => {
        $map.required::<$type>(stringify!($field), $diagnostics)
    };
    (@field $map:ident, $diagnostics:ident, $field:ident, $type:ty, $default:expr) => {
        Some($map.optional::<$type>(stringify!($field), $diagnostics, || $default))
    };
}
