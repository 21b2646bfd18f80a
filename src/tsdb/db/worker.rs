//! The thread `tsdb`: syncs the log, flushes, and drops old data.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, select};

use super::attempt::{Pauses, attempt};
use super::error::WorkError;
use super::flush::{EARLY_BYTES, SPAN_MS};
use super::shared::{Shared, Store, locked};
use crate::stdx::clock::{Alarm, Step};
use crate::stdx::stop::Stop;
use crate::stdx::thread::give_up;
use crate::storage::StorageError;
use crate::tsdb::head::Release;

/// How often it is asked whether what waits for the disk, or for a view, can go on.
const POLL: Duration = Duration::from_secs(1);

/// LIMIT: the time between flushes while there is room. Samples that a sender had kept come at
/// hours a second, and a block for each two of them would only have to be merged.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

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
    /// Looks at what is due.
    #[cfg(test)]
    Look(Sender<()>),
}

/// LIMIT: each comes from a request that waits for its answer.
pub const JOBS_MAX: usize = 4;

pub struct Worker {
    shared: Arc<Shared>,
    jobs: Receiver<Job>,
    /// Rung by commits.
    bell: Receiver<()>,
    /// Rings the compactor.
    compact: Sender<()>,
    next_collect: Duration,
    /// `None` while all of the log is durable.
    next_sync: Option<Duration>,
    /// While something waits that nobody rings for.
    next_poll: Option<Duration>,
    /// While the disk is full.
    next_retain: Duration,
    /// When the head may be flushed though there is room.
    next_flush: Duration,
    /// The pauses after failed flushes.
    flush_pauses: Pauses,
    /// The free bytes before a flush that found no room.
    full_with: Option<u64>,
    next_set_back: Duration,
    /// Samples taken late after a clock was set back, up to the last flush.
    corrected: u64,
    /// Samples that blocks have and a view still needs.
    pending: Vec<Release>,
}

impl Worker {
    pub fn new(
        shared: Arc<Shared>,
        (jobs, bell): (Receiver<Job>, Receiver<()>),
        compact: Sender<()>,
    ) -> Worker {
        let now = shared.clock.mono();
        Worker {
            next_collect: now + COLLECT_EVERY,
            next_retain: now,
            next_sync: Some(now + shared.settings.wal_sync_interval),
            next_poll: None,
            next_flush: now,
            flush_pauses: Pauses::default(),
            full_with: None,
            next_set_back: now,
            corrected: 0,
            pending: Vec::new(),
            shared,
            jobs,
            bell,
            compact,
        }
    }

    pub fn run(mut self, stop: &Stop) {
        // NOTE: a full channel has rung already.
        let _ = self.compact.try_send(());
        let mut alarm = Alarm::default();
        let closed = loop {
            alarm.set(&*self.shared.clock, Some(self.due()));
            let done = select! {
                recv(stop.channel()) -> _ => break false,
                recv(self.jobs) -> job => match job {
                    Ok(job) => self.on_job(job, stop),
                    Err(_) => break false,
                },
                recv(self.bell) -> _ => self.look(stop),
                recv(alarm.channel()) -> _ => {
                    alarm.heard();
                    self.look(stop)
                }
            };
            if let Err(StorageError::Closed) = done {
                break true;
            }
        };
        self.write_rest();
        if !self.shared.stands_still().unwrap_or(false) {
            self.sync();
        }
        if closed {
            // NOTE: a request or a scrape may have panicked under a lock, and its end ends nothing.
            // Without its storage the process has no purpose, and the next start has what is in the
            // log.
            give_up("a panic has closed the storage");
        }
    }

    /// When something is due, on the monotonic clock.
    fn due(&self) -> Duration {
        let others = [self.next_sync, self.next_poll].into_iter().flatten();
        others.fold(self.next_collect, Duration::min)
    }

    fn on_job(&mut self, job: Job, stop: &Stop) -> Result<(), StorageError> {
        match job {
            Job::Flush(reply) => {
                let result = self.flush(stop);
                let _ = reply.try_send(result);
                // ORDER: what a view still needs of it is looked after from now on.
                self.plan(false)
            }
            #[cfg(test)]
            Job::Look(reply) => {
                let done = self.look(stop);
                let _ = reply.try_send(());
                done
            }
        }
    }

    /// The last chance of what waits for room.
    fn write_rest(&self) {
        let Some(store) = &self.shared.store else {
            return;
        };
        // NOTE: a closed log has already been reported.
        let _ = store.catch_up();
        store.log.tell_lost();
    }

