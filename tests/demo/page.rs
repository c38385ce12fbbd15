//! The page, as people use it, with two web processes.

use crate::browser::Browser;
use crate::support::*;
use std::path::PathBuf;
use thirtyfour::Key;

pub const ORIGIN: &str = "http://app.localhost";
pub const BURST: &str = "document.getElementById('burst-result').textContent";

/// The console's error when the session is revoked before the response to the page's poll.
const POLL_401: &str = "/api/v1/live - Failed to load resource: the server responded with a status of 401";

/// Two web processes behind a load balancer, and a worker.
pub struct Stage {
    balancer: Balancer,
    pub webs: [Process; 2],
    _worker: Process,
    pub deploy: Deploy,
}

impl Stage {
    pub async fn new() -> Self {
        Self::with(Deploy::new().await).await
    }

    pub async fn with(deploy: Deploy) -> Self {
        let deploy = deploy.with("PUBLIC_URL", ORIGIN);
        let (webs, worker) = ([deploy.web().await, deploy.web().await], deploy.worker());
        let balancer = Balancer::start(&[webs[0].port(), webs[1].port()]).await;
        balancer.until_instances(2).await;
        Self { balancer, webs, _worker: worker, deploy }
    }

    pub async fn browser(&self) -> Browser {
        let browser = Browser::start(self.balancer.port).await;
        browser.open(ORIGIN).await;
        browser.shows("#services", "Postgres").await;
        browser
    }

    /// An account that is created through the API, not through the page.
    pub async fn account(&self) -> Account {
        let (client, account) = (Client::new(), Account::new());
        let sign_up = client.sign_up(&self.webs[0], &account).await;
        assert_eq!(sign_up.status, 202, "{}", sign_up.text);
        let link = link(&account).await;
        let (_, token) = link.split_once('#').expect("a token");
        assert_eq!(client.confirm(&self.webs[1], token, &account.password).await.status, 204);
        account
    }
}

/// The link in the first email to an account.
pub async fn link(account: &Account) -> String {
    let emails = mail::emails(&account.email, 1).await;
    link_in(&emails[0])
}

/// The link in an email.
pub fn link_in(email: &Value) -> String {
    let text = email["text"].as_str().expect("a text");
    let link = text.split_whitespace().find(|word| word.starts_with(ORIGIN));
    link.expect("a link to the page").to_owned()
}

/// Chooses the password on the page that a link has opened.
pub async fn choose_password(browser: &Browser, account: &Account) {
    browser.fill("#password", &account.password).await;
    browser.click("#verify button").await;
    browser.shows("#status", "confirmed").await;
}

/// Signs up on the page, until the email is sent.
pub async fn sign_up(browser: &Browser, account: &Account) {
    browser.fill("#new-email", &account.email).await;
    browser.click("#sign-up-form button").await;
    browser.shows("[data-view=check-email]", &account.email).await;
}

pub async fn sign_in(browser: &Browser, account: &Account) {
    browser.open(&format!("{ORIGIN}/#sign-in")).await;
    browser.fill("#email", &account.email).await;
    browser.fill("#password", &account.password).await;
    browser.click("#sign-in-form button").await;
    browser.shows("h1", "Your notes").await;
}

pub async fn add_note(browser: &Browser, title: &str) {
    browser.fill("#new-note-title", title).await;
    browser.fill("#new-note-body", "Some words").await;
    browser.click("#new-note button").await;
    browser.shows(".note h3", title).await;
}

/// An image file with a color gradient.
pub fn image_file(deploy: &Deploy) -> PathBuf {
    let file = deploy.dir().join("image.png");
    let color = |x: u32, y: u32| image::Rgb([(x / 4) as u8, (y / 4) as u8, 160]);
    image::RgbImage::from_fn(960, 720, color).save(&file).expect("a file");
    file
}

