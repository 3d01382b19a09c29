//! Reading configuration: YAML text to typed settings, with a place for every mistake.
//!
//! `serde` stops at the first error and forgets where values stood. An operator wants every mistake of a file at once,
//! each as `file:line:column`, with the offending text and the nearest valid word. So a document is read in two steps:
//! [`Node::parse`] builds a tree that remembers positions, and [`Decode`] turns a node into a value while it collects
//! [`Diagnostics`] instead of returning early. The [`settings!`](crate::settings) macro derives `Decode` for a struct.
//!
//! Pure: it never opens a file; callers hand in the text and the file's name.

mod decode;
mod diagnostics;
mod node;

pub use decode::{
    Decode, HeaderName, MapReader, NonEmpty, Required, Spanned, Version, choose, decode_names, unknown_word,
};
pub use diagnostics::{Diagnostic, Diagnostics, Severity};
pub use node::{Kind, Node, Position};

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
/// nearest known one. Doc comments on fields are the documentation of the keys.
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
    ($(#[$meta:meta])* $vis:vis struct $name:ident {
        $($(#[$field_meta:meta])* $field:ident: $type:ty $(= $default:expr)?,)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone)]
        $vis struct $name { $($(#[$field_meta])* pub $field: $type,)* }

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
        }
    };
    (@field $map:ident, $diagnostics:ident, $field:ident, $type:ty) => {
        $map.required::<$type>(stringify!($field), $diagnostics)
    };
    (@field $map:ident, $diagnostics:ident, $field:ident, $type:ty, $default:expr) => {
        Some($map.optional::<$type>(stringify!($field), $diagnostics, || $default))
    };
}
