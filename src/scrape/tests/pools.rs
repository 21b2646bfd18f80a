//! Reloads and syncs: who is touched, who is not, and what becomes of those who go.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::config::ScrapeConfig;
use crate::metrics::Registry;
use crate::model::TargetGroup;
use crate::net::{Fetch, NetError, ScrapeRequest, ScrapeResponse};
use crate::scrape::buffers::Buffers;
use crate::scrape::manager::Applied;
use crate::scrape::metrics::ScrapeMetrics;
use crate::scrape::pools::Pools;
use crate::scrape::prepare::{Job, Prepared};
use crate::scrape::runner::Cancel;
use crate::scrape::schedule::Alignment;
use crate::scrape::scrape_loop::LoopEnv;
use crate::scrape::target::{Health, Target};
use crate::scrape::testing::{Answer, Pages, Store, TEXT, config, group, rule};
use crate::stdx::clock::{Clock, ManualClock};

const STEP: Duration = Duration::from_secs(15);

/// Polls, because threads are at work.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("never: {what}");
}

struct House {
    pools: Pools,
    store: Arc<Store>,
    clock: ManualClock,
    pages: Pages,
    dialled: Arc<AtomicUsize>,
}

impl House {
    fn new(page: &str) -> House {
        let (store, clock) = (Arc::new(Store::default()), ManualClock::new(0));
        let env = LoopEnv {
            storage: store.clone(),
            clock: Arc::new(clock.clone()),
            metrics: ScrapeMetrics::new(&Registry::new()),
            buffers: Buffers::default(),
        };
        let pages = Pages::default();
        pages.push(Answer::Page(TEXT, page.to_owned()));
        House {
            pools: Pools::new(Arc::new(env), Alignment::default(), "test".to_owned()),
            store,
            clock,
            pages,
            dialled: Arc::default(),
        }
    }

    fn apply(&self, edit: impl FnOnce(&mut ScrapeConfig)) -> Applied {
        let mut config = config();
        edit(&mut config);
        config.yaml = format!("{config:?}");
        self.apply_jobs(vec![config])
    }

    fn apply_jobs(&self, configs: Vec<ScrapeConfig>) -> Applied {
        let jobs = configs.into_iter().map(|config| {
            let (pages, dialled) = (self.pages.clone(), self.dialled.clone());
            Arc::new(Job {
                config: Arc::new(config),
                accept: String::new(),
                dial: Arc::new(move || {
                    dialled.fetch_add(1, Ordering::Relaxed);
                    (Box::new(pages.clone()), Box::new(|| ()))
                }),
                failure_log: None,
            })
        });
        self.pools.apply(Prepared {
            jobs: jobs.collect(),
            offset_seed: 0,
        })
    }

    fn sync(&self, groups: Vec<Arc<TargetGroup>>) {
        self.pools.set_targets([("j".to_owned(), groups)].into());
        self.pools.sync();
    }

    fn targets(&self) -> Vec<Arc<Target>> {
        self.pools
            .view()
            .active(None)
            .into_iter()
            .flat_map(|p| p.targets)
            .collect()
    }

    /// Moves on by one interval, in which each of so many loops turns once.
    fn step(&self, loops: usize) {
        eventually("the loops sleep", || self.clock.waiting() == loops);
        let before = self.store.commits();
        self.clock.advance(STEP);
        eventually("the loops turned", || {
            self.store.commits() == before + loops
        });
        eventually("the loops sleep again", || self.clock.waiting() == loops);
    }

    /// Series marked stale since the last call, and when.
    fn stale(&self) -> Vec<String> {
        let stored = self.store.take().into_iter();
        let stale = stored.filter(|(_, _, v)| crate::model::is_stale_nan(*v));
        stale
            .map(|(labels, t, _)| format!("{} {t}", labels.metric_name()))
            .collect()
    }

    /// Buries who is due now.
    fn mark_stale(&self) {
        self.pools.mark_stale(&self.pools.look_after().ends_of_run);
    }
}

impl Drop for House {
    fn drop(&mut self) {
        drop(self.pools.stop());
    }
}

fn two() -> Vec<Arc<TargetGroup>> {
    vec![group(
        "0",
        &[&[("__address__", "a:1")], &[("__address__", "b:1")]],
    )]
}

