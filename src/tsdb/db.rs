//! The database: [`Db`] is the face of the whole storage.

use crate::stdx::sort::sort_by_key;

mod options;

mod backlog;
mod bell;
mod join;
mod log;
mod log_writer;
mod open;
mod querier;
mod replay;
mod shared;

mod attempt;
mod backpressure;
mod commit;
mod compactor;
mod flush;
mod limits;
mod quarantine;
mod retention;
mod snapshot;
mod worker;

mod exemplars;
mod offline;
mod offline_writer;

mod error;
mod foreign;
mod show;

#[cfg(test)]
mod tests;

use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};

use self::bell::Bell;
use self::compactor::Compactor;
use self::querier::DbQuerier;
use self::shared::{Settings, Shared};
use self::worker::{JOBS_MAX, Job, Worker};
use super::block::BlockMeta;
use super::exemplars::Exemplars;
use super::head::{AHEAD_MAX_MS, Cardinality, Head, HeadStats};
use super::metrics::HeadMetrics;
use super::wal::LABELS_BYTES_MAX;
use crate::model::{Labels, Matcher, SeriesRef, TimestampMs};
use crate::stdx::clock::{Step, Steps};
use crate::stdx::limits::THREAD_STACK;
use crate::stdx::stop::stop;
use crate::stdx::thread::{Running, spawn_vital};
use crate::storage::{Appendable, Appender, Committed, Querier, Queryable, StorageError};

pub use self::error::{OpenError, WorkError};
pub use self::limits::Retention;
pub use self::offline::Offline;
pub use self::offline_writer::OfflineWriter;
pub use self::options::{Options, Place, default_head_budget};

/// The database. Clones share it. Dropping the last one closes it.
#[derive(Debug, Clone)]
pub struct Db(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    jobs: Sender<Job>,
    // ORDER: the threads end first; the files and the lock go last.
    running: Running,
    shared: Arc<Shared>,
}

impl Db {
    /// Opens the database. Damaged files are no error.
    ///
    /// # Errors
    /// The directory is another program's, in use, or cannot be read or written; or the system has
    /// no thread for the database.
    pub fn open(options: Options) -> Result<Db, OpenError> {
        let metrics = HeadMetrics::new(&options.registry);
        let head = Arc::new(Head::new(metrics, options.clock.clone()));
        head.set_late_window(millis(options.out_of_order_window))?;
        let exemplars = Exemplars::new(&options.registry);
        exemplars.set_room(options.exemplars_max);
        exemplars.set_window(millis(options.out_of_order_window));
        exemplars.set_ahead(options.clock.wall_ms().saturating_add(AHEAD_MAX_MS));
        let (bell, heard) = Bell::new();
        let bell = Arc::new(bell);
        let store = open::open_store(&options, &head, &exemplars, &bell)?;
        show::show_head(&options.registry, &head);
        let steps = Steps::new(&*options.clock);
        let shared = Arc::new(Shared {
            head,
            exemplars,
            clock: options.clock,
            settings: Settings::new(options.head_budget, options.wal_sync_interval),
            bell,
            steps: Mutex::new(steps),
            last_step: Mutex::default(),
            give_back: options.give_back,
            store,
        });
        show::show_store(&options.registry, &shared);
        let (stopper, stop) = stop();
        let (jobs, inbox) = bounded(JOBS_MAX);
        // LIMIT: one; whoever hears it looks at everything.
        let (compact_tx, compact_bell) = bounded(1);
        let worker = Worker::new(shared.clone(), (inbox, heard), compact_tx);
        let compactor = Compactor {
            shared: shared.clone(),
            bell: compact_bell,
        };
        let compactor_stop = stop.clone();
        let no_thread = |source: io::Error| OpenError::Io {
            what: "cannot start a thread",
            source,
        };
        let compact = spawn_vital("tsdb-compact", THREAD_STACK, move || {
            compactor.run(&compactor_stop);
        })
        .map_err(no_thread)?;
        let work =
            spawn_vital("tsdb", THREAD_STACK, move || worker.run(&stop)).map_err(no_thread)?;
        let db = Db(Arc::new(Inner {
            jobs,
            running: Running::new(stopper, vec![work, compact]),
            shared,
        }));
        db.set_retention(options.retention);
        Ok(db)
    }

