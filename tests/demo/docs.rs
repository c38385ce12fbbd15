//! `GET /docs`: the contract, laid out in a browser.

use crate::browser::Browser;
use crate::support::*;

#[tokio::test]
async fn the_docs_lay_out_every_operation() {
    let deploy = Deploy::detached();
    let web = deploy.web_at_once().await;
    let api = Client::new().get(&web, "/openapi.json").await.body;
    let methods = ["get", "post", "put", "patch", "delete"];
    let paths = api["paths"].as_object().expect("paths").values();
    let operations: usize = paths.map(|path| methods.iter().filter(|method| path[**method].is_object()).count()).sum();

    let browser = Browser::before(web.port()).await;
    browser.open("http://app.localhost/docs#post-api-v1-sessions").await;

    browser.sees(&format!("document.querySelectorAll('details.operation').length === {operations}")).await;
    browser.reads("details[open] .path", "/api/v1/sessions").await;
    browser.reads("details[open] td", "password").await;
    browser.screenshot("docs").await;
    browser.fill("#filter", "post sessions").await;
    browser.reads("#count", "match").await;
    browser.reads("summary .path", "/api/v1/sessions").await;
    browser.misses("#get-version").await;
    browser.is_content(&[]).await;
}
