//! Imports from a Prometheus: makes a block of ours for each of its own.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::model::{Labels, Sample, TimestampMs};
use crate::prometheus::{BlockStats, PromError, Sink, Source};
use crate::stdx::clock::Clock;
use crate::tsdb::block::BlockWriter;
use crate::tsdb::dir::Dir;
use crate::tsdb::filenames::{IMPORTED, TMP_SUFFIX};
use crate::tsdb::{OfflineWriter, OpenError};

/// LIMIT: bytes of the names of what was imported; some thirty per block of a Prometheus.
const IMPORTED_BYTES_MAX: u64 = 4 << 20;

/// Imported blocks are not the head's, whose level is 0.
const LEVEL: u8 = 1;

/// A data directory of ours. No database runs on it during an import.
#[derive(Debug)]
pub struct Intake {
    /// Sources that are blocks now.
    taken: BTreeSet<String>,
    under_way: Option<(String, BlockWriter)>,
    totals: Totals,
    into: OfflineWriter,
}

/// What was imported since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    pub blocks: u64,
    pub samples: u64,
    /// The time of the oldest sample.
    pub oldest: Option<TimestampMs>,
}

impl Intake {
    /// Opens the directory, and makes it if it is missing.
    ///
    /// # Errors
    /// A database runs on it, it is another program's, or it cannot be read or written.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Intake, OpenError> {
        Intake::into(OfflineWriter::open(path, clock)?)
    }

    pub(super) fn into(into: OfflineWriter) -> Result<Intake, OpenError> {
        let taken = read_imported(into.dir()).map_err(OpenError::io("cannot read `imported`"))?;
        Ok(Intake {
            taken,
            under_way: None,
            totals: Totals::default(),
            into,
        })
    }

    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Replaces the old list atomically, so that there is always a whole one.
    fn write_imported(&self) -> io::Result<()> {
        let mut text = String::new();
        for id in &self.taken {
            // NOTE: writing to a string does not fail.
            let _ = writeln!(text, "{id}");
        }
        let tmp = format!("{IMPORTED}{TMP_SUFFIX}");
        let dir = self.into.dir();
        let mut file = dir.create(&tmp)?;
        file.append(text.as_bytes())?;
        file.sync()?;
        dir.rename(&tmp, IMPORTED)?;
        dir.sync_dir("")
    }
}

impl Sink for Intake {
    fn begin(&mut self, source: &Source) -> Result<bool, PromError> {
        if self.taken.contains(&source.id) {
            return Ok(false);
        }
        let writer = self.into.begin_block().map_err(PromError::sink)?;
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
            // ORDER: the block first. A power cut between the two imports it again, and of doubled
            // samples one counts.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prometheus::{QuerierStream, SeriesStream as _};
    use crate::stdx::clock::ManualClock;
    use crate::storage::{Querier, Queryable as _};
    use crate::tsdb::Offline;

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
            // An unfinished one leaves nothing.
            let (id, min_t, max_t) = ("cut short".to_owned(), 9, 9);
            assert!(intake.begin(&Source { id, min_t, max_t }).unwrap());
            intake.add(&labels, &of(9)).unwrap();
        }
        assert!(Offline::is_ours(&path));
        let offline = Offline::open(&path).unwrap();
        assert_eq!(offline.range().unwrap(), Some((0, 3)));
        assert_eq!(offline.blocks().len(), 4);
        assert!(!offline.may_have(4, 9).unwrap());
        let all = (0..4).flat_map(of).collect();
        let querier = offline.querier(ALL.0, ALL.1).unwrap();
        assert_eq!(samples(&*querier), [(labels, all)]);
    }
}
