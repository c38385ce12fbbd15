//! Traces: the spans of requests and jobs, sent by OTLP over HTTP if the environment asks for it.
//! Nothing but this module knows OpenTelemetry.

use std::sync::atomic::{AtomicBool, Ordering};
use std::{collections::HashMap, sync::OnceLock, time::Duration};

use opentelemetry::propagation::TextMapPropagator;
pub use opentelemetry::trace::SpanContext;
use opentelemetry::trace::{
    Span as _, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{SpanExporter as Otlp, WithHttpConfig};
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span as SdkSpan, SpanData, SpanExporter};
use opentelemetry_sdk::{Resource, error::OTelSdkResult, propagation::TraceContextPropagator};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client};
use tokio::{runtime::Handle, task::spawn_blocking};

use crate::config::{Config, variable};
use crate::services::{self, Error};
use crate::{logs, telemetry};

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
    let tracer = provider.tracer(env!("CARGO_PKG_NAME"));
    TRACES.get_or_init(|| (provider, tracer));
    Ok(())
}

/// Sends the spans that are left, for as long as the limit lets it.
pub async fn stop(limit: Duration) {
    if let Some((provider, _)) = TRACES.get() {
        let _ = spawn_blocking(move || provider.shutdown_with_timeout(limit)).await;
    }
}

/// Who sends the spans; what the environment says of it counts more than what we do.
fn resource(config: &Config) -> Resource {
    let ours = Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes([
            KeyValue::new("service.name", env!("CARGO_PKG_NAME")),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", logs::instance()),
            KeyValue::new("deployment.release", config.release_id.clone()),
        ])
        .with_detector(Box::new(EnvResourceDetector::new()));
    let name = variable("OTEL_SERVICE_NAME").map(|name| KeyValue::new("service.name", name));
    ours.with_attributes(name).build()
}

/// A request's or a job's span, which ends when it is dropped.
#[derive(Debug)]
pub struct Span {
    context: SpanContext,
    /// None if nothing is exported: a span is then no more than its ids.
    exported: Option<SdkSpan>,
}

impl Span {
    /// The span of a request, which goes on with the trace that the client names.
    pub fn request(method: &str, route: Option<&str>, traceparent: Option<&str>) -> Self {
        let method = telemetry::known(method);
        let name = || route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"));
        let mut span = Self::start(SpanKind::Server, name, traceparent);
        if let Some(exported) = &mut span.exported {
            exported.set_attribute(KeyValue::new("http.request.method", method));
            exported.set_attributes(route.map(|route| KeyValue::new("http.route", route.to_owned())));
        }
        span
    }

    /// The span of a job, which goes on with the trace of the request that added it.
    pub fn job(task: &str, traceparent: Option<&str>) -> Self {
        Self::start(SpanKind::Consumer, || format!("job {task}"), traceparent)
    }

    fn start(kind: SpanKind, name: impl FnOnce() -> String, traceparent: Option<&str>) -> Self {
        let parent = traceparent.map_or_else(Context::new, |value| {
            let header = HashMap::from([("traceparent".to_owned(), value.to_owned())]);
            TraceContextPropagator::new().extract_with_context(&Context::new(), &header)
        });
        let Some((_, tracer)) = TRACES.get() else {
            return Self { context: unexported(&parent), exported: None };
        };
        let span = tracer.span_builder(name()).with_kind(kind).start_with_context(tracer, &parent);
        Self { context: span.span_context().clone(), exported: Some(span) }
    }

    /// The id of the trace that it is part of: 32 hexadecimal digits.
    pub fn trace_id(&self) -> String {
        self.context.trace_id().to_string()
    }

    /// By which another process goes on.
    pub fn context(&self) -> SpanContext {
        self.context.clone()
    }

    /// Ends a request's span.
    pub fn answered(self, status: u16) {
        if let Some(mut span) = self.exported {
            span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
            if status >= 500 {
                span.set_status(Status::error(""));
            }
        }
    }

    /// Tells why a job failed.
    pub fn failed(&mut self, error: &impl ToString) {
        if let Some(span) = &mut self.exported {
            span.set_status(Status::error(error.to_string()));
        }
    }
}

/// The ids that the SDK would give a span that is not sampled: logs and jobs need them.
fn unexported(parent: &Context) -> SpanContext {
    let ids = RandomIdGenerator::default();
    let parent = parent.span().span_context().trace_id();
    let trace = if parent == TraceId::INVALID { ids.new_trace_id() } else { parent };
    SpanContext::new(trace, ids.new_span_id(), TraceFlags::default(), false, TraceState::NONE)
}

/// The W3C trace context of a span.
pub fn traceparent(span: &SpanContext) -> String {
    format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags())
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
        services::install_crypto();
        let refused = |reason| Error::refused("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", reason);
        let roots = Certificate::from_pem_bundle(&services::roots()?)
            .map_err(|_| refused("the system's certificates are broken"))?;
        let client = Client::builder()
            .tls_certs_only(roots)
            .redirect(Policy::none())
            .connect_timeout(CONNECT_LIMIT)
            .timeout(REQUEST_LIMIT)
            .build()
            .map_err(|_| refused("it has no client"))?;
        // The message of a refusal repeats what it refuses.
        let otlp = Otlp::builder().with_http().with_http_client(client);
        Ok(Self {
            otlp: otlp.build().map_err(|_| refused("it is no URL"))?,
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
