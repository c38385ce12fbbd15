//! HTTP over a raw TCP connection, for requests that no client library sends.

use super::{Duration, Process, SOON};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection with an incomplete request.
pub struct Raw {
    stream: TcpStream,
    read: String,
}

impl Raw {
    pub async fn begin(web: &Process, text: &str) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", web.port())).await.expect("a connection");
        stream.write_all(text.as_bytes()).await.expect("the request is sent");
        Self { stream, read: String::new() }
    }

    pub async fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes()).await;
    }

    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the request is sent");
    }

    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Whether nothing is received during that time.
    pub async fn is_silent_for(&self, time: Duration) -> bool {
        tokio::time::timeout(time, self.stream.readable()).await.is_err()
    }

    /// Reads until the received text contains `text`.
    pub async fn wait_for(&mut self, text: &str) -> &str {
        let mut buffer = [0; 4096];
        while !self.read.contains(text) {
            let reading = tokio::time::timeout(SOON, self.stream.read(&mut buffer));
            let count = reading.await.expect("data before the timeout").expect("the connection is readable");
            assert_ne!(count, 0, "the connection was closed before {text:?}: {}", self.read);
            self.read.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
        &self.read
    }
}
