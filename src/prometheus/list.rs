//! `tsdb list`: blocks as a table.

use std::io::{self, Write};

use time::OffsetDateTime;
use time::macros::format_description;

use super::writer::BlockStats;

/// One block's line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockRow {
    pub id: String,
    /// Inclusive, milliseconds.
    pub min_t: i64,
    /// Exclusive, milliseconds.
    pub max_t: i64,
    pub samples: u64,
    pub chunks: u64,
    pub series: u64,
    pub bytes: u64,
}

impl From<&BlockStats> for BlockRow {
    fn from(stats: &BlockStats) -> BlockRow {
        BlockRow {
            id: stats.ulid.to_string(),
            min_t: stats.min_t,
            max_t: stats.max_t,
            samples: stats.samples,
            chunks: stats.chunks,
            series: stats.series,
            bytes: stats.bytes,
        }
    }
}

const HEADER: [&str; 8] = [
    "BLOCK ULID",
    "MIN TIME",
    "MAX TIME",
    "DURATION",
    "NUM SAMPLES",
    "NUM CHUNKS",
    "NUM SERIES",
    "SIZE",
];
/// Prometheus's least width of a column.
const WIDTH_MIN: usize = 13;
const GAP: usize = 2;

pub fn print_blocks(
    rows: &[BlockRow],
    with_header: bool,
    human: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let header = with_header.then(|| HEADER.map(str::to_owned));
    let lines: Vec<[String; 8]> = header
        .into_iter()
        .chain(rows.iter().map(|row| cells(row, human)))
        .collect();
    let width = |column: usize| {
        let longest = lines.iter().map(|line| line[column].len()).max();
        (longest.unwrap_or(0) + GAP).max(WIDTH_MIN)
    };
    for line in &lines {
        for (column, cell) in line.iter().enumerate().take(HEADER.len() - 1) {
            write!(out, "{cell:<0$}", width(column))?;
        }
        writeln!(out, "{}", line[HEADER.len() - 1])?;
    }
    Ok(())
}

fn cells(row: &BlockRow, human: bool) -> [String; 8] {
    [
        row.id.clone(),
        time_text(row.min_t, human),
        time_text(row.max_t, human),
        go_duration(row.max_t.wrapping_sub(row.min_t)),
        row.samples.to_string(),
        row.chunks.to_string(),
        row.series.to_string(),
        if human {
            binary_size(row.bytes)
        } else {
            row.bytes.to_string()
        },
    ]
}

fn time_text(t: i64, human: bool) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] +0000 UTC");
    let known = OffsetDateTime::from_unix_timestamp(t / 1000)
        .ok()
        .filter(|_| human);
    let text = known.and_then(|time| time.format(&format).ok());
    text.unwrap_or_else(|| t.to_string())
}

/// Writes milliseconds as Go's `time.Duration` does.
pub fn go_duration(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    let ms = ms.unsigned_abs();
    if ms == 0 {
        return "0s".to_owned();
    }
    if ms < 1000 {
        return format!("{sign}{ms}ms");
    }
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    let mut fraction = format!(".{:03}", ms % 1000);
    fraction.truncate(fraction.trim_end_matches(['0', '.']).len());
    match (hours, minutes) {
        (0, 0) => format!("{sign}{seconds}{fraction}s"),
        (0, _) => format!("{sign}{minutes}m{seconds}{fraction}s"),
        _ => format!("{sign}{hours}h{minutes}m{seconds}{fraction}s"),
    }
}

/// Writes `1MiB2KiB3B`.
fn binary_size(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)];
    let parts = units.map(|(unit, shift)| match shift {
        30 => (bytes >> shift, unit),
        _ => (bytes >> shift & 1023, unit),
    });
    let text: String = parts
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, unit)| format!("{n}{unit}"))
        .collect();
    if text.is_empty() {
        "0B".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes() {
        for (ms, text) in [
            (0, "0s"),
            (7, "7ms"),
            (1_500, "1.5s"),
            (69_802, "1m9.802s"),
            (7_200_000, "2h0m0s"),
            (-61_000, "-1m1s"),
        ] {
            assert_eq!(go_duration(ms), text);
        }
        assert_eq!(binary_size(329_321), "321KiB617B");
        assert_eq!(binary_size(0), "0B");
    }

    #[test]
    fn a_table() {
        let row = BlockRow {
            id: "01M7YS1JFZMG02W7XQ3XH9NJ86".to_owned(),
            min_t: 0,
            max_t: 7_200_000,
            samples: 5,
            chunks: 2,
            series: 1,
            bytes: 2048,
        };
        let mut out = Vec::new();
        print_blocks(&[row], true, true, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let expected = "BLOCK ULID                  MIN TIME                       MAX TIME                       DURATION     NUM SAMPLES  NUM CHUNKS   NUM SERIES   SIZE\n\
                        01M7YS1JFZMG02W7XQ3XH9NJ86  1970-01-01 00:00:00 +0000 UTC  1970-01-01 02:00:00 +0000 UTC  2h0m0s       5            2            1            2KiB\n";
        assert_eq!(text, expected);
    }
}
