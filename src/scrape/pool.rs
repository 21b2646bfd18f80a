//! One job: keeps its targets and their loops in step with discovery and configuration.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::end_of_run::EndOfRun;
use super::metrics::PoolMetrics;
use super::pool_shared::PoolShared;
use super::prepare::Job;
use super::restart::Restart;
use super::runner::{Ending, Runnable, Running};
use super::schedule::{Alignment, Schedule};
use super::scrape_loop::{LoopEnv, ScrapeLoop};
use super::target::{Discovered, Health, MadeTargets, Status, Target, make_targets};
use crate::config::ScrapeConfig;
use crate::model::TargetGroup;
use crate::net::ScrapeRequest;
use crate::stdx::gofmt::api_float;
use crate::stdx::pacer::Pacer;
use crate::stdx::sort::sort_by;
use crate::stdx::stop::{Stop, stop};
use crate::storage::shortened;

/// What the manager gives a pool at each sync.
pub(super) struct SyncEnv<'a> {
    pub env: &'a Arc<LoopEnv>,
    pub offset_seed: u64,
    pub alignment: Alignment,
    pub user_agent: &'a str,
    /// The number of the next thread.
    pub next_number: &'a mut u64,
}

/// What a sync leaves to its caller, who holds no lock by then.
#[derive(Default)]
pub(super) struct Leftovers {
    /// Loops that were told to end, and may have a scrape under way.
    pub retired: Vec<Ending>,
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
    /// The loops by the targets' hashes.
    loops: HashMap<u64, Slot>,
    dropped: Arc<Vec<Discovered>>,
    dropped_count: usize,
    /// The pace of log lines about targets that cannot be made.
    invalid: Pacer,
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
            invalid: Pacer::default(),
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

    /// Takes another configuration. It restarts only the loops of targets for which something
    /// changed.
    pub fn reload(&mut self, job: Arc<Job>, env: &mut SyncEnv<'_>) -> Leftovers {
        let restart = Restart::of(&self.job.config, &job.config);
        self.job = job;
        // What a reload left wrong is told at once.
        self.invalid = Pacer::default();
        self.shared
            .metrics
            .target_limit
            .set(self.job.config.target_limit as f64);
        self.shared.set_failure_log(self.job.failure_log.clone());
        self.renew(env, restart)
    }

    /// Keeps the configuration, and opens its files anew.
    pub fn reopen(&self, job: &Job) {
        self.shared.set_failure_log(job.failure_log.clone());
    }

    fn renew(&mut self, env: &mut SyncEnv<'_>, restart: Restart) -> Leftovers {
        let clock = env.env.clock.clone();
        let start = clock.mono();
        let made = make_targets(&self.job.config, &self.groups);
        self.tell_invalid(&made, start);
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

    /// Logs the first target that could not be made, at `now` on the monotonic clock.
    fn tell_invalid(&mut self, made: &MadeTargets, now: Duration) {
        let (Some(error), Some(first)) = (made.errors.first(), &made.first_invalid) else {
            return;
        };
        let count = made.errors.len() as u64;
        if let Some(left_out) = self.invalid.pass(now, count) {
            let labels = shortened(first.labels().labels().to_string());
            log::error!(scrape_pool = self.job.config.job_name.as_str(),
                discovered = labels.as_str(), count = count, not_told_since_last = left_out;
                "Creating target failed: {error}");
        }
    }

    /// Replaces the scraped targets by `targets`. Targets that stay are not touched. Another target
    /// of the same series, or else of the same URL, succeeds the former one on its thread.
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
        let heirs = heirs(&newcomers, former.values());
        for (target, heir_of) in newcomers.into_iter().zip(heirs) {
            let slot = match heir_of.and_then(|hash| former.remove(&hash)) {
                Some(slot) => self.succeed(slot, target, env, &mut leftovers),
                None => self.start(Arc::new(target), env),
            };
            self.loops.insert(slot.target.hash, slot);
        }
        for slot in former.into_values() {
            leftovers.append(retire(slot, env));
        }
        leftovers
    }

    /// Replaces a target by another. A scrape under way ends with the settings it began with.
    fn succeed(
        &self,
        slot: Slot,
        mut target: Target,
        env: &mut SyncEnv<'_>,
        leftovers: &mut Leftovers,
    ) -> Slot {
        if target.identity == slot.target.identity {
            target.inherit(&slot.target);
        } else {
            leftovers.ends_of_run.extend(end_of_run(&slot, env));
        }
        let target = Arc::new(target);
        match slot.running.filter(Running::is_alive) {
            Some(mut running) => {
                let next = self.runnable(&target, running.stop_token().clone(), env);
                running.hand_over(next);
                let running = Some(running);
                Slot { target, running }
            }
            None => self.start(target, env),
        }
    }

