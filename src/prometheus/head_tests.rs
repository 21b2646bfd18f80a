//! Tests with a Prometheus's log that is made here record by record; and of export, from a querier
//! of three lines.

use std::path::Path;

use proptest::prelude::*;

use super::head::Head;
use super::stream::LabelledSamples;
use super::*;
use crate::model::{Labels, Matcher, Sample};
use crate::stdx::stop::stop;
use crate::stdx::varint::{put_signed, put_text};
use crate::storage::{Querier, SelectHints, Series, SeriesSet, StorageError};

const PAGE: usize = 32 * 1024;

/// Splits records into fragments and pages.
#[derive(Default)]
struct Segment(Vec<u8>);

impl Segment {
    fn put(&mut self, record: &[u8], snappy: bool) {
        let packed = snap::raw::Encoder::new().compress_vec(record).unwrap();
        let (mut rest, flag) = if snappy {
            (&packed[..], 8)
        } else {
            (record, 0)
        };
        let mut is_first = true;
        loop {
            let mut room = PAGE - self.0.len() % PAGE;
            if room <= 7 {
                self.0.resize(self.0.len() + room, 0);
                room = PAGE;
            }
            let (data, later) = rest.split_at(rest.len().min(room - 7));
            let kind = match (is_first, later.is_empty()) {
                (true, true) => 1,
                (true, false) => 2,
                (false, false) => 3,
                (false, true) => 4,
            };
            self.0.push(kind | flag);
            self.0.extend_from_slice(&(data.len() as u16).to_be_bytes());
            self.0
                .extend_from_slice(&crc32c::crc32c(data).to_be_bytes());
            self.0.extend_from_slice(data);
            (rest, is_first) = (later, false);
            if rest.is_empty() {
                return;
            }
        }
    }

    fn series(&mut self, reference: u64, value: &str) {
        let mut record = vec![1];
        record.extend_from_slice(&reference.to_be_bytes());
        record.push(1);
        put_text(&mut record, "a");
        put_text(&mut record, value);
        self.put(&record, reference.is_multiple_of(2));
    }

    fn samples(&mut self, samples: &[(u64, i64, f64)]) {
        let mut record = vec![2];
        record.extend_from_slice(&samples[0].0.to_be_bytes());
        record.extend_from_slice(&samples[0].1.to_be_bytes());
        for (reference, t, v) in samples {
            put_signed(&mut record, (reference - samples[0].0) as i64);
            put_signed(&mut record, t - samples[0].1);
            record.extend_from_slice(&v.to_bits().to_be_bytes());
        }
        self.put(&record, samples.len().is_multiple_of(2));
    }
}

fn read(data: &Path, valid_from: i64) -> (Vec<LabelledSamples>, Damages) {
    let (_running, stop) = stop();
    let mut head = Head::open(data, valid_from).unwrap();
    let mut all = Vec::new();
    loop {
        let group = head.next_group(&stop).unwrap();
        if group.is_empty() {
            return (all, head.damages);
        }
        all.extend(group);
    }
}

fn text(all: &[LabelledSamples]) -> String {
    let each = all.iter().map(|(labels, samples)| {
        let samples: Vec<String> = samples.iter().map(|s| format!("{}={}", s.t, s.v)).collect();
        format!("{} {}", labels.get("a").unwrap(), samples.join(" "))
    });
    each.collect::<Vec<_>>().join("; ")
}

fn with_wal(files: &[(&str, &Segment)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, segment) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &segment.0).unwrap();
    }
    dir
}

