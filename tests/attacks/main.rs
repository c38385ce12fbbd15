//! Attacks by strangers and by accounts, each of which must not reach its aim.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests connect to Postgres directly")]

mod sign_up;
#[allow(dead_code, unused_imports, reason = "tests/factors uses all of it")]
#[path = "../factors/support/mod.rs"]
mod support;
