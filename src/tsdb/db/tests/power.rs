//! Tests of power cuts at every operation of every writer of the store.

use super::super::shared::locked;
use super::*;
use crate::stdx::clock::Clock as _;
use crate::stdx::stop::stop;
use crate::tsdb::block::BlockId;
use crate::tsdb::dir::{Dir, Sub};
use crate::tsdb::filenames::TMP_SUFFIX;

/// A cut at each operation: what was durable before is still there.
#[test]
fn a_power_cut_at_any_operation_of_a_flush() {
    let mut cuts = 0;
    for number in 0.. {
        let disk = Double::new();
        let world = start(&disk, |_| {});
        let times: Vec<i64> = (0..300).map(|i| i * 15_000).collect();
        let a = fill(&world.db, "n=a", times.clone());
        let store = world.db.0.shared.store.as_ref().unwrap();
        store.segments.sync().unwrap();
        let next = disk.operations();
        disk.fault(next + number, Fault::PowerCut);
        let flushed = world.db.flush();
        let cut_here = disk.operations() > next + number;
        let _ = world.db.flush();
        for choice in [Choice::Nothing, Choice::Everything, Choice::Seed(number)] {
            let again = start(&disk.crash(choice), |_| {});
            let found = again.all();
            assert_eq!(
                found,
                expected(&[("a", &times)]),
                "{number} {choice:?} {flushed:?}"
            );
            let a = resolve(&again.db, "n=a");
            assert_eq!(commit(&again.db, &[(a, 300 * 15_000, 1.0)]).appended, 1);
        }
        assert!(world.db.has_series(a).unwrap());
        if !cut_here {
            break;
        }
        cuts += 1;
    }
    println!("cut at {cuts} operations");
    assert!(cuts > 5);
}

/// Samples, flushes and compactions, cut off at each operation: a prefix of the commits is there,
/// including all that was synced.
#[test]
fn a_power_cut_at_any_operation() {
    let (_stopper, stop) = stop();
    let times: Vec<i64> = (0..250).map(|i| i * 15_000).collect();
    let mut number = 0;
    loop {
        let disk = Double::new();
        let world = start(&disk, |_| {});
        let first = disk.operations();
        disk.fault(first + number, Fault::PowerCut);
        let store = world.db.0.shared.store.as_ref().unwrap();
        let mut durable = 0;
        let a = resolve(&world.db, "n=a");
        let mut batch = Appender::default();
        for (done, times) in times.chunks(50).enumerate() {
            for t in times {
                batch.clear();
                batch.append(a, *t, *t as f64);
                let _ = world.db.commit(&batch);
            }
            if store.segments.sync().is_ok() && disk.operations() <= first + number {
                durable = (done + 1) * 50;
            }
            let _ = world.db.flush();
            while let Ok(true) = world.db.0.shared.compact(store, &stop) {}
        }
        for choice in [Choice::Nothing, Choice::Everything, Choice::Seed(number)] {
            let again = start(&disk.crash(choice), |_| {});
            let found = again.all();
            let count = found.first().map_or(0, |f| f.1.split_whitespace().count());
            assert!(
                count >= durable,
                "{number} {choice:?}: {count} of {durable}"
            );
            let prefix: Vec<_> = times.iter().map(|t| format!("{t}={t}")).collect();
            let text = found.first().map_or("", |f| f.1.as_str());
            assert_eq!(text, prefix[..count].join(" "), "{number} {choice:?}");
        }
        if disk.operations() <= first + number {
            assert_eq!(durable, times.len());
            assert!(store.metrics.compactions.get() > 0.0, "there was one");
            break;
        }
        // NOTE: batches are many and alike.
        number += if number < 20 { 1 } else { 3 };
    }
    println!("cut within {number} operations");
}

/// Cuts `act` off at each of its operations. `check` gets what the next start finds, and whether
/// `act` reported success.
fn cut_everywhere<T>(
    what: &str,
    setup: impl Fn(&Double) -> World,
    act: impl Fn(&World) -> Option<T>,
    check: impl Fn(&World, Option<&T>),
) {
    for number in 0.. {
        let disk = Double::new();
        let world = setup(&disk);
        let next = disk.operations();
        disk.fault(next + number, Fault::PowerCut);
        let done = act(&world);
        let cut_here = disk.operations() > next + number;
        for choice in [
            Choice::Nothing,
            Choice::Everything,
            Choice::Seed(number),
            Choice::Seed(number + 1_000),
        ] {
            let again = start(&disk.crash(choice), |_| {});
            check(&again, done.as_ref());
            // The database goes on.
            fill(&again.db, "n=later", [10 * HOUR]);
            let last = again.all().pop().unwrap_or_default();
            assert_eq!(last.0, "{n=\"later\"}", "{what} {number} {choice:?}");
        }
        if !cut_here {
            assert!(done.is_some(), "{what} works when nothing is cut");
            let points = disk.sync_points();
            let points = points.iter().filter(|point| **point >= next).count();
            println!("{what}: cut at {number} operations, {points} of them sync points");
            assert!(points > 0 && number > 3);
            return;
        }
    }
}

