//! Mistakes of ours that are met while the daemon runs: logged, counted, and gone on from.

use std::fmt::Arguments;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

static MET: AtomicU32 = AtomicU32::new(0);

/// A condition that only a mistake of ours can bring about. Panics in debug builds. In release it
/// is counted, its first case at each place is logged, and the caller goes on with its fallback.
#[macro_export]
macro_rules! bug {
    ($($arg:tt)*) => {{
        if cfg!(debug_assertions) {
            panic!("bug: {}", format_args!($($arg)*));
        }
        static PLACE: std::sync::Once = std::sync::Once::new();
        $crate::stdx::bugs::met(&PLACE, module_path!(), line!(), format_args!($($arg)*));
    }};
}

/// Counts a bug, and logs the first of its place. Called by [`bug!`](crate::bug) alone.
pub fn met(place: &Once, module: &str, line: u32, what: Arguments<'_>) {
    MET.fetch_add(1, Relaxed);
    place.call_once(|| {
        log::error!(module = module, line = line; "bug: {what}; only the first is logged");
    });
}

/// How many were met since the process began.
pub fn count() -> u32 {
    MET.load(Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_counted() {
        static PLACE: Once = Once::new();
        let before = count();
        for i in 0..3 {
            met(&PLACE, "here", 1, format_args!("number {i}"));
        }
        assert!(PLACE.is_completed());
        assert!(count() >= before + 3);
    }
}
