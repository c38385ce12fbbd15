//! Waiting for a condition instead of sleeping.

use std::time::{Duration, Instant};

/// Polls `probe` until it returns a value. Panics after the timeout.
pub async fn until<T>(what: &str, timeout: Duration, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = probe().await {
            return value;
        }
        assert!(start.elapsed() < timeout, "timed out after {timeout:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
