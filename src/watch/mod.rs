//! One watcher for every file that Ferula watches: configuration, rules, targets, certificates,
//! secrets.
//!
//! What the kernel tells (inotify) is a hint that makes changes seen sooner; the periodic rescan is
//! the truth, because overlays, NFS, FUSE and exhausted limits tell nothing. Owns the thread
//! `watch`, one inotify instance, and the thread of the `notify` crate that reads it. A bell says
//! that something may have changed; [`fingerprint`] says whether it did.
//! **Invariant:** never knows what the files mean, and never reads one but for its fingerprint.

mod watcher;

mod hints;
mod schedule;
mod watch_points;

mod fingerprint;

#[cfg(test)]
mod tests;

pub use fingerprint::{Fingerprint, expand, fingerprint};
pub use watcher::{Handle, Subscription, Watched};
