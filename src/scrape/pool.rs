//! One job: its targets and their loops, kept in step with what is discovered and configured.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::end_of_run::EndOfRun;
use super::failure_log::FailureLog;
use super::metrics::PoolMetrics;
use super::prepare::Job;
use super::runner::Running;
use super::schedule::{Alignment, Schedule};
use super::scrape_loop::{LoopEnv, ScrapeLoop};
use super::target::{Discovered, Health, Status, Target, make_targets};
use crate::config::ScrapeConfig;
use crate::model::TargetGroup;
use crate::net::{ClientSettings, ScrapeRequest};
use crate::stdx::gofmt::api_float;
use crate::stdx::stop::stop;
use crate::stdx::thread::Thread;

/// What a pool tells its loops while they run.
#[derive(Debug)]
pub(super) struct PoolShared {
    pub metrics: PoolMetrics,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    forced_error: Option<Arc<str>>,
    failure_log: Option<Arc<FailureLog>>,
}

impl PoolShared {
    pub fn new(metrics: PoolMetrics) -> PoolShared {
        PoolShared {
            metrics,
            told: Mutex::default(),
        }
    }

    /// Set where no target of the pool may be scraped.
    pub fn forced_error(&self) -> Option<Arc<str>> {
        self.lock().forced_error.clone()
    }

    pub fn failure_log(&self) -> Option<Arc<FailureLog>> {
        self.lock().failure_log.clone()
    }

    pub fn set_forced_error(&self, error: Option<Arc<str>>) {
        self.lock().forced_error = error;
    }

    fn set_failure_log(&self, log: Option<Arc<FailureLog>>) {
        self.lock().failure_log = log;
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        // NOTE: fields are replaced whole.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a pool is told by the manager at each sync.
pub(super) struct SyncEnv<'a> {
    pub env: &'a Arc<LoopEnv>,
    pub offset_seed: u64,
    pub alignment: Alignment,
    pub user_agent: &'a str,
    /// Numbers the threads.
    pub next_number: &'a mut u64,
}

/// What a sync leaves to its caller, who holds no lock by then.
#[derive(Default)]
pub(super) struct Leftovers {
    /// Threads that were told to end.
    pub retired: Vec<Thread>,
    pub ends_of_run: Vec<EndOfRun>,
}

impl Leftovers {
    pub fn append(&mut self, mut other: Leftovers) {
        self.retired.append(&mut other.retired);
        self.ends_of_run.append(&mut other.ends_of_run);
    }
}

pub(super) struct Pool {
    job: Arc<Job>,
    shared: Arc<PoolShared>,
    groups: Vec<Arc<TargetGroup>>,
    /// By the targets' hashes.
    loops: HashMap<u64, Slot>,
    dropped: Arc<Vec<Discovered>>,
    dropped_count: usize,
}

struct Slot {
    target: Arc<Target>,
    /// Absent while the system has no thread for it.
    running: Option<Running>,
}

impl Pool {
    pub fn new(job: Arc<Job>, metrics: PoolMetrics) -> Pool {
        metrics.target_limit.set(job.config.target_limit as f64);
        let shared = Arc::new(PoolShared::new(metrics));
        shared.set_failure_log(job.failure_log.clone());
        Pool {
            job,
            shared,
            groups: Vec::new(),
            loops: HashMap::new(),
            dropped: Arc::default(),
            dropped_count: 0,
        }
    }

    /// Takes another set of groups.
    pub fn sync(&mut self, groups: &[Arc<TargetGroup>], env: &mut SyncEnv<'_>) -> Leftovers {
        if same_groups(&self.groups, groups) {
            self.shared.metrics.syncs.inc();
            return Leftovers::default();
        }
        self.groups = groups.to_vec();
        self.renew(env, Restart::No)
    }

    /// Takes another configuration. Only what it changes for a target restarts its loop.
    pub fn reload(&mut self, job: Arc<Job>, env: &mut SyncEnv<'_>) -> Leftovers {
        let restart = Restart::of(&self.job.config, &job.config);
        self.job = job;
        self.shared
            .metrics
            .target_limit
            .set(self.job.config.target_limit as f64);
        self.shared.set_failure_log(self.job.failure_log.clone());
        self.renew(env, restart)
    }

    /// The configuration is the same, but its files are to be opened anew.
    pub fn reopen(&self, job: &Job) {
        self.shared.set_failure_log(job.failure_log.clone());
    }

