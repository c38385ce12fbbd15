//! The page when its session ends or another account signs in with the same browser.

use crate::page::*;
use crate::support::*;

#[tokio::test]
async fn text_is_kept_until_the_same_person_signs_in_again() {
    let stage = Stage::new().await;
    let (browser, ada) = (stage.browser().await, stage.account().await);
    sign_in(&browser, &ada).await;
    add_note(&browser, "An older note").await;
    browser.fill("#new-note-title", "Not finished").await;

    let elsewhere = Client::new();
    assert_eq!(elsewhere.sign_in(&stage.webs[0], &ada).await.status, 201);
    assert_eq!(elsewhere.delete(&stage.webs[0], "/api/v1/sessions").await.status, 204);

    browser.shows("#message", "You have been signed out").await;
    browser.wait_for("document.getElementById('new-note-title').value === ''").await;
    sign_in(&browser, &ada).await;
    browser.wait_for("document.getElementById('new-note-title').value === 'Not finished'").await;
    browser.has_no_errors(&["401 (Unauthorized"]).await;
}

#[tokio::test]
async fn a_page_writes_only_as_the_account_that_it_shows() {
    let stage = Stage::new().await;
    let browser = stage.browser().await;
    let (ada, bob) = (stage.account().await, stage.account().await);
    sign_in(&browser, &ada).await;
    browser.fill("#new-note-title", "Of Ada").await;

    // As another tab does: it has the same cookies.
    let sign_in_as_bob = format!(
        "fetch('api/v1/sessions', {{ method: 'POST', headers: {{ 'content-type': 'application/json' }}, body: '{}' }})",
        bob.credentials()
    );
    browser.run(&format!("return {sign_in_as_bob}.then(response => response.status)")).await;
    browser.click("#new-note button").await;

    browser.shows("#who", &bob.email).await;
    let client = Client::new();
    assert_eq!(client.sign_in(&stage.webs[0], &bob).await.status, 201);
    let notes = client.get(&stage.webs[0], "/api/v1/notes").await;
    assert_eq!(notes.body["items"], json!([]), "a note of Ada's is in Bob's account");
    browser.has_no_errors(&["409 (Conflict", "401 (Unauthorized"]).await;
}
