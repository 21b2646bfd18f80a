//! Tests of the database with a disk: what survives, what is dropped, and that nothing is doubled.

mod acts;
mod admin;
mod beside;
mod churn;
mod clock;
mod full;
mod join;
mod late;
mod model;
mod panics;
mod power;
mod promises;
mod queue;
mod still;
mod strange;
mod together;

use std::sync::Arc;
use std::time::Duration;

use self::acts::{beside, deferred, exemplar};
use super::{Db, Options, Place};
use crate::metrics::Registry;
use crate::model::TimestampMs;
use crate::model::{Matcher, SeriesRef};
use crate::stdx::atomic::{AtomicI64, Ordering::Relaxed, Ordering::SeqCst};
use crate::stdx::clock::ManualClock;
use crate::stdx::testing::{eventually, logged, logged_by_any, logged_from};
use crate::storage::{Appendable, Appender, Queryable, SelectHints};
use crate::tsdb::Retention;
use crate::tsdb::block::BlockId;
use crate::tsdb::dir::double::{Choice, Double, Fault};
use crate::tsdb::head::tests::{
    ALL, HOUR, MINUTE, check_ways, commit, fill, names, read, read_hinted, resolve,
};

/// In milliseconds, far after all samples of these tests.
const NOW: i64 = 1_700_000_000_000;

struct World {
    db: Db,
    clock: ManualClock,
    disk: Double,
}

fn start(disk: &Double, change: impl FnOnce(&mut Options)) -> World {
    start_at(NOW, disk, change)
}

fn start_at(now: TimestampMs, disk: &Double, change: impl FnOnce(&mut Options)) -> World {
    let clock = ManualClock::new(now);
    let place = Place::Dir(disk.dir());
    let mut options = Options::new(place, Arc::new(clock.clone()), Registry::new());
    change(&mut options);
    let world = World {
        db: Db::open(options).unwrap(),
        clock,
        disk: disk.clone(),
    };
    world.mute(true);
    world
}

impl World {
    fn new() -> World {
        start(&Double::new(), |_| {})
    }

    /// Whether commits wake the thread `tsdb`. By default they do not, and tests let it look.
    fn mute(&self, muted: bool) {
        self.db.0.shared.bell.muted.store(muted, SeqCst);
    }

    /// As a killed process leaves it: what was written is there, nothing is finished.
    fn killed(&self) -> World {
        start(&self.disk.copy(), |_| {})
    }

    fn all(&self) -> Vec<(String, String)> {
        let querier = self.db.querier(ALL.0, ALL.1).unwrap();
        check_ways(&*querier, &[]);
        read(&*querier, &[])
    }
}

fn expected(series: &[(&str, &[i64])]) -> Vec<(String, String)> {
    let text = |(name, times): &(&str, &[i64])| {
        let samples: Vec<_> = times.iter().map(|t| format!("{t}={t}")).collect();
        (format!("{{n=\"{name}\"}}"), samples.join(" "))
    };
    series.iter().map(text).collect()
}

#[test]
fn a_killed_process_loses_nothing() {
    let mut world = World::new();
    let mut times: Vec<i64> = Vec::new();
    for round in 0..5_i64 {
        let more: Vec<i64> = (0..50).map(|i| (round * 50 + i) * 15_000).collect();
        fill(&world.db, "n=a", more.clone());
        fill(&world.db, "n=b", more.clone());
        times.extend(more);
        if round == 2 {
            world.db.flush().unwrap();
        }
        let all = expected(&[("a", &times), ("b", &times)]);
        assert_eq!(world.all(), all);
        world = world.killed();
        assert_eq!(world.all(), all, "after round {round}");
    }
}

#[test]
fn a_stop_is_a_sync() {
    let world = World::new();
    fill(&world.db, "n=a", [1, 2, 3]);
    let World { db, disk, .. } = world;
    drop(db);
    let again = start(&disk.crash(Choice::Nothing), |_| {});
    assert_eq!(again.all(), expected(&[("a", &[1, 2, 3])]));
}

