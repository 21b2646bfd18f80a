//! Writes one block.

use std::path::{Path, PathBuf};

use super::error::PromError;
use super::files::{self, Output};
use super::index_write::{ChunkMeta, IndexWriter};
use super::meta::{Meta, Stats};
use super::tombstones;
use super::ulid::Ulid;
use super::xor;
use crate::model::{Labels, Sample};
use crate::stdx::varint::put_varint;

pub const CHUNKS_MAGIC: [u8; 4] = [0x85, 0xbd, 0x40, 0xdd];
const CHUNKS_VERSION: u8 = 1;
/// Prometheus's own target.
const CHUNK_SAMPLES: usize = 120;
/// LIMIT: Prometheus's own, so that a file can be mapped.
const CHUNKS_FILE_BYTES_MAX: u64 = 512 << 20;
/// The name of what a crash may leave, which Prometheus removes when it starts.
pub const TMP_SUFFIX: &str = ".tmp-for-creation";

/// The statistics of a written block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockStats {
    pub ulid: Ulid,
    /// Inclusive.
    pub min_t: i64,
    /// Exclusive.
    pub max_t: i64,
    pub series: u64,
    pub samples: u64,
    pub chunks: u64,
    pub bytes: u64,
}

/// A block that is being written. Dropped before it is finished, it leaves nothing.
#[derive(Debug)]
pub struct PromBlockWriter {
    /// The directory of blocks.
    parent: PathBuf,
    tmp: PathBuf,
    stats: BlockStats,
    /// Taken when the block is finished.
    index: Option<IndexWriter>,
    chunks: Option<Output>,
    chunk_files: u64,
    last: Option<Labels>,
    metas: Vec<ChunkMeta>,
    data: Vec<u8>,
}

impl PromBlockWriter {
    /// Starts a block in the directory `path`, which is made if it is missing.
    pub fn create(path: &Path, ulid: Ulid) -> Result<PromBlockWriter, PromError> {
        let tmp = path.join(format!("{ulid}{TMP_SUFFIX}"));
        files::remove_dir(&tmp)?;
        files::create_dirs(&tmp.join("chunks"))?;
        Ok(PromBlockWriter {
            parent: path.to_owned(),
            index: Some(IndexWriter::create(&tmp)?),
            tmp,
            stats: BlockStats {
                ulid,
                min_t: i64::MAX,
                max_t: i64::MIN,
                series: 0,
                samples: 0,
                chunks: 0,
                bytes: 0,
            },
            chunks: None,
            chunk_files: 0,
            last: None,
            metas: Vec::new(),
            data: Vec::new(),
        })
    }

    /// Adds a series: greater than the one before, its samples in order of time, no time twice. A
    /// series without samples is left out.
    pub fn add(&mut self, labels: &Labels, samples: &[Sample]) -> Result<(), PromError> {
        let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
            return Ok(());
        };
        if self.last.as_ref().is_some_and(|before| before >= labels) {
            return Err(PromError::Order(format!("series {labels} is out of order")));
        }
        if let Some([_, late]) = samples.windows(2).find(|w| w[0].t >= w[1].t) {
            let t = late.t;
            let text = format!("sample of {labels} at {t} is out of order");
            return Err(PromError::Order(text));
        }
        self.metas.clear();
        for chunk in samples.chunks(CHUNK_SAMPLES) {
            self.add_chunk(chunk)?;
        }
        if let Some(index) = &mut self.index {
            index.add(labels, &self.metas)?;
        }
        self.last = Some(labels.clone());
        let stats = &mut self.stats;
        stats.min_t = stats.min_t.min(first.t);
        stats.max_t = stats.max_t.max(last.t.saturating_add(1));
        stats.series += 1;
        stats.samples += samples.len() as u64;
        stats.chunks += self.metas.len() as u64;
        Ok(())
    }

    pub fn stats(&self) -> &BlockStats {
        &self.stats
    }

    /// Finishes the block durably, under its name, and replaces one of that name. Returns `None`
    /// without series.
    pub fn finish(mut self) -> Result<Option<BlockStats>, PromError> {
        let Some(index) = self.index.take().filter(|_| self.stats.series > 0) else {
            return Ok(None);
        };
        self.close_chunks()?;
        files::sync_dir(&self.tmp.join("chunks"))?;
        self.stats.bytes += index.finish(&self.tmp)?;
        let none = tombstones::encode_none();
        files::write_durably(self.tmp.join("tombstones"), &none)?;
        let stats = &self.stats;
        let counted = Stats {
            num_samples: stats.samples,
            num_float_samples: stats.samples,
            num_series: stats.series,
            num_chunks: stats.chunks,
            ..Stats::default()
        };
        let meta = Meta::first_level(stats.ulid, stats.min_t, stats.max_t, counted);
        let json = meta.to_json().map_err(PromError::sink)?;
        files::write_durably(self.tmp.join("meta.json"), &json)?;
        self.stats.bytes += (none.len() + json.len()) as u64;
        let target = self.parent.join(self.stats.ulid.to_string());
        files::remove_dir(&target)?;
        files::publish(&self.tmp, &target)?;
        Ok(Some(self.stats.clone()))
    }

    fn add_chunk(&mut self, samples: &[Sample]) -> Result<(), PromError> {
        let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
            return Ok(());
        };
        self.data.clear();
        self.data.push(xor::XOR);
        xor::encode(samples, &mut self.data);
        let mut len = Vec::with_capacity(5);
        put_varint(&mut len, self.data.len() as u64 - 1);
        let needed = (len.len() + self.data.len() + 4) as u64;
        let is_full = |out: &Output| out.at + needed > CHUNKS_FILE_BYTES_MAX;
        if self.chunks.as_ref().is_some_and(is_full) {
            self.close_chunks()?;
        }
        let out = match &mut self.chunks {
            Some(out) => out,
            closed => {
                self.chunk_files += 1;
                let name = format!("chunks/{:06}", self.chunk_files);
                let mut out = Output::create(self.tmp.join(name))?;
                out.put(&CHUNKS_MAGIC)?;
                out.put(&[CHUNKS_VERSION, 0, 0, 0])?;
                closed.insert(out)
            }
        };
        self.metas.push(ChunkMeta {
            min_t: first.t,
            max_t: last.t,
            at: (self.chunk_files - 1) << 32 | out.at,
        });
        out.put(&len)?;
        out.begin_crc();
        out.put(&self.data)?;
        out.put_crc()
    }

    fn close_chunks(&mut self) -> Result<(), PromError> {
        if let Some(out) = self.chunks.take() {
            self.stats.bytes += out.finish()?;
        }
        Ok(())
    }
}

impl Drop for PromBlockWriter {
    fn drop(&mut self) {
        // A finished block has another name. The next writer of this block, or Prometheus, removes
        // what cannot be removed now.
        if let Err(e) = files::remove_dir(&self.tmp) {
            log::warn!("{e}");
        }
    }
}
