//! All pools, behind the one lock that the manager and the reloader share.
//!
//! Nobody waits for a target, a disk or a thread while holding it. The lock of a target's memory is
//! never taken under it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::end_of_run::{EndOfRun, EndsOfRun};
use super::pool::{Leftovers, Pool, SyncEnv};
use super::prepare::Prepared;
use super::runner::Ending;
use super::schedule::{Alignment, go_text};
use super::scrape_loop::LoopEnv;
use super::view::{PoolPicture, View};
use crate::model::TargetSets;
use crate::stdx::locked::locked;
use crate::stdx::thread::Thread;

pub(super) struct Pools {
    env: Arc<LoopEnv>,
    alignment: Alignment,
    user_agent: String,
    view: View,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pools: BTreeMap<String, Pool>,
    /// The newest target sets from discovery.
    target_sets: TargetSets,
    offset_seed: u64,
    next_number: u64,
    ends_of_run: EndsOfRun,
    /// Loops that were told to end, and may have a scrape under way. They are joined once they
    /// ended.
    retired: Vec<Ending>,
    stopped: bool,
}

/// Work to be done later, and when.
#[derive(Debug, Default)]
pub(super) struct Chores {
    pub ends_of_run: Vec<EndOfRun>,
    /// On the monotonic clock.
    pub next: Option<Duration>,
}

/// How often loops without a thread, and threads that were told to end, are looked after.
const LOOK_AFTER: Duration = Duration::from_secs(5);

/// The jobs that a configuration touched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    pub added: Vec<String>,
    pub removed: Vec<String>,
    pub changed: Vec<String>,
    pub unchanged: Vec<String>,
}

impl Pools {
    pub fn new(env: Arc<LoopEnv>, alignment: Alignment, user_agent: String) -> Pools {
        Pools {
            env,
            alignment,
            user_agent,
            view: View::default(),
            state: Mutex::default(),
        }
    }

    pub fn view(&self) -> &View {
        &self.view
    }

    /// Stores what was discovered. [`Pools::sync`] acts on it.
    pub fn set_targets(&self, target_sets: TargetSets) {
        self.lock().target_sets = target_sets;
    }

    /// Brings every pool in step with what was discovered.
    pub fn sync(&self) {
        let mut guard = self.lock();
        let state = &mut *guard;
        if state.stopped {
            return;
        }
        let mut env = sync_env(self, &mut state.next_number, state.offset_seed);
        let mut leftovers = Leftovers::default();
        for (name, pool) in &mut state.pools {
            if let Some(groups) = state.target_sets.get(name) {
                leftovers.append(pool.sync(groups, &mut env));
                self.note_limit(pool);
            }
        }
        let early = state.keep(leftovers);
        self.show(state);
        drop(guard);
        self.mark_stale(&early);
    }

    /// Takes another configuration. It cannot fail, and waits for no target.
    pub fn apply(&self, prepared: Prepared) -> Applied {
        // ORDER: before the lock. A file that several jobs share is opened once.
        for log in prepared
            .jobs
            .iter()
            .filter_map(|job| job.failure_log.as_ref())
        {
            log.open();
        }
        let mut guard = self.lock();
        let state = &mut *guard;
        state.offset_seed = prepared.offset_seed;
        let mut applied = Applied::default();
        let mut leftovers = Leftovers::default();
        let mut env = sync_env(self, &mut state.next_number, state.offset_seed);
        let names: BTreeSet<_> = prepared
            .jobs
            .iter()
            .map(|j| j.config.job_name.clone())
            .collect();
        let gone: Vec<String> = state
            .pools
            .keys()
            .filter(|n| !names.contains(*n))
            .cloned()
            .collect();
        for name in gone {
            if let Some(pool) = state.pools.remove(&name) {
                leftovers.append(pool.stop(&env));
                self.env.metrics.forget_pool(&name);
                applied.removed.push(name);
            }
        }
        for job in prepared.jobs {
            let name = job.config.job_name.clone();
            match state.pools.get_mut(&name) {
                Some(pool) if **pool.config() == *job.config => {
                    pool.reopen(&job);
                    applied.unchanged.push(name);
                }
                Some(pool) => {
                    leftovers.append(self.reload(pool, job, &mut env));
                    applied.changed.push(name);
                }
                None => {
                    self.env.metrics.pools.inc();
                    let mut pool = Pool::new(job, self.env.metrics.pool(&name));
                    if let Some(groups) = state.target_sets.get(&name) {
                        leftovers.append(pool.sync(groups, &mut env));
                        self.note_limit(&pool);
                    }
                    state.pools.insert(name.clone(), pool);
                    applied.added.push(name);
                }
            }
        }
        let early = state.keep(leftovers);
        self.show(state);
        drop(guard);
        self.mark_stale(&early);
        applied
    }

