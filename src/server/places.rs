//! The places of a listener's connections: how many there are, how many one peer may have, and which connection gives
//! up its place when all are taken.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;
use tokio::{sync::Notify, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::network::network;

/// How often to look for a connection that waits, while all places are taken by requests in flight.
const PAUSE: Duration = Duration::from_millis(100);

static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The limits of a listener.
pub(crate) struct Limits {
    /// The connections at once.
    pub(crate) all: usize,
    /// The connections of one peer at once: an IPv4 address, or the /64 of an IPv6 address.
    pub(crate) per_peer: usize,
    /// Proxies, whose connections are those of many peers.
    pub(crate) trusted: Vec<IpNet>,
}

/// The places of one listener.
pub(super) struct Places {
    limits: Limits,
    taken: Mutex<Taken>,
    /// A place has become free.
    freed: Notify,
    start: Instant,
    warned: AtomicBool,
}

#[derive(Default)]
struct Taken {
    connections: HashMap<u64, Arc<Connection>>,
    /// The number of connections of each peer that is no proxy.
    peers: HashMap<IpAddr, usize>,
    last_id: u64,
}

/// A connection, as the listener sees it.
pub(super) struct Connection {
    /// None: a proxy.
    peer: Option<IpAddr>,
    start: Instant,
    /// Since when it waits for its client, in milliseconds since `start`: for a request, or for the reader of a
    /// response. 0: it does not.
    waits_since: AtomicU64,
    /// It has sent `X-Forwarded-For`.
    forwards: AtomicBool,
    /// Cancelled when the connection must give up its place.
    pub(super) evicted: CancellationToken,
}

impl Connection {
    /// It waits for its client from now on.
    pub(super) fn waits(&self) {
        self.waits_since.store(self.start.elapsed().as_millis() as u64 + 1, Relaxed);
    }

    /// Its request has arrived.
    pub(super) fn works(&self) {
        self.waits_since.store(0, Relaxed);
    }

    /// Records whether its request has `X-Forwarded-For`, although it is no trusted proxy.
    pub(super) fn looks_like_proxy(&self, headers: &HeaderMap) {
        if self.peer.is_some() && headers.contains_key(&FORWARDED_FOR) {
            self.forwards.store(true, Relaxed);
        }
    }
}

/// A place of a connection, until it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    id: u64,
    pub(super) connection: Arc<Connection>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().remove(self.id);
        self.places.freed.notify_one();
    }
}

impl Taken {
    fn remove(&mut self, id: u64) -> Option<Arc<Connection>> {
        let connection = self.connections.remove(&id)?;
        if let Some(peer) = connection.peer
            && let Some(count) = self.peers.get_mut(&peer)
        {
            *count -= 1;
            if *count == 0 {
                self.peers.remove(&peer);
            }
        }
        Some(connection)
    }

    /// Evicts the connection, of this peer or of all, that has waited for its client for longest. Returns whether there
    /// was one.
    fn evict(&mut self, peer: Option<IpAddr>) -> bool {
        let all = self.connections.iter().filter(|(_, connection)| peer.is_none() || connection.peer == peer);
        let waiting = all.map(|(id, connection)| (connection.waits_since.load(Relaxed), *id));
        let longest = waiting.filter(|(since, _)| *since > 0).min();
        let evicted = longest.and_then(|(_, id)| self.remove(id));
        evicted.map(|connection| connection.evicted.cancel()).is_some()
    }
}

impl Places {
    pub(super) fn new(limits: Limits) -> Self {
        let taken = Mutex::default();
        Self { limits, taken, freed: Notify::new(), start: Instant::now(), warned: AtomicBool::new(false) }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection; waits while all are taken by requests in flight. None: its peer has as many requests
    /// in flight as one may have.
    pub(super) async fn take(self: &Arc<Self>, ip: IpAddr) -> Option<Place> {
        loop {
            match self.try_take(ip) {
                Ok(place) => return place,
                Err(Full) => drop(timeout(PAUSE, self.freed.notified()).await),
            }
        }
    }

    /// As [`Places::take`]; an error where that waits.
    pub(super) fn try_take(self: &Arc<Self>, ip: IpAddr) -> Result<Option<Place>, Full> {
        let proxy = self.limits.trusted.iter().any(|network| network.contains(&ip.to_canonical()));
        let peer = (!proxy).then(|| network(ip));
        let mut taken = self.lock();
        if let Some(peer) = peer
            && taken.peers.get(&peer).is_some_and(|count| *count >= self.limits.per_peer)
        {
            self.warn(&taken, peer);
            if !taken.evict(Some(peer)) {
                return Ok(None);
            }
        }
        if taken.connections.len() >= self.limits.all && !taken.evict(None) {
            return Err(Full);
        }
        taken.last_id += 1;
        let (id, start) = (taken.last_id, self.start);
        let connection = Arc::new(Connection {
            peer,
            start,
            waits_since: AtomicU64::new(0),
            forwards: AtomicBool::new(false),
            evicted: CancellationToken::new(),
        });
        connection.waits();
        taken.connections.insert(id, connection.clone());
        if let Some(peer) = peer {
            *taken.peers.entry(peer).or_default() += 1;
        }
        Ok(Some(Place { places: self.clone(), id, connection }))
    }

    /// Warns once of a peer at its limit that looks like a proxy.
    fn warn(&self, taken: &Taken, peer: IpAddr) {
        let mut own = taken.connections.values().filter(|connection| connection.peer == Some(peer));
        if own.any(|connection| connection.forwards.load(Relaxed)) && !self.warned.swap(true, Relaxed) {
            tracing::warn!(
                "a peer that sends X-Forwarded-For has a tenth of MAX_CONNECTIONS: if it is a proxy, add its network to TRUSTED_PROXIES"
            );
        }
    }
}

/// All places are taken by requests in flight.
pub(super) struct Full;

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const EVE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn places() -> Arc<Places> {
        let trusted = vec!["10.0.0.0/8".parse().expect("a network")];
        Arc::new(Places::new(Limits { all: 4, per_peer: 2, trusted }))
    }

    fn place(places: &Arc<Places>, ip: IpAddr) -> Place {
        places.try_take(ip).ok().flatten().expect("a place")
    }

    #[test]
    fn a_peer_at_its_limit_gives_up_its_own_longest_wait_alone() {
        let places = places();
        let ada = place(&places, ADA);
        let (first, second) = (place(&places, EVE), place(&places, EVE));
        first.connection.works();

        let third = place(&places, EVE);
        assert!(second.connection.evicted.is_cancelled() && !first.connection.evicted.is_cancelled());
        third.connection.works();
        assert!(matches!(places.try_take(EVE), Ok(None)), "both are requests in flight");

        drop((first, second, third));
        assert!(!ada.connection.evicted.is_cancelled());
        assert_eq!(places.lock().peers.len(), 1);
    }

    #[test]
    fn when_all_places_are_taken_the_longest_wait_ends() {
        let places = places();
        let proxy: [Place; 4] = std::array::from_fn(|_| place(&places, "10.0.0.1".parse().expect("an IP address")));
        proxy[0].connection.works();

        let ada = place(&places, ADA);
        assert_eq!(proxy.iter().position(|place| place.connection.evicted.is_cancelled()), Some(1));
        proxy.iter().for_each(|place| place.connection.works());
        ada.connection.works();
        assert!(matches!(places.try_take(EVE), Err(Full)));
    }
}
