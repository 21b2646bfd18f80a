//! The cost of a host exporter's page: read whole, read against the last page, and decoded.
//! `cargo bench --bench exposition`; standard library only.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a benchmark measures, prints and may fail"
)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use ferula::exposition::{Entry, Format, Parser};
use ferula::model::LabelsBuilder;

const SERIES: u64 = 1_000;
const ROUNDS: u32 = 2_000;

fn main() {
    let (last, page) = (page(1), page(2));
    let lines = page.lines().count();
    println!("{} bytes, {SERIES} series, {lines} lines", page.len());
    let memory = memory(last.as_bytes());
    report("all hits", lines, || {
        let misses = read_again(page.as_bytes(), &memory);
        assert_eq!(misses, 0);
    });
    report("next", lines, || {
        let mut parser = Parser::new(page.as_bytes(), Format::Text);
        while let Some(entry) = parser.next().unwrap() {
            black_box(&entry);
        }
    });
    let mut builder = LabelsBuilder::default();
    report("next and labels", lines, || {
        let mut parser = Parser::new(page.as_bytes(), Format::Text);
        while let Some(entry) = parser.next().unwrap() {
            if let Entry::Series { series, .. } = entry {
                parser.labels(series, &mut builder).unwrap();
                black_box(&builder);
            }
        }
    });
}

fn report(what: &str, lines: usize, mut turn: impl FnMut()) {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        turn();
        best = best.min(start.elapsed());
    }
    let micros = best.as_secs_f64() * 1e6;
    println!(
        "{what:16} {micros:8.1} µs a page, {:6.1} ns a line",
        micros * 1e3 / lines as f64
    );
}

/// Returns what a page said, line by line: a series' bytes, or a whole line.
fn memory(page: &[u8]) -> Vec<(bool, Vec<u8>)> {
    let mut parser = Parser::new(page, Format::Text);
    let mut memory = Vec::new();
    loop {
        let pos = parser.pos();
        match parser.next().unwrap() {
            Some(Entry::Series { series, .. }) => memory.push((true, series.to_vec())),
            Some(_) => memory.push((false, parser.line_since(pos).to_vec())),
            None => return memory,
        }
    }
}

fn read_again(page: &[u8], memory: &[(bool, Vec<u8>)]) -> usize {
    let mut parser = Parser::new(page, Format::Text);
    let mut misses = 0;
    for (is_series, line) in memory {
        let hit = if *is_series {
            let point = parser.next_if_series(line).unwrap();
            black_box(&point);
            point.is_some()
        } else {
            parser.next_if_line(line)
        };
        misses += usize::from(!hit);
    }
    misses
}

/// Makes gauges, counters and a histogram with 0 to 5 labels. Half of the values are whole, a third
/// have all the digits of a float.
fn page(seed: u64) -> String {
    let mut out = String::new();
    let (mut n, mut family) = (0, 0);
    while n < SERIES {
        let (kind, width) = [
            ("gauge", 1),
            ("counter", 8),
            ("gauge", 16),
            ("histogram", 14),
            ("counter", 24),
        ][family as usize % 5];
        let metric = format!("node_subsystem_{family}_metric_total");
        let _ = writeln!(
            out,
            "# HELP {metric} Statistic number {family} of the simulated subsystem, as a \
             host exporter words it."
        );
        let _ = writeln!(out, "# TYPE {metric} {kind}");
        for k in 0..width.min(SERIES - n) {
            let labels = match family % 5 {
                0 => String::new(),
                1 => format!("{{cpu=\"{k}\",mode=\"idle\"}}"),
                2 => format!(
                    "{{device=\"/dev/mapper/vg{k}-root\",mountpoint=\"/var/lib/data/{k}\",\
                     fstype=\"ext4\"}}"
                ),
                3 => format!(
                    "_bucket{{handler=\"/api/v1/query\",code=\"200\",le=\"{}\"}}",
                    0.005 * (1_u64 << k) as f64
                ),
                _ => format!(
                    "{{interface=\"eth{}\",direction=\"rx\",queue=\"{k}\",\
                     namespace=\"kube-system\",pod=\"node-agent-{:x}\"}}",
                    k % 4,
                    k * 7919
                ),
            };
            let h = mix(family << 8 | k);
            let moving = mix(h ^ seed);
            let _ = match h % 10 {
                0..=3 => writeln!(out, "{metric}{labels} {}", h % 4096),
                4..=6 => writeln!(out, "{metric}{labels} {}", h % 1_000_000 + moving % 97),
                7 | 8 => writeln!(
                    out,
                    "{metric}{labels} {}",
                    (h % 1000) as f64 / 7.0 + (moving % 10_000) as f64 / 1000.0
                ),
                _ => writeln!(
                    out,
                    "{metric}{labels} {}",
                    (h % 100_000) as f64 + seed as f64 * ((h % 1000) as f64 / 1000.0)
                ),
            };
            n += 1;
        }
        family += 1;
    }
    out
}

fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}
