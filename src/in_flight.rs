//! Limits what one account does at once, so that it cannot use up what all share, such as connections to Postgres.

use std::{collections::HashMap, sync::Arc, sync::Mutex, sync::PoisonError, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use uuid::Uuid;

const WAIT: Duration = Duration::from_secs(2);

/// The number of users of each account's slots, and the slots. Accounts without users have no entry.
type Accounts = Arc<Mutex<HashMap<Uuid, (usize, Arc<Semaphore>)>>>;

/// The slots of each account.
#[derive(Debug)]
pub struct InFlight {
    accounts: Accounts,
    slots: usize,
    waiting: usize,
}

/// A slot of an account, until it is dropped.
#[derive(Debug)]
pub struct Slot {
    _permit: OwnedSemaphorePermit,
    _user: User,
}

/// One that has a slot, or waits for it.
#[derive(Debug)]
struct User(Accounts, Uuid);

impl Drop for User {
    fn drop(&mut self) {
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((users, _)) = accounts.get_mut(&self.1) {
            *users -= 1;
            if *users == 0 {
                accounts.remove(&self.1);
            }
        }
    }
}

impl InFlight {
    /// Each account has `slots`, for which `waiting` more may wait.
    pub fn new(slots: usize, waiting: usize) -> Self {
        Self { accounts: Accounts::default(), slots, waiting }
    }

    /// Waits up to two seconds for a slot of the account. None: there is none, or too many wait already.
    pub async fn enter(&self, account: Uuid) -> Option<Slot> {
        let slots = {
            let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
            let (users, slots) = accounts.entry(account).or_insert_with(|| (0, Arc::new(Semaphore::new(self.slots))));
            if *users == self.slots + self.waiting {
                return None;
            }
            *users += 1;
            slots.clone()
        };
        let user = User(self.accounts.clone(), account);
        let permit = timeout(WAIT, slots.acquire_owned()).await.ok()?.ok()?;
        Some(Slot { _permit: permit, _user: user })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_account_waits_for_its_own_slots_alone() {
        let (in_flight, account, other) = (InFlight::new(1, 1), Uuid::from_u128(1), Uuid::from_u128(2));

        let slot = in_flight.enter(account).await.expect("a free slot");
        assert!(in_flight.enter(other).await.is_some());
        let (second, third) = tokio::join!(in_flight.enter(account), in_flight.enter(account));
        assert!(second.is_none() && third.is_none(), "one waits in vain, one is rejected at once");
        drop(slot);
        assert!(in_flight.enter(account).await.is_some());
        assert!(in_flight.accounts.lock().expect("no panic").is_empty());
    }
}
