//! Who asks: what a request's logs, problems and jobs share.

use uuid::Uuid;

use crate::{jobs, logs, traces};

tokio::task_local! {
    /// The request that a future is part of.
    pub(super) static CURRENT: RequestContext;
}

/// What one request is known by.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The client's id for it, or else ours.
    pub request_id: String,
    /// What a job needs to go on with its trace.
    span: traces::SpanContext,
}

impl RequestContext {
    /// Takes the id that comes in, if it is well formed, or makes one.
    pub fn new(request_id: Option<&str>, span: &traces::Span) -> Self {
        let request_id = request_id.filter(|id| is_request_id(id));
        Self { request_id: request_id.map_or_else(new_id, str::to_owned), span: span.context() }
    }
}

/// What a job keeps of the request that adds it: nothing outside a request.
pub fn current() -> jobs::Context {
    let context = |context: &RequestContext| jobs::Context {
        request_id: Some(context.request_id.clone()),
        traceparent: Some(traces::traceparent(&context.span)),
        release: Some(logs::release().to_owned()),
    };
    CURRENT.try_with(context).unwrap_or_default()
}

/// The id of the request, or a new one outside a request.
pub(crate) fn request_id() -> String {
    CURRENT.try_with(|context| context.request_id.clone()).unwrap_or_else(|_| new_id())
}

fn new_id() -> String {
    Uuid::new_v4().to_string()
}

fn is_request_id(id: &str) -> bool {
    (8..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}
