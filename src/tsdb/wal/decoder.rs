//! What records say, of the series whose past is known.

use super::batch::BatchReader;
use super::definition;
use super::entry::{Entry, Logged};
use super::exemplar;
use super::format;
use super::value::Last;
use super::varint::Bytes;
use crate::model::{MatchOp, Matcher};

/// LIMIT: stretches of missing records that are told apart; more are taken for one with all that is
/// between them.
const GAPS_MAX: usize = 256;

/// Reads the records of one segment in order.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// By id; `None` where no definition was read.
    series: Vec<Option<Last>>,
    gaps: Vec<Gap>,
    samples: Vec<Logged>,
    pub counts: Counts,
}

/// Records from `start` up to, not including, `end` are missing.
#[derive(Debug, Clone, Copy)]
struct Gap {
    start: u32,
    end: u32,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub records: u64,
    pub samples: u64,
    /// Samples that build on what is missing.
    pub unread_samples: u64,
    /// Good records that say what we cannot read.
    pub unread_records: u64,
}

impl Decoder {
    /// The records from `start` to `end` are missing.
    pub fn gap(&mut self, start: u32, end: u32) {
        if self.gaps.len() == GAPS_MAX
            && let Some(last) = self.gaps.last_mut()
        {
            last.end = end;
            return;
        }
        self.gaps.push(Gap { start, end });
    }

    /// `ids_max` bounds the ids by the segment's size; without `tell` samples are only followed.
    pub fn record(
        &mut self,
        kind: u8,
        seq: u32,
        payload: &[u8],
        ids_max: u64,
        tell: bool,
        sink: &mut dyn FnMut(Entry<'_>),
    ) {
        let read = match kind {
            format::SERIES => self.define(seq, payload, ids_max, sink),
            format::SAMPLES => self.in_order(seq, payload, tell, sink),
            format::OUT_OF_ORDER => self.out_of_order(payload, tell, sink),
            format::DELETE if tell => read_delete(payload, sink),
            format::EXEMPLARS if tell => self.exemplars(payload, sink),
            format::DELETE | format::EXEMPLARS => Some(()),
            _ => None,
        };
        self.counts.records += 1;
        if read.is_none() {
            self.counts.unread_records += 1;
            // NOTE: values build on no other kind.
            if kind == format::SAMPLES {
                self.gap(seq, seq.saturating_add(1));
            }
        }
    }

    fn define(
        &mut self,
        seq: u32,
        payload: &[u8],
        ids_max: u64,
        sink: &mut dyn FnMut(Entry<'_>),
    ) -> Option<()> {
        definition::read(payload, |id, labels| {
            let at = id as usize;
            if u64::from(id) > ids_max {
                return;
            }
            if at >= self.series.len() {
                self.series.resize(at + 1, None);
            }
            let mut last = Last::default();
            last.seq = seq;
            self.series[at] = Some(last);
            sink(Entry::Series { id, labels });
        })
    }

    fn in_order(
        &mut self,
        seq: u32,
        payload: &[u8],
        tell: bool,
        sink: &mut dyn FnMut(Entry<'_>),
    ) -> Option<()> {
        let mut batch = BatchReader::new(payload, &mut self.samples)?;
        let known_since = match batch.head.back {
            0 => 0,
            back => known_since(&self.gaps, seq.checked_sub(back)?),
        };
        let (full, mut kept) = (batch.head.full, 0);
        let (series, samples) = (self.series.as_mut_slice(), self.samples.as_mut_slice());
        for i in 0..samples.len() {
            let sample = samples[i];
            let last = series.get_mut(sample.id as usize).and_then(Option::as_mut);
            let stays = last
                .as_ref()
                .is_none_or(|l| l.seq < known_since && !(full && l.seq != seq));
            let mut lost = Last::default();
            let last = match last {
                // NOTE: it stays as it is, so that no later record builds on this one.
                Some(last) if stays => {
                    lost = *last;
                    &mut lost
                }
                Some(last) => {
                    if full && last.seq != seq {
                        *last = Last::default();
                    }
                    last
                }
                None => &mut lost,
            };
            let v = batch.value(i, last)?;
            last.seq = seq;
            samples[kept] = Logged { v, ..sample };
            kept += usize::from(!stays);
        }
        self.emit(kept, tell, sink, Entry::Samples);
        Some(())
    }

    fn out_of_order(
        &mut self,
        payload: &[u8],
        tell: bool,
        sink: &mut dyn FnMut(Entry<'_>),
    ) -> Option<()> {
        let mut batch = BatchReader::new(payload, &mut self.samples)?;
        let mut kept = 0;
        for i in 0..self.samples.len() {
            let sample = self.samples[i];
            let v = batch.value(i, &mut Last::default())?;
            if let Some(Some(_)) = self.series.get(sample.id as usize) {
                self.samples[kept] = Logged { v, ..sample };
                kept += 1;
            }
        }
        self.emit(kept, tell, sink, Entry::OutOfOrder);
        Some(())
    }

    fn exemplars(&self, payload: &[u8], sink: &mut dyn FnMut(Entry<'_>)) -> Option<()> {
        let mut exemplars = exemplar::read(payload)?;
        exemplars.retain(|(id, _)| matches!(self.series.get(*id as usize), Some(Some(_))));
        if !exemplars.is_empty() {
            sink(Entry::Exemplars(&exemplars));
        }
        Some(())
    }

    fn emit<'a>(
        &'a mut self,
        kept: usize,
        tell: bool,
        sink: &mut dyn FnMut(Entry<'_>),
        entry: fn(&'a [Logged]) -> Entry<'a>,
    ) {
        self.counts.unread_samples += (self.samples.len() - kept) as u64;
        self.samples.truncate(kept);
        if tell && kept > 0 {
            self.counts.samples += kept as u64;
            sink(entry(&self.samples));
        }
    }
}

/// A series whose last record is before this one may have had another that is missing. `newest` is
/// the newest record that a batch builds on.
fn known_since(gaps: &[Gap], newest: u32) -> u32 {
    let before = gaps.iter().rev().find(|gap| gap.start <= newest);
    before.map_or(0, |gap| gap.end)
}

fn read_delete(payload: &[u8], sink: &mut dyn FnMut(Entry<'_>)) -> Option<()> {
    let mut bytes = Bytes(payload);
    let (start, end) = (bytes.signed()?, bytes.signed()?);
    let mut matchers = Vec::new();
    while !bytes.0.is_empty() {
        let op = match bytes.byte()? {
            0 => MatchOp::Equal,
            1 => MatchOp::NotEqual,
            2 => MatchOp::Regex,
            3 => MatchOp::NotRegex,
            _ => return None,
        };
        matchers.push(Matcher::new(op, bytes.text()?, bytes.text()?).ok()?);
    }
    let matchers = &matchers;
    sink(Entry::Delete {
        matchers,
        start,
        end,
    });
    Some(())
}
