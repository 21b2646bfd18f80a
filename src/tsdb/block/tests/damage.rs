//! Tests that a damaged block answers with the rest, and never with a value that was not written.

use std::collections::HashMap;

use super::*;
use crate::tsdb::dir::double::Double;

/// Opens a block with these bytes. Returns `None` if it is refused as damaged.
fn opened(whole: &Double, bytes: &[u8]) -> Option<Arc<Block>> {
    let double = whole.copy();
    double.set_bytes(&BlockId(1).path(), bytes);
    match Block::open(
        &double.dir(),
        BlockId(1),
        &Arc::new(PageCache::new(1 << 16)),
    ) {
        Ok(block) => Some(block),
        Err(error) => {
            assert!(error.is_damage(), "{error}");
            None
        }
    }
}

struct Truth {
    data: Data,
    values: HashMap<Labels, HashMap<i64, u64>>,
}

impl Truth {
    fn new(data: Data) -> Truth {
        let values = bits(&data).into_iter();
        Truth {
            values: values.map(|(l, s)| (l, s.into_iter().collect())).collect(),
            data,
        }
    }

    /// Counts the samples in the answer. Each must have been written and must match.
    fn check(&self, block: &Arc<Block>, matchers: &[Matcher]) -> u64 {
        let mut count = 0;
        for (labels, samples) in bits(&read(block, matchers, i64::MIN, i64::MAX)) {
            let matches = |m: &Matcher| m.matches(labels.get(&m.name).unwrap_or(""));
            assert!(matchers.iter().all(matches), "{labels} for {matchers:?}");
            let written = &self.values[&labels];
            for (t, v) in samples {
                assert_eq!(written.get(&t), Some(&v), "{labels} {t}");
                count += 1;
            }
        }
        count
    }
}

#[test]
fn every_region_flipped_zeroed_and_cut() {
    let double = Double::new();
    let truth = Truth::new(sample_data(150, 60));
    let meta = write(&double.dir(), 1, &truth.data).unwrap();
    let good = double.bytes(&BlockId(1).path()).unwrap();
    let not_h3 = [Matcher::new(MatchOp::NotEqual, "host", "h3").unwrap()];
    let m1 = [Matcher::equal("__name__", "m1")];
    let (mut opens, mut lost, mut noticed) = (0u64, 0u64, 0u64);
    let step = good.len() / 200;
    for at in (0..good.len()).step_by(step.max(1)) {
        let mut flipped = good.clone();
        flipped[at] ^= 1 << (at % 8);
        let mut zeroed = good.clone();
        let end = (at + 300).min(good.len());
        zeroed[at..end].fill(0);
        for (bytes, wound) in [(flipped, "flip"), (zeroed, "zeroes")] {
            let block = opened(&double, &bytes).unwrap();
            let count = truth.check(&block, &[]);
            truth.check(&block, &not_h3);
            truth.check(&block, &m1);
            block.label_values("host", &m1).unwrap();
            block.label_names(&m1).unwrap();
            // One small damage never costs the whole block.
            assert!(count > 0 || wound == "zeroes", "at {at} of {}", good.len());
            if count < meta.samples {
                assert!(block.damaged_pages() > 0, "at {at}");
            }
            noticed += u64::from(block.damaged_pages() > 0);
            lost += meta.samples - count;
            opens += 1;
        }
        if let Some(block) = opened(&double, &good[..at]) {
            truth.check(&block, &[]);
        }
    }
    println!("{opens} damaged blocks opened, {noticed} noticed, {lost} samples lost in all");
    assert!(noticed > opens / 2);
}

