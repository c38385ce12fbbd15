//! XI. Traces connect a request with its jobs, and are exported only if `OTEL_*` variables are set.

use crate::support::*;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message;
use std::sync::{Arc, Mutex};

const CANARY: &str = "c4n4ry";
const PARENT: &str = "00f067aa0ba902b7";

type Received = Arc<Mutex<Vec<(HeaderMap, ExportTraceServiceRequest)>>>;

/// An OTLP receiver that stops with the test's runtime.
struct Collector {
    url: String,
    received: Received,
}

impl Collector {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("a local address"));
        let received = Received::default();
        let router = axum::Router::new().route("/v1/traces", post(receive)).with_state(Arc::clone(&received));
        tokio::spawn(async { axum::serve(listener, router).await });
        Self { url, received }
    }

    fn spans(&self) -> Vec<Span> {
        let received = self.received.lock().expect("no panic");
        received
            .iter()
            .flat_map(|(_, request)| &request.resource_spans)
            .flat_map(|resource| &resource.scope_spans)
            .flat_map(|scope| scope.spans.clone())
            .collect()
    }

    async fn span(&self, name: &str) -> Span {
        until(name, SOON, async || self.spans().into_iter().find(|span| span.name == name)).await
    }
}

async fn receive(State(received): State<Received>, headers: HeaderMap, body: Bytes) {
    let request = ExportTraceServiceRequest::decode(body).expect("an export");
    received.lock().expect("no panic").push((headers, request));
}

fn attribute(attributes: &[KeyValue], name: &str) -> Value {
    let value = attributes.iter().find(|attribute| attribute.key == name);
    match value.and_then(|value| value.value.clone()?.value) {
        Some(any_value::Value::StringValue(text)) => json!(text),
        Some(any_value::Value::IntValue(number)) => json!(number),
        _ => Value::Null,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Signs up as part of a new trace and returns the trace id.
async fn sign_up(web: &Process) -> String {
    let (trace, account) = (random(), Account::new());
    let request = Client::new().request(web, "POST", "/api/v1/accounts");
    let request = request.header("traceparent", format!("00-{trace}-{PARENT}-01"));
    let response = Response::of(request.json(&account.recipient())).await;
    assert_eq!(response.status, 202, "{}", response.text);
    trace
}

/// Waits until the request and its job are logged with the trace id.
async fn until_both_log(web: &Process, worker: &Process, trace: &str) {
    for (process, message) in [(web, "request"), (worker, "job done")] {
        let expected = |line: &Value| line["message"] == message && line["trace_id"] == trace;
        process.log(message, expected).await;
    }
}

/// Whether the process runs the exporter's thread. Always false where there is no `/proc`.
fn exports(process: &Process) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{}/task", process.pid()));
    let names = threads.into_iter().flatten().flatten();
    let mut names = names.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.any(|name| name.starts_with("OpenTelemetry"))
}

#[tokio::test]
async fn a_request_and_its_job_join_the_clients_trace() {
    let collector = Collector::start().await;
    let deploy =
        Deploy::new().await.with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url).with("OTEL_BSP_SCHEDULE_DELAY", "50");
    let (web, worker) = (deploy.web().await, deploy.worker());

    let trace = sign_up(&web).await;

    let request = collector.span("POST /api/v1/accounts").await;
    let job = collector.span("job send_account_email").await;
    for span in [&request, &job] {
        assert_eq!(hex(&span.trace_id), trace, "{span:?}");
    }
    assert_eq!(hex(&request.parent_span_id), PARENT);
    assert_eq!(job.parent_span_id, request.span_id);
    assert_eq!((request.kind(), job.kind()), (SpanKind::Server, SpanKind::Consumer));
    for (name, value) in [
        ("http.request.method", json!("POST")),
        ("http.route", json!("/api/v1/accounts")),
        ("http.response.status_code", json!(202)),
    ] {
        assert_eq!(attribute(&request.attributes, name), value);
    }
    until_both_log(&web, &worker, &trace).await;
}

