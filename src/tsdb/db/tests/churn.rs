//! Tests series that end and begin for days: memory does not grow.

use super::*;

const SERIES: i64 = 100;
const STEPS: i64 = 20;

/// Returns the heap bytes of the head and of the log's state of series, after an hour in which a
/// tenth of the series was renewed.
fn after_hour(world: &World, hour: i64) -> usize {
    // NOTE: each hour another tenth of them.
    let since = |i: i64| (hour - (hour - i).rem_euclid(10)).max(0);
    let name = |i: i64| format!("i={i},since={}", since(i));
    let series: Vec<_> = (0..SERIES).map(|i| resolve(&world.db, &name(i))).collect();
    for step in 0..STEPS {
        let t = hour * HOUR + step * HOUR / STEPS;
        let batch: Vec<_> = series
            .iter()
            .map(|s| (*s, t, (t * 7 % 1_000) as f64))
            .collect();
        assert_eq!(commit(&world.db, &batch).appended, SERIES as u64);
    }
    if hour % 2 == 1 {
        world.db.flush().unwrap();
    }
    world.db.collect_garbage().unwrap();
    let store = world.db.0.shared.store.as_ref().unwrap();
    let log = store.log.lock().unwrap();
    let wal = log.wal.as_ref().unwrap().heap_bytes();
    world.db.heap_bytes().unwrap() + wal
}

#[test]
fn days_of_churn_leave_memory_flat() {
    let world = World::new();
    let bytes: Vec<usize> = (1..=72).map(|hour| after_hour(&world, hour)).collect();
    let most = |from: usize, to: usize| bytes[from..to].iter().max().copied().unwrap_or(0);
    let (first, last) = (most(6, 24), most(48, 72));
    assert!(last <= first + first / 20, "{first} bytes, then {last}");
}
