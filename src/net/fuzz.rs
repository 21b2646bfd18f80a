//! What a fuzzer asks of answers' heads and of the frames of their bodies; `fuzz/` has the targets,
//! and seeds that the unit test runs.

use super::framing::{Framing, Unframed};
use super::response::{Head, has_end};

/// Panics where a head would be waited for that is whole, or where a body depends on the pieces in
/// which it comes.
pub fn check_response(input: &[u8]) {
    let Ok((_, used)) = Head::parse(input) else {
        return;
    };
    let (whole, body) = input.split_at(used);
    assert!(has_end(whole, 0), "a head without its end: {whole:?}");
    assert!(has_end(whole, used - 1), "its last byte is not seen");
    let read = |size: usize| {
        let (head, _) = Head::parse(input).ok()?;
        unframed(head.framing, body, size)
    };
    let expected = read(body.len());
    for size in [1, 2, 7] {
        assert_eq!(read(size), expected, "by {size}");
    }
}

/// The body, and whether it ended; none after a fault.
fn unframed(mut framing: Framing, body: &[u8], size: usize) -> Option<(Vec<u8>, bool)> {
    let mut out = Vec::new();
    for piece in body.chunks(size.max(1)) {
        let mut piece = piece.to_vec();
        let len = piece.len();
        let Unframed { kept, used } = framing.unframe(&mut piece).ok()?;
        assert!(kept <= used && used <= len, "{kept} {used} of {len}");
        assert!(used == len || framing.is_done(), "bytes are left");
        out.extend_from_slice(piece.get(..kept).unwrap_or_default());
        if framing.is_done() {
            break;
        }
    }
    Some((out, framing.is_done()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn seeds_pass() {
        let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/response_head");
        let mut count = 0;
        for file in std::fs::read_dir(seeds).unwrap() {
            let seed = std::fs::read(file.unwrap().path()).unwrap();
            for end in 0..=seed.len() {
                super::check_response(&seed[..end]);
            }
            count += 1;
        }
        assert!(count > 3, "{count} seeds");
    }
}