/// How a change of the configuration treats the first target of two.
fn check(before: fn(&mut ScrapeConfig), after: fn(&mut ScrapeConfig), expect: &str) {
    let house = House::new("x 1\n");
    house.apply(before);
    house.sync(two());
    let old = house.targets();
    let dialled = house.dialled.load(Ordering::Relaxed);
    let applied = house.apply(after);
    let new = house.targets();
    let touched = match (Arc::ptr_eq(&old[0], &new[0]), applied.changed.len()) {
        (true, 0) => "unchanged",
        (true, _) => "stays",
        (false, _) if Arc::ptr_eq(&old[0].memory, &new[0].memory) => "keeps its cache",
        (false, _) => "begins anew",
    };
    assert_eq!(touched, expect);
    let same =
        usize::from(Arc::ptr_eq(&old[0], &new[0])) + usize::from(Arc::ptr_eq(&old[1], &new[1]));
    assert_eq!(house.dialled.load(Ordering::Relaxed) - dialled, 2 - same);
}

#[test]
fn what_a_reload_does_to_loops() {
    check(|_| {}, |_| {}, "unchanged");
    check(
        |_| {},
        |c| c.scrape_interval = Duration::from_secs(20),
        "keeps its cache",
    );
    check(
        |_| {},
        |c| c.scrape_timeout = Duration::from_secs(5),
        "keeps its cache",
    );
    check(|_| {}, |c| c.sample_limit = 5, "keeps its cache");
    check(|_| {}, |c| c.body_size_limit = 5, "keeps its cache");
    check(
        |_| {},
        |c| c.http.follow_redirects = false,
        "keeps its cache",
    );
    check(|_| {}, |c| c.target_limit = 5, "stays");
    check(|_| {}, |c| c.keep_dropped_targets = 5, "stays");
    check(|_| {}, |c| c.honor_labels = true, "begins anew");
    check(|_| {}, |c| c.label_limit = 9, "begins anew");
    check(
        |_| {},
        |c| c.metric_relabel_configs = vec![rule("drop", "__name__", "y", "", "")],
        "begins anew",
    );
    // Relabelling that means something to the second target only.
    check(
        |_| {},
        |c| c.relabel_configs = vec![rule("replace", "__address__", "b:1", "x", "y")],
        "stays",
    );
    check(
        |_| {},
        |c| c.relabel_configs = vec![rule("replace", "", "", "x", "y")],
        "begins anew",
    );
    check(
        |_| {},
        |c| c.metrics_path = "/other".to_owned(),
        "begins anew",
    );
}

#[test]
fn jobs_come_and_go() {
    let house = House::new("x 1\n");
    let named = |name: &str| ScrapeConfig {
        job_name: name.to_owned(),
        ..config()
    };
    let applied = house.apply_jobs(vec![named("a"), named("b")]);
    assert_eq!(applied.added, ["a", "b"]);
    let applied = house.apply_jobs(vec![named("b"), named("c")]);
    let expect = (["c".to_owned()], ["a".to_owned()], ["b".to_owned()]);
    assert_eq!(
        (applied.added, applied.removed, applied.unchanged),
        (expect.0.to_vec(), expect.1.to_vec(), expect.2.to_vec())
    );
    assert_eq!(house.pools.view().pools(), ["b", "c"]);
}

#[test]
fn a_target_that_went_away_is_marked_after_two_intervals_and_a_tenth() {
    let house = House::new("x 1\n");
    house.apply(|_| {});
    house.sync(two());
    house.step(2);
    assert_eq!(house.stale(), Vec::<String>::new());
    // The loop of b missed its tick somewhere in (15 s, 30 s].
    house.sync(vec![group("0", &[&[("__address__", "a:1")]])]);
    let next = house.pools.look_after().next;
    assert!(next.is_some());
    let before = house.store.commits();
    eventually("a sleeps", || house.clock.waiting() >= 1);
    house.clock.advance(STEP);
    eventually("a is scraped", || house.store.commits() > before);
    house.mark_stale();
    assert_eq!(house.stale(), Vec::<String>::new());
    house.clock.advance(STEP);
    house.clock.advance(STEP + STEP / 10);
    house.mark_stale();
    let stale = house.stale();
    assert_eq!(stale.len(), 6, "{stale:?}");
    let t: i64 = stale[0].rsplit(' ').next().unwrap().parse().unwrap();
    assert!((15_001..=30_000).contains(&t), "{stale:?}");
    house.mark_stale();
    assert_eq!(house.stale(), Vec::<String>::new());
}

#[test]
fn a_panic_is_the_target_s_error() {
    let house = House::new("x 1\n");
    house.apply(|_| {});
    house.sync(vec![group("0", &[&[("__address__", "a:1")]])]);
    house.step(1);
    house.pages.clear();
    house.pages.push(Answer::Panic);
    house.step(1);
    let status = house.targets()[0].status();
    assert_eq!(
        status.last_error.as_deref(),
        Some("a mistake of the program: told to")
    );
    let stale = house.stale();
    assert!(stale.len() == 1 && stale[0].starts_with("x "), "{stale:?}");
    house.pages.clear();
    house.pages.push(Answer::Page(TEXT, "x 1\n".to_owned()));
    house.step(1);
    assert_eq!(house.targets()[0].status().health, Health::Up);
}

