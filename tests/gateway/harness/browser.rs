//! A real Chromium, driven by WebDriver.

use fantoccini::{Client, ClientBuilder};
use serde_json::json;
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
        let options = json!({"binary": "/usr/bin/chromium", "args": arguments});
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

    /// Runs a script; what it returns.
    pub async fn run(&self, script: &str) -> serde_json::Value {
        self.page.execute(script, Vec::new()).await.unwrap()
    }

    /// Waits until the expression is true. Fails after a minute with the page's text.
    pub async fn until(&self, expression: &str) {
        for _ in 0..600 {
            // While a page is being replaced there is nothing to ask.
            let value = self.page.execute(&format!("return Boolean({expression})"), Vec::new()).await;
            if value.is_ok_and(|value| value == json!(true)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let text = self.run("return document.documentElement.innerText").await;
        panic!("never true: {expression}\non the page: {text}");
    }

    /// Keeps a picture under target/screenshots, for people to look at.
    pub async fn picture(&self, name: &str) {
        let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(format!("{name}.png")), self.page.screenshot().await.unwrap()).unwrap();
    }
}
