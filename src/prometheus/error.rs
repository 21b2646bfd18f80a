//! Errors of Prometheus's files.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

#[derive(Debug, Error)]
pub enum PromError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} at byte {offset}: {what}", path.display())]
    Damaged {
        path: PathBuf,
        offset: u64,
        what: String,
    },
    #[error("{}: {what}", path.display())]
    Refused { path: PathBuf, what: String },
    #[error("{0}")]
    Order(String),
    /// The receiver of an import failed.
    #[error("{0}")]
    Sink(Box<dyn std::error::Error + Send + Sync>),
    #[error("stopped; what is finished is kept, and running it again goes on from there")]
    Stopped,
}

impl PromError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> PromError {
        let path = path.to_owned();
        move |source| PromError::Io { path, source }
    }

    pub(super) fn damaged(path: &Path, offset: u64, what: impl Into<String>) -> PromError {
        PromError::Damaged {
            path: path.to_owned(),
            offset,
            what: what.into(),
        }
    }

    pub(super) fn refused(path: &Path, what: impl Into<String>) -> PromError {
        PromError::Refused {
            path: path.to_owned(),
            what: what.into(),
        }
    }

    pub fn sink(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> PromError {
        PromError::Sink(error.into())
    }
}

/// LIMIT: cases that are listed; of more, only their number. A broken disk must not fill the log.
const DAMAGES_TOLD_MAX: usize = 20;

/// What reading had to leave out.
#[derive(Debug, Default)]
pub struct Damages {
    pub count: u64,
    /// The first cases, with file and offset.
    pub told: Vec<String>,
    /// Chunks of native histograms and of unknown kinds.
    pub histogram_chunks: u64,
    /// Records of native histograms in the log.
    pub histogram_records: u64,
}

impl Damages {
    pub(super) fn add(&mut self, path: &Path, offset: u64, what: &str) {
        self.count += 1;
        if self.told.len() < DAMAGES_TOLD_MAX {
            let error = PromError::damaged(path, offset, what);
            self.told.push(error.to_string());
        }
    }

    /// Says how many native histograms were left out; `None` if there were none.
    pub fn histograms(&self) -> Option<String> {
        let (chunks, records) = (self.histogram_chunks, self.histogram_records);
        (chunks + records > 0).then(|| {
            format!("{chunks} chunks and {records} records of native histograms passed over")
        })
    }

    pub(super) fn absorb(&mut self, other: Damages) {
        self.count += other.count;
        self.histogram_chunks += other.histogram_chunks;
        self.histogram_records += other.histogram_records;
        let room = DAMAGES_TOLD_MAX - self.told.len();
        self.told.extend(other.told.into_iter().take(room));
    }
}
