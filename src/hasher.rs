//! Password hashes with Argon2id, a few at a time: a hundred sign-ins neither use gigabytes nor starve reads.
//!
//! The networks that wait take turns, so that one that sends a thousand delays another by one hash. Own code, as the
//! semaphores of crates serve in the order of arrival.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};

use argon2::{Argon2, password_hash::PasswordHasher, password_hash::PasswordVerifier};
use tokio::sync::oneshot;

use crate::network::wider_network;

/// The number of hashes of one network that may wait.
const PER_NETWORK: usize = 128;
/// The number of hashes that may wait in all.
const QUEUE: usize = 1_024;

/// How hashes with the current parameters start.
const CURRENT: &str = "$argon2id$v=19$m=19456,t=2,p=1$";

/// Whether a hash was made with other parameters: it is to be renewed when its password is known.
pub fn is_outdated(hash: &str) -> bool {
    !hash.starts_with(CURRENT)
}

/// Too many hashes wait.
#[derive(Debug, thiserror::Error)]
#[error("password hash queue full")]
pub struct Busy;

/// Whom a hash is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Turn {
    /// A device that has signed in to the account before. It goes first.
    Known,
    /// A client's wider network.
    Network(IpAddr),
}

impl Turn {
    /// The turn of a client.
    pub fn of(ip: IpAddr) -> Self {
        Self::Network(wider_network(ip))
    }
}

/// Hashes with Argon2id (19 MiB, two passes: the OWASP minimum), on at most four cores. Cheap to clone.
#[derive(Clone)]
pub struct Hasher(Arc<Mutex<Queue>>);

struct Queue {
    /// The number of hashes that may start.
    free: usize,
    waiting: HashMap<Turn, VecDeque<oneshot::Sender<Slot>>>,
    /// Those that wait, in the order of their turns.
    turns: VecDeque<Turn>,
}

/// The right to run a hash, until it is dropped.
struct Slot(Arc<Mutex<Queue>>);

