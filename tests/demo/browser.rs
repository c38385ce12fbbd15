//! A browser as people have one: Chromium, driven by the WebDriver protocol through a chromedriver of its own.

use crate::support::{Duration, SOON, Value, closed_port, json, random, until};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// How long the page may take for anything: browsers are slow where many of them share a machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The key of a reference to an element, from the protocol.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// The keys that have no character.
pub const TAB: char = '\u{e004}';
pub const ENTER: char = '\u{e007}';
pub const ESCAPE: char = '\u{e00c}';

/// A browser with a profile of its own, gone when dropped.
pub struct Browser {
    http: reqwest::Client,
    session: String,
    driver: Child,
    /// The profile, and whatever else a browser leaves lying about.
    dir: PathBuf,
}

impl Browser {
    /// A browser for which `http://app.localhost` is at a port of this machine.
    pub async fn before(port: u16) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let dir = std::env::temp_dir().join(format!("app-test-{}", random()));
        std::fs::create_dir(&dir).expect("a directory");
        let (driver, driver_port) = start(&dir);
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client");
        let mut args = vec![
            "--headless=new".to_owned(),
            "--window-size=1280,1000".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            format!("--host-resolver-rules=MAP app.localhost 127.0.0.1:{port}"),
        ];
        if rustix::process::getuid().is_root() {
            args.push("--no-sandbox".to_owned()); // Chromium refuses root a sandbox.
        }
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": args },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        // Dropped, and with it the driver ended, if there is no session.
        let mut browser = Self { http, session: format!("http://127.0.0.1:{driver_port}/session"), driver, dir };
        let opened = browser.command("POST", "", wanted).await;
        browser.session = format!("{}/{}", browser.session, opened["sessionId"].as_str().expect("a session"));
        browser
    }

    /// What a command answers, or what it complains of.
    async fn try_command(&self, method: &str, path: &str, body: Value) -> Result<Value, String> {
        let method = method.parse().expect("a method");
        let mut request = self.http.request(method, format!("{}{path}", self.session));
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("chromedriver answers");
        let (well, mut body): (bool, Value) = (answer.status().is_success(), answer.json().await.expect("JSON"));
        if well { Ok(body["value"].take()) } else { Err(body["value"]["message"].to_string()) }
    }

    async fn command(&self, method: &str, path: &str, body: Value) -> Value {
        self.try_command(method, path, body).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub async fn open(&self, url: &str) {
        self.command("POST", "/url", json!({ "url": url })).await;
    }

    /// Loads the page anew.
    pub async fn reload(&self) {
        self.command("POST", "/refresh", json!({})).await;
    }

    /// What a function's body returns in the page.
    pub async fn run(&self, script: &str) -> Value {
        self.command("POST", "/execute/sync", json!({ "script": script, "args": [] })).await
    }

    /// Waits until an expression holds in the page; answers its value.
    pub async fn sees(&self, expression: &str) -> Value {
        let script = format!("return {expression}");
        let seen = async {
            until(expression, PATIENCE, async || {
                let value = self.run(&script).await;
                (!matches!(value, Value::Null | Value::Bool(false)) && value != "").then_some(value)
            })
            .await
        };
        // What the page looked like instead tells more than the expression.
        match tokio::time::timeout(PATIENCE - Duration::from_secs(1), seen).await {
            Ok(value) => value,
            Err(_) => {
                let test = std::thread::current().name().unwrap_or_default().replace("::", "-");
                self.screenshot(&format!("failed-{test}")).await;
                let text = self.run("return document.body.innerText").await;
                panic!("the page never had {expression}, but: {text}\n{:#?}", self.log().await);
            }
        }
    }

    /// Waits until the page shows an element that has this text in it.
    pub async fn reads(&self, selector: &str, text: &str) {
        let (selector, text) = (json!(selector), json!(text));
        self.sees(&format!(
            "[...document.querySelectorAll({selector})].some((e) => e.checkVisibility() && e.textContent.includes({text}))"
        ))
        .await;
    }

    /// Waits until the page shows no such element.
    pub async fn misses(&self, selector: &str) {
        let selector = json!(selector);
        self.sees(&format!("![...document.querySelectorAll({selector})].some((e) => e.checkVisibility())")).await;
    }

    /// The first visible element.
    async fn element(&self, selector: &str) -> String {
        let selector = json!(selector);
        let shown = format!("[...document.querySelectorAll({selector})].find((e) => e.checkVisibility())");
        let found = self.sees(&shown).await;
        found[ELEMENT].as_str().expect("an element").to_owned()
    }

    /// Clicks as a person does: what is covered or moves cannot be clicked.
    pub async fn click(&self, selector: &str) {
        until(&format!("{selector} can be clicked"), PATIENCE, async || {
            let id = self.element(selector).await;
            self.try_command("POST", &format!("/element/{id}/click"), json!({})).await.ok()
        })
        .await;
    }

    /// Replaces what stands in a field.
    pub async fn fill(&self, selector: &str, text: &str) {
        let id = self.element(selector).await;
        self.command("POST", &format!("/element/{id}/clear"), json!({})).await;
        self.command("POST", &format!("/element/{id}/value"), json!({ "text": text })).await;
    }

    /// Chooses a file in a field for one, which may be unseen.
    pub async fn choose(&self, selector: &str, file: &Path) {
        let selector = json!(selector);
        let found = self.sees(&format!("document.querySelector({selector})")).await;
        let id = found[ELEMENT].as_str().expect("an element");
        self.command("POST", &format!("/element/{id}/value"), json!({ "text": file })).await;
    }

    /// Presses keys, one after the other, wherever the focus is.
    pub async fn press(&self, keys: impl AsRef<str>) {
        let strokes = keys
            .as_ref()
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key })));
        let actions =
            json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": strokes.collect::<Vec<_>>() }] });
        self.command("POST", "/actions", actions).await;
    }

    /// What the console said since it was last asked.
    async fn log(&self) -> Vec<Value> {
        let entries = self.command("POST", "/se/log", json!({ "type": "browser" })).await;
        entries.as_array().expect("entries").clone()
    }

    /// Asserts that nothing went wrong in the page: no script failed, no policy was broken, no request was
    /// refused but those whose message `expected` knows.
    pub async fn is_content(&self, expected: &[&str]) {
        let wrong: Vec<Value> = self
            .log()
            .await
            .into_iter()
            .filter(|entry| matches!(entry["level"].as_str(), Some("SEVERE" | "WARNING")))
            .filter(|entry| !expected.iter().any(|text| entry["message"].to_string().contains(text)))
            .collect();
        assert!(wrong.is_empty(), "the console says {wrong:#?}");
    }

    /// Keeps what the page looks like in `target/screenshots`.
    pub async fn screenshot(&self, name: &str) {
        let image = self.command("GET", "/screenshot", Value::Null).await;
        let image = STANDARD.decode(image.as_str().expect("base64")).expect("base64");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("screenshots");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join(format!("{name}.png")), image).expect("a file");
    }
}

