//! A real browser: Chromium, driven by thirtyfour through chromedriver.

use crate::support::{Duration, Value, closed_port, json, random, until};
use rustix::process::{Pid, Signal, getuid, kill_process_group};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use thirtyfour::{LoggingPrefsLogLevel, TypingData, prelude::*};

/// The timeout of every step: browsers are slow when many of them share a machine.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A browser with its own profile, closed when dropped.
pub struct Browser {
    /// Dropped before the chromedriver, which closes the browser.
    page: WebDriver,
    _driver: Chromedriver,
}

impl Browser {
    /// Starts a browser that resolves `http://app.localhost` to a port of this machine.
    pub async fn start(port: u16) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let driver = Chromedriver::start();
        let rules = format!("--host-resolver-rules=MAP app.localhost 127.0.0.1:{port}");
        let mut args = vec!["--headless=new", "--window-size=1280,1000", "--disable-dev-shm-usage", &rules];
        if getuid().is_root() {
            args.push("--no-sandbox"); // Chromium does not run as root with a sandbox.
        }
        let mut capabilities = DesiredCapabilities::chrome();
        capabilities.set_browser_option("args", args).expect("a capability");
        capabilities.set_browser_log_level(LoggingPrefsLogLevel::All).expect("a capability");
        // No idle connections: dropping one waits for the test's runtime, which waits for the drop.
        let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).pool_max_idle_per_host(0).build();
        let page = WebDriver::builder(format!("http://127.0.0.1:{}", driver.port), capabilities);
        Self { page: page.client(client.expect("a client")).await.expect("a session"), _driver: driver }
    }

    pub async fn open(&self, url: &str) {
        self.page.goto(url).await.expect("the page is loaded");
    }

    /// Reloads the page.
    pub async fn reload(&self) {
        self.page.refresh().await.expect("the page is reloaded");
    }

    /// Runs the body of a JavaScript function in the page and returns its result.
    pub async fn run(&self, script: &str) -> Value {
        let result = self.page.execute(script, []).await;
        result.unwrap_or_else(|error| panic!("{script}: {error}")).json().clone()
    }

    /// Waits until a JavaScript expression is truthy in the page and returns its value.
    pub async fn wait_for(&self, expression: &str) -> Value {
        let script = format!("return {expression}");
        let value = until(expression, TIMEOUT, async || {
            let value = self.run(&script).await;
            (!matches!(value, Value::Null | Value::Bool(false)) && value != "").then_some(value)
        });
        if let Ok(value) = tokio::time::timeout(TIMEOUT - Duration::from_secs(1), value).await {
            return value;
        }
        // A screenshot and the page's text explain the failure.
        let test = std::thread::current().name().unwrap_or_default().replace("::", "-");
        self.screenshot(&format!("failed-{test}")).await;
        let text = self.run("return document.body.innerText").await;
        panic!("timed out waiting for {expression}; the page has: {text}\n{:#?}", self.page.browser_log().await);
    }

    /// Waits until a visible element contains this text.
    pub async fn shows(&self, selector: &str, text: &str) {
        let visible = visible(selector);
        self.wait_for(&format!("{visible}.some((e) => e.textContent.includes({}))", json!(text))).await;
    }

    /// Waits until no such element is visible.
    pub async fn hides(&self, selector: &str) {
        self.wait_for(&format!("!{}.length", visible(selector))).await;
    }

    /// Waits for the first element of a list, which is a JavaScript expression.
    async fn first(&self, elements: &str) -> WebElement {
        let found = self.wait_for(&format!("{elements}[0]")).await;
        WebElement::from_json(found, self.page.handle().clone()).expect("an element")
    }

    /// Clicks with the mouse: an element that is covered or moves cannot be clicked.
    pub async fn click(&self, selector: &str) {
        let (what, visible) = (format!("{selector} can be clicked"), visible(selector));
        until(&what, TIMEOUT, async || self.first(&visible).await.click().await.ok()).await;
    }

    /// Replaces the text of a field.
    pub async fn fill(&self, selector: &str, text: &str) {
        let field = self.first(&visible(selector)).await;
        field.clear().await.expect("the field is cleared");
        field.send_keys(text).await.expect("the field is filled");
    }

    /// Chooses a file in a file input, which may be invisible.
    pub async fn choose(&self, selector: &str, file: &Path) {
        let field = self.first(&format!("document.querySelectorAll({})", json!(selector))).await;
        field.send_keys(file.to_str().expect("UTF-8")).await.expect("the file is chosen");
    }

    /// Presses keys one after another in the focused element.
    pub async fn press(&self, keys: impl Into<TypingData>) {
        self.page.action_chain().send_keys(keys).perform().await.expect("the keys are pressed");
    }

    /// Asserts that the console has no errors or warnings (failed scripts, policy violations, failed requests),
    /// except those whose message contains one of `expected`.
    pub async fn has_no_errors(&self, expected: &[&str]) {
        let mut errors = self.page.browser_log().await.expect("the console's log");
        errors.retain(|entry| matches!(entry.level.as_str(), "SEVERE" | "WARNING"));
        errors.retain(|entry| !expected.iter().any(|text| entry.message.contains(text)));
        assert!(errors.is_empty(), "the console has {errors:#?}");
    }

    /// Saves a screenshot in `target/screenshots`.
    pub async fn screenshot(&self, name: &str) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("screenshots");
        std::fs::create_dir_all(&folder).expect("a folder");
        self.page.screenshot(&folder.join(format!("{name}.png"))).await.expect("a screenshot");
    }
}

/// A JavaScript expression for the visible elements.
fn visible(selector: &str) -> String {
    format!("[...document.querySelectorAll({})].filter((e) => e.checkVisibility())", json!(selector))
}

/// A chromedriver in its own process group, so that its drop kills the browser too.
struct Chromedriver {
    process: Child,
    port: u16,
    /// The browser's profile and temporary files.
    dir: PathBuf,
}

impl Chromedriver {
    /// Passes a free port: chromedriver's own choice may be free only on `::1`, and then it exits.
    fn start() -> Self {
        let (port, dir) = (closed_port(), std::env::temp_dir().join(format!("app-test-{}", random())));
        std::fs::create_dir(&dir).expect("a directory");
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}")).env("TMPDIR", &dir).process_group(0);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut process = child.expect("install chromium and chromium-driver, or run script/test, which does");
        let out = BufReader::new(process.stdout.take().expect("stdout is piped"));
        let driver = Self { process, port, dir };
        let listens = out.lines().map_while(Result::ok).any(|line| line.contains("started successfully"));
        assert!(listens, "chromedriver did not start on port {port}");
        driver
    }
}

impl Drop for Chromedriver {
    fn drop(&mut self) {
        kill_process_group(Pid::from_child(&self.process), Signal::KILL).ok();
        self.process.wait().ok();
        std::fs::remove_dir_all(&self.dir).ok();
    }
}
