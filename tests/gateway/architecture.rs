//! Data moves down the ranks once: a file imports only from its own folder and from lower ranks.

use std::fs;
use std::path::{Path, PathBuf};

/// Modules by rank. A new module must take its place here.
const RANKS: [&[&str]; 7] = [
    &[
        "clock",
        "decisions",
        "document",
        "exchange",
        "facts",
        "hashing",
        "ja4",
        "network",
        "path",
        "printable",
        "quantity",
        "record",
        "referer",
        "signal",
        "state",
        "verdict",
    ],
    &["challenge", "identity", "limit", "origin", "policy"],
    &["cost", "evidence", "metrics", "report", "traffic"],
    &["files", "proxy", "web"],
    &[
        "credentials",
        "feeds",
        "issuers",
        "keeper",
        "ledger",
        "listener",
        "register",
        "resolver",
        "shared_state",
        "surroundings",
    ],
    &["client", "config", "demo", "importer", "replay", "trial"],
    &["admin", "auto", "cli", "reload", "server"],
];

/// Within these ranks siblings may import one another: the vocabulary is one, so are the books (traffic is priced by
/// cost, and both are told by report), and so is the wiring.
const FREE: [usize; 3] = [0, 2, 6];

fn rank(module: &str) -> Option<usize> {
    RANKS.iter().position(|modules| modules.contains(&module))
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<(PathBuf, String, String)> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    files(&source, &mut paths);
    let module = |path: &Path| {
        let first = path.strip_prefix(&source).unwrap().components().next().unwrap();
        first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
    };
    paths.into_iter().map(|path| (path.clone(), module(&path), fs::read_to_string(path).unwrap())).collect()
}

/// The modules of this crate that a text names, with the lines that do.
fn imports(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap();
        for (at, _) in code.match_indices("crate::") {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c == '$' || c == '_' || c.is_alphanumeric()) {
                continue;
            }
            let name: String = code[at + 7..].chars().take_while(|c| *c == '_' || c.is_alphanumeric()).collect();
            found.push((number + 1, name));
        }
    }
    found
}

#[test]
fn data_moves_down_the_ranks() {
    let mut wrong = Vec::new();
    for (path, module, text) in sources() {
        if module == "lib" || module == "main" {
            continue;
        }
        let Some(own) = rank(&module) else { panic!("{module} has no rank") };
        for (line, name) in imports(&text) {
            // Macros are exported at the crate's root.
            let Some(other) = rank(&name).or((name == "settings").then_some(0)) else {
                panic!("{}:{line}: {name} has no rank", path.display())
            };
            let allowed = name == module || other < own || (other == own && FREE.contains(&own));
            if !allowed {
                wrong.push(format!("{}:{line}: {module} (rank {own}) imports {name} (rank {other})", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_core_knows_no_network_library() {
    for (path, module, text) in sources() {
        if rank(&module).is_some_and(|rank| rank < 3) {
            for library in ["pingora", "tokio", "hyper", "reqwest"] {
                let import = format!("use {library}");
                let named = text
                    .lines()
                    .any(|line| line.trim_start().starts_with(&import) || line.contains(&format!("{library}::")));
                assert!(!named, "{} names {library}", path.display());
            }
            let opts_out = text.contains("allow(clippy::disallowed_methods");
            assert!(!opts_out, "{} opts out of the bans of the core", path.display());
        }
    }
}

#[test]
fn a_file_is_one_thing() {
    let is_test = |path: &Path| path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs");
    for (path, _, text) in
        sources().into_iter().filter(|(path, ..)| !is_test(path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap()))
    {
        let code = text.split("#[cfg(test)]").next().unwrap().lines().count();
        assert!(code <= 400, "{} has {code} lines: split it by role", path.display());
    }
}

#[test]
fn unsafe_code_is_forbidden() {
    for root in ["src/lib.rs", "src/main.rs"] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(root)).unwrap();
        assert!(text.contains("#![forbid(unsafe_code)]"), "{root}");
    }
}
