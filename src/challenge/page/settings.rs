//! The `page` section of the gateway file: what an operator says on the challenge page, and how it looks.

use super::languages::{LANGUAGES, named};
use super::picture::Picture;
use super::theme::ColourSettings;
use crate::document::{
    Decode, Diagnostics, Kind, Node, Schemas, Spanned, decode_names, either, names, text_like, unknown_word,
};
use serde_json::Value;
use std::path::PathBuf;

crate::settings! {
    /// What the challenge page says besides, and how it looks.
    #[derive(Default)]
    pub struct PageSettings {
        /// What the site calls itself, in title, heading and footer: one line of at most 80 characters.
        name: Option<Line> = None,
        /// Who is asked when something does not work: an e-mail address, or a URL that begins with `https://` or `http://`.
        contact: Option<Contact> = None,
        /// A paragraph of the operator: plain text of at most 1000 characters, or one for each language by its tag.
        text: Option<Paragraph> = None,
        /// Colours; ours where absent. Text must stand out from what is behind it by 4.5:1.
        colours: ColourSettings = ColourSettings::default(),
        /// A picture of at most 8 KiB beside the name: a file (PNG, JPEG, WebP or SVG), relative to this one, or a `data:` URI.
        logo: Option<Spanned<Logo>> = None,
    }
}

impl PageSettings {
    /// Records what is wrong with the whole.
    pub fn check(&self, diagnostics: &mut Diagnostics) {
        self.colours.check(diagnostics);
    }
}

/// Records that `node` is not what was wanted.
fn wanted<T>(what: &str, node: &Node, diagnostics: &mut Diagnostics) -> Option<T> {
    diagnostics.error(node.position, format!("expected {what}, found {}", node.describe()));
    None
}

fn bounded<'a>(node: &'a Node, most: usize, diagnostics: &mut Diagnostics) -> Option<&'a str> {
    let Some(text) = node.text().map(str::trim).filter(|text| !text.is_empty()) else {
        return wanted("some text", node, diagnostics);
    };
    let length = text.chars().count();
    if length > most {
        diagnostics.error(node.position, format!("this text has {length} characters: {most} is the most"));
        return None;
    }
    Some(text)
}

/// One line of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line(pub String);

impl Decode for Line {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let text = bounded(node, 80, diagnostics)?;
        if text.contains(char::is_control) {
            diagnostics.error(node.position, format!("expected one line, found `{}`", text.escape_debug()));
            return None;
        }
        Some(Line(text.to_owned()))
    }

    fn schema(_: &mut Schemas) -> Value {
        text_like(r"\S")
    }
}

/// Whom to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// The address as people read it.
    pub shown: String,
    /// Where the link leads.
    pub href: String,
}

impl Contact {
    fn parse(text: &str) -> Option<Self> {
        let usable = |c: char| c.is_ascii_graphic() && !"\"'<>\\^`{|}".contains(c);
        if text.len() > 200 || !text.chars().all(usable) {
            return None;
        }
        let href = if ["https://", "http://"].iter().any(|scheme| text.starts_with(scheme)) {
            let url: http::Uri = text.parse().ok()?;
            url.host().filter(|host| !host.is_empty())?;
            text.to_owned()
        } else {
            let (user, host) = text.split_once('@')?;
            let plain = |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+-".contains(&b));
            let good = !user.is_empty() && host.contains('.') && plain(user) && plain(host);
            good.then(|| format!("mailto:{text}"))?
        };
        Some(Contact { shown: text.to_owned(), href })
    }
}

impl Decode for Contact {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        match node.text().and_then(Contact::parse) {
            Some(contact) => Some(contact),
            None => wanted("an e-mail address, or a URL with `https://` or `http://`", node, diagnostics),
        }
    }

    fn schema(_: &mut Schemas) -> Value {
        text_like("^https?://.|^[A-Za-z0-9._+-]+@[A-Za-z0-9._+-]+$")
    }
}

/// A paragraph: in one language that nobody names, or in several by their places in [`LANGUAGES`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paragraph(Vec<(Option<usize>, String)>);

