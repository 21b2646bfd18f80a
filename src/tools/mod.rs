//! The tools of the command line: `ferula check`, `query`, `promql` and `tsdb`.
//!
//! A tool is a process of its own, beside or without a daemon. It runs on the thread `main`,
//! prints, and ends. Owns what it writes: blocks in a directory that it has locked, and
//! Prometheus's blocks where it is told to. **Invariant:** nothing here runs in the daemon, and
//! only `app` knows this room.

mod run;

mod check_config;
mod check_server;
mod named_files;

mod query;

mod intake;
mod ours;
mod progress;
mod tsdb;

#[cfg(test)]
mod check_tests;
#[cfg(test)]
mod intake_tests;

pub use run::run;
