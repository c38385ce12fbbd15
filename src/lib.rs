//! A twelve-factor web service. This page is its table of contents: files are factors, folders are domains.
//!
//! Each module uses only those above it; `script/check-layers` reads the order here and holds it.

pub mod config; // III   one field, one variable
pub mod release; // V     what runs: version, commit, release, process, instance
pub mod context; // the request that work is done for
pub mod metrics; // what is counted, as Prometheus text
pub mod services; // IV    a URL in, a handle out: Postgres, Redis, SMTP, S3
pub mod logs; // XI    JSON lines on stdout
pub mod traces; // spans by OTLP, when OTEL_* asks for them
pub mod schema; // XII   migrations: apply, status, reset
pub mod health; // probes the services in the background
pub mod hasher; // Argon2id, a few at a time
pub mod state; // VI    handles only, no data
pub mod shutdown; // IX    SIGTERM and Ctrl-C as a future, and the phases of draining
pub mod server; // VII   binds PORT, serves until told to stop
pub mod jobs; // VIII  the queue: one table, typed jobs
pub mod http; // what every route shares
pub mod sessions; // who is signed in, on which device
pub mod mail; // the outbox
pub mod accounts; // sign-up, sign-in, resets
mod notes; // the demo: delete me
mod demo; // the demo: delete me
pub mod domains; // each domain's routes, jobs and seed, in a line each
pub mod web; // VII   the process that answers HTTP
pub mod worker; // VIII  the process that runs jobs
pub mod seed; // XII   what a demo needs
pub mod admin; // XII   what the one-off tasks share
pub mod process; // VIII  what web and worker share
