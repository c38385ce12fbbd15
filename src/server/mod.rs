//! VII Port binding: the service binds `PORT` and serves HTTP itself.

mod places;

use std::pin::{Pin, pin};
use std::{io, net::Ipv4Addr, net::Ipv6Addr, net::SocketAddr, sync::Arc, task, task::Poll, time::Duration};

use axum::{Router, body::Body, body::Bytes, body::HttpBody, http::Request};
use futures_util::FutureExt;
use hyper::{body::Frame, body::Incoming, body::SizeHint, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio::{net::TcpListener, net::TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service;

use crate::{shutdown, state::App, traces};
use places::{Connection, Place, Places};

pub(crate) use places::Limits;

/// The timeout for the head of a request, and for an idle connection between two requests.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// The maximum size of the head of a request, and of a connection's buffer for reading, in bytes.
const HEAD_SIZE: usize = 16 << 10;
/// The files of a process that are no client connections or connections to Postgres.
const OTHER_FILES: usize = 128;
/// A peer may have a tenth of the connections, and at least as many as a browser opens.
const LEAST_PER_PEER: usize = 16;
/// How long sent data may stay unacknowledged before the connection is closed (TCP_USER_TIMEOUT), in milliseconds.
#[cfg(target_os = "linux")]
const WRITE_LIMIT_MS: u32 = 30_000;
/// The pause after an error of `accept`, such as too many open files.
const BACK_OFF: Duration = Duration::from_millis(500);
/// The timeout to close the connections to Postgres.
const CLOSE_LIMIT: Duration = Duration::from_millis(400);

/// The result of a process.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The peer address of the connection, as an extension of each request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// Serves `router` on `PORT` until `stop`, then drains. Errors: the port cannot be bound.
pub async fn run(app: App, router: Router, stop: CancellationToken) -> Result<()> {
    let all = max_connections(&app);
    let listener = bind(app.config.port).await?;
    tracing::info!(port = listener.local_addr()?.port(), "listening");
    let per_peer = (all / 10).max(LEAST_PER_PEER);
    let connections = Connections::new(router, Limits { all, per_peer, trusted: app.config.trusted_proxies.clone() });
    let deadline = connections.accept(listener, shutdown::drained(&app, &stop)).await;
    connections.finish(deadline).await;
    let left = (deadline + CLOSE_LIMIT).saturating_duration_since(Instant::now());
    let _ = tokio::join!(timeout(CLOSE_LIMIT, app.db.close()), traces::stop(left.min(traces::STOP_LIMIT)));
    tracing::info!("stopped");
    Ok(())
}

/// `MAX_CONNECTIONS`, or what the limit of open files allows.
fn max_connections(app: &App) -> usize {
    // Raise the soft limit of open files to the hard one.
    let files = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files });
    let files = getrlimit(Resource::Nofile).current.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX);
    let pool = app.config.database_pool_size as usize;
    let (wanted, possible) = (app.config.max_connections, files.saturating_sub(pool + OTHER_FILES).max(1));
    if possible < wanted {
        tracing::warn!(max_connections = possible, "MAX_CONNECTIONS lowered: {wanted} exceed the limit of open files");
    }
    wanted.min(possible)
}

/// Binds `port` on all addresses, IPv6 and IPv4 where the system has both.
pub(crate) async fn bind(port: u16) -> io::Result<TcpListener> {
    let bound = match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await,
    };
    bound.map_err(|error| io::Error::new(error.kind(), format!("port {port} cannot be bound: {error}")))
}

/// The body of a request: its connection waits until it has arrived.
struct Arriving {
    body: Incoming,
    client: Arc<Connection>,
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>, context: &mut task::Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if self.body.is_end_stream() || matches!(frame, Poll::Ready(None)) {
            self.client.works();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The open connections of one listener.
pub(crate) struct Connections {
    router: Router,
    places: Arc<Places>,
    tasks: TaskTracker,
    /// Cancelled when each connection is to close after its request in flight.
    closing: CancellationToken,
}

impl Connections {
    /// While requests in flight take all places, further connections wait in the accept queue.
    pub(crate) fn new(router: Router, limits: Limits) -> Self {
        Self {
            router: router.with_state(()),
            places: Arc::new(Places::new(limits)),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
        }
    }

    /// Accepts and serves connections until `end`, then closes the listener.
    pub(crate) async fn accept<T>(&self, listener: TcpListener, end: impl Future<Output = T>) -> T {
        let mut end = pin!(end);
        loop {
            let next = async {
                let accepted = listener.accept().await;
                let place = match &accepted {
                    Ok((_, peer)) => self.places.take(peer.ip()).await,
                    Err(_) => None,
                };
                (accepted, place)
            };
            let (accepted, place) = tokio::select! {
                biased;
                value = &mut end => {
                    self.accept_queued(&listener);
                    return value;
                }
                next = next => next,
            };
            match accepted {
                Ok((stream, peer)) => self.serve(stream, peer, place),
                // The client disconnected before it was accepted.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!(%error, "accepting connections failed");
                    sleep(BACK_OFF).await;
                }
            }
        }
    }

    /// Accepts the connections in the accept queue: closing the listener would reset them.
    fn accept_queued(&self, listener: &TcpListener) {
        while let Some(Ok((stream, peer))) = listener.accept().now_or_never()
            && let Ok(place) = self.places.try_take(peer.ip())
        {
            self.serve(stream, peer, place);
        }
    }

    /// Serves a connection; without a place it is closed.
    fn serve(&self, stream: TcpStream, peer: SocketAddr, place: Option<Place>) {
        let Some(place) = place else { return };
        let (closing, router) = (self.closing.clone(), self.router.clone());
        self.tasks.spawn(async move {
            let client = &place.connection;
            let _ = stream.set_nodelay(true);
            // A client that stops reading would keep its permit forever.
            #[cfg(target_os = "linux")]
            let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, WRITE_LIMIT_MS);
            let service = service_fn(|mut request: Request<Incoming>| {
                request.extensions_mut().insert(Peer(peer));
                client.looks_like_proxy(request.headers());
                let request = request.map(|body| {
                    if body.is_end_stream() {
                        client.works();
                        return Body::empty();
                    }
                    client.waits();
                    Body::new(Arriving { body, client: client.clone() })
                });
                // A router is always ready.
                router.clone().call(request).inspect(|_| client.waits())
            });
            let mut connection = pin!(
                http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_LIMIT)
                    .max_buf_size(HEAD_SIZE)
                    .serve_connection(TokioIo::new(stream), service)
            );
            // Errors of clients are not logged. Biased: a request that has arrived is served before the connection
            // closes.
            tokio::select! {
                biased;
                _ = &mut connection => return,
                () = client.evicted.cancelled() => return,
                () = closing.cancelled() => connection.as_mut().graceful_shutdown(),
            }
            let _ = connection.await;
        });
    }

    /// Waits for the requests in flight until `deadline`; the exit of the process closes the rest.
    async fn finish(&self, deadline: Instant) {
        self.closing.cancel();
        self.tasks.close();
        if timeout_at(deadline, self.tasks.wait()).await.is_err() {
            tracing::warn!(connections = self.tasks.len(), "grace period over: connections closed");
        }
    }
}
