//! The thread `tsdb`: makes the log durable, flushes, lets go what is over.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, select};

use super::attempt::{Pauses, attempt};
use super::error::WorkError;
use super::shared::{Shared, Store, locked};
use crate::stdx::clock::{Step, Steps, Ticker};
use crate::stdx::stop::Stop;
use crate::stdx::thread::give_up;
use crate::storage::StorageError;
use crate::tsdb::head::Release;

/// How often it is asked what is due.
const TICK: Duration = Duration::from_secs(1);

/// How often garbage is collected, and retention looked after. A series without samples lives at
/// least once as long.
const COLLECT_EVERY: Duration = Duration::from_secs(60);

/// LIMIT: between flushes that let series go on from a clock that was set back, and how far such a
/// clock must be behind: a nearer one catches up while a block is written.
const SET_BACK_EVERY: Duration = Duration::from_secs(60);

/// LIMIT: after a flush that failed; what fails is the disk most often, and it needs time.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// LIMIT: an attempt may write as much as a block has before it fails.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// What others ask of the thread.
#[derive(Debug)]
pub enum Job {
    /// Makes a block of what is in the head.
    Flush(Sender<Result<(), WorkError>>),
}

/// LIMIT: each comes from a request that waits for its answer.
pub const JOBS_MAX: usize = 4;

pub struct Worker {
    shared: Arc<Shared>,
    jobs: Receiver<Job>,
    /// Rings the compactor.
    bell: Sender<()>,
    next_collect: Duration,
    next_sync: Duration,
    /// While the disk is full.
    next_retain: Duration,
    /// After flushes that failed.
    flush_pauses: Pauses,
    /// Bytes that were free before one that found no room.
    full_with: Option<u64>,
    next_set_back: Duration,
    /// Samples that the corrected clock dates, up to the last flush.
    corrected: u64,
    steps: Steps,
    /// Samples that blocks have and a view still needs.
    pending: Vec<Release>,
}

impl Worker {
    pub fn new(shared: Arc<Shared>, jobs: Receiver<Job>, bell: Sender<()>) -> Worker {
        let now = shared.clock.mono();
        Worker {
            next_collect: now + COLLECT_EVERY,
            next_retain: now,
            next_sync: now + shared.settings.wal_sync_interval,
            flush_pauses: Pauses::default(),
            full_with: None,
            next_set_back: now,
            corrected: 0,
            steps: Steps::new(&*shared.clock),
            pending: Vec::new(),
            shared,
            jobs,
            bell,
        }
    }

    pub fn run(mut self, stop: &Stop) {
        let first = self.shared.clock.mono() + TICK;
        let mut ticker = Ticker::new(&*self.shared.clock, first, TICK);
        // NOTE: a full channel has rung already.
        let _ = self.bell.try_send(());
        let mut closed = false;
        loop {
            select! {
                recv(stop.channel()) -> _ => break,
                recv(self.jobs) -> job => match job {
                    Ok(Job::Flush(reply)) => {
                        let result = self.flush(stop);
                        let _ = reply.try_send(result);
                    }
                    Err(_) => break,
                },
                recv(ticker.channel()) -> _ => {
                    let done = self.on_tick(stop);
                    ticker.advance(&*self.shared.clock);
                    if let Err(StorageError::Closed) = done {
                        closed = true;
                        break;
                    }
                }
            }
        }
        self.write_rest();
        self.sync();
        if closed {
            // NOTE: whoever panicked under a lock may be a request or a scrape, whose end ends
            // nothing; without its storage the process has no purpose, and what is in the log is
            // there when it starts again.
            give_up("a panic has closed the storage");
        }
    }

    /// The last chance of what waits for room.
    fn write_rest(&self) {
        let Some(store) = &self.shared.store else {
            return;
        };
        // NOTE: a closed log has told what is the matter.
        let _ = self.shared.catch_up(store);
        if let Ok(log) = store.lock_log() {
            log.backlog.tell_lost();
        }
    }

    fn on_tick(&mut self, stop: &Stop) -> Result<(), StorageError> {
        let shared = self.shared.clone();
        if let Some(step) = self.steps.look(&*shared.clock) {
            shared.on_step(step)?;
        }
        self.sync_if_due();
        self.let_go()?;
        if let Some(store) = &shared.store
            && !store.lock_log()?.backlog.is_over()
        {
            self.make_room(store, stop)?;
        }
        let now = shared.clock.mono();
        let may_flush = self.pending.is_empty() && self.flush_pauses.is_over(now);
        if may_flush && (shared.flush_is_due()? || self.is_set_back(now)?) {
            // NOTE: told where it failed; samples stay where they are until it works.
            let _ = self.flush(stop);
        }
        if now >= self.next_collect {
            self.next_collect = now + COLLECT_EVERY;
            self.collect()?;
            self.retain();
        }
        Ok(())
    }

    /// Samples wait for room on the disk, or for a disk that can be written.
    fn make_room(&mut self, store: &Store, stop: &Stop) -> Result<(), StorageError> {
        let now = self.shared.clock.mono();
        if now >= self.next_retain {
            self.next_retain = now + FIRST_PAUSE;
            self.retain();
        }
        if store.lock_log()?.backlog.passed_over() == 0 && !self.shared.room_ends()? {
            self.shared.catch_up(store)?;
            if store.lock_log()?.backlog.is_over() {
                return Ok(());
            }
        }
        // ORDER: a block has what waits too, and lets the log go; the log would take the room that
        // the block needs, and grow.
        if self.pending.is_empty() && self.may_have_room(store)? {
            // NOTE: told where it failed.
            let _ = self.flush(stop);
        }
        self.shared.catch_up(store)
    }

