//! An SMTP server that keeps every letter to itself and shows it on a page.
//!
//! For `script/dev` and the tests, on 127.0.0.1 alone: letters go to `SMTP_PORT`; `PAGE_PORT` answers `GET /`
//! (newest first), `GET /messages` (JSON, newest last) and `DELETE /messages`.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{env, error::Error};

use axum::{Json, Router, extract::State, http::StatusCode, response::Html, routing::get};
use mailcrab::MailMessage;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::broadcast};
use tokio_util::sync::CancellationToken;

/// More would only fill the memory of a machine left running.
const KEPT: usize = 5_000;
const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

type Letters = Arc<Mutex<VecDeque<Value>>>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let (smtp, page) = (port("SMTP_PORT")?, port("PAGE_PORT")?);
    let letters = Letters::default();

    let (sender, inbox) = broadcast::channel(KEPT);
    let server = mailcrab::mail_server(HOST, smtp, sender, false, CancellationToken::new());
    let listener = TcpListener::bind((HOST, page)).await?;
    let router =
        Router::new().route("/", get(show)).route("/messages", get(list).delete(empty)).with_state(letters.clone());

    // Whichever ends first ends the program: half a sink would only hide why no letter arrives.
    tokio::select! {
        // mailcrab tells nothing of why, but it is the port as a rule.
        _ = server => Err(format!("SMTP_PORT {smtp} cannot be served").into()),
        ended = axum::serve(listener, router) => Ok(ended?),
        () = keep(inbox, letters) => Err("letters were lost".into()),
    }
}

fn port(name: &str) -> Result<u16, String> {
    let value = env::var(name).map_err(|_| format!("{name} is not set"))?;
    value.parse().map_err(|_| format!("{name} is no port"))
}

/// Ends only if letters came faster than they could be kept.
async fn keep(mut inbox: broadcast::Receiver<MailMessage>, letters: Letters) {
    while let Ok(message) = inbox.recv().await {
        let mut letters = lock(&letters);
        letters.push_back(plain(&message));
        if letters.len() > KEPT {
            letters.pop_front();
        }
    }
}

/// mailcrab's message with addresses as plain strings and the raw letter added.
fn plain(message: &MailMessage) -> Value {
    let mut letter = json!(message);
    letter["from"] = letter["from"]["email"].take();
    for address in letter["to"].as_array_mut().into_iter().flatten() {
        *address = address["email"].take();
    }
    let raw = message.raw_bytes().unwrap_or_default();
    letter["raw"] = json!(String::from_utf8_lossy(&raw));
    letter
}

fn lock(letters: &Letters) -> MutexGuard<'_, VecDeque<Value>> {
    letters.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn list(State(letters): State<Letters>) -> Json<VecDeque<Value>> {
    Json(lock(&letters).clone())
}

async fn empty(State(letters): State<Letters>) -> StatusCode {
    lock(&letters).clear();
    StatusCode::NO_CONTENT
}

async fn show(State(letters): State<Letters>) -> Html<String> {
    let letters = lock(&letters);
    let text = |value: &Value| escape(value.as_str().unwrap_or_default());
    let mut page = String::from(concat!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        "<meta http-equiv=refresh content=5><title>Mail</title>",
        "<style>:root{color-scheme:light dark}",
        "body{font:1.0625rem/1.6 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1.25rem}",
        "article{border-top:1px solid #8888;padding:1rem 0;overflow-wrap:anywhere}h2{margin:0;font-size:1.25rem}",
        "p{margin:.25rem 0}small{opacity:.75;font-size:.875rem}pre{font:inherit;white-space:pre-wrap}</style>",
    ));
    page += &format!("<h1>Mail ({})</h1>", letters.len());
    for letter in letters.iter().rev() {
        let to = letter["to"].as_array().into_iter().flatten().map(text);
        page += &format!(
            "<article><h2>{}</h2><p>To <strong>{}</strong></p><p><small>from {}, {}</small></p><pre>{}</pre></article>",
            text(&letter["subject"]),
            to.collect::<Vec<_>>().join(", "),
            text(&letter["from"]),
            text(&letter["date"]),
            links(letter["text"].as_str().unwrap_or_default()),
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
