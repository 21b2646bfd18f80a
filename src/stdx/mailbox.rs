//! A mailbox of one value. A new value replaces the one that was not yet taken, and rings a bell.
//!
//! It publishes full states (target sets, configurations): the reader needs only the newest, and
//! the writer never waits.

use std::sync::{Arc, Mutex};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::locked::locked;

/// The writing side. Dropping the last one disconnects the bell.
#[derive(Debug)]
pub struct Poster<T> {
    slot: Arc<Mutex<Option<T>>>,
    bell: Sender<()>,
}

/// The reading side.
#[derive(Debug)]
pub struct Mailbox<T> {
    slot: Arc<Mutex<Option<T>>>,
    bell: Receiver<()>,
}

pub fn mailbox<T>() -> (Poster<T>, Mailbox<T>) {
    let slot = Arc::new(Mutex::new(None));
    // LIMIT one: a bell that has rung need not ring again before it is heard.
    let (tx, rx) = bounded(1);
    (
        Poster {
            slot: slot.clone(),
            bell: tx,
        },
        Mailbox { slot, bell: rx },
    )
}

impl<T> Poster<T> {
    /// Puts `value` in place of a value not yet taken. Returns whether anyone still listens.
    pub fn post(&self, value: T) -> bool {
        *locked(&self.slot) = Some(value);
        !matches!(self.bell.try_send(()), Err(TrySendError::Disconnected(())))
    }
}

impl<T> Clone for Poster<T> {
    fn clone(&self) -> Self {
        Poster {
            slot: self.slot.clone(),
            bell: self.bell.clone(),
        }
    }
}

impl<T> Mailbox<T> {
    /// The channel for `select!`. It rings after a post; then call [`Mailbox::take`].
    pub fn bell(&self) -> &Receiver<()> {
        &self.bell
    }

    pub fn take(&self) -> Option<T> {
        locked(&self.slot).take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_value_wins_and_the_bell_rings_once() {
        let (poster, mailbox) = mailbox();
        assert!(poster.post(1));
        assert!(poster.post(2));
        assert_eq!(mailbox.bell().try_recv(), Ok(()));
        assert!(mailbox.bell().try_recv().is_err());
        assert_eq!(mailbox.take(), Some(2));
        assert_eq!(mailbox.take(), None);
        drop(mailbox);
        assert!(!poster.post(3));
    }
}
