//! The database's face: [`Db`] takes and answers for all of storage.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crossbeam_channel::select;

use super::head::{Cardinality, Head, HeadStats};
use super::metrics::HeadMetrics;
use crate::metrics::Registry;
use crate::model::{Labels, SeriesRef, TimestampMs};
use crate::stdx::clock::{Clock, Ticker};
use crate::stdx::limits::THREAD_STACK;
use crate::stdx::stop::{Stop, StopSender, stop};
use crate::stdx::thread::{Thread, spawn};
use crate::storage::{Appendable, Appender, Committed, Querier, Queryable, StorageError};

/// How often garbage is collected. A series without samples lives at least once as long.
const COLLECT_EVERY: Duration = Duration::from_secs(60);

/// What a database is opened with.
#[derive(Debug, Clone)]
pub struct Options {
    pub clock: Arc<dyn Clock>,
    pub registry: Registry,
    /// How long samples are kept; zero keeps them all.
    pub retention: Duration,
}

/// The database. Clones share it; the last one to be dropped ends it.
#[derive(Debug, Clone)]
pub struct Db(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    head: Arc<Head>,
    /// Read by the thread at each collection.
    retention: Arc<Retention>,
    clock: Arc<dyn Clock>,
    // ORDER: the sender stops the thread, which is then joined.
    _stop: StopSender,
    _thread: Thread,
}

/// In milliseconds; zero is none.
#[derive(Debug)]
struct Retention(AtomicU64);

impl Retention {
    fn set(&self, retention: Duration) {
        let ms = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
        self.0.store(ms as u64, Relaxed);
    }

    fn get(&self) -> Option<i64> {
        let ms = self.0.load(Relaxed) as i64;
        (ms > 0).then_some(ms)
    }
}

impl Db {
    /// # Errors
    /// The system's, when it has no thread for it.
    pub fn open(options: Options) -> io::Result<Db> {
        let Options {
            clock,
            registry,
            retention,
        } = options;
        let head = Arc::new(Head::new(HeadMetrics::new(&registry)));
        show_head(&registry, &head);
        let kept = Arc::new(Retention(AtomicU64::new(0)));
        let (stopper, stop) = stop();
        let collector = Collector {
            head: head.clone(),
            retention: kept.clone(),
            clock: clock.clone(),
        };
        let thread = spawn("tsdb", THREAD_STACK, move || collector.run(&stop))?;
        let db = Db(Arc::new(Inner {
            head,
            retention: kept,
            clock,
            _stop: stopper,
            _thread: thread,
        }));
        db.set_retention(retention);
        Ok(db)
    }

    /// How long samples are kept from now on; zero keeps them all. Takes effect at the next
    /// collection, within a minute.
    pub fn set_retention(&self, retention: Duration) {
        self.0.retention.set(retention);
        let seconds = retention.as_secs_f64();
        self.0.head.metrics.retention_seconds.set(seconds);
    }

    pub fn retention(&self) -> Duration {
        let ms = self.0.retention.get().unwrap_or(0);
        Duration::from_millis(ms as u64)
    }

    /// # Errors
    /// The storage is closed.
    pub fn stats(&self) -> Result<HeadStats, StorageError> {
        self.0.head.stats()
    }

    /// The `limit` largest of each kind.
    ///
    /// # Errors
    /// The storage is closed.
    pub fn cardinality(&self, limit: usize) -> Result<Cardinality, StorageError> {
        self.0.head.cardinality(limit)
    }

    /// Bytes that the head has on the heap, without what the allocator adds. Looks at every series.
    ///
    /// # Errors
    /// The storage is closed.
    pub fn heap_bytes(&self) -> Result<usize, StorageError> {
        self.0.head.heap_bytes()
    }

    /// Whether samples can be appended to the series.
    ///
    /// # Errors
    /// The storage is closed.
    pub fn has_series(&self, series: SeriesRef) -> Result<bool, StorageError> {
        self.0.head.has_series(series)
    }

