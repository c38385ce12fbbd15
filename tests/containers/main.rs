//! The demo of docker-compose.yml, as a person meets it: II, IV, V, VIII, IX, X and XI in containers.
//!
//! `script/demo-test` builds the image, starts the demo and runs these; one after the other, since they break it.

mod compose_file;
mod demo;
mod faults;
mod formation;
mod image;
mod logs;
mod tasks;
#[path = "../factors/support/until.rs"]
mod until;