#[test]
fn a_log_is_read_with_its_checkpoint() {
    let (mut old, mut checkpoint, mut new, mut late) =
        <(Segment, Segment, Segment, Segment)>::default();
    old.series(9, "gone");
    old.samples(&[(9, 1, 1.0)]);
    checkpoint.series(1, "b");
    checkpoint.series(4, "a");
    checkpoint.samples(&[(1, 10, 1.0), (4, 10, 2.0)]);
    // The second was refused, and the last belongs to a series without a name.
    new.samples(&[(1, 20, 3.0), (1, 15, 9.0), (7, 20, 1.0)]);
    // The same series, which came again after it was forgotten.
    new.series(6, "b");
    new.samples(&[(6, 30, 4.0)]);
    new.put(&[&[3], &4u64.to_be_bytes()[..], &[20, 20]].concat(), false);
    new.put(&[99, 1, 2, 3], false);
    new.put(&[7, 1, 2, 3], false);
    late.samples(&[(1, 5, 7.0), (1, 20, 8.0)]);
    let dir = with_wal(&[
        ("wal/00000000", &old),
        ("wal/checkpoint.00000000/00000000", &checkpoint),
        ("wal/00000001", &new),
        ("wbl/00000000", &late),
    ]);
    let (all, damages) = read(dir.path(), i64::MIN);
    assert_eq!(text(&all), "b 5=7 10=1 20=3 30=4");
    assert_eq!(damages.count, 0, "{damages:?}");
    let told = "0 chunks and 1 records of native histograms passed over";
    assert_eq!(damages.histograms().as_deref(), Some(told));
    // Samples in blocks are left out, unless they came out of order.
    assert_eq!(text(&read(dir.path(), 20).0), "b 5=7 20=3 30=4");
}

/// Once they had no times, and were skipped with a log without samples.
#[test]
fn head_chunks_are_read_without_what_was_logged_of_them() {
    let mut segment = Segment::default();
    segment.series(1, "a");
    let samples = [(10, 1.0), (20, 2.0)].map(|(t, v)| Sample { t, v });
    let mut data = Vec::new();
    super::xor::encode(&samples, &mut data);
    let times = [1, 10, 20_u64].map(u64::to_be_bytes).concat();
    let mut chunk = [times, vec![1, data.len() as u8], data].concat();
    let crc = crc32c::crc32c(&chunk).to_be_bytes();
    chunk.extend_from_slice(&crc);
    let file = [&[1, 0x30, 0xbc, 0x91, 1, 0, 0, 0], &chunk[..]].concat();
    let dir = with_wal(&[
        ("wal/00000000", &segment),
        ("chunks_head/000001", &Segment(file)),
    ]);
    assert_eq!(text(&read(dir.path(), 0).0), "a 10=1 20=2");
    assert_eq!(Head::open(dir.path(), 0).unwrap().range, Some((10, 20)));
}

#[test]
fn damage_costs_a_page() {
    let mut segment = Segment::default();
    segment.series(1, "a");
    for i in 0..20_000 {
        segment.samples(&[(1, i, 0.5)]);
    }
    let pages = segment.0.len() / PAGE;
    assert!(pages > 10);
    segment.0[3 * PAGE + 100] ^= 1;
    let dir = with_wal(&[("wal/00000000", &segment)]);
    let (all, damages) = read(dir.path(), i64::MIN);
    assert_eq!(damages.count, 1);
    let lost = 20_000 - all[0].1.len();
    assert!((100..1_000).contains(&lost), "{lost} samples are lost");
}

#[test]
fn zstd_is_refused_with_the_way_out() {
    let mut segment = Segment::default();
    segment.series(1, "a");
    segment.0[0] |= 0x10;
    let dir = with_wal(&[("wal/00000000", &segment)]);
    let error = Head::open(dir.path(), 0).unwrap_err().to_string();
    assert!(
        error.contains("zstd") && error.contains("snapshot"),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_make_the_head_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 8..600),
        is_log in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut segment = Segment::default();
        if is_log {
            segment.series(1, "a");
            segment.samples(&[(1, 5, 1.0), (1, 6, 1.0)]);
        } else {
            bytes[..8].copy_from_slice(&[0x01, 0x30, 0xbc, 0x91, 1, 0, 0, 0]);
            segment.0 = bytes;
        }
        for (at, byte) in changes {
            let at = at.index(segment.0.len());
            segment.0[at] = byte;
        }
        let name = if is_log { "wal/00000000" } else { "chunks_head/000001" };
        let dir = with_wal(&[(name, &segment)]);
        let (_running, stop) = stop();
        if let Ok(mut head) = Head::open(dir.path(), i64::MIN) {
            let _ = head.next_group(&stop);
        }
    }
}