    /// Whether there may be room for a block. Where it was missing an attempt is made once there is
    /// more, and seldom otherwise: in vain it writes what fits.
    fn may_have_room(&self, store: &Store) -> Result<bool, StorageError> {
        if self.flush_pauses.is_over(self.shared.clock.mono()) {
            return Ok(true);
        }
        let free = store.dir.free_bytes().unwrap_or(0);
        let samples = self.shared.head.used_bytes()?.0 as u64;
        Ok(free >= samples && self.full_with.is_some_and(|had| free > had + had / 4))
    }

    /// Whether samples come late because the clock was set back: once what is from before it is in
    /// a block, they need not.
    fn is_set_back(&self, now: Duration) -> Result<bool, StorageError> {
        let stats = self.shared.head.stats()?;
        let ahead_ms = stats.max_t.saturating_sub(self.shared.clock.wall_ms());
        let is_far = ahead_ms > SET_BACK_EVERY.as_millis() as i64;
        Ok(stats.corrected > self.corrected && is_far && now >= self.next_set_back)
    }

    fn flush(&mut self, stop: &Stop) -> Result<(), WorkError> {
        let shared = self.shared.clone();
        let Some(store) = &shared.store else {
            return Ok(());
        };
        self.let_go()?;
        self.corrected = shared.head.stats()?.corrected;
        self.next_set_back = shared.clock.mono() + SET_BACK_EVERY;
        let free = store.dir.free_bytes();
        let release = attempt(|| {
            shared.flush(store, || {
                self.sync_if_due();
                if stop.is_stopped() {
                    return Err(WorkError::Stopping);
                }
                Ok(())
            })
        });
        match release {
            Ok(release) => {
                self.flush_pauses = Pauses::default();
                self.full_with = None;
                self.pending.push(release);
                self.let_go()?;
                // ORDER: before a merge begins, whose memory would stand beside what a flush left.
                (shared.give_back)();
                self.retain();
                Ok(())
            }
            Err(error) => {
                if !matches!(error, WorkError::Stopping) {
                    store.metrics.truncations_failed.inc();
                    log::error!("the head could not become a block, and stays: {error}");
                }
                self.full_with = free.ok().filter(|_| error.is_full());
                let now = shared.clock.mono();
                self.flush_pauses.failed(now, FIRST_PAUSE, LONGEST_PAUSE);
                Err(error)
            }
        }
    }

    /// What a block has leaves the head, unless a view needs it.
    fn let_go(&mut self) -> Result<(), StorageError> {
        let before = self.pending.len();
        let mut kept = Vec::new();
        for release in self.pending.drain(..) {
            if !release.run()? {
                kept.push(release);
            }
        }
        self.pending = kept;
        if self.pending.len() < before {
            self.collect()?;
        }
        Ok(())
    }

    fn collect(&self) -> Result<(), StorageError> {
        self.shared.collect_garbage()
    }

    fn retain(&self) {
        let Some(store) = &self.shared.store else {
            return;
        };
        if let Err(error) = attempt(|| self.shared.retain(store)) {
            log::error!("retention failed and will be tried again: {error}");
        }
        let _ = self.bell.try_send(());
    }

    fn sync_if_due(&mut self) {
        let now = self.shared.clock.mono();
        if now >= self.next_sync {
            self.next_sync = now + self.shared.settings.wal_sync_interval;
            self.sync();
        }
    }

    fn sync(&self) {
        if let Some(store) = &self.shared.store {
            store.sync();
        }
    }
}

impl Store {
    fn sync(&self) {
        if let Err(error) = self.segments.sync() {
            log::error!("cannot make the write-ahead log durable: {error}");
        }
    }
}

impl Shared {
    pub fn on_step(&self, step: Step) -> Result<(), StorageError> {
        *locked(&self.last_step) = Some(step);
        let (metrics, seconds) = (&self.head.metrics, (step.to_ms - step.from_ms) as f64 / 1e3);
        metrics.last_step.set(seconds);
        if seconds < 0.0 {
            metrics.steps_back.inc();
            self.head.set_back_from(step.from_ms)?;
            log::warn!(seconds = seconds; "the wall clock was set back: samples go on from there");
        } else {
            metrics.steps_ahead.inc();
            log::warn!(seconds = seconds; "the wall clock was set ahead, or the machine slept");
        }
        Ok(())
    }

    pub fn collect_garbage(&self) -> Result<(), StorageError> {
        let began = self.clock.mono();
        // NOTE: series go under the log's lock too, so that none goes while a batch is logged.
        let pause = || self.store.as_ref().map(|store| store.log.lock());
        let retention_ms = self.settings.retention().time_ms();
        let done = self
            .head
            .collect(self.retention_time()?, retention_ms, pause)?;
        let took = self.clock.mono().saturating_sub(began);
        self.head.metrics.gc_duration.observe(took.as_secs_f64());
        if done.series > 0 {
            log::debug!(series = done.series, chunks = done.chunks;
                "garbage of the head collected");
        }
        Ok(())
    }
}
