//! Passwords: what is accepted, and how it is hashed without taking the machine.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock, Once};

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

use super::email::EmailAddress;
use crate::http::problem::Problem;

/// How many may wait for a hash; whoever comes then is told to come again.
const QUEUE: usize = 128;

/// The commonest 5,000 of at least 8 characters, from the `zxcvbn` project's list, in lower case.
static COMMON: LazyLock<HashSet<&str>> = LazyLock::new(|| include_str!("common_passwords.txt").lines().collect());

/// A password that may be chosen.
pub struct Password(String);

impl Password {
    /// Parses a password that is to be set for an address; `field` names it in the problem.
    /// Errors: a problem with the field.
    pub fn parse(field: &'static str, text: String, email: &EmailAddress) -> Result<Self, Problem> {
        let lower = text.to_lowercase();
        let problem = match text.chars().count() {
            ..8 => "must have at least 8 characters",
            129.. => "must have at most 128 characters",
            _ if COMMON.contains(lower.as_str()) => "is among the most common passwords",
            _ if lower == email.as_str() || lower == email.local_part() => "must not be the email address",
            _ => return Ok(Self(text)),
        };
        Err(Problem::field(field, problem))
    }
}

impl From<Password> for String {
    fn from(password: Password) -> Self {
        password.0
    }
}

/// Hashes with Argon2id (19 MiB, two passes), a few at a time.
#[derive(Clone)]
pub struct Hasher {
    room: Arc<Semaphore>,
    lanes: Arc<Semaphore>,
}

impl Default for Hasher {
    fn default() -> Self {
        give_memory_back();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let lanes = cores.min(4);
        Self { room: Arc::new(Semaphore::new(lanes + QUEUE)), lanes: Arc::new(Semaphore::new(lanes)) }
    }
}

impl Hasher {
    /// The hash of a new password, to be stored. Errors: [`Problem::Busy`] when too many wait already.
    pub async fn hash(&self, password: String) -> Result<String, Problem> {
        let hash = self.run(move || Argon2::default().hash_password(password.as_bytes()));
        let hash = hash.await?;
        hash.map(|hash| hash.to_string()).map_err(internal)
    }

    /// Whether it is the password of a hash. Without one the answer is no, after the same work: the time it
    /// takes does not tell whether there is an account. Errors: [`Problem::Busy`] when too many wait already.
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, Problem> {
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

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let room = self.room.clone().try_acquire_owned().map_err(|_| Problem::Busy)?;
        let lane = self.lanes.clone().acquire_owned().await.map_err(internal)?;
        // The permits go along: the work goes on when the request is dropped.
        let work = tokio::task::spawn_blocking(move || {
            let _held = (room, lane);
            work()
        });
        work.await.map_err(internal)
    }
}

fn internal(error: impl std::fmt::Display) -> Problem {
    Problem::Internal(format!("hashing: {error}"))
}

/// Has glibc map each hash's memory for itself, so that it goes back to the system with the hash. By default
/// it raises this threshold after the first such block, and then keeps hundreds of megabytes.
#[allow(unsafe_code)]
fn give_memory_back() {
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

    fn parse(text: &str) -> Result<Password, Problem> {
        let email = EmailAddress::parse("ada.lovelace@example.com")?;
        Password::parse("password", text.to_owned(), &email)
    }

    #[test]
    fn short_long_common_and_own_are_refused() {
        let long = "x".repeat(129);
        for text in ["short", "äöüß", "Password123", "Ada.Lovelace", "ada.lovelace@example.com", &long] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert!(parse("correct horse").is_ok());
        assert!(parse(&"ä".repeat(128)).is_ok(), "characters are counted, not bytes");
        assert!(COMMON.len() >= 3_000);
    }

    #[tokio::test]
    async fn a_hash_verifies_its_own_password_alone() -> Result<(), Problem> {
        let hasher = Hasher::default();
        let hash = hasher.hash("correct horse".into()).await?;

        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(hasher.verify("correct horse".into(), Some(hash.clone())).await?);
        assert!(!hasher.verify("wrong horse".into(), Some(hash)).await?);
        assert!(!hasher.verify("correct horse".into(), None).await?);
        Ok(())
    }
}
