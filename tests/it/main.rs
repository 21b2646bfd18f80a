//! End-to-end tests: they start the real program, talk HTTP and signals to it, and read its
//! answers.
//!
//! Every test has its own directory, its own free ports on the loopback, and polls with a deadline.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

mod api;
mod check;
mod clock;
mod crash;
mod damage;
mod discovery;
mod exemplars;
mod forms;
mod frozen_disk;
mod full_disk;
mod hostile_clients;
mod hostile_targets;
mod operator;
mod paths;
mod promql;
mod query;
mod reload;
mod remote_write;
mod staleness;
mod start;
mod storage;
mod tsdb_tools;
