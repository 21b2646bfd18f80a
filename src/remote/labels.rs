//! From label fields to labels, by Prometheus's rules for what it receives.

use super::series::next_label;
use super::wire::{Reader, WireError};
use crate::model::names::METRIC_NAME;
use crate::model::{Labels, LabelsBuilder};

/// LIMIT: bytes of a series' label fields, and how many labels these are. A storage that cannot
/// take more would refuse the whole request, and its sender repeat it for ever.
const FIELDS_BYTES_MAX: usize = 1 << 20;
const LABELS_MAX: usize = 1 << 15;

/// The labels in these fields; `None` where a series may not have them: without a metric's name,
/// with an empty name of a label, with one twice, with what is not UTF-8, or with far too much. Any
/// order is taken, and an empty value is an absent label.
pub(super) fn read(fields: &[u8]) -> Result<Option<Labels>, WireError> {
    let mut reader = Reader::new("TimeSeries", fields);
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    let mut valid = true;
    // ORDER: to the end also of those that are not valid, because what is no message at all is
    // refused first.
    while let Some((name, value)) = next_label(&mut reader)? {
        match (std::str::from_utf8(name), std::str::from_utf8(value)) {
            (Ok(name), Ok(value)) if !name.is_empty() => pairs.push((name, value)),
            _ => valid = false,
        }
    }
    valid &= fields.len() <= FIELDS_BYTES_MAX && pairs.len() <= LABELS_MAX;
    pairs.sort_by_key(|(name, _)| *name);
    valid &= pairs
        .iter()
        .any(|(n, v)| *n == METRIC_NAME && !v.is_empty());
    valid &= pairs.windows(2).all(|two| match two {
        [(a, _), (b, _)] => a != b,
        _ => true,
    });
    pairs.retain(|(_, value)| !value.is_empty());
    Ok(valid.then(|| Labels::from_sorted(pairs)))
}

/// LIMIT: bytes of an exemplar's label fields. Storages take 128 characters, which are less with
/// all that is around them.
const EXEMPLAR_BYTES_MAX: usize = 2048;

/// The labels of an exemplar, which need no name and may be none; `None` for what is not UTF-8, or
/// far too long.
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
