//! The counters of a process, for Prometheus. `http::metrics` serves them on METRICS_PORT.

use std::sync::{LazyLock, OnceLock};

use prometheus::{HistogramOpts, HistogramVec, IntCounter, Result, register_histogram_vec, register_int_counter};

/// The upper bounds of the histogram, in seconds.
const BOUNDS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Requests by method, route and status. A static, like the crate's default registry: counters are not passed through
/// every function. Unset without METRICS_PORT, as then nothing reads it.
static REQUESTS: OnceLock<HistogramVec> = OnceLock::new();

/// Log lines that were dropped because stdout was not read.
pub static LOG_LINES_DROPPED: LazyLock<IntCounter> = LazyLock::new(|| {
    let counter = register_int_counter!("log_lines_dropped_total", "Log lines dropped because stdout was not read.");
    counter.expect("the name is valid and registered once")
});

/// Starts counting requests. Errors: it was called before.
pub fn start() -> Result<()> {
    LazyLock::force(&LOG_LINES_DROPPED);
    let opts = HistogramOpts::new("http_request_duration_seconds", "From a request's head to its response's.");
    let requests = register_histogram_vec!(opts.buckets(BOUNDS.to_vec()), &["method", "route", "status"])?;
    let _ = REQUESTS.set(requests);
    Ok(())
}

/// Counts a request that took `seconds`.
pub fn observe_request(method: &str, route: Option<&str>, status: u16, seconds: f64) {
    if let Some(requests) = REQUESTS.get() {
        let labels = [known_method(method), route.unwrap_or_default(), &status.to_string()];
        requests.with_label_values(&labels).observe(seconds);
    }
}

/// The method, or `_OTHER` for an unknown one: clients may send any number of names, and each would be a label.
pub fn known_method(method: &str) -> &'static str {
    METHODS.iter().find(|known| **known == method).unwrap_or(&"_OTHER")
}
