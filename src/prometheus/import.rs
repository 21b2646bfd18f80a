//! Takes over a Prometheus's data: its blocks, and what it had not yet put into one.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::block::{PromBlock, read_meta};
use super::error::{Damages, PromError};
use super::files;
use super::head::Head;
use super::ulid::Ulid;
use super::writer::BlockStats;
use crate::model::{Labels, Sample, TimestampMs};
use crate::stdx::stop::Stop;

/// One part of what is imported, whose series come in order of labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The block's ULID; of the log a name that changes when the log grows.
    pub id: String,
    /// Inclusive.
    pub min_t: TimestampMs,
    /// Inclusive.
    pub max_t: TimestampMs,
}

/// Where samples go: between `begin` and `finish` one source, in order of labels.
pub trait Sink {
    /// False when this source was taken before, in an earlier run, and is passed over.
    fn begin(&mut self, source: &Source) -> Result<bool, PromError>;

    fn add(&mut self, labels: &Labels, samples: &[Sample]) -> Result<(), PromError>;

    /// Makes the source's samples durable. What was made of them, if it is one block.
    fn finish(&mut self) -> Result<Option<BlockStats>, PromError>;
}

/// How far a long work is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Of the parts of the work, the one that is in work now, from 0.
    pub part: usize,
    pub parts: usize,
    pub series: u64,
    pub samples: u64,
}

#[derive(Debug, Default)]
pub struct Imported {
    pub sources: usize,
    /// Sources that were taken before.
    pub passed_over: usize,
    pub series: u64,
    pub samples: u64,
    /// Of all sources, those too that were taken before.
    pub oldest: Option<TimestampMs>,
    pub damages: Damages,
    /// Blocks that could not be opened, with the reason.
    pub lost_blocks: Vec<String>,
}

/// LIMIT: of series between two signs of life.
const SERIES_PER_PROGRESS: u64 = 256;

/// From a data directory, or from one block's.
pub fn import(
    path: &Path,
    sink: &mut dyn Sink,
    progress: &mut dyn FnMut(&Progress),
    stop: &Stop,
) -> Result<Imported, PromError> {
    if !files::exists(path) {
        let what = "there is no such directory";
        return Err(PromError::refused(path, what));
    }
    let mut import = Import {
        sink,
        progress,
        stop,
        at: Progress::default(),
        imported: Imported::default(),
    };
    let blocks = list_blocks(path)?;
    let has_head = files::exists(&path.join("wal"));
    if blocks.is_empty() && !has_head {
        let what = "neither blocks nor a write-ahead log are in it";
        return Err(PromError::refused(path, what));
    }
    import.at.parts = blocks.len() + usize::from(has_head);
    let mut valid_from = TimestampMs::MIN;
    for (block, meta) in &blocks {
        if !meta.is_beside_the_head() {
            valid_from = valid_from.max(meta.max_time);
        }
        import.block(block)?;
        import.at.part += 1;
    }
    if has_head {
        import.head(path, valid_from)?;
        import.at.part += 1;
    }
    (import.progress)(&import.at);
    Ok(import.imported)
}

/// Directories of blocks in order of time, without those that others were made of.
pub fn list_blocks(path: &Path) -> Result<Vec<(PathBuf, super::Meta)>, PromError> {
    let mut blocks = Vec::new();
    if files::exists(&path.join("meta.json")) {
        blocks.push((path.to_owned(), read_meta(path)?));
        return Ok(blocks);
    }
    for (name, block) in files::list(path)? {
        if Ulid::parse(&name).is_none() {
            continue;
        }
        match read_meta(&block) {
            Ok(meta) => blocks.push((block, meta)),
            // As Prometheus does: without it, it is no block yet, or no more.
            Err(e) => log::warn!("block passed over: {e}"),
        }
    }
    let parents = blocks.iter().flat_map(|(_, meta)| &meta.compaction.parents);
    let parents: HashSet<String> = parents.map(|p| p.ulid.clone()).collect();
    blocks.retain(|(_, meta)| !parents.contains(&meta.ulid) && !meta.compaction.deletable);
    blocks.sort_by_key(|(_, meta)| (meta.min_time, meta.max_time));
    Ok(blocks)
}

struct Import<'a> {
    sink: &'a mut dyn Sink,
    progress: &'a mut dyn FnMut(&Progress),
    stop: &'a Stop,
    at: Progress,
    imported: Imported,
}

impl Import<'_> {
    /// A block that cannot be opened costs itself.
    fn block(&mut self, path: &Path) -> Result<(), PromError> {
        let block = match PromBlock::open(path) {
            Ok(block) => block,
            Err(e) => {
                self.imported.lost_blocks.push(e.to_string());
                return Ok(());
            }
        };
        let source = Source {
            id: block.meta.ulid.clone(),
            min_t: block.meta.min_time,
            max_t: block.meta.max_time.saturating_sub(1),
        };
        if !self.begin(&source)? {
            return Ok(());
        }
        let mut reader = block.series()?;
        while let Some((labels, samples)) = reader.next()? {
            self.add(&labels, samples)?;
        }
        self.imported.damages.absorb(reader.damages);
        self.sink.finish().map(drop)
    }

    fn head(&mut self, path: &Path, valid_from: TimestampMs) -> Result<(), PromError> {
        let mut head = Head::open(path, valid_from)?;
        let Some((min_t, max_t)) = head.range else {
            return Ok(());
        };
        let source = Source {
            id: format!("head-{min_t}-{max_t}-{valid_from}"),
            min_t,
            max_t,
        };
        if self.begin(&source)? {
            loop {
                let group = head.next_group(self.stop)?;
                if group.is_empty() {
                    break;
                }
                for (labels, samples) in group {
                    self.add(&labels, &samples)?;
                }
            }
            self.sink.finish()?;
        }
        if head.nameless_samples > 0 {
            let what = format!("{} samples have lost their series", head.nameless_samples);
            head.damages.add(&path.join("wal"), 0, &what);
        }
        self.imported
            .damages
            .absorb(std::mem::take(&mut head.damages));
        Ok(())
    }

    fn begin(&mut self, source: &Source) -> Result<bool, PromError> {
        if self.stop.is_stopped() {
            return Err(PromError::Stopped);
        }
        (self.progress)(&self.at);
        let taken = self.sink.begin(source)?;
        let oldest = self.imported.oldest.unwrap_or(source.min_t);
        self.imported.oldest = Some(oldest.min(source.min_t));
        self.imported.sources += usize::from(taken);
        self.imported.passed_over += usize::from(!taken);
        Ok(taken)
    }

    fn add(&mut self, labels: &Labels, samples: &[Sample]) -> Result<(), PromError> {
        self.sink.add(labels, samples)?;
        for at in [&mut self.at.series, &mut self.imported.series] {
            *at += 1;
        }
        for at in [&mut self.at.samples, &mut self.imported.samples] {
            *at += samples.len() as u64;
        }
        if self.at.series.is_multiple_of(SERIES_PER_PROGRESS) {
            if self.stop.is_stopped() {
                return Err(PromError::Stopped);
            }
            (self.progress)(&self.at);
        }
        Ok(())
    }
}
