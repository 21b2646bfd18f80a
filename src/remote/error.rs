//! Why a request is refused, wholly or in part.

use thiserror::Error;

use super::media_type::MessageError;
use super::wire::WireError;
use crate::storage::StorageError;

/// The texts are Prometheus's, where it has the case.
#[derive(Debug, Error)]
pub enum WriteError {
    #[error("{0} encoding (compression) is not accepted by this server; only snappy is acceptable")]
    Encoding(String),
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error("snappy: corrupt input")]
    Snappy,
    #[error("decoded size exceeds the {0} bytes limit")]
    TooLarge(usize),
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The first sample of each kind of refusal, and how many there were. The others were stored.
    #[error("{0}")]
    Refused(String),
    #[error("too many remote write requests at once: {0} bytes are being decoded, at most {1}")]
    Busy(usize, usize),
    #[error("series went away while samples were appended to them")]
    Gone,
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl WriteError {
    /// The status of the answer. A sender repeats a request only after a 5xx.
    pub fn status(&self) -> u16 {
        match self {
            WriteError::Encoding(_) | WriteError::Message(_) => 415,
            WriteError::Snappy
            | WriteError::TooLarge(_)
            | WriteError::Wire(_)
            | WriteError::Refused(_) => 400,
            WriteError::Busy(..) => 503,
            WriteError::Gone | WriteError::Storage(_) => 500,
        }
    }
}
