//! What is not stored, and why: in values for the program, and in words for its users.

use std::fmt;

use super::append::Pending;
use crate::model::{Labels, SeriesRef, TimestampMs, is_stale_nan, timestamp};
use crate::stdx::gofmt;

/// A sample that was not stored, and why.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Refused {
    pub fault: Fault,
    pub sample: Pending,
}

/// Why a sample was not stored. Its text is Prometheus's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    OutOfOrder,
    Duplicate {
        t: TimestampMs,
        existing: f64,
        new: f64,
    },
    /// Before the appendable window.
    OutOfBounds,
    /// Before the out-of-order window, where out-of-order samples are taken.
    TooOld,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::OutOfOrder => f.write_str("out of order sample"),
            Fault::OutOfBounds => f.write_str("out of bounds"),
            Fault::TooOld => f.write_str("too old sample"),
            Fault::Duplicate { t, existing, new } => {
                let mut text = format!("duplicate sample for timestamp {t}");
                for (before, v) in [
                    ("; overrides not allowed: existing ", existing),
                    (", new value ", new),
                ] {
                    text.push_str(before);
                    gofmt::push_text_float(&mut text, *v);
                }
                f.write_str(&text)
            }
        }
    }
}

/// Why a sample is not even tried that is too far ahead of the clock. The text is Prometheus's.
pub const TOO_NEW: &str = "out of bounds: timestamp is too far in the future";

/// An exemplar that was not stored, and why.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RefusedExemplar {
    pub fault: ExemplarFault,
    pub series: SeriesRef,
    pub t: TimestampMs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExemplarFault {
    OutOfOrder,
    /// Its labels have too many characters.
    TooLong,
    /// Its series is gone, or has no samples.
    NoSeries,
    /// The log cannot be written.
    NotLogged,
}

impl fmt::Display for ExemplarFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ExemplarFault::OutOfOrder => "out of order exemplar",
            ExemplarFault::TooLong => "exemplar with labels of more than 128 characters",
            ExemplarFault::NoSeries => "exemplar without a series",
            ExemplarFault::NotLogged => "exemplar that cannot be written to the log",
        })
    }
}

/// The first case of a kind of refusals, as answers and log lines name it.
#[derive(Debug)]
pub struct FirstRefused {
    pub why: String,
    /// `name{label="value"}`; for metadata the metric's name.
    pub series: String,
    pub t: Option<TimestampMs>,
    /// A float's text, or the name of another kind of value.
    pub value: String,
}

impl FirstRefused {
    pub fn sample(why: impl Into<String>, series: String, t: TimestampMs, v: f64) -> FirstRefused {
        let mut value = String::new();
        if is_stale_nan(v) {
            value.push_str("staleness marker");
        } else {
            gofmt::push_text_float(&mut value, v);
        }
        FirstRefused {
            why: why.into(),
            series,
            t: Some(t),
            value,
        }
    }

    pub fn exemplar(
        why: impl Into<String>,
        series: String,
        t: Option<TimestampMs>,
    ) -> FirstRefused {
        FirstRefused {
            why: why.into(),
            series,
            t,
            value: "exemplar".to_owned(),
        }
    }

    /// Returns the time in RFC 3339, or nothing.
    pub fn time(&self) -> String {
        self.t.map_or_else(String::new, timestamp::rfc3339)
    }
}

/// LIMIT: bytes of a series' text in answers and log lines.
pub const SERIES_TEXT_BYTES_MAX: usize = 1024;

/// Returns a series as answers and log lines name it; nothing if it is gone.
pub fn series_text(labels: Option<&Labels>) -> String {
    shortened(labels.map_or_else(String::new, Labels::series_text))
}

/// Returns at most [`SERIES_TEXT_BYTES_MAX`] bytes of a text, with a sign if there were more.
pub fn shortened(mut text: String) -> String {
    if text.len() > SERIES_TEXT_BYTES_MAX {
        let fits = |end: &usize| text.is_char_boundary(*end);
        text.truncate((0..=SERIES_TEXT_BYTES_MAX).rev().find(fits).unwrap_or(0));
        text.push('…');
    }
    text
}