/// One series, with a sample each minute from 1 h to 5 h.
struct Minutes;

impl Querier for Minutes {
    fn select(&self, _: &SelectHints, _: &[Matcher]) -> Result<Box<dyn SeriesSet>, StorageError> {
        Ok(Box::new(Once(true)))
    }

    fn label_names(&self, _: &[Matcher], _: usize) -> Result<Vec<String>, StorageError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &[Matcher], _: usize) -> Result<Vec<String>, StorageError> {
        Ok(Vec::new())
    }
}

struct Once(bool);

impl SeriesSet for Once {
    fn next(&mut self) -> Option<Result<Box<dyn Series>, StorageError>> {
        std::mem::take(&mut self.0).then(|| Ok(Box::new(Minute) as Box<dyn Series>))
    }
}

struct Minute;

impl Series for Minute {
    fn labels(&self) -> Labels {
        Labels::from_pairs([("a", "1")])
    }

    fn read(&self, start: i64, end: i64, out: &mut Vec<Sample>) -> Result<(), StorageError> {
        let all = (60..=300).map(|m| Sample {
            t: m * 60_000,
            v: m as f64,
        });
        out.extend(all.filter(|s| start <= s.t && s.t <= end));
        Ok(())
    }
}

#[test]
fn an_export_is_cut_into_blocks_and_goes_on_where_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let range = Range {
        start: 0,
        end: 300 * 60_000,
        block_ms: compatible_range_ms(0),
    };
    let unfinished = dir.path().join(format!("{}.tmp-for-creation", Ulid(3)));
    std::fs::create_dir(&unfinished).unwrap();
    let (running, stop) = stop();
    let mut parts = Vec::new();
    let mut progress = |at: &Progress| parts.push((at.part, at.samples));
    let first = export(&Minutes, dir.path(), range, &mut progress, &stop).unwrap();
    let samples: Vec<u64> = first.blocks.iter().map(|b| b.samples).collect();
    assert_eq!(samples, [60, 120, 61]);
    assert_eq!(parts, [(1, 60), (2, 180), (3, 241)]);
    assert!(!unfinished.exists());
    let again = export(&Minutes, dir.path(), range, &mut |_| {}, &stop).unwrap();
    assert_eq!(
        (again.kept, again.blocks.len()),
        (2, 1),
        "the last is not whole"
    );
    let blocks = list_blocks(dir.path()).unwrap();
    assert_eq!(blocks.len(), 3);
    drop(running);
    let stopped = export(&Minutes, dir.path(), range, &mut |_| {}, &stop);
    assert!(matches!(stopped, Err(PromError::Stopped)));
}

#[test]
fn an_import_takes_blocks_and_log_and_passes_over_what_it_took() {
    let mut segment = Segment::default();
    segment.series(1, "z");
    segment.samples(&[(1, 1, 9.0), (1, 301 * 60_000, 1.0)]);
    let from = with_wal(&[("wal/00000000", &segment)]);
    let to = tempfile::tempdir().unwrap();
    let range = Range {
        start: 0,
        end: 300 * 60_000,
        block_ms: compatible_range_ms(0),
    };
    let (_running, stop) = stop();
    export(&Minutes, from.path(), range, &mut |_| {}, &stop).unwrap();
    let run = || {
        let mut sink = PromSink::new(to.path()).unwrap();
        import(from.path(), &mut sink, &mut |_| {}, &stop).unwrap()
    };
    let first = run();
    // The log's first sample is older than the newest block's end.
    assert_eq!((first.sources, first.series, first.samples), (4, 4, 242));
    let again = run();
    assert_eq!((again.sources, again.passed_over, again.samples), (0, 4, 0));
    let victim = list_blocks(from.path()).unwrap().remove(0).0;
    std::fs::write(victim.join("index"), "nonsense").unwrap();
    let damaged = run();
    assert_eq!((damaged.passed_over, damaged.lost_blocks.len()), (3, 1));
    let nothing = tempfile::tempdir().unwrap();
    let mut sink = PromSink::new(to.path()).unwrap();
    assert!(import(nothing.path(), &mut sink, &mut |_| {}, &stop).is_err());
}