    fn reload(
        &self,
        pool: &mut Pool,
        job: Arc<super::prepare::Job>,
        env: &mut SyncEnv<'_>,
    ) -> Leftovers {
        let start = self.env.clock.mono();
        let leftovers = pool.reload(job, env);
        self.note_limit(pool);
        self.env.metrics.reloads.inc();
        let interval = go_text(pool.config().scrape_interval);
        let seconds = self.env.clock.mono().saturating_sub(start).as_secs_f64();
        self.env
            .metrics
            .reload_length
            .with(&[&interval])
            .observe(seconds);
        leftovers
    }

    fn note_limit(&self, pool: &Pool) {
        if pool.is_over_limit() {
            self.env.metrics.exceeded_target_limit.inc();
        }
    }

    /// Joins threads that have ended, starts loops that had no thread, and returns what is due.
    pub fn look_after(&self) -> Chores {
        let mut guard = self.lock();
        let state = &mut *guard;
        let now = self.env.clock.mono();
        state.retired.retain(|ending| !ending.is_finished());
        let mut missing = false;
        if !state.stopped {
            let mut env = sync_env(self, &mut state.next_number, state.offset_seed);
            for pool in state.pools.values_mut().filter(|p| p.has_missing()) {
                missing |= pool.start_missing(&mut env);
            }
        }
        let ends_of_run = state.ends_of_run.take_due(now);
        let mut next = state.ends_of_run.next_due();
        if missing || !state.retired.is_empty() {
            next = Some(next.unwrap_or(Duration::MAX).min(now + LOOK_AFTER));
        }
        Chores { ends_of_run, next }
    }

    pub fn mark_stale(&self, ends_of_run: &[EndOfRun]) {
        for end_of_run in ends_of_run {
            end_of_run.mark_stale(&self.env);
        }
    }

    /// Tells every loop to end, without stale markers. Returns their threads.
    pub fn stop(&self) -> Vec<Thread> {
        let mut guard = self.lock();
        let state = &mut *guard;
        state.stopped = true;
        let env = sync_env(self, &mut state.next_number, state.offset_seed);
        let mut endings = std::mem::take(&mut state.retired);
        for pool in std::mem::take(&mut state.pools).into_values() {
            endings.append(&mut pool.stop(&env).retired);
        }
        endings.iter_mut().for_each(Ending::cancel);
        endings.into_iter().map(Ending::into_thread).collect()
    }

    fn show(&self, state: &State) {
        let picture = |(name, pool): (&String, &Pool)| {
            let (dropped, dropped_count) = pool.dropped();
            let picture = PoolPicture {
                config: pool.config().clone(),
                targets: pool.targets(),
                dropped,
                dropped_count,
            };
            (name.clone(), Arc::new(picture))
        };
        self.view.show(state.pools.iter().map(picture).collect());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // NOTE: a panic in a sync may lose targets until the next one. It breaks no invariant.
        locked(&self.state)
    }
}

impl State {
    #[must_use]
    fn keep(&mut self, leftovers: Leftovers) -> Vec<EndOfRun> {
        self.retired.extend(leftovers.retired);
        self.ends_of_run.add(leftovers.ends_of_run)
    }
}

fn sync_env<'a>(pools: &'a Pools, next_number: &'a mut u64, offset_seed: u64) -> SyncEnv<'a> {
    SyncEnv {
        env: &pools.env,
        offset_seed,
        alignment: pools.alignment,
        user_agent: &pools.user_agent,
        next_number,
    }
}
