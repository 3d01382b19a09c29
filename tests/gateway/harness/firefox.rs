//! A real Firefox, driven by WebDriver BiDi: it speaks that itself, so no driver stands between.

use super::browser::Driven;
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;
use tempfile::TempDir;
use tungstenite::{Message, WebSocket};

/// No talk to anyone but us. Firefox adds what its own tests use.
const PREFERENCES: &str = "
user_pref('network.captive-portal-service.enabled', false);
user_pref('network.connectivity-service.enabled', false);
user_pref('network.proxy.type', 0);
user_pref('datareporting.policy.dataSubmissionEnabled', false);
user_pref('toolkit.telemetry.enabled', false);
user_pref('app.update.enabled', false);
user_pref('browser.shell.checkDefaultBrowser', false);
";

/// A browser with a profile of its own. It ends with the value.
pub struct Firefox {
    session: Mutex<Session>,
    process: Child,
    _profile: TempDir,
}

struct Session {
    socket: WebSocket<TcpStream>,
    number: u64,
    tabs: Vec<String>,
    tab: usize,
}

impl Drop for Firefox {
    fn drop(&mut self) {
        // It is the first of a group of its own, which its helpers belong to.
        let group = format!("-{}", self.process.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.process.wait();
    }
}

impl Session {
    /// Sends a command; its result.
    fn command(&mut self, method: &str, parameters: &Value) -> Result<Value, String> {
        self.number += 1;
        let text = json!({"id": self.number, "method": method, "params": parameters}).to_string();
        self.socket.send(Message::text(text)).map_err(|error| error.to_string())?;
        loop {
            let message = self.socket.read().map_err(|error| format!("{method}: {error}"))?;
            let answer: Value = serde_json::from_str(message.to_text().unwrap_or_default()).unwrap_or_default();
            // Events come in between.
            if answer["id"] == self.number {
                return match answer["type"].as_str() {
                    Some("success") => Ok(answer["result"].clone()),
                    _ => Err(format!("{method}: {}", answer["message"])),
                };
            }
        }
    }

    fn context(&self) -> &str {
        &self.tabs[self.tab]
    }
}

impl Firefox {
    /// Starts a browser with some more preferences, each with its value as it stands in a file of preferences.
    pub async fn start(more: &[(&str, &str)]) -> Firefox {
        let profile = TempDir::new().unwrap();
        let more: String = more.iter().map(|(name, value)| format!("user_pref('{name}', {value});\n")).collect();
        std::fs::write(profile.path().join("user.js"), format!("{PREFERENCES}{more}")).unwrap();
        let process = Command::new("firefox-esr")
            .args(["--headless", "--no-remote", "--remote-debugging-port=0", "--profile"])
            .arg(profile.path())
            .arg("about:blank")
            .env("HOME", profile.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("firefox-esr is installed (apt-get install firefox-esr)");
        let mut socket = None;
        for _ in 0..300 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            socket = connect(profile.path());
            if socket.is_some() {
                break;
            }
        }
        let socket = socket.expect("Firefox says where it listens");
        let mut session = Session { socket, number: 0, tabs: Vec::new(), tab: 0 };
        let firefox = tokio::task::block_in_place(|| {
            let trusting = json!({"capabilities": {"alwaysMatch": {"acceptInsecureCerts": true}}});
            session.command("session.new", &trusting).unwrap();
            let tree = session.command("browsingContext.getTree", &json!({})).unwrap();
            session.tabs.push(tree["contexts"][0]["context"].as_str().unwrap().to_owned());
            Firefox { session: Mutex::new(session), process, _profile: profile }
        });
        firefox.resize(1280, 900).await;
        firefox
    }

    fn try_command(&self, method: &str, mut parameters: Value) -> Result<Value, String> {
        tokio::task::block_in_place(|| {
            let mut session = self.session.lock().unwrap();
            parameters["context"] = session.context().into();
            session.command(method, &parameters)
        })
    }

    fn command(&self, method: &str, parameters: Value) -> Value {
        self.try_command(method, parameters).unwrap()
    }
}

/// Firefox writes down where it listens.
fn connect(profile: &Path) -> Option<WebSocket<TcpStream>> {
    let text = std::fs::read_to_string(profile.join("WebDriverBiDiServer.json")).ok()?;
    let said: Value = serde_json::from_str(&text).ok()?;
    let address = format!("{}:{}", said["ws_host"].as_str()?, said["ws_port"].as_u64()?);
    let stream = TcpStream::connect(&address).ok()?;
    // Longer than anything that tests wait for in one command.
    stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
    tungstenite::client(format!("ws://{address}/session"), stream).ok().map(|(socket, _)| socket)
}

#[async_trait]
impl Driven for Firefox {
    fn kind(&self) -> &'static str {
        "firefox"
    }

    async fn go(&self, url: &str) {
        self.command("browsingContext.navigate", json!({"url": url, "wait": "complete"}));
    }

    async fn back(&self) {
        self.command("browsingContext.traverseHistory", json!({"delta": -1}));
    }

    async fn reload(&self) {
        self.command("browsingContext.reload", json!({"wait": "complete"}));
    }

    async fn try_run(&self, script: &str) -> Option<Value> {
        let expression = format!("(async () => JSON.stringify(await (async () => {{{script}}})() ?? null))()");
        let parameters = json!({
            "target": {"context": self.session.lock().unwrap().context()}, "expression": expression, "awaitPromise": true,
        });
        let answer = self.try_command("script.evaluate", parameters).ok()?;
        serde_json::from_str(answer["result"]["value"].as_str()?).ok()
    }

    async fn new_tab(&self) {
        let made = tokio::task::block_in_place(|| {
            self.session.lock().unwrap().command("browsingContext.create", &json!({"type": "tab"})).unwrap()
        });
        let mut session = self.session.lock().unwrap();
        session.tabs.push(made["context"].as_str().unwrap().to_owned());
        session.tab = session.tabs.len() - 1;
    }

    async fn tab(&self, number: usize) {
        self.session.lock().unwrap().tab = number;
        self.command("browsingContext.activate", json!({}));
    }

    async fn resize(&self, width: u32, height: u32) {
        self.command("browsingContext.setViewport", json!({"viewport": {"width": width, "height": height}}));
    }

    async fn shot(&self) -> Vec<u8> {
        let answer = self.command("browsingContext.captureScreenshot", json!({}));
        STANDARD.decode(answer["data"].as_str().unwrap()).unwrap()
    }
}
