//! Definitions of series by their labels, each as its difference from the one before in the record.

use super::format::PAYLOAD_BYTES_MAX;
use super::varint::Bytes;
use crate::model::{Labels, LabelsRef};
use crate::stdx::varint::{put_text, put_varint, zigzag};

/// The codes for what a label shares with the label at its position in the definition before.
const SAME: u8 = 0;
const SAME_NAME: u8 = 1;
const NEW: u8 = 2;

/// Writes the definitions of one record.
#[derive(Debug, Default)]
pub(super) struct DefinitionWriter {
    last: Option<Labels>,
    next_id: u32,
}

impl DefinitionWriter {
    pub fn put(&mut self, out: &mut Vec<u8>, id: u32, labels: &Labels) {
        put_varint(out, zigzag(i64::from(id) - i64::from(self.next_id)));
        self.next_id = id.wrapping_add(1);
        let count = labels.len();
        put_varint(out, count as u64);
        let tags = out.len();
        out.resize(tags + count.div_ceil(4), 0);
        let mut before = self.last.iter().flat_map(Labels::iter);
        for (i, (name, value)) in labels.iter().enumerate() {
            let tag = match before.next() {
                Some(pair) if pair == (name, value) => SAME,
                Some((same, before)) if same == name => {
                    let shared = shared(before, value);
                    put_varint(out, shared as u64);
                    put_text(out, &value[shared..]);
                    SAME_NAME
                }
                _ => {
                    put_text(out, name);
                    put_text(out, value);
                    NEW
                }
            };
            out[tags + i / 4] |= tag << (i % 4 * 2);
        }
        self.last = Some(labels.clone());
    }
}

/// Reads one record's definitions. Stops at an invalid one.
pub(super) fn read(payload: &[u8], mut each: impl FnMut(u32, LabelsRef<'_>)) -> Option<()> {
    let mut bytes = Bytes(payload);
    let mut next_id = 0i64;
    let (mut pairs, mut text) = (Vec::new(), String::new());
    while !bytes.0.is_empty() {
        let id = u32::try_from(next_id.checked_add(bytes.signed()?)?).ok()?;
        next_id = i64::from(id) + 1;
        read_labels(&mut bytes, &mut pairs)?;
        text.clear();
        for (name, value) in &pairs {
            Labels::push_pair(&mut text, name, value);
        }
        each(id, LabelsRef::of_pushed(&text));
    }
    Some(())
}

/// Changes the pairs of the definition before into those of the next.
pub(super) fn read_labels(bytes: &mut Bytes<'_>, pairs: &mut Vec<(String, String)>) -> Option<()> {
    let count = bytes.count(PAYLOAD_BYTES_MAX)?;
    let tags = bytes.take(count.div_ceil(4))?;
    for i in 0..count {
        let tag = tags.get(i / 4)? >> (i % 4 * 2) & 3;
        if tag == NEW && i >= pairs.len() {
            pairs.push(Default::default());
        }
        let (name, value) = pairs.get_mut(i)?;
        match tag {
            SAME => {}
            SAME_NAME => {
                let shared = bytes.count(value.len())?;
                if !value.is_char_boundary(shared) {
                    return None;
                }
                value.truncate(shared);
                value.push_str(bytes.text()?);
            }
            NEW => {
                bytes.text()?.clone_into(name);
                bytes.text()?.clone_into(value);
            }
            _ => return None,
        }
    }
    pairs.truncate(count);
    Some(())
}

/// Returns the length of the common prefix in bytes, whole characters only.
fn shared(a: &str, b: &str) -> usize {
    let same = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    (0..=same)
        .rev()
        .find(|at| b.is_char_boundary(*at) && a.is_char_boundary(*at))
        .unwrap_or(0)
}
