//! `windscreen completions` and `windscreen man`, and how help looks.

#![allow(clippy::disallowed_methods, reason = "rank 6: makes a folder")]

use super::Arguments;
use clap::CommandFactory;
use clap::builder::Styles;
use clap::builder::styling::AnsiColor;
use clap_complete::{Shell, generate};
use clap_mangen::{Man, generate_to};
use std::io::Write;
use std::path::Path;
use std::sync::LazyLock;

/// The name of the program, whatever its file is called.
const NAME: &str = "windscreen";

/// Help in colours. clap leaves them out where no person looks, or where they said so (<https://no-color.org>).
pub(super) const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Yellow.on_default().bold())
    .usage(AnsiColor::Yellow.on_default().bold())
    .literal(AnsiColor::Green.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

/// The version, with the commit that it was built from where `WINDSCREEN_COMMIT` said so at that time.
pub(super) fn version() -> &'static str {
    static VERSION: LazyLock<String> =
        LazyLock::new(|| told(env!("CARGO_PKG_VERSION"), option_env!("WINDSCREEN_COMMIT").unwrap_or_default()));
    &VERSION
}

fn told(version: &str, commit: &str) -> String {
    if commit.is_empty() { version.to_owned() } else { format!("{version} ({commit})") }
}

/// Prints what `shell` needs to complete the command line.
pub(super) fn completions(shell: Shell) -> Result<u8, String> {
    let mut script = Vec::new();
    generate(shell, &mut Arguments::command(), NAME, &mut script);
    print(&script)
}

/// Writes one manual page for each command to `directory`, or prints that of the program.
pub(super) fn man(directory: Option<&Path>) -> Result<u8, String> {
    let Some(directory) = directory else {
        let mut page = Vec::new();
        Man::new(Arguments::command()).render(&mut page).map_err(|error| error.to_string())?;
        return print(&page);
    };
    let written = std::fs::create_dir_all(directory).and_then(|()| generate_to(Arguments::command(), directory));
    written.map_err(|error| format!("cannot write to `{}`: {error}", directory.display()))?;
    Ok(0)
}

/// Writes to standard output. Whoever reads it may have seen enough.
fn print(text: &[u8]) -> Result<u8, String> {
    match std::io::stdout().write_all(text) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(format!("cannot print: {error}")),
        _ => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_commit_is_told_where_it_is_known() {
        assert_eq!((&*told("1.2.3", ""), &*told("1.2.3", "abc")), ("1.2.3", "1.2.3 (abc)"));
    }
}
