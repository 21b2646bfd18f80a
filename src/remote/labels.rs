//! Reads label fields, by Prometheus's rules for received labels.

use thiserror::Error;

use super::series::next_label;
use super::wire::{Reader, WireError};
use crate::model::names::{METRIC_NAME, is_legacy_label_name, is_legacy_metric_name};
use crate::model::{Labels, LabelsBuilder};
use crate::stdx::gofmt;
use crate::storage::{SERIES_TEXT_BYTES_MAX, shortened};

/// LIMIT: bytes of a series' label fields, and their number. A storage that cannot take more would
/// refuse the whole request, and its sender would repeat it for ever.
const FIELDS_BYTES_MAX: usize = 1 << 20;
const LABELS_MAX: usize = 1 << 15;

/// Why no series may have such labels.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum InvalidLabels {
    #[error("no metric name")]
    NoName,
    #[error("a label without a name")]
    EmptyLabelName,
    #[error("what is not UTF-8")]
    NotUtf8,
    #[error("the label name {0:?} twice")]
    Twice(String),
    #[error("{0} bytes of labels, {FIELDS_BYTES_MAX} at most")]
    TooLong(usize),
    #[error("{0} labels, {LABELS_MAX} at most")]
    TooMany(usize),
}

/// Reads the labels in these fields, in any order. An empty value means that the label is absent.
pub(super) fn read(fields: &[u8]) -> Result<Result<Labels, InvalidLabels>, WireError> {
    let mut reader = Reader::new("TimeSeries", fields);
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    let mut invalid = None;
    // ORDER: invalid labels are read to the end too, since a malformed message is refused first.
    while let Some((name, value)) = next_label(&mut reader)? {
        match (std::str::from_utf8(name), std::str::from_utf8(value)) {
            (Ok(""), _) => invalid = Some(InvalidLabels::EmptyLabelName),
            (Ok(name), Ok(value)) => pairs.push((name, value)),
            _ => invalid = Some(InvalidLabels::NotUtf8),
        }
    }
    pairs.sort_by_key(|(name, _)| *name);
    if let Some(why) = too_large(fields, &pairs)
        .or(invalid)
        .or_else(|| fault(&pairs))
    {
        return Ok(Err(why));
    }
    pairs.retain(|(_, value)| !value.is_empty());
    Ok(Ok(Labels::from_sorted(pairs)))
}

fn too_large(fields: &[u8], pairs: &[(&str, &str)]) -> Option<InvalidLabels> {
    if fields.len() > FIELDS_BYTES_MAX {
        return Some(InvalidLabels::TooLong(fields.len()));
    }
    let count = pairs.len();
    (count > LABELS_MAX).then_some(InvalidLabels::TooMany(count))
}

fn fault(sorted: &[(&str, &str)]) -> Option<InvalidLabels> {
    let is_name = |(name, value): &(&str, &str)| *name == METRIC_NAME && !value.is_empty();
    let twice = { sorted.windows(2) }.find_map(|two| match two {
        [(a, _), (b, _)] if a == b => Some(InvalidLabels::Twice((*a).to_owned())),
        _ => None,
    });
    let no_name = || (!sorted.iter().any(is_name)).then_some(InvalidLabels::NoName);
    twice.or_else(no_name)
}

/// Writes what the fields say, valid or not: `name{label="value"}`, the labels as they were sent.
pub(super) fn text(fields: &[u8]) -> String {
    let mut reader = Reader::new("TimeSeries", fields);
    let (mut metric, mut labels) = (String::new(), String::new());
    while let Ok(Some((name, value))) = next_label(&mut reader) {
        let [name, value] = [name, value].map(String::from_utf8_lossy);
        if name == METRIC_NAME && metric.is_empty() && is_legacy_metric_name(&value) {
            metric.push_str(&value);
        } else if labels.len() <= SERIES_TEXT_BYTES_MAX {
            let separator = if labels.is_empty() { "" } else { ", " };
            labels.push_str(separator);
            if is_legacy_label_name(&name) {
                labels.push_str(&name);
            } else {
                labels.push_str(&gofmt::quote(&name));
            }
            labels.push('=');
            labels.push_str(&gofmt::quote(&value));
        }
    }
    if labels.is_empty() && !metric.is_empty() {
        return shortened(metric);
    }
    shortened(format!("{metric}{{{labels}}}"))
}

/// LIMIT: bytes of an exemplar's label fields. Storages take 128 characters, which with their
/// framing are fewer bytes.
const EXEMPLAR_BYTES_MAX: usize = 2048;

/// Reads the labels of an exemplar, which need no name and may be none. Returns `None` if they are
/// not UTF-8, or far too long.
pub(super) fn read_exemplar(fields: &[u8]) -> Result<Option<Labels>, WireError> {
    let mut reader = Reader::new("Exemplar", fields);
    let mut builder = LabelsBuilder::default();
    if fields.len() > EXEMPLAR_BYTES_MAX {
        return Ok(None);
    }
    let mut valid = true;
    while let Some((name, value)) = next_label(&mut reader)? {
        match (std::str::from_utf8(name), std::str::from_utf8(value)) {
            (Ok(name), Ok(value)) => builder.set(name, value),
            _ => valid = false,
        }
    }
    Ok(valid.then(|| builder.labels()))
}
