//! The frame of a segment: its header, and the head and check of each record (`docs/FORMAT.md`).

/// The version of a segment's layout and of everything in it.
pub(super) const VERSION: u16 = 1;

const MAGIC: &[u8; 8] = b"FERULWAL";

pub(super) const HEADER_BYTES: usize = 40;

/// Check, length, type and sequence number.
pub(super) const HEAD_BYTES: usize = 12;

/// LIMIT: a record's payload. Batches are cut to stay far below. A reader holds one record in
/// memory.
pub(super) const PAYLOAD_BYTES_MAX: usize = 4 << 20;

pub(super) const SERIES: u8 = 1;
pub(super) const SAMPLES: u8 = 2;
pub(super) const OUT_OF_ORDER: u8 = 3;
pub(super) const EXEMPLARS: u8 = 5;

/// LIMIT: types that a later minor format may use. A head with another is invalid.
const TYPES_MAX: u8 = 31;

/// The content of a segment's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub segment: u32,
    /// The number of records in all segments before this one.
    pub first_seq: u64,
    pub created_ms: i64,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Begins {
    Known(Header),
    /// A good header of a version that we do not know.
    Unknown(u16),
    Damaged,
}

impl Header {
    pub fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
        bytes[10..12].copy_from_slice(&(HEADER_BYTES as u16).to_le_bytes());
        bytes[12..16].copy_from_slice(&self.segment.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first_seq.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.created_ms.to_le_bytes());
        let check = crc32c::crc32c(&bytes[..36]);
        bytes[36..].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    /// NOTE: every version keeps the first 40 bytes of its header like this, so that we can
    /// distinguish another version from damage.
    pub fn read(bytes: &[u8]) -> Begins {
        let Some(bytes) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Begins::Damaged;
        };
        let check = crc32c::crc32c(&bytes[..36]);
        if !bytes.starts_with(MAGIC) || check != word(&bytes[36..]) {
            return Begins::Damaged;
        }
        let version = u16::from_le_bytes([bytes[8], bytes[9]]);
        if version != VERSION {
            return Begins::Unknown(version);
        }
        Begins::Known(Header {
            segment: word(&bytes[12..]),
            first_seq: long(&bytes[16..]),
            created_ms: long(&bytes[24..]) as i64,
        })
    }
}

/// The head of a record, unchecked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    check: u32,
    pub len: usize,
    pub kind: u8,
    /// The number within the segment, from 0.
    pub seq: u32,
}

impl Head {
    /// Returns `None` if no record begins like this.
    pub fn read(bytes: &[u8]) -> Option<Head> {
        let bytes = bytes.first_chunk::<HEAD_BYTES>()?;
        let head = Head {
            check: word(bytes),
            len: (word(&bytes[4..]) & 0x00ff_ffff) as usize,
            kind: bytes[7],
            seq: word(&bytes[8..]),
        };
        let good = head.len <= PAYLOAD_BYTES_MAX && (1..=TYPES_MAX).contains(&head.kind);
        good.then_some(head)
    }

    /// Whether the check of a whole record, head and payload, is right.
    pub fn checks(&self, record: &[u8], segment: u32) -> bool {
        record
            .get(4..)
            .is_some_and(|rest| check(rest, segment) == self.check)
    }
}

/// Appends room for a record's head to `out`. The payload follows, then [`finish`].
pub(super) fn begin(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.resize(start + HEAD_BYTES, 0);
    start
}

/// Fills in the head of the record that begins at `start` and ends with `out`.
pub(super) fn finish(out: &mut [u8], start: usize, kind: u8, seq: u32, segment: u32) {
    let Some(record) = out.get_mut(start..) else {
        return;
    };
    let len = (record.len() - HEAD_BYTES) as u32 | u32::from(kind) << 24;
    record[4..8].copy_from_slice(&len.to_le_bytes());
    record[8..12].copy_from_slice(&seq.to_le_bytes());
    let check = check(&record[4..], segment);
    record[..4].copy_from_slice(&check.to_le_bytes());
}

/// Computes the check. It makes a record valid only in its own segment and version.
fn check(bytes: &[u8], segment: u32) -> u32 {
    let seed = u32::from(VERSION) << 28 ^ segment.wrapping_mul(0x9e37_79b9);
    crc32c::crc32c_append(seed, bytes)
}

fn word(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |b| u32::from_le_bytes(*b))
}

fn long(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |b| u64::from_le_bytes(*b))
}
