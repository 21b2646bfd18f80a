//! Why a query was not answered, in Prometheus's words (reference section 4.6).

use thiserror::Error;

use crate::storage::StorageError;

#[derive(Debug, Error)]
pub enum QueryError {
    /// Where: `query queue` or `expression evaluation`.
    #[error("query timed out in {0}")]
    Timeout(&'static str),
    #[error("query was canceled in {0}")]
    Canceled(&'static str),
    #[error("query processing would load too many samples into memory in query execution")]
    TooManySamples,
    #[error("expanding series: {0}")]
    Storage(#[from] StorageError),
    /// The query was wrong, rather than its evaluation.
    #[error("invalid expression type \"{0}\" for range query, must be Scalar or instant Vector")]
    RangeQueryType(&'static str),
}
