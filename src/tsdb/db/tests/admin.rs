//! Tests of snapshots and of cleaning tombstones.

use super::power::opened_within;
use super::*;

#[test]
fn a_snapshot_stays_as_it_was() {
    for links in [true, false] {
        let world = World::new();
        if !links {
            world.disk.without_links();
        }
        let a = fill(&world.db, "n=a", [1, 2, 3]);
        world.db.flush().unwrap();
        commit(&world.db, &[(a, 4, 4.0)]);
        let path = |name: String| format!("snapshots/{name}");
        let with_head = path(world.db.snapshot(false).unwrap());
        let without = path(world.db.snapshot(true).unwrap());
        assert!(with_head.starts_with("snapshots/20231114T221320Z-"));
        assert_eq!(with_head.len(), "snapshots/20231114T221320Z-".len() + 16);
        // What happens to the store does not affect the snapshot.
        world.db.delete(&[Matcher::equal("n", "a")], 2, 3).unwrap();
        world.db.clean_tombstones().unwrap();
        commit(&world.db, &[(a, 5, 5.0)]);
        assert_eq!(world.all(), expected(&[("a", &[1, 4, 5])]));
        for (path, times) in [(with_head, &[1, 2, 3, 4][..]), (without, &[1, 2, 3])] {
            let snapshot = opened_within(&world.disk, &path);
            assert_eq!(snapshot.all(), expected(&[("a", times)]));
            let a = resolve(&snapshot.db, "n=a");
            assert_eq!(commit(&snapshot.db, &[(a, 9, 9.0)]).appended, 1);
            assert_eq!(snapshot.all().len(), 1);
        }
        assert_eq!(world.killed().all(), world.all());
    }
}

#[test]
fn retention_neither_counts_nor_removes_snapshots() {
    let world = World::new();
    let a = fill(&world.db, "n=a", [1, 2, 3]);
    world.db.flush().unwrap();
    let name = world.db.snapshot(false).unwrap();
    let store = world.db.0.shared.store.as_ref().unwrap();
    assert_eq!(store.metrics.snapshot_bytes.get(), 0.0, "it costs nothing");
    let bytes = super::super::retention::directory_bytes(&*store.dir).unwrap();
    world.db.set_retention(of_bytes(bytes));
    world.db.0.shared.retain(store).unwrap();
    assert_eq!(world.all(), expected(&[("a", &[1, 2, 3])]));
    world.db.set_retention(of_bytes(1));
    commit(&world.db, &[(a, 4, 4.0)]);
    world.db.flush().unwrap();
    assert!(world.all().is_empty());
    assert!(store.metrics.snapshot_bytes.get() > 0.0, "now it does");
    let path = format!("snapshots/{name}");
    assert_eq!(opened_within(&world.disk, &path).all().len(), 1);
}

#[test]
fn what_is_deleted_is_gone_from_the_disk() {
    let world = World::new();
    fill(&world.db, "n=gone", [1, 2, 3]);
    world.db.flush().unwrap();
    fill(&world.db, "n=a", [1, 2, 3]);
    let everything = [Matcher::equal("n", "gone")];
    world.db.delete(&everything, i64::MIN, i64::MAX).unwrap();
    assert_eq!(world.db.clean_tombstones().unwrap(), 1);
    assert_eq!(world.db.clean_tombstones().unwrap(), 0);
    let blocks = world.db.head().blocks().unwrap();
    assert_eq!(blocks.len(), 1, "of the other nothing was left");
    let files = world.disk.dir().list("blocks").unwrap();
    assert_eq!(files.len(), 1, "{files:?}");
    assert_eq!(world.killed().all(), expected(&[("a", &[1, 2, 3])]));
}

#[test]
fn memory_has_no_files() {
    let clock = Arc::new(ManualClock::new(NOW));
    let db = Db::open(Options::in_memory(clock, Registry::new())).unwrap();
    assert!(db.snapshot(false).is_err());
    assert!(db.clean_tombstones().is_err());
}

/// What a merge could not read is counted, and its file stays for a person.
#[test]
fn damaged_sources_are_not_thrown_away() {
    let world = World::new();
    let [a, b] = ["n=a", "n=b"].map(|labels| resolve(&world.db, labels));
    // Values that fill more than one page of columns.
    let noise = |i: i64| (i as f64 * 0.7).sin();
    let mut batch = Appender::default();
    for i in 0..9_000 {
        batch.append(a, i, noise(i));
        batch.append(b, i, 1.0);
    }
    world.db.commit(&batch).unwrap();
    world.db.flush().unwrap();
    let disk = world.disk.copy();
    let dir = disk.dir();
    let name = dir.list("blocks").unwrap()[0].name.clone();
    let path = format!("blocks/{name}");
    let mut bytes = disk.bytes(&path).unwrap();
    // The first page holds columns of values.
    bytes[20] ^= 1;
    disk.set_bytes(&path, &bytes);
    let world = start(&disk, |_| {});
    let gone = [Matcher::equal("n", "b")];
    world.db.delete(&gone, 0, 0).unwrap();
    world.db.clean_tombstones().unwrap();
    let store = world.db.0.shared.store.as_ref().unwrap();
    assert_eq!(store.metrics.compaction_lost_pages.get(), 1.0);
    assert_eq!(store.metrics.quarantined.get(), 1.0);
    assert_eq!(store.cache.damaged_pages(), 1);
    let quarantined = format!("quarantine/{name}");
    assert_eq!(disk.bytes(&quarantined), Some(bytes));
    assert_eq!(dir.list("blocks").unwrap().len(), 1);
    let all = world.all();
    let lengths: Vec<usize> = all.iter().map(|row| row.1.split(' ').count()).collect();
    assert!((1..9_000).contains(&lengths[0]), "{lengths:?}");
    assert_eq!(lengths[1], 8_999);
    // If bytes are short, it is removed before anything good.
    let used = super::super::retention::directory_bytes(&*dir).unwrap();
    world.db.set_retention(of_bytes(used - 1));
    world.db.0.shared.retain(store).unwrap();
    assert!(disk.bytes(&quarantined).is_none());
    assert_eq!(world.all(), all);
    assert_eq!(world.killed().all(), all);
}