#[tokio::test]
async fn a_new_user_signs_up_and_adds_an_image() {
    let stage = Stage::new().await;
    let (browser, ada) = (stage.browser().await, Account::new());
    browser.screenshot("welcome").await;

    sign_up(&browser, &ada).await;
    browser.screenshot("email-sent").await;
    browser.open(&link(&ada).await).await;
    browser.screenshot("verify").await;
    choose_password(&browser, &ada).await;
    browser.click("#next a").await;
    browser.wait_for(&format!("document.getElementById('email')?.value === {}", json!(ada.email))).await;
    browser.fill("#password", &ada.password).await;
    browser.click("#sign-in-form button").await;
    browser.shows("#who", &ada.email).await;

    add_note(&browser, "Lisbon, in spring").await;
    add_note(&browser, "<img src=x onerror=alert(1)>").await;
    browser.choose("[aria-label='Add an image of “Lisbon, in spring”']", &image_file(&stage.deploy)).await;
    browser.wait_for("document.querySelector('.note img')?.naturalWidth === 320").await; // the width of the preview
    browser.wait_for("!document.querySelector('img[src=x]')").await;

    browser.fill("#q", "lisbon").await;
    browser.shows("#found", "1 note with “lisbon”").await;
    browser.hides("#new-note").await;
    browser.hides("[aria-label^='Edit “<img']").await;
    browser.fill("#q", " ").await;
    browser.shows("#found", "2 notes").await;

    browser.click("[aria-label='Edit “Lisbon, in spring”']").await;
    browser.fill("#edit-title", "Lisbon, in autumn").await;
    browser.click("#edit-note button:not([type])").await;
    browser.shows(".note h3", "Lisbon, in autumn").await;

    browser.click("#burst").await;
    browser.wait_for(&format!("{BURST}.includes('100 responses from 2 instances, none failed')")).await;
    browser
        .wait_for(
            "document.querySelectorAll('#strip .i0').length > 9 && document.querySelectorAll('#strip .i1').length > 9",
        )
        .await;
    browser.screenshot("notes").await;

    browser.click("[aria-label='Delete “Lisbon, in autumn”']").await;
    browser.click("#remove-note .danger").await;
    browser.hides("[aria-label='Delete “Lisbon, in autumn”']").await;
    browser.has_no_errors(&[]).await;
}

#[tokio::test]
async fn a_note_changed_in_another_window_is_not_overwritten() {
    let stage = Stage::new().await;
    let (browser, ada) = (stage.browser().await, stage.account().await);
    sign_in(&browser, &ada).await;
    add_note(&browser, "First").await;

    browser.click("[aria-label='Edit “First”']").await;
    browser.wait_for("document.getElementById('editor').open").await;
    let other = Client::new();
    assert_eq!(other.sign_in(&stage.webs[0], &ada).await.status, 201);
    let notes = other.get(&stage.webs[0], "/api/v1/notes").await;
    let path = format!("/api/v1/notes/{}", notes.body["items"][0]["id"].as_str().expect("an id"));
    assert_eq!(other.patch(&stage.webs[1], &path, json!({ "title": "Theirs" })).await.status, 200);
    browser.fill("#edit-title", "Mine").await;
    browser.click("#edit-note button:not([type])").await;

    browser.shows("#conflict", "This note was changed").await;
    browser.screenshot("conflict").await;
    assert_eq!(other.get(&stage.webs[0], &path).await.body["title"], "Theirs");
    browser.click("#keep-mine").await;
    browser.shows(".note h3", "Mine").await;
    browser.has_no_errors(&["412 (Precondition Failed)"]).await;
}

#[tokio::test]
async fn an_invalid_field_shows_its_error_beside_it() {
    let stage = Stage::new().await;
    let (browser, ada) = (stage.browser().await, Account::new());

    browser.fill("#new-email", "ada").await;
    browser.click("#sign-up-form button").await;

    browser.shows("#new-email-error", "It is not an email address.").await;
    browser.wait_for("document.querySelector('#sign-up-form .trouble').textContent === ''").await;
    browser.wait_for("document.activeElement.id === 'new-email'").await;
    sign_up(&browser, &ada).await;

    browser.open(&link(&ada).await).await;
    browser.click("#verify button").await;
    browser.shows("#password-error", "Type a new password.").await;
    browser.fill("#password", "short").await;
    browser.click("#verify button").await;
    browser.shows("#password-error", "It must have").await;
    browser.wait_for("document.activeElement.id === 'password'").await;
    choose_password(&browser, &ada).await;
    browser.has_no_errors(&["422 (Unprocessable"]).await;
}

