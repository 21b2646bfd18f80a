//! The plain values that every room uses.
//!
//! Owns nothing. **Invariant:** no I/O, no threads, no knowledge of formats or configuration.

pub mod duration;
pub mod labels;
pub mod matcher;
pub mod metadata;
pub mod names;
pub mod sample;
pub mod size;
pub mod target_group;
pub mod timestamp;

pub use labels::{Labels, LabelsBuilder, LabelsRef};
pub use matcher::{MatchOp, Matcher};
pub use metadata::{Metadata, MetricType};
pub use sample::{STALE_NAN_BITS, Sample, SeriesRef, is_stale_nan, stale_nan};
pub use target_group::{LabelMap, TargetGroup, TargetSets};

/// Milliseconds since 1970-01-01T00:00:00Z. Negative before.
pub type TimestampMs = i64;
