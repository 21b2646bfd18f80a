//! One watcher for every file that Ferula watches: configuration, rules, targets, certificates,
//! secrets.
//!
//! The kernel's events (inotify) are hints that make changes seen sooner. The periodic rescan is
//! the truth, because overlays, NFS, FUSE and exhausted limits send no events. Owns the thread
//! `watch`, one inotify instance, and the thread of the `notify` crate that reads it. A bell says
//! that something may have changed; [`fingerprint()`] says whether it did.
//! **Invariant:** never knows what the files mean, and reads them for their fingerprints only.

mod watcher;

mod hints;
mod schedule;
mod watch_points;

mod fingerprint;

#[cfg(test)]
mod tests;

pub use fingerprint::{Fingerprint, expand, fingerprint};
pub use watcher::{Handle, Subscription, Watched};
