//! The page before two webs, as the people who come to see it use it.

use crate::browser::Browser;
use crate::support::*;
use std::path::PathBuf;
use thirtyfour::Key;

pub const ORIGIN: &str = "http://app.localhost";
pub const BURST: &str = "document.getElementById('burst-result').textContent";

/// What the console says of the page's own poll when the session ends before it is answered.
const POLLED: &str = "/api/v1/live - Failed to load resource: the server responded with a status of 401";

/// Two webs behind a load balancer, and a worker.
pub struct Stage {
    balancer: Balancer,
    pub webs: [Process; 2],
    _worker: Process,
    pub deploy: Deploy,
}

impl Stage {
    pub async fn set() -> Self {
        Self::on(Deploy::new().await).await
    }

    pub async fn on(deploy: Deploy) -> Self {
        let deploy = deploy.with("PUBLIC_URL", ORIGIN);
        let (webs, worker) = ([deploy.web().await, deploy.web().await], deploy.worker());
        let balancer = Balancer::before(&[webs[0].port(), webs[1].port()]).await;
        balancer.sees(2).await;
        Self { balancer, webs, _worker: worker, deploy }
    }

    pub async fn browser(&self) -> Browser {
        let browser = Browser::before(self.balancer.port).await;
        browser.open(ORIGIN).await;
        browser.reads("#services", "Postgres").await;
        browser
    }

    /// An account, made past the page.
    pub async fn account(&self) -> Account {
        let (client, account) = (Client::new(), Account::new());
        let asked = client.post(&self.webs[0], "/api/v1/accounts", account.credentials()).await;
        assert_eq!(asked.status, 202, "{}", asked.text);
        let link = link(&account).await;
        let (_, token) = link.split_once('#').expect("a token");
        assert_eq!(client.confirm(&self.webs[1], token).await, 204);
        account
    }
}

/// The link in an account's first letter.
pub async fn link(account: &Account) -> String {
    let emails = mail::emails(&account.email, 1).await;
    let text = emails[0]["text"].as_str().expect("a text");
    let link = text.split_whitespace().find(|word| word.starts_with(ORIGIN));
    link.expect("a link to the page").to_owned()
}

/// Asks for an account by the page, up to the letter.
pub async fn sign_up(browser: &Browser, account: &Account) {
    browser.fill("#new-email", &account.email).await;
    browser.fill("#new-password", &account.password).await;
    browser.click("#sign-up-form button").await;
    browser.reads("[data-view=letter]", &account.email).await;
}

pub async fn sign_in(browser: &Browser, account: &Account) {
    browser.open(&format!("{ORIGIN}/#sign-in")).await;
    browser.fill("#email", &account.email).await;
    browser.fill("#password", &account.password).await;
    browser.click("#sign-in-form button").await;
    browser.reads("h1", "Your notes").await;
}

pub async fn add_note(browser: &Browser, title: &str) {
    browser.fill("#new-note-title", title).await;
    browser.fill("#new-note-body", "Some words").await;
    browser.click("#new-note button").await;
    browser.reads(".note h3", title).await;
}

/// A picture of colours in a file.
pub fn picture(deploy: &Deploy) -> PathBuf {
    let file = deploy.dir().join("picture.png");
    let colour = |x: u32, y: u32| image::Rgb([(x / 4) as u8, (y / 4) as u8, 160]);
    image::RgbImage::from_fn(960, 720, colour).save(&file).expect("a file");
    file
}

