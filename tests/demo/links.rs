//! The pages behind the links in emails, when a mail gateway has removed the fragment, which holds the token.

use crate::browser::Browser;
use crate::page::{ORIGIN, Stage, choose_password, link, link_in};
use crate::support::*;

/// The code in an email: the paragraph after the one that introduces it.
fn code_in(email: &Value) -> String {
    let text = email["text"].as_str().expect("a text").replace("\r\n", "\n");
    let (_, rest) = text.split_once("code, this is it:\n\n").expect("a code");
    rest.split_whitespace().next().expect("a code").to_owned()
}

async fn paste(browser: &Browser, page: &str, text: &str) {
    browser.open(&format!("{ORIGIN}{page}")).await;
    browser.wait_for("document.activeElement.id === 'code'").await;
    browser.fill("#code", text).await;
}

#[tokio::test]
async fn a_link_without_its_fragment_takes_the_code_of_the_email() {
    let stage = Stage::new().await;
    let (browser, client) = (stage.browser().await, Client::new());
    let (mut ada, next) = (Account::new(), Account::new());
    client.sign_up(&stage.webs[0], &ada).await;
    let code = code_in(&mail::emails(&ada.email, 1).await[0]);

    paste(&browser, "/verify", &code[..42]).await;
    browser.fill("#password", &ada.password).await;
    browser.click("#verify button").await;
    browser.shows("#code-error", "Paste the whole link from the email, or its code.").await;
    browser.screenshot("code").await;
    browser.fill("#code", &code).await;
    choose_password(&browser, &ada).await;

    client.request_reset(&stage.webs[0], &ada).await;
    paste(&browser, "/reset", &code_in(&mail::emails(&ada.email, 2).await[1])).await;
    ada.password = "another good password".into();
    browser.fill("#password", &ada.password).await;
    browser.click("#reset button").await;
    browser.shows("#status", "Your new password is set.").await;

    assert_eq!(client.sign_in(&stage.webs[1], &ada).await.status, 201);
    let change = json!({ "email": next.email, "current_password": ada.password });
    assert_eq!(client.patch(&stage.webs[1], "/api/v1/accounts/current", change).await.status, 202);
    paste(&browser, "/change-email", &code_in(&mail::emails(&next.email, 1).await[0])).await;
    browser.click("#change-email button").await;
    browser.shows("#status", "Your account has the new email address.").await;
    browser.has_no_errors(&[]).await;
}

#[tokio::test]
async fn a_link_without_its_fragment_takes_the_whole_link() {
    let stage = Stage::new().await;
    let (browser, client, ada) = (stage.browser().await, Client::new(), Account::new());
    client.sign_up(&stage.webs[0], &ada).await;

    paste(&browser, "/verify", &format!(" {} ", link(&ada).await)).await;
    choose_password(&browser, &ada).await;

    assert_eq!(client.sign_in(&stage.webs[1], &ada).await.status, 201);
    browser.has_no_errors(&[]).await;
}

#[tokio::test]
async fn a_used_link_to_change_the_email_address_says_how_to_get_another() {
    let stage = Stage::new().await;
    let (browser, client, next) = (stage.browser().await, Client::new(), Account::new());
    let ada = stage.account().await;
    assert_eq!(client.sign_in(&stage.webs[0], &ada).await.status, 201);
    let change = json!({ "email": next.email, "current_password": ada.password });
    client.patch(&stage.webs[0], "/api/v1/accounts/current", change).await;
    let link = link_in(&mail::emails(&next.email, 1).await[0]);

    for text in ["Your account has the new email address.", "sign in with the old one, and ask for the change again"] {
        browser.open(&format!("{ORIGIN}/health/live")).await;
        browser.open(&link).await;
        browser.click("#change-email button").await;
        browser.shows("#status", text).await;
    }
    browser.hides("#again").await;
    browser.shows("#next", "Sign in").await;
    browser.has_no_errors(&["422 (Unprocessable"]).await;
}