    fn renew(&mut self, env: &mut SyncEnv<'_>, restart: Restart) -> Leftovers {
        let clock = env.env.clock.clone();
        let start = clock.mono();
        let made = make_targets(&self.job.config, &self.groups);
        for error in &made.errors {
            log::error!(scrape_pool = self.job.config.job_name.as_str();
                "Creating target failed: {error}");
        }
        self.dropped = Arc::new(made.dropped);
        self.dropped_count = made.dropped_count;
        let leftovers = self.exchange(made.targets, env, restart);
        self.limit_targets();
        let metrics = &self.shared.metrics;
        metrics.sync_failed.add(made.errors.len() as f64);
        metrics.targets.set(self.loops.len() as f64);
        let sizes: Vec<_> = self
            .loops
            .values()
            .map(|s| s.target.metadata_size())
            .collect();
        metrics
            .metadata_entries
            .set(sizes.iter().map(|s| s.0).sum::<usize>() as f64);
        metrics
            .metadata_bytes
            .set(sizes.iter().map(|s| s.1).sum::<usize>() as f64);
        let seconds = clock.mono().saturating_sub(start).as_secs_f64();
        metrics.sync_length.observe(seconds);
        metrics.sync_length_histogram.observe(seconds);
        metrics.syncs.inc();
        leftovers
    }

    /// Puts `targets` in place of those that are scraped now. Who stays is not touched; who is
    /// another target of the same series goes on with what the former knew.
    fn exchange(
        &mut self,
        targets: Vec<Target>,
        env: &mut SyncEnv<'_>,
        restart: Restart,
    ) -> Leftovers {
        let mut former = std::mem::take(&mut self.loops);
        let mut newcomers = Vec::new();
        for target in targets {
            let stays = if restart == Restart::No {
                former.remove(&target.hash)
            } else {
                None
            };
            match stays {
                Some(slot) => {
                    slot.target.rediscovered(target);
                    self.loops.insert(slot.target.hash, slot);
                }
                None => newcomers.push(target),
            }
        }
        let mut leftovers = Leftovers::default();
        let mut heirs: HashMap<u64, u64> = former
            .iter()
            .map(|(hash, slot)| (slot.target.identity, *hash))
            .collect();
        for mut target in newcomers {
            if let Some(slot) = heirs
                .remove(&target.identity)
                .and_then(|h| former.remove(&h))
            {
                let keep = restart != Restart::Afresh;
                if keep {
                    target.inherit(&slot.target);
                }
                leftovers.append(retire(slot, !keep, env));
            }
            let target = Arc::new(target);
            let slot = self.start(target, env);
            self.loops.insert(slot.target.hash, slot);
        }
        for slot in former.into_values() {
            leftovers.append(retire(slot, true, env));
        }
        leftovers
    }

    fn start(&self, target: Arc<Target>, env: &mut SyncEnv<'_>) -> Slot {
        let running = match self.run(&target, env) {
            Ok(running) => Some(running),
            Err(e) => {
                env.env.metrics.spawn_failures.inc();
                let message = format!("no thread for the scrape loop: {e}");
                log::warn!(scrape_pool = self.job.config.job_name.as_str(), target = target.url();
                    "{message}");
                target.set_status(Status {
                    health: Health::Down,
                    last_error: Some(Arc::from(message)),
                    ..target.status()
                });
                None
            }
        };
        Slot { target, running }
    }

    fn run(&self, target: &Arc<Target>, env: &mut SyncEnv<'_>) -> std::io::Result<Running> {
        let (fetch, cancel) = (self.job.dial)();
        let (sender, token) = stop();
        let clock = env.env.clock.clone();
        let place = target.hash ^ env.offset_seed;
        let schedule = Schedule::new(&*clock, target.interval, place, env.alignment);
        let scrape_loop = ScrapeLoop::new(
            env.env.clone(),
            self.shared.clone(),
            self.job.config.clone(),
            target.clone(),
            fetch,
            self.request(target, env.user_agent),
            token.clone(),
        );
        *env.next_number += 1;
        Running::start(
            scrape_loop,
            cancel,
            (sender, token),
            schedule,
            clock,
            *env.next_number,
        )
    }

    fn request(&self, target: &Target, user_agent: &str) -> Result<ScrapeRequest, Arc<str>> {
        let config = &self.job.config;
        let timeout = api_float(target.timeout.as_secs_f64());
        let headers = [
            ("Accept", self.job.accept.as_str()),
            ("User-Agent", user_agent),
            ("X-Prometheus-Scrape-Timeout-Seconds", &timeout),
        ];
        let request = ScrapeRequest::new(target.url(), &headers)
            .map_err(|e| Arc::<str>::from(e.to_string()))?;
        let socket = target.label("__unix_socket__").map(std::path::Path::new);
        Ok(request
            .timeout(target.timeout)
            .body_limit(config.body_size_limit)
            .gzip(config.enable_compression)
            .unix_socket(socket))
    }

