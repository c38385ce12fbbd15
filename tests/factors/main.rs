//! Black-box tests of the built programs, one group per factor.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests connect to Postgres directly")]

mod accounts;
mod contract;
mod http;
mod iii_config;
mod iv_matrix;
mod iv_services;
mod iv_tls;
mod ix_disposability;
mod ix_rolling_restart;
mod support;
mod vi_processes;
mod vii_port_binding;
mod viii_concurrency;
mod viii_duress;
mod viii_leases;
mod viii_pooler;
mod viii_queue;
mod xi_logs;
mod xi_traces;
mod xii_admin;
