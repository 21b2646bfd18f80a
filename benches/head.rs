//! The cost of appending to the head: time per sample, bytes per sample and per series.
//!
//! The load is that of a busy gateway: 50 targets of 1,000 series each. Labels and values are like
//! a host exporter's (4 of 10 series constant, 3 integer counters, 2 float gauges, 1 float
//! counter). Prints figures, without a verdict.

#![expect(clippy::print_stdout, reason = "a benchmark tells its figures")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use ferula::metrics::Registry;
use ferula::model::{Labels, LabelsBuilder, MatchOp, Matcher, Sample, SeriesRef};
use ferula::stdx::clock::{Clock, RealClock};
use ferula::storage::{Appendable, Appender, Queryable, SelectHints, Times};
use ferula::tsdb::{Db, Options, Place};

const TARGETS: u64 = 50;
const SERIES: u64 = 1_000;
const ROUNDS: u64 = 60;
const INTERVAL_MS: i64 = 15_000;
const START_MS: i64 = 1_700_000_000_000;

fn main() {
    let rounds = std::env::args().find_map(|a| a.parse().ok());
    let rounds: u64 = rounds.unwrap_or(ROUNDS);
    let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
    let options = Options::in_memory(clock.clone(), Registry::new());
    let Ok(db) = Db::open(options) else {
        return println!("there is no thread for the database");
    };
    let before = resident_bytes();
    let targets = resolve_all(&db, &*clock);
    report_memory("resolved", &db, before);
    let mut spent = Duration::ZERO;
    let mut batch = Appender::default();
    for round in 0..rounds {
        for (target, series) in targets.iter().enumerate() {
            batch.clear();
            for (k, series) in series.iter().enumerate() {
                let t = START_MS + round as i64 * INTERVAL_MS;
                batch.append(*series, t, value(target as u64, k as u64, round * 15));
            }
            let began = clock.mono();
            let done = db.commit(&batch);
            spent += since(&*clock, began);
            assert!(done.is_ok_and(|done| done.appended == SERIES));
        }
        if round == 0 {
            report_memory("1 sample a series", &db, before);
        }
    }
    report_memory(&format!("{rounds} samples a series"), &db, before);
    let samples = rounds * TARGETS * SERIES;
    println!("commit: {:.1} ns a sample", nanos_each(spent, samples));
    for reads in [Reads::Samples, Reads::Times, Reads::OneLabel, Reads::Labels] {
        query(&db, "all series", &[], false, reads);
        query(&db, "all series", &[], true, reads);
    }
    let all = Matcher::new(MatchOp::Regex, "__name__", "node_subsystem_.+");
    if let Ok(all) = all {
        query(&db, "prefix", &[all], true, Reads::Times);
    }
    let one = Matcher::equal("__name__", "node_subsystem_4_metric_total");
    query(&db, "one metric", &[one], true, Reads::Samples);
    if std::env::args().any(|a| a == "queries") {
        return;
    }
    drop(db);
    replay(&clock);
}

