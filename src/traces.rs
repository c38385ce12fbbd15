//! Traces: the spans of requests and jobs, exported by OTLP over HTTP if an endpoint is set. Only this module uses
//! OpenTelemetry.

use std::{sync::OnceLock, sync::atomic::AtomicBool, sync::atomic::Ordering, time::Duration};

use opentelemetry::trace::{Span as _, SpanContext, SpanKind, Status, TraceContextExt, TraceState};
use opentelemetry::trace::{Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{SpanExporter as Otlp, WithHttpConfig};
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SdkTracer, SdkTracerProvider, SpanData, SpanExporter};
use opentelemetry_sdk::{Resource, error::OTelSdkResult, trace::Span as SdkSpan};
use reqwest::{Certificate, Client, redirect::Policy};
use tokio::{runtime::Handle, task::spawn_blocking};

use crate::{config::Config, config::variable, context::Traceparent, metrics, release, services::Error, services::tls};

/// The timeout to export the last spans at exit.
pub const STOP_LIMIT: Duration = Duration::from_secs(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A static, as spans are exported on drop. It holds only a queue of spans.
static TRACES: OnceLock<(SdkTracerProvider, SdkTracer)> = OnceLock::new();

/// Starts the export, if an OTLP endpoint is set. Must be called within a runtime.
/// Errors: `SSL_CERT_FILE` cannot be read, or the endpoint is not a URL.
pub fn start(config: &Config) -> Result<(), Error> {
    let endpoint =
        config.otel_exporter_otlp_endpoint.is_some() || variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").is_some();
    let is = |name, word| variable(name).is_some_and(|value| value.eq_ignore_ascii_case(word));
    if !endpoint || is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
        return Ok(());
    }
    let provider =
        SdkTracerProvider::builder().with_resource(resource(config)).with_batch_exporter(Exporter::new()?).build();
    let tracer = provider.tracer(release::NAME);
    TRACES.get_or_init(|| (provider, tracer));
    Ok(())
}

/// Exports the remaining spans, for at most `limit`.
pub async fn stop(limit: Duration) {
    if let Some((provider, _)) = TRACES.get() {
        let _ = spawn_blocking(move || provider.shutdown_with_timeout(limit)).await;
    }
}

/// The resource of the spans; `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME` override ours.
fn resource(config: &Config) -> Resource {
    let running = release::running();
    let ours = Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes([
            KeyValue::new("service.name", release::NAME),
            KeyValue::new("service.version", running.version),
            KeyValue::new("service.instance.id", running.instance.as_str()),
            KeyValue::new("deployment.release", config.release_id.clone()),
        ])
        .with_detector(Box::new(EnvResourceDetector::new()));
    let name = variable("OTEL_SERVICE_NAME").map(|name| KeyValue::new("service.name", name));
    ours.with_attributes(name).build()
}

/// The span of a request or a job. Ends on drop.
#[derive(Debug)]
pub struct Span {
    traceparent: Traceparent,
    /// None if export is off: the span then only has ids.
    exported: Option<SdkSpan>,
}

impl Span {
    /// The span of a request; it continues the client's trace.
    pub fn request(method: &str, route: Option<&str>, traceparent: Option<&str>) -> Self {
        let method = metrics::known_method(method);
        let name = || route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"));
        let mut span = Self::start(SpanKind::Server, name, traceparent);
        if let Some(exported) = &mut span.exported {
            exported.set_attribute(KeyValue::new("http.request.method", method));
            exported.set_attributes(route.map(|route| KeyValue::new("http.route", route.to_owned())));
        }
        span
    }

    /// The span of a job; it continues the trace of the request that added it.
    pub fn job(task: &str, traceparent: Option<&str>) -> Self {
        Self::start(SpanKind::Consumer, || format!("job {task}"), traceparent)
    }

