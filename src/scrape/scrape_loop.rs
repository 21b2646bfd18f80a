//! One target's loop, without its thread: what happens at a tick.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::buffers::{Buffers, Work};
use super::error::ScrapeError;
use super::ingest::{Counts, Ingest};
use super::memory::Remembered;
use super::metrics::{IntervalMetrics, ScrapeMetrics};
use super::pool_shared::PoolShared;
use super::refusals::{Case, Kind, NoSeries, Paces, Refusals};
use super::report::Report;
use super::restart::Restart;
use super::schedule::go_text;
use super::target::{Health, Status, Target};
use crate::config::ScrapeConfig;
use crate::exposition::{self, Format};
use crate::model::{Labels, SeriesRef, TimestampMs, stale_nan};
use crate::net::{Fetch, ScrapeRequest};
use crate::stdx::clock::Clock;
use crate::stdx::pacer::SharedPacer;
use crate::stdx::stop::Stop;
use crate::storage::{Appendable, Appender, Committed, Pending, StorageError};

/// What all loops of the process share.
pub(super) struct LoopEnv {
    pub storage: Arc<dyn Appendable>,
    pub clock: Arc<dyn Clock>,
    pub metrics: ScrapeMetrics,
    pub buffers: Buffers,
    /// The pace of log lines about commits that fail, as they then do for all targets.
    commit_failures: SharedPacer,
    /// The pace of log lines about scrapes that panic.
    panics: SharedPacer,
    /// The pace of log lines about loops without a thread.
    pub thread_failures: SharedPacer,
}

impl LoopEnv {
    pub fn new(
        storage: Arc<dyn Appendable>,
        clock: Arc<dyn Clock>,
        metrics: ScrapeMetrics,
    ) -> LoopEnv {
        LoopEnv {
            storage,
            clock,
            metrics,
            buffers: Buffers::default(),
            commit_failures: SharedPacer::default(),
            panics: SharedPacer::default(),
            thread_failures: SharedPacer::default(),
        }
    }

    /// Counts what a failed commit was to store. Returns how many lost samples had no log line
    /// since the last one; `None` if these have none either.
    pub fn lose(&self, batch: &Appender) -> Option<u64> {
        self.metrics.lost.add(batch.samples.len() as f64);
        let exemplars = batch.exemplars.len() as f64;
        self.metrics.exemplars_refused.add(exemplars);
        let (now, samples) = (self.clock.mono(), batch.samples.len() as u64);
        self.commit_failures.pass(now, samples)
    }
}

pub(super) struct ScrapeLoop {
    env: Arc<LoopEnv>,
    pool: Arc<PoolShared>,
    config: Arc<ScrapeConfig>,
    target: Arc<Target>,
    fetch: Box<dyn Fetch>,
    /// The error says why the target cannot be scraped at all.
    request: Result<ScrapeRequest, Arc<str>>,
    stop: Stop,
    interval_metrics: IntervalMetrics,
    last_start: Option<Duration>,
    last_body_bytes: usize,
    paces: Paces,
}

/// The words for a sample whose series the storage has dropped, and does not make again.
const WENT_AWAY: &str = "the series went away";

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turned {
    Done,
    /// The loop was stopped meanwhile. Nothing was written.
    Cancelled,
}

/// The result of the page.
struct Page {
    counts: Counts,
    error: Option<ScrapeError>,
    body_bytes: i64,
}

impl ScrapeLoop {
    pub fn new(
        env: Arc<LoopEnv>,
        pool: Arc<PoolShared>,
        config: Arc<ScrapeConfig>,
        target: Arc<Target>,
        fetch: Box<dyn Fetch>,
        request: Result<ScrapeRequest, Arc<str>>,
        stop: Stop,
    ) -> ScrapeLoop {
        ScrapeLoop {
            interval_metrics: env.metrics.interval(&go_text(target.interval)),
            env,
            pool,
            config,
            target,
            fetch,
            request,
            stop,
            last_start: None,
            last_body_bytes: 0,
            paces: Paces::default(),
        }
    }

