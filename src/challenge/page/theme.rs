//! The page's colours, and whether people can read what stands in them.

use crate::document::{Decode, Diagnostics, Kind, Node, Position, Schemas, pattern};
use serde_json::Value;
use std::fmt::{self, Write};

/// A colour: red, green, blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour(pub u32);

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:06x}", self.0)
    }
}

impl Colour {
    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
        let hexadecimal = digits.bytes().all(|b| b.is_ascii_hexdigit());
        u32::from_str_radix(digits, 16).ok().filter(|_| hexadecimal).map(Colour)
    }

    fn channels(self) -> [u32; 3] {
        [self.0 >> 16, (self.0 >> 8) & 0xff, self.0 & 0xff]
    }

    /// Relative luminance as WCAG 2.2 defines it.
    fn luminance(self) -> f64 {
        let linear = |channel: u32| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        let [red, green, blue] = self.channels().map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    /// The contrast ratio of two colours as WCAG 2.2 defines it: 1 to 21.
    pub fn contrast(self, other: Colour) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// A quarter of the way to another colour.
    fn towards(self, other: Colour) -> Colour {
        let pairs = self.channels().into_iter().zip(other.channels());
        Colour(pairs.fold(0, |mixed, (a, b)| (mixed << 8) | ((3 * a + b) / 4)))
    }
}

/// A colour that may be left out, but not written without quotes: `#` begins a comment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shade(Option<(Position, Colour)>);

impl Decode for Shade {
    const NOTHING_IS_ABSENT: bool = false;

    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        if let Some(value) = node.text().and_then(Colour::parse) {
            return Some(Shade(Some((node.position, value))));
        }
        let found = match node.kind {
            Kind::Null => "nothing: without quotes `#` begins a comment".to_owned(),
            _ => node.describe(),
        };
        diagnostics.error(node.position, format!("expected a colour such as `'#1c6b5a'`, found {found}"));
        None
    }

    fn schema(_: &mut Schemas) -> Value {
        pattern("^#[0-9A-Fa-f]{6}$", &["#1c6b5a"])
    }
}

crate::settings! {
    /// One colour for browsers that are set to light, and one for those that are set to dark.
    #[derive(Copy, Default)]
    pub struct LightDark {
        /// For light, such as `'#1c6b5a'`. Ours where absent.
        light: Shade = Shade::default(),
        /// For dark. Ours where absent.
        dark: Shade = Shade::default(),
    }
}

crate::settings! {
    /// The page's colours.
    #[derive(Copy, Default)]
    pub struct ColourSettings {
        /// Buttons, links and the bar of progress.
        accent: LightDark = LightDark::default(),
        /// What is behind everything.
        background: LightDark = LightDark::default(),
        /// Text.
        text: LightDark = LightDark::default(),
    }
}

/// All colours of the page.
#[derive(Debug, Clone, Copy)]
struct Scheme {
    back: Colour,
    card: Colour,
    notice: Colour,
    line: Colour,
    sign: Colour,
    text: Colour,
    soft: Colour,
    accent: Colour,
    on_accent: Colour,
}

const LIGHT: Scheme = Scheme {
    back: Colour(0xf4f5f6),
    card: Colour(0xffffff),
    notice: Colour(0xfdf4e0),
    line: Colour(0xd9dde1),
    sign: Colour(0x9a6a00),
    text: Colour(0x1f262c),
    soft: Colour(0x55606a),
    accent: Colour(0x1c6b5a),
    on_accent: Colour(0xffffff),
};
const DARK: Scheme = Scheme {
    back: Colour(0x12161a),
    card: Colour(0x1a2025),
    notice: Colour(0x2b2415),
    line: Colour(0x38424a),
    sign: Colour(0xd6a53c),
    text: Colour(0xe3e8ec),
    soft: Colour(0xa3aeb7),
    accent: Colour(0x62bfa6),
    on_accent: Colour(0x0c1a16),
};

/// WCAG 2.2 AA, success criterion 1.4.3.
const NEEDED: f64 = 4.5;

impl Scheme {
    fn with(mut self, accent: Shade, background: Shade, text: Shade) -> Self {
        if let Some((_, value)) = text.0 {
            (self.text, self.soft) = (value, value);
        }
        if let Some((_, value)) = background.0 {
            (self.back, self.card, self.notice) = (value, value, value);
            self.soft = self.text;
            self.line = value.towards(self.text);
        }
        if let Some((_, value)) = accent.0 {
            self.accent = value;
            // One of the two has at least the square root of 21, which is enough.
            let (black, white) = (Colour(0), Colour(0xffffff));
            self.on_accent = if value.contrast(white) >= value.contrast(black) { white } else { black };
        }
        self
    }

