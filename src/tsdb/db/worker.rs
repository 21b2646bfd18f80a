//! The thread `tsdb`: syncs the log, flushes, and drops old data.

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

/// How often the thread checks what is due.
const TICK: Duration = Duration::from_secs(1);

/// How often garbage is collected and retention applied. A series without samples lives at least
/// once as long.
const COLLECT_EVERY: Duration = Duration::from_secs(60);

/// LIMIT: the time between flushes that let series continue after a clock was set back, and the
/// least such step. After a smaller one the clock catches up while a block is written.
const SET_BACK_EVERY: Duration = Duration::from_secs(60);

/// LIMIT: the pause after a failed flush. Mostly the disk fails, and needs time.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// LIMIT: an attempt may write as much as a block has before it fails.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// Requests to the thread.
#[derive(Debug)]
pub enum Job {
    /// Makes a block of the head's content.
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
    /// Used while the disk is full.
    next_retain: Duration,
    /// The pauses after failed flushes.
    flush_pauses: Pauses,
    /// The free bytes before a flush that found no room.
    full_with: Option<u64>,
    next_set_back: Duration,
    /// Samples taken late after a clock was set back, up to the last flush.
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
            // NOTE: a request or a scrape may have panicked under a lock, and its end ends nothing.
            // Without its storage the process has no purpose, and the next start has what is in the
            // log.
            give_up("a panic has closed the storage");
        }
    }

    /// Makes the last attempt to write what waits for room.
    fn write_rest(&self) {
        let Some(store) = &self.shared.store else {
            return;
        };
        // NOTE: a closed log has already been reported.
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
            // NOTE: logged where it failed. Samples stay where they are until it works.
            let _ = self.flush(stop);
        }
        if now >= self.next_collect {
            self.next_collect = now + COLLECT_EVERY;
            self.collect()?;
            self.retain();
        }
        Ok(())
    }

    /// Works while samples wait for room on the disk, or for a disk that can be written.
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
        // ORDER: the block first. It has the waiting samples too, and lets the log be dropped. The
        // log would grow into the room that the block needs.
        if self.pending.is_empty() && self.may_have_room(store)? {
            // NOTE: logged where it failed.
            let _ = self.flush(stop);
        }
        self.shared.catch_up(store)
    }

    /// Whether there may be room for a block. After a failure for lack of room, it tries again once
    /// there is more, and otherwise seldom, since a vain attempt writes as much as fits.
    fn may_have_room(&self, store: &Store) -> Result<bool, StorageError> {
        if self.flush_pauses.is_over(self.shared.clock.mono()) {
            return Ok(true);
        }
        let free = store.dir.free_bytes().unwrap_or(0);
        let samples = self.shared.head.used_bytes()?.0 as u64;
        Ok(free >= samples && self.full_with.is_some_and(|had| free > had + had / 4))
    }

    /// Whether samples come late because the clock was set back. They stop being late once the
    /// samples from before that are in a block.
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
                // ORDER: before a merge begins, whose memory would add to what a flush left.
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

    /// Drops from the head what a block has, unless a view needs it.
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
        // NOTE: series are dropped under the log's lock too, so that none is dropped while a batch
        // is logged.
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