#[tokio::test]
async fn an_unconfirmed_user_can_request_another_email() {
    let stage = Stage::new().await;
    let (browser, ada) = (stage.browser().await, Account::new());
    browser.open(&format!("{ORIGIN}/#sign-in")).await;
    browser.click("#sign-in-form button").await;
    browser.shows("#password-error", "Type your password.").await;
    browser.has_no_errors(&[]).await; // No request was sent.

    browser.fill("#email", &ada.email).await;
    browser.fill("#password", &ada.password).await;
    browser.hides("#confirm-again").await;
    browser.click("#sign-in-form button").await;
    browser.shows("#sign-in-form .trouble", "The email or the password is wrong.").await;
    browser.click("#sign-in-form .trouble #confirm-again").await;
    browser.shows("[data-view=check-email]", &ada.email).await;
    browser.has_no_errors(&["401 (Unauthorized)"]).await;

    let link = link(&ada).await;
    browser.open(&link).await;
    choose_password(&browser, &ada).await;
    browser.reload().await;
    browser.shows("#status", "confirmed").await;
    browser.hides("#again").await;
    browser.open(&format!("{ORIGIN}/health/live")).await;
    browser.open(&link).await;
    browser.fill("#password", &ada.password).await;
    browser.click("#verify button").await;
    browser.shows("#status", "This link has been used").await;
    browser.hides("#verify").await;
    browser.shows("#again", "Sign up again").await;
    browser.click("#next .button").await;
    browser.shows("h2", "Sign in").await;
    browser.has_no_errors(&["422 (Unprocessable"]).await;
}

#[tokio::test]
async fn signing_out_everywhere_signs_out_the_other_browser() {
    let stage = Stage::new().await;
    let (laptop, phone, ada) = (stage.browser().await, stage.browser().await, stage.account().await);
    sign_in(&laptop, &ada).await;
    sign_in(&phone, &ada).await;
    laptop.shows("#sign-out-all", "2 devices, including this one").await;

    laptop.click("#sign-out-all").await;

    laptop.shows("#message", "You have signed out on every device.").await;
    phone.shows("#message", "You have been signed out").await;
    phone.hides("[data-view=notes]").await;
    laptop.has_no_errors(&[POLL_401]).await;
    phone.has_no_errors(&[POLL_401]).await;
}

/// Presses Tab until the element has the focus. Each focused element on the way must have a visible outline.
async fn tab_to(browser: &Browser, selector: &str) {
    let is_focused = format!("return document.activeElement.matches({})", json!(selector));
    for _ in 0..80 {
        if browser.run(&is_focused).await == true {
            return;
        }
        browser.press(Key::Tab).await;
        let without_outline = "const at = document.activeElement.closest('.file') ?? document.activeElement;
            return at === document.body || getComputedStyle(at).outlineStyle !== 'none' ? '' : at.outerHTML";
        assert_eq!(browser.run(without_outline).await, "", "the focus is invisible");
    }
    panic!("the Tab key does not reach {selector}");
}

#[tokio::test]
async fn the_page_works_with_the_keyboard_alone() {
    let stage = Stage::new().await;
    let (browser, ada) = (stage.browser().await, Account::new());

    tab_to(&browser, "#new-email").await;
    browser.press(ada.email.as_str() + Key::Enter).await;
    browser.shows("[data-view=check-email]", &ada.email).await;
    browser.open(&link(&ada).await).await;
    browser.wait_for("document.activeElement.matches('#password')").await;
    browser.press(ada.password.as_str() + Key::Enter).await;
    browser.shows("#status", "confirmed").await;
    tab_to(&browser, "#next a").await;
    browser.press(Key::Enter).await;
    browser.wait_for("document.getElementById('email')?.value").await;
    tab_to(&browser, "#password").await;
    browser.press(ada.password.as_str() + Key::Enter).await;
    browser.shows("h1", "Your notes").await;

    tab_to(&browser, "#new-note-title").await;
    browser.press("By hand" + Key::Tab + "Word by word").await;
    tab_to(&browser, "#new-note button").await;
    browser.press(Key::Enter).await;
    browser.shows(".note h3", "By hand").await;
    tab_to(&browser, "[aria-label='Edit “By hand”']").await;
    browser.press(Key::Enter).await;
    browser.wait_for("document.activeElement.id === 'edit-title'").await;
    browser.press("!" + Key::Enter).await;
    browser.shows(".note h3", "!").await;
    browser.wait_for("document.activeElement.matches('.note [aria-label^=Edit]')").await;
    tab_to(&browser, ".note [aria-label^=Delete]").await;
    browser.press(Key::Enter).await;
    browser.wait_for("document.activeElement.matches('#remover [data-close]')").await;
    browser.press(Key::Escape).await;
    browser.wait_for("document.activeElement.matches('.note [aria-label^=Delete]')").await;
    tab_to(&browser, "#sign-out").await;
    browser.press(Key::Enter).await;
    browser.shows("#message", "You have signed out.").await;
    browser.has_no_errors(&[POLL_401]).await;
}
