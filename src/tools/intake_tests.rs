//! Tests of power cuts at every operation of an import.

use std::sync::Arc;

use super::intake::Intake;
use crate::metrics::Registry;
use crate::model::{Labels, Sample, TimestampMs};
use crate::prometheus::{PromBlockWriter, QuerierStream, SeriesStream as _, Ulid, import};
use crate::stdx::clock::ManualClock;
use crate::stdx::stop::stop;
use crate::storage::Queryable as _;
use crate::tsdb::dir::double::{Choice, Double, Fault};
use crate::tsdb::{Db, OfflineWriter, Options, Place};

/// In milliseconds, far after all samples of these tests.
const NOW: TimestampMs = 1_700_000_000_000;

type Rows = Vec<(Labels, Vec<Sample>)>;

/// Returns what a database finds there, and the number of blocks.
fn all_of(disk: &Double) -> (Rows, usize) {
    let (place, clock) = (Place::Dir(disk.dir()), Arc::new(ManualClock::new(NOW)));
    let db = Db::open(Options::new(place, clock, Registry::new())).unwrap();
    let (start, end) = (TimestampMs::MIN, TimestampMs::MAX);
    let querier = db.querier(start, end).unwrap();
    let mut stream = QuerierStream::new(&*querier, start, end, &[Vec::new()]).unwrap();
    let rows = std::iter::from_fn(|| stream.next().unwrap()).collect();
    (rows, db.blocks().unwrap().len())
}

/// Returns the series a and b with a sample at each of these times.
fn expected(times: &[i64]) -> Rows {
    if times.is_empty() {
        return Vec::new();
    }
    let sample = |t: &i64| Sample {
        t: *t,
        v: *t as f64,
    };
    let samples: Vec<Sample> = times.iter().map(sample).collect();
    let row = |name| (Labels::from_pairs([("n", name)]), samples.clone());
    ["a", "b"].map(row).to_vec()
}

/// Makes three blocks of a Prometheus, with the samples of `expected` at these times.
fn prometheus_blocks(path: &std::path::Path) -> [Vec<i64>; 3] {
    let blocks = [0, 1, 2].map(|n| (1..=40).map(|i| n * 100 + i).collect::<Vec<i64>>());
    for times in &blocks {
        let id = Ulid::of(times[0], "power");
        let mut writer = PromBlockWriter::create(path, id).unwrap();
        for (labels, samples) in expected(times) {
            writer.add(&labels, &samples).unwrap();
        }
        writer.finish().unwrap().unwrap();
    }
    blocks
}

#[test]
fn power_cuts_while_a_prometheus_is_imported() {
    let (_running, stop) = stop();
    let source = tempfile::tempdir().unwrap();
    let blocks = prometheus_blocks(source.path());
    let run = |disk: &Double| -> Option<usize> {
        let clock = Arc::new(ManualClock::new(NOW));
        let mut intake = Intake::into(OfflineWriter::on_double(disk.dir(), clock).ok()?).ok()?;
        let imported = import(source.path(), &mut intake, &mut |_| (), &stop).ok()?;
        Some(imported.sources)
    };
    let all = expected(&blocks.concat());
    for number in 0.. {
        let disk = Double::new();
        disk.fault(number, Fault::PowerCut);
        let done = run(&disk);
        let is_cut = disk.operations() > number;
        for choice in [
            Choice::Nothing,
            Choice::Everything,
            Choice::Seed(number),
            Choice::Seed(number + 1_000),
        ] {
            let disk = disk.crash(choice);
            // All that is there are whole sources, some of which are in the list.
            let there = all_of(&disk.copy()).0;
            let whole = (0..=3).map(|n| blocks[..n].concat());
            let mut whole = whole.map(|times| expected(&times));
            assert!(whole.any(|rows| rows == there), "{number} {choice:?}");
            assert!(done.is_none() || there == all, "{number} {choice:?}");
            let listed = disk.bytes("imported").unwrap_or_default();
            let listed = String::from_utf8(listed).unwrap().lines().count();
            // A second run takes what is missing; nothing is doubled.
            assert_eq!(run(&disk), Some(3 - listed), "{number} {choice:?}");
            let (again, blocks) = all_of(&disk);
            assert_eq!(again, all, "{number} {choice:?}");
            assert!(blocks <= 4, "at most one was imported twice");
        }
        if !is_cut {
            let points = disk.sync_points().len();
            println!("import: cut at {number} operations, {points} of them sync points");
            assert_eq!(done, Some(3));
            assert!(points > 6);
            return;
        }
    }
}
