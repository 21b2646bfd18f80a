//! Tests of panics in the database's threads, at every operation of the disk. Work that can be
//! tried again costs an attempt; a panic that leaves the storage in doubt ends the process.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crossbeam_channel::bounded;

use super::*;
use crate::stdx::thread::{Panicked, on_panic};
use crate::storage::StorageError;
use crate::tsdb::db::shared::locked;

const MINUTE: Duration = Duration::from_secs(60);

fn names(world: &World) -> Vec<String> {
    let list = world.disk.dir().list("blocks").unwrap();
    list.into_iter().map(|entry| entry.name).collect()
}

/// Merges four blocks into one. The compactor has not seen them when `before` is called.
fn merge(before: impl FnOnce(&World)) -> World {
    let world = World::new();
    let store = world.db.0.shared.store.as_ref().unwrap();
    let merging = locked(&store.merging);
    for round in 0..4 {
        fill(&world.db, "n=a", (0..50).map(|i| (round * 50 + i) * 15_000));
        world.db.flush().unwrap();
    }
    before(&world);
    drop(merging);
    world
}

#[test]
fn a_merge_that_panics_is_tried_again() {
    let times: Vec<i64> = (0..200).map(|i| i * 15_000).collect();
    let all = expected(&[("a", &times)]);
    let mut met = 0;
    for number in 0.. {
        let world = merge(|world| {
            let next = world.disk.operations();
            world.disk.fault(next + number, Fault::Panic);
        });
        let metrics = world.db.0.shared.store.as_ref().unwrap().metrics.clone();
        let count = || (metrics.compactions.get(), metrics.compactions_failed.get());
        eventually("it is tried", || count() != (0.0, 0.0));
        assert_eq!(world.all(), all, "{number}");
        assert_eq!(world.killed().all(), all, "{number}");
        if count() == (1.0, 0.0) {
            // The fault hit the removal of merged blocks.
            break;
        }
        met += 1;
        eventually("the threads sleep", || world.clock.waiting() >= 2);
        world.clock.advance(MINUTE);
        eventually("it is done", || count().0 == 1.0);
        assert_eq!(count().1, 1.0, "{number}");
        assert_eq!(world.all(), all, "{number}");
        assert_eq!(world.killed().all(), all, "{number}");
    }
    assert!(met > 5, "{met}");
}

/// A merge that never works is tried less and less often.
#[test]
fn blocks_that_cannot_be_merged_are_left_alone() {
    let world = merge(|world| {
        let next = world.disk.operations();
        (next..next + 10_000).for_each(|number| world.disk.fault(number, Fault::Error));
    });
    let metrics = world.db.0.shared.store.as_ref().unwrap().metrics.clone();
    let tries = || metrics.compactions_failed.get() as i64;
    let mut seen = Vec::new();
    for minute in 0..30 {
        let due = [0, 1, 3, 7, 15].iter().filter(|at| **at <= minute).count() as i64;
        eventually("it is tried again", || tries() >= due);
        seen.push(tries());
        eventually("the thread sleeps", || world.clock.waiting() >= 1);
        world.clock.advance(MINUTE);
    }
    assert_eq!(seen.last(), Some(&5), "{seen:?}");
    assert_eq!(names(&world).len(), 4);
}

#[test]
fn a_flush_that_panics_is_tried_again() {
    let times: Vec<i64> = (0..300).map(|i| i * 15_000).collect();
    let all = expected(&[("a", &times)]);
    let mut met = 0;
    for number in 0.. {
        let world = World::new();
        fill(&world.db, "n=a", times.clone());
        let next = world.disk.operations();
        world.disk.fault(next + number, Fault::Panic);
        let flushed = world.db.flush();
        if world.disk.operations() <= next + number {
            break;
        }
        met += 1;
        assert_eq!(world.all(), all, "{number}");
        assert_eq!(world.killed().all(), all, "{number}");
        if let Err(error) = flushed {
            assert_eq!(error.to_string(), "a panic: injected", "{number}");
            world.db.flush().unwrap();
        }
        assert_eq!(world.all(), all, "{number}");
        assert_eq!(world.killed().all(), all, "{number}");
        assert_eq!(world.db.stats().unwrap().chunks, 0, "{number}");
        assert_eq!(world.db.head().blocks().unwrap().len(), 1, "{number}");
        let stays = names(&world.killed());
        assert_eq!(stays.len(), 1, "{number} {stays:?}");
    }
    assert!(met > 5, "{met}");
}

/// A request or a scrape may panic; the storage's thread reports it.
#[test]
fn a_storage_that_a_panic_closed_ends_the_process() {
    let (told_tx, told) = bounded(100);
    on_panic(move |panicked| {
        let _ = told_tx.try_send(panicked.clone());
    });
    let world = World::new();
    fill(&world.db, "n=a", [1, 2]);
    let store = world.db.0.shared.store.as_ref().unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _log = store.log.lock().unwrap();
        panic!("with half of a batch written");
    }));
    assert!(panicked.is_err());
    world.mute(false);
    // Whoever comes next finds it so, and rings.
    let mut batch = Appender::default();
    batch.append(SeriesRef(0), 3, 3.0);
    assert!(world.db.commit(&batch).is_err());
    let is_it = |panicked: Panicked| {
        let (thread, message) = (panicked.thread.as_str(), panicked.message.as_str());
        panicked.is_vital && (thread, message) == ("tsdb", "a panic has closed the storage")
    };
    eventually("the panic is told", || told.try_iter().any(is_it));
    assert_eq!(world.killed().all(), expected(&[("a", &[1, 2])]));
}

/// Nobody knows what the log has then.
#[test]
fn a_write_that_panics_closes_the_storage() {
    let world = World::new();
    let a = fill(&world.db, "n=a", [1]);
    world.disk.fault(world.disk.operations(), Fault::Panic);
    let mut batch = Appender::default();
    batch.append(a, 2, 2.0);
    for _ in 0..2 {
        let closed = world.db.commit(&batch);
        assert!(matches!(closed, Err(StorageError::Closed)), "{closed:?}");
    }
    assert_eq!(world.killed().all(), expected(&[("a", &[1])]));
}
