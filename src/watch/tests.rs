//! Tests on real files of what rings the bell.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::metrics::Registry;
use crate::stdx::clock::{ManualClock, RealClock};
use crate::stdx::testing::DEADLINE;

const HOUR: Duration = Duration::from_secs(3_600);

/// A subscription whose bell only the kernel's hints ring, and its files' last fingerprint.
struct Probe {
    root: PathBuf,
    path: PathBuf,
    watched: Watched,
    last: Fingerprint,
    _watcher: Handle,
    _temp: tempfile::TempDir,
}

fn probe(path: &str, prepare: impl FnOnce(&Path)) -> Probe {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().to_owned();
    prepare(&root);
    let watcher = Handle::start(Arc::new(RealClock::new()), &Registry::new()).unwrap();
    assert!(!watcher.is_polling());
    let path = root.join(path);
    let watched = watcher.subscribe(Subscription {
        paths: vec![path.clone()],
        rescan: HOUR,
        settle: Duration::from_millis(20),
    });
    watched.bell().recv_timeout(DEADLINE).unwrap();
    Probe {
        last: fingerprint(&[&path]),
        root,
        path,
        watched,
        _watcher: watcher,
        _temp: temp,
    }
}

impl Probe {
    /// Checks that the bell rings until the change that `act` makes has been seen.
    fn sees(&mut self, what: &str, act: impl FnOnce(&Path)) {
        act(&self.root);
        loop {
            let now = fingerprint(&[&self.path]);
            if now != self.last {
                // NOTE: the bell has rung for it, or will ring.
                self.watched.bell().recv_timeout(DEADLINE).expect(what);
                self.last = now;
                return self.settle();
            }
            self.watched.bell().recv_timeout(DEADLINE).expect(what);
        }
    }

    /// Waits for the other bells of the same change, so that the next change is not confused with
    /// them.
    fn settle(&self) {
        while self
            .watched
            .bell()
            .recv_timeout(Duration::from_millis(100))
            .is_ok()
        {}
    }
}

fn write(path: PathBuf, text: &str) {
    fs::write(path, text).unwrap();
}

#[test]
fn a_file_replaced_by_rename_goes_on_being_watched() {
    let mut probe = probe("f.yml", |d| write(d.join("f.yml"), "1"));
    for round in 0..3 {
        probe.sees("rename", |d| {
            write(d.join("new"), &format!("renamed {round}"));
            fs::rename(d.join("new"), d.join("f.yml")).unwrap();
        });
        probe.sees("write", |d| {
            write(d.join("f.yml"), &format!("written {round}"));
        });
    }
    probe.sees("removal", |d| fs::remove_file(d.join("f.yml")).unwrap());
    probe.sees("creation", |d| write(d.join("f.yml"), "again"));
}

#[test]
fn a_directory_may_be_swapped_by_a_link() {
    let mut probe = probe("f.yml", |d| {
        fs::create_dir(d.join("..1")).unwrap();
        write(d.join("..1/f.yml"), "1");
        symlink("..1", d.join("..data")).unwrap();
        symlink("..data/f.yml", d.join("f.yml")).unwrap();
    });
    for round in 2..5 {
        probe.sees("swap", |d| {
            let dir = format!("..{round}");
            fs::create_dir(d.join(&dir)).unwrap();
            write(d.join(&dir).join("f.yml"), &dir);
            symlink(&dir, d.join("..tmp")).unwrap();
            fs::rename(d.join("..tmp"), d.join("..data")).unwrap();
            fs::remove_dir_all(d.join(format!("..{}", round - 1))).unwrap();
        });
        probe.sees("write behind the links", |d| {
            write(d.join("..data/f.yml"), &format!("in place {round}"));
        });
    }
}

#[test]
fn a_directory_may_go_and_come_back() {
    let mut probe = probe("dir/*.yml", |d| {
        fs::create_dir(d.join("dir")).unwrap();
        write(d.join("dir/f.yml"), "1");
    });
    for round in 0..3 {
        probe.sees("removal", |d| fs::remove_dir_all(d.join("dir")).unwrap());
        probe.sees("return", |d| {
            fs::create_dir(d.join("dir")).unwrap();
            write(d.join("dir/f.yml"), &format!("{round}"));
        });
        probe.sees("write", |d| write(d.join("dir/g.yml"), "2"));
        probe.sees("moved away, another in place", |d| {
            fs::rename(d.join("dir"), d.join(format!("old{round}"))).unwrap();
            fs::create_dir(d.join("dir")).unwrap();
            write(d.join("dir/f.yml"), "another");
        });
        probe.sees("write there", |d| write(d.join("dir/g.yml"), "3"));
    }
}

#[test]
fn a_missing_directory_may_appear() {
    let mut probe = probe("a/b/f.yml", |_| {});
    probe.sees("appearance", |d| {
        fs::create_dir_all(d.join("a/b")).unwrap();
        write(d.join("a/b/f.yml"), "1");
    });
    probe.sees("write", |d| write(d.join("a/b/f.yml"), "2"));
}

