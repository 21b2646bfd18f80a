//! Tests of compaction, with power cuts at each operation of every writer of blocks.

use std::sync::Arc;

use super::*;
use crate::model::{Labels, Matcher, Sample};
use crate::storage::{SeriesSet, merge_sets};
use crate::tsdb::block::{Block, BlockId, BlockMeta, BlockWriter, Options, PageCache};
use crate::tsdb::dir::Dir;
use crate::tsdb::dir::double::{Choice, Double, Fault};
use crate::tsdb::wal::Position;

type Data = Vec<(Labels, Vec<(i64, u64)>)>;

const CHOICES: [Choice; 5] = [
    Choice::Nothing,
    Choice::Everything,
    Choice::Seed(1),
    Choice::Seed(2),
    Choice::Seed(3),
];

fn options() -> Options {
    Options {
        int_column: 16,
        float_column: 8,
        page_bytes: 128,
        copies_percent: 2,
        copies_bytes: 0,
    }
}

fn data(from: i64, to: i64, salt: i64) -> Data {
    let labels = |i: i64| Labels::from_pairs([("a", (i % 3).to_string()), ("b", i.to_string())]);
    let sample = |i: i64, t: i64| (t, ((t * i + salt) as f64 / 8.0).to_bits());
    let series = (salt..salt + 12).map(|i| (labels(i), (from..to).map(|t| sample(i, t)).collect()));
    let mut data: Data = series.collect();
    data.sort();
    data
}

fn write(dir: &Arc<dyn Dir>, id: u64, data: &Data) -> Option<BlockMeta> {
    let mut writer = BlockWriter::create(dir.clone(), BlockId(id), &options()).ok()?;
    for (labels, samples) in data {
        let of = |(t, bits): &(i64, u64)| Sample {
            t: *t,
            v: f64::from_bits(*bits),
        };
        let samples: Vec<Sample> = samples.iter().map(of).collect();
        writer.add(labels, &samples).ok()?;
    }
    let at = |segment| Position { segment, offset: 0 };
    let wal = Some((at(id as u32), at(id as u32 + 1)));
    writer.finish(0, &[], wal).ok()?
}

/// Opens all blocks as a start does: it ignores temporary files, and removes blocks that another
/// contains.
fn open_all(dir: &Arc<dyn Dir>) -> Vec<Arc<Block>> {
    let cache = Arc::new(PageCache::new(1 << 16));
    let entries = dir.list("blocks").unwrap_or_default();
    let ids = entries
        .iter()
        .filter_map(|e| BlockId::from_file_name(&e.name));
    let mut blocks: Vec<_> = ids
        .map(|id| Block::open(dir, id, &cache).unwrap())
        .collect();
    let metas: Vec<BlockMeta> = blocks.iter().map(|b| b.meta()).collect();
    let gone = obsolete(&metas);
    blocks.retain(|b| !gone.contains(&b.id()));
    blocks
}

fn read_all(blocks: &[Arc<Block>]) -> Data {
    let mut newest_first: Vec<&Arc<Block>> = blocks.iter().collect();
    newest_first.sort_by_key(|b| std::cmp::Reverse(b.meta().rank()));
    let set = |b: &&Arc<Block>| -> Box<dyn SeriesSet> {
        Box::new(b.select(&[], i64::MIN, i64::MAX).unwrap())
    };
    let mut set = merge_sets(newest_first.iter().map(set).collect());
    let mut data = Data::new();
    while let Some(series) = set.next() {
        let series = series.unwrap();
        let mut samples = Vec::new();
        series.read(i64::MIN, i64::MAX, &mut samples).unwrap();
        if !samples.is_empty() {
            let bits = samples.iter().map(|s| (s.t, s.v.to_bits())).collect();
            data.push((series.labels(), bits));
        }
    }
    data
}

/// Compacts all blocks and removes the sources, as the database does.
fn compact(dir: &Arc<dyn Dir>, id: u64) -> Option<BlockMeta> {
    let blocks = open_all(dir);
    let outcome = merge(dir, &blocks, BlockId(id), &options(), &|| false).ok()?;
    for block in &blocks {
        remove(&**dir, block.id()).ok()?;
    }
    match outcome {
        Outcome::Written(meta) => Some(meta),
        _ => None,
    }
}