    /// Continues where the former loop of the same place ended. Returns whether the series start
    /// afresh. Then they may differ, and the next turn marks those stale that do not go on.
    pub fn succeed(&mut self, former: &ScrapeLoop) -> bool {
        self.last_body_bytes = former.last_body_bytes;
        if !Arc::ptr_eq(&self.target.memory, &former.target.memory) {
            return true;
        }
        if self.target.interval == former.target.interval {
            self.last_start = former.last_start;
        }
        self.paces = former.paces.clone();
        self.target.succeed(&former.target);
        let afresh = Restart::of(&former.config, &self.config) == Restart::Afresh;
        if afresh {
            self.target.memory.lock().cache.start_over();
        }
        afresh
    }

    /// Scrapes once. The samples get the timestamp `t`.
    pub fn turn(&mut self, t: TimestampMs) -> Turned {
        let start = self.env.clock.mono();
        if let Some(last) = self.last_start.replace(start) {
            self.interval_metrics
                .observe(start.saturating_sub(last).as_secs_f64());
        }
        let mut work = self.env.buffers.take(self.last_body_bytes);
        let turned = self.scrape(t, start, &mut work);
        self.env.buffers.give(work);
        turned
    }

    fn scrape(&mut self, t: TimestampMs, start: Duration, work: &mut Work) -> Turned {
        let fetched = self.fetch(&mut work.body);
        // ORDER: checked before the lock, and again under it, since whoever takes the memory over
        // has stopped this loop before.
        if self.stop.is_stopped() {
            return Turned::Cancelled;
        }
        let target = self.target.clone();
        let mut memory = target.memory.lock();
        if self.stop.is_stopped() {
            return Turned::Cancelled;
        }
        let mut page = self.read(&mut memory, fetched, t, work);
        let duration = self.env.clock.mono().saturating_sub(start);
        self.report(&mut memory, &mut page, t, duration, &mut work.batch);
        self.commit(&mut memory, &mut page, work);
        self.note_metadata(&mut memory);
        drop(memory);
        if self.config.extra_scrape_metrics {
            let total = self.env.clock.mono().saturating_sub(start);
            self.env
                .metrics
                .scrape_duration
                .observe(total.as_secs_f64());
        }
        Turned::Done
    }

    fn fetch(&mut self, body: &mut Vec<u8>) -> Result<String, ScrapeError> {
        body.clear();
        if let Some(why) = self.pool.forced_error() {
            return Err(ScrapeError::Forced(why));
        }
        let request = self
            .request
            .as_ref()
            .map_err(|e| ScrapeError::Forced(e.clone()))?;
        let response = self.fetch.get(request, body)?;
        response.check()?;
        // A single empty answer is no reason to start with a small buffer again.
        if !body.is_empty() {
            self.last_body_bytes = body.len();
        }
        Ok(response.content_type)
    }

    /// Fills the batch from the page, or with stale markers if there is none.
    fn read(
        &mut self,
        memory: &mut Remembered,
        fetched: Result<String, ScrapeError>,
        t: TimestampMs,
        work: &mut Work,
    ) -> Page {
        work.batch.clear();
        let mut counts = Counts::default();
        let mut body_bytes = work.body.len() as i64;
        let mut error = None;
        let mut good = false;
        match fetched {
            // An empty page is a good one, but the cache stays as it is.
            Ok(_) if work.body.is_empty() => {}
            Ok(content_type) => match self.page(memory, &content_type, t, work, &mut counts) {
                Ok(()) => good = true,
                Err(e) => error = Some(e),
            },
            Err(e) => {
                body_bytes = if e.is_body_limit() || e.is_body_guard() {
                    -1
                } else {
                    0
                };
                error = Some(e);
            }
        }
        let batch = &mut work.batch;
        if good {
            memory
                .cache
                .succeed(|series| batch.append(series, t, stale_nan()));
        } else {
            // Nothing of a page that is broken in the middle counts.
            batch.clear();
            counts.refusals = Refusals::default();
            if counts.scraped == 0 {
                memory.cache.begin(memory.cache.format(), &[]);
            }
            if memory
                .cache
                .fail(|series| batch.append(series, t, stale_nan()))
            {
                self.env.metrics.cache_flush_forced.inc();
            }
        }
        Page {
            counts,
            error,
            body_bytes,
        }
    }

