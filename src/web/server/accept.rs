//! Accepting: which connections are let in, and which one is closed when there is no room.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::ServerConnection;

use super::conn::Conn;
use super::encode::refusal;
use super::listen::Accepted;
use super::poller::{ACCEPT_REST, Poller};
use super::reject::Reject;
use super::scan::HeadScan;
use super::slot::{Slot, Stage};
use super::worker::SCRATCH_BYTES;

/// LIMIT: connections accepted before the others get their turn.
const ACCEPT_TURN: usize = 64;

impl Poller {
    /// Whether to accept. When all connections work, the next ones wait in the kernel.
    pub(super) fn may_accept(&mut self) -> bool {
        if self.resting.is_some_and(|until| until > self.now) {
            return false;
        }
        self.resting = None;
        self.slots.len() < self.shared.options.max_connections || self.to_evict().is_some()
    }

    pub(super) fn accept(&mut self, listener: usize) {
        for _ in 0..ACCEPT_TURN {
            let is_full = self.slots.len() >= self.shared.options.max_connections;
            if is_full && self.to_evict().is_none() {
                return;
            }
            match self.listeners.accept(listener) {
                Accepted::Conn(stream, remote) => {
                    if self.exhausted {
                        self.exhausted = false;
                        log::info!("HTTP connections are accepted again");
                    }
                    if is_full && let Some(id) = self.to_evict() {
                        self.close(id);
                    }
                    self.admit(stream, remote);
                    if is_full {
                        // The others' requests are read before another connection is closed.
                        return;
                    }
                }
                Accepted::Nobody => return,
                Accepted::Lost => {}
                Accepted::Exhausted(e) => {
                    if !self.relieve(listener, &e) {
                        return;
                    }
                }
            }
        }
    }

    /// Handles the lack of descriptors. It closes the oldest idle connection and returns that
    /// another try is worth it. Without one it refuses a client by means of the reserve, and rests.
    fn relieve(&mut self, listener: usize, e: &io::Error) -> bool {
        if !self.exhausted {
            self.exhausted = true;
            log::warn!(err = e.to_string().as_str(), connections = self.slots.len();
                "no descriptor left for another HTTP connection; closing idle ones");
        }
        if let Some(id) = self.to_evict() {
            self.close(id);
            return true;
        }
        let mut answer = Vec::new();
        let config = self.shared.access.snapshot();
        if config.tls.is_none() {
            let why = "no file descriptor left";
            let wall_ms = self.shared.options.clock.wall_ms();
            let output = refusal(&Reject::new(503, why), &config.headers, wall_ms);
            let (head, body) = output.next();
            answer = [head, body].concat();
        }
        self.listeners.refuse_one(listener, &answer);
        self.resting = Some(self.now + ACCEPT_REST);
        false
    }

    /// Returns the connection that has idled longest, or else one whose head or handshake has used
    /// a fifth of its time.
    fn to_evict(&self) -> Option<u64> {
        let slow = self.shared.options.head_timeout / 5;
        let idle = |slot: &Slot| matches!(slot.stage, Stage::Idle | Stage::Linger);
        let slow = |slot: &Slot| {
            let begun = matches!(slot.stage, Stage::Head | Stage::Handshaking);
            begun && slot.since + slow <= self.now
        };
        let oldest = |wanted: &dyn Fn(&Slot) -> bool| {
            let wanted = self.slots.iter().filter(|(_, slot)| wanted(slot));
            wanted.min_by_key(|(_, slot)| slot.since).map(|(id, _)| *id)
        };
        oldest(&idle).or_else(|| oldest(&slow))
    }

    fn admit(&mut self, stream: TcpStream, remote: SocketAddr) {
        let config = self.shared.access.snapshot();
        let tls = config
            .tls
            .as_ref()
            .map(|tls| ServerConnection::new(tls.clone()));
        let tls = match tls.transpose() {
            Ok(tls) => tls.map(Box::new),
            Err(e) => return log::warn!(err = e.to_string().as_str(); "TLS is not possible"),
        };
        let id = self.next_id;
        self.next_id += 1;
        let (stage, timeout) = match tls {
            Some(_) => (Stage::Handshaking, self.shared.options.head_timeout),
            None => (Stage::Idle, self.shared.options.read_timeout),
        };
        let is_tls = tls.is_some();
        let socket = Arc::new(stream);
        let conn = Conn {
            id,
            socket: socket.clone(),
            tls,
            input: Vec::new(),
            input_bytes_max: self
                .shared
                .options
                .head_bytes_max
                .saturating_add(SCRATCH_BYTES),
            scan: HeadScan::default(),
            share: self.shared.heads.reserve_nothing(),
            remote,
        };
        let slot = Slot {
            stage,
            conn: Some(Box::new(conn)),
            socket,
            running: None,
            since: self.now,
            deadline: Some(self.now + timeout),
        };
        self.slots.insert(id, slot);
        self.shared.metrics.accepted.inc();
        if !is_tls {
            self.read_head(id);
        }
    }
}
