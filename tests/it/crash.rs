//! What storage makes of ends that nobody planned: kills at any moment, damaged files, directories
//! that are another's.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::remote_write::{HEADERS, post, series, snappy};
use crate::support::{Exporter, Ferula, eventually, run_to_end};

const RECEIVE: &str = "--web.enable-remote-write-receiver";
/// Every look of the flusher finds the budget spent.
const SMALL_BUDGET: &str = "--storage.head-budget=1B";

const WAL_CORRUPTIONS: &str = "prometheus_tsdb_wal_corruptions_total";
const QUARANTINED: &str = "ferula_tsdb_quarantined_files_total";
const FLUSHES: &str = "prometheus_tsdb_head_truncations_total";

/// Where each series `m{series=…}` has which values at which times.
type Points = BTreeMap<(String, i64), f64>;

/// Sends samples and remembers what became of them.
struct Sender {
    next_t: i64,
    acked: Points,
    /// Sent, without an answer.
    open: Points,
}

impl Sender {
    /// Near the present, so that scraped samples beside them are no bar.
    #[expect(
        clippy::disallowed_methods,
        reason = "scraped samples have the real time"
    )]
    fn new() -> Sender {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Sender {
            next_t: now.as_millis() as i64 - 1_800_000,
            acked: Points::new(),
            open: Points::new(),
        }
    }

    /// One request with two samples of three series each. False when there was no answer.
    fn send(&mut self, address: SocketAddr) -> bool {
        let (t, mut points, mut raw) = (self.next_t, Points::new(), Vec::new());
        self.next_t += 20;
        for name in ["a", "b", "c"] {
            // NOTE: no two are alike, so that a value at another's place is seen.
            let value = |t: i64| t as f64 * 0.1 + f64::from(name.as_bytes()[0]);
            let samples = [(t, value(t)), (t + 10, value(t + 10))];
            raw.extend(series(&[("__name__", "m"), ("series", name)], &samples));
            points.extend(samples.map(|(t, v)| ((name.to_owned(), t), v)));
        }
        let answer = post(address, HEADERS, &snappy(&raw));
        let fate = if answer.is_ok() {
            &mut self.acked
        } else {
            &mut self.open
        };
        fate.append(&mut points);
        if let Ok(reply) = &answer {
            assert_eq!((reply.status, reply.body.as_str()), (204, ""));
        }
        answer.is_ok()
    }

    fn send_all(&mut self, ferula: &Ferula, requests: usize) {
        for _ in 0..requests {
            assert!(self.send(ferula.address), "no answer");
        }
    }

    /// Everything that was answered is there once, and nothing that was never sent.
    #[track_caller]
    fn check(&mut self, ferula: &Ferula, what: &str) {
        let found = self.found(ferula);
        let log = || ferula.log_text();
        for (at, value) in &self.acked {
            let is = found.get(at);
            assert_eq!(
                is,
                Some(value),
                "{what}: lost or changed: {at:?}; {}",
                log()
            );
        }
        // What was not answered and is there once stays.
        for at in std::mem::take(&mut self.open).into_keys() {
            if let Some(&value) = found.get(&at) {
                self.acked.insert(at, value);
            }
        }
    }

    /// What is there; panics on what was never sent, and on a time that comes twice.
    #[track_caller]
    fn found(&self, ferula: &Ferula) -> Points {
        let mut found = Points::new();
        let mut result = range(ferula, "m", self.next_t);
        for of_series in result.as_array_mut().unwrap() {
            let name = of_series["metric"]["series"].as_str().unwrap();
            for point in of_series["values"].as_array().unwrap() {
                let t = (point[0].as_f64().unwrap() * 1e3).round() as i64;
                let value: f64 = point[1].as_str().unwrap().parse().unwrap();
                let at = (name.to_owned(), t);
                let sent = self.acked.get(&at).or_else(|| self.open.get(&at));
                assert_eq!(sent, Some(&value), "never sent so: {at:?}");
                assert_eq!(found.insert(at.clone(), value), None, "twice: {at:?}");
            }
        }
        found
    }
}

