//! The names of everything in the data directory.

/// Keeps two processes apart.
pub const LOCK: &str = "lock";
pub const WAL_DIR: &str = "wal";
pub const BLOCKS_DIR: &str = "blocks";
/// Damaged files are moved here.
pub const QUARANTINE_DIR: &str = "quarantine";
/// Snapshots, one directory each.
pub const SNAPSHOTS_DIR: &str = "snapshots";
/// The names of imported sources, one per line.
pub const IMPORTED: &str = "imported";
/// The end of the name of a file that is not complete.
pub const TMP_SUFFIX: &str = ".tmp";

const SEGMENT_SUFFIX: &str = ".seg";

/// Returns the name of a log segment: at least eight decimal digits, so that names sort as numbers.
pub fn segment(number: u32) -> String {
    format!("{WAL_DIR}/{number:08}{SEGMENT_SUFFIX}")
}

/// Reads a segment's number from its name within the log's directory.
pub fn segment_number(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(SEGMENT_SUFFIX)?;
    let number = digits.parse().ok()?;
    (segment(number).strip_prefix(WAL_DIR)?.get(1..)? == name).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments() {
        for number in [0, 1, 99_999_999, 100_000_000, u32::MAX] {
            let path = segment(number);
            let name = path.strip_prefix("wal/").unwrap();
            assert_eq!(segment_number(name), Some(number));
        }
        for name in ["1.seg", "00000001", "+0000001.seg", "00000001.seg.tmp", ""] {
            assert_eq!(segment_number(name), None, "{name}");
        }
    }
}