#[test]
fn neither_other_files_nor_our_own_reading_rings() {
    let mut probe = probe("f.yml", |d| write(d.join("f.yml"), "1"));
    write(probe.root.join("other.yml"), "1");
    fs::read(&probe.path).unwrap();
    let rang = probe
        .watched
        .bell()
        .recv_timeout(Duration::from_millis(100));
    assert!(rang.is_err(), "rang for nothing");
    probe.sees("write", |d| write(d.join("f.yml"), "2"));
}

#[test]
fn other_paths_may_be_set() {
    let mut probe = probe("f.yml", |d| write(d.join("f.yml"), "1"));
    probe.path = probe.root.join("g.yml");
    probe.watched.set_paths(vec![probe.path.clone()]);
    probe.watched.bell().recv_timeout(DEADLINE).unwrap();
    probe.last = fingerprint(&[&probe.path]);
    probe.sees("write", |d| write(d.join("g.yml"), "2"));
}

#[test]
fn directories_are_watched_as_long_as_anyone_wants_them() {
    let temp = tempfile::tempdir().unwrap();
    let registry = Registry::new();
    let directories = registry.gauge("ferula_watch_directories", "");
    let watcher = Handle::start(Arc::new(RealClock::new()), &registry).unwrap();
    let subscribe = |name: &str| {
        let watched = watcher.subscribe(Subscription::new(vec![temp.path().join(name)]));
        watched.bell().recv_timeout(DEADLINE).unwrap();
        watched
    };
    let (one, two) = (subscribe("1.yml"), subscribe("2.yml"));
    assert_eq!(directories.get(), 1.0);
    drop(one);
    let three = subscribe("3.yml");
    assert_eq!(directories.get(), 1.0);
    drop((two, three));
    // NOTE: commands are obeyed in order, so the answer to this one shows the others' effect.
    let _four = subscribe("none/4.yml");
    fs::create_dir(temp.path().join("none")).unwrap();
    let _five = subscribe("none/5.yml");
    assert_eq!(directories.get(), 2.0);
}

#[test]
fn rescans_ring_by_the_clock() {
    let clock = ManualClock::new(0);
    let watcher = Handle::start(Arc::new(clock.clone()), &Registry::new()).unwrap();
    let mut subscription = Subscription::new(vec![PathBuf::from("/nonexistent/f.yml")]);
    subscription.rescan = Duration::from_secs(60);
    let watched = watcher.subscribe(subscription);
    for _ in 0..3 {
        watched.bell().recv_timeout(DEADLINE).unwrap();
        clock.advance(Duration::from_secs(59));
        assert!(watched.bell().is_empty());
        clock.advance(Duration::from_secs(1));
    }
    watched.bell().recv_timeout(DEADLINE).unwrap();
}

#[test]
fn a_change_rings_after_the_settle_time_of_the_clock() {
    let temp = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(0);
    let watcher = Handle::start(Arc::new(clock.clone()), &Registry::new()).unwrap();
    let watched = watcher.subscribe(Subscription::new(vec![temp.path().join("f.yml")]));
    watched.bell().recv_timeout(DEADLINE).unwrap();
    write(temp.path().join("f.yml"), "1");
    // The clock stands, so no bell rings, however long the hints have been there. Each step may be
    // the first that the thread sees after them.
    let mut steps = 0;
    while watched
        .bell()
        .recv_timeout(Duration::from_millis(20))
        .is_err()
    {
        clock.advance(Duration::from_millis(100));
        steps += 1;
        assert!(steps < 2_000, "no bell");
    }
    assert!(steps >= 3, "rang after {steps} steps of 100 ms");
}

#[test]
fn a_watcher_that_is_gone_leaves_its_bells_silent() {
    let watcher = Handle::start(Arc::new(RealClock::new()), &Registry::new()).unwrap();
    let watched = watcher.subscribe(Subscription::new(Vec::new()));
    watched.bell().recv_timeout(DEADLINE).unwrap();
    drop(watcher);
    let nothing = watched.bell().try_recv();
    assert_eq!(nothing, Err(crossbeam_channel::TryRecvError::Empty));
}

#[test]
fn without_the_kernels_help_there_are_rescans() {
    let clock = ManualClock::new(0);
    let none = |_: &_, _, _: &_| None;
    let watcher = Handle::start_with(Arc::new(clock.clone()), &Registry::new(), none).unwrap();
    assert!(watcher.is_polling());
    let temp = tempfile::tempdir().unwrap();
    let watched = watcher.subscribe(Subscription::new(vec![temp.path().join("f.yml")]));
    watched.bell().recv_timeout(DEADLINE).unwrap();
    write(temp.path().join("f.yml"), "1");
    clock.advance(Duration::from_secs(299));
    assert!(watched.bell().is_empty());
    clock.advance(Duration::from_secs(1));
    watched.bell().recv_timeout(DEADLINE).unwrap();
}