/// Replays a log of 4 million samples, from nothing to ready.
fn replay(clock: &Arc<dyn Clock>) {
    let Ok(root) = tempfile::tempdir() else {
        return println!("there is no place for a log");
    };
    let options = || {
        let path = root.path().to_owned();
        let place = Place::Path { path, lock: false };
        let options = Options::new(place, clock.clone(), Registry::new());
        Options {
            head_budget: 1 << 30,
            ..options
        }
    };
    let Ok(db) = Db::open(options()) else {
        return println!("there is no thread for the database");
    };
    let before = resident_bytes();
    let targets = resolve_all(&db, &**clock);
    let mut batch = Appender::default();
    let rounds = 4_000_000 / SERIES / TARGETS;
    let mut spent = Duration::ZERO;
    for round in 0..rounds {
        for (target, series) in targets.iter().enumerate() {
            batch.clear();
            for (k, series) in series.iter().enumerate() {
                let t = START_MS + round as i64 * INTERVAL_MS;
                batch.append(*series, t, value(target as u64, k as u64, round * 15));
            }
            let began = clock.mono();
            assert!(db.commit(&batch).is_ok());
            spent += since(&**clock, began);
        }
    }
    report_memory("with its log, 80 samples a series", &db, before);
    let samples = rounds * TARGETS * SERIES;
    println!(
        "commit with a log: {:.1} ns a sample",
        nanos_each(spent, samples)
    );
    drop(db);
    for _ in 0..3 {
        let (began, own, all) = (
            clock.mono(),
            cpu(ClockId::ThreadCPUTime),
            cpu(ClockId::ProcessCPUTime),
        );
        let db = Db::open(options());
        let took = since(&**clock, began);
        let own = cpu(ClockId::ThreadCPUTime).saturating_sub(own);
        let all = cpu(ClockId::ProcessCPUTime).saturating_sub(all);
        assert!(db.is_ok_and(|db| {
            db.stats()
                .is_ok_and(|stats| stats.series == SERIES * TARGETS)
        }));
        println!(
            "replay: {samples} samples in {took:.1?}; {:.1} ns of CPU each to store, {:.1} in all",
            nanos_each(own, samples),
            nanos_each(all, samples),
        );
    }
}

/// Resolves each series twice: when it is new and when it is known.
fn resolve_all(db: &Db, clock: &dyn Clock) -> Vec<Vec<SeriesRef>> {
    let mut took = [Duration::ZERO; 2];
    let mut targets = Vec::new();
    for target in 0..TARGETS {
        // NOTE: one page at a time, so that pages add little to the measured memory.
        let page = page(target);
        for took in &mut took {
            let began = clock.mono();
            let series: Result<Vec<_>, _> = page.iter().map(|l| db.resolve(l)).collect();
            *took += since(clock, began);
            if targets.len() as u64 == target {
                targets.push(series.unwrap_or_default());
            }
        }
    }
    let each = took.map(|took| nanos_each(took, TARGETS * SERIES));
    println!("resolve: {:.0} ns new, {:.0} ns known", each[0], each[1]);
    targets
}

/// What a query reads from the series that it selects.
#[derive(Debug, Clone, Copy)]
enum Reads {
    Samples,
    Times,
    /// Reads as an aggregation by one label does.
    OneLabel,
    Labels,
}

/// Prints this thread's CPU time, which other processes do not disturb.
fn query(db: &Db, what: &str, matchers: &[Matcher], any_order: bool, reads: Reads) {
    let mut best: Option<(Duration, Duration)> = None;
    let (mut series, mut samples) = (0, 0);
    for _ in 0..5 {
        (series, samples) = (0, 0);
        let began = cpu(ClockId::ThreadCPUTime);
        let Ok(querier) = db.querier(i64::MIN, i64::MAX) else {
            return;
        };
        let hints = SelectHints {
            any_order,
            ..SelectHints::default()
        };
        let Ok(mut set) = querier.select(&hints, matchers) else {
            return;
        };
        let selected = cpu(ClockId::ThreadCPUTime);
        let mut out: Vec<Sample> = Vec::new();
        let mut times = Times::default();
        while let Some(Ok(found)) = set.next() {
            out.clear();
            times.clear();
            let done = match reads {
                Reads::Samples => found.read(i64::MIN, i64::MAX, &mut out),
                Reads::Times => found.read_times(i64::MIN, i64::MAX, &mut times),
                Reads::OneLabel => {
                    found.each_label(&mut |name, value| {
                        black_box(name == "instance" && value.is_empty());
                    });
                    Ok(())
                }
                Reads::Labels => {
                    black_box(found.labels());
                    Ok(())
                }
            };
            assert!(done.is_ok());
            series += 1;
            samples += (out.len() + times.times.len()) as u64;
        }
        let read = cpu(ClockId::ThreadCPUTime).saturating_sub(selected);
        let took = (selected.saturating_sub(began), read);
        best = Some(best.map_or(took, |best| (best.0.min(took.0), best.1.min(took.1))));
    }
    let Some((selected, read)) = best else {
        return;
    };
    let order = if any_order { "as they come" } else { "sorted" };
    println!(
        "{what}, {order}, {reads:?}: {series} series selected in {selected:.1?}, {samples} samples \
         read in {read:.1?}, {:.0} ns a series, {:.1} ns a sample",
        nanos_each(read, series),
        nanos_each(read, samples)
    );
}

