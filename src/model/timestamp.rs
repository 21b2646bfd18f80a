//! Times as texts: RFC 3339 and Unix seconds.

use crate::stdx::gofloat;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::TimestampMs;

/// The earliest and the latest time that Prometheus's API accepts, in milliseconds:
/// `-292273086-05-16T16:47:06Z` and `292277025-08-18T07:12:54.999Z`.
pub const MIN_MS: TimestampMs = i64::MIN / 1000;
pub const MAX_MS: TimestampMs = i64::MAX / 1000;

/// Writes `2026-01-02T03:04:05.678Z`, with a fraction only where there is one, as Go's RFC 3339
/// with nanoseconds does.
pub fn rfc3339(ms: TimestampMs) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
        .ok()
        .and_then(|t| t.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("{ms} ms"))
}

/// Reads Unix seconds with a fraction, or RFC 3339.
pub fn parse(text: &str) -> Option<TimestampMs> {
    if let Ok(seconds) = gofloat::parse_float(text) {
        return seconds
            .is_finite()
            .then(|| (seconds * 1000.0).round() as TimestampMs);
    }
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    Some((time.unix_timestamp_nanos().div_euclid(1_000_000)) as TimestampMs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms() {
        assert_eq!(rfc3339(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(parse("2023-11-14T22:13:20.123Z"), Some(1_700_000_000_123));
        assert_eq!(parse("2023-11-14T23:13:20+01:00"), Some(1_700_000_000_000));
        assert_eq!(parse("1700000000.1234"), Some(1_700_000_000_123));
        assert_eq!(parse("0x1p10"), Some(1_024_000));
        assert_eq!(parse("1_0"), Some(10_000));
        assert_eq!(parse("x"), None);
        assert_eq!(parse("NaN"), None);
    }
}