#[tokio::test]
async fn the_last_spans_are_exported_before_the_exit() {
    let collector = Collector::start().await;
    let deploy = Deploy::detached()
        .with("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &format!("{}/v1/traces", collector.url))
        .with("OTEL_SERVICE_NAME", "renamed")
        .with("OTEL_BSP_SCHEDULE_DELAY", "600000");
    let mut web = deploy.listening_web().await;
    let response = Client::new().get(&web, "/health/ready").await;
    assert_eq!(response.status, 503);

    web.stop();

    assert_eq!(web.exit(Duration::from_secs(2)).await.code, 0);
    let span = collector.span("GET /health/ready").await;
    assert_eq!(span.status.expect("a status").code(), StatusCode::Error);
    let received = collector.received.lock().expect("no panic");
    let resource = &received[0].1.resource_spans[0].resource;
    let resource = &resource.as_ref().expect("a resource").attributes;
    let line = &web.logs()[0];
    for (name, value) in [
        ("service.name", &json!("renamed")),
        ("service.version", &json!(env!("CARGO_PKG_VERSION"))),
        ("service.instance.id", &line["instance"]),
        ("deployment.release", &line["release"]),
    ] {
        assert_eq!(&attribute(resource, name), value);
    }
}

#[tokio::test]
async fn without_an_endpoint_traces_are_propagated_but_not_exported() {
    let collector = Collector::start().await;
    let unset = Deploy::new().await;
    let disabled =
        Deploy::new().await.with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url).with("OTEL_SDK_DISABLED", "true");

    for deploy in [unset, disabled] {
        let (mut web, mut worker) = (deploy.web().await, deploy.worker());
        let trace = sign_up(&web).await;
        until_both_log(&web, &worker, &trace).await;

        assert!(!exports(&web) && !exports(&worker));
        for process in [&mut web, &mut worker] {
            process.stop();
            assert_eq!(process.exit(SOON).await.code, 0);
        }
    }
    assert_eq!(collector.spans(), []);
}

#[tokio::test]
async fn an_unreachable_collector_does_not_affect_requests() {
    let refusing = format!("http://user:{CANARY}@127.0.0.1:{}", closed_port());
    // The kernel accepts connections, but nothing responds.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let silent = format!("http://{}", silent.local_addr().expect("a local address"));

    for (url, warned) in [(refusing, true), (silent, false)] {
        let deploy = Deploy::new()
            .await
            .with("LOG_LEVEL", "trace")
            .with("OTEL_EXPORTER_OTLP_ENDPOINT", &url)
            .with("OTEL_EXPORTER_OTLP_HEADERS", &format!("authorization={CANARY}"))
            .with("OTEL_BSP_SCHEDULE_DELAY", "50");
        let (mut web, mut worker) = (deploy.web().await, deploy.worker());
        let warning = |line: &Value| line["message"].to_string().contains("trace export failed");

        for _ in 0..3 {
            let trace = sign_up(&web).await;
            until_both_log(&web, &worker, &trace).await;
            if warned {
                web.log("the warning", warning).await;
            }
        }

        for process in [&mut web, &mut worker] {
            assert_eq!(exports(process), cfg!(target_os = "linux"));
            process.stop();
            let exit = process.exit(Duration::from_secs(3)).await;
            assert_eq!((exit.code, exit.err.as_str()), (0, ""), "{}", exit.out);
            assert!(!exit.out.contains(CANARY), "{}", exit.out);
            let warnings = process.logs().iter().filter(|line| warning(line)).count();
            assert!(warnings <= 1, "{}", exit.out);
        }
    }
}

#[tokio::test]
async fn the_collectors_credential_is_sent_and_not_logged() {
    let collector = Collector::start().await;
    let deploy = Deploy::detached()
        .with("LOG_LEVEL", "trace")
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url)
        .with("OTEL_EXPORTER_OTLP_HEADERS", &format!("authorization={CANARY}"))
        .with("OTEL_BSP_SCHEDULE_DELAY", "50");
    let web = deploy.listening_web().await;

    Client::new().get(&web, "/health/live").await;

    collector.span("GET /health/live").await;
    let received = collector.received.lock().expect("no panic");
    assert_eq!(received[0].0["authorization"], CANARY);
    let lines = web.lines();
    assert!(!lines.iter().any(|line| line.contains(CANARY)), "{lines:?}");
}
