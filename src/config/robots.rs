//! What `/robots.txt` says.

#![allow(clippy::disallowed_methods, reason = "rank 5: reads configuration files")]

use super::load::Files;
use super::policy::{ImportedFile, built_in};
use crate::document::{Decode, Diagnostics, Node, Schemas, Spanned, read};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Where `/robots.txt` comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RobotsSettings {
    /// AI crawlers are asked to stay away, others from the gateway's own pages.
    #[default]
    BuiltIn,
    /// The site: it is an object as any other.
    Origin,
    /// A file.
    File(PathBuf),
}

const BUILT_IN: &str = "built-in";
const ORIGIN: &str = "origin";
/// A longer file is read by no crawler to its end (RFC 9309, section 2.5).
const LONGEST: usize = 500 * 1024;
/// They never come by these names: who says so here tells Google and Apple that what their search engines read is not
/// to be trained on. Source: <https://github.com/ai-robots-txt/ai.robots.txt>
const ONLY_HERE: [&str; 2] = ["Applebot-Extended", "Google-Extended"];

impl Decode for RobotsSettings {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        Some(match String::decode(node, diagnostics)?.as_str() {
            BUILT_IN => RobotsSettings::BuiltIn,
            ORIGIN => RobotsSettings::Origin,
            path => RobotsSettings::File(path.into()),
        })
    }

    fn schema(schemas: &mut Schemas) -> Value {
        PathBuf::schema(schemas)
    }

    fn written(&self) -> Option<Value> {
        Some(match self {
            RobotsSettings::BuiltIn => BUILT_IN.into(),
            RobotsSettings::Origin => ORIGIN.into(),
            RobotsSettings::File(path) => path.display().to_string().into(),
        })
    }
}

/// The text that the gateway serves; `None` where the site does.
pub(super) fn read_robots(
    settings: &Spanned<RobotsSettings>,
    directory: &Path,
    files: &mut Files,
    diagnostics: &mut Diagnostics,
) -> Option<String> {
    let path = match &settings.value {
        RobotsSettings::BuiltIn => return Some(stay_away()),
        RobotsSettings::Origin => return None,
        RobotsSettings::File(path) => directory.join(path),
    };
    let text = std::fs::read_to_string(&path).map_err(|error| format!("cannot read `{}`: {error}", path.display()));
    files.0.insert(path);
    let text = text.and_then(|text| match text.len() {
        ..=LONGEST => Ok(text),
        _ => Err("crawlers read no more than 500 KiB of it".to_owned()),
    });
    text.map_err(|message| diagnostics.error(settings.position, message)).ok()
}

/// Asks AI crawlers to stay away, by the names that the built-in list has.
fn stay_away() -> String {
    let text = built_in("lists/ai-crawlers.yaml").unwrap_or_default();
    let file: Option<ImportedFile> = read(text, &mut Diagnostics::default());
    let lists = file.map(|file| file.lists.0).unwrap_or_default();
    let names = lists.iter().flat_map(|(_, list)| list.value.names()).chain(ONLY_HERE);
    // A product token of RFC 9309 and digits, which many have. What is a name in two words finds nobody.
    let is_token = |name: &&str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let mut names: Vec<&str> = names.filter(is_token).collect();
    names.sort_unstable_by_key(|name| name.to_ascii_lowercase());
    let named: String = names.iter().map(|name| format!("User-agent: {name}\n")).collect();
    format!("# AI crawlers are not served here.\n{named}Disallow: /\n\nUser-agent: *\nDisallow: /.windscreen/\n")
}