impl Paragraph {
    /// What is shown to who reads the language at `place`, with the tag of the text's language where it is another one.
    /// Who reads none of the languages that there are gets English, or else the first one.
    pub fn for_language(&self, place: usize) -> Option<(&str, Option<usize>)> {
        let in_language = |wanted: usize| self.0.iter().find(|(language, _)| *language == Some(wanted));
        let (language, text) = in_language(place).or_else(|| in_language(0)).or(self.0.first())?;
        Some((text, language.filter(|language| *language != place)))
    }
}

const LONGEST_PARAGRAPH: usize = 1000;

impl Decode for Paragraph {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let Kind::Map(entries) = &node.kind else {
            return bounded(node, LONGEST_PARAGRAPH, diagnostics).map(|text| Paragraph(vec![(None, text.to_owned())]));
        };
        for (tag, position, _) in entries.iter().filter(|(tag, ..)| named(tag).is_none()) {
            let known = LANGUAGES.iter().map(|language| language.tag);
            diagnostics.error(*position, unknown_word("language", tag, known));
        }
        let text = |_: &_, node: &Node, diagnostics: &mut Diagnostics| {
            bounded(node, LONGEST_PARAGRAPH, diagnostics).map(str::to_owned)
        };
        let texts = decode_names(node, diagnostics, text)?;
        Some(Paragraph(texts.into_iter().map(|(tag, text)| (named(&tag), text)).collect()))
    }

    fn schema(_: &mut Schemas) -> Value {
        either(names(text_like(r"\S")), text_like(r"\S"))
    }
}

/// Where the picture is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Logo {
    /// Here.
    Picture(Picture),
    /// In a file, which somebody else reads.
    File(PathBuf),
}

impl Decode for Logo {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let Some(text) = node.text().filter(|text| !text.trim().is_empty()) else {
            return wanted("a file, or a `data:` URI", node, diagnostics);
        };
        if !text.starts_with("data:") {
            return Some(Logo::File(text.into()));
        }
        let fault = |message| diagnostics.error(node.position, format!("this `data:` URI is no logo: {message}"));
        Picture::from_uri(text).map(Logo::Picture).map_err(fault).ok()
    }

    fn schema(_: &mut Schemas) -> Value {
        text_like(r"\S")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::read;

    #[test]
    fn contacts_are_addresses_that_people_can_use() {
        for (text, href) in [
            ("ops@example.org", Some("mailto:ops@example.org")),
            ("a.b+c@mail.example.org", Some("mailto:a.b+c@mail.example.org")),
            ("https://example.org/help?a=1&b=2", Some("https://example.org/help?a=1&b=2")),
            ("http://[2001:db8::1]/", Some("http://[2001:db8::1]/")),
            ("ops@localhost", None),
            ("@example.org", None),
            ("a@b@example.org", None),
            ("ops@example.org?subject=x", None),
            ("javascript:alert(1)", None),
            ("https://", None),
            ("https://example.org/\"><script>", None),
            ("example.org", None),
            ("", None),
        ] {
            assert_eq!(Contact::parse(text).map(|contact| contact.href).as_deref(), href, "{text}");
        }
    }

    #[test]
    fn a_paragraph_is_told_in_the_language_of_the_page_or_else_in_english() {
        let tell = |yaml: &str, tag: &str| {
            let paragraph: Paragraph = read(yaml, &mut Diagnostics::new("x")).unwrap();
            let (text, other) = paragraph.for_language(named(tag).unwrap()).unwrap();
            (text.to_owned(), other.map(|place| LANGUAGES[place].tag))
        };
        assert_eq!(tell("Hello", "de"), ("Hello".into(), None));
        assert_eq!(tell("{de: Hallo, en: Hello}", "de"), ("Hallo".into(), None));
        assert_eq!(tell("{de: Hallo, en: Hello}", "fr"), ("Hello".into(), Some("en")));
        assert_eq!(tell("{de: Hallo, ar: x}", "fr"), ("Hallo".into(), Some("de")));
    }
}
