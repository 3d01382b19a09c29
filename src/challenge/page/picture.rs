//! The logo: a small picture that the page carries itself.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;

/// A picture of one of four kinds.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    kind: &'static str,
    bytes: Vec<u8>,
}

/// Its bytes would fill screens.
impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Picture({}, {} bytes)", self.kind, self.bytes.len())
    }
}

impl Picture {
    /// How many bytes it may have: every page carries it.
    pub const MOST: usize = 8 << 10;

    /// A picture, whose kind is told by its content. Scripts in an SVG do not run where the page shows it.
    ///
    /// # Errors
    /// When it is too large or of another kind.
    pub fn new(bytes: Vec<u8>) -> Result<Self, String> {
        if bytes.len() > Self::MOST {
            return Err(format!("a logo has at most {} bytes", Self::MOST));
        }
        let vector = || {
            std::str::from_utf8(&bytes).is_ok_and(|text| text.trim_start().starts_with('<') && text.contains("<svg"))
        };
        let kind = match bytes.as_slice() {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => "png",
            [0xff, 0xd8, 0xff, ..] => "jpeg",
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "webp",
            _ if vector() => "svg+xml",
            _ => return Err("it is neither PNG, JPEG, WebP nor SVG".into()),
        };
        Ok(Picture { kind, bytes })
    }

    /// Reads a `data:` URI (RFC 2397).
    ///
    /// # Errors
    /// When it is not in base64, or its picture is not one that [`Picture::new`] takes as what the URI says.
    pub fn from_uri(uri: &str) -> Result<Self, String> {
        let parts = uri.strip_prefix("data:image/").and_then(|rest| rest.split_once(";base64,"));
        let (kind, data) = parts.ok_or("write `data:image/KIND;base64,DATA`")?;
        let bytes = STANDARD.decode(data.trim()).map_err(|error| format!("it is not base64: {error}"))?;
        let picture = Picture::new(bytes)?;
        match picture.kind == kind {
            true => Ok(picture),
            false => Err(format!("it says `{}` and holds {}", kind.escape_debug(), picture.kind)),
        }
    }

    /// As a `data:` URI, which needs no escaping.
    pub fn uri(&self) -> String {
        format!("data:image/{};base64,{}", self.kind, STANDARD.encode(&self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_small_and_of_the_kind_that_they_say() {
        let svg = b"<?xml version=\"1.0\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\"/>".to_vec();
        let uri = Picture::new(svg.clone()).unwrap().uri();
        assert!(uri.starts_with("data:image/svg+xml;base64,"));
        assert_eq!(Picture::from_uri(&uri).unwrap().uri(), uri);
        for (uri, fault) in [
            (uri.replace("svg+xml", "png"), "it says `png` and holds svg+xml"),
            (uri.replace(";base64", ""), "write `data:image/KIND;base64,DATA`"),
            ("data:text/html;base64,PHN2Zz4=".into(), "write `data:image/KIND;base64,DATA`"),
            ("data:image/png;base64,/".into(), "it is not base64"),
        ] {
            let found = Picture::from_uri(&uri).unwrap_err();
            assert!(found.starts_with(fault), "{uri}: {found}");
        }
        for bytes in [b"<html>".to_vec(), b"GIF89a".to_vec(), Vec::new(), [svg, vec![b' '; Picture::MOST]].concat()] {
            assert!(Picture::new(bytes).is_err());
        }
    }
}
