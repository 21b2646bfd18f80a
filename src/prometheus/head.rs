//! What Prometheus had not yet put into a block when it stopped: its log and its head's chunks,
//! joined series by series.
//!
//! The log is in order of time, and a sink wants series in order of labels. So the log is read once
//! to find the series, and then once per group of series whose samples fit into memory.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::block::sort_by_time;
use super::error::{Damages, PromError};
use super::head_chunks::HeadChunks;
use super::tombstones::Tombstones;
use super::wal::{self, Record};
use crate::model::{Labels, Sample, TimestampMs};
use crate::stdx::stop::Stop;

/// LIMIT: 16 MiB of samples at a time. Each further million reads the log once more.
const GROUP_SAMPLES: u64 = 1 << 20;

/// A Prometheus's head on disk.
#[derive(Debug)]
pub struct Head {
    segments: Vec<PathBuf>,
    out_of_order: Vec<PathBuf>,
    chunks: HeadChunks,
    deleted: Tombstones,
    /// Each series with its references (several if it went away and came back) and its number of
    /// samples.
    series: Vec<(Labels, Vec<u64>, u64)>,
    /// The index of the first unread series.
    next: usize,
    /// Older samples are in blocks.
    valid_from: TimestampMs,
    /// The range of the log and the chunks, both ends inclusive.
    pub range: Option<(TimestampMs, TimestampMs)>,
    pub damages: Damages,
    /// Samples whose series is not in the log, because its definition is damaged.
    pub nameless_samples: u64,
}

impl Head {
    pub fn open(data: &Path, valid_from: TimestampMs) -> Result<Head, PromError> {
        let mut damages = Damages::default();
        let mut head = Head {
            segments: wal::segments(data)?,
            out_of_order: wal::out_of_order_segments(data)?,
            chunks: HeadChunks::read(data, &mut damages)?,
            deleted: Tombstones::default(),
            series: Vec::new(),
            next: 0,
            valid_from,
            range: None,
            damages,
            nameless_samples: 0,
        };
        head.survey()?;
        Ok(head)
    }

    /// Finds the series, and their number of samples.
    fn survey(&mut self) -> Result<(), PromError> {
        let mut names: BTreeMap<Labels, Vec<u64>> = BTreeMap::new();
        let mut counts: HashMap<u64, u64> = HashMap::new();
        let mut known: HashSet<u64> = HashSet::new();
        let mut histograms = 0;
        for (i, path) in self.segments.iter().chain(&self.out_of_order).enumerate() {
            let valid_from = if i < self.segments.len() {
                self.valid_from
            } else {
                TimestampMs::MIN
            };
            wal::read(path, &mut self.damages, &mut |record| match record {
                Record::Series { reference, labels } => {
                    if known.insert(reference) {
                        names.entry(labels.clone()).or_default().push(reference);
                    }
                }
                Record::Sample { sample, .. } if sample.t < valid_from => {}
                Record::Sample { reference, sample } => {
                    *counts.entry(reference).or_default() += 1;
                    let (from, to) = self.range.unwrap_or((sample.t, sample.t));
                    self.range = Some((from.min(sample.t), to.max(sample.t)));
                }
                Record::Deleted {
                    reference,
                    from,
                    to,
                } => self.deleted.add(reference, from, to),
                Record::Histograms => histograms += 1,
            })?;
        }
        self.damages.histogram_records += histograms;
        for chunk in &self.chunks.chunks {
            *counts.entry(chunk.reference).or_default() += u64::from(chunk.samples);
            // NOTE: the log's samples of them may be damaged.
            if known.contains(&chunk.reference) {
                let (from, to) = self.range.unwrap_or((chunk.min_t, chunk.max_t));
                self.range = Some((from.min(chunk.min_t), to.max(chunk.max_t)));
            }
        }
        let nameless = counts.iter().filter(|(r, _)| !known.contains(*r));
        self.nameless_samples = nameless.map(|(_, n)| n).sum();
        let of = |references: &[u64]| references.iter().filter_map(|r| counts.get(r)).sum();
        self.series = names
            .into_iter()
            .map(|(labels, references)| {
                let samples = of(&references);
                (labels, references, samples)
            })
            .collect();
        Ok(())
    }

