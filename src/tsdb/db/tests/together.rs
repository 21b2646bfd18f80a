//! Tests series that come and go during flushes, garbage collection, merges and open views. Each
//! view sees a prefix of the commits, whole, and always the same.

use super::*;
use crate::stdx::stop::{Stop, stop};
use crate::stdx::thread::{Thread, spawn};

const GENERATIONS: i64 = 40;
/// The series of a generation, and the number of commits to each.
const SERIES: i64 = 20;
const BATCHES: i64 = 12;

/// A generation has three hours. The one before it is garbage once it is flushed.
fn time(generation: i64, batch: i64) -> i64 {
    generation * 3 * HOUR + batch * 1_000
}

fn write(db: &Db, stop: &Stop) {
    let store = db.0.shared.store.as_ref().unwrap();
    for generation in 0..GENERATIONS {
        // NOTE: on a busy machine the loop would be over before the others begin.
        eventually("the generation before is in a block", || {
            stop.is_stopped() || store.metrics.truncations.get() >= generation as f64
        });
        let name = |i| format!("n=x,i={},g={generation}", i % SERIES);
        let all = || (0..SERIES).map(|i| resolve(db, &name(i * 7)));
        let mut series: Vec<_> = all().collect();
        for batch in 0..BATCHES {
            let t = time(generation, batch);
            // A series without appends for two collections is gone, and resolved anew; again, if
            // two more came before the commit.
            let mut left: Vec<usize> = (0..series.len()).collect();
            while !left.is_empty() {
                let samples: Vec<_> = left.iter().map(|i| (series[*i], t, t as f64)).collect();
                let done = commit(db, &samples);
                assert_eq!(done.appended as usize + done.gone.len(), left.len());
                left = done.gone.iter().map(|at| left[*at as usize]).collect();
                if !left.is_empty() {
                    series = all().collect();
                }
            }
            if stop.is_stopped() {
                return;
            }
        }
    }
}

fn keep_house(db: &Db, until: &Stop) {
    let shared = &db.0.shared;
    let store = shared.store.as_ref().unwrap();
    while !until.is_stopped() {
        db.flush().unwrap();
        db.collect_garbage().unwrap();
        shared.compact(store, until).unwrap();
        db.clean_tombstones().unwrap();
    }
}

/// Checks that all series of a generation have the same times, apart from the newest: a batch with
/// series that are gone is committed in two parts.
fn check(found: &[(String, String)]) -> usize {
    let mut samples = 0;
    for (labels, texts) in found {
        let generation = labels
            .strip_prefix("{g=\"")
            .and_then(|rest| rest.split_once('"'));
        let generation: i64 = generation.unwrap().0.parse().unwrap();
        let count = texts.split(' ').count() as i64;
        let expect = (0..count).map(|batch| time(generation, batch));
        let expect: Vec<_> = expect.map(|t| format!("{t}={t}")).collect();
        assert_eq!(texts, &expect.join(" "), "{labels}");
        samples += expect.len();
    }
    samples
}

fn read_twice(db: &Db, until: &Stop) {
    let mut before = 0;
    while !until.is_stopped() {
        let view = db.querier(ALL.0, ALL.1).unwrap();
        let first = read(&*view, &[]);
        let samples = check(&first);
        assert!(samples >= before, "what was seen is seen");
        before = samples;
        check_ways(
            &*view,
            &[Matcher::equal("n", "x"), Matcher::equal("i", "3")],
        );
        assert!(first == read(&*view, &[]), "a view stays");
    }
}

#[test]
fn series_come_and_go_beside_everything() {
    let world = World::new();
    let (stopper, until) = stop();
    let go = |name: &str, work: fn(&Db, &Stop)| -> Thread {
        let (db, until) = (world.db.clone(), until.clone());
        spawn(name, 1 << 20, move || work(&db, &until)).unwrap()
    };
    let others = [
        go("house", keep_house),
        go("read-1", read_twice),
        go("read-2", read_twice),
    ];
    let writer = go("writer", write);
    // NOTE: the writer waits with deadlines, one for each generation.
    while !writer.is_finished() && !others.iter().any(Thread::is_finished) {
        world.clock.advance(Duration::from_secs(1));
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(!others.iter().any(Thread::is_finished), "one has failed");
    drop(stopper);
    drop(others);
    world.db.flush().unwrap();
    world.db.collect_garbage().unwrap();
    let all = world.all();
    assert_eq!(check(&all), (GENERATIONS * SERIES * BATCHES) as usize);
    assert!(
        world.db.stats().unwrap().series < 4 * SERIES as u64,
        "garbage"
    );
    assert!(world.killed().all() == all);
}
