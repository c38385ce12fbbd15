//! The security events: what an operator searches for after an attack. docs/security.md lists them.

use uuid::Uuid;

use crate::{context, network::network};

/// A security event. It is logged with its account, if known, and the network of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "its name documents a variant")]
pub enum Event {
    SignUpRequested,
    AccountCreated,
    SignedIn,
    SignInRejected,
    PasswordRejected,
    SignedOut,
    SignedOutEverywhere,
    ResetRequested,
    PasswordReset,
    PasswordChanged,
    EmailChangeRequested,
    EmailChanged,
    AccountErased,
    RateLimited,
    CrossOriginRejected,
    AccountMismatch,
}

/// Logs a security event.
pub fn log(event: Event, account: Option<Uuid>) {
    let client = context::client().map(|ip| tracing::field::display(network(ip)));
    let account = account.map(tracing::field::display);
    tracing::info!(event = ?event, account.id = account, client, "security event");
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_event_is_documented() {
        let (code, page) = (include_str!("security.rs"), include_str!("../../docs/security.md"));
        let events = code.split("pub enum Event {").nth(1).and_then(|rest| rest.split('}').next()).expect("the list");
        let undocumented = events.split([',', '\n']).map(str::trim).filter(|name| !page.contains(&format!("`{name}`")));
        assert_eq!(undocumented.filter(|name| !name.is_empty()).count(), 0);
    }
}
