//! Exports our data to a Prometheus: blocks in its format, each of an aligned range of time.

use std::path::{Path, PathBuf};

use super::error::PromError;
use super::files;
use super::import::{Progress, Sink, Source};
use super::ulid::Ulid;
use super::writer::{BlockStats, PromBlockWriter, TMP_SUFFIX};
use crate::model::{Labels, Sample, TimestampMs};
use crate::stdx::stop::Stop;
use crate::storage::{Querier, SelectHints};

/// Prometheus's smallest block: two hours.
pub const BLOCK_MS: i64 = 2 * 60 * 60 * 1000;
/// The factor between a block's length and the next smaller one.
const RANGE_STEP: i64 = 3;
const RANGES: u32 = 10;

/// Returns the largest of Prometheus's block lengths, 2 h, 6 h, 18 h …, that does not exceed
/// `max_ms`; at least two hours.
pub fn compatible_range_ms(max_ms: i64) -> i64 {
    let ranges = (0..RANGES).map(|i| BLOCK_MS * RANGE_STEP.pow(i));
    ranges
        .take_while(|range| *range <= max_ms)
        .last()
        .unwrap_or(BLOCK_MS)
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Exported {
    pub blocks: Vec<BlockStats>,
    /// Blocks that an earlier run finished.
    pub kept: usize,
}

/// The range to export, both ends inclusive.
#[derive(Debug, Clone, Copy)]
pub struct Range {
    pub start: TimestampMs,
    pub end: TimestampMs,
    /// The length of a block, from [`compatible_range_ms`].
    pub block_ms: i64,
}

/// Writes a querier's samples into blocks below `out`. An existing block is kept if its whole range
/// is asked for, and written anew if it was cut short.
pub fn export(
    querier: &dyn Querier,
    out: &Path,
    range: Range,
    progress: &mut dyn FnMut(&Progress),
    stop: &Stop,
) -> Result<Exported, PromError> {
    files::create_dirs(out)?;
    remove_unfinished(out)?;
    let mut exported = Exported::default();
    let mut at = Progress::default();
    let first = range.start.div_euclid(range.block_ms);
    let last = range.end.div_euclid(range.block_ms);
    at.parts = usize::try_from(last - first + 1).unwrap_or(0);
    for number in first..=last {
        let from = number * range.block_ms;
        let to = from + (range.block_ms - 1);
        let ulid = Ulid::of(from, &format!("ferula {}", range.block_ms));
        let is_whole = range.start <= from && to <= range.end;
        if is_whole && files::exists(&out.join(ulid.to_string()).join("meta.json")) {
            exported.kept += 1;
        } else {
            let hints = SelectHints {
                start: from.max(range.start),
                end: to.min(range.end),
                ..SelectHints::default()
            };
            let writer = PromBlockWriter::create(out, ulid)?;
            let stats = write_block(querier, writer, &hints, &mut at, progress, stop)?;
            exported.blocks.extend(stats);
        }
        at.part += 1;
        progress(&at);
    }
    Ok(exported)
}

fn write_block(
    querier: &dyn Querier,
    mut writer: PromBlockWriter,
    hints: &SelectHints,
    at: &mut Progress,
    progress: &mut dyn FnMut(&Progress),
    stop: &Stop,
) -> Result<Option<BlockStats>, PromError> {
    let mut series = querier.select(hints, &[]).map_err(PromError::sink)?;
    let mut samples = Vec::new();
    while let Some(next) = series.next() {
        if stop.is_stopped() {
            return Err(PromError::Stopped);
        }
        let next = next.map_err(PromError::sink)?;
        samples.clear();
        let read = next.read(hints.start, hints.end, &mut samples);
        read.map_err(PromError::sink)?;
        writer.add(&next.labels(), &samples)?;
        at.series += 1;
        at.samples += samples.len() as u64;
        if at.series.is_multiple_of(256) {
            progress(at);
        }
    }
    writer.finish()
}

fn remove_unfinished(out: &Path) -> Result<(), PromError> {
    for (name, path) in files::list(out)? {
        if name
            .strip_suffix(TMP_SUFFIX)
            .and_then(Ulid::parse)
            .is_some()
        {
            files::remove_dir(&path)?;
        }
    }
    Ok(())
}

/// Writes samples into blocks of Prometheus's format, one per source.
#[derive(Debug)]
pub struct PromSink {
    out: PathBuf,
    writer: Option<PromBlockWriter>,
}

impl PromSink {
    pub fn new(out: &Path) -> Result<PromSink, PromError> {
        files::create_dirs(out)?;
        remove_unfinished(out)?;
        Ok(PromSink {
            out: out.to_owned(),
            writer: None,
        })
    }
}

impl Sink for PromSink {
    fn begin(&mut self, source: &Source) -> Result<bool, PromError> {
        let ulid = Ulid::parse(&source.id).unwrap_or_else(|| Ulid::of(source.min_t, &source.id));
        if files::exists(&self.out.join(ulid.to_string()).join("meta.json")) {
            return Ok(false);
        }
        self.writer = Some(PromBlockWriter::create(&self.out, ulid)?);
        Ok(true)
    }

    fn add(&mut self, labels: &Labels, samples: &[Sample]) -> Result<(), PromError> {
        match &mut self.writer {
            Some(writer) => writer.add(labels, samples),
            None => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<Option<BlockStats>, PromError> {
        match self.writer.take() {
            Some(writer) => writer.finish(),
            None => Ok(None),
        }
    }
}
