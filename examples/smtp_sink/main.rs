//! An SMTP server that keeps every email and shows it on a page.
//!
//! For `script/dev` and the tests, only on 127.0.0.1. It receives emails on `SMTP_PORT`; on `PAGE_PORT` it serves `GET /`
//! (newest first), `GET /messages` (JSON, newest last) and `DELETE /messages`.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "it has no problems and its own variables")]

mod smtp;

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{env, error::Error};

use axum::extract::{Request, State};
use axum::http::{StatusCode, header::HOST};
use axum::middleware::{Next, from_fn};
use axum::response::{Html, IntoResponse, Response};
use axum::{Json, Router, routing::get};
use mail_parser::MessageParser;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The number of emails that are kept; older ones are dropped.
const KEPT: usize = 5_000;

type Emails = Arc<Mutex<VecDeque<Value>>>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let (smtp, page) = (listen("SMTP_PORT").await?, listen("PAGE_PORT").await?);
    let emails = Emails::default();
    let router = Router::new().route("/", get(show)).route("/messages", get(list).delete(clear));
    let router = router.with_state(emails.clone()).layer(from_fn(local));
    let received = move |email: smtp::Received| {
        let mut emails = lock(&emails);
        emails.push_back(parsed(&email));
        if emails.len() > KEPT {
            emails.pop_front();
        }
    };
    tokio::select! {
        ended = smtp::serve(smtp, received) => Ok(ended?),
        ended = axum::serve(page, router) => Ok(ended?),
    }
}

async fn listen(name: &str) -> Result<TcpListener, String> {
    let port = env::var(name).map_err(|_| format!("{name} is not set"))?;
    let port: u16 = port.parse().map_err(|_| format!("{name} is not a port"))?;
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| format!("{name} {port}: {error}"))
}

fn parsed(email: &smtp::Received) -> Value {
    let message = MessageParser::default().parse(&email.message).unwrap_or_default();
    let from = message.from().and_then(|from| from.first()?.address());
    json!({
        "from": from,
        "to": email.to,
        "subject": message.subject(),
        "date": message.date().map(|date| date.to_rfc822()),
        "text": message.body_text(0),
        "raw": String::from_utf8_lossy(&email.message),
    })
}

fn lock(emails: &Emails) -> MutexGuard<'_, VecDeque<Value>> {
    emails.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Rejects requests to another host: a page on the web could point its own name to this machine (DNS rebinding), and
/// read the links in emails.
async fn local(request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    match host.rsplit_once(':').map_or(host, |(name, _)| name) {
        "localhost" | "127.0.0.1" => next.run(request).await,
        _ => StatusCode::FORBIDDEN.into_response(),
    }
}

async fn list(State(emails): State<Emails>) -> Json<VecDeque<Value>> {
    Json(lock(&emails).clone())
}

async fn clear(State(emails): State<Emails>) -> StatusCode {
    lock(&emails).clear();
    StatusCode::NO_CONTENT
}

async fn show(State(emails): State<Emails>) -> Html<String> {
    let emails = lock(&emails);
    let text = |value: &Value| escape(value.as_str().unwrap_or_default());
    let mut page = String::from(concat!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        "<meta http-equiv=refresh content=5><title>Inbox</title>",
        "<style>:root{color-scheme:light dark}",
        "body{font:1.0625rem/1.6 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1.25rem}",
        "article{border-top:1px solid #8888;padding:1rem 0;overflow-wrap:anywhere}h2{margin:0;font-size:1.25rem}",
        "p{margin:.25rem 0}small{opacity:.75;font-size:.875rem}pre{font:inherit;white-space:pre-wrap}</style>",
    ));
    page += &format!("<h1>Inbox ({})</h1>", emails.len());
    for email in emails.iter().rev() {
        let to = email["to"].as_array().into_iter().flatten().map(text);
        page += &format!(
            "<article><h2>{}</h2><p>To <strong>{}</strong></p><p><small>from {}, {}</small></p><pre>{}</pre></article>",
            text(&email["subject"]),
            to.collect::<Vec<_>>().join(", "),
            text(&email["from"]),
            text(&email["date"]),
            links(email["text"].as_str().unwrap_or_default()),
        );
    }
    Html(page)
}

fn links(text: &str) -> String {
    let words = text.split_inclusive(char::is_whitespace).map(|word| {
        let (link, space) = (escape(word.trim_end()), &word[word.trim_end().len()..]);
        if link.starts_with("http://") || link.starts_with("https://") {
            return format!("<a href=\"{link}\">{link}</a>{space}");
        }
        link + space
    });
    words.collect()
}

fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('"', "&quot;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}
