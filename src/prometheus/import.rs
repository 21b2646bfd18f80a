//! Imports a Prometheus's data: its blocks, and what was not in a block yet.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::block::{PromBlock, read_meta};
use super::error::{Damages, PromError};
use super::files;
use super::head::Head;
use super::ulid::Ulid;
use super::writer::BlockStats;
use crate::model::{Labels, Sample, TimestampMs};
use crate::stdx::sort::sort_by_key;
use crate::stdx::stop::Stop;

/// One part of an import, whose series come in order of labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The block's ULID. For the log, a name that changes when the log grows.
    pub id: String,
    /// Inclusive.
    pub min_t: TimestampMs,
    /// Inclusive.
    pub max_t: TimestampMs,
}

/// Receives samples: between `begin` and `finish` those of one source, in order of labels.
pub trait Sink {
    /// Begins a source. Returns false if an earlier run took it, so that it is skipped.
    fn begin(&mut self, source: &Source) -> Result<bool, PromError>;

    fn add(&mut self, labels: &Labels, samples: &[Sample]) -> Result<(), PromError>;

    /// Makes the source's samples durable. Returns the block, if they are one.
    fn finish(&mut self) -> Result<Option<BlockStats>, PromError>;
}

/// The progress of long work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// The current part of the work, from 0.
    pub part: usize,
    pub parts: usize,
    pub series: u64,
    pub samples: u64,
}

#[derive(Debug, Default)]
pub struct Imported {
    pub sources: usize,
    /// Sources that an earlier run took.
    pub passed_over: usize,
    pub series: u64,
    pub samples: u64,
    /// The oldest time of all sources, including those.
    pub oldest: Option<TimestampMs>,
    pub damages: Damages,
    /// Blocks that could not be opened, with the reason.
    pub lost_blocks: Vec<String>,
}

/// LIMIT: series between two reports of progress.
const SERIES_PER_PROGRESS: u64 = 256;

/// Imports a data directory, or one block's directory.
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

/// Returns the directories of blocks in order of time, without blocks that others were made of.
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
            // As in Prometheus: without it, it is not a block yet, or no longer.
            Err(e) => log::warn!("block passed over: {e}"),
        }
    }
    let parents = blocks.iter().flat_map(|(_, meta)| &meta.compaction.parents);
    let parents: HashSet<String> = parents.map(|p| p.ulid.clone()).collect();
    blocks.retain(|(_, meta)| !parents.contains(&meta.ulid) && !meta.compaction.deletable);
    sort_by_key(&mut blocks, |(_, meta)| (meta.min_time, meta.max_time));
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
    /// Imports a block. One that cannot be opened is left out.
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
