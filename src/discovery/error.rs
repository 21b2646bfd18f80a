//! The errors of finding targets.

use std::path::PathBuf;

use crate::net::NetError;
use crate::stdx::gofmt::quote;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Net(#[from] NetError),
    #[error("unsupported content type {}", quote(.0))]
    ContentType(String),
    /// The target groups are invalid, in the words of their parser.
    #[error("{0}")]
    Parse(String),
    #[error("{}: {reason}", path.display())]
    Read { path: PathBuf, reason: String },
    #[error("{}: larger than {limit} bytes, which is the most that is read", path.display())]
    TooLarge { path: PathBuf, limit: u64 },
    #[error("can't list {pattern}: {reason}")]
    List { pattern: String, reason: String },
}
