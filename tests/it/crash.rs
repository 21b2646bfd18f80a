//! The storage after unplanned ends, and on other programs' directories.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant, SystemTime};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::sender::{FLUSHES, QUARANTINED, RECEIVE, SMALL_BUDGET, Sender, range};
use crate::support::{DEADLINE, Exporter, Ferula, eventually, run_to_end, scraping};

/// The same numbers in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn pause(&mut self, from_ms: u64, to_ms: u64) -> Duration {
        let us = from_ms * 1000 + self.below((to_ms - from_ms) * 1000);
        Duration::from_micros(us)
    }
}

/// Ten, or as many as `FERULA_KILL_ROUNDS` says: `make soak` has 200.
fn rounds() -> u64 {
    let given = std::env::var("FERULA_KILL_ROUNDS").ok();
    given.map_or(10, |rounds| rounds.parse().unwrap())
}

/// Flushes come a second after the start. One in so many rounds lasts until then.
const LONG_EVERY: u64 = 5;

#[test]
fn kills_at_any_moment_lose_nothing_that_was_answered() {
    let target = Exporter::page("scraped 1\n");
    let quiet = "global: {}\n".to_owned();
    let scraping = scraping(&target, "100ms");
    let plain: &[&str] = &[RECEIVE];
    let small: &[&str] = &[RECEIVE, SMALL_BUDGET];
    std::thread::scope(|scope| {
        scope.spawn(|| kill_again_and_again(1, &quiet, plain));
        scope.spawn(|| kill_again_and_again(2, &quiet, small));
        scope.spawn(|| kill_again_and_again(3, &scraping, plain));
        scope.spawn(|| kill_again_and_again(4, &scraping, small));
    });
}

fn kill_again_and_again(seed: u64, config: &str, arguments: &[&str]) {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ seed);
    let mut sender = Sender::new();
    let is_small = arguments.contains(&SMALL_BUDGET);
    let mut ferula = Ferula::start_with(config, arguments);
    let rounds = rounds();
    for round in 0..rounds {
        let (life, gap) = if round % LONG_EVERY == 0 {
            (dice.pause(930, 1080), Duration::from_millis(25))
        } else {
            (dice.pause(0, 60), Duration::from_millis(dice.below(4)))
        };
        let blocks = ferula.path("data/blocks");
        let at_flush = is_small && round % (2 * LONG_EVERY) == 0;
        send_until_killed(&mut ferula, &mut sender, gap, || {
            if at_flush {
                wait_for_a_change(&blocks);
            }
            let after_change = Duration::from_micros(life.as_micros() as u64 % 4000);
            // NOTE: this sets the moment of the kill, and waits for nothing.
            std::thread::sleep(if at_flush { after_change } else { life });
        });
        if round % 4 == 1 {
            ferula.launch_again(arguments);
            std::thread::sleep(dice.pause(0, 40));
            ferula.kill();
        }
        ferula.start_again(arguments);
        sender.check(&ferula, &format!("seed {seed}, round {round}"));
        if config.contains("scrape") {
            check_times(&range(&ferula, "scraped", sender.next_t + 3_000_000));
        }
        assert_eq!(ferula.metric(QUARANTINED), Some(0.0));
    }
    assert!(sender.acked.len() as u64 > rounds * 6, "hardly anything");
    if is_small {
        sender.send_all(&ferula, 1);
        eventually("a flush", || ferula.metric(FLUSHES).filter(|n| *n > 0.0));
        ferula.kill();
        ferula.start_again(arguments);
        sender.check(&ferula, &format!("seed {seed}, the end"));
    }
}

fn send_until_killed(ferula: &mut Ferula, sender: &mut Sender, gap: Duration, wait: impl FnOnce()) {
    let (address, killed) = (ferula.address, AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !killed.load(SeqCst) && sender.send(address) {
                std::thread::sleep(gap);
            }
        });
        wait();
        ferula.kill();
        killed.store(true, SeqCst);
    });
    if ferula.log_text().contains("the disk stands still") {
        sender.doubt();
    }
}

