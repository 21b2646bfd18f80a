//! What a parser gives.

use std::borrow::Cow;

use crate::model::{MetricType, TimestampMs};

/// What one line says, or several lines where a quoted string contains line breaks.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry<'a> {
    Series {
        /// The bytes of name and labels as they stand in the body. `labels` decodes them.
        series: &'a [u8],
        point: Point<'a>,
    },
    Help {
        name: Cow<'a, str>,
        text: Cow<'a, str>,
    },
    Type {
        name: Cow<'a, str>,
        kind: MetricType,
    },
    Unit {
        name: Cow<'a, str>,
        unit: Cow<'a, str>,
    },
    Comment,
}

/// One sample of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point<'a> {
    pub v: f64,
    /// The timestamp, where the target gives one.
    pub t: Option<TimestampMs>,
    /// The exemplar's bytes, from the brace to the end of the line. They are well-formed;
    /// `parse_exemplar` decodes them.
    pub exemplar: Option<&'a [u8]>,
}