    /// Writes and syncs what the log waits for and ends the threads, whoever else holds a clone.
    /// False when that is not done after `deadline`, or when the disk stands still: the threads are
    /// left to themselves then, and the log tells what is lost.
    pub fn stop(&self, deadline: Duration) -> bool {
        let in_time = self.0.running.stop(deadline);
        if !in_time {
            self.0.shared.tell_unwritten();
        }
        let stands_still = self.0.shared.stands_still().unwrap_or(false);
        if !in_time || stands_still {
            // NOTE: whoever let go last would wait for the disk. The system takes all back.
            std::mem::forget(self.0.clone());
        }
        in_time && !stands_still
    }

    /// Sets what is kept from now on. It takes effect at the next collection, within a minute.
    pub fn set_retention(&self, retention: Retention) {
        self.0.shared.settings.set_retention(retention);
        let metrics = &self.0.shared.head.metrics;
        metrics.retention_seconds.set(retention.time.as_secs_f64());
        metrics.retention_bytes.set(retention.bytes as f64);
        metrics.retention_percentage.set(retention.percentage);
    }

    pub fn retention(&self) -> Retention {
        self.0.shared.settings.retention()
    }

    /// Sets how much older than the head's newest sample an out-of-order sample may be from now on.
    /// Zero refuses them.
    pub fn set_out_of_order_window(&self, window: Duration) {
        // NOTE: a closed head takes nothing anyway.
        let _ = self.0.shared.head.set_late_window(millis(window));
        self.0.shared.exemplars.set_window(millis(window));
    }

    /// How much a power cut loses at most. `None` in memory, where the end of the process loses
    /// all.
    pub fn loss_window(&self) -> Option<Duration> {
        let shared = &self.0.shared;
        shared.store.as_ref()?;
        Some(shared.settings.wal_sync_interval)
    }

    /// Why the log is not written at this time, if it is not; and how many samples wait in memory
    /// for the disk.
    ///
    /// # Errors
    /// The storage is closed.
    pub fn unwritten(&self) -> Result<(Option<String>, u64), StorageError> {
        let Some(store) = &self.0.shared.store else {
            return Ok((None, 0));
        };
        let log = store.log.lock()?;
        let samples = log.backlog.samples() as u64 + log.backlog.passed_over();
        let waiting = if log.waits() { samples } else { 0 };
        Ok((log.unwritable.clone(), waiting))
    }

    /// The wall clock's last step since the start.
    pub fn last_clock_step(&self) -> Option<Step> {
        *shared::locked(&self.0.shared.last_step)
    }

    /// How far the newest sample ever seen is ahead of the wall clock.
    ///
    /// # Errors
    /// The storage is closed.
    pub fn newest_ahead(&self) -> Result<Duration, StorageError> {
        let (shared, newest) = (&self.0.shared, self.stats()?.max_t);
        let ahead = newest.saturating_sub(shared.clock.wall_ms());
        Ok(Duration::from_millis(ahead.max(0) as u64))
    }

    /// Returns the head's statistics.
    ///
    /// # Errors
    /// The storage is closed.
    pub fn stats(&self) -> Result<HeadStats, StorageError> {
        self.0.shared.head.stats()
    }

    /// Returns the metadata of the blocks, the oldest samples first.
    ///
    /// # Errors
    /// The storage is closed.
    pub fn blocks(&self) -> Result<Vec<BlockMeta>, StorageError> {
        let blocks = self.0.shared.head.blocks()?;
        let mut metas: Vec<_> = blocks.iter().map(|block| block.meta().clone()).collect();
        sort_by_key(&mut metas, |meta| (meta.min_t, meta.id));
        Ok(metas)
    }

    /// Returns the `limit` largest of each kind.
    ///
    /// # Errors
    /// The storage is closed.
    pub fn cardinality(&self, limit: usize) -> Result<Cardinality, StorageError> {
        self.0.shared.head.cardinality(limit)
    }

    /// The bytes that the head has on the heap, without the allocator's overhead. Visits every
    /// series.
    ///
    /// # Errors
    /// The storage is closed.
    pub fn heap_bytes(&self) -> Result<usize, StorageError> {
        self.0.shared.head.heap_bytes()
    }