    fn start(&self, target: Arc<Target>, env: &mut SyncEnv<'_>) -> Slot {
        let (sender, token) = stop();
        let runnable = self.runnable(&target, token.clone(), env);
        *env.next_number += 1;
        let clock = env.env.clock.clone();
        let running = match Running::start(runnable, (sender, token), clock, *env.next_number) {
            Ok(running) => Some(running),
            Err(e) => {
                env.env.metrics.spawn_failures.inc();
                let message = format!("no thread for the scrape loop: {e}");
                if let Some(left_out) = env.env.thread_failures.pass(env.env.clock.mono(), 1) {
                    log::warn!(scrape_pool = self.job.config.job_name.as_str(),
                        target = target.url(), not_told_since_last = left_out; "{message}");
                }
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

    fn runnable(&self, target: &Arc<Target>, token: Stop, env: &SyncEnv<'_>) -> Runnable {
        let (fetch, cancel) = (self.job.dial)();
        let place = target.hash ^ env.offset_seed;
        let schedule = Schedule::new(&*env.env.clock, target.interval, place, env.alignment);
        let scrape_loop = ScrapeLoop::new(
            env.env.clone(),
            self.shared.clone(),
            self.job.config.clone(),
            target.clone(),
            fetch,
            self.request(target, env.user_agent),
            token,
        );
        Runnable {
            scrape_loop,
            cancel,
            schedule,
        }
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

    /// Ends all loops, and the scrapes that are under way.
    pub fn stop(self, env: &SyncEnv<'_>) -> Leftovers {
        let mut leftovers = Leftovers::default();
        for slot in self.loops.into_values() {
            leftovers.append(retire(slot, env));
        }
        leftovers.retired.iter_mut().for_each(Ending::cancel);
        leftovers
    }

    pub fn config(&self) -> &Arc<ScrapeConfig> {
        &self.job.config
    }

    pub fn targets(&self) -> Vec<Arc<Target>> {
        let mut targets: Vec<_> = self.loops.values().map(|s| s.target.clone()).collect();
        sort_by(&mut targets, |a, b| {
            a.url()
                .cmp(b.url())
                .then_with(|| a.labels().cmp(b.labels()))
        });
        targets
    }

    /// Returns the targets that relabelling dropped, as far as they are kept, and their number.
    pub fn dropped(&self) -> (Arc<Vec<Discovered>>, usize) {
        (self.dropped.clone(), self.dropped_count)
    }
}

fn same_groups(a: &[Arc<TargetGroup>], b: &[Arc<TargetGroup>]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| Arc::ptr_eq(a, b) || a == b)
}

/// Tells a loop to end after the scrape that is under way.
fn retire(slot: Slot, env: &SyncEnv<'_>) -> Leftovers {
    Leftovers {
        ends_of_run: end_of_run(&slot, env).into_iter().collect(),
        retired: slot.running.map(Running::finish).into_iter().collect(),
    }
}

/// Returns the end of run of a target whose loop takes no further tick.
fn end_of_run(slot: &Slot, env: &SyncEnv<'_>) -> Option<EndOfRun> {
    let (tick, t, interval) = slot.running.as_ref()?.next_tick(&*env.env.clock);
    Some(EndOfRun::new(slot.target.memory.clone(), tick, t, interval))
}

/// Returns the former target that each target succeeds, by hash: the one of the same series, or
/// else one of the same URL with other labels. No former target has two heirs.
fn heirs<'a>(targets: &[Target], former: impl Iterator<Item = &'a Slot>) -> Vec<Option<u64>> {
    let mut by_identity = HashMap::new();
    let mut by_url: HashMap<&str, Vec<u64>> = HashMap::new();
    for slot in former {
        let (target, hash) = (&slot.target, slot.target.hash);
        by_identity.insert(target.identity, hash);
        by_url.entry(target.url()).or_default().push(hash);
    }
    let mut heirs: Vec<Option<u64>> = Vec::with_capacity(targets.len());
    heirs.extend(targets.iter().map(|t| by_identity.remove(&t.identity)));
    let mut taken: HashSet<u64> = heirs.iter().flatten().copied().collect();
    for (target, heir_of) in targets.iter().zip(&mut heirs) {
        if heir_of.is_none()
            && let Some(hashes) = by_url.get_mut(target.url())
        {
            *heir_of = std::iter::from_fn(|| hashes.pop()).find(|hash| taken.insert(*hash));
        }
    }
    heirs
}
