//! The program as an operator runs it, with what it says.

use std::path::Path;
use std::process::{Command, Output};

/// What came of one run.
#[derive(Debug)]
pub struct Program {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Program {
    /// Runs the program in a folder of the project.
    pub fn run(folder: &str, arguments: &[&str]) -> Self {
        Program::run_with(folder, arguments, &[])
    }

    /// Runs it with more in its environment. What it keeps for later runs is not what the user keeps.
    pub fn run_with(folder: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windscreen"));
        command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
        command.env("XDG_CACHE_HOME", concat!(env!("CARGO_TARGET_TMPDIR"), "/caches"));
        command.envs(environment.iter().copied());
        Program::of(command.args(arguments).output().unwrap())
    }

    /// What came of a run of any other kind.
    pub fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Program { status: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// Compares `found` with a file of the project; `WINDSCREEN_UPDATE_SNAPSHOTS` writes it anew.
pub fn assert_snapshot(file: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("WINDSCREEN_UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    assert_eq!(found, std::fs::read_to_string(&path).unwrap_or_default(), "{file}");
}