/// Blocks as the store writes them: a small block's index is a large part, and is still stored
/// twice.
#[test]
fn no_flipped_byte_costs_a_small_block() {
    for (series, samples) in [(1, 1), (3, 2), (200, 3), (150, 60)] {
        let double = Double::new();
        let truth = Truth::new(sample_data(series, samples));
        let options = Options::default();
        let meta = write_as(&double.dir(), 1, &truth.data, &options).unwrap();
        let good = double.bytes(&BlockId(1).path()).unwrap();
        let (mut most, mut costly) = (0, 0);
        for at in (0..good.len()).step_by((good.len() / 150).max(1)) {
            let mut flipped = good.clone();
            flipped[at] ^= 1 << (at % 8);
            let block = opened(&double, &flipped).unwrap();
            let lost = meta.samples - truth.check(&block, &[]);
            assert!(lost == 0 || block.damaged_pages() > 0, "at {at}");
            most = most.max(lost);
            costly += u64::from(lost > 0);
        }
        println!(
            "{series} series: {} bytes, {costly} flips cost samples, {most} of {} at most",
            good.len(),
            meta.samples
        );
        // A page that has no copy: a page of columns, which one of the series has for itself.
        let page: usize = { truth.data.chunks(64) }
            .map(|page| page.iter().map(|(_, samples)| samples.len()).sum())
            .max()
            .unwrap_or(0);
        assert!(most <= page as u64, "{most} of {}", meta.samples);
    }
}

/// Where not all copies fit, the first pages have theirs.
#[test]
fn the_first_pages_of_an_index_have_copies_in_any_block() {
    let double = Double::new();
    let truth = Truth::new(sample_data(6_000, 1));
    let options = Options {
        copies_percent: 0,
        copies_bytes: 8 << 10,
        ..Options::default()
    };
    let meta = write_as(&double.dir(), 1, &truth.data, &options).unwrap();
    let block = open(&double.dir(), 1);
    let footer = &block.footer;
    let index = footer.time_table.len() + footer.ranks.len() + footer.values.len();
    assert!((1..index).contains(&footer.copies.len()), "some");
    let good = double.bytes(&BlockId(1).path()).unwrap();
    let pages = footer.time_table.iter().chain(&footer.ranks);
    for page in pages.chain(footer.values.iter().map(|v| &v.page)) {
        let mut flipped = good.clone();
        flipped[page.offset as usize + 5] ^= 1;
        let block = opened(&double, &flipped).unwrap();
        let count = truth.check(&block, &[]);
        let has_copy = footer.copy_of(*page).is_some();
        assert!(count == meta.samples || !has_copy, "{page:?}");
    }
}

#[test]
fn footers_stand_twice() {
    let double = Double::new();
    let truth = Truth::new(sample_data(150, 60));
    let meta = write(&double.dir(), 1, &truth.data).unwrap();
    let mut bytes = double.bytes(&BlockId(1).path()).unwrap();
    let end = bytes.len();
    for kept in [1, 20, 32, 100] {
        let block = opened(&double, &bytes[..end - kept]).unwrap();
        assert_eq!(truth.check(&block, &[]), meta.samples);
    }
    // A file of an unknown version is left alone.
    let at = end - 16;
    bytes[at..at + 4].copy_from_slice(&9u32.to_le_bytes());
    let sum = crc32c::crc32c(&bytes[end - 32..end - 12]);
    bytes[end - 12..end - 8].copy_from_slice(&sum.to_le_bytes());
    double.set_bytes(&BlockId(1).path(), &bytes);
    let error = Block::open(&double.dir(), BlockId(1), &Arc::new(PageCache::new(0))).unwrap_err();
    assert!(
        matches!(error, BlockError::Version { version: 9, .. }),
        "{error}"
    );
    assert!(!error.is_damage());
}

#[test]
fn damaged_tombstones_cost_themselves() {
    let double = Double::new();
    let truth = Truth::new(sample_data(20, 40));
    let meta = write(&double.dir(), 1, &truth.data).unwrap();
    let block = open(&double.dir(), 1);
    block
        .delete(&[Matcher::equal("__name__", "m1")], 0, 100_000)
        .unwrap();
    let path = BlockId(1).tombstones_path();
    let good = double.bytes(&path).unwrap();
    let without = truth.check(&open(&double.dir(), 1), &[]);
    assert!(without < meta.samples);
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        for bytes in [&bytes[..], &good[..at]] {
            double.set_bytes(&path, bytes);
            assert_eq!(truth.check(&open(&double.dir(), 1), &[]), meta.samples);
        }
    }
}
