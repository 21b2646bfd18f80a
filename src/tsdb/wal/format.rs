//! The frame of a segment: its header, and head and check of each record (`docs/FORMAT.md`).

/// Of the layout of segments and of everything in them.
pub(super) const VERSION: u16 = 1;

const MAGIC: &[u8; 8] = b"FERULWAL";

pub(super) const HEADER_BYTES: usize = 40;

/// Check, length, type, sequence number.
pub(super) const HEAD_BYTES: usize = 12;

/// LIMIT: of a record after its head. A batch is cut so that it stays far below; a reader holds one
/// record in memory.
pub(super) const PAYLOAD_BYTES_MAX: usize = 4 << 20;

pub(super) const SERIES: u8 = 1;
pub(super) const SAMPLES: u8 = 2;
pub(super) const OUT_OF_ORDER: u8 = 3;
pub(super) const DELETE: u8 = 4;
pub(super) const EXEMPLARS: u8 = 5;

/// LIMIT: types that a later minor format may use; a head with another is none.
const TYPES_MAX: u8 = 31;

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub segment: u32,
    /// How many records all segments before this one have had.
    pub first_seq: u64,
    pub created_ms: i64,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Begins {
    Known(Header),
    /// A good header of a version that is not ours.
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

    /// NOTE: every version keeps its header's first 40 bytes like this, so that ours can tell one
    /// of another version from a damaged one.
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

/// The head of a record, not checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    check: u32,
    pub len: usize,
    pub kind: u8,
    /// Within the segment, from 0.
    pub seq: u32,
}

impl Head {
    /// `None` if no record begins like this.
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

    /// Of a whole record, head and payload.
    pub fn checks(&self, record: &[u8], segment: u32) -> bool {
        record
            .get(4..)
            .is_some_and(|rest| check(rest, segment) == self.check)
    }
}

/// Puts the place of a record's head at the end of `out`; the payload follows, then [`finish`].
pub(super) fn begin(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.resize(start + HEAD_BYTES, 0);
    start
}

/// Fills in the head of the record that began at `start` and goes to the end.
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

/// A record is good only in the segment and the version that it was written for.
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
