//! Shared by the tests: the program under test, targets that answer as told, a plain HTTP client.

mod exporter;
mod http;
mod process;
pub mod remote_write;
pub mod sender;

pub use exporter::{Behaviour, Exporter};
pub use http::{Reply, request, send_raw};
pub use process::{Ferula, run_to_end};

use std::io::Write as _;
use std::time::{Duration, Instant};

/// LIMIT: far beyond what a loaded machine takes. A test that waits this long has failed.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Returns a configuration that scrapes a target as the job `j`, so often.
pub fn scraping(target: &Exporter, interval: &str) -> String {
    format!(
        "scrape_configs:\n- job_name: j\n  scrape_interval: {interval}\n  \
         scrape_timeout: {interval}\n  static_configs: [{{targets: ['{}']}}]\n",
        target.address
    )
}

/// Waits until more than so many samples of `a` are found. Returns how many.
pub fn more_than(ferula: &Ferula, count: f64) -> f64 {
    eventually("more samples", || {
        let found = ferula.values("count_over_time(a[1h])").first().copied();
        found.filter(|found| *found > count)
    })
}

/// Says that a test did nothing, and why: past the harness, which shows nothing of tests that pass.
pub fn skipped(why: &str) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("a test");
    let _ = writeln!(std::io::stderr(), "test {name} ... skipped: {why}");
}

/// Polls until `probe` returns something.
#[track_caller]
pub fn eventually<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    within(DEADLINE, what, probe)
}

#[track_caller]
#[expect(clippy::disallowed_methods, reason = "a deadline for a real process")]
pub fn within<T>(deadline: Duration, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(
            start.elapsed() < deadline,
            "waited {deadline:?} in vain: {what}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}
