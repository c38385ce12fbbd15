//! The demo: its notes API, and its page in real browsers.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests connect to Postgres directly")]

mod browser;
mod docs;
mod links;
mod live;
mod notes;
mod page;
mod page_accounts;
mod page_failures;
#[allow(dead_code, unused_imports, reason = "tests/factors uses all of it")]
#[path = "../factors/support/mod.rs"]
mod support;
