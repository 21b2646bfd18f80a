//! Answers that wait in the poller for their readers.

use std::time::Duration;

use super::encode::{Output, refusal};
use super::poller::Poller;
use super::reject::Reject;
use super::slot::{Slot, Stage};

/// LIMIT: bytes written, and encrypted with TLS, before others get their turn.
const WRITE_TURN_BYTES: usize = 256 << 10;
/// How long a closing connection's remaining bytes are dropped.
const LINGER: Duration = Duration::from_secs(1);
/// The average speed that a parked answer's reader, and a large head's sender, must have.
pub(super) const BYTES_PER_SECOND_MIN: usize = 16 << 10;

impl Poller {
    pub(super) fn refuse(&mut self, id: u64, reject: Reject) {
        self.shared.refuse(&reject);
        if let Some(conn) = self.slots.get_mut(&id).and_then(|slot| slot.conn.as_mut()) {
            conn.forget_input();
        }
        let config = self.shared.access.snapshot();
        let output = refusal(
            &reject,
            &config.headers,
            self.shared.options.clock.wall_ms(),
        );
        self.park(id, output);
        self.go_on_writing(id);
    }

    /// Keeps an answer for a client that is slow to read it.
    pub(super) fn park(&mut self, id: u64, output: Output) {
        let options = &self.shared.options;
        let by_rate = output.to_come() / BYTES_PER_SECOND_MIN;
        let time = options.write_timeout + Duration::from_secs(by_rate as u64);
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        let deadline = self.now + time;
        slot.enter(Stage::Writing(output), self.now, Some(deadline));
        let bytes_max = options.parked_bytes_max;
        let mut parked: usize = self.slots.values().map(Slot::parked_bytes).sum();
        while parked > bytes_max {
            let others = self
                .slots
                .iter()
                .filter(|(i, s)| **i != id && s.parked_bytes() > 0);
            let oldest = others.min_by_key(|(_, slot)| slot.since);
            let Some((oldest, bytes)) = oldest.map(|(i, s)| (*i, s.parked_bytes())) else {
                return;
            };
            log::debug!(bytes = bytes; "dropped the oldest unread answer: too many wait");
            parked -= bytes;
            self.close(oldest);
        }
    }

    pub(super) fn go_on_writing(&mut self, id: u64) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        let (Stage::Writing(output), Some(conn)) = (&mut slot.stage, &mut slot.conn) else {
            return;
        };
        let keep_alive = output.keep_alive;
        match conn.write(output, WRITE_TURN_BYTES) {
            Ok(true) if keep_alive => self.become_idle(id),
            Ok(true) => self.linger(id),
            Ok(false) => {}
            Err(_) => self.close(id),
        }
    }

    pub(super) fn linger(&mut self, id: u64) {
        let deadline = self.now + LINGER;
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        if let Some(conn) = &mut slot.conn {
            conn.finish();
        }
        slot.conn = None;
        slot.enter(Stage::Linger, self.now, Some(deadline));
    }
}
