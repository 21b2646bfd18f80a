//! Takes what is imported from a Prometheus: a block of ours for each of its own.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::error::OpenError;
use super::offline::block_ids;
use super::open::{refuse_foreign, remove_leftovers};
use crate::model::{Labels, Sample, TimestampMs};
use crate::stdx::clock::Clock;
use crate::tsdb::block::{Block, BlockId, BlockWriter, Options, PageCache};
use crate::tsdb::dir::{Dir, Disk, Lock};
use crate::tsdb::filenames::{BLOCKS_DIR, IMPORTED, LOCK, TMP_SUFFIX, WAL_DIR};
use crate::tsdb::prometheus::{BlockStats, PromError, Sink, Source};

/// LIMIT: bytes of the names of what was imported; some thirty for each block of a Prometheus.
const IMPORTED_BYTES_MAX: u64 = 4 << 20;

/// What came from elsewhere is not the head's, whose blocks begin at 0.
const LEVEL: u8 = 1;

/// A data directory of ours, on which no database runs while it takes.
#[derive(Debug)]
pub struct Intake {
    dir: Arc<dyn Dir>,
    clock: Arc<dyn Clock>,
    last_id: BlockId,
    /// Sources that are blocks now.
    taken: BTreeSet<String>,
    under_way: Option<(String, BlockWriter)>,
    totals: Totals,
    // ORDER: let go last.
    _lock: Option<Lock>,
}

/// What was made of sources since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    pub blocks: u64,
    pub samples: u64,
    /// The time of the oldest sample.
    pub oldest: Option<TimestampMs>,
}

impl Intake {
    /// Makes the directory when it is not there.
    ///
    /// # Errors
    /// A database runs on it, it is another's, or it can't be read or written.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Intake, OpenError> {
        let io = OpenError::io("cannot open the data directory");
        let dir: Arc<dyn Dir> = Arc::new(Disk::open(path).map_err(io)?);
        refuse_foreign(&*dir, &path.display().to_string())?;
        let lock = Lock::take(&path.join(LOCK))?;
        Intake::within(dir, clock, Some(lock))
    }

    /// In a directory that nobody else has.
    fn within(
        dir: Arc<dyn Dir>,
        clock: Arc<dyn Clock>,
        lock: Option<Lock>,
    ) -> Result<Intake, OpenError> {
        for sub in [WAL_DIR, BLOCKS_DIR] {
            let io = OpenError::io("cannot make a directory");
            dir.create_dir(sub).map_err(io)?;
        }
        remove_leftovers(&*dir)?;
        let taken = read_imported(&*dir).map_err(OpenError::io("cannot read `imported`"))?;
        Ok(Intake {
            last_id: last_id(&dir)?,
            dir,
            clock,
            taken,
            under_way: None,
            totals: Totals::default(),
            _lock: lock,
        })
    }

    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The same for tests that look at what the disk does.
    #[cfg(test)]
    pub(super) fn on_double(dir: Arc<dyn Dir>, clock: Arc<dyn Clock>) -> Result<Intake, OpenError> {
        Intake::within(dir, clock, None)
    }

    /// In place of the old list at once, so that there is always a whole one.
    fn write_imported(&self) -> io::Result<()> {
        let mut text = String::new();
        for id in &self.taken {
            // NOTE: writing to a string does not fail.
            let _ = writeln!(text, "{id}");
        }
        let tmp = format!("{IMPORTED}{TMP_SUFFIX}");
        let mut file = self.dir.create(&tmp)?;
        file.append(text.as_bytes())?;
        file.sync()?;
        self.dir.rename(&tmp, IMPORTED)?;
        self.dir.sync_dir("")
    }
}

impl Sink for Intake {
    fn begin(&mut self, source: &Source) -> Result<bool, PromError> {
        if self.taken.contains(&source.id) {
            return Ok(false);
        }
        self.last_id = BlockId::new(self.clock.wall_ms(), [self.last_id]);
        let writer = BlockWriter::create(self.dir.clone(), self.last_id, &Options::default());
        let writer = writer.map_err(PromError::sink)?;
        self.under_way = Some((source.id.clone(), writer));
        Ok(true)
    }

