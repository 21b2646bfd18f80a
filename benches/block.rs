//! A block of a day of 2,000 series at 15 s, as from a host's exporter: bytes and nanoseconds per
//! sample, and the cost of an open block.

#![expect(clippy::print_stdout, reason = "the result of a benchmark")]
#![expect(clippy::unwrap_used, reason = "a benchmark ends at the first failure")]

use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use ferula::model::{Labels, Matcher, Sample};
use ferula::storage::{SeriesSet, Times};
use ferula::tsdb::block::{Block, BlockId, BlockWriter, Options, PageCache};
use ferula::tsdb::dir::{Dir, Disk};

/// The CPU time of this thread, which other processes do not disturb.
fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

fn mix(mut x: u64) -> u64 {
    x ^= x >> 33;
    x = x.wrapping_mul(0xff51_afd7_ed55_8ccd);
    x ^= x >> 33;
    x = x.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}

/// An exporter's mix: 4 of 10 constant, 3 integer counters, 2 gauges, 1 counter of seconds.
fn value(i: u64, secs: u64) -> f64 {
    let h = mix(i + 77);
    match h % 10 {
        0..=3 => (h % 4096) as f64,
        4..=6 => (h % 1_000_000 + secs * (h % 97 + 1) + mix(h ^ secs) % (h % 97 + 1)) as f64,
        7 | 8 => (h % 1000) as f64 / 7.0 + (mix(h ^ secs) % 10_000) as f64 / 1000.0,
        _ => (h % 100_000) as f64 + secs as f64 * ((h % 1000) as f64 / 1000.0),
    }
}

fn labels(i: u64) -> Labels {
    let (family, k, host) = (i / 24 % 40, i % 24, i / 960);
    Labels::from_pairs([
        ("__name__", format!("node_subsystem_{family}_metric_total")),
        ("direction", if k % 2 == 0 { "rx" } else { "tx" }.to_owned()),
        ("instance", format!("host-{host}:9100")),
        ("interface", format!("eth{}", k % 4)),
        ("job", "node".to_owned()),
        ("namespace", "kube-system".to_owned()),
        ("pod", format!("node-agent-{:x}", mix(i) % 65536)),
        ("queue", k.to_string()),
    ])
}

/// Makes samples in order of labels. With jitter, each scrape of a host is up to 3 ms off, equally
/// for all of its series.
fn day(series: u64, samples: u64, jitter: u64) -> Vec<(Labels, Vec<Sample>)> {
    let mut day: Vec<_> = (0..series)
        .map(|i| {
            let at = |n: u64| {
                let off = mix(n * 7919 + i / 960) % (jitter + 1);
                1_700_000_000_000 + (n * 15_000 + off) as i64
            };
            let sample = |n| Sample {
                t: at(n),
                v: value(i, n * 15),
            };
            (labels(i), (0..samples).map(sample).collect::<Vec<_>>())
        })
        .collect();
    day.sort_by(|a, b| a.0.cmp(&b.0));
    day
}

fn run(name: &str, options: &Options, day: &[(Labels, Vec<Sample>)]) {
    let root = tempfile::tempdir().unwrap();
    let dir: Arc<dyn Dir> = Arc::new(Disk::open(root.path()).unwrap());
    let samples: usize = day.iter().map(|(_, s)| s.len()).sum();
    let start = cpu();
    let mut writer = BlockWriter::create(dir.clone(), BlockId(1), options).unwrap();
    for (labels, samples) in day {
        writer.add(labels, samples).unwrap();
    }
    let meta = writer.finish(0, &[], None).unwrap().unwrap();
    let encode = cpu().saturating_sub(start);
    let cache = Arc::new(PageCache::new(4 << 20));
    let start = cpu();
    let block = Block::open(&dir, BlockId(1), &cache).unwrap();
    let open = cpu().saturating_sub(start);
    let mut out = Vec::new();
    let mut all = |matchers: &[Matcher], from: i64, to: i64| {
        let start = cpu();
        let mut set = block.select(matchers, from, to).unwrap();
        let (mut series, mut count) = (0, 0);
        while let Some(found) = SeriesSet::next(&mut set) {
            out.clear();
            found.unwrap().read(from, to, &mut out).unwrap();
            series += 1;
            count += out.len();
        }
        (cpu().saturating_sub(start), series, count)
    };
    all(&[], meta.min_t, meta.max_t);
    let (decode, _, count) = all(&[], meta.min_t, meta.max_t);
    assert_eq!(count, samples);
    let metric = Matcher::equal("__name__", "node_subsystem_7_metric_total");
    let (one, series, _) = all(std::slice::from_ref(&metric), meta.min_t, meta.max_t);
    let (hour, _, _) = all(&[metric], meta.max_t - 3_600_000, meta.max_t);
    let start = cpu();
    let mut set = block.select(&[], meta.min_t, meta.max_t).unwrap();
    let (mut times, mut counted) = (Times::default(), 0);
    while let Some(found) = SeriesSet::next(&mut set) {
        times.clear();
        { found.unwrap() }
            .read_times(meta.min_t, meta.max_t, &mut times)
            .unwrap();
        counted += times.times.len();
    }
    let count_times = cpu().saturating_sub(start);
    assert_eq!(counted, samples);
    let start = cpu();
    let mut set = block.select(&[], meta.min_t, meta.max_t).unwrap();
    while let Some(found) = SeriesSet::next(&mut set) {
        std::hint::black_box(found.unwrap().labels());
    }
    let select = cpu().saturating_sub(start);
    println!(
        "{name:28} select {:.0} ns a series, times {:.2} ns a sample ({:.1} ms)",
        select.as_nanos() as f64 / meta.series as f64,
        count_times.as_nanos() as f64 / samples as f64,
        count_times.as_secs_f64() * 1e3,
    );
    println!(
        "{name:28} {:.3} bytes/sample, {:5.1} ns encode, {:.2} ns decode ({:.1} ms all), \
         open {:.0} µs, {} bytes resident, a metric of {series}: {:.2} ms a day, {:.2} ms an hour",
        meta.bytes as f64 / samples as f64,
        encode.as_nanos() as f64 / samples as f64,
        decode.as_nanos() as f64 / samples as f64,
        decode.as_secs_f64() * 1e3,
        open.as_secs_f64() * 1e6,
        block.resident_bytes(),
        one.as_secs_f64() * 1e3,
        hour.as_secs_f64() * 1e3,
    );
}

fn main() {
    let plain = Options::default();
    let full = day(2_000, 5_761, 0);
    run("a day", &plain, &full);
    for (int_column, float_column) in [(480, 480), (960, 480), (1_920, 960), (5_760, 480)] {
        let options = Options {
            int_column,
            float_column,
            ..plain.clone()
        };
        run(
            &format!("columns {int_column} {float_column}"),
            &options,
            &full,
        );
    }
    drop(full);
    run("a day, jitter", &plain, &day(2_000, 5_761, 3));
    run("two hours", &plain, &day(2_000, 480, 0));
    run("20 minutes", &plain, &day(2_000, 80, 0));
}
