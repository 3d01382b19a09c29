//! The languages of the page: one file of words for each, and which one a browser asks for.

use crate::document::{Diagnostics, Kind, Node};

/// One language that the page can speak.
#[derive(Debug, PartialEq, Eq)]
pub struct Language {
    /// Its tag (BCP 47).
    pub tag: &'static str,
    /// Its file of words: flat, `key: text`.
    pub file: &'static str,
}

macro_rules! languages {
    ($($tag:literal)*) => {
        &[$(Language { tag: $tag, file: include_str!(concat!("../assets/languages/", $tag, ".yaml")) }),*]
    };
}

/// All languages; the first one is for everybody who asks for none of them. To add one, add a file and its tag here.
pub const LANGUAGES: &[Language] = languages!(
    "en" "ar" "cs" "da" "de" "el" "es" "fa" "fi" "fr" "he" "hi" "hu" "id" "it" "ja" "ko" "nb" "nl" "pl" "pt-BR" "ro" "ru"
    "sv" "tr" "uk" "vi" "zh-Hans" "zh-Hant"
);

/// Tags that are answered by a language whose tag does not begin them.
const OTHERS: [(&str, &str); 9] = [
    ("zh-tw", "zh-Hant"),
    ("zh-hk", "zh-Hant"),
    ("zh-mo", "zh-Hant"),
    ("zh", "zh-Hans"),
    ("pt", "pt-BR"),
    ("no", "nb"),
    ("nn", "nb"),
    ("iw", "he"),
    ("in", "id"),
];

/// A browser sends some ten at most.
const MOST_RANGES: usize = 20;
/// No tag in use is longer (RFC 5646, section 4.4.1).
const LONGEST_TAG: usize = 35;

impl Language {
    /// Which way it is written: `ltr` or `rtl`.
    pub fn direction(&self) -> &'static str {
        if matches!(self.tag, "ar" | "fa" | "he") { "rtl" } else { "ltr" }
    }

    /// Its words by key, in the order of the file.
    pub fn words(&self) -> Vec<(String, String)> {
        let node = Node::parse(self.file, &mut Diagnostics::new(self.tag));
        let Some(Kind::Map(entries)) = node.map(|node| node.kind) else { return Vec::new() };
        let entries = entries.into_iter();
        entries.filter_map(|(key, _, node)| node.text().map(str::to_owned).map(|text| (key, text))).collect()
    }
}

/// The place in [`LANGUAGES`] of the one that an Accept-Language header (RFC 9110, section 12.5.4) likes best. Each of
/// its ranges is looked up with fewer and fewer subtags (RFC 4647, section 3.4); what cannot be read is passed over.
pub fn choose(header: &str) -> usize {
    let mut ranges: Vec<(u32, &str)> = header.split(',').take(MOST_RANGES).filter_map(range).collect();
    // Stable: of equals the first one counts.
    ranges.sort_by_key(|(quality, _)| std::cmp::Reverse(*quality));
    ranges.into_iter().find_map(|(_, tag)| look_up(tag)).unwrap_or(0)
}

/// The place of a tag as the page's languages have it.
pub fn named(tag: &str) -> Option<usize> {
    LANGUAGES.iter().position(|language| language.tag.eq_ignore_ascii_case(tag))
}

/// A range with its quality in thousandths; none where it is unwanted or cannot be read.
fn range(text: &str) -> Option<(u32, &str)> {
    let (tag, parameter) = text.split_once(';').unwrap_or((text, "q=1"));
    let (name, value) = parameter.split_once('=')?;
    let quality: f32 = value.trim().parse().ok()?;
    let readable = name.trim().eq_ignore_ascii_case("q") && (0.0..=1.0).contains(&quality);
    let (tag, quality) = (tag.trim(), (quality * 1000.0) as u32);
    (readable && quality > 0 && tag.len() <= LONGEST_TAG).then_some((quality, tag))
}

fn look_up(mut tag: &str) -> Option<usize> {
    loop {
        let other = OTHERS.iter().find(|(other, _)| other.eq_ignore_ascii_case(tag));
        if let Some(place) = named(other.map_or(tag, |(_, tag)| tag)) {
            return Some(place);
        }
        tag = tag.rsplit_once('-')?.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_language_that_is_liked_best_is_chosen() {
        for (header, tag) in [
            ("", "en"),
            ("*", "en"),
            ("de", "de"),
            ("de-AT,de;q=0.9,en;q=0.5", "de"),
            ("DE-at-1996", "de"),
            ("en;q=0.5, fr;q=0.501", "fr"),
            ("tlh, cs;q=0.2, en;q=0.1", "cs"),
            ("en;q=0, pl;q=0.1", "pl"),
            ("en-GB,ja", "en"),
            ("zh", "zh-Hans"),
            ("zh-CN", "zh-Hans"),
            ("zh-TW", "zh-Hant"),
            ("zh-HK-x-a", "zh-Hant"),
            ("zh-Hant-SG", "zh-Hant"),
            ("zh-Hans-TW", "zh-Hans"),
            ("pt-PT", "pt-BR"),
            ("nn-NO", "nb"),
            ("iw", "he"),
            ("ar-EG ; Q = 0.8", "ar"),
            ("eng", "en"),
        ] {
            assert_eq!(LANGUAGES[choose(header)].tag, tag, "{header}");
        }
    }

    #[test]
    fn junk_is_harmless() {
        let long = format!("{}de", "x-".repeat(40_000));
        let many = format!("{}de", "xx,".repeat(40_000));
        for junk in [
            ",;,=;q",
            "q=1",
            "de;q=NaN",
            "de;q=2",
            "de;q=-1",
            "de;q=",
            "de;x=1",
            "de;q=1;q",
            "-",
            "--de",
            "é, ü;q=1",
            "\u{202e}",
            "<script>",
            &long,
            &many,
        ] {
            assert_eq!(choose(junk), 0, "{junk:.20}");
        }
    }

    /// The names in braces of a text.
    fn places(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).map(|rest| rest.split_once('}').unwrap().0).collect()
    }

    #[test]
    fn every_file_says_what_the_english_one_says() {
        let english = LANGUAGES[0].words();
        assert!(LANGUAGES.len() >= 20 && english.len() > 30);
        for language in LANGUAGES {
            let words = language.words();
            let tag = language.tag;
            assert_eq!(words.len(), language.file.lines().count(), "{tag}: one line, one word");
            let keys = |words: &[(String, String)]| words.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
            assert_eq!(keys(&words), keys(&english), "{tag}: the keys of en.yaml, in its order");
            for ((key, text), (_, model)) in words.iter().zip(&english) {
                assert_eq!(places(text), places(model), "{tag}: placeholders of {key}");
                assert!(!text.trim().is_empty() && text.trim() == text, "{tag}: {key}");
                assert!(!text.contains(['<', '>', '&', '\n']), "{tag}: markup in {key}: {text}");
                assert!(text.chars().count() < 2 * model.chars().count() + 20, "{tag}: {key} is long: {text}");
                assert!(language.tag == "en" || text != model || model.len() < 8, "{tag}: {key} is not translated");
            }
        }
    }
}
