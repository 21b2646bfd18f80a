//! Tests of reloads and syncs: which loops are touched, and what happens to those that go.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::house::{House, STEP};
use crate::config::ScrapeConfig;
use crate::model::TargetGroup;
use crate::scrape::restart::Restart;
use crate::scrape::target::{Health, Target};
use crate::scrape::testing::{Answer, Gate, TEXT, config, group, rule};
use crate::stdx::testing::{eventually, logged, without_threads};

fn two() -> Vec<Arc<TargetGroup>> {
    vec![group(
        "0",
        &[&[("__address__", "a:1")], &[("__address__", "b:1")]],
    )]
}

fn edited(edit: fn(&mut ScrapeConfig)) -> ScrapeConfig {
    let mut config = config();
    edit(&mut config);
    config
}

/// Checks how a change of the configuration treats the first target of two.
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
        (false, _) if !Arc::ptr_eq(&old[0].memory, &new[0].memory) => "other series",
        (false, _) => match Restart::of(&edited(before), &edited(after)) {
            Restart::No | Restart::KeepCache => "keeps its cache",
            Restart::Afresh => "begins anew",
        },
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
    // Relabelling that affects only the second target.
    check(
        |_| {},
        |c| c.relabel_configs = vec![rule("replace", "__address__", "b:1", "x", "y")],
        "stays",
    );
    check(
        |_| {},
        |c| c.relabel_configs = vec![rule("replace", "", "", "x", "y")],
        "other series",
    );
    check(
        |_| {},
        |c| c.metrics_path = "/other".to_owned(),
        "other series",
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
    // The storage has newer samples of all of them, and refused the markers.
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
    let exceeded = "prometheus_target_scrape_pool_exceeded_target_limit_total";
    assert_eq!(house.metric(exceeded), "1");
    house.apply(|c| c.target_limit = 2);
    house.step(2);
    assert!(
        house
            .targets()
            .iter()
            .all(|t| t.status().health == Health::Up)
    );
}

/// Only the first is logged, and each is tried again.
#[test]
fn loops_that_find_no_thread_begin_later() {
    let house = House::new("x 1\n");
    house.apply(|_| {});
    logged();
    without_threads(|| house.sync(two()));
    let lines = logged();
    let begin = "no thread for the scrape loop: operation would block scrape_pool=j target=http://";
    let end = ":1/metrics not_told_since_last=0";
    assert!(
        lines.len() == 1 && lines[0].starts_with(begin) && lines[0].ends_with(end),
        "{lines:?}"
    );
    let failures = "ferula_target_scrape_thread_failures_total";
    assert_eq!(house.metric(failures), "2");
    let is_down = |t: &Arc<Target>| t.status().health == Health::Down;
    assert!(house.targets().iter().all(is_down));
    house.pools.look_after();
    house.clock.advance(STEP);
    let is_up = |t: &Arc<Target>| t.status().health == Health::Up;
    eventually("both are scraped", || house.targets().iter().all(is_up));
}

#[test]
fn stale_markers_that_cannot_be_committed_are_counted() {
    let house = House::new("x 1\n");
    house.apply(|_| {});
    house.sync(two());
    house.step(2);
    house.sync(Vec::new());
    house.clock.advance(STEP * 4);
    house.store.fail_commits(true);
    logged();
    house.mark_stale();
    let line = "Stale commit failed: the storage is closed num_dropped=6 not_told_since_last=0";
    assert_eq!(logged(), [line]);
    assert_eq!(
        house.metric("ferula_target_scrapes_lost_samples_total"),
        "12"
    );
}

#[test]
fn targets_that_relabelling_drops_are_counted() {
    let house = House::new("x 1\n");
    house.apply(|c| {
        c.relabel_configs = vec![rule("drop", "__address__", "b:1", "", "")];
        c.keep_dropped_targets = 1;
    });
    house.sync(two());
    let dropped = house.pools.view().dropped(None);
    let counts: Vec<_> = dropped.iter().map(|of| of.count).collect();
    assert_eq!(counts, [1]);
    assert_eq!(house.targets().len(), 1);
}

#[test]
fn hanging_targets_delay_no_reload_and_are_not_reported_down() {
    let gate = Gate::default();
    let house = House::dialling(gate.dial());
    house.apply(|_| {});
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
        gate.asked();
    }
    house.apply_jobs(Vec::new());
    eventually("the threads ended", || {
        house
            .pools
            .look_after()
            .next
            .is_none_or(|at| at > house.later())
    });
    assert_eq!(house.store.commits(), 0);
    assert!(targets.iter().all(|t| t.status().health == Health::Unknown));
}
