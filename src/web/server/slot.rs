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
    /// None while a worker has it.
    pub conn: Option<Box<Conn>>,
    pub socket: Arc<TcpStream>,
    /// Dropped to cancel the request that is in flight.
    pub running: Option<StopSender>,
    /// When the stage began.
    pub since: Duration,
    pub deadline: Option<Duration>,
}

pub(super) enum Stage {
    /// A TLS handshake of which the next bytes are awaited.
    Handshaking,
    /// Between requests.
    Idle,
    /// Some of a head is in.
    Head,
    /// Ready for a worker, and none was free.
    Queued(Task),
    /// Some of a body is in.
    Body(Box<Pending>),
    /// An answer that the client is slow to take.
    Writing(Output),
    /// All is said; the client's remaining bytes are dropped so that it sees the answer, which a
    /// reset would destroy.
    Linger,
    /// A worker has it.
    Away { hung_up: bool },
}

impl Slot {
    /// What poll(2) is asked for; none leaves it out.
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

    /// When something must happen; a handshake's deadline rests while a worker is at it.
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

    /// Bytes of an answer that wait here.
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