fn range(ferula: &Ferula, name: &str, until_ms: i64) -> Value {
    let time = until_ms as f64 / 1e3;
    let reply = ferula.get(&format!("/api/v1/query?query={name}[1h]&time={time}"));
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()["data"]["result"].clone()
}

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

const ROUNDS: u64 = 50;
/// Flushes come a second after the start: so often a round lasts until then.
const LONG_EVERY: u64 = 5;

#[test]
fn kills_at_any_moment_lose_nothing_that_was_answered() {
    let target = Exporter::page("scraped 1\n");
    let quiet = "global: {}\n".to_owned();
    let scraping = format!(
        "scrape_configs:\n- job_name: s\n  scrape_interval: 100ms\n  scrape_timeout: 100ms\n  \
         static_configs:\n  - targets: ['{}']\n",
        target.address
    );
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
    for round in 0..ROUNDS {
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
            // The moment of the kill, not a wait for anything.
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
    assert!(sender.acked.len() as u64 > ROUNDS * 6, "hardly anything");
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
}

/// Returns at once when a file in the directory comes or goes, or in vain: a panic here would leave
/// the sender without an end, and the last flush is waited for anyway.
fn wait_for_a_change(dir: &Path) {
    let names = || -> BTreeSet<_> {
        let files = fs::read_dir(dir).unwrap();
        files.map(|file| file.unwrap().file_name()).collect()
    };
    let before = names();
    // LIMIT: ten seconds at least.
    for _ in 0..100_000 {
        if names() != before {
            return;
        }
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
    // The first one is not disturbed, and what a killed one leaves is no bar, whoever it names.
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

/// Everything below, with when it was changed and what it says.
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

/// What is done to a file between a kill and a start.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Damage {
    /// At so many thousandths of its length.
    Flip(usize),
    Cut(usize),
}

impl Damage {
    fn hit(self, path: &Path, from: usize) {
        let mut bytes = fs::read(path).unwrap();
        let at = |part: usize| from + (bytes.len() - 1 - from) * part / 1000;
        match self {
            Damage::Flip(part) => {
                let at = at(part);
                bytes[at] ^= 0x55;
            }
            Damage::Cut(part) => bytes.truncate(at(part)),
        }
        fs::write(path, bytes).unwrap();
    }
}

#[test]
fn a_damaged_log_gives_what_remains() {
    use Damage::{Cut, Flip};
    // What a kill in the midst of the last write would leave too is no corruption.
    let cases = [
        (Flip(0), true),
        (Flip(100), true),
        (Flip(500), true),
        (Flip(1000), false),
        (Cut(0), false),
        (Cut(500), false),
        (Cut(999), false),
    ];
    for (damage, is_counted) in cases {
        let (mut ferula, mut sender) = (started(&[RECEIVE]), Sender::new());
        sender.send_all(&ferula, 20);
        let segment = newest(&ferula.path("data/wal"));
        let (whole, sound) = (fs::metadata(&segment).unwrap().len(), sender.acked.clone());
        sender.send_all(&ferula, 20);
        ferula.kill();
        damage.hit(&segment, whole as usize);
        ferula.start_again(&[RECEIVE]);
        let found = sender.found(&ferula);
        holds_all(&found, &sound, &format!("{damage:?}: before the damage"));
        assert!(found.len() < sender.acked.len(), "{damage:?}: no damage");
        let count = ferula.metric(WAL_CORRUPTIONS).unwrap();
        assert_eq!(count > 0.0, is_counted, "{damage:?}: {}", ferula.log_text());
        goes_on(&mut ferula, &mut sender, found, &[RECEIVE]);
    }
}

/// Every start begins a segment; the second of three is the damaged one.
#[test]
fn segments_beside_a_damaged_one_remain() {
    use Damage::{Cut, Flip};
    for damage in [Flip(0), Flip(300), Flip(1000), Cut(0), Cut(700)] {
        let (mut ferula, mut sender) = (started(&[RECEIVE]), Sender::new());
        let mut beside = Points::new();
        let mut damaged = PathBuf::new();
        for generation in 0..3 {
            let before = std::mem::take(&mut sender.acked);
            sender.send_all(&ferula, 5);
            if generation == 1 {
                damaged = newest(&ferula.path("data/wal"));
            } else {
                beside.extend(sender.acked.clone());
            }
            sender.acked.extend(before);
            ferula.kill();
            if generation < 2 {
                ferula.start_again(&[RECEIVE]);
            }
        }
        damage.hit(&damaged, 0);
        ferula.start_again(&[RECEIVE]);
        let found = sender.found(&ferula);
        holds_all(&found, &beside, &format!("{damage:?}: beside it"));
        let skipped = ferula.metric("ferula_tsdb_wal_skipped_records_total");
        if damage == Flip(0) {
            assert_eq!(
                found, sender.acked,
                "a header tells nothing that records need"
            );
        } else {
            assert!(skipped > Some(0.0), "{damage:?}: {}", ferula.log_text());
            let corruptions = ferula.metric(WAL_CORRUPTIONS);
            assert!(corruptions > Some(0.0), "{damage:?}: {}", ferula.log_text());
        }
        goes_on(&mut ferula, &mut sender, found, &[RECEIVE]);
    }
}

/// What a wound of a block costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cost {
    Nothing,
    /// Samples of the block; which, depends on the place.
    Part,
    /// All of it, and it goes to quarantine.
    Block,
}

#[test]
fn a_damaged_block_gives_what_remains() {
    use Damage::{Cut, Flip};
    let cases = [
        (Flip(0), Cost::Nothing),
        (Flip(100), Cost::Part),
        (Flip(300), Cost::Part),
        (Flip(500), Cost::Part),
        (Flip(700), Cost::Part),
        (Flip(1000), Cost::Nothing),
        (Cut(0), Cost::Block),
        (Cut(100), Cost::Block),
        (Cut(999), Cost::Nothing),
    ];
    for (damage, cost) in cases {
        let (mut ferula, mut sender) = (started(&[RECEIVE, SMALL_BUDGET]), Sender::new());
        sender.send_all(&ferula, 20);
        eventually("a block", || ferula.metric(FLUSHES).filter(|n| *n > 0.0));
        ferula.kill();
        let block = newest(&ferula.path("data/blocks"));
        ferula.start_again(&[RECEIVE]);
        let in_block = std::mem::take(&mut sender.acked);
        sender.send_all(&ferula, 5);
        ferula.kill();
        let in_log = sender.acked.clone();
        sender.acked.extend(in_block);
        damage.hit(&block, 0);
        ferula.start_again(&[RECEIVE]);
        let found = sender.found(&ferula);
        holds_all(&found, &in_log, &format!("{damage:?}: in the log"));
        if cost == Cost::Nothing {
            holds_all(&found, &sender.acked, &format!("{damage:?}"));
        }
        let is_gone = cost == Cost::Block;
        let quarantined = f64::from(u8::from(is_gone));
        assert_eq!(ferula.metric(QUARANTINED), Some(quarantined), "{damage:?}");
        let name = block.file_name().unwrap();
        let moved = ferula.path("data/quarantine").join(name);
        let places = (moved.exists(), block.exists());
        assert_eq!(places, (is_gone, !is_gone), "{damage:?}");
        goes_on(&mut ferula, &mut sender, found, &[RECEIVE]);
    }
}

#[track_caller]
fn holds_all(found: &Points, wanted: &Points, what: &str) {
    let missing = wanted.iter().find(|(at, v)| found.get(at) != Some(v));
    assert_eq!(missing, None, "{what}");
}

fn started(arguments: &[&str]) -> Ferula {
    Ferula::start_with("global: {}\n", arguments)
}

/// After damage, what was found and what comes next lasts.
#[track_caller]
fn goes_on(ferula: &mut Ferula, sender: &mut Sender, found: Points, arguments: &[&str]) {
    sender.acked = found;
    sender.send_all(ferula, 3);
    sender.check(ferula, "after damage");
    ferula.kill();
    ferula.start_again(arguments);
    sender.check(ferula, "after damage and a kill");
}

/// The last by name of those that are finished.
fn newest(dir: &Path) -> PathBuf {
    let files = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    let finished = files.filter(|path| path.extension().is_some_and(|e| e != "tmp"));
    finished.max().unwrap()
}
