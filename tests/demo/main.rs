//! The demo: its notes API, and its page in real browsers.

mod browser;
mod docs;
mod live;
mod notes;
mod page;
mod page_failures;
#[allow(dead_code, unused_imports, reason = "tests/factors uses all of it")]
#[path = "../factors/support/mod.rs"]
mod support;
