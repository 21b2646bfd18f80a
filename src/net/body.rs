//! The body of an answer, unframed and unpacked into a buffer of bounded size.

use super::deadline::Deadline;
use super::framing::Framing;
use super::gzip::Unpackers;
use super::response::Head;
use super::stream::Stream;
use super::{BODY_BYTES_MAX, NetError};

/// Reads of fewer bytes than this are not worth a system call.
const READ_BYTES_MIN: usize = 4 << 10;
/// The first capacity of an empty buffer; most pages fit.
const FIRST_BYTES: usize = 16 << 10;
/// LIMIT: the most that a buffer grows by at once, so that a false length costs no more.
const GROW_BYTES_MAX: usize = 4 << 20;

/// What was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Received {
    /// Bytes as they arrived, without framing.
    pub wire_bytes: u64,
    /// The body ended where it should, and nothing follows.
    pub clean: bool,
}

/// LIMIT: a packed body, which is held whole. Text unpacks to five times as much and more.
const PACKED_BYTES_MAX: u64 = 32 << 20;

/// Where a body goes, and how large it may be.
pub(super) struct Sink<'a> {
    pub body: &'a mut Vec<u8>,
    /// In bytes; 0 leaves only the room's own limit.
    pub limit: u64,
    pub unpackers: &'a Unpackers,
}

/// Receives a body. `read` holds the bytes that came after the head, from `used` on.
pub(super) fn receive(
    stream: &mut Stream,
    head: &mut Head,
    mut read: Vec<u8>,
    used: usize,
    sink: &mut Sink<'_>,
    deadline: &Deadline,
) -> Result<Received, NetError> {
    let configured = Some(sink.limit).filter(|limit| (1..=BODY_BYTES_MAX).contains(limit));
    let limit = configured.unwrap_or(BODY_BYTES_MAX);
    let guarded = |error, form, bytes| match error {
        NetError::BodyTooBig if configured != Some(bytes) => NetError::BodyGuard { form, bytes },
        other => other,
    };
    sink.body.clear();
    // Only a page is worth unpacking.
    if head.gzip && head.status == 200 {
        read.drain(..used.min(read.len()));
        // NOTE: incompressible data grows a little when packed.
        let packed_limit = limit + limit / 512 + 512;
        let (form, bytes) = if packed_limit > PACKED_BYTES_MAX {
            ("packed ", PACKED_BYTES_MAX)
        } else {
            ("", limit)
        };
        let packed_limit = packed_limit.min(PACKED_BYTES_MAX);
        let received = receive_plain(stream, &mut head.framing, &mut read, packed_limit, deadline)
            .map_err(|e| guarded(e, form, bytes))?;
        let unpacked = sink.unpackers.unpack(&read, sink.body, limit);
        unpacked.map_err(|e| guarded(e, "", limit))?;
        return Ok(received);
    }
    sink.body
        .extend_from_slice(read.get(used..).unwrap_or_default());
    drop(read);
    receive_plain(stream, &mut head.framing, sink.body, limit, deadline)
        .map_err(|e| guarded(e, "", limit))
}

/// Receives an unpacked body. `body` holds raw bytes already read.
fn receive_plain(
    stream: &mut Stream,
    framing: &mut Framing,
    body: &mut Vec<u8>,
    limit: u64,
    deadline: &Deadline,
) -> Result<Received, NetError> {
    if framing.remaining() >= limit {
        return Err(NetError::BodyTooBig);
    }
    let mut whole = 0;
    loop {
        let raw = body.get_mut(whole..).unwrap_or_default();
        let fresh = raw.len();
        let unframed = framing.unframe(raw)?;
        whole += unframed.kept;
        body.truncate(whole);
        if whole as u64 >= limit {
            return Err(NetError::BodyTooBig);
        }
        if framing.is_done() {
            return Ok(Received {
                wire_bytes: whole as u64,
                clean: unframed.used == fresh,
            });
        }
        make_room(body, framing.remaining(), limit);
        if stream.recv_into(body, deadline)? == 0 {
            if !framing.may_end() {
                return Err(NetError::UnexpectedEof);
            }
            return Ok(Received {
                wire_bytes: whole as u64,
                clean: false,
            });
        }
    }
}

fn make_room(body: &mut Vec<u8>, sure: u64, limit: u64) {
    let spare = body.capacity() - body.len();
    let sure = usize::try_from(sure).unwrap_or(GROW_BYTES_MAX);
    if spare >= READ_BYTES_MIN.max(sure.min(FIRST_BYTES)) {
        return;
    }
    // NOTE: by an eighth, because the buffer is kept and lent again.
    let wanted = sure.max(body.len() / 8);
    let wanted = wanted.clamp(FIRST_BYTES, GROW_BYTES_MAX);
    // NOTE: one read beyond the limit shows that the body passes it.
    let allowed = limit.saturating_sub(body.len() as u64) + READ_BYTES_MIN as u64;
    let allowed = usize::try_from(allowed).unwrap_or(usize::MAX);
    body.reserve_exact(wanted.min(allowed));
}
