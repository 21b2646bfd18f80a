//! Chooses the blocks to merge next.

use std::collections::BTreeMap;

use crate::model::TimestampMs;
use crate::stdx::sort::sort_by_key;
use crate::tsdb::block::{BlockId, BlockMeta};

#[derive(Debug, Clone)]
pub struct PlanOptions {
    /// The time range of a freshly flushed block, usually 2 h.
    pub flush_range_ms: i64,
    /// 0 means no retention.
    pub retention_ms: i64,
    /// The bytes that an output may take beside the existing files.
    pub room_bytes: u64,
    /// Blocks that are not merged with others for now.
    pub left_out: Vec<BlockId>,
}

impl PlanOptions {
    /// Returns the group with the blocks that must be merged with it, if it may be merged.
    fn whole<'a>(
        &self,
        group: &[&'a BlockMeta],
        all: &[&'a BlockMeta],
    ) -> Option<Vec<&'a BlockMeta>> {
        let group = with_between(group.to_vec(), all)?;
        let bytes: u64 = group.iter().map(|m| m.bytes).sum();
        let takes = |m: &&BlockMeta| !self.left_out.contains(&m.id);
        (bytes <= self.room_bytes && group.iter().all(takes)).then_some(group)
    }
}

/// The factor between a range and the next shorter one.
const STEP: i64 = 3;

/// LIMIT: the longest range. Rewriting an older block costs more than its merging saves, and
/// retention drops whole blocks only.
const RANGE_MAX_MS: i64 = 31 * 24 * 3_600_000;
/// The longest range is this part of the retention, so that little stays too long.
const RETENTION_SHARE: i64 = 10;

/// LIMIT: blocks merged at once, which bounds open files and buffers.
const SOURCES_MAX: usize = 32;

/// Early flushes within the newest range are merged when there are this many of a like size. So
/// there are few blocks, and each sample is rewritten only a few times.
const LIKE_COUNT: usize = 4;
/// Blocks are of like size when none has more than this many times the bytes of another.
const LIKE_RATIO: u64 = 4;

/// A block is rewritten alone when its deletions are at least this percentage of its series.
const DELETED_SHARE: u64 = 20;

/// Returns the blocks to merge into one now, or none. `newest` is the time of the newest sample in
/// the whole database. A range that it has not passed yet will get more blocks.
///
/// The order of preference: small blocks of the newest range, overlapping blocks, a whole range, a
/// block with many deletions.
pub fn plan(
    blocks: &[BlockMeta],
    newest: TimestampMs,
    options: &PlanOptions,
) -> Option<Vec<BlockId>> {
    let mut sorted: Vec<&BlockMeta> = blocks.iter().collect();
    sort_by_key(&mut sorted, |m| (m.min_t, m.max_t, m.id));
    let ranges = ranges(options);
    let found = alike(&sorted, newest, options)
        .or_else(|| overlapping(&sorted, &ranges, newest, options))
        .or_else(|| whole_ranges(&sorted, &ranges, newest, options))
        .or_else(|| deleted(&sorted, options))?;
    Some(found.into_iter().map(|m| m.id).collect())
}

/// Adds the blocks that must be merged too. A merged block is as new as the newest of its sources.
/// A block of a rank in between that shares times with an older source must be in it, or the older
/// source's samples would win against it. Returns `None` if that makes too many.
fn with_between<'a>(
    mut group: Vec<&'a BlockMeta>,
    all: &[&'a BlockMeta],
) -> Option<Vec<&'a BlockMeta>> {
    let newest = group.iter().map(|m| m.rank()).max()?;
    let between = |group: &[&BlockMeta], block: &BlockMeta| {
        let wins = |m: &&BlockMeta| m.rank() < block.rank() && m.overlaps(block.min_t, block.max_t);
        let is_in = group.iter().any(|m| m.id == block.id);
        !is_in && block.rank() < newest && group.iter().any(wins)
    };
    while let Some(found) = all.iter().find(|block| between(&group, block)) {
        if group.len() == SOURCES_MAX {
            return None;
        }
        group.push(found);
    }
    Some(group)
}

/// Returns the lengths of ranges, the shortest first.
fn ranges(options: &PlanOptions) -> Vec<i64> {
    let flush = options.flush_range_ms.max(1);
    let share = options.retention_ms / RETENTION_SHARE;
    let max = if share > 0 {
        share.min(RANGE_MAX_MS)
    } else {
        RANGE_MAX_MS
    };
    let mut ranges = vec![flush];
    let mut range = flush.saturating_mul(STEP);
    while range <= max {
        ranges.push(range);
        range = range.saturating_mul(STEP);
    }
    ranges
}

/// Returns the beginning of the range of this length that holds `t`.
fn begin(t: TimestampMs, range: i64) -> TimestampMs {
    t.div_euclid(range).saturating_mul(range)
}

/// Whether a range is complete: the newest sample is beyond it by half a flush, the time for which
/// samples may come late.
fn is_complete(t: TimestampMs, range: i64, flush: i64, newest: TimestampMs) -> bool {
    begin(t, range)
        .saturating_add(range)
        .saturating_add(flush / 2)
        <= newest
}

