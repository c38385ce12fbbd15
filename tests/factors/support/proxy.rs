//! A TCP proxy before a service, which can refuse, stall or swallow.

use super::{service, with_address};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the proxy does with connections, old and new.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    Pass,
    /// Old connections are closed, new ones refused.
    Refuse,
    /// Connections stay open and say nothing for now: a server that is stopped. What was said is kept.
    Pause,
    /// Connections stay open and silent; those it caught stay so for good.
    Blackhole,
}

pub struct Proxy {
    pub port: u16,
    mode: watch::Sender<Mode>,
    accepted: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// A proxy before the service that a variable names.
    pub async fn before(variable: &str, mode: Mode) -> Self {
        Self::to(&service(variable), mode).await
    }

    /// A proxy before the service at a URL.
    pub async fn to(url: &str, mode: Mode) -> Self {
        let upstream = address(url);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (sender, receiver) = watch::channel(mode);
        let accepted = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(listen(listener, port, upstream, receiver, Arc::clone(&accepted)));
        let proxy = Self { port, mode: sender, accepted, task };
        proxy.set(mode).await;
        proxy
    }

    /// Changes the mode; when this returns, a refused port is closed and a passing one open.
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

/// The host and port of the service that a variable names.
pub fn address_of(variable: &str) -> String {
    address(&service(variable))
}

fn address(url: &str) -> String {
    let url = url::Url::parse(url).expect("a service's URL");
    let host = url.host_str().expect("a service is reached over TCP");
    let usual = match url.scheme() {
        "redis" | "rediss" => 6379,
        "smtp" => 25,
        "s3+http" => 80,
        _ => 5432,
    };
    format!("{host}:{}", url.port().unwrap_or(usual))
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
                tokio::spawn(carry(client, upstream.clone(), mode.clone()));
            }
            _ = mode.changed() => mode.mark_changed(),
        }
        listener = Some(open);
    }
}

async fn carry(client: TcpStream, upstream: String, mut mode: watch::Receiver<Mode>) {
    let mut doomed = mode.clone();
    let mut carried = pin!(async {
        if mode.wait_for(|mode| *mode == Mode::Pass).await.is_err() {
            return;
        }
        if let Ok(server) = TcpStream::connect(upstream).await {
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            let one_way = pump(from_client, to_server, mode.clone());
            tokio::join!(one_way, pump(from_server, to_client, mode.clone()));
        }
    });
    tokio::select! {
        biased;
        Ok(_) = doomed.wait_for(|mode| matches!(mode, Mode::Refuse | Mode::Blackhole)) => {}
        () = &mut carried => return,
    }
    // What is no longer polled holds its connections open, and silent.
    doomed.wait_for(|mode| *mode == Mode::Refuse).await.ok();
}

/// Hands on what comes, whenever it may.
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
