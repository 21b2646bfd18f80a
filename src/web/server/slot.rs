//! A connection's place in the poller: what it waits for, and until when.

use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::PollFlags;

use super::conn::Conn;
use super::encode::Output;
use super::worker::{Pending, Task};
use crate::stdx::stop::StopSender;

pub(super) struct Slot {
    pub stage: Stage,
    /// `None` while a worker has it.
    pub conn: Option<Box<Conn>>,
    pub socket: Arc<TcpStream>,
    /// Dropped to cancel the request that is in flight.
    pub running: Option<StopSender>,
    /// When the stage began.
    pub since: Duration,
    pub deadline: Option<Duration>,
}

pub(super) enum Stage {
    /// A TLS handshake waits for its next bytes.
    Handshaking,
    /// Between requests.
    Idle,
    /// Part of a head has come.
    Head,
    /// Ready for a worker, but none was free.
    Queued(Task),
    /// Part of a body has come.
    Body(Box<Pending>),
    /// The client is slow to take an answer.
    Writing(Output),
    /// The answer is complete. The client's remaining bytes are dropped so that it sees the answer,
    /// which a reset would destroy.
    Linger,
    /// A worker has it.
    Away { hung_up: bool },
}

impl Slot {
    /// Returns what to ask poll(2) for; `None` leaves the connection out.
    pub fn interest(&self) -> Option<PollFlags> {
        Some(match &self.stage {
            Stage::Handshaking if self.wants_write() => PollFlags::OUT,
            Stage::Handshaking | Stage::Idle | Stage::Head | Stage::Body(_) | Stage::Linger => {
                PollFlags::IN
            }
            Stage::Writing(_) => PollFlags::OUT,
            Stage::Queued(_) | Stage::Away { hung_up: false } => PollFlags::RDHUP,
            Stage::Away { hung_up: true } => return None,
        })
    }

    /// Returns the stage's deadline. A handshake's deadline rests while a worker handles it.
    pub fn due(&self) -> Option<Duration> {
        match self.stage {
            Stage::Away { .. } => None,
            _ => self.deadline,
        }
    }

    pub fn enter(&mut self, stage: Stage, now: Duration, deadline: Option<Duration>) {
        self.stage = stage;
        self.since = now;
        self.deadline = deadline;
    }

    /// The bytes of an answer that waits here.
    pub fn parked_bytes(&self) -> usize {
        match &self.stage {
            Stage::Writing(output) => output.held(),
            _ => 0,
        }
    }

    fn wants_write(&self) -> bool {
        self.conn.as_ref().is_some_and(|conn| conn.wants_write())
    }
}
