//! A disk that stands still: writes neither fail nor return. Nobody waits for it but the thread
//! that writes.

use super::*;
use crate::tsdb::dir::double::{Held, Kind};

fn impatient(disk: &Double) -> World {
    start(disk, |o| o.log_patience = Duration::from_millis(20))
}

fn waits(world: &World) -> bool {
    let store = world.db.0.shared.store.as_ref().unwrap();
    store.log.waits().unwrap()
}

/// Waits until the log has everything. A busy machine may take a good disk for one that stands
/// still, since it answers so late.
fn settle(world: &World) {
    eventually("nothing waits", || {
        world.db.look();
        !waits(world)
    });
}

/// Waits until the disk holds a write, since a commit may lose its patience before the thread that
/// writes has begun.
fn wait_until_held(held: &Held) {
    eventually("the disk holds it", || held.waiting() == 1);
}

#[test]
fn what_is_committed_meanwhile_waits_in_memory_and_is_written_later() {
    let world = impatient(&Double::new());
    let a = fill(&world.db, "n=a", [1]);
    settle(&world);
    let held = world.disk.hold(Kind::Append, "wal/");
    assert_eq!(commit(&world.db, &[(a, 2, 2.0)]).appended, 1);
    wait_until_held(&held);
    assert!(waits(&world));
    for t in 3..50 {
        assert_eq!(commit(&world.db, &[(a, t, t as f64)]).appended, 1);
    }
    let b = fill(&world.db, "n=b", [50]);
    assert_eq!(held.waiting(), 1, "nobody else asks the disk for anything");
    let times: Vec<i64> = (1..50).collect();
    let all = expected(&[("a", &times), ("b", &[50])]);
    assert_eq!(world.all(), all);
    assert_eq!(world.killed().all(), expected(&[("a", &[1])]));
    // The thread that keeps the storage is not held either, whatever falls due.
    for minute in 1..5 {
        world.clock.advance(Duration::from_secs(60));
        world.db.look();
        assert!(waits(&world), "{minute}");
    }
    drop(held);
    settle(&world);
    assert_eq!(world.all(), all);
    assert_eq!(world.killed().all(), all, "what came late is there once");
    commit(&world.db, &[(b, 51, 51.0)]);
    settle(&world);
    assert_eq!(world.killed().all(), world.all());
}

/// A segment that cannot even be begun.
#[test]
fn a_start_of_a_segment_that_stands_still() {
    let world = impatient(&Double::new());
    let held = world.disk.hold(Kind::Append, "wal/");
    let a = fill(&world.db, "n=a", [1]);
    assert_eq!(commit(&world.db, &[(a, 2, 2.0)]).appended, 1);
    wait_until_held(&held);
    drop(held);
    settle(&world);
    assert_eq!(world.killed().all(), expected(&[("a", &[1, 2])]));
}

#[test]
fn exemplars_and_collections_wait_for_nobody() {
    let disk = Double::new();
    let world = start(&disk, |o| {
        o.log_patience = Duration::from_millis(20);
        o.exemplars_max = 10;
    });
    let a = fill(&world.db, "n=a", [1]);
    settle(&world);
    let held = disk.hold(Kind::Append, "wal/");
    for _ in 0..3 {
        assert_eq!(exemplar(&world.db, a).exemplars_refused, 1);
    }
    world.db.collect_garbage().unwrap();
    drop(held);
}

/// A stop has a deadline, whatever the disk does: with a write that is held, and with a sync.
#[test]
fn a_stop_does_not_wait_for_it() {
    for kind in [Kind::Append, Kind::Sync] {
        let world = impatient(&Double::new());
        let a = fill(&world.db, "n=a", [1]);
        settle(&world);
        let held = world.disk.hold(kind, "wal/");
        commit(&world.db, &[(a, 2, 2.0)]);
        let World { db, disk, .. } = world;
        assert!(!db.stop(Duration::from_millis(50)), "{kind:?}");
        wait_until_held(&held);
        drop(held);
        let found = impatient(&disk.copy()).all();
        // What was held may have come since.
        let both = [&[1][..], &[1, 2]].map(|times| expected(&[("a", times)]));
        assert!(both.contains(&found), "{kind:?} {found:?}");
    }
    let world = World::new();
    fill(&world.db, "n=a", [1]);
    assert!(world.db.stop(Duration::from_secs(60)));
}

/// Commits that nobody was promised wait for no write, and what came meanwhile is one write.
#[test]
fn deferred_batches_gather() {
    let world = World::new();
    let a = fill(&world.db, "n=a", [1]);
    let held = world.disk.hold(Kind::Append, "wal/");
    deferred(&world, a, 2..3);
    wait_until_held(&held);
    let before = world.disk.operations();
    (3..50).for_each(|t| deferred(&world, a, t..t + 1));
    assert!(!waits(&world), "nothing is overdue");
    assert_eq!(world.killed().all(), expected(&[("a", &[1])]));
    drop(held);
    // A batch that somebody waits for is behind them.
    commit(&world.db, &[(a, 50, 50.0)]);
    let times: Vec<i64> = (1..51).collect();
    assert_eq!(world.killed().all(), expected(&[("a", &times)]));
    let writes = world.disk.operations() - before;
    assert!(writes <= 3, "{writes}");
    // Alone it comes to the log as well, and so it does at the end.
    deferred(&world, a, 51..52);
    eventually("it is logged", || world.killed().all() == world.all());
    deferred(&world, a, 52..53);
    let (all, disk) = (world.all(), world.disk.clone());
    drop(world);
    assert_eq!(start(&disk.copy(), |_| {}).all(), all);
}

/// What a deferred batch met is a state too.
#[test]
fn a_deferred_write_that_fails_is_done_again() {
    let world = World::new();
    let a = fill(&world.db, "n=a", [1]);
    world.disk.fault(world.disk.operations(), Fault::Error);
    deferred(&world, a, 2..3);
    eventually("it waits", || waits(&world));
    deferred(&world, a, 3..4);
    settle(&world);
    assert_eq!(world.killed().all(), expected(&[("a", &[1, 2, 3])]));
}
