//! A real Chromium, driven by WebDriver, and what tests ask of any browser.

use async_trait::async_trait;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use serde_json::{Value, json};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// What every start looks like: no display, no sandbox (tests run as root), no talk to anyone but us.
const ARGUMENTS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--window-size=1280,900",
];

/// What tests ask of any browser.
#[async_trait]
pub trait Driven: Sync {
    /// How pictures of it are called.
    fn kind(&self) -> &'static str;

    /// Opens a page and waits until it is loaded.
    async fn go(&self, url: &str);

    /// Presses Back.
    async fn back(&self);

    /// Loads the page again.
    async fn reload(&self);

    /// Runs the body of a function in the page; what it returns. None while the page is being replaced.
    async fn try_run(&self, script: &str) -> Option<Value>;

    /// Opens another tab and goes on in it.
    async fn new_tab(&self);

    /// Goes on in the tab of this number, from 0 in the order of their opening.
    async fn tab(&self, number: usize);

    /// Gives the page so many pixels of CSS.
    async fn resize(&self, width: u32, height: u32);

    /// A picture of the page: PNG.
    async fn shot(&self) -> Vec<u8>;

    /// Waits until the expression is true. Fails after a minute with the page's text.
    async fn until(&self, expression: &str) {
        let script = format!("return Boolean({expression})");
        for _ in 0..600 {
            if self.try_run(&script).await == Some(json!(true)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let text = self.try_run("return document.documentElement.innerText").await;
        panic!("never true: {expression}\non the page: {text:?}");
    }

    /// The text that a person sees.
    async fn text(&self) -> String {
        self.try_run("return document.body.innerText").await.unwrap().as_str().unwrap().to_owned()
    }

    /// Keeps a picture under target/screenshots, for people to look at.
    async fn keep(&self, name: &str) {
        let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
        std::fs::create_dir_all(&directory).unwrap();
        let name = format!("{name}-{}.png", self.kind());
        std::fs::write(directory.join(name), self.shot().await).unwrap();
    }

    /// What axe-core finds on the page that shuts people out: `rule: what it is about`.
    async fn barriers(&self) -> Vec<String> {
        let axe = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/node_modules/axe-core/axe.min.js");
        let axe = std::fs::read_to_string(axe).expect("axe-core is there (npm ci --prefix tests/e2e)");
        let script = format!(
            "{axe};\nconst found = await axe.run(document, {{resultTypes: ['violations']}});\n\
             return found.violations.flatMap(v => v.nodes.map(n => `${{v.id}}: ${{n.html.slice(0, 200)}} ${{n.failureSummary}}`))"
        );
        let found = self.try_run(&script).await.expect("axe-core has run");
        found.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
    }
}

/// A command of Chromium's own protocol.
#[derive(Debug)]
struct Cdp(Value);

impl WebDriverCompatibleCommand for Cdp {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.0.to_string()))
    }
}

/// A browser with a profile of its own. It ends with the value.
pub struct Browser {
    pub page: Client,
    driver: Child,
    profile: TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        // The driver leaves its browser behind.
        let pattern = format!("user-data-dir={}", self.profile.path().display());
        let _ = Command::new("pkill").args(["-KILL", "-f", &pattern]).status();
    }
}

impl Browser {
    /// Starts a browser with some more arguments.
    pub async fn start(more: &[&str]) -> Browser {
        Browser::with(more, json!({})).await
    }

    /// Starts a browser with some more arguments and with preferences.
    pub async fn with(more: &[&str], preferences: Value) -> Browser {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed (apt-get install chromium chromium-driver)");
        let profile = TempDir::new().unwrap();
        let mut arguments: Vec<String> = ARGUMENTS.iter().chain(more).map(|text| (*text).to_owned()).collect();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let options = json!({"binary": "/usr/bin/chromium", "args": arguments, "prefs": preferences});
        let capabilities = json!({"goog:chromeOptions": options}).as_object().unwrap().clone();
        let mut builder = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new());
        builder.capabilities(capabilities);
        let mut error = None;
        for _ in 0..100 {
            match builder.connect(&format!("http://127.0.0.1:{port}")).await {
                Ok(page) => return Browser { page, driver, profile },
                Err(failed) => error = Some(failed),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("no session with chromedriver: {error:?}");
    }

    /// Sends a command of Chromium's own protocol; its result.
    pub async fn cdp(&self, method: &str, parameters: Value) -> Value {
        self.page.issue_cmd(Cdp(json!({"cmd": method, "params": parameters}))).await.unwrap()
    }

    /// Has a script run in every page before its own.
    pub async fn inject(&self, script: &str) {
        self.cdp("Page.addScriptToEvaluateOnNewDocument", json!({"source": script})).await;
    }

    /// Has pages think that the user prefers dark colours, or light ones.
    pub async fn prefer(&self, scheme: &str) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.cdp("Emulation.setEmulatedMedia", features).await;
    }

    /// Runs a script; what it returns.
    pub async fn run(&self, script: &str) -> serde_json::Value {
        self.page.execute(script, Vec::new()).await.unwrap()
    }

    /// Keeps a picture under target/screenshots, for people to look at.
    pub async fn picture(&self, name: &str) {
        let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(format!("{name}.png")), self.page.screenshot().await.unwrap()).unwrap();
    }
}

#[async_trait]
impl Driven for Browser {
    fn kind(&self) -> &'static str {
        "chromium"
    }

    async fn go(&self, url: &str) {
        self.page.goto(url).await.unwrap();
    }

    async fn back(&self) {
        self.page.back().await.unwrap();
    }

    async fn reload(&self) {
        self.page.refresh().await.unwrap();
    }

    async fn try_run(&self, script: &str) -> Option<Value> {
        self.page.execute(script, Vec::new()).await.ok()
    }

    async fn new_tab(&self) {
        let tab = self.page.new_window(true).await.unwrap().handle;
        self.page.switch_to_window(tab).await.unwrap();
    }

    async fn tab(&self, number: usize) {
        let tab = self.page.windows().await.unwrap().into_iter().nth(number).unwrap();
        self.page.switch_to_window(tab).await.unwrap();
    }

    async fn resize(&self, width: u32, height: u32) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.cdp("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    async fn shot(&self) -> Vec<u8> {
        self.page.screenshot().await.unwrap()
    }
}
