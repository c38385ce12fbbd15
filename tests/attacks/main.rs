//! Attacks: what strangers and accounts must not be able to do to others, each as a promise with its figure.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests connect to Postgres directly")]

mod identity;
mod memory;
mod requests;
mod rights;
mod room;
mod sign_up;
#[allow(dead_code, unused_imports, reason = "tests/factors uses all of it")]
#[path = "../factors/support/mod.rs"]
mod support;
