//! What is kept: the limits that the configuration and the flags set.

use std::fmt;
use std::time::Duration;

use crate::model::{duration, size};
use crate::tsdb::dir::Dir;

/// What is kept. Zero is no limit, of each.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Retention {
    /// How long.
    pub time: Duration,
    /// Of the whole directory, snapshots apart.
    pub bytes: u64,
    /// The same as a part of the medium that the directory is on, 0 to 100; wins over `bytes`.
    pub percentage: f64,
}

/// As Prometheus's status shows it: `15d or 1GiB or 80%`.
impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits = [
            (!self.time.is_zero()).then(|| duration::format(self.time)),
            (self.bytes > 0).then(|| size::format(self.bytes)),
            (self.percentage > 0.0).then(|| format!("{}%", self.percentage)),
        ];
        let limits: Vec<String> = limits.into_iter().flatten().collect();
        f.write_str(&limits.join(" or "))
    }
}

impl Retention {
    pub fn time_ms(&self) -> Option<i64> {
        let ms = i64::try_from(self.time.as_millis()).unwrap_or(i64::MAX);
        (ms > 0).then_some(ms)
    }

    /// Bytes that the whole directory may have, if there is a limit.
    pub fn directory_limit(&self, dir: &dyn Dir) -> Option<u64> {
        let share = self.share_of_medium(dir);
        share.or((self.bytes > 0).then_some(self.bytes))
    }

    pub fn share_of_medium(&self, dir: &dyn Dir) -> Option<u64> {
        if self.percentage <= 0.0 {
            return None;
        }
        let total = dir.total_bytes().ok().filter(|total| *total > 0)?;
        Some((total as f64 * self.percentage / 100.0) as u64)
    }
}
