//! The cost of the write-ahead log: bytes and time per sample, and reading it again.
//!
//! The load is that of a busy gateway (50 targets of 1,000 series) and of a small one (10 of 100).
//! Labels and values are like a host exporter's: 4 of 10 series constant, 3 integer counters, 2
//! float gauges, 1 float counter. Prints figures, without a verdict.

#![expect(clippy::print_stdout, reason = "a benchmark tells its figures")]

use std::collections::BTreeSet;
use std::hint::black_box;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use ferula::metrics::Registry;
use ferula::model::{Labels, LabelsBuilder, SeriesRef};
use ferula::stdx::clock::{Clock, RealClock};
use ferula::storage::Pending;
use ferula::tsdb::dir::{Dir, Disk};
use ferula::tsdb::wal::{Entry, Options, SEGMENT_BYTES, Wal, replay_ahead};

const ROUNDS: u64 = 200;
const INTERVAL_S: u64 = 15;
const START_MS: i64 = 1_700_000_000_000;

fn main() -> io::Result<()> {
    for (targets, series) in [(50, 1_000), (10, 100)] {
        let dir = tempfile::tempdir()?;
        run(Arc::new(Disk::open(dir.path())?), targets, series)?;
    }
    Ok(())
}

fn run(dir: Arc<dyn Dir>, targets: u64, series: u64) -> io::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
    let options = Options {
        segment_bytes: SEGMENT_BYTES,
        after: 0,
        next_seq: 0,
        damaged: BTreeSet::new(),
        clock: clock.clone(),
        registry: Registry::new(),
    };
    let mut wal = Wal::open(dir.clone(), options)?;
    let pages: Vec<Vec<Labels>> = (0..targets).map(|id| page(id, series)).collect();
    let mut labels = |reference: SeriesRef| {
        let (id, k) = (reference.0 / series, reference.0 % series);
        pages.get(id as usize)?.get(k as usize).cloned()
    };
    let mut batch = Vec::new();
    let (mut first, mut rest) = (Duration::ZERO, Duration::ZERO);
    let mut first_bytes = 0;
    for round in 0..ROUNDS {
        for id in 0..targets {
            batch.clear();
            batch.extend((0..series).map(|k| Pending {
                series: SeriesRef(id * series + k),
                t: START_MS + (round * INTERVAL_S * 1000) as i64,
                v: value(id, k / 24, k % 24, round * INTERVAL_S),
            }));
            let began = cpu();
            let put = wal.put(&batch, &mut labels);
            let done = put.and_then(|()| wal.write()).map_err(io::Error::other)?;
            *(if round == 0 { &mut first } else { &mut rest }) += cpu().saturating_sub(began);
            black_box(done);
        }
        if round == 0 {
            first_bytes = wal.segments().bytes();
        }
    }
    let (all, bytes) = (targets * series, wal.segments().bytes());
    let more = all * (ROUNDS - 1);
    println!("{targets} x {series}:");
    println!(
        "  first scrapes: {:.1} bytes and {:.0} ns a series",
        first_bytes as f64 / all as f64,
        nanos(first, all),
    );
    println!(
        "  after them: {:.3} bytes a sample, {:.1} ns; {} segments, {:.1} bytes of heap a series",
        (bytes - first_bytes) as f64 / more as f64,
        nanos(rest, more),
        wal.position().segment,
        wal.heap_bytes() as f64 / all as f64,
    );
    let began = cpu_of(ClockId::ProcessCPUTime);
    let (mut samples, mut defined, mut sum) = (0, 0, 0.0);
    let read = replay_ahead(&dir, None, &mut |entry| match entry {
        Entry::Scrapes { values, .. } => {
            samples += values.len() as u64;
            sum += values.iter().sum::<f64>();
        }
        Entry::Series { .. } => defined += 1,
        _ => {}
    })?;
    let took = cpu_of(ClockId::ProcessCPUTime).saturating_sub(began);
    black_box(sum);
    assert_eq!(samples, all * ROUNDS);
    println!(
        "  replay: {:.1} ns a sample, {defined} definitions, {} records",
        nanos(took, samples),
        read.records,
    );
    Ok(())
}

/// The CPU time of this thread, which other processes do not disturb.
fn cpu() -> Duration {
    cpu_of(ClockId::ThreadCPUTime)
}

fn cpu_of(clock: ClockId) -> Duration {
    let now = clock_gettime(clock);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

fn nanos(took: Duration, of: u64) -> f64 {
    took.as_nanos() as f64 / of.max(1) as f64
}

fn mix(mut x: u64) -> u64 {
    x ^= x >> 33;
    x = x.wrapping_mul(0xff51_afd7_ed55_8ccd);
    x ^= x >> 33;
    x = x.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}

fn value(id: u64, family: u64, k: u64, secs: u64) -> f64 {
    let h = mix(id << 32 | family << 8 | k);
    let noise = mix(h ^ secs);
    match h % 10 {
        0..=3 => (h % 4096) as f64,
        4..=6 => (h % 1_000_000 + secs * (h % 97 + 1) + noise % (h % 97 + 1)) as f64,
        7 | 8 => (h % 1000) as f64 / 7.0 + (noise % 10_000) as f64 / 1000.0,
        _ => (h % 100_000) as f64 + secs as f64 * ((h % 1000) as f64 / 1000.0),
    }
}

fn page(id: u64, series: u64) -> Vec<Labels> {
    let mut builder = LabelsBuilder::default();
    let label = |k: u64| {
        let (family, k) = (k / 24, k % 24);
        builder.clear();
        let name = format!("node_subsystem_{family}_metric_total");
        builder.set("__name__", &name);
        builder.set("instance", &format!("10.0.0.{id}:9100"));
        builder.set("job", "node");
        match family % 3 {
            0 => {
                builder.set("cpu", &k.to_string());
                builder.set("mode", ["idle", "user", "system", "iowait"][k as usize % 4]);
            }
            1 => {
                builder.set("device", &format!("/dev/mapper/vg{k}-root"));
                builder.set("mountpoint", &format!("/var/lib/data/{k}"));
            }
            _ => {
                builder.set("interface", &format!("eth{}", k % 4));
                builder.set("queue", &k.to_string());
                let pod = format!("node-agent-{:x}", mix(id << 8 | k) % 65536);
                builder.set("pod", &pod);
            }
        }
        builder.labels()
    };
    (0..series).map(label).collect()
}
