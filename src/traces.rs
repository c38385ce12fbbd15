//! Traces: the spans of requests and jobs, sent by OTLP over HTTP if the environment asks for it.
//! Nothing but this module knows OpenTelemetry.

use std::{collections::HashMap, sync::OnceLock, sync::atomic::AtomicBool, sync::atomic::Ordering, time::Duration};

use opentelemetry::trace::{Span as _, SpanKind, Status, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue, propagation::TextMapPropagator};
use opentelemetry_otlp::{SpanExporter as Otlp, WithHttpConfig};
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, Span as SdkSpan, SpanData, SpanExporter};
use opentelemetry_sdk::{Resource, error::OTelSdkResult, propagation::TraceContextPropagator};
use reqwest::{Certificate, Client, redirect::Policy};
use tokio::{runtime::Handle, task::spawn_blocking};

use crate::{config::Config, config::variable, context::Traceparent, metrics, release, services::Error, services::tls};

/// How long the last spans may take at the process's end.
pub const STOP_LIMIT: Duration = Duration::from_secs(1);
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

static TRACES: OnceLock<(SdkTracerProvider, SdkTracer)> = OnceLock::new();

/// Starts to export, if an OTLP endpoint is set. It needs a runtime.
/// Errors: a private CA that cannot be read, or an endpoint that is no URL.
pub fn start(config: &Config) -> Result<(), Error> {
    let endpoint =
        config.otel_exporter_otlp_endpoint.is_some() || variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").is_some();
    let is = |name, word| variable(name).is_some_and(|value| value.eq_ignore_ascii_case(word));
    if !endpoint || is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
        return Ok(());
    }
    let provider =
        SdkTracerProvider::builder().with_resource(resource(config)).with_batch_exporter(Exporter::new()?).build();
    TRACES.get_or_init(|| with_tracer(provider));
    Ok(())
}

/// Sends the spans that are left, for as long as the limit lets it.
pub async fn stop(limit: Duration) {
    if let Some((provider, _)) = TRACES.get() {
        let _ = spawn_blocking(move || provider.shutdown_with_timeout(limit)).await;
    }
}

fn with_tracer(provider: SdkTracerProvider) -> (SdkTracerProvider, SdkTracer) {
    let tracer = provider.tracer(release::NAME);
    (provider, tracer)
}

/// Who sends the spans; what the environment says of it counts more than what we do.
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

/// A request's or a job's span, which ends when it is dropped. If nothing is exported, it is no more than its ids.
#[derive(Debug)]
pub struct Span(SdkSpan);

impl Span {
    /// The span of a request, which goes on with the trace that the client names.
    pub fn request(method: &str, route: Option<&str>, traceparent: Option<&str>) -> Self {
        let method = metrics::known_method(method);
        let name = route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"));
        let mut span = Self::start(SpanKind::Server, name, traceparent);
        span.set("http.request.method", method);
        if let Some(route) = route {
            span.set("http.route", route.to_owned());
        }
        span
    }

    /// The span of a job, which goes on with the trace of the request that added it.
    pub fn job(task: &str, traceparent: Option<&str>) -> Self {
        Self::start(SpanKind::Consumer, format!("job {task}"), traceparent)
    }

    fn start(kind: SpanKind, name: String, traceparent: Option<&str>) -> Self {
        let parent = traceparent.map_or_else(Context::new, |value| {
            let header = HashMap::from([("traceparent".to_owned(), value.to_owned())]);
            TraceContextPropagator::new().extract_with_context(&Context::new(), &header)
        });
        let (_, tracer) = TRACES.get_or_init(|| {
            let off = SdkTracerProvider::builder().with_sampler(Sampler::AlwaysOff);
            with_tracer(off.build())
        });
        let span = tracer.span_builder(name).with_kind(kind);
        Self(span.start_with_context(tracer, &parent))
    }

    /// The id of the trace that it is part of: 32 hexadecimal digits.
    pub fn trace_id(&self) -> String {
        self.0.span_context().trace_id().to_string()
    }

    /// By which another process goes on.
    pub fn traceparent(&self) -> Traceparent {
        let span = self.0.span_context();
        let (trace_id, span_id) = (span.trace_id().to_bytes(), span.span_id().to_bytes());
        Traceparent {
            trace_id: u128::from_be_bytes(trace_id),
            span_id: u64::from_be_bytes(span_id),
            flags: span.trace_flags().to_u8(),
        }
    }

    /// Ends a request's span.
    pub fn answered(mut self, status: u16) {
        self.set("http.response.status_code", i64::from(status));
        if status >= 500 {
            self.0.set_status(Status::error(""));
        }
    }

    /// Tells why a job failed.
    pub fn failed(&mut self, error: &impl ToString) {
        self.0.set_status(Status::error(error.to_string()));
    }

    fn set(&mut self, name: &'static str, value: impl Into<opentelemetry::Value>) {
        self.0.set_attribute(KeyValue::new(name, value));
    }
}

/// OTLP, on the runtime: the SDK exports from a thread of its own.
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
            .map_err(|_| rejected("the system's certificates are broken"))?;
        let client = Client::builder()
            .tls_certs_only(roots)
            .redirect(Policy::none())
            .connect_timeout(CONNECT_LIMIT)
            .timeout(REQUEST_LIMIT)
            .build()
            .map_err(|_| rejected("it has no client"))?;
        // The message of a refusal repeats what it refuses.
        let otlp = Otlp::builder().with_http().with_http_client(client);
        Ok(Self {
            otlp: otlp.build().map_err(|_| rejected("it is no URL"))?,
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
            tracing::warn!(%error, "traces are lost until their collector takes them");
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
    fn only_a_well_formed_trace_is_joined() {
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
