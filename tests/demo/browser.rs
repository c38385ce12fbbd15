//! A browser as people have one: Chromium, driven by thirtyfour through a chromedriver of its own.

use crate::support::{Duration, Value, closed_port, json, random, until};
use rustix::process::{Pid, Signal, getuid, kill_process_group};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use thirtyfour::{LoggingPrefsLogLevel, TypingData, prelude::*};

/// How long the page may take for anything: browsers are slow where many of them share a machine.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A browser with a profile of its own, closed when dropped.
pub struct Browser {
    /// Dropped before the chromedriver, which closes the browser for it.
    page: WebDriver,
    _driver: Chromedriver,
}

impl Browser {
    /// A browser for which `http://app.localhost` is at a port of this machine.
    pub async fn before(port: u16) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let driver = Chromedriver::start();
        let rules = format!("--host-resolver-rules=MAP app.localhost 127.0.0.1:{port}");
        let mut args = vec!["--headless=new", "--window-size=1280,1000", "--disable-dev-shm-usage", &rules];
        if getuid().is_root() {
            args.push("--no-sandbox"); // Chromium refuses root a sandbox.
        }
        let mut wanted = DesiredCapabilities::chrome();
        wanted.set_browser_option("args", args).expect("a capability");
        wanted.set_browser_log_level(LoggingPrefsLogLevel::All).expect("a capability");
        // No idle connections: on drop, one would wait for the test's runtime, which waits for the drop.
        let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).pool_max_idle_per_host(0).build();
        let page = WebDriver::builder(format!("http://127.0.0.1:{}", driver.port), wanted);
        Self { page: page.client(client.expect("a client")).await.expect("a session"), _driver: driver }
    }

    pub async fn open(&self, url: &str) {
        self.page.goto(url).await.expect("the page is opened");
    }

    /// Loads the page anew.
    pub async fn reload(&self) {
        self.page.refresh().await.expect("the page is reloaded");
    }

    /// What a function's body returns in the page.
    pub async fn run(&self, script: &str) -> Value {
        let returned = self.page.execute(script, []).await;
        returned.unwrap_or_else(|error| panic!("{script}: {error}")).json().clone()
    }

    /// Waits until an expression holds in the page; answers its value.
    pub async fn sees(&self, expression: &str) -> Value {
        let script = format!("return {expression}");
        let seen = until(expression, TIMEOUT, async || {
            let value = self.run(&script).await;
            (!matches!(value, Value::Null | Value::Bool(false)) && value != "").then_some(value)
        });
        if let Ok(value) = tokio::time::timeout(TIMEOUT - Duration::from_secs(1), seen).await {
            return value;
        }
        // What the page looked like instead tells more than the expression.
        let test = std::thread::current().name().unwrap_or_default().replace("::", "-");
        self.screenshot(&format!("failed-{test}")).await;
        let text = self.run("return document.body.innerText").await;
        panic!("the page never had {expression}, but: {text}\n{:#?}", self.page.browser_log().await);
    }

    /// Waits until the page shows an element that has this text in it.
    pub async fn reads(&self, selector: &str, text: &str) {
        let shown = shown(selector);
        self.sees(&format!("{shown}.some((e) => e.textContent.includes({}))", json!(text))).await;
    }

    /// Waits until the page shows no such element.
    pub async fn misses(&self, selector: &str) {
        self.sees(&format!("!{}.length", shown(selector))).await;
    }

    /// Waits for the first element of a list of them.
    async fn first(&self, elements: &str) -> WebElement {
        let found = self.sees(&format!("{elements}[0]")).await;
        WebElement::from_json(found, self.page.handle().clone()).expect("an element")
    }

    /// Clicks as a person does: what is covered or moves cannot be clicked.
    pub async fn click(&self, selector: &str) {
        let (what, shown) = (format!("{selector} can be clicked"), shown(selector));
        until(&what, TIMEOUT, async || self.first(&shown).await.click().await.ok()).await;
    }

    /// Replaces what stands in a field.
    pub async fn fill(&self, selector: &str, text: &str) {
        let field = self.first(&shown(selector)).await;
        field.clear().await.expect("the field is cleared");
        field.send_keys(text).await.expect("the field is filled");
    }

    /// Chooses a file in a field for one, which may be unseen.
    pub async fn choose(&self, selector: &str, file: &Path) {
        let field = self.first(&format!("document.querySelectorAll({})", json!(selector))).await;
        field.send_keys(file.to_str().expect("UTF-8")).await.expect("the file is chosen");
    }

    /// Presses keys, one after the other, wherever the focus is.
    pub async fn press(&self, keys: impl Into<TypingData>) {
        self.page.action_chain().send_keys(keys).perform().await.expect("the keys are pressed");
    }

    /// Asserts that nothing went wrong in the page: no script failed, no policy was broken, no request was
    /// refused but those whose message `expected` knows.
    pub async fn is_content(&self, expected: &[&str]) {
        let mut wrong = self.page.browser_log().await.expect("the console's log");
        wrong.retain(|entry| matches!(entry.level.as_str(), "SEVERE" | "WARNING"));
        wrong.retain(|entry| !expected.iter().any(|text| entry.message.contains(text)));
        assert!(wrong.is_empty(), "the console says {wrong:#?}");
    }

    /// Keeps what the page looks like in `target/screenshots`.
    pub async fn screenshot(&self, name: &str) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("screenshots");
        std::fs::create_dir_all(&folder).expect("a folder");
        self.page.screenshot(&folder.join(format!("{name}.png"))).await.expect("a screenshot");
    }
}

/// The visible elements, as an expression.
fn shown(selector: &str) -> String {
    format!("[...document.querySelectorAll({})].filter((e) => e.checkVisibility())", json!(selector))
}

/// A chromedriver that leads a process group: no browser is left when it is dropped.
struct Chromedriver {
    process: Child,
    port: u16,
    /// The profile, and whatever else a browser leaves lying about.
    dir: PathBuf,
}

impl Chromedriver {
    /// On a port of ours: chromedriver's own choice may be free at `::1` alone, and then it exits.
    fn start() -> Self {
        let (port, dir) = (closed_port(), std::env::temp_dir().join(format!("app-test-{}", random())));
        std::fs::create_dir(&dir).expect("a directory");
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}")).env("TMPDIR", &dir).process_group(0);
        let started = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut process = started.expect("install chromium and chromium-driver, or run script/test, which does");
        let out = BufReader::new(process.stdout.take().expect("stdout is piped"));
        let driver = Self { process, port, dir };
        let listens = out.lines().map_while(Result::ok).any(|line| line.contains("started successfully"));
        assert!(listens, "chromedriver does not start on port {port}");
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
