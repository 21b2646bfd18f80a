//! Why a database cannot be opened, or a part of its work fails.

use std::io;

use thiserror::Error;

use crate::storage::StorageError;
use crate::tsdb::block::BlockError;
use crate::tsdb::dir::{LockError, advice};
use crate::tsdb::wal::WalError;

#[derive(Debug, Error)]
pub enum OpenError {
    #[error(
        "{path} is a data directory of Prometheus (it has {sign:?}); nothing was touched: give \
         another --storage.tsdb.path and import it into that with `ferula tsdb import {path} \
         DIRECTORY`"
    )]
    Prometheus { path: String, sign: String },
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error("{what}{}: {source}", advice(.source))]
    Io {
        what: &'static str,
        source: io::Error,
    },
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl OpenError {
    pub fn io(what: &'static str) -> impl FnOnce(io::Error) -> OpenError {
        move |source| OpenError::Io { what, source }
    }
}

/// Whether room on the disk would mend it.
pub fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Work in the background that failed, and will be tried again.
#[derive(Debug, Error)]
pub enum WorkError {
    #[error(transparent)]
    Block(#[from] BlockError),
    #[error(transparent)]
    Wal(#[from] WalError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A bug of ours. What it worked on is unchanged.
    #[error("a panic: {0}")]
    Panicked(String),
    #[error("the database is in memory and has no files")]
    InMemory,
    #[error("the database is stopping")]
    Stopping,
}

impl WorkError {
    /// Whether room on the disk would mend it.
    pub fn is_full(&self) -> bool {
        match self {
            WorkError::Block(BlockError::Io { source, .. })
            | WorkError::Wal(WalError(source))
            | WorkError::Io(source) => is_full(source),
            _ => false,
        }
    }
}
