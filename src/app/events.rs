//! The daemon's events: the messages of the main thread's channel.

use crossbeam_channel::{Receiver, Sender, bounded};

/// LIMIT: signals coalesce, and an HTTP reload waits for a place, so eight never make anyone wait
/// long.
pub const EVENTS_MAX: usize = 8;

#[derive(Debug)]
pub enum Event {
    /// A signal or `/-/quit`. The name is for the log.
    Terminate(&'static str),
    Reload(ReloadRequest),
    /// A vital thread panicked: its name.
    Panicked(String),
}

/// What the main thread listens to.
#[derive(Debug)]
pub struct Inbox {
    pub events: Receiver<Event>,
    /// The receiver of [`panics`].
    pub panics: Receiver<String>,
}

/// A request to read the configuration again.
#[derive(Debug)]
pub struct ReloadRequest {
    /// `SIGHUP`, `http` or `file`, for the log and the report.
    pub cause: &'static str,
    /// Gets the result: the errors, or none.
    pub reply: Option<Sender<Result<(), String>>>,
}

pub fn channel() -> (Sender<Event>, Receiver<Event>) {
    bounded(EVENTS_MAX)
}

/// Makes the channel for names of vital threads that panicked. It is separate from the other
/// events, because a panicking thread cannot wait for a place.
///
/// LIMIT: one; the first ends the process, and no other changes that.
pub fn panics() -> (Sender<String>, Receiver<String>) {
    bounded(1)
}