fn three() -> Double {
    let double = Double::new();
    let dir = double.dir();
    write(&dir, 1, &data(0, 40, 0)).unwrap();
    write(&dir, 2, &data(40, 80, 4)).unwrap();
    // Overlaps both, and is newer.
    write(&dir, 3, &data(30, 60, 2)).unwrap();
    double
}

#[test]
fn blocks_are_merged_and_deletions_applied() {
    let double = three();
    let dir = double.dir();
    let blocks = open_all(&dir);
    let matcher = [Matcher::equal("b", "5")];
    assert_eq!(blocks[0].delete(&matcher, 5, 10).unwrap(), 1);
    assert_eq!(
        blocks[1]
            .delete(&[Matcher::equal("b", "15")], 0, 1_000)
            .unwrap(),
        1
    );
    let before = read_all(&blocks);
    let stopped = merge(&dir, &blocks, BlockId(9), &options(), &|| true).unwrap();
    assert_eq!(stopped, Outcome::Stopped);
    let meta = compact(&dir, 9).unwrap();
    let after = open_all(&dir);
    assert_eq!(after.len(), 1);
    assert_eq!(read_all(&after), before);
    assert_eq!((meta.level, meta.min_t, meta.max_t), (1, 0, 79));
    assert_eq!(meta.sources, [BlockId(1), BlockId(2), BlockId(3)]);
    assert_eq!(meta.rank(), BlockId(3));
    let at = |segment| Position { segment, offset: 0 };
    assert_eq!(meta.wal, Some((at(1), at(4))));
    assert_eq!(dir.list("blocks").unwrap().len(), 1);
    // If all is deleted, nothing is left.
    after[0].delete(&[], i64::MIN, i64::MAX).unwrap();
    assert_eq!(compact(&dir, 10), None);
    assert!(dir.list("blocks").unwrap().is_empty());
}

/// Runs `work` with a fault at each of its operations, and checks what a power cut leaves.
/// `work` says whether its work was reported as done.
fn cut(
    start: &Double,
    fault: Fault,
    work: &dyn Fn(&Arc<dyn Dir>) -> bool,
    look: &dyn Fn(&Arc<dyn Dir>, bool),
) -> u64 {
    let mut points = 0;
    for at in 0.. {
        let double = start.copy();
        let number = double.operations() + at;
        double.fault(number, fault);
        let done = work(&double.dir());
        for choice in CHOICES {
            look(&double.crash(choice).dir(), done);
        }
        if fault != Fault::PowerCut {
            look(&double.dir(), done);
        }
        points += 1;
        if double.operations() <= number {
            assert!(done);
            break;
        }
    }
    points
}

#[test]
fn power_cuts() {
    let mut points = 0;
    for fault in [Fault::PowerCut, Fault::Error, Fault::NoSpace] {
        let first = data(0, 40, 0);
        points += cut(
            &Double::new(),
            fault,
            &|dir| write(dir, 1, &first).is_some(),
            &|dir, done| {
                let blocks = open_all(dir);
                assert!(blocks.len() == 1 || !done);
                if !blocks.is_empty() {
                    assert_eq!(read_all(&blocks), first);
                }
            },
        );
        let start = three();
        let all = read_all(&open_all(&start.dir()));
        points += cut(
            &start,
            fault,
            &|dir| compact(dir, 9).is_some(),
            &|dir, _| assert_eq!(read_all(&open_all(dir)), all),
        );
        let matcher = [Matcher::equal("b", "5")];
        let delete = |dir: &Arc<dyn Dir>| {
            { open_all(dir) }
                .iter()
                .all(|b| b.delete(&matcher, 0, 1_000).is_ok())
        };
        let deleted = { all.iter().cloned() }.filter(|(l, _)| l.get("b") != Some("5"));
        let deleted: Data = deleted.collect();
        points += cut(&start, fault, &delete, &|dir, done| {
            let found = read_all(&open_all(dir));
            assert!(found == deleted || !done);
            let others = |data: &Data| {
                let mut data = data.clone();
                data.retain(|(l, _)| l.get("b") != Some("5"));
                data
            };
            assert_eq!(others(&found), deleted);
        });
    }
    println!("{points} operations cut");
}