    fn add(&mut self, labels: &Labels, samples: &[Sample]) -> Result<(), PromError> {
        match &mut self.under_way {
            Some((_, writer)) => writer.add(labels, samples).map_err(PromError::sink),
            None => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<Option<BlockStats>, PromError> {
        if let Some((id, writer)) = self.under_way.take() {
            let made = writer.finish(LEVEL, &[], None).map_err(PromError::sink)?;
            // ORDER: the block first; a power cut between the two imports it again, and of samples
            // that are there twice one counts.
            self.taken.insert(id);
            self.write_imported().map_err(PromError::sink)?;
            if let Some(meta) = made {
                let oldest = self.totals.oldest.unwrap_or(meta.min_t);
                self.totals.oldest = Some(oldest.min(meta.min_t));
                self.totals.blocks += 1;
                self.totals.samples += meta.samples;
            }
        }
        Ok(None)
    }
}

fn read_imported(dir: &dyn Dir) -> io::Result<BTreeSet<String>> {
    let file = match dir.open(IMPORTED) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        file => file?,
    };
    let len = file.len()?;
    if len > IMPORTED_BYTES_MAX {
        let what = format!("it has {len} bytes, and {IMPORTED_BYTES_MAX} at most are read");
        return Err(io::Error::other(what));
    }
    let mut bytes = vec![0; len as usize];
    let mut at = 0;
    while let Some(rest) = bytes.get_mut(at..).filter(|rest| !rest.is_empty()) {
        match file.read_at(at as u64, rest)? {
            0 => break,
            n => at += n,
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().map(str::to_owned).collect())
}

/// The greatest name in use, by a block or by one that was merged into it.
fn last_id(dir: &Arc<dyn Dir>) -> Result<BlockId, OpenError> {
    let cache = Arc::new(PageCache::new(0));
    let mut last = BlockId(0);
    for id in block_ids(&**dir)? {
        last = last.max(id);
        // NOTE: one that can't be opened is the database's to put away.
        if let Ok(block) = Block::open(dir, id, &cache) {
            last = block.meta().sources.into_iter().fold(last, BlockId::max);
        }
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stdx::clock::ManualClock;
    use crate::storage::{Querier, Queryable as _};
    use crate::tsdb::Offline;
    use crate::tsdb::prometheus::{QuerierStream, SeriesStream as _};

    const ALL: (TimestampMs, TimestampMs) = (TimestampMs::MIN, TimestampMs::MAX);

    fn samples(querier: &dyn Querier) -> Vec<(Labels, Vec<Sample>)> {
        let mut stream = QuerierStream::new(querier, ALL.0, ALL.1, &[Vec::new()]).unwrap();
        std::iter::from_fn(|| stream.next().unwrap()).collect()
    }

    #[test]
    fn each_source_once() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("data");
        assert!(!Offline::is_ours(&path));
        let labels = Labels::from_pairs([("__name__", "up")]);
        let of = |source: i64| [Sample { t: source, v: 1.5 }];
        for (run, begun) in [(0, [true, true]), (1, [false, true]), (2, [false, true])] {
            let clock = Arc::new(ManualClock::new(5_000));
            let mut intake = Intake::open(&path, clock).unwrap();
            assert!(Offline::open(&path).is_err(), "locked");
            for (source, begun) in [(run, begun[0]), (run + 1, begun[1])] {
                let (min_t, max_t) = (source, source);
                let id = format!("source-{source}");
                let source = Source { id, min_t, max_t };
                assert_eq!(intake.begin(&source).unwrap(), begun, "{run} {source:?}");
                intake.add(&labels, &of(min_t)).unwrap();
                intake.finish().unwrap();
            }
            let (blocks, samples, oldest) = match run {
                0 => (2, 2, Some(0)),
                run => (1, 1, Some(run + 1)),
            };
            let totals = Totals {
                blocks,
                samples,
                oldest,
            };
            assert_eq!(intake.totals(), totals, "{run}");
            // One that is not finished leaves nothing.
            let (id, min_t, max_t) = ("cut short".to_owned(), 9, 9);
            assert!(intake.begin(&Source { id, min_t, max_t }).unwrap());
            intake.add(&labels, &of(9)).unwrap();
        }
        assert!(Offline::is_ours(&path));
        let offline = Offline::open(&path).unwrap();
        assert_eq!(offline.range().unwrap(), Some((0, 3)));
        assert_eq!(offline.rows().unwrap().len(), 4);
        assert!(!offline.may_have(4, 9).unwrap());
        let all = (0..4).flat_map(of).collect();
        let querier = offline.querier(ALL.0, ALL.1).unwrap();
        assert_eq!(samples(&*querier), [(labels, all)]);
    }
}
