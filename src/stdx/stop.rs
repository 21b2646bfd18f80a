//! Stopping is a dropped sender. Who holds the [`StopSender`] keeps the others going.

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};

/// A message that is never sent.
#[derive(Debug, Clone, Copy)]
pub enum Never {}

/// Stops every holder of a [`Stop`] of the same pair when it is dropped.
#[derive(Debug)]
pub struct StopSender(#[expect(dead_code, reason = "held for its drop")] Sender<Never>);

/// The listening side: an arm in every `select!`, a check in every long loop.
#[derive(Debug, Clone)]
pub struct Stop(Receiver<Never>);

/// Makes a pair. Dropping the first stops the second.
pub fn stop() -> (StopSender, Stop) {
    let (tx, rx) = bounded(0);
    (StopSender(tx), Stop(rx))
}

impl Stop {
    /// The channel for `select!`: `recv(stop.channel()) -> _ => return`.
    pub fn channel(&self) -> &Receiver<Never> {
        &self.0
    }

    pub fn is_stopped(&self) -> bool {
        self.0.try_recv() == Err(TryRecvError::Disconnected)
    }
}

impl PartialEq for Never {
    fn eq(&self, _: &Never) -> bool {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropping_the_sender_stops() {
        let (tx, stop) = stop();
        assert!(!stop.is_stopped());
        drop(tx);
        assert!(stop.is_stopped());
    }
}