/// Returns at once when a file in the directory comes or goes, or the wait fails. A panic here
/// would leave the sender without an end, and the last flush is waited for anyway.
#[expect(clippy::disallowed_methods, reason = "a deadline for a real process")]
fn wait_for_a_change(dir: &Path) {
    let names = || -> BTreeSet<_> {
        let files = fs::read_dir(dir).unwrap();
        files.map(|file| file.unwrap().file_name()).collect()
    };
    let before = names();
    let began = Instant::now();
    while names() == before && began.elapsed() < DEADLINE {
        std::thread::sleep(Duration::from_micros(100));
    }
}

fn check_times(result: &Value) {
    for series in result.as_array().unwrap() {
        let times = series["values"].as_array().unwrap().iter();
        let times: Vec<f64> = times.map(|p| p[0].as_f64().unwrap()).collect();
        let in_order = times.is_sorted_by(|a, b| a < b);
        assert!(in_order, "a scrape twice: {times:?}");
    }
}

#[test]
fn two_processes_do_not_share_a_directory() {
    let mut ferula = Ferula::start("global: {}\n");
    let refused = || run_to_end(ferula.dir.path(), &["--web.listen-address=127.0.0.1:0"]);
    for _ in 0..2 {
        let second = refused();
        assert_eq!(second.code(), 1, "{}", second.stderr);
        for piece in [
            "in use by another process",
            &format!("(pid {})", ferula.pid()),
        ] {
            assert!(second.stderr.contains(piece), "{}", second.stderr);
        }
    }
    let clean_start = "prometheus_tsdb_clean_start";
    let lock = ferula.path("data/lock");
    // The first one is not disturbed. What a killed one leaves does not matter, whoever it names.
    assert_eq!(ferula.get("/-/healthy").status, 200);
    let own = std::process::id().to_string();
    for stale in [None, Some("1\n"), Some(own.as_str()), Some("no number")] {
        ferula.kill();
        if let Some(text) = stale {
            fs::write(&lock, text).unwrap();
        }
        ferula.start_again(&[]);
        let clean = if stale == Some("no number") { 1.0 } else { 0.0 };
        assert_eq!(ferula.metric(clean_start), Some(clean), "{stale:?}");
    }
    ferula.signal(Signal::TERM);
    eventually("an empty lock", || {
        fs::read(&lock).unwrap().is_empty().then_some(())
    });
    ferula.kill();
    ferula.start_again(&[]);
    assert_eq!(ferula.metric(clean_start), Some(1.0));
}

#[test]
fn a_directory_of_prometheus_is_refused_untouched() {
    let block = "01HZXK5W3T9Q8R7P6N5M4K3J2H";
    let meta = format!("{block}/meta.json");
    let text = json!({"ulid": block, "minTime": 0, "maxTime": 7_200_000, "version": 1}).to_string();
    let index = format!("{block}/index");
    let all = [
        (meta.as_str(), text.as_str()),
        (&index, "index"),
        ("chunks_head/000001", "chunks"),
        ("wal/00000000", "wal"),
        ("lock", ""),
        ("queries.active", "[]"),
    ];
    refused_untouched(&all);
    refused_untouched(&all[..2]);
    refused_untouched(&all[2..3]);
    refused_untouched(&all[3..4]);
}

#[track_caller]
fn refused_untouched(files: &[(&str, &str)]) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("prometheus.yml"), "global: {}\n").unwrap();
    let data = dir.path().join("prom");
    for (name, text) in files {
        let path = data.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let before = tree(&data);
    let arguments = [
        "--web.listen-address=127.0.0.1:0",
        "--storage.tsdb.path=prom",
    ];
    let end = run_to_end(dir.path(), &arguments);
    assert_eq!(end.code(), 1, "{}", end.stderr);
    let advice = "`ferula tsdb import prom DIRECTORY`";
    assert!(end.stderr.contains(advice), "{}", end.stderr);
    assert_eq!(tree(&data), before);
}

/// Returns everything below, with its modification time and content.
fn tree(dir: &Path) -> BTreeMap<PathBuf, (SystemTime, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut left = vec![dir.to_owned()];
    while let Some(path) = left.pop() {
        let changed = fs::metadata(&path).unwrap().modified().unwrap();
        let text = fs::read(&path).unwrap_or_default();
        if path.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
        }
        found.insert(path, (changed, text));
    }
    found
}
