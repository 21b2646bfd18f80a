//! Prometheus's durations: `1d12h`, `30s`, `5m30s`, `0` (reference section 2.1).

use std::fmt::Write as _;
use std::time::Duration;

use crate::stdx::gofmt;

const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Reads a duration: units from large to small, each at most once, or a bare `0`.
///
/// # Errors
/// Gives Prometheus's own texts.
pub fn parse(text: &str) -> Result<Duration, String> {
    if text.is_empty() {
        return Err("empty duration string".to_owned());
    }
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let bad = || format!("not a valid duration string: {}", gofmt::quote(text));
    let (mut rest, mut unit_from, mut total_ms) = (text, 0, 0u64);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail.find(|c: char| c.is_ascii_digit());
        let (unit, tail) = tail.split_at(unit_end.unwrap_or(tail.len()));
        if digits == 0 || unit.is_empty() {
            return Err(bad());
        }
        let i = UNITS.iter().position(|(name, _)| *name == unit);
        let i = i.ok_or_else(|| {
            let (unit, text) = (gofmt::quote(unit), gofmt::quote(text));
            format!("unknown unit {unit} in duration {text}")
        })?;
        if i < unit_from {
            return Err(bad());
        }
        let ms = number
            .parse::<u64>()
            .ok()
            .and_then(|n| n.checked_mul(UNITS[i].1));
        // Go's durations are 64-bit nanoseconds, and so is the limit here.
        total_ms = ms
            .and_then(|ms| total_ms.checked_add(ms))
            .filter(|ms| *ms <= (i64::MAX / 1_000_000) as u64)
            .ok_or("duration out of range")?;
        (rest, unit_from) = (tail, i + 1);
    }
    Ok(Duration::from_millis(total_ms))
}

/// Writes the shortest exact form, as Prometheus prints it: `1d12h`, `1m30s`, `0s`.
pub fn format(duration: Duration) -> String {
    let mut ms = duration.as_millis() as u64;
    if ms == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    for (i, (unit, size)) in UNITS.iter().enumerate() {
        let n = ms / size;
        // Years and weeks are used only where nothing is left over, as in Prometheus.
        if n > 0 && (i > 1 || ms.is_multiple_of(*size)) {
            let _ = write!(out, "{n}{unit}");
            ms %= size;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_and_bad_durations() {
        let ms = |text: &str| parse(text).map(|d| d.as_millis() as u64);
        assert_eq!(ms("0"), Ok(0));
        assert_eq!(ms("15s"), Ok(15_000));
        assert_eq!(ms("1d12h"), Ok(36 * 3_600_000));
        assert_eq!(ms("4w5d11h12m10s11ms"), Ok(2_891_530_011));
        assert_eq!(ms("1m0s"), Ok(60_000));
        for bad in ["1", "s", "5m1h", "1s1s", "-1s", "29y1", ".5h"] {
            assert!(
                ms(bad).unwrap_err().contains("not a valid duration string"),
                "{bad}"
            );
        }
        let unknown = "unknown unit \".\" in duration \"1.5h\"";
        assert_eq!(ms("1.5h"), Err(unknown.to_owned()));
        assert!(ms("1 h").unwrap_err().contains("unknown unit"));
        assert!(ms("5H").unwrap_err().contains("unknown unit"));
        assert_eq!(ms(""), Err("empty duration string".to_owned()));
        assert_eq!(ms("300y"), Err("duration out of range".to_owned()));
    }

    #[test]
    fn printed_durations_are_prometheus_s() {
        for text in [
            "0s", "15s", "1m30s", "1h", "5m", "2d", "1w", "1y", "324ms", "3h30m", "1d12h", "8d1h",
        ] {
            assert_eq!(format(parse(text).unwrap()), text, "{text}");
        }
    }
}
