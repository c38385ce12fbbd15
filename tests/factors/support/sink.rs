//! A mail server of a test's own, for more letters than all tests together should share.

use super::{SOON, closed_port, until, with_address};
use mailcrab::MailMessage;
use serde_json::json;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use tokio::sync::broadcast;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Gone when dropped.
pub struct Sink {
    port: u16,
    ids: Arc<Mutex<Vec<String>>>,
    _stop: DropGuard,
}

impl Sink {
    /// A server that may be sent so many letters at once.
    pub async fn start(letters: usize) -> Self {
        let (port, stop) = (closed_port(), CancellationToken::new());
        let (sender, mut inbox) = broadcast::channel(letters);
        tokio::spawn(mailcrab::mail_server(Ipv4Addr::LOCALHOST.into(), port, sender, false, stop.clone()));
        let ids = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&ids);
        tokio::spawn(async move {
            while let Ok(letter) = inbox.recv().await {
                kept.lock().expect("no reader panicked").push(id(&letter));
            }
        });
        until("the mail server listens", SOON, async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok())
            .await;
        Self { port, ids, _stop: stop.drop_guard() }
    }

    pub fn url(&self) -> String {
        with_address("smtp://host", self.port)
    }

    /// The Message-ID of each letter, in the order of their arrival.
    pub fn ids(&self) -> Vec<String> {
        self.ids.lock().expect("no reader panicked").clone()
    }
}

fn id(letter: &MailMessage) -> String {
    let letter = json!(letter);
    let headers = letter["headers"].as_object().expect("headers");
    let id = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("message-id"));
    id.expect("a Message-ID").1.to_string()
}
