//! Why a query failed, in Prometheus's words (reference section 4.6).

use thiserror::Error;

use crate::storage::StorageError;

#[derive(Debug, Error)]
pub enum QueryError {
    /// Names the phase: `query queue` or `expression evaluation`.
    #[error("query timed out in {0}")]
    Timeout(&'static str),
    #[error("query was canceled in {0}")]
    Canceled(&'static str),
    #[error("query processing would load too many samples into memory in query execution")]
    TooManySamples,
    #[error(
        "query processing would take more than {0} bytes of memory in query execution \
         (--query.memory-budget)"
    )]
    TooManyBytes(usize),
    #[error("expanding series: {0}")]
    Storage(#[from] StorageError),
    /// The query itself was wrong, not its evaluation.
    #[error("invalid expression type \"{0}\" for range query, must be Scalar or instant Vector")]
    RangeQueryType(&'static str),
    /// The query was wrong, which showed only with its times: `5:9: duration must be greater than
    /// 0`.
    #[error("{0}")]
    Invalid(String),
    /// The values made it impossible: `vector cannot contain metrics with the same labelset`.
    #[error("{0}")]
    Execution(String),
}