    fn page(
        &self,
        memory: &mut Remembered,
        content_type: &str,
        t: TimestampMs,
        work: &mut Work,
        counts: &mut Counts,
    ) -> Result<(), ScrapeError> {
        let format = self.format(content_type)?;
        let ingest = Ingest {
            config: &self.config,
            target: self.target.labels(),
            storage: &*self.env.storage,
            cache: &mut memory.cache,
            batch: &mut work.batch,
            builder: &mut work.builder,
            t,
            wall_ms: self.env.clock.wall_ms(),
            exemplars: self.env.storage.takes_exemplars(),
        };
        let mut ingest = ingest;
        ingest.page(&work.body, format, counts)
    }

    fn format(&self, content_type: &str) -> Result<Format, ScrapeError> {
        let header = (!content_type.is_empty()).then_some(content_type);
        let (format, warning) = exposition::format_of(header, self.config.fallback_scrape_protocol)
            .map_err(ScrapeError::ContentType)?;
        if let Some(warning) = warning {
            log::debug!(target = self.target.url(); "{warning}");
        }
        Ok(format)
    }

    fn report(
        &mut self,
        memory: &mut Remembered,
        page: &mut Page,
        t: TimestampMs,
        duration: Duration,
        batch: &mut Appender,
    ) {
        let report = Report {
            up: page.error.is_none(),
            duration_seconds: duration.as_secs_f64(),
            scraped: page.counts.scraped,
            added: page.counts.added,
            series_added: page.counts.series_added,
            timeout_seconds: self.target.timeout.as_secs_f64(),
            sample_limit: self.config.sample_limit,
            body_bytes: page.body_bytes,
        };
        let kind = (self.config.extra_scrape_metrics, self.target.labels());
        let (storage, refusals) = (&*self.env.storage, &mut page.counts.refusals);
        memory
            .report
            .append(&report, kind, storage, t, batch, refusals);
        let last_error = page.error.as_ref().map(|e| Arc::from(e.to_string()));
        if let Some(message) = &last_error
            && !matches!(page.error, Some(ScrapeError::Forced(_)))
            && let Some(log) = self.pool.failure_log()
        {
            log.write(
                self.env.clock.wall_ms(),
                message,
                &self.config.job_name,
                self.target.url(),
            );
        }
        self.target.set_status(Status {
            health: if report.up { Health::Up } else { Health::Down },
            last_error,
            last_scrape: Some(t),
            last_duration: duration,
        });
    }

    fn commit(&mut self, memory: &mut Remembered, page: &mut Page, work: &mut Work) {
        work.batch.is_deferred = true;
        match self.env.storage.commit(&work.batch) {
            Ok(mut done) => {
                if !done.gone.is_empty() {
                    let gone = std::mem::take(&mut done.gone);
                    self.commit_again(memory, &gone, work, &mut done, &mut page.counts.refusals);
                }
                // A batch without a page has only markers, whose faults do not count.
                if page.error.is_none() {
                    page.counts.refusals.add_committed(&done);
                }
            }
            Err(e) => self.lose(&work.batch, &e),
        }
        self.count(page);
    }

    /// Makes series anew that the storage has dropped since the cache learned of them, and commits
    /// again.
    fn commit_again(
        &self,
        memory: &mut Remembered,
        gone: &[u32],
        work: &mut Work,
        done: &mut Committed,
        refusals: &mut Refusals,
    ) {
        let lost: Vec<_> = gone
            .iter()
            .filter_map(|at| work.batch.samples.get(*at as usize).copied())
            .collect();
        work.batch.clear();
        // A series that is gone needs no marker.
        let lost = || lost.iter().filter(|s| !crate::model::is_stale_nan(s.v));
        let (renewed, mut refused) = self.renew(memory, lost().map(|s| s.series).collect(), work);
        for (old, new) in &renewed {
            memory.cache.replace(*old, *new);
            memory.report.replace(*old, *new);
        }
        for sample in lost() {
            let Pending { series, t, v } = *sample;
            match renewed.get(&series) {
                Some(series) => work.batch.append(*series, t, v),
                None => refusals.add(Kind::NoSeries, 1, || match refused.take() {
                    Some((labels, why)) => Case::NoSeries(NoSeries { why, labels, t, v }),
                    None => Case::Sample(WENT_AWAY, *sample),
                }),
            }
        }
        match self.env.storage.commit(&work.batch) {
            Ok(again) => {
                let lost = { again.gone.iter() }
                    .filter_map(|at| work.batch.samples.get(*at as usize).copied());
                for sample in lost {
                    refusals.add(Kind::NoSeries, 1, || Case::Sample(WENT_AWAY, sample));
                }
                done.add(&again);
            }
            Err(e) => self.lose(&work.batch, &e),
        }
    }

