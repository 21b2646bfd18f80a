//! What can happen to the daemon: the messages of the main thread's channel.

use crossbeam_channel::{Receiver, Sender, bounded};

/// LIMIT: signals coalesce, an HTTP reload waits for a place; so eight are never waited for long.
pub const EVENTS_MAX: usize = 8;

#[derive(Debug)]
pub enum Event {
    /// A signal or `/-/quit`: its name, for the log.
    Terminate(&'static str),
    Reload(ReloadRequest),
    /// A thread without which nothing goes on panicked: its name.
    Panicked(String),
}

/// What the main thread listens to.
#[derive(Debug)]
pub struct Inbox {
    pub events: Receiver<Event>,
    /// Of [`panics`].
    pub panics: Receiver<String>,
}

/// Someone wants the configuration read again.
#[derive(Debug)]
pub struct ReloadRequest {
    /// `SIGHUP`, `http` or `file`, for the log and the report.
    pub cause: &'static str,
    /// Told when it is done: the errors, none when it succeeded.
    pub reply: Option<Sender<Result<(), String>>>,
}

pub fn channel() -> (Sender<Event>, Receiver<Event>) {
    bounded(EVENTS_MAX)
}

/// Names of vital threads that panicked. Apart from the other events, for who tells of a panic
/// cannot wait for a place.
///
/// LIMIT: one; the first ends the process, and no other changes that.
pub fn panics() -> (Sender<String>, Receiver<String>) {
    bounded(1)
}