/// Makes two blocks, and a head that was not flushed yet; all of it durable.
fn two_blocks_and_a_head(disk: &Double) -> World {
    let world = start(disk, |_| {});
    let a = fill(&world.db, "n=a", [1, 2, 3]);
    let b = fill(&world.db, "n=b", [1, 2, 3]);
    world.db.flush().unwrap();
    commit(&world.db, &[(a, 4, 4.0), (b, 4, 4.0)]);
    world.db.flush().unwrap();
    commit(&world.db, &[(a, 5, 5.0), (b, 5, 5.0)]);
    let store = world.db.0.shared.store.as_ref().unwrap();
    store.segments.sync().unwrap();
    world
}

fn of_a() -> [Matcher; 1] {
    [Matcher::equal("n", "a")]
}

#[test]
fn power_cuts_while_samples_are_deleted() {
    let act = |world: &World| world.db.delete(&of_a(), 2, 4).ok();
    cut_everywhere("deletion", two_blocks_and_a_head, act, |again, done| {
        let all = again.all();
        let b = expected(&[("b", &[1, 2, 3, 4, 5])]);
        assert_eq!(all[1..], b[..]);
        let a: Vec<&str> = all[0].1.split(' ').collect();
        // A deletion in a block is complete or has not happened.
        let halves = [
            &["1=1", "2=2", "3=3", "4=4", "5=5"][..],
            &["1=1", "4=4", "5=5"],
            &["1=1", "2=2", "3=3", "5=5"],
            &["1=1", "5=5"],
        ];
        assert!(halves.contains(&&a[..]), "{a:?}");
        assert!(done.is_none() || a == ["1=1", "5=5"], "{a:?}");
    });
}

#[test]
fn power_cuts_while_tombstones_are_cleaned() {
    let setup = |disk: &Double| {
        let world = two_blocks_and_a_head(disk);
        // NOTE: a merge by `tsdb-compact` itself would clean them first.
        let blocks = world.db.head().blocks().unwrap();
        let ids: Vec<BlockId> = blocks.iter().map(|block| block.id()).collect();
        let store = world.db.0.shared.store.as_ref().unwrap();
        locked(&store.merging).note(&ids, world.clock.mono());
        world.db.delete(&of_a(), 2, 4).unwrap();
        world
    };
    let act = |world: &World| {
        let cleaned = world.db.clean_tombstones().ok()?;
        assert_eq!(cleaned, 2);
        Some(cleaned)
    };
    cut_everywhere("cleaning of tombstones", setup, act, |again, done| {
        let all = expected(&[("a", &[1, 5]), ("b", &[1, 2, 3, 4, 5])]);
        assert_eq!(again.all(), all);
        if done.is_some() {
            let blocks = again.db.head().blocks().unwrap();
            assert!(blocks.iter().all(|block| block.meta().tombstones == 0));
        }
    });
}

#[test]
fn power_cuts_while_a_snapshot_is_made() {
    for links in [true, false] {
        let setup = |disk: &Double| {
            let world = two_blocks_and_a_head(disk);
            world.db.delete(&of_a(), 2, 2).unwrap();
            fill(&world.db, "n=b", [6]);
            let store = world.db.0.shared.store.as_ref().unwrap();
            store.segments.sync().unwrap();
            if !links {
                disk.without_links();
            }
            world
        };
        let act = |world: &World| world.db.snapshot(false).ok();
        let what = if links {
            "snapshot by links"
        } else {
            "snapshot by copies"
        };
        cut_everywhere(what, setup, act, |again, done| {
            let all = expected(&[("a", &[1, 3, 4, 5]), ("b", &[1, 2, 3, 4, 5, 6])]);
            assert_eq!(again.all(), all);
            let dir = again.disk.dir();
            let names = dir.list("snapshots").unwrap_or_default();
            assert!(names.len() <= 1, "{names:?}");
            if let Some(name) = done {
                assert_eq!(&names[0].name, name);
            }
            for entry in names {
                assert!(!entry.name.ends_with(TMP_SUFFIX));
                let path = format!("snapshots/{}", entry.name);
                assert_eq!(opened_within(&again.disk, &path).all(), all);
            }
        });
    }
}

/// Opens a database in a subdirectory.
pub fn opened_within(disk: &Double, path: &str) -> World {
    let path = path.to_owned();
    let dir: Arc<dyn Dir> = Arc::new(Sub {
        dir: disk.dir(),
        path,
    });
    start(disk, |options| options.place = Place::Dir(dir))
}
