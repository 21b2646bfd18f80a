//! The program: flags to components, the run group, signals, reloads.
//!
//! Owns the threads `main` and `signals`, the process's signal handlers, its logger and its
//! allocator's settings. **Invariant:** nobody imports this room; it holds no logic that a
//! component could hold.

mod daemon;
mod ground;
mod main_loop;
mod serving;
mod start;

mod events;
mod run_group;
mod signals;

mod logging;
mod process;
mod site;

pub use daemon::run;
