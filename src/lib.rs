//! A twelve-factor web service. This file is the table of contents: files are factors, folders are domains.
//!
//! Each module uses only modules above it; `script/check-layers` checks that.

pub mod config; // III   the environment, parsed once: one field per variable
pub mod release; // V     what runs: version, commit, release, process, instance
pub mod context; // the current request: its id and trace
pub mod metrics; // counters, as Prometheus text
pub mod services; // IV    a URL in, a handle out: Postgres, Redis, SMTP, S3
pub mod logs; // XI    JSON lines on stdout
pub mod traces; // spans by OTLP, when OTEL_* is set
pub mod schema; // XII   migrations: apply, status, reset
pub mod health; // probes the services in the background
pub mod network; // the networks that clients count by
pub mod in_flight; // limits per account
pub mod hasher; // password hashes, a few at a time
pub mod state; // VI    handles only, no data
pub mod shutdown; // IX    SIGTERM and Ctrl-C as a future, and the phases of draining
pub mod server; // VII   binds PORT, serves until SIGTERM
pub mod jobs; // VIII  the queue: one table, typed jobs
pub mod http; // extractors, middleware, errors: shared by all routes
pub mod sessions; // who is signed in, on which device
pub mod mail; // the outbox: emails, sent by jobs
pub mod accounts; // sign-up, sign-in, resets
mod notes; // demo: notes with images
mod demo; // demo: the page
pub mod domains; // the list of domains: routes, jobs, seed
pub mod web; // VII   the process that serves HTTP
pub mod worker; // VIII  the process that runs jobs
pub mod seed; // XII   demo data
pub mod admin; // XII   shared by the one-off tasks
pub mod process; // VIII  shared by web and worker
