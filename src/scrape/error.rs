//! Why a scrape failed, in Prometheus's words where it has them.

use std::sync::Arc;

use thiserror::Error;

use crate::exposition::ParseError;
use crate::net::NetError;

#[derive(Debug, Clone, Error)]
pub(super) enum ScrapeError {
    #[error(transparent)]
    Net(#[from] NetError),
    #[error(transparent)]
    Parse(#[from] ParseError),
    #[error("{0}")]
    ContentType(String),
    #[error("missing metric name (__name__ label)")]
    MissingName,
    #[error("invalid metric name or label names: {0}")]
    InvalidNames(String),
    #[error("sample limit exceeded")]
    SampleLimit,
    #[error("label_limit exceeded (metric: {metric}, number of labels: {count}, limit: {limit})")]
    LabelLimit {
        metric: String,
        count: usize,
        limit: u64,
    },
    #[error(
        "label_name_length_limit exceeded (metric: {metric}, label name: {name}, \
         length: {length}, limit: {limit})"
    )]
    LabelNameLength {
        metric: String,
        name: String,
        length: usize,
        limit: u64,
    },
    /// `value` is quoted.
    #[error(
        "label_value_length_limit exceeded (metric: {metric}, label name: {name}, \
         value: {value}, length: {length}, limit: {limit})"
    )]
    LabelValueLength {
        metric: String,
        name: String,
        value: String,
        length: usize,
        limit: u64,
    },
    /// An error from the pool (`target_limit`), or a client or thread that could not be made.
    #[error("{0}")]
    Forced(Arc<str>),
    #[error("the names of the target's series need more than 4 GiB")]
    CacheTooLarge,
    #[error("a mistake of the program: {0}")]
    Panic(String),
}

impl ScrapeError {
    pub fn is_label_limit(&self) -> bool {
        matches!(
            self,
            ScrapeError::LabelLimit { .. }
                | ScrapeError::LabelNameLength { .. }
                | ScrapeError::LabelValueLength { .. }
        )
    }

    pub fn is_body_limit(&self) -> bool {
        matches!(self, ScrapeError::Net(e) if root(e) == &NetError::BodyTooBig)
    }

    /// Whether the body passed the built-in guard, which is no limit of the job's.
    pub fn is_body_guard(&self) -> bool {
        matches!(self, ScrapeError::Net(e) if matches!(root(e), NetError::BodyGuard { .. }))
    }
}

fn root(error: &NetError) -> &NetError {
    match error {
        NetError::Request { source, .. } => root(source),
        other => other,
    }
}
