//! The current request: its id is in logs, problems and jobs, and its trace continues in jobs.

use std::{any::Any, fmt, net::IpAddr, ops::Range, sync::Arc, sync::OnceLock};

use uuid::Uuid;

tokio::task_local! {
    /// Task-local, so that the functions between a handler and `enqueue` need no parameter for it.
    static CURRENT: Scope;
}

/// What a request's task has.
struct Scope {
    context: Context,
    kept: OnceLock<Kept>,
}

/// A value that is dropped when the response is sent.
pub type Kept = Arc<dyn Any + Send + Sync>;

/// The ids of a request.
#[derive(Clone, Debug)]
pub struct Context {
    /// The request id, from the client or generated; none for a job that no request added.
    pub request_id: Option<String>,
    /// The current span.
    pub traceparent: Traceparent,
    /// The address of the client; none in a job.
    pub client: Option<IpAddr>,
}

/// A span's ids, as another process can continue its trace: `traceparent` of the W3C
/// (<https://www.w3.org/TR/trace-context/#traceparent-header>).
#[derive(Clone, Copy, Debug)]
pub struct Traceparent {
    /// The trace id.
    pub trace_id: u128,
    /// The span id.
    pub span_id: u64,
    /// Bit 0: the trace is sampled.
    pub flags: u8,
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

impl Traceparent {
    /// Parses `00-<32 hexadecimal digits>-<16>-<2>`, in lower case, with ids that are not zero.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = |range: Range<usize>| {
            let digits =
                text.get(range).filter(|digits| digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
            digits.and_then(|digits| u128::from_str_radix(digits, 16).ok())
        };
        let hyphens = text.len() == 55 && [2, 35, 52].iter().all(|at| text.as_bytes()[*at] == b'-');
        match (digits(0..2), digits(3..35), digits(36..52), digits(53..55)) {
            (Some(0), Some(trace_id @ 1..), Some(span_id @ 1..), Some(flags)) if hyphens => {
                Some(Self { trace_id, span_id: span_id as u64, flags: flags as u8 })
            }
            _ => None,
        }
    }
}

/// Runs `work` with this context.
pub async fn scope<T>(context: Context, work: impl Future<Output = T>) -> T {
    CURRENT.scope(Scope { context, kept: OnceLock::new() }, work).await
}

/// Keeps a value until the response is sent, if it is large, or else until it is made.
pub fn keep(value: Kept) {
    let _ = CURRENT.try_with(|scope| scope.kept.set(value));
}

/// What the current request keeps.
pub fn kept() -> Option<Kept> {
    CURRENT.try_with(|scope| scope.kept.get().cloned()).ok().flatten()
}

/// The address of the current request's client.
pub fn client() -> Option<IpAddr> {
    CURRENT.try_with(|scope| scope.context.client).ok().flatten()
}

/// The context of the caller; none outside [`scope`].
pub fn current() -> Option<Context> {
    CURRENT.try_with(|scope| scope.context.clone()).ok()
}

/// The id of the current request; outside a request a new id.
pub fn request_id() -> String {
    CURRENT.try_with(|scope| scope.context.request_id.clone()).ok().flatten().unwrap_or_else(new_request_id)
}

/// The id that the client sent, if it is well formed (8 to 64 letters, digits or hyphens); else a new id.
pub fn request_id_of(given: Option<&str>) -> String {
    given.filter(|id| is_request_id(id)).map_or_else(new_request_id, str::to_owned)
}

fn new_request_id() -> String {
    Uuid::new_v4().to_string()
}

fn is_request_id(id: &str) -> bool {
    (8..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_is_a_traceparent_only_in_its_form(text in "\\PC{0,60}|0[0-9a-f]-[0-9a-f]{31,33}-[0-9a-fA-F]{16}-[0-9a-f]{2}") {
            if let Some(parsed) = Traceparent::parse(&text) {
                prop_assert_eq!(parsed.to_string(), text);
            }
        }

        #[test]
        fn any_traceparent_is_read_as_it_was_written(trace_id in 1..=u128::MAX, span_id in 1..=u64::MAX, flags: u8) {
            let read = Traceparent::parse(&Traceparent { trace_id, span_id, flags }.to_string());
            prop_assert_eq!(read.map(|it| (it.trace_id, it.span_id, it.flags)), Some((trace_id, span_id, flags)));
        }
    }
}
