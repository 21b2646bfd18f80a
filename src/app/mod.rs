//! The program: turns flags into components, starts and stops them in order; signals, reloads.
//!
//! Owns the threads `main` and `signals`, the process's signal handlers, its logger and its
//! allocator's settings. **Invariant:** nobody imports this room; it holds no logic that a
//! component could hold.

mod components;
mod daemon;
mod ground;
mod main_loop;
mod mode;
mod serving;

mod events;
mod signals;

mod logging;
mod process;
mod site;

pub use daemon::run;
