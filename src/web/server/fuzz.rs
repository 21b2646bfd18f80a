//! What a fuzzer asks of request heads; `fuzz/` has the targets, and seeds that the unit test runs.

use super::scan::{HeadScan, Limits, Scan};

const LIMITS: Limits = Limits {
    head: 16 << 10,
    body: 1 << 20,
};

/// Empty lines before a request do not count as its head.
const BEFORE_HEAD_MAX: usize = 4;

/// Panics where a head is whole at one time and not at another, or depends on how it is cut.
pub fn check_request_head(input: &[u8]) {
    let at_once = |len: usize| {
        let bytes = input.get(..len).unwrap_or_default();
        HeadScan::default().scan(bytes, LIMITS)
    };
    match at_once(input.len()) {
        Scan::Complete(head, used) => {
            assert!(0 < used && used <= input.len(), "{used} of {}", input.len());
            let whole = at_once(used);
            assert!(matches!(whole, Scan::Complete(_, again) if again == used));
            let cut = at_once(used - 1);
            assert!(matches!(cut, Scan::Incomplete), "a byte less: {cut:?}");
            assert_eq!(by_bytes(input), used, "byte by byte");
            assert!(
                head.path.starts_with('/') || head.path == "*",
                "{}",
                head.path
            );
        }
        Scan::Incomplete => {
            assert!(input.len() < LIMITS.head + BEFORE_HEAD_MAX);
            assert_eq!(by_bytes(input), 0, "byte by byte");
        }
        Scan::Reject(reject) => {
            assert!((400..600).contains(&reject.status));
            assert_eq!(by_bytes(input), 0, "byte by byte");
        }
    }
}

/// Returns where the head ends when its bytes come one at a time; 0 when it never does.
fn by_bytes(input: &[u8]) -> usize {
    let mut scan = HeadScan::default();
    for end in 1..=input.len() {
        match scan.scan(input.get(..end).unwrap_or_default(), LIMITS) {
            Scan::Incomplete => {}
            Scan::Complete(_, used) => return used,
            Scan::Reject(_) => return 0,
        }
    }
    0
}

#[cfg(test)]
mod tests {
    #[test]
    fn seeds_pass() {
        let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/request_head");
        let mut count = 0;
        for file in std::fs::read_dir(seeds).unwrap() {
            let seed = std::fs::read(file.unwrap().path()).unwrap();
            for end in 0..=seed.len() {
                super::check_request_head(&seed[..end]);
            }
            count += 1;
        }
        assert!(count > 3, "{count} seeds");
    }
}
