//! Password hashes with Argon2id, a few at a time: a hundred sign-ins neither use gigabytes nor starve reads.

use std::sync::{Arc, Once};

use argon2::{Argon2, password_hash::PasswordHasher, password_hash::PasswordVerifier};
use tokio::sync::Semaphore;

/// The number of hashes that may wait for a slot.
const QUEUE: usize = 128;

/// The queue of hashes is full.
#[derive(Debug, thiserror::Error)]
#[error("password hash queue full")]
pub struct Busy;

/// Hashes with Argon2id (19 MiB, two passes: the OWASP minimum), on at most four cores. Cheap to clone.
#[derive(Clone)]
pub struct Hasher {
    queue: Arc<Semaphore>,
    slots: Arc<Semaphore>,
}

impl Default for Hasher {
    fn default() -> Self {
        return_memory();
        let slots = std::thread::available_parallelism().map_or(1, usize::from).min(4);
        Self { queue: Arc::new(Semaphore::new(slots + QUEUE)), slots: Arc::new(Semaphore::new(slots)) }
    }
}

impl Hasher {
    /// Hashes a new password, in PHC format. Errors: the queue is full.
    pub async fn hash(&self, password: String) -> Result<String, Busy> {
        let hash = self.run(move || Argon2::default().hash_password(password.as_bytes()));
        Ok(hash.await?.expect("the system gives random bytes for the salt").to_string())
    }

    /// Whether the password matches the hash. Without a hash: false, after the same work, so that the time does not
    /// reveal whether an account exists. Errors: the queue is full.
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, Busy> {
        self.run(move || match hash {
            Some(hash) => Argon2::default().verify_password(password.as_bytes(), hash.as_str()).is_ok(),
            None => {
                let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &[0; 16]);
                std::hint::black_box(hash.is_ok());
                false
            }
        })
        .await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let queued = self.queue.clone().try_acquire_owned().map_err(|_| Busy)?;
        let slot = self.slots.clone().acquire_owned().await.map_err(|_| Busy)?;
        // Moves the permits: the hash runs on when the request is dropped.
        let work = tokio::task::spawn_blocking(move || {
            let _permits = (queued, slot);
            work()
        });
        Ok(work.await.expect("a hash does not panic"))
    }
}

/// Makes glibc map and unmap each hash's memory by itself. By default glibc raises this threshold after the first such
/// block, and then keeps hundreds of megabytes.
#[allow(unsafe_code)]
fn return_memory() {
    // A static, as it is a setting of the process.
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        #[cfg(target_env = "gnu")]
        // SAFETY: `mallopt` takes two integers and no pointer, locks the allocator itself, and this
        // parameter is one it may be given at any time.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, 128 * 1024);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_verifies_its_own_password_alone() -> Result<(), Busy> {
        let hasher = Hasher::default();
        let hash = hasher.hash("correct horse".into()).await?;

        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(hasher.verify("correct horse".into(), Some(hash.clone())).await?);
        assert!(!hasher.verify("wrong horse".into(), Some(hash)).await?);
        assert!(!hasher.verify("correct horse".into(), None).await?);
        Ok(())
    }
}
