//! The middleware of every request, and the headers of every response.

use std::time::{Duration, Instant};
use std::{convert::Infallible, mem, panic::AssertUnwindSafe, sync::Arc, task, task::Poll};

use axum::response::{IntoResponse, Response};
use axum::{body::Body, body::HttpBody, extract::MatchedPath, extract::Request};
use axum::{
    http::HeaderMap, http::Uri, http::Version, http::header, http::header::HeaderName, http::header::HeaderValue,
};
use futures_util::{FutureExt, future::BoxFuture};
use tokio::time::timeout;
use tower::{Service, layer::LayerFn, layer::layer_fn};
use tower_http::csrf::{CsrfLayer, ProtectionError};
use tracing::Instrument;

use super::{body, extract::client_of, extract::is_json, problem::Problem, security, security::Event};
use crate::{config::Config, context, context::Context, metrics, state::App, traces};

const BODY_LIMIT: usize = 1 << 20;
const BODY_DEADLINE: Duration = Duration::from_secs(60);

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The security headers of every response (OWASP Secure Headers).
pub static SECURITY: [(HeaderName, &str); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-embedder-policy"), "require-corp"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
];

/// Wraps each route in [`Observe`]. Not `from_fn`, which would box every request's future once more.
pub fn observe_layer<S>(app: &App) -> LayerFn<impl Fn(S) -> Observe<S> + Clone + use<S>> {
    let (app, headers) = (app.clone(), Arc::new(common_headers(&app.config)));
    layer_fn(move |route| Observe { app: app.clone(), headers: headers.clone(), route })
}

/// The service that [`observe`]s the requests of a route.
#[derive(Clone)]
pub struct Observe<S> {
    app: App,
    headers: Arc<HeaderMap>,
    route: S,
}

impl<S> Service<Request> for Observe<S>
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        self.route.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Self { app, headers, route } = self.clone();
        Box::pin(async move { Ok(observe(&app, &headers, request, route).await) })
    }
}

/// Sets the request id and limits, catches panics, and logs and counts the response.
async fn observe(
    app: &App, headers: &HeaderMap, mut request: Request,
    service: impl Service<Request, Response = Response, Error = Infallible>,
) -> Response {
    let start = Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map(MatchedPath::as_str);
    let method = request.method().clone();
    let (trace, request_id) = {
        let text = |name: &HeaderName| request.headers().get(name)?.to_str().ok();
        let trace = traces::Span::request(method.as_str(), route, text(&TRACEPARENT));
        (trace, context::request_id_of(text(&REQUEST_ID)))
    };
    // At level ERROR, so that warnings and errors have these fields where INFO is off.
    let span = tracing::error_span!(
        "request",
        request_id,
        trace_id = trace.trace_id(),
        method = metrics::known_method(method.as_str()),
        route = route.unwrap_or_default(),
    );
    let header = HeaderValue::from_str(&request_id);
    let context = Context {
        request_id: Some(request_id),
        traceparent: trace.traceparent(),
        client: client_of(&request, &app.config),
    };
    let has_host = remove_host(&mut request);

    let handled = async {
        let response = if has_host {
            let result = AssertUnwindSafe(with_timeouts(app, request, service)).catch_unwind().await;
            result.unwrap_or_else(|_| Problem::Internal("the handler panicked".into()).into_response())
        } else {
            Problem::BadRequest("HTTP/1.1 requires one Host header.".into()).into_response()
        };
        let (status, elapsed) = (response.status().as_u16(), start.elapsed().as_secs_f64());
        tracing::info!(status, latency_ms = (elapsed * 1e6).round() / 1e3, "request");
        metrics::observe_request(method.as_str(), route, status, elapsed);
        trace.responded(status);
        response
    };
    let mut response = context::scope(context, handled.instrument(span)).await;
    if let Ok(request_id) = header {
        response.headers_mut().insert(&REQUEST_ID, request_id);
    }
    // Cloning a map costs a fifth of inserting its headers one by one.
    let own = mem::replace(response.headers_mut(), headers.clone());
    response.headers_mut().extend(own);
    response
}

/// The headers of every response, unless its handler sets them.
fn common_headers(config: &Config) -> HeaderMap {
    let security = SECURITY.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
    let mut headers: HeaderMap = security.collect();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if config.secure() {
        let two_years = HeaderValue::from_static("max-age=63072000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, two_years);
    }
    headers
}

/// Removes the host that the client sent: only `PUBLIC_URL` counts. Returns whether there was one, which HTTP/1.1
/// requires (RFC 9112): a proxy could read another one than the service.
fn remove_host(request: &mut Request) -> bool {
    let before = request.headers().len();
    request.headers_mut().remove(header::HOST);
    let hosts = before - request.headers().len();
    let has_host = hosts == 1 || (hosts == 0 && request.version() < Version::HTTP_11);
    if request.uri().authority().is_some() {
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = path.map_or_else(Uri::default, Uri::from);
    }
    has_host
}

/// Rejects requests that a browser sends from another site (CSRF).
pub fn same_origin(config: &Config) -> CsrfLayer<fn(ProtectionError) -> Response> {
    let origin = config.public_url.origin().ascii_serialization();
    let layer = CsrfLayer::new().add_trusted_origin(origin).expect("an origin of http or https is one");
    layer.with_rejection_response(|_| {
        security::log(Event::CrossOriginRejected, None);
        Problem::CrossOrigin.into_response()
    })
}

/// Reads the body, then runs the handler, each with its timeout.
async fn with_timeouts(
    app: &App, request: Request, mut service: impl Service<Request, Response = Response, Error = Infallible>,
) -> Response {
    let matched = request.extensions().get::<MatchedPath>().is_some();
    let has_body = !request.body().is_end_stream();
    let json = has_body && is_json(request.headers());
    let request = if matched && json {
        match Box::pin(buffered(request)).await {
            Ok(request) => request,
            Err(problem) => return problem.into_response(),
        }
    } else {
        request
    };
    // Only JSON is read here: a route that accepts another type reads the body itself.
    let rest = if has_body && !json { BODY_DEADLINE } else { Duration::ZERO };
    let limit = rest + Duration::from_secs(app.config.request_timeout_seconds);
    match timeout(limit, service.call(request)).await {
        Ok(Ok(response)) => response,
        Err(_) => Problem::Timeout.into_response(),
    }
}

async fn buffered(request: Request) -> Result<Request, Problem> {
    let length = request.body().size_hint().lower();
    let waits = request.headers().contains_key(header::EXPECT);
    let (parts, mut body) = request.into_parts();
    if length > BODY_LIMIT as u64 {
        if !waits {
            body::discard(&mut body).await;
        }
        return Err(Problem::TooLarge);
    }
    match timeout(BODY_DEADLINE, body::read(&mut body, BODY_LIMIT)).await.unwrap_or(Err(Problem::BodyTimeout)) {
        Ok(bytes) => Ok(Request::from_parts(parts, Body::from(bytes))),
        Err(problem) => {
            if matches!(problem, Problem::TooLarge | Problem::Busy) {
                body::discard(&mut body).await;
            }
            Err(problem)
        }
    }
}
