//! The thread `http-accept`: listeners, and every connection that waits, in one poll(2).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, TryRecvError};
use rustix::event::{PollFd, PollFlags, poll};

use crate::stdx::stop::stop;

use super::conn::{Fill, timespec};
use super::head::Head;
use super::lanes::Lanes;
use super::listen::Listeners;
use super::options::Class;
use super::reject::Reject;
use super::scan::{Limits, Scan};
use super::shared::{Shared, WakeEnd};
use super::slot::{Slot, Stage};
use super::worker::{Job, Return, SCRATCH_BYTES, Task, Then};
use super::writing::BYTES_PER_SECOND_MIN;

/// LIMIT: reads of one connection before the others get their turn.
const READ_TURN: usize = 4;
/// The client has closed at least its sending half.
const GONE: PollFlags = PollFlags::RDHUP.union(PollFlags::HUP).union(PollFlags::ERR);
/// How long accepting rests when no descriptor is free.
pub(super) const ACCEPT_REST: Duration = Duration::from_millis(100);

pub(super) struct Poller {
    pub(super) shared: Arc<Shared>,
    pub(super) listeners: Listeners,
    wake_end: WakeEnd,
    lanes: Lanes,
    returns: Receiver<Return>,
    stop: Receiver<Duration>,
    pub(super) slots: BTreeMap<u64, Slot>,
    pub(super) next_id: u64,
    scratch: Vec<u8>,
    /// Connections with more of a head than their turn took.
    unread: BTreeSet<u64>,
    pub(super) now: Duration,
    /// The time until which accepting rests.
    pub(super) resting: Option<Duration>,
    /// Set while descriptors are exhausted, so that it is logged once, and its end too.
    pub(super) exhausted: bool,
    /// The time when requests in flight are given up; set once the server stops.
    stop_at: Option<Duration>,
}

/// The result of poll(2).
struct Ready {
    listeners: Vec<usize>,
    slots: Vec<(u64, PollFlags)>,
}

impl Poller {
    pub fn new(
        shared: Arc<Shared>,
        listeners: Listeners,
        wake_end: WakeEnd,
        lanes: Lanes,
        returns: Receiver<Return>,
        stop: Receiver<Duration>,
    ) -> Poller {
        Poller {
            now: shared.options.clock.mono(),
            shared,
            listeners,
            wake_end,
            lanes,
            returns,
            stop,
            slots: BTreeMap::new(),
            next_id: 0,
            scratch: vec![0; SCRATCH_BYTES],
            unread: BTreeSet::new(),
            resting: None,
            exhausted: false,
            stop_at: None,
        }
    }

    pub fn run(mut self) {
        loop {
            self.now = self.shared.options.clock.mono();
            self.expire();
            if self
                .stop_at
                .is_some_and(|at| at <= self.now || self.slots.is_empty())
            {
                return self.abandon();
            }
            let ready = self.poll();
            self.now = self.shared.options.clock.mono();
            self.wake_end.drain();
            self.on_stop();
            while let Ok(back) = self.returns.try_recv() {
                self.on_return(back);
            }
            for id in std::mem::take(&mut self.unread) {
                self.go_on_reading(id);
            }
            for (id, flags) in ready.slots {
                self.on_ready(id, flags);
            }
            for i in ready.listeners {
                self.accept(i);
            }
            self.pump();
        }
    }

    /// Waits for something to happen, at most until the next deadline.
    fn poll(&mut self) -> Ready {
        let accepting = self.may_accept();
        let listeners = if accepting {
            self.listeners.sockets.as_slice()
        } else {
            &[]
        };
        let polled = self
            .slots
            .iter()
            .filter_map(|(id, slot)| Some((*id, slot, slot.interest()?)));
        let polled: Vec<(u64, &Slot, PollFlags)> = polled.collect();
        let mut fds = Vec::with_capacity(1 + listeners.len() + polled.len());
        fds.push(PollFd::from_borrowed_fd(
            self.wake_end.as_fd(),
            PollFlags::IN,
        ));
        fds.extend(listeners.iter().map(|l| PollFd::new(l, PollFlags::IN)));
        fds.extend(
            polled
                .iter()
                .map(|(_, slot, flags)| PollFd::new(&*slot.socket, *flags)),
        );
        let deadlines = self.slots.values().filter_map(Slot::due);
        let at_once = (!self.unread.is_empty()).then_some(self.now);
        let next = deadlines
            .chain(self.resting)
            .chain(self.stop_at)
            .chain(at_once)
            .min();
        let timeout = next.map(|at| timespec(at.saturating_sub(self.now)));
        if let Err(e) = poll(&mut fds, timeout.as_ref())
            && e != rustix::io::Errno::INTR
        {
            // NOTE: it fails only for lack of memory. A rest keeps it from spinning.
            log::error!(err = e.to_string().as_str(); "poll failed");
            let _ = self.shared.options.clock.after(ACCEPT_REST).recv();
        }
        let mut flags = fds.iter().skip(1).map(PollFd::revents);
        let ready_listeners = flags.by_ref().take(listeners.len()).enumerate();
        let ready_listeners = ready_listeners
            .filter(|(_, f)| !f.is_empty())
            .map(|(i, _)| i);
        Ready {
            listeners: ready_listeners.collect(),
            slots: polled
                .iter()
                .zip(flags)
                .filter(|(_, f)| !f.is_empty())
                .map(|((id, ..), f)| (*id, f))
                .collect(),
        }
    }

