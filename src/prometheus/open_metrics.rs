//! `tsdb create-blocks-from openmetrics`: backfilling.
//!
//! The text is read piece by piece: once to find the times, and once per group of ranges whose
//! samples fit into memory.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::block::sort_by_time;
use super::error::PromError;
use super::import::{Progress, Sink, Source};
use super::writer::BlockStats;
use crate::exposition::{Entry, Format, Parser, Point};
use crate::model::{Labels, LabelsBuilder, Sample, TimestampMs};
use crate::stdx::stop::Stop;

/// LIMIT: text in memory at a time.
const PIECE_BYTES: usize = 1 << 20;
/// LIMIT: one line.
const LINE_BYTES_MAX: usize = 16 << 20;
/// LIMIT: 16 MiB of samples at a time, unless a single block has more.
const GROUP_SAMPLES: u64 = 1 << 20;
/// LIMIT: samples between two reports of progress.
const SAMPLES_PER_PROGRESS: u64 = 64 << 10;
const EOF: &[u8] = b"# EOF\n";

#[derive(Debug, Clone)]
pub struct CreateOptions {
    /// The length of a block, from `compatible_range_ms`.
    pub block_ms: i64,
    /// Added to every series.
    pub labels: Vec<(String, String)>,
}

/// Makes blocks of a text, which `open` begins anew for each of several reads. Blocks that an
/// earlier run made of the same text are not made again.
pub fn create_blocks(
    open: &mut dyn FnMut() -> io::Result<Box<dyn Read>>,
    sink: &mut dyn Sink,
    options: &CreateOptions,
    finished: &mut dyn FnMut(&BlockStats),
    progress: &mut dyn FnMut(&Progress),
    stop: &Stop,
) -> Result<(), PromError> {
    // NOTE: the number of parts is known after the first, which counts.
    let mut at = Progress::default();
    let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
    let mut hash = xxhash_rust::xxh64::Xxh64::new(0);
    for (name, value) in &options.labels {
        hash.update(format!("{name:?}={value:?}").as_bytes());
    }
    let range_of = |t: TimestampMs| t.div_euclid(options.block_ms);
    let survey = read(open, Some(&mut hash), stop, &mut |_, _, point| {
        let t = point
            .t
            .ok_or_else(|| failed("expected timestamp for series got none"))?;
        *counts.entry(range_of(t)).or_default() += 1;
        at.samples += 1;
        if at.samples.is_multiple_of(SAMPLES_PER_PROGRESS) {
            progress(&at);
        }
        Ok(())
    });
    survey.map_err(|e| match e {
        PromError::Sink(e) => failed(format!("getting min and max timestamp: {e}")),
        e => e,
    })?;
    let text = hash.digest();
    let groups = groups(&counts);
    at = Progress {
        parts: groups.len() + 1,
        ..Progress::default()
    };
    for group in groups {
        at.part += 1;
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            continue;
        };
        let mut series: BTreeMap<Labels, Vec<Sample>> = BTreeMap::new();
        let mut builder = LabelsBuilder::default();
        read(open, None, stop, &mut |parser, name, point| {
            if let Some(t) = point.t
                && (*first..=*last).contains(&range_of(t))
            {
                parser.labels(name, &mut builder).map_err(failed)?;
                for (name, value) in &options.labels {
                    builder.set(name, value);
                }
                let samples = series.entry(builder.labels()).or_default();
                samples.push(Sample { t, v: point.v });
                at.samples += 1;
                if at.samples.is_multiple_of(SAMPLES_PER_PROGRESS) {
                    progress(&at);
                }
            }
            Ok(())
        })?;
        series.values_mut().for_each(sort_by_time);
        at.series += series.len() as u64;
        for range in group {
            let min_t = range * options.block_ms;
            let max_t = min_t + (options.block_ms - 1);
            let id = format!("openmetrics-{text:016x}-{min_t}");
            let source = Source { id, min_t, max_t };
            if let Some(stats) = write(sink, &source, &series)? {
                finished(&stats);
            }
        }
    }
    Ok(())
}

fn failed(why: impl ToString) -> PromError {
    PromError::sink(why.to_string())
}

/// Groups successive ranges that together fit into memory.
fn groups(counts: &BTreeMap<i64, u64>) -> Vec<Vec<i64>> {
    let mut groups: Vec<Vec<i64>> = Vec::new();
    let mut samples = 0;
    for (range, count) in counts {
        samples += count;
        match groups.last_mut() {
            Some(group) if samples <= GROUP_SAMPLES => group.push(*range),
            _ => {
                samples = *count;
                groups.push(vec![*range]);
            }
        }
    }
    groups
}

fn write(
    sink: &mut dyn Sink,
    source: &Source,
    series: &BTreeMap<Labels, Vec<Sample>>,
) -> Result<Option<BlockStats>, PromError> {
    if !sink.begin(source)? {
        return Ok(None);
    }
    for (labels, samples) in series {
        let from = samples.partition_point(|s| s.t < source.min_t);
        let to = samples.partition_point(|s| s.t <= source.max_t);
        match samples.get(from..to) {
            Some(samples) if !samples.is_empty() => sink.add(labels, samples)?,
            _ => {}
        }
    }
    sink.finish()
}

type Take<'t> = dyn FnMut(&mut Parser<'_>, &[u8], Point<'_>) -> Result<(), PromError> + 't;

/// Gives every sample of the text to `take`.
fn read(
    open: &mut dyn FnMut() -> io::Result<Box<dyn Read>>,
    mut hash: Option<&mut xxhash_rust::xxh64::Xxh64>,
    stop: &Stop,
    take: &mut Take<'_>,
) -> Result<(), PromError> {
    let mut input = open().map_err(failed)?;
    let (mut text, mut type_line, mut is_last) = (Vec::new(), Vec::new(), false);
    while !is_last {
        if stop.is_stopped() {
            return Err(PromError::Stopped);
        }
        let before = text.len();
        let wanted = (&mut input).take(PIECE_BYTES as u64);
        let read = { wanted }.read_to_end(&mut text).map_err(failed)?;
        if let Some(hash) = &mut hash {
            hash.update(text.get(before..).unwrap_or_default());
        }
        is_last = read < PIECE_BYTES;
        let end = match memchr::memrchr(b'\n', &text) {
            _ if is_last => text.len(),
            Some(end) => end + 1,
            None if text.len() > LINE_BYTES_MAX => return Err(failed("a line exceeds 16 MiB")),
            None => continue,
        };
        let rest = text.split_off(end);
        // Each piece is a text of its own, under the type that held where it was cut.
        let mut piece = type_line.clone();
        piece.append(&mut text);
        if !is_last {
            piece.extend_from_slice(EOF);
        }
        read_piece(&piece, &mut type_line, take)?;
        text = rest;
    }
    Ok(())
}

fn read_piece(piece: &[u8], type_line: &mut Vec<u8>, take: &mut Take<'_>) -> Result<(), PromError> {
    let mut parser = Parser::new(piece, Format::OpenMetrics);
    loop {
        let from = parser.pos();
        match parser.next().map_err(|e| failed(format!("next: {e}")))? {
            None => return Ok(()),
            Some(Entry::Series { series, point }) => take(&mut parser, series, point)?,
            Some(Entry::Type { .. }) => {
                type_line.clear();
                type_line.extend_from_slice(parser.line_since(from));
                type_line.push(b'\n');
            }
            Some(_) => {}
        }
    }
}