#[tokio::test]
async fn a_stranger_gets_from_sign_up_to_a_note_with_an_image() {
    let stage = Stage::set().await;
    let (browser, ada) = (stage.browser().await, Account::new());
    browser.screenshot("welcome").await;

    sign_up(&browser, &ada).await;
    browser.screenshot("letter").await;
    browser.open(&link(&ada).await).await;
    browser.click("#verify button").await;
    browser.reads("#status", "confirmed").await;
    browser.click("#next a").await;
    browser.sees(&format!("document.getElementById('email')?.value === {}", json!(ada.email))).await;
    browser.fill("#password", &ada.password).await;
    browser.click("#sign-in-form button").await;
    browser.reads("#who", &ada.email).await;

    add_note(&browser, "Lisbon, in spring").await;
    add_note(&browser, "<img src=x onerror=alert(1)>").await;
    browser.choose("[aria-label='Add an image of “Lisbon, in spring”']", &picture(&stage.deploy)).await;
    browser.sees("document.querySelector('.note img')?.naturalWidth === 320").await; // the preview's
    browser.sees("!document.querySelector('img[src=x]')").await;

    browser.fill("#q", "lisbon").await;
    browser.reads("#found", "1 note with “lisbon”").await;
    browser.misses("#new-note").await;
    browser.misses("[aria-label^='Edit “<img']").await;
    browser.fill("#q", " ").await;
    browser.reads("#found", "2 notes").await;

    browser.click("[aria-label='Edit “Lisbon, in spring”']").await;
    browser.fill("#edit-title", "Lisbon, in autumn").await;
    browser.click("#edit-note button:not([type])").await;
    browser.reads(".note h3", "Lisbon, in autumn").await;

    browser.click("#burst").await;
    browser.sees(&format!("{BURST}.includes('100 answered by 2 instances, none failed')")).await;
    browser
        .sees(
            "document.querySelectorAll('#strip .i0').length > 9 && document.querySelectorAll('#strip .i1').length > 9",
        )
        .await;
    browser.screenshot("notes").await;

    browser.click("[aria-label='Delete “Lisbon, in autumn”']").await;
    browser.click("#remove-note .danger").await;
    browser.misses("[aria-label='Delete “Lisbon, in autumn”']").await;
    browser.is_content(&[]).await;
}

#[tokio::test]
async fn a_note_changed_in_another_window_is_not_overwritten() {
    let stage = Stage::set().await;
    let (browser, ada) = (stage.browser().await, stage.account().await);
    sign_in(&browser, &ada).await;
    add_note(&browser, "First").await;

    browser.click("[aria-label='Edit “First”']").await;
    browser.sees("document.getElementById('editor').open").await;
    let other = Client::new();
    assert_eq!(other.sign_in(&stage.webs[0], &ada).await.status, 201);
    let notes = other.get(&stage.webs[0], "/api/v1/notes").await;
    let path = format!("/api/v1/notes/{}", notes.body["items"][0]["id"].as_str().expect("an id"));
    assert_eq!(other.patch(&stage.webs[1], &path, json!({ "title": "Theirs" })).await.status, 200);
    browser.fill("#edit-title", "Mine").await;
    browser.click("#edit-note button:not([type])").await;

    browser.reads("#conflict", "Somebody has changed this note").await;
    browser.screenshot("conflict").await;
    assert_eq!(other.get(&stage.webs[0], &path).await.body["title"], "Theirs");
    browser.click("#keep-mine").await;
    browser.reads(".note h3", "Mine").await;
    browser.is_content(&["412 (Precondition Failed)"]).await;
}

#[tokio::test]
async fn a_wrong_field_is_told_beside_the_field() {
    let stage = Stage::set().await;
    let browser = stage.browser().await;

    browser.fill("#new-email", "ada@example.com").await;
    browser.fill("#new-password", "short").await;
    browser.click("#sign-up-form button").await;

    browser.reads("#new-password-error", "It must have").await;
    browser.sees("document.querySelector('#sign-up-form .trouble').textContent === ''").await;
    browser.sees("document.activeElement.id === 'new-password'").await;
    browser.is_content(&["422 (Unprocessable"]).await;
}

#[tokio::test]
async fn who_has_not_confirmed_gets_another_letter_and_a_spent_link_leads_on() {
    let stage = Stage::set().await;
    let (browser, ada) = (stage.browser().await, Account::new());
    browser.open(&format!("{ORIGIN}/#sign-in")).await;
    browser.click("#sign-in-form button").await;
    browser.reads("#password-error", "Type your password.").await;
    browser.is_content(&[]).await; // Nothing was asked.

    browser.fill("#email", &ada.email).await;
    browser.fill("#password", &ada.password).await;
    browser.misses("#confirm-again").await;
    browser.click("#sign-in-form button").await;
    browser.reads("#sign-in-form .trouble", "The email or the password is wrong.").await;
    browser.click("#sign-in-form .trouble #confirm-again").await;
    browser.reads("[data-view=letter]", &ada.email).await;
    browser.is_content(&["401 (Unauthorized)"]).await;

    let link = link(&ada).await;
    browser.open(&link).await;
    browser.click("#verify button").await;
    browser.reads("#status", "confirmed").await;
    browser.reload().await;
    browser.reads("#status", "confirmed").await;
    browser.misses("#again").await;
    browser.open(&format!("{ORIGIN}/health/live")).await;
    browser.open(&link).await;
    browser.click("#verify button").await;
    browser.reads("#status", "This link has been used").await;
    browser.misses("#verify").await;
    browser.reads("#again", "Sign up again").await;
    browser.click("#next .button").await;
    browser.reads("h2", "Sign in").await;
    browser.is_content(&["422 (Unprocessable"]).await;
}

