//! What the standard library lacks for this house: threads with an owner, stopping, mailboxes, time
//! as an argument, a pace for the log, Go's number formats, limits.
//!
//! Owns only the process-wide hook that a panicking thread reports to.
//! **Invariant:** knows no room of Ferula.

pub mod append;
pub mod bits;
pub mod clock;
pub mod gofloat;
pub mod gofmt;
pub mod gourl;
pub mod limits;
pub mod mailbox;
pub mod memory;
pub mod pacer;
pub mod stop;
pub mod thread;

/// Reports a condition that only a bug of ours can cause. It panics in debug builds. In release it
/// is logged, and the caller goes on with its fallback.
#[macro_export]
macro_rules! bug {
    ($($arg:tt)*) => {{
        if cfg!(debug_assertions) {
            panic!("bug: {}", format_args!($($arg)*));
        } else {
            log::error!(target: "ferula::bug", "bug: {}", format_args!($($arg)*));
        }
    }};
}
