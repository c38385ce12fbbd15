//! The SMTP side of the sink: accepts every email, without TLS and sign-in.

use std::{io, sync::Arc};

use smtp_proto::request::receiver::{DataReceiver, RequestReceiver};
use smtp_proto::{Error, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// An email as it was received.
#[derive(Default)]
pub struct Received {
    /// The recipients of the envelope.
    pub to: Vec<String>,
    /// The message, as in RFC 5322.
    pub message: Vec<u8>,
}

/// Serves SMTP (RFC 5321) until the listener fails; calls `received` with each email before it is acknowledged.
pub async fn serve(listener: TcpListener, received: impl Fn(Received) + Send + Sync + 'static) -> io::Result<()> {
    let received = Arc::new(received);
    loop {
        let (client, _) = listener.accept().await?;
        let received = received.clone();
        // A client that disconnects ends only its own session.
        tokio::spawn(async move { session(client, &*received).await });
    }
}

async fn session(mut client: TcpStream, received: &(impl Fn(Received) + Send + Sync)) -> io::Result<()> {
    client.write_all(b"220 smtp_sink\r\n").await?;
    let (mut requests, mut data) = (RequestReceiver::default(), None::<DataReceiver>);
    let (mut email, mut buffer) = (Received::default(), vec![0; 64 << 10]);
    loop {
        let count = client.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        let mut bytes = buffer[..count].iter();
        // A client may send several commands at once.
        while !bytes.as_slice().is_empty() {
            if let Some(receiver) = &mut data {
                if receiver.ingest(&mut bytes, &mut email.message) {
                    received(std::mem::take(&mut email));
                    data = None;
                    client.write_all(b"250 received\r\n").await?;
                }
                continue;
            }
            let request = match requests.ingest(&mut bytes) {
                Err(Error::NeedsMoreData { .. }) => break,
                request => request,
            };
            let reply: &[u8] = match request {
                Ok(Request::Ehlo { .. }) => b"250-smtp_sink\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
                Ok(Request::Rcpt { to }) => {
                    email.to.push(to.address.into_owned());
                    b"250 ok\r\n"
                }
                Ok(Request::Data) => {
                    data = Some(DataReceiver::new());
                    b"354 go ahead\r\n"
                }
                Ok(Request::Rset | Request::Mail { .. }) => {
                    email = Received::default();
                    b"250 ok\r\n"
                }
                Ok(Request::Helo { .. } | Request::Noop { .. }) => b"250 ok\r\n",
                Ok(Request::Quit) => return client.write_all(b"221 bye\r\n").await,
                Ok(_) => b"502 not implemented\r\n",
                Err(_) => b"500 syntax error\r\n",
            };
            client.write_all(reply).await?;
        }
    }
}
