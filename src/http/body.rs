//! The bytes that a process holds for its clients: request bodies as they arrive, and responses until they are sent.
//! What counts is the bytes in memory, not what a client declares, how small its pieces are or how slowly it reads.

use std::time::Duration;

use axum::{body::Body, body::Bytes};
use http_body_util::BodyExt;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout, timeout_at};

use super::{Result, problem::Problem};
use crate::context;

/// A permit to hold a number of bytes.
type Permit = SemaphorePermit<'static>;

// Statics, as they limit the memory of this process. Small bodies have their own, so that large ones cannot use it up.
static SMALL: Semaphore = Semaphore::const_new(4 << 20);
static LARGE: Semaphore = Semaphore::const_new(8 << 20);
/// The maximum capacity that counts as small, in bytes.
const SMALL_BODY: usize = 16 << 10;
/// Smaller responses need no permit.
const SMALL_RESPONSE: usize = 4 << 10;
/// The time that a slow body gets in advance. After twice that time, each byte adds [`PER_BYTE`].
const SLACK: Duration = Duration::from_secs(5);
/// The slowest rate of a body: 1 kB/s.
const PER_BYTE: Duration = Duration::from_millis(1);
/// How much of a rejected body is read and discarded, and for how long: closing the connection while the client still
/// sends would reset it before the client reads the response.
const DISCARD_LIMIT: usize = 16 << 20;
const DISCARD_DEADLINE: Duration = Duration::from_secs(2);

/// Bytes with the permits to hold them.
struct Held<P>(Vec<u8>, P);

impl<P> AsRef<[u8]> for Held<P> {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// What counts the bytes of a body while it is read.
pub trait Room: Default + Send {
    /// Called before the buffer grows by `more` bytes to `capacity`. Errors: too many bytes are held.
    fn grow(&mut self, capacity: usize, more: usize) -> impl Future<Output = Result<()>> + Send;
}

/// The room of most bodies: the memory that all of them share.
#[derive(Default)]
struct Shared(Vec<Permit>);

impl Room for Shared {
    async fn grow(&mut self, capacity: usize, more: usize) -> Result<()> {
        self.0.push(permit(if capacity <= SMALL_BODY { &SMALL } else { &LARGE }, more)?);
        Ok(())
    }
}

/// Reads a body of at most `limit` bytes, which count until the last clone of the result is dropped.
/// Errors: those of [`read_into`].
pub async fn read(body: &mut Body, limit: usize) -> Result<Bytes> {
    let (bytes, permits) = read_into::<Shared>(body, limit).await?;
    Ok(Bytes::from_owner(Held(bytes, permits)))
}

/// Reads a body of at most `limit` bytes into one buffer, and the room that it takes.
/// Errors: it is larger, slower than 1 kB/s, or aborted; or too many bytes are held.
pub async fn read_into<R: Room>(body: &mut Body, limit: usize) -> Result<(Vec<u8>, R)> {
    let mut room = R::default();
    let mut bytes = Vec::new();
    let mut due = Instant::now() + 2 * SLACK;
    while let Some(frame) = timeout_at(due, body.frame()).await.map_err(|_| Problem::BodyTimeout)? {
        // A frame may be a byte and keep a whole buffer of the connection: copy and drop it.
        let frame = frame.map_err(|_| Problem::BadRequest("The body was aborted.".into()))?;
        let Ok(data) = frame.into_data() else { continue };
        let length = bytes.len() + data.len();
        if length > limit {
            return Err(Problem::TooLarge);
        }
        if length > bytes.capacity() {
            let (capacity, start) = (length.next_power_of_two().clamp(512, limit.max(512)), Instant::now());
            room.grow(capacity, capacity - bytes.capacity()).await?;
            bytes.reserve_exact(capacity - bytes.len());
            due += start.elapsed();
        }
        bytes.extend_from_slice(&data);
        due = (due + PER_BYTE * data.len() as u32).min(Instant::now() + SLACK).max(due);
    }
    Ok((bytes, room))
}

/// The body of a response. It counts until it is sent, and so does what the request keeps.
/// Errors: too many bytes are held.
pub fn response(bytes: Vec<u8>) -> Result<Body> {
    if bytes.len() <= SMALL_RESPONSE {
        return Ok(Body::from(bytes));
    }
    let permits = (permit(&LARGE, bytes.capacity())?, context::kept());
    Ok(Body::from(Bytes::from_owner(Held(bytes, permits))))
}

/// A permit, without waiting for one: bodies that wait for each other would hold what they have.
fn permit(semaphore: &'static Semaphore, bytes: usize) -> Result<Permit> {
    u32::try_from(bytes).ok().and_then(|bytes| semaphore.try_acquire_many(bytes).ok()).ok_or(Problem::Busy)
}

/// Reads and drops the rest of a rejected body.
pub(crate) async fn discard(body: &mut Body) {
    let mut left = DISCARD_LIMIT;
    let rest = async {
        while let Some(Ok(frame)) = body.frame().await
            && let Some(after) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len))
        {
            left = after;
        }
    };
    let _ = timeout(DISCARD_DEADLINE, rest).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{StreamExt, stream};

    #[tokio::test]
    async fn a_body_of_single_bytes_counts_its_bytes_and_gives_them_back() {
        let before = SMALL.available_permits() + LARGE.available_permits();
        let pieces = stream::iter(0..20_000).map(|at: u32| Ok::<_, std::io::Error>(Bytes::from(vec![at as u8])));

        let bytes = read(&mut Body::from_stream(pieces), 20_000).await.unwrap_or_else(|problem| panic!("{problem:?}"));

        assert_eq!((bytes.len(), bytes[300]), (20_000, 44));
        assert_eq!(before - SMALL.available_permits() - LARGE.available_permits(), 20_000);
        drop(bytes);
        assert_eq!(SMALL.available_permits() + LARGE.available_permits(), before);
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_too_large() {
        let result = read(&mut Body::from("four"), 3).await;
        assert!(matches!(result, Err(Problem::TooLarge)), "{result:?}");
    }
}
