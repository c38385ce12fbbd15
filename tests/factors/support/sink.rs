//! Mail servers for a single test: one that receives many emails, one that rejects every recipient.

use super::{SOON, closed_port, until, with_address};
use mailcrab::MailMessage;
use serde_json::json;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A mail server that keeps the Message-ID of each email. It is stopped when dropped.
pub struct Sink {
    port: u16,
    ids: Arc<Mutex<Vec<String>>>,
    _stop: DropGuard,
}

impl Sink {
    /// Starts a server with a buffer of `capacity` emails.
    pub async fn start(capacity: usize) -> Self {
        let (port, stop) = (closed_port(), CancellationToken::new());
        let (sender, mut inbox) = broadcast::channel(capacity);
        tokio::spawn(mailcrab::mail_server(Ipv4Addr::LOCALHOST.into(), port, sender, false, stop.clone()));
        let ids = Arc::<Mutex<Vec<String>>>::default();
        let received = Arc::clone(&ids);
        tokio::spawn(async move {
            while let Ok(email) = inbox.recv().await {
                received.lock().expect("no reader panicked").push(id(&email));
            }
        });
        until("the mail server listens", SOON, async || TcpStream::connect(("127.0.0.1", port)).await.ok()).await;
        Self { port, ids, _stop: stop.drop_guard() }
    }

    pub fn url(&self) -> String {
        with_address("smtp://host", self.port)
    }

    /// The Message-ID of each email, in the order of arrival.
    pub fn ids(&self) -> Vec<String> {
        self.ids.lock().expect("no reader panicked").clone()
    }
}

fn id(email: &MailMessage) -> String {
    let email = json!(email);
    let headers = email["headers"].as_object().expect("headers");
    let id = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("message-id"));
    id.expect("a Message-ID").1.to_string()
}

/// Starts a mail server that sends `reply` to every RCPT command. It stops with the test's runtime.
pub async fn rejecting(reply: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(reject(client, reply));
        }
    });
    with_address("smtp://host", port)
}

async fn reject(client: TcpStream, reply: &str) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    client.write_all(b"220 ready\r\n").await?;
    let mut line = String::new();
    while client.read_line(&mut line).await? > 0 {
        let reply = if line.starts_with("RCPT") { reply } else { "250 ok" };
        client.write_all(format!("{reply}\r\n").as_bytes()).await?;
        line.clear();
    }
    Ok(())
}
