//! A Prometheus's data directory, for the tools.

use std::path::{Path, PathBuf};
use std::vec;

use super::analyze::SeriesSpan;
use super::block::{PromBlock, SeriesReader, block_bytes};
use super::error::{Damages, PromError};
use super::files;
use super::head::Head;
use super::import::list_blocks;
use super::list::BlockRow;
use super::meta::Meta;
use super::stream::{Filtered, LabelledSamples, Merged, SeriesStream};
use crate::model::{Labels, Matcher, Sample, TimestampMs};
use crate::stdx::stop::Stop;

/// The directory's content when it was opened. A running Prometheus may remove parts of it.
#[derive(Debug)]
pub struct PromDirectory {
    path: PathBuf,
    found: Vec<(PathBuf, Meta)>,
    blocks: Vec<PromBlock>,
}

impl PromDirectory {
    pub fn open(path: &Path) -> Result<PromDirectory, PromError> {
        if !files::exists(path) {
            return Err(PromError::refused(path, "there is no such directory"));
        }
        Ok(PromDirectory {
            path: path.to_owned(),
            found: list_blocks(path)?,
            blocks: Vec::new(),
        })
    }

    /// Returns the rows of `tsdb list`, in order of time.
    pub fn rows(&self) -> Vec<BlockRow> {
        let rows = self.found.iter().map(|(path, meta)| BlockRow {
            id: meta.ulid.clone(),
            min_t: meta.min_time,
            max_t: meta.max_time,
            samples: meta.stats.num_samples,
            chunks: meta.stats.num_chunks,
            series: meta.stats.num_series,
            bytes: block_bytes(path),
        });
        rows.collect()
    }

    /// Returns the block of this name, or the newest if the name is empty.
    pub fn block(&self, id: &str) -> Result<PromBlock, PromError> {
        let found = match id {
            "" => self.found.iter().max_by(|a, b| a.1.ulid.cmp(&b.1.ulid)),
            id => self.found.iter().find(|(_, meta)| meta.ulid == id),
        };
        match found {
            Some((path, _)) => PromBlock::open(path),
            None if id.is_empty() => Err(PromError::refused(&self.path, "no blocks found")),
            None => {
                let what = format!("block {id} not found");
                Err(PromError::refused(&self.path, what))
            }
        }
    }

    /// Returns the series of blocks and head, in order of labels.
    pub fn stream<'a>(
        &'a mut self,
        start: TimestampMs,
        end: TimestampMs,
        selectors: &'a [Vec<Matcher>],
        stop: &'a Stop,
    ) -> Result<impl SeriesStream + 'a, PromError> {
        let mut valid_from = TimestampMs::MIN;
        self.blocks.clear();
        for (path, meta) in &self.found {
            if !meta.is_beside_the_head() {
                valid_from = valid_from.max(meta.max_time);
            }
            if meta.min_time <= end && start < meta.max_time {
                self.blocks.push(PromBlock::open(path)?);
            }
        }
        let mut streams: Vec<Box<dyn SeriesStream + 'a>> = Vec::new();
        if files::exists(&self.path.join("wal")) {
            let head = Head::open(&self.path, valid_from)?;
            tell(&head.damages);
            let group = Vec::new().into_iter();
            streams.push(Box::new(HeadStream { head, group, stop }));
        }
        for block in &self.blocks {
            let reader = block.series()?;
            streams.push(Box::new(BlockStream { reader, stop }));
        }
        Ok(Filtered {
            stream: Merged::new(streams),
            selectors,
            start,
            end,
        })
    }
}

struct BlockStream<'a> {
    reader: SeriesReader<'a>,
    stop: &'a Stop,
}

impl SeriesStream for BlockStream<'_> {
    fn next(&mut self) -> Result<Option<LabelledSamples>, PromError> {
        if self.stop.is_stopped() {
            return Err(PromError::Stopped);
        }
        let next = self.reader.next()?;
        let next = next.map(|(labels, samples)| (labels, samples.to_vec()));
        if next.is_none() {
            tell(&std::mem::take(&mut self.reader.damages));
        }
        Ok(next)
    }
}

struct HeadStream<'a> {
    head: Head,
    group: vec::IntoIter<(Labels, Vec<Sample>)>,
    stop: &'a Stop,
}

impl SeriesStream for HeadStream<'_> {
    fn next(&mut self) -> Result<Option<LabelledSamples>, PromError> {
        if self.group.len() == 0 {
            self.group = self.head.next_group(self.stop)?.into_iter();
        }
        Ok(self.group.next())
    }
}

fn tell(damages: &Damages) {
    for told in &damages.told {
        log::warn!("{told}");
    }
    if let Some(what) = damages.histograms() {
        log::warn!("{what}");
    }
}

impl PromBlock {
    /// Gives every series to `analyze`; if `measured`, with the sizes of its chunks.
    pub fn spans(&self, measured: bool, take: &mut dyn FnMut(SeriesSpan)) -> Result<(), PromError> {
        let mut reader = self.series()?;
        while let Some(entry) = reader.next_entry()? {
            let chunks = if measured {
                reader.measure(&entry)?
            } else {
                Vec::new()
            };
            if let (Some(first), Some(last)) = (entry.chunks.first(), entry.chunks.last()) {
                take(SeriesSpan {
                    min_t: first.min_t,
                    max_t: last.max_t,
                    labels: entry.labels,
                    chunks,
                });
            }
        }
        tell(&reader.damages);
        Ok(())
    }
}