/// Finds neighbours of like size that together are shorter than a flush.
fn alike<'a>(
    sorted: &[&'a BlockMeta],
    newest: TimestampMs,
    options: &PlanOptions,
) -> Option<Vec<&'a BlockMeta>> {
    let recent = newest.saturating_sub(options.flush_range_ms.saturating_mul(STEP));
    let small: Vec<&BlockMeta> = { sorted.iter().copied() }
        .filter(|m| m.max_t >= recent && m.max_t.saturating_sub(m.min_t) < options.flush_range_ms)
        .collect();
    small.windows(LIKE_COUNT).rev().find_map(|group| {
        let (first, last) = (group.first()?, group.last()?);
        let least = group.iter().map(|m| m.bytes).min()?;
        let most = group.iter().map(|m| m.bytes).max()?;
        let together = last.max_t.saturating_sub(first.min_t);
        let alike = most <= least.max(1).saturating_mul(LIKE_RATIO)
            && together <= options.flush_range_ms.saturating_mul(STEP);
        alike.then(|| options.whole(group, sorted)).flatten()
    })
}

/// Finds the first blocks, in a complete range, that contain one another or overlap by more than
/// late samples explain.
fn overlapping<'a>(
    sorted: &[&'a BlockMeta],
    ranges: &[i64],
    newest: TimestampMs,
    options: &PlanOptions,
) -> Option<Vec<&'a BlockMeta>> {
    let (flush, most) = (*ranges.first()?, *ranges.last()?);
    let mut group: Vec<&BlockMeta> = Vec::new();
    let mut end = i64::MIN;
    for meta in sorted {
        let overlaps = !group.is_empty() && meta.min_t <= end;
        let span = group
            .first()
            .map_or(0, |m| meta.max_t.max(end).saturating_sub(m.min_t));
        if overlaps && group.len() < SOURCES_MAX && span <= most.saturating_add(flush) {
            end = end.max(meta.max_t);
            group.push(meta);
            continue;
        }
        if is_worth(&group, flush, newest)
            && let Some(whole) = options.whole(&group, sorted)
        {
            return Some(whole);
        }
        group = vec![meta];
        end = meta.max_t;
    }
    let last = is_worth(&group, flush, newest).then_some(group)?;
    options.whole(&last, sorted)
}

fn is_worth(group: &[&BlockMeta], flush: i64, newest: TimestampMs) -> bool {
    let overlap = |pair: &[&BlockMeta]| {
        let [a, b] = pair else { return false };
        a.max_t.min(b.max_t) >= b.min_t.saturating_add(flush / 2)
    };
    let latest = group.iter().map(|m| m.max_t).max().unwrap_or(i64::MAX);
    group.windows(2).any(overlap) && latest.saturating_add(flush / 2) <= newest
}

/// Finds the first complete range that holds more than one block, shortest ranges first.
fn whole_ranges<'a>(
    sorted: &[&'a BlockMeta],
    ranges: &[i64],
    newest: TimestampMs,
    options: &PlanOptions,
) -> Option<Vec<&'a BlockMeta>> {
    let flush = *ranges.first()?;
    for range in ranges {
        // NOTE: a block belongs to the range of its newest sample. Late samples make it begin a
        // little earlier, and a flush takes what came until then.
        let of = |m: &BlockMeta| begin(m.max_t, *range);
        let short = |m: &BlockMeta| m.max_t.saturating_sub(m.min_t) <= *range;
        let candidates: Vec<&BlockMeta> = sorted.iter().copied().filter(|m| short(m)).collect();
        let mut groups: BTreeMap<i64, Vec<&BlockMeta>> = BTreeMap::new();
        for meta in candidates {
            groups.entry(of(meta)).or_default().push(meta);
        }
        for (start, mut group) in groups {
            group.truncate(SOURCES_MAX);
            if group.len() > 1
                && is_complete(start, *range, flush, newest)
                && let Some(whole) = options.whole(&group, sorted)
            {
                return Some(whole);
            }
        }
    }
    None
}

