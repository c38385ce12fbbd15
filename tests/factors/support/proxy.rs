//! A TCP proxy before a service, which can refuse or swallow.

use super::{service, with_address};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the proxy does with connections, old and new.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    Pass,
    /// Old connections are closed, new ones refused.
    Refuse,
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
        let upstream = address_of(variable);
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
    let url = url::Url::parse(&service(variable)).expect("a service's URL");
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
    first: TcpListener,
    port: u16,
    upstream: String,
    mut mode: watch::Receiver<Mode>,
    accepted: Arc<AtomicUsize>,
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

async fn carry(mut client: TcpStream, upstream: String, mut mode: watch::Receiver<Mode>) {
    if *mode.borrow_and_update() == Mode::Pass {
        let Ok(mut server) = TcpStream::connect(upstream).await else {
            return;
        };
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut client, &mut server) => return,
            _ = mode.changed() => {}
        }
        if *mode.borrow() == Mode::Blackhole {
            mode.wait_for(|mode| *mode == Mode::Refuse).await.ok();
        }
    } else {
        mode.wait_for(|mode| *mode == Mode::Refuse).await.ok();
    }
}
