//! Mail servers for a single test: one that receives many emails, one that rejects every recipient.

use super::with_address;
use mail_parser::MessageParser;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

#[path = "../../../examples/smtp_sink/smtp.rs"]
mod smtp;

/// A mail server that keeps the Message-ID of each email. It is stopped when dropped.
pub struct Sink {
    port: u16,
    ids: Arc<Mutex<Vec<String>>>,
    _server: AbortOnDropHandle<std::io::Result<()>>,
}

impl Sink {
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let port = listener.local_addr().expect("a local address").port();
        let ids = Arc::<Mutex<Vec<String>>>::default();
        let received = Arc::clone(&ids);
        let server = smtp::serve(listener, move |email| {
            let message = MessageParser::default().parse(&email.message).expect("a message");
            let id = message.message_id().expect("a Message-ID").to_owned();
            received.lock().expect("no reader panicked").push(id);
        });
        Self { port, ids, _server: AbortOnDropHandle::new(tokio::spawn(server)) }
    }

    pub fn url(&self) -> String {
        with_address("smtp://host", self.port)
    }

    /// The Message-ID of each email, in the order of arrival.
    pub fn ids(&self) -> Vec<String> {
        self.ids.lock().expect("no reader panicked").clone()
    }
}

/// Starts a mail server that sends `reply` to every RCPT command. It stops with the test's runtime.
pub async fn rejecting(reply: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("a local address").port();
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