    /// Returns the next series with their samples, in order of labels; empty at the end.
    pub fn next_group(&mut self, stop: &Stop) -> Result<Vec<(Labels, Vec<Sample>)>, PromError> {
        let series = std::mem::take(&mut self.series);
        let rest = series.get(self.next..).unwrap_or_default();
        let mut total = 0;
        let fitting = rest.iter().take_while(|(_, _, samples)| {
            total += samples;
            total <= GROUP_SAMPLES
        });
        let end = self.next + fitting.count().max(1).min(rest.len());
        let read = self.read_group(series.get(self.next..end).unwrap_or_default(), stop);
        self.series = series;
        self.next = end;
        read
    }

    fn read_group(
        &mut self,
        group: &[(Labels, Vec<u64>, u64)],
        stop: &Stop,
    ) -> Result<Vec<(Labels, Vec<Sample>)>, PromError> {
        if group.is_empty() {
            return Ok(Vec::new());
        }
        let mut logged = self.read_logs(group, stop)?;
        let mut read = Vec::new();
        for (labels, references, _) in group {
            let mut samples = Vec::new();
            for reference in references {
                let logged = logged.remove(reference).unwrap_or_default();
                let mut own = self.chunks_of(*reference, false)?;
                own.extend(logged.in_order);
                own.retain(|s| s.t >= self.valid_from);
                own.extend(self.chunks_of(*reference, true)?);
                own.extend(logged.out_of_order);
                self.deleted.apply(*reference, &mut own);
                samples.append(&mut own);
            }
            sort_by_time(&mut samples);
            if !samples.is_empty() {
                read.push((labels.clone(), samples));
            }
        }
        Ok(read)
    }

    fn read_logs(
        &self,
        group: &[(Labels, Vec<u64>, u64)],
        stop: &Stop,
    ) -> Result<HashMap<u64, Logged>, PromError> {
        let references = group.iter().flat_map(|(_, references, _)| references);
        let mut logged: HashMap<u64, Logged> =
            references.map(|r| (*r, Logged::default())).collect();
        for path in &self.segments {
            read_segment(path, stop, &mut |reference, sample| {
                if sample.t >= self.valid_from
                    && let Some(logged) = logged.get_mut(&reference)
                {
                    logged.push_in_order(sample);
                }
            })?;
        }
        for path in &self.out_of_order {
            read_segment(path, stop, &mut |reference, sample| {
                if let Some(logged) = logged.get_mut(&reference) {
                    logged.out_of_order.push(sample);
                }
            })?;
        }
        Ok(logged)
    }

    fn chunks_of(&mut self, reference: u64, out_of_order: bool) -> Result<Vec<Sample>, PromError> {
        let chunks: Vec<_> = self.chunks.of(reference).collect();
        let mut samples = Vec::new();
        for chunk in chunks {
            if chunk.is_out_of_order == out_of_order {
                self.chunks.decode(chunk, &mut samples)?;
            }
        }
        Ok(samples)
    }
}

/// Reads a segment. The survey has recorded its damage.
fn read_segment(
    path: &Path,
    stop: &Stop,
    take: &mut dyn FnMut(u64, Sample),
) -> Result<(), PromError> {
    if stop.is_stopped() {
        return Err(PromError::Stopped);
    }
    wal::read(path, &mut Damages::default(), &mut |record| {
        if let Record::Sample { reference, sample } = record {
            take(reference, sample);
        }
    })
}

/// The samples of a series in the log.
#[derive(Debug, Default)]
struct Logged {
    in_order: Vec<Sample>,
    out_of_order: Vec<Sample>,
}

impl Logged {
    /// Adds a sample unless it is not newer than all before it. Such a sample was logged and then
    /// refused; Prometheus drops it at its start too.
    fn push_in_order(&mut self, sample: Sample) {
        if self.in_order.last().is_none_or(|last| last.t < sample.t) {
            self.in_order.push(sample);
        }
    }
}
