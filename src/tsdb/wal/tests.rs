//! Tests of the log from its users' view, on a directory that can fail.

mod ahead;
mod column_batches;
mod damage;
mod files;
mod power;
mod round_trip;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::*;
use crate::metrics::Registry;
use crate::model::{Labels, SeriesRef, TimestampMs};
use crate::stdx::clock::ManualClock;
use crate::storage::{Exemplar, Pending};
use crate::tsdb::dir::double::Double;

/// Series, time and bits of a value.
type Told = (u64, TimestampMs, u64);

fn options(segment_bytes: u32) -> Options {
    Options {
        segment_bytes,
        after: 0,
        next_seq: 0,
        damaged: BTreeSet::new(),
        clock: Arc::new(ManualClock::new(0)),
        registry: Registry::new(),
    }
}

fn open(double: &Double, segment_bytes: u32) -> Wal {
    Wal::open(double.dir(), options(segment_bytes)).unwrap()
}

#[expect(clippy::unnecessary_wraps, reason = "as a log asks for them")]
fn labels(series: SeriesRef) -> Option<Labels> {
    let n = series.0.to_string();
    Some(Labels::from_pairs([
        ("__name__", "some_metric_total"),
        ("a_number", n.as_str()),
        ("job", "é"),
    ]))
}

fn pending((series, t, bits): Told) -> Pending {
    Pending {
        series: SeriesRef(series),
        t,
        v: f64::from_bits(bits),
    }
}

fn log(wal: &mut Wal, samples: &[Told]) -> Result<Position, WalError> {
    let samples: Vec<_> = samples.iter().copied().map(pending).collect();
    wal.put(&samples, &mut labels)?;
    wal.write()
}

/// Collects what a reader's sink is given.
#[derive(Debug, Default)]
struct Heard {
    ids: HashMap<u32, u64>,
    samples: Vec<Told>,
    out_of_order: Vec<Told>,
    exemplars: Vec<(u64, Exemplar)>,
}

impl Heard {
    fn hear(&mut self, entry: &Entry<'_>) {
        let ids = &self.ids;
        let told = |s: &Logged| (ids[&s.id], s.t, s.v.to_bits());
        match entry {
            Entry::Series { id, labels: named } => {
                let named = named.to_labels();
                let series = named.get("a_number").unwrap().parse().unwrap();
                assert_eq!(Some(named), labels(SeriesRef(series)));
                self.ids.insert(*id, series);
            }
            Entry::Scrapes {
                ids: runs,
                times,
                values,
            } => {
                let columns = values.chunks_exact(times.len());
                for (id, column) in runs.iter().cloned().flatten().zip(columns) {
                    let told = times.iter().zip(column);
                    self.samples
                        .extend(told.map(|(t, v)| (ids[&id], *t, v.to_bits())));
                }
            }
            Entry::Samples(batch) => self.samples.extend(batch.iter().map(told)),
            Entry::OutOfOrder(batch) => self.out_of_order.extend(batch.iter().map(told)),
            Entry::Exemplars(all) => {
                let told = all.iter().map(|(id, e)| (ids[id], e.clone()));
                self.exemplars.extend(told);
            }
        }
    }
}

fn read_from(double: &Double, from: Option<Position>) -> (Heard, Replayed) {
    let mut heard = Heard::default();
    let read = replay(&double.dir(), from, &mut |entry| heard.hear(&entry)).unwrap();
    (heard, read)
}

fn read(double: &Double) -> (Heard, Replayed) {
    read_from(double, None)
}

/// Makes one target's scrape in one round: some values constant, some counting, some neither.
fn scrape(target: u64, round: u64) -> Vec<Told> {
    let value = |k: u64| match k % 4 {
        0 => 7.0,
        1 => (round * (k + 3)) as f64,
        2 => 0.1 * (round * 7 % 5) as f64 + k as f64,
        _ => (round as f64 + 0.3).sin(),
    };
    let t = 1_700_000_000_000 + round as i64 * 15_000;
    let series = (0..8).map(|k| (target * 100 + k, t, value(k).to_bits()));
    series.collect()
}
