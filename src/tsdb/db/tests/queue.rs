//! Tests of what waits for the log: who is told what, and when it is safe.

use super::*;
use crate::stdx::thread::Thread;
use crate::storage::ExemplarQueryable;
use crate::tsdb::db::log::Log;
use crate::tsdb::dir::double::{Held, Kind};

fn log(world: &World) -> &Log {
    &world.db.0.shared.store.as_ref().unwrap().log
}

/// Waits until somebody beside has queued something.
fn queued(world: &World, act: impl FnOnce(&Db) + Send + 'static) -> Thread {
    let end = || log(world).lock().unwrap().backlog.end();
    let before = end();
    let thread = beside(world, act);
    eventually("it waits", || end() > before);
    thread
}

/// A disk that may take a minute for a write, and has one that it holds.
fn with_a_write_held() -> (World, SeriesRef, Held) {
    let world = start(&Double::new(), |o| {
        o.log_patience = Duration::from_secs(60);
        o.head_budget = 64 << 20;
        o.exemplars_max = 10;
    });
    let a = fill(&world.db, "n=a", [1]);
    let held = world.disk.hold(Kind::Append, "wal/");
    deferred(&world, a, 2..3);
    eventually("the disk holds it", || held.waiting() == 1);
    (world, a, held)
}

#[test]
fn however_much_gathers_behind_a_slow_write_is_logged() {
    let (world, a, held) = with_a_write_held();
    (1..300).for_each(|i| deferred(&world, a, i * 1_000..(i + 1) * 1_000));
    let b = resolve(&world.db, "n=b");
    let told = queued(&world, move |db| drop(commit(db, &[(b, 2, 2.0)])));
    assert!(!told.is_finished());
    drop(held);
    eventually("the commit ends", || told.is_finished());
    assert_eq!(log(&world).lock().unwrap().backlog.passed_over(), 0);
    assert!(world.killed().all() == world.all());
}

/// Whoever sends again what is not in the log yet is not told that it is.
#[test]
fn a_repetition_waits_for_the_first() {
    let (world, a, held) = with_a_write_held();
    let again = beside(&world, move |db| drop(commit(db, &[(a, 2, 2.0)])));
    eventually("it waits", || log(&world).lock().unwrap().waiters == 1);
    drop(held);
    eventually("it is told", || again.is_finished());
    assert_eq!(world.killed().all(), expected(&[("a", &[1, 2])]));
}

#[test]
fn what_is_passed_over_during_a_flush_waits_for_the_next() {
    let world = start(&Double::new(), |o| o.head_budget = 64 << 20);
    let a = fill(&world.db, "n=a", [1]);
    world.disk.set_free(Some(0));
    commit(&world.db, &[(a, 2, 2.0)]);
    world.disk.set_free(None);
    let held = world.disk.hold(Kind::Append, "blocks/");
    let flush = beside(&world, |db| db.flush().unwrap());
    eventually("the write is held", || held.waiting() == 1);
    (1..300).for_each(|i| deferred(&world, a, i * 1_000..(i + 1) * 1_000));
    let passed_over = || log(&world).lock().unwrap().backlog.passed_over();
    assert!(passed_over() > 0);
    drop(held);
    eventually("the flush ends", || flush.is_finished());
    assert!(passed_over() > 0, "they are in no block");
    world.clock.advance(Duration::from_secs(1));
    eventually("they are", || {
        world.db.look();
        passed_over() == 0 && !log(&world).waits().unwrap()
    });
    assert!(world.killed().all() == world.all());
    let store = world.db.0.shared.store.as_ref().unwrap();
    assert_eq!(store.metrics.waiting_samples.get(), 0.0);
}

#[test]
fn a_query_hurries_what_waits_for_a_write_too() {
    let (world, a, held) = with_a_write_held();
    deferred(&world, a, 3..4);
    assert_eq!(world.all(), expected(&[("a", &[1, 2, 3])]));
    assert!(log(&world).lock().unwrap().is_wanted);
    drop(held);
}

#[test]
fn what_comes_after_the_stop_is_logged_at_the_end() {
    let world = World::new();
    let a = fill(&world.db, "n=a", [1]);
    assert!(world.db.stop(Duration::from_secs(60)));
    (2..30).for_each(|t| deferred(&world, a, t..t + 1));
    let disk = world.disk.clone();
    drop(world);
    let times: Vec<i64> = (1..30).collect();
    let found = start(&disk.copy(), |_| {}).all();
    assert_eq!(found, expected(&[("a", &times)]));
}

#[test]
fn a_flush_that_cannot_cut_the_log_says_why() {
    let (world, a, held) = with_a_write_held();
    let exemplars = queued(&world, move |db| {
        assert_eq!(exemplar(db, a).exemplars_refused, 1);
    });
    let (told, flushed) = crossbeam_channel::bounded(1);
    let flush = queued(&world, move |db| told.send(db.flush()).unwrap());
    let next = world.disk.operations() + 1;
    world.disk.fault(next, Fault::Error);
    drop(held);
    let error = flushed.recv().unwrap().unwrap_err().to_string();
    assert!(error.contains("injected"), "{error}");
    drop((exemplars, flush));
    let (why, waiting) = world.db.unwritten().unwrap();
    assert!(why.unwrap().contains("injected"));
    assert_eq!(waiting, 0);
    commit(&world.db, &[(a, 3, 3.0)]);
    assert_eq!(world.db.unwritten().unwrap(), (None, 0));
}

/// A cut asks the disk for nothing, and proves nothing.
#[test]
fn a_flush_does_not_heal() {
    let world = World::new();
    let told = Some("it can only be read".to_owned());
    log(&world).lock().unwrap().unwritable.clone_from(&told);
    let head = &world.db.0.shared.head;
    drop(log(&world).begin_flush(head).unwrap());
    assert_eq!(world.db.unwritten().unwrap().0, told);
}

#[test]
fn exemplars_that_were_refused_are_not_logged_later() {
    let world = start(&Double::new(), |o| {
        o.log_patience = Duration::from_millis(20);
        o.exemplars_max = 10;
    });
    let a = fill(&world.db, "n=a", [1]);
    let held = world.disk.hold(Kind::Append, "wal/");
    deferred(&world, a, 2..3);
    eventually("the disk holds it", || held.waiting() == 1);
    assert_eq!(exemplar(&world.db, a).exemplars_refused, 1);
    drop(held);
    eventually("nothing waits", || {
        world.db.look();
        let state = log(&world).lock().unwrap();
        !state.waits() && state.backlog.is_empty() && state.writing_since.is_none()
    });
    let again = start(&world.disk.copy(), |o| o.exemplars_max = 10);
    for world in [&world, &again] {
        let found = world.db.exemplars(&[Vec::new()], i64::MIN, i64::MAX);
        assert_eq!(found.unwrap().len(), 0);
    }
}