    /// Tries again to start the loops that found no thread. Returns whether some still have none.
    pub fn start_missing(&mut self, env: &mut SyncEnv<'_>) -> bool {
        let waiting: Vec<u64> = self
            .loops
            .iter()
            .filter(|(_, s)| s.running.is_none())
            .map(|(h, _)| *h)
            .collect();
        for hash in waiting {
            if let Some(slot) = self.loops.remove(&hash) {
                let slot = self.start(slot.target, env);
                self.loops.insert(hash, slot);
            }
        }
        self.has_missing()
    }

    pub fn has_missing(&self) -> bool {
        self.loops.values().any(|s| s.running.is_none())
    }

    fn limit_targets(&self) {
        let (count, limit) = (self.loops.len(), self.job.config.target_limit);
        let exceeded = limit > 0 && count as u64 > limit;
        let message = exceeded.then(|| {
            Arc::from(format!(
                "target_limit exceeded (number of targets: {count}, limit: {limit})"
            ))
        });
        self.shared.set_forced_error(message);
    }

    pub fn is_over_limit(&self) -> bool {
        self.shared.forced_error().is_some()
    }

    /// Ends all loops.
    pub fn stop(self, mark_stale: bool, env: &SyncEnv<'_>) -> Leftovers {
        let mut leftovers = Leftovers::default();
        for slot in self.loops.into_values() {
            leftovers.append(retire(slot, mark_stale, env));
        }
        leftovers
    }

    pub fn config(&self) -> &Arc<ScrapeConfig> {
        &self.job.config
    }

    pub fn targets(&self) -> Vec<Arc<Target>> {
        let mut targets: Vec<_> = self.loops.values().map(|s| s.target.clone()).collect();
        targets.sort_by(|a, b| {
            a.url()
                .cmp(b.url())
                .then_with(|| a.labels().cmp(b.labels()))
        });
        targets
    }

    /// What relabelling dropped: those that are kept, and how many there were.
    pub fn dropped(&self) -> (Arc<Vec<Discovered>>, usize) {
        (self.dropped.clone(), self.dropped_count)
    }
}

fn same_groups(a: &[Arc<TargetGroup>], b: &[Arc<TargetGroup>]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| Arc::ptr_eq(a, b) || a == b)
}

fn retire(slot: Slot, mark_stale: bool, env: &SyncEnv<'_>) -> Leftovers {
    let clock = &*env.env.clock;
    let mut leftovers = Leftovers::default();
    if let Some(running) = slot.running {
        let (tick, t, interval) = running.next_tick(clock);
        leftovers.retired.push(running.stop());
        if mark_stale {
            leftovers.ends_of_run.push(EndOfRun::new(
                slot.target.memory.clone(),
                tick,
                t,
                interval,
            ));
        }
    }
    leftovers
}

/// What a changed configuration means for the loops of targets that stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restart {
    No,
    /// Other timing, limits or clients: the series are the same.
    KeepCache,
    /// The series may be others.
    Afresh,
}

impl Restart {
    pub fn of(old: &ScrapeConfig, new: &ScrapeConfig) -> Restart {
        let (series_old, series_new) = (series_keys(old), series_keys(new));
        if series_old != series_new {
            return Restart::Afresh;
        }
        let request = |c: &ScrapeConfig| {
            (
                c.http.clone(),
                c.sample_limit,
                c.body_size_limit,
                c.enable_compression,
            )
        };
        if request(old) == request(new) {
            Restart::No
        } else {
            Restart::KeepCache
        }
    }
}

/// The configuration without the keys that don't decide what a page's lines become. Those that
/// decide a target's labels, URL, interval and timeout show in the target itself.
fn series_keys(config: &ScrapeConfig) -> ScrapeConfig {
    ScrapeConfig {
        scrape_interval: Duration::ZERO,
        scrape_timeout: Duration::ZERO,
        metrics_path: String::new(),
        scheme: String::new(),
        params: Vec::new(),
        enable_compression: false,
        scrape_failure_log_file: None,
        body_size_limit: 0,
        sample_limit: 0,
        target_limit: 0,
        keep_dropped_targets: 0,
        relabel_configs: Vec::new(),
        http: ClientSettings::default(),
        service_discovery: Vec::new(),
        yaml: String::new(),
        ..config.clone()
    }
}
