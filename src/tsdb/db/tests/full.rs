//! Tests of a full disk: what waits, what is tried, and how it heals.

use super::*;
use crate::tsdb::db::backlog::Backlog;

const SECOND: Duration = Duration::from_secs(1);

fn tick(world: &World) {
    world.clock.advance(SECOND);
    world.db.look();
}

fn waits(world: &World) -> bool {
    let store = world.db.0.shared.store.as_ref().unwrap();
    store.log.waits().unwrap()
}

/// Commits noise, which neither the log nor a block can compress.
fn noise(world: &World, series: &[SeriesRef], times: std::ops::Range<i64>) {
    let mut batch = Appender::default();
    for t in times {
        batch.clear();
        for (i, series) in series.iter().enumerate() {
            let seed = (t * 1_000 + i as i64) as f64;
            batch.append(*series, t, (seed * 0.37).sin());
        }
        assert_eq!(
            world.db.commit(&batch).unwrap().appended,
            series.len() as u64
        );
    }
}

fn many(world: &World) -> Vec<SeriesRef> {
    let name = |i| format!("n=m,i={i}");
    (0..100).map(|i| resolve(&world.db, &name(i))).collect()
}

/// The log would take the room of the block that replaces it.
#[test]
fn what_waits_becomes_a_block_rather_than_log() {
    let world = World::new();
    let series = many(&world);
    noise(&world, &series, 0..200);
    world.disk.set_free(Some(0));
    noise(&world, &series, 200..400);
    let all = world.all();
    tick(&world);
    assert!(waits(&world));
    let samples = world.db.0.shared.head.used_bytes().unwrap().0 as u64;
    world.disk.set_free(Some(samples));
    tick(&world);
    eventually("nothing waits", || !waits(&world));
    assert_eq!(world.db.head().blocks().unwrap().len(), 1);
    assert_eq!(world.disk.dir().list("wal").unwrap().len(), 0);
    assert!(world.all() == all && world.killed().all() == all);
    noise(&world, &series, 400..410);
    assert!(!waits(&world), "the log goes on");
    assert!(world.killed().all() == world.all());
}

/// Batches that no longer wait for the log are in the head, and safe with the next block.
#[test]
fn more_than_can_wait_is_not_refused() {
    let world = start(&Double::new(), |o| o.head_budget = 64 << 20);
    let series = many(&world);
    world.disk.set_free(Some(0));
    noise(&world, &series, 0..3_000);
    let all = world.all();
    let store = world.db.0.shared.store.as_ref().unwrap();
    let backlog = |of: fn(&Backlog) -> u64| of(&store.log.lock().unwrap().backlog);
    assert_eq!(
        backlog(|backlog| backlog.samples() as u64) + backlog(Backlog::passed_over),
        300_000
    );
    assert!(backlog(Backlog::passed_over) > 30_000);
    assert_eq!(
        store.metrics.passed_over_samples.get(),
        backlog(Backlog::passed_over) as f64
    );
    world.disk.set_free(None);
    tick(&world);
    eventually("nothing waits", || !waits(&world));
    assert!(world.all() == all && world.killed().all() == all);
}

/// If one write fails and the next succeeds, nothing is lost, and no block is made for it.
#[test]
fn a_write_that_fails_is_done_again() {
    let world = World::new();
    let a = fill(&world.db, "n=a", [1]);
    let next = world.disk.operations();
    (next..next + 2).for_each(|number| world.disk.fault(number, Fault::Error));
    commit(&world.db, &[(a, 2, 2.0)]);
    commit(&world.db, &[(a, 3, 3.0)]);
    let all = expected(&[("a", &[1, 2, 3])]);
    assert_eq!(world.all(), all);
    assert_eq!(world.killed().all(), expected(&[("a", &[1])]));
    tick(&world);
    eventually("nothing waits", || !waits(&world));
    assert_eq!(world.killed().all(), all);
    assert_eq!(world.db.head().blocks().unwrap().len(), 0);
}

#[test]
fn a_full_disk_is_seldom_written_to() {
    let world = World::new();
    let series = many(&world);
    noise(&world, &series, 0..200);
    world.disk.set_free(Some(0));
    let before = world.disk.operations();
    for minute in 0..10 {
        noise(&world, &series, 200 + minute..201 + minute);
        (0..60).for_each(|_| tick(&world));
    }
    let operations = world.disk.operations() - before;
    // Syncs do not count as operations, since nothing is written.
    assert!(operations < 60, "{operations}");
    assert!(waits(&world));
}

/// While there is room for a block it is made, since it takes less than the log.
#[test]
fn the_head_becomes_a_block_while_there_is_room() {
    let due = |free: Option<u64>, limit: u64, times: i64| {
        let world = World::new();
        world.disk.set_free(free);
        world.db.set_retention(of_bytes(limit));
        noise(&world, &many(&world), 0..times);
        world.db.0.shared.flush_is_due().unwrap()
    };
    assert!(!due(None, 0, 500));
    assert!(!due(Some(8 << 20), 0, 500));
    assert!(due(Some(1 << 20), 0, 500));
    assert!(!due(Some(1 << 20), 0, 20), "too little for a block");
    assert!(!due(None, 8 << 20, 500));
    assert!(due(None, 1 << 20, 500), "a limit for the directory");
}