    fn start(kind: SpanKind, name: impl FnOnce() -> String, parent: Option<&str>) -> Self {
        let parent = parent.and_then(Traceparent::parse);
        let Some((_, tracer)) = TRACES.get() else {
            return Self { traceparent: unexported(parent), exported: None };
        };
        let context = parent.map_or_else(Context::new, |parent| {
            let Traceparent { trace_id, span_id, flags } = parent;
            let flags = opentelemetry::trace::TraceFlags::new(flags);
            let parent = SpanContext::new(trace_id.into(), span_id.into(), flags, true, TraceState::NONE);
            Context::new().with_remote_span_context(parent)
        });
        let span = tracer.span_builder(name()).with_kind(kind).start_with_context(tracer, &context);
        let ids = span.span_context();
        let (trace_id, span_id) = (ids.trace_id().to_bytes(), ids.span_id().to_bytes());
        let (trace_id, span_id) = (u128::from_be_bytes(trace_id), u64::from_be_bytes(span_id));
        let traceparent = Traceparent { trace_id, span_id, flags: ids.trace_flags().to_u8() };
        Self { traceparent, exported: Some(span) }
    }

    /// The trace id: 32 hexadecimal digits.
    pub fn trace_id(&self) -> String {
        // Formatted as a UUID, which has as many digits and takes a third of the time.
        uuid::Uuid::from_u128(self.traceparent.trace_id).simple().to_string()
    }

    /// The `traceparent` with which another process continues the trace.
    pub fn traceparent(&self) -> Traceparent {
        self.traceparent
    }

    /// Ends a request's span.
    pub fn responded(self, status: u16) {
        if let Some(mut span) = self.exported {
            span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
            if status >= 500 {
                span.set_status(Status::error(""));
            }
        }
    }

    /// Records the error of a failed job.
    pub fn failed(&mut self, error: &impl ToString) {
        if let Some(span) = &mut self.exported {
            span.set_status(Status::error(error.to_string()));
        }
    }
}

/// Ids without an exported span: logs and jobs need them.
fn unexported(parent: Option<Traceparent>) -> Traceparent {
    let ids = RandomIdGenerator::default();
    let random = || u128::from_be_bytes(ids.new_trace_id().to_bytes());
    let trace_id = parent.map_or_else(random, |parent| parent.trace_id);
    Traceparent { trace_id, span_id: u64::from_be_bytes(ids.new_span_id().to_bytes()), flags: 0 }
}

/// The OTLP exporter, on the Tokio runtime: the SDK calls it from a thread of its own.
#[derive(Debug)]
struct Exporter {
    otlp: Otlp,
    runtime: Handle,
    failing: AtomicBool,
}

impl Exporter {
    fn new() -> Result<Self, Error> {
        tls::install_crypto();
        let rejected = |reason| Error::rejected("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", reason);
        let roots = Certificate::from_pem_bundle(&tls::roots()?)
            .map_err(|_| rejected("the system's certificates are invalid"))?;
        let client = Client::builder()
            .tls_certs_only(roots)
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .build()
            .map_err(|_| rejected("its client cannot be built"))?;
        // The builder's error message would show the URL.
        let otlp = Otlp::builder().with_http().with_http_client(client);
        Ok(Self {
            otlp: otlp.build().map_err(|_| rejected("it is not a URL"))?,
            runtime: Handle::current(),
            failing: AtomicBool::new(false),
        })
    }
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.runtime.block_on(self.otlp.export(batch));
        let failed = self.failing.swap(result.is_err(), Ordering::Relaxed);
        if let Err(error) = &result
            && !failed
        {
            tracing::warn!(%error, "trace export failed: spans lost");
        }
        result
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.otlp.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_well_formed_trace_is_continued() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let none = "0".repeat(32);
        let joined = |trace: &str| {
            let parent = format!("00-{trace}-00f067aa0ba902b7-01");
            Span::request("GET", None, Some(&parent)).trace_id()
        };

        assert_eq!(joined(trace), trace);
        assert_ne!(joined(&trace.to_uppercase()), trace);
        assert_ne!(joined(&none), none);
    }
}