/// Starts a chromedriver, on a port that is given: it would choose any that is free at `::1`, and exit where that of
/// 127.0.0.1 is not.
fn start(dir: &Path) -> (Child, u16) {
    let port = closed_port();
    let mut driver = Command::new("chromedriver")
        .arg(format!("--port={port}"))
        .env("TMPDIR", dir)
        .process_group(0)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromedriver starts: install chromium and chromium-driver, or run script/test, which does");
    let out = BufReader::new(driver.stdout.take().expect("stdout is piped"));
    let started = out.lines().map_while(Result::ok).any(|line| line.contains("started successfully"));
    assert!(started, "chromedriver does not start on port {port}");
    (driver, port)
}

impl Drop for Browser {
    fn drop(&mut self) {
        let session = self.session.clone();
        // A runtime cannot wait inside the runtime of a test, nor can that one's client be used meanwhile.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let http = reqwest::Client::builder().no_proxy().timeout(SOON).build().expect("a client");
                http.delete(session).send().await.ok();
            });
        });
        thread.join().ok();
        // The group is the driver's own: no browser of it stays behind.
        let group = i32::try_from(self.driver.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(group) = group {
            rustix::process::kill_process_group(group, rustix::process::Signal::KILL).ok();
        }
        self.driver.wait().ok();
        std::fs::remove_dir_all(&self.dir).ok();
    }
}