#[test]
fn a_stop_is_a_sync_whoever_holds_a_clone() {
    let world = World::new();
    fill(&world.db, "n=a", [1, 2, 3]);
    let held = world.db.clone();
    assert!(world.db.stop(Duration::from_secs(60)));
    let again = start(&world.disk.crash(Choice::Nothing), |_| {});
    assert_eq!(again.all(), expected(&[("a", &[1, 2, 3])]));
    // It answers, and does no more work.
    assert_eq!(held.stats().unwrap().series, 1);
    assert!(held.flush().is_err());
}

#[test]
fn a_power_cut_loses_what_came_after_the_sync() {
    let world = World::new();
    let a = fill(&world.db, "n=a", [1, 2, 3]);
    eventually("the thread sleeps", || world.clock.waiting() == 1);
    world.clock.advance(Duration::from_secs(30));
    let store = world.db.0.shared.store.as_ref().unwrap();
    eventually("all is durable", || {
        store.segments.durable() == store.segments.position()
    });
    commit(&world.db, &[(a, 4, 4.0)]);
    let lost = start(&world.disk.crash(Choice::Nothing), |_| {});
    assert_eq!(lost.all(), expected(&[("a", &[1, 2, 3])]));
    let kept = start(&world.disk.crash(Choice::Everything), |_| {});
    assert_eq!(kept.all(), expected(&[("a", &[1, 2, 3, 4])]));
}

#[test]
fn what_is_refused_is_not_logged() {
    let world = World::new();
    let a = fill(&world.db, "n=a", [10, 20]);
    let done = commit(&world.db, &[(a, 5, 5.0), (a, 20, 1.0), (a, 20, 20.0)]);
    assert_eq!(
        (done.out_of_order, done.duplicate, done.appended),
        (1, 1, 1)
    );
    assert_eq!(commit(&world.db, &[(SeriesRef(7), 1, 1.0)]).gone, [0]);
    assert_eq!(
        commit(&world.db, &[(a, 30, 30.0), (a, 30, 30.0)]).duplicate,
        1
    );
    assert_eq!(world.killed().all(), expected(&[("a", &[10, 20, 30])]));
}