impl Drop for Slot {
    fn drop(&mut self) {
        lock(&self.0).free += 1;
        start_next(&self.0);
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the hashes that may start.
fn start_next(queue: &Arc<Mutex<Queue>>) {
    loop {
        let next = {
            let mut locked = lock(queue);
            if locked.free == 0 {
                return;
            }
            let Some(next) = locked.next() else { return };
            locked.free -= 1;
            next
        };
        // Returns the slot, and so its right, if the request was dropped.
        drop(next.send(Slot(queue.clone())));
    }
}

impl Queue {
    /// The hash whose turn it is. Known devices go first; a network that waits for more joins the end of the line.
    fn next(&mut self) -> Option<oneshot::Sender<Slot>> {
        let first = self.turns.iter().position(|turn| *turn == Turn::Known).unwrap_or(0);
        let turn = self.turns.remove(first)?;
        let line = self.waiting.get_mut(&turn)?;
        let next = line.pop_front();
        if line.is_empty() {
            self.waiting.remove(&turn);
        } else {
            self.turns.push_back(turn);
        }
        next
    }

    /// Joins the line of `turn`. If the queue is full, the last in the longest line of a network leaves. Errors: that is
    /// this one.
    fn join(&mut self, turn: Turn) -> Result<oneshot::Receiver<Slot>, Busy> {
        let own = self.waiting.get(&turn).map_or(0, VecDeque::len);
        if own >= PER_NETWORK {
            return Err(Busy);
        }
        if self.waiting.values().map(VecDeque::len).sum::<usize>() >= QUEUE {
            let networks = self.waiting.iter().filter(|(other, _)| **other != Turn::Known);
            let longest = networks.map(|(other, line)| (line.len(), *other)).max_by_key(|(length, _)| *length);
            let shorter = |(length, _): &(usize, Turn)| *length > own + 1 || turn == Turn::Known;
            let (length, other) = longest.filter(shorter).ok_or(Busy)?;
            if length == 1 {
                self.waiting.remove(&other);
                self.turns.retain(|waiting| *waiting != other);
            } else if let Some(line) = self.waiting.get_mut(&other) {
                line.pop_back();
            }
        }
        let (sender, receiver) = oneshot::channel();
        if own == 0 {
            self.turns.push_back(turn);
        }
        self.waiting.entry(turn).or_default().push_back(sender);
        Ok(receiver)
    }
}

impl Default for Hasher {
    fn default() -> Self {
        return_memory();
        let free = std::thread::available_parallelism().map_or(1, usize::from).min(4);
        Self(Arc::new(Mutex::new(Queue { free, waiting: HashMap::new(), turns: VecDeque::new() })))
    }
}

impl Hasher {
    /// Hashes a new password, in PHC format. Errors: too many hashes wait.
    pub async fn hash(&self, password: String, turn: Turn) -> Result<String, Busy> {
        let hash = self.run(turn, move || Argon2::default().hash_password(password.as_bytes()));
        Ok(hash.await?.expect("the system gives random bytes for the salt").to_string())
    }

    /// Whether the password matches the hash. Without a hash: false, after the same work, so that the time does not
    /// reveal whether an account exists. Errors: too many hashes wait.
    pub async fn verify(&self, password: String, hash: Option<String>, turn: Turn) -> Result<bool, Busy> {
        self.run(turn, move || match hash {
            Some(hash) => Argon2::default().verify_password(password.as_bytes(), hash.as_str()).is_ok(),
            None => {
                let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &[0; 16]);
                std::hint::black_box(hash.is_ok());
                false
            }
        })
        .await
    }

    async fn run<T: Send + 'static>(&self, turn: Turn, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let started = lock(&self.0).join(turn)?;
        start_next(&self.0);
        let slot = started.await.map_err(|_| Busy)?;
        // Moves the slot: the hash runs on when the request is dropped.
        let work = tokio::task::spawn_blocking(move || {
            let _slot = slot;
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
    use tokio::sync::oneshot::error::TryRecvError::Closed;

    fn turn(ip: &str) -> Turn {
        Turn::of(ip.parse().expect("an IP address"))
    }

    #[tokio::test]
    async fn a_hash_verifies_its_own_password_alone() -> Result<(), Busy> {
        let (hasher, turn) = (Hasher::default(), turn("192.0.2.1"));
        let hash = hasher.hash("correct horse".into(), turn).await?;

        assert!(!is_outdated(&hash), "{hash}");
        assert!(hasher.verify("correct horse".into(), Some(hash.clone()), turn).await?);
        assert!(!hasher.verify("wrong horse".into(), Some(hash), turn).await?);
        assert!(!hasher.verify("correct horse".into(), None, turn).await?);
        Ok(())
    }

    #[test]
    fn networks_take_turns_and_known_devices_go_first() {
        let mut queue = Queue { free: 0, waiting: HashMap::new(), turns: VecDeque::new() };
        let eve = turn("192.0.2.1");
        let mut joined = Vec::new();
        for turn in [eve, eve, turn("192.0.2.200"), turn("198.51.100.1"), Turn::Known] {
            joined.push(queue.join(turn).expect("room"));
        }

        let mut order: Vec<usize> = Vec::new();
        while let Some(sender) = queue.next() {
            drop(sender);
            let closed =
                |receiver: &mut oneshot::Receiver<Slot>| receiver.try_recv().is_err_and(|error| error == Closed);
            let next = (0..5).find(|at| !order.contains(at) && closed(&mut joined[*at]));
            order.push(next.expect("the receiver of the dropped sender"));
        }
        assert_eq!(order, [4, 0, 3, 1, 2]);
    }

    #[test]
    fn a_full_queue_has_room_for_a_new_network() {
        let mut queue = Queue { free: 0, waiting: HashMap::new(), turns: VecDeque::new() };
        let network = |at: usize| turn(&format!("10.0.{at}.1"));
        let waiting: Vec<_> = (0..QUEUE).filter_map(|at| queue.join(network(at / PER_NETWORK)).ok()).collect();

        assert_eq!(waiting.len(), QUEUE);
        assert!(queue.join(network(0)).is_err(), "one network has at most its part");
        assert!(queue.join(network(200)).is_ok());
        assert_eq!(queue.waiting.values().map(VecDeque::len).sum::<usize>(), QUEUE);
    }

    #[test]
    fn a_queue_full_of_networks_has_room_for_a_known_device() {
        let mut queue = Queue { free: 0, waiting: HashMap::new(), turns: VecDeque::new() };
        let network = |at: usize| turn(&format!("10.{}.{}.1", at / 256, at % 256));
        let _waiting: Vec<_> = (0..QUEUE).filter_map(|at| queue.join(network(at)).ok()).collect();

        assert!(queue.join(network(QUEUE)).is_err());
        let mut known = queue.join(Turn::Known).expect("room");
        drop(queue.next());
        assert_eq!(known.try_recv().err(), Some(Closed), "it is the next one");
        assert_eq!((queue.waiting.len(), queue.turns.len()), (QUEUE - 1, QUEUE - 1));
    }
}
