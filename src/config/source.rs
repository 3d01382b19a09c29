//! Files that policies are made of: by the path that somebody wrote, or built in.

#![allow(clippy::disallowed_methods, reason = "rank 5: reads configuration files")]

use super::load::{Files, read_file};
use super::policy::{BUILT_IN, built_in};
use crate::document::nearest;
use crate::policy::BUILT_IN_FILE;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// One file: what it is called, which one it is however it is called, where its relative paths begin, and its text. A
/// built-in file has no directory.
pub(super) struct Source {
    pub name: String,
    pub identity: PathBuf,
    pub directory: Option<PathBuf>,
    pub text: String,
}

impl Source {
    pub fn built_in(name: &str, text: &str) -> Self {
        let name = format!("{BUILT_IN_FILE}{name}");
        Source { identity: PathBuf::from(&name), name, directory: None, text: text.to_owned() }
    }

    pub fn file(path: &Path, files: &mut Files) -> Result<Self, String> {
        let directory = path.parent().map(Path::to_owned).unwrap_or_default();
        let text = read_file(path, files)?;
        let identity = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        Ok(Source { name: path.display().to_string(), identity, directory: Some(directory), text })
    }

    /// The files that an import means.
    pub fn import(&self, wanted: &str, files: &mut Files) -> Result<Vec<Source>, String> {
        if wanted.contains(['*', '?', '[']) {
            return self.import_all(wanted, files);
        }
        let beside = self.directory.as_ref().map(|directory| directory.join(wanted));
        // A file that is there and cannot be read is not replaced by another one of its name.
        let there = beside.filter(|path| {
            files.0.insert(path.clone());
            !is_not_found(std::fs::symlink_metadata(path))
        });
        match (there, built_in(wanted)) {
            (Some(path), _) => Ok(vec![Source::file(&path, files)?]),
            (None, Some(text)) => Ok(vec![Source::built_in(wanted, text)]),
            (None, None) => {
                let place =
                    if self.directory.is_some() { "neither beside this file nor built in" } else { "not built in" };
                let last = |path: &'static str| path.rsplit('/').next().unwrap_or(path);
                let lasts = BUILT_IN.iter().map(|(name, _)| last(name));
                let meant = nearest(wanted.rsplit('/').next().unwrap_or(wanted), lasts);
                let meant = BUILT_IN.iter().find(|(name, _)| Some(last(name)) == meant);
                let hint = meant.map_or_else(String::new, |(name, _)| format!(", did you mean `{name}`?"));
                Err(format!("`{wanted}` is {place}{hint}"))
            }
        }
    }

    /// The files that a pattern means: beside this one, or built in where there are none.
    fn import_all(&self, wanted: &str, files: &mut Files) -> Result<Vec<Source>, String> {
        let glob = globset::GlobBuilder::new(wanted).literal_separator(true).build();
        let glob = glob.map_err(|error| format!("`{wanted}` is not a glob: {}", error.kind()))?.compile_matcher();
        let (folder, _) = wanted.rsplit_once('/').unwrap_or(("", wanted));
        if folder.contains(['*', '?', '[']) {
            return Err(format!("`{wanted}`: only the last part of an import may be a pattern"));
        }
        let mut found = Vec::new();
        if let Some(directory) = &self.directory {
            let beside = directory.join(folder);
            let beside = if beside.as_os_str().is_empty() { PathBuf::from(".") } else { beside };
            let entries = match std::fs::read_dir(&beside) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(format!("cannot read `{}`: {error}", beside.display()));
                }
                entries => entries.into_iter().flatten().flatten(),
            };
            let mut names: Vec<String> = entries
                .filter_map(|entry| Some(Path::new(folder).join(entry.file_name()).to_str()?.to_owned()))
                .filter(|name| glob.is_match(name))
                .collect();
            names.sort();
            // It changes when a file comes or goes.
            files.0.insert(beside);
            for name in names {
                found.push(Source::file(&directory.join(name), files)?);
            }
        }
        if found.is_empty() {
            let known = BUILT_IN.iter().filter(|(name, _)| glob.is_match(name));
            found.extend(known.map(|(name, text)| Source::built_in(name, text)));
        }
        if found.is_empty() { Err(format!("no file matches `{wanted}`")) } else { Ok(found) }
    }
}

fn is_not_found<T>(result: std::io::Result<T>) -> bool {
    result.is_err_and(|error| error.kind() == ErrorKind::NotFound)
}