    /// Does what is due, and finds out when the next thing is.
    fn look(&mut self, stop: &Stop) -> Result<(), StorageError> {
        let shared = self.shared.clone();
        shared.look_at_clock()?;
        if !shared.stands_still()? {
            self.sync_if_due();
        }
        self.let_go()?;
        if let Some(store) = &shared.store
            && store.log.waits()?
        {
            self.make_room(store, stop)?;
        }
        let (now, stands_still) = (shared.clock.mono(), shared.stands_still()?);
        let may_flush = self.pending.is_empty()
            && self.flush_pauses.is_over(now)
            && !stands_still
            && (now >= self.next_flush || shared.lacks_room()?);
        let wants_flush = shared.flush_is_due()? || self.is_set_back(now)?;
        if may_flush && wants_flush {
            // NOTE: told where it failed; samples stay where they are until it works.
            let _ = self.flush(stop);
        }
        if now >= self.next_collect {
            self.next_collect = now + COLLECT_EVERY;
            shared.bell.may_ring_for_late();
            self.collect()?;
            if !stands_still {
                self.retain();
            }
        }
        self.plan(wants_flush && !may_flush)
    }

    fn plan(&mut self, flush_waits: bool) -> Result<(), StorageError> {
        let shared = self.shared.clone();
        let waits = match &shared.store {
            Some(store) => store.log.stands_still()? || store.log.waits()?,
            None => false,
        };
        let is_polled = waits || flush_waits || !self.pending.is_empty();
        self.next_poll = is_polled.then(|| shared.clock.mono() + POLL);
        // NOTE: a flush that waits is polled, and samples from the future do not tell the time.
        let is_ahead = shared.is_ahead(shared.head.stats()?.max_t);
        let span_ms = if flush_waits || is_ahead {
            u64::MAX
        } else {
            SPAN_MS as u64
        };
        shared.bell.wants(shared.bytes_of_interest()?, span_ms);
        if self.next_sync.is_none() && !shared.is_durable() {
            // NOTE: a commit has come, and has rung or is about to.
            shared.bell.set_at_rest(false);
            self.next_sync = Some(shared.clock.mono() + shared.settings.wal_sync_interval);
        }
        Ok(())
    }

    /// Works while samples wait for room on the disk, or for a disk that can be written.
    fn make_room(&mut self, store: &Store, stop: &Stop) -> Result<(), StorageError> {
        if store.log.stands_still()? {
            return Ok(());
        }
        let now = self.shared.clock.mono();
        if now >= self.next_retain {
            self.next_retain = now + FIRST_PAUSE;
            self.retain();
        }
        if store.log.lock()?.backlog.passed_over() == 0 && !self.shared.room_ends()? {
            store.catch_up()?;
            if !store.log.waits()? {
                return Ok(());
            }
        }
        // ORDER: the block first. It has the waiting samples too, and lets the log be dropped. The
        // log would grow into the room that the block needs.
        let may_flush = self.pending.is_empty() && !store.log.stands_still()?;
        if may_flush && self.may_have_room(store)? {
            // NOTE: logged where it failed.
            let _ = self.flush(stop);
        }
        store.catch_up()
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
        self.next_flush = shared.clock.mono() + FLUSH_EVERY;
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
        let _ = self.compact.try_send(());
    }

    /// A sync that finds nothing to do is the last, until somebody writes.
    fn sync_if_due(&mut self) {
        let now = self.shared.clock.mono();
        if self.next_sync.is_none_or(|due| now < due) {
            return;
        }
        if self.shared.is_durable() {
            self.shared.bell.set_at_rest(true);
            // ORDER: `plan` asks again.
            self.next_sync = None;
        } else {
            self.next_sync = Some(now + self.shared.settings.wal_sync_interval);
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

/// LIMIT: bytes of samples after which it is asked again whether there is room for a block: as much
/// as makes an early one.
const LOOK_BYTES: u64 = EARLY_BYTES as u64;

impl Shared {
    /// Bytes of samples in the head at which it may have to become a block.
    fn bytes_of_interest(&self) -> Result<u64, StorageError> {
        let (samples, series) = self.head.used_bytes()?;
        let (samples, budget) = (samples as u64, self.settings.head_budget);
        let full = budget.saturating_sub((series as u64).min(budget / 2));
        let next = samples.saturating_add(LOOK_BYTES);
        Ok(if full > samples { next.min(full) } else { next })
    }

    pub fn stands_still(&self) -> Result<bool, StorageError> {
        let store = self.store.as_ref();
        store.map_or(Ok(false), |store| store.log.stands_still())
    }

    /// Whether a power cut would lose nothing.
    fn is_durable(&self) -> bool {
        let segments = self.store.as_ref().map(|store| &store.segments);
        segments.is_none_or(|segments| segments.durable() == segments.position())
    }

    /// Whether the wall clock was set since the last look.
    pub fn look_at_clock(&self) -> Result<(), StorageError> {
        let step = locked(&self.steps).look(&*self.clock);
        step.map_or(Ok(()), |step| self.on_step(step))
    }

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
        let retention_ms = self.settings.retention().time_ms();
        let done = self.head.collect(self.retention_time()?, retention_ms)?;
        let took = self.clock.mono().saturating_sub(began);
        self.head.metrics.gc_duration.observe(took.as_secs_f64());
        if done.series > 0 {
            log::debug!(series = done.series, chunks = done.chunks;
                "garbage of the head collected");
        }
        Ok(())
    }
}
