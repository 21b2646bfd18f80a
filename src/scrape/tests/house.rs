//! Pools with loops on their threads, on a manual clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::config::ScrapeConfig;
use crate::metrics::Registry;
use crate::model::TargetGroup;
use crate::scrape::metrics::ScrapeMetrics;
use crate::scrape::pools::{Applied, Pools};
use crate::scrape::prepare::{Dial, Job, Prepared};
use crate::scrape::schedule::Alignment;
use crate::scrape::scrape_loop::LoopEnv;
use crate::scrape::target::Target;
use crate::scrape::testing::{Answer, Pages, Store, TEXT, config};
use crate::stdx::clock::{Clock, ManualClock};
use crate::stdx::testing::eventually;

pub const STEP: Duration = Duration::from_secs(15);

/// Pools, with what their loops scrape and write to.
pub struct House {
    pub pools: Pools,
    pub store: Arc<Store>,
    pub clock: ManualClock,
    pub pages: Pages,
    pub dialled: Arc<AtomicUsize>,
    pub registry: Registry,
    dial: Dial,
}

impl House {
    pub fn new(page: &str) -> House {
        let pages = Pages::default();
        pages.push(Answer::Page(TEXT, page.to_owned()));
        let theirs = pages.clone();
        let mut house = House::dialling(Arc::new(move || {
            (Box::new(theirs.clone()), Box::new(|| ()))
        }));
        house.pages = pages;
        house
    }

    /// Makes pools whose targets answer as `dial`'s connections do.
    pub fn dialling(dial: Dial) -> House {
        let (store, clock) = (Arc::new(Store::default()), ManualClock::new(0));
        let registry = Registry::new();
        let metrics = ScrapeMetrics::new(&registry);
        let env = LoopEnv::new(store.clone(), Arc::new(clock.clone()), metrics);
        House {
            pools: Pools::new(Arc::new(env), Alignment::default(), "test".to_owned()),
            store,
            clock,
            pages: Pages::default(),
            dialled: Arc::default(),
            registry,
            dial,
        }
    }

    pub fn apply(&self, edit: impl FnOnce(&mut ScrapeConfig)) -> Applied {
        let mut config = config();
        edit(&mut config);
        config.yaml = format!("{config:?}");
        self.apply_jobs(vec![config])
    }

    pub fn apply_jobs(&self, configs: Vec<ScrapeConfig>) -> Applied {
        let jobs = configs.into_iter().map(|config| {
            let (dial, dialled) = (self.dial.clone(), self.dialled.clone());
            Arc::new(Job {
                config: Arc::new(config),
                accept: String::new(),
                dial: Arc::new(move || {
                    dialled.fetch_add(1, Ordering::Relaxed);
                    dial()
                }),
                failure_log: None,
            })
        });
        self.pools.apply(Prepared {
            jobs: jobs.collect(),
            offset_seed: 0,
        })
    }

    pub fn sync(&self, groups: Vec<Arc<TargetGroup>>) {
        self.pools.set_targets([("j".to_owned(), groups)].into());
        self.pools.sync();
    }

    pub fn metric(&self, name: &str) -> String {
        self.registry.shown(name)
    }

    pub fn clock_ms(&self) -> i64 {
        self.clock.wall_ms()
    }

    /// Returns a time somewhat later than the next look after loops and threads.
    pub fn later(&self) -> Duration {
        self.clock.mono() + Duration::from_secs(6)
    }

    pub fn targets(&self) -> Vec<Arc<Target>> {
        self.pools
            .view()
            .active(None)
            .into_iter()
            .flat_map(|p| p.targets)
            .collect()
    }

    /// Moves the clock by one interval, in which each of so many loops turns once.
    pub fn step(&self, loops: usize) {
        eventually("the loops sleep", || self.clock.waiting() == loops);
        let before = self.store.commits();
        self.clock.advance(STEP);
        eventually("the loops turned", || {
            self.store.commits() == before + loops
        });
        eventually("the loops sleep again", || self.clock.waiting() == loops);
    }

    /// Returns the series marked stale since the last call, and when.
    pub fn stale(&self) -> Vec<String> {
        let stored = self.store.take().into_iter();
        let stale = stored.filter(|(_, _, v)| crate::model::is_stale_nan(*v));
        stale
            .map(|(labels, t, _)| format!("{} {t}", labels.metric_name()))
            .collect()
    }

    /// Buries who is due now.
    pub fn mark_stale(&self) {
        self.pools.mark_stale(&self.pools.look_after().ends_of_run);
    }
}

impl Drop for House {
    fn drop(&mut self) {
        drop(self.pools.stop());
    }
}