#[tokio::test]
async fn signing_out_everywhere_is_seen_by_the_other_browser() {
    let stage = Stage::set().await;
    let (laptop, phone, ada) = (stage.browser().await, stage.browser().await, stage.account().await);
    sign_in(&laptop, &ada).await;
    sign_in(&phone, &ada).await;
    laptop.reads("#sign-out-all", "2 devices, this one too").await;

    laptop.click("#sign-out-all").await;

    laptop.reads("#message", "You are signed out, on every device.").await;
    phone.reads("#message", "You have been signed out").await;
    phone.misses("[data-view=notes]").await;
    laptop.is_content(&[POLLED]).await;
    phone.is_content(&[POLLED]).await;
}

/// Goes on with the Tab key until an element has the focus; each one on the way must show that it has it.
async fn tab_to(browser: &Browser, selector: &str) {
    let is_there = format!("return document.activeElement.matches({})", json!(selector));
    for _ in 0..80 {
        if browser.run(&is_there).await == true {
            return;
        }
        browser.press(Key::Tab).await;
        let shown = "const at = document.activeElement.closest('.file') ?? document.activeElement;
            return at === document.body || getComputedStyle(at).outlineStyle !== 'none' ? '' : at.outerHTML";
        assert_eq!(browser.run(shown).await, "", "the focus cannot be seen");
    }
    panic!("the Tab key never comes to {selector}");
}

#[tokio::test]
async fn the_keyboard_alone_is_enough() {
    let stage = Stage::set().await;
    let (browser, ada) = (stage.browser().await, Account::new());

    tab_to(&browser, "#new-email").await;
    browser.press(&ada.email).await;
    tab_to(&browser, "#new-password").await;
    browser.press(ada.password.as_str() + Key::Enter).await;
    browser.reads("[data-view=letter]", &ada.email).await;
    browser.open(&link(&ada).await).await;
    browser.sees("document.activeElement.matches('#verify button')").await;
    browser.press(Key::Enter).await;
    browser.reads("#status", "confirmed").await;
    tab_to(&browser, "#next a").await;
    browser.press(Key::Enter).await;
    browser.sees("document.getElementById('email')?.value").await;
    tab_to(&browser, "#password").await;
    browser.press(ada.password.as_str() + Key::Enter).await;
    browser.reads("h1", "Your notes").await;

    tab_to(&browser, "#new-note-title").await;
    browser.press("By hand" + Key::Tab + "Word by word").await;
    tab_to(&browser, "#new-note button").await;
    browser.press(Key::Enter).await;
    browser.reads(".note h3", "By hand").await;
    tab_to(&browser, "[aria-label='Edit “By hand”']").await;
    browser.press(Key::Enter).await;
    browser.sees("document.activeElement.id === 'edit-title'").await;
    browser.press("!" + Key::Enter).await;
    browser.reads(".note h3", "!").await;
    browser.sees("document.activeElement.matches('.note [aria-label^=Edit]')").await;
    tab_to(&browser, ".note [aria-label^=Delete]").await;
    browser.press(Key::Enter).await;
    browser.sees("document.activeElement.matches('#remover [data-close]')").await;
    browser.press(Key::Escape).await;
    browser.sees("document.activeElement.matches('.note [aria-label^=Delete]')").await;
    tab_to(&browser, "#sign-out").await;
    browser.press(Key::Enter).await;
    browser.reads("#message", "You are signed out.").await;
    browser.is_content(&[POLLED]).await;
}
