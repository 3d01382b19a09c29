//! What the policy guide shows is accepted as it stands, and the mistakes that it lists are told in its words.

use crate::harness::markdown;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

const GUIDE: &str = "policies/README.md";

fn guide() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(GUIDE)).unwrap()
}

/// A folder with the files that examples refer to.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("office.txt"), "192.0.2.128/25  # upstairs\n").unwrap();
    folder
}

/// Says whether `check` accepts a policy, and all that it prints.
fn check(folder: &TempDir, policy: &str) -> (bool, String) {
    std::fs::write(folder.path().join("policy.yaml"), policy).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_windscreen"));
    let output = command.current_dir(folder.path()).args(["check", "policy.yaml"]).output().unwrap();
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

/// The code blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let found = markdown::blocks(text).into_iter().filter(|block| block.language == language);
    found.map(|block| block.text).collect()
}

/// The rows of all tables in a section, as their cells.
fn rows<'t>(text: &'t str, section: &str) -> Vec<Vec<&'t str>> {
    let (_, rest) = text.split_once(&format!("\n## {section}\n")).unwrap_or_else(|| panic!("no section {section}"));
    let section = rest.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with('|') && !line.starts_with("|--"));
    rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

/// The text of a cell that is one piece of code.
fn code(cell: &str) -> Option<&str> {
    let fence = if cell.starts_with("``") { "``" } else { "`" };
    let inner = cell.strip_prefix(fence)?.strip_suffix(fence)?;
    (!inner.contains(fence)).then_some(inner.trim())
}

/// A policy around a rule, with the names that examples use.
fn around(rule: &str) -> String {
    format!(
        "version: 1\nimport: [lists/search-engines.yaml, lists/tools.yaml]\nnetworks: {{internal: []}}\nrules: [{rule}]\n\
         default: {{action: allow}}\nlimits: {{people: {{key: prefix, requests: 5/s}}}}\n"
    )
}

#[test]
fn every_policy_in_the_guide_is_accepted() {
    let policies: Vec<_> =
        blocks(&guide(), "yaml").into_iter().filter(|block| block.starts_with("version: 1")).collect();
    assert!(policies.len() >= 5, "{policies:?}");
    for policy in policies {
        let (good, found) = check(&folder(), &policy);
        assert!(good && found == "ok\n", "{policy}\n{found}");
    }
}

#[test]
fn every_example_of_a_match_and_an_action_is_accepted() {
    let guide = guide();
    let matches = rows(&guide, "What a rule matches").into_iter().filter_map(|row| code(row.get(2)?));
    let matches = matches.map(|example| format!("{{name: example, match: {{{example}}}, action: allow}}"));
    let actions = rows(&guide, "Actions").into_iter().filter_map(|row| code(row.get(2)?));
    let actions = actions.filter(|example| example.starts_with("action: "));
    let actions = actions.map(|example| format!("{{name: example, match: {{path: /x}}, {example}}}"));
    let rules: Vec<String> = matches.chain(actions).collect();
    assert!(rules.len() >= 30, "{rules:#?}");
    for rule in rules {
        let (good, found) = check(&folder(), &around(&rule));
        assert!(good, "{rule}\n{found}");
    }
}

#[test]
fn the_common_mistakes_are_told_in_these_words() {
    let guide = guide();
    let mut tried = 0;
    for row in rows(&guide, "Common mistakes") {
        let (Some(written), Some(says)) = (code(row[0]), row.get(1)) else { continue };
        let fence = if says.starts_with("``") { "``" } else { "`" };
        let expected = says.trim_start_matches(fence).split(fence).next().unwrap().trim();
        let is_rule = written.starts_with('{');
        let rule = if is_rule {
            written.to_owned()
        } else {
            format!("{{name: example, match: {{{written}}}, action: allow}}")
        };
        let (_, found) = check(&folder(), &around(&rule));
        assert!(found.contains(expected), "{written}\n{expected}\n{found}");
        tried += 1;
    }
    assert!(tried >= 12, "{tried}");
}

#[test]
fn the_cases_in_the_guide_pass_and_cover_its_policy() {
    let guide = guide();
    let (_, start) = guide.split_once("\n## From nothing to enforcing\n").unwrap();
    let policy = blocks(start, "yaml").into_iter().find(|block| block.starts_with("version: 1")).unwrap();
    let cases = blocks(&guide, "yaml").into_iter().find(|block| block.starts_with("# policy.cases.yaml")).unwrap();
    let folder = folder();
    std::fs::write(folder.path().join("policy.yaml"), policy).unwrap();
    std::fs::write(folder.path().join("policy.cases.yaml"), cases).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_windscreen"));
    let output =
        command.current_dir(folder.path()).args(["test", "--require-coverage", "policy.yaml"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
