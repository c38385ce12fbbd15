//! The demo of docker-compose.yml, used from outside: factors II, IV, V, VIII, IX, X, XI and XII in containers.
//!
//! `script/demo-test` builds the image, starts the demo and runs these tests one at a time, since they stop its parts.
#![allow(clippy::disallowed_methods, reason = "it reads its own variables")]

mod compose_file;
mod demo;
mod faults;
mod formation;
mod image;
mod logs;
mod tasks;
#[path = "../factors/support/until.rs"]
mod until;