    /// Whether samples can be appended to the series.
    ///
    /// # Errors
    /// The storage is closed.
    pub fn has_series(&self, series: SeriesRef) -> Result<bool, StorageError> {
        self.0.shared.head.has_series(series)
    }

    /// Lets the thread `tsdb` look at everything that may be due, and waits for it.
    #[cfg(test)]
    pub(super) fn look(&self) {
        let (reply, looked) = bounded(1);
        self.0.jobs.send(Job::Look(reply)).unwrap();
        let _ = looked.recv();
    }

    #[cfg(test)]
    pub(super) fn head(&self) -> &Head {
        &self.0.shared.head
    }

    /// Collects garbage now, as the thread `tsdb` does every minute.
    ///
    /// # Errors
    /// The storage is closed.
    pub fn collect_garbage(&self) -> Result<(), StorageError> {
        self.0.shared.collect_garbage()
    }

    /// Deletes samples of matching series between `start` and `end` (inclusive) that are committed
    /// now. Returns the number of series in blocks that this concerned. In memory nothing is
    /// deleted.
    ///
    /// # Errors
    /// The disk's. Then some samples may be deleted.
    pub fn delete(
        &self,
        matchers: &[Matcher],
        start: TimestampMs,
        end: TimestampMs,
    ) -> Result<u64, WorkError> {
        self.flush()?;
        self.0.shared.delete(matchers, start, end)
    }

    /// Rewrites the blocks with deleted samples without these, and waits for it. Returns the number
    /// of such blocks.
    ///
    /// # Errors
    /// The disk's. Blocks that were not rewritten stay as they were.
    pub fn clean_tombstones(&self) -> Result<u64, WorkError> {
        self.0.shared.clean_tombstones()
    }

    /// Makes `snapshots/NAME` in the data directory, on which a database can be opened. It holds
    /// all that is committed, or with `skip_head` what is in blocks. Returns the name.
    ///
    /// # Errors
    /// The disk's, and then there is no snapshot; or the database is in memory.
    pub fn snapshot(&self, skip_head: bool) -> Result<String, WorkError> {
        self.0.shared.snapshot(skip_head)
    }

    /// Makes a block of the head's current content, and waits for it.
    ///
    /// # Errors
    /// The disk's. Then everything stays in the head.
    pub fn flush(&self) -> Result<(), WorkError> {
        let (reply, answer) = bounded(1);
        let sent = self.0.jobs.send(Job::Flush(reply));
        sent.map_err(|_| WorkError::Stopping)?;
        answer.recv().map_err(|_| WorkError::Stopping)?
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Appendable for Db {
    fn resolve(&self, labels: &Labels) -> Result<SeriesRef, StorageError> {
        let bytes = labels.heap_bytes();
        if bytes > LABELS_BYTES_MAX {
            return Err(StorageError::Other(format!(
                "labels of {bytes} bytes, {LABELS_BYTES_MAX} at most are stored"
            )));
        }
        self.0.shared.head.resolve(labels)
    }

    fn find(&self, labels: &Labels) -> Result<Option<SeriesRef>, StorageError> {
        self.0.shared.head.find(labels)
    }

    fn labels_of(&self, series: SeriesRef) -> Option<Labels> {
        self.0.shared.head.labels(series)
    }

    fn left_out_of_order(&self, samples: u64) {
        self.0.shared.head.metrics.out_of_order.add(samples as f64);
    }

    fn takes_exemplars(&self) -> bool {
        self.0.shared.exemplars.is_on()
    }

    fn takes_late(&self) -> bool {
        self.0.shared.head.metrics.takes_late.load(Relaxed)
    }

    fn commit(&self, batch: &Appender) -> Result<Committed, StorageError> {
        let mut done = self.0.shared.commit(&batch.samples, batch.is_deferred)?;
        self.0.shared.commit_exemplars(&batch.exemplars, &mut done);
        Ok(done)
    }
}

impl Queryable for Db {
    fn querier(
        &self,
        start: TimestampMs,
        end: TimestampMs,
    ) -> Result<Box<dyn Querier>, StorageError> {
        let head = self.0.shared.head.querier(start, end)?;
        let store = self.0.shared.store.as_ref();
        if let Some(store) = store {
            store.log.hurry();
        }
        let metrics = store.map(|store| store.metrics.clone());
        Ok(Box::new(DbQuerier::new(head, (start, end), metrics)))
    }
}
