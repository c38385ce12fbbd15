//! `GET /docs`: the API contract, rendered in a browser.

use crate::browser::Browser;
use crate::support::*;

#[tokio::test]
async fn the_docs_page_shows_every_operation() {
    let deploy = Deploy::detached();
    let web = deploy.listening_web().await;
    let api = Client::new().get(&web, "/openapi.json").await.body;
    let methods = ["get", "post", "put", "patch", "delete"];
    let paths = api["paths"].as_object().expect("paths").values();
    let operations: usize = paths.map(|path| methods.iter().filter(|method| path[**method].is_object()).count()).sum();

    let browser = Browser::start(web.port()).await;
    browser.open("http://app.localhost/docs#post-api-v1-sessions").await;

    browser.wait_for(&format!("document.querySelectorAll('details.operation').length === {operations}")).await;
    browser.shows("details[open] .path", "/api/v1/sessions").await;
    browser.shows("details[open] td", "password").await;
    browser.screenshot("docs").await;
    browser.fill("#filter", "post sessions").await;
    browser.shows("#count", "match").await;
    browser.shows("summary .path", "/api/v1/sessions").await;
    browser.hides("#get-version").await;
    browser.has_no_errors(&[]).await;
}