#[test]
fn a_target_that_was_never_scraped_leaves_nothing() {
    let house = House::new("x 1\n");
    house.apply(|_| {});
    house.sync(two());
    house.sync(Vec::new());
    house.clock.advance(STEP * 4);
    house.mark_stale();
    assert_eq!(house.stale(), Vec::<String>::new());
}

#[test]
fn who_begins_anew_is_not_marked_while_it_goes_on() {
    let house = House::new("x 1\n");
    house.apply(|_| {});
    house.sync(vec![group("0", &[&[("__address__", "a:1")]])]);
    house.step(1);
    house.apply(|c| c.honor_labels = true);
    eventually("the old loop is gone", || house.clock.waiting() >= 1);
    for _ in 0..4 {
        let before = house.store.commits();
        house.clock.advance(STEP);
        eventually("it turned", || house.store.commits() > before);
        house.mark_stale();
    }
    // The storage has newer samples of them all, and refused the markers.
    assert_eq!(house.stale(), Vec::<String>::new());
}

#[test]
fn a_kept_cache_marks_what_is_gone_since() {
    let house = House::new("x 1\ny 1\n");
    house.apply(|_| {});
    house.sync(vec![group("0", &[&[("__address__", "a:1")]])]);
    house.step(1);
    assert_eq!(house.stale(), Vec::<String>::new());
    house.pages.clear();
    house.pages.push(Answer::Page(TEXT, "x 1\n".to_owned()));
    house.apply(|c| c.sample_limit = 9);
    let before = house.store.commits();
    eventually("the new loop sleeps", || house.clock.waiting() >= 1);
    house.clock.advance(STEP);
    eventually("it turned", || house.store.commits() > before);
    let stale = house.stale();
    assert!(stale.len() == 1 && stale[0].starts_with("y "), "{stale:?}");
}

#[test]
fn too_many_targets_are_all_refused() {
    let house = House::new("x 1\n");
    house.apply(|c| c.target_limit = 1);
    house.sync(two());
    house.step(2);
    for target in house.targets() {
        let status = target.status();
        assert_eq!(status.health, Health::Down);
        let expect = "target_limit exceeded (number of targets: 2, limit: 1)";
        assert_eq!(status.last_error.as_deref(), Some(expect));
    }
    house.apply(|c| c.target_limit = 2);
    house.step(2);
    assert!(
        house
            .targets()
            .iter()
            .all(|t| t.status().health == Health::Up)
    );
}

/// A target that never answers: its request ends only when it is cancelled.
struct Hanging {
    asked: Sender<()>,
    cancelled: Receiver<()>,
}

impl Fetch for Hanging {
    fn get(&mut self, _: &ScrapeRequest, _: &mut Vec<u8>) -> Result<ScrapeResponse, NetError> {
        let _ = self.asked.try_send(());
        let _ = self.cancelled.recv();
        Err(NetError::Canceled)
    }
}

#[test]
fn hanging_targets_delay_no_reload_and_are_not_reported_down() {
    let house = House::new("");
    let (asked_tx, asked) = bounded(64);
    let job = Arc::new(Job {
        config: Arc::new(config()),
        accept: String::new(),
        dial: Arc::new(move || {
            let (cancel_tx, cancelled) = bounded(1);
            let asked = asked_tx.clone();
            let fetch = Hanging { asked, cancelled };
            let cancel: Cancel = Box::new(move || {
                let _ = cancel_tx.try_send(());
            });
            (Box::new(fetch), cancel)
        }),
        failure_log: None,
    });
    house.pools.apply(Prepared {
        jobs: vec![job],
        offset_seed: 0,
    });
    let addresses: Vec<String> = (0..20).map(|i| format!("h{i}:1")).collect();
    let labels: Vec<[(&str, &str); 1]> = addresses
        .iter()
        .map(|a| [("__address__", a.as_str())])
        .collect();
    let labels: Vec<&[(&str, &str)]> = labels.iter().map(|l| &l[..]).collect();
    house.sync(vec![group("0", &labels)]);
    let targets = house.targets();
    eventually("the loops sleep", || house.clock.waiting() == 20);
    house.clock.advance(STEP);
    for _ in 0..20 {
        asked.recv_timeout(Duration::from_secs(10)).unwrap();
    }
    house.apply_jobs(Vec::new());
    eventually("the threads ended", || {
        house
            .pools
            .look_after()
            .next
            .is_none_or(|at| at > house.clock.mono() + Duration::from_secs(6))
    });
    assert_eq!(house.store.commits(), 0);
    assert!(targets.iter().all(|t| t.status().health == Health::Unknown));
}
