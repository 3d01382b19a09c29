//! The challenge page as the gateway file wants it, with the picture that it names.

#![allow(clippy::disallowed_methods, reason = "rank 5: reads configuration files")]

use super::load::Files;
use crate::challenge::{Logo, Page, PageSettings, Picture};
use crate::document::Diagnostics;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Puts the page together. Mistakes go to `diagnostics`; the page then lacks what is wrong.
pub(super) fn read_page(
    settings: &PageSettings,
    directory: &Path,
    files: &mut Files,
    diagnostics: &mut Diagnostics,
) -> Page {
    settings.check(diagnostics);
    let picture = settings.logo.as_ref().and_then(|logo| match &logo.value {
        Logo::Picture(picture) => Some(picture.clone()),
        Logo::File(path) => {
            read_picture(&directory.join(path), files).map_err(|message| diagnostics.error(logo.position, message)).ok()
        }
    });
    Page::new(settings, picture.as_ref())
}

fn read_picture(path: &Path, files: &mut Files) -> Result<Picture, String> {
    files.0.insert(path.to_owned());
    let mut bytes = Vec::new();
    // One byte more tells that it is too large.
    let most = Picture::MOST as u64 + 1;
    let read = File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes));
    read.map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
    Picture::new(bytes).map_err(|message| format!("`{}` is no logo: {message}", path.display()))
}