fn report_memory(when: &str, db: &Db, before: usize) {
    let (Ok(heap), Ok(stats)) = (db.heap_bytes(), db.stats()) else {
        return;
    };
    let each = |bytes: usize| bytes as f64 / stats.series as f64;
    println!(
        "{when}: {:.0} bytes a series counted, {:.0} resident; {} chunks",
        each(heap),
        each(resident_bytes().saturating_sub(before)),
        stats.chunks,
    );
}

fn cpu(clock: ClockId) -> Duration {
    let now = clock_gettime(clock);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

fn since(clock: &dyn Clock, began: Duration) -> Duration {
    clock.mono().saturating_sub(began)
}

fn nanos_each(took: Duration, of: u64) -> f64 {
    took.as_nanos() as f64 / of.max(1) as f64
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0) * 4096
}

fn mix(mut x: u64) -> u64 {
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        x = (x ^ x >> 33).wrapping_mul(factor);
    }
    x ^ x >> 33
}

/// Returns the seed of a series' labels and values.
fn seed(target: u64, k: u64) -> u64 {
    mix(target << 32 | k)
}

fn value(target: u64, k: u64, secs: u64) -> f64 {
    let h = seed(target, k);
    match h % 10 {
        0..=3 => (h % 4096) as f64,
        4..=6 => {
            let step = h % 97 + 1;
            (h % 1_000_000 + secs * step + mix(h ^ secs) % step) as f64
        }
        7 | 8 => (h % 1000) as f64 / 7.0 + (mix(h ^ secs) % 10_000) as f64 / 1000.0,
        _ => (h % 100_000) as f64 + secs as f64 * ((h % 1000) as f64 / 1000.0),
    }
}

/// Makes the labels of a target's series: families of 1, 8, 16, 14 and 24.
fn page(target: u64) -> Vec<Labels> {
    let mut builder = LabelsBuilder::default();
    let (mut family, mut k) = (0, 0);
    let mut label = |n: u64| {
        builder.clear();
        builder.set("job", "exporters");
        builder.set("instance", &format!("127.0.0.1:{}", 9_000 + target));
        builder.set("__name__", &format!("node_subsystem_{family}_metric_total"));
        for (name, value) in own_labels(family % 5, k, seed(target, n)) {
            builder.set(name, &value);
        }
        k += 1;
        if k == [1, 8, 16, 14, 24][(family % 5) as usize] {
            (family, k) = (family + 1, 0);
        }
        builder.labels()
    };
    (0..SERIES).map(&mut label).collect()
}

fn own_labels(kind: u64, k: u64, h: u64) -> Vec<(&'static str, String)> {
    let of = |list: &[&str], at: u64| list[at as usize % list.len()].to_owned();
    match kind {
        0 => vec![],
        1 => vec![
            ("cpu", k.to_string()),
            ("mode", of(&["idle", "user", "system", "iowait"], k)),
        ],
        2 => vec![
            ("device", format!("/dev/mapper/vg{k}-root")),
            ("mountpoint", format!("/var/lib/data/{k}")),
            ("fstype", "ext4".to_owned()),
        ],
        3 => vec![
            ("handler", "/api/v1/query".to_owned()),
            ("code", "200".to_owned()),
            ("le", (0.005 * (1u64 << k) as f64).to_string()),
        ],
        _ => vec![
            ("interface", format!("eth{}", k % 4)),
            ("direction", of(&["rx", "tx"], k)),
            ("queue", k.to_string()),
            ("namespace", "kube-system".to_owned()),
            ("pod", format!("node-agent-{:x}", h % 65_536)),
        ],
    }
}
