//! Attacks that must fail, black-box like tests/factors.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests connect to Postgres directly")]

mod rights;
#[allow(dead_code, unused_imports, reason = "tests/factors uses all of it")]
#[path = "../factors/support/mod.rs"]
mod support;
