//! Child processes: found, pinned to a core, measured by /proc, and ended whatever happens.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The proxy under test has this core for itself.
const PROXY_CORE: &str = "0";
/// Origin, load generator and this program share this one.
const OTHER_CORE: &str = "1";
/// The kernel's unit of CPU time in /proc: 1/100 s on every architecture that Debian builds a server for.
const TICKS_PER_SECOND: f64 = 100.0;
/// A server has so long to listen, and as long to end.
const PATIENCE: Duration = Duration::from_secs(10);
/// Looks at a server that starts or ends are so far apart.
const LOOK: Duration = Duration::from_millis(20);

/// Programs that must be installed, with the Debian packages that they are in.
const NEEDED: [(&str, &str); 5] = [
    ("nginx", "nginx"),
    ("wrk", "wrk"),
    ("taskset", "util-linux"),
    ("setpriv", "util-linux"),
    ("timeout", "coreutils"),
];

/// Where a program is. Debian keeps nginx where only root's PATH leads.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(system).map(|directory| directory.join(program)).find(|path| path.is_file())
}

/// Says which programs are missing and how to get them.
pub fn check_programs() -> Result<(), String> {
    let missing: Vec<_> = NEEDED.iter().filter(|(program, _)| find(program).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let programs: Vec<_> = missing.iter().map(|(program, _)| *program).collect();
    let mut packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
    packages.dedup();
    Err(format!("not installed: {}; try `apt-get install {}`", programs.join(", "), packages.join(" ")))
}

/// Moves this program, and so all children that are not moved elsewhere, away from the proxy's core.
pub fn leave_proxy_core() -> Result<(), String> {
    let own = std::process::id().to_string();
    let pinned = Command::new("taskset").args(["--cpu-list", "--pid", OTHER_CORE, &own]).output();
    match pinned {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("two cores are needed: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("taskset: {error}")),
    }
}

/// Where a server runs.
#[derive(Clone, Copy)]
pub enum Core {
    /// Alone, to be measured.
    Proxy,
    /// Beside everything else.
    Other,
}

/// Resident memory in bytes.
pub struct Memory {
    /// At this moment.
    pub now: u64,
    /// The most so far.
    pub peak: u64,
}

/// A server. It ends when this value is dropped, and also when this program is killed.
pub struct Server {
    child: Child,
    errors: PathBuf,
}

impl Server {
    /// Starts `program` in `directory`, with standard output appended to `output`, and waits until `port` is open.
    pub fn start(
        program: &Path,
        arguments: &[&str],
        directory: &Path,
        output: &Path,
        core: Core,
        port: u16,
    ) -> Result<Server, String> {
        let errors = directory.join("errors.log");
        let failed = |error: std::io::Error| format!("`{}` could not start: {error}", program.display());
        let output = File::options().create(true).append(true).open(output).map_err(failed)?;
        let cpus = match core {
            Core::Proxy => PROXY_CORE,
            Core::Other => OTHER_CORE,
        };
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "INT", "taskset", "--cpu-list", cpus])
            .arg(program)
            .args(arguments)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(File::create(&errors).map_err(failed)?)
            .spawn()
            .map_err(failed)?;
        let mut server = Server { child, errors };
        let start = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let ended = server.child.try_wait().map_err(failed)?.is_some();
            if ended || start.elapsed() > PATIENCE {
                let said = fs::read_to_string(&server.errors).unwrap_or_default();
                return Err(format!("`{}` does not listen. It said:\n{said}", program.display()));
            }
            sleep(LOOK);
        }
        Ok(server)
    }

    /// CPU time that the server has used: all threads, and the worker processes of an nginx.
    pub fn cpu_seconds(&self) -> Result<f64, String> {
        let own = self.child.id();
        let mut ticks = cpu_ticks(own)?;
        for worker in read(&format!("/proc/{own}/task/{own}/children"))?.split_whitespace() {
            ticks += cpu_ticks(worker.parse().map_err(|_| format!("`{worker}` is no process id"))?)?;
        }
        Ok(ticks as f64 / TICKS_PER_SECOND)
    }

    /// How much memory the server has resident, without children.
    pub fn memory(&self) -> Result<Memory, String> {
        let status = read(&format!("/proc/{}/status", self.child.id()))?;
        let value = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            let kibibytes = line.and_then(|line| line.trim_end_matches("kB").trim().parse::<u64>().ok());
            kibibytes.map(|number| number * 1024).ok_or(format!("/proc shows no {key}"))
        };
        Ok(Memory { now: value("VmRSS:")?, peak: value("VmHWM:")? })
    }
}

impl Drop for Server {
    /// SIGINT ends nginx with its workers and the gateway, at once. A server that does not heed it is killed.
    fn drop(&mut self) {
        let kill = format!("kill -INT {}", self.child.id());
        let _ = Command::new("sh").args(["-c", &kill]).stderr(Stdio::null()).status();
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            sleep(LOOK);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("`{path}`: {error}"))
}

/// User and system time of all threads of a process.
fn cpu_ticks(process: u32) -> Result<u64, String> {
    let path = format!("/proc/{process}/stat");
    let stat = read(&path)?;
    // The second field is the program's name in parentheses, which may hold anything. utime is field 14, stime 15.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let times: Vec<u64> = fields.skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    match times[..] {
        [user, system] => Ok(user + system),
        _ => Err(format!("`{path}` has another form: {stat}")),
    }
}
