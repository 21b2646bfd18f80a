//! The thread `tsdb`: makes the log durable, flushes, lets go what is over.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, select};

use super::core::{Core, Store};
use super::error::WorkError;
use crate::stdx::clock::Ticker;
use crate::stdx::stop::Stop;
use crate::storage::StorageError;
use crate::tsdb::head::Release;

/// How often it is asked what is due.
const TICK: Duration = Duration::from_secs(1);

/// How often garbage is collected, and retention looked after. A series without samples lives at
/// least once as long.
const COLLECT_EVERY: Duration = Duration::from_secs(60);

/// LIMIT: after a flush that failed; what fails is the disk, and it needs time.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(10);

/// What others ask of the thread.
#[derive(Debug)]
pub enum Job {
    /// Makes a block of what is in the head.
    Flush(Sender<Result<(), WorkError>>),
}

/// LIMIT: each comes from a request that waits for its answer.
pub const JOBS_MAX: usize = 4;

pub struct Worker {
    core: Arc<Core>,
    jobs: Receiver<Job>,
    /// Rings the compactor.
    bell: Sender<()>,
    next_collect: Duration,
    next_sync: Duration,
    next_flush: Duration,
    /// Samples that blocks have and a view still needs.
    pending: Vec<Release>,
}

impl Worker {
    pub fn new(core: Arc<Core>, jobs: Receiver<Job>, bell: Sender<()>) -> Worker {
        let now = core.clock.mono();
        Worker {
            next_collect: now + COLLECT_EVERY,
            next_sync: now + core.settings.wal_sync_interval,
            next_flush: now,
            pending: Vec::new(),
            core,
            jobs,
            bell,
        }
    }

    pub fn run(mut self, stop: &Stop) {
        let first = self.core.clock.mono() + TICK;
        let mut ticker = Ticker::new(&*self.core.clock, first, TICK);
        // NOTE: a full channel has rung already.
        let _ = self.bell.try_send(());
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
                    ticker.advance(&*self.core.clock);
                    if let Err(StorageError::Closed) = done {
                        break;
                    }
                }
            }
        }
        if let Some(store) = &self.core.store {
            // NOTE: the last chance of what waits; the disk has told what it thinks of it.
            let _ = self.core.catch_up(store);
        }
        self.sync();
    }

    fn on_tick(&mut self, stop: &Stop) -> Result<(), StorageError> {
        let core = self.core.clone();
        self.sync_if_due();
        if let Some(store) = &core.store
            && core.catch_up(store)?
        {
            // NOTE: the next attempt has what retention frees.
            self.retain();
        }
        self.let_go()?;
        let now = core.clock.mono();
        if self.pending.is_empty() && now >= self.next_flush && core.flush_is_due()? {
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

    fn flush(&mut self, stop: &Stop) -> Result<(), WorkError> {
        let core = self.core.clone();
        let Some(store) = &core.store else {
            return Ok(());
        };
        self.let_go()?;
        let release = core.flush(store, || {
            self.sync_if_due();
            if stop.is_stopped() {
                return Err(WorkError::Stopping);
            }
            Ok(())
        });
        match release {
            Ok(release) => {
                self.pending.push(release);
                self.let_go()?;
                // ORDER: before a merge begins, whose memory would stand beside what a flush left.
                (core.give_back)();
                self.retain();
                Ok(())
            }
            Err(error) => {
                if !matches!(error, WorkError::Stopping) {
                    store.metrics.truncations_failed.inc();
                    log::error!("the head could not become a block, and stays: {error}");
                }
                self.next_flush = core.clock.mono() + PAUSE_AFTER_FAILURE;
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
        self.core.collect_garbage()
    }

    fn retain(&self) {
        let Some(store) = &self.core.store else {
            return;
        };
        if let Err(error) = self.core.retain(store) {
            log::error!("retention failed and will be tried again: {error}");
        }
        let _ = self.bell.try_send(());
    }

    fn sync_if_due(&mut self) {
        let now = self.core.clock.mono();
        if now >= self.next_sync {
            self.next_sync = now + self.core.settings.wal_sync_interval;
            self.sync();
        }
    }

    fn sync(&self) {
        if let Some(store) = &self.core.store {
            store.sync();
        }
    }
}

impl Store {
    fn sync(&self) {
        if let Err(error) = self.keeper.sync() {
            log::error!("cannot make the write-ahead log durable: {error}");
        }
    }
}

impl Core {
    pub fn collect_garbage(&self) -> Result<(), StorageError> {
        let began = self.clock.mono();
        // NOTE: series go under the log's lock too, so that none goes while a batch is logged.
        let pause = || self.store.as_ref().map(|store| store.log.lock());
        let retention_ms = self.settings.retention().time_ms();
        let done = self
            .head
            .collect(self.clock.wall_ms(), retention_ms, pause)?;
        let took = self.clock.mono().saturating_sub(began);
        self.head.metrics.gc_duration.observe(took.as_secs_f64());
        if done.series > 0 {
            log::debug!(series = done.series, chunks = done.chunks;
                "garbage of the head collected");
        }
        Ok(())
    }
}