fn deleted<'a>(sorted: &[&'a BlockMeta], options: &PlanOptions) -> Option<Vec<&'a BlockMeta>> {
    let much = |m: &BlockMeta| m.tombstones > 0 && m.tombstones * 100 / DELETED_SHARE >= m.series;
    let mut found = sorted.iter().filter(|m| much(m));
    found.find_map(|m| options.whole(&[*m], sorted))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    /// Blocks are given as (hours from, to, bytes), and expected as positions.
    fn check(blocks: &[(f64, f64, u64)], newest: f64, retention_days: i64, expect: &[u64]) {
        check_without(&[], blocks, newest, retention_days, expect);
    }

    /// Checks the same while some blocks are left out.
    fn check_without(
        left_out: &[u64],
        blocks: &[(f64, f64, u64)],
        newest: f64,
        retention_days: i64,
        expect: &[u64],
    ) {
        let of = |(i, (from, to, bytes)): (usize, &(f64, f64, u64))| BlockMeta {
            id: BlockId(i as u64),
            min_t: (from * HOUR as f64) as i64,
            max_t: (to * HOUR as f64) as i64 - 1,
            series: 100,
            samples: 1_000,
            bytes: *bytes,
            level: 0,
            sources: Vec::new(),
            newest: BlockId(i as u64),
            wal: None,
            tombstones: if *bytes == 77 { 50 } else { 0 },
        };
        let metas: Vec<BlockMeta> = blocks.iter().enumerate().map(of).collect();
        let options = PlanOptions {
            flush_range_ms: 2 * HOUR,
            retention_ms: retention_days * 24 * HOUR,
            room_bytes: 10_000,
            left_out: left_out.iter().map(|id| BlockId(*id)).collect(),
        };
        let found = plan(&metas, (newest * HOUR as f64) as i64, &options).unwrap_or_default();
        let found: Vec<u64> = found.iter().map(|id| id.0).collect();
        assert_eq!(found, expect, "{blocks:?}");
    }

    #[test]
    fn table() {
        check(&[], 100.0, 15, &[]);
        check(&[(0.0, 2.0, 9)], 100.0, 15, &[]);
        // Three flushes of a range, once it is past.
        let three = [(0.0, 2.0, 9), (2.0, 4.0, 9), (4.0, 6.0, 9)];
        check(&three, 6.5, 15, &[]);
        check(&three, 7.0, 15, &[0, 1, 2]);
        // A block from the future waits, and holds up no other.
        let [a, b, c] = three;
        check(&[a, b, c, (800.0, 802.0, 9)], 7.0, 15, &[0, 1, 2]);
        check(&[a, b, c, (5.0, 900.0, 9)], 7.0, 15, &[0, 1, 2]);
        check(&[(0.0, 6.0, 9), (800.0, 800.1, 9)], 7.0, 15, &[]);
        // The next range has begun.
        check(
            &[(0.0, 6.0, 9), (6.0, 8.0, 9), (8.0, 10.0, 9)],
            11.0,
            15,
            &[],
        );
        // Ranges of 6 h make 18 h.
        check(
            &[(0.0, 6.0, 9), (6.0, 12.0, 9), (12.0, 18.0, 9)],
            20.0,
            15,
            &[0, 1, 2],
        );
        // A tenth of the retention is the longest range.
        check(
            &[(0.0, 6.0, 9), (6.0, 12.0, 9), (12.0, 18.0, 9)],
            20.0,
            5,
            &[],
        );
        // Early flushes, four alike; the newest first.
        let early = [(0.0, 0.1, 9), (0.1, 0.2, 9), (0.2, 0.3, 9), (0.3, 0.4, 9)];
        check(&early, 0.4, 15, &[0, 1, 2, 3]);
        check(&early[..3], 0.4, 15, &[]);
        let uneven = [(0.0, 0.4, 90), (0.4, 0.5, 9), (0.5, 0.6, 9), (0.6, 0.7, 9)];
        check(&uneven, 0.7, 15, &[]);
        // Overlapping blocks.
        check(
            &[(0.0, 4.0, 9), (1.0, 5.0, 9), (40.0, 42.0, 9)],
            50.0,
            15,
            &[0, 1],
        );
        // An overlap that an hour of late samples explains is left alone.
        check(&[(0.0, 6.0, 9), (5.5, 12.0, 9)], 12.0, 15, &[]);
        // A block that is newer than some of four and shares their times is merged too.
        let long = (0.05, 3.0, 900);
        let between = [early[0], early[1], long, early[2], early[3]];
        check(&between, 3.0, 15, &[0, 1, 3, 4, 2]);
        let older = [long, early[0], early[1], early[2], early[3]];
        check(&older, 3.0, 15, &[1, 2, 3, 4]);
        // No room.
        check(&[(0.0, 2.0, 9_000), (2.0, 4.0, 9_000)], 20.0, 15, &[]);
        // A group without room, or left out, keeps no other from being merged.
        let two = [(0.0, 2.0, 9_000), (2.0, 4.0, 9_000)];
        let more = [
            (6.0, 8.0, 9),
            (8.0, 10.0, 9),
            (12.0, 16.0, 9),
            (13.0, 17.0, 9),
        ];
        let all = [&two[..], &more[..]].concat();
        check(&all, 20.0, 15, &[4, 5]);
        check_without(&[5], &all, 20.0, 15, &[2, 3]);
        check_without(&[3, 5], &all, 20.0, 15, &[]);
        check_without(&[2], &early, 0.4, 15, &[]);
        let more_early = [&early[..], &[(0.4, 0.5, 9)]].concat();
        check_without(&[0], &more_early, 0.5, 15, &[1, 2, 3, 4]);
        check_without(&[4], &more_early, 0.5, 15, &[0, 1, 2, 3]);
        // Much deleted.
        check(&[(0.0, 2.0, 77)], 20.0, 15, &[0]);
        check_without(&[0], &[(0.0, 2.0, 77), (2.0, 4.0, 77)], 5.0, 15, &[1]);
    }
}
