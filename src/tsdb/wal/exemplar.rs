//! Exemplars, each as its difference from the one before it in the record.

use super::definition::{DefinitionWriter, read_labels};
use super::varint::Bytes;
use crate::model::{Labels, TimestampMs};
use crate::stdx::varint::{put_varint, zigzag};
use crate::storage::Exemplar;

/// A flag: the source gave the time.
const TIMED: u8 = 1;

/// LIMIT: the bytes of an exemplar's labels, four for each of the 128 characters that are accepted.
/// An undamaged record with more would become far larger in memory than it is.
const LABEL_BYTES_MAX: usize = 512;

/// Writes the exemplars of one record.
#[derive(Debug, Default)]
pub(super) struct ExemplarWriter {
    labels: DefinitionWriter,
    last_t: TimestampMs,
}

impl ExemplarWriter {
    pub fn put(&mut self, out: &mut Vec<u8>, id: u32, exemplar: &Exemplar) {
        self.labels.put(out, id, &exemplar.labels);
        out.push(if exemplar.timed { TIMED } else { 0 });
        put_varint(out, zigzag(exemplar.t.wrapping_sub(self.last_t)));
        self.last_t = exemplar.t;
        out.extend_from_slice(&exemplar.v.to_bits().to_le_bytes());
    }
}

/// Reads one record's exemplars. Returns `None` at an invalid one.
pub(super) fn read(payload: &[u8]) -> Option<Vec<(u32, Exemplar)>> {
    let mut bytes = Bytes(payload);
    let mut pairs = Vec::new();
    let mut found = Vec::new();
    let (mut next_id, mut t) = (0_i64, 0_i64);
    while !bytes.0.is_empty() {
        let id = u32::try_from(next_id.checked_add(bytes.signed()?)?).ok()?;
        next_id = i64::from(id) + 1;
        read_labels(&mut bytes, &mut pairs)?;
        if pairs.iter().map(|(n, v)| n.len() + v.len()).sum::<usize>() > LABEL_BYTES_MAX {
            return None;
        }
        let timed = bytes.byte()? & TIMED != 0;
        t = t.wrapping_add(bytes.signed()?);
        let bits = u64::from_le_bytes(*bytes.take(8)?.first_chunk()?);
        let pairs = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        let exemplar = Exemplar {
            labels: Labels::from_sorted(pairs),
            v: f64::from_bits(bits),
            t,
            timed,
        };
        found.push((id, exemplar));
    }
    Some(found)
}
