//! Bugs of out-of-order samples, each in a test of its name.

use super::*;

fn open(disk: &Double, window: Duration) -> World {
    start(disk, |options| {
        options.head_budget = 1 << 20;
        options.out_of_order_window = window;
    })
}

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Once all chunks were in a block, a head that got only late samples was taken for empty. It never
/// became a block, until batches were refused for good.
#[test]
fn late_samples_alone_make_a_block() {
    let world = open(&Double::new(), DAY);
    let a = fill(&world.db, "n=a", [20 * HOUR]);
    world.db.flush().unwrap();
    let due = || world.db.0.shared.flush_is_due().unwrap();
    assert!(!due());
    let mut t = 0;
    while !due() {
        t += 100;
        let late: Vec<_> = (0..100).map(|i| (a, t + i, 0.5)).collect();
        assert_eq!(commit(&world.db, &late).appended, 100);
        assert!(world.db.head().used_bytes().unwrap().0 < 2 << 20);
    }
    world.db.flush().unwrap();
    assert!(!due());
    assert_eq!(world.db.blocks().unwrap().len(), 2);
}

/// After a collection the head's oldest sample was that of its chunks.
#[test]
fn late_samples_count_for_the_span_of_the_head() {
    let world = open(&Double::new(), DAY);
    let a = fill(&world.db, "n=a", [20 * HOUR, 20 * HOUR + 1]);
    assert_eq!(commit(&world.db, &[(a, 17 * HOUR, 1.0)]).appended, 1);
    let oldest = || world.db.stats().unwrap().min_t;
    assert_eq!(oldest(), 17 * HOUR);
    world.db.collect_garbage().unwrap();
    assert_eq!(oldest(), 17 * HOUR);
    assert!(world.db.0.shared.flush_is_due().unwrap());
}

/// A series came twice in a batch, the second time with an older sample. That was accepted as late,
/// but logged as in order, which is refused when the log is read without a window.
#[test]
fn what_is_late_within_a_batch_comes_back() {
    for (window, other) in [(DAY, Duration::ZERO), (Duration::ZERO, DAY)] {
        let world = open(&Double::new(), window);
        let a = resolve(&world.db, "n=a");
        let done = commit(&world.db, &[(a, 30, 30.0), (a, 25, 25.0), (a, 35, 35.0)]);
        let all = world.all();
        let times = if window.is_zero() {
            &[30, 35][..]
        } else {
            &[25, 30, 35]
        };
        assert_eq!(done.appended, times.len() as u64);
        assert_eq!(all, expected(&[("a", times)]));
        assert_eq!(open(&world.disk.copy(), other).all(), all);
    }
}

#[test]
fn samples_that_come_at_hours_a_second_are_not_cut_into_many_blocks() {
    let world = World::new();
    let blocks = || world.db.head().blocks().unwrap().len();
    let a = fill(&world.db, "n=a", [0, 2 * HOUR]);
    world.db.look();
    assert_eq!(blocks(), 1);
    for hour in [3, 5, 7, 9] {
        commit(&world.db, &[(a, hour * HOUR, 1.0)]);
        world.db.look();
        assert_eq!(blocks(), 1, "{hour}");
    }
    world.clock.advance(Duration::from_secs(1));
    world.db.look();
    assert_eq!(blocks(), 2);
}

/// The thread looked at each 256 KiB of samples and at each sync. So three hours that compress well
/// stayed in the head for up to 30 s after a sender had delivered them.
#[test]
fn two_hours_of_few_samples_become_a_block_at_once() {
    let world = World::new();
    let a = fill(&world.db, "n=a", [0, HOUR]);
    world.db.look();
    world.mute(false);
    commit(&world.db, &[(a, 2 * HOUR, 1.0)]);
    commit(&world.db, &[(a, 2 * HOUR + 1, 1.0)]);
    eventually("a block", || world.db.head().blocks().unwrap().len() == 1);
}