    #[cfg(test)]
    pub(super) fn head(&self) -> &Head {
        &self.0.head
    }

    /// Collects garbage now, as the thread `tsdb` does every minute.
    ///
    /// # Errors
    /// The storage is closed.
    pub fn collect_garbage(&self) -> Result<(), StorageError> {
        let (head, clock) = (&self.0.head, &*self.0.clock);
        collect(head, clock, &self.0.retention)
    }
}

impl Appendable for Db {
    fn resolve(&self, labels: &Labels) -> Result<SeriesRef, StorageError> {
        self.0.head.resolve(labels)
    }

    fn commit(&self, batch: &Appender) -> Result<Committed, StorageError> {
        self.0.head.commit(batch)
    }
}

impl Queryable for Db {
    fn querier(
        &self,
        start: TimestampMs,
        end: TimestampMs,
    ) -> Result<Box<dyn Querier>, StorageError> {
        Ok(Box::new(self.0.head.querier(start, end)?))
    }
}

/// The thread `tsdb`.
struct Collector {
    head: Arc<Head>,
    retention: Arc<Retention>,
    clock: Arc<dyn Clock>,
}

impl Collector {
    fn run(self, stop: &Stop) {
        let first = self.clock.mono() + COLLECT_EVERY;
        let mut ticker = Ticker::new(&*self.clock, first, COLLECT_EVERY);
        loop {
            select! {
                recv(stop.channel()) -> _ => return,
                recv(ticker.channel()) -> _ => {
                    ticker.advance(&*self.clock);
                    if collect(&self.head, &*self.clock, &self.retention).is_err() {
                        return;
                    }
                }
            }
        }
    }
}

fn collect(head: &Head, clock: &dyn Clock, retention: &Retention) -> Result<(), StorageError> {
    let began = clock.mono();
    let done = head.collect(clock.wall_ms(), retention.get())?;
    let took = clock.mono().saturating_sub(began);
    head.metrics.gc_duration.observe(took.as_secs_f64());
    if done.series > 0 {
        log::debug!(series = done.series, chunks = done.chunks; "garbage of the head collected");
    }
    Ok(())
}

/// The metrics that are computed when they are read.
fn show_head(registry: &Registry, head: &Arc<Head>) {
    let gauge = |name, help, read: fn(&HeadStats) -> f64| {
        // NOTE: weak, because the registry outlives a database.
        let head: Weak<Head> = Arc::downgrade(head);
        registry.gauge_fn(name, help, move || {
            let stats = head.upgrade().and_then(|head| head.stats().ok());
            stats.as_ref().map_or(0.0, read)
        });
    };
    gauge(
        "prometheus_tsdb_head_series",
        "Series in the head.",
        |stats| stats.series as f64,
    );
    gauge(
        "prometheus_tsdb_head_chunks",
        "Chunks in the head.",
        |stats| stats.chunks as f64,
    );
    gauge(
        "prometheus_tsdb_symbol_table_size_bytes",
        "Bytes of label names and values held in memory.",
        |stats| stats.symbol_bytes as f64,
    );
    gauge(
        "prometheus_tsdb_head_max_time",
        "The head's newest sample, in milliseconds.",
        |stats| stats.max_t as f64,
    );
    gauge(
        "prometheus_tsdb_head_max_time_seconds",
        "The head's newest sample, in seconds.",
        |stats| (stats.max_t / 1000) as f64,
    );
    let oldest = [
        (
            "prometheus_tsdb_head_min_time",
            "prometheus_tsdb_head_min_time_seconds",
        ),
        (
            "prometheus_tsdb_lowest_timestamp",
            "prometheus_tsdb_lowest_timestamp_seconds",
        ),
    ];
    for (ms, seconds) in oldest {
        gauge(ms, "The oldest sample, in milliseconds.", |stats| {
            stats.min_t as f64
        });
        gauge(seconds, "The oldest sample, in seconds.", |stats| {
            (stats.min_t / 1000) as f64
        });
    }
}
