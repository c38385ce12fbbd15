//! The demo's page, in real browsers, and the route that it has to itself.

mod browser;
mod docs;
mod live;
mod notes;
mod page;
mod page_troubles;
#[allow(dead_code, unused_imports, reason = "the factors use all of it")]
#[path = "../factors/support/mod.rs"]
mod support;