    pub(super) fn close(&mut self, id: u64) {
        if self.slots.remove(&id).is_some() {
            self.shared.metrics.closed.inc();
        }
    }

    fn on_ready(&mut self, id: u64, flags: PollFlags) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        match &mut slot.stage {
            Stage::Handshaking => self.enqueue(id, Task::Handshake),
            Stage::Idle | Stage::Head => self.read_head(id),
            Stage::Body(_) => {
                let stage = std::mem::replace(&mut slot.stage, Stage::Linger);
                if let Stage::Body(pending) = stage {
                    self.enqueue(id, Task::Body(pending));
                }
            }
            Stage::Writing(_) => self.go_on_writing(id),
            Stage::Linger => {
                let mut socket = &*slot.socket;
                match io::Read::read(&mut socket, &mut self.scratch) {
                    Ok(n) if n > 0 => {}
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                    _ => self.close(id),
                }
            }
            Stage::Queued(_) => self.close(id),
            Stage::Away { hung_up } if flags.intersects(GONE) => {
                *hung_up = true;
                slot.running = None;
            }
            Stage::Away { .. } => {}
        }
    }

    fn on_return(&mut self, back: Return) {
        let Some(slot) = self.slots.get_mut(&back.id) else {
            return;
        };
        let Some(conn) = back.conn else {
            return self.close(back.id);
        };
        slot.conn = Some(conn);
        match back.then {
            // The deadline is still that of the whole handshake.
            Then::Handshake => slot.stage = Stage::Handshaking,
            Then::Idle => self.become_idle(back.id),
            Then::Body(pending) => {
                let deadline = pending.deadline;
                slot.enter(Stage::Body(pending), self.now, Some(deadline));
            }
            Then::Write(output) => self.park(back.id, output),
            Then::Linger => self.linger(back.id),
            Then::Close => self.close(back.id),
        }
        if self.stop_at.is_some() {
            self.close_if_idle(back.id);
        }
    }

    pub(super) fn become_idle(&mut self, id: u64) {
        let deadline = self.now + self.shared.options.read_timeout;
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.enter(Stage::Idle, self.now, Some(deadline));
            // ORDER: bytes of the next request that are here already do not wake poll.
            self.read_head(id);
        }
        if self.stop_at.is_some() {
            self.close_if_idle(id);
        }
    }

    pub(super) fn read_head(&mut self, id: u64) {
        let limits = Limits {
            head: self.shared.options.head_bytes_max,
            body: self.shared.options.body_bytes_max,
        };
        for _ in 0..READ_TURN {
            let Some(conn) = self.slots.get_mut(&id).and_then(|s| s.conn.as_mut()) else {
                return;
            };
            match conn.scan.scan(&conn.input, limits) {
                Scan::Complete(head, used) => {
                    conn.drop_head(used);
                    return self.on_head(id, head);
                }
                Scan::Reject(reject) => return self.refuse(id, reject),
                Scan::Incomplete => {}
            }
            match conn.fill(&mut self.scratch) {
                Ok(Fill::Got) => {}
                Ok(Fill::Blocked) => return self.await_head(id),
                Ok(Fill::End) | Err(_) => return self.close(id),
            }
            let held = conn.input.capacity();
            if !self.hold_head(id, held) {
                return;
            }
        }
        self.await_head(id);
        // ORDER: bytes that were read, or are in TLS's buffers, do not wake poll.
        self.unread.insert(id);
    }

    fn go_on_reading(&mut self, id: u64) {
        let slot = self.slots.get(&id);
        if slot.is_some_and(|slot| matches!(slot.stage, Stage::Idle | Stage::Head)) {
            self.read_head(id);
        }
    }

    /// Waits for the rest of a head, of which some or nothing has come.
    fn await_head(&mut self, id: u64) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        let Some(conn) = &mut slot.conn else { return };
        let bytes = conn.input.len();
        if bytes == 0 {
            conn.forget_input();
            return;
        }
        if matches!(slot.stage, Stage::Idle) {
            slot.enter(Stage::Head, self.now, None);
        }
        let by_rate = Duration::from_secs((bytes / BYTES_PER_SECOND_MIN) as u64);
        slot.deadline = Some(slot.since + self.shared.options.head_timeout + by_rate);
    }

    fn on_head(&mut self, id: u64, head: Box<Head>) {
        if self.hold_head(id, head.held()) {
            let since = self.now;
            self.enqueue(id, Task::Request { head, since });
        }
    }

    /// Reserves what a connection's head takes. If all together would take too much, incomplete
    /// ones are refused, the one that has been coming longest first. Returns false if it is this
    /// one.
    fn hold_head(&mut self, id: u64, bytes: usize) -> bool {
        loop {
            let Some(conn) = self.slots.get_mut(&id).and_then(|s| s.conn.as_mut()) else {
                return false;
            };
            if conn.hold_head(bytes) {
                return true;
            }
            let others = self.slots.iter().filter(|(other, slot)| {
                let holds = slot.conn.as_ref().is_some_and(|c| c.share.bytes() > 0);
                **other != id && holds && matches!(slot.stage, Stage::Head)
            });
            let oldest = others.min_by_key(|(_, slot)| slot.since);
            let goes = oldest.map_or(id, |(other, _)| *other);
            let why = "too many large request heads at once (--web.max-request-head-size)";
            self.refuse(goes, Reject::new(503, why));
            if goes == id {
                return false;
            }
        }
    }

    /// Sends a task to a worker, or queues it.
    fn enqueue(&mut self, id: u64, task: Task) {
        let class = match &task {
            Task::Request { head, .. } => (self.shared.options.classify)(&head.path),
            Task::Body(pending) => (self.shared.options.classify)(pending.path()),
            Task::Handshake => Class::Normal,
        };
        let is_request = matches!(task, Task::Request { .. });
        let lane = match (&task, class) {
            (Task::Handshake, _) => &mut self.lanes.handshake,
            (_, Class::Management) => &mut self.lanes.management,
            (_, Class::Query) => &mut self.lanes.query,
            (_, Class::Normal) => &mut self.lanes.normal,
        };
        if is_request && lane.waiting.len() >= self.shared.options.queue_max {
            let why = "too many requests";
            return self.refuse(id, Reject::new(503, why));
        }
        lane.waiting.push_back(id);
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        let deadline = match task {
            Task::Handshake => slot.deadline,
            _ => Some(self.now + self.shared.options.queue_timeout),
        };
        slot.enter(Stage::Queued(task), self.now, deadline);
        self.pump();
    }

    /// Sends waiting tasks to the workers, in order of arrival.
    fn pump(&mut self) {
        for lane in self.lanes.each() {
            while !lane.tx.is_full()
                && let Some(id) = lane.waiting.pop_front()
            {
                let Some(slot) = self.slots.get_mut(&id) else {
                    continue;
                };
                let away = Stage::Away { hung_up: false };
                let task = match std::mem::replace(&mut slot.stage, away) {
                    Stage::Queued(task) => task,
                    other => {
                        slot.stage = other;
                        continue;
                    }
                };
                let Some(conn) = slot.conn.take() else {
                    continue;
                };
                if !matches!(task, Task::Handshake) {
                    slot.deadline = None;
                }
                let (running, canceled) = stop();
                slot.running = Some(running);
                // NOTE: this is the only sender, so a channel with room takes one more.
                let _ = lane.tx.try_send(Job {
                    conn,
                    task,
                    canceled,
                });
            }
        }
    }

    fn expire(&mut self) {
        let is_due = |slot: &Slot| slot.due().is_some_and(|at| at <= self.now);
        let due = self.slots.iter().filter(|(_, slot)| is_due(slot));
        let due: Vec<u64> = due.map(|(id, _)| *id).collect();
        for id in due {
            let Some(slot) = self.slots.get(&id) else {
                continue;
            };
            let (status, why) = match &slot.stage {
                Stage::Head => (408, "the head took too long"),
                Stage::Body(_) => (408, "the body took too long"),
                Stage::Queued(Task::Request { .. } | Task::Body(_)) => (503, "no worker was free"),
                _ => {
                    self.close(id);
                    continue;
                }
            };
            self.refuse(id, Reject::new(status, why));
        }
    }

    fn on_stop(&mut self) {
        let grace = match self.stop.try_recv() {
            Ok(grace) => grace,
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) if self.stop_at.is_some() => return,
            Err(TryRecvError::Disconnected) => Duration::ZERO,
        };
        self.stop_at = Some(self.now + grace);
        self.listeners.close();
        let ids: Vec<u64> = self.slots.keys().copied().collect();
        for id in ids {
            self.close_if_idle(id);
        }
    }

    /// Closes a connection that is not in the midst of a request, when the server stops.
    fn close_if_idle(&mut self, id: u64) {
        let Some(slot) = self.slots.get(&id) else {
            return;
        };
        let is_idle = match &slot.stage {
            Stage::Idle | Stage::Head | Stage::Handshaking => true,
            Stage::Queued(task) => matches!(task, Task::Handshake),
            _ => false,
        };
        if is_idle {
            self.close(id);
        }
    }

    /// Ends the server: cancels and cuts off what is still in flight.
    fn abandon(mut self) {
        for slot in self.slots.values_mut() {
            slot.running = None;
            let _ = slot.socket.shutdown(Shutdown::Both);
            self.shared.metrics.closed.inc();
        }
    }
}
