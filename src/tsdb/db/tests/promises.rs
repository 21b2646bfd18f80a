//! Tests that a slow disk delays no query, a long query delays nobody, and memory is bounded.

use super::*;
use crate::stdx::testing::logged;
use crate::tsdb::dir::double::Kind;

/// Asks for everything that an answer may need from the database.
fn ask(world: &World, expect: &[(&str, &[i64])]) {
    let view = world.db.querier(ALL.0, ALL.1).unwrap();
    assert_eq!(read(&*view, &[]), expected(expect));
    assert_eq!(view.label_names(&[], 0).unwrap(), ["n"]);
    assert_eq!(view.label_values("n", &[], 0).unwrap().len(), expect.len());
    world.db.cardinality(10).unwrap();
    assert!(world.db.stats().unwrap().series >= expect.len() as u64);
}

#[test]
fn a_disk_whose_write_takes_ten_seconds_delays_no_query() {
    let world = start(&Double::new(), |o| o.log_patience = Duration::from_secs(60));
    let a = fill(&world.db, "n=a", [1]);
    let held = world.disk.hold(Kind::Append, "wal/");
    let commit_it = beside(&world, move |db| {
        assert_eq!(commit(db, &[(a, 2, 2.0)]).appended, 1);
    });
    eventually("the write is held", || held.waiting() == 1);
    // It is in memory before the log has it, and committed when the log has it.
    ask(&world, &[("a", &[1, 2])]);
    // A scrape finds its series meanwhile.
    assert_eq!(resolve(&world.db, "n=a"), a);
    assert!(!commit_it.is_finished());
    drop(held);
    eventually("the commit ends", || commit_it.is_finished());
    ask(&world, &[("a", &[1, 2])]);
}

#[test]
fn a_disk_whose_sync_takes_ten_seconds_delays_neither_query_nor_append() {
    let world = World::new();
    let a = fill(&world.db, "n=a", [1]);
    eventually("the thread sleeps", || world.clock.waiting() == 1);
    let held = world.disk.hold(Kind::Sync, "wal/");
    world.clock.advance(Duration::from_secs(30));
    eventually("the sync is held", || held.waiting() == 1);
    assert_eq!(commit(&world.db, &[(a, 2, 2.0)]).appended, 1);
    ask(&world, &[("a", &[1, 2])]);
    let store = world.db.0.shared.store.as_ref().unwrap();
    assert!(store.segments.durable() < store.segments.position());
    drop(held);
}

#[test]
fn a_block_whose_write_takes_ten_seconds_delays_neither_query_nor_append() {
    let world = World::new();
    let a = fill(&world.db, "n=a", [1]);
    let held = world.disk.hold(Kind::Append, "blocks/");
    let flush = beside(&world, |db| db.flush().unwrap());
    eventually("the write is held", || held.waiting() == 1);
    assert_eq!(commit(&world.db, &[(a, 2, 2.0)]).appended, 1);
    fill(&world.db, "n=b", [3]);
    world.db.collect_garbage().unwrap();
    ask(&world, &[("a", &[1, 2]), ("b", &[3])]);
    assert!(!flush.is_finished());
    drop(held);
    eventually("the flush ends", || flush.is_finished());
    ask(&world, &[("a", &[1, 2]), ("b", &[3])]);
    assert_eq!(world.killed().all(), world.all());
}

#[test]
fn a_query_that_takes_a_minute_delays_nobody() {
    let world = World::new();
    let [a, b] = ["n=a", "n=b"].map(|labels| fill(&world.db, labels, [1, 2]));
    world.db.flush().unwrap();
    commit(&world.db, &[(a, 3, 3.0), (b, 3, 3.0)]);
    let view = world.db.querier(ALL.0, ALL.1).unwrap();
    let mut set = view.select(&SelectHints::default(), &[]).unwrap();
    let mut found = Vec::new();
    let mut next = || {
        let series = set.next().unwrap().unwrap();
        let mut samples = Vec::new();
        series.read(ALL.0, ALL.1, &mut samples).unwrap();
        let times: Vec<i64> = samples.iter().map(|s| s.t).collect();
        found.push(times);
    };
    next();
    // In the middle of it everything goes on, on this very thread.
    assert_eq!(commit(&world.db, &[(a, 4, 4.0), (b, 4, 4.0)]).appended, 2);
    world.db.flush().unwrap();
    world.db.collect_garbage().unwrap();
    world.db.delete(&[Matcher::equal("n", "b")], 1, 1).unwrap();
    world.db.clean_tombstones().unwrap();
    world.db.snapshot(false).unwrap();
    world.db.set_retention(of_bytes(1));
    let store = world.db.0.shared.store.as_ref().unwrap();
    world.db.0.shared.retain(store).unwrap();
    assert_eq!(commit(&world.db, &[(a, 5, 5.0)]).appended, 1);
    next();
    assert_eq!(found, [[1, 2, 3], [1, 2, 3]], "as it was when it began");
}

#[test]
fn memory_is_bounded_while_a_block_is_written() {
    const BUDGET: u64 = 400 << 10;
    let limit = super::super::backpressure::limit_bytes(BUDGET);
    let world = start(&Double::new(), |o| o.head_budget = BUDGET);
    let used = || world.db.head().used_bytes().unwrap().0 as u64;
    let all: Vec<_> = (0..50)
        .map(|i| resolve(&world.db, &format!("n={i}")))
        .collect();
    let mut batch = Appender::default();
    let mut t = 0;
    let mut append = || {
        t += 1;
        batch.clear();
        for (i, series) in all.iter().enumerate() {
            batch.append(*series, t, (t as f64 * 0.7 + i as f64).sin());
        }
        world.db.commit(&batch)
    };
    while !world.db.0.shared.flush_is_due().unwrap() {
        append().unwrap();
    }
    let held = world.disk.hold(Kind::Append, "blocks/");
    world.mute(false);
    world.db.0.shared.bell.ring();
    eventually("the write is held", || held.waiting() == 1);
    logged();
    let error = loop {
        if let Err(error) = append() {
            break error.to_string();
        }
        assert!(
            used() < limit + (8 << 10),
            "a batch beyond the limit at most"
        );
    };
    assert!(error.contains("(from --storage.head-budget)"), "{error}");
    assert!(used() >= limit);
    assert!(append().is_err());
    let store = world.db.0.shared.store.as_ref().unwrap();
    assert_eq!(store.metrics.refused_samples.get(), 100.0);
    let lines = logged();
    let told = "samples are refused: the head cannot become a block, or not fast enough";
    assert!(lines.len() == 1 && lines[0].starts_with(told), "{lines:?}");
    assert_eq!(world.all().len(), 50, "queries go on");
    drop(held);
    eventually("there is room again", || used() < limit);
    assert_eq!(append().unwrap().appended, 50);
    let all = world.all();
    assert!(
        world.killed().all() == all,
        "nothing of what was taken is lost"
    );
}