    fn css(&self) -> String {
        let Scheme { back, card, notice, line, sign, text, soft, accent, on_accent } = self;
        let names = ["back", "card", "notice", "line", "sign", "text", "soft", "accent", "on-accent"];
        let mut css = String::new();
        for (name, colour) in names.iter().zip([back, card, notice, line, sign, text, soft, accent, on_accent]) {
            // Writing to a string does not fail.
            let _ = write!(css, "--{name}: {colour}; ");
        }
        css
    }
}

impl ColourSettings {
    fn schemes(&self) -> [(Scheme, [Shade; 3]); 2] {
        let ColourSettings { accent, background, text } = *self;
        let light = [accent.light, background.light, text.light];
        let dark = [accent.dark, background.dark, text.dark];
        [(LIGHT, light), (DARK, dark)].map(|(scheme, shades @ [a, b, t])| (scheme.with(a, b, t), shades))
    }

    /// Records what people could not read.
    pub fn check(&self, diagnostics: &mut Diagnostics) {
        for (scheme, [accent, background, text]) in self.schemes() {
            let Scheme { back, card, notice, .. } = scheme;
            let surfaces = |colour: Colour, on: &[Colour]| {
                let ratios = on.iter().map(|surface| (colour.contrast(*surface), *surface));
                ratios.min_by(|(a, _), (b, _)| a.total_cmp(b))
            };
            for (name, colour, given, worst) in [
                ("text", scheme.text, text, surfaces(scheme.text, &[back, card, notice])),
                ("accent", scheme.accent, accent, surfaces(scheme.accent, &[card])),
            ] {
                let Some((ratio, surface)) = worst.filter(|(ratio, _)| *ratio < NEEDED) else { continue };
                let position = given.0.or(background.0).map_or(Position::default(), |(position, _)| position);
                // Rounded down, so that what is refused never looks like what is needed.
                let ratio = (ratio * 100.0).floor() / 100.0;
                let message = format!(
                    "the {name} `{colour}` on `{surface}` has a contrast of {ratio}:1, and people need {NEEDED}:1 \
                     (WCAG AA): choose colours that are further apart"
                );
                diagnostics.error(position, message);
            }
        }
    }

    /// The declarations of the style sheet, for light and for dark.
    pub fn css(&self) -> [String; 2] {
        self.schemes().map(|(scheme, _)| scheme.css())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::read;

    #[test]
    fn contrast_is_that_of_wcag() {
        for (a, b, ratio) in [
            (0x000000, 0xffffff, 21.0),
            (0x777777, 0xffffff, 4.48),
            (0x767676, 0xffffff, 4.54),
            (0xff0000, 0xffffff, 4.0),
            (0x123456, 0x123456, 1.0),
        ] {
            assert!((Colour(a).contrast(Colour(b)) - ratio).abs() < 0.005, "{a:06x} {b:06x}");
            assert!((Colour(b).contrast(Colour(a)) - ratio).abs() < 0.005, "{b:06x} {a:06x}");
        }
    }

    #[test]
    fn every_text_of_the_page_can_be_read_in_whatever_colours_are_accepted() {
        let ours = (ColourSettings::default(), 0);
        let mut cases = vec![ours];
        for accent in ["1c6b5a", "ffff00", "757575", "0000ff", "ff8800"] {
            for background in ["ffffff", "000000", "808080", "fff8e7", "001122"] {
                for text in ["000000", "ffffff", "333333"] {
                    let yaml = format!(
                        "{{accent: {{light: '#{accent}'}}, background: {{light: '#{background}'}}, text: {{light: '#{text}'}}}}"
                    );
                    let mut diagnostics = Diagnostics::new("x");
                    let colours: ColourSettings = read(&yaml, &mut diagnostics).unwrap();
                    colours.check(&mut diagnostics);
                    cases.push((colours, diagnostics.error_count()));
                }
            }
        }
        let accepted: Vec<_> = cases.iter().filter(|(_, mistakes)| *mistakes == 0).collect();
        assert!(accepted.len() > 10 && accepted.len() < cases.len());
        for (colours, _) in accepted {
            for (scheme, _) in colours.schemes() {
                let Scheme { back, card, notice, text, soft, accent, on_accent, .. } = scheme;
                for (colour, surface) in [
                    (text, back),
                    (text, card),
                    (text, notice),
                    (soft, back),
                    (soft, card),
                    (accent, card),
                    (on_accent, accent),
                ] {
                    assert!(colour.contrast(surface) >= NEEDED, "{colour} on {surface}");
                }
            }
        }
    }

    #[test]
    fn a_comment_is_not_a_colour() {
        for text in ["light: #1c6b5a", "light: red", "light: '#1c6'", "light: '#+c6b5a'", "light: [a]"] {
            let mut diagnostics = Diagnostics::new("x");
            read::<LightDark>(text, &mut diagnostics);
            assert_eq!(diagnostics.error_count(), 1, "{text}");
        }
    }
}
