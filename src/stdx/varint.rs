//! Numbers of seven bits a byte, the lowest first, as protobuf and Go write them.

/// Appends a number: one byte below 128, ten at most.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut v: u64) {
    while v >= 0x80 {
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

/// Appends a number of either sign, which is short where it is small.
pub fn put_signed(out: &mut Vec<u8>, v: i64) {
    put_varint(out, zigzag(v));
}

/// Returns the length of what [`put_varint`] appends.
pub fn varint_len(v: u64) -> u64 {
    u64::from((64 - (v | 1).leading_zeros()).div_ceil(7))
}

/// Appends a text behind its length in bytes.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Makes small numbers of either sign small numbers.
#[inline]
pub fn zigzag(v: i64) -> u64 {
    (v.wrapping_shl(1) ^ (v >> 63)) as u64
}

/// Undoes [`zigzag`].
#[inline]
pub fn unzigzag(v: u64) -> i64 {
    (v >> 1) as i64 ^ -((v & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_numbers_are_short() {
        let check = |v: u64, expect: &[u8]| {
            let mut out = Vec::new();
            put_varint(&mut out, v);
            assert_eq!(out, expect, "{v}");
            assert_eq!(varint_len(v), out.len() as u64);
        };
        check(0, &[0]);
        check(127, &[127]);
        check(300, &[0xac, 2]);
        check(u64::MAX, &[255, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
        for (v, coded) in [
            (0, 0),
            (-1, 1),
            (1, 2),
            (i64::MAX, u64::MAX - 1),
            (i64::MIN, u64::MAX),
        ] {
            assert_eq!((zigzag(v), unzigzag(coded)), (coded, v));
        }
    }
}
