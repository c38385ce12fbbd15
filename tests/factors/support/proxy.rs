//! A TCP proxy in front of a service, which can refuse, pause or blackhole connections.

use super::{service, with_address};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the proxy does with connections, existing and new.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    Pass,
    /// Existing connections are closed, new ones refused.
    Refuse,
    /// Connections stay open and silent, like those of a stopped server. Data is delivered after the pause.
    Pause,
    /// Connections stay open and silent. The existing ones never recover.
    Blackhole,
}

pub struct Proxy {
    pub port: u16,
    mode: watch::Sender<Mode>,
    accepted: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// A proxy in front of the service at the URL in a variable.
    pub async fn to_service(variable: &str, mode: Mode) -> Self {
        Self::to_url(&service(variable), mode).await
    }

    /// A proxy in front of the service at a URL.
    pub async fn to_url(url: &str, mode: Mode) -> Self {
        let upstream = address(url);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("a local address").port();
        let (sender, receiver) = watch::channel(mode);
        let accepted = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(listen(listener, port, upstream, receiver, Arc::clone(&accepted)));
        let proxy = Self { port, mode: sender, accepted, task };
        proxy.set(mode).await;
        proxy
    }

    /// Changes the mode, and waits until the port is closed (`Refuse`) or open (all others).
    pub async fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
        super::until("the proxy has changed", super::SOON, async || {
            let open = TcpStream::connect(("127.0.0.1", self.port)).await.is_ok();
            (open != (mode == Mode::Refuse)).then_some(())
        })
        .await;
        self.accepted.store(0, Ordering::Relaxed);
    }

    /// The connections accepted since the mode was set.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    pub fn url(&self, variable: &str) -> String {
        with_address(&service(variable), self.port)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The host and port of the service at the URL in a variable.
pub fn address_of(variable: &str) -> String {
    address(&service(variable))
}

fn address(url: &str) -> String {
    let url = url::Url::parse(url).expect("a service's URL");
    let host = url.host_str().expect("a service is reached over TCP");
    let default = match url.scheme() {
        "redis" | "rediss" => 6379,
        "smtp" => 25,
        "s3+http" => 80,
        _ => 5432,
    };
    format!("{host}:{}", url.port().unwrap_or(default))
}

async fn listen(
    first: TcpListener, port: u16, upstream: String, mut mode: watch::Receiver<Mode>, accepted: Arc<AtomicUsize>,
) {
    let mut listener = Some(first);
    loop {
        if *mode.borrow_and_update() == Mode::Refuse {
            listener = None;
            if mode.changed().await.is_err() {
                return;
            }
            continue;
        }
        let open = match listener.take() {
            Some(open) => open,
            None => TcpListener::bind(("127.0.0.1", port)).await.expect("the port is still free"),
        };
        tokio::select! {
            Ok((client, _)) = open.accept() => {
                accepted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(forward(client, upstream.clone(), mode.clone()));
            }
            _ = mode.changed() => mode.mark_changed(),
        }
        listener = Some(open);
    }
}

async fn forward(client: TcpStream, upstream: String, mut mode: watch::Receiver<Mode>) {
    let mut closing = mode.clone();
    let mut forwarding = pin!(async {
        if mode.wait_for(|mode| *mode == Mode::Pass).await.is_err() {
            return;
        }
        if let Ok(server) = TcpStream::connect(upstream).await {
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            let upload = pump(from_client, to_server, mode.clone());
            tokio::join!(upload, pump(from_server, to_client, mode.clone()));
        }
    });
    tokio::select! {
        biased;
        Ok(_) = closing.wait_for(|mode| matches!(mode, Mode::Refuse | Mode::Blackhole)) => {}
        () = &mut forwarding => return,
    }
    // The future is no longer polled, so its connections stay open and silent.
    closing.wait_for(|mode| *mode == Mode::Refuse).await.ok();
}

/// Forwards data while the mode is `Pass`.
async fn pump(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, mut mode: watch::Receiver<Mode>) {
    let mut buffer = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let passes = mode.wait_for(|mode| *mode == Mode::Pass).await.is_ok();
        if !passes || to.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
    to.shutdown().await.ok();
}
