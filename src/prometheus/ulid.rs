//! The names of Prometheus's blocks: 48 bits of time and 80 random bits, in 26 letters.

use std::fmt;

const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LEN: usize = 26;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ulid(pub u128);

impl Ulid {
    /// Makes a name that is always the same for the same time and word. A hash of the word replaces
    /// the random bits, so that repeated work finds its earlier result.
    pub fn of(time_ms: i64, word: &str) -> Ulid {
        let chance = u128::from(xxhash_rust::xxh64::xxh64(word.as_bytes(), 0));
        let time = (time_ms.max(0) as u128) & 0xffff_ffff_ffff;
        Ulid(time << 80 | chance)
    }

    pub fn parse(text: &str) -> Option<Ulid> {
        if text.len() != LEN || text.as_bytes().first()? > &b'7' {
            return None;
        }
        text.bytes().try_fold(Ulid(0), |ulid, byte| {
            let digit = LETTERS.iter().position(|l| *l == byte)?;
            Some(Ulid(ulid.0 << 5 | digit as u128))
        })
    }
}

impl fmt::Display for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: String = (0..LEN)
            .rev()
            .map(|i| char::from(LETTERS[(self.0 >> (5 * i)) as usize & 31]))
            .collect();
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let text = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
        assert_eq!(Ulid::parse(text).unwrap().to_string(), text);
        assert_eq!(Ulid::parse(text).unwrap().0 >> 80, 1_469_922_850_259);
        assert_eq!(Ulid(u128::MAX).to_string(), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
        for wrong in [
            "",
            "8ZZZZZZZZZZZZZZZZZZZZZZZZZ",
            "01ARZ3NDEKTSV4RRFFQ69G5FAU",
            "wal",
        ] {
            assert_eq!(Ulid::parse(wrong), None, "{wrong}");
        }
    }
}