#[test]
fn a_flush_changes_nothing_that_is_seen() {
    let world = World::new();
    let times: Vec<i64> = (0..600).map(|i| i * 15_000).collect();
    fill(&world.db, "n=b,y=1", times.iter().copied().take(5));
    let a = fill(&world.db, "n=a,x=1", times.iter().copied());
    let old = world.db.querier(ALL.0, ALL.1).unwrap();
    let before = read(&*old, &[]);
    world.db.flush().unwrap();
    let new = world.db.querier(ALL.0, ALL.1).unwrap();
    assert_eq!(read(&*old, &[]), before);
    assert_eq!(read(&*new, &[]), before);
    drop(old);
    world.db.look();
    assert_eq!(world.db.stats().unwrap().chunks, 0);
    assert_eq!(read(&*new, &[]), before);
    assert_eq!(new.label_names(&[], 0).unwrap(), ["n", "x", "y"]);
    assert_eq!(new.label_values("n", &[], 0).unwrap(), ["a", "b"]);
    let only_b = [Matcher::equal("y", "1")];
    assert_eq!(names(&*new, &only_b), [r#"{n="b", y="1"}"#]);
    // The rules are unchanged: the newest is known, and up to an hour behind is accepted.
    let last = 599 * 15_000;
    assert_eq!(commit(&world.db, &[(a, last, last as f64)]).appended, 1);
    assert_eq!(commit(&world.db, &[(a, last, 0.0)]).duplicate, 1);
    assert_eq!(commit(&world.db, &[(a, last - 1, 0.0)]).out_of_order, 1);
    assert_eq!(commit(&world.db, &[(a, last - HOUR - 1, 0.0)]).too_old, 1);
    let late = fill(&world.db, "n=late", [last - HOUR]);
    assert_eq!(commit(&world.db, &[(a, last + 1, 1.0)]).appended, 1);
    world.db.flush().unwrap();
    assert_eq!(world.db.head().blocks().unwrap().len(), 2);
    assert!(world.db.has_series(late).unwrap());
    let all = world.all();
    assert_eq!(all.len(), 3);
    let killed = world.killed();
    assert_eq!(killed.all(), all);
    assert_eq!(resolve(&killed.db, "n=z").0 as u32, 0, "an empty head");
    let refused = commit(
        &killed.db,
        &[(resolve(&killed.db, "n=z"), last - HOUR, 0.0)],
    );
    assert_eq!(refused.too_old, 1, "the window is where it was");
}

#[test]
fn a_view_is_whole_while_the_head_becomes_blocks() {
    const SERIES: usize = 30;
    const BATCHES: i64 = 1_500;
    let world = World::new();
    let db = world.db.clone();
    let flushed = Arc::new(AtomicI64::new(0));
    let committed = Arc::new(AtomicI64::new(0));
    let (flushes, commits) = (flushed.clone(), committed.clone());
    let write = move || {
        let series: Vec<_> = (0..SERIES)
            .map(|i| resolve(&db, &format!("i={i}")))
            .collect();
        let mut batch = Appender::default();
        for t in 0..BATCHES {
            // NOTE: on a busy machine the loop would be over before the first flush.
            eventually("the head became a block", || {
                flushes.load(Relaxed) >= t / (BATCHES / 4)
            });
            batch.clear();
            for series in &series {
                batch.append(*series, t * 1000, t as f64);
            }
            assert_eq!(db.commit(&batch).unwrap().appended, SERIES as u64);
            commits.fetch_add(1, Relaxed);
        }
    };
    let writer = crate::stdx::thread::spawn("writer", 1 << 20, write).unwrap();
    // NOTE: a series without a sample goes with the second flush that sees it.
    eventually("the first batch", || committed.load(Relaxed) > 0);
    loop {
        let finished = writer.is_finished();
        let view = world.db.querier(ALL.0, ALL.1).unwrap();
        let first = read(&*view, &[]);
        world.db.flush().unwrap();
        flushed.fetch_add(1, Relaxed);
        assert!(first == read(&*view, &[]), "a view that is kept");
        let newest = first.first().map_or("", |f| f.1.as_str());
        assert!(first.iter().all(|f| f.1 == newest), "half a batch");
        let whole: Vec<_> = (0..)
            .take(newest.split_whitespace().count())
            .map(|t| format!("{}={t}", t * 1000))
            .collect();
        assert!(newest == whole.join(" "), "missing or twice");
        drop(view);
        world.clock.advance(Duration::from_secs(1));
        if finished {
            break;
        }
    }
    let all = world.all();
    assert_eq!(all.len(), SERIES);
    let count = all[0].1.split_whitespace().count();
    assert_eq!(count, BATCHES as usize);
    assert!(world.killed().all() == all);
}

#[test]
fn budget_and_two_hours() {
    let world = start(&Double::new(), |o| o.head_budget = 1 << 20);
    let due = || world.db.0.shared.flush_is_due().unwrap();
    assert!(!due());
    let a = fill(&world.db, "n=a", [0]);
    assert!(!due());
    commit(&world.db, &[(a, 2 * HOUR - 1, 1.0)]);
    assert!(!due());
    commit(&world.db, &[(a, 2 * HOUR, 1.0)]);
    assert!(due());
    world.db.flush().unwrap();
    assert!(!due());
    let series: Vec<_> = (0..100)
        .map(|i| resolve(&world.db, &format!("i={i}")))
        .collect();
    let mut t = 2 * HOUR;
    while !due() {
        t += 1;
        let all: Vec<_> = series.iter().map(|s| (*s, t, 1.0 / t as f64)).collect();
        commit(&world.db, &all);
        assert!(t < 3 * HOUR);
    }
    assert!((500..2_000).contains(&(t - 2 * HOUR)), "{t}");
    // The thread sees to it.
    world.db.look();
    assert!(!due());
}

#[test]
fn ended_series_go_when_nothing_depends_on_them() {
    let world = World::new();
    let ended = fill(&world.db, "n=ended", [0]);
    let live = fill(&world.db, "n=live", [MINUTE]);
    world.db.flush().unwrap();
    world.db.collect_garbage().unwrap();
    assert!(world.db.has_series(ended).unwrap());
    commit(&world.db, &[(live, HOUR, 1.0)]);
    world.db.collect_garbage().unwrap();
    assert!(
        world.db.has_series(ended).unwrap(),
        "its last time is taken"
    );
    commit(&world.db, &[(live, HOUR + 1, 1.0)]);
    world.db.collect_garbage().unwrap();
    assert!(!world.db.has_series(ended).unwrap());
    assert_eq!(commit(&world.db, &[(ended, HOUR, 1.0)]).gone, [0]);
    assert_ne!(resolve(&world.db, "n=ended"), ended);
    assert_eq!(world.all().len(), 2, "it is in a block");
}

#[test]
fn retention_by_time_and_by_size() {
    let world = start(&Double::new(), |o| {
        o.retention.time = Duration::from_secs(6 * 3600);
    });
    let blocks = || world.db.head().blocks().unwrap().len();
    let a = fill(&world.db, "n=a", [0, HOUR]);
    world.db.flush().unwrap();
    commit(&world.db, &[(a, 4 * HOUR, 0.0), (a, 7 * HOUR, 0.0)]);
    world.db.flush().unwrap();
    assert_eq!(blocks(), 2, "its newest is at the limit");
    let view = world.db.querier(0, HOUR).unwrap();
    let before = read(&*view, &[]);
    commit(&world.db, &[(a, 7 * HOUR + 1, 0.0)]);
    world.db.flush().unwrap();
    assert_eq!(blocks(), 2);
    let metrics = &world.db.0.shared.store.as_ref().unwrap().metrics;
    assert_eq!(metrics.time_retentions.get(), 1.0);
    assert_eq!(read(&*view, &[]), before, "who has it reads on");
    assert_eq!(world.killed().all().len(), 1);
    world.db.set_retention(of_bytes(1));
    commit(&world.db, &[(a, 7 * HOUR + 2, 0.0)]);
    world.db.flush().unwrap();
    assert_eq!(blocks(), 0);
    assert_eq!(metrics.size_retentions.get(), 1.0);
}

/// Makes a retention by size.
fn of_bytes(bytes: u64) -> Retention {
    Retention {
        bytes,
        ..Retention::default()
    }
}

#[test]
fn a_part_of_the_disk_wins_over_a_size() {
    let world = World::new();
    let store = world.db.0.shared.store.as_ref().unwrap();
    let check = |bytes, percentage, limit: Option<u64>, shown: &str| {
        let retention = Retention {
            time: Duration::from_secs(86_400),
            bytes,
            percentage,
        };
        assert_eq!(retention.directory_limit(&*store.dir), limit, "{shown}");
        assert_eq!(retention.to_string(), shown);
    };
    check(0, 0.0, None, "1d");
    check(1 << 10, 0.0, Some(1 << 10), "1d or 1KiB");
    // The double's medium has 1 MiB.
    check(1 << 10, 50.0, Some(1 << 19), "1d or 1KiB or 50%");
    check(0, 12.5, Some(1 << 17), "1d or 12.5%");

    fill(&world.db, "n=a", [1]);
    world.db.flush().unwrap();
    for (percentage, kept) in [(99.0, 1), (0.001, 0)] {
        world.db.set_retention(Retention {
            percentage,
            ..Retention::default()
        });
        logged();
        world.db.0.shared.retain(store).unwrap();
        let blocks = world.db.head().blocks().unwrap().len();
        assert_eq!(blocks, kept, "{percentage}");
        let told = "blocks are beyond retention and were removed blocks=1 by=size";
        let lines = logged_from(log::Level::Info);
        let is_told = lines.iter().any(|line| line == told);
        assert_eq!(is_told, kept == 0, "{lines:?}");
    }
}

#[test]
fn damaged_blocks_go_to_quarantine() {
    let world = World::new();
    fill(&world.db, "n=a", [1]);
    world.db.flush().unwrap();
    fill(&world.db, "n=b", [2]);
    world.db.flush().unwrap();
    let disk = world.disk.copy();
    let dir = disk.dir();
    let first = dir.list("blocks").unwrap()[0].name.clone();
    disk.set_bytes(&format!("blocks/{first}"), b"nothing like a block");
    logged();
    let again = start(&disk, |_| {});
    let lines = logged();
    let (told, moved) = ("a damaged block: ", format!("moved_to=quarantine/{first}"));
    assert!(
        lines.len() == 1 && lines[0].starts_with(told) && lines[0].ends_with(&moved),
        "{lines:?}"
    );
    let metrics = &again.db.0.shared.store.as_ref().unwrap().metrics;
    assert_eq!(metrics.quarantined.get(), 1.0);
    assert_eq!(again.all(), expected(&[("b", &[2])]));
    assert_eq!(dir.list("quarantine").unwrap()[0].name, first);
    assert_eq!(again.killed().all(), again.all());
}

/// What could not be read is counted, so that nobody takes the rest for the whole.
#[test]
fn what_damage_in_the_log_costs_is_counted() {
    let world = World::new();
    for t in 1..100 {
        fill(&world.db, "n=a", [t * 1000]);
    }
    let whole = world.disk.copy();
    let path = format!("wal/{}", whole.dir().list("wal").unwrap()[0].name);
    let bytes = whole.bytes(&path).unwrap();
    let begin = |bytes: &[u8]| {
        let disk = whole.copy();
        disk.set_bytes(&path, bytes);
        logged();
        let world = start(&disk, |_| {});
        let lost = 99 - world.all()[0].1.split(' ').count() as u64;
        (world, lost, logged_from(log::Level::Info))
    };
    let is_told = |lines: &[String], told: &str| lines.iter().any(|line| line.starts_with(told));
    let mut damaged = bytes.clone();
    damaged[bytes.len() / 2] ^= 1;
    let (world, lost, lines) = begin(&damaged);
    let metrics = &world.db.0.shared.store.as_ref().unwrap().metrics;
    assert_eq!(metrics.wal_corruptions.get(), 1.0);
    assert_eq!(metrics.skipped_records.get(), 1.0);
    assert!(metrics.skipped_bytes.get() > 0.0);
    assert_eq!(metrics.unread_samples.get() + 1.0, lost as f64);
    let told = "the write-ahead log is damaged; the rest of it was read records=1";
    assert!(is_told(&lines, told), "{lines:?}");

    let (world, lost, lines) = begin(&bytes[..bytes.len() - 1]);
    let metrics = &world.db.0.shared.store.as_ref().unwrap().metrics;
    assert_eq!((lost, metrics.wal_corruptions.get()), (1, 0.0));
    assert!(metrics.torn_bytes.get() > 0.0);
    let told = "the write-ahead log ends in the middle of a record";
    assert!(is_told(&lines, told), "{lines:?}");
}

/// A reader may come too late for what the disk has no room to keep.
#[test]
fn segments_that_a_reader_still_wanted_are_counted() {
    logged();
    let world = start(&Double::new(), |o| o.wal_held_bytes = 0);
    fill(&world.db, "n=a", [1]);
    let store = world.db.0.shared.store.as_ref().unwrap();
    let _reader = store.segments.hold("reader", store.segments.durable());
    world.db.flush().unwrap();
    assert_eq!(store.metrics.dropped_segments.get(), 1.0);
    logged_by_any(&[
        "segments of the log that a reader has not read yet had to go segments=1",
        "limit_bytes=0",
    ]);
}

/// A medium that rots while the process runs: each page is counted once.
#[test]
fn queries_go_without_what_rots() {
    let world = World::new();
    fill(&world.db, "n=a", [1]);
    world.db.flush().unwrap();
    fill(&world.db, "n=b", [2]);
    // The new process has no page of it in memory.
    let world = world.killed();
    let name = world.disk.dir().list("blocks").unwrap()[0].name.clone();
    world.disk.rot(&format!("blocks/{name}"));
    logged();
    assert_eq!(world.all(), expected(&[("b", &[2])]));
    let store = world.db.0.shared.store.as_ref().unwrap();
    let lines = logged();
    assert_eq!(lines.len() as u64, store.cache.damaged_pages(), "{lines:?}");
    assert!(lines[0].contains(": damaged series at byte "), "{lines:?}");
    assert_eq!(world.all(), expected(&[("b", &[2])]));
    assert_eq!(logged(), Vec::<String>::new());
}

#[test]
fn a_block_that_cannot_be_opened_is_counted_and_stays() {
    let world = World::new();
    fill(&world.db, "n=a", [1]);
    world.db.flush().unwrap();
    let disk = world.disk.copy();
    let path = BlockId(7).path();
    disk.dir().create_dir(&path).unwrap();
    logged();
    let world = start(&disk, |_| {});
    let metrics = &world.db.0.shared.store.as_ref().unwrap().metrics;
    assert_eq!(metrics.reload_failures.get(), 1.0);
    let lines = logged();
    let told = "a block is left out: ";
    assert!(lines.len() == 1 && lines[0].starts_with(told), "{lines:?}");
    assert_eq!(world.all(), expected(&[("a", &[1])]));
    assert!(disk.dir().list(&path).unwrap().is_empty(), "it is there");
}

/// A damaged segment is kept once the head is a block; one of another version stays where it is.
#[test]
fn segments_that_could_not_be_read_are_kept() {
    let mut unknown = [0; 40];
    unknown[..9].copy_from_slice(b"FERULWAL\x09");
    let check = crc32c::crc32c(&unknown[..36]);
    unknown[36..].copy_from_slice(&check.to_le_bytes());
    for (header, kept_in) in [([1; 40], "quarantine"), (unknown, "wal")] {
        let world = World::new();
        fill(&world.db, "n=a", [1]);
        let disk = world.disk.copy();
        let dir = disk.dir();
        let name = dir.list("wal").unwrap()[0].name.clone();
        let path = format!("wal/{name}");
        let mut bytes = disk.bytes(&path).unwrap();
        bytes[..40].copy_from_slice(&header);
        disk.set_bytes(&path, &bytes);
        logged();
        let again = start(&disk, |_| {});
        let lines = logged();
        assert_eq!(disk.bytes(&path).as_ref(), Some(&bytes));
        let metrics = &again.db.0.shared.store.as_ref().unwrap().metrics;
        let is_unknown = kept_in == "wal";
        let unknown = if is_unknown { 1.0 } else { 0.0 };
        assert_eq!(metrics.unknown_segments.get(), unknown);
        let told = "segments of the write-ahead log have an unknown version and were left alone";
        let is_told = lines.iter().any(|line| line.starts_with(told));
        assert_eq!(is_told, is_unknown, "{lines:?}");
        fill(&again.db, "n=b", [2]);
        for _ in 0..2 {
            again.db.flush().unwrap();
            let kept = disk.bytes(&format!("{kept_in}/{name}"));
            assert_eq!(kept.as_ref(), Some(&bytes), "{kept_in}");
        }
        let all = again.all();
        assert_eq!(again.killed().all(), all);
    }
}

#[test]
fn leftovers_and_foreign_directories() {
    let disk = Double::new();
    disk.dir().create_dir("blocks").unwrap();
    let leftovers = [
        "blocks/0000000000000001.tmp",
        "blocks/0000000000000002.tomb",
    ];
    for path in leftovers {
        disk.set_bytes(path, b"half");
    }
    let world = start(&disk, |_| {});
    for path in leftovers {
        assert!(world.disk.bytes(path).is_none(), "{path}");
    }
    for path in [
        "chunks_head/000001",
        "wal/00000000",
        "01BKGV7JBM69T2G1BGBGM6KB12/meta.json",
    ] {
        let disk = Double::new();
        disk.dir()
            .create_dir(path.split_once('/').unwrap().0)
            .unwrap();
        disk.set_bytes(path, b"{}");
        let operations = disk.operations();
        let options = Options::new(
            Place::Dir(disk.dir()),
            Arc::new(ManualClock::new(NOW)),
            Registry::new(),
        );
        let error = Db::open(options).unwrap_err().to_string();
        assert!(error.contains("ferula tsdb import"), "{error}");
        assert_eq!(disk.operations(), operations, "untouched");
    }
}

#[test]
fn a_lock_keeps_two_apart() {
    let temp = tempfile::tempdir().unwrap();
    let open = |lock| {
        let path = temp.path().to_owned();
        let clock = Arc::new(ManualClock::new(NOW));
        Db::open(Options::new(
            Place::Path { path, lock },
            clock,
            Registry::new(),
        ))
    };
    let first = open(true).unwrap();
    let error = open(true).unwrap_err().to_string();
    assert!(error.contains(&std::process::id().to_string()), "{error}");
    drop(open(false).unwrap());
    fill(&first, "n=a", [1]);
    drop(first);
    let again = open(true).unwrap();
    assert_eq!(read(&*again.querier(0, 9).unwrap(), &[]).len(), 1);
    let hints = SelectHints::default();
    assert!(
        again
            .querier(2, 9)
            .unwrap()
            .select(&hints, &[])
            .unwrap()
            .next()
            .is_none()
    );
}

#[test]
fn a_selection_is_no_wider_than_its_hints() {
    let world = World::new();
    let times = |hour: i64| (0..240).map(move |i| hour * HOUR + i * 15_000);
    fill(&world.db, "n=gone", times(0));
    for hour in [0, 1] {
        fill(&world.db, "n=a", times(hour));
        world.db.flush().unwrap();
    }
    fill(&world.db, "n=a", times(2));
    fill(&world.db, "n=new", times(2));
    let view = world.db.querier(ALL.0, ALL.1).unwrap();
    for (start, end, series) in [
        (0, HOUR - 1, 2),
        (HOUR / 2, HOUR / 2, 2),
        (HOUR, 2 * HOUR - 1, 1),
        (HOUR / 2, 2 * HOUR, 3),
        (2 * HOUR, i64::MAX, 2),
        (3 * HOUR, i64::MAX, 0),
    ] {
        let own = world.db.querier(start, end).unwrap();
        for any_order in [false, true] {
            let hints = SelectHints {
                start,
                end,
                any_order,
                ..SelectHints::default()
            };
            let mut found = read_hinted(&*view, &hints, &[]);
            found.sort();
            assert_eq!(found, read(&*own, &[]), "{start} {end}");
            assert_eq!(found.len(), series, "{start} {end}");
        }
    }
}

#[test]
fn late_samples_are_merged() {
    let disk = Double::new();
    let open = |disk: &Double| start(disk, |o| o.out_of_order_window = Duration::from_secs(600));
    let world = open(&disk);
    let a = fill(&world.db, "n=a", [1_000_000, 1_000_010]);
    let before = world.db.querier(ALL.0, ALL.1).unwrap();
    let late = |t: i64| commit(&world.db, &[(a, t, t as f64)]);
    assert_eq!(late(1_000_005).appended, 1);
    assert_eq!(late(1_000_005).appended, 1, "the same again");
    assert_eq!(commit(&world.db, &[(a, 1_000_005, 0.0)]).duplicate, 1);
    assert_eq!(late(400_010).appended, 1);
    assert_eq!(late(400_009).too_old, 1);
    let metrics = &world.db.head().metrics;
    assert_eq!(
        (metrics.too_old.get(), metrics.out_of_bound.get()),
        (1.0, 0.0)
    );
    fill(&world.db, "n=b", [500_000]);
    let all = expected(&[
        ("a", &[400_010, 1_000_000, 1_000_005, 1_000_010]),
        ("b", &[500_000]),
    ]);
    assert_eq!(
        read(&*before, &[]),
        expected(&[("a", &[1_000_000, 1_000_010])])
    );
    drop(before);
    assert_eq!(world.all(), all);
    assert_eq!(open(&disk.copy()).all(), all);
    world.db.flush().unwrap();
    assert_eq!(world.all(), all);
    assert_eq!(world.db.0.shared.head.used_bytes().unwrap().0, 0);
    assert_eq!(late(1_000_007).appended, 1);
    world.db.flush().unwrap();
    let all = expected(&[
        ("a", &[400_010, 1_000_000, 1_000_005, 1_000_007, 1_000_010]),
        ("b", &[500_000]),
    ]);
    assert_eq!(world.all(), all);
    assert_eq!(open(&disk.copy()).all(), all);
    world.db.set_out_of_order_window(Duration::ZERO);
    assert_eq!(late(1_000_006).out_of_order, 1);
    assert_eq!(late(1_000_010 - HOUR - 1).too_old, 1);
    let metrics = &world.db.head().metrics;
    assert_eq!(
        (metrics.too_old.get(), metrics.out_of_bound.get()),
        (1.0, 1.0)
    );
}

/// Nothing ticks: the thread sleeps until a commit makes work for it, or until the next minute.
#[test]
fn a_commit_that_makes_work_wakes_the_thread() {
    let world = start(&Double::new(), |o| o.head_budget = 300 << 10);
    world.mute(false);
    let metrics = &world.db.0.shared.store.as_ref().unwrap().metrics;
    let all: Vec<_> = (0..100)
        .map(|i| resolve(&world.db, &format!("n={i}")))
        .collect();
    let (series, mut t) = (all[0], 0);
    eventually("the head became a block", || {
        t += 1;
        let noise = |(i, of): (usize, &SeriesRef)| (*of, t, ((t + i as i64) as f64 * 0.7).sin());
        commit(
            &world.db,
            &all.iter().enumerate().map(noise).collect::<Vec<_>>(),
        );
        metrics.truncations.get() > 0.0
    });
    // All is durable and at rest: the next write is durable after the interval again.
    let store = world.db.0.shared.store.as_ref().unwrap();
    let is_durable = || store.segments.durable() == store.segments.position();
    for _ in 0..2 {
        commit(&world.db, &[(series, t + 1, 1.0)]);
        t += 1;
        assert!(!is_durable());
        eventually("it is durable", || {
            world.clock.advance(Duration::from_secs(1));
            is_durable()
        });
        world.clock.advance(Duration::from_secs(61));
        world.db.look();
    }
}

#[test]
fn a_full_disk_is_a_state() {
    let world = World::new();
    let a = fill(&world.db, "n=a", [1]);
    world.disk.set_free(Some(0));
    commit(&world.db, &[(a, 2, 2.0)]);
    fill(&world.db, "n=b", [3]);
    let all = expected(&[("a", &[1, 2]), ("b", &[3])]);
    assert_eq!(world.all(), all, "it is in memory");
    assert_eq!(world.killed().all(), expected(&[("a", &[1])]));
    world.disk.set_free(None);
    world.db.look();
    let store = world.db.0.shared.store.as_ref().unwrap();
    assert!(!store.log.waits().unwrap());
    assert_eq!(world.killed().all(), all);
}

/// They were logged after the block from which they had been deleted.
#[test]
fn deleted_samples_that_waited_for_the_disk_are_gone_too() {
    let world = World::new();
    let a = fill(&world.db, "n=a", [1]);
    world.disk.set_free(Some(0));
    commit(&world.db, &[(a, 2, 2.0), (a, 3, 3.0)]);
    world.disk.set_free(None);
    world.db.delete(&[], 2, 2).unwrap();
    let store = world.db.0.shared.store.as_ref().unwrap();
    store.catch_up().unwrap();
    let all = expected(&[("a", &[1, 3])]);
    assert_eq!(world.all(), all);
    assert_eq!(world.killed().all(), all);
}

#[test]
fn deleted_samples_are_gone_for_good() {
    let world = World::new();
    let a = fill(&world.db, "n=a", [1, 2, 3]);
    fill(&world.db, "n=b", [1, 2, 3]);
    world.db.flush().unwrap();
    commit(&world.db, &[(a, 4, 4.0), (a, 5, 5.0)]);
    world.db.delete(&[Matcher::equal("n", "a")], 2, 4).unwrap();
    let all = expected(&[("a", &[1, 5]), ("b", &[1, 2, 3])]);
    assert_eq!(world.all(), all);
    assert_eq!(world.killed().all(), all);
    commit(&world.db, &[(a, 6, 6.0)]);
    assert_eq!(world.all()[0].1, "1=1 5=5 6=6");
}