    /// Counts a batch that could not be committed.
    fn lose(&self, batch: &Appender, error: &StorageError) {
        if let Some(left_out) = self.env.lose(batch) {
            log::warn!(scrape_pool = self.config.job_name.as_str(), target = self.target.url(),
                num_dropped = batch.samples.len(), not_told_since_last = left_out;
                "Scrape commit failed: {error}");
        }
    }

    /// Returns the series that replace the lost ones, and the first that the storage did not make.
    fn renew(
        &self,
        memory: &Remembered,
        mut lost: Vec<SeriesRef>,
        work: &mut Work,
    ) -> (
        HashMap<SeriesRef, SeriesRef>,
        Option<(Labels, StorageError)>,
    ) {
        lost.sort_unstable();
        lost.dedup();
        let (storage, target) = (&*self.env.storage, self.target.labels());
        let (mut renewed, mut refused) = (HashMap::new(), None);
        let mut renew = |series, labels: Labels| match storage.resolve(&labels) {
            Ok(new) => {
                renewed.entry(series).or_insert(new);
            }
            Err(why) => {
                refused.get_or_insert((labels, why));
            }
        };
        for series in &lost {
            if let Some(labels) = memory.report.labels_of(*series, target) {
                renew(*series, labels);
            }
        }
        let (cache, builder) = (&memory.cache, &mut work.builder);
        cache.each_line_of(&lost, &work.body, |series, text, kind| {
            let labels = exposition::labels(text, cache.format(), kind, builder)
                .map_err(ScrapeError::from)
                .and_then(|()| super::merge::series_labels(&self.config, target, builder));
            if let Ok(Some(labels)) = labels {
                renew(series, labels);
            }
        });
        (renewed, refused)
    }

    fn count(&mut self, page: &Page) {
        let metrics = &self.env.metrics;
        if let Some(error) = &page.error {
            metrics
                .exceeded_body_size
                .add(f64::from(u8::from(error.is_body_limit())));
            metrics
                .exceeded_body_guard
                .add(f64::from(u8::from(error.is_body_guard())));
            metrics
                .exceeded_label_limits
                .add(f64::from(u8::from(error.is_label_limit())));
            if matches!(error, ScrapeError::SampleLimit) {
                metrics.exceeded_samples.inc();
            }
        }
        let whose = (self.config.job_name.as_str(), self.target.url());
        let (storage, now) = (&*self.env.storage, self.env.clock.mono());
        let refusals = &page.counts.refusals;
        self.paces.report(refusals, metrics, storage, whose, now);
    }

    fn note_metadata(&self, memory: &mut Remembered) {
        if !memory.cache.take_metadata_changed() {
            return;
        }
        let families = memory.metadata();
        let of = |m: &crate::model::Metadata| m.help.len() + m.unit.len() + m.kind.as_str().len();
        let size = (families.len(), families.values().map(of).sum::<usize>());
        let before = self.target.set_metadata_size(size);
        let metrics = &self.pool.metrics;
        metrics
            .metadata_entries
            .add(size.0 as f64 - before.0 as f64);
        metrics.metadata_bytes.add(size.1 as f64 - before.1 as f64);
    }

    /// Recovers after a panic. The cache cannot be trusted, so the series are marked stale and it
    /// starts afresh.
    pub fn recover(&mut self, t: TimestampMs, message: &str) {
        self.env.metrics.panics.inc();
        if let Some(left_out) = self.env.panics.pass(self.env.clock.mono(), 1) {
            log::error!(scrape_pool = self.config.job_name.as_str(), target = self.target.url(),
                not_told_since_last = left_out; "a scrape panicked: {message}");
        }
        if self.stop.is_stopped() {
            return;
        }
        let target = self.target.clone();
        let mut memory = target.memory.lock();
        let mut work = Work::default();
        for series in memory.cache.tracked_series() {
            work.batch.append(series, t, stale_nan());
        }
        memory.cache = super::cache::Cache::default();
        let mut page = Page {
            counts: Counts::default(),
            error: Some(ScrapeError::Panic(message.to_owned())),
            body_bytes: 0,
        };
        self.report(&mut memory, &mut page, t, Duration::ZERO, &mut work.batch);
        self.commit(&mut memory, &mut page, &mut work);
    }
}
